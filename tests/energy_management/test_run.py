"""The run command: a site, observations in, decisions out."""

from collections.abc import Iterator
import io
import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

from custom_components.reev_ems.energy_management.decision import (
    Action,
    Command,
    ConnectorDecision,
    Decision,
    Finding,
    Issue,
    IssueKind,
    Limit,
    LimitKind,
    SiteState,
)
from custom_components.reev_ems.energy_management.fields import Fields, RefusedError
from custom_components.reev_ems.energy_management.model import ChargingMode
from custom_components.reev_ems.energy_management.run import run
from custom_components.reev_ems.energy_management.run_format import (
    decision_line,
    read_observation,
    read_site,
)

FOLDER = Path(__file__).parents[2] / "custom_components" / "reev_ems"

SITE = {
    "circuits": [{"id": "main", "limit_a": [32, 32, 32]}],
    "connectors": [{"id": "cp1", "circuit": "main"}],
}


def observed(
    at_s: float, base_a: float = 5.0, **connector: object
) -> dict[str, object]:
    """Return an observation."""
    return {
        "at_s": at_s,
        "meters": {"main": {"current_a": [base_a] * 3, "age_s": 0.3}},
        "connectors": {"cp1": {"state": "plugged", **connector}},
    }


def answers(*lines: object) -> list[dict[str, object]]:
    """Return the decisions on the lines."""
    output = io.StringIO()
    assert run((json.dumps(line) for line in lines), output) == 0
    return [json.loads(line) for line in output.getvalue().splitlines()]


def refusal(*lines: object) -> str:
    """Return why the last line is refused."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    with pytest.raises(RefusedError) as refused:
        run(texts, io.StringIO())
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_each_observation_is_answered() -> None:
    """A line of a run."""
    found = answers(SITE, *(observed(float(second)) for second in range(40)))
    assert len(found) == 40
    assert found[0] == {
        "at_s": 0.0,
        "connectors": {
            "cp1": {
                "permit_a": 6.0,
                "limited_by": "waiting for fresh meter readings, 30 s",
            }
        },
        "commands": [],
        "state": "regulating",
        "issues": [],
    }
    assert found[30]["connectors"] == {
        "cp1": {"permit_a": 16.0, "limited_by": "own maximum"}
    }
    assert found[30]["commands"] == [
        {"connector": "cp1", "permit_a": 16.0, "expires_s": 330.0}
    ]


def test_settings_and_a_replaced_site_count() -> None:
    """A later line replaces the site; connectors keep what is remembered of them."""
    settings = {"recovery_raise_s": 20, "profile_life_s": 60}
    smaller = SITE | {"circuits": [{"id": "main", "limit_a": [15, 15, 15]}]}
    found = answers(
        SITE | {"settings": settings},
        *(observed(float(second)) for second in range(21)),
        {"site": smaller | {"settings": settings}},
        observed(21.0),
    )
    assert found[20]["commands"] == [
        {"connector": "cp1", "permit_a": 16.0, "expires_s": 80.0}
    ]
    assert found[21]["connectors"] == {
        "cp1": {"permit_a": 10.0, "limited_by": "main, L1"}
    }


def test_a_circuit_has_a_meter_once_one_is_named() -> None:
    """The sub-distribution of the site does not say; its meter does, and then may not fall silent."""
    site = {
        "circuits": [
            {"id": "main", "limit_a": [63, 63, 63]},
            {"id": "sub", "parent": "main", "limit_a": [20, 20, 20]},
        ],
        "connectors": [{"id": "cp1", "circuit": "sub"}],
        "settings": {"recovery_raise_s": 12},
    }
    lines = []
    for second in range(60):
        line = observed(float(second), base_a=9.0)
        if second < 20:
            meters = line["meters"]
            assert isinstance(meters, dict)
            meters["sub"] = {"current_a": [8, 8, 8], "age_s": 0.2}
        lines.append(line)
    found = answers(site, *lines)
    assert found[19]["connectors"] == {
        "cp1": {"permit_a": 12.0, "limited_by": "sub, L1"}
    }
    assert found[59]["state"] == "failsafe"
    assert found[59]["connectors"] == {
        "cp1": {"permit_a": 6.0, "limited_by": "failsafe"}
    }


def test_what_a_run_says_beyond_limits_is_read() -> None:
    """A hard limit, generation, what `automatic` means, used phases, an energy register: left out or given."""
    site = {
        "circuits": [
            {"id": "main", "limit_a": [32] * 3, "hard_limit": True, "generation": None}
        ],
        "connectors": [
            {
                "id": "cp1",
                "circuit": "main",
                "mode": "automatic",
                "automatic_mode": "solar_min",
                "obeys_pause": False,
            }
        ],
        "pv_surplus": True,
    }
    read, _ = read_site(Fields(site))
    assert (read.circuits[0].hard_limit, read.circuits[0].generation) == (True, None)
    assert read.connectors[0].mode is ChargingMode.AUTOMATIC
    assert read.connectors[0].automatic_mode is ChargingMode.SOLAR_MIN
    assert not read.connectors[0].obeys_pause
    line = observed(1.0, used_phases=1)
    meters = line["meters"]
    assert isinstance(meters, dict)
    meters["main"]["energy_import_wh"] = 1234.5
    seen = read_observation(Fields(line), read)
    assert seen.meters["main"].energy_import_wh == 1234.5
    assert seen.connectors["cp1"].used_phases == 1
    seen = read_observation(Fields(observed(1.0, used_phases=None)), read)
    assert seen.meters["main"].energy_import_wh is None
    assert seen.connectors["cp1"].used_phases is None


def test_a_decision_tells_phases_measures_and_findings() -> None:
    """A command is a permit unless its action says otherwise; what is not there is left out."""
    line = decision_line(
        Decision(
            at_s=1.0,
            state=SiteState.OVERLOADED,
            connectors={
                "cp1": ConnectorDecision(
                    permit_a=0.0,
                    permit_w=None,
                    limited_by=Limit(kind=LimitKind.OVERLOAD, circuit="main"),
                    used_phases=1,
                )
            },
            commands=(
                Command(connector="cp1", permit_a=0.0, expires_s=901.0),
                Command(connector="cp1", action=Action.STOP),
            ),
            issues=(
                Issue(
                    kind=IssueKind.METER_CONTRADICTION,
                    circuit="main",
                    phase="L2",
                    finding=Finding.REVERSED,
                ),
            ),
        )
    )
    assert line["state"] == "overloaded"
    connectors = line["connectors"]
    assert isinstance(connectors, dict)
    assert connectors["cp1"]["used_phases"] == 1
    assert line["commands"] == [
        {"connector": "cp1", "permit_a": 0.0, "expires_s": 901.0},
        {"connector": "cp1", "action": "stop"},
    ]
    assert line["issues"] == [
        {
            "kind": "meter_contradiction",
            "circuit": "main",
            "phase": "L2",
            "finding": "reversed",
        }
    ]


def test_who_ignores_its_permit_is_stopped_and_taken_out_of_service() -> None:
    """On the lines: overloaded after 10 s, a stop after 20 s, out of service 15 s later, back after 5 min of room."""
    told: dict[str, float] = {}
    drawn_a, served = 26.0, True
    output = io.StringIO()

    def asked() -> Iterator[str]:
        nonlocal drawn_a, served
        yield json.dumps(SITE)
        for second in range(600):
            line = observed(float(second), base_a=12.0 + drawn_a)
            state = "charging" if served else "faulted"
            current_a = [drawn_a] * 3
            connectors = line["connectors"]
            assert isinstance(connectors, dict)
            connectors["cp1"] = {"state": state, "current_a": current_a, "age_s": 0.5}
            yield json.dumps(line)
            answer = json.loads(output.getvalue().splitlines()[-1])
            if answer["state"] == "overloaded":
                told.setdefault("overloaded", second)
            for command in answer["commands"]:
                action = command.get("action", "permit")
                told.setdefault(action, second)
                if action == "inoperative":
                    drawn_a, served = 0.0, False
                if action == "operative":
                    served = True

    assert run(asked(), output) == 0
    assert told["overloaded"] == 10
    assert 20 <= told["stop"] <= 22
    assert 15 <= told["inoperative"] - told["stop"] <= 17
    assert 300 <= told["operative"] - told["inoperative"] <= 305


def test_a_site_without_meters_lives_on_its_reserve() -> None:
    """With `reserve_a` the grid connection needs no meter."""
    site = {
        "circuits": [
            {"id": "main", "limit_a": [32, 32, 32], "reserve_a": [20, 20, 20]}
        ],
        "connectors": [{"id": "cp1", "circuit": "main"}],
    }
    found = answers(site, {"at_s": 0, "connectors": {"cp1": {"state": "charging"}}})
    assert found[0]["connectors"] == {
        "cp1": {"permit_a": 12.0, "limited_by": "main, L1"}
    }


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({}, "at_s"),
        ({"at_s": "1"}, "at_s"),
        ({"at_s": 1, "odd": 1}, "odd"),
        ({"at_s": 1, "meters": {"x": {}}}, "meters.x"),
        ({"at_s": 1, "meters": {"main": {"current_a": [1, 2]}}}, "main.current_a"),
        ({"at_s": 1, "meters": {"main": {"age_s": -1}}}, "main.age_s"),
        ({"at_s": 1, "meters": []}, "meters"),
        ({"at_s": 1, "connectors": {"cp2": {"state": "charging"}}}, "connectors.cp2"),
        ({"at_s": 1, "connectors": {"cp1": {}}}, "cp1.state"),
        ({"at_s": 1, "connectors": {"cp1": {"state": "on"}}}, "cp1.state"),
        (
            {"at_s": 1, "connectors": {"cp1": {"state": "charging", "priorities": 5}}},
            "cp1.priorities",
        ),
        (
            {
                "at_s": 1,
                "connectors": {"cp1": {"state": "charging", "priorities": [11]}},
            },
            "cp1.priorities[0]",
        ),
        (
            {"at_s": 1, "connectors": {"cp1": {"state": "charging", "used_phases": 4}}},
            "cp1.used_phases",
        ),
        (
            {
                "at_s": 1,
                "connectors": {"cp1": {"state": "charging", "used_phases": 1.5}},
            },
            "cp1.used_phases",
        ),
        ({"at_s": 1, "meters": {"main": {"energy_import_wh": "x"}}}, "energy_import"),
        ({"at_s": 1, "battery": {"soc_pct": 101}}, "battery.soc_pct"),
        ({"at_s": 1, "external_limit_w": -1}, "external_limit_w"),
        ({"site": {"circuits": []}}, "circuits"),
        ({"site": SITE, "at_s": 1}, "at_s"),
        ("{", "line 2"),
        ('{"at_s": NaN}', "NaN"),
        ('{"at_s": 1e999}', "at_s"),
        ("[" * 100_000, "nested"),
        ('{"at_s": ' + "9" * 5000 + "}", "line 2"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_by_its_field(
    line: object, named: str
) -> None:
    """One line of text that names the line and the field."""
    text = refusal(SITE, line)
    assert named in text
    assert text.startswith("line 2: ")


@pytest.mark.parametrize(
    ("site", "named"),
    [
        ({}, "circuits"),
        ({"circuits": [{"id": "a", "parent": "a"}]}, "parent"),
        (SITE | {"settings": {"meter_timeout": 3}}, "settings.meter_timeout"),
        (SITE | {"settings": {"meter_timeout_s": -3}}, "settings.meter_timeout_s"),
        (SITE | {"settings": {"failsafe": "on"}}, "settings.failsafe"),
        (SITE | {"settings": {"pv_per_phase": 1}}, "settings.pv_per_phase"),
        (SITE | {"circuits": [{"id": "a", "hard_limit": 1}]}, "hard_limit"),
        (SITE | {"circuits": [{"id": "a", "generation": 1}]}, "generation"),
        (SITE | {"imbalance": {"limit_a": "x"}}, "imbalance.limit_a"),
        ([], "must be an object"),
    ],
)
def test_a_site_that_cannot_be_used_is_refused_by_its_field(
    site: object, named: str
) -> None:
    """The same for the first line."""
    assert named in refusal(site)


def test_the_command_answers_every_line_at_once_and_alone() -> None:
    """A simulator sits on the pipe: the answer is there before the next line is written; no Home Assistant."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-m", "energy_management", "run"],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ""},
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(SITE) + "\n")
    for second in range(3):
        process.stdin.write(json.dumps(observed(float(second))) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["at_s"] == second
    _, errors = process.communicate("what?\n", timeout=20)
    assert process.returncode == 2
    assert errors.startswith("line 5: ")
    assert errors.count("\n") == 1


def test_recorded_runs_are_answered_as_before() -> None:
    """tests/runs holds runs with their answers; they say when a change changes decisions."""
    folder = Path(__file__).parents[1] / "runs"
    names = sorted(folder.glob("*.jsonl"))
    assert names
    for name in names:
        asked, expected = [], []
        for line in name.read_text().splitlines():
            item = json.loads(line)
            expected.append(item.pop("answer", None))
            asked.append(item)
        found = answers(*asked)
        assert found == [item for item in expected if item is not None], name.name

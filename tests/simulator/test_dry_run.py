"""The plant in simulated time, steered over a pipe by real processes."""

from contextlib import AbstractAsyncContextManager
from io import StringIO
from pathlib import Path
import sys
from typing import Any

import pytest

from simulator.__main__ import main
from simulator.dry_run import Brain, BrainError, DryRun, running_brain
from simulator.site import running_site
from simulator.site_file import SiteConfig, parse_site
from simulator.visits import Visit, Visits

from .csms import Csms, eventually
from .sites import charge_point, site

type Json = dict[str, Any]

INTEGRATION = Path(__file__).parents[2] / "custom_components" / "reev_ems"

ANSWER = """
import json, sys
site = json.loads(sys.stdin.readline())
for number, line in enumerate(sys.stdin):
    seen = json.loads(line)
    commands = []
    {body}
    print(json.dumps({{"connectors": {{}}, "commands": commands}}), flush=True)
"""


def brain(body: str = "pass") -> AbstractAsyncContextManager[Brain]:
    """Run a process that answers every observation; `body` may fill `commands`."""
    return running_brain([sys.executable, "-c", ANSWER.format(body=body)])


def config(*charge_points: Json, **options: Any) -> SiteConfig:
    """Return a checked site."""
    return parse_site(site(*(charge_points or (charge_point(),)), **options))


async def test_without_commands_everything_stays_on_its_floor() -> None:
    """Nobody steers, so nobody gets more than the failsafe."""
    direct = charge_point(
        "DC", connector={"supply": "dc", "min_w": 5000, "max_w": 50000}
    )
    run = DryRun(config(charge_point(), direct))
    async with brain() as silent:
        metrics = await run.run(silent, 60.0)
    assert run.plant.connectors["CP1/1"].current_a == 6.0
    assert run.plant.connectors["DC/1"].power_w == 5000.0
    assert (metrics["simulated_s"], metrics["steps"], metrics["commands"]) == (
        60.0,
        60,
        0,
    )


async def test_permits_count_until_they_expire() -> None:
    """A permit that is not renewed lapses to the floor by itself."""
    run = DryRun(config())
    once = 'commands = [{"connector": "CP1/1", "permit_a": 12.0, "expires_s": seen["at_s"] + 30}] if number == 4 else []'
    drawn = []
    async with brain(once) as careless:
        await careless.tell(run.site_line())
        for _ in range(50):
            run.advance()
            run.obey(await careless.ask(run.observation()))
            drawn.append(run.plant.connectors["CP1/1"].current_a)
    assert drawn[4] == 6.0
    assert drawn[5:35] == [12.0] * 30
    assert drawn[35:] == [6.0] * 15


async def test_what_the_energy_management_is_told() -> None:
    """The site in its words, signed currents, reports of charge points at their pace and at every change."""
    given = config(
        charge_point(
            connector={
                "phases": ["L2", "L3", "L1"],
                "car": {"phases": 1, "ramp_s": 0.1},
            }
        ),
        solar=[{"id": "roof", "circuit": "main", "peak_w": 3450, "output": 1.0}],
        ems={"margin_a": 1, "connectors": {"CP1/1": {"priority": 7}}},
    )
    run = DryRun(given)
    line = run.site_line()
    assert line["circuits"] == [
        {"id": "main", "parent": None, "limit_a": [63.0, 63.0, 63.0], "metered": True}
    ]
    assert line["connectors"] == [
        {
            "id": "CP1/1",
            "circuit": "main",
            "supply": "ac",
            "phases": ["L2", "L3", "L1"],
            "min_a": 6.0,
            "max_a": 16.0,
            "priority": 7,
        }
    ]
    assert line["margin_a"] == 1
    ages = []
    for _ in range(12):
        run.advance()
        ages.append(run.observation()["connectors"]["CP1/1"]["age_s"])
    assert ages == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0, 1.0]
    seen = run.observation()
    # 2 A of base load, 5 A of sun on each phase, and 6 A of a car on L2.
    assert seen["meters"]["main"]["current_a"] == pytest.approx([-3.0, 3.0, -3.0])
    assert seen["connectors"]["CP1/1"]["state"] == "charging"
    assert seen["connectors"]["CP1/1"]["current_a"] == [6.0, 0.0, 0.0]


async def test_the_real_energy_management_keeps_the_limit() -> None:
    """Three cars want 48 A, the base load jumps twice: no limit is broken, and what is there is used."""
    jumps = {"points": [[0, 5], [200, 5], [201, 40], [400, 40], [401, 5]]}
    circuits = [{"id": "main", "limit_a": 63, "base_a": jumps, "power_factor": 1.0}]
    cars = [
        charge_point(name, connector={"car": {"ramp_s": 4, "max_a": 16}})
        for name in ("A", "B", "C")
    ]
    given = config(*cars, circuits=circuits, grace_s=8)
    trace = StringIO()
    run = DryRun(given, trace=trace)
    command = [sys.executable, "-m", "energy_management", "run"]
    async with running_brain(command, INTEGRATION) as real:
        metrics = await run.run(real, 600.0)
    main_circuit = metrics["circuits"]["main"]
    assert main_circuit["broken_as"] == [0.0, 0.0, 0.0]
    rows = [line.split(",") for line in trace.getvalue().splitlines()]
    assert rows[0][:5] == ["at_s", "main_l1_a", "main_l2_a", "main_l3_a", "A/1_permit"]
    currents = [float(row[1]) for row in rows[1:]]
    # 5 A + 3 x 16 A before the jump; all of the 63 A, or nearly, during it.
    assert max(currents[100:195]) == pytest.approx(53.0, abs=0.1)
    assert 61.0 < max(currents[300:395]) <= 63.0
    assert all(entry["starts"] == 1 for entry in metrics["connectors"].values())


async def test_a_brain_that_dies_is_reported() -> None:
    """With what it said."""
    run = DryRun(config())
    async with running_brain(
        [sys.executable, "-c", "raise SystemExit('no mind today')"]
    ) as dead:
        with pytest.raises(BrainError, match="no mind today"):
            await run.run(dead, 10.0)


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], socket_enabled: None
) -> None:
    """It prints the metrics and writes the trace; a brain that fails is one line and exit code 2."""
    file = tmp_path / "site.yaml"
    file.write_text("circuits: [{id: main, limit_a: 63}]\n")
    script = tmp_path / "brain.py"
    script.write_text(ANSWER.format(body="pass"))
    arguments = [
        "dry",
        str(file),
        "--hours",
        "0.01",
        "--trace",
        str(tmp_path / "t.csv"),
    ]
    assert main([*arguments, "--brain", f"{sys.executable} {script}"]) == 0
    assert '"simulated_s": 36.0' in capsys.readouterr().out
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 37
    script.write_text("raise SystemExit('no')")
    assert main([*arguments, "--brain", f"{sys.executable} {script}"]) == 2
    assert capsys.readouterr().err == "the energy management ended: no\n"


def test_visits_come_and_go_every_day() -> None:
    """Each visit is a car of its own; one may follow another at once."""
    visits = Visits(
        [
            Visit(connector="a", from_s=100.0, to_s=200.0, car={"soc": 0.1}),
            Visit(connector="a", from_s=200.0, to_s=300.0, car={"soc": 0.2}),
        ]
    )

    def changes(at_s: float) -> list[tuple[str, float | None]]:
        return [(name, car.soc if car else None) for name, car in visits.changes(at_s)]

    assert changes(99.0) == []
    assert changes(100.0) == [("a", 0.1)]
    assert changes(150.0) == []
    assert changes(200.0) == [("a", None), ("a", 0.2)]
    assert changes(300.0) == [("a", None)]
    assert changes(86400.0 + 150.0) == [("a", 0.1)]


async def test_visits_on_the_wire(csms: Csms) -> None:
    """A car that comes is plugged in and starts; one that leaves ends its transaction."""
    visitor = charge_point(
        connector={"plugged": False, "visits": [{"from_s": 0.3, "to_s": 1.0}]}
    )
    async with running_site(parse_site(site(visitor), csms=csms.url)) as running:
        await csms.until("CP1", "StartTransaction")
        stop = await csms.until("CP1", "StopTransaction")
        assert stop["reason"] == "EVDisconnected"
        await eventually(
            lambda: running.charge_points["CP1"].outlets[0].status == "Available"
        )

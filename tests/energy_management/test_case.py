"""The case command: the case files' results, and what it refuses."""

from collections.abc import Iterator
import copy
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.allocation import allocate
from custom_components.reev_ems.energy_management.case_format import read_case, result
from custom_components.reev_ems.energy_management.fields import RefusedError

from .cases import FILES, differences, read

INTEGRATION = Path(__file__).parents[2] / "custom_components" / "reev_ems"

CASE: dict[str, Any] = {
    "circuits": [
        {"id": "main", "limit_a": [63, 63, 63], "base_a": [1, 2, 3], "base_w": 1},
        {"id": "board", "parent": "main", "limit_w": 9000},
    ],
    "connectors": [
        {"id": "a", "circuit": "main", "phases": ["L1"], "measured_a": [1, None, 0]},
        {"id": "b", "circuit": "board", "supply": "dc", "mode": "solar"},
    ],
    "user_groups": [{"id": "g", "limit_a": [9, 9, 9], "limit_w": 4000}],
    "sharing": "equal",
    "surplus_w": 5000,
    "group_surplus_w": {"board": 100},
    "imbalance": {"limit_a": 20, "base_a": [1, 1, 1]},
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_case(file: Path) -> None:
    """The result is what the file says, and it can be written as JSON."""
    case = read(file)
    got = result(allocate(read_case(json.dumps(case["case"]))))
    assert list(differences(case["expected"], json.loads(json.dumps(got)))) == []


def run(text: str | bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does, from the folder above, without Home Assistant."""
    return subprocess.run(
        [sys.executable, "-m", "energy_management", *arguments],
        input=text.encode() if isinstance(text, str) else text,
        cwd=INTEGRATION,
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_the_command_answers() -> None:
    """One case in, one result out."""
    case = read(next(file for file in FILES if file.stem == "documented_case"))
    done = run(json.dumps(case["case"]))
    assert done.returncode == 0, done.stderr
    assert list(differences(case["expected"], json.loads(done.stdout))) == []


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("", (), "no JSON"),
        ("[]", (), "must be an object"),
        (b"\xff\xfe", (), "UTF-8"),
        ("[" * 200_000, (), "nested too deeply"),
        ('{"circuits": [{"id": "\\ud800"}], "\\ud801": 1}', (), "unknown field"),
        ("{}", (), "circuits: must not be empty"),
        (json.dumps(CASE), ("walk",), "usage"),
    ],
    ids=["empty", "list", "bytes", "nesting", "surrogate", "no-circuit", "argument"],
)
def test_the_command_refuses_in_one_line(
    text: str | bytes, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, one line on standard error, nothing on standard output."""
    done = run(text, *arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    line = done.stderr.decode()
    assert line.count("\n") == 1
    assert said in line


def changed(path: str, value: object) -> dict[str, Any]:
    """Return CASE with one field set, or removed if the value is the ellipsis."""
    case = copy.deepcopy(CASE)
    at: Any = case
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in way:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return case


REFUSED: list[tuple[str, object, str]] = [
    ("circuits", "main", "circuits: must be a list"),
    ("circuits", ["main"], "circuits[0]: must be an object"),
    ("circuits.0.id", ..., "circuits[0].id: is missing"),
    ("circuits.0.id", "", "circuits[0].id: must be a text"),
    ("circuits.0.id", 7, "circuits[0].id: must be a text"),
    ("circuits.1.id", "main", "circuits[1].id: 'main' is there twice"),
    ("circuits.1.parent", "attic", "circuits[1].parent: there is no 'attic'"),
    ("circuits.1.parent", ..., "circuits[1].parent: only one"),
    ("circuits.0.parent", "board", "circuits[].parent: circuit 'main' lies below"),
    ("circuits.1.parent", 3, "circuits[1].parent: must be a text"),
    ("circuits.0.limit_a", [63, 63], "circuits[0].limit_a: must be three"),
    ("circuits.0.limit_a", 63, "circuits[0].limit_a: must be three"),
    ("circuits.0.limit_a", "LLL", "circuits[0].limit_a: must be three"),
    ("circuits.0.limit_a", [63, -1, 63], "circuits[0].limit_a[1]: must not be neg"),
    ("circuits.0.limit_a", [63, None, 63], "circuits[0].limit_a: must be three"),
    ("circuits.0.limit_a", [63, True, 63], "circuits[0].limit_a[1]: must be a num"),
    ("circuits.0.limit_a", [63, 1e300, 63], "circuits[0].limit_a[1]: is out of"),
    ("circuits.0.limit_a", [63, 10**400, 63], "circuits[0].limit_a[1]: is out of"),
    ("circuits.1.limit_w", -1, "circuits[1].limit_w: must not be negative"),
    ("circuits.0.base_w", "1", "circuits[0].base_w: must be a number"),
    ("circuits.0.base_a", [1, 2, "3"], "circuits[0].base_a[2]: must be a number"),
    ("circuits.0.colour", "red", "circuits[0].colour: unknown field"),
    ("connectors", {}, "connectors: must be a list"),
    ("connectors.1.id", "a", "connectors[1].id: 'a' is there twice"),
    ("connectors.0.circuit", "attic", "connectors[0].circuit: there is no 'attic'"),
    ("connectors.0.circuit", ..., "connectors[0].circuit: is missing"),
    ("connectors.0.supply", "hand", "connectors[0].supply: must be one of ac, dc"),
    ("connectors.0.phases", [], "connectors[0].phases: must be one to three"),
    ("connectors.0.phases", ["L4"], "connectors[0].phases: must be one to three"),
    ("connectors.0.phases", ["L1", "L1"], "connectors[0].phases: must be one to"),
    ("connectors.0.phases", "L1", "connectors[0].phases: must be a list"),
    ("connectors.0.phases", [["L1"]], "connectors[0].phases: must be a list"),
    ("connectors.0.phase_count", 4, "connectors[0].phase_count: must be 3 or less"),
    ("connectors.0.phase_count", 1.5, "connectors[0].phase_count: must be a whole"),
    ("connectors.0.min_a", 0, "connectors[0].min_a: must be above 0"),
    ("connectors.0.min_a", 20, "connectors[0].max_a: is below min_a"),
    ("connectors.1.min_w", 60000, "connectors[1].max_w: is below min_w"),
    ("connectors.1.efficiency", 1.1, "connectors[1].efficiency: must be 1 or less"),
    ("connectors.1.efficiency", 0, "connectors[1].efficiency: must be above 0"),
    ("connectors.0.step_a", 0, "connectors[0].step_a: must be 1e-06 or more"),
    ("connectors.0.priority", 0, "connectors[0].priority: must be 1 or more"),
    ("connectors.0.priority", 11, "connectors[0].priority: must be 10 or less"),
    ("connectors.0.weight", 0, "connectors[0].weight: must be 0.001 or more"),
    ("connectors.0.mode", "slow", "connectors[0].mode: must be one of automatic"),
    ("connectors.0.mode", None, "connectors[0].mode: must be one of automatic"),
    ("connectors.0.automatic_mode", "fast", "connectors[0].automatic_mode: must be"),
    ("connectors.0.automatic_mode", 1, "connectors[0].automatic_mode: must be one"),
    ("connectors.0.obeys_pause", "no", "connectors[0].obeys_pause: must be true or"),
    ("circuits.0.hard_limit", 1, "circuits[0].hard_limit: must be true or false"),
    ("circuits.0.hard_limit", None, "circuits[0].hard_limit: must be true or"),
    ("circuits.0.generation", "sun", "circuits[0].generation: must be true or"),
    ("connectors.0.served_wh", -1, "connectors[0].served_wh: must not be negative"),
    ("connectors.0.arrived_s", [], "connectors[0].arrived_s: must be a number"),
    ("connectors.0.current_min_on", 1, "connectors[0].current_min_on: must be true"),
    ("connectors.0.measured_a", [1, 2], "connectors[0].measured_a: must be three"),
    ("connectors.0.speed", 9, "connectors[0].speed: unknown field"),
    ("sharing", "fair", "sharing: must be one of equal, priority, strict"),
    ("voltage_v", 0, "voltage_v: must be 50 or more"),
    ("margin_a", -1, "margin_a: must not be negative"),
    ("surplus_w", "much", "surplus_w: must be a number"),
    ("group_surplus_w", [], "group_surplus_w: must be an object"),
    ("group_surplus_w", {"attic": 1}, "group_surplus_w.attic: there is no such"),
    ("group_surplus_w", {"board": None}, "group_surplus_w.board: must be a number"),
    ("external_limit_w", -1, "external_limit_w: must not be negative"),
    ("imbalance", 20, "imbalance: must be an object"),
    ("imbalance.limit_a", -1, "imbalance.limit_a: must not be negative"),
    ("imbalance.base_a", [1, None, 1], "imbalance.base_a: must be three numbers"),
    ("imbalance.phase", 1, "imbalance.phase: unknown field"),
    ("extra", 1, "extra: unknown field"),
]


@pytest.mark.parametrize(("path", "value", "said"), REFUSED)
def test_a_field_that_cannot_be_used_is_named(
    path: str, value: object, said: str
) -> None:
    """The refusal is one line that begins with the field."""
    with pytest.raises(RefusedError) as caught:
        read_case(json.dumps(changed(path, value)))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_what_a_circuit_and_a_connector_say_beyond_limits_is_read() -> None:
    """Left out, nobody said whether something feeds in; null says the same."""
    case = changed("circuits.0.hard_limit", True)
    case["circuits"][1]["generation"] = False
    case["connectors"][0] |= {"mode": "automatic", "automatic_mode": "solar_min"}
    case["connectors"][1]["obeys_pause"] = False
    site = read_case(json.dumps(case)).site
    assert [circuit.hard_limit for circuit in site.circuits] == [True, False]
    assert [circuit.generation for circuit in site.circuits] == [None, False]
    assert [item.automatic_mode for item in site.connectors] == ["solar_min", "solar"]
    assert [item.obeys_pause for item in site.connectors] == [True, False]
    case["circuits"][1]["generation"] = None
    assert read_case(json.dumps(case)).site.circuits[1].generation is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_s2_what_is_no_number_is_refused(number: str) -> None:
    """JSON has no NaN, and neither has a case."""
    text = json.dumps(CASE).replace("63", number, 1)
    with pytest.raises(RefusedError, match=f"{number} is not a number"):
        read_case(text)


def test_a_field_given_twice_is_refused() -> None:
    """Which one counts would be a guess."""
    with pytest.raises(RefusedError, match="margin_a: given twice"):
        read_case('{"margin_a": 1, "margin_a": 2}')


def test_a_cycle_below_the_root_is_refused() -> None:
    """Three circuits that lie below one another, beside a proper root."""
    circuits = [{"id": "main"}] + [
        {"id": name, "parent": parent} for name, parent in ("ab", "bc", "ca")
    ]
    with pytest.raises(RefusedError, match="lies below itself"):
        read_case(json.dumps({"circuits": circuits}))


def scrambled(value: Any) -> Iterator[Any]:
    """Yield the case with each part replaced by something that it should not be."""
    yield from (None, [], {}, "x", -1, 1e12, True)
    parts = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    for key, part in parts:
        for other in scrambled(part):
            copied = copy.copy(value)
            copied[key] = other
            yield copied


def test_nonsense_is_answered_or_refused_and_nothing_else() -> None:
    """No input makes a traceback."""
    refusals: list[str] = []
    answered = 0
    for case in scrambled(CASE):
        try:
            result(allocate(read_case(json.dumps(case))))
        except RefusedError as error:
            refusals.append(str(error))
        else:
            answered += 1
    assert [text for text in refusals if "\n" in text] == []
    assert len(refusals) > 200
    assert answered > 20


def test_a_chain_of_thousands_of_circuits_is_a_tree() -> None:
    """Depth is no limit."""
    circuits = [{"id": "0", "limit_a": [32, 32, 32]}] + [
        {"id": str(place), "parent": str(place - 1), "limit_a": [20, 20, 20]}
        for place in range(1, 3000)
    ]
    connectors = [{"id": "a", "circuit": "2999", "max_a": 32}]
    allocation = allocate(
        read_case(json.dumps({"circuits": circuits, "connectors": connectors}))
    )
    assert allocation.shares["a"].current_a == 20

"""Site files: what they give, and what is said of one that cannot be used."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from simulator.study.random_site import random_site
from simulator.study.site_file import SiteError, load_site, parse_site, site_names

GOOD: dict[str, Any] = {
    "name": "site",
    "circuits": [{"id": "main", "limit_a": 63, "meter": {}}],
    "outlets": {"cp": {"circuit": "main", "count": 3}},
    "cars": [{"outlets": "cp", "arrive_h": [13, 14], "stay_h": 5, "need_kwh": [5, 10]}],
}


def test_the_seed_decides_who_comes() -> None:
    """The same seed gives the same cars, another gives others."""
    first, same, other = (parse_site(deepcopy(GOOD), seed) for seed in (1, 1, 2))
    assert first == same
    assert first.visits != other.visits
    assert [outlet.phases for outlet in first.outlets] == [
        (0, 1, 2),
        (1, 2, 0),
        (2, 0, 1),
    ]
    assert all(5000 <= visit.car.need_wh <= 10000 for visit in first.visits)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("circuits", 0, "limit_a"), "much", "circuits.0.limit_a: a number is needed"),
        (
            ("circuits", 0, "limit_a"),
            [1, 2],
            "circuits.0.limit_a: one number or three are needed",
        ),
        (
            ("circuits", 0, "parent"),
            "main",
            "circuits.0.parent: the first circuit, and no other, has no parent",
        ),
        (
            ("circuits", 0, "breaker"),
            "Z",
            "circuits.0.breaker: one of B, gG, E, or null",
        ),
        (
            ("circuits", 0, "meter"),
            {"poll_s": 0},
            "circuits.0.meter.poll_s: must be from 1 to 60",
        ),
        (
            ("circuits", 0, "house"),
            {"level_a": float("nan")},
            "circuits.0.house.level_a: a finite number is needed",
        ),
        (("circuits",), [], "circuits: length of value must be at least 1"),
        (
            ("outlets", "cp", "circuit"),
            "cellar",
            "outlets.cp.circuit: there is no cellar",
        ),
        (
            ("outlets", "cp", "phases"),
            ["L1", "L1"],
            "outlets.cp.phases: a phase is named twice",
        ),
        (
            ("outlets", "cp", "colour"),
            "blue",
            "outlets.cp.colour: not a valid option",
        ),
        (("cars", 0, "outlets"), "dc", "cars.0.outlets: there is no dc"),
        (("cars", 0, "need_kwh"), [10, 5], "cars.0.need_kwh: a range is [from, to]"),
        (("external_w",), [[1]], "external_w.0: a point is [hour, W or null]"),
        (("name",), None, "name: expected str"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    path: tuple[Any, ...], value: Any, said: str
) -> None:
    """The line names the place."""
    given: Any = deepcopy(GOOD)
    at = given
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(SiteError) as caught:
        parse_site(given, 1)
    assert str(caught.value) == f"site: {said}"


@pytest.mark.parametrize("text", ["[", "a: b: c", "- 1", "", "name: x"])
def test_files_that_are_no_sites(tmp_path: Path, text: str) -> None:
    """YAML that is broken or something else is refused in one line, too."""
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(SiteError) as caught:
        load_site(str(file), 1)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_those_that_are_there() -> None:
    """A person who mistypes a name is told the names."""
    with pytest.raises(SiteError, match="there are apartments, company"):
        load_site("appartments", 1)


@pytest.mark.parametrize("name", site_names())
def test_the_sites_that_come_with_it_are_good(name: str) -> None:
    """Each has cars, and is told the brain completely."""
    plan = load_site(name, 1)
    assert plan.name == name
    assert plan.visits


@pytest.mark.parametrize("seed", range(40))
def test_random_sites_are_good(seed: int) -> None:
    """Whatever the seed draws is a site."""
    plan = parse_site(random_site(seed), seed)
    assert plan.outlets

"""The site file: what it builds, and what it refuses."""

from collections.abc import Callable
from typing import Any

import pytest

from simulator.car import Supply
from simulator.profiles import Unit
from simulator.site_file import SiteError, parse_site

from .sites import charge_point, site

type Json = dict[str, Any]


def test_what_is_built() -> None:
    """Everything that the file says arrives where it belongs."""
    config = parse_site(
        site(
            charge_point(
                "DC",
                units=["W"],
                password="p",
                quirks={"disobedient": True},
                connector={
                    "supply": "dc",
                    "max_w": 50000,
                    "min_w": 4000,
                    "efficiency": 0.9,
                    "plugged": False,
                },
            ),
            charge_point("ONE", connector={"phases": ["L3"], "max_a": 20}),
            solar=[
                {
                    "id": "roof",
                    "circuit": "main",
                    "peak_w": 100,
                    "output": 0.5,
                    "phase_share": [1, 0, 1],
                }
            ],
            voltage_v=[231, 230, 229],
        ),
        csms="ws://there:1",
    )
    plant = config.plant()
    direct, single = plant.connectors["DC/1"], plant.connectors["ONE/1"]
    assert (direct.supply, direct.max_w, direct.min_w, direct.efficiency) == (
        Supply.DC,
        50000.0,
        4000.0,
        0.9,
    )
    assert direct.car is None
    assert (single.line_phases, single.max_a) == ((2,), 20.0)
    assert single.car is not None
    assert single.car.ramp_s == 0.1
    assert plant.voltage_v == (231.0, 230.0, 229.0)
    assert plant.solar["roof"].load(0.0).power_w == (-25.0, 0.0, -25.0)
    (first, link, quirks), _ = config.charge_points()
    assert (first.units, link.url, link.password, quirks.disobedient) == (
        (Unit.WATT,),
        "ws://there:1",
        "p",
        True,
    )


def test_every_site_is_its_own() -> None:
    """Two plants from one file share nothing that changes."""
    config = parse_site(site(charge_point()))
    one, other = config.plant(), config.plant()
    one.advance(10.0)
    assert other.at_s == 0.0
    assert one.connectors["CP1/1"].car is not other.connectors["CP1/1"].car


def broken(change: Callable[[Json], object]) -> Json:
    """Return a site with something wrong."""
    definition = site(charge_point())
    change(definition)
    return definition


WRONG: dict[str, tuple[Callable[[Json], object], str]] = {
    "no circuits": (lambda s: s.pop("circuits"), "circuits: "),
    "unknown key": (lambda s: s.update(speed=3), "speed: "),
    "limit not positive": (
        lambda s: s["circuits"][0].update(limit_a=0),
        "circuits[0].limit_a: must be above 0",
    ),
    "limit no number": (
        lambda s: s["circuits"][0].update(limit_a="63"),
        "circuits[0].limit_a: a number is needed",
    ),
    "limit endless": (
        lambda s: s["circuits"][0].update(limit_a=float("nan")),
        "circuits[0].limit_a: a finite",
    ),
    "circle": (lambda s: s["circuits"][0].update(parent="main"), "circle"),
    "parent": (
        lambda s: s["circuits"].append({"id": "x", "parent": "y"}),
        "no such circuit: y",
    ),
    "double circuit": (
        lambda s: s["circuits"].append({"id": "main", "parent": "main"}),
        "two of one name",
    ),
    "curve": (
        lambda s: s["circuits"][0].update(base_a={"points": [[5, 1], [4, 1]]}),
        "circuits[0].base_a: the times of a curve must rise",
    ),
    "meter model": (
        lambda s: s["meters"][0].update(model="ouija"),
        "meters[0].model: no such meter model",
    ),
    "meter circuit": (
        lambda s: s["meters"][0].update(circuit="attic"),
        "meter grid: no such circuit: attic",
    ),
    "meter twice": (
        lambda s: s["meters"].append(s["meters"][0]),
        "meters: two of one name",
    ),
    "meter place twice": (
        lambda s: s["meters"].append(s["meters"][0] | {"id": "b"}),
        "one host, port and unit",
    ),
    "charge point twice": (
        lambda s: s["charge_points"].append(s["charge_points"][0]),
        "two of one name",
    ),
    "phase": (
        lambda s: s["charge_points"][0]["connectors"][0].update(phases=["L4"]),
        "charge_points[0].connectors[0].phases[0]: L1, L2 or L3 is needed",
    ),
    "phase twice": (
        lambda s: s["charge_points"][0]["connectors"][0].update(phases=["L1", "L1"]),
        "charge_points[0].connectors[0].phases: a phase is named twice",
    ),
    "connector circuit": (
        lambda s: s["charge_points"][0]["connectors"][0].update(circuit="attic"),
        "no such circuit: attic",
    ),
    "no connector": (
        lambda s: s["charge_points"][0].update(connectors=[]),
        "charge_points[0].connectors",
    ),
    "quirk": (
        lambda s: s["charge_points"][0].update(quirks={"polite": 1}),
        "charge_points[0].quirks.polite",
    ),
    "csms": (lambda s: s.update(csms="http://x"), "csms: ws:// or wss:// is needed"),
    "soc": (
        lambda s: s["charge_points"][0]["connectors"][0]["car"].update(soc=40),
        "charge_points[0].connectors[0].car.soc: must be from 0 to 1",
    ),
}


@pytest.mark.parametrize(("change", "reason"), WRONG.values(), ids=WRONG.keys())
def test_what_is_refused(change: Callable[[Json], object], reason: str) -> None:
    """Each mistake is named with its place."""
    with pytest.raises(SiteError) as refused:
        parse_site(broken(change))
    assert reason in str(refused.value)


@pytest.mark.parametrize("data", [None, [], 3, "site"])
def test_what_is_no_site(data: object) -> None:
    """Anything but a mapping is refused."""
    with pytest.raises(SiteError):
        parse_site(data)

"""Nobody loses the session, or a part of it, for what is only not known."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.frozen import replace
from custom_components.reev_ems.energy_management.model import (
    ChargingMode,
    Circuit,
    Connector,
    Site,
)
from custom_components.reev_ems.energy_management.observation import (
    BatteryObservation,
    ConnectorObservation,
    ConnectorState,
    Observation,
)

from .plant import Car, Plant


@dataclass
class Connections:
    """Charge points lose their connections; their cars draw on, and nobody hears how much."""

    plant: Plant
    lost: set[str] = field(default_factory=set)
    back_s: dict[str, float] = field(default_factory=dict)

    def __call__(self, seen: Observation) -> Observation:
        """Return what can be known."""
        connectors = {}
        for name, connector in seen.connectors.items():
            reported_s = self.plant.cars[name].reported_s or 0.0
            if name in self.lost:
                connectors[name] = ConnectorObservation(state=ConnectorState.OFFLINE)
                self.back_s[name] = seen.at_s
            elif reported_s <= self.back_s.get(name, -1.0):
                connectors[name] = replace(connector, current_a=None, age_s=None)
            else:
                connectors[name] = connector
        return replace(seen, connectors=connectors)


def plant(limit_a: float, base_a: float, report_s: float) -> tuple[Plant, Connections]:
    """Return four cars below one meter."""
    site = Site(
        circuits=(Circuit(id="main", limit_a=(limit_a,) * 3, metered=True),),
        connectors=tuple(
            Connector(id=f"c{number}", circuit="main") for number in range(4)
        ),
        imbalance=None,
    )
    loop = Plant(
        site=site,
        cars={
            item.id: Car(report_s=report_s, report_at_s=3.0 * number)
            for number, item in enumerate(site.connectors)
        },
        base=lambda _: {"main": (base_a, base_a, base_a)},
    )
    loop.before_step = connections = Connections(loop)
    return loop, connections


@pytest.mark.parametrize("report_s", [10.0, 60.0])
@pytest.mark.parametrize("names", [["c1"], ["c0", "c1", "c2", "c3"]])
def test_s7_who_comes_back_costs_nobody_his_session(
    names: list[str], report_s: float
) -> None:
    """What it drew was base load meanwhile: it must not count twice until it says so."""
    loop, connections = plant(40.0, 10.0, report_s)
    loop.run(200)
    before = loop.permits()
    connections.lost.update(names)
    loop.run(300)
    assert [loop.permits()[name] for name in names] == [6.0] * len(names)
    connections.lost.clear()
    lowest_a = before
    for _ in range(180):
        loop.tick()
        lowest_a = {
            name: min(lowest_a[name], value) for name, value in loop.permits().items()
        }
    assert min(lowest_a.values()) >= 6
    assert loop.permits() == pytest.approx(before, abs=0.2)
    assert max(loop.loads[-1]["main"]) <= 40


@pytest.mark.parametrize("report_s", [10.0, 60.0])
def test_s7_a_restart_costs_nobody_his_session(report_s: float) -> None:
    """Nobody knows what was permitted, and charge points come back one after the other, long before they report."""
    loop, connections = plant(63.0, 5.0, report_s)
    loop.run(200)
    before = loop.permits()
    loop.state = ControllerState()
    connections.lost.update(before)
    for second in range(200):
        for number, name in enumerate(before):
            if second == 5 + 7 * number:
                connections.lost.remove(name)
        decision = loop.tick()
        # It draws more than the floor; that is no disobedience (S8).
        assert not decision.issues
        assert min(loop.permits().values()) >= 6
        assert max(loop.loads[-1]["main"]) <= 63
    assert loop.permits() == pytest.approx(before, abs=0.2)


@pytest.mark.parametrize("report_s", [30.0, 60.0])
def test_a_report_from_before_a_raise_takes_nothing_back(report_s: float) -> None:
    """The meter sees the cars ramp long before they report it: that is no base load."""
    loop, _ = plant(40.0, 4.0, report_s)
    loop.run(20)
    steps = [tuple(loop.permits().values())]
    for _ in range(300):
        loop.tick()
        steps.append(tuple(loop.permits().values()))
    for before, after in pairwise(steps):
        assert all(a <= b + 0.11 for a, b in zip(before, after, strict=True))
    assert steps[-1] == pytest.approx((9.0,) * 4, abs=0.1)


def test_a_battery_that_keeps_the_grid_at_nothing_lets_the_car_be() -> None:
    """It gives way to the car within seconds; the base load that held its charge is believed to fall much later."""
    loop, _ = plant(63.0, 0.0, 10.0)
    loop.site = replace(
        loop.site,
        pv_surplus=True,
        connectors=(Connector(id="c0", circuit="main", mode=ChargingMode.SOLAR),),
    )
    charge_a = 0.0
    loop.base = lambda _: {"main": (charge_a - 15.0,) * 3}
    permits = []
    for _ in range(600):
        loop.battery = BatteryObservation(power_w=charge_a * 690)
        loop.tick()
        grid_a = loop.loads[-1]["main"][0]
        charge_a += max(-2.0, min(2.0, -grid_a))
        permits.append(loop.permits()["c0"])
    assert permits[-1] == pytest.approx(15.0, abs=0.2)
    assert max(permits[300:]) - min(permits[300:]) <= 0.2


def test_a_turn_is_as_long_as_the_slot() -> None:
    """Two cars, room for one: while who was paused may not charge yet, the slot of the other one runs."""
    loop, _ = plant(9.0, 2.0, 10.0)
    loop.site = replace(loop.site, connectors=loop.site.connectors[:2])
    slot_s = loop.site.settings.rotation_slot_s
    paused_s = dict.fromkeys(("c0", "c1"), 0)
    for _ in range(3 * int(slot_s)):
        loop.tick()
        for name, permit_a in loop.permits().items():
            if name in paused_s:
                paused_s[name] = paused_s[name] + 1 if permit_a == 0 else 0
                assert paused_s[name] <= slot_s + 30
    assert min(loop.cars[name].energy_wh for name in paused_s) > 0

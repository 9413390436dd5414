"""The step against a plant in simulated time."""

from dataclasses import replace
from math import ceil
from random import Random
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import LimitKind, SiteState
from custom_components.reev_ems.energy_management.model import (
    ChargingMode,
    Circuit,
    Connector,
    PerPhase,
    Phase,
    Settings,
    Site,
)
from custom_components.reev_ems.energy_management.observation import (
    BatteryObservation,
    ConnectorState,
)
from tests.energy_management.plant import Car, Plant


def site(count: int = 3, limit_a: float = 32, **changes: Any) -> Site:
    """Return a site with one metered circuit."""
    return replace(
        Site(
            circuits=(
                Circuit(id="main", limit_a=(limit_a, limit_a, limit_a), metered=True),
            ),
            connectors=tuple(
                Connector(id=f"c{number}", circuit="main") for number in range(count)
            ),
        ),
        **changes,
    )


def cars(count: int = 3, report_s: float = 10.0) -> dict[str, Car]:
    """Return cars whose charge points report at different moments."""
    return {
        f"c{number}": Car(report_s=report_s, report_at_s=number * 3 % (report_s or 1))
        for number in range(count)
    }


def steady(*load_a: float) -> dict[str, PerPhase]:
    """Return the base load of the main circuit."""
    l1, l2, l3 = load_a if len(load_a) == 3 else load_a * 3
    return {"main": (l1, l2, l3)}


def over_as(plant: Plant, seconds: int, limit_a: float = 32) -> float:
    """Run, and return how many ampere-seconds the worst phase was over the limit."""
    total = 0.0
    for _ in range(seconds):
        plant.tick()
        total += max(0.0, max(plant.loads[-1]["main"]) - limit_a - 1e-6)
    return total


def test_s1_two_cars_that_start_together_never_exceed_the_limit() -> None:
    """Both are permitted before either has ramped: what they are permitted counts."""
    plant = Plant(site=site(2, 20), cars=cars(2), base=lambda _: steady(2))
    for car in plant.cars.values():
        car.state = ConnectorState.PLUGGED
    for second in range(300):
        if second == 60:
            for car in plant.cars.values():
                car.state = ConnectorState.CHARGING
        plant.tick()
        assert max(plant.loads[-1]["main"]) <= 20 + 1e-6
        assert sum(plant.permits().values()) <= 18 + 1e-6
    assert min(plant.permits().values()) >= 8.9


@pytest.mark.parametrize("lag_s", range(0, 16, 3))
@pytest.mark.parametrize("report_s", [1, 10])
def test_no_limit_cycle_with_a_meter_that_lags(lag_s: int, report_s: float) -> None:
    """The meter may be late by 0 to 15 s without saying so, the reports by 10 s: one answer, then rest."""
    plant = Plant(
        site=site(),
        cars=cars(3, report_s),
        base=lambda now_s: steady(5 if now_s < 200 else 10),
        lag_s=lag_s,
    )
    plant.run(199)
    # What the meter cannot show yet nobody can react to; the cars need a second to follow.
    assert over_as(plant, 121) <= 5 * (lag_s + 1)
    totals = []
    for _ in range(300):
        plant.tick()
        totals.append(plant.loads[-1]["main"][0])
    assert max(totals) - min(totals) <= 1.0
    assert min(totals) >= 31.0


def test_s1_a_jump_of_the_base_load_lowers_at_once_and_stops_nobody() -> None:
    """8 A more in the house: three cars at 6 A and more still fit."""
    plant = Plant(
        site=site(), cars=cars(), base=lambda now_s: steady(5 if now_s < 150 else 13)
    )
    plant.run(149)
    assert sum(plant.permits().values()) == pytest.approx(27, abs=0.3)
    plant.tick()
    assert sum(plant.permits().values()) <= 19
    for _ in range(4):
        plant.tick()
    assert max(plant.loads[-1]["main"]) <= 32
    assert min(plant.permits().values()) >= 6


def test_s1_noise_of_the_base_load_stays_within_a_second_of_ramp() -> None:
    """A restless house: the limit is exceeded only while a car follows."""
    random = Random(1)
    noise = [random.uniform(-1.5, 1.5) for _ in range(4000)]
    plant = Plant(
        site=site(), cars=cars(), base=lambda now_s: steady(8 + noise[int(now_s)])
    )
    plant.run(120)
    writes = {name: car.commands for name, car in plant.cars.items()}
    assert over_as(plant, 1800) <= 20
    # Two renewals a minute at most, and what the noise costs: not a write every few seconds.
    for name, car in plant.cars.items():
        assert car.commands - writes[name] <= 1800 / 15


def test_room_that_a_finished_car_leaves_is_used() -> None:
    """A full car keeps its minimum on offer; one that is unplugged leaves everything."""
    plant = Plant(site=site(2, 20), cars=cars(2), base=lambda _: steady(2))
    plant.run(120)
    assert plant.permits()["c0"] == pytest.approx(9, abs=0.2)
    plant.cars["c1"].wants_a = 0.0
    plant.run(120)
    assert plant.permits()["c0"] == pytest.approx(12, abs=0.2)
    plant.cars["c1"].state = ConnectorState.AVAILABLE
    plant.run(60)
    assert plant.permits()["c0"] == 16


def test_s6_a_settled_car_leaves_its_room_and_gets_it_back() -> None:
    """7 A for a while: 8 A are enough, until it draws all of them."""
    plant = Plant(site=site(2, 24), cars=cars(2), base=lambda _: steady(2))
    plant.cars["c0"].wants_a = 7.0
    plant.run(200)
    assert plant.permits()["c0"] == pytest.approx(8, abs=0.2)
    assert plant.permits()["c1"] == pytest.approx(14, abs=0.2)
    assert plant.decision is not None
    limit = plant.decision.connectors["c0"].limited_by
    assert limit.kind is LimitKind.CAR_DRAWS_LESS
    plant.cars["c0"].wants_a = 16.0
    plant.run(200)
    assert plant.permits()["c0"] == pytest.approx(11, abs=0.2)
    assert plant.permits()["c1"] == pytest.approx(11, abs=0.2)


def test_s6_a_raise_waits_until_the_other_car_has_come_down() -> None:
    """The priorities swap: one is lowered at once, the other raised when that room is really there."""
    plant = Plant(site=site(2, 24), cars=cars(2), base=lambda _: steady(2))

    def prefer(name: str) -> None:
        connectors = tuple(
            replace(item, priority=9 if item.id == name else 5)
            for item in plant.site.connectors
        )
        plant.site = replace(plant.site, connectors=connectors)

    prefer("c0")
    plant.run(90)
    assert plant.permits() == {"c0": 16, "c1": 6}
    prefer("c1")
    decision = plant.tick()
    assert plant.permits() == {"c0": 6, "c1": 6}
    assert decision.connectors["c1"].limited_by.kind is LimitKind.RAISE_WAIT
    plant.run(40)
    assert plant.permits() == {"c0": 6, "c1": 16}


def test_s3_a_silent_meter_leads_to_the_failsafe_and_back() -> None:
    """Held from 5 s, floor from 15 s, regulated after 10 s of readings, raised after 30 s."""
    plant = Plant(site=site(2), cars=cars(2), base=lambda _: steady(5))
    plant.run(100)
    before = plant.permits()
    plant.silent.add("main")
    held = plant.run(15)
    assert plant.permits() == before
    assert held[5].state is SiteState.HOLDING
    plant.run(2)
    assert plant.permits() == {"c0": 6.0, "c1": 6.0}
    plant.run(600)
    assert plant.permits() == {"c0": 6.0, "c1": 6.0}
    assert plant.decision is not None
    assert plant.decision.state is SiteState.FAILSAFE
    plant.silent.clear()
    decisions = plant.run(12)
    assert decisions[0].state is SiteState.FAILSAFE
    assert decisions[-1].state is SiteState.REGULATING
    plant.run(16)
    assert plant.permits() == {"c0": 6.0, "c1": 6.0}
    plant.run(40)
    assert plant.permits() == before


def test_s3_a_restart_keeps_what_cars_charge_with() -> None:
    """Nothing is remembered, the charge points say what they accepted."""
    plant = Plant(site=site(2), cars=cars(2), base=lambda _: steady(5))
    plant.run(100)
    before = plant.permits()
    assert before == {"c0": 13.5, "c1": 13.5}
    plant.state = ControllerState()
    for car in plant.cars.values():
        car.confirms = True
    for decision in plant.run(29):
        assert {name: c.permit_a for name, c in decision.connectors.items()} == before
    plant.run(60)
    assert plant.permits() == before


def test_s3_a_restart_believes_the_permit_before_the_draw() -> None:
    """A car that draws 9 A of its 10 A keeps its 10 A."""
    plant = Plant(site=site(1), cars=cars(1), base=lambda _: steady(5))
    plant.cars["c0"].wants_a = 9.0
    plant.run(100)
    assert plant.permits() == {"c0": 10}
    plant.state = ControllerState()
    plant.cars["c0"].confirms = True
    for decision in plant.run(29):
        assert decision.connectors["c0"].permit_a == 10


def test_s3_a_restart_knows_running_cars_by_their_draw() -> None:
    """Nothing is remembered, nothing accepted is known: the draw shows what is permitted."""
    plant = Plant(site=site(2), cars=cars(2), base=lambda _: steady(5))
    plant.run(100)
    plant.state = ControllerState()
    plant.run(30)
    assert plant.permits() == {"c0": 13.5, "c1": 13.5}


def test_s8_a_restart_makes_nobody_disobedient() -> None:
    """Charge points connect one after the other; by then nobody remembers what they were permitted."""
    plant = Plant(site=site(2), cars=cars(2), base=lambda _: steady(5))
    plant.run(100)
    plant.state = ControllerState()
    draws = {name: car.draw_a for name, car in plant.cars.items()}
    for car in plant.cars.values():
        car.state = ConnectorState.OFFLINE
    for second in range(60):
        for number, (name, car) in enumerate(plant.cars.items()):
            if second < 3 + 2 * number:
                car.draw_a = draws[name]
            else:
                car.state = ConnectorState.CHARGING
        decision = plant.tick()
        assert not decision.issues
    assert plant.permits() == {"c0": 13.5, "c1": 13.5}


def test_s3_only_the_circuit_with_the_silent_meter_goes_to_the_failsafe() -> None:
    """The rest of the site gets what that circuit leaves, once it has left it."""
    two = Site(
        circuits=(
            Circuit(id="main", limit_a=(40, 40, 40), metered=True),
            Circuit(id="garage", parent="main", limit_a=(25, 25, 25), metered=True),
        ),
        connectors=(
            Connector(id="c0", circuit="garage"),
            Connector(id="c1", circuit="main", max_a=32),
        ),
    )
    plant = Plant(
        site=two,
        cars={"c0": Car(), "c1": Car(wants_a=32)},
        base=lambda _: {"main": (4, 4, 4), "garage": (2, 2, 2)},
    )
    plant.run(100)
    assert plant.permits() == {"c0": 16, "c1": 18}
    plant.silent.add("garage")
    plant.run(20)
    assert plant.permits() == {"c0": 6, "c1": 18}
    plant.run(60)
    assert plant.permits()["c0"] == 6
    assert plant.permits()["c1"] == pytest.approx(28, abs=0.2)
    assert max(plant.loads[-1]["main"]) <= 40


def test_s7_an_offline_charge_point_is_base_load_where_a_meter_sees_it() -> None:
    """What it draws is not booked on top, and nobody gets that room."""
    plant = Plant(site=site(2), cars=cars(2), base=lambda _: steady(5))
    plant.run(100)
    plant.cars["c0"].state = ConnectorState.OFFLINE
    for _ in range(115):
        plant.tick()
        assert max(plant.loads[-1]["main"]) <= 32
    assert plant.decision is not None
    assert plant.decision.connectors["c0"].limited_by.kind is LimitKind.OFFLINE


def test_s8_a_disobedient_connector_is_booked_at_its_maximum() -> None:
    """It takes 15 A whatever it is told; the other one makes room."""
    plant = Plant(
        site=site(2, 32),
        cars=cars(2),
        base=lambda now_s: steady(2 if now_s < 100 else 8),
    )
    plant.run(99)
    assert plant.permits() == {"c0": 15.0, "c1": 15.0}
    plant.cars["c0"].obeys = False
    plant.cars["c0"].wants_a = 15.0
    plant.run(60)
    assert plant.decision is not None
    kinds = {issue.kind.value: issue.connector for issue in plant.decision.issues}
    assert kinds["disobedient"] == "c0"
    assert plant.decision.circuits["main"].booked_a[0] >= 16 + 6
    assert max(plant.loads[-1]["main"]) <= 32
    assert plant.permits()["c1"] <= 8.0


def test_rotation_gives_everybody_a_turn() -> None:
    """Five cars, room for two: each charges again within three slots (⌈5/2⌉), pauses or not."""
    settings = Settings(rotation_slot_s=300, min_on_s=60, min_off_s=60)
    plant = Plant(
        site=site(5, 16, settings=settings), cars=cars(5), base=lambda _: steady(2)
    )
    waited = dict.fromkeys(plant.cars, 0)
    longest = 0
    # All are found at their floors.
    plant.run(5)
    for _ in range(15000):
        plant.tick()
        assert max(plant.loads[-1]["main"]) <= 16 + 12
        for name, car in plant.cars.items():
            waited[name] = 0 if car.draw_a >= 6 else waited[name] + 1
            longest = max(longest, waited[name])
    assert longest <= ceil(5 / 2) * 300
    energies = [car.energy_wh for car in plant.cars.values()]
    assert min(energies) >= 0.8 * max(energies)


def solar_site(**settings: Any) -> Site:
    """Return a site whose connector follows the surplus."""
    return site(
        1,
        63,
        pv_surplus=True,
        imbalance=None,
        settings=replace(Settings(), **settings),
        connectors=(Connector(id="c0", circuit="main", mode=ChargingMode.SOLAR),),
    )


def test_surplus_starts_a_car_after_the_delay_and_is_followed() -> None:
    """60 s to start, the surplus followed, the minimum held for 180 s."""
    plant = Plant(
        site=solar_site(),
        cars=cars(1),
        base=lambda now_s: steady(-8 if 100 <= now_s < 1000 else 2),
    )
    plant.cars["c0"].permit_a = 0
    plant.run(99)
    assert plant.decision is not None
    assert plant.decision.connectors["c0"].limited_by.kind is LimitKind.PV_WAITING
    waiting = plant.run(55)
    assert all(d.connectors["c0"].permit_a == 0 for d in waiting)
    plant.run(120)
    assert plant.permits()["c0"] == pytest.approx(8, abs=0.2)
    # From 1000 s the sun is gone: the minimum is held for the stop delay.
    plant.run(1000 - 274)
    plant.run(30)
    assert plant.decision.connectors["c0"].permit_a is not None
    assert plant.permits()["c0"] == 6
    plant.run(145)
    assert plant.permits()["c0"] == 6
    plant.run(15)
    assert plant.permits()["c0"] == 0


def test_flapping_sun_does_not_start_and_stop() -> None:
    """40 s of sun, 20 s of cloud, for an hour."""
    plant = Plant(
        site=solar_site(),
        cars=cars(1),
        base=lambda now_s: steady(-9 if now_s % 60 < 40 else 0),
    )
    switchings, before = 0, False
    for _ in range(3600):
        plant.tick()
        charging = plant.permits()["c0"] > 0
        switchings += charging != before
        before = charging
    assert switchings <= 2


def test_surplus_without_delays_is_followed_at_once() -> None:
    """Delays of 0 s, as some want it."""
    plant = Plant(
        site=solar_site(pv_start_delay_s=0, pv_stop_delay_s=0, min_on_s=0, min_off_s=0),
        cars=cars(1),
        base=lambda now_s: steady(-8 if 100 <= now_s < 200 else 2),
    )
    plant.run(98)
    assert plant.permits()["c0"] == 0
    plant.run(40)
    assert plant.permits()["c0"] >= 6
    plant.run(66)
    assert plant.permits()["c0"] == 0


@pytest.mark.parametrize("pv_surplus", [False, True])
def test_mode_automatic_follows_the_sun_while_the_switch_is_on(
    pv_surplus: bool,
) -> None:
    """Off: nobody asked for surplus charging, and it charges fast."""
    (connector,) = solar_site().connectors
    plant = Plant(
        site=replace(
            solar_site(),
            pv_surplus=pv_surplus,
            connectors=(replace(connector, mode=ChargingMode.AUTOMATIC),),
        ),
        cars=cars(1),
        base=lambda _: steady(2),
    )
    plant.run(100)
    assert plant.permits()["c0"] == (0 if pv_surplus else 16)


def test_the_battery_goes_first_below_its_state_of_charge() -> None:
    """6 kW flow into the battery: for the cars only if it is full enough."""

    def run(soc_pct: float) -> float:
        plant = Plant(
            site=solar_site(battery_priority_soc_pct=50.0),
            cars=cars(1),
            base=lambda _: steady(0),
            battery=BatteryObservation(power_w=6000, soc_pct=soc_pct),
        )
        plant.run(200)
        return plant.permits()["c0"]

    assert run(40) == 0
    assert run(60) == pytest.approx(6000 / 690, abs=0.2)


def test_s2_a_battery_that_has_said_nothing_yet_leaves_no_surplus() -> None:
    """After a start its sensor may be the last to come: what is fed in may be the battery's."""
    plant = Plant(
        site=solar_site(),
        cars=cars(1),
        base=lambda _: steady(-7),
        battery=BatteryObservation(soc_pct=80),
    )
    plant.run(200)
    assert plant.permits()["c0"] == 0
    assert plant.decision is not None
    assert plant.decision.surplus_w is None
    plant.battery = BatteryObservation(power_w=0, soc_pct=80)
    plant.run(200)
    assert plant.permits()["c0"] == pytest.approx(7, abs=0.2)


def test_s2_a_battery_that_falls_silent_leaves_no_surplus() -> None:
    """It discharged 5 kW, so what the house feeds in is the battery's; silent, it may do so still."""
    plant = Plant(
        site=solar_site(),
        cars=cars(1),
        base=lambda _: steady(-7),
        battery=BatteryObservation(power_w=-5000),
    )
    plant.run(200)
    assert plant.permits()["c0"] == 0
    plant.battery = None
    plant.run(200)
    assert plant.permits()["c0"] == 0
    assert plant.decision is not None
    assert plant.decision.surplus_w is None
    plant.battery = BatteryObservation(power_w=0)
    plant.run(200)
    assert plant.permits()["c0"] == pytest.approx(7, abs=0.2)


def test_the_external_limit_is_kept() -> None:
    """§14a EnWG: 10.5 kW are enough for two cars."""
    plant = Plant(site=site(3, 63), cars=cars(3), base=lambda _: steady(2))
    plant.run(100)
    assert plant.permits() == {"c0": 16, "c1": 16, "c2": 16}
    plant.external_limit_w = 10500
    plant.run(10)
    assert sum(plant.permits().values()) * 690 <= 10500
    assert sum(1 for value in plant.permits().values() if value) == 2


def test_little_is_written() -> None:
    """Flash wear: three cars for two hours, the base load moving every few minutes."""
    random = Random(7)
    levels = [random.uniform(3, 14) for _ in range(300)]
    plant = Plant(
        site=site(), cars=cars(), base=lambda now_s: steady(levels[int(now_s // 300)])
    )
    plant.run(7200)
    for car in plant.cars.values():
        assert car.commands <= 7200 / 45


def test_state_survives_a_clock_that_runs_backwards() -> None:
    """Nothing is raised on a time that nobody knows."""
    plant = Plant(site=site(2), cars=cars(2), base=lambda _: steady(5))
    plant.run(40)
    before = plant.permits()
    plant.now_s -= 1000
    for car in plant.cars.values():
        car.reported_s = None
        car.expires_s = float("inf")
    plant.read_s.clear()
    decisions = plant.run(25)
    for decision in decisions:
        for name, connector in decision.connectors.items():
            assert connector.permit_a is not None
            assert connector.permit_a <= before[name]


def test_single_phase_cars_use_what_their_phase_has() -> None:
    """Each on its own line phase."""
    mixed = site(
        2,
        20,
        connectors=(
            Connector(id="c0", circuit="main", phases=(Phase.L2,)),
            Connector(id="c1", circuit="main", phases=(Phase.L3,)),
        ),
    )
    plant = Plant(
        site=mixed,
        cars={"c0": Car(phases=(Phase.L2,)), "c1": Car(phases=(Phase.L3,))},
        base=lambda _: steady(0, 10, 6),
    )
    plant.run(200)
    assert plant.permits() == {"c0": 10, "c1": 14}

"""Circuits, charge points, meters and breakers."""

from random import Random

import pytest

from simulator.study.breakers import KINDS, Breaker
from simulator.study.charger import Charger, Command
from simulator.study.meter import Meter
from simulator.study.plan import BatteryPlan, ChargerPlan, HousePlan, MeterPlan, SunPlan
from simulator.study.plant import Plant

from .kit import advance, car, circuit, outlet, site


def test_currents_add_up_to_the_grid_connection() -> None:
    """A circuit carries its own load, its cars and what lies below it, phase by phase."""
    board = circuit(20.0, (1.0, 0.0, 0.0), id="board", parent="main")
    plan = site(
        {
            outlet("cp1", circuit="board", phases=(1, 2, 0)): car(phases=1),
            outlet("cp2"): car(phases=3, most=10.0),
        },
        circuit(63.0, (2.0, 3.0, 4.0)),
        board,
    )
    plant = Plant(plan)
    for charger in plant.chargers.values():
        charger.permit = 16.0
    advance(plant, 5)
    assert plant.circuit("board").load_a == pytest.approx([1.0, 16.0, 0.0])
    assert plant.circuit("main").load_a == pytest.approx([13.0, 29.0, 14.0])
    assert plant.circuit("main").chargers_a == pytest.approx([10.0, 26.0, 10.0])


def test_command_takes_its_time_and_a_permit_lapses_to_the_floor() -> None:
    """A permit holds from `latency_s` after it was sent until it expires."""
    subject = Charger(outlet(charger=ChargerPlan(latency_s=3.0, report_s=1)))
    subject.take(Command(connector="cp1", amount=12.0, expires_s=20.0), 0)
    offers = []
    for second in range(25):
        subject.advance(second)
        offers.append(subject.offer)
    assert offers == [6.0] * 3 + [12.0] * 17 + [6.0] * 5
    assert subject.report.accepted == 12.0


def test_without_fallback_of_its_own_a_permit_stays() -> None:
    """Such a charge point goes on with the last permit."""
    plan = ChargerPlan(latency_s=0.0, report_s=1, autonomous_fallback=False)
    subject = Charger(outlet(charger=plan))
    subject.take(Command(connector="cp1", amount=12.0, expires_s=5.0), 0)
    for second in range(10):
        subject.advance(second)
    assert subject.offer == 12.0


def test_charger_rounds_down_to_its_step_and_pauses_below_its_minimum() -> None:
    """9.9 A at a step of 1 A are 9 A, 5.9 A are a pause."""
    subject = Charger(outlet(step=1.0))
    subject.permit = 9.9
    assert subject.offer == 9.0
    subject.permit = 5.9
    assert subject.offer == 0.0


def test_stop_and_inoperative_open_the_contactor() -> None:
    """The transaction ends, or the connector is out of use, until it is said otherwise."""
    plan = site({outlet("cp1"): car()})
    plant = Plant(plan)
    charger = plant.chargers["cp1"]
    advance(plant, 3)
    assert charger.draw == 6.0
    for kind, state in (("stop", "finishing"), ("inoperative", "faulted")):
        charger.take(Command(connector="cp1", kind=kind), plant.at_s)
        advance(plant, 2)
        assert (charger.draw, charger.report.state) == (0.0, state)
    charger.take(Command(connector="cp1", kind="operative"), plant.at_s)
    charger.take(Command(connector="cp1", kind="start"), plant.at_s)
    charger.take(Command(connector="cp1", kind="something new"), plant.at_s)
    advance(plant, 3)
    assert charger.draw == 6.0


def test_reports_come_when_they_are_due_and_when_the_state_changes() -> None:
    """A charge point that reports each 30 s shows what it drew then."""
    plan = site(
        {outlet("cp1", charger=ChargerPlan(latency_s=0.0, report_s=30)): car(phases=1)}
    )
    plant = Plant(plan)
    charger = plant.chargers["cp1"]
    advance(plant, 2)
    assert charger.report.state == "charging"
    charger.permit = 12.0
    advance(plant, 10)
    assert charger.report.current_a == (6.0, 0.0, 0.0)
    advance(plant, 30)
    assert charger.report.current_a == (12.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("reports", "current", "power"), [("power", False, True), ("nothing", False, False)]
)
def test_some_never_report_current(reports: str, current: bool, power: bool) -> None:
    """What is not reported is not there."""
    plan = site(
        {
            outlet(
                "cp1", charger=ChargerPlan(latency_s=0.0, report_s=1, reports=reports)
            ): car()
        }
    )
    plant = Plant(plan)
    advance(plant, 3)
    report = plant.seen().reports["cp1"]
    assert (report.current_a is not None, report.power_w is not None) == (
        current,
        power,
    )


def test_meter_is_late_coarse_and_polled_now_and_then() -> None:
    """It shows what was `lag_s` ago, rounded, and the same until it is read again."""
    meter = Meter(
        MeterPlan(poll_s=2, lag_s=3, noise_a=0.0, resolution_a=0.5), Random(1)
    )
    shown = []
    for second in range(8):
        meter.advance(second, (second + 0.1, 0.0, 0.0))
        shown.append(None if meter.reading is None else meter.reading.current_a[0])
    assert shown == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 3.0, 3.0]


def test_meter_that_is_frozen_still_answers() -> None:
    """The value stays, its time does not; one with a fault that is None keeps the last reading's time."""
    meter = Meter(MeterPlan(lag_s=0, noise_a=0.0), Random(1))
    meter.advance(0, (5.0, 5.0, 5.0))
    meter.frozen = True
    meter.advance(1, (9.0, 9.0, 9.0))
    assert meter.reading is not None
    assert (meter.reading.current_a[0], meter.reading.read_s) == (5.0, 1)
    meter.frozen, meter.fault = False, lambda _: None
    meter.advance(2, (9.0, 9.0, 9.0))
    assert meter.reading.read_s == 1


@pytest.mark.parametrize("kind", KINDS)
def test_breaker_bears_what_its_standard_says(kind: str) -> None:
    """Just below the conventional current for an hour: it holds."""
    bears = KINDS[kind].bears
    breaker = Breaker(kind, (10.0, 10.0, 10.0))
    assert not any(breaker.advance([bears * 9.99, 0.0, 0.0]) for _ in range(3600))


@pytest.mark.parametrize(
    ("kind", "ratio", "from_s", "to_s"),
    [
        ("B", 2.55, 1, 60),
        ("B", 1.45, 20, 3600),
        ("gG", 1.6, 60, 3600),
        ("E", 1.2, 60, 7200),
    ],
)
def test_breaker_trips_in_the_time_of_its_standard(
    kind: str, ratio: float, from_s: int, to_s: int
) -> None:
    """Warm from half its current."""
    breaker = Breaker(kind, (10.0, 10.0, 10.0))
    tripped_s = next(
        second for second in range(10000) if breaker.advance([0.0, ratio * 10.0, 0.0])
    )
    assert from_s <= tripped_s <= to_s


def test_magnetic_trip_is_at_once() -> None:
    """Three times the current opens a B within the second; a fuse only melts."""
    assert Breaker("B", (10.0, 10.0, 10.0)).advance([30.0, 0.0, 0.0])
    assert not Breaker("gG", (10.0, 10.0, 10.0)).advance([30.0, 0.0, 0.0])


def test_trip_cuts_everything_below() -> None:
    """The board is dark, its charge points are gone, the rest goes on; an hour later somebody resets it."""
    board = circuit(5.0, (0.0, 0.0, 0.0), id="board", parent="main")
    plan = site(
        {outlet("cp1", circuit="board"): car(), outlet("cp2"): car()},
        circuit(63.0),
        board,
        seconds=5000,
    )
    plant = Plant(plan)
    plant.chargers["cp1"].permit = 16.0
    advance(plant, 60)
    assert plant.circuit("board").trips == 1
    assert plant.circuit("board").load_a == [0.0, 0.0, 0.0]
    assert list(plant.seen().reports) == ["cp2"]
    plant.chargers["cp1"].permit = 0.0
    advance(plant, 3600)
    assert plant.circuit("board").tripped_s is None
    assert list(plant.seen().reports) == ["cp1", "cp2"]


def test_battery_holds_the_grid_connection_near_zero() -> None:
    """It takes what the sun leaves and gives what is missing, up to its power."""
    house = HousePlan(level_a=(5.0, 5.0, 5.0), flicker_a=0.0)
    plan = site(
        {outlet("cp1"): None},
        circuit(house=house),
        battery=BatteryPlan(capacity_wh=5000.0, max_w=5000.0),
    )
    plant = Plant(plan)
    advance(plant, 60)
    assert plant.circuit("main").load_a == pytest.approx([0.0, 0.0, 0.0], abs=0.01)
    assert plant.battery is not None
    assert plant.battery.power_w == pytest.approx(-3450.0, rel=0.01)
    assert plant.seen().battery == pytest.approx(
        (-3450.0, 100.0 * plant.battery.soc), rel=0.01
    )


def test_sun_feeds_in_on_all_phases() -> None:
    """At noon of a clear day 6.9 kW peak are nearly 10 A per phase."""
    plan = site(
        {outlet("cp1"): None}, circuit(None), sun=SunPlan(peak_w=6900.0, clouds=0.0)
    )
    plant = Plant(plan)
    advance(plant, 60)
    for value in plant.circuit("main").load_a:
        assert value == pytest.approx(2.0 - 10.0, abs=0.5)


def test_the_same_seed_gives_the_same_day() -> None:
    """House, noise and cars are drawn from the seed alone."""
    noisy = circuit(
        house=HousePlan(kind="home", level_a=(10.0, 8.0, 9.0), kettles_per_h=30.0),
        meter=MeterPlan(),
    )
    plans = [
        site({outlet("cp1"): car(start_s=10.0)}, noisy, seed=seed) for seed in (3, 3, 4)
    ]
    plants = [Plant(plan) for plan in plans]
    for plant in plants:
        advance(plant, 300)
    first, same, other = (plant.seen().meters["main"] for plant in plants)
    assert first == same != other

"""Figures of courses that are known."""

from collections.abc import Callable
from typing import Any

import pytest

from simulator.study.metrics import Episodes
from simulator.study.plan import SitePlan, SunPlan
from simulator.study.plant import Plant
from simulator.study.run import Event, Study

from .kit import Scripted, car, circuit, outlet, site


def figures(
    plan: SitePlan, permit: Callable[[int], float], *events: tuple[int, Event]
) -> dict[str, Any]:
    """Return the figures of a course of permits."""
    return Study(plan, Scripted(plan, permit), "scripted", events=events).run()


def two() -> SitePlan:
    """Two cars on 32 A with 2 A of house: the oracle gives each 15 A."""
    return site({outlet("cp1"): car(), outlet("cp2"): car()}, seconds=1000)


def test_room_used_is_what_is_drawn_of_the_oracles_share() -> None:
    """7.5 A of 15 A are half of the room, whatever is wanted beyond."""
    found = figures(two(), lambda _: 7.5)
    assert found["room_pct"] == pytest.approx(50.0, abs=0.3)
    assert found["energy_pct"] == pytest.approx(50.0, abs=0.3)
    assert found["oracle_kwh"] == pytest.approx(2 * 15 * 0.69 / 3.6, abs=0.1)


def test_more_than_the_room_does_not_make_up_for_less() -> None:
    """16 A for half of the time, nothing for the other: half of the room."""
    found = figures(two(), lambda at_s: 16.0 if at_s < 500 else 0.0)
    assert found["room_pct"] == pytest.approx(50.0, abs=0.5)
    assert found["energy_pct"] == pytest.approx(53.3, abs=0.5)


def test_over_a_limit_is_counted_within_and_beyond_eight_seconds() -> None:
    """Two cars at 16 A with 4 A of house are 4 A over 32 A, for 20 s on three phases."""
    plan = site(
        {outlet("cp1"): car(), outlet("cp2"): car()}, circuit(base_a=(4.0, 4.0, 4.0))
    )
    found = figures(plan, lambda at_s: 16.0 if 100 <= at_s < 120 else 10.0)
    assert found["over_within_as"] == pytest.approx(3 * 8 * 4.0, abs=12.0)
    assert found["over_beyond_as"] == pytest.approx(3 * 12 * 4.0, abs=12.0)
    assert found["over_longest_s"] == pytest.approx(20, abs=1)
    assert found["over_most_a"] == 4.0
    assert found["over"]["main"]["most_a"] == 4.0
    assert found["trips"] == 0


def test_base_load_above_a_limit_is_nobodys_fault() -> None:
    """Only what cars add counts: 6 A each second on three phases."""
    plan = site({outlet("cp1"): car()}, circuit(base_a=(40.0, 40.0, 40.0)), seconds=60)
    found = figures(plan, lambda at_s: 6.0 if at_s < 30 else 0.0)
    assert found["over_within_as"] + found["over_beyond_as"] == pytest.approx(
        3 * 30 * 6.0, rel=0.1
    )


def test_imbalance_is_counted_beyond_its_hold_time() -> None:
    """A one-phase car of 28 A under a limit of 20 A: 8 A for 30 s."""
    plan = site({outlet("cp1", most=32.0): car(phases=1, most=32.0)}, imbalance_a=20.0)
    found = figures(plan, lambda at_s: 28.0 if 100 <= at_s < 130 else 16.0)
    assert found["imbalance"]["longest_s"] == pytest.approx(30, abs=1)
    assert found["imbalance"]["beyond_as"] == pytest.approx(12 * 8.0, abs=9.0)


def test_freed_room_is_timed_until_it_is_used() -> None:
    """One of two cars is full after a while; the other is raised 40 s later."""
    plan = site(
        {outlet("cp1"): car(need_wh=900.0), outlet("cp2", most=32.0): car(most=32.0)},
        circuit(22.0),
        seconds=900,
    )
    ends_s = round(900.0 / (10.0 * 690.0) * 3600.0)

    def permit(at_s: int) -> float:
        return 10.0 if at_s < ends_s + 40 else 20.0

    study = Study(plan, Scripted(plan, permit), "scripted")
    study.run()
    assert max(study.metrics.freed.lengths) == pytest.approx(40, abs=2)


def test_starts_writes_and_fairness() -> None:
    """Each change of a permit is a write and each resumption a start."""
    found = figures(two(), lambda at_s: 10.0 if at_s // 100 % 2 == 0 else 0.0)
    assert found["starts_mean"] == 5.0
    assert found["writes_per_h_mean"] == pytest.approx(11 / (1000 / 3600), rel=0.01)
    assert found["jain"] == pytest.approx(1.0)
    assert found["worst_car"] == pytest.approx(0.33, abs=0.02)


def test_sun_used_and_bought() -> None:
    """A car that follows the sun draws 16 A on one phase, more than the 2.5 kW or so that are left of it."""
    plan = site(
        {outlet("cp1", mode="solar"): car(phases=1)},
        circuit(63.0),
        sun=SunPlan(peak_w=3950.0, clouds=0.0),
    )
    found = figures(plan, lambda _: 16.0)["sun"]
    assert found["used_pct"] == pytest.approx(100.0, abs=2.0)
    assert found["bought_pct"] == pytest.approx(100 * (3680 - 2490) / 3680, abs=3.0)


def test_a_trip_is_counted() -> None:
    """Three times the current trips a B at once."""
    plan = site({outlet("cp1"): car()}, circuit(10.0, breaker="B"))

    def jump(plant: Plant) -> None:
        plant.add_base("main", (30.0, 0.0, 0.0))

    assert figures(plan, lambda _: 6.0, (100, jump))["trips"] == 1


def test_episodes_end_where_they_end() -> None:
    """Two of 3 s and 5 s."""
    episodes = Episodes()
    for at_s, on in enumerate([0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]):
        episodes.note(at_s, begins=bool(on), goes_on=bool(on))
    episodes.end(11)
    assert episodes.lengths == [3, 5]

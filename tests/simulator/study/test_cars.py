"""What cars draw of what they are offered."""

from random import Random

import pytest

from simulator.study.car import Car
from simulator.study.plan import CarPlan

from .kit import car, outlet


def plugged(plan: CarPlan, **changes: object) -> Car:
    """Return a car at an outlet."""
    return Car(plan, outlet(**changes), Random(1), 0)


def draws(subject: Car, offers: list[float]) -> list[float]:
    """Return what it draws, second by second."""
    return [subject.advance(second, offer) for second, offer in enumerate(offers)]


def test_ramps_within_its_time() -> None:
    """16 A in 4 s, that is 4 A per second, but nothing below 6 A."""
    subject = plugged(car(ramp_s=4.0))
    assert draws(subject, [16.0] * 4) == [6.0, 10.0, 14.0, 16.0]


def test_starts_late_and_wakes_late() -> None:
    """The first current comes after `start_s`, after a pause it takes `wake_s`, each within 30 %."""
    subject = plugged(car(start_s=10.0, wake_s=40.0))
    first = draws(subject, [16.0] * 20)
    assert 7 <= sum(value == 0.0 for value in first) <= 13
    assert [subject.advance(20 + second, 0.0) for second in range(3)][-1] == 0.0
    again = [subject.advance(23 + second, 16.0) for second in range(60)]
    assert 28 <= sum(value == 0.0 for value in again) <= 52
    assert (subject.pauses, subject.starts) == (1, 2)


def test_gives_up_after_its_pauses() -> None:
    """After the third pause it draws no more, whatever it is offered."""
    subject = plugged(car(pauses=3))
    drawn = draws(subject, ([16.0] * 5 + [0.0] * 5) * 4)
    assert subject.gave_up
    assert max(drawn[10:15]) > 0.0
    assert max(drawn[30:]) == 0.0


def test_own_maximum_and_draws_a_little_less() -> None:
    """It takes its own maximum of more, and a little less than it is offered of less."""
    subject = plugged(car(most=10.0, below_a=0.3))
    assert draws(subject, [16.0] * 3)[-1] == 10.0
    assert draws(subject, [8.0] * 3)[-1] == pytest.approx(7.7)


def test_tapers_and_ends_with_what_it_needs() -> None:
    """The last Wh come with less and less current, never below 6 A, then none."""
    subject = plugged(car(need_wh=200.0, taper_wh=150.0))
    drawn = draws(subject, [16.0] * 200)
    assert drawn[10] == 16.0
    assert min(value for value in drawn if value) == 6.0
    assert drawn[-1] == 0.0
    assert subject.got_wh == pytest.approx(200.0, abs=3.0)


def test_goes_on_with_one_phase_near_its_end() -> None:
    """With less than `one_phase_wh` missing it uses the first of its phases."""
    subject = plugged(car(need_wh=200.0, one_phase_wh=100.0), phases=(1, 2, 0))
    draws(subject, [16.0] * 20)
    assert subject.phases == (1, 2, 0)
    draws(subject, [16.0] * 60)
    assert subject.phases == (1,)


def test_uses_the_first_phases_of_its_outlet() -> None:
    """A two-phase car at a rotated outlet."""
    assert plugged(car(phases=2), phases=(2, 0, 1)).phases == (2, 0)


def test_full_car_wakes_now_and_then() -> None:
    """A full car wants 6 A for a while."""
    subject = plugged(car(need_wh=0.0, wake_every_s=100.0, wake_for_s=20.0))
    drawn = draws(subject, [16.0] * 500)
    assert 40 <= sum(value > 0.0 for value in drawn) <= 200
    assert max(drawn) == 6.0


def test_dc_counts_in_watts() -> None:
    """A DC car takes W, down to a tenth at its end."""
    subject = plugged(
        car(most=40000.0, need_wh=1000.0, taper_wh=500.0), dc=True, most=50000.0
    )
    drawn = draws(subject, [30000.0] * 30)
    assert drawn[5] == 30000.0
    assert subject.got_wh == pytest.approx(sum(drawn) / 3600.0)

"""How often a meter gives readings, as it is observed."""

import pytest

from custom_components.reev_ems.meters import IntervalWatch


def test_unknown_at_first_then_the_middle_gap() -> None:
    """One late reading says nothing; a rhythm that changed is known after half of the gaps."""
    watch = IntervalWatch()
    times_s = [0.0, 1.0, 2.0, 9.0, 10.0]
    found = []
    for at_s in times_s:
        watch.note(at_s, at_s)
        found.append(watch.interval_s)
    assert found == [None, None, 1.0, 1.0, 1.0]
    for step in range(1, 9):
        watch.note(10.0 + 5 * step, 10.0 + 5 * step)
    assert watch.interval_s == 5.0


def test_the_same_reading_again_is_none() -> None:
    """Sensors of one meter report one after the other: the oldest decides."""
    watch = IntervalWatch()
    for at_s, now_s in (
        (0.0, 0.1),
        (0.0, 3.0),
        (10.0, 10.1),
        (10.0, 13.0),
        (20.0, 20.1),
    ):
        watch.note(at_s, now_s)
    assert watch.interval_s == pytest.approx(10.1)


def test_sensors_out_of_step_make_readings_that_are_old_when_they_come() -> None:
    """Two sensors that report every 10 s, 5 s apart: the oldest value is 10 s old before it is replaced."""
    watch = IntervalWatch()
    for now_s in range(5, 60, 5):
        watch.note(now_s - 5.0, float(now_s))
    assert watch.interval_s == 10.0


def test_an_outage_is_no_rhythm() -> None:
    """What was known stays known."""
    watch = IntervalWatch()
    for at_s in (0.0, 1.0, 2.0):
        watch.note(at_s, at_s)
    watch.interrupt()
    for at_s in (600.0, 601.0):
        watch.note(at_s, at_s)
    assert watch.interval_s == 1.0

"""What values of single sensors say together, and what they do not say."""

import math

import pytest

from custom_components.reev_ems.energy_management.model import PartPerPhase
from custom_components.reev_ems.meters import MeterError, Trouble, Wiring
from custom_components.reev_ems.meters.sensors import combine

THREE = Wiring.THREE_PHASE


@pytest.mark.parametrize(
    ("values", "wiring", "current_a", "total_w"),
    [
        # Signed currents alone.
        (
            {"current_l1": 5.0, "current_l2": -4.0, "current_l3": 0.0},
            THREE,
            (5.0, -4.0, 0.0),
            None,
        ),
        # Magnitudes beside powers: the powers tell the direction.
        (
            {"current_l1": 5.0, "current_l2": 4.0, "current_l3": 2.0}
            | {"power_l1": 1150.0, "power_l2": -900.0, "power_l3": -20.0},
            THREE,
            (5.0, -4.0, 2.0),
            230.0,
        ),
        # Powers alone: import is taken for reactive as well, export is not.
        (
            {"power_l1": 2070.0, "power_l2": -2300.0, "power_l3": 0.0},
            THREE,
            (10.0, -10.0, 0.0),
            -230.0,
        ),
        # A total says nothing about phases, unless the person knows.
        ({"power_total": 2070.0}, THREE, (None, None, None), 2070.0),
        ({"power_total": 2070.0}, Wiring.L2, (0.0, 10.0, 0.0), 2070.0),
        ({"power_total": 6210.0}, Wiring.BALANCED, (10.0, 10.0, 10.0), 6210.0),
        # One phase is known, the others are not.
        ({"current_l1": 5.0}, THREE, (5.0, None, None), None),
        ({"current_l1": 5.0}, Wiring.L1, (5.0, 0.0, 0.0), None),
    ],
)
def test_s2_currents_that_nobody_measured_are_unknown(
    values: dict[str, float | None],
    wiring: Wiring,
    current_a: PartPerPhase,
    total_w: float | None,
) -> None:
    """Each mix of sensors gives what follows from it and no more."""
    reading = combine(values, wiring=wiring, at_s=3.0)
    assert reading.at_s == 3.0
    assert reading.current_a == pytest.approx(current_a)
    assert reading.power_total_w == pytest.approx(total_w)


def test_inverted() -> None:
    """Sensors that count export as positive are turned before a direction is judged."""
    values = {"current_l1": 10.0, "power_l1": -100.0, "power_total": -100.0}
    reading = combine(values, wiring=Wiring.L1, at_s=0.0, invert=True)
    assert (reading.current_a, reading.power_total_w) == ((10.0, 0.0, 0.0), 100.0)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_s2_absent_value_makes_no_reading(value: float | None) -> None:
    """One sensor without a value, and there is no reading."""
    with pytest.raises(MeterError) as caught:
        combine({"current_l1": 5.0, "current_l2": value}, wiring=THREE, at_s=0.0)
    assert caught.value.key is Trouble.INCOMPLETE


@pytest.mark.parametrize(
    "values",
    [
        {"current_l1": 1.0, "power_l1": 5000.0},
        {"power_l1": 100.0, "power_l2": 100.0, "power_l3": 100.0, "power_total": 9e3},
        {"current_l1": 1e6},
    ],
)
def test_contradictions_are_refused(values: dict[str, float | None]) -> None:
    """Sensors of different meters, or a wrong unit."""
    with pytest.raises(MeterError) as caught:
        combine(values, wiring=THREE, at_s=0.0)
    assert caught.value.key is Trouble.IMPLAUSIBLE

"""What values of single sensors say together, and what they do not say."""

import math

import pytest

from custom_components.reev_ems.energy_management.model import PartPerPhase
from custom_components.reev_ems.meters import (
    Correction,
    MeterError,
    Resolutions,
    Trouble,
    Wiring,
)
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


WHOLE_AMPERES = {f"current_l{phase}": 1.0 for phase in (1, 2, 3)} | {
    f"power_l{phase}": 1.0 for phase in (1, 2, 3)
}


@pytest.mark.parametrize(
    ("values", "steps", "current_a"),
    [
        # Nothing finer: up to 1 A more, and half an ampere for the rounding. Export counts that much less.
        ({"current_l1": 16.0}, WHOLE_AMPERES, 17.5),
        ({"current_l1": -4.0}, WHOLE_AMPERES, -2.5),
        ({"current_l1": 0.0}, WHOLE_AMPERES, 1.5),
        # A power in whole kW is no finer: it only tells the direction.
        ({"current_l1": 4.0, "power_l1": -1000.0}, {"current_l1": 1.0, "power_l1": 1000.0}, -2.5),
        # Tenths are taken as they are.
        ({"current_l1": 16.0, "power_l1": 3680.0}, {"current_l1": 0.1, "power_l1": 1.0}, 16.0),
        # The power is finer: at its voltage, with a power factor of 0.9 ...
        ({"current_l1": 10.0, "power_l1": 2127.0, "voltage_l1": 236.3}, WHOLE_AMPERES, 10.0013),
        ({"current_l1": 10.0, "power_l1": 2160.0}, WHOLE_AMPERES, 10.4348),
        # ... within what the amperes allow ...
        ({"current_l1": 10.0, "power_l1": 2400.0}, WHOLE_AMPERES, 11.0),
        # ... but never below the power itself, which is younger where a load has just switched on ...
        ({"current_l1": 1.0, "power_l1": 690.0}, WHOLE_AMPERES, 3.0),
        # ... and what it does not explain is reactive, whichever way the little power flows.
        ({"current_l1": 10.0, "power_l1": 1000.0}, WHOLE_AMPERES, 11.0),
        ({"current_l1": 10.0, "power_l1": -500.0}, WHOLE_AMPERES, 11.0),
        # Export is no more than its power.
        ({"current_l1": 10.0, "power_l1": -2200.0}, WHOLE_AMPERES, -9.5652),
        ({"current_l1": 0.0, "power_l1": 0.0}, WHOLE_AMPERES, 0.0),
    ],
)  # fmt: skip
def test_s2_whole_amperes_are_not_believed_to_the_letter(
    values: dict[str, float], steps: dict[str, float], current_a: float
) -> None:
    """A current that is told coarsely is read on the side of import."""
    reading = combine(values, wiring=Wiring.L1, at_s=0.0, steps=steps)
    assert reading.current_a == pytest.approx((current_a, 0.0, 0.0), abs=1e-3)


def test_voltages_are_handed_on() -> None:
    """They have no direction, and turn a power into its current."""
    values = {"power_l1": -1800.0, "voltage_l1": 240.0}
    reading = combine(
        values, wiring=Wiring.L1, at_s=0.0, correction=Correction(invert=True)
    )
    assert reading.voltage_v == (240.0, None, None)
    assert reading.current_a[0] == pytest.approx(1800 / 240 / 0.9)


@pytest.mark.parametrize(
    ("texts", "unit", "step"),
    [
        (["5"], 1.0, 1.0),
        (["5.0", "10"], 1.0, 1.0),
        (["5.0", "5.30", "6.0"], 1.0, 0.1),
        (["5300"], 0.001, 0.001),
        (["2.07"], 1000.0, 10.0),
        (["1e1"], 1.0, 1.0),
        (["4", "unknown", "nan"], 1.0, 1.0),
    ],
)
def test_how_finely_a_sensor_tells(texts: list[str], unit: float, step: float) -> None:
    """Whole units until a fraction was seen, which is remembered."""
    resolutions = Resolutions()
    for text in texts:
        resolutions.note("current_l1", text, unit)
    assert resolutions.known == {"current_l1": pytest.approx(step)}


def test_inverted() -> None:
    """Sensors that count export as positive are turned before a direction is judged."""
    values = {"current_l1": 10.0, "power_l1": -100.0, "power_total": -100.0}
    reading = combine(
        values, wiring=Wiring.L1, at_s=0.0, correction=Correction(invert=True)
    )
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

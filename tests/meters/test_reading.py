"""What makes a reading, whatever numbers come from the wire."""

from itertools import permutations
import math

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.reev_ems.energy_management.model import PHASES, Phase
from custom_components.reev_ems.meters import (
    Correction,
    MeterError,
    Trouble,
    load_profiles,
)
from custom_components.reev_ems.meters.profile import QUANTITIES
from custom_components.reev_ems.meters.reading import (
    FREQUENCY_HZ,
    VOLTAGE_V,
    make_reading,
)

from .wire import GRID

PROFILE = load_profiles().profiles["janitza_umg604"]
ORDERS = st.sampled_from(list(permutations(PHASES)))

values_near_a_grid = st.fixed_dictionaries(
    {
        name: st.none()
        | st.just(GRID[name])
        | st.floats(GRID[name] - 50, GRID[name] + 50)
        | st.floats(allow_nan=False)
        | st.sampled_from([0.0, -1.0, 65535.0, 4294967295.0])
        for name in QUANTITIES
    }
)
"""As decoded: a NaN is already absent by then."""


@settings(max_examples=400, deadline=None)
@given(values=values_near_a_grid, invert=st.booleans(), order=ORDERS)
def test_s2_a_reading_is_complete_and_possible_or_none(
    values: dict[str, float | None], invert: bool, order: tuple[Phase, Phase, Phase]
) -> None:
    """Either an error with a sentence, or every phase known, finite and in band."""
    try:
        reading = make_reading(
            PROFILE,
            values,
            at_s=1.0,
            correction=Correction(invert=invert, phase_order=order),
        )
    except MeterError as err:
        assert err.key in (Trouble.INCOMPLETE, Trouble.IMPLAUSIBLE)  # noqa: PT017
        return
    assert all(
        current is not None and math.isfinite(current) for current in reading.current_a
    )
    assert all(
        volts is not None and VOLTAGE_V[0] <= volts <= VOLTAGE_V[1]
        for volts in reading.voltage_v
    )
    assert reading.frequency_hz is not None
    assert FREQUENCY_HZ[0] <= reading.frequency_hz <= FREQUENCY_HZ[1]
    for current, watts in zip(reading.current_a, reading.power_w, strict=True):
        assert current is not None and watts is not None
        assert abs(watts) <= abs(current) * VOLTAGE_V[1] * 1.15 + 200
    for energy in (reading.energy_import_wh, reading.energy_export_wh):
        assert energy is None or (math.isfinite(energy) and energy >= 0)


@given(order=ORDERS, invert=st.booleans())
def test_phase_order_moves_whole_phases(
    order: tuple[Phase, Phase, Phase], invert: bool
) -> None:
    """Voltage, current and power of an input stay together, and end up on the phase that it is wired to."""
    plain = make_reading(PROFILE, GRID, at_s=0.0)
    correction = Correction(invert=invert, phase_order=order)
    wired = make_reading(PROFILE, GRID, at_s=0.0, correction=correction)
    sign = -1 if invert else 1
    for input_, phase in enumerate(order):
        index = PHASES.index(phase)
        assert wired.voltage_v[index] == plain.voltage_v[input_]
        assert wired.current_a[index] == sign * (plain.current_a[input_] or 0.0)
        assert wired.power_w[index] == sign * (plain.power_w[input_] or 0.0)


@pytest.mark.parametrize(
    ("power_w", "current_a"),
    [
        (2300.0, 10.0),
        (1.0, 10.0),
        (0.0, 10.0),
        (-1.0, 10.0),
        (-1149.0, 10.0),
        (-1151.0, -10.0),
        (-2300.0, -10.0),
    ],
)
def test_direction_of_a_magnitude(power_w: float, current_a: float) -> None:
    """10 A at 230 V are export from half of their apparent power on; below that they count as load."""
    values = GRID | {
        "voltage_l1": 230.0,
        "current_l1": 10.0,
        "power_l1": power_w,
        "power_total": power_w - 1410.0,
    }
    assert make_reading(PROFILE, values, at_s=0.0).current_a[0] == current_a


@pytest.mark.parametrize(
    ("power_w", "current_a"),
    [
        (-2300.0, 10.0),
        (-1.0, 10.0),
        (1.0, 10.0),
        (1149.0, 10.0),
        (1151.0, -10.0),
        (2300.0, -10.0),
    ],
)
def test_s1_backwards_meter_does_not_make_export_of_a_reactive_current(
    power_w: float, current_a: float
) -> None:
    """The direction of a magnitude is judged as the power really flows, or what loads a phase would relieve it."""
    values = GRID | {
        "voltage_l1": 230.0,
        "current_l1": 10.0,
        "power_l1": power_w,
        "power_total": power_w - 1410.0,
    }
    reading = make_reading(
        PROFILE, values, at_s=0.0, correction=Correction(invert=True)
    )
    assert (reading.current_a[0], reading.power_w[0]) == (current_a, -power_w)

"""Makes a reading of decoded values, or says why they are none."""

from collections.abc import Mapping
from dataclasses import replace
import math

from ..energy_management.model import PHASES, PartPerPhase
from ..energy_management.observation import MeterReading
from .correction import NO_CORRECTION, Correction
from .errors import MeterError, Trouble
from .profile import PHASE_CURRENTS, PHASE_POWERS, PHASE_VOLTAGES, MeterProfile

VOLTAGE_V = (170.0, 290.0)
"""Phase to neutral; EN 50160 allows 230 V +10/-15 %, the rest is for grids in trouble."""
FREQUENCY_HZ = (45.0, 55.0)
CURRENT_MAX_A = 10_000.0
POWER_SLACK_W = 200.0
POWER_SLACK = 0.15
"""Registers of one reading differ in age by some 100 ms, in which loads switch."""
EXPORT_POWER_FACTOR = 0.5
"""Below it a current is mostly reactive: it loads the phase whichever way the little power flows."""

_OPTIONAL = frozenset(("energy_import", "energy_export"))
"""Statistics, which nothing is controlled by."""


def make_reading(
    profile: MeterProfile,
    values: Mapping[str, float | None],
    *,
    at_s: float,
    correction: Correction = NO_CORRECTION,
) -> MeterReading:
    """Return the reading that decoded values make, set right by a correction.

    Raises MeterError where values are missing or contradict each other.
    """
    missing = [
        name
        for name, quantity in profile.quantities.items()
        if values[name] is None and not quantity.optional and name not in _OPTIONAL
    ]
    if missing:
        raise MeterError(
            Trouble.INCOMPLETE,
            f"The meter gives no value for {', '.join(map(symbol, missing))}.",
            ", ".join(map(symbol, missing)),
        )
    voltage_v = _per_phase(values, PHASE_VOLTAGES)
    power_w = _per_phase(values, PHASE_POWERS)
    current_a = _per_phase(values, PHASE_CURRENTS)
    total_w = values.get("power_total")
    frequency_hz = values.get("frequency")
    check_plausible(voltage_v, current_a, power_w, total_w, frequency_hz)

    current_a = _directed(profile, power_w, voltage_v, current_a)
    undirected = [
        name
        for name, amperes in zip(PHASE_CURRENTS, current_a, strict=True)
        if name in profile.quantities and amperes is None
    ]
    if undirected:
        raise MeterError(
            Trouble.INCOMPLETE,
            f"The meter gives no direction for {', '.join(map(symbol, undirected))}.",
            ", ".join(map(symbol, undirected)),
        )
    known_w = [power for power in power_w if power is not None]
    if total_w is None and len(known_w) == len(PHASES):
        total_w = sum(known_w)
    reading = MeterReading(
        at_s=at_s,
        current_a=current_a,
        voltage_v=voltage_v,
        power_w=power_w,
        power_total_w=total_w,
        frequency_hz=frequency_hz,
        energy_import_wh=_energy(values.get("energy_import")),
        energy_export_wh=_energy(values.get("energy_export")),
    )
    return corrected(profile, reading, correction)


def corrected(
    profile: MeterProfile, reading: MeterReading, correction: Correction
) -> MeterReading:
    """Return what a plain reading is with a correction of the meter."""
    if correction == NO_CORRECTION:
        return reading
    power_w = correction.apply(reading.power_w)
    # Judged by the power as it really flows: a backwards meter must not turn a reactive current into export.
    current_a = _directed(
        profile, power_w, reading.voltage_v, correction.apply(reading.current_a)
    )
    imported_wh, exported_wh = reading.energy_import_wh, reading.energy_export_wh
    if correction.invert:
        imported_wh, exported_wh = exported_wh, imported_wh
    if correction.inverted_phases:
        # What was counted cannot be taken apart.
        imported_wh = exported_wh = None
    return replace(
        reading,
        current_a=correction.ordered(current_a),
        voltage_v=correction.ordered(reading.voltage_v),
        power_w=correction.ordered(power_w),
        power_total_w=total_power(power_w, reading.power_total_w, correction),
        energy_import_wh=times(imported_wh, correction.ratio),
        energy_export_wh=times(exported_wh, correction.ratio),
    )


def total_power(
    power_w: PartPerPhase, told_w: float | None, correction: Correction
) -> float | None:
    """Return the corrected total, of corrected powers and the total that was told; None if it is unknown."""
    if (factor := correction.total_factor) is not None:
        return times(told_w, factor)
    known_w = [watts for watts in power_w if watts is not None]
    return sum(known_w) if len(known_w) == len(PHASES) else None


def check_plausible(
    voltage_v: PartPerPhase,
    current_a: PartPerPhase,
    power_w: PartPerPhase,
    total_w: float | None,
    frequency_hz: float | None,
) -> None:
    """Raise MeterError if the values cannot all be true."""
    for phase, volts, amperes, watts in zip(
        PHASES, voltage_v, current_a, power_w, strict=True
    ):
        if volts is not None and not VOLTAGE_V[0] <= volts <= VOLTAGE_V[1]:
            raise _implausible(f"U {phase} = {volts:.5g} V")
        if amperes is not None and abs(amperes) > CURRENT_MAX_A:
            raise _implausible(f"I {phase} = {amperes:.5g} A")
        if watts is None or amperes is None:
            continue
        apparent_va = abs(amperes) * (VOLTAGE_V[1] if volts is None else volts)
        if abs(watts) > apparent_va * (1 + POWER_SLACK) + POWER_SLACK_W:
            raise _implausible(
                f"P {phase} = {watts:.5g} W, I {phase} = {amperes:.5g} A"
            )
    if (
        frequency_hz is not None
        and not FREQUENCY_HZ[0] <= frequency_hz <= FREQUENCY_HZ[1]
    ):
        raise _implausible(f"f = {frequency_hz:.5g} Hz")
    if total_w is None:
        return
    known_w = [watts for watts in power_w if watts is not None]
    if len(known_w) == len(PHASES):
        slack_w = POWER_SLACK * sum(map(abs, known_w)) + POWER_SLACK_W
        if abs(sum(known_w) - total_w) > slack_w:
            raise _implausible(
                f"P = {total_w:.5g} W, P L1 + P L2 + P L3 = {sum(known_w):.5g} W"
            )
    elif abs(total_w) > CURRENT_MAX_A * VOLTAGE_V[1] * len(PHASES):
        raise _implausible(f"P = {total_w:.5g} W")


def _implausible(facts: str) -> MeterError:
    return MeterError(
        Trouble.IMPLAUSIBLE, f"The meter's values cannot be true: {facts}.", facts
    )


def directed_current(amperes: float, watts: float, volts: float | None) -> float:
    """Return a current, of which the sign is not to be trusted, with the direction of its power."""
    magnitude_a = abs(amperes)
    exports = watts < 0 and (
        volts is None or -watts >= EXPORT_POWER_FACTOR * volts * magnitude_a
    )
    return -magnitude_a if exports else magnitude_a


def _directed(
    profile: MeterProfile,
    power_w: PartPerPhase,
    voltage_v: PartPerPhase,
    current_a: PartPerPhase,
) -> PartPerPhase:
    """Give currents that the device tells as magnitudes the direction of their power."""

    def directed(name: str, volts: float | None, amperes: float | None) -> float | None:
        source = (
            profile.quantities[name].sign_from if name in profile.quantities else None
        )
        if source is None or amperes is None:
            return amperes
        watts = power_w[PHASE_POWERS.index(source)]
        if watts is None:
            return None
        return directed_current(amperes, watts, volts)

    one, two, three = (
        directed(*phase)
        for phase in zip(PHASE_CURRENTS, voltage_v, current_a, strict=True)
    )
    return one, two, three


def _per_phase(
    values: Mapping[str, float | None], names: tuple[str, str, str]
) -> PartPerPhase:
    one, two, three = names
    return values.get(one), values.get(two), values.get(three)


def times(value: float | None, factor: float) -> float | None:
    """Return a value that may be unknown, multiplied."""
    return None if value is None else value * factor


def _energy(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def symbol(name: str) -> str:
    """Return a quantity as formulas have it, e.g. "U L2" for voltage_l2."""
    kind, _, phase = name.partition("_")
    letter = {"voltage": "U", "current": "I", "power": "P", "frequency": "f"}[kind]
    return letter if phase in ("", "total") else f"{letter} {phase.upper()}"

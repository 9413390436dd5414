"""Makes a reading of values that single sensors measured, of which some may be missing altogether."""

from collections.abc import Mapping
from enum import StrEnum
import math

from ..energy_management.model import PHASES, PartPerPhase, Phase, Site
from ..energy_management.observation import MeterReading
from .correction import NO_CORRECTION, Correction
from .errors import MeterError, Trouble
from .profile import PHASE_CURRENTS, PHASE_POWERS, PHASE_VOLTAGES
from .reading import check_plausible, directed_current, symbol, times, total_power

FOLLOWING_QUANTITIES = (*PHASE_CURRENTS, *PHASE_POWERS, "power_total")
"""One of them at least has a sensor; the others may follow from it."""
SENSOR_QUANTITIES = (*FOLLOWING_QUANTITIES, *PHASE_VOLTAGES)
NOMINAL_VOLTAGE_V = Site(circuits=()).voltage_v
LOWEST_POWER_FACTOR = 0.9
"""Taken where only the power is known: without it a reactive current would be missed."""
COARSE_A = 0.5
"""A current that is told in steps of this or more is not taken as it is."""
COARSE_MARGIN_A = 0.5
"""What is added to the step of a coarse current: such meters also tell late, and round as they like."""


class Wiring(StrEnum):
    """What the sensors measure; the values are translation keys of the user interface."""

    THREE_PHASE = "three_phase"
    """Every phase on its own; a total power says nothing about phases."""
    BALANCED = "balanced"
    """The same on each phase: a third of the total power."""
    L1 = "l1"
    """Only this phase; there is nothing on the others."""
    L2 = "l2"
    L3 = "l3"


def combine(
    values: Mapping[str, float | None],
    *,
    wiring: Wiring,
    at_s: float,
    correction: Correction = NO_CORRECTION,
    steps: Mapping[str, float] | None = None,
) -> MeterReading:
    """Return the reading that the values of SENSOR_QUANTITIES make; quantities without a sensor are left out.

    A current that has no sensor is estimated from the power of its phase, on the high side for import and on the low
    side for export; without either it is unknown (S2). A current beside its power takes the power's direction. One
    that is told in coarse `steps` is replaced by what its power says, if that is finer, or else gets a margin. Raises
    MeterError where a value is absent or contradicts another.
    """
    missing = [
        symbol(name)
        for name, value in values.items()
        if value is None or not math.isfinite(value)
    ]
    if missing:
        facts = ", ".join(missing)
        raise MeterError(Trouble.INCOMPLETE, f"No sensor gives {facts}.", facts)
    known = {name: value for name, value in values.items() if value is not None}
    steps = steps or {}
    total_w = known.get("power_total")
    voltage_v, current_a, power_w = (
        [known.get(name) for name in names]
        for names in (PHASE_VOLTAGES, PHASE_CURRENTS, PHASE_POWERS)
    )
    if total_w is not None and wiring is Wiring.BALANCED:
        power_w = [
            total_w / len(PHASES) if power is None else power for power in power_w
        ]
    elif wiring not in (Wiring.THREE_PHASE, Wiring.BALANCED):
        own = PHASES.index(Phase(wiring.upper()))
        if power_w[own] is None:
            power_w[own] = total_w
        for index in range(len(PHASES)):
            if index != own and current_a[index] is power_w[index] is None:
                current_a[index] = power_w[index] = 0.0
    ratio = correction.ratio
    for index, (current, power, factor) in enumerate(
        zip(PHASE_CURRENTS, PHASE_POWERS, correction.factors, strict=True)
    ):
        current_a[index] = times(current_a[index], factor)
        power_w[index] = times(power_w[index], factor)
        volts = voltage_v[index]
        current_a[index] = _current(
            current_a[index],
            power_w[index],
            NOMINAL_VOLTAGE_V if volts is None else volts,
            step_a=ratio * steps.get(current, 0.0),
            step_w=ratio * steps.get(power, steps.get("power_total", 0.0)),
        )
    voltages, currents, powers = map(_per_phase, (voltage_v, current_a, power_w))
    if total_w is None:
        phases_w = [watts for watts in power_w if watts is not None]
        total_w = sum(phases_w) if len(phases_w) == len(PHASES) else None
    else:
        total_w = total_power(powers, total_w, correction)
    check_plausible(voltages, currents, powers, total_w, None)
    return MeterReading(
        at_s=at_s,
        current_a=currents,
        voltage_v=voltages,
        power_w=powers,
        power_total_w=total_w,
    )


def _current(
    amperes: float | None,
    watts: float | None,
    volts: float,
    *,
    step_a: float,
    step_w: float,
) -> float | None:
    """Return the current of a phase, on the side of import where it is not known well."""
    if amperes is None:
        return None if watts is None else _estimated_current(watts, volts)
    if watts is not None:
        amperes = directed_current(amperes, watts, volts)
    if step_a < COARSE_A:
        return amperes
    if watts is None or step_w / volts >= step_a:
        return amperes + step_a + COARSE_MARGIN_A
    if watts < 0 and amperes <= 0:
        return watts / volts
    most_a = abs(amperes) + step_a
    estimate_a = _estimated_current(abs(watts), volts)
    # Even rounded up it is more than the power explains: much of it is reactive.
    if estimate_a < abs(amperes) - step_a / 2:
        return most_a
    return max(abs(watts) / volts, min(max(estimate_a, abs(amperes)), most_a))


def _estimated_current(watts: float, volts: float) -> float:
    amperes = watts / volts
    return amperes / LOWEST_POWER_FACTOR if amperes > 0 else amperes


def _per_phase(values: list[float | None]) -> PartPerPhase:
    one, two, three = values
    return one, two, three

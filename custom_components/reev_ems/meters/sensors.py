"""Makes a reading of values that single sensors measured, of which some may be missing altogether."""

from collections.abc import Mapping
from enum import StrEnum
import math

from ..energy_management.model import PHASES, PartPerPhase, Phase, Site
from ..energy_management.observation import MeterReading
from .errors import MeterError, Trouble
from .profile import PHASE_CURRENTS, PHASE_POWERS
from .reading import check_plausible, directed_current, symbol

SENSOR_QUANTITIES = (*PHASE_CURRENTS, *PHASE_POWERS, "power_total")
NOMINAL_VOLTAGE_V = Site(circuits=()).voltage_v
LOWEST_POWER_FACTOR = 0.9
"""Of what is drawn, where only the power is known: without it a reactive current would be missed."""


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
    invert: bool = False,
) -> MeterReading:
    """Return the reading that the values of SENSOR_QUANTITIES make; quantities without a sensor are left out.

    A current that has no sensor is estimated from the power of its phase, on the high side for import and on the low
    side for export; without either it is unknown (S2). A current beside its power takes the power's direction.
    Raises MeterError where a value is absent or contradicts another.
    """
    missing = [
        symbol(name)
        for name, value in values.items()
        if value is None or not math.isfinite(value)
    ]
    if missing:
        facts = ", ".join(missing)
        raise MeterError(Trouble.INCOMPLETE, f"No sensor gives {facts}.", facts)
    sign = -1.0 if invert else 1.0
    known = {name: sign * value for name, value in values.items() if value is not None}
    total_w = known.get("power_total")
    current_a, power_w = [
        [known.get(name) for name in names] for names in (PHASE_CURRENTS, PHASE_POWERS)
    ]
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
    for index, watts in enumerate(power_w):
        amperes = current_a[index]
        if watts is None:
            continue
        current_a[index] = (
            _estimated_current(watts)
            if amperes is None
            else directed_current(amperes, watts, NOMINAL_VOLTAGE_V)
        )
    if total_w is None:
        phases_w = [watts for watts in power_w if watts is not None]
        total_w = sum(phases_w) if len(phases_w) == len(PHASES) else None
    currents, powers = _per_phase(current_a), _per_phase(power_w)
    check_plausible((None, None, None), currents, powers, total_w, None)
    return MeterReading(
        at_s=at_s, current_a=currents, power_w=powers, power_total_w=total_w
    )


def _estimated_current(watts: float) -> float:
    amperes = watts / NOMINAL_VOLTAGE_V
    return amperes / LOWEST_POWER_FACTOR if amperes > 0 else amperes


def _per_phase(values: list[float | None]) -> PartPerPhase:
    one, two, three = values
    return one, two, three

"""Evidence on whether a meter is mounted and wired as assumed: direction, transformer ratio, order of the phases."""

from enum import StrEnum

from ..energy_management.model import PHASES, PartPerPhase, PerPhase, Phase
from ..energy_management.observation import MeterReading

LOAD_STEP_W = 500.0
"""A kettle or a fan heater; what a house does by itself in some seconds is mostly less."""
STEP_A = 3.0
"""Change of a current that is taken for a step: a car that starts, stops or is regulated."""
STILL_A = 1.0
"""Change that is taken for none."""
STEPS_NEEDED = 3
"""Steps that must agree before anything is proposed; a house makes one by chance now and then."""
RATIO_TOO_LARGE = 1.5
"""Times its limit that a current cannot have for long: the fuse would have blown."""
RATIO_TOO_SMALL = 0.002
"""Part of the limit below which all phases of a site in use hardly are."""


class RatioDoubt(StrEnum):
    """Why the ratio of the current transformers may be set wrongly."""

    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"


def is_inverted(before: MeterReading, after: MeterReading) -> bool | None:
    """Return whether import counts as export, from readings before and after a load was switched on.

    None: the load was too small, or not behind this meter.
    """
    if before.power_total_w is None or after.power_total_w is None:
        return None
    step_w = after.power_total_w - before.power_total_w
    return None if abs(step_w) < LOAD_STEP_W else step_w < 0


def phase_that_moved(before: PartPerPhase, after: PartPerPhase) -> Phase | None:
    """Return the only phase on which a current changed; None if it was none, several, or a phase is unknown."""
    moved: list[Phase] = []
    for phase, earlier, later in zip(PHASES, before, after, strict=True):
        if earlier is None or later is None:
            return None
        if abs(later - earlier) >= STEP_A:
            moved.append(phase)
        elif abs(later - earlier) > STILL_A:
            return None
    return moved[0] if len(moved) == 1 else None


def ratio_doubt(reading: MeterReading, limit_a: PerPhase) -> RatioDoubt | None:
    """Return whether the currents fit a circuit with these limits."""
    shares = [
        abs(current) / limit
        for current, limit in zip(reading.current_a, limit_a, strict=True)
        if current is not None
    ]
    if any(share > RATIO_TOO_LARGE for share in shares):
        return RatioDoubt.TOO_LARGE
    if shares and all(share < RATIO_TOO_SMALL for share in shares):
        return RatioDoubt.TOO_SMALL
    return None


class LinePhaseLearner:
    """Learns from cars which line phase each phase of a connector is wired to.

    A car that charges on one phase moves one phase of the connector and one of the meter. Cars on three phases move
    all alike and tell nothing.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._last: tuple[PartPerPhase, PartPerPhase] | None = None
        self._counts: dict[Phase, dict[Phase, int]] = {
            own: dict.fromkeys(PHASES, 0) for own in PHASES
        }

    def observe(self, connector_a: PartPerPhase, meter_a: PartPerPhase) -> None:
        """Take in what a connector reports, in the order of its own phases, and the meter's currents at that moment."""
        last, self._last = self._last, (connector_a, meter_a)
        if last is None:
            return
        own = phase_that_moved(last[0], connector_a)
        line = phase_that_moved(last[1], meter_a)
        if own is None or line is None:
            return
        step_a = _change(own, last[0], connector_a)
        if abs(step_a - _change(line, last[1], meter_a)) <= STILL_A:
            self._counts[own][line] += 1

    def line_phase(self, own: Phase) -> Phase | None:
        """Return the line phase of one of the connector's own phases; None while the steps seen do not settle it."""
        (line, most), (_, second), _ = sorted(
            self._counts[own].items(), key=lambda item: -item[1]
        )
        return line if most >= STEPS_NEEDED and most >= 3 * second else None

    def line_phases(self) -> tuple[Phase, ...] | None:
        """Return all three, two of which settle the third; None while they are not settled or contradict each other."""
        known = [self.line_phase(own) for own in PHASES]
        missing = [phase for phase in PHASES if phase not in known]
        if known.count(None) == 1 and len(missing) == 1:
            known = [missing[0] if line is None else line for line in known]
        found = tuple(line for line in known if line is not None)
        return found if len(set(found)) == len(PHASES) else None


def _change(phase: Phase, before: PartPerPhase, after: PartPerPhase) -> float:
    index = PHASES.index(phase)
    earlier, later = before[index], after[index]
    if earlier is None or later is None:
        raise ValueError(f"the current on {phase} is unknown")
    return later - earlier

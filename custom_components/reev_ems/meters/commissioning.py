"""Evidence on whether a meter is mounted and wired as assumed: direction, transformers, rating, order of the phases."""

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
OVERLOAD = 1.2
"""Times its rating that meters still measure, as a rule."""
DARK_EXPORT_W = 300.0
"""More than meters are wrong by."""
RATIO_TOO_SMALL = 0.002
"""Part of the limit below which all phases of a site in use hardly are."""


class Doubt(StrEnum):
    """What speaks against the way a meter is mounted or set; the values are translation keys."""

    CURRENT_ABOVE_LIMIT = "current_above_limit"
    """The fuse would have blown: the ratio of the current transformers is too large."""
    HARDLY_ANY_CURRENT = "hardly_any_current"
    """The current transformers are not connected, or their ratio is too small."""
    CURRENT_ABOVE_RATING = "current_above_rating"
    """The meter cannot measure what it tells."""
    LIMIT_ABOVE_RATING = "limit_above_rating"
    """The meter cannot measure what the circuit may carry."""
    EXPORT_IN_THE_DARK = "export_in_the_dark"
    """Without sun a site exports from a battery, or not at all."""


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


def doubts(
    reading: MeterReading,
    *,
    limit_a: PerPhase | None,
    rating_a: float | None,
    is_dark: bool,
) -> list[Doubt]:
    """Return what speaks against the mounting of a meter.

    `limit_a` is what its circuit may carry, `rating_a` what it can measure, each None if unknown.
    """
    found: list[Doubt] = []
    currents_a = [abs(value) for value in reading.current_a if value is not None]
    if limit_a is not None:
        shares = [
            abs(current) / limit
            for current, limit in zip(reading.current_a, limit_a, strict=True)
            if current is not None
        ]
        if any(share > RATIO_TOO_LARGE for share in shares):
            found.append(Doubt.CURRENT_ABOVE_LIMIT)
        elif shares and all(share < RATIO_TOO_SMALL for share in shares):
            found.append(Doubt.HARDLY_ANY_CURRENT)
        if rating_a is not None and max(limit_a) > rating_a:
            found.append(Doubt.LIMIT_ABOVE_RATING)
    if rating_a is not None and any(
        current > OVERLOAD * rating_a for current in currents_a
    ):
        found.append(Doubt.CURRENT_ABOVE_RATING)
    if is_dark and (reading.power_total_w or 0.0) < -DARK_EXPORT_W:
        found.append(Doubt.EXPORT_IN_THE_DARK)
    return found


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

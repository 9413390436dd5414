"""What is remembered of what a meter showed (truth.py), and what all of its witnesses need."""

from .decision import Finding
from .frozen import frozen, replace
from .model import PartPerPhase, PerPhase
from .vectors import PartVector

STEP_A = 0.75
"""The least change of what we draw or allow that is a step; probes are of 1 to 2 A."""
BAND_SHARE = 0.06
"""What the cars draw is known where its bounds are no further apart than a step or this share."""
LONGEST_S = 120.0
"""A step that has not settled after this is given up."""
DOUBT = 2.5
"""Score at which a meter is doubted: one clear step."""
STILL_S = 45.0
"""Values that stand still for so long are put to the test; after a test passed twice as long, up to the next."""
ROUTINE_S = 300.0
"""Where nothing of ours moved for so long, a probe tests what generation could hide; less often while it passes."""


@frozen
class Mark:
    """Where the readings stood at some time."""

    at_s: float
    level: PartPerPhase


@frozen
class Floor:
    """What the cars drew at least, from a time on."""

    at_s: float
    low: PerPhase


@frozen
class Trial:
    """A step of ours that the meter has to show."""

    from_s: float
    drawn: PerPhase
    """What the cars drew before."""
    unsure: PerPhase
    """How far apart the bounds of that were."""
    level: PartPerPhase
    """What the meter showed before."""
    trend: PerPhase
    """How fast that moved by itself, in A per second."""
    expected: PerPhase
    """By how much the permits changed."""
    tests: bool
    """Whether it was made to test, and not in answer to the meter."""
    assumed: bool = False
    """Whether what the cars drew before is what they should have come back to, not what they reported."""
    merged: bool = False
    """Whether it is several that ran into each other."""
    returns_to: PerPhase | None = None
    """What the cars drew before the probe that it takes back."""
    settled_s: float | None = None
    """Since when the cars are known to draw what they draw after it."""
    crossed_s: float | None = None
    """When the meter had shown half of it."""


@frozen
class Still:
    """How long the values have stood still, and how far that is a habit of the meter."""

    since_s: float
    patience_s: float = STILL_S
    share: float = 0.5
    """Share of the readings that differ from the one before."""
    readings: int = 0
    coarse: bool = True
    """Whether it tells whole amperes."""
    energy_wh: float | None = None
    owed_wh: float = 0.0
    """Energy by the power readings since the register last moved."""
    count_wh: float = 0.0
    """The largest step of the register that was seen; 0: it never moved."""


@frozen
class Short:
    """A level below what the cars draw."""

    since_s: float
    confirmed_s: float | None = None
    """When all charge points had reported after that."""
    before: PartPerPhase
    """What the meter showed before."""
    first: PartPerPhase
    """What it showed at first."""
    own_a: PerPhase
    """By how much the cars' load may have changed at the same time: a step of ours was under way."""
    sudden: bool = False
    """It began from one reading to the next: a sun that rises does not do that, a meter that is turned does."""
    passed: int = 0
    """How many tests on its phases the meter has passed since: then something feeds in."""


@frozen
class Verdict:
    """A finding that stands."""

    finding: Finding
    phase: str | None
    value: float | None
    by_level: bool
    drawn_a: PerPhase
    """What the cars drew, by their reports, when it was found."""
    shown_a: PartPerPhase
    """What the meter showed then."""
    good_s: float | None = None
    """Since when level or stillness speak for the meter again."""


@frozen
class Witness:
    """All that is remembered of what a meter showed."""

    sampled_s: float
    reading: PartVector
    current: PartPerPhase
    low: PerPhase
    high: PerPhase
    permitted: PerPhase
    level: PartPerPhase
    """The readings, smoothed; it follows a jump at once."""
    still: Still
    noise: PerPhase = (0.5, 0.5, 0.5)
    """By how much the level moves in some seconds while nothing of ours does: the median."""
    marks: tuple[Mark, ...] = ()
    floors: tuple[Floor, ...] = ()
    trial: Trial | None = None
    probed: Trial | None = None
    """A probe that has been weighed and is to be taken back."""
    restored: PerPhase | None = None
    """What the cars draw again after a probe, as far as nothing speaks against it."""
    scores: tuple[float, ...] = ()
    """How much speaks for each hypothesis of truth_steps.py; none: nothing yet."""
    weighed_s: float = 0.0
    """When a step was weighed last."""
    step_a: float = 0.0
    """How large it was."""
    good_steps: int = 0
    bounds_s: tuple[float, ...] = ()
    tried: bool = False
    """Whether a step of ours was followed to its end; until then nobody knows whether the meter is right."""
    short: Short | None = None
    verdict: Verdict | None = None
    suspected: str | None = None
    """Phases whose jump looked like a fault, written as in a finding; None: it may have been the house."""
    suspected_s: float | None = None
    """When it jumped."""
    asked_s: float | None = None
    """Since when a probe is wanted."""
    wait_s: float = 0.0
    """No probe is asked for before."""
    routine_s: float = ROUTINE_S


def is_known(low: PerPhase, high: PerPhase) -> bool:
    """Return whether the bounds of what the cars draw are close enough to be one value."""
    return all(
        most - least <= max(STEP_A, BAND_SHARE * most)
        for least, most in zip(low, high, strict=True)
    )


def _middle(low: PerPhase, high: PerPhase) -> PerPhase:
    return (
        (low[0] + high[0]) / 2,
        (low[1] + high[1]) / 2,
        (low[2] + high[2]) / 2,
    )


def minus(first: PerPhase, second: PerPhase) -> PerPhase:
    """Return the difference of each phase."""
    return (first[0] - second[0], first[1] - second[1], first[2] - second[2])


def plus(first: PerPhase, second: PerPhase) -> PerPhase:
    """Return the sum of each phase."""
    return (first[0] + second[0], first[1] + second[1], first[2] + second[2])


def largest(values: PerPhase) -> float:
    """Return the largest magnitude."""
    return max(abs(values[0]), abs(values[1]), abs(values[2]))


def known_draw(witness: Witness) -> tuple[PerPhase, PerPhase]:
    """Return what the cars draw and how unsure that is, after a probe what they came back to."""
    low, high, restored = witness.low, witness.high, witness.restored
    if restored is not None and all(
        least - STEP_A <= value <= most + STEP_A
        for least, value, most in zip(low, restored, high, strict=True)
    ):
        return restored, (0.0, 0.0, 0.0)
    return _middle(low, high), minus(high, low)


def learnt_lag_s(witness: Witness) -> float | None:
    """Return how far the readings are behind at most; None: too few steps have shown it."""
    return max(witness.bounds_s) if len(witness.bounds_s) > 1 else None


def with_finding(
    now: Witness,
    finding: Finding,
    phase: str | None,
    value: float | None,
    *,
    by_level: bool = False,
) -> Witness:
    """Return the memory with a finding that stands."""
    known = now.verdict
    if known is not None and known.finding is finding and known.value is not None:
        return replace(now, good_steps=0)
    verdict = Verdict(
        finding=finding,
        phase=phase,
        value=value,
        by_level=by_level,
        drawn_a=now.low,
        shown_a=now.current,
    )
    return replace(now, verdict=verdict, good_steps=0, suspected=None, suspected_s=None)

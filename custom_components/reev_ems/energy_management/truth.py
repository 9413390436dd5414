"""What a meter shows of our own steps: whether it can be believed (S14), and how far its readings are behind.

Three witnesses are heard at each new reading of a circuit's meter:

- *Level*: where nothing feeds in, a phase cannot carry less than the cars draw from it. A contradiction is seen at once.
  A reading below zero is impossible whatever the cars do. A smaller one may be a car that stopped by itself, so it stands
  only once the charge points have reported after it.
- *Steps*: where something feeds in, only the answer to our own steps tells. Each step is weighed against what a turned,
  lost, exchanged or wrongly scaled transformer would have shown (`_HYPOTHESES`). The scores add up, never below zero, so
  that a change is noticed soon (a CUSUM of log likelihood ratios). The likelihood has the heavy tails of a house that
  switches at the wrong moment, its scale is what the meter does while nothing of ours moves. The steps of the control are
  answers to the meter itself: a cloud that it follows cancels them. Such steps raise suspicion but never suffice, only
  steps that were made to test do.
- *Stillness*: values that stay the same to the last digit while a car charges, through a step that had to be seen.

An energy register that stands still says nothing against the currents by itself: they protect the fuse, and they prove
themselves by the other witnesses. So it is no finding alone, it only shortens the patience with values that stand still,
too. One that counts on proves nothing: it may come from another device or another block of registers than the currents.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations, permutations
from math import hypot, log1p, sqrt
from typing import NamedTuple

from .decision import Finding
from .frozen import frozen, replace
from .model import PHASES, PartPerPhase, PerPhase, Phase, Settings
from .state import PartVector, Vector

_NOMINAL_V = 230.0
"""A meter that tells no currents is judged by its power, as a current at this voltage."""

_STEP_A = 0.75
"""The least change of what we draw or allow that is a step; probes are of 1 to 2 A."""
_BLUR = 0.7
"""A step is not weighed whose bounds are further apart before and after than this share of it."""
_BAND_SHARE = 0.06
"""What the cars draw is known where its bounds are no further apart than a step or this share."""
_NOISE_A = 0.25
"""The least scale of what a reading may be off: rounding, reports that are not of the same second."""
_DIFFERENCE_SHARE = 0.08
"""By how much of a step a car's meter, its power factor and ours may differ."""
_MARK_S = 6.0
"""Spacing of the marks that trend and noise are measured against."""
_SPAN_S = 12.0
"""How long ago the mark is that a level is compared with, at least."""
_LEARNING = 1.15
"""The noise is the median of what was seen: each sample moves it up or down by this factor."""
_STANDS = 8.0
"""Score at which a finding stands: two or three steps of 2 A in a quiet house."""
_DOUBT = 2.5
"""Score at which a meter is doubted: one clear step."""
_CONTROL_MOST = 4.0
"""Score that steps of the control can reach alone."""
_UNCONFIRMED_MOST = 4.0
"""Score that steps can reach where a car that does not draw what it reported explains them as well."""
_SCORE_MOST = 16.0
_REVERSED_MOST, _ONE_MOST, _LARGER_MOST = 5.0, 3.5, 2.0
"""What one step can add. Nothing that cars and houses do looks like the opposite of a step; a car may not follow; and they
often rise or fall by more at the same time, which a meter that shows too much would, too: it does no harm meanwhile."""
_FADES = 0.7
"""What a step that speaks for the meter leaves of each suspicion, also of one that it does not test."""
_SMALLER = (0.0, 0.1, 0.2, 0.33, 0.5)
"""Gains that a car explains as well that does not draw what it reported."""
_NOTHING_A = 0.15
"""A transformer that is gone shows no more than this."""
_NOTHING_BONUS = 2.5
"""A phase at nothing before and after a step, while cars draw there, is seldom chance."""
_GOOD = 1.0
"""Likelihood ratio by which a step speaks for the meter."""
_GOOD_STEPS = 3
"""So many of them in a row end a finding."""
_GOOD_LEVEL_S = 60.0
"""A consistent level for so long ends a finding that the level made."""
_LONGEST_S = 120.0
"""A step that has not settled after this is given up."""

_LEVEL_A = 1.0
_LEVEL_SHARE = 0.06
_LEVEL_SHARE_PER_S = 0.004
"""A phase contradicts below what the cars draw less 1 A, 6 % (their meters and ours), and what a car that tapers loses
while its last report ages: 0.4 % a second, to at most a minute."""
_LEVEL_S = 3.0
"""How long a contradiction has to last, and a report has to be younger than its beginning."""
_LEVEL_SURE_S = 5.0
"""The same where no car can explain it, whatever its charge point has not told yet."""
_HOUSE_A = 0.8
"""A phase that showed so much more than the cars drew (and 4 %) carried something else, too."""

_STILL_S = 45.0
"""Values that stand still for so long are put to the test; after a test passed twice as long, up to the next."""
_STILL_MOST_S = 600.0
_STILL_ASK_BY_S = 63.0
"""A frozen meter stands within about this time, where its lag is not known the test begins sooner."""
_LIVELY, _HABITUALLY_STILL = 0.5, 0.02
"""Shares of readings that differ from the one before: it changes nearly always; hardly ever."""
_KNOWN_READINGS = 60
"""After so many readings its habit is known."""
_COUNTS_MISSED = 6.0
"""An energy register stands still that should have moved by so many of its largest counts, and 50 Wh."""
_COUNT_WH = 10.0
"""The least count that is assumed; finer registers show their own."""

_ROUTINE_S = 300.0
"""Where nothing of ours moved for so long, a probe tests what generation could hide; less often while it passes."""
_ROUTINE_MOST_S = 1800.0
_PROBE_WAIT_S = 20.0
"""A probe that is not made within this cannot be made now."""
_PROBE_PAUSE_S = 60.0
"""Between a probe that could not be made, or suspicions that came to nothing, and the next."""

_BOUNDS_KEPT = 4
"""The lag is the largest of so many bounds: a house that switches at the same moment makes one too small."""


class _Hypothesis(NamedTuple):
    """What a meter with a fault shows: on each phase a multiple of what the cars do on some phase."""

    finding: Finding
    phase: str
    factor: float | None
    sources: tuple[int, int, int]
    gains: PerPhase


def _hypotheses() -> Iterator[_Hypothesis]:
    own = (0, 1, 2)
    for finding, gain in ((Finding.REVERSED, -1.0), (Finding.LOST, 0.0)):
        # The fewest phases first: it is the simplest of those that explain the same.
        for some in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), own):
            gains = [gain if place in some else 1.0 for place in own]
            yield _Hypothesis(
                Finding.ELSEWHERE if some == own and not gain else finding,
                ", ".join(PHASES[place] for place in some),
                None,
                own,
                (gains[0], gains[1], gains[2]),
            )
    for sources in ((1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0), (2, 0, 1)):
        moved = [PHASES[place] for place in own if sources[place] != place]
        yield _Hypothesis(
            Finding.SWAPPED, " ".join(moved), None, sources, (1.0, 1.0, 1.0)
        )
    for factor in (0.1, 0.2, 0.33, 0.5, 1.73, 2.0, 3.0, 5.0, 10.0):
        yield _Hypothesis(
            Finding.RATIO, ", ".join(PHASES), factor, own, (factor, factor, factor)
        )


_HYPOTHESES = tuple(_hypotheses())


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
    patience_s: float = _STILL_S
    share: float = 0.5
    """Of the readings that differ from the one before."""
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
    before: PartPerPhase
    """What the meter showed before."""


@frozen
class Verdict:
    """A finding that stands."""

    finding: Finding
    phase: str | None
    value: float | None
    by_level: bool
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
    scores: tuple[float, ...] = (0.0,) * len(_HYPOTHESES)
    weighed_s: float = 0.0
    """When a step was weighed last."""
    step_a: float = 0.0
    """How large it was."""
    good_steps: int = 0
    bounds_s: tuple[float, ...] = ()
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
    routine_s: float = _ROUTINE_S


@frozen
class Testimony:
    """What the meter is found to be worth."""

    witness: Witness
    lag_s: float | None
    """How far the readings are behind a new permit at most, the car's own delay included; None: not learnt yet."""
    doubt: bool
    """A contradiction: nothing below the circuit should be raised."""
    finding: Finding | None
    """A contradiction that stands: the circuit belongs on its floors, and a person should know."""
    phase: str | None
    """The phases concerned: "L1", "L1, L2, L3", exchanged ones as "L1 L2"; without a finding those that a probe should load
    (of exchanged ones: one). None: any."""
    value: float | None
    """RATIO: the factor. FROZEN: for how many seconds. Others: the A that are missing or were put to the test."""
    probe: bool
    """A step of 1 to 2 A down by one car below the circuit is wanted for as long as this is True, then back."""


def attest(
    witness: Witness | None,
    *,
    reading: PartVector,
    sampled_s: float,
    now_s: float,
    drawn_low: Vector,
    drawn_high: Vector,
    permitted: Vector,
    charging: bool,
    may_generate: bool,
    energy_import_wh: float | None,
    settings: Settings,
    reported_s: float | None = None,
) -> Testimony:
    """Hear a meter's new reading.

    Args:
        witness: what was returned with the reading before; None: it is the first one.
        reading: A on L1, L2 and L3, and W; signed.
        sampled_s: when it was taken, as far as is known.
        now_s: the time.
        drawn_low: what the connectors below draw at least, by their reports and permits.
        drawn_high: what they draw at most.
        permitted: the sum of the permits in force.
        charging: whether a car charges.
        may_generate: whether something below the circuit feeds in, so that it may carry less than the cars draw.
        energy_import_wh: the meter's register.
        settings: for `follow_s` and `meter_lag_s`.
        reported_s: since when each charge point that counts in `drawn_low` has reported; None: just now.
    """
    current = _currents(reading)
    by_power = current[1] is None and reading[0] is None
    low, high = _amperes(drawn_low, by_power), _amperes(drawn_high, by_power)
    allowed = _amperes(permitted, by_power)
    if witness is None or sampled_s < witness.sampled_s:
        still = Still(since_s=sampled_s, energy_wh=energy_import_wh)
        witness = Witness(
            sampled_s=sampled_s,
            reading=reading,
            current=current,
            low=low,
            high=high,
            permitted=allowed,
            level=current,
            still=still,
            weighed_s=sampled_s,
        )
        return _testimony(witness, by_power)
    if sampled_s == witness.sampled_s:
        return _testimony(witness, by_power)
    before = witness
    lag_s = _lag_s(witness)
    fresh_s = now_s if reported_s is None else reported_s
    now = replace(
        witness,
        sampled_s=sampled_s,
        reading=reading,
        current=current,
        low=low,
        high=high,
        permitted=allowed,
        level=_tracked(witness.level, current, witness.noise),
        still=_stilled(witness, reading, sampled_s, energy_import_wh),
        floors=_floors(
            witness.floors,
            low,
            sampled_s,
            settings.meter_lag_s if lag_s is None else lag_s,
        ),
    )
    if now.restored is not None and fresh_s > now.weighed_s:
        before = replace(before, restored=None)
        now = replace(now, restored=None)
    now = _moved(before, now, settings)
    if now.trial is None:
        now = _marked(now)
        if charging and now.suspected_s is None:
            jumped, suspected = _suspects(before, now, may_generate=may_generate)
            if jumped:
                now = replace(now, suspected=suspected, suspected_s=sampled_s)
    else:
        due_s = _due_s(now.trial, lag_s, settings)
        from_s = now.trial.from_s
        if due_s is not None and sampled_s >= due_s:
            now = _weighed(now, now.trial, confirmed=fresh_s >= from_s)
        elif sampled_s - from_s > _LONGEST_S:
            now = replace(now, trial=None, asked_s=None)
    if now.suspected_s is not None and (
        not charging or sampled_s - now.suspected_s > _LONGEST_S
    ):
        now = replace(
            now, suspected=None, suspected_s=None, wait_s=sampled_s + _PROBE_PAUSE_S
        )
    if not may_generate:
        now = _levelled(before, now, now_s, fresh_s)
    if charging:
        now = _stood_still(now, lag_s, settings)
    now = _withdrawn(now)
    now = _asked(now, lag_s, settings, charging=charging)
    return _testimony(now, by_power)


def _testimony(witness: Witness, by_power: bool) -> Testimony:
    verdict = witness.verdict
    phase = witness.suspected if verdict is None else verdict.phase
    # Where nothing is drawn any more a suspicion cannot be tested, and it must not keep cars from starting.
    suspects = (
        witness.sampled_s - witness.weighed_s <= _LONGEST_S
        and max(witness.scores) >= _DOUBT
    )
    return Testimony(
        witness=witness,
        lag_s=_lag_s(witness),
        doubt=verdict is not None
        or witness.short is not None
        or suspects
        or witness.suspected is not None,
        finding=None if verdict is None else verdict.finding,
        phase=None if by_power else phase,
        value=None if verdict is None else verdict.value,
        probe=witness.asked_s is not None,
    )


def _lag_s(witness: Witness) -> float | None:
    return max(witness.bounds_s) if len(witness.bounds_s) > 1 else None


def _currents(reading: PartVector) -> PartPerPhase:
    l1, l2, l3, power_w = reading
    if l1 is None and l2 is None and l3 is None and power_w is not None:
        return (power_w / _NOMINAL_V, None, None)
    return (l1, l2, l3)


def _amperes(load: Vector, by_power: bool) -> PerPhase:
    return (load[3] / _NOMINAL_V, 0.0, 0.0) if by_power else load[:3]


def _tracked(
    level: PartPerPhase, current: PartPerPhase, noise: PerPhase
) -> PartPerPhase:
    l1, l2, l3 = map(_followed, level, current, noise, strict=True)
    return (l1, l2, l3)


def _followed(level: float | None, value: float | None, noise: float) -> float | None:
    if level is None or value is None or abs(value - level) > 3 * noise + 0.5:
        return value
    return level + 0.35 * (value - level)


def _known(low: PerPhase, high: PerPhase) -> bool:
    """Return whether the bounds of what the cars draw are close enough to be one value."""
    return all(
        most - least <= max(_STEP_A, _BAND_SHARE * most)
        for least, most in zip(low, high, strict=True)
    )


def _middle(low: PerPhase, high: PerPhase) -> PerPhase:
    return (
        (low[0] + high[0]) / 2,
        (low[1] + high[1]) / 2,
        (low[2] + high[2]) / 2,
    )


def _less(first: PerPhase, second: PerPhase) -> PerPhase:
    return (first[0] - second[0], first[1] - second[1], first[2] - second[2])


def _added(first: PerPhase, second: PerPhase) -> PerPhase:
    return (first[0] + second[0], first[1] + second[1], first[2] + second[2])


def _drawn(witness: Witness) -> tuple[PerPhase, PerPhase]:
    """Return what the cars draw and how unsure that is, after a probe what they came back to."""
    low, high, restored = witness.low, witness.high, witness.restored
    if restored is not None and all(
        least - _STEP_A <= value <= most + _STEP_A
        for least, value, most in zip(low, restored, high, strict=True)
    ):
        return restored, (0.0, 0.0, 0.0)
    return _middle(low, high), _less(high, low)


def _size(values: PerPhase) -> float:
    return max(abs(values[0]), abs(values[1]), abs(values[2]))


def _marked(now: Witness) -> Witness:
    """Learn what the meter does while nothing of ours moves."""
    marks, at_s = now.marks, now.sampled_s
    if marks and at_s - marks[-1].at_s < _MARK_S:
        return now
    noise = now.noise
    if marks and at_s - marks[0].at_s >= _SPAN_S:
        l1, l2, l3 = (
            scale
            if here is None or there is None
            else min(20.0, scale * _LEARNING)
            if abs(here - there) > scale
            else max(0.05, scale / _LEARNING)
            for scale, here, there in zip(noise, now.level, marks[0].level, strict=True)
        )
        noise = (l1, l2, l3)
    kept = [mark for mark in marks[-2:] if at_s - mark.at_s < 3 * _SPAN_S]
    return replace(now, noise=noise, marks=(*kept, Mark(at_s=at_s, level=now.level)))


def _trend(witness: Witness) -> PerPhase:
    """Return how fast each phase moved by itself before a step, in A per second."""
    if not witness.marks or witness.sampled_s - witness.marks[0].at_s < _MARK_S:
        return (0.0, 0.0, 0.0)
    mark = witness.marks[0]
    l1, l2, l3 = (
        0.0 if here is None or there is None else (here - there)
        for here, there in zip(witness.level, mark.level, strict=True)
    )
    past_s = max(_SPAN_S, witness.sampled_s - mark.at_s)
    return (l1 / past_s, l2 / past_s, l3 / past_s)


def _moved(before: Witness, now: Witness, settings: Settings) -> Witness:
    """Begin a trial where our permits changed, and follow the one that runs."""
    change = _less(now.permitted, before.permitted)
    trial = before.trial
    if _size(change) >= _STEP_A:
        if trial is None:
            drawn, unsure = _drawn(before)
            if _size(unsure) > _STEP_A + _BAND_SHARE * _size(drawn):
                return replace(now, marks=(), probed=None, restored=None)
            probed = before.probed
            returns_to = None
            if probed is not None and _size(_added(probed.expected, change)) < _STEP_A:
                returns_to = probed.drawn
            trial = Trial(
                from_s=before.sampled_s,
                drawn=drawn,
                unsure=unsure,
                assumed=before.restored is not None,
                level=before.level,
                trend=_trend(before),
                expected=change,
                tests=returns_to is not None
                or (before.asked_s is not None and _size(change) <= 4.0),
                returns_to=returns_to,
            )
        else:
            # Steps that run into each other are weighed as one; they are the control's.
            trial = replace(
                trial,
                expected=_added(trial.expected, change),
                tests=False,
                merged=True,
                returns_to=None,
                settled_s=None,
                crossed_s=None,
            )
        return replace(now, trial=trial, marks=(), probed=None, restored=None)
    if trial is None:
        return now
    settled_s = trial.settled_s
    if trial.returns_to is not None:
        settled_s = trial.from_s + settings.follow_s
    elif not _known(now.low, now.high):
        settled_s = None
    elif settled_s is None:
        settled_s = now.sampled_s
    return replace(
        now, trial=replace(trial, settled_s=settled_s, crossed_s=_crossed_s(trial, now))
    )


def _crossed_s(trial: Trial, now: Witness) -> float | None:
    """Return since when the meter shows half of a step, on the phase where it is largest."""
    main = max(range(3), key=lambda place: abs(trial.expected[place]))
    here, there = now.current[main], trial.level[main]
    if here is None or there is None or not trial.expected[main]:
        return None
    shown = (here - there) / trial.expected[main]
    if trial.crossed_s is None:
        return now.sampled_s if shown >= 0.5 else None
    return None if shown < 0.3 else trial.crossed_s


def _due_s(trial: Trial, lag_s: float | None, settings: Settings) -> float | None:
    """Return when the meter must have shown a step; None: nobody knows yet what the cars make of it."""
    if trial.settled_s is None:
        return None
    followed_s = trial.from_s + settings.follow_s
    if lag_s is None:
        return max(trial.settled_s, followed_s) + settings.meter_lag_s + 1
    if trial.settled_s > followed_s:
        return trial.settled_s + lag_s
    return max(trial.settled_s, trial.from_s + lag_s + 2)


def _likelihood(off: Iterable[float]) -> float:
    """Return the logarithm of the likelihood of being off on the phases, in scales, but for what is common to all.

    One tail for all phases: what disturbs is often on three at once.
    """
    return -log1p(sum([value * value for value in off]))


def _outside(value: float, one: float, other: float) -> float:
    """Return how far a value is outside of what lies between two others."""
    if one > other:
        one, other = other, one
    return max(one - value, value - other, 0.0)


def _weighed(now: Witness, trial: Trial, *, confirmed: bool) -> Witness:
    """Weigh what the meter showed of a step."""
    drawn, unsure = _drawn(now)
    if trial.returns_to is not None:
        drawn, unsure = trial.returns_to, trial.unsure
    step = _less(drawn, trial.drawn)
    over = replace(
        now,
        trial=None,
        asked_s=None,
        probed=trial if trial.tests and trial.returns_to is None else None,
        restored=trial.returns_to,
        wait_s=now.sampled_s + 3,
    )
    main = max(range(3), key=lambda place: abs(trial.expected[place]))
    confirmed = confirmed and not trial.assumed and trial.returns_to is None
    size_a = _size(step)
    blurred = _size(unsure) + _size(trial.unsure) > _BLUR * size_a
    if (
        size_a < _STEP_A
        or blurred
        or not all(
            min(0.0, asked) - _STEP_A <= done <= max(0.0, asked) + _STEP_A
            for done, asked in zip(step, trial.expected, strict=True)
        )
    ):
        # The cars did something else meanwhile.
        return over
    window = max(1.0, (now.sampled_s - trial.from_s) / _SPAN_S)
    known: list[tuple[int, float, float]] = []
    nothing: set[int] = set()
    for place in range(3):
        here, there = now.level[place], trial.level[place]
        if here is None or there is None:
            continue
        scale = _NOISE_A + hypot(
            now.noise[place] * sqrt(window),
            _DIFFERENCE_SHARE * step[place],
            (unsure[place] + trial.unsure[place]) / 2,
            trial.trend[place] * window * _SPAN_S,
        )
        known.append((place, here - there, scale))
        if max(abs(here), abs(there)) <= _NOTHING_A and (
            min(drawn[place], trial.drawn[place]) >= 2.0 and abs(step[place]) >= _STEP_A
        ):
            nothing.add(place)
    # A car that drew more than it had reported follows the permit by more than is known.
    most_a = [
        asked if done * asked > 0 and abs(asked) > abs(done) else done
        for done, asked in zip(step, trial.expected, strict=True)
    ]
    rounding_a = 1.0 if now.still.coarse else 0.0
    right = _likelihood(
        max(0.0, _outside(shown, step[place], most_a[place]) - rounding_a) / scale
        for place, shown, scale in known
    )
    waits = not (trial.assumed or trial.returns_to is not None) and (
        now.sampled_s - trial.from_s < _LONGEST_S / 2
    )
    capped = False
    scores: list[float] = []
    best = 0.0
    for score, (finding, _, factor, sources, gains) in zip(
        now.scores, _HYPOTHESES, strict=True
    ):
        ratio = -right + _likelihood(
            max(
                0.0,
                _outside(
                    shown,
                    gains[place] * step[sources[place]],
                    gains[place] * most_a[sources[place]],
                )
                - rounding_a,
            )
            / scale
            for place, shown, scale in known
        )
        if finding is Finding.REVERSED:
            ratio = min(ratio, _REVERSED_MOST)
        elif factor is not None and factor > 1:
            ratio = min(ratio, _LARGER_MOST)
        else:
            ratio = min(ratio, _ONE_MOST)
        if nothing and all(not gains[place] for place in nothing):
            ratio += _NOTHING_BONUS
        most = _SCORE_MOST
        if not trial.tests:
            most = _CONTROL_MOST
        elif not confirmed and not nothing and (factor or min(gains)) in _SMALLER:
            most = _UNCONFIRMED_MOST
            if score + ratio > most:
                capped = True
                if waits:
                    return now
        best = max(best, ratio)
        scores.append(max(0.0, min(max(score, most), score + ratio)))
    silent = _likelihood(shown / scale for _, shown, scale in known)
    good = best < _GOOD and right - silent >= _GOOD
    if good:
        scores = [_FADES * score for score in scores]
    bounds_s = now.bounds_s
    if (
        good
        and trial.crossed_s is not None
        and not trial.merged
        and abs(step[main]) >= max(1.5, 3 * now.noise[main])
    ):
        bounds_s = (*bounds_s, trial.crossed_s - trial.from_s + 1)[-_BOUNDS_KEPT:]
    over = replace(
        over,
        scores=tuple(scores),
        weighed_s=now.sampled_s,
        step_a=_size(step),
        good_steps=now.good_steps + 1
        if good
        else now.good_steps
        if best < _GOOD
        else 0,
        bounds_s=bounds_s,
        routine_s=min(_ROUTINE_MOST_S, now.routine_s * 2)
        if best < _GOOD
        else _ROUTINE_S,
    )
    if capped:
        # From here on only reports help, so the next step begins with one.
        over = replace(over, restored=None)
    if good and trial.tests and _tried(now.suspected, step):
        over = replace(over, suspected=None, suspected_s=None)
    still = now.still
    if still.since_s <= trial.from_s and known:
        seen_a = 1.6 if still.coarse else 1.0
        if _size(step) >= seen_a and (still.share >= _HABITUALLY_STILL or confirmed):
            return _found(over, Finding.FROZEN, None, now.sampled_s - still.since_s)
    elif trial.tests:
        over = replace(
            over,
            still=replace(still, patience_s=min(_STILL_MOST_S, still.patience_s * 2)),
        )
    score, hypothesis = max(
        zip(over.scores, _HYPOTHESES, strict=True), key=lambda item: item[0]
    )
    if score >= _STANDS:
        value = _size(step)
        if hypothesis.finding is Finding.RATIO:
            value = sum(shown * step[place] for place, shown, _ in known) / sum(
                step[place] ** 2 for place, _, _ in known
            )
        return _found(over, hypothesis.finding, hypothesis.phase, value)
    return over


def _found(
    now: Witness,
    finding: Finding,
    phase: str | None,
    value: float,
    *,
    by_level: bool = False,
) -> Witness:
    if now.verdict is not None and now.verdict.finding is finding:
        return replace(now, good_steps=0)
    verdict = Verdict(finding=finding, phase=phase, value=value, by_level=by_level)
    return replace(now, verdict=verdict, good_steps=0, suspected=None, suspected_s=None)


def _suspects(
    before: Witness, now: Witness, *, may_generate: bool
) -> tuple[bool, str | None]:
    """Return whether the readings jumped as with a fault, and the phases where a house seldom does that.

    Such a phase shows its mirror, or nothing, or what another one showed. Where nothing feeds in the level tells.
    """
    jumps = [
        (phase, here, there, 0.3 + 0.05 * abs(there) + min(0.5, noise))
        for phase, here, there, noise in zip(
            PHASES, now.current, before.current, now.noise, strict=True
        )
        if here is not None and there is not None
    ]
    if not jumps:
        return False, None
    large = [
        jump
        for jump, noise in zip(jumps, now.noise, strict=False)
        if abs(jump[1] - jump[2]) >= 1.5 + 3 * noise
    ]
    if may_generate:
        found = [
            phase
            for phase, here, there, near in large
            if abs(here) <= _NOTHING_A
            or (here * there < 0 and abs(here + there) <= near)
        ]
        if found:
            return True, ", ".join(found)
        for (p, here_p, there_p, near_p), (q, here_q, there_q, near_q) in combinations(
            large, 2
        ):
            if abs(here_p - there_q) <= near_q and abs(here_q - there_p) <= near_p:
                return True, f"{p} {q}"
    return len(large) == len(jumps), None


def _tried(suspected: str | None, step: PerPhase) -> bool:
    """Return whether a step puts the suspected phases to the test."""
    if suspected is None:
        return True
    names = suspected.replace(",", "").split()
    steps = [step[PHASES.index(Phase(name))] for name in names]
    if "," in suspected or len(steps) == 1:
        return all(abs(value) >= _STEP_A for value in steps)
    return max(steps) - min(steps) >= _STEP_A


def _floors(
    floors: tuple[Floor, ...], low: PerPhase, at_s: float, window_s: float
) -> tuple[Floor, ...]:
    """Remember what the cars drew at least for as long as the readings may be behind."""
    if floors and _size(_less(floors[-1].low, low)) <= 0.05:
        if len(floors) < 2 or floors[1].at_s > at_s - window_s:
            return floors
    else:
        floors = (*floors, Floor(at_s=at_s, low=low))
    while len(floors) > 1 and floors[1].at_s <= at_s - window_s:
        floors = floors[1:]
    if len(floors) > 24:
        first, second, *later = floors
        together = _lowest((first, second))
        floors = (Floor(at_s=first.at_s, low=together), *later)
    return floors


def _lowest(floors: tuple[Floor, ...]) -> PerPhase:
    if len(floors) == 1:
        return floors[0].low
    l1, l2, l3 = map(min, zip(*[floor.low for floor in floors], strict=True))
    return (l1, l2, l3)


def _levelled(before: Witness, now: Witness, now_s: float, fresh_s: float) -> Witness:
    """Compare a level to which nothing feeds in with what the cars draw."""
    low = _lowest(now.floors)
    share = _LEVEL_SHARE + _LEVEL_SHARE_PER_S * min(60.0, max(0.0, now_s - fresh_s))
    missing = {
        place: low[place] - value
        for place, value in enumerate(now.current)
        if value is not None and value < (1 - share) * low[place] - _LEVEL_A
    }
    if not missing:
        return now if now.short is None else replace(now, short=None)
    short = now.short
    if short is None:
        short = Short(since_s=now.sampled_s, before=before.level)
    now = replace(now, short=short)
    if now.sampled_s - short.since_s < _LEVEL_S:
        return now
    value = max(missing.values())
    negative = [place for place in missing if (now.current[place] or 0.0) < -_LEVEL_A]
    if negative:
        phase = ", ".join(PHASES[place] for place in negative)
        return _found(now, Finding.REVERSED, phase, value, by_level=True)
    finding, phase, sure = _explained(now, short, low, list(missing))
    if not (sure and now.sampled_s - short.since_s >= _LEVEL_SURE_S) and (
        fresh_s < short.since_s + _LEVEL_S - 1
    ):
        return now
    if finding is Finding.RATIO:
        value = sum(v or 0.0 for v in now.current) / sum(low)
    return _found(now, finding, phase, value, by_level=True)


def _explained(
    now: Witness, short: Short, low: PerPhase, missing: list[int]
) -> tuple[Finding, str, bool]:
    """Return what explains a level that lacks on some phases, where, and whether no car that stopped does."""
    values = [value or 0.0 for value in now.current]
    before = [value or 0.0 for value in short.before]
    phase = ", ".join(PHASES[place] for place in missing)
    gone = [place for place in missing if abs(values[place]) <= 2 * _NOTHING_A]
    for p, q in permutations(range(3), 2):
        if p not in missing or q in missing or values[q] < 0.9 * low[p] - _LEVEL_A:
            continue
        # What one phase lost came up on the other at the same time.
        traded = values[q] - before[q] >= 0.5 * low[p]
        if traded or p not in gone:
            names = " ".join(PHASES[place] for place in sorted((p, q)))
            return Finding.SWAPPED, names, traded
    if gone:
        if len(gone) == 3:
            return Finding.ELSEWHERE, phase, False
        # What the house draws there is gone, too.
        sure = any(before[place] - 1.04 * low[place] >= _HOUSE_A for place in gone)
        return Finding.LOST, ", ".join(PHASES[place] for place in gone), sure
    if len(missing) > 1 and missing == [p for p in range(3) if low[p] >= 2.0]:
        shares = [values[place] / low[place] for place in missing]
        if max(shares) - min(shares) < 0.1:
            return Finding.RATIO, phase, False
        return Finding.ELSEWHERE, phase, False
    return Finding.LOST, phase, False


def _stilled(
    witness: Witness, reading: PartVector, at_s: float, energy_wh: float | None
) -> Still:
    """Note whether the values moved, and the energy register."""
    still = witness.still
    moved = reading != witness.reading
    since_s, patience_s, share = still.since_s, still.patience_s, still.share
    share += (moved - share) / _KNOWN_READINGS
    coarse = still.coarse
    if moved:
        since_s = at_s
        coarse = all(value is None or value == int(value) for value in reading[:3])
        if share > _LIVELY:
            patience_s = _STILL_S
    power_w = reading[3]
    if power_w is None:
        power_w = sum(value or 0.0 for value in reading[:3]) * _NOMINAL_V
    owed_wh = still.owed_wh + max(0.0, power_w) * (at_s - witness.sampled_s) / 3600
    count_wh = still.count_wh
    if energy_wh != still.energy_wh:
        owed_wh = 0.0
        if energy_wh is not None and still.energy_wh is not None:
            count_wh = max(count_wh, energy_wh - still.energy_wh)
    return Still(
        since_s=since_s,
        patience_s=patience_s,
        share=share,
        readings=min(still.readings + 1, _KNOWN_READINGS),
        coarse=coarse,
        energy_wh=energy_wh,
        owed_wh=owed_wh,
        count_wh=count_wh,
    )


def _stood_still(now: Witness, lag_s: float | None, settings: Settings) -> Witness:
    """Find a meter frozen that never stands still by itself, or whose energy register stands still, too."""
    still = now.still
    for_s = now.sampled_s - still.since_s
    lively = (
        still.share > 0.4 and not still.coarse and still.readings >= _KNOWN_READINGS
    )
    owes = still.count_wh > 0 and still.owed_wh >= 50 + _COUNTS_MISSED * max(
        _COUNT_WH, still.count_wh
    )
    if (for_s >= _STILL_S and lively) or (for_s >= _STILL_S / 2 and owes):
        return _found(now, Finding.FROZEN, None, for_s)
    return now


def _withdrawn(now: Witness) -> Witness:
    """End a finding that the evidence no longer bears."""
    verdict = now.verdict
    if verdict is None:
        return now
    if now.good_steps >= _GOOD_STEPS:
        return replace(now, verdict=None, good_steps=0)
    at_s = now.sampled_s
    good = False
    if verdict.finding is Finding.FROZEN:
        good = at_s - now.still.since_s <= _MARK_S
    elif verdict.by_level and verdict.finding in {Finding.REVERSED, Finding.LOST}:
        good = now.short is None and _size(now.low) >= 2.0
    if not good:
        good_s = None
    elif verdict.good_s is None:
        good_s = at_s
    elif at_s - verdict.good_s >= _GOOD_LEVEL_S:
        return replace(now, verdict=None, good_steps=0)
    else:
        return now
    return replace(now, verdict=replace(verdict, good_s=good_s))


def _asked(
    now: Witness, lag_s: float | None, settings: Settings, *, charging: bool
) -> Witness:
    """Ask for a probe, or give it up."""
    at_s = now.sampled_s
    if now.asked_s is not None:
        if now.trial is not None or (charging and at_s - now.asked_s < _PROBE_WAIT_S):
            return now
        return replace(now, asked_s=None, wait_s=at_s + _PROBE_PAUSE_S)
    if not charging or now.trial is not None or at_s < now.wait_s:
        return now
    if _size(_drawn(now)[1]) > _STEP_A:
        return now
    patience_s = now.still.patience_s
    if lag_s is None and patience_s == _STILL_S:
        patience_s = _STILL_ASK_BY_S - settings.follow_s - settings.meter_lag_s
    since_s = at_s - now.weighed_s
    if (
        now.suspected_s is not None
        or at_s - now.still.since_s >= patience_s
        or since_s >= (now.routine_s if now.verdict is None else _PROBE_PAUSE_S)
        or (since_s <= _LONGEST_S and max(now.scores) >= _DOUBT)
    ):
        return replace(now, asked_s=at_s)
    return now

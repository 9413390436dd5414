"""The answer of a meter to our own steps, and how far it is behind (truth.py)."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import hypot, log1p, sqrt
from typing import NamedTuple

from .decision import Finding
from .frozen import replace
from .model import PHASES, PartPerPhase, PerPhase, Phase, Settings
from .truth_memory import (
    BAND_SHARE,
    LONGEST_S,
    ROUTINE_S,
    STEP_A,
    Mark,
    Trial,
    Witness,
    is_known,
    known_draw,
    largest,
    minus,
    plus,
    with_finding,
)

_BLUR = 0.7
"""A step is not weighed whose bounds are further apart before and after than this share of it."""
_NOISE_A = 0.25
"""The least scale of what a reading may be off: rounding, reports that are not of the same second."""
_DIFFERENCE_SHARE = 0.08
"""By how much of a step a car's meter, its power factor and ours may differ."""
MARK_S = 6.0
"""Spacing of the marks that trend and noise are measured against."""
_SPAN_S = 12.0
"""How long ago the mark is that a level is compared with, at least."""
_LEARNING = 1.15
"""The noise is the median of what was seen: each sample moves it up or down by this factor."""
_STANDS = 8.0
"""Score at which a finding stands: two or three steps of 2 A in a quiet house."""
_CONTROL_MOST = 4.0
"""Score that steps of the control can reach alone."""
_UNCONFIRMED_MOST = 4.0
"""Score that steps can reach where a car that does not draw what it reported explains them as well."""
_SCORE_MOST = 16.0
_REVERSED_MOST, _ONE_MOST, _LARGER_MOST = 5.0, 3.5, 2.0
"""What one step can add. After a jump to the mirror nothing that houses do looks like the opposite of a step; a car may not follow; and they
often rise or fall by more at the same time, which a meter that shows too much would, too: it does no harm meanwhile."""
_FITS = -3.0
"""Likelihood of the best explanation below which there is none: the house is restless, and the noise larger than learnt."""
_FADES = 0.9
"""What a step that speaks for the meter leaves of each suspicion, also of one that it does not test."""
_SMALLER = (0.0, 0.2, 0.33, 0.5)
"""Gains that a car explains as well that does not draw what it reported."""
_NOTHING_A = 0.15
"""A transformer that is gone shows no more than this."""
_NOTHING_BONUS = 2.5
"""A phase at nothing before and after a step, while cars draw there, is seldom chance."""
_GOOD = 1.0
"""Likelihood ratio by which a step speaks for the meter."""
_ROUTINE_MOST_S = 1800.0
_STILL_MOST_S = 600.0
_HABITUALLY_STILL = 0.02
"""Share of readings that differ from the one before, of a meter that hardly ever changes by itself."""
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
        if len(moved) == 3:
            # Which way they have changed places: what it shows as L1, L2 and L3.
            moved = [PHASES[source] for source in sources]
        yield _Hypothesis(
            Finding.SWAPPED, " ".join(moved), None, sources, (1.0, 1.0, 1.0)
        )
    for factor in (0.2, 0.33, 0.5, 1.73, 2.0, 3.0, 5.0, 10.0):
        yield _Hypothesis(
            Finding.RATIO, ", ".join(PHASES), factor, own, (factor, factor, factor)
        )


HYPOTHESES = tuple(_hypotheses())
_NO_SCORES = (0.0,) * len(HYPOTHESES)


def tracked(
    level: PartPerPhase, current: PartPerPhase, noise: PerPhase
) -> PartPerPhase:
    """Return the readings smoothed; a jump is followed at once."""
    l1, l2, l3 = map(_followed, level, current, noise, strict=True)
    return (l1, l2, l3)


def _followed(level: float | None, value: float | None, noise: float) -> float | None:
    if level is None or value is None or abs(value - level) > 3 * noise + 0.5:
        return value
    return level + 0.35 * (value - level)


def marked(now: Witness) -> Witness:
    """Learn what the meter does while nothing of ours moves."""
    marks, at_s = now.marks, now.sampled_s
    if marks and at_s - marks[-1].at_s < MARK_S:
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
    if not witness.marks or witness.sampled_s - witness.marks[0].at_s < MARK_S:
        return (0.0, 0.0, 0.0)
    mark = witness.marks[0]
    l1, l2, l3 = (
        0.0 if here is None or there is None else (here - there)
        for here, there in zip(witness.level, mark.level, strict=True)
    )
    past_s = max(_SPAN_S, witness.sampled_s - mark.at_s)
    return (l1 / past_s, l2 / past_s, l3 / past_s)


def moved(before: Witness, now: Witness, settings: Settings) -> Witness:
    """Begin a trial where our permits changed, and follow the one that runs."""
    change = minus(now.permitted, before.permitted)
    trial = before.trial
    if largest(change) >= STEP_A:
        if trial is None:
            drawn, unsure = known_draw(before)
            if largest(unsure) > STEP_A + BAND_SHARE * largest(drawn):
                return replace(now, marks=(), probed=None, restored=None)
            probed = before.probed
            returns_to = None
            if probed is not None and largest(plus(probed.expected, change)) < STEP_A:
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
                or (before.asked_s is not None and largest(change) <= 4.0),
                returns_to=returns_to,
            )
        else:
            # Steps that run into each other are weighed as one; they are the control's.
            trial = replace(
                trial,
                expected=plus(trial.expected, change),
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
    elif not is_known(now.low, now.high):
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


def shown_by_s(trial: Trial, lag_s: float | None, settings: Settings) -> float | None:
    """Return when the meter must have shown a step; None: nobody knows yet what the cars make of it."""
    if trial.settled_s is None:
        return None
    followed_s = trial.from_s + settings.follow_s
    if lag_s is None:
        return max(trial.settled_s, followed_s) + settings.meter_lag_s + 1
    if trial.settled_s > followed_s:
        return trial.settled_s + lag_s
    return max(trial.settled_s, followed_s + 1, trial.from_s + lag_s + 2)


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


def weighed(now: Witness, trial: Trial, *, confirmed: bool) -> Witness:
    """Weigh what the meter showed of a step."""
    drawn, unsure = known_draw(now)
    if trial.returns_to is not None:
        drawn, unsure = trial.returns_to, trial.unsure
    step = minus(drawn, trial.drawn)
    over = replace(
        now,
        trial=None,
        tried=True,
        asked_s=None,
        probed=trial if trial.tests and trial.returns_to is None else None,
        restored=trial.returns_to,
        wait_s=now.sampled_s + 3,
    )
    main = max(range(3), key=lambda place: abs(trial.expected[place]))
    confirmed = confirmed and not trial.assumed and trial.returns_to is None
    size_a = largest(step)
    blurred = largest(unsure) + largest(trial.unsure) > _BLUR * size_a
    if (
        size_a < STEP_A
        or blurred
        or not all(
            min(0.0, asked) - STEP_A <= done <= max(0.0, asked) + STEP_A
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
            min(drawn[place], trial.drawn[place]) >= 2.0 and abs(step[place]) >= STEP_A
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
        now.sampled_s - trial.from_s < LONGEST_S / 2
    )
    capped = False
    scores: list[float] = []
    best = 0.0
    for score, (finding, _, factor, sources, gains) in zip(
        now.scores or _NO_SCORES, HYPOTHESES, strict=True
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
            ratio = min(ratio, _REVERSED_MOST if now.suspected else _ONE_MOST)
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
        step_a=largest(step),
        good_steps=now.good_steps + 1
        if good
        else now.good_steps
        if best < _GOOD
        else 0,
        bounds_s=bounds_s,
        routine_s=min(_ROUTINE_MOST_S, now.routine_s * 2)
        if best < _GOOD
        else ROUTINE_S,
    )
    if right + best < _FITS:
        l1, l2, l3 = now.noise
        over = replace(
            over,
            noise=(min(20.0, 2 * l1), min(20.0, 2 * l2), min(20.0, 2 * l3)),
        )
    if capped:
        # From here on only reports help, so the next step begins with one.
        over = replace(over, restored=None)
    if good and trial.tests and _tried(now.suspected, step):
        over = replace(over, suspected=None, suspected_s=None)
        if now.suspected is not None and over.short is not None:
            passed = over.short.passed + 1
            over = replace(over, short=replace(over.short, passed=passed))
    still = now.still
    if still.since_s <= trial.from_s and known:
        seen_a = 1.6 if still.coarse else 1.0
        if largest(step) >= seen_a and (still.share >= _HABITUALLY_STILL or confirmed):
            return with_finding(
                over, Finding.FROZEN, None, now.sampled_s - still.since_s
            )
    elif trial.tests:
        over = replace(
            over,
            still=replace(still, patience_s=min(_STILL_MOST_S, still.patience_s * 2)),
        )
    score, hypothesis = max(
        zip(over.scores, HYPOTHESES, strict=True), key=lambda item: item[0]
    )
    if score >= _STANDS:
        value = largest(step)
        if hypothesis.finding is Finding.RATIO:
            value = sum(shown * step[place] for place, shown, _ in known) / sum(
                step[place] ** 2 for place, _, _ in known
            )
        return with_finding(over, hypothesis.finding, hypothesis.phase, value)
    return over


def suspects(
    before: Witness, now: Witness, *, feeds_in: bool
) -> tuple[bool, str | None]:
    """Return whether the readings jumped as with a fault, and the phases where a house seldom does that.

    Such a phase shows its mirror, or nothing, or what another one showed. Where nothing feeds in the level tells.
    """
    jumps = [
        (phase, here, there, 0.8 + 0.05 * abs(there) + min(1.0, 2 * noise))
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
    if feeds_in:
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
        return all(abs(value) >= STEP_A for value in steps)
    return max(steps) - min(steps) >= STEP_A

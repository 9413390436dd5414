"""What a meter shows of our own steps: whether it can be believed (S14), and how far its readings are behind.

Three witnesses are heard at each new reading of a circuit's meter:

- *Level*: where nothing feeds in, a phase cannot carry less than the cars draw from it. A contradiction is seen at once.
  A reading below zero is impossible whatever the cars do. A smaller one may be a car that stopped by itself, so it stands
  only once the charge points have reported after it.
- *Steps*: where something feeds in, only the answer to our own steps tells. Each step is weighed against what a turned,
  lost, exchanged or wrongly scaled transformer would have shown (`HYPOTHESES`). The scores add up, never below zero, so
  that a change is noticed soon (a CUSUM of log likelihood ratios). The likelihood has the heavy tails of a house that
  switches at the wrong moment, its scale is what the meter does while nothing of ours moves. The steps of the control are
  answers to the meter itself: a cloud that it follows cancels them. Such steps raise suspicion but never suffice, only
  steps that were made to test do.
- *Stillness*: values that stay the same to the last digit while a car charges, through a step that had to be seen.

An energy register that stands still says nothing against the currents by itself: they protect the fuse, and they prove
themselves by the other witnesses. So it is no finding alone, it only shortens the patience with values that stand still,
too. One that counts on proves nothing: it may come from another device or another block of registers than the currents.
"""

from collections.abc import Sequence

from .decision import Finding
from .frozen import frozen, replace
from .model import Settings
from .truth_level import amperes, currents, kept_floors, levelled, stilled, stood_still
from .truth_memory import (
    DOUBT,
    LONGEST_S,
    ROUTINE_S,
    STEP_A,
    STILL_S,
    Still,
    Witness,
    known_draw,
    largest,
    learnt_lag_s,
)
from .truth_steps import MARK_S, marked, moved, shown_by_s, suspects, tracked, weighed
from .vectors import PartVector, Vector

_GOOD_STEPS = 3
"""So many of them in a row end a finding."""
_GOOD_LEVEL_S = 60.0
"""A consistent level for so long ends a finding that the level made."""
_STILL_ASK_BY_S = 63.0
"""A frozen meter stands within about this time, where its lag is not known the test begins sooner."""
_FIRST_S = 60.0
"""A meter that was never put to the test is asked about after so long."""
_PROBE_WAIT_S = 20.0
"""A probe that is not made within this cannot be made now."""
_PROBE_PAUSE_S = 60.0
"""Between a probe that could not be made, or suspicions that came to nothing, and the next."""


@frozen
class Testimony:
    """What the meter is found to be worth."""

    witness: Witness
    lag_s: float | None
    """How far the readings are behind a new permit at most, the car's own delay included; None: not learnt yet."""
    doubt: bool
    """A contradiction, or the first step of ours that nobody knows the answer to yet: nothing below the circuit should be
    raised."""
    finding: Finding | None
    """A contradiction that stands: the circuit belongs on its floors, and a person should know."""
    phase: str | None
    """The phases concerned: "L1", "L1, L2, L3", exchanged ones as "L1 L2"; without a finding those that a probe should load
    (of exchanged ones: one). None: any."""
    value: float | None
    """RATIO: the factor. FROZEN: for how many seconds. Others: the A that are missing or were put to the test."""
    probe: bool
    """A step of 1 to 2 A by one car below the circuit is wanted for as long as this is True, then back: down, by a car that
    draws what it may, another one each time; up only where none can go down."""


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
    feeds_in: bool | None,
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
        feeds_in: whether something below the circuit does, so that it may carry less than the cars draw; None: not known.
        energy_import_wh: the meter's register.
        settings: for `follow_s` and `meter_lag_s`.
        reported_s: since when each charge point that counts in `drawn_low` has reported; None: just now.
    """
    current = currents(reading)
    by_power = current[1] is None and reading[0] is None
    low, high = amperes(drawn_low, by_power), amperes(drawn_high, by_power)
    allowed = amperes(permitted, by_power)
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
            weighed_s=sampled_s + _FIRST_S - ROUTINE_S,
        )
        return _testimony(witness, by_power, charging=charging)
    if sampled_s == witness.sampled_s:
        return _testimony(witness, by_power, charging=charging)
    if sampled_s - witness.sampled_s > settings.meter_timeout_s:
        # Nobody knows when within its silence a meter followed.
        witness = forget_steps(witness, (*drawn_low, *drawn_high, *permitted))
    before = witness
    lag_s = learnt_lag_s(witness)
    behind_s = settings.meter_lag_s if lag_s is None else lag_s
    fresh_s = now_s if reported_s is None else reported_s
    now = replace(
        witness,
        sampled_s=sampled_s,
        reading=reading,
        current=current,
        low=low,
        high=high,
        permitted=allowed,
        level=tracked(witness.level, current, witness.noise),
        still=stilled(witness, reading, sampled_s, energy_import_wh),
        floors=kept_floors(witness.floors, low, sampled_s, behind_s),
    )
    if now.restored is not None and fresh_s > now.weighed_s:
        before = replace(before, restored=None)
        now = replace(now, restored=None)
    now = moved(before, now, settings)
    if now.trial is None:
        now = marked(now)
        if charging and now.suspected_s is None:
            jumped, suspected = suspects(before, now, feeds_in=feeds_in is not False)
            if jumped:
                # The jump is no trend.
                now = replace(now, suspected=suspected, suspected_s=sampled_s, marks=())
    else:
        due_s = shown_by_s(now.trial, lag_s, settings)
        from_s = now.trial.from_s
        if due_s is not None and sampled_s >= due_s:
            now = weighed(now, now.trial, confirmed=fresh_s >= from_s)
        elif sampled_s - from_s > LONGEST_S:
            now = replace(now, trial=None, tried=True, asked_s=None)
    if now.suspected_s is not None and (
        not charging or sampled_s - now.suspected_s > LONGEST_S
    ):
        now = replace(
            now, suspected=None, suspected_s=None, wait_s=sampled_s + _PROBE_PAUSE_S
        )
    if not feeds_in:
        unsure = feeds_in is None
        now = levelled(before, now, now_s, fresh_s, behind_s, unsure=unsure)
    elif now.short is not None:
        now = replace(now, short=None)
    if charging:
        now = stood_still(now)
    now = _withdrawn(now)
    now = _asked(now, lag_s, settings, charging=charging)
    return _testimony(now, by_power, charging=charging)


def forget_steps(witness: Witness, drawn: Sequence[float]) -> Witness:
    """Return the memory after connectors came or went: what changes with them is no step of ours.

    Args:
        witness: the memory.
        drawn: least and most drawn and permitted from now on, as three vectors in one sequence.
    """
    by_power = witness.current[1] is None and witness.current[0] is None
    low, high, permitted = (
        amperes((drawn[at], drawn[at + 1], drawn[at + 2], drawn[at + 3]), by_power)
        for at in (0, 4, 8)
    )
    return replace(
        witness,
        low=low,
        high=high,
        permitted=permitted,
        marks=(),
        trial=None,
        probed=None,
        restored=None,
        asked_s=None,
    )


def _testimony(witness: Witness, by_power: bool, *, charging: bool) -> Testimony:
    verdict = witness.verdict
    phase = witness.suspected if verdict is None else verdict.phase
    # Where nothing is drawn any more a suspicion cannot be tested, and it must not keep cars from starting.
    contradicted = (
        charging
        and witness.sampled_s - witness.weighed_s <= LONGEST_S
        and max(witness.scores, default=0.0) >= DOUBT
    )
    return Testimony(
        witness=witness,
        lag_s=learnt_lag_s(witness),
        doubt=verdict is not None
        or witness.short is not None
        or contradicted
        or (charging and _is_first_raise(witness)),
        finding=None if verdict is None else verdict.finding,
        phase=None if by_power else phase,
        value=None if verdict is None else verdict.value,
        probe=witness.asked_s is not None,
    )


def _is_first_raise(witness: Witness) -> bool:
    """Return whether a step up runs before any step was followed to its end."""
    trial = witness.trial
    return trial is not None and not witness.tried and max(trial.expected) > 0


def _withdrawn(now: Witness) -> Witness:
    """End a finding that the evidence no longer bears."""
    verdict = now.verdict
    if verdict is None:
        return now
    if now.good_steps >= _GOOD_STEPS:
        return replace(now, verdict=None, good_steps=0, scores=())
    at_s = now.sampled_s
    good = False
    if verdict.finding is Finding.FROZEN:
        good = at_s - now.still.since_s <= MARK_S
    elif verdict.by_level and verdict.finding in {Finding.REVERSED, Finding.LOST}:
        good = now.short is None and largest(now.low) >= 2.0
    if not good:
        good_s = None
    elif verdict.good_s is None:
        good_s = at_s
    elif at_s - verdict.good_s >= _GOOD_LEVEL_S:
        return replace(now, verdict=None, good_steps=0, scores=())
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
    if largest(known_draw(now)[1]) > STEP_A:
        return now
    patience_s = now.still.patience_s
    if lag_s is None and patience_s == STILL_S:
        patience_s = _STILL_ASK_BY_S - settings.follow_s - settings.meter_lag_s
    since_s = at_s - now.weighed_s
    if (
        now.suspected_s is not None
        or at_s - now.still.since_s >= patience_s
        or since_s >= (now.routine_s if now.verdict is None else _PROBE_PAUSE_S)
        or (since_s <= LONGEST_S and max(now.scores, default=0.0) >= DOUBT)
    ):
        return replace(now, asked_s=at_s)
    return now

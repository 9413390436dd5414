"""What a meter shows at one moment, against what the cars draw, and whether it moves at all (truth.py)."""

from itertools import permutations

from .decision import Finding
from .frozen import replace
from .model import PHASES, PartPerPhase, PerPhase
from .truth_memory import (
    DOUBT,
    STILL_S,
    Floor,
    Short,
    Still,
    Witness,
    largest,
    minus,
    with_finding,
)
from .vectors import PartVector, Vector

_NOMINAL_V = 230.0
"""A meter that tells no currents is judged by its power, as a current at this voltage."""
_NOTHING_A = 0.3
"""A phase that shows no more than this shows nothing."""
_LEVEL_A = 1.0
_LEVEL_SHARE = 0.06
_LEVEL_SHARE_PER_S = 0.004
"""A phase contradicts below what the cars draw less 1 A, 6 % (their meters and ours), and what a car that tapers loses
while its last report ages: 0.4 % a second, to at most a minute."""
_LEVEL_S = 3.0
"""How long a contradiction has to last, and a report has to be younger than its beginning."""
_LEVEL_SURE_S = 5.0
"""The same where no car can explain it, whatever its charge point has not told yet."""
_SUDDEN_S, _SUDDEN_SHARE = 3.0, 0.5
"""A level fell suddenly that lost half of what the cars draw within so many seconds."""
_SAME_FACTOR = 0.03
_ZERO: PerPhase = (0.0, 0.0, 0.0)
_UNTESTED_S = 540.0
"""A contradiction that no step of ours refutes is told within 10 min: where no car can be lowered nothing can test it."""
_CLEAR_SHARE = 0.25
"""A meter that lacks less of what the cars draw is doubted; the steps tell whether it is a fault."""
_HOUSE_A, _HOUSE_SHARE = 0.5, 0.03
"""A phase that showed more than the cars drew by 0.5 A, and by what their meters may be off, carried something else, too."""
_LIVELY, _NEARLY_LIVELY = 0.5, 0.4
"""Shares of readings that differ from the one before: it changes nearly always; the same after it has stood still for a
while."""
_KNOWN_READINGS = 60
"""After so many readings its habit is known."""
_COUNTS_MISSED = 6.0
"""An energy register stands still that should have moved by so many of its largest counts, and 50 Wh."""
_COUNT_WH = 10.0
"""The least count that is assumed; finer registers show their own."""


def currents(reading: PartVector) -> PartPerPhase:
    """Return the currents; a meter that tells none has the one of its power, as L1."""
    l1, l2, l3, power_w = reading
    if l1 is None and l2 is None and l3 is None and power_w is not None:
        return (power_w / _NOMINAL_V, None, None)
    return (l1, l2, l3)


def amperes(load: Vector, by_power: bool) -> PerPhase:
    """Return a load as the meter tells it."""
    return (load[3] / _NOMINAL_V, 0.0, 0.0) if by_power else load[:3]


def kept_floors(
    floors: tuple[Floor, ...], low: PerPhase, at_s: float, window_s: float
) -> tuple[Floor, ...]:
    """Remember what the cars drew at least for as long as the readings may be behind."""
    if floors and largest(minus(floors[-1].low, low)) <= 0.05:
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


def levelled(
    before: Witness,
    now: Witness,
    now_s: float,
    fresh_s: float,
    behind_s: float,
    *,
    unsure: bool,
) -> Witness:
    """Compare a level to which nothing feeds in, as far as is known, with what the cars draw.

    Args:
        before: the memory before this reading.
        now: with it.
        now_s: the time.
        fresh_s: since when all charge points have reported.
        behind_s: how far the readings may be behind.
        unsure: whether something might feed in that nobody told of. What begins slowly is only suspected then.
    """
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
        short = Short(
            since_s=now.sampled_s,
            before=before.level,
            first=now.current,
            own_a=_ZERO if now.trial is None else now.trial.expected,
            sudden=now.sampled_s - before.sampled_s <= _SUDDEN_S
            and all(
                (before.level[place] or 0.0) - (now.current[place] or 0.0)
                >= _SUDDEN_SHARE * low[place]
                for place in missing
            ),
        )
    if short.confirmed_s is None and fresh_s >= short.since_s + _LEVEL_S - 1:
        short = replace(short, confirmed_s=now.sampled_s)
    now = replace(now, short=short)
    if unsure and short.sudden and now.sampled_s == short.since_s:
        now = _suspected(now, ", ".join(PHASES[place] for place in missing))
    if now.sampled_s - short.since_s < _LEVEL_S:
        return now
    value = max(missing.values())
    negative = [place for place in missing if (now.current[place] or 0.0) < -_LEVEL_A]
    if negative:
        phase = ", ".join(PHASES[place] for place in negative)
        if unsure and not _stands(now, short, Finding.REVERSED, negative):
            return _suspected(now, phase)
        return with_finding(now, Finding.REVERSED, phase, value, by_level=True)
    finding, phase, sure = _explained(now, short, low, list(missing))
    if not (sure and now.sampled_s - short.since_s >= _LEVEL_SURE_S):
        # What the reports say has to be what the meter shows by now: a car may have drawn less between two of them.
        if short.confirmed_s is None or now.sampled_s - short.confirmed_s < behind_s:
            return now
        if all(lack < _CLEAR_SHARE * low[place] for place, lack in missing.items()):
            return _suspected(now, phase)
    if unsure and not _stands(now, short, finding, list(missing)):
        return _suspected(now, phase)
    # By how much it is too little a level does not tell, for the house is in it: a fall of all of it does, or steps.
    return with_finding(
        now,
        finding,
        phase,
        _scaled(short) if finding is Finding.RATIO else value,
        by_level=True,
    )


def _stands(now: Witness, short: Short, finding: Finding, places: list[int]) -> bool:
    """Return whether a level contradicts for good that something might feed into.

    It fell suddenly to what no sun makes of it, its mirror or nothing, or came up on another phase; or for long no step
    of ours has refuted it.
    """
    if short.sudden:
        match finding:
            case Finding.REVERSED:
                looks_so = all(_mirrored(short, place) for place in places)
            case Finding.LOST:
                looks_so = all(
                    abs(now.current[it] or 0.0) <= _NOTHING_A for it in places
                )
            case Finding.RATIO:
                looks_so = _scaled(short) is not None
            case _:
                looks_so = finding is Finding.SWAPPED
        if looks_so:
            return True
    untested = now.weighed_s <= short.since_s
    return (
        now.sampled_s - short.since_s >= _UNTESTED_S
        and short.passed == 0
        and (untested or max(now.scores, default=0.0) >= DOUBT)
    )


def _mirrored(short: Short, place: int) -> bool:
    """Return whether a phase fell to the opposite of what it showed, as far as the cars' own step lets tell."""
    here, there = short.first[place] or 0.0, short.before[place] or 0.0
    off = here + there
    own_a = -short.own_a[place]
    near = 1.0 + 0.05 * abs(there)
    return min(0.0, own_a) - near <= off <= max(0.0, own_a) + near


def _scaled(short: Short) -> float | None:
    """Return the factor by which all phases fell at once, though they carried different loads; None: they did not.

    A step of ours that was under way was done by then, or had not begun.
    """
    for done in (0.0, 1.0):
        before = [
            (there or 0.0) + done * own
            for there, own in zip(short.before, short.own_a, strict=True)
        ]
        if min(before) <= 0 or max(before) < 1.1 * min(before):
            continue
        factors = [
            (here or 0.0) / there
            for here, there in zip(short.first, before, strict=True)
        ]
        if short.sudden and max(factors) - min(factors) <= _SAME_FACTOR:
            return sum(factors) / 3
    return None


def _suspected(now: Witness, phase: str) -> Witness:
    """Return the memory with phases that are to be put to the test, unless that has just come to nothing."""
    if now.suspected_s is not None or now.sampled_s < now.wait_s:
        return now
    return replace(now, suspected=phase, suspected_s=now.sampled_s)


def _explained(
    now: Witness, short: Short, low: PerPhase, missing: list[int]
) -> tuple[Finding, str, bool]:
    """Return what explains a level that lacks on some phases, where, and whether no car that stopped does."""
    values = [value or 0.0 for value in now.current]
    before = [value or 0.0 for value in short.before]
    phase = ", ".join(PHASES[place] for place in missing)
    gone = [place for place in missing if abs(values[place]) <= _NOTHING_A]
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
        sure = any(
            before[place] - (1 + _HOUSE_SHARE) * low[place] >= _HOUSE_A
            for place in gone
        )
        return Finding.LOST, ", ".join(PHASES[place] for place in gone), sure
    if len(missing) > 1 and missing == [p for p in range(3) if low[p] >= 2.0]:
        shares = [values[place] / low[place] for place in missing]
        if max(shares) - min(shares) < 0.1:
            return Finding.RATIO, phase, False
        return Finding.ELSEWHERE, phase, False
    return Finding.LOST, phase, False


def stilled(
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
            patience_s = STILL_S
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


def stood_still(now: Witness) -> Witness:
    """Find a meter frozen that never stands still by itself, or whose energy register stands still, too."""
    still = now.still
    for_s = now.sampled_s - still.since_s
    lively = (
        still.share > _NEARLY_LIVELY
        and not still.coarse
        and still.readings >= _KNOWN_READINGS
    )
    owes = still.count_wh > 0 and still.owed_wh >= 50 + _COUNTS_MISSED * max(
        _COUNT_WH, still.count_wh
    )
    if (for_s >= STILL_S and lively) or (for_s >= STILL_S / 2 and owes):
        return with_finding(now, Finding.FROZEN, None, for_s)
    return now

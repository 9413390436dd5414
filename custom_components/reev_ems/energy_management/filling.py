"""The common water level of a class: weighted max-min fair shares under packing rows.

Everybody's current is clamp(weight · level, minimum, maximum). The level rises; where a row becomes full its members
freeze, the others rise on. The result is the lexicographic optimum over all rows, and each connector knows the row
that froze it.

The level does not rise in steps but jumps from event to event: a connector leaves its minimum, a connector reaches its
maximum, a row becomes full. Between events every row's load is a straight line in the level, `intercept + slope·level`.
When a row gets full is kept in a heap; freezing and maximums only flatten lines, so what stands in the heap is never
too late, and a row is calculated anew only when its turn comes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush, heapreplace
from math import inf

from .bottlenecks import Bottlenecks
from .rows import Entry

_FLAT = 1e-7
"""Slopes below are rounding: the smallest weight is 1e-3."""

_SAME = 1e-12
"""Levels nearer than this part are the same; then the maximum is named rather than the row."""

type Kind = tuple[float, float, float]
"""Minimum in A, maximum in A and weight of a connector."""


def fill(
    members: Mapping[Kind, Sequence[int]],
    rows: Bottlenecks,
    load_a: list[float],
    bounds_a: Sequence[float],
) -> dict[int, tuple[float, int]]:
    """Raise the common level of admitted connectors until each is frozen by a row or at its maximum.

    Args:
        members: by kind, the signature of each connector.
        rows: those that can become full.
        load_a: by row, the load with these members at their minimum; raised to what they get.
        bounds_a: by row.

    Returns:
        By signature, the level at which it was frozen and the row; signatures that no row froze are absent.
    """
    # By level, then by signature: what its slope changes by.
    bends: defaultdict[float, dict[int, float]] = defaultdict(dict)
    slope_of: dict[int, float] = {}
    """By signature that is not frozen."""
    for (low_a, high_a, weight), signatures in members.items():
        slope_of.update(dict.fromkeys(signatures, 0.0))
        if low_a < high_a:
            for level, change in ((low_a / weight, weight), (high_a / weight, -weight)):
                at = bends[level]
                for signature in signatures:
                    at[signature] = at.get(signature, 0.0) + change

    entries, members_of = rows.entries, rows.members()
    slopes = [0.0] * len(bounds_a)
    frozen: dict[int, tuple[float, int]] = {}
    full: list[tuple[float, int]] = []

    def freeze_until(level: float) -> None:
        while full and full[0][0] < level * (1 - _SAME):
            expected, row = full[0]
            slope = slopes[row]
            if slope < _FLAT:
                heappop(full)
                continue
            exact = (bounds_a[row] - load_a[row]) / slope
            # Never true for what was just calculated, rounding errors or not: this ends.
            if exact - expected > _SAME * abs(exact):
                heapreplace(full, (exact, row))
                continue
            heappop(full)
            for signature in members_of[row]:
                if signature not in slope_of:
                    continue
                frozen[signature] = exact, row
                if slope := slope_of.pop(signature):
                    lift = slope * exact
                    for other, coefficient in entries[signature]:
                        load_a[other] += coefficient * lift
                        slopes[other] -= coefficient * slope

    for level in sorted(bends):
        freeze_until(level)
        steeper: set[Entry] = set()
        for signature, change in bends[level].items():
            if signature not in slope_of:
                continue
            slope_of[signature] += change
            lift, mine = change * level, entries[signature]
            for row, coefficient in mine:
                load_a[row] -= coefficient * lift
                slopes[row] += coefficient * change
            if change > 0:
                steeper.update(mine)
        for row, _ in steeper:
            if slopes[row] >= _FLAT:
                heappush(full, ((bounds_a[row] - load_a[row]) / slopes[row], row))
    freeze_until(inf)
    return frozen

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
from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from math import inf

from .rows import Entry

_FLAT = 1e-7
"""Slopes below are rounding: the smallest weight is 1e-3."""

_SAME = 1e-12
"""Levels nearer than this part are the same; then the maximum is named rather than the row."""


def fill(
    members: Sequence[tuple[int, float, float, float]],
    entries: Sequence[Sequence[Entry]],
    load_a: list[float],
    bounds_a: Sequence[float],
) -> dict[int, tuple[float, int]]:
    """Raise the common level of admitted connectors until each is frozen by a row or at its maximum.

    Args:
        members: signature, minimum in A, maximum in A and weight of each connector.
        entries: by signature, rows and coefficients.
        load_a: by row, the load with these members at their minimum; raised to what they get.
        bounds_a: by row.

    Returns:
        By signature, the level at which it was frozen and the row; signatures that no row froze are absent.
    """
    # By level, then by signature: what its line's intercept and slope change by.
    bends: defaultdict[float, dict[int, tuple[float, float]]] = defaultdict(dict)
    lines: dict[int, tuple[float, float]] = {}
    for signature, low_a, high_a, weight in members:
        lines[signature] = 0.0, 0.0
        if low_a < high_a:
            at = bends[low_a / weight]
            intercept, slope = at.get(signature, (0.0, 0.0))
            at[signature] = intercept - low_a, slope + weight
            at = bends[high_a / weight]
            intercept, slope = at.get(signature, (0.0, 0.0))
            at[signature] = intercept + high_a, slope - weight

    by_row: defaultdict[int, list[int]] = defaultdict(list)
    for signature in sorted(lines):
        for row, _ in entries[signature]:
            by_row[row].append(signature)

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
            for signature in by_row[row]:
                if signature in frozen:
                    continue
                frozen[signature] = exact, row
                _, slope = lines[signature]
                if slope:
                    for other, coefficient in entries[signature]:
                        load_a[other] += coefficient * slope * exact
                        slopes[other] -= coefficient * slope

    for level in sorted(bends):
        freeze_until(level)
        steeper: set[int] = set()
        for signature, (intercept, slope) in bends[level].items():
            if signature in frozen:
                continue
            before = lines[signature]
            lines[signature] = before[0] + intercept, before[1] + slope
            for row, coefficient in entries[signature]:
                load_a[row] += coefficient * intercept
                slopes[row] += coefficient * slope
                if slope > 0:
                    steeper.add(row)
        for row in steeper:
            if slopes[row] >= _FLAT:
                heappush(full, ((bounds_a[row] - load_a[row]) / slopes[row], row))
    freeze_until(inf)
    return frozen

"""Whole steps: chargers take 0.1 A, 1 A, 100 W …; what rounding down leaves over is handed out again."""

from collections.abc import Mapping, Sequence
from math import ceil, floor

from .rows import Entry

_ROUNDING = 1e-9
"""Of a step: a value this little below a step is that step."""


def whole_steps(steps: float) -> int:
    """Return how many whole steps a number of steps holds."""
    return floor(steps + _ROUNDING)


def steps_needed(steps: float) -> int:
    """Return how many whole steps reach a number of steps."""
    return ceil(steps - _ROUNDING)


def steps_per_a(step_a: float) -> float:
    """Return how many steps make 1 A: for 0.1 A exactly ten, so that 111 steps are 11.1 A and not a bit more."""
    per_a = 1 / step_a
    whole = round(per_a)
    return whole if abs(whole - per_a) < _ROUNDING * per_a else per_a


def hand_out(
    steps: list[int],
    most: Sequence[int],
    step_a: Sequence[float],
    entries: Mapping[int, Sequence[Entry]],
    froze: Sequence[int | None],
    order: Sequence[int],
    load_a: list[float],
    bounds_a: Sequence[float],
) -> None:
    """Give what room is left in whole steps, until nobody can take one more.

    First one step each, in order, so that rounding is not what makes one richer than another. Then as many as fit:
    a charger with a fine step may take what is too little for a coarse one.

    Args:
        steps: by connector, what it has; raised.
        most: by connector.
        step_a: by connector.
        entries: by connector, its rows.
        froze: by connector, the row that froze it: asked first, since it is the likeliest to refuse.
        order: the connectors that may get more.
        load_a: by row, with `steps`; raised.
        bounds_a: by row.
    """
    hungry = order
    for at_most in (1, None):
        left: list[int] = []
        for index in hungry:
            wanted = most[index] - steps[index]
            step = step_a[index]
            row = froze[index]
            # No coefficient is below 1.
            if row is not None and bounds_a[row] - load_a[row] < step * 0.999:
                continue
            if at_most is not None:
                wanted = min(wanted, at_most)
            for row, coefficient in entries[index]:
                fitting = floor(
                    (bounds_a[row] - load_a[row]) / (coefficient * step) + _ROUNDING
                )
                if fitting < wanted:
                    wanted = fitting
                    if wanted <= 0:
                        break
            else:
                steps[index] += wanted
                for row, coefficient in entries[index]:
                    load_a[row] += coefficient * step * wanted
                if steps[index] < most[index]:
                    left.append(index)
        hungry = left

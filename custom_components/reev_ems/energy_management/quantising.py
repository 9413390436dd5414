"""Whole steps: chargers take 0.1 A, 1 A, 100 W …; what rounding down leaves over is handed out again."""

from collections.abc import Sequence
from math import ceil, floor
from typing import NamedTuple

from .bottlenecks import Bottlenecks

_ROUNDING = 1e-9
"""Share of a step: a value this little below a step is that step."""


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


def is_full(
    row: int, step_a: float, load_a: Sequence[float], bounds_a: Sequence[float]
) -> bool:
    """Return whether a row lacks the room for one step of a charger; no coefficient is below 1."""
    return bounds_a[row] - load_a[row] < step_a * 0.999


class Hungry(NamedTuple):
    """A connector that may get more."""

    number: int
    wanted: int
    """Steps to its maximum."""
    step_a: float
    signature: int
    froze: int | None
    """The row that froze it: asked first, since it is the likeliest to refuse."""


def hand_out(
    hungry: Sequence[Hungry],
    rows: Bottlenecks,
    load_a: list[float],
    bounds_a: Sequence[float],
) -> dict[int, int]:
    """Give what room is left in whole steps, until nobody can take one more.

    First one step each, in order, so that rounding is not what makes one richer than another. Then as many as fit:
    a charger with a fine step may take what is too little for a coarse one.

    Args:
        hungry: the connectors, in order.
        rows: those that can become full.
        load_a: by row, with what they have; raised.
        bounds_a: by row.

    Returns:
        By number, the steps that it gets.
    """
    given: dict[int, int] = {}
    for at_most in (1, None):
        left: list[Hungry] = []
        for connector in hungry:
            number, wanted, step_a, signature, froze = connector
            if froze is not None and is_full(froze, step_a, load_a, bounds_a):
                continue
            wanted -= given.get(number, 0)
            if at_most is not None:
                wanted = min(wanted, at_most)
            entries = rows.entries[signature]
            for row, coefficient in entries:
                fitting = floor(
                    (bounds_a[row] - load_a[row]) / (coefficient * step_a) + _ROUNDING
                )
                if fitting < wanted:
                    wanted = fitting
                    if wanted <= 0:
                        break
            else:
                given[number] = given.get(number, 0) + wanted
                for row, coefficient in entries:
                    load_a[row] += coefficient * step_a * wanted
                if given[number] < connector.wanted:
                    left.append(connector)
        hungry = left
    return given

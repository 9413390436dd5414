"""Piecewise linear curves over time: a house's base load, the sun."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of (seconds, values), joined by straight lines; held flat before the first and after the last.

    With `period_s` the curve starts again after that time; the last point then leads into the first.
    """

    points: tuple[tuple[float, tuple[float, ...]], ...]
    period_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            ValueError: no points, times that do not rise, rows of different length, or a period that is too short.
        """
        if not self.points:
            raise ValueError("a curve needs at least one point")
        times = [at_s for at_s, _ in self.points]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("the times of a curve must rise")
        if len({len(values) for _, values in self.points}) > 1:
            raise ValueError(
                "all points of a curve must have the same number of values"
            )
        if self.period_s is not None and self.period_s < times[-1]:
            raise ValueError(
                "the period of a curve must not be shorter than its last time"
            )

    def at(self, at_s: float) -> tuple[float, ...]:
        """Return the values at a time."""
        points: Sequence[tuple[float, tuple[float, ...]]] = self.points
        if self.period_s is not None:
            at_s %= self.period_s
            first_s, first = points[0]
            points = (*points, (first_s + self.period_s, first))
        index = bisect_right(points, at_s, key=lambda point: point[0])
        if index == 0:
            return points[0][1]
        if index == len(points):
            return points[-1][1]
        (from_s, before), (to_s, after) = points[index - 1 : index + 1]
        share = (at_s - from_s) / (to_s - from_s)
        return tuple(
            low + (high - low) * share for low, high in zip(before, after, strict=True)
        )

"""Loads as vectors: A on L1, L2 and L3, then the power of all in W, at the AC side."""

from collections.abc import Iterable, Sequence

type Vector = tuple[float, float, float, float]

type PartVector = tuple[float | None, float | None, float | None, float | None]
"""The same where a part may be unknown."""

NOTHING: Vector = (0.0, 0.0, 0.0, 0.0)
UNKNOWN: PartVector = (None, None, None, None)


def most(first: Vector, second: Vector) -> Vector:
    """Return the larger of each part."""
    a1, a2, a3, a4 = first
    b1, b2, b3, b4 = second
    return (
        max(b1, a1),
        max(b2, a2),
        max(b3, a3),
        max(b4, a4),
    )


def least(first: Vector, second: Vector) -> Vector:
    """Return the smaller of each part."""
    a1, a2, a3, a4 = first
    b1, b2, b3, b4 = second
    return (
        min(b1, a1),
        min(b2, a2),
        min(b3, a3),
        min(b4, a4),
    )


def beyond(load: Vector, booked: Vector) -> Vector:
    """Return what a load takes beyond what is booked already."""
    return (
        max(0.0, load[0] - booked[0]),
        max(0.0, load[1] - booked[1]),
        max(0.0, load[2] - booked[2]),
        max(0.0, load[3] - booked[3]),
    )


def plus(first: Vector, second: Sequence[float]) -> Vector:
    """Return the sum of two loads."""
    return (
        first[0] + second[0],
        first[1] + second[1],
        first[2] + second[2],
        first[3] + second[3],
    )


def summed(loads: Iterable[Sequence[float]]) -> list[float]:
    """Return the sum of loads, part by part; of none it is of one Vector."""
    return [*map(sum, zip(*loads, strict=True))] or [*NOTHING]


def add(total: list[float], load: Sequence[float]) -> None:
    """Add a load."""
    total[0] += load[0]
    total[1] += load[1]
    total[2] += load[2]
    total[3] += load[3]


def less(reading: PartVector, loads: Sequence[float]) -> PartVector:
    """Return a reading without loads; what is unknown stays so."""
    l1, l2, l3, power_w = reading
    return (
        None if l1 is None else l1 - loads[0],
        None if l2 is None else l2 - loads[1],
        None if l3 is None else l3 - loads[2],
        None if power_w is None else power_w - loads[3],
    )


def smaller(one: float | None, other: float | None) -> float | None:
    """Return the smaller of two numbers, of one that is unknown the other."""
    return other if one is None or (other is not None and other < one) else one


def larger(one: float | None, other: float | None) -> float | None:
    """Return the larger of two numbers, of one that is unknown the other."""
    return other if one is None or (other is not None and other > one) else one

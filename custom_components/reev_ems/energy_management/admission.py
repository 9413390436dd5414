"""The connectors that may charge at all: first fit at the minimum current.

First fit in order starts at least 98 % of the connectors that an optimal choice could start, and unlike that choice
it can be explained: whoever is paused lacked room in one row for which others were before him.

Where nothing else decides, whoever needs least of what is scarce goes first: a row counts by how far its members'
minimums exceed it, one that they all fit into does not count.
"""

from collections.abc import Sequence

from .case import Demand

type Claim = tuple[bool, bool, int, bool, float, float, float]

_ROUNDING_A = 1e-9

_LEAST_A = 1e-6
"""A row with no more room than this admits nobody, its scarcity is no matter."""


def claim(demand: Demand, scarce: float) -> Claim:
    """Return the demand's claim to be admitted; the smallest comes first.

    Inside its minimum on-time, a car that wants it, higher class, paused often, least served, first come, least needed
    of what is scarce.

    Args:
        demand: of the connector.
        scarce: its minimum in each row, times the row's scarcity.
    """
    return (
        not demand.inside_min_on,
        not demand.wants,
        -demand.priority,
        not demand.protected,
        demand.served_wh,
        demand.arrived_s,
        scarce,
    )


def scarcity(least_a: float, bound_a: float) -> float:
    """Return how far all minimums exceed a row, as a part of its bound; 0: they fit."""
    return max(0.0, least_a - bound_a) / max(bound_a, _LEAST_A)


def lacking_row(
    entries: Sequence[tuple[int, float]],
    minimum_a: float,
    load_a: Sequence[float],
    bounds_a: Sequence[float],
) -> int | None:
    """Return the first row that lacks the room for a minimum, or None if it fits."""
    for row, coefficient in entries:
        if load_a[row] + coefficient * minimum_a > bounds_a[row] + _ROUNDING_A:
            return row
    return None

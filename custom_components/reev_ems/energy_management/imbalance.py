"""The phase imbalance limit as packing rows, one for each ordered pair of phases (p, q).

The rule |I_p − I_q| ≤ limit is not a packing row: current on q helps p. It becomes one when the help is held at what
the cars on q *really draw*:

    Σ x of those on p, not q  ≤  limit − margin − (U_p − U_q) + Σ min(measured, permitted) of those on q, not p

with U the current at the grid connection without the connectors. So room is handed out only once it is physically
there, and a car that loads both phases, a three-phase car above all, is in no row of theirs. A connector with unknown
phases may be on p alone, for every p (S2), and helps nobody.
"""

from collections.abc import Mapping
from functools import cache

from .case import Case
from .model import PHASES, ChargingMode, Supply

PAIRS: tuple[tuple[int, int], ...] = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
"""Places of p and q in a PerPhase value."""

NAMES = tuple(f"{PHASES[p]} over {PHASES[q]}" for p, q in PAIRS)


@cache
def pairs_loaded(
    loaded: tuple[int, ...], phase_count: int, *, unknown: bool
) -> tuple[int, ...]:
    """Return the pairs (p, q), by their place in PAIRS, of which a connector can load p without q.

    Args:
        loaded: places of the phases that it may load.
        phase_count: how many of them it uses.
        unknown: whether it may be on any of them.
    """
    if phase_count == 3:
        return ()
    return tuple(
        index
        for index, (p, q) in enumerate(PAIRS)
        if p in loaded and (unknown or q not in loaded)
    )


def supports(case: Case) -> dict[str, float]:
    """Return what each connector on one or two known phases really draws, in A, at most its maximum.

    On two phases the smaller counts. What is not measured (S2) or about to stop supports nobody.
    """
    found: dict[str, float] = {}
    for demand in case.demands:
        measured_a, phases, connector = (
            demand.measured_a,
            demand.phases,
            demand.connector,
        )
        if (
            measured_a is None
            or phases is None
            or len(phases) == 3
            or connector.supply is Supply.DC
            or connector.mode is ChargingMode.OFF
        ):
            continue
        drawn = [measured_a[PHASES.index(phase)] for phase in phases]
        known = [current_a for current_a in drawn if current_a is not None]
        if len(known) == len(drawn):
            found[connector.id] = max(0.0, min(*known, demand.max_a))
    return found


def bounds_a(case: Case, support_a: Mapping[str, float]) -> tuple[float, ...] | None:
    """Return the bound of each pair's row, in the order of PAIRS; None: there is no imbalance limit.

    Args:
        case: the moment of the site.
        support_a: by connector, the current per phase that others may rely on.
    """
    limit, base_a = case.site.imbalance, case.imbalance_base_a
    if limit is None or base_a is None:
        return None
    helped_a = [0.0] * len(PAIRS)
    supporters = (
        {
            demand.connector.id: demand.phases
            for demand in case.demands
            if demand.connector.id in support_a
        }
        if support_a
        else {}
    )
    for name in sorted(supporters):
        phases = supporters[name] or ()
        places = [PHASES.index(phase) for phase in phases]
        for index, (p, q) in enumerate(PAIRS):
            if q in places and p not in places:
                helped_a[index] += support_a[name]
    return tuple(
        limit.limit_a
        - case.site.margin_a
        - (base_a[p] - base_a[q])
        + helped
        + case.imbalance_relief_a.get(name, 0.0)
        for (p, q), helped, name in zip(PAIRS, helped_a, NAMES, strict=True)
    )

"""The phase imbalance limit as packing rows, one for each ordered pair of phases (p, q).

The rule |I_p − I_q| ≤ limit is not a packing row: current on q helps p. It becomes one when the help is held at what
the cars on q *really draw*:

    Σ x of those on p, not q  ≤  limit − margin − (U_p − U_q) + Σ min(measured, permitted) of those on q, not p

with U the current at the grid connection without the connectors. So room is handed out only once it is physically
there, and a car that loads both phases, a three-phase car above all, is in no row of theirs. A connector with unknown
phases may be on p alone, for every p (S2), and helps nobody.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from math import fsum

from .case import Case
from .model import PHASES, ChargingMode, Phase, Supply

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
        measured_a, phases = demand.measured_a, demand.phases
        if measured_a is None or phases is None or len(phases) == 3:
            continue
        connector, drawn_a = demand.connector, demand.max_a
        if connector.supply is Supply.DC or connector.mode is ChargingMode.OFF:
            continue
        for phase in phases:
            current_a = measured_a[PHASES.index(phase)]
            if current_a is None:
                break
            drawn_a = min(drawn_a, current_a)
        else:
            found[connector.id] = max(0.0, drawn_a)
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
    relied_a: defaultdict[tuple[Phase, ...], list[float]] = defaultdict(list)
    for demand in case.demands if support_a else ():
        if demand.phases and (given_a := support_a.get(demand.connector.id)):
            relied_a[demand.phases].append(given_a)
    # The same in any order of the demands.
    for phases in sorted(relied_a):
        together_a = fsum(relied_a[phases])
        for index, (p, q) in enumerate(PAIRS):
            if PHASES[q] in phases and PHASES[p] not in phases:
                helped_a[index] += together_a
    low_a = case.imbalance_low_a or base_a
    return tuple(
        limit.limit_a
        - case.site.margin_a
        - (base_a[p] - low_a[q])
        + helped
        + case.imbalance_relief_a.get(name, 0.0)
        for (p, q), helped, name in zip(PAIRS, helped_a, NAMES, strict=True)
    )

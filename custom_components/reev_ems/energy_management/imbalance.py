"""The phase imbalance limit as packing rows, one for each ordered pair of phases (p, q).

The rule |I_p − I_q| ≤ limit is not a packing row: current on q helps p. It becomes one when the help is held at what
the cars on q *really draw*:

    Σ x of those on p, not q  ≤  limit − margin − (U_p − U_q) + Σ min(measured, permitted) of those on q, not p

with U the current at the grid connection without the connectors. So room is handed out only once it is physically
there, and a car that loads both phases, a three-phase car above all, is in no row of theirs. A connector with unknown
phases may be on p alone, for every p (S2), and helps nobody.
"""

from collections.abc import Mapping

from .case import Case, Demand
from .model import PHASES, ChargingMode, Phase

PAIRS: tuple[tuple[Phase, Phase], ...] = tuple(
    (p, q) for p in PHASES for q in PHASES if p is not q
)


def loads_only(demand: Demand, p: Phase, q: Phase) -> bool:
    """Return whether the demand can load p without q."""
    if demand.phase_count == 3:
        return False
    if demand.phases is None:
        return True
    return p in demand.phases and q not in demand.phases


def supports(case: Case) -> dict[str, float]:
    """Return what each connector on one or two known phases really draws, in A, at most its maximum.

    On two phases the smaller counts. What is not measured (S2) or about to stop supports nobody.
    """
    found: dict[str, float] = {}
    for demand in case.demands:
        if (
            demand.phases is None
            or demand.phase_count == 3
            or demand.measured_a is None
            or demand.connector.mode is ChargingMode.OFF
        ):
            continue
        drawn = [demand.measured_a[PHASES.index(phase)] for phase in demand.phases]
        known = [current_a for current_a in drawn if current_a is not None]
        if len(known) == len(drawn):
            found[demand.connector.id] = max(0.0, min(*known, demand.max_a))
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
    on_phase = dict(zip(PHASES, base_a, strict=True))
    helped = dict.fromkeys(PAIRS, 0.0)
    for demand in sorted(case.demands, key=lambda demand: demand.connector.id):
        if current_a := support_a.get(demand.connector.id, 0.0):
            for p, q in PAIRS:
                if loads_only(demand, q, p):
                    helped[p, q] += current_a
    return tuple(
        limit.limit_a - case.site.margin_a - (on_phase[p] - on_phase[q]) + helped[p, q]
        for p, q in PAIRS
    )

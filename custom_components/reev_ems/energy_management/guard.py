"""The last step before anything leaves: it may only lower (S10).

Whatever was calculated before, here every row is written down and added up once more, straight from the case and
without the allocation's code. While one does not hold, the permits are lowered: first what is above the minimums, in
proportion; where not even the minimums fit, whoever was admitted last is paused. A permit is never raised, and one that
is not a current that its connector can have (NaN, below its minimum, for an unknown connector) becomes a pause.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, permutations
from math import ceil, isfinite, sumprod
from types import MappingProxyType

from .case import Case, Demand, PhaseCount
from .decision import Limit, LimitKind
from .frozen import replace
from .model import PHASES, PerPhase, Phase

_TOLERANCE_A = 1e-6
"""Rounding that is no violation."""

_ROUNDS = 20
"""Lowering one row may narrow another under the imbalance limit; after so many rounds the guard only pauses."""

type _Currents = Mapping[str, float]
"""By connector, in A per phase."""

_NOBODY: _Currents = MappingProxyType({})
_NOTHING: PerPhase = (0.0, 0.0, 0.0)

type _Members = dict[str, tuple[tuple[Phase, ...], float]]
"""By connector, the phases that it may load, and how many of them at once."""


@dataclass(slots=True)
class _Row:
    """Σ coefficient·(current − free) ≤ bound + Σ min(draw, current) of the supporters."""

    limit: Limit
    bound_a: float
    coefficients: Mapping[str, float]
    free_a: _Currents = _NOBODY
    """What of a connector's current does not count: the minimum in `solar_min`."""
    support_a: _Currents = _NOBODY

    def excess_a(self, permits_a: _Currents) -> float:
        """Return how much of the permits has to go; nothing if none counts here, however small the bound."""
        members, free_a = self.coefficients, self.free_a
        counted_a = [permits_a[name] for name in members]
        if free_a:
            counted_a = [max(0.0, permits_a[n] - free_a.get(n, 0.0)) for n in members]
        load_a = sumprod(members.values(), counted_a)
        support_a = [min(draw, permits_a[n]) for n, draw in self.support_a.items()]
        room_a = self.bound_a + sum(support_a)
        # A bound that is no number is no room (S2).
        return min(load_a, load_a - room_a) if isfinite(room_a) else load_a


def guard(
    case: Case,
    permits_a: _Currents,
    order: Sequence[str],
    phase_counts: Mapping[str, PhaseCount] | None = None,
) -> dict[str, tuple[float, Limit | None]]:
    """Lower permits until every row of the case holds.

    Args:
        case: the moment of the site.
        permits_a: by connector, in A per phase used (DC: AC side), 0: paused. Demands without one are paused.
        order: connectors in the order of admission; pausing begins at its end, with those that are not in it.
        phase_counts: for connectors that can switch, on how many phases the permit is to be used.

    Returns:
        By connector, the permit and the row that lowered it last, None if it was not lowered.
    """
    demands = {demand.connector.id: demand for demand in case.demands}
    for name, phase_count in (phase_counts or {}).items():
        if phase_count == 1 and name in demands and demands[name].may_use_one_phase:
            demands[name] = demands[name].on_one_phase()
    lowered_by: dict[str, Limit | None] = dict.fromkeys((*demands, *permits_a))
    safe_a: dict[str, float] = {}
    for name in lowered_by:
        asked_a = permits_a.get(name, 0.0)
        safe_a[name] = _possible_a(demands.get(name), asked_a)
        if safe_a[name] != asked_a:
            lowered_by[name] = Limit(kind=LimitKind.GUARD)
    rows = list(_rows(case, demands))
    rank = {name: place for place, name in enumerate(order)}
    for turn in count():
        full = [row for row in rows if row.excess_a(safe_a) > _TOLERANCE_A]
        if not full:
            break
        last_first = sorted(
            demands, key=lambda name: (rank.get(name, len(rank)), name), reverse=True
        )
        # Where nothing is above the minimums, what is left is to pause.
        minimums_a = safe_a if turn >= _ROUNDS else _minimums_a(case, demands)
        for row in full:
            for name, permit_a in _lowered(row, safe_a, minimums_a, last_first).items():
                if permit_a < safe_a[name]:
                    safe_a[name], lowered_by[name] = permit_a, row.limit
    return {name: (safe_a[name], lowered_by[name]) for name in lowered_by}


def _possible_a(demand: Demand | None, asked_a: float) -> float:
    """Return the current asked for as far as the connector can have it."""
    if demand is None or not asked_a > 0:
        return 0.0
    if asked_a < demand.min_a - _TOLERANCE_A or demand.max_a < demand.min_a:
        return 0.0
    return asked_a if asked_a <= demand.max_a + _TOLERANCE_A else demand.max_a


def _minimums_a(case: Case, demands: Mapping[str, Demand]) -> dict[str, float]:
    """Return the least that each connector can have: its minimum in whole steps of its charger."""
    steps_a = {name: item.step_a(case.site.voltage_v) for name, item in demands.items()}
    return {
        name: ceil(demands[name].min_a / step_a - 1e-9) * step_a
        for name, step_a in steps_a.items()
    }


def _lowered(
    row: _Row, permits_a: _Currents, minimums_a: _Currents, last_first: Sequence[str]
) -> dict[str, float]:
    """Return permits with which a row holds: the last pause until the minimums fit, the rest goes in proportion."""
    lowered_a = dict(permits_a)
    least_a = lowered_a | {
        name: min(lowered_a[name], minimums_a[name]) for name in row.coefficients
    }
    for name in last_first:
        if row.excess_a(least_a) <= _TOLERANCE_A:
            break
        if name in row.coefficients:
            lowered_a[name] = least_a[name] = 0.0
    excess_a = row.excess_a(lowered_a)
    if excess_a > _TOLERANCE_A:
        kept = max(0.0, 1 - excess_a / (excess_a - row.excess_a(least_a)))
        for name in row.coefficients:
            lowered_a[name] = least_a[name] + (lowered_a[name] - least_a[name]) * kept
    return lowered_a


def _rows(case: Case, demands: Mapping[str, Demand]) -> Iterator[_Row]:
    """Write down every row of the case."""
    site, voltage_v = case.site, case.site.voltage_v
    parents = {circuit.id: circuit.parent for circuit in site.circuits}
    below: dict[str, _Members] = {name: {} for name in parents}
    everybody: _Members = {}
    for name, demand in demands.items():
        phase_count = demand.phase_count
        # A connector on unknown phases is on each (S2).
        phases = PHASES if phase_count == 3 or not demand.phases else demand.phases
        everybody[name] = (phases, float(phase_count))
        here: str | None = demand.connector.circuit
        while here is not None and name not in below[here]:
            below[here][name] = everybody[name]
            here = parents[here]
    for circuit in site.circuits:
        name = circuit.id
        base_a = case.base_a.get(name) or circuit.reserve_a
        reserved_a = case.reservations_a.get(name, _NOTHING)
        borne_a = case.relief_a.get(name, _NOTHING)
        if circuit.limit_a is not None:
            rooms_a = [
                limit_a - site.margin_a - base - reserved + borne
                for limit_a, base, reserved, borne in zip(
                    circuit.limit_a, base_a, reserved_a, borne_a, strict=True
                )
            ]
            limit = Limit(kind=LimitKind.CIRCUIT_PHASE, circuit=name)
            yield from _per_phase(limit, rooms_a, below[name])
        if circuit.limit_w is not None:
            base_w = case.base_w.get(name)
            base_w = sum(base_a) * voltage_v if base_w is None else base_w
            room_a = (circuit.limit_w - base_w) / voltage_v - sum(reserved_a)
            limit = Limit(kind=LimitKind.CIRCUIT_POWER, circuit=name)
            yield _in_all(limit, room_a, below[name])
    for group in site.user_groups:
        limit = Limit(kind=LimitKind.USER_GROUP, group=group.id)
        mine = {n: everybody[n] for n, d in demands.items() if group.id in d.groups}
        reserved_a = case.group_reservations_a.get(group.id, _NOTHING)
        if group.limit_a is not None:
            rooms_a = [
                limit_a - site.margin_a - reserved
                for limit_a, reserved in zip(group.limit_a, reserved_a, strict=True)
            ]
            yield from _per_phase(limit, rooms_a, mine)
        if group.limit_w is not None:
            yield _in_all(limit, group.limit_w / voltage_v - sum(reserved_a), mine)
    if case.external_limit_w is not None:
        limit = Limit(kind=LimitKind.EXTERNAL_LIMIT)
        yield _in_all(limit, case.external_limit_w / voltage_v, everybody)
    for budget in sorted({name for d in demands.values() for name in d.pv_budgets}):
        limit = Limit(kind=LimitKind.PV_SURPLUS, circuit=budget or None)
        sunny = {
            name: demand
            for name, demand in demands.items()
            if budget in demand.pv_budgets and (demand.solar or demand.solar_above_min)
        }
        mine = {name: everybody[name] for name in sunny}
        free_a = _minimums_a(case, {n: d for n, d in sunny.items() if not d.solar})
        room_a = max(0.0, case.surplus_w.get(budget, 0.0)) / voltage_v
        yield _in_all(limit, room_a, mine, free_a)
        if budget in case.surplus_a:
            rooms_a = [max(0.0, surplus_a) for surplus_a in case.surplus_a[budget]]
            yield from _per_phase(limit, rooms_a, mine, free_a)
    if site.imbalance is not None and case.imbalance_base_a is not None:
        partial = {n: d for n, d in demands.items() if d.phase_count < 3}
        for p, q in permutations(
            zip(
                PHASES,
                case.imbalance_base_a,
                case.imbalance_low_a or case.imbalance_base_a,
                strict=True,
            ),
            2,
        ):
            limit = Limit(kind=LimitKind.IMBALANCE, phase=f"{p[0]} over {q[0]}")
            room_a = site.imbalance.limit_a - site.margin_a - (p[1] - q[2])
            room_a += case.imbalance_relief_a.get(f"{p[0]} over {q[0]}", 0.0)
            yield _imbalance_row(limit, room_a, p[0], q[0], partial)


def _per_phase(
    limit: Limit,
    rooms_a: Sequence[float],
    members: _Members,
    free_a: _Currents = _NOBODY,
) -> Iterator[_Row]:
    """Write down a limit's rows of L1, L2 and L3."""
    for phase, room_a in zip(PHASES, rooms_a, strict=True):
        on = {name: 1.0 for name, (phases, _) in members.items() if phase in phases}
        yield _Row(replace(limit, phase=phase), room_a, on, free_a)


def _in_all(
    limit: Limit, room_a: float, members: _Members, free_a: _Currents = _NOBODY
) -> _Row:
    """Write down a power row, in which the phases that each uses at once count."""
    return _Row(limit, room_a, {name: n for name, (_, n) in members.items()}, free_a)


def _imbalance_row(
    limit: Limit, room_a: float, p: Phase, q: Phase, partial: Mapping[str, Demand]
) -> _Row:
    """Write down what one phase may carry beyond another; unknown phases may be p without q (S2)."""
    skews: dict[str, float] = {}
    helps: dict[str, float] = {}
    for name, demand in partial.items():
        if (on := demand.phases) is None or (p in on and q not in on):
            skews[name] = 1.0
        elif q in on and p not in on and demand.measured_a is not None:
            drawn_a = [demand.measured_a[PHASES.index(phase)] for phase in on]
            # An unknown one is none that others could rely on (S2).
            helps[name] = max(0.0, min([current_a or 0.0 for current_a in drawn_a]))
    return _Row(limit, room_a, skews, support_a=helps)

"""The last step before anything leaves: it may only lower (S10).

Whatever was calculated before, here every row is added up once more, straight from the case and without the
allocation's code. If one does not hold, all are written down, and the permits are lowered until they do: first what is
above the minimums, in proportion; where not even the minimums fit, whoever was admitted last is paused. A permit is
never raised, and one that is not a current that its connector can have (NaN, below its minimum, for an unknown
connector) becomes a pause.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import ceil, isfinite, sumprod

from .case import Case, Demand, PhaseCount
from .decision import Limit, LimitKind
from .model import PHASES, Circuit, Phase

_TOLERANCE_A = 1e-6
"""Rounding that is no violation."""

_ANY = (0, 1, 2)
_ALL = 3
"""The place of all phases together, after those of L1, L2 and L3."""

_ROUNDS = 20
"""Lowering one row may narrow another under the imbalance limit; after so many rounds the guard only pauses."""


@dataclass(frozen=True, slots=True)
class _Row:
    """Σ coefficient·(current − free) ≤ bound + Σ min(draw, current) of the supporters."""

    limit: Limit
    bound_a: float
    coefficients: Mapping[str, float]
    free_a: Mapping[str, float] = field(default_factory=dict)
    """What of a connector's current does not count: the minimum in `solar_min`."""
    support_a: Mapping[str, float] = field(default_factory=dict)

    def excess_a(self, permits_a: Mapping[str, float]) -> float:
        """Return how much of the permits has to go; nothing if none counts here, however small the bound."""
        if self.free_a:
            load_a = sum(
                coefficient * max(0.0, permits_a[name] - self.free_a.get(name, 0.0))
                for name, coefficient in self.coefficients.items()
            )
        else:
            load_a = sumprod(
                self.coefficients.values(),
                [permits_a[name] for name in self.coefficients],
            )
        room_a = self.bound_a + sum(
            min(draw_a, permits_a[name]) for name, draw_a in self.support_a.items()
        )
        return _excess_a(load_a, room_a)


def _excess_a(load_a: float, room_a: float) -> float:
    # A bound that is no number is no room (S2).
    return min(load_a, load_a - room_a) if isfinite(room_a) else load_a


def guard(
    case: Case,
    permits_a: Mapping[str, float],
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
    for name, count in (phase_counts or {}).items():
        if count == 1 and name in demands and demands[name].may_use_one_phase:
            demands[name] = demands[name].on_one_phase()
    lowered_by: dict[str, Limit | None] = dict.fromkeys((*demands, *permits_a))
    safe_a: dict[str, float] = {}
    for name in lowered_by:
        asked_a = permits_a.get(name, 0.0)
        safe_a[name] = _possible_a(demands.get(name), asked_a)
        if safe_a[name] != asked_a:
            lowered_by[name] = Limit(kind=LimitKind.GUARD)
    if _all_hold(case, demands, safe_a):
        return {name: (safe_a[name], lowered_by[name]) for name in lowered_by}
    rows = _rows(case, demands)
    rank = {name: place for place, name in enumerate(order)}
    last_first = sorted(
        demands, key=lambda name: (rank.get(name, len(rank)), name), reverse=True
    )
    least_a = {
        name: _least_a(demand, case.site.voltage_v) for name, demand in demands.items()
    }

    def too_full(row: _Row) -> bool:
        return row.excess_a(safe_a) > _TOLERANCE_A

    def too_full_at_minimum(row: _Row) -> bool:
        return row.excess_a(_at_minimum(row, least_a, safe_a)) > _TOLERANCE_A

    def lower(name: str, to_a: float, row: _Row) -> None:
        if to_a < safe_a[name]:
            safe_a[name], lowered_by[name] = to_a, row.limit

    def pause_while(still: Callable[[_Row], bool], row: _Row) -> None:
        for name in last_first:
            if not still(row):
                return
            if name in row.coefficients:
                lower(name, 0.0, row)

    for _ in range(_ROUNDS):
        all_hold = True
        for row in filter(too_full, rows):
            all_hold = False
            pause_while(too_full_at_minimum, row)
            at_minimum_a = _at_minimum(row, least_a, safe_a)
            excess_a = row.excess_a(safe_a)
            above_a = excess_a - row.excess_a(at_minimum_a)
            if excess_a > _TOLERANCE_A:
                kept = max(0.0, 1 - excess_a / above_a)
                for name in row.coefficients:
                    at_least_a = at_minimum_a[name]
                    lower(name, at_least_a + (safe_a[name] - at_least_a) * kept, row)
        if all_hold:
            break
    else:
        while any(map(too_full, rows)):
            for row in filter(too_full, rows):
                pause_while(too_full, row)
    return {name: (safe_a[name], lowered_by[name]) for name in lowered_by}


def _possible_a(demand: Demand | None, asked_a: float) -> float:
    """Return the current asked for as far as the connector can have it."""
    if demand is None or not asked_a > 0:
        return 0.0
    if asked_a < demand.min_a - _TOLERANCE_A or demand.max_a < demand.min_a:
        return 0.0
    return asked_a if asked_a <= demand.max_a + _TOLERANCE_A else demand.max_a


def _at_minimum(
    row: _Row, least_a: Mapping[str, float], permits_a: Mapping[str, float]
) -> dict[str, float]:
    """Return the permits with the row's members at their minimums."""
    return {
        name: min(permit_a, least_a[name]) if name in row.coefficients else permit_a
        for name, permit_a in permits_a.items()
    }


def _all_hold(
    case: Case, demands: Mapping[str, Demand], permits_a: Mapping[str, float]
) -> bool:
    """Return whether every row of the case holds. Most do always, and adding up is faster than writing down."""
    if any(
        row.excess_a(permits_a) > _TOLERANCE_A
        for row in _group_rows(case, demands) + _pv_rows(case, demands)
    ):
        return False
    pairs = _pair_rooms_a(case)
    own_a = {circuit.id: [0.0] * 4 for circuit in case.site.circuits}
    skewed_a: defaultdict[tuple[Phase, ...] | None, list[float]] = defaultdict(
        lambda: [0.0, 0.0]
    )
    for name, demand in demands.items():
        permit_a, phases, count = permits_a[name], demand.phases, demand.phase_count
        mine = own_a[demand.connector.circuit]
        mine[_ALL] += count * permit_a
        for place in _ANY if phases is None or count == 3 else _places(phases):
            mine[place] += permit_a
        if pairs and count < 3:
            skewed = skewed_a[phases]
            skewed[0] += permit_a
            skewed[1] += min(_draw_a(demand), permit_a)
    carried_a = {name: [0.0] * 4 for name in own_a}
    total_a = 0.0
    for name, path in _paths(case.site.circuits).items():
        total_a += own_a[name][_ALL]
        for circuit in path:
            for place, load_a in enumerate(own_a[name]):
                carried_a[circuit][place] += load_a
    if case.external_limit_w is not None:
        room_a = case.external_limit_w / case.site.voltage_v
        if _excess_a(total_a, room_a) > _TOLERANCE_A:
            return False
    return all(
        _excess_a(carried_a[circuit.id][place], room_a) <= _TOLERANCE_A
        for circuit in case.site.circuits
        for place, room_a in _rooms_a(case, circuit).items()
    ) and all(
        _excess_a(
            sum([load_a for on, (load_a, _) in skewed_a.items() if _skews(on, p, q)]),
            room_a
            + sum([help_a for on, (_, help_a) in skewed_a.items() if _helps(on, p, q)]),
        )
        <= _TOLERANCE_A
        for p, q, room_a in pairs
    )


def _rows(case: Case, demands: Mapping[str, Demand]) -> list[_Row]:
    """Write down every row of the case."""
    below = _below(_paths(case.site.circuits), demands)
    rows: list[_Row] = []
    for circuit in case.site.circuits:
        name = circuit.id
        members = {member: demands[member] for member in below[name]}
        for place, room_a in _rooms_a(case, circuit).items():
            if place == _ALL:
                limit = Limit(kind=LimitKind.CIRCUIT_POWER, circuit=name)
                rows.append(_Row(limit, room_a, _all_phases(members)))
            else:
                phase = PHASES[place]
                limit = Limit(kind=LimitKind.CIRCUIT_PHASE, circuit=name, phase=phase)
                rows.append(_Row(limit, room_a, _on(phase, members)))
    if case.external_limit_w is not None:
        rows.append(
            _Row(
                Limit(kind=LimitKind.EXTERNAL_LIMIT),
                case.external_limit_w / case.site.voltage_v,
                _all_phases(demands),
            )
        )
    rows += _group_rows(case, demands)
    return rows + _pv_rows(case, demands) + _imbalance_rows(case, demands)


def _on(phase: Phase, members: Mapping[str, Demand]) -> dict[str, float]:
    """Return the coefficients of a row of one phase; who is on unknown phases is on each (S2)."""
    return {
        name: 1.0
        for name, demand in members.items()
        if demand.phases is None or demand.phase_count == 3 or phase in demand.phases
    }


def _all_phases(members: Mapping[str, Demand]) -> dict[str, float]:
    """Return the coefficients of a power row: the phases that each uses at once."""
    return {name: float(demand.phase_count) for name, demand in members.items()}


def _rooms_a(case: Case, circuit: Circuit) -> dict[int, float]:
    """Return what the demands may load a circuit with: by phase 0 to 2, and on all phases together."""
    rooms_a: dict[int, float] = {}
    base_a = case.base_a.get(circuit.id) or circuit.reserve_a
    reserved_a = case.reservations_a.get(circuit.id, (0.0, 0.0, 0.0))
    if circuit.limit_a is not None:
        relief_a = case.relief_a.get(circuit.id, (0.0, 0.0, 0.0))
        for place, (limit_a, base, reserved, relief) in enumerate(
            zip(circuit.limit_a, base_a, reserved_a, relief_a, strict=True)
        ):
            rooms_a[place] = limit_a - case.site.margin_a - base - reserved + relief
    if circuit.limit_w is not None:
        voltage_v, base_w = case.site.voltage_v, case.base_w.get(circuit.id)
        if base_w is None:
            base_w = sum(base_a) * voltage_v
        rooms_a[_ALL] = (circuit.limit_w - base_w) / voltage_v - sum(reserved_a)
    return rooms_a


def _group_rows(case: Case, demands: Mapping[str, Demand]) -> list[_Row]:
    rows: list[_Row] = []
    for group in case.site.user_groups:
        members = {
            name: demand
            for name, demand in demands.items()
            if group.id in demand.groups
        }
        reserved_a = case.group_reservations_a.get(group.id, (0.0, 0.0, 0.0))
        if group.limit_a is not None:
            rows += [
                _Row(
                    Limit(kind=LimitKind.USER_GROUP, group=group.id, phase=phase),
                    limit_a - case.site.margin_a - reserved,
                    _on(phase, members),
                )
                for phase, limit_a, reserved in zip(
                    PHASES, group.limit_a, reserved_a, strict=True
                )
            ]
        if group.limit_w is not None:
            rows.append(
                _Row(
                    Limit(kind=LimitKind.USER_GROUP, group=group.id),
                    group.limit_w / case.site.voltage_v - sum(reserved_a),
                    _all_phases(members),
                )
            )
    return rows


def _pv_rows(case: Case, demands: Mapping[str, Demand]) -> list[_Row]:
    rows: list[_Row] = []
    for budget in sorted({name for d in demands.values() for name in d.pv_budgets}):
        members = {
            name: demand
            for name, demand in demands.items()
            if budget in demand.pv_budgets and (demand.solar or demand.solar_above_min)
        }
        free_a = {
            name: _least_a(demand, case.site.voltage_v)
            for name, demand in members.items()
            if not demand.solar
        }
        rows.append(
            _Row(
                Limit(kind=LimitKind.PV_SURPLUS, circuit=budget or None),
                max(0.0, case.surplus_w.get(budget, 0.0)) / case.site.voltage_v,
                _all_phases(members),
                free_a,
            )
        )
        if budget in case.surplus_a:
            rows += [
                _Row(
                    Limit(
                        kind=LimitKind.PV_SURPLUS, circuit=budget or None, phase=phase
                    ),
                    max(0.0, surplus_a),
                    _on(phase, members),
                    free_a,
                )
                for phase, surplus_a in zip(PHASES, case.surplus_a[budget], strict=True)
            ]
    return rows


def _imbalance_rows(case: Case, demands: Mapping[str, Demand]) -> list[_Row]:
    partial = {
        name: demand for name, demand in demands.items() if demand.phase_count < 3
    }
    return [
        _Row(
            Limit(kind=LimitKind.IMBALANCE, phase=f"{p} over {q}"),
            room_a,
            {
                name: 1.0
                for name, demand in partial.items()
                if _skews(demand.phases, p, q)
            },
            support_a={
                name: _draw_a(demand)
                for name, demand in partial.items()
                if _helps(demand.phases, p, q)
            },
        )
        for p, q, room_a in _pair_rooms_a(case)
    ]


def _pair_rooms_a(case: Case) -> list[tuple[Phase, Phase, float]]:
    """Return for each pair of phases what the first may be loaded with over the second."""
    limit, base_a = case.site.imbalance, case.imbalance_base_a
    if limit is None or base_a is None:
        return []
    return [
        (
            p,
            q,
            limit.limit_a
            - case.site.margin_a
            - (on_p - low_q)
            + case.imbalance_relief_a.get(f"{p} over {q}", 0.0),
        )
        for p, on_p in zip(PHASES, base_a, strict=True)
        for q, low_q in zip(PHASES, case.imbalance_low_a or base_a, strict=True)
        if p is not q
    ]


def _skews(phases: tuple[Phase, ...] | None, p: Phase, q: Phase) -> bool:
    """Return whether who is on some phases may load p without q; unknown phases may be any (S2)."""
    return phases is None or (p in phases and q not in phases)


def _helps(phases: tuple[Phase, ...] | None, p: Phase, q: Phase) -> bool:
    """Return whether who is on some phases loads q without p."""
    return phases is not None and q in phases and p not in phases


def _draw_a(demand: Demand) -> float:
    """Return what a connector with known phases surely draws from each of them."""
    if demand.measured_a is None or demand.phases is None:
        return 0.0
    # An unknown one is none that others could rely on (S2).
    return max(
        0.0, min([demand.measured_a[place] or 0.0 for place in _places(demand.phases)])
    )


@cache
def _places(phases: tuple[Phase, ...]) -> tuple[int, ...]:
    """Return the places in a PerPhase value of some phases."""
    return tuple(PHASES.index(phase) for phase in phases)


def _least_a(demand: Demand, voltage_v: float) -> float:
    """Return the least that a connector can have: its minimum in whole steps of its charger."""
    step_a = demand.step_a(voltage_v)
    return ceil(demand.min_a / step_a - 1e-9) * step_a


def _paths(circuits: Sequence[Circuit]) -> dict[str, list[str]]:
    """Return for each circuit itself and those above it."""
    parents = {circuit.id: circuit.parent for circuit in circuits}
    paths: dict[str, list[str]] = {}
    for name in parents:
        here: str | None = name
        path = paths[name] = []
        while here is not None and here not in path:
            path.append(here)
            here = parents[here]
    return paths


def _below(
    paths: Mapping[str, Sequence[str]], demands: Mapping[str, Demand]
) -> dict[str, list[str]]:
    """Return for each circuit the connectors on it and below it."""
    found: dict[str, list[str]] = {name: [] for name in paths}
    for name, demand in demands.items():
        for circuit in paths[demand.connector.circuit]:
            found[circuit].append(name)
    return found

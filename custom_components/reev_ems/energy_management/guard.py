"""The last step before anything leaves: it may only lower (S10).

Whatever was calculated before, here every row is written down once more, straight from the case and without the
allocation's code, and the permits are lowered until all rows hold: first what is above the minimums, in proportion;
where not even the minimums fit, whoever was admitted last is paused. A permit is never raised, and one that is not a
current that its connector can have (NaN, below its minimum, for an unknown connector) becomes a pause.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite, sumprod

from .case import Case, Demand, PhaseCount
from .decision import Limit, LimitKind
from .model import PHASES, Circuit, Phase

_TOLERANCE_A = 1e-6
"""Rounding that is no violation."""

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
    rank = {name: place for place, name in enumerate(order)}
    rows = _rows(case, demands, safe_a)
    if not rows:
        return {name: (safe_a[name], lowered_by[name]) for name in lowered_by}
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


@dataclass(frozen=True, slots=True)
class _Loads:
    """How the demands load the phases."""

    phases: Mapping[str, Sequence[Phase]]
    """By connector, where its current may flow; unknown phases: on each (S2)."""
    counts: Mapping[str, float]
    """By connector, the phases that it uses at once."""

    def on(self, members: Iterable[str], phase: Phase) -> dict[str, float]:
        """Return the coefficients of a row of one phase."""
        return {name: 1.0 for name in members if phase in self.phases[name]}

    def power(self, members: Iterable[str]) -> dict[str, float]:
        """Return the coefficients of a power row."""
        return {name: self.counts[name] for name in members}


def _rows(
    case: Case,
    demands: Mapping[str, Demand],
    permits_a: Mapping[str, float] | None = None,
) -> list[_Row]:
    """Write down every row of the case, with permits only those of circuits that they do not fit into.

    Lower permits load a circuit less, so that the others hold whatever follows.
    """
    loads = _Loads(
        {name: _may_load(demand) for name, demand in demands.items()},
        {name: float(demand.phase_count) for name, demand in demands.items()},
    )
    paths = _paths(case.site.circuits)
    rooms_a = {circuit.id: _rooms_a(case, circuit) for circuit in case.site.circuits}
    if permits_a is not None:
        carried_a = _carried_a(paths, demands, loads, permits_a)
        rooms_a = {
            name: rooms
            for name, rooms in rooms_a.items()
            if not all(
                isfinite(room_a) and carried_a[name][place] <= room_a + _TOLERANCE_A
                for place, room_a in rooms.items()
            )
        }
    below = _below(paths, demands) if rooms_a else {}
    rows = [
        _Row(
            Limit(kind=LimitKind.CIRCUIT_POWER, circuit=circuit),
            room_a,
            loads.power(below[circuit]),
        )
        if place == _ALL
        else _Row(
            Limit(kind=LimitKind.CIRCUIT_PHASE, circuit=circuit, phase=PHASES[place]),
            room_a,
            loads.on(below[circuit], PHASES[place]),
        )
        for circuit, rooms in rooms_a.items()
        for place, room_a in rooms.items()
    ]
    if case.external_limit_w is not None:
        rows.append(
            _Row(
                Limit(kind=LimitKind.EXTERNAL_LIMIT),
                case.external_limit_w / case.site.voltage_v,
                loads.power(demands),
            )
        )
    rows += _group_rows(case, demands, loads)
    return rows + _pv_rows(case, demands, loads) + _imbalance_rows(case, demands, loads)


def _rooms_a(case: Case, circuit: Circuit) -> dict[int, float]:
    """Return what the demands may load a circuit with: by phase 0 to 2, and on all phases together."""
    rooms_a: dict[int, float] = {}
    base_a = case.base_a.get(circuit.id) or circuit.reserve_a
    reserved_a = case.reservations_a.get(circuit.id, (0.0, 0.0, 0.0))
    if circuit.limit_a is not None:
        for place, (limit_a, base, reserved) in enumerate(
            zip(circuit.limit_a, base_a, reserved_a, strict=True)
        ):
            rooms_a[place] = limit_a - case.site.margin_a - base - reserved
    if circuit.limit_w is not None:
        voltage_v, base_w = case.site.voltage_v, case.base_w.get(circuit.id)
        if base_w is None:
            base_w = sum(base_a) * voltage_v
        rooms_a[_ALL] = (circuit.limit_w - base_w) / voltage_v - sum(reserved_a)
    return rooms_a


def _carried_a(
    paths: Mapping[str, Sequence[str]],
    demands: Mapping[str, Demand],
    loads: _Loads,
    permits_a: Mapping[str, float],
) -> dict[str, list[float]]:
    """Return what each circuit carries of the permits: by phase 0 to 2, and on all phases together."""
    own_a = {name: [0.0] * 4 for name in paths}
    for name, demand in demands.items():
        permit_a = permits_a[name]
        mine = own_a[demand.connector.circuit]
        for phase in loads.phases[name]:
            mine[PHASES.index(phase)] += permit_a
        mine[_ALL] += loads.counts[name] * permit_a
    carried_a = {name: [0.0] * 4 for name in paths}
    for name, mine in own_a.items():
        for circuit in paths[name]:
            for place, load_a in enumerate(mine):
                carried_a[circuit][place] += load_a
    return carried_a


def _group_rows(case: Case, demands: Mapping[str, Demand], loads: _Loads) -> list[_Row]:
    rows: list[_Row] = []
    for group in case.site.user_groups:
        members = [
            name for name, demand in demands.items() if group.id in demand.groups
        ]
        reserved_a = case.group_reservations_a.get(group.id, (0.0, 0.0, 0.0))
        if group.limit_a is not None:
            rows += [
                _Row(
                    Limit(kind=LimitKind.USER_GROUP, group=group.id, phase=phase),
                    limit_a - case.site.margin_a - reserved,
                    loads.on(members, phase),
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
                    loads.power(members),
                )
            )
    return rows


def _pv_rows(case: Case, demands: Mapping[str, Demand], loads: _Loads) -> list[_Row]:
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
                loads.power(members),
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
                    loads.on(members, phase),
                    free_a,
                )
                for phase, surplus_a in zip(PHASES, case.surplus_a[budget], strict=True)
            ]
    return rows


def _imbalance_rows(
    case: Case, demands: Mapping[str, Demand], loads: _Loads
) -> list[_Row]:
    limit, base_a = case.site.imbalance, case.imbalance_base_a
    if limit is None or base_a is None:
        return []
    on_phases: defaultdict[tuple[Phase, ...] | None, list[str]] = defaultdict(list)
    draws_a: dict[str, float] = {}
    for name, demand in demands.items():
        if loads.counts[name] < 3:
            on_phases[demand.phases].append(name)
            draws_a[name] = _draw_a(demand)
    rows: list[_Row] = []
    for p, on_p in zip(PHASES, base_a, strict=True):
        for q, on_q in zip(PHASES, base_a, strict=True):
            if p is q:
                continue
            pair = f"{p} over {q}"
            rows.append(
                _Row(
                    Limit(kind=LimitKind.IMBALANCE, phase=pair),
                    limit.limit_a
                    - case.site.margin_a
                    - (on_p - on_q)
                    + case.imbalance_relief_a.get(pair, 0.0),
                    {
                        name: 1.0
                        for phases, names in on_phases.items()
                        if phases is None or (p in phases and q not in phases)
                        for name in names
                    },
                    support_a={
                        name: draws_a[name]
                        for phases, names in on_phases.items()
                        if phases is not None and q in phases and p not in phases
                        for name in names
                        if draws_a[name] > 0
                    },
                )
            )
    return rows


def _draw_a(demand: Demand) -> float:
    """Return what a connector with known phases surely draws from each of them."""
    if demand.measured_a is None or demand.phases is None:
        return 0.0
    drawn = [demand.measured_a[PHASES.index(phase)] for phase in demand.phases]
    return max(0.0, min(0.0 if current_a is None else current_a for current_a in drawn))


def _least_a(demand: Demand, voltage_v: float) -> float:
    """Return the least that a connector can have: its minimum in whole steps of its charger."""
    step_a = demand.step_a(voltage_v)
    return ceil(demand.min_a / step_a - 1e-9) * step_a


def _may_load(demand: Demand) -> Sequence[Phase]:
    if demand.phases is None or demand.phase_count == 3:
        return PHASES
    return demand.phases


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

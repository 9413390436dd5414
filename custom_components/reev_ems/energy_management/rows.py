"""Everything that limits, as packing rows Σ a·x ≤ b with a ≥ 0, in A.

Power rows are divided by the voltage, so that their coefficients are numbers of phases. Connectors that use the same
phases, follow the same PV budgets and belong to the same user groups have one `Shape`. Where they hang on the same circuit too, they stand in the same
rows and have one signature, and the calculations run over signatures where they can. Loads are added up along the tree,
once per circuit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import isfinite

from . import imbalance
from .case import Case, Demand
from .decision import Limit, LimitKind
from .model import PHASES, PerPhase, Phase, Supply
from .tree import upwards

type Entry = tuple[int, float]
"""A row's index and the coefficient there; no coefficient is below 1."""

_ANY = (0, 1, 2)
"""On all three phases, or on any of them."""

_LOADED: Mapping[tuple[Phase, ...] | None, tuple[int, ...]] = {None: _ANY} | {
    phases: tuple(sorted(map(PHASES.index, phases)))
    for count in (1, 2, 3)
    for phases in permutations(PHASES, count)
}
"""The places in a PerPhase value that phases load, in any order."""

_NOTHING: PerPhase = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """How connectors load the rows, wherever they hang."""

    loaded: tuple[int, ...]
    """The places in a PerPhase value that they load."""
    phase_count: int
    """A per A in power rows."""
    common: tuple[Entry, ...]
    """Their rows that belong to no circuit and in which all of their current counts."""
    above_minimum: tuple[Entry, ...]
    """Those in which only what is above their minimum counts."""


@dataclass(slots=True)
class _Node:
    """A circuit with the places of its rows and of its parent."""

    id: str
    parent: int | None
    phase_rows: int | None
    """The row of L1; L2 and L3 follow."""
    power_row: int | None
    available_a: PerPhase | None


class Rows:
    """The rows of a case and, for each demand, where it stands in them."""

    def __init__(self, case: Case, support_a: Mapping[str, float]) -> None:
        """Make the rows.

        Args:
            case: the moment of the site.
            support_a: see imbalance.bounds_a.

        Raises:
            ValueError: the tree of circuits is not one, or a demand names a circuit that does not exist.
        """
        self.bounds_a: list[float] = []
        self.start_bounds_a: list[float] = []
        """For those that start; empty: the same."""
        self.places: list[int] = []
        """By signature, the place of its circuit in `circuits`."""
        self.shape_places: list[int] = []
        """By signature, the place of its shape in `shapes`."""
        self.phase_counts: list[int] = []
        """By signature."""
        self.shapes: list[Shape] = []
        self._limits: list[tuple[LimitKind, str | None, str | None, str | None]] = []
        self._known_shapes: dict[object, int] = {}
        self._add_circuits(case)
        self._known: dict[str, dict[object, int]] = {name: {} for name in self._place}
        voltage_v = case.site.voltage_v
        self._budgets: dict[str, tuple[int, int | None]] = {}
        for budget in sorted(
            {budget for demand in case.demands for budget in demand.pv_budgets}
        ):
            net = self._add(
                LimitKind.PV_SURPLUS,
                max(0.0, case.surplus_w.get(budget, 0.0)) / voltage_v,
                circuit=budget or None,
            )
            per_phase = None
            if budget in case.surplus_a:
                room_a = [max(0.0, room) for room in case.surplus_a[budget]]
                per_phase = self._add_phases(
                    LimitKind.PV_SURPLUS, budget or None, room_a
                )
            self._budgets[budget] = net, per_phase
        self._external: int | None = None
        if case.external_limit_w is not None:
            self._external = self._add(
                LimitKind.EXTERNAL_LIMIT, case.external_limit_w / voltage_v
            )
        self._groups: dict[str, tuple[int | None, int | None]] = {}
        for group in case.site.user_groups:
            reserved_a = case.group_reservations_a.get(group.id, _NOTHING)
            phase_rows = power_row = None
            if group.limit_a is not None:
                group_room_a = _less(
                    group.limit_a, _NOTHING, reserved_a, case.site.margin_a
                )
                phase_rows = self._add_phases(
                    LimitKind.USER_GROUP, None, group_room_a, group.id
                )
            if group.limit_w is not None:
                group_bound_a = group.limit_w / voltage_v - sum(reserved_a)
                power_row = self._add(
                    LimitKind.USER_GROUP, group_bound_a, group=group.id
                )
            self._groups[group.id] = phase_rows, power_row
        self._pairs: int | None = None
        if (pair_bounds_a := imbalance.bounds_a(case, support_a)) is not None:
            self._pairs = len(self.bounds_a)
            for name, bound_a in zip(imbalance.NAMES, pair_bounds_a, strict=True):
                self._add(LimitKind.IMBALANCE, bound_a, phase=name)
        if self._narrow or case.imbalance_start_a:
            self.start_bounds_a = [*self.bounds_a]
            for row, kept_a in self._narrow.items():
                for place, value in enumerate(kept_a):
                    self.start_bounds_a[row + place] -= value
            if self._pairs is not None:
                for place, name in enumerate(imbalance.NAMES):
                    kept = case.imbalance_start_a.get(name, 0.0)
                    self.start_bounds_a[self._pairs + place] -= kept

    def _add_circuits(self, case: Case) -> None:
        """Make each circuit's rows; circuits lie in `circuits` before those above them."""
        order = upwards(case.site.circuits)
        self._place = {circuit.id: place for place, circuit in enumerate(order)}
        self.circuits: list[_Node] = []
        self._narrow: dict[int, PerPhase] = {}
        """By row of L1, what is kept from those that start."""
        for circuit in order:
            name = circuit.id
            base_a = case.base_a.get(name, circuit.reserve_a)
            assumed_a = circuit.reserve_a if base_a is None else base_a
            reserved_a = case.reservations_a.get(name, _NOTHING)
            phase_rows = power_row = room_a = None
            if circuit.limit_a is not None:
                room_a = _less(
                    circuit.limit_a, assumed_a, reserved_a, case.site.margin_a
                )
                borne_a = room_a
                if (relief_a := case.relief_a.get(name)) is not None:
                    borne_a = (
                        room_a[0] + relief_a[0],
                        room_a[1] + relief_a[1],
                        room_a[2] + relief_a[2],
                    )
                phase_rows = self._add_phases(LimitKind.CIRCUIT_PHASE, name, borne_a)
                if (kept := case.start_reserve_a.get(name)) is not None:
                    self._narrow[phase_rows] = kept
            if circuit.limit_w is not None:
                base_w = case.base_w.get(name)
                if base_w is None:
                    base_w = sum(assumed_a) * case.site.voltage_v
                power_row = self._add(
                    LimitKind.CIRCUIT_POWER,
                    (circuit.limit_w - base_w) / case.site.voltage_v - sum(reserved_a),
                    circuit=name,
                )
            self.circuits.append(
                _Node(
                    name,
                    None if circuit.parent is None else self._place[circuit.parent],
                    phase_rows,
                    power_row,
                    None if base_a is None else room_a,
                )
            )

    def _add(
        self,
        kind: LimitKind,
        bound_a: float,
        circuit: str | None = None,
        phase: str | None = None,
        group: str | None = None,
    ) -> int:
        """Add a row and return its index."""
        self._limits.append((kind, circuit, phase, group))
        self.bounds_a.append(_room(bound_a))
        return len(self.bounds_a) - 1

    def _add_phases(
        self,
        kind: LimitKind,
        circuit: str | None,
        bounds_a: Sequence[float],
        group: str | None = None,
    ) -> int:
        """Add a row for each phase and return the first one's index."""
        first = len(self.bounds_a)
        for phase, bound_a in zip(PHASES, bounds_a, strict=True):
            self._limits.append((kind, circuit, phase, group))
            self.bounds_a.append(_room(bound_a))
        return first

    def limit(self, row: int) -> Limit:
        """Return a row as the limit that it is."""
        kind, circuit, phase, group = self._limits[row]
        return Limit(kind=kind, circuit=circuit, phase=phase, group=group)

    def signature(self, demand: Demand) -> int:
        """Return the index of the demand's signature.

        Raises:
            ValueError: its circuit does not exist, or its phases are none.
        """
        connector = demand.connector
        phases = PHASES if connector.supply is Supply.DC else demand.phases
        loaded = _LOADED.get(phases)
        # Unknown phases are any, as many as the connector uses.
        kind: object = loaded if phases is not None else (None, connector.phase_count)
        if demand.pv_budgets or demand.groups:
            kind = (
                kind,
                demand.pv_budgets,
                demand.solar,
                demand.solar_above_min,
                demand.groups,
            )
        if (known := self._known.get(connector.circuit)) is None:
            raise ValueError(
                f"connector {connector.id!r} names the unknown circuit"
                f" {connector.circuit!r}"
            )
        if (index := known.get(kind)) is None:
            if loaded is None:
                raise ValueError(f"connector {connector.id!r} has the phases {phases}")
            if (shape := self._known_shapes.get(kind)) is None:
                shape = self._known_shapes[kind] = len(self.shapes)
                self.shapes.append(self._shape(demand, phases, loaded))
            index = known[kind] = len(self.places)
            self.places.append(self._place[connector.circuit])
            self.shape_places.append(shape)
            self.phase_counts.append(self.shapes[shape].phase_count)
        return index

    @property
    def has_free_minimums(self) -> bool:
        """Return whether there are rows in which somebody's minimum does not count."""
        return any(shape.above_minimum for shape in self.shapes)

    def shape(self, signature: int) -> Shape:
        """Return the shape of a signature's connectors."""
        return self.shapes[self.shape_places[signature]]

    def _shape(
        self,
        demand: Demand,
        phases: tuple[Phase, ...] | None,
        loaded: tuple[int, ...],
    ) -> Shape:
        count = demand.connector.phase_count if phases is None else len(loaded)
        common: list[Entry] = []
        if self._external is not None:
            common.append((self._external, count))
        if self._pairs is not None:
            pairs = imbalance.pairs_loaded(loaded, count, unknown=phases is None)
            common += [(self._pairs + pair, 1.0) for pair in pairs]
        for group in demand.groups:
            phase_rows, power_row = self._groups.get(group, (None, None))
            if phase_rows is not None:
                common += [(phase_rows + phase, 1.0) for phase in loaded]
            if power_row is not None:
                common.append((power_row, count))
        above_minimum: list[Entry] = []
        if demand.solar or demand.solar_above_min:
            solar = common if demand.solar else above_minimum
            for budget in demand.pv_budgets:
                net, per_phase = self._budgets[budget]
                solar.append((net, count))
                if per_phase is not None:
                    solar += [(per_phase + phase, 1.0) for phase in loaded]
        return Shape(loaded, count, tuple(common), tuple(above_minimum))

    def carried_a(
        self, totals_a: Sequence[float], *, within_limits: bool = False
    ) -> list[list[float]]:
        """Return what each circuit carries on L1, L2, L3 and in all, in A.

        Args:
            totals_a: by signature, the sum of its connectors' currents.
            within_limits: whether a circuit hands no more upwards than its own rows let through.
        """
        carried_a = [[0.0, 0.0, 0.0, 0.0] for _ in self.circuits]
        shapes = [(shape.loaded, shape.phase_count) for shape in self.shapes]
        for place, shape_place, total_a in zip(
            self.places, self.shape_places, totals_a, strict=True
        ):
            mine = carried_a[place]
            loaded, count = shapes[shape_place]
            for phase in loaded:
                mine[phase] += total_a
            mine[3] += count * total_a
        for node, mine in zip(self.circuits, carried_a, strict=True):
            if node.parent is not None:
                l1, l2, l3, power = (
                    self._let_through(node, mine) if within_limits else mine
                )
                above = carried_a[node.parent]
                above[0] += l1
                above[1] += l2
                above[2] += l3
                above[3] += power
        return carried_a

    def _let_through(self, node: _Node, mine: list[float]) -> list[float]:
        bounds_a = self.bounds_a
        l1, l2, l3, power = mine
        if (row := node.phase_rows) is not None:
            l1 = min(l1, max(0.0, bounds_a[row]))
            l2 = min(l2, max(0.0, bounds_a[row + 1]))
            l3 = min(l3, max(0.0, bounds_a[row + 2]))
            power = min(power, l1 + l2 + l3)
        if node.power_row is not None:
            power = min(power, max(0.0, bounds_a[node.power_row]))
        return [l1, l2, l3, power]

    def loads_a(
        self,
        totals_a: Sequence[float],
        *,
        at_minimum: bool = False,
        within_limits: bool = False,
    ) -> list[float]:
        """Return the load of each row.

        Args:
            totals_a: by signature, the sum of its connectors' currents.
            at_minimum: whether these are their minimums, which do not count everywhere.
            within_limits: whether a circuit hands no more upwards than its own rows let through.
        """
        load_a = [0.0] * len(self.bounds_a)
        carried_a = self.carried_a(totals_a, within_limits=within_limits)
        for node, mine in zip(self.circuits, carried_a, strict=True):
            if (row := node.phase_rows) is not None:
                load_a[row : row + 3] = mine[:3]
            if node.power_row is not None:
                load_a[node.power_row] = mine[3]
        by_shape_a = [0.0] * len(self.shapes)
        for shape_place, total_a in zip(self.shape_places, totals_a, strict=True):
            by_shape_a[shape_place] += total_a
        for made, total_a in zip(self.shapes, by_shape_a, strict=True):
            for row, coefficient in made.common:
                load_a[row] += coefficient * total_a
            if not at_minimum:
                for row, coefficient in made.above_minimum:
                    load_a[row] += coefficient * total_a
        return load_a


def _room(bound_a: float) -> float:
    """Return a bound; what is no number is no room (S2)."""
    return bound_a if isfinite(bound_a) else 0.0


def _less(
    limit: PerPhase, base: PerPhase, reserved: PerPhase, margin: float
) -> PerPhase:
    return (
        limit[0] - base[0] - reserved[0] - margin,
        limit[1] - base[1] - reserved[1] - margin,
        limit[2] - base[2] - reserved[2] - margin,
    )

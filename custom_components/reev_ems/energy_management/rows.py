"""Everything that limits, as packing rows Σ a·x ≤ b with a ≥ 0, in A.

Power rows are divided by the voltage, so that their coefficients are numbers of phases. Connectors that hang on the
same circuit and use the same phases stand in the same rows: they share one `Signature`, and the calculations run over
signatures where they can.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import isfinite

from . import imbalance
from .case import Case, Demand
from .decision import Limit, LimitKind
from .model import PHASES, PerPhase, Phase, Supply
from .tree import paths_to_root

type Entry = tuple[int, float]
"""A row's index and the coefficient there."""

_INDEXES: dict[tuple[Phase, ...] | None, tuple[int, ...]] = {
    None: (0, 1, 2),
    **{
        phases: tuple(sorted(PHASES.index(phase) for phase in phases))
        for count in (1, 2, 3)
        for phases in permutations(PHASES, count)
    },
}
"""The places in a PerPhase value that a set of phases loads; unknown ones may load any."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The rows of the connectors that are alike."""

    path: tuple[str, ...]
    """Their circuits, the nearest first."""
    loaded: tuple[int, ...]
    """The places in a PerPhase value that they load."""
    entries: tuple[Entry, ...]
    """Rows in which its current counts, the nearest circuit first."""
    at_minimum: tuple[Entry, ...]
    """Those in which the minimum counts too."""


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
        self.limits: list[Limit] = []
        self.bounds_a: list[float] = []
        self.signatures: list[Signature] = []
        self.available_a: dict[str, PerPhase | None] = {}
        self._case = case
        self._paths = paths_to_root(case.site.circuits)
        self._known: dict[object, int] = {}
        self._of_circuit: dict[str, tuple[Sequence[int], int | None]] = {}
        voltage_v = case.site.voltage_v
        for circuit in sorted(case.site.circuits, key=lambda circuit: circuit.id):
            base_a = case.base_a.get(circuit.id, circuit.reserve_a)
            assumed_a = circuit.reserve_a if base_a is None else base_a
            reserved_a = case.reservations_a.get(circuit.id, (0.0, 0.0, 0.0))
            phase_rows: Sequence[int] = ()
            self.available_a[circuit.id] = None
            if circuit.limit_a is not None:
                room_a = _less(
                    circuit.limit_a, assumed_a, reserved_a, case.site.margin_a
                )
                phase_rows = [
                    self._add(
                        Limit(
                            kind=LimitKind.CIRCUIT_PHASE,
                            circuit=circuit.id,
                            phase=phase,
                        ),
                        room,
                    )
                    for phase, room in zip(PHASES, room_a, strict=True)
                ]
                if base_a is not None:
                    self.available_a[circuit.id] = room_a
            power_row = None
            if circuit.limit_w is not None:
                base_w = case.base_w.get(circuit.id)
                if base_w is None:
                    base_w = sum(assumed_a) * voltage_v
                power_row = self._add(
                    Limit(kind=LimitKind.CIRCUIT_POWER, circuit=circuit.id),
                    (circuit.limit_w - base_w) / voltage_v - sum(reserved_a),
                )
            self._of_circuit[circuit.id] = phase_rows, power_row
        self._budgets: dict[str, tuple[int, Sequence[int]]] = {}
        for budget in sorted(
            {budget for demand in case.demands for budget in demand.pv_budgets}
        ):
            limit = Limit(kind=LimitKind.PV_SURPLUS, circuit=budget or None)
            surplus_a = case.surplus_a.get(budget)
            self._budgets[budget] = (
                self._add(limit, max(0.0, case.surplus_w.get(budget, 0.0)) / voltage_v),
                ()
                if surplus_a is None
                else [
                    self._add(
                        Limit(
                            kind=LimitKind.PV_SURPLUS,
                            circuit=budget or None,
                            phase=phase,
                        ),
                        max(0.0, surplus),
                    )
                    for phase, surplus in zip(PHASES, surplus_a, strict=True)
                ],
            )
        self._external = (
            None
            if case.external_limit_w is None
            else self._add(
                Limit(kind=LimitKind.EXTERNAL_LIMIT), case.external_limit_w / voltage_v
            )
        )
        pair_bounds_a = imbalance.bounds_a(case, support_a)
        self._pairs = (
            None
            if pair_bounds_a is None
            else [
                self._add(
                    Limit(kind=LimitKind.IMBALANCE, phase=f"{p} over {q}"), bound_a
                )
                for (p, q), bound_a in zip(imbalance.PAIRS, pair_bounds_a, strict=True)
            ]
        )

    def signature(self, demand: Demand) -> int:
        """Return the index of the demand's signature."""
        connector = demand.connector
        phases = PHASES if connector.supply is Supply.DC else demand.phases
        try:
            loaded = _INDEXES[phases]
        except KeyError:
            raise ValueError(
                f"connector {connector.id!r} has the phases {phases}"
            ) from None
        key = (
            connector.circuit,
            loaded,
            phases is None and connector.phase_count,
            (demand.solar, demand.solar_above_min, demand.pv_budgets)
            if demand.pv_budgets
            else None,
        )
        index = self._known.get(key)
        if index is None:
            index = self._known[key] = len(self.signatures)
            self.signatures.append(self._make(demand, loaded))
        return index

    def _make(self, demand: Demand, loaded: tuple[int, ...]) -> Signature:
        count = float(demand.phase_count)
        entries: list[Entry] = []
        try:
            path = self._paths[demand.connector.circuit]
        except KeyError:
            raise ValueError(
                f"connector {demand.connector.id!r} names the unknown circuit"
                f" {demand.connector.circuit!r}"
            ) from None
        for circuit in path:
            phase_rows, power_row = self._of_circuit[circuit.id]
            if phase_rows:
                entries += [(phase_rows[index], 1.0) for index in loaded]
            if power_row is not None:
                entries.append((power_row, count))
        if self._external is not None:
            entries.append((self._external, count))
        if self._pairs is not None:
            entries += [
                (row, 1.0)
                for (p, q), row in zip(imbalance.PAIRS, self._pairs, strict=True)
                if imbalance.loads_only(demand, p, q)
            ]
        pv: list[Entry] = []
        if demand.solar or demand.solar_above_min:
            for budget in demand.pv_budgets:
                net, per_phase = self._budgets[budget]
                pv.append((net, count))
                if per_phase:
                    pv += [(per_phase[index], 1.0) for index in loaded]
        return Signature(
            path=tuple(circuit.id for circuit in path),
            loaded=loaded,
            entries=(*entries, *pv),
            at_minimum=(*entries, *pv) if demand.solar else tuple(entries),
        )

    def _add(self, limit: Limit, bound_a: float) -> int:
        self.limits.append(limit)
        # What is no number is no room (S2).
        self.bounds_a.append(bound_a if isfinite(bound_a) else 0.0)
        return len(self.limits) - 1


def _less(
    limit: PerPhase, base: PerPhase, reserved: PerPhase, margin: float
) -> PerPhase:
    return (
        limit[0] - base[0] - reserved[0] - margin,
        limit[1] - base[1] - reserved[1] - margin,
        limit[2] - base[2] - reserved[2] - margin,
    )

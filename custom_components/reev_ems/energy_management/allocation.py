"""Who may charge, with how much, and what limited each.

`allocate(case)` is pure and deterministic: the same case gives the same answer in any order of its parts. In
sequence: the rows (rows.py), admission at the minimum (admission.py), the common water level per class (filling.py),
whole steps (quantising.py). DESIGN section 6 says what the policies mean:

- `equal`: priority decides admission, all admitted share one level;
- `priority`: everybody's minimum first, then class by class;
- `strict`: each class is admitted and filled before the next lower one. A minimum on-time protects within a class only.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from . import imbalance
from .admission import claim, lacking_row
from .case import (
    SITE_BUDGET,
    Allocation,
    Case,
    CircuitShare,
    Demand,
    Share,
    a_to_dc_power,
    dc_power_to_a,
)
from .decision import Limit, LimitKind
from .filling import fill
from .model import ChargingMode, SharingPolicy, Supply
from .quantising import hand_out, steps_needed, steps_per_a, whole_steps
from .rows import Rows

__all__ = [
    "SITE_BUDGET",
    "Allocation",
    "Case",
    "CircuitShare",
    "Demand",
    "Share",
    "a_to_dc_power",
    "allocate",
    "dc_power_to_a",
]

_SUPPORT_ROUNDS = 4
"""How often the support under the imbalance limit is lowered to what its givers get, before nobody relies on any."""


def allocate(case: Case) -> Allocation:
    """Share what there is.

    Raises:
        ValueError: the circuits are no tree, a demand's circuit does not exist or two demands are for one connector.
    """
    if case.site.imbalance is None:
        return _Sharing(case, {}).allocation()
    support_a = imbalance.supports(case)
    for _ in range(_SUPPORT_ROUNDS):
        allocation = _Sharing(case, support_a).allocation()
        # Who is lowered below what it draws now will soon support the other phases with less.
        lowered_a = {
            connector: permit_a
            for connector, relied_a in support_a.items()
            if (permit_a := _permit_a(allocation, connector)) < relied_a
        }
        if not lowered_a:
            return allocation
        support_a = {**support_a, **lowered_a}
    return _Sharing(case, {}).allocation()


def _permit_a(allocation: Allocation, connector: str) -> float:
    share = allocation.shares.get(connector)
    return 0.0 if share is None else share.current_a


class _Sharing:
    """One calculation. Connectors are numbered in the order of their ids, everything about them is in lists."""

    def __init__(self, case: Case, support_a: Mapping[str, float]) -> None:
        self._case = case
        self._strict = case.site.sharing is SharingPolicy.STRICT
        self._support_a = support_a
        self._rows = Rows(case, support_a)
        self._bounds_a = self._rows.bounds_a
        self._load_a = [0.0] * len(self._bounds_a)
        self._demands = sorted(case.demands, key=lambda demand: demand.connector.id)
        self._ids = [demand.connector.id for demand in self._demands]
        if len(set(self._ids)) < len(self._ids):
            raise ValueError("two demands are for the same connector")
        self._paused: dict[int, Limit] = {}
        self._froze: list[int | None] = [None] * len(self._demands)
        self._measure()
        self._totals_a = [0.0] * len(self._rows.signatures)
        """By signature, what its admitted connectors have."""
        self._order = sorted(
            self._signatures, key=lambda index: claim(self._demands[index])
        )
        if self._strict:
            self._order.sort(key=self._class)
        self._select_rows()

    def _measure(self) -> None:
        """Express minimums and maximums in whole steps and find each candidate's signature."""
        voltage_v = self._case.site.voltage_v
        self._signatures: dict[int, int] = {}
        self._one_phase: dict[int, int] = {}
        self._steps: list[int] = []
        self._most: list[int] = []
        self._step_a: list[float] = []
        self._steps_per_a: list[float] = []
        # What is asked for again and again lies in lists of its own: on large sites memory is what takes time.
        self._weights = [demand.connector.weight for demand in self._demands]
        self._classes = [-demand.priority for demand in self._demands]
        # Most connectors of a site are of a few kinds.
        known: dict[tuple[float, float, float], tuple[int, int, float]] = {}
        for index, demand in enumerate(self._demands):
            step_a = demand.step_a(voltage_v)
            kind = demand.min_a, demand.max_a, step_a
            if (bounds := known.get(kind)) is None:
                bounds = known[kind] = (
                    steps_needed(demand.min_a / step_a),
                    whole_steps(demand.max_a / step_a),
                    steps_per_a(step_a),
                )
            fewest, most, per_a = bounds
            self._step_a.append(step_a)
            self._steps_per_a.append(per_a)
            self._steps.append(fewest)
            self._most.append(most)
            if demand.connector.mode is ChargingMode.OFF:
                self._paused[index] = Limit(kind=LimitKind.MODE_OFF)
            elif most < fewest or most <= 0:
                self._paused[index] = Limit(kind=LimitKind.OWN_MAXIMUM)
            else:
                self._signatures[index] = self._rows.signature(demand)
                if demand.may_use_one_phase:
                    self._one_phase[index] = self._rows.signature(demand.on_one_phase())

    def _select_rows(self) -> None:
        """Leave out rows that can never become full, and for the admission those that all minimums fit into."""
        rows = self._rows
        least_a = [0.0] * len(rows.signatures)
        most_a = [0.0] * len(rows.signatures)
        for choice in (self._signatures, self._one_phase):
            for index, signature in choice.items():
                step_a = self._step_a[index]
                least_a[signature] += self._steps[index] * step_a
                most_a[signature] += self._most[index] * step_a
        can_fill = [
            load_a > bound_a
            for load_a, bound_a in zip(
                rows.loads_a(most_a, within_limits=True), self._bounds_a, strict=True
            )
        ]
        can_refuse = can_fill
        if not self._strict:
            can_refuse = [
                load_a > bound_a
                for load_a, bound_a in zip(
                    rows.loads_a(least_a, at_minimum=True), self._bounds_a, strict=True
                )
            ]
        self._entries = rows.entries(can_fill)
        self._refusing = rows.entries(can_refuse, at_minimum=True)

    def allocation(self) -> Allocation:
        """Go through all stages."""
        if self._strict:
            # A lower class may have what rounding leaves of a higher one.
            for _, members in groupby(self._order, self._class):
                admitted = self._admit(tuple(members))
                self._fill(admitted)
                self._hand_out(admitted)
            return self._result()
        admitted = self._admit(self._order)
        if self._case.site.sharing is SharingPolicy.EQUAL:
            self._fill(admitted)
        else:
            admitted.sort(key=self._class)
            for _, members in groupby(admitted, self._class):
                self._fill(sorted(members))
        self._hand_out(admitted)
        return self._result()

    def _class(self, index: int) -> int:
        return self._classes[index]

    def _admit(self, candidates: Sequence[int]) -> list[int]:
        """Admit in order who fits with its minimum, and book these minimums."""
        admitted: list[int] = []
        for index in candidates:
            signature = self._signatures[index]
            minimum_a = self._steps[index] * self._step_a[index]
            if self._refusing[signature]:
                row = self._lacking(signature, minimum_a)
                if row is not None and index in self._one_phase:
                    one_phase = self._one_phase[index]
                    if self._lacking(one_phase, minimum_a) is None:
                        self._signatures[index] = signature = one_phase
                        row = None
                if row is not None:
                    self._paused[index] = self._rows.limit(row)
                    del self._signatures[index]
                    continue
                for row, coefficient in self._refusing[signature]:
                    self._load_a[row] += coefficient * minimum_a
            # Where the minimum does not count, it widens the row by as much as it fills it.
            for row, coefficient in self._rows.shape(signature).above_minimum:
                self._bounds_a[row] += coefficient * minimum_a
                self._load_a[row] += coefficient * minimum_a
            self._totals_a[signature] += minimum_a
            admitted.append(index)
        self._load_a = self._rows.loads_a(self._totals_a)
        return admitted

    def _lacking(self, signature: int, minimum_a: float) -> int | None:
        return lacking_row(
            self._refusing[signature], minimum_a, self._load_a, self._bounds_a
        )

    def _fill(self, members: Sequence[int]) -> None:
        """Raise the common level of the members and note what they come to."""
        weights, signatures = self._weights, self._signatures
        held, most, step_a = self._steps, self._most, self._step_a
        frozen = fill(
            [
                (
                    signatures[index],
                    held[index] * step_a[index],
                    most[index] * step_a[index],
                    weights[index],
                )
                for index in members
            ],
            self._entries,
            self._load_a,
            self._bounds_a,
        )
        for index in members:
            signature = signatures[index]
            least, steps = held[index], most[index]
            if (froze := frozen.get(signature)) is not None:
                level, row = froze
                whole = whole_steps(weights[index] * level / step_a[index])
                if whole < steps:
                    self._froze[index] = row
                    steps = max(least, whole)
            held[index] = steps
            self._totals_a[signature] += (steps - least) * step_a[index]

    def _hand_out(self, members: Sequence[int]) -> None:
        """Hand out in whole steps what rounding left over in every row."""
        self._load_a = self._rows.loads_a(self._totals_a)
        held = {
            index: self._steps[index]
            for index in members
            if self._steps[index] < self._most[index]
        }
        hand_out(
            self._steps,
            self._most,
            self._step_a,
            {index: self._entries[self._signatures[index]] for index in held},
            self._froze,
            tuple(held),
            self._load_a,
            self._bounds_a,
        )
        for index, steps in held.items():
            self._totals_a[self._signatures[index]] += (
                self._steps[index] - steps
            ) * self._step_a[index]

    def _result(self) -> Allocation:
        voltage_v = self._case.site.voltage_v
        own_maximum = Limit(kind=LimitKind.OWN_MAXIMUM)
        limits = {
            row: self._rows.limit(row) for row in set(self._froze) if row is not None
        }
        phase_counts = [
            self._rows.shapes[shape].phase_count for _, shape in self._rows.signatures
        ]
        shares: dict[str, Share] = {}
        for index, signature in self._signatures.items():
            connector = self._demands[index].connector
            row, steps = self._froze[index], self._steps[index]
            if row is None or steps == self._most[index]:
                limit = own_maximum
            else:
                limit = limits[row]
            if steps == 0:
                self._paused[index] = limit
                continue
            phase_count = phase_counts[signature]
            current_a = steps / self._steps_per_a[index]
            shares[self._ids[index]] = Share(
                current_a=current_a,
                power_w=steps * connector.step_w
                if connector.supply is Supply.DC
                else current_a * phase_count * voltage_v,
                limited_by=limit,
                phase_count=phase_count if connector.can_switch_phases else None,
            )
        return Allocation(
            shares=shares,
            paused={
                self._ids[index]: limit for index, limit in sorted(self._paused.items())
            },
            circuits=self._circuits(),
            order=tuple(self._ids[index] for index in self._order),
            support_a=self._support_a,
        )

    def _circuits(self) -> dict[str, CircuitShare]:
        carried_a = self._rows.carried_a(self._totals_a)
        return {
            node.id: CircuitShare(
                available_a=node.available_a,
                used_a=(l1, l2, l3),
            )
            for node, (l1, l2, l3, _) in zip(
                self._rows.circuits, carried_a, strict=True
            )
        }

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
from .model import ChargingMode, PerPhase, SharingPolicy, Supply
from .quantising import hand_out, steps_needed, whole_steps
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
        self._support_a = support_a
        self._rows = rows = Rows(case, support_a)
        self._bounds_a = rows.bounds_a
        self._load_a = [0.0] * len(rows.bounds_a)
        self._demands = sorted(case.demands, key=lambda demand: demand.connector.id)
        if len({demand.connector.id for demand in self._demands}) < len(self._demands):
            raise ValueError("two demands are for the same connector")
        self._paused: dict[int, Limit] = {}
        self._froze: list[int | None] = [None] * len(self._demands)
        self._measure()
        self._order = sorted(
            self._signatures, key=lambda index: claim(self._demands[index])
        )
        if case.site.sharing is SharingPolicy.STRICT:
            self._order.sort(key=lambda index: -self._demands[index].priority)
        self._select_rows()

    def _measure(self) -> None:
        """Express minimums and maximums in whole steps and find each candidate's rows."""
        voltage_v = self._case.site.voltage_v
        self._signatures: dict[int, int] = {}
        self._one_phase: dict[int, int] = {}
        self._steps: list[int] = []
        self._most: list[int] = []
        self._step_a: list[float] = []
        for index, demand in enumerate(self._demands):
            connector = demand.connector
            step_a = (
                connector.step_a
                if connector.supply is Supply.AC
                else dc_power_to_a(connector.step_w, voltage_v, connector.efficiency)
            )
            fewest = steps_needed(demand.min_a, step_a)
            most = whole_steps(demand.max_a, step_a)
            self._step_a.append(step_a)
            self._steps.append(fewest)
            self._most.append(most)
            if connector.mode is ChargingMode.OFF:
                self._paused[index] = Limit(kind=LimitKind.MODE_OFF)
            elif most < fewest or most <= 0:
                self._paused[index] = Limit(kind=LimitKind.OWN_MAXIMUM)
            else:
                self._signatures[index] = self._rows.signature(demand)
                if demand.may_use_one_phase:
                    self._one_phase[index] = self._rows.signature(demand.on_one_phase())

    def _select_rows(self) -> None:
        """Leave out rows that can never become full, and for the admission those that all minimums fit into."""
        signatures = self._rows.signatures
        least_a = [0.0] * len(signatures)
        most_a = [0.0] * len(signatures)
        for choice in (self._signatures, self._one_phase):
            for index, signature in choice.items():
                step_a = self._step_a[index]
                least_a[signature] += self._steps[index] * step_a
                most_a[signature] += self._most[index] * step_a
        at_least_a = [0.0] * len(self._bounds_a)
        at_most_a = [0.0] * len(self._bounds_a)
        for made, least, most in zip(signatures, least_a, most_a, strict=True):
            for row, coefficient in made.entries:
                at_most_a[row] += coefficient * most
            for row, coefficient in made.at_minimum:
                at_least_a[row] += coefficient * least
        strict = self._case.site.sharing is SharingPolicy.STRICT
        can_fill = [
            most > bound for most, bound in zip(at_most_a, self._bounds_a, strict=True)
        ]
        can_refuse = [
            least > bound or strict
            for least, bound in zip(at_least_a, self._bounds_a, strict=True)
        ]
        self._entries = [
            [entry for entry in signature.entries if can_fill[entry[0]]]
            for signature in signatures
        ]
        self._refusing = [
            [
                entry
                for entry in signature.at_minimum
                if can_fill[entry[0]] and can_refuse[entry[0]]
            ]
            for signature in signatures
        ]

    def allocation(self) -> Allocation:
        """Go through all stages."""
        if self._case.site.sharing is SharingPolicy.STRICT:
            for _, members in groupby(self._order, self._class):
                self._fill(self._admit(tuple(members)))
        else:
            admitted = self._admit(self._order)
            if self._case.site.sharing is SharingPolicy.EQUAL:
                self._fill(admitted)
            else:
                for _, members in groupby(
                    sorted(admitted, key=self._class), self._class
                ):
                    self._fill(tuple(members))
        self._quantise()
        return self._result()

    def _class(self, index: int) -> int:
        return -self._demands[index].priority

    def _admit(self, candidates: Sequence[int]) -> list[int]:
        """Admit in order who fits with its minimum, and book these minimums."""
        admitted: list[int] = []
        booked_a = [0.0] * len(self._rows.signatures)
        for index in candidates:
            signature = self._signatures[index]
            minimum_a = self._steps[index] * self._step_a[index]
            refusing = self._refusing[signature]
            if refusing:
                row = lacking_row(refusing, minimum_a, self._load_a, self._bounds_a)
                if row is not None and index in self._one_phase:
                    signature = self._one_phase[index]
                    refusing = self._refusing[signature]
                    if (
                        lacking_row(refusing, minimum_a, self._load_a, self._bounds_a)
                        is None
                    ):
                        self._signatures[index] = signature
                        row = None
                if row is not None:
                    self._paused[index] = self._rows.limits[row]
                    del self._signatures[index]
                    continue
                for row, coefficient in refusing:
                    self._load_a[row] += coefficient * minimum_a
            booked_a[signature] += minimum_a
            admitted.append(index)
        for signature, minimum_a in enumerate(booked_a):
            if not minimum_a:
                continue
            refusing_rows = {row for row, _ in self._refusing[signature]}
            counting = {row for row, _ in self._rows.signatures[signature].at_minimum}
            for row, coefficient in self._entries[signature]:
                if row not in refusing_rows:
                    self._load_a[row] += coefficient * minimum_a
                # Where the minimum does not count, it makes the row as much wider as it fills it.
                if row not in counting:
                    self._bounds_a[row] += coefficient * minimum_a
        return admitted

    def _fill(self, members: Sequence[int]) -> None:
        """Raise the common level of the members and note what they come to."""
        frozen = fill(
            [
                (
                    self._signatures[index],
                    self._steps[index] * self._step_a[index],
                    self._most[index] * self._step_a[index],
                    self._demands[index].connector.weight,
                )
                for index in members
            ],
            self._entries,
            self._load_a,
            self._bounds_a,
        )
        for index in members:
            most = self._most[index]
            level_row = frozen.get(self._signatures[index])
            if level_row is None:
                self._steps[index] = most
                continue
            level, row = level_row
            steps = whole_steps(
                self._demands[index].connector.weight * level, self._step_a[index]
            )
            if steps < most:
                self._froze[index] = row
                self._steps[index] = max(steps, self._steps[index])
            else:
                self._steps[index] = most

    def _quantise(self) -> None:
        """Count what rounding left over in every row and hand it out."""
        self._load_a = [0.0] * len(self._bounds_a)
        for signature, total_a in self._totals_a().items():
            for row, coefficient in self._entries[signature]:
                self._load_a[row] += coefficient * total_a
        order = [
            index
            for index in self._order
            if index in self._signatures and self._steps[index] < self._most[index]
        ]
        if self._case.site.sharing is not SharingPolicy.EQUAL:
            order.sort(key=self._class)
        hand_out(
            self._steps,
            self._most,
            self._step_a,
            [
                self._entries[self._signatures[index]]
                if index in self._signatures
                else ()
                for index in range(len(self._demands))
            ],
            self._froze,
            order,
            self._load_a,
            self._bounds_a,
        )

    def _totals_a(self) -> dict[int, float]:
        totals_a: dict[int, float] = {}
        for index, signature in self._signatures.items():
            totals_a[signature] = (
                totals_a.get(signature, 0.0) + self._steps[index] * self._step_a[index]
            )
        return totals_a

    def _result(self) -> Allocation:
        limits = self._rows.limits
        own_maximum = Limit(kind=LimitKind.OWN_MAXIMUM)
        shares: dict[str, Share] = {}
        for index, signature in self._signatures.items():
            demand = self._demands[index]
            connector = demand.connector
            row = self._froze[index]
            steps = self._steps[index]
            if steps == 0:
                self._paused[index] = own_maximum if row is None else limits[row]
                continue
            current_a = round(steps * self._step_a[index], 9)
            phase_count = (
                1 if signature == self._one_phase.get(index) else demand.phase_count
            )
            shares[connector.id] = Share(
                current_a=current_a,
                power_w=round(
                    steps * connector.step_w
                    if connector.supply is Supply.DC
                    else current_a * phase_count * self._case.site.voltage_v,
                    6,
                ),
                limited_by=own_maximum
                if row is None or steps == self._most[index]
                else limits[row],
                phase_count=phase_count if connector.can_switch_phases else None,
            )
        return Allocation(
            shares=shares,
            paused={
                self._demands[index].connector.id: limit
                for index, limit in sorted(self._paused.items())
            },
            circuits=self._circuits(),
            order=tuple(self._demands[index].connector.id for index in self._order),
            support_a=self._support_a,
        )

    def _circuits(self) -> dict[str, CircuitShare]:
        used_a = {circuit: [0.0, 0.0, 0.0] for circuit in self._rows.available_a}
        for signature, total_a in self._totals_a().items():
            made = self._rows.signatures[signature]
            for circuit in made.path:
                for phase in made.loaded:
                    used_a[circuit][phase] += total_a
        return {
            circuit: CircuitShare(
                available_a=available_a,
                used_a=_rounded(used_a[circuit]),
            )
            for circuit, available_a in self._rows.available_a.items()
        }


def _rounded(values: Sequence[float]) -> PerPhase:
    return round(values[0], 9), round(values[1], 9), round(values[2], 9)

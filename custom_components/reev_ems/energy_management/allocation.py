"""The connectors that may charge, with how much, and what limited each.

`allocate(case)` is pure and deterministic: the same case gives the same answer in any order of its parts. In
sequence: the rows (rows.py), admission at the minimum (admission.py), the common water level per class (filling.py),
whole steps (quantising.py). What the policies mean:

- `equal`: priority decides admission, all admitted share one level;
- `priority`: everybody's minimum first, then class by class;
- `strict`: each class is admitted and filled before the next lower one. A minimum on-time protects within a class only.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from math import inf
from operator import gt

from . import imbalance
from .admission import claim, lacking_row, scarcity
from .bottlenecks import Bottlenecks
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
from .filling import Kind, fill
from .frozen import frozen
from .model import ChargingMode, SharingPolicy, Supply
from .quantising import (
    Hungry,
    hand_out,
    is_full,
    steps_needed,
    steps_per_a,
    whole_steps,
)
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


def allocate(case: Case, support_a: Mapping[str, float] | None = None) -> Allocation:
    """Share what there is.

    Args:
        case: the moment of the site.
        support_a: what imbalance.supports(case) returns, if the caller asked already.

    Raises:
        ValueError: the circuits are no tree, a demand's circuit does not exist or two demands are for one connector.
    """
    if case.site.imbalance is None:
        return _Sharing(case, {}).allocation()
    if support_a is None:
        support_a = imbalance.supports(case)
    for _ in range(_SUPPORT_ROUNDS):
        allocation = _Sharing(case, support_a).allocation()
        # A connector lowered below what it draws now will soon support the other phases with less.
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


@frozen
class _Range:
    """What a connector may have, in whole steps of its charger and in A per phase used; many are alike."""

    fewest: int
    most: int
    step_a: float
    steps_per_a: float
    low_a: float
    high_a: float
    weight: float
    kind: Kind
    """For the filling."""


class _Sharing:
    """One calculation. Connectors are numbered in the order of their ids, everything about them is in lists."""

    def __init__(self, case: Case, support_a: Mapping[str, float]) -> None:
        self._case = case
        self._strict = case.site.sharing is SharingPolicy.STRICT
        self._support_a = support_a
        self._rows = Rows(case, support_a)
        self._bounds_a = self._rows.bounds_a
        self._start_bounds_a = self._rows.start_bounds_a
        self._demands = sorted(case.demands, key=lambda demand: demand.connector.id)
        self._ids = [demand.connector.id for demand in self._demands]
        if len(set(self._ids)) < len(self._ids):
            raise ValueError("two demands are for the same connector")
        self._paused: dict[int, Limit] = {}
        self._refused: dict[int, int] = {}
        """Those that did not start for what is kept from them, with their signatures."""
        self._froze: list[int | None] = [None] * len(self._demands)
        self._measure()
        self._totals_a = [0.0] * len(self._rows.places)
        """By signature, what its admitted connectors have."""
        self._load_a = [0.0] * len(self._bounds_a)
        self._all_admitted = False
        """Whether all minimums fit, so that nobody has to be asked; they are booked already."""
        self._select_rows()
        self._order = self._admission_order()

    def _measure(self) -> None:
        """Express minimums and maximums in whole steps and find each candidate's signature."""
        voltage_v, signature_of = self._case.site.voltage_v, self._rows.signature
        self._signatures: dict[int, int] = {}
        self._one_phase: dict[int, int] = {}
        self._ranges: list[_Range] = []
        self._classes = [-demand.priority for demand in self._demands]
        known: dict[tuple[float, float, float, float], _Range] = {}
        for index, demand in enumerate(self._demands):
            connector = demand.connector
            step_a = connector.step_a
            if connector.supply is Supply.DC:
                step_a = demand.step_a(voltage_v)
            alike = demand.min_a, demand.max_a, step_a, connector.weight
            if (found := known.get(alike)) is None:
                found = known[alike] = _range(*alike)
            self._ranges.append(found)
            if connector.mode is ChargingMode.OFF:
                self._paused[index] = Limit(kind=LimitKind.MODE_OFF)
            elif found.most < found.fewest or found.most <= 0:
                self._paused[index] = Limit(kind=LimitKind.OWN_MAXIMUM)
            else:
                self._signatures[index] = signature_of(demand)
                if connector.can_switch_phases and demand.may_use_one_phase:
                    self._one_phase[index] = signature_of(demand.on_one_phase())
        self._steps = [found.fewest for found in self._ranges]

    def _select_rows(self) -> None:
        """Leave out rows that can never become full, and for the admission those that all minimums fit into."""
        rows, bounds_a = self._rows, self._bounds_a
        least_a = [0.0] * len(rows.places)
        most_a = [0.0] * len(rows.places)
        for choice in (self._signatures, self._one_phase):
            for index, signature in choice.items():
                found = self._ranges[index]
                least_a[signature] += found.low_a
                most_a[signature] += found.high_a
        most_load_a = rows.loads_a(most_a, within_limits=True)
        can_fill = list(map(gt, most_load_a, bounds_a, strict=True))
        self._filling = Bottlenecks(rows, can_fill)
        least_load_a = rows.loads_a(least_a, at_minimum=True)
        is_scarce = list(map(gt, least_load_a, bounds_a, strict=True))
        self._refusing = Bottlenecks(
            rows, can_fill if self._strict else is_scarce, at_minimum=True
        )
        self._scarcity: Sequence[float] | None = None
        starts_scarce = False
        if self._rows.start_bounds_a and any(d.starts for d in self._demands):
            starts_scarce = any(
                map(gt, least_load_a, self._rows.start_bounds_a, strict=True)
            )
            if starts_scarce:
                is_scarce = can_fill
                self._refusing = Bottlenecks(rows, can_fill, at_minimum=True)
        if any(is_scarce):
            self._scarcity = self._scarce(least_a, least_load_a)
        elif not (
            starts_scarce or self._strict or self._one_phase or rows.has_free_minimums
        ):
            self._totals_a, self._load_a = least_a, least_load_a
            self._all_admitted = True

    def _scarce(
        self, least_a: list[float], least_load_a: Sequence[float]
    ) -> Sequence[float]:
        """Return by row how scarce it is to those that could start, were they alone."""
        bounds_a = self._bounds_a
        most_a = [
            min(
                [bounds_a[row] / coefficient for row, coefficient in entries],
                default=inf,
            )
            for entries in self._refusing.entries
        ]
        hopeless = False
        for index, signature in self._signatures.items():
            minimum_a = self._ranges[index].low_a
            if minimum_a > most_a[signature]:
                least_a[signature] -= minimum_a
                hopeless = True
        if hopeless:
            least_load_a = self._rows.loads_a(least_a, at_minimum=True)
        return list(map(scarcity, least_load_a, bounds_a, strict=True))

    def _admission_order(self) -> list[int]:
        """Return the candidates in the order of their claims."""
        demands, ranges = self._demands, self._ranges
        needed = [0.0] * len(self._rows.places)
        if (scarcity := self._scarcity) is not None:
            needed = [
                sum([coefficient * scarcity[row] for row, coefficient in entries])
                for entries in self._refusing.entries
            ]
        claims = [
            (
                *claim(
                    demands[index],
                    # Sums of the same numbers in another order are the same.
                    round(needed[signature] * ranges[index].low_a, 6),
                ),
                # They lie in the order of their ids, which decides between those who are alike in all of this.
                index,
            )
            for index, signature in self._signatures.items()
        ]
        claims.sort()
        order = [index for *_, index in claims]
        if self._strict:
            order.sort(key=self._class)
        return order

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
        self._admit_into_idle_room()
        return self._result()

    def _admit_into_idle_room(self) -> None:
        """Let those start that were refused for what is kept from them, as far as nobody else takes the room."""
        if not self._refused:
            return
        load_a = self._rows.loads_a(self._totals_a)
        for index, signature in self._refused.items():
            minimum_a, shape = self._ranges[index].low_a, self._rows.shape(signature)
            entries = self._refusing.entries[signature]
            if (
                shape.above_minimum
                or lacking_row(entries, minimum_a, load_a, self._bounds_a) is not None
            ):
                continue
            for row, coefficient in entries:
                load_a[row] += coefficient * minimum_a
            del self._paused[index]
            self._signatures[index] = signature
            self._totals_a[signature] += minimum_a

    def _class(self, index: int) -> int:
        return self._classes[index]

    def _admit(self, candidates: Sequence[int]) -> list[int]:
        """Admit in order who fits with its minimum, and book these minimums."""
        if self._all_admitted:
            return list(candidates)
        load_a, refusing = self._load_a, self._refusing.entries
        admitted: list[int] = []
        for index in candidates:
            signature = self._signatures[index]
            minimum_a = self._ranges[index].low_a
            entries = refusing[signature]
            if entries:
                bounds_a = self._bounds_a
                if self._start_bounds_a and self._demands[index].starts:
                    bounds_a = self._start_bounds_a
                row = lacking_row(entries, minimum_a, load_a, bounds_a)
                if row is not None and index in self._one_phase:
                    one_phase = self._one_phase[index]
                    on_one_phase = refusing[one_phase]
                    if lacking_row(on_one_phase, minimum_a, load_a, bounds_a) is None:
                        self._signatures[index] = signature = one_phase
                        entries = on_one_phase
                        row = None
                if row is not None:
                    self._paused[index] = self._rows.limit(row)
                    if bounds_a is not self._bounds_a:
                        self._refused[index] = signature
                    del self._signatures[index]
                    continue
                for row, coefficient in entries:
                    load_a[row] += coefficient * minimum_a
            # Where the minimum does not count, it widens the row by as much as it fills it.
            for row, coefficient in self._rows.shape(signature).above_minimum:
                self._bounds_a[row] += coefficient * minimum_a
                load_a[row] += coefficient * minimum_a
            self._totals_a[signature] += minimum_a
            admitted.append(index)
        self._load_a = self._rows.loads_a(self._totals_a)
        return admitted

    def _fill(self, members: Sequence[int]) -> None:
        """Raise the common level of the members and note what they come to."""
        ranges, signatures = self._ranges, self._signatures
        held, totals_a = self._steps, self._totals_a
        alike: defaultdict[Kind, list[int]] = defaultdict(list)
        for index in members:
            alike[ranges[index].kind].append(signatures[index])
        frozen = fill(alike, self._filling, self._load_a, self._bounds_a)
        for index in members:
            signature, found = signatures[index], ranges[index]
            steps = found.most
            if (froze := frozen.get(signature)) is not None:
                level, row = froze
                whole = whole_steps(found.weight * level / found.step_a)
                if whole < steps:
                    self._froze[index] = row
                    steps = max(found.fewest, whole)
            held[index] = steps
            totals_a[signature] += (steps - found.fewest) * found.step_a

    def _hand_out(self, members: Sequence[int]) -> None:
        """Hand out in whole steps what rounding left over in every row."""
        ranges, signatures, froze = self._ranges, self._signatures, self._froze
        hungry = [index for index in members if self._steps[index] < ranges[index].most]
        if not hungry:
            return
        load_a, bounds_a = self._rows.loads_a(self._totals_a), self._bounds_a
        more = hand_out(
            [
                Hungry(
                    index,
                    ranges[index].most - self._steps[index],
                    ranges[index].step_a,
                    signatures[index],
                    row,
                )
                for index in hungry
                if (row := froze[index]) is None
                or not is_full(row, ranges[index].step_a, load_a, bounds_a)
            ],
            self._filling,
            load_a,
            bounds_a,
        )
        self._load_a = load_a
        for index, steps in more.items():
            self._steps[index] += steps
            self._totals_a[signatures[index]] += steps * ranges[index].step_a

    def _result(self) -> Allocation:
        voltage_v = self._case.site.voltage_v
        own_maximum = Limit(kind=LimitKind.OWN_MAXIMUM)
        limits = {
            row: self._rows.limit(row) for row in set(self._froze) if row is not None
        }
        ids, demands, ranges = self._ids, self._demands, self._ranges
        froze, held, phase_counts = self._froze, self._steps, self._rows.phase_counts
        shares: dict[str, Share] = {}
        for index, signature in self._signatures.items():
            connector, found = demands[index].connector, ranges[index]
            row, steps = froze[index], held[index]
            limit = own_maximum if row is None or steps == found.most else limits[row]
            if steps == 0:
                self._paused[index] = limit
                continue
            current_a, phase_count = steps / found.steps_per_a, phase_counts[signature]
            shares[ids[index]] = Share(
                current_a,
                steps * connector.step_w
                if connector.supply is Supply.DC
                else current_a * phase_count * voltage_v,
                limit,
                phase_count if connector.can_switch_phases else None,
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


def _range(min_a: float, max_a: float, step_a: float, weight: float) -> _Range:
    fewest, most = steps_needed(min_a / step_a), whole_steps(max_a / step_a)
    low_a, high_a = fewest * step_a, most * step_a
    return _Range(
        fewest=fewest,
        most=most,
        step_a=step_a,
        steps_per_a=steps_per_a(step_a),
        low_a=low_a,
        high_a=high_a,
        weight=weight,
        kind=(low_a, high_a, weight),
    )

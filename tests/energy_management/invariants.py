"""What has to hold for every allocation, checked with rows that the allocation did not make."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from custom_components.reev_ems.energy_management.case import (
    Allocation,
    Case,
    Demand,
    dc_power_to_a,
)
from custom_components.reev_ems.energy_management.decision import Limit, LimitKind
from custom_components.reev_ems.energy_management.guard import _Row, _rows
from custom_components.reev_ems.energy_management.model import (
    ChargingMode,
    SharingPolicy,
    Supply,
)


@dataclass(frozen=True)
class Checked:
    """A row as it stands after an allocation."""

    limit: Limit
    bound_a: float
    load_a: float
    coefficients: dict[str, float]
    free_a: dict[str, float]

    @property
    def room_a(self) -> float:
        """Return what is left."""
        return self.bound_a - self.load_a


def step_a(case: Case, demand: Demand) -> float:
    """Return a charger's step in A at the AC side."""
    connector = demand.connector
    if connector.supply is Supply.AC:
        return connector.step_a
    return dc_power_to_a(connector.step_w, case.site.voltage_v, connector.efficiency)


def used_demands(case: Case, allocation: Allocation) -> dict[str, Demand]:
    """Return the demands with the phases that they were given."""
    return {
        demand.connector.id: demand.on_one_phase()
        if demand.connector.id in allocation.shares
        and allocation.shares[demand.connector.id].phase_count == 1
        and demand.may_use_one_phase
        else demand
        for demand in case.demands
    }


def checked_rows(case: Case, allocation: Allocation) -> list[Checked]:
    """Return every row with its load, and with the support that the allocation relied on."""

    def check(row: _Row) -> Checked:
        return Checked(
            limit=row.limit,
            bound_a=row.bound_a
            + sum(allocation.support_a.get(name, 0.0) for name in row.support_a),
            load_a=sum(
                coefficient
                * max(
                    0.0,
                    allocation.shares[name].current_a - row.free_a.get(name, 0.0),
                )
                for name, coefficient in row.coefficients.items()
                if name in allocation.shares
            ),
            coefficients=dict(row.coefficients),
            free_a=dict(row.free_a),
        )

    return [check(row) for row in _rows(case, used_demands(case, allocation))]


def over_limit(case: Case, allocation: Allocation) -> Iterator[str]:
    """Yield each row that does not hold, each share outside its bounds and each support that is not given."""
    for row in checked_rows(case, allocation):
        if row.load_a > max(0.0, row.bound_a) + 1e-6:
            yield f"{row.limit}: {row.load_a} > {row.bound_a}"
    demands = {demand.connector.id: demand for demand in case.demands}
    for name, share in allocation.shares.items():
        demand = demands[name]
        if not demand.min_a - 1e-6 <= share.current_a <= demand.max_a + 1e-6:
            yield f"{name}: {share.current_a} is outside its bounds"
        steps = share.current_a / step_a(case, demand)
        if abs(steps - round(steps)) > 1e-3 and step_a(case, demand) > 1e-6:
            yield f"{name}: {share.current_a} is no whole number of steps"
    for name, relied_a in allocation.support_a.items():
        given = allocation.shares.get(name)
        if relied_a > (0.0 if given is None else given.current_a) + 1e-6:
            if case.site.imbalance is not None and relied_a > 0:
                yield f"{name}: {relied_a} A relied on, {given}"
    if set(demands) != set(allocation.shares) | set(allocation.paused):
        yield "somebody is neither admitted nor paused"
    if set(allocation.shares) & set(allocation.paused):
        yield "somebody is both admitted and paused"


def not_max_min(case: Case, allocation: Allocation) -> Iterator[str]:
    """Yield each share that could be larger without taking from one that is no larger; steps have to be fine."""
    tolerance_a = 1e-4
    demands = used_demands(case, allocation)
    rows = {row.limit: row for row in checked_rows(case, allocation)}
    equal = case.site.sharing is SharingPolicy.EQUAL

    def is_entitled(name: str, row: Checked) -> bool:
        """Return whether nobody in a full row gives way to a connector, though he should."""
        mine = demands[name]
        level = allocation.shares[name].current_a / mine.connector.weight
        for other in row.coefficients:
            if other == name or other not in allocation.shares:
                continue
            his = demands[other]
            current_a = allocation.shares[other].current_a
            if current_a <= his.min_a + tolerance_a:
                continue
            if not equal and his.priority > mine.priority:
                continue
            if not equal and his.priority < mine.priority:
                return False
            if current_a / his.connector.weight > level + tolerance_a:
                # At its own minimum it has more than its level already.
                if allocation.shares[name].current_a > mine.min_a + tolerance_a:
                    return False
                if current_a / his.connector.weight > level + tolerance_a:
                    return False
        return True

    for name, share in allocation.shares.items():
        if share.current_a >= demands[name].max_a - tolerance_a:
            continue
        row = rows.get(share.limited_by)
        if row is None or name not in row.coefficients:
            yield f"{name}: limited by {share.limited_by}, where it is not"
        elif row.room_a > tolerance_a:
            yield f"{name}: limited by {row.limit}, which has {row.room_a} A left"
        elif not is_entitled(name, row):
            yield f"{name}: has {share.current_a} A, others in {row.limit} have more"


def wasted(case: Case, allocation: Allocation) -> Iterator[str]:
    """Yield each connector that could take one more step of its charger."""
    rows = checked_rows(case, allocation)
    demands = used_demands(case, allocation)
    for name, share in allocation.shares.items():
        step = step_a(case, demands[name])
        if share.current_a + step > demands[name].max_a + 1e-9:
            continue
        if all(
            row.coefficients[name] * step < row.room_a - 1e-6
            for row in rows
            if name in row.coefficients
        ):
            yield f"{name}: could have {step} A more"


def wrongly_paused(case: Case, allocation: Allocation) -> Iterator[str]:
    """Yield each pause that the row it names does not explain."""
    demands = {demand.connector.id: demand for demand in case.demands}
    for name, limit in allocation.paused.items():
        demand = demands[name]
        if limit.kind is LimitKind.MODE_OFF:
            if demand.connector.mode is not ChargingMode.OFF:
                yield f"{name}: not switched off"
            continue
        if limit.kind is LimitKind.OWN_MAXIMUM:
            if demand.max_a >= demand.min_a + step_a(case, demand):
                yield f"{name}: its maximum is not below its minimum"
            continue
        named = _lacking(case, allocation, demand)
        if limit not in named:
            yield f"{name}: {limit} has room for it"
        if demand.may_use_one_phase and not _lacking(
            case, allocation, demand.on_one_phase()
        ):
            yield f"{name}: one phase would fit"


def _lacking(case: Case, allocation: Allocation, paused: Demand) -> set[Limit]:
    """Return the rows that lack the room for a connector's minimum, beside those that are admitted."""
    with_it = replace(
        case,
        demands=tuple(
            paused if demand.connector.id == paused.connector.id else demand
            for demand in case.demands
        ),
    )
    name = paused.connector.id
    return {
        row.limit
        for row in checked_rows(with_it, allocation)
        if name in row.coefficients
        and row.coefficients[name] * max(0.0, paused.min_a - row.free_a.get(name, 0.0))
        > row.room_a - 1e-6
        and paused.min_a > row.free_a.get(name, 0.0)
    }

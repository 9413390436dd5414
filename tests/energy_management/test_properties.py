"""The invariants of the allocation over random sites."""

from collections import Counter
from dataclasses import replace
import os
from random import Random

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.reev_ems.energy_management.allocation import allocate
from custom_components.reev_ems.energy_management.case import Case
from custom_components.reev_ems.energy_management.guard import guard
from custom_components.reev_ems.energy_management.model import (
    PHASES,
    ChargingMode,
    Connector,
    Phase,
    Supply,
)

from . import invariants
from .sites import cases, random_case

SITES = int(os.environ.get("REEV_EMS_SITES", "500"))
"""Random sites for each property; `scripts/prove` raises it."""

sites = settings(
    max_examples=SITES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def currents(case: Case) -> dict[str, float]:
    """Return what each connector gets, the paused ones 0."""
    allocation = allocate(case)
    return {
        demand.connector.id: allocation.shares[demand.connector.id].current_a
        if demand.connector.id in allocation.shares
        else 0.0
        for demand in case.demands
    }


@given(cases())
@sites
def test_s1_every_row_holds(case: Case) -> None:
    """No row is overfull, everybody is inside its bounds and in whole steps."""
    assert list(invariants.over_limit(case, allocate(case))) == []


@given(cases())
@sites
def test_nothing_is_wasted(case: Case) -> None:
    """Nobody could take another step."""
    assert list(invariants.wasted(case, allocate(case))) == []


@given(cases(fine=True))
@sites
def test_shares_are_max_min_fair(case: Case) -> None:
    """Who is below its maximum names a full row in which nobody has to give way to it."""
    assert list(invariants.not_max_min(case, allocate(case))) == []


@given(cases())
@sites
def test_every_pause_is_explained(case: Case) -> None:
    """The row that a paused connector names lacks the room for its minimum."""
    assert list(invariants.wrongly_paused(case, allocate(case))) == []


@given(cases(), st.randoms(use_true_random=False))
@sites
def test_the_order_of_input_is_irrelevant(case: Case, draw: Random) -> None:
    """Shuffled circuits and demands give the same answer."""
    demands, circuits = list(case.demands), list(case.site.circuits)
    draw.shuffle(demands)
    draw.shuffle(circuits)
    shuffled = replace(
        case,
        demands=tuple(demands),
        site=replace(case.site, circuits=tuple(circuits)),
    )
    assert allocate(shuffled) == allocate(case)


def rotated(case: Case) -> Case:
    """Return the case with L1 renamed to L2, L2 to L3, L3 to L1."""
    names = dict(zip(PHASES, (*PHASES[1:], PHASES[0]), strict=True))

    def turn[T](values: tuple[T, T, T]) -> tuple[T, T, T]:
        return values[2], values[0], values[1]

    def wires(phases: tuple[Phase, ...] | None) -> tuple[Phase, ...] | None:
        return None if phases is None else tuple(names[phase] for phase in phases)

    return replace(
        case,
        site=replace(
            case.site,
            circuits=tuple(
                replace(
                    circuit,
                    limit_a=circuit.limit_a and turn(circuit.limit_a),
                    reserve_a=turn(circuit.reserve_a),
                )
                for circuit in case.site.circuits
            ),
            user_groups=tuple(
                replace(group, limit_a=group.limit_a and turn(group.limit_a))
                for group in case.site.user_groups
            ),
        ),
        demands=tuple(
            replace(
                demand,
                phases=demand.phases
                if demand.connector.supply is Supply.DC
                else wires(demand.phases),
                measured_a=demand.measured_a and turn(demand.measured_a),
            )
            for demand in case.demands
        ),
        base_a={name: base and turn(base) for name, base in case.base_a.items()},
        reservations_a={
            name: turn(reserved) for name, reserved in case.reservations_a.items()
        },
        group_reservations_a={
            name: turn(reserved) for name, reserved in case.group_reservations_a.items()
        },
        surplus_a={name: turn(surplus) for name, surplus in case.surplus_a.items()},
        imbalance_base_a=case.imbalance_base_a and turn(case.imbalance_base_a),
    )


@given(cases())
@sites
def test_rotating_the_phases_rotates_the_result(case: Case) -> None:
    """Phases are only names."""
    assert currents(rotated(case)) == pytest.approx(currents(case), abs=1e-6)
    turned, straight = allocate(rotated(case)), allocate(case)
    for name, circuit in straight.circuits.items():
        used = circuit.used_a
        assert turned.circuits[name].used_a == pytest.approx((used[2], *used[:2]))


@given(cases())
@sites
def test_a_connector_that_is_off_changes_nothing(case: Case) -> None:
    """It takes no room and no turn."""
    off = Connector(id="off", circuit="c0", mode=ChargingMode.OFF, priority=10)
    with_it = replace(
        case,
        demands=(*case.demands, replace(case.demands[0], connector=off))
        if case.demands
        else (),
    )
    for name, current_a in currents(case).items():
        assert currents(with_it)[name] == current_a


@given(cases(plain=True), st.integers(0, 8), st.integers(1, 9))
@sites
def test_a_higher_priority_never_lowers_ones_own_share(
    case: Case, which: int, by: int
) -> None:
    """To be moved up in class pays or changes nothing, down to the charger's step.

    Not where phases are switched: whoever comes first may get three phases at 6 A, and later one phase at 32 A.
    """
    if which >= len(case.demands):
        return
    demand = case.demands[which]
    raised = replace(demand, priority=min(10, demand.priority + by))
    moved = replace(
        case,
        demands=(*case.demands[:which], raised, *case.demands[which + 1 :]),
    )
    name = demand.connector.id
    assert (
        currents(moved)[name]
        >= currents(case)[name] - invariants.step_a(case, demand) - 1e-6
    )


@given(cases())
@sites
def test_doubling_everything_doubles_the_shares(case: Case) -> None:
    """Only ratios decide."""

    def twice(values: tuple[float, float, float]) -> tuple[float, float, float]:
        return values[0] * 2, values[1] * 2, values[2] * 2

    doubled = replace(
        case,
        site=replace(
            case.site,
            circuits=tuple(
                replace(
                    circuit,
                    limit_a=circuit.limit_a and twice(circuit.limit_a),
                    limit_w=circuit.limit_w and circuit.limit_w * 2,
                    reserve_a=twice(circuit.reserve_a),
                )
                for circuit in case.site.circuits
            ),
            user_groups=tuple(
                replace(
                    group,
                    limit_a=group.limit_a and twice(group.limit_a),
                    limit_w=group.limit_w and group.limit_w * 2,
                )
                for group in case.site.user_groups
            ),
            margin_a=case.site.margin_a * 2,
            imbalance=case.site.imbalance
            and replace(case.site.imbalance, limit_a=case.site.imbalance.limit_a * 2),
        ),
        demands=tuple(
            replace(
                demand,
                connector=replace(
                    demand.connector,
                    step_a=demand.connector.step_a * 2,
                    step_w=demand.connector.step_w * 2,
                ),
                min_a=demand.min_a * 2,
                max_a=demand.max_a * 2,
                measured_a=demand.measured_a and twice(demand.measured_a),
            )
            for demand in case.demands
        ),
        base_a={name: base and twice(base) for name, base in case.base_a.items()},
        base_w={name: base_w and base_w * 2 for name, base_w in case.base_w.items()},
        reservations_a={name: twice(r) for name, r in case.reservations_a.items()},
        group_reservations_a={
            name: twice(r) for name, r in case.group_reservations_a.items()
        },
        surplus_w={name: value * 2 for name, value in case.surplus_w.items()},
        surplus_a={name: twice(value) for name, value in case.surplus_a.items()},
        external_limit_w=case.external_limit_w and case.external_limit_w * 2,
        imbalance_base_a=case.imbalance_base_a and twice(case.imbalance_base_a),
    )
    assert currents(doubled) == pytest.approx(
        {name: current_a * 2 for name, current_a in currents(case).items()}, abs=1e-6
    )


@given(cases(), st.data())
@sites
def test_s10_the_guard_only_lowers_until_every_row_holds(
    case: Case, data: st.DataObject
) -> None:
    """Whatever it is handed: nothing is raised, everything holds, and a second look changes nothing."""
    permits_a = {
        demand.connector.id: data.draw(
            st.one_of(
                st.sampled_from((0.0, demand.min_a, demand.max_a, float("nan"), 1e9)),
                st.floats(0, 64),
            )
        )
        for demand in case.demands
    }
    order = data.draw(st.permutations(list(permits_a)))
    guarded = guard(case, permits_a, order)
    for demand in case.demands:
        name = demand.connector.id
        permit_a, limit = guarded[name]
        assert permit_a <= permits_a[name] or permit_a == 0
        assert (limit is None) == (permit_a == permits_a[name])
        assert permit_a == 0 or demand.min_a - 1e-6 <= permit_a <= demand.max_a + 1e-6
    safe_a = {name: permit_a for name, (permit_a, _) in guarded.items()}
    for row in invariants._rows(case, {d.connector.id: d for d in case.demands}):
        assert row.excess_a(safe_a) <= 1e-6, row.limit
    assert guard(case, safe_a, order) == {
        name: (permit_a, None) for name, permit_a in safe_a.items()
    }


@given(cases())
@sites
def test_s10_the_guard_lets_an_allocation_pass(case: Case) -> None:
    """Two ways of writing down the rows agree."""
    allocation = allocate(case)
    guarded = guard(
        case,
        {name: share.current_a for name, share in allocation.shares.items()},
        allocation.order,
        {
            name: share.phase_count
            for name, share in allocation.shares.items()
            if share.phase_count is not None
        },
    )
    assert [name for name, (_, limit) in guarded.items() if limit is not None] == []


def test_the_random_sites_cover_what_can_happen() -> None:
    """Each kind of limit binds somebody, each kind of row refuses somebody, and phases are switched."""
    draw = Random(1)
    limited: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    switched = 0
    for _ in range(400):
        allocation = allocate(random_case(draw))
        limited.update(share.limited_by.kind for share in allocation.shares.values())
        refused.update(limit.kind for limit in allocation.paused.values())
        switched += sum(share.phase_count == 1 for share in allocation.shares.values())
    kinds = {
        "circuit_phase", "circuit_power", "pv_surplus", "external_limit", "imbalance",
    }  # fmt: skip
    assert kinds | {"own_maximum"} <= set(limited)
    assert kinds | {"mode_off"} <= set(refused)
    assert switched > 5

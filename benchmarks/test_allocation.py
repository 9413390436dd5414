"""How long an allocation takes on a three-level tree, next to scipy's LP on the same case.

Run: .venv/bin/python -m pytest benchmarks --benchmark-only
The table of results is in docs/benchmarks.md.
"""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from custom_components.reev_ems.energy_management.allocation import allocate
from custom_components.reev_ems.energy_management.case import Case, Demand
from custom_components.reev_ems.energy_management.guard import _rows, guard
from custom_components.reev_ems.energy_management.model import (
    PHASES,
    Circuit,
    Connector,
    ImbalanceLimit,
    Phase,
    SharingPolicy,
    Site,
)

VOLTAGE_V = 230.0


def three_levels(
    connectors: int,
    *,
    room: float = 6.5,
    sharing: SharingPolicy = SharingPolicy.PRIORITY,
) -> Case:
    """Return a car park: a grid connection, boards of fifty, groups of ten.

    Every kind of charger is there: three phases in two rotations, two phases, one phase on each, maximums of 10 to
    32 A, three classes, two weights. All circuits are measured, the grid connection has a power limit, an external
    limit and an imbalance limit that grows with it.

    Args:
        connectors: how many.
        room: A per connector and phase at the grid connection.
        sharing: the sharing policy.
    """
    draw = Random(1)
    fuses = (63.0, 80.0, 100.0)
    boards, groups = max(2, connectors // 50), max(4, connectors // 10)
    circuits = [
        Circuit(
            id="main",
            limit_a=(connectors * room,) * 3,
            limit_w=connectors * room * 670,
        ),
        *(
            Circuit(
                id=f"board{place}",
                parent="main",
                limit_a=(connectors * room * 1.25 / boards,) * 3,
            )
            for place in range(boards)
        ),
        *(
            Circuit(
                id=f"group{place}",
                parent=f"board{place % boards}",
                limit_a=(draw.choice(fuses), draw.choice(fuses), draw.choice(fuses)),
            )
            for place in range(groups)
        ),
    ]
    l1, l2, l3 = PHASES
    wirings: tuple[tuple[Phase, ...], ...] = (
        (l1, l2, l3), (l1, l2, l3), (l1, l2, l3), (l2, l3, l1), (l1,), (l2,), (l3,), (l1, l2),
    )  # fmt: skip
    demands = []
    for place in range(connectors):
        connector = Connector(
            id=f"cp{place}",
            circuit=f"group{place % groups}",
            phases=draw.choice(wirings),
            max_a=draw.choice((10.0, 16.0, 16.0, 20.0, 32.0)),
            priority=draw.choice((3, 5, 5, 5, 8)),
            weight=draw.choice((1.0, 1.0, 2.0)),
        )
        demands.append(Demand.of(connector, VOLTAGE_V))
    return Case(
        site=Site(
            circuits=tuple(circuits),
            sharing=sharing,
            imbalance=ImbalanceLimit(limit_a=connectors * room / 4),
        ),
        demands=tuple(demands),
        base_a={circuit.id: (5.0, 3.0, 1.0) for circuit in circuits},
        external_limit_w=connectors * room * 660,
        imbalance_base_a=(5.0, 3.0, 1.0),
    )


def limits_per_phase_only(case: Case) -> Case:
    """Return the same car park with nothing but the limits per phase, all connectors with the same priority."""
    return replace(
        case,
        site=replace(
            case.site,
            circuits=tuple(replace(item, limit_w=None) for item in case.site.circuits),
            imbalance=None,
        ),
        demands=tuple(
            Demand.of(replace(item.connector, priority=5, weight=1.0), VOLTAGE_V)
            for item in case.demands
        ),
        external_limit_w=None,
    )


SCARCE, ENOUGH = 3.5, 7.0


@pytest.mark.parametrize("connectors", [100, 500, 2000, 5000])
def test_allocate(benchmark: Any, connectors: int) -> None:
    """Everybody charges, nearly everybody is limited."""
    case = three_levels(connectors, room=ENOUGH)
    allocation = benchmark(allocate, case)
    assert len(allocation.paused) < connectors * 0.1


@pytest.mark.parametrize("connectors", [100, 500, 2000, 5000])
def test_allocate_with_limits_per_phase_only(benchmark: Any, connectors: int) -> None:
    """The same, without classes, weights and all other limits."""
    case = limits_per_phase_only(three_levels(connectors, room=ENOUGH))
    allocation = benchmark(allocate, case)
    assert len(allocation.paused) < connectors * 0.1


@pytest.mark.parametrize("connectors", [100, 500, 2000])
def test_allocate_what_is_scarce(benchmark: Any, connectors: int) -> None:
    """About a third of the connectors have to wait."""
    case = three_levels(connectors, room=SCARCE)
    allocation = benchmark(allocate, case)
    assert connectors * 0.2 < len(allocation.paused) < connectors * 0.7


@pytest.mark.parametrize("connectors", [100, 500])
def test_guard(benchmark: Any, connectors: int) -> None:
    """The guard lets the allocation pass."""
    case = three_levels(connectors, room=ENOUGH)
    allocation = allocate(case)
    permits_a = {name: share.current_a for name, share in allocation.shares.items()}
    guarded = benchmark(guard, case, permits_a, allocation.order)
    assert not any(limit for _, limit in guarded.values())


def by_linear_programs(case: Case, demands: list[Demand]) -> list[float]:
    """Return the max-min fair currents of one class of admitted connectors: one LP per level.

    A connector with a dual value in the constraint `x >= weight * level` cannot rise any more and keeps its current.
    """
    rows = list(_rows(case, {demand.connector.id: demand for demand in demands}))
    count = len(demands)
    weights = np.array([demand.connector.weight for demand in demands])
    low = np.array([demand.min_a for demand in demands])
    high = np.array([demand.max_a for demand in demands])
    coefficients = np.array(
        [
            [row.coefficients.get(demand.connector.id, 0.0) for demand in demands]
            + [0.0]
            for row in rows
        ]
    )
    bounds_a = np.array([row.bound_a for row in rows])
    level = np.zeros(count + 1)
    level[-1] = -1.0
    free = np.ones(count, dtype=bool)
    while free.any():
        rising = np.hstack([-np.eye(count), weights[:, None]])[free]
        solution = linprog(
            level,
            A_ub=np.vstack([coefficients, rising]),
            b_ub=np.concatenate([bounds_a, np.zeros(len(rising))]) + 1e-9,
            bounds=[*zip(low, high, strict=True), (0.0, None)],
        )
        stuck = np.flatnonzero(free)[solution.ineqlin.marginals[len(rows) :] < -1e-9]
        current = np.clip(weights[stuck] * solution.x[-1], low[stuck], high[stuck])
        low[stuck] = high[stuck] = current
        free[stuck] = False
    return [float(current) for current in low]


@pytest.mark.parametrize("connectors", [100])
def test_linear_programs(benchmark: Any, connectors: int) -> None:
    """What the same answer costs with scipy, for whom the allocation admitted."""
    case = three_levels(connectors, room=ENOUGH, sharing=SharingPolicy.EQUAL)
    shares = allocate(case).shares
    demands = [d for d in case.demands if d.connector.id in shares]
    found = benchmark.pedantic(by_linear_programs, (case, demands), rounds=3)
    for demand, current_a in zip(demands, found, strict=True):
        share = shares[demand.connector.id]
        # Rounding down to 0.1 A, and what that left for others.
        assert current_a - 0.11 < share.current_a < current_a + 0.31

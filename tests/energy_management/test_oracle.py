"""The allocation against solvers that know nothing of how it works: scipy's LP and MILP."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
from numpy.typing import NDArray
import pytest
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from custom_components.reev_ems.energy_management.allocation import allocate
from custom_components.reev_ems.energy_management.case import Allocation, Case, Demand
from custom_components.reev_ems.energy_management.guard import _Row, _rows
from custom_components.reev_ems.energy_management.model import (
    ChargingMode,
    SharingPolicy,
)

from .sites import random_case

LP_SITES = 40
MILP_SITES = 100

type Matrix = NDArray[np.float64]


def matrix(rows: Sequence[_Row], names: Sequence[str]) -> Matrix:
    """Return the coefficients of some connectors in some rows."""
    return np.array(
        [[row.coefficients.get(name, 0.0) for name in names] for row in rows]
    ).reshape(len(rows), len(names))


def lexicographic(
    demands: Sequence[Demand], coefficients: Matrix, bounds_a: Matrix
) -> list[float]:
    """Return the weighted lexicographic max-min currents, by one LP per level and connector."""
    count = len(demands)
    low = np.array([demand.min_a for demand in demands])
    high = np.array([demand.max_a for demand in demands])
    weights = np.array([demand.connector.weight for demand in demands])
    fixed: dict[int, float] = {}

    def solve(objective: Matrix, level: float | None) -> tuple[Matrix, float]:
        """Maximise over (x, t); everybody free has at least weight · (level, or t)."""
        free = [index for index in range(count) if index not in fixed]
        lower = low.copy()
        rising = np.zeros((0, count + 1))
        if level is None:
            rising = np.zeros((len(free), count + 1))
            for place, index in enumerate(free):
                rising[place, index], rising[place, -1] = -1.0, weights[index]
        else:
            for index in free:
                lower[index] = min(max(low[index], weights[index] * level), high[index])
        x_bounds = [
            (fixed[index], fixed[index])
            if index in fixed
            else (lower[index], high[index])
            for index in range(count)
        ]
        solution = linprog(
            -objective,
            A_ub=np.vstack(
                [np.hstack([coefficients, np.zeros((len(bounds_a), 1))]), rising]
            ),
            b_ub=np.concatenate([bounds_a, np.zeros(len(rising))]) + 1e-9,
            bounds=[*x_bounds, (0, None)],
        )
        assert solution.success, solution.message
        return solution.x[:count], solution.x[-1]

    only_level = np.zeros(count + 1)
    only_level[-1] = 1.0
    while len(fixed) < count:
        _, level = solve(only_level, None)
        stuck = {}
        for index in set(range(count)) - set(fixed):
            alone = np.zeros(count + 1)
            alone[index] = 1.0
            at_level = min(max(low[index], weights[index] * level), high[index])
            best = solve(alone, level)[0][index]
            if best <= at_level + 1e-7:
                stuck[index] = at_level
        assert stuck, "the level could rise"
        fixed |= stuck
    return [fixed[index] for index in range(count)]


def optimum(case: Case, allocation: Allocation) -> dict[str, float]:
    """Return the best currents for whom the allocation admitted, class by class."""
    rows = list(_rows(case, {demand.connector.id: demand for demand in case.demands}))
    admitted = [
        demand for demand in case.demands if demand.connector.id in allocation.shares
    ]
    policy = case.site.sharing
    classes = (
        [set(range(11))]
        if policy is SharingPolicy.EQUAL
        else [{priority} for priority in range(10, 0, -1)]
    )
    current_a: dict[str, float] = {}
    for priorities in classes:
        members = [demand for demand in admitted if demand.priority in priorities]
        if not members:
            continue
        names = [demand.connector.id for demand in members]
        others_a = current_a | {
            demand.connector.id: demand.min_a
            for demand in admitted
            if policy is SharingPolicy.PRIORITY
            and demand.connector.id not in current_a
            and demand.connector.id not in names
        }
        left_a = np.array(
            [
                row.bound_a
                + sum(
                    row.coefficients.get(name, 0.0) * row.free_a[name]
                    for name in names
                    if name in row.free_a
                )
                - sum(
                    row.coefficients.get(name, 0.0)
                    * (other_a - row.free_a.get(name, 0.0))
                    for name, other_a in others_a.items()
                )
                for row in rows
            ]
        )
        used = [
            place
            for place, row in enumerate(rows)
            if any(name in row.coefficients for name in names)
        ]
        found = lexicographic(
            members,
            matrix([rows[place] for place in used], names),
            left_a[used],
        )
        current_a |= dict(zip(names, found, strict=True))
    return current_a


@pytest.mark.parametrize("policy", list(SharingPolicy))
def test_shares_are_the_lexicographic_optimum(policy: SharingPolicy) -> None:
    """Equal to the LP's within 1e-6 A, but for the steps of 1e-7 A."""
    draw = Random(7)
    compared = 0
    for _ in range(LP_SITES):
        case = random_case(draw, connectors=7, fine=True, plain=True, policy=policy)
        allocation = allocate(case)
        best = optimum(case, allocation)
        got = {name: share.current_a for name, share in allocation.shares.items()}
        assert got == pytest.approx(best, abs=1e-6)
        compared += len(got)
    assert compared > LP_SITES // 2


def most_admitted(case: Case) -> int:
    """Return how many connectors could start at their minimum at best."""
    demands = [
        demand
        for demand in case.demands
        if demand.connector.mode is not ChargingMode.OFF
        and demand.min_a <= demand.max_a
    ]
    if not demands:
        return 0
    rows = list(_rows(case, {demand.connector.id: demand for demand in demands}))
    coefficients = np.array(
        [
            [
                row.coefficients.get(demand.connector.id, 0.0)
                * (demand.min_a - row.free_a.get(demand.connector.id, 0.0))
                for demand in demands
            ]
            for row in rows
        ]
    ).reshape(len(rows), len(demands))
    bounds_a = np.array([max(0.0, row.bound_a) for row in rows]) + 1e-9
    solution = milp(
        -np.ones(len(demands)),
        integrality=np.ones(len(demands)),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(coefficients, ub=bounds_a)] if rows else [],
    )
    assert solution.success, solution.message
    return round(-solution.fun)


@pytest.mark.parametrize("connectors", [15, 40, 100])
def test_admission_starts_nearly_as_many_as_possible(connectors: int) -> None:
    """First fit starts at least 98 % of the connectors that an optimal choice could start.

    Compared is what the solver knows: rows. So all are of one class, were served alike and came together.
    """
    started = possible = 0
    draw = Random(11)
    for _ in range(MILP_SITES):
        case = random_case(
            draw, connectors=connectors, plain=True, policy=SharingPolicy.PRIORITY
        )
        alike = replace(
            case,
            demands=tuple(
                replace(
                    demand,
                    priority=5,
                    served_wh=0.0,
                    arrived_s=0.0,
                    inside_min_on=False,
                )
                for demand in case.demands
            ),
        )
        started += len(allocate(alike).shares)
        possible += most_admitted(alike)
    assert possible > MILP_SITES
    assert started >= 0.98 * possible, (started, possible)

"""Random sites for property tests and oracles."""

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from custom_components.reev_ems.energy_management.case import SITE_BUDGET, Case, Demand
from custom_components.reev_ems.energy_management.model import (
    PHASES,
    ChargingMode,
    Circuit,
    Connector,
    ImbalanceLimit,
    Phase,
    SharingPolicy,
    Site,
    Supply,
    UserGroup,
)

L1, L2, L3 = PHASES
VOLTAGE_V = 230.0

WIRINGS: tuple[tuple[Phase, ...] | None, ...] = (
    (L1, L2, L3),
    (L2, L3, L1),
    (L1,),
    (L2,),
    (L3,),
    (L1, L2),
    (L3, L1),
    None,
)


def random_case(
    draw: Random,
    *,
    connectors: int = 9,
    circuits: int = 6,
    fine: bool = False,
    plain: bool = False,
    policy: SharingPolicy | None = None,
) -> Case:
    """Return a random moment of a random site.

    Args:
        draw: decides everything.
        connectors: at most so many.
        circuits: at most so many.
        fine: with steps so small that quantising changes nothing that matters.
        plain: without what makes the admitted set more than a packing problem: phase switching, support.
        policy: the sharing policy; random if left out.
    """

    def one_in(number: int) -> bool:
        return draw.randrange(number) == 0

    def amperes(low: float, high: float) -> float:
        return round(draw.uniform(low, high), 1)

    tree = []
    for index in range(draw.randint(1, circuits)):
        size = draw.choice((20.0, 40.0, 80.0))
        tree.append(
            Circuit(
                id=f"c{index}",
                parent=f"c{draw.randrange(index)}" if index else None,
                limit_a=None
                if one_in(6)
                else (amperes(8, size), amperes(8, size), amperes(8, size)),
                limit_w=amperes(2000, size * 690) if one_in(3) else None,
                reserve_a=(2.0, 1.0, 0.0) if one_in(6) else (0.0, 0.0, 0.0),
            )
        )
    ids = [circuit.id for circuit in tree]
    budgets = [SITE_BUDGET, *ids] if one_in(2) else []
    groups = (
        [
            UserGroup(
                id=f"u{index}",
                limit_a=None
                if one_in(3)
                else (amperes(6, 60), amperes(6, 60), amperes(6, 60)),
                limit_w=amperes(1400, 30000) if one_in(2) else None,
            )
            for index in range(draw.randint(1, 2))
        ]
        if one_in(3)
        else []
    )
    demands = []
    for index in range(draw.randint(0, connectors)):
        supply = Supply.DC if one_in(8) else Supply.AC
        mode = draw.choice(
            (ChargingMode.FAST,) * 4
            + (ChargingMode.SOLAR, ChargingMode.SOLAR_MIN)
            + ((ChargingMode.OFF,) if one_in(3) else ())
        )
        min_a = draw.choice((6.0, 6.0, 6.0, 8.0, 13.0))
        min_w = draw.choice((1000.0, 5000.0))
        phases = draw.choice(WIRINGS)
        connector = Connector(
            id=f"cp{index}",
            circuit=draw.choice(ids),
            supply=supply,
            phases=phases,
            phase_count=draw.choice((1, 2, 3)),
            min_a=min_a,
            max_a=min_a + draw.choice((0.0, 4.0, 10.0, 26.0)),
            min_w=min_w,
            max_w=min_w + draw.choice((0.0, 6000.0, 45000.0)),
            step_a=1e-7 if fine else draw.choice((0.1, 0.1, 1.0, 0.5)),
            step_w=1e-4 if fine else draw.choice((100.0, 1.0)),
            priority=draw.randint(1, 10) if one_in(2) else 5,
            weight=draw.choice((1.0, 1.0, 1.0, 2.0, 0.5, draw.uniform(0.1, 5))),
            mode=mode,
            can_switch_phases=not plain and one_in(3),
        )
        demand = Demand.of(connector, VOLTAGE_V)
        demands.append(
            replace(
                demand,
                solar=mode is ChargingMode.SOLAR and bool(budgets),
                solar_above_min=mode is ChargingMode.SOLAR_MIN and bool(budgets),
                pv_budgets=tuple(
                    budget for budget in budgets if budget == SITE_BUDGET or one_in(3)
                ),
                groups=tuple(group.id for group in groups if one_in(2)),
                served_wh=draw.choice((0.0, 0.0, 500.0, draw.uniform(0, 2000))),
                arrived_s=draw.choice((0.0, draw.uniform(0, 9000))),
                inside_min_on=one_in(8),
                measured_a=None
                if plain or one_in(2)
                else (amperes(0, 32), amperes(0, 32), amperes(0, 32)),
            )
        )
    return Case(
        site=Site(
            circuits=tuple(tree),
            user_groups=tuple(groups),
            sharing=policy or draw.choice(list(SharingPolicy)),
            voltage_v=VOLTAGE_V,
            margin_a=draw.choice((0.0, 0.0, 1.0)),
            imbalance=ImbalanceLimit(limit_a=draw.choice((20.0, 16.0)))
            if one_in(2)
            else None,
        ),
        demands=tuple(demands),
        base_a={
            name: None
            if one_in(10)
            else (amperes(-10, 20), amperes(-10, 20), amperes(-10, 20))
            for name in ids
            if not one_in(3)
        },
        base_w={name: amperes(-3000, 9000) for name in ids if one_in(4)},
        reservations_a={name: (6.0, 6.0, 6.0) for name in ids if one_in(6)},
        group_reservations_a={
            group.id: (6.0, 0.0, 3.0) for group in groups if one_in(4)
        },
        surplus_w={budget: amperes(-2000, 20000) for budget in budgets if one_in(2)},
        surplus_a={SITE_BUDGET: (amperes(-5, 30), amperes(0, 30), amperes(0, 30))}
        if budgets and one_in(4)
        else {},
        external_limit_w=amperes(0, 40000) if one_in(4) else None,
        imbalance_base_a=(amperes(-8, 15), amperes(-8, 15), amperes(-8, 15)),
    )


def cases(**options: Any) -> st.SearchStrategy[Case]:
    """Return a strategy for `random_case`; failures shrink to fewer circuits and connectors."""

    def build(seed: int, connectors: int, circuits: int) -> Case:
        return random_case(
            Random(seed), connectors=connectors, circuits=circuits, **options
        )

    return st.builds(
        build, st.integers(0, 2**64), st.integers(0, 10), st.integers(1, 6)
    )

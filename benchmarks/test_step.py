"""How long a whole step takes, next to the allocation that it contains.

Run: .venv/bin/python -m pytest benchmarks/test_step.py --benchmark-only
"""

from dataclasses import replace
from typing import Any

import pytest

from custom_components.reev_ems.energy_management import share
from custom_components.reev_ems.energy_management.allocation import allocate
from custom_components.reev_ems.energy_management.case import Case
from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.guard import guard
from custom_components.reev_ems.energy_management.model import PHASES, Site
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    Observation,
)
from tests.energy_management.stepping import step

from .test_allocation import three_levels


def running(count: int) -> tuple[Site, ControllerState, Observation, Case]:
    """Return a site in full swing: every circuit metered, every car charging, a report each 10 s.

    The last item is the case that the step puts to the allocation.
    """
    case = three_levels(count)
    site = replace(
        case.site,
        circuits=tuple(replace(item, metered=True) for item in case.site.circuits),
        connectors=tuple(demand.connector for demand in case.demands),
    )
    parents = {circuit.id: circuit.parent for circuit in site.circuits}
    state, cases = ControllerState(), []
    draws = {connector.id: 6.0 for connector in site.connectors}

    def remember(case: Case, support_a: Any) -> Any:
        cases.append(case)
        return allocate(case, support_a)

    for second in range(60):
        loads = {circuit.id: [2.0, 3.0, 1.0] for circuit in site.circuits}
        for connector in site.connectors:
            here: str | None = connector.circuit
            while here is not None:
                for phase in connector.phases or ():
                    loads[here][PHASES.index(phase)] += draws[connector.id]
                here = parents[here]
        observation = Observation(
            at_s=float(second),
            meters={
                name: MeterObservation(
                    current_a=(load[0], load[1], load[2]),
                    power_w=sum(load) * 230,
                    age_s=0.2,
                )
                for name, load in loads.items()
            },
            connectors={
                connector.id: ConnectorObservation(
                    state=ConnectorState.CHARGING,
                    current_a=(draws[connector.id],) * 3,
                    age_s=float((second + place) % 10),
                )
                for place, connector in enumerate(site.connectors)
            },
        )
        before = state
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(share, "allocate", remember)
            state, decision = step(site, before, observation)
        draws.update(
            {item.connector: item.permit_a or 0.0 for item in decision.commands}
        )
    return site, before, observation, cases[-1]


@pytest.mark.parametrize("count", [100, 500])
def test_step(benchmark: Any, count: int) -> None:
    """Everything: ages, base loads, sharing, guard, raises, commands."""
    site, state, observation, _ = running(count)
    _, decision = benchmark(step, site, state, observation)
    assert len(decision.connectors) == count


@pytest.mark.parametrize("count", [100, 500])
def test_its_allocation(benchmark: Any, count: int) -> None:
    """The same moment, the allocation alone."""
    *_, case = running(count)
    assert benchmark(allocate, case).shares


@pytest.mark.parametrize("count", [100, 500])
def test_its_guard(benchmark: Any, count: int) -> None:
    """The same moment, the guard alone."""
    *_, case = running(count)
    found = allocate(case)
    permits_a = {name: item.current_a for name, item in found.shares.items()}
    assert benchmark(guard, case, permits_a, found.order)

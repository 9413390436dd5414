"""What holds after every step, whatever was observed."""

from dataclasses import replace

from hypothesis import given
import pytest

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import Action, Decision
from custom_components.reev_ems.energy_management.model import PHASES, Site, Supply
from custom_components.reev_ems.energy_management.observation import (
    ConnectorState,
    Observation,
)
from tests.energy_management.random_sites import histories, histories_wanted
from tests.energy_management.stepping import step

_SLACK = 1e-6


def permit(decision: Decision, name: str) -> float:
    """Return a permit in A or W."""
    connector = decision.connectors[name]
    return (connector.permit_a or 0.0) + (connector.permit_w or 0.0)


@histories_wanted
@given(histories())
def test_s1_s6_nobody_is_raised_beyond_what_is_there(
    history: tuple[Site, list[Observation]],
) -> None:
    """Where base load and bookings exceed a limit, nobody below was raised beyond what he was booked with."""
    site, observations = history
    parents = {circuit.id: circuit.parent for circuit in site.circuits}
    state, before = ControllerState(), None
    for observation in observations:
        state, decision = step(site, state, observation)
        full: set[tuple[str, int]] = set()
        for circuit in site.circuits:
            available_a = decision.circuits[circuit.id].available_a
            for place, value in enumerate(available_a or ()):
                if value < -_SLACK:
                    full.add((circuit.id, place))
        for connector in site.connectors:
            seen = observation.connectors.get(connector.id)
            if (
                before is None
                or seen is None
                or seen.state in {ConnectorState.AVAILABLE, ConnectorState.FINISHING}
                or state.connectors[connector.id].permit.raised_s != observation.at_s
                or not site.load_management
            ):
                continue
            given = state.connectors[connector.id].permit
            if given.value <= max(seen.permit_a or 0.0, seen.permit_w or 0.0):
                # The charge point says that it was permitted as much already.
                continue
            if any(
                observation.at_s < left.until_s and given.value <= left.value
                for left in given.left
            ):
                # Lowered a moment ago, its car may still draw as much: nothing is booked on top.
                continue
            dc = connector.supply is Supply.DC
            places = [
                place
                for place, phase in enumerate(PHASES)
                if dc or connector.phases is None or phase in connector.phases
            ]
            # What it draws already, more than it was permitted, is booked as well.
            draw = state.connectors[connector.id].draw
            if draw is not None and not dc:
                places = [
                    place
                    for place in places
                    if given.value > draw.reports[-1].high[place]
                ]
            here: str | None = connector.circuit
            while here is not None:
                assert not any((here, place) in full for place in places)
                here = parents[here]
        before = decision


@histories_wanted
@given(histories())
def test_permits_are_what_a_charger_can_do(
    history: tuple[Site, list[Observation]],
) -> None:
    """Nothing, or at least the minimum (or the floor) and at most the maximum, in whole steps if commanded."""
    site, observations = history
    state = ControllerState()
    connectors = {connector.id: connector for connector in site.connectors}
    for observation in observations:
        state, decision = step(site, state, observation)
        assert set(decision.connectors) == set(connectors)
        for item in decision.commands:
            if item.action is not Action.PERMIT:
                continue
            connector = connectors[item.connector]
            dc = connector.supply is Supply.DC
            value = item.permit_w if dc else item.permit_a
            assert value is not None
            assert (item.permit_a if dc else item.permit_w) is None
            least, most = (
                (connector.min_w, connector.max_w)
                if dc
                else (connector.min_a, connector.max_a)
            )
            steps = value / (connector.step_w if dc else connector.step_a)
            assert value <= most + _SLACK
            assert steps == pytest.approx(round(steps), abs=1e-4)
            adopted = observation.at_s == observations[0].at_s or value < least
            assert value == 0 or value >= least - _SLACK or adopted
            assert item.expires_s is not None
            assert item.expires_s > observation.at_s


@histories_wanted
@given(histories())
def test_the_order_of_input_is_irrelevant(
    history: tuple[Site, list[Observation]],
) -> None:
    """Circuits, connectors and readings in any order lead to the same permits, and so does the same input twice."""
    site, observations = history
    turned = replace(
        site,
        circuits=tuple(reversed(site.circuits)),
        connectors=tuple(reversed(site.connectors)),
    )
    state, other = ControllerState(), ControllerState()
    for observation in observations:
        state, decision = step(site, state, observation)
        shuffled = replace(
            observation,
            meters=dict(reversed(list(observation.meters.items()))),
            connectors=dict(reversed(list(observation.connectors.items()))),
        )
        other, again = step(turned, other, shuffled)
        assert dict(decision.connectors) == dict(again.connectors)
        assert set(decision.commands) == set(again.commands)

"""Sites, observations, decisions and states as JSON."""

from dataclasses import replace
import json

from hypothesis import HealthCheck, given, settings
import pytest

from custom_components.reev_ems.energy_management import controller
from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import Decision
from custom_components.reev_ems.energy_management.fields import RefusedError
from custom_components.reev_ems.energy_management.model import Site
from custom_components.reev_ems.energy_management.observation import Observation
from custom_components.reev_ems.energy_management.outlets import layout
from custom_components.reev_ems.energy_management.replay import record, replay
from custom_components.reev_ems.energy_management.serialise import from_json, to_json
from tests.energy_management.random_sites import histories
from tests.energy_management.stepping import step

_QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def through_json[T](kind: type[T], value: T) -> T:
    """Return the value after it was written and read."""
    return from_json(kind, json.loads(json.dumps(to_json(value), allow_nan=False)))


@_QUICK
@given(histories())
def test_everything_survives_json(history: tuple[Site, list[Observation]]) -> None:
    """Site, observation, state and decision come back equal."""
    site, observations = history
    assert through_json(Site, site) == site
    state = ControllerState()
    for observation in observations:
        assert through_json(Observation, observation) == observation
        state, decision = step(site, state, observation)
        assert through_json(ControllerState, state) == state
        assert through_json(Decision, decision) == decision


@_QUICK
@given(histories())
def test_a_state_from_json_decides_the_same(
    history: tuple[Site, list[Observation]],
) -> None:
    """A state that went through JSON at every step decides as one that did not."""
    site, observations = history
    kept, stored = ControllerState(), ControllerState()
    for observation in observations:
        kept, decision = step(site, kept, observation)
        stored, again = step(site, through_json(ControllerState, stored), observation)
        assert decision == again


@_QUICK
@given(histories())
def test_a_recording_replays_without_difference(
    history: tuple[Site, list[Observation]],
) -> None:
    """From anywhere in a run, also over a change of the site."""
    site, observations = history
    state = ControllerState()
    steps = []
    for number, observation in enumerate(observations):
        if number == 3:
            site = replace(site, margin_a=site.margin_a + 1)
        before = state
        state, decision = controller.step(layout(site), state, observation)
        steps.append((site, before, observation, decision))
    # A ring buffer begins anywhere.
    recording = json.loads(json.dumps(record(steps[1:])))
    assert list(replay(recording)) == []


def test_a_changed_decision_is_found(history_site: Site) -> None:
    """One field differs: it is named."""
    state = ControllerState()
    observation = Observation(at_s=5)
    after, decision = step(history_site, state, observation)
    wrong = replace(decision, surplus_w=1234.0)
    recording = record([(history_site, state, observation, wrong)])
    (difference,) = replay(recording)
    assert difference.where == "surplus_w"
    assert difference.recorded == 1234
    assert after.now_s == 5


@pytest.fixture
def history_site() -> Site:
    """Return a small site."""
    data = {"circuits": [{"id": "main", "limit_a": [32, 32, 32], "metered": True}]}
    return from_json(Site, data)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ([], "the input"),
        ({}, "circuits"),
        ({"circuits": 1}, "circuits"),
        ({"circuits": [{"id": 7}]}, "circuits[0].id"),
        ({"circuits": [{"id": "a", "limit_a": [1, 2]}]}, "circuits[0].limit_a"),
        ({"circuits": [], "sharing": "all"}, "sharing"),
        ({"circuits": [], "voltage_v": "230"}, "voltage_v"),
        ({"circuits": [], "voltage_v": 10**400}, "voltage_v"),
        ({"circuits": [], "load_management": 1}, "load_management"),
        ({"circuits": [], "odd": 1}, "odd"),
    ],
)
def test_what_is_no_site_is_refused(data: object, named: str) -> None:
    """In one line that names the field."""
    with pytest.raises(RefusedError) as refused:
        from_json(Site, data)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)

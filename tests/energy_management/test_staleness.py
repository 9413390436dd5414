"""S2, S3: what ages or goes missing never raises a permit."""

from dataclasses import replace

from hypothesis import given, strategies as st

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import Decision
from custom_components.reev_ems.energy_management.model import Site
from custom_components.reev_ems.energy_management.observation import (
    ConnectorState,
    Observation,
)
from tests.energy_management.random_sites import histories, histories_wanted
from tests.energy_management.stepping import step

_SLACK = 1e-6


def permits(decision: Decision) -> dict[str, float]:
    """Return the permits in A or W."""
    return {
        name: (connector.permit_a or 0.0) + (connector.permit_w or 0.0)
        for name, connector in decision.connectors.items()
    }


def lived(
    site: Site, observations: list[Observation]
) -> tuple[ControllerState, dict[str, float]]:
    """Return the state after a history, and the permits that hold."""
    state, held = ControllerState(), {}
    for observation in observations:
        state, decision = step(site, state, observation)
        held = permits(decision)
    return state, held


@st.composite
def aged(draw: st.DrawFn) -> tuple[Site, list[Observation], Observation, Observation]:
    """Return a site, a history, the last observation, and the same one with a meter older or absent."""
    site, observations = draw(histories())
    *history, last = observations
    if not last.meters:
        return site, history, last, last
    name = draw(st.sampled_from(sorted(last.meters)))
    meter = last.meters[name]
    older = draw(
        st.none() | st.sampled_from([0.5, 1.0, 2.0, 4.9, 5.1, 10.0, 15.1, 400.0])
    )
    meters = dict(last.meters)
    if older is None:
        del meters[name]
    else:
        meters[name] = replace(meter, age_s=(meter.age_s or 0.0) + older)
    return site, history, last, replace(last, meters=meters)


@histories_wanted
@given(aged())
def test_s3_age_only_lowers(
    case: tuple[Site, list[Observation], Observation, Observation],
) -> None:
    """A meter that is older or silent gives nobody more than he had, or than a fresh one would give him."""
    site, history, fresh, older = case
    state, held = lived(site, history)
    with_fresh = permits(step(site, state, fresh)[1])
    with_older = permits(step(site, state, older)[1])
    floors = permits(step(site, ControllerState(), replace(older, connectors={}))[1])
    for name, value in with_older.items():
        had = held.get(name, floors[name])
        if name not in held and (seen := older.connectors.get(name)) is not None:
            # Who is seen for the first time keeps what it accepted or draws.
            drawn = (*(seen.current_a or ()), seen.power_w)
            had = max(had, *(x or 0.0 for x in (seen.permit_a, seen.permit_w, *drawn)))
        most = max(had, with_fresh[name])
        # A profile that lapses leads to the floor whatever anybody measures.
        lapsed = value == floors[name]
        assert value <= most + _SLACK or lapsed


@histories_wanted
@given(histories(), st.data())
def test_s2_a_missing_reading_of_a_connector_raises_nobody(
    history: tuple[Site, list[Observation]], data: st.DataObject
) -> None:
    """What a charge point does not say, or says wrongly, gives nobody more.

    But for its own raise, if what it said is that it draws more than it is permitted (S8): that cannot be held against
    those that say nothing, many of which never do.
    """
    site, (*before, last) = history
    if not last.connectors:
        return
    name = data.draw(st.sampled_from(sorted(last.connectors)))
    seen = last.connectors[name]
    blind = data.draw(
        st.sampled_from(
            [
                replace(seen, current_a=None, power_w=None),
                replace(seen, age_s=None),
                replace(seen, current_a=(float("nan"),) * 3, power_w=float("nan")),
                replace(seen, age_s=(seen.age_s or 0.0) + 500),
            ]
        )
    )
    state, held = lived(site, before)
    after, decision = step(site, state, last)
    with_it = permits(decision)
    without = permits(
        step(site, state, replace(last, connectors={**last.connectors, name: blind}))[1]
    )
    if name not in state.connectors:
        return
    if after.connectors[name].over_s is not None:
        del without[name]
    for other, value in without.items():
        # Who is seen for the first time keeps what he has.
        was = state.connectors.get(other)
        assert (
            value <= max(held.get(other, 0.0), with_it[other]) + _SLACK
            or was is None
            or was.state is ConnectorState.OFFLINE
        )


@histories_wanted
@given(histories(), st.sampled_from(["battery", "meters"]))
def test_s2_a_missing_battery_or_all_meters_raise_nobody(
    history: tuple[Site, list[Observation]], what: str
) -> None:
    """A battery that fell silent may be what feeds the house."""
    site, (*before, last) = history
    state, held = lived(site, before)
    if not before:
        return
    if what == "battery" and not state.battery_seen:
        return
    with_it = permits(step(site, state, last)[1])
    without = permits(
        step(
            site,
            state,
            replace(last, battery=None)
            if what == "battery"
            else replace(last, meters={}),
        )[1]
    )
    floors = permits(step(site, ControllerState(), replace(last, connectors={}))[1])
    for name, value in without.items():
        assert value <= max(held[name], with_it[name]) + _SLACK or value == floors[name]

"""The last hour of decisions, kept in little room."""

from homeassistant.core import HomeAssistant
import pytest

from custom_components.reev_ems.energy_management.controller import (
    ControllerState,
    step,
)
from custom_components.reev_ems.energy_management.model import Circuit, Connector, Site
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    Observation,
)
from custom_components.reev_ems.energy_management.outlets import layout
from custom_components.reev_ems.site import history

SITE = Site(
    circuits=(Circuit(id="main", limit_a=(32.0, 32.0, 32.0), metered=True),),
    connectors=(Connector(id="c0", circuit="main"),),
)
PLAN = layout(SITE)


def steps(count: int, apart_s: float) -> list[history.Step]:
    """Return steps of the control loop, taken at these intervals while the house draws ever more."""
    state, taken = ControllerState(), []
    for number in range(count):
        observation = Observation(
            at_s=number * apart_s,
            meters={
                "main": MeterObservation(current_a=(number / 50, 1.0, 1.0), age_s=0.1)
            },
            connectors={"c0": ConnectorObservation(state=ConnectorState.CHARGING)},
        )
        before = state
        state, decision = step(PLAN, before, observation)
        taken.append(
            history.Step(
                site=SITE,
                state_before=before,
                observation=observation,
                decision=decision,
            )
        )
    return taken


async def kept(hass: HomeAssistant, taken: list[history.Step]) -> list[history.Step]:
    """Return what is left of steps after the last of them."""
    ring = history.History(hass)
    for item in taken:
        ring.append(item.site, item.state_before, item.observation, item.decision)
        await hass.async_block_till_done()
    return await ring.async_steps()


async def test_every_step_of_the_last_hour_is_there(hass: HomeAssistant) -> None:
    """Packed or not, each comes back as it was, the oldest first, and none twice."""
    taken = steps(150, 1.0)
    assert await kept(hass, taken) == taken


async def test_what_is_older_than_an_hour_is_forgotten(hass: HomeAssistant) -> None:
    """A part is, as soon as all of its steps are older."""
    taken = steps(200, 40.0)
    found = await kept(hass, taken)
    assert found == taken[-len(found) :]
    assert (
        taken[-1].observation.at_s - found[history.PART_STEPS].observation.at_s < 3600
    )
    assert taken[-1].observation.at_s - found[0].observation.at_s >= 3600


async def test_history_has_a_bound(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a site whose hour takes more room than there is, the latest steps are kept."""
    monkeypatch.setattr(history, "KEPT_BYTES", 1)
    taken = steps(150, 1.0)
    found = await kept(hass, taken)
    assert found == taken[-len(found) :]
    assert len(found) < history.PART_STEPS

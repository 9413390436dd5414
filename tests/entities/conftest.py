"""A real site in Home Assistant: a meter on a Modbus TCP server, an OCPP server on a port of its own."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.coordinator import ReevCoordinator, SiteData
from custom_components.reev_ems.meters import load_profiles
from simulator.site import Site, running_site
from simulator.site_file import parse_site
from tests.config_flow.inputs import free_port
from tests.meters.wire import ModbusServer, router, twin
from tests.simulator.sites import charge_point as simulated, site as simulated_site

from .site import (
    AC,
    PROFILE,
    charge_point,
    meter as stored_meter,
    set_up,
    site_entry,
    user,
    user_group,
)

PROFILES = load_profiles().profiles


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Give Home Assistant a directory of its own."""
    return str(tmp_path)


@pytest.fixture(autouse=True)
def custom_integration(enable_custom_integrations: None) -> None:
    """Let Home Assistant find this integration."""


@pytest.fixture
async def meter(socket_enabled: None) -> AsyncGenerator[ModbusServer]:
    """A meter that answers on unit 1 of a port of its own."""
    device = twin(PROFILES[PROFILE])
    async with ModbusServer({1: device, 2: router(0)}) as server:
        yield server


@pytest.fixture
async def entry(
    hass: HomeAssistant, meter: ModbusServer
) -> AsyncGenerator[MockConfigEntry]:
    """The site, running and with a first reading; unloaded at the end."""
    found = site_entry(meter.port, free_port())
    found.add_to_hass(hass)
    await set_up(hass, found)
    yield found
    if found.state is ConfigEntryState.LOADED:
        await hass.config_entries.async_unload(found.entry_id)


@pytest.fixture
async def plant(
    hass: HomeAssistant, socket_enabled: None
) -> AsyncGenerator[tuple[Site, MockConfigEntry]]:
    """The simulator's charge points at a site for known users; each has its car plugged in, one starts by itself."""
    port = free_port()
    waiting = [
        simulated("CP16"),
        simulated("CP201", protocol="ocpp2.0.1"),
    ]
    for item in waiting:
        del item["auto_start"]
    chargers = [*waiting, simulated("EAGER")]
    config = parse_site(
        simulated_site(*chargers, tick_s=0.05), csms=f"ws://127.0.0.1:{port}"
    )
    async with running_site(config) as running:
        for charger in running.charge_points.values():
            charger.link.config = replace(charger.link.config, retry_s=0.1)
        (endpoint,) = running.endpoints
        found = MockConfigEntry(
            domain=DOMAIN,
            minor_version=2,
            title="Depot",
            data={"limit_a": [63.0] * 3, "limit_w": None, "ocpp_port": port},
            options={"authorization": "known_users", "min_off_s": 0},
            subentries_data=[
                stored_meter("Grid meter", "main", endpoint.port),
                *(
                    charge_point(
                        item["id"], item["id"], "main", AC | {"phases": ["L1"]}
                    )
                    for item in chargers
                ),
                user_group("Fleet", "fleet", limit_a=[8.0, 8.0, 8.0]),
                user("Ada", "CARD-16", "CARD-201", group="fleet"),
            ],
        )
        found.add_to_hass(hass)
        await set_up(hass, found)
        yield running, found
        await hass.config_entries.async_unload(found.entry_id)


type Push = Callable[..., SiteData]


@pytest.fixture
async def push(entry: MockConfigEntry) -> Push:
    """Publish a turn of the control loop made by hand: changes to the last one, some seconds later.

    The loop itself stands still.
    """
    coordinator: ReevCoordinator = entry.runtime_data
    (loop,) = [
        task for task in entry._background_tasks if "control loop" in task.get_name()
    ]
    loop.cancel()

    def publish(after_s: float = 1.0, **changes: Any) -> SiteData:
        data = coordinator.data
        decision = changes.pop("decision", {})
        observation = changes.pop("observation", {})
        at_s = data.decision.at_s + after_s
        coordinator.async_set_updated_data(
            replace(
                data,
                decision=replace(data.decision, at_s=at_s, **decision),
                observation=replace(data.observation, at_s=at_s, **observation),
                **changes,
            )
        )
        return coordinator.data

    return publish


@pytest.fixture
def written(hass: HomeAssistant) -> Callable[[str], list[str]]:
    """Return the list of the states that an entity gets from now on."""

    def follow(entity: str) -> list[str]:
        states: list[str] = []

        @callback
        def note(event: Event[EventStateChangedData]) -> None:
            if new := event.data["new_state"]:
                states.append(new.state)

        async_track_state_change_event(hass, entity, note)
        return states

    return follow

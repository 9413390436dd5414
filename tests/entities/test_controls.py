"""What a person sets reaches the energy management, and stays."""

import asyncio
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.coordinator import ReevCoordinator
from custom_components.reev_ems.energy_management.model import (
    ChargingMode,
    Circuit,
    Connector,
    Site,
)

from .site import entity_id, set_up, state


async def call(hass: HomeAssistant, service: str, entity: str, **data: object) -> None:
    """Call a service of Home Assistant on an entity."""
    domain, _, name = service.partition(".")
    await hass.services.async_call(
        domain, name, {"entity_id": entity, **data}, blocking=True
    )


async def site(entry: MockConfigEntry) -> Site:
    """Return the site that the next turn of the control loop works with."""
    coordinator: ReevCoordinator = entry.runtime_data
    before = coordinator.data
    async with asyncio.timeout(5):
        while coordinator.data is before:
            await asyncio.sleep(0.01)
    return coordinator.data.site


def connector(found: Site, item_id: str) -> Connector:
    """Return a connector of the site."""
    return next(item for item in found.connectors if item.id == item_id)


def circuit(found: Site, item_id: str) -> Circuit:
    """Return a circuit of the site."""
    return next(item for item in found.circuits if item.id == item_id)


async def test_site_switches(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Load management is on and PV surplus off until somebody says otherwise."""
    load = entity_id(hass, entry, "switch", "Depot", "load_management")
    pv = entity_id(hass, entry, "switch", "Depot", "pv_surplus")
    assert state(hass, entry, "switch", "Depot", "load_management").state == "on"
    assert state(hass, entry, "switch", "Depot", "pv_surplus").state == "off"
    await call(hass, "switch.turn_off", load)
    await call(hass, "switch.turn_on", pv)
    assert state(hass, entry, "switch", "Depot", "load_management").state == "off"
    assert state(hass, entry, "switch", "Depot", "pv_surplus").state == "on"
    found = await site(entry)
    assert (found.load_management, found.pv_surplus) == (False, True)
    assert state(hass, entry, "sensor", "Depot", "state").state == "off"


async def test_what_a_person_sets_is_stored_at_once(
    hass: HomeAssistant, entry: MockConfigEntry, hass_storage: dict[str, Any]
) -> None:
    """The power may fail the moment after."""
    stored = f"reev_ems.{entry.entry_id}"
    load = entity_id(hass, entry, "switch", "Depot", "load_management")
    for service, on in (("switch.turn_off", False), ("switch.turn_on", True)):
        await call(hass, service, load)
        async with asyncio.timeout(1):
            while (
                hass_storage.get(stored, {}).get("data", {}).get("load_management")
                is not on
            ):
                await asyncio.sleep(0.01)


async def test_group_switch(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A circuit has a PV switch of its own."""
    pv = entity_id(hass, entry, "switch", "Garage", "follows_pv")
    assert state(hass, entry, "switch", "Garage", "follows_pv").state == "off"
    await call(hass, "switch.turn_on", pv)
    assert state(hass, entry, "switch", "Garage", "follows_pv").state == "on"
    assert circuit(await site(entry), "garage").follows_pv


async def test_connector_controls(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Mode, priority and the charging switch are of one connector only."""
    mode = entity_id(hass, entry, "select", "Yard", "1_charging_mode")
    priority = entity_id(hass, entry, "number", "Yard", "1_priority")
    enabled = entity_id(hass, entry, "switch", "Yard", "1_charging_enabled")
    assert state(hass, entry, "select", "Yard", "1_charging_mode").state == "automatic"
    assert float(state(hass, entry, "number", "Yard", "1_priority").state) == 5
    await call(hass, "select.select_option", mode, option="solar_min")
    await call(hass, "number.set_value", priority, value=9)
    await call(hass, "switch.turn_off", enabled)
    found = await site(entry)
    changed, other = connector(found, "CP-YARD:1"), connector(found, "CP-YARD:2")
    assert (changed.mode, changed.priority) == (ChargingMode.SOLAR_MIN, 9)
    assert (other.mode, other.priority) == (ChargingMode.AUTOMATIC, 5)
    observation = entry.runtime_data.data.observation.connectors
    assert not observation["CP-YARD:1"].enabled
    assert observation["CP-YARD:2"].enabled


async def test_priority_out_of_range(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Priorities are 1 to 10."""
    target = entity_id(hass, entry, "number", "Yard", "1_priority")
    for priority in (0, 11):
        with pytest.raises(ServiceValidationError, match="valid range"):
            await call(hass, "number.set_value", target, value=priority)


async def test_controls_outlive_a_reload(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """What was set is set after a reload."""
    mode = entity_id(hass, entry, "select", "Garage left", "1_charging_mode")
    pv = entity_id(hass, entry, "switch", "Depot", "pv_surplus")
    await call(hass, "select.select_option", mode, option="solar")
    await call(hass, "switch.turn_on", pv)
    await set_up(hass, entry)
    shown = state(hass, entry, "select", "Garage left", "1_charging_mode")
    assert shown.state == "solar"
    assert state(hass, entry, "switch", "Depot", "pv_surplus").state == "on"


async def test_pairing(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The pairing switch is the server's own door."""
    pairing = entity_id(hass, entry, "switch", "Depot", "pairing")
    coordinator: ReevCoordinator = entry.runtime_data
    assert state(hass, entry, "switch", "Depot", "pairing").state == "off"
    await call(hass, "switch.turn_on", pairing)
    assert coordinator.server.pairing
    assert state(hass, entry, "switch", "Depot", "pairing").state == "on"
    coordinator.set_pairing(False)
    assert state(hass, entry, "switch", "Depot", "pairing").state == "off"

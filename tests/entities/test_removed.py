"""What is removed from a site, while it runs or while it is being set up: the rest goes on, and nothing is logged."""

import asyncio
import logging

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.config_flow.inputs import free_port
from tests.meters.wire import ModbusServer

from .site import site_entry, state, subentry_id

# Entities, of about 155 that the site has.
MOMENTS = (1, 70, 140)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged that a person would look into."""
    return [
        item.getMessage() for item in caplog.records if item.levelno >= logging.ERROR
    ]


def left_of(hass: HomeAssistant, entry: MockConfigEntry, gone: str) -> list[str]:
    """Return the entities of a subentry that was removed, and those of others that say nothing."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    silent = [
        item.entity_id
        for item in entities
        if item.disabled_by is None and hass.states.get(item.entity_id) is None
    ]
    return silent + [
        item.entity_id for item in entities if item.config_subentry_id == gone
    ]


def left_hanging(hass: HomeAssistant) -> set[tuple[str, str]]:
    """Return the repair issues about a circuit that was removed: which, and of what."""
    return {
        (issue.translation_key or "", (issue.translation_placeholders or {})["name"])
        for issue in ir.async_get(hass).issues.values()
        if issue.translation_key in {"circuit_removed", "meter_without_circuit"}
        and issue.active
    }


@pytest.mark.parametrize("title", ["Yard", "Garage", "Grid meter", "Ada"])
@pytest.mark.parametrize("count", MOMENTS)
async def test_during_set_up(
    hass: HomeAssistant,
    meter: ModbusServer,
    caplog: pytest.LogCaptureFixture,
    title: str,
    count: int,
) -> None:
    """As soon as there are so many entities."""
    entry = site_entry(meter.port, free_port())
    entry.add_to_hass(hass)
    gone = subentry_id(entry, title)
    registry = er.async_get(hass)
    set_up = asyncio.create_task(hass.config_entries.async_setup(entry.entry_id))
    async with asyncio.timeout(10):
        while (
            entry.state is ConfigEntryState.NOT_LOADED or len(registry.entities) < count
        ):
            await asyncio.sleep(0)
    assert entry.state is ConfigEntryState.SETUP_IN_PROGRESS
    hass.config_entries.async_remove_subentry(entry, gone)
    await set_up
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert errors(caplog) == []
    assert left_of(hass, entry, gone) == []
    assert state(hass, entry, "sensor", "Fast charger", "1_permit")
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("title", ["Garage", "Grid meter", "Router", "Fleet"])
async def test_while_it_runs(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    title: str,
) -> None:
    """What is below a circuit hangs on the grid connection then; a user without the group stays a user."""
    gone = subentry_id(entry, title)
    hass.config_entries.async_remove_subentry(entry, gone)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert errors(caplog) == []
    assert left_of(hass, entry, gone) == []
    shown = state(hass, entry, "sensor", "Garage left", "1_limited_by")
    assert shown.state != STATE_UNAVAILABLE
    if title == "Garage":
        assert left_hanging(hass) == {("circuit_removed", "Garage left")}
        connectors = entry.runtime_data.data.site.connectors
        assert {item.circuit for item in connectors} == {"main"}
        left = entry.subentries[subentry_id(entry, "Garage left")]
        hass.config_entries.async_update_subentry(
            entry, left, data={**left.data, "circuit": "main"}
        )
        await hass.async_block_till_done()
    assert left_hanging(hass) == set()


async def test_a_meter_without_a_circuit(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """What it measures counts for nothing, above all not for the grid connection; a repair issue says so."""
    meter = entry.subentries[subentry_id(entry, "Grid meter")]
    hass.config_entries.async_update_subentry(
        entry, meter, data={**meter.data, "circuit": "garage"}
    )
    await hass.async_block_till_done()
    assert left_hanging(hass) == set()
    hass.config_entries.async_remove_subentry(entry, subentry_id(entry, "Garage"))
    await hass.async_block_till_done()
    assert left_hanging(hass) == {
        ("circuit_removed", "Garage left"),
        ("meter_without_circuit", "Grid meter"),
    }
    assert entry.runtime_data.data.observation.meters.get("main") is None

"""Actions that come while a site is reloaded wait for it, instead of failing because it is not loaded."""

import asyncio

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.ocpp_server.passwords import is_password
from custom_components.reev_ems.site import reloading

from .charger import Charger
from .site import subentry_id
from .test_services import LEFT, act, ask, connector, device_id


async def test_actions_during_a_reload(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The sessions right after saving, passwords one after the other, a restart: all of them are done."""
    device = device_id(entry, hass, LEFT)
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        charge_point = entry.runtime_data.charge_points[subentry_id(entry, LEFT)]
        await charger.until(lambda: charge_point.floor_accepted)
        hass.config_entries.async_schedule_reload(entry.entry_id)
        assert (await ask(hass, "get_sessions"))["sessions"] == []
        assert await ask(hass, "get_sessions", config_entry_id=entry.entry_id)
        hass.config_entries.async_schedule_reload(entry.entry_id)
        assert await ask(hass, "reset", device_id=device) == {"status": "Accepted"}
        for _ in range(3):
            answer = await ask(hass, "change_password", device_id=device)
            assert answer["status"] == "Accepted"
        await hass.async_block_till_done()
        kept = entry.subentries[subentry_id(entry, LEFT)].data["password"]
        assert is_password(kept, answer["password"].encode())


@pytest.mark.parametrize("target", ["entity_id", "device_id"])
async def test_actions_on_connectors_during_a_reload(
    hass: HomeAssistant, entry: MockConfigEntry, target: str
) -> None:
    """Whoever stops a car while a setting is being saved has stopped it, however it was named."""
    targets = {
        "entity_id": {"entity_id": connector(hass, entry)},
        "device_id": {"device_id": device_id(entry, hass, LEFT)},
    }
    point = entry.runtime_data.charge_points[subentry_id(entry, LEFT)]
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.until(lambda: point.floor_accepted)
        await charger.start(tag="CARD-2")
        hass.config_entries.async_schedule_reload(entry.entry_id)
        while entry.state is ConfigEntryState.LOADED:
            await asyncio.sleep(0)
        await act(hass, "remote_stop", **targets[target])
        await charger.until(
            lambda: "RemoteStopTransaction" in [action for action, _ in charger.asked]
        )
        await hass.async_block_till_done()


async def test_a_reload_that_does_not_end(
    hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever, and a site that is not there is named as before."""
    monkeypatch.setattr(reloading, "RELOAD_WAIT_S", 0.05)
    async with entry.setup_lock:
        assert (await ask(hass, "get_sessions"))["sessions"] == []
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError):
        await ask(hass, "get_sessions", config_entry_id=entry.entry_id)

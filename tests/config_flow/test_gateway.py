"""The form of a gateway, against a router on the loopback interface."""

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.meters.wire import ModbusServer, router

from .inputs import free_port, open_subentry, subentry_id


@pytest.mark.usefixtures("socket_enabled")
async def test_add_and_change(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """It is saved when it answers as a router does."""
    meter_id = subentry_id(entry, "Grid meter")
    async with ModbusServer({1: router(-1)}) as server:
        filled = {
            "name": "Router",
            "host": " LOCALHOST ",
            "port": server.port,
            "unit_id": 1,
            "meters": [meter_id],
        }
        form = await open_subentry(hass, entry, "gateway")
        form.shows("user")
        await form.submit({**filled, "name": " "}, "user", name="name_missing")
        await form.submit({**filled, "host": " "}, "user", host="host_missing")
        await form.submit(
            {**filled, "port": free_port()}, "user", host="cannot_connect"
        )
        await form.submit({**filled, "unit_id": 7}, "user", unit_id="no_answer")
        await form.submit(filled)
        form.created()
        gateway = entry.subentries[subentry_id(entry, "Router")]
        stored = {**filled, "host": "localhost"}
        del stored["name"]
        assert gateway.data == stored
        form = await open_subentry(hass, entry, "gateway")
        await form.submit(filled, "user", host="already_configured")
        form = await open_subentry(hass, entry, "gateway", gateway.subentry_id)
        assert form.suggested == {**stored, "name": "Router"}
        await form.submit({**stored, "name": "RUT", "meters": []})
        form.aborted("reconfigure_successful")
    changed = entry.subentries[gateway.subentry_id]
    assert (changed.title, changed.data["meters"]) == ("RUT", [])

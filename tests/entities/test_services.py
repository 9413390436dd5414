"""The actions: what they ask on the wire, what they answer, and how they refuse."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
)
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN

from .charger import Charger
from .site import entity_id, subentry_id

LEFT = "Garage left"


@pytest.fixture
async def charger(entry: MockConfigEntry) -> AsyncGenerator[Charger]:
    """The wall box of the garage, connected and with its failsafe."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as found:
        charge_point = entry.runtime_data.charge_points[subentry_id(entry, LEFT)]
        await found.until(lambda: charge_point.floor_accepted)
        yield found


async def ask(hass: HomeAssistant, action: str, /, **data: Any) -> Any:
    """Call an action and return its answer."""
    return await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=True
    )


async def act(hass: HomeAssistant, action: str, /, **data: Any) -> None:
    """Call an action."""
    await hass.services.async_call(DOMAIN, action, data, blocking=True)


def device_id(entry: MockConfigEntry, hass: HomeAssistant, title: str) -> str:
    """Return the device of a part."""
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, subentry_id(entry, title)), entry.entry_id
    )
    assert device
    return device.id


def connector(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """Return what actions on the wall box's connector are aimed at."""
    return entity_id(hass, entry, "select", LEFT, "1_charging_mode")


async def test_get_decisions(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Every connector is in the answer, with the reason."""
    found = await ask(hass, "get_decisions")
    assert set(found["connectors"]) == {
        "CP-LEFT:1",
        "CP-YARD:1",
        "CP-YARD:2",
        "CP-DC:1",
    }
    decision = found["connectors"]["CP-YARD:2"]
    assert decision["name"] == "Yard, connector 2"
    assert decision["limited_by"] == "offline"
    assert decision["reason"]
    assert "permit_w" in found["connectors"]["CP-DC:1"]
    assert found["state"] == str(entry.runtime_data.data.decision.state)


async def test_get_decisions_of_no_site(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A site that is not there cannot be asked."""
    with pytest.raises(ServiceValidationError):
        await ask(hass, "get_decisions", config_entry_id="gone")
    assert await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError):
        await ask(hass, "get_decisions", config_entry_id=entry.entry_id)


async def test_get_sessions(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Sessions are listed once, with their energy; a running one has no end."""
    for tag, meter_wh in (("A", 1000), ("B", 3000)):
        transaction_id = await charger.start(tag=tag, meter_wh=meter_wh)
        await charger.stop(transaction_id, meter_wh + 1500)
    await charger.start(tag="A", meter_wh=4500)
    sessions = (await ask(hass, "get_sessions"))["sessions"]
    assert [(item["id_tag"], item["energy_wh"]) for item in sessions[:2]] == [
        ("A", 1500),
        ("B", 1500),
    ]
    assert [item["stopped_at"] is None for item in sessions] == [False, False, True]
    assert {item["name"] for item in sessions} == {LEFT}
    sessions = (await ask(hass, "get_sessions", id_tag="B"))["sessions"]
    assert [item["id_tag"] for item in sessions] == ["B"]
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert (await ask(hass, "get_sessions", start=later))["sessions"] == []
    assert len((await ask(hass, "get_sessions", end=later))["sessions"]) == 3


async def test_remote_start_and_stop(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """The actions start and stop a session; without one there is nothing to stop."""
    target = connector(hass, entry)
    with pytest.raises(ServiceValidationError) as error:
        await act(hass, "remote_stop", entity_id=target)
    assert error.value.translation_key == "charge_point_no_transaction"
    await act(hass, "remote_start", entity_id=target, id_tag="CARD-2")
    asked = dict(charger.asked)
    assert asked["RemoteStartTransaction"]["idTag"] == "CARD-2"
    assert asked["RemoteStartTransaction"]["connectorId"] == 1
    transaction_id = await charger.start(tag="CARD-2")
    await act(hass, "remote_stop", entity_id=target)
    asked = dict(charger.asked)
    assert asked["RemoteStopTransaction"] == {"transactionId": transaction_id}


async def test_offline(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Nobody is there to be asked; the answer says who."""
    device = device_id(entry, hass, LEFT)
    for action, data in {
        "remote_start": {"entity_id": connector(hass, entry)},
        "reset": {"device_id": device},
        "get_configuration": {"device_id": device},
        "call_ocpp": {"device_id": device, "action": "ClearCache"},
    }.items():
        ask_or_act = ask if action == "get_configuration" else act
        with pytest.raises(HomeAssistantError) as error:
            await ask_or_act(hass, action, **data)
        assert error.value.translation_key == "charge_point_not_connected"
        assert LEFT in str(error.value)


async def test_availability(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """A connector is taken out of service."""
    target = connector(hass, entry)
    await act(hass, "set_availability", entity_id=target, available=False)
    asked = dict(charger.asked)
    assert asked["ChangeAvailability"] == {"connectorId": 1, "type": "Inoperative"}


async def test_charge_point_actions(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Actions on the charge point's device are requests on the wire, with their answers."""
    device = device_id(entry, hass, LEFT)
    answer = await ask(hass, "reset", device_id=device, hard=True)
    assert answer == {"status": "Accepted"}
    assert charger.asked[-1] == ("Reset", {"type": "Hard"})
    await act(hass, "trigger_message", device_id=device, message="Heartbeat")
    assert charger.asked[-1] == ("TriggerMessage", {"requestedMessage": "Heartbeat"})
    charger.answers["GetConfiguration"] = lambda _: {
        "configurationKey": [
            {"key": "HeartbeatInterval", "readonly": False, "value": "60"}
        ]
    }
    answer = await ask(hass, "get_configuration", device_id=device)
    assert answer == {"configuration": {"HeartbeatInterval": "60"}}
    answer = await ask(
        hass, "set_configuration", device_id=device, key="HeartbeatInterval", value="30"
    )
    assert answer == {"status": "Accepted"}
    key = {"key": "HeartbeatInterval", "value": "30"}
    assert charger.asked[-1] == ("ChangeConfiguration", key)
    charger.answers["GetLocalListVersion"] = lambda _: {"listVersion": 7}
    answer = await ask(
        hass, "call_ocpp", device_id=device, action="GetLocalListVersion"
    )
    assert answer == {"listVersion": 7}


async def test_connector_device_stands_for_its_charge_point(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """An action may be aimed at a connector's device as well."""
    permit = er.async_get(hass).async_get(
        entity_id(hass, entry, "sensor", "Yard", "2_permit")
    )
    assert permit
    async with Charger(entry.data["ocpp_port"], "CP-YARD") as charger:
        await act(hass, "reset", device_id=permit.device_id)
        assert ("Reset", {"type": "Soft"}) in charger.asked


async def test_wrong_device(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A meter cannot be restarted over OCPP, nor a device that is not there."""
    for device in (device_id(entry, hass, "Grid meter"), "gone"):
        with pytest.raises(ServiceValidationError) as error:
            await act(hass, "reset", device_id=device)
        assert error.value.translation_key == "not_a_charge_point"


async def test_s12_only_administrators_reconfigure(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    charger: Charger,
    hass_read_only_user: User,
) -> None:
    """What changes a charge point is not for everybody."""
    device = device_id(entry, hass, LEFT)
    asked = len(charger.asked)
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN,
            "set_configuration",
            {"device_id": device, "key": "AuthorizationKey", "value": "x"},
            blocking=True,
            context=Context(user_id=hass_read_only_user.id),
        )
    assert "ChangeConfiguration" not in dict(charger.asked[asked:])


async def test_self_test_without_a_session(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Without a charging car there is nothing to test, and the sensor claims nothing."""
    with pytest.raises(ServiceValidationError) as error:
        await ask(hass, "self_test", entity_id=connector(hass, entry))
    assert error.value.translation_key == "charge_point_no_transaction"
    found = hass.states.get(entity_id(hass, entry, "sensor", LEFT, "1_self_test"))
    assert found
    assert found.state == "not_run"

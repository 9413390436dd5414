"""Every action on a charge point, on the wire of both OCPP versions, checked against the official schemas."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from ocpp.messages import Call, validate_payload
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.charge_points.security import certificates_folder
from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.ocpp_server.passwords import is_password
from tests.config_flow.inputs import open_subentry, user_input

from .charger import Answer, Charger
from .site import entity_id, subentry_id
from .test_services import LEFT, act, ask, connector, device_id

URL = "http://192.0.2.9/firmware.bin"

VARIABLE = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "X"}}
ANSWERS: dict[str, dict[str, Any]] = {
    "ClearCache": {"status": "Accepted"},
    "GetDiagnostics": {"fileName": "diagnostics.zip"},
    "GetLog": {"status": "Accepted", "filename": "log.zip"},
    "GetLocalListVersion": {"listVersion": 4, "versionNumber": 4},
    "SetVariables": {
        "setVariableResult": [{"attributeStatus": "Accepted", **VARIABLE}]
    },
    "GetVariables": {
        "getVariableResult": [
            {"attributeStatus": "Accepted", "attributeValue": "60", **VARIABLE}
        ]
    },
    "UpdateFirmware": {"status": "Accepted"},
}


@pytest.fixture(params=["1.6", "2.0.1"])
async def charger(
    entry: MockConfigEntry, request: pytest.FixtureRequest
) -> AsyncGenerator[Charger]:
    """The wall box of the garage, connected and with its failsafe."""
    answers: dict[str, Answer] = {
        action: lambda _, a=answer: a for action, answer in ANSWERS.items()
    }
    async with Charger(
        entry.data["ocpp_port"], "CP-LEFT", version=request.param, answers=answers
    ) as found:
        charge_point = entry.runtime_data.charge_points[subentry_id(entry, LEFT)]
        await found.until(lambda: charge_point.floor_accepted)
        yield found


async def last_asked(charger: Charger, action: str) -> dict[str, Any]:
    """Return the last request of an action, which is as the standard has it."""
    found = [payload for name, payload in charger.asked if name == action]
    assert found, f"{action} was not asked: {charger.asked[-3:]}"
    call = Call(unique_id="1", action=action, payload=found[-1])
    await validate_payload(call, charger.version)
    return found[-1]


async def test_cache_and_availability(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Of the whole charge point, also where the action is aimed at its connector."""
    device = device_id(entry, hass, LEFT)
    answer = await ask(hass, "clear_cache", device_id=device)
    assert answer == {"status": "Accepted"}
    await last_asked(charger, "ClearCache")
    await act(hass, "set_charge_point_availability", device_id=device, available=False)
    asked = await last_asked(charger, "ChangeAvailability")
    assert asked.get("connectorId", 0) == 0
    assert "Inoperative" in asked.values()
    await act(
        hass, "trigger_message", device_id=device, message="MeterValues", connector=1
    )
    asked = await last_asked(charger, "TriggerMessage")
    assert asked["requestedMessage"] == "MeterValues"


async def test_reservation(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """A connector is kept free for a tag, for as long as was said, until that is cancelled."""
    target = connector(hass, entry)
    before = datetime.now(UTC)
    await act(
        hass,
        "reserve",
        entity_id=target,
        id_tag="CARD-2",
        duration={"minutes": 45},
    )
    asked = await last_asked(charger, "ReserveNow")
    until = dt_util.parse_datetime(
        asked.get("expiryDate") or asked["expiryDateTime"], raise_on_error=True
    )
    assert timedelta(minutes=44) < until - before < timedelta(minutes=46)
    await act(hass, "cancel_reservation", entity_id=target)
    cancelled = await last_asked(charger, "CancelReservation")
    assert cancelled["reservationId"] == asked.get("reservationId", asked.get("id"))
    charger.answers["ReserveNow"] = lambda _: {"status": "Occupied"}
    with pytest.raises(HomeAssistantError) as error:
        await act(hass, "reserve", entity_id=target, id_tag="CARD-2")
    assert error.value.translation_key == "charge_point_rejected"
    assert "Occupied" in str(error.value)


async def test_local_list(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Without tags those of all users who may charge are sent, with the next version."""
    form = await open_subentry(hass, entry, "user")
    await form.submit(user_input(name="Cleo", id_tags=["04A2B3", "04A2B4"]))
    form = await open_subentry(hass, entry, "user")
    await form.submit(user_input(name="Bob", id_tags=["0BAD"], enabled=False))
    await hass.async_block_till_done()
    device = device_id(entry, hass, LEFT)
    answer = await ask(hass, "send_local_list", device_id=device)
    assert answer == {"status": "Accepted", "version": 5, "id_tags": 3}
    asked = await last_asked(charger, "SendLocalList")
    assert "04A2B4" in str(asked)
    assert "CARD-ADA" in str(asked)
    assert "0BAD" not in str(asked)
    await act(hass, "send_local_list", device_id=device, id_tags=["ONE"])
    assert "ONE" in str(await last_asked(charger, "SendLocalList"))
    charger.answers["GetLocalListVersion"] = lambda _: {
        "listVersion": -1,
        "versionNumber": -1,
    }
    with pytest.raises(ServiceValidationError) as error:
        await act(hass, "send_local_list", device_id=device)
    assert error.value.translation_key == "charge_point_unsupported"


async def test_firmware(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Fetched at once, or at a time in the local time zone."""
    device = device_id(entry, hass, LEFT)
    await act(hass, "update_firmware", device_id=device, url=URL)
    asked = await last_asked(charger, "UpdateFirmware")
    firmware = asked.get("firmware", asked)
    assert firmware["location"] == URL
    await act(
        hass, "update_firmware", device_id=device, url=URL, at="2026-12-24 02:00:00"
    )
    asked = await last_asked(charger, "UpdateFirmware")
    firmware = asked.get("firmware", asked)
    at = firmware.get("retrieveDate") or firmware["retrieveDateTime"]
    assert dt_util.as_local(dt_util.parse_datetime(at, raise_on_error=True)).hour == 2


async def test_certificates(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Our authority is installed if none is given."""
    device = device_id(entry, hass, LEFT)
    answer = await ask(hass, "install_certificate", device_id=device)
    assert answer == {"status": "Accepted"}
    asked = await last_asked(charger, "InstallCertificate")
    ours = (certificates_folder(hass) / "ocpp-ca.pem").read_text()
    assert asked["certificate"] == ours
    await act(hass, "install_certificate", device_id=device, certificate="PEM")
    assert (await last_asked(charger, "InstallCertificate"))["certificate"] == "PEM"
    await act(hass, "renew_certificate", device_id=device)
    action = "ExtendedTriggerMessage" if charger.version == "1.6" else "TriggerMessage"
    await last_asked(charger, action)


async def test_vendor_message(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """The whole answer comes back; a negative one is an error."""
    device = device_id(entry, hass, LEFT)
    charger.answers["DataTransfer"] = lambda _: {"status": "Accepted", "data": "7"}
    answer = await ask(
        hass,
        "data_transfer",
        device_id=device,
        vendor_id="org.example",
        message_id="Lamp",
        data="on",
    )
    assert answer == {"status": "Accepted", "data": "7"}
    asked = await last_asked(charger, "DataTransfer")
    assert asked == {"vendorId": "org.example", "messageId": "Lamp", "data": "on"}
    charger.answers["DataTransfer"] = lambda _: {"status": "UnknownVendorId"}
    with pytest.raises(HomeAssistantError) as error:
        await act(hass, "data_transfer", device_id=device, vendor_id="org.example")
    assert error.value.translation_key == "charge_point_rejected"


async def test_configuration(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Keys of 1.6, variables of 2.0.1."""
    device = device_id(entry, hass, LEFT)
    old = charger.version == "1.6"
    charger.answers["GetConfiguration"] = lambda _: {
        "configurationKey": [{"key": "X", "readonly": False, "value": "60"}]
    }
    key = "X" if old else "SecurityCtrlr.X"
    answer = await ask(hass, "get_configuration", device_id=device, keys=[key])
    assert answer == {"configuration": {key: "60"}}
    await last_asked(charger, "GetConfiguration" if old else "GetVariables")
    await act(hass, "set_configuration", device_id=device, key=key, value="61")
    await last_asked(charger, "ChangeConfiguration" if old else "SetVariables")
    await act(hass, "reset", device_id=device)
    await last_asked(charger, "Reset")


async def test_unlock(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """A plug is unlocked by its button; one that cannot be is an error."""
    target = entity_id(hass, entry, "button", LEFT, "1_unlock")
    data = {"entity_id": target}
    await hass.services.async_call("button", "press", data, blocking=True)
    asked = await last_asked(charger, "UnlockConnector")
    assert asked["connectorId"] == 1
    charger.answers["UnlockConnector"] = lambda _: {"status": "UnlockFailed"}
    with pytest.raises(HomeAssistantError) as error:
        await hass.services.async_call("button", "press", data, blocking=True)
    assert "UnlockFailed" in str(error.value)


async def test_s12_password_over_ocpp(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """A generated one is told once and stored; the former one is good until the new one was used."""
    device = device_id(entry, hass, LEFT)
    left = subentry_id(entry, LEFT)
    with pytest.raises(probatio.Invalid):
        await ask(hass, "change_password", device_id=device, password="short")
    answer = await ask(hass, "change_password", device_id=device)
    first = answer["password"]
    assert len(first) == 32
    action = "ChangeConfiguration" if charger.version == "1.6" else "SetVariables"
    assert first in str(await last_asked(charger, action))
    await hass.async_block_till_done()
    data = entry.subentries[left].data
    assert is_password(data["password"], first.encode())
    assert "former_password" not in data

    answer = await ask(
        hass, "change_password", device_id=device, password="correct horse 17"
    )
    assert answer == {"status": "Accepted"}
    await hass.async_block_till_done()
    data = entry.subentries[left].data
    assert is_password(data["password"], b"correct horse 17")
    assert is_password(data["former_password"], first.encode())
    assert first not in str(data)
    assert entry.runtime_data.charge_points[left].connected, "the socket stays open"

    port = entry.data["ocpp_port"]
    async with Charger(port, "CP-LEFT", password=first, version=charger.version):
        await hass.async_block_till_done()
        assert "former_password" in entry.subentries[left].data
    async with Charger(
        port, "CP-LEFT", password="correct horse 17", version=charger.version
    ) as again:
        await again.until(lambda: "former_password" not in entry.subentries[left].data)
        await hass.async_block_till_done()
    with pytest.raises(Exception, match="401"):
        async with Charger(port, "CP-LEFT", password=first):
            pass


async def test_s12_password_that_was_refused_or_lost(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Refused: nothing changes. Without an answer nobody knows: both are good."""
    device = device_id(entry, hass, LEFT)
    left = subentry_id(entry, LEFT)
    refused = {"setVariableResult": [{"attributeStatus": "Rejected", **VARIABLE}]}
    charger.answers["ChangeConfiguration"] = lambda _: {"status": "Rejected"}
    charger.answers["SetVariables"] = lambda _: refused
    with pytest.raises(HomeAssistantError) as error:
        await ask(hass, "change_password", device_id=device)
    assert error.value.translation_key == "charge_point_rejected"
    assert not entry.subentries[left].data.get("password")

    accepted = ANSWERS["SetVariables"]
    charger.answers["ChangeConfiguration"] = lambda _: {"status": "Accepted"}
    charger.answers["SetVariables"] = lambda _: accepted
    first = (await ask(hass, "change_password", device_id=device))["password"]
    await hass.async_block_till_done()
    charger.answers["ChangeConfiguration"] = lambda _: None
    charger.answers["SetVariables"] = lambda _: None
    with pytest.raises(HomeAssistantError) as error:
        await ask(hass, "change_password", device_id=device)
    assert error.value.translation_key == "charge_point_disconnected"
    await hass.async_block_till_done()
    data = entry.subentries[left].data
    assert is_password(data["former_password"], first.encode())
    assert not is_password(data["password"], first.encode())


async def test_abilities_show_what_it_says_of_itself(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Which model it is, and what is known of that: whoever overrides it should see that first."""
    left = subentry_id(entry, LEFT)
    charge_point = entry.runtime_data.charge_points[left]
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.until(lambda: charge_point.info is not None)
        form = await open_subentry(hass, entry, "charge_point", left)
        await form.choose("abilities")
        assert form.placeholders["said"] == "`Alpha Box 11 1.2.3`"
        assert form.placeholders["known"] == "–"
        boot = {"chargePointVendor": "ABB", "chargePointModel": "Terra AC"}
        await charger.call("BootNotification", boot)
        form = await open_subentry(hass, entry, "charge_point", left)
        await form.choose("abilities")
        assert form.placeholders["said"] == "`ABB Terra AC`"
        assert form.placeholders["known"] == "ABB Terra AC"


async def test_certificate_of_our_authority(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """It is sent unless another one is given; one that cannot be read is said so, and nothing is sent."""
    device = device_id(entry, hass, LEFT)
    folder = certificates_folder(hass)
    folder.mkdir(parents=True)
    for name in ("ocpp-ca.pem", "ocpp-ca-key.pem"):
        (folder / name).write_text("nonsense")
    with pytest.raises(HomeAssistantError) as error:
        await ask(hass, "install_certificate", device_id=device)
    assert error.value.translation_key == "certificate_unusable"
    assert "InstallCertificate" not in dict(charger.asked)
    for name in ("ocpp-ca.pem", "ocpp-ca-key.pem"):
        (folder / name).unlink()
    await ask(hass, "install_certificate", device_id=device)
    asked = await last_asked(charger, "InstallCertificate")
    assert asked["certificate"] == (folder / "ocpp-ca.pem").read_text()


async def test_device_that_is_no_charge_point(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The site's own device, a meter's, and none at all."""
    registry = dr.async_get(hass)
    site = registry.async_get_device_by_identifier(
        (DOMAIN, entry.entry_id), entry.entry_id
    )
    assert site
    for wrong in (site.id, device_id(entry, hass, "Grid meter"), "nobody"):
        with pytest.raises(ServiceValidationError) as error:
            await ask(hass, "clear_cache", device_id=wrong)
        assert error.value.translation_key == "not_a_charge_point"

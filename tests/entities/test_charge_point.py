"""What Home Assistant shows of a charge point that dials in over a real socket."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems import entity
from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.ocpp_server import Permit
from custom_components.reev_ems.ocpp_server.profiles import Purpose
from simulator.commands import execute
from simulator.site import Site

from .charger import Charger
from .site import entity_id, state, subentry_id, until

LEFT = "Garage left"


@pytest.fixture
async def charger(entry: MockConfigEntry) -> AsyncGenerator[Charger]:
    """The wall box of the garage, connected."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as found:
        yield found


async def shows(
    hass: HomeAssistant, entry: MockConfigEntry, platform: str, key: str, value: str
) -> None:
    """Wait until an entity of the wall box has a state."""
    found = None
    for _ in range(500):
        found = state(hass, entry, platform, LEFT, key).state
        if found == value:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{platform} {key} is {found}, not {value}")


async def test_nothing_is_claimed_before_it_connects(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Of a charge point that never connected nothing is known but that."""
    assert state(hass, entry, "sensor", LEFT, "1_status").state == "offline"
    assert state(hass, entry, "binary_sensor", LEFT, "connectivity").state == "off"
    for platform, key in (
        ("binary_sensor", "1_car_plugged"),
        ("sensor", "1_power"),
        ("sensor", "1_current_l1"),
        ("button", "reset"),
        ("button", "1_unlock"),
    ):
        assert state(hass, entry, platform, LEFT, key).state == "unavailable"
    for key in ("1_session_energy", "1_energy"):
        assert state(hass, entry, "sensor", LEFT, key).state == "unknown"


async def test_boot_tells_the_device(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Vendor, model, serial number and firmware stand in the device."""
    await shows(hass, entry, "binary_sensor", "connectivity", "on")
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, subentry_id(entry, LEFT)), entry.entry_id
    )
    assert device
    assert (device.manufacturer, device.model) == ("Alpha", "Box 11")
    assert (device.serial_number, device.sw_version) == ("S-1", "1.2.3")


async def test_session(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    charger: Charger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session from plugging in to its end, as the entities tell it."""
    monkeypatch.setattr(entity, "MEASURED_VALUE_INTERVAL_S", 0.1)
    await charger.status("Available")
    await shows(hass, entry, "sensor", "1_status", "available")
    await shows(hass, entry, "binary_sensor", "1_car_plugged", "off")
    await charger.status("Preparing")
    await shows(hass, entry, "binary_sensor", "1_car_plugged", "on")

    transaction_id = await charger.start(meter_wh=1000, tag="CARD-1")
    await charger.status("Charging")
    await shows(hass, entry, "sensor", "1_status", "charging")
    event = state(hass, entry, "event", LEFT, "1_session")
    assert event.attributes["event_type"] == "started"
    assert event.attributes["id_tag"] == "…-1"
    assert event.attributes["session_id"] == transaction_id

    await charger.measure((10.0, 11.0, 12.0), 1500.0, transaction_id)
    await shows(hass, entry, "sensor", "1_power", "7590.0")
    # Wired L2, L3, L1: its own first phase is the grid's L2.
    await shows(hass, entry, "sensor", "1_current_l2", "10.0")
    await shows(hass, entry, "sensor", "1_current_l3", "11.0")
    await shows(hass, entry, "sensor", "1_current_l1", "12.0")
    await shows(hass, entry, "sensor", "1_session_energy", "0.5")
    await shows(hass, entry, "sensor", "1_energy", "1.5")

    await charger.stop(transaction_id, 2000)
    await charger.status("Finishing")
    await shows(hass, entry, "sensor", "1_status", "finishing")
    event = state(hass, entry, "event", LEFT, "1_session")
    assert event.attributes["event_type"] == "ended"
    assert event.attributes["energy_wh"] == 1000
    assert event.attributes["reason"] == "Local"


@pytest.mark.parametrize("holds_without", [False, True])
async def test_a_permit_is_shown_where_something_holds_it(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger, holds_without: bool
) -> None:
    """A car that charges without a session is permitted nothing that anybody was told, unless a profile acts without one."""
    charge_point = entry.runtime_data.charge_points[subentry_id(entry, LEFT)]
    await until(lambda: charge_point.floor_accepted, "no failsafe")
    if holds_without:
        charge_point.steering.abilities = replace(
            charge_point.steering.abilities, working_purpose=Purpose.MAXIMUM
        )
    item_id = "CP-LEFT:1"

    def permitted() -> float | None:
        decision = entry.runtime_data.data.decision.connectors.get(item_id)
        return decision.permit_a if decision else None

    await charger.status("Charging")
    await shows(hass, entry, "sensor", "1_status", "charging")
    await until(lambda: bool(permitted()), "nothing is permitted")
    # The floor is no news to it, and is not sent by itself.
    charge_point.permit(1, Permit(limit_a=permitted()))
    shown = "unknown" if not holds_without else str(permitted())
    await shows(hass, entry, "sensor", "1_permit", shown)
    told = state(hass, entry, "sensor", LEFT, "1_permit").attributes["accepted"]
    assert (told is not None) is holds_without

    transaction_id = await charger.start(meter_wh=1000, tag="CARD-1")
    await shows(hass, entry, "sensor", "1_permit", str(permitted()))
    await charger.stop(transaction_id, 1001)
    await until(lambda: bool(permitted()), "nothing is permitted")
    if not holds_without:
        await shows(hass, entry, "sensor", "1_permit", "unknown")


async def test_disconnected(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """What a lost charge point measured last is not shown as if it were now."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.status("Charging")
        await shows(hass, entry, "sensor", "1_status", "charging")
        await shows(hass, entry, "binary_sensor", "floor_accepted", "on")
    await shows(hass, entry, "sensor", "1_status", "offline")
    await shows(hass, entry, "binary_sensor", "1_car_plugged", "unavailable")
    await shows(hass, entry, "button", "reset", "unavailable")


async def press(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> None:
    """Press a button of the wall box."""
    target = {"entity_id": entity_id(hass, entry, "button", LEFT, key)}
    await hass.services.async_call("button", "press", target, blocking=True)


async def test_buttons(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """Buttons are requests on the wire; a refusal is told in words."""
    await shows(hass, entry, "binary_sensor", "connectivity", "on")
    await press(hass, entry, "reset")
    assert ("Reset", {"type": "Soft"}) in charger.asked
    await press(hass, entry, "1_unlock")
    assert ("UnlockConnector", {"connectorId": 1}) in charger.asked
    charger.answers["UnlockConnector"] = lambda _: {"status": "UnlockFailed"}
    with pytest.raises(HomeAssistantError) as error:
        await press(hass, entry, "1_unlock")
    assert error.value.translation_key == "charge_point_rejected"
    assert "UnlockFailed" in str(error.value)


@pytest.mark.parametrize("name", ["CP16", "CP201"])
async def test_security_event_from_the_wire(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry], name: str
) -> None:
    """What a charge point notices is an event, for an automation and the logbook; of the others there is none."""
    running, entry = plant
    await until(
        lambda: all(point.online for point in running.charge_points.values()),
        "not connected",
    )
    tampered = {"type": "TamperDetectionActivated", "detail": "cover"}
    await execute(running, {"do": "security_event", "charge_point": name, **tampered})
    await until(
        lambda: state(hass, entry, "event", name, "security").state != "unknown",
        "not shown",
    )
    shown = state(hass, entry, "event", name, "security").attributes
    assert (shown["event_type"], shown["kind"]) == ("reported", tampered["type"])
    assert shown["detail"] == "cover"
    (other,) = {"CP16", "CP201"} - {name}
    assert state(hass, entry, "event", other, "security").state == "unknown"

"""A meter that is not listed: the person enters its register map."""

from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

from homeassistant.core import HomeAssistant
from homeassistant.util import slugify
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.meters import load_profiles
from custom_components.reev_ems.meters.flaws import Flaw
from custom_components.reev_ems.readings.profiles import async_load_meter_profiles
from tests.meters.wire import Device, ModbusServer

from .inputs import (
    Form,
    confirmation,
    meter_input,
    open_site,
    open_subentry,
    site_input,
    subentry_id,
)
from .texts import TEXTS

NAMES = [
    f"{quantity}_{phase}"
    for quantity in ("voltage", "current", "power")
    for phase in ("l1", "l2", "l3")
]
VALUES = [2300, 2310, 2290, 100, 200, 300, 2300, 4620, 6870]
MAP: dict[str, Any] = {
    "function_code": 4,
    "type": "int16",
    "quantities": {
        name: {
            "address": 10 + index,
            "scale": 1 if name.startswith("power") else 0.1,
        }
        for index, name in enumerate(NAMES)
    },
}


@pytest.fixture
async def form(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> Form:
    """The form of the map, for a device that no built-in profile fits."""
    device = meter.devices[1] = Device()
    device.put([4], 10, VALUES)
    device.inner.clear()
    found = await open_site(hass)
    await found.submit(site_input(), "meter")
    await found.submit(meter_input(meter.port, profile="custom"), "custom")
    return found


async def test_map(hass: HomeAssistant, form: Form, meter: ModbusServer) -> None:
    """The map is tried, confirmed by its values, and kept as a profile of its own."""
    assert form.suggested["map"]["quantities"]["voltage_l2"] == {"address": 2}
    entered = {"name": "Zähler 3000", "map": MAP}
    await form.submit(entered, "confirm")
    assert form.placeholders["voltage_l2"] == "231.0 V"
    assert form.placeholders["current_l3"] == "30.0 A"
    assert form.placeholders["power_total"] == "13790 W"
    await form.submit(confirmation())
    (subentry,) = form.created()["result"].subentries.values()
    assert subentry.data["profile"] == "custom_zahler_3000"
    profiles = await async_load_meter_profiles(hass)
    assert profiles["custom_zahler_3000"].name == "Zähler 3000"

    meter.devices[2] = meter.devices[1]
    again = await open_site(hass)
    await again.submit(site_input(name="Yard"), "meter")
    await again.submit(meter_input(meter.port, profile="custom", unit_id=2), "custom")
    await again.submit(entered, "confirm")
    await again.submit(confirmation())
    (subentry,) = again.created()["result"].subentries.values()
    assert subentry.data["profile"] == "custom_zahler_3000_2"


@pytest.mark.parametrize(
    ("register_map", "error"),
    [
        ({**MAP, "type": "int17"}, "map_invalid"),
        ({**MAP, "quantities": {"volts": {"address": 1}}}, "map_invalid"),
        ({**MAP, "function_code": 3}, "not_this_meter"),
        (
            {**MAP, "quantities": {**MAP["quantities"], "voltage_l1": {"address": 10}}},
            "map_implausible",
        ),
    ],
)
async def test_wrong_map(form: Form, register_map: Any, error: str) -> None:
    """What is wrong is named, and the map stays in the form."""
    entered = {"name": "Meter", "map": register_map}
    await form.submit(entered, "custom", map=error)
    assert form.placeholders["detail"]
    assert form.suggested == entered
    await form.submit({"name": "Meter", "map": MAP}, "confirm")


async def test_wrong_map_is_told_in_the_language_that_is_set(
    form: Form, meter: ModbusServer, hass: HomeAssistant
) -> None:
    """Where it is wrong is said as in the map, and what is wrong in people's words."""
    hass.config.language = "de"
    german = await open_site(hass)
    await german.submit(site_input(name="Hof"), "meter")
    await german.submit(meter_input(meter.port, profile="custom"), "custom")
    far = {**MAP["quantities"], "voltage_l1": {"address": 70_000}}
    entered = {"name": "Zähler", "map": {**MAP, "quantities": far}}
    await german.submit(entered, "custom", map="map_invalid")
    assert german.placeholders["detail"] == (
        "quantities.voltage_l1.address: muss eine ganze Zahl von 0 bis 65535 sein"
    )


def test_every_flaw_of_a_map_has_its_text() -> None:
    """The English texts are those of the log; a key without a text would be told in English."""
    texts = TEXTS["selector"]["map_flaw"]["options"]
    assert texts == {flaw.key: flaw.value for flaw in Flaw}


@pytest.mark.parametrize("nothing", ["volts", ["voltage_l1"], 4711])
async def test_no_map_at_all(form: Form, nothing: object) -> None:
    """Whoever writes something else is told where registers belong."""
    await form.submit({"name": "Meter", "map": nothing}, "custom", map="map_empty")
    await form.submit({"name": "Meter", "map": MAP}, "confirm")


async def test_address_that_is_taken(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Is told before the map is asked for."""
    form = await open_subentry(hass, entry, "meter")
    taken = meter_input(502, host="192.0.2.1", profile="custom")
    garage = {"circuit": subentry_id(entry, "Garage")}
    await form.submit(garage | taken, "user", host="meter_already_configured")
    await form.submit(garage | taken | {"unit_id": 2}, "custom")


async def test_device_that_fell_silent(form: Form, meter: ModbusServer) -> None:
    """The connection is asked for again; the map that was entered is not lost."""
    entered = {"name": "Meter", "map": MAP}
    device = meter.devices.pop(1)
    await form.submit(entered, "meter", unit_id="no_answer")
    meter.devices[1] = device
    await form.submit(meter_input(meter.port, profile="custom"), "custom")
    assert form.suggested == entered
    await form.submit(entered, "confirm")


async def test_directory_that_cannot_be_written(
    hass: HomeAssistant, form: Form
) -> None:
    """A file stands where the directory should be; nothing is saved until it is gone."""
    blocker = Path(hass.config.path("reev_ems"))
    blocker.write_text("", encoding="utf-8")
    await form.submit({"name": "Meter", "map": MAP}, "confirm")
    await form.submit(confirmation(), "confirm", base="map_not_saved")
    blocker.unlink()
    await form.submit(confirmation())
    form.created()


@pytest.mark.parametrize("model", ["gewiss_gwd6809", "woehner_3700"])
async def test_model_without_public_map_that_no_map_fits(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock, model: str
) -> None:
    """All known maps are tried; then the form of the map opens, says which, and leads to the same end."""
    device = meter.devices[1] = Device()
    device.put([4], 10, VALUES)
    device.inner.clear()
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    wanted = meter_input(meter.port, profile=model)
    await form.submit(wanted, "custom", map="no_map_fits")
    assert "Lovato DMG610" in form.placeholders["detail"]
    # There is nothing to compare.
    compare = TEXTS["selector"]["meter_note"]["options"]["compare_with_display"]
    assert compare not in form.placeholders["detail"]
    name = form.suggested["name"]
    assert name == load_profiles().profiles[model].name
    await form.submit({"name": name, "map": MAP}, "confirm")
    await form.submit(confirmation())
    (subentry,) = form.created()["result"].subentries.values()
    assert subentry.data["profile"] == f"custom_{slugify(name)}"

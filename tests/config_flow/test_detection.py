"""A person who does not know the model of the meter."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.meters import load_profiles
from tests.meters.wire import Device, ModbusServer, twin

from .inputs import (
    confirmation,
    free_port,
    meter_input,
    open_site,
    open_subentry,
    site_input,
    subentry_id,
)

NAMES_ITSELF = "abb_b23"


async def test_model_is_found(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """The device at another unit id than was entered says what it is."""
    meter.devices = {2: twin(load_profiles().profiles[NAMES_ITSELF])}
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(meter_input(meter.port, profile="unknown"))
    await form.progress("confirm")
    assert form.placeholders["meter"].startswith("ABB B23")
    await form.submit(confirmation())
    (subentry,) = form.created()["result"].subentries.values()
    assert subentry.data["profile"] == NAMES_ITSELF
    assert subentry.data["unit_id"] == 2


@pytest.mark.usefixtures("setup_entry")
async def test_more_of_a_name_fits(hass: HomeAssistant, meter: ModbusServer) -> None:
    """The maker's number fits all models of the maker, the order number one only: there is nothing to choose."""
    meter.devices = {1: twin(load_profiles().profiles["siemens_pac2200"])}
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(meter_input(meter.port, profile="unknown"))
    await form.progress("confirm")
    assert form.placeholders["meter"] == "Siemens SENTRON PAC2200"


async def test_several_models_fit(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry
) -> None:
    """The device does not name itself: the person chooses by the values on the display."""
    garage = subentry_id(entry, "Garage")
    form = await open_subentry(hass, entry, "meter")
    await form.submit({"circuit": garage, **meter_input(meter.port, profile="unknown")})
    await form.progress("detected")
    options = form.result["data_schema"].schema["found"].config["options"]
    names = {option["label"]: option["value"] for option in options}
    assert len(names) > 1
    likeliest = options[0]["label"]
    assert likeliest == "Janitza UMG 604-PRO: 231.5 V, 20.0 A, 3128 W"
    (other,) = (name for name in names if name.startswith("Janitza UMG 509"))
    await form.submit({"found": names[other]}, "confirm")
    await form.submit(confirmation(name="Garage meter"))
    form.created()
    subentry = entry.subentries[subentry_id(entry, "Garage meter")]
    assert subentry.data["profile"] == "janitza_19000"
    assert subentry.data["circuit"] == garage


async def test_no_meter_there(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """Something answers, but not as a meter; then nothing listens; then the model is known."""
    registers = meter.devices[1]
    meter.devices[1] = Device()
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    unknown = meter_input(meter.port, profile="unknown")
    await form.submit(unknown)
    await form.progress("meter", profile="no_model_found")
    assert form.suggested["port"] == meter.port
    await form.submit({**unknown, "port": free_port()})
    await form.progress("meter", host="cannot_connect")
    meter.devices[1] = registers
    await form.submit(meter_input(meter.port), "confirm")


@pytest.mark.parametrize("known", [{}, {"port": 502, "serial": "4711"}])
async def test_found_meter_is_known_already(
    hass: HomeAssistant,
    meter: ModbusServer,
    setup_entry: AsyncMock,
    entry: MockConfigEntry,
    known: dict[str, Any],
) -> None:
    """What answers is the meter of another circuit: by its address, or by its serial number."""
    grid = entry.subentries[subentry_id(entry, "Grid meter")]
    hass.config_entries.async_update_subentry(
        entry,
        grid,
        data={**grid.data, "host": "127.0.0.1", "port": meter.port, **known},
    )
    form = await open_site(hass)
    await form.submit(site_input(name="Yard"), "meter")
    await form.submit(meter_input(meter.port, profile="unknown"))
    await form.progress("detected")
    await form.submit({"found": "0"}, "meter", host="meter_already_configured")


async def test_search_ends_with_its_form(
    hass: HomeAssistant, meter: ModbusServer
) -> None:
    """A form that is closed while it searches leaves nothing running."""
    meter.silent_units.add(1)
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await hass.config_entries.flow.async_configure(
        form.result["flow_id"], meter_input(meter.port, profile="unknown")
    )
    async with asyncio.timeout(5):
        while not meter.requests:
            await asyncio.sleep(0.01)
    hass.config_entries.flow.async_abort(form.result["flow_id"])
    await hass.async_block_till_done()
    async with asyncio.timeout(2):
        while meter.open_now:
            await asyncio.sleep(0.01)

"""The form of a meter that is made of Home Assistant's sensors."""

from unittest.mock import AsyncMock

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from .inputs import meter_input, open_site, open_subentry, site_input, subentry_id


def sensor(hass: HomeAssistant, name: str, value: str, unit: str) -> str:
    """Give a sensor a state."""
    entity_id = f"sensor.{name}"
    hass.states.async_set(entity_id, value, {"unit_of_measurement": unit})
    return entity_id


def sensors_input(**changes: object) -> dict[str, object]:
    """Return the form of the sensors, filled in."""
    return {
        "name": "P1",
        "wiring": "three_phase",
        "invert": False,
        "inverted_phases": [],
        "ratio": 1.0,
        **changes,
    }


NO_ADDRESS = {
    key: value
    for key, value in meter_input(502, profile="sensors").items()
    if key != "host"
}


@pytest.mark.usefixtures("socket_enabled")
async def test_site_with_sensors_only(
    hass: HomeAssistant, setup_entry: AsyncMock
) -> None:
    """Somebody who has no Modbus meter gets a site all the same."""
    total = sensor(hass, "total", "2.07", "kW")
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(NO_ADDRESS, "sensors")
    await form.submit(sensors_input(power_total=total, wiring="l2"), "confirm_sensors")
    assert form.placeholders["current_l1"] == "0.0 A"
    assert form.placeholders["current_l2"] == "10.0 A"
    assert form.placeholders["power_total"] == "2070 W"
    await form.submit({})
    (subentry,) = form.created()["subentries"]
    assert subentry["title"] == "P1"
    assert subentry["data"] == {
        "circuit": "main",
        "profile": "sensors",
        "sensors": {"power_total": total},
        "wiring": "l2",
        "invert": False,
    }


async def test_add_and_change(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """What cannot be is told at its field; what was chosen is shown again when it is changed."""
    garage = subentry_id(entry, "Garage")
    volts = sensor(hass, "volts", "230", "V")
    amperes = sensor(hass, "amperes", "5300", "mA")
    away = sensor(hass, "away", "unavailable", "A")
    form = await open_subentry(hass, entry, "meter")
    form.shows("user")
    await form.submit({"circuit": garage, **NO_ADDRESS}, "sensors")
    await form.submit(sensors_input(), "sensors", base="no_sensors")
    await form.submit(sensors_input(voltage_l1=volts), "sensors", base="no_sensors")
    await form.submit(sensors_input(name=" "), "sensors", name="name_missing")
    await form.submit(
        sensors_input(current_l1=volts), "sensors", current_l1="sensor_unit"
    )
    await form.submit(
        sensors_input(current_l1=amperes, current_l2=amperes),
        "sensors",
        current_l1="sensor_twice",
        current_l2="sensor_twice",
    )
    await form.submit(
        sensors_input(current_l1=amperes, current_l2=away, current_l3="sensor.gone"),
        "sensors",
        current_l2="sensor_no_value",
        current_l3="sensor_no_value",
    )
    chosen = sensors_input(
        current_l1=amperes, voltage_l1=volts, inverted_phases=["L1"], ratio=2.0
    )
    await form.submit(chosen, "confirm_sensors")
    assert form.placeholders["voltage_l1"] == "230.0 V"
    assert form.placeholders["current_l1"] == "-10.6 A"
    assert form.placeholders["current_l2"] == "–"
    await form.submit({})
    form.created()
    meter_id = subentry_id(entry, "P1")
    stored = entry.subentries[meter_id].data
    assert stored["circuit"] == garage
    assert (stored["invert"], stored["inverted_phases"], stored["ratio"]) == (
        False,
        ["L1"],
        2.0,
    )

    form = await open_subentry(hass, entry, "meter", meter_id)
    assert form.suggested["profile"] == "sensors"
    await form.submit({"circuit": garage, **NO_ADDRESS}, "sensors")
    assert form.suggested == chosen
    await form.submit(sensors_input(current_l1=amperes), "confirm_sensors")
    await form.submit({})
    form.aborted("reconfigure_successful")
    stored = entry.subentries[meter_id].data
    assert stored.keys().isdisjoint(("inverted_phases", "ratio"))


async def test_address_is_needed_for_a_real_meter(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Only sensors have no address."""
    form = await open_subentry(hass, entry, "meter")
    garage = subentry_id(entry, "Garage")
    without = {"circuit": garage, **NO_ADDRESS, "profile": "janitza_umg604"}
    await form.submit(without, "user", host="host_missing")

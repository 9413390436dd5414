"""The forms of further meters, against a real meter on the loopback interface."""

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.meters.wire import ModbusServer

from .inputs import (
    confirmation,
    free_port,
    meter_data,
    meter_input,
    open_subentry,
    subentry_id,
)


@pytest.fixture
def garage(entry: MockConfigEntry) -> str:
    """The circuit that has no meter yet."""
    return subentry_id(entry, "Garage")


async def test_add(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry, garage: str
) -> None:
    """A second meter measures a circuit below the grid connection."""
    form = await open_subentry(hass, entry, "meter")
    form.shows("user")
    await form.submit({"circuit": garage, **meter_input(meter.port)}, "confirm")
    assert form.suggested["name"] == "Janitza UMG 604-PRO"
    assert form.placeholders["voltage_l3"] == "233.0 V"
    await form.submit(confirmation(name="Garage meter"))
    form.created()
    subentry = entry.subentries[subentry_id(entry, "Garage meter")]
    assert subentry.data == {
        "circuit": garage,
        **meter_input(meter.port),
        "invert": False,
        "phase_order": ["L1", "L2", "L3"],
        "serial": "4711",
    }


async def test_circuit_that_has_a_meter(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry, garage: str
) -> None:
    """A circuit has one meter; the same form goes on with another circuit."""
    form = await open_subentry(hass, entry, "meter")
    connection = meter_input(meter.port)
    await form.submit(
        {"circuit": "main", **connection}, "user", circuit="circuit_already_metered"
    )
    await form.submit({"circuit": garage, **connection}, "confirm")


async def test_circuit_that_was_removed_meanwhile(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry, garage: str
) -> None:
    """The form was open while somebody removed the circuit."""
    form = await open_subentry(hass, entry, "meter")
    hass.config_entries.async_remove_subentry(entry, garage)
    await form.submit(
        {"circuit": garage, **meter_input(meter.port)},
        "user",
        circuit="unknown_circuit",
    )


async def test_same_address_twice(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry, garage: str
) -> None:
    """The meter of the grid connection cannot measure the garage as well."""
    form = await open_subentry(hass, entry, "meter")
    await form.submit(
        {"circuit": garage, **meter_input(502, host=" 192.0.2.1 ")},
        "user",
        host="meter_already_configured",
    )
    await form.submit({"circuit": garage, **meter_input(meter.port)}, "confirm")


async def test_same_meter_at_another_address(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry, garage: str
) -> None:
    """The serial number tells that it is the same device behind a second gateway."""
    grid = entry.subentries[subentry_id(entry, "Grid meter")]
    hass.config_entries.async_update_subentry(
        entry, grid, data=meter_data("192.0.2.1", circuit="main", serial="4711")
    )
    form = await open_subentry(hass, entry, "meter")
    await form.submit(
        {"circuit": garage, **meter_input(meter.port)},
        "user",
        host="meter_already_configured",
    )


async def test_reconfigure(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry
) -> None:
    """A meter moves to another address; what was confirmed of it is kept and shown."""
    grid_id = subentry_id(entry, "Grid meter")
    hass.config_entries.async_update_subentry(
        entry,
        entry.subentries[grid_id],
        data=meter_data(
            "192.0.2.1",
            circuit="main",
            invert=True,
            phase_order=["L3", "L1", "L2"],
            inverted_phases=["L2"],
            ratio=2.0,
        ),
    )
    form = await open_subentry(hass, entry, "meter", grid_id)
    form.shows("reconfigure")
    assert form.suggested["host"] == "192.0.2.1"
    moved = {"circuit": "main", **meter_input(meter.port)}
    await form.submit(
        {**moved, "port": free_port()}, "reconfigure", host="cannot_connect"
    )
    await form.submit(moved, "confirm")
    kept = confirmation(
        invert=True, phase_order="l3_l1_l2", inverted_phases=["L2"], ratio=2.0
    )
    assert form.suggested == kept
    assert form.placeholders["current_l3"] == "-40.0 A"
    await form.submit({**kept, "name": "Main meter"})
    form.aborted("reconfigure_successful")
    changed = entry.subentries[grid_id]
    assert changed.title == "Main meter"
    assert changed.data["port"] == meter.port
    assert changed.data["invert"] is True
    assert changed.data["phase_order"] == ["L3", "L1", "L2"]
    assert (changed.data["inverted_phases"], changed.data["ratio"]) == (["L2"], 2.0)
    assert changed.unique_id == f"meter_127.0.0.1:{meter.port}/1"


async def test_models_in_the_language_that_is_set(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """What is added to the name of a model is told in German to a German."""
    hass.config.language = "de"
    form = await open_subentry(hass, entry, "meter")
    options = form.result["data_schema"].schema["profile"].config["options"]
    names = {option["value"]: option["label"] for option in options}
    assert names["abb_b23"] == "ABB B23 / B24, A43 / A44 (hinter einem Gateway)"
    assert names["herholdt_ecs_low"] == "Herholdt ECS / M3PRO, Register ab 1 gezählt"
    assert names["abl_em4"] == "ABL Energiezähler (TQ EM420)"
    assert names["siemens_pac2200"] == "Siemens SENTRON PAC2200"
    assert len(set(names.values())) == len(names)


async def test_notes_about_values_do_not_hang_on_an_error(
    hass: HomeAssistant, entry: MockConfigEntry, garage: str, meter: ModbusServer
) -> None:
    """A person who cannot reach a meter is told how to reach it, and nothing about its energies."""
    meter.silent_units.add(1)
    form = await open_subentry(hass, entry, "meter")
    await form.submit(
        {"circuit": garage, **meter_input(meter.port, profile="kostal_ksem")},
        "user",
        unit_id="no_answer",
    )
    assert "Modbus TCP server is off by default" in form.placeholders["detail"]
    await form.submit(
        {"circuit": garage, **meter_input(meter.port, profile="janitza_umg604")},
        "user",
        unit_id="no_answer",
    )
    assert "tariff" not in form.placeholders["detail"]
    assert "unit ID 2" in form.placeholders["detail"]

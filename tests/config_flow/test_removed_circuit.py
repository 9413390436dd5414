"""The forms of what is left when a circuit was removed."""

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.meters.wire import ModbusServer

from .inputs import (
    charge_point_input,
    circuit_input,
    confirmation,
    connector_input,
    meter_input,
    open_subentry,
    subentry_id,
)


@pytest.fixture
async def left(
    hass: HomeAssistant, entry: MockConfigEntry, meter: ModbusServer
) -> MockConfigEntry:
    """A charge point, a meter and a circuit of a garage that is gone."""
    garage = {"circuit": subentry_id(entry, "Garage")}
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input() | garage, "connector")
    await form.submit(connector_input())
    form.created()
    form = await open_subentry(hass, entry, "meter")
    await form.submit(meter_input(meter.port) | garage, "confirm")
    await form.submit(confirmation(name="Garage meter"))
    form.created()
    form = await open_subentry(hass, entry, "circuit")
    await form.submit(circuit_input(parent=garage["circuit"], limit_a=20))
    form.created()
    hass.config_entries.async_remove_subentry(entry, garage["circuit"])
    return entry


async def test_they_offer_circuits_that_exist(
    hass: HomeAssistant, left: MockConfigEntry, meter: ModbusServer
) -> None:
    """Each can be saved as it is shown."""
    form = await open_subentry(hass, left, "charge_point", subentry_id(left, "Left"))
    await form.choose("place")
    assert form.suggested["circuit"] == "main"
    await form.submit(form.suggested, "connector")

    roof = subentry_id(left, "Roof")
    form = await open_subentry(hass, left, "circuit", roof)
    assert form.suggested["parent"] == "main"
    await form.submit(form.suggested)
    form.aborted("reconfigure_successful")

    # The grid connection has a meter, the roof has none.
    meter_id = subentry_id(left, "Garage meter")
    form = await open_subentry(hass, left, "meter", meter_id)
    assert form.suggested["circuit"] == roof
    await form.submit(form.suggested, "confirm")
    await form.submit(confirmation(name="Roof meter"))
    form.aborted("reconfigure_successful")
    assert left.subentries[meter_id].data["circuit"] == roof

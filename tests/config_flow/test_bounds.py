"""Numbers that a form does not take are refused with a text of ours, which is translated."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import NumberSelector
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.flows.fields import number
from tests.meters.wire import ModbusServer

from .inputs import (
    charge_point_input,
    circuit_input,
    confirmation,
    meter_input,
    open_reconfigure,
    open_site,
    open_subentry,
    site_input,
    subentry_id,
)

PORT = {"port": "port_out_of_range"}
UNIT = {"unit_id": "unit_id_out_of_range"}
POLL = {"poll_s": "poll_out_of_range"}


async def test_site_and_its_meter(hass: HomeAssistant, meter: ModbusServer) -> None:
    """Each field of the first forms; what is right in the end is taken."""
    form = await open_site(hass)
    await form.refused(site_input(ocpp_port=0), ocpp_port="port_out_of_range")
    await form.refused(
        site_input(ocpp_port=65536, imbalance_limit_a=-1),
        ocpp_port="port_out_of_range",
        imbalance_limit_a="imbalance_out_of_range",
    )
    await form.submit(site_input(), "meter")
    await form.refused(meter_input(70_000), **PORT)
    await form.refused(meter_input(502, unit_id=256, poll_s=0.4), **UNIT, **POLL)
    await form.submit(meter_input(meter.port), "confirm")
    await form.refused(confirmation(rating_a=0.5), rating_a="rating_out_of_range")
    await form.refused(confirmation(ratio=0), ratio="ratio_out_of_range")


async def test_what_is_added_to_a_site(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry
) -> None:
    """Circuits, meters, gateways, charge points, and the grid connection when it is changed."""
    circuit = await open_subentry(hass, entry, "circuit")
    await circuit.refused(circuit_input(reserve_a=-1), reserve_a="reserve_out_of_range")
    added = await open_subentry(hass, entry, "meter")
    connection = {"circuit": subentry_id(entry, "Garage"), **meter_input(meter.port)}
    await added.refused(
        {**connection, "port": -1, "unit_id": -1, "poll_s": 11}, **PORT, **UNIT, **POLL
    )
    await added.submit(connection, "confirm")
    await added.refused(confirmation(rating_a=1e6), rating_a="rating_out_of_range")
    await added.refused(confirmation(ratio=1e6), ratio="ratio_out_of_range")
    gateway = await open_subentry(hass, entry, "gateway")
    router = {"name": "Router", "host": "localhost", "port": 0, "unit_id": 1e9}
    await gateway.refused(router, **PORT, **UNIT)
    point = await open_subentry(hass, entry, "charge_point")
    connectors = {"connector_count": "connectors_out_of_range"}
    await point.refused(charge_point_input(connector_count=17), **connectors)
    grid = await open_reconfigure(hass, entry)
    await grid.refused(
        {**grid.suggested, "ocpp_port": 1e6}, ocpp_port="port_out_of_range"
    )


@pytest.mark.parametrize(("value", "taken"), [(1, True), (9, True), (0.9, False)])
def test_bounds_are_within(value: float, taken: bool) -> None:
    """The bounds themselves are taken, and the browser is told of them."""
    field = number("A", minimum=1, maximum=9, error="wrong")
    assert isinstance(field, NumberSelector)
    assert field.serialize()["selector"]["number"]["min"] == 1
    if taken:
        assert field(value) == value
    else:
        with pytest.raises(probatio.Invalid, match="wrong"):
            field(value)

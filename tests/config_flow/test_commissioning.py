"""What the confirmation of a meter's values tells about its mounting."""

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.meters import load_profiles
from tests.meters.wire import ModbusServer, twin

from .inputs import PROFILE, Form, confirmation, meter_input, open_subentry, subentry_id

PROFILES = load_profiles().profiles


async def ask(hass: HomeAssistant, entry: MockConfigEntry, port: int) -> Form:
    """Return the confirmation of a meter of the garage, which is allowed 32 A."""
    form = await open_subentry(hass, entry, "meter")
    garage = subentry_id(entry, "Garage")
    await form.submit({"circuit": garage, **meter_input(port)}, "confirm")
    return form


async def test_load_that_is_switched_on_tells_direction_and_phase(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry
) -> None:
    """A backwards meter shows a fall; with the direction swapped the same step is a rise."""
    form = await ask(hass, entry, meter.port)
    assert form.placeholders["hints"] == "–"
    again = confirmation(read_again=True)
    await form.submit(again, "confirm")
    assert "too little" in form.placeholders["hints"]
    assert form.suggested["read_again"] is False
    meter.devices[1] = twin(
        PROFILES[PROFILE],
        {"current_l1": 10.0, "power_l1": 2237.5, "power_total": 827.5},
    )
    await form.submit(again, "confirm")
    assert "swapped" in form.placeholders["hints"]
    assert "on L1" in form.placeholders["hints"]
    await form.submit(confirmation(invert=True), "confirm")
    assert "is right" in form.placeholders["hints"]
    assert form.placeholders["current_l1"] == "-10.0 A"
    await form.submit(confirmation(invert=True))
    form.created()


async def test_meter_that_falls_silent_while_it_is_confirmed(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry
) -> None:
    """The values shown stay, and the reason is told."""
    form = await ask(hass, entry, meter.port)
    device = meter.devices.pop(1)
    await form.submit(confirmation(read_again=True), "confirm", base="no_answer")
    meter.devices[1] = device
    await form.submit(confirmation(read_again=True), "confirm")


async def test_transformer_ratio(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry
) -> None:
    """A current that the fuse of the circuit would not carry raises a doubt."""
    values = {"current_l1": 200.0, "power_l1": 46000.0, "power_total": 44590.0}
    meter.devices[1] = twin(PROFILES[PROFILE], values)
    form = await ask(hass, entry, meter.port)
    assert "far above the limit" in form.placeholders["hints"]
    await form.submit(confirmation())
    form.created()

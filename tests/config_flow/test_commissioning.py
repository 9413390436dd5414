"""What the confirmation of a meter's values tells about its mounting."""

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.flows.meter_texts import MeterTexts
from custom_components.reev_ems.meters import Doubt, Oddity, load_profiles
from tests.meters.wire import ModbusServer, text_words, twin

from .inputs import PROFILE, Form, confirmation, meter_input, open_subentry, subentry_id
from .texts import TEXTS

GROUPS = ("meter_note", "meter_name", "meter_hint", "meter_remark", "meter_field")
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
    assert form.placeholders["hints"] == ""
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


async def test_meter_that_is_too_small_for_its_circuit(
    hass: HomeAssistant, meter: ModbusServer, entry: MockConfigEntry
) -> None:
    """The rating comes from the meter; a person may know better, and sees at once what follows from it."""
    small = "siemens_pac2200"
    device = meter.devices[1] = twin(PROFILES[small])
    device.put_number([3], 50011, "uint32", 25)
    form = await open_subentry(hass, entry, "meter")
    garage = subentry_id(entry, "Garage")
    connection = {"circuit": garage, **meter_input(meter.port, profile=small)}
    await form.submit(connection, "confirm")
    assert form.suggested["rating_a"] == 25.0
    assert (
        "(32 A) is above what this meter can measure (25 A)"
        in (form.placeholders["hints"])
    )
    assert "transformers (A) 25" in form.placeholders["identification"]
    await form.submit(confirmation(rating_a=50), "confirm")
    assert form.placeholders["hints"] == ""
    await form.submit(confirmation(name="Garage meter", rating_a=50))
    form.created()
    stored = entry.subentries[subentry_id(entry, "Garage meter")]
    assert stored.data["rating_a"] == 50

    form = await open_subentry(hass, entry, "meter", stored.subentry_id)
    await form.submit(connection, "confirm")
    assert form.suggested["rating_a"] == 50, "what a person said stays"
    await form.submit(confirmation())
    form.aborted("reconfigure_successful")
    assert "rating_a" not in entry.subentries[stored.subentry_id].data


@pytest.mark.parametrize(("hours_from_noon", "told"), [(0, False), (12, True)])
async def test_export_at_night(
    hass: HomeAssistant,
    meter: ModbusServer,
    entry: MockConfigEntry,
    hours_from_noon: int,
    told: bool,
) -> None:
    """Where the sun is down, nothing but a battery can export."""
    hass.config.latitude = 0.0
    now = dt_util.utcnow()
    noon_at = (12 - now.hour - now.minute / 60) * 15
    hass.config.longitude = (noon_at + hours_from_noon * 15 + 180) % 360 - 180
    values = {"power_l1": -4537.5, "power_total": -5947.5}
    meter.devices[1] = twin(PROFILES[PROFILE], values)
    form = await ask(hass, entry, meter.port)
    assert ("The sun is down" in form.placeholders["hints"]) is told


async def test_what_fills_the_form_can_be_translated(
    hass: HomeAssistant,
    meter: ModbusServer,
    entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Notes, hints, remarks and names of fields come from the texts of the language, with nothing added in English."""
    texts = {
        f"component.{DOMAIN}.selector.{group}.options.{key}": f"{group}/{key}"
        for group in GROUPS
        for key in TEXTS["selector"][group]["options"]
    }

    async def load(_: HomeAssistant) -> MeterTexts:
        return MeterTexts(texts)

    monkeypatch.setattr(MeterTexts, "async_load", load)
    small = "siemens_pac2200"
    device = meter.devices[1] = twin(PROFILES[small])
    device.put_number([3], 50011, "uint32", 25)
    device.put([3], 64002, text_words("7KM9", 10))
    device.inner.clear()
    form = await open_subentry(hass, entry, "meter")
    garage = subentry_id(entry, "Garage")
    await form.submit(
        {"circuit": garage, **meter_input(meter.port, profile=small)}, "confirm"
    )
    assert form.placeholders["notes"].splitlines() == [
        "- meter_remark/name_differs",
        "- meter_note/both_tariffs",
        "- meter_note/pac_inversion",
        "- meter_note/pac2200_rating",
    ]
    assert form.placeholders["hints"] == (
        '<ha-alert alert-type="warning">meter_hint/limit_above_rating</ha-alert>'
    )
    assert form.placeholders["identification"] == (
        "meter_field/manufacturer_id 42, meter_field/model 7KM9,"
        " meter_field/serial A1, meter_field/ct_primary 25"
    )


def test_every_note_and_field_has_its_text_and_every_text_its_use() -> None:
    """A note without a text would be shown as its key."""
    notes = {
        note
        for profile in PROFILES.values()
        for note in (*profile.notes, *profile.value_notes)
    }
    names = {profile.name_remark for profile in PROFILES.values()} - {None}
    fields = {name for profile in PROFILES.values() for name in profile.identification}
    # Told by SunSpec devices, whose registers are found on the wire.
    fields |= {"manufacturer", "model", "firmware", "serial"}
    hints = {*Doubt, "direction_swapped", "direction_right", "direction_unknown"}
    texts = {group: set(TEXTS["selector"][group]["options"]) for group in GROUPS}
    assert texts == {
        "meter_note": notes,
        "meter_name": names | {"behind_gateway"},
        "meter_field": fields,
        "meter_hint": hints | {"phase_moved"},
        "meter_remark": {*Oddity},
    }

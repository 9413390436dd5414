"""What a person knows better of a charge point than the table of models."""

from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.charge_points.config import charge_point_config
from custom_components.reev_ems.charge_points.security import PortSecurity
from custom_components.reev_ems.energy_management.model import Settings
from custom_components.reev_ems.flows.charge_point_abilities import ABILITIES_SCHEMA
from custom_components.reev_ems.ocpp_server.abilities import Way
from custom_components.reev_ems.ocpp_server.model import BootInfo
from custom_components.reev_ems.ocpp_server.profiles import Kind, Purpose, Unit
from custom_components.reev_ems.ocpp_server.quirks import known

from .inputs import charge_point_input, connector_input, open_subentry, subentry_id

FILLED: dict[str, dict[str, Any]] = {
    "limits": {
        "unit": "watt",
        "working_purpose": "tx_default_profile",
        "working_kind": "relative",
        "floor_purpose": "charge_point_max_profile",
        "floor_kind": "absolute",
        "floor_per_connector": "yes",
        "switches_phases": "no",
        "composite_schedule": "no",
        "max_stack_level": 3,
        "max_periods": 1,
        "way": "vendor_key",
        "vendor_key": "MaxA",
        "car_phases": 3,
    },
    "metering": {
        "meter_interval_s": 60,
        "without_measurands": ["soc", "current_offered"],
    },
    "behavior": {
        "autonomous_fallback": "no",
        "ocpp_version": "v1_6",
        "zero_ends_session": "yes",
        "reset_when_finished": "yes",
        "start_rest_s": 300,
        "set_up": "no",
    },
}
EMPTY: dict[str, dict[str, Any]] = {"limits": {}, "metering": {}, "behavior": {}}


async def added(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """Add a charge point; return its subentry."""
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(), "connector")
    await form.submit(connector_input())
    return subentry_id(entry, "Left")


async def test_all_that_can_be_said_reaches_the_server(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Each field is stored, shown again, and understood by the OCPP server."""
    left = await added(hass, entry)
    form = await open_subentry(hass, entry, "charge_point", left)
    await form.choose("abilities")
    assert form.suggested == EMPTY
    assert form.placeholders["known"] == "–"
    await form.submit(FILLED)
    form.aborted("reconfigure_successful")

    config = charge_point_config(
        entry.subentries[left].data, Settings(), PortSecurity()
    )
    quirks = known((), BootInfo(), config.quirks)
    assert quirks.abilities == {
        "unit": Unit.WATT,
        "working_purpose": Purpose.TX_DEFAULT,
        "working_kind": Kind.RELATIVE,
        "floor_purpose": Purpose.MAXIMUM,
        "floor_kind": Kind.ABSOLUTE,
        "floor_per_connector": True,
        "switches_phases": False,
        "composite_schedule": False,
        "max_stack_level": 3,
        "max_periods": 1,
        "way": Way.VENDOR_KEY,
        "vendor_key": "MaxA",
    }
    assert quirks.car_phases == 3
    assert quirks.meter_interval_s == 60
    assert quirks.without_measurands == ("SoC", "Current.Offered")
    assert quirks.autonomous_fallback is False
    assert quirks.zero_ends_session is True
    assert quirks.ocpp_version == "1.6"
    assert quirks.reset_when_finished is True
    assert quirks.start_rest_s == 300
    assert quirks.set_up is False

    form = await open_subentry(hass, entry, "charge_point", left)
    await form.choose("abilities")
    assert form.suggested == FILLED
    await form.submit(EMPTY)
    form.aborted("reconfigure_successful")
    assert "quirks" not in entry.subentries[left].data


@pytest.mark.parametrize(
    ("group", "field", "value", "about"),
    [
        ("limits", "max_stack_level", -1, ("Highest stack level", "0", "99")),
        ("limits", "max_periods", 1025, ("Most schedule periods", "1", "1024")),
        ("limits", "car_phases", 4, ("Phases of the cars", "1", "3")),
        (
            "metering",
            "meter_interval_s",
            4,
            ("Interval of measured values", "5", "3600 s"),
        ),
    ],
)
async def test_number_out_of_range(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    group: str,
    field: str,
    value: float,
    about: tuple[str, str, str],
) -> None:
    """It is refused in its section, by its name and with its bounds; what was entered is still there."""
    left = await added(hass, entry)
    form = await open_subentry(hass, entry, "charge_point", left)
    await form.choose("abilities")
    wrong = {**FILLED, group: {**FILLED[group], field: value}}
    await form.submit(wrong, "abilities", **{group: "out_of_range"})
    assert (
        tuple(form.placeholders[it] for it in ("field", "lowest", "highest")) == about
    )
    assert form.suggested == wrong
    await form.submit(FILLED)
    form.aborted("reconfigure_successful")


async def test_every_option_is_understood(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """No choice of the form is one that the OCPP server refuses."""
    left = await added(hass, entry)
    for group, part in ABILITIES_SCHEMA.schema.items():
        for field, selector in part.schema.schema.items():
            for option in selector.config.get("options", []):
                many = selector.config.get("multiple")
                chosen = {
                    **EMPTY,
                    str(group): {str(field): [option] if many else option},
                }
                form = await open_subentry(hass, entry, "charge_point", left)
                await form.choose("abilities")
                await form.submit(chosen)
                form.aborted("reconfigure_successful")
                data = entry.subentries[left].data
                known(
                    (),
                    BootInfo(),
                    charge_point_config(data, Settings(), PortSecurity()).quirks,
                )
                assert "quirks" in data

"""The form of the options."""

from dataclasses import fields

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.energy_management.model import (
    FailsafeAction,
    Settings,
    SharingPolicy,
)
from custom_components.reev_ems.flows.options import DEFAULTS
from custom_components.reev_ems.site import Controls, build_site

from .inputs import open_options


async def test_options(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """What is entered arrives in the energy management; what is not touched keeps its default."""
    form = await open_options(hass, entry)
    form.shows("init")
    options = form.suggested
    assert options["grid"] == {"imbalance_limit_a": 20}
    assert options["failsafe_behavior"]["meter_timeout_s"] == 15
    options["sharing_of_power"]["sharing"] = "strict"
    options["sharing_of_power"]["margin_a"] = 1.5
    options["failsafe_behavior"]["failsafe"] = "stop"
    options["failsafe_behavior"]["meter_timeout_s"] = 60
    options["grid"]["imbalance_limit_a"] = 0
    options["pv"]["pv_start_delay_s"] = 30
    await form.submit(options)
    form.created()

    site = build_site(entry, Controls())
    assert site.sharing is SharingPolicy.STRICT
    assert site.margin_a == 1.5
    assert site.imbalance is None
    assert site.settings == Settings(
        failsafe=FailsafeAction.STOP, meter_timeout_s=60, pv_start_delay_s=30
    )

    again = await open_options(hass, entry)
    assert again.suggested == options


async def test_unchanged_form_changes_nothing(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The defaults of the form are those of the energy management."""
    before = build_site(entry, Controls())
    form = await open_options(hass, entry)
    await form.submit(form.suggested)
    form.created()
    assert build_site(entry, Controls()) == before


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("failsafe_behavior", "meter_timeout_s", 4),
        ("failsafe_behavior", "meter_timeout_s", 301),
        ("failsafe_behavior", "failsafe_a", 5.9),
        ("failsafe_behavior", "profile_life_s", 10),
        ("sharing_of_power", "margin_a", -1),
        ("sharing_of_power", "sharing", "chaos"),
        ("pv", "min_on_s", -1),
    ],
)
async def test_value_out_of_bounds(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    section: str,
    key: str,
    value: float | str,
) -> None:
    """Home Assistant refuses what is out of bounds, and names the field."""
    form = await open_options(hass, entry)
    options = form.suggested
    options[section][key] = value
    with pytest.raises(InvalidData) as refused:
        await form.submit(options)
    (reason,) = refused.value.schema_errors["base"]
    assert f"{section}.{key}" in reason


def test_every_option_is_known_to_the_energy_management() -> None:
    """An option that nobody reads would be a promise not kept."""
    of_the_site = {"sharing", "margin_a", "imbalance_limit_a"}
    known = {item.name for item in fields(Settings)} | of_the_site
    assert set(DEFAULTS) <= known

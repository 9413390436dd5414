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
from custom_components.reev_ems.site.build import build_site
from custom_components.reev_ems.site.controls import Controls

from .inputs import open_options


async def test_options(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """What is entered arrives in the energy management; what is not touched keeps its default."""
    form = await open_options(hass, entry)
    form.shows("init")
    options = form.suggested
    assert options["grid"] == {
        "imbalance_limit_a": 20,
        "external_limit_invert": False,
    }
    assert options["failsafe_behavior"]["meter_timeout_s"] == 15
    options["sharing_of_power"]["sharing"] = "strict"
    options["sharing_of_power"]["margin_a"] = 1.5
    options["failsafe_behavior"]["failsafe"] = "stop"
    options["failsafe_behavior"]["meter_timeout_s"] = 60
    options["failsafe_behavior"]["may_make_inoperative"] = False
    options["grid"]["imbalance_limit_a"] = 0
    options["pv"]["pv_start_delay_s"] = 30
    await form.submit(options)
    form.created()

    site = build_site(entry, Controls())
    assert site.sharing is SharingPolicy.STRICT
    assert site.margin_a == 1.5
    assert site.imbalance is None
    assert site.settings == Settings(
        failsafe=FailsafeAction.STOP,
        meter_timeout_s=60,
        may_make_inoperative=False,
        pv_start_delay_s=30,
        # Of the meter, not of the form.
        meter_lag_s=site.settings.meter_lag_s,
    )

    again = await open_options(hass, entry)
    assert again.suggested == options


async def test_what_was_stored_with_former_defaults_stays(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """These values were seen by whoever saved the form."""
    former = {"profile_life_s": 120, "rotation_slot_s": 900, "min_off_s": 300}
    hass.config_entries.async_update_entry(entry, options=former)
    form = await open_options(hass, entry)
    shown = {**form.suggested["sharing_of_power"], **form.suggested["pv"]}
    shown |= form.suggested["failsafe_behavior"]
    assert former.items() <= shown.items()
    assert shown["may_stop_transactions"] is True
    await form.submit(form.suggested)
    settings = build_site(entry, Controls()).settings
    assert {key: getattr(settings, key) for key in former} == former


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
    ("section", "key", "value", "about"),
    [
        ("failsafe_behavior", "meter_timeout_s", 4, ("Meter timeout", "5", "300 s")),
        ("failsafe_behavior", "meter_timeout_s", 301, ("Meter timeout", "5", "300 s")),
        ("failsafe_behavior", "failsafe_a", 5.9, ("Failsafe current", "6", "80 A")),
        (
            "failsafe_behavior",
            "profile_life_s",
            10,
            ("Life of a permit", "30", "3600 s"),
        ),
        ("sharing_of_power", "margin_a", -1, ("Safety margin", "0", "1000 A")),
        ("pv", "min_on_s", -1, ("Minimum charging time", "0", "7200 s")),
        (
            "battery",
            "battery_priority_soc_pct",
            101,
            ("Battery goes first below", "0", "100 %"),
        ),
    ],
)
async def test_value_out_of_bounds(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    section: str,
    key: str,
    value: float,
    about: tuple[str, str, str],
) -> None:
    """It is refused where it is, by its name and with its bounds; what was entered is still there."""
    form = await open_options(hass, entry)
    options = form.suggested
    options[section][key] = value
    await form.submit(options, "init", **{section: "out_of_range"})
    assert (
        tuple(form.placeholders[it] for it in ("field", "lowest", "highest")) == about
    )
    assert form.suggested[section][key] == value
    shown = form.result["data_schema"].schema[section]
    assert not shown.options["collapsed"]


@pytest.mark.parametrize(
    ("section", "key"), [("sharing_of_power", "sharing"), ("access", "authorization")]
)
async def test_option_that_does_not_exist(
    hass: HomeAssistant, entry: MockConfigEntry, section: str, key: str
) -> None:
    """No form sends it; Home Assistant refuses it and names the field."""
    form = await open_options(hass, entry)
    options = form.suggested
    options[section][key] = "chaos"
    with pytest.raises(InvalidData) as refused:
        await form.submit(options)
    (reason,) = refused.value.schema_errors["base"]
    assert f"{section}.{key}" in reason


def test_every_option_is_known_to_the_energy_management() -> None:
    """An option that nobody reads would be a promise not kept."""
    of_the_site = {"sharing", "margin_a", "imbalance_limit_a", "authorization"}
    of_entities = {"external_limit_invert", "battery_invert"}
    of_charge_points = {"local_lists"}
    known = {item.name for item in fields(Settings)}
    known |= of_the_site | of_entities | of_charge_points
    assert set(DEFAULTS) <= known


async def test_entities_can_be_named_and_taken_back(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A source and a battery are options; an emptied field is stored no more, options of others stay."""
    hass.config_entries.async_update_entry(
        entry, options={**entry.options, "of_another_form": 1}
    )
    hass.states.async_set("sensor.limit", "4.2", {"unit_of_measurement": "kW"})
    form = await open_options(hass, entry)
    options = form.suggested
    options["grid"]["external_limit_source"] = "sensor.limit"
    options["battery"] |= {
        # A sensor that has no state now is believed to be a power.
        "battery_power": "sensor.battery_power",
        "battery_invert": True,
        "battery_soc": "sensor.battery_soc",
        "battery_priority_soc_pct": 30,
    }
    options["access"]["authorization"] = "known_users"
    await form.submit(options)
    form.created()
    assert entry.options["external_limit_source"] == "sensor.limit"
    assert entry.options["of_another_form"] == 1
    assert build_site(entry, Controls()).settings.battery_priority_soc_pct == 30

    form = await open_options(hass, entry)
    assert form.suggested == options
    del options["grid"]["external_limit_source"]
    del options["battery"]["battery_soc"]
    options["battery"]["battery_priority_soc_pct"] = 0
    await form.submit(options)
    form.created()
    assert "external_limit_source" not in entry.options
    assert entry.options["battery_power"] == "sensor.battery_power"
    assert entry.options["of_another_form"] == 1
    assert build_site(entry, Controls()).settings.battery_priority_soc_pct is None


@pytest.mark.parametrize(
    ("section", "changes", "error"),
    [
        ("grid", {"external_limit_source": "sensor.heat"}, "limit_source_unit"),
        ("battery", {"battery_power": "sensor.heat"}, "battery_power_unit"),
        ("battery", {"battery_soc": "sensor.soc"}, "battery_power_missing"),
        (
            "battery",
            {"battery_power": "sensor.power", "battery_priority_soc_pct": 20},
            "battery_soc_missing",
        ),
        ("battery", {"battery_priority_soc_pct": 20}, "battery_soc_missing"),
    ],
)
async def test_entities_that_do_not_fit(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    section: str,
    changes: dict[str, object],
    error: str,
) -> None:
    """Each error is at its section, nothing is saved, and the form goes on."""
    hass.states.async_set("sensor.heat", "21", {"unit_of_measurement": "°C"})
    before = dict(entry.options)
    form = await open_options(hass, entry)
    options = form.suggested
    await form.submit(
        {**options, section: options[section] | changes}, "init", **{section: error}
    )
    assert entry.options == before
    await form.submit(options)
    form.created()

"""The form of the options: the timings and thresholds of the energy management."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.const import PERCENTAGE
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    EntityWithDeviceFilterSelectorConfig,
)
import probatio

from ..const import (
    CONF_AUTHORIZATION,
    CONF_BATTERY_INVERT,
    CONF_BATTERY_POWER,
    CONF_BATTERY_PRIORITY_SOC_PCT,
    CONF_BATTERY_SOC,
    CONF_EXTERNAL_LIMIT_INVERT,
    CONF_EXTERNAL_LIMIT_SOURCE,
    CONF_IMBALANCE_LIMIT_A,
    CONF_LOCAL_LISTS,
    CONF_MARGIN_A,
    CONF_SHARING,
    DEFAULT_MARGIN_A,
)
from ..energy_management.model import FailsafeAction, Settings, SharingPolicy
from ..site.external_limit import CONTACT_DOMAINS, NUMBER_DOMAINS
from ..site.people import Access
from .fields import (
    NOT_OUT_OF_RANGE,
    amperes,
    choice,
    has_power_unit,
    number,
    out_of_range,
    seconds,
    unbounded,
    watts,
    with_errors_open,
)
from .site import NO_FLOOR_PROBLEM, circuit_names, draft_site, floor_problem

_TEXTS = ("options", "step.init")

SECTION_SHARING = "sharing_of_power"
SECTION_FAILSAFE = "failsafe_behavior"
SECTION_GRID = "grid"
SECTION_PV = "pv"
SECTION_BATTERY = "battery"
SECTION_ACCESS = "access"

_SETTINGS = Settings()

DEFAULTS: dict[str, Any] = {
    CONF_SHARING: SharingPolicy.PRIORITY.value,
    CONF_MARGIN_A: DEFAULT_MARGIN_A,
    CONF_IMBALANCE_LIMIT_A: 0.0,
    **{
        name: getattr(_SETTINGS, name)
        for name in (
            "rotation_slot_s",
            "raise_interval_s",
            "failsafe_a",
            "meter_timeout_s",
            "profile_life_s",
            "pv_start_delay_s",
            "pv_stop_delay_s",
            "pv_start_threshold_w",
            "pv_stop_threshold_w",
            "pv_reserve_w",
            "pv_per_phase",
            "min_on_s",
            "min_off_s",
            "may_stop_transactions",
            "may_make_inoperative",
        )
    },
    "failsafe": _SETTINGS.failsafe.value,
    CONF_EXTERNAL_LIMIT_INVERT: False,
    CONF_BATTERY_INVERT: False,
    CONF_BATTERY_PRIORITY_SOC_PCT: 0,
    CONF_AUTHORIZATION: Access.ANYONE.value,
    CONF_LOCAL_LISTS: True,
}
"""What has none may be left empty."""


def _sensor(device_class: str) -> EntitySelector:
    """Return a choice of sensors."""
    return EntitySelector(
        EntitySelectorConfig(domain="sensor", device_class=device_class)
    )


# Bounds: a meter timeout of 5 to 300 s is S3; a profile that lives shorter than 30 s would be renewed faster than
# a slow charge point answers; a raise sooner than 5 s after the last meets a car that is still ramping.
SECTIONS: dict[str, dict[str, Any]] = {
    SECTION_SHARING: {
        CONF_SHARING: choice("sharing", SharingPolicy),
        CONF_MARGIN_A: amperes(0, 1000),
        "rotation_slot_s": seconds(60, 86_400),
        "raise_interval_s": seconds(5, 600),
    },
    SECTION_FAILSAFE: {
        "failsafe": choice("failsafe", FailsafeAction),
        "failsafe_a": amperes(6, 80),
        "meter_timeout_s": seconds(5, 300),
        "profile_life_s": seconds(30, 3600),
        "may_stop_transactions": BooleanSelector(),
        "may_make_inoperative": BooleanSelector(),
    },
    SECTION_GRID: {
        CONF_IMBALANCE_LIMIT_A: amperes(0, 1000),
        CONF_EXTERNAL_LIMIT_SOURCE: EntitySelector(
            EntitySelectorConfig(
                filter=[
                    EntityWithDeviceFilterSelectorConfig(
                        domain=[*CONTACT_DOMAINS, "input_number"]
                    ),
                    EntityWithDeviceFilterSelectorConfig(
                        domain=["number", "sensor"], device_class="power"
                    ),
                ]
            )
        ),
        CONF_EXTERNAL_LIMIT_INVERT: BooleanSelector(),
    },
    SECTION_PV: {
        "pv_start_threshold_w": watts(0, 1_000_000),
        "pv_start_delay_s": seconds(0, 3600),
        "pv_stop_threshold_w": watts(0, 1_000_000),
        "pv_stop_delay_s": seconds(0, 3600),
        "pv_reserve_w": watts(0, 1_000_000),
        "min_on_s": seconds(0, 7200),
        "min_off_s": seconds(0, 7200),
        "pv_per_phase": BooleanSelector(),
    },
    SECTION_BATTERY: {
        CONF_BATTERY_POWER: _sensor("power"),
        CONF_BATTERY_INVERT: BooleanSelector(),
        CONF_BATTERY_SOC: _sensor("battery"),
        CONF_BATTERY_PRIORITY_SOC_PCT: number(PERCENTAGE, minimum=0, maximum=100),
    },
    SECTION_ACCESS: {
        CONF_AUTHORIZATION: choice("authorization", Access),
        CONF_LOCAL_LISTS: BooleanSelector(),
    },
}


OPTIONS_SCHEMA = probatio.Schema(
    {
        probatio.Required(name): section(
            probatio.Schema(
                {
                    probatio.Required(key, default=DEFAULTS[key])
                    if key in DEFAULTS
                    else probatio.Optional(key): unbounded(fields[key])
                    for key in fields
                }
            ),
            {"collapsed": name != SECTION_SHARING},
        )
        for name, fields in SECTIONS.items()
    }
)


class ReevOptionsFlow(OptionsFlow):
    """Change how the energy management decides."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for all options, grouped."""
        entry = self.config_entry
        errors: dict[str, str] = {}
        placeholders = NO_FLOOR_PROBLEM | NOT_OUT_OF_RANGE
        if user_input is not None:
            options = _flatten(user_input)
            errors = self._errors(options)
            if wrong := out_of_range(self.hass, _TEXTS, SECTIONS, user_input):
                at, about = wrong
                errors[at] = "out_of_range"
                placeholders |= about
            elif problem := floor_problem(
                self.hass,
                draft_site(entry),
                draft_site(entry, options=options),
                circuit_names(self.hass, entry),
            ):
                placeholders |= problem
                errors[SECTION_FAILSAFE] = "floors_over_limit"
            if not errors:
                # What was cleared is gone; what is not of this form stays.
                kept = {
                    key: value
                    for key, value in entry.options.items()
                    if not any(key in fields for fields in SECTIONS.values())
                }
                return self.async_create_entry(data=kept | options)
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                with_errors_open(OPTIONS_SCHEMA, errors),
                user_input or _sectioned(entry.options),
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _errors(self, options: Mapping[str, Any]) -> dict[str, str]:
        """Return the errors by section."""
        errors: dict[str, str] = {}
        source = options.get(CONF_EXTERNAL_LIMIT_SOURCE)
        if (
            source
            and source.partition(".")[0] in NUMBER_DOMAINS
            and not has_power_unit(self.hass, source)
        ):
            errors[SECTION_GRID] = "limit_source_unit"
        power = options.get(CONF_BATTERY_POWER)
        if power and not has_power_unit(self.hass, power):
            errors[SECTION_BATTERY] = "battery_power_unit"
        elif CONF_BATTERY_SOC in options and not power:
            errors[SECTION_BATTERY] = "battery_power_missing"
        elif (
            options[CONF_BATTERY_PRIORITY_SOC_PCT] > 0
            and CONF_BATTERY_SOC not in options
        ):
            errors[SECTION_BATTERY] = "battery_soc_missing"
        return errors


def _flatten(user_input: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the options as they are stored, without sections."""
    return {key: value for group in user_input.values() for key, value in group.items()}


def _sectioned(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return stored options as the form shows them."""
    return {
        name: {key: options[key] for key in group if key in options}
        for name, group in SECTIONS.items()
    }

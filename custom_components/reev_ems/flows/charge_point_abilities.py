"""The form of what a charge point can do, where it is not what its model is known for (ocpp_server/quirks.py)."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentry
from homeassistant.const import UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
import probatio

from ..const import SUBENTRY_CHARGE_POINT
from ..ocpp_server.abilities import Way
from ..ocpp_server.dialect import MEASURANDS
from ..ocpp_server.profiles import Kind, Purpose, Unit
from ..site.texts import verbatim
from .fields import choice, out_of_range, unbounded

SECTION_LIMITS = "limits"
SECTION_METERING = "metering"
SECTION_BEHAVIOR = "behavior"

# Options of a form are translated by keys of small letters.
_UNITS = {"ampere": Unit.AMPERE.value, "watt": Unit.WATT.value}
_KINDS = {"absolute": Kind.ABSOLUTE.value, "relative": Kind.RELATIVE.value}
_PURPOSES = {
    "tx_profile": Purpose.TX_PROFILE.value,
    "tx_default_profile": Purpose.TX_DEFAULT.value,
    "charge_point_max_profile": Purpose.MAXIMUM.value,
}
_FLOOR_PURPOSES = {
    key: _PURPOSES[key] for key in ("tx_default_profile", "charge_point_max_profile")
}
_WAYS = {way.value: way.value for way in Way}
_YES_NO = {"yes": True, "no": False}
_MEASURANDS = {name.lower().replace(".", "_"): name for name in MEASURANDS}

# What may be chosen, by the name of the ability or quirk; a field that is left empty is for the table of models.
_ABILITY_CHOICES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "way": ("steering_way", _WAYS),
    "unit": ("charging_unit", _UNITS),
    "working_purpose": ("profile_purpose", _PURPOSES),
    "working_kind": ("profile_kind", _KINDS),
    "floor_purpose": ("floor_purpose", _FLOOR_PURPOSES),
    "floor_kind": ("profile_kind", _KINDS),
    "floor_per_connector": ("yes_no", _YES_NO),
    "switches_phases": ("yes_no", _YES_NO),
    "composite_schedule": ("yes_no", _YES_NO),
}
_ABILITY_NUMBERS = {"max_stack_level": (0, 99), "max_periods": (1, 1024)}
_VENDOR_KEY = "vendor_key"
_CAR_PHASES = "car_phases"
_VERSIONS = {"v1_6": "1.6", "v2_0_1": "2.0.1", "v2_1": "2.1"}
_BEHAVIOR_CHOICES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "ocpp_version": ("ocpp_version", _VERSIONS),
    "autonomous_fallback": ("yes_no", _YES_NO),
    "zero_ends_session": ("yes_no", _YES_NO),
    "reset_when_finished": ("yes_no", _YES_NO),
    "set_up": ("yes_no", _YES_NO),
}
_START_REST = "start_rest_s"
_METER_INTERVAL = "meter_interval_s"
_WITHOUT_MEASURANDS = "without_measurands"


def _whole(minimum: int, maximum: int, unit: str | None = None) -> NumberSelector:
    """Return a box for a whole number that may be left empty."""
    config = NumberSelectorConfig(
        min=minimum, max=maximum, step=1, mode=NumberSelectorMode.BOX
    )
    if unit is not None:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)


SECTIONS: dict[str, dict[str, Any]] = {
    SECTION_LIMITS: {
        **{
            name: choice(key, options)
            for name, (key, options) in _ABILITY_CHOICES.items()
        },
        **{name: _whole(low, high) for name, (low, high) in _ABILITY_NUMBERS.items()},
        _CAR_PHASES: _whole(1, 3),
        _VENDOR_KEY: TextSelector(),
    },
    SECTION_METERING: {
        _METER_INTERVAL: _whole(5, 3600, UnitOfTime.SECONDS),
        _WITHOUT_MEASURANDS: SelectSelector(
            SelectSelectorConfig(
                options=list(_MEASURANDS),
                translation_key="measurand",
                multiple=True,
                mode=SelectSelectorMode.DROPDOWN,
            )
        ),
    },
    SECTION_BEHAVIOR: {
        **{
            name: choice(key, options)
            for name, (key, options) in _BEHAVIOR_CHOICES.items()
        },
        _START_REST: _whole(0, 3600, UnitOfTime.SECONDS),
    },
}

ABILITIES_SCHEMA = probatio.Schema(
    {
        probatio.Required(name): section(
            probatio.Schema(
                {
                    probatio.Optional(key): unbounded(selector)
                    for key, selector in fields.items()
                }
            )
        )
        for name, fields in SECTIONS.items()
    }
)


def abilities_error(
    hass: HomeAssistant, user_input: Mapping[str, Mapping[str, Any]]
) -> tuple[str, dict[str, str]] | None:
    """Return the section of the first number that is not possible, and what to say about it."""
    step = ("config_subentries", f"{SUBENTRY_CHARGE_POINT}.step.abilities")
    return out_of_range(hass, step, SECTIONS, user_input)


def said_and_known(entry: ConfigEntry[Any], subentry: ConfigSubentry) -> dict[str, str]:
    """Return, for the text of the form, what the charge point says of itself, and which entries of the table of models are about it."""
    said, known = "–", "–"
    if entry.state is ConfigEntryState.LOADED:
        charge_point = entry.runtime_data.charge_points.get(subentry.subentry_id)
        if charge_point and (info := charge_point.info):
            said = " ".join(filter(None, (info.vendor, info.model, info.firmware)))
        if charge_point and charge_point.quirks.names:
            known = ", ".join(charge_point.quirks.names)
    return {"said": verbatim(said or "–"), "known": known}


def take_abilities(user_input: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is stored: only what was filled in."""
    limits = user_input[SECTION_LIMITS]
    abilities: dict[str, Any] = {
        name: options[limits[name]]
        for name, (_, options) in _ABILITY_CHOICES.items()
        if limits.get(name)
    }
    abilities |= {
        name: int(limits[name])
        for name in _ABILITY_NUMBERS
        if limits.get(name) is not None
    }
    if key := (limits.get(_VENDOR_KEY) or "").strip():
        abilities[_VENDOR_KEY] = key
    quirks: dict[str, Any] = {"abilities": abilities} if abilities else {}
    if limits.get(_CAR_PHASES) is not None:
        quirks[_CAR_PHASES] = int(limits[_CAR_PHASES])
    metering = user_input[SECTION_METERING]
    if metering.get(_METER_INTERVAL) is not None:
        quirks[_METER_INTERVAL] = int(metering[_METER_INTERVAL])
    if without := metering.get(_WITHOUT_MEASURANDS):
        quirks[_WITHOUT_MEASURANDS] = [_MEASURANDS[name] for name in without]
    behavior = user_input[SECTION_BEHAVIOR]
    if behavior.get(_START_REST) is not None:
        quirks[_START_REST] = int(behavior[_START_REST])
    return quirks | {
        name: options[behavior[name]]
        for name, (_, options) in _BEHAVIOR_CHOICES.items()
        if behavior.get(name)
    }


def show_abilities(quirks: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is stored as the form shows it."""
    abilities = quirks.get("abilities", {})
    limits = {
        name: _key(options, abilities[name])
        for name, (_, options) in _ABILITY_CHOICES.items()
        if name in abilities
    }
    limits |= {
        name: abilities[name]
        for name in (*_ABILITY_NUMBERS, _VENDOR_KEY)
        if name in abilities
    }
    if _CAR_PHASES in quirks:
        limits[_CAR_PHASES] = quirks[_CAR_PHASES]
    metering = {}
    if _METER_INTERVAL in quirks:
        metering[_METER_INTERVAL] = quirks[_METER_INTERVAL]
    if _WITHOUT_MEASURANDS in quirks:
        metering[_WITHOUT_MEASURANDS] = [
            _key(_MEASURANDS, name) for name in quirks[_WITHOUT_MEASURANDS]
        ]
    behavior = {
        name: _key(options, quirks[name])
        for name, (_, options) in _BEHAVIOR_CHOICES.items()
        if name in quirks
    }
    if _START_REST in quirks:
        behavior[_START_REST] = quirks[_START_REST]
    return {
        SECTION_LIMITS: limits,
        SECTION_METERING: metering,
        SECTION_BEHAVIOR: behavior,
    }


def _key(options: Mapping[str, Any], value: Any) -> str:
    """Return the option that stands for a stored value."""
    return next(key for key, option in options.items() if option == value)

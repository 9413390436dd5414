"""Form fields that several flows share, and the way between what a form shows and what is stored."""

from collections.abc import Iterable, Mapping
from typing import Any, override

from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    UnitOfElectricCurrent,
    UnitOfPower,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.util.unit_conversion import PowerConverter
import probatio

from ..const import (
    CONF_GENERATION,
    CONF_HARD_LIMIT,
    CONF_LIMIT_A,
    CONF_LIMIT_W,
    GENERATION_NO,
    GENERATION_UNKNOWN,
    GENERATION_YES,
)
from ..energy_management.model import Site
from ..site.controls import ConnectorControls
from ..site.texts import async_text
from .validation import limit_error, power_limit_error

SECTION_PHASE_LIMITS = "phase_limits"
CONF_PHASE_LIMITS_A = ("limit_l1_a", "limit_l2_a", "limit_l3_a")

NOMINAL_VOLTAGE_V = Site(circuits=()).voltage_v
DEFAULT_PRIORITY = ConnectorControls().priority


def name_error(name: str, others: Iterable[str]) -> str | None:
    """Return what is wrong with a name that has to differ from the others, capitals apart."""
    if not name:
        return "name_missing"
    if name.casefold() in {other.casefold() for other in others}:
        return "name_in_use"
    return None


class _BoundedNumber(NumberSelector):
    """A number that is refused with an error of ours.

    Home Assistant's own text is English only. What a field of a form raises is sent to the browser as the error of that
    field, and there its text is looked up as that of any error of the flow.
    """

    def __init__(self, config: NumberSelectorConfig, error: str) -> None:
        """Initialize with the key of the error's text."""
        super().__init__(config)
        self._error = error

    @override
    def __call__(self, data: Any) -> float:
        """Return the number. Raises Invalid."""
        try:
            return super().__call__(data)
        except probatio.Invalid as err:
            raise probatio.Invalid(self._error) from err


def number(
    unit: str | None = None,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    error: str | None = None,
) -> NumberSelector:
    """Return a box for a number that may have decimals.

    Outside of the bounds it is refused with an error of the flow, named by its key. In a section Home Assistant names
    what it refuses by its path only: no error and no bounds there, the flow checks them instead.
    """
    config = NumberSelectorConfig(mode=NumberSelectorMode.BOX, step="any")
    if unit is not None:
        config["unit_of_measurement"] = unit
    if minimum is not None:
        config["min"] = minimum
    if maximum is not None:
        config["max"] = maximum
    return NumberSelector(config) if error is None else _BoundedNumber(config, error)


def whole_number(minimum: int, maximum: int, error: str) -> probatio.All[Any]:
    """Return a box for a whole number; `error` is the key of the flow's error for one out of bounds."""
    return probatio.All(
        _BoundedNumber(
            NumberSelectorConfig(
                min=minimum, max=maximum, step=1, mode=NumberSelectorMode.BOX
            ),
            error,
        ),
        probatio.Coerce(int),
    )


def priority_slider() -> probatio.All[Any]:
    """Return a slider for a priority."""
    return probatio.All(
        NumberSelector(
            NumberSelectorConfig(min=1, max=10, step=1, mode=NumberSelectorMode.SLIDER)
        ),
        probatio.Coerce(int),
    )


def port_number() -> probatio.All[Any]:
    """Return a box for a TCP port."""
    return whole_number(1, 65535, "port_out_of_range")


def modbus_unit() -> probatio.All[Any]:
    """Return a box for a Modbus unit id."""
    return whole_number(0, 255, "unit_id_out_of_range")


def amperes(
    minimum: float | None = None,
    maximum: float | None = None,
    error: str | None = None,
) -> NumberSelector:
    """Return a box for a current."""
    unit = UnitOfElectricCurrent.AMPERE
    return number(unit, minimum=minimum, maximum=maximum, error=error)


def watts(minimum: float | None = None, maximum: float | None = None) -> NumberSelector:
    """Return a box for a power."""
    return number(UnitOfPower.WATT, minimum=minimum, maximum=maximum)


def seconds(minimum: float, maximum: float, error: str | None = None) -> NumberSelector:
    """Return a box for a duration."""
    return number(UnitOfTime.SECONDS, minimum=minimum, maximum=maximum, error=error)


def choice(translation_key: str, options: Iterable[str]) -> SelectSelector:
    """Return a drop-down list of translated options."""
    return SelectSelector(
        SelectSelectorConfig(
            options=[str(option) for option in options],
            translation_key=translation_key,
            mode=SelectSelectorMode.DROPDOWN,
        )
    )


def named_choice(
    names: Mapping[str, str],
    *,
    custom_value: bool = False,
    translation_key: str | None = None,
) -> SelectSelector:
    """Return a drop-down list of things that have a name of their own, save those that are translated."""
    config = SelectSelectorConfig(
        options=[
            SelectOptionDict(value=value, label=label) for value, label in names.items()
        ],
        custom_value=custom_value,
        mode=SelectSelectorMode.DROPDOWN,
    )
    if translation_key is not None:
        config["translation_key"] = translation_key
    return SelectSelector(config)


def unbounded(selector: Any) -> Any:
    """Return a field of a section that takes any number; the flow asks out_of_range instead.

    In a section Home Assistant names what it refuses by its path only.
    """
    if not isinstance(selector, NumberSelector):
        return selector
    config = selector.config.copy()
    config.pop("min", None)
    config.pop("max", None)
    return NumberSelector(config)


# Placeholders of a form whose numbers are all possible.
NOT_OUT_OF_RANGE = {"field": "", "lowest": "", "highest": ""}


def out_of_range(
    hass: HomeAssistant,
    step: tuple[str, str],
    sections: Mapping[str, Mapping[str, Any]],
    user_input: Mapping[str, Mapping[str, Any]],
) -> tuple[str, dict[str, str]] | None:
    """Return the section of the first number that is too small or too large, and what to say about it.

    `step` is where the texts of the form are: their category, and the path below it.
    """
    category, path = step
    for name, fields in sections.items():
        for key, selector in fields.items():
            value = user_input[name].get(key)
            if value is None or not isinstance(selector, NumberSelector):
                continue
            low, high = selector.config["min"], selector.config["max"]
            if low <= value <= high:
                continue
            unit = selector.config.get("unit_of_measurement", "")
            field = async_text(hass, category, f"{path}.sections.{name}.data.{key}")
            return name, {
                "field": field,
                "lowest": f"{low:g}",
                "highest": f"{high:.0f} {unit}".rstrip(),
            }
    return None


def with_errors_open(
    schema: probatio.Schema, errors: Mapping[str, str]
) -> probatio.Schema:
    """Return a form whose sections are open where something is wrong: nobody looks for it behind a fold."""
    return probatio.Schema(
        {
            key: section(value.schema, {"collapsed": False})
            if isinstance(value, section) and key in errors
            else value
            for key, value in schema.schema.items()
        }
    )


def circuit_choice(names: Mapping[str, str]) -> SelectSelector:
    """Return a drop-down list of circuits; the grid connection is called so in the reader's language."""
    return named_choice(names, translation_key="circuit")


def limit_fields(*, required: bool) -> dict[probatio.Marker, Any]:
    """Return the fields of a circuit's limits."""
    marker = probatio.Required if required else probatio.Optional
    return {
        marker(CONF_LIMIT_A): amperes(),
        probatio.Optional(CONF_LIMIT_W): watts(),
        probatio.Required(SECTION_PHASE_LIMITS): section(
            probatio.Schema(
                {probatio.Optional(key): amperes() for key in CONF_PHASE_LIMITS_A}
            ),
            {"collapsed": True},
        ),
    }


# What is asked of a circuit beside its limits, with what holds where nobody said anything.
NATURE_DEFAULTS = {CONF_HARD_LIMIT: False, CONF_GENERATION: GENERATION_UNKNOWN}


def nature_fields() -> dict[probatio.Marker, Any]:
    """Return the fields of what a circuit is like beside its limits."""
    fields = {
        CONF_HARD_LIMIT: BooleanSelector(),
        CONF_GENERATION: choice(
            CONF_GENERATION, (GENERATION_UNKNOWN, GENERATION_NO, GENERATION_YES)
        ),
    }
    return {
        probatio.Required(key, default=NATURE_DEFAULTS[key]): selector
        for key, selector in fields.items()
    }


def nature_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return those fields of what was entered, or of what is stored."""
    return {key: data.get(key, default) for key, default in NATURE_DEFAULTS.items()}


def take_limits(
    user_input: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the limits to store (a list of three in A or None, W or None), and the errors by field."""
    errors: dict[str, str] = {}
    common_a: float | None = user_input.get(CONF_LIMIT_A)
    differing_a: Mapping[str, float] = user_input[SECTION_PHASE_LIMITS]
    limits_a = [differing_a.get(key, common_a) for key in CONF_PHASE_LIMITS_A]
    if common_a is not None and (error := limit_error(common_a)):
        errors[CONF_LIMIT_A] = error
    for value in differing_a.values():
        if error := limit_error(value):
            errors[SECTION_PHASE_LIMITS] = error
    if None in limits_a and any(value is not None for value in limits_a):
        errors[SECTION_PHASE_LIMITS] = "phase_limit_missing"
    limit_w: float | None = user_input.get(CONF_LIMIT_W)
    if limit_w is not None and (error := power_limit_error(limit_w, NOMINAL_VOLTAGE_V)):
        errors[CONF_LIMIT_W] = error
    return {
        CONF_LIMIT_A: None if None in limits_a else limits_a,
        CONF_LIMIT_W: limit_w,
    }, errors


def show_limits(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored limits as the form shows them."""
    shown: dict[str, Any] = {SECTION_PHASE_LIMITS: {}}
    if (limits_a := data.get(CONF_LIMIT_A)) is not None:
        shown[CONF_LIMIT_A] = max(limits_a)
        if len(set(limits_a)) > 1:
            shown[SECTION_PHASE_LIMITS] = dict(
                zip(CONF_PHASE_LIMITS_A, limits_a, strict=True)
            )
    if (limit_w := data.get(CONF_LIMIT_W)) is not None:
        shown[CONF_LIMIT_W] = limit_w
    return shown


def has_power_unit(hass: HomeAssistant, entity_id: str) -> bool:
    """Return whether an entity is a power; one that has no state now may be."""
    state = hass.states.get(entity_id)
    return state is None or (
        state.attributes.get(ATTR_UNIT_OF_MEASUREMENT) in PowerConverter.VALID_UNITS
    )

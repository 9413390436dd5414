"""Texts in the language of Home Assistant, for what the frontend cannot translate by itself."""

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import LOCALE_EN, async_get_cached_translations

from ..const import DOMAIN, ROOT_CIRCUIT
from ..energy_management.decision import Limit


@callback
def async_text(hass: HomeAssistant, category: str, path: str) -> str:
    """Return a text of `translations`, which Home Assistant loads when it sets the integration up.

    The language is that of the system: neither a state nor the placeholder of a form knows who will read it. Just after
    it was changed its texts are not loaded yet; the English ones are.
    """
    key = f"component.{DOMAIN}.{category}.{path}"
    for language in (hass.config.language, LOCALE_EN):
        texts = async_get_cached_translations(hass, language, category, DOMAIN)
        if text := texts.get(key):
            return text
    return path


@callback
def async_number(hass: HomeAssistant, number: str) -> str:
    """Return a number that was written with a decimal point as the language of Home Assistant writes it."""
    mark = async_text(hass, "selector", "number_format.options.decimal_mark")
    return number.replace(".", mark)


@callback
def async_grid_connection(hass: HomeAssistant) -> str:
    """Return what the root of every site's circuits is called."""
    return async_text(hass, "selector", f"circuit.options.{ROOT_CIRCUIT}")


@callback
def async_model(hass: HomeAssistant, kind: str) -> str:
    """Return what a device is that stands for no apparatus: a site, a circuit, a user, a user group."""
    return async_text(hass, "selector", f"device_model.options.{kind}")


def verbatim(text: str) -> str:
    """Return what a stranger said of itself so that it is shown as it is: no links, no markup."""
    return f"`{text.replace('`', "'")}`"


def phase_text(phase: str) -> str:
    """Return a phase, or of an imbalance the pair ("L1 over L3"), as it reads in any language."""
    return phase.replace(" over ", " > ")


@callback
def async_limit_text(hass: HomeAssistant, limit: Limit) -> str:
    """Return in one line what limits a connector, where, and for how long: "Waiting for PV surplus (40 s)"."""
    text = async_text(hass, "entity", f"sensor.limited_by.state.{limit.kind}")
    phase = limit.phase and phase_text(limit.phase)
    if place := ", ".join(filter(None, (limit.circuit, limit.group, phase))):
        text = f"{text}: {place}"
    return text if limit.remaining_s is None else f"{text} ({limit.remaining_s:.0f} s)"

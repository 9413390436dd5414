"""Texts and numbers in the language of Home Assistant."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_load_integrations
import pytest

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.energy_management.decision import Limit, LimitKind
from custom_components.reev_ems.flows.meter_texts import MeterTexts
from custom_components.reev_ems.texts import async_limit_text, async_number

pytestmark = pytest.mark.usefixtures("enable_custom_integrations")

LIMIT = Limit(kind=LimitKind.CIRCUIT_PHASE, circuit="Garage", phase="L3")


async def test_texts_of_a_language_that_was_just_chosen(hass: HomeAssistant) -> None:
    """Until they are loaded the English ones do, and never a key."""
    await async_load_integrations(hass, {DOMAIN})
    assert async_limit_text(hass, LIMIT) == "Current limit: Garage, L3"
    hass.config.language = "de"
    assert async_limit_text(hass, LIMIT) == "Current limit: Garage, L3"
    await async_load_integrations(hass, {DOMAIN})
    assert async_limit_text(hass, LIMIT) == "Stromgrenze: Garage, L3"


async def test_numbers(hass: HomeAssistant) -> None:
    """With the decimal mark of the language; what is unknown is a dash."""
    for language, amperes, watts in (
        ("en", "16.5 A", "1234 W"),
        ("de", "16,5 A", "1234 W"),
    ):
        hass.config.language = language
        await async_load_integrations(hass, {DOMAIN})
        assert async_number(hass, "16.5") == amperes.removesuffix(" A")
        texts = await MeterTexts.async_load(hass)
        assert texts.measured(16.46, "A") == amperes
        assert texts.measured(1234.4, "W") == watts
        assert texts.measured(None, "A") == "–"

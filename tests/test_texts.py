"""Texts and numbers in the language of Home Assistant."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_load_integrations
import pytest

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.energy_management.decision import Limit, LimitKind
from custom_components.reev_ems.flows.meter_texts import MeterTexts
from custom_components.reev_ems.site.texts import (
    async_limit_text,
    async_number,
    phase_text,
)

pytestmark = pytest.mark.usefixtures("enable_custom_integrations")

LIMIT = Limit(kind=LimitKind.CIRCUIT_PHASE, circuit="Garage", phase="L3")


async def test_texts_of_a_language_that_was_just_chosen(hass: HomeAssistant) -> None:
    """Until they are loaded the English ones do, and never a key."""
    await async_load_integrations(hass, {DOMAIN})
    assert async_limit_text(hass, LIMIT) == "Current limit: Garage, L3"
    # The tests share what is loaded, and no other one speaks Frisian.
    hass.config.language = "fy"
    assert async_limit_text(hass, LIMIT) == "Current limit: Garage, L3"
    hass.config.language = "de"
    await async_load_integrations(hass, {DOMAIN})
    assert async_limit_text(hass, LIMIT) == "Stromgrenze: Garage, L3"


async def test_pairs_of_phases(hass: HomeAssistant) -> None:
    """The two phases of an imbalance read alike in every language."""
    hass.config.language = "de"
    await async_load_integrations(hass, {DOMAIN})
    limit = Limit(kind=LimitKind.IMBALANCE, phase="L1 over L3")
    assert async_limit_text(hass, limit) == "Schieflast: L1 > L3"
    assert phase_text("L2") == "L2"


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

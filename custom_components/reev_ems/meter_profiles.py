"""The meter profiles that this Home Assistant knows: built in, and of its configuration directory."""

from collections.abc import Mapping
from pathlib import Path

from homeassistant.core import HomeAssistant

from .const import DOMAIN
from .meters import MeterProfile, load_profiles


async def async_load_meter_profiles(hass: HomeAssistant) -> Mapping[str, MeterProfile]:
    """Return all meter profiles by their id."""
    folder = Path(hass.config.path(DOMAIN, "meters"))
    loaded = await hass.async_add_executor_job(load_profiles, folder)
    return loaded.profiles

"""Actions that come while a site is being reloaded: they wait for it."""

import asyncio
from contextlib import suppress

from homeassistant.core import HomeAssistant
from homeassistant.helpers.service import async_get_config_entry

from ..const import DOMAIN
from ..coordinator import ReevConfigEntry

# Hundreds of charge points take up to a quarter of a minute; automations wait for their actions.
RELOAD_WAIT_S = 30


async def async_loaded_entry(
    hass: HomeAssistant, entry_id: str | None
) -> ReevConfigEntry:
    """Return a site (None: the only one) once it is loaded; whoever saves a setting causes a reload.

    Raises ServiceValidationError if there is no such site, or if it is not loaded in the end.
    """
    for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False):
        if entry_id in {None, entry.entry_id}:
            with suppress(TimeoutError):
                async with asyncio.timeout(RELOAD_WAIT_S), entry.setup_lock:
                    pass
    found: ReevConfigEntry = async_get_config_entry(hass, DOMAIN, entry_id)
    return found

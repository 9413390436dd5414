"""Actions that come while a site is being reloaded: they wait for it."""

import asyncio
from collections.abc import Collection
from contextlib import suppress

from homeassistant.core import HomeAssistant
from homeassistant.helpers.service import async_get_config_entry

from ..const import DOMAIN
from ..coordinator import ReevConfigEntry

# Hundreds of charge points take up to a quarter of a minute; automations wait for their actions.
RELOAD_WAIT_S = 30


async def async_wait_for_reload(
    hass: HomeAssistant, entry_ids: Collection[str] | None
) -> None:
    """Wait until sites (None: all) are not being loaded any more, or for as long as an action waits."""
    for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False):
        if entry_ids is None or entry.entry_id in entry_ids:
            with suppress(TimeoutError):
                async with asyncio.timeout(RELOAD_WAIT_S), entry.setup_lock:
                    pass


async def async_loaded_entry(
    hass: HomeAssistant, entry_id: str | None
) -> ReevConfigEntry:
    """Return a site (None: the only one) once it is loaded; whoever saves a setting causes a reload.

    Raises ServiceValidationError if there is no such site, or if it is not loaded in the end.
    """
    await async_wait_for_reload(hass, None if entry_id is None else {entry_id})
    found: ReevConfigEntry = async_get_config_entry(hass, DOMAIN, entry_id)
    return found

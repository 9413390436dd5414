"""What people set at a site by entities, kept in Home Assistant's storage."""

from dataclasses import asdict

from homeassistant.core import HomeAssistant

from ..const import DOMAIN
from ..readings.line_phases import async_forget_line_phases
from .build import Controls
from .storage import KnownStore

STORAGE_VERSION = 1


def controls_store(hass: HomeAssistant, entry_id: str) -> KnownStore:
    """Return the storage of a site's controls."""
    return KnownStore(hass, STORAGE_VERSION, f"{DOMAIN}.{entry_id}")


async def async_stored_controls(hass: HomeAssistant, entry_id: str) -> Controls:
    """Return the controls of a site as they were stored; those of a new one are the defaults."""
    stored = await controls_store(hass, entry_id).async_load()
    return Controls.from_json(stored) if isinstance(stored, dict) else Controls()


async def async_store_controls(
    hass: HomeAssistant, entry_id: str, controls: Controls
) -> None:
    """Store the controls of a site that does not run."""
    await controls_store(hass, entry_id).async_save(asdict(controls))


async def async_remove_stored(hass: HomeAssistant, entry_id: str) -> None:
    """Forget the controls of a site that was removed."""
    async_forget_line_phases(hass, entry_id)
    await controls_store(hass, entry_id).async_remove()

"""What a backup of Home Assistant needs: the file of the session records stands still while it is copied."""

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .charge_points.listener import DATA
from .const import DOMAIN


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Write everything into the main file of the records; what comes meanwhile goes into the log beside it."""
    try:
        await hass.data[DATA].sessions.hold_checkpoints()
    except OSError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="records_not_ready_for_backup",
            translation_placeholders={"detail": str(err)},
        ) from err


async def async_post_backup(hass: HomeAssistant) -> None:
    """Let the main file change again."""
    try:
        await hass.data[DATA].sessions.release_checkpoints()
    except OSError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="records_not_ready_for_backup",
            translation_placeholders={"detail": str(err)},
        ) from err

"""Home Assistant's side of the session records: where they are, and what a person has to know of them."""

from functools import partial
from pathlib import Path

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN
from ..sessions import Condition, SessionLog

SESSIONS_FILE = "reev_ems_sessions.db"

RECORDS_DAMAGED = "records_damaged"
RECORDS_NOT_WRITTEN = "records_not_written"


@callback
def async_session_log(hass: HomeAssistant) -> SessionLog:
    """Return the session records of all sites; `open` opens their file."""
    log = SessionLog(Path(hass.config.path(SESSIONS_FILE)))
    log.on_change(partial(_async_show, hass))
    return log


@callback
def _async_show(hass: HomeAssistant, condition: Condition) -> None:
    """Show what is the matter with the records now."""
    if condition.trouble is None:
        ir.async_delete_issue(hass, DOMAIN, RECORDS_NOT_WRITTEN)
    else:
        ir.async_create_issue(
            hass,
            DOMAIN,
            RECORDS_NOT_WRITTEN,
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=RECORDS_NOT_WRITTEN,
            translation_placeholders={"detail": condition.trouble},
        )
    if condition.set_aside is not None:
        # Until a person has read it, also after a restart.
        ir.async_create_issue(
            hass,
            DOMAIN,
            f"{RECORDS_DAMAGED}_{condition.set_aside.name}",
            is_fixable=True,
            is_persistent=True,
            severity=ir.IssueSeverity.ERROR,
            translation_key=RECORDS_DAMAGED,
            translation_placeholders={"file": condition.set_aside.name},
        )

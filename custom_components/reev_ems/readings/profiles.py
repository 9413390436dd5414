"""The meter profiles that this Home Assistant knows: built in, and of its configuration directory."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN
from ..flows.meter_texts import MeterTexts
from ..meters import MeterProfile, ProfileError, load_profiles

ISSUE_FILE_REFUSED = "meter_file_refused"


async def async_load_meter_profiles(hass: HomeAssistant) -> Mapping[str, MeterProfile]:
    """Return all meter profiles by their id; of a file that is refused a repair issue tells why."""
    folder = Path(hass.config.path(DOMAIN, "meters"))
    loaded = await hass.async_add_executor_job(load_profiles, folder)
    # Nobody waits for texts of errors that are not there.
    texts = await MeterTexts.async_load(hass) if loaded.errors else MeterTexts({})
    _async_update_issues(hass, folder, loaded.errors, texts)
    return loaded.profiles


@callback
def _async_update_issues(
    hass: HomeAssistant,
    folder: Path,
    errors: Iterable[ProfileError],
    texts: MeterTexts,
) -> None:
    """Show an issue for each refused file, and for no other."""
    refused = {f"{ISSUE_FILE_REFUSED}_{error.file}": error for error in errors}
    for domain, issue_id in list(ir.async_get(hass).issues):
        if (
            domain == DOMAIN
            and issue_id.startswith(f"{ISSUE_FILE_REFUSED}_")
            and issue_id not in refused
        ):
            ir.async_delete_issue(hass, DOMAIN, issue_id)
    for issue_id, error in refused.items():
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=ISSUE_FILE_REFUSED,
            translation_placeholders={
                "file": error.file,
                "folder": str(folder),
                "line": "–" if error.line is None else str(error.line),
                "reason": texts.flaw(error.invalid) if error.invalid else error.reason,
            },
        )

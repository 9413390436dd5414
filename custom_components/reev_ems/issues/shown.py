"""Repair issues: what a person has to know of and can do something about, shown while it lasts."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
import time

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..coordinator import ReevConfigEntry, ReevCoordinator
from ..energy_management.decision import Issue
from .found import (
    Found,
    circuit_findings,
    findings,
    line_phase_findings,
    rating_findings,
)
from .patience import Patience

# The site's port for charge points belongs to another program.
PORT_IN_USE = "ocpp_port_in_use"

# Wiring is learnt in minutes, and looking through hundreds of connectors takes as long as a decision about them.
MANY_CONNECTORS = 50
LINE_PHASES_INTERVAL_S = 10.0


@dataclass(slots=True)
class _Shown:
    """What is shown of a config entry now, so that a turn without news costs nothing."""

    keys: dict[str, str]
    """Translation keys by issue."""
    patience: Patience
    line_phases: dict[str, Found] = field(default_factory=dict)
    looked_s: float = float("-inf")
    """When the wiring was looked at, on the clock of the decisions."""


_SHOWN: HassKey[dict[str, _Shown]] = HassKey(f"{DOMAIN}_issues")


@callback
def async_follow_issues(coordinator: ReevCoordinator) -> None:
    """Show from now on what is the matter at a site, as of each turn of its control loop."""

    @callback
    def turn() -> None:
        """Look at the newest decision. An outdated entry is reloaded, and its issues stay until then."""
        if coordinator.last_update_success and not coordinator.outdated:
            async_update_issues(coordinator, coordinator.data.decision.issues)

    coordinator.config_entry.async_on_unload(coordinator.async_add_listener(turn))


@callback
def async_update_issues(coordinator: ReevCoordinator, issues: Iterable[Issue]) -> None:
    """Show what is the matter at a site now, and nothing else; called at every turn of the control loop."""
    hass, entry = coordinator.hass, coordinator.config_entry
    all_shown = hass.data.setdefault(_SHOWN, {})
    if entry.entry_id not in all_shown:
        all_shown[entry.entry_id] = _Shown(
            _stored(hass, entry.entry_id), Patience(_now_s(coordinator))
        )
        entry.async_on_unload(partial(_async_on_unload, hass, entry))
    shown = all_shown[entry.entry_id]
    found = dict(findings(coordinator, issues))
    if (data := coordinator.data) is not None:
        now_s = data.decision.at_s
        if (
            len(data.site.connectors) <= MANY_CONNECTORS
            or now_s - shown.looked_s >= LINE_PHASES_INTERVAL_S
        ):
            shown.looked_s = now_s
            shown.line_phases = dict(line_phase_findings(coordinator))
        found |= shown.line_phases
        found |= dict(rating_findings(coordinator))
        found |= dict(circuit_findings(coordinator))
    keys = {issue_id: finding.key for issue_id, finding in found.items()}
    settled = shown.patience.settled(keys, shown.keys, _now_s(coordinator))
    for issue_id in shown.keys.keys() - settled:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
    for issue_id in settled & found.keys():
        finding = found[issue_id]
        # The numbers in a text are those of its beginning: the list of issues is no display.
        if shown.keys.get(issue_id) != finding.key:
            ir.async_create_issue(
                hass,
                DOMAIN,
                issue_id,
                data=_data(entry, finding),
                is_fixable=finding.subentry_id is not None,
                severity=finding.severity,
                translation_key=finding.key,
                translation_placeholders=dict(finding.placeholders),
            )
    shown.keys = {
        issue_id: keys.get(issue_id, shown.keys.get(issue_id, ""))
        for issue_id in settled
    }


def _now_s(coordinator: ReevCoordinator) -> float:
    """Return the time of the newest decision."""
    data = coordinator.data
    return time.monotonic() if data is None else data.decision.at_s


@callback
def async_remove_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Remove what is shown of a config entry that is no more."""
    for issue_id in _stored(hass, entry_id):
        ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def async_tell_port_in_use(
    hass: HomeAssistant, entry: ReevConfigEntry, port: int
) -> None:
    """Show that a site cannot run: its charge points find nobody."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{entry.entry_id}_{PORT_IN_USE}",
        is_fixable=False,
        severity=ir.IssueSeverity.ERROR,
        translation_key=PORT_IN_USE,
        translation_placeholders={"site": entry.title, "port": str(port)},
    )


@callback
def async_port_is_free(hass: HomeAssistant, entry: ReevConfigEntry) -> None:
    """Show that no more."""
    ir.async_delete_issue(hass, DOMAIN, f"{entry.entry_id}_{PORT_IN_USE}")


@callback
def _async_on_unload(hass: HomeAssistant, entry: ReevConfigEntry) -> None:
    """Forget what is shown; a reload keeps the issues, and with them that a person chose to ignore one."""
    hass.data[_SHOWN].pop(entry.entry_id)
    if entry.disabled_by:
        async_remove_issues(hass, entry.entry_id)


def _stored(hass: HomeAssistant, entry_id: str) -> dict[str, str]:
    """Return the config entry's issues in the registry, with their translation keys.

    One that was only carried over a restart has no key yet and is created anew.
    """
    return {
        issue_id: issue.translation_key or ""
        for (domain, issue_id), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN and issue_id.startswith(f"{entry_id}_")
    }


def _data(
    entry: ReevConfigEntry, finding: Found
) -> dict[str, str | int | float | None] | None:
    """Return what the dialog that fixes the finding has to know."""
    if (subentry_id := finding.subentry_id) is None:
        return None
    return {
        "entry_id": entry.entry_id,
        "subentry_id": subentry_id,
        "subentry_type": entry.subentries[subentry_id].subentry_type,
        **finding.remedy,
    }

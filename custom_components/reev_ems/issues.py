"""Repair issues: what the energy management finds and a person has to know of, shown while it lasts."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .energy_management.decision import Issue, IssueKind
from .names import connector_names

if TYPE_CHECKING:
    # The coordinator imports this module.
    from .coordinator import ReevConfigEntry, ReevCoordinator

# The findings shown now, per config entry, so that a turn of the loop without news costs nothing.
_SHOWN: HassKey[dict[str, frozenset[str]]] = HassKey(f"{DOMAIN}_issues")

# An error: somebody gets less than he should, or a limit is broken. A warning: it works, and could work better.
_SEVERITIES = {
    IssueKind.METER_SILENT: ir.IssueSeverity.ERROR,
    IssueKind.BASE_LOAD_OVER_LIMIT: ir.IssueSeverity.ERROR,
    IssueKind.FLOORS_OVER_LIMIT: ir.IssueSeverity.ERROR,
    IssueKind.DISOBEDIENT: ir.IssueSeverity.ERROR,
    IssueKind.IMBALANCE_RESIDUAL: ir.IssueSeverity.WARNING,
    IssueKind.NO_AUTONOMOUS_FALLBACK: ir.IssueSeverity.WARNING,
}


@callback
def async_update_issues(coordinator: ReevCoordinator, issues: Iterable[Issue]) -> None:
    """Show exactly these findings of a site; called at every turn of the control loop."""
    hass, entry = coordinator.hass, coordinator.config_entry
    found = {_issue_id(entry.entry_id, issue): issue for issue in issues}
    all_shown = hass.data.setdefault(_SHOWN, {})
    if entry.entry_id not in all_shown:
        all_shown[entry.entry_id] = _stored_issue_ids(hass, entry.entry_id)
        entry.async_on_unload(partial(_async_on_unload, hass, entry))
    shown = all_shown[entry.entry_id]
    if shown == found.keys():
        return
    all_shown[entry.entry_id] = frozenset(found)
    for issue_id in shown - found.keys():
        ir.async_delete_issue(hass, DOMAIN, issue_id)
    for issue_id in found.keys() - shown:
        issue = found[issue_id]
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=_SEVERITIES[issue.kind],
            translation_key=issue.kind,
            translation_placeholders=_placeholders(coordinator, issue),
        )


@callback
def async_remove_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Remove what is shown of a config entry that is no more."""
    for issue_id in _stored_issue_ids(hass, entry_id):
        ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def _async_on_unload(hass: HomeAssistant, entry: ReevConfigEntry) -> None:
    """Forget what is shown; a reload keeps the issues, and with them that a person chose to ignore one."""
    hass.data[_SHOWN].pop(entry.entry_id)
    if entry.disabled_by:
        async_remove_issues(hass, entry.entry_id)


def _stored_issue_ids(hass: HomeAssistant, entry_id: str) -> frozenset[str]:
    """Return the ids of a config entry's issues in the registry."""
    return frozenset(
        issue_id
        for domain, issue_id in ir.async_get(hass).issues
        if domain == DOMAIN and issue_id.startswith(f"{entry_id}_")
    )


def _issue_id(entry_id: str, issue: Issue) -> str:
    """Return an id that is the same as long as the finding is: without the measured value."""
    subject = issue.connector or issue.circuit or ""
    return "_".join((entry_id, issue.kind, subject, issue.phase or "")).strip("_")


def _placeholders(coordinator: ReevCoordinator, issue: Issue) -> dict[str, str]:
    """Return what the texts of an issue may contain, in people's words."""
    entry = coordinator.config_entry
    names = connector_names(entry)
    return {
        "site": entry.title,
        "circuit": coordinator.circuit_names.get(issue.circuit or "", entry.title),
        "phase": issue.phase or "L1–L3",
        "connector": names.get(issue.connector or "", ""),
        "value": "?" if issue.value is None else f"{issue.value:.1f}",
    }

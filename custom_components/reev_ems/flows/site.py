"""What the flows have to know of a site: its circuits, and what it would be with a change."""

import asyncio
from collections.abc import Mapping
import errno
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigSubentry,
    ConfigSubentryDataWithId,
)
from homeassistant.core import HomeAssistant

from ..charge_points.listener import is_own_port
from ..const import CONF_PARENT, DOMAIN, ROOT_CIRCUIT, SUBENTRY_CIRCUIT
from ..energy_management.decision import IssueKind
from ..energy_management.model import Site
from ..energy_management.outlets import layout
from ..site.build import build_site
from ..site.controls import Controls
from ..site.texts import async_grid_connection, async_number

# Placeholders of a form that names no floor sum.
NO_FLOOR_PROBLEM = {"over_circuit": "", "over_phase": "", "over_value": ""}

# The subentry id that a subentry has in a draft while it is being added.
NEW_SUBENTRY = "new"


def circuit_names(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str, str]:
    """Return the name of every circuit."""
    return {ROOT_CIRCUIT: async_grid_connection(hass)} | {
        subentry.subentry_id: subentry.title
        for subentry in entry.get_subentries_of_type(SUBENTRY_CIRCUIT)
    }


def names_of(
    entry: ConfigEntry[Any], subentry_type: str, *, without: str | None = None
) -> dict[str, str]:
    """Return the names of all subentries of a type but one."""
    return {
        subentry.subentry_id: subentry.title
        for subentry in entry.get_subentries_of_type(subentry_type)
        if subentry.subentry_id != without
    }


def circuit_parents(entry: ConfigEntry[Any]) -> dict[str, str | None]:
    """Return the tree of circuits as child to parent."""
    return {ROOT_CIRCUIT: None} | {
        subentry.subentry_id: subentry.data[CONF_PARENT]
        for subentry in entry.get_subentries_of_type(SUBENTRY_CIRCUIT)
    }


def existing_circuit(entry: ConfigEntry[Any], circuit_id: str) -> str:
    """Return a circuit, or the grid connection in place of one that was removed."""
    return circuit_id if circuit_id in circuit_parents(entry) else ROOT_CIRCUIT


def draft_subentry(
    subentry_type: str,
    data: Mapping[str, Any],
    *,
    title: str = "",
    subentry_id: str = NEW_SUBENTRY,
) -> ConfigSubentry:
    """Return a subentry that is not saved yet."""
    return ConfigSubentry(
        data=MappingProxyType(dict(data)),
        subentry_id=subentry_id,
        subentry_type=subentry_type,
        title=title,
        unique_id=None,
    )


def draft_site(
    entry: ConfigEntry[Any],
    *,
    data: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    subentry: ConfigSubentry | None = None,
) -> Site:
    """Return the site as it would be with other data, other options or one subentry added or changed."""
    subentries = dict(entry.subentries)
    if subentry is not None:
        subentries[subentry.subentry_id] = subentry
    return build_site(
        ConfigEntry(
            data={**entry.data, **(data or {})},
            discovery_keys=MappingProxyType({}),
            domain=DOMAIN,
            minor_version=entry.minor_version,
            options={**entry.options, **(options or {})},
            source=SOURCE_USER,
            subentries_data=[
                ConfigSubentryDataWithId(
                    data=item.data,
                    subentry_id=item.subentry_id,
                    subentry_type=item.subentry_type,
                    title=item.title,
                    unique_id=item.unique_id,
                )
                for item in subentries.values()
            ],
            title=entry.title,
            unique_id=None,
            version=entry.version,
        ),
        Controls(),
    )


def floor_problem(
    hass: HomeAssistant, before: Site, after: Site, names: Mapping[str, str]
) -> dict[str, str] | None:
    """Return the placeholders that describe a floor sum above a limit, or None if a change may be saved (S9).

    What was over its limit before, and is not made worse, does not stand in the way: otherwise a site could be
    mended in one order only.
    """
    known = _floors_over_limits(before)
    for (circuit, phase), excess_a in _floors_over_limits(after).items():
        if excess_a > known.get((circuit, phase), 0.0):
            return {
                "over_circuit": names.get(circuit, circuit),
                "over_phase": phase or "L1 + L2 + L3",
                "over_value": f"{async_number(hass, f'{excess_a:.1f}')} A",
            }
    return None


def _floors_over_limits(site: Site) -> dict[tuple[str, str | None], float]:
    """Return by circuit and phase (None: power) how far the floors exceed the limit, in A."""
    try:
        issues = layout(site).issues
    except ValueError:
        # No tree: a file that was edited by hand, or restored in part. This does not hinder mending it, piece by piece.
        return {}
    return {
        (issue.circuit, issue.phase): issue.value
        for issue in issues
        if issue.kind is IssueKind.FLOORS_OVER_LIMIT
        and issue.circuit is not None
        and issue.value is not None
    }


async def async_port_error(hass: HomeAssistant, port: int) -> str | None:
    """Return the error key of a TCP port that the OCPP server could not listen on."""
    if is_own_port(hass, port):
        return None
    try:
        server = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, None, port
        )
    except OSError as err:
        return "port_not_allowed" if err.errno == errno.EACCES else "port_in_use"
    server.close()
    await server.wait_closed()
    return None

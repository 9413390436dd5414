"""What people call the things of a site."""

from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry

from ..const import (
    CONF_CHARGE_POINT_ID,
    CONF_CONNECTORS,
    CONF_NUMBER,
    SUBENTRY_CHARGE_POINT,
)
from .build import connector_id


def connector_name(subentry: ConfigSubentry, number: int) -> str:
    """Return a connector's name in a list of all connectors of the site.

    Nobody calls a wall box's only cable "connector 1".
    """
    if len(subentry.data[CONF_CONNECTORS]) == 1:
        return subentry.title
    return f"{subentry.title}, connector {number}"


def connector_names(entry: ConfigEntry[Any]) -> dict[str, str]:
    """Return the names of all connectors, by the ids of the energy management."""
    return {
        connector_id(
            subentry.data[CONF_CHARGE_POINT_ID], item[CONF_NUMBER]
        ): connector_name(subentry, item[CONF_NUMBER])
        for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT)
        for item in subentry.data[CONF_CONNECTORS]
    }

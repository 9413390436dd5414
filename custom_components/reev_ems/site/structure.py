"""What of a config entry can only be taken up by a reload."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry

from ..const import (
    CONF_CERTIFICATES,
    CONF_ENABLED,
    CONF_PRIORITY,
    SUBENTRY_CHARGE_POINT,
    SUBENTRY_USER,
    SUBENTRY_USER_GROUP,
)

# Numbers and switches move these, automations and charge points too; a reload would make every entity unavailable for
# a moment.
_MEMBER = frozenset({CONF_PRIORITY, CONF_ENABLED})
_LIVE = {
    SUBENTRY_CHARGE_POINT: frozenset({CONF_CERTIFICATES}),
    SUBENTRY_USER: _MEMBER,
    SUBENTRY_USER_GROUP: _MEMBER,
}


def structure_of(entry: ConfigEntry[Any]) -> dict[str, Any]:
    """Return all of a config entry but what may change while it runs."""
    return {
        "title": entry.title,
        "data": entry.data,
        "options": entry.options,
        "subentries": {
            key: (subentry.title, _lasting(subentry))
            for key, subentry in entry.subentries.items()
        },
    }


def _lasting(subentry: ConfigSubentry) -> Mapping[str, Any]:
    """Return what a subentry is made of, less what may change."""
    live = _LIVE.get(subentry.subentry_type, frozenset())
    return {key: value for key, value in subentry.data.items() if key not in live}

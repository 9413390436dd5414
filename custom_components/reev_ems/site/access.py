"""The person that asks: an administrator, a user of the site, or anybody else with a log-in."""

from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import Unauthorized

from ..const import CONF_PERSON, DEFAULT_ID_TAG, SUBENTRY_USER
from .people import People, tag_key

# Everybody may see this much of a tag: enough to tell two cards apart, too little to charge with.
_SHOWN_CHARACTERS = 2


async def async_is_administrator(hass: HomeAssistant, context: Context | None) -> bool:
    """Return whether an administrator asks, or an automation, which only they can write."""
    if context is None or context.user_id is None:
        return True
    user = await hass.auth.async_get_user(context.user_id)
    return user is not None and user.is_admin


async def async_demand_administrator(
    hass: HomeAssistant, context: Context | None
) -> None:
    """Raise Unauthorized for everybody else."""
    if not await async_is_administrator(hass, context):
        raise Unauthorized(context=context)


@callback
def own_user_id(
    hass: HomeAssistant, entry: ConfigEntry[Any], context: Context | None
) -> str | None:
    """Return the user of the site who asks, by the person that was set for him; None: nobody of them."""
    if context is None or context.user_id is None:
        return None
    for subentry in entry.get_subentries_of_type(SUBENTRY_USER):
        person = hass.states.get(subentry.data.get(CONF_PERSON) or "")
        if person and person.attributes.get("user_id") == context.user_id:
            return subentry.subentry_id
    return None


async def async_demand_own_tag(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    people: People,
    context: Context | None,
    id_tag: str,
) -> None:
    """Raise Unauthorized for who uses somebody else's tag; an administrator may use any."""
    if tag_key(id_tag) == tag_key(DEFAULT_ID_TAG):
        return
    if await async_is_administrator(hass, context):
        return
    owner = people.user_of(id_tag)
    if owner is None or owner.id != own_user_id(hass, entry, context):
        raise Unauthorized(context=context)


def masked(id_tag: str | None) -> str | None:
    """Return what everybody may see of an id tag: its end. With the whole of it anybody could charge."""
    if id_tag is None or tag_key(id_tag) == tag_key(DEFAULT_ID_TAG):
        return id_tag
    if len(id_tag) <= 2 * _SHOWN_CHARACTERS:
        return "…"
    return f"…{id_tag[-_SHOWN_CHARACTERS:]}"

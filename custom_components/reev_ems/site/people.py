"""The people that charge at a site: users, known by the tags that they present, and groups of users."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import (
    CONF_AUTHORIZATION,
    CONF_ENABLED,
    CONF_GROUP,
    CONF_ID_TAGS,
    CONF_LOCAL_LISTS,
    CONF_PRIORITY,
    DEFAULT_ID_TAG,
    DOMAIN,
    SUBENTRY_USER,
    SUBENTRY_USER_GROUP,
)
from ..ocpp_server import Authorization, AuthorizationStatus, User as RecordedUser

# Enough for a handful of cards held to a reader one after the other, to be given to users at the desk.
MAX_PRESENTED = 20


class Access(StrEnum):
    """The people that may charge."""

    ANYONE = "anyone"
    """All but users who are disabled."""
    KNOWN_USERS = "known_users"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of users."""

    id: str
    name: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person, or a car that says who it is."""

    id: str
    name: str
    priority: int
    enabled: bool
    group: Group | None = None

    @property
    def priorities(self) -> tuple[int, ...]:
        """Return the priorities that apply to a session beside the connector's."""
        if self.group is None:
            return (self.priority,)
        return self.priority, self.group.priority

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the ids of the groups whose limits apply."""
        return () if self.group is None else (self.group.id,)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """All users of a site."""

    by_tag: Mapping[str, User]
    """By `tag_key` of their id tags."""
    access: Access = Access.ANYONE
    listed: Mapping[str, bool] | None = None
    """Their id tags, and whether they may charge, to be kept in the charge points; None: those keep what they have."""

    def user_of(self, id_tag: str | None) -> User | None:
        """Return whose tag it is; None: no tag, or nobody's."""
        return None if id_tag is None else self.by_tag.get(tag_key(id_tag))

    def recorded_as(self, id_tag: str) -> RecordedUser | None:
        """Return whose tag it is, as the session records name him."""
        user = self.user_of(id_tag)
        return None if user is None else RecordedUser(id=user.id, name=user.name)

    def authorize(self, id_tag: str) -> Authorization:
        """Return the answer to an id tag; an empty one is that of a charge point that asks nobody for a tag."""
        user = self.user_of(id_tag)
        if user is not None and not user.enabled:
            status = AuthorizationStatus.BLOCKED
        elif (
            user is not None
            or self.access is Access.ANYONE
            or tag_key(id_tag) == tag_key(DEFAULT_ID_TAG)
        ):
            status = AuthorizationStatus.ACCEPTED
        else:
            status = AuthorizationStatus.INVALID
        return Authorization(status=status)

    def may_charge(self, id_tag: str | None) -> bool:
        """Return whether a session of this tag, or of an unknown one, may have current."""
        return self.authorize(id_tag or "").status is AuthorizationStatus.ACCEPTED


def tag_key(id_tag: str) -> str:
    """Return what is equal for tags that are the same: OCPP does not tell capitals from small letters."""
    return id_tag.strip().casefold()


def people_of(entry: ConfigEntry[Any]) -> People:
    """Return the users of a config entry; one whose group was removed is in none."""
    groups = {
        subentry.subentry_id: Group(
            id=subentry.subentry_id,
            name=subentry.title,
            priority=subentry.data[CONF_PRIORITY],
        )
        for subentry in entry.get_subentries_of_type(SUBENTRY_USER_GROUP)
    }
    by_tag: dict[str, User] = {}
    listed: dict[str, tuple[str, bool]] = {}
    for subentry in entry.get_subentries_of_type(SUBENTRY_USER):
        data = subentry.data
        user = User(
            id=subentry.subentry_id,
            name=subentry.title,
            priority=data[CONF_PRIORITY],
            enabled=data[CONF_ENABLED],
            group=groups.get(data[CONF_GROUP]),
        )
        by_tag |= {tag_key(id_tag): user for id_tag in data[CONF_ID_TAGS]}
        listed |= {
            tag_key(id_tag): (id_tag.strip(), user.enabled)
            for id_tag in data[CONF_ID_TAGS]
        }
    access = entry.options.get(CONF_AUTHORIZATION, Access.ANYONE)
    return People(
        by_tag=by_tag,
        access=Access(access),
        listed=dict(listed.values())
        if entry.options.get(CONF_LOCAL_LISTS, True)
        else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """An id tag that was presented at a charge point."""

    id_tag: str
    charge_point: str
    """The subentry."""
    at: datetime


# By config entry and tag, the newest last; outlives a reload, since each new user brings one about.
_PRESENTED: HassKey[dict[str, dict[str, Presented]]] = HassKey(f"{DOMAIN}_presented")


def authorizer(
    hass: HomeAssistant, people: People, entry_id: str, charge_point: str
) -> Callable[[str], Authorization]:
    """Return what answers a charge point, and remembers each tag: it need not be typed where a user is added."""

    def authorize(id_tag: str) -> Authorization:
        """Answer to a tag."""
        if id_tag:
            presented = Presented(
                id_tag=id_tag, charge_point=charge_point, at=dt_util.utcnow()
            )
            _note_presented(hass, entry_id, presented)
        return people.authorize(id_tag)

    return authorize


def _note_presented(hass: HomeAssistant, entry_id: str, presented: Presented) -> None:
    """Remember the newest tags."""
    tags = hass.data.setdefault(_PRESENTED, {}).setdefault(entry_id, {})
    key = tag_key(presented.id_tag)
    tags.pop(key, None)
    tags[key] = presented
    while len(tags) > MAX_PRESENTED:
        del tags[next(iter(tags))]


@callback
def async_presented(hass: HomeAssistant, entry_id: str) -> list[Presented]:
    """Return the tags that were presented since Home Assistant started, the newest first."""
    tags = hass.data.get(_PRESENTED, {}).get(entry_id, {})
    return list(reversed(tags.values()))


@callback
def async_forget_presented(hass: HomeAssistant, entry_id: str) -> None:
    """Forget the tags that were presented at a site that was removed."""
    hass.data.get(_PRESENTED, {}).pop(entry_id, None)

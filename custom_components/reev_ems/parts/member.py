"""The users of a site and their groups, each a device of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import override

from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo

from ..const import (
    CONF_ENABLED,
    CONF_PRIORITY,
    DOMAIN,
    SUBENTRY_USER,
    SUBENTRY_USER_GROUP,
)
from ..coordinator import ReevCoordinator
from ..site.texts import async_model
from .base import MANUFACTURER, SubentryPart, site_part

MEMBERS = (SUBENTRY_USER, SUBENTRY_USER_GROUP)


@dataclass(frozen=True, kw_only=True)
class MemberPart(SubentryPart):
    """A user, or a group of users."""

    @property
    def is_user(self) -> bool:
        """Return whether it is one user."""
        return self.subentry.subentry_type == SUBENTRY_USER

    @property
    def priority(self) -> int:
        """Return its priority, 1 to 10."""
        priority: int = self.subentry.data[CONF_PRIORITY]
        return priority

    @property
    def enabled(self) -> bool:
        """Return whether the user may charge."""
        enabled: bool = self.subentry.data[CONF_ENABLED]
        return enabled

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return its device."""
        return DeviceInfo(
            identifiers={(DOMAIN, self.key)},
            manufacturer=MANUFACTURER,
            model=async_model(self.coordinator.hass, self.subentry.subentry_type),
            name=self.subentry.title,
            entry_type=dr.DeviceEntryType.SERVICE,
            via_device_id=self.site_device_id,
        )


def member_parts(coordinator: ReevCoordinator) -> Iterator[MemberPart]:
    """Return the users and the groups of users."""
    root = site_part(coordinator).circuit
    for subentry_type in MEMBERS:
        for subentry in coordinator.subentries_of_type(subentry_type):
            yield MemberPart(
                coordinator=coordinator, circuit=root, subentry_id=subentry.subentry_id
            )

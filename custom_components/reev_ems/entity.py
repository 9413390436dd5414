"""The base entity, and the pace at which states are written.

The control loop turns every second. The recorder must not: a measured value is written at most every
MEASURED_VALUE_INTERVAL_S, those of hundreds of connectors less often; what changes by an event (a state, a permit, a
limit's reason) at once.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, override
from zlib import crc32

from homeassistant.core import callback
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import MEASURED_VALUE_INTERVAL_S
from .coordinator import ReevCoordinator
from .parts.base import SitePart

# Home Assistant takes 10,000 enabled entities of a config entry, and a charge point has 26 (without those for its
# configuration and diagnosis and without details: 13). With this bound there is room for 500, also where the first ones
# came one by one.
LARGE_SITE = 150


# So many changes are written at once, and of more one in so many seconds: a charge point that changes its status many
# times a second must not fill the database. The last one is always written.
NEWS_AT_ONCE = 20
NEWS_INTERVAL_S = 5.0


@dataclass(frozen=True, kw_only=True)
class ReevEntityDescription[PartT: SitePart](EntityDescription):
    """Describes an entity of any platform."""

    value_fn: Callable[[PartT], object]
    attributes_fn: Callable[[PartT], Mapping[str, Any]] | None = None
    immediate: bool = True
    """Whether a change is written at once; if not, it is a measured value."""
    needs_live: bool = False
    """Whether it is unavailable while its meter or charge point does not answer."""
    placeholders: Mapping[str, str] | None = None
    """What its translated name contains, such as the phase."""
    is_detail: bool = False
    """Whether it is disabled at first at a large site."""


class ReevEntity[PartT: SitePart](Entity):
    """An entity that shows one fact of one part of the site.

    There are thousands of them: what the part or the description knows is not kept once more.
    """

    __slots__ = (
        "_due_s",
        "_free_s",
        "_news",
        "coordinator",
        "entity_description",
        "part",
    )

    _attr_has_entity_name = True
    _attr_should_poll = False
    coordinator: ReevCoordinator
    entity_description: ReevEntityDescription[PartT]
    part: PartT

    _due_s: float
    """When the next write is due, on the clock of the decisions."""
    _free_s: float
    """When as much news as is written at once would be written at the pace of a flood, on the same clock."""
    _news: tuple[bool, object]
    """What was last written of that which is written at once."""

    def __init__(self, part: PartT, description: ReevEntityDescription[PartT]) -> None:
        """Initialize the entity."""
        self.coordinator = part.coordinator
        self.part = part
        self.entity_description = description
        if (description.is_detail or description.entity_category is not None) and len(
            part.data.site.connectors
        ) > LARGE_SITE:
            self._attr_entity_registry_enabled_default = False
        if description.placeholders:
            self._attr_translation_placeholders = description.placeholders
        self._due_s = part.data.decision.at_s + self._spread_s
        self._free_s = float("-inf")
        self._news = self._current_news()

    @property
    @override
    def unique_id(self) -> str:
        """Return what tells it from all others, for ever."""
        return f"{self.part.key}_{self.entity_description.key}"

    @property
    @override
    def device_info(self) -> DeviceInfo | ChildDeviceInfo:
        """Return the device that shows it."""
        return self.part.device_info

    @property
    def _interval_s(self) -> float:
        """Return how long a measured value stands at least."""
        return MEASURED_VALUE_INTERVAL_S * self.part.slowness

    @property
    def _spread_s(self) -> float:
        """Return its place in the interval, lest thousands of entities write in the same turn of the event loop."""
        return crc32(self.unique_id.encode()) % 1000 / 1000 * self._interval_s

    @property
    def fact(self) -> object:
        """Return the value from which the platform makes the state."""
        return self.entity_description.value_fn(self.part)

    @property
    def has_details(self) -> bool:
        """Return whether the state holds more than what is written at once: a measured value, or attributes."""
        description = self.entity_description
        return not description.immediate or description.attributes_fn is not None

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return what belongs to the state."""
        if (attributes_fn := self.entity_description.attributes_fn) is None:
            return None
        return attributes_fn(self.part)

    @property
    @override
    def available(self) -> bool:
        """Return whether what it shows is known to be so now."""
        return self.coordinator.last_update_success and (
            not self.entity_description.needs_live or self.part.live
        )

    @override
    async def async_added_to_hass(self) -> None:
        """Look at the turns of the control loop."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.publisher.add(self))

    def _current_news(self) -> tuple[bool, object]:
        """Return what is to be written as soon as it changes; of a measured value, whether there is one."""
        if not self.available:
            return False, None
        fact = self.fact
        return True, fact if self.entity_description.immediate else fact is None

    @callback
    def look(self) -> None:
        """Write what is new or due.

        A measured value that comes too early is not lost: the first turn that is due writes what holds then.
        """
        now_s = self.part.data.decision.at_s
        news = self._current_news()
        late_s = now_s - self._due_s
        is_due = late_s >= 0 and self.has_details
        if news == self._news and not is_due:
            if self.has_details:
                self.coordinator.publisher.hold(self, self._due_s)
            return
        if news != self._news:
            if now_s < self._free_s - NEWS_AT_ONCE * NEWS_INTERVAL_S:
                self.coordinator.publisher.hold(
                    self, self._free_s - NEWS_AT_ONCE * NEWS_INTERVAL_S
                )
                return
            self._free_s = max(self._free_s, now_s) + NEWS_INTERVAL_S
        interval_s = self._interval_s
        self._due_s = now_s + interval_s
        if news != self._news or late_s > 2 * interval_s:
            # Many have news at once, or all waited for the same turn: they part again.
            self._due_s += self._spread_s
        self._news = news
        self.async_write_ha_state()


async def async_add_by_subentry(
    async_add_entities: AddConfigEntryEntitiesCallback,
    entities: Iterable[ReevEntity[Any]],
) -> None:
    """Add entities, each to the subentry that its part belongs to.

    Thousands take seconds. Charge points that got no answer to a ping meanwhile would hang up, and subentries may be
    removed: then the reload that follows adds the rest.
    """
    for subentry_id, group in groupby(entities, lambda item: item.part.subentry_id):
        items = list(group)
        if items[0].coordinator.outdated:
            return
        async_add_entities(items, config_subentry_id=subentry_id)
        await asyncio.sleep(0)

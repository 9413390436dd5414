"""Numbers of the reev EMS integration."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.const import UnitOfPower
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import ReevConfigEntry, ReevCoordinator
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .parts.base import SitePart, site_part
from .parts.charge_point import ConnectorPart, connector_parts
from .parts.member import MemberPart, member_parts

# Nothing is waited for: what is set takes effect in the next turn of the control loop.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class ReevNumberDescription[PartT: SitePart](
    NumberEntityDescription, ReevEntityDescription[PartT]
):
    """Describes a number."""

    value_fn: Callable[[PartT], float]
    set_fn: Callable[[PartT, float], Awaitable[None]]


def _priority[PartT: SitePart](
    value_fn: Callable[[PartT], int], set_fn: Callable[[PartT, int], Awaitable[None]]
) -> ReevNumberDescription[PartT]:
    """Describe a priority."""
    return ReevNumberDescription(
        key="priority",
        translation_key="priority",
        native_min_value=1,
        native_max_value=10,
        native_step=1,
        mode=NumberMode.SLIDER,
        value_fn=value_fn,
        set_fn=lambda part, value: set_fn(part, round(value)),
    )


def _external_limit_w(site: SitePart) -> float:
    """Return what an external limit leaves."""
    coordinator = site.coordinator
    return coordinator.external_limit.configured_w(coordinator.controls)


SITE_NUMBERS: tuple[ReevNumberDescription[SitePart], ...] = (
    ReevNumberDescription(
        key="external_limit",
        translation_key="external_limit",
        device_class=NumberDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.KILO_WATT,
        native_min_value=0,
        native_max_value=10_000,
        native_step=0.01,
        mode=NumberMode.BOX,
        value_fn=lambda site: round(_external_limit_w(site) / 1000, 3),
        set_fn=lambda site, value: site.coordinator.async_set_external_limit_w(
            value * 1000
        ),
    ),
)

CONNECTOR_NUMBERS: tuple[ReevNumberDescription[ConnectorPart], ...] = (
    _priority(
        lambda connector: connector.controls.priority,
        lambda connector, value: connector.coordinator.async_set_priority(
            connector.id, value
        ),
    ),
)

MEMBER_NUMBERS: tuple[ReevNumberDescription[MemberPart], ...] = (
    _priority(
        lambda member: member.priority,
        lambda member, value: member.coordinator.async_set_member(
            member.subentry_id, priority=value
        ),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the numbers of a site."""
    await async_add_by_subentry(async_add_entities, _entities(entry.runtime_data))


def _entities(coordinator: ReevCoordinator) -> Iterator[ReevNumber[Any]]:
    """Return the numbers of a site."""
    yield from (
        ReevNumber(site_part(coordinator), description) for description in SITE_NUMBERS
    )
    yield from (
        ReevNumber(connector, description)
        for connector in connector_parts(coordinator)
        for description in CONNECTOR_NUMBERS
    )
    yield from (
        ReevNumber(member, description)
        for member in member_parts(coordinator)
        for description in MEMBER_NUMBERS
    )


class ReevNumber[PartT: SitePart](ReevEntity[PartT], NumberEntity):
    """A number."""

    entity_description: ReevNumberDescription[PartT]

    @property
    @override
    def native_value(self) -> float:
        """Return the state."""
        return self.entity_description.value_fn(self.part)

    @override
    async def async_set_native_value(self, value: float) -> None:
        """Change the number, and show it before the next turn of the loop."""
        await self.entity_description.set_fn(self.part, value)
        self.async_write_ha_state()

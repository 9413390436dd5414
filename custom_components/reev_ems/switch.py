"""Switches of the reev EMS integration."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import ReevConfigEntry, ReevCoordinator
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .parts.base import CircuitPart, SitePart, circuit_parts, site_part
from .parts.charge_point import ConnectorPart, connector_parts
from .parts.member import MemberPart, member_parts
from .site.access import async_demand_administrator

# Nothing is waited for: what is set takes effect in the next turn of the control loop.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class ReevSwitchDescription[PartT: SitePart](
    SwitchEntityDescription, ReevEntityDescription[PartT]
):
    """Describes a switch."""

    value_fn: Callable[[PartT], bool]
    set_fn: Callable[[PartT, bool], Awaitable[None]]
    for_administrators: bool = False
    """Whether nobody else may switch it."""


async def _set_pairing(site: SitePart, on: bool) -> None:
    """Open or close the door for unknown charge points."""
    site.coordinator.set_pairing(on)


SITE_SWITCHES: tuple[ReevSwitchDescription[SitePart], ...] = (
    ReevSwitchDescription(
        key="load_management",
        translation_key="load_management",
        value_fn=lambda site: site.coordinator.controls.load_management,
        set_fn=lambda site, on: site.coordinator.async_set_load_management(on),
    ),
    ReevSwitchDescription(
        key="pv_surplus",
        translation_key="pv_surplus",
        value_fn=lambda site: site.coordinator.controls.pv_surplus,
        set_fn=lambda site, on: site.coordinator.async_set_pv_surplus(on),
    ),
    ReevSwitchDescription(
        key="external_limit",
        translation_key="external_limit",
        value_fn=lambda site: site.coordinator.controls.external_limit,
        set_fn=lambda site, on: site.coordinator.async_set_external_limit(on),
    ),
    ReevSwitchDescription(
        key="pairing",
        translation_key="pairing",
        entity_category=EntityCategory.CONFIG,
        value_fn=lambda site: site.coordinator.server.pairing,
        set_fn=_set_pairing,
        for_administrators=True,
    ),
)

CIRCUIT_SWITCHES: tuple[ReevSwitchDescription[CircuitPart], ...] = (
    ReevSwitchDescription(
        key="follows_pv",
        translation_key="pv_surplus",
        value_fn=lambda circuit: circuit.follows_pv,
        set_fn=lambda circuit, on: circuit.coordinator.async_set_follows_pv(
            circuit.circuit.id, on
        ),
    ),
)

CONNECTOR_SWITCHES: tuple[ReevSwitchDescription[ConnectorPart], ...] = (
    ReevSwitchDescription(
        key="charging_enabled",
        translation_key="charging_enabled",
        value_fn=lambda connector: connector.controls.enabled,
        set_fn=lambda connector, on: connector.coordinator.async_set_enabled(
            connector.id, on
        ),
    ),
)

USER_SWITCHES: tuple[ReevSwitchDescription[MemberPart], ...] = (
    ReevSwitchDescription(
        key="enabled",
        translation_key="user_enabled",
        value_fn=lambda user: user.enabled,
        set_fn=lambda user, on: user.coordinator.async_set_member(
            user.subentry_id, enabled=on
        ),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the switches of a site."""
    await async_add_by_subentry(async_add_entities, _entities(entry.runtime_data))


def _entities(coordinator: ReevCoordinator) -> Iterator[ReevSwitch[Any]]:
    """Return the switches of a site."""
    yield from _switches(site_part(coordinator), SITE_SWITCHES)
    for circuit in circuit_parts(coordinator):
        yield from _switches(circuit, CIRCUIT_SWITCHES)
    for connector in connector_parts(coordinator):
        yield from _switches(connector, CONNECTOR_SWITCHES)
    for member in member_parts(coordinator):
        if member.is_user:
            yield from _switches(member, USER_SWITCHES)


def _switches[PartT: SitePart](
    part: PartT, descriptions: tuple[ReevSwitchDescription[PartT], ...]
) -> list[ReevSwitch[PartT]]:
    """Return the switches of a part."""
    return [ReevSwitch(part, description) for description in descriptions]


class ReevSwitch[PartT: SitePart](ReevEntity[PartT], SwitchEntity):
    """A switch."""

    entity_description: ReevSwitchDescription[PartT]

    @property
    @override
    def is_on(self) -> bool:
        """Return the state."""
        return self.entity_description.value_fn(self.part)

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Switch on."""
        await self._async_set(on=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch off."""
        await self._async_set(on=False)

    async def _async_set(self, *, on: bool) -> None:
        """Switch, and show it before the next turn of the loop. Raises Unauthorized."""
        if self.entity_description.for_administrators:
            await async_demand_administrator(self.hass, self._context)
        await self.entity_description.set_fn(self.part, on)
        self.async_write_ha_state()

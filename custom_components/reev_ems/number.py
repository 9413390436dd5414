"""Numbers of the reev EMS integration."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.number import (
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import ReevConfigEntry
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .parts import ConnectorPart, connector_parts

# Nothing is waited for: what is set takes effect in the next turn of the control loop.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class ReevNumberDescription(
    NumberEntityDescription, ReevEntityDescription[ConnectorPart]
):
    """Describes a number."""

    value_fn: Callable[[ConnectorPart], float]
    set_fn: Callable[[ConnectorPart, float], Awaitable[None]]


CONNECTOR_NUMBERS: tuple[ReevNumberDescription, ...] = (
    ReevNumberDescription(
        key="priority",
        translation_key="priority",
        native_min_value=1,
        native_max_value=10,
        native_step=1,
        mode=NumberMode.SLIDER,
        value_fn=lambda connector: connector.controls.priority,
        set_fn=lambda connector, value: connector.coordinator.async_set_priority(
            connector.id, round(value)
        ),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the numbers of a site."""
    async_add_by_subentry(
        async_add_entities,
        [
            ReevNumber(connector, description)
            for connector in connector_parts(entry.runtime_data)
            for description in CONNECTOR_NUMBERS
        ],
    )


class ReevNumber(ReevEntity[ConnectorPart], NumberEntity):
    """A number."""

    entity_description: ReevNumberDescription

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

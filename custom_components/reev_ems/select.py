"""Selects of the reev EMS integration."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import override

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.core import HomeAssistant, ServiceResponse
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .charge_points.errors import charge_point_errors
from .const import DEFAULT_ID_TAG
from .coordinator import ReevConfigEntry
from .energy_management.model import ChargingMode
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .parts.charge_point import ConnectorPart, connector_parts
from .site.access import async_demand_own_tag

# A charge point that does not answer must not keep the others waiting; each has a queue of its own.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class ReevSelectDescription(
    SelectEntityDescription, ReevEntityDescription[ConnectorPart]
):
    """Describes a select."""

    value_fn: Callable[[ConnectorPart], str]
    set_fn: Callable[[ConnectorPart, str], Awaitable[None]]


CONNECTOR_SELECTS: tuple[ReevSelectDescription, ...] = (
    ReevSelectDescription(
        key="charging_mode",
        translation_key="charging_mode",
        options=[str(mode) for mode in ChargingMode],
        value_fn=lambda connector: connector.controls.mode,
        set_fn=lambda connector, option: connector.coordinator.async_set_mode(
            connector.id, ChargingMode(option)
        ),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the selects of a site."""
    await async_add_by_subentry(
        async_add_entities,
        (
            ReevSelect(connector, description)
            for connector in connector_parts(entry.runtime_data)
            for description in CONNECTOR_SELECTS
        ),
    )


class ReevSelect(ReevEntity[ConnectorPart], SelectEntity):
    """A select.

    Every connector has exactly one, and nothing else has: so it is also what the actions on a connector are
    aimed at.
    """

    entity_description: ReevSelectDescription

    @property
    @override
    def current_option(self) -> str:
        """Return the state."""
        return self.entity_description.value_fn(self.part)

    @override
    async def async_select_option(self, option: str) -> None:
        """Change the option, and show it before the next turn of the loop."""
        await self.entity_description.set_fn(self.part, option)
        self.async_write_ha_state()

    async def async_remote_start(self, id_tag: str = DEFAULT_ID_TAG) -> None:
        """Ask the charge point to start charging for an id tag. Raises Unauthorized for somebody else's."""
        await self._async_demand_own(id_tag)
        with charge_point_errors(self.part):
            await self.part.charge_point.remote_start(self.part.number, id_tag)

    async def _async_demand_own(self, id_tag: str) -> None:
        """Raise Unauthorized for who uses somebody else's tag."""
        await async_demand_own_tag(
            self.hass,
            self.coordinator.config_entry,
            self.coordinator.people,
            self._context,
            id_tag,
        )

    async def async_remote_stop(self) -> None:
        """Ask the charge point to end the running session."""
        with charge_point_errors(self.part):
            await self.part.charge_point.remote_stop(self.part.number)

    async def async_set_availability(self, available: bool) -> None:
        """Take the connector into or out of service."""
        with charge_point_errors(self.part):
            await self.part.charge_point.set_availability(self.part.number, available)

    async def async_reserve(self, id_tag: str, duration: timedelta) -> None:
        """Reserve the connector for an id tag; another reservation replaces it. Raises Unauthorized."""
        await self._async_demand_own(id_tag)
        with charge_point_errors(self.part):
            await self.part.charge_point.reserve(
                self.part.number,
                id_tag,
                datetime.now(UTC) + duration,
                self.part.number,
            )

    async def async_cancel_reservation(self) -> None:
        """Cancel the reservation of the connector. Each has one, with the connector's number for its id."""
        with charge_point_errors(self.part):
            await self.part.charge_point.cancel_reservation(self.part.number)

    async def async_self_test(self) -> ServiceResponse:
        """Test whether the connector obeys and falls back by itself; takes minutes."""
        with charge_point_errors(self.part):
            result = await self.part.charge_point.self_test(self.part.number)
        return {"result": self.part.self_test_result, **asdict(result)}

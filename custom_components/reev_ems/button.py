"""Buttons of the reev EMS integration."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.components.button.const import ButtonDeviceClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .charge_points.errors import charge_point_errors
from .coordinator import ReevConfigEntry, ReevCoordinator
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .parts.charge_point import (
    ChargePointPart,
    ConnectorPart,
    charge_point_parts,
    connector_parts,
)

# A charge point that does not answer must not keep the others waiting; each has a queue of its own.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class ReevButtonDescription[PartT: ChargePointPart](
    ButtonEntityDescription, ReevEntityDescription[PartT]
):
    """Describes a button."""

    press_fn: Callable[[PartT], Awaitable[object]]
    needs_live: bool = True
    # A button has no value to write.
    value_fn: Callable[[PartT], None] = lambda _: None


CHARGE_POINT_BUTTONS: tuple[ReevButtonDescription[ChargePointPart], ...] = (
    # Soft: charging sessions are ended properly before it restarts.
    ReevButtonDescription(
        key="reset",
        device_class=ButtonDeviceClass.RESTART,
        entity_category=EntityCategory.CONFIG,
        press_fn=lambda part: part.charge_point.reset(hard=False),
    ),
)

CONNECTOR_BUTTONS: tuple[ReevButtonDescription[ConnectorPart], ...] = (
    ReevButtonDescription(
        key="unlock",
        translation_key="unlock",
        entity_category=EntityCategory.CONFIG,
        press_fn=lambda part: part.charge_point.unlock(part.number),
    ),
    ReevButtonDescription(
        key="self_test",
        translation_key="self_test",
        entity_category=EntityCategory.CONFIG,
        press_fn=lambda part: part.charge_point.self_test(part.number),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the buttons of a site."""
    await async_add_by_subentry(async_add_entities, _entities(entry.runtime_data))


def _entities(coordinator: ReevCoordinator) -> Iterator[ReevButton[Any]]:
    """Return the buttons of a site."""
    yield from (
        ReevButton(charge_point, description)
        for charge_point in charge_point_parts(coordinator)
        for description in CHARGE_POINT_BUTTONS
    )
    yield from (
        ReevButton(connector, description)
        for connector in connector_parts(coordinator)
        for description in CONNECTOR_BUTTONS
    )


class ReevButton[PartT: ChargePointPart](ReevEntity[PartT], ButtonEntity):
    """A button."""

    entity_description: ReevButtonDescription[PartT]

    @override
    async def async_press(self) -> None:
        """Ask the charge point."""
        with charge_point_errors(self.part):
            await self.entity_description.press_fn(self.part)

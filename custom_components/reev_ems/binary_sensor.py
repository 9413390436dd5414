"""Binary sensors of the reev EMS integration."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import ReevConfigEntry, ReevCoordinator
from .energy_management.observation import ConnectorState
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .parts.base import (
    GatewayPart,
    MeterPart,
    SitePart,
    gateway_parts,
    meter_parts,
    site_part,
)
from .parts.charge_point import (
    ChargePointPart,
    ConnectorPart,
    charge_point_parts,
    connector_parts,
)

PARALLEL_UPDATES = 0

# A connector that is out of order, or whose charge point is away, does not say whether a car is there.
_PLUGGED = {
    ConnectorState.AVAILABLE: False,
    ConnectorState.PLUGGED: True,
    ConnectorState.CHARGING: True,
    ConnectorState.SUSPENDED_EV: True,
    ConnectorState.SUSPENDED_EVSE: True,
    ConnectorState.FINISHING: True,
}


@dataclass(frozen=True, kw_only=True)
class ReevBinarySensorDescription[PartT: SitePart](
    BinarySensorEntityDescription, ReevEntityDescription[PartT]
):
    """Describes a binary sensor."""

    value_fn: Callable[[PartT], bool | None]


SITE_BINARY_SENSORS: tuple[ReevBinarySensorDescription[SitePart], ...] = (
    ReevBinarySensorDescription(
        key="external_limit",
        translation_key="external_limit",
        value_fn=lambda site: site.data.observation.external_limit_w is not None,
        attributes_fn=lambda site: {"limit_w": site.data.observation.external_limit_w},
    ),
)

GATEWAY_BINARY_SENSORS: tuple[ReevBinarySensorDescription[GatewayPart], ...] = (
    ReevBinarySensorDescription(
        key="connectivity",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda gateway: gateway.live,
    ),
    # Where the grid operator's ripple control receiver is wired to (§14a EnWG).
    ReevBinarySensorDescription(
        key="digital_input_1",
        translation_key="digital_input",
        placeholders={"number": "1"},
        needs_live=True,
        value_fn=lambda gateway: (
            gateway.status.digital_input_1 if gateway.status else None
        ),
    ),
    ReevBinarySensorDescription(
        key="digital_input_2",
        translation_key="digital_input",
        placeholders={"number": "2"},
        needs_live=True,
        value_fn=lambda gateway: (
            gateway.status.digital_input_2 if gateway.status else None
        ),
    ),
)

METER_BINARY_SENSORS: tuple[ReevBinarySensorDescription[MeterPart], ...] = (
    ReevBinarySensorDescription(
        key="connectivity",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda meter: meter.live,
    ),
)

CHARGE_POINT_BINARY_SENSORS: tuple[
    ReevBinarySensorDescription[ChargePointPart], ...
] = (
    ReevBinarySensorDescription(
        key="connectivity",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda charge_point: charge_point.live,
    ),
    ReevBinarySensorDescription(
        key="floor_accepted",
        translation_key="floor_accepted",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda charge_point: charge_point.charge_point.floor_accepted,
    ),
)

CONNECTOR_BINARY_SENSORS: tuple[ReevBinarySensorDescription[ConnectorPart], ...] = (
    ReevBinarySensorDescription(
        key="car_plugged",
        translation_key="car_plugged",
        device_class=BinarySensorDeviceClass.PLUG,
        needs_live=True,
        value_fn=lambda connector: _PLUGGED.get(connector.state),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the binary sensors of a site."""
    await async_add_by_subentry(async_add_entities, _entities(entry.runtime_data))


def _entities(coordinator: ReevCoordinator) -> Iterator[ReevBinarySensor[Any]]:
    """Return the binary sensors of a site."""
    yield from _binary_sensors(site_part(coordinator), SITE_BINARY_SENSORS)
    for gateway in gateway_parts(coordinator):
        yield from _binary_sensors(gateway, GATEWAY_BINARY_SENSORS)
    for meter in meter_parts(coordinator):
        yield from _binary_sensors(meter, METER_BINARY_SENSORS)
    for charge_point in charge_point_parts(coordinator):
        yield from _binary_sensors(charge_point, CHARGE_POINT_BINARY_SENSORS)
    for connector in connector_parts(coordinator):
        yield from _binary_sensors(connector, CONNECTOR_BINARY_SENSORS)


def _binary_sensors[PartT: SitePart](
    part: PartT, descriptions: tuple[ReevBinarySensorDescription[PartT], ...]
) -> list[ReevBinarySensor[PartT]]:
    """Return the binary sensors of a part."""
    return [ReevBinarySensor(part, description) for description in descriptions]


class ReevBinarySensor[PartT: SitePart](ReevEntity[PartT], BinarySensorEntity):
    """A binary sensor."""

    entity_description: ReevBinarySensorDescription[PartT]

    @property
    @override
    def is_on(self) -> bool | None:
        """Return the state."""
        return self.entity_description.value_fn(self.part)

"""Sensors of the reev EMS integration."""

from collections.abc import Iterable, Iterator
from typing import Any, override

from homeassistant.components.sensor import RestoreSensor, SensorEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .const import LOGGER
from .coordinator import ReevConfigEntry, ReevCoordinator
from .entity import ReevEntity, async_add_by_subentry
from .parts.base import SitePart, circuit_parts, gateway_parts, meter_parts, site_part
from .parts.charge_point import charge_point_parts, connector_parts
from .parts.gateway_descriptions import GATEWAY_SENSORS
from .parts.sensor_descriptions import (
    CHARGE_POINT_SENSORS,
    CIRCUIT_SENSORS,
    CONNECTOR_SENSORS,
    METER_SENSORS,
    SITE_SENSORS,
    ReevSensorDescription,
    connector_currents,
)

PARALLEL_UPDATES = 0

# An energy register that reads lower for this long really is lower: the meter was replaced or reset. A single
# lower reading is a glitch, which the statistics would take for a reset.
REGISTER_RESET_S = 60.0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors of a site."""
    await async_add_by_subentry(async_add_entities, _entities(entry.runtime_data))


def _entities(coordinator: ReevCoordinator) -> Iterator[ReevSensor[Any]]:
    """Return the sensors of a site."""
    yield from _sensors(site_part(coordinator), SITE_SENSORS)
    for circuit in circuit_parts(coordinator):
        yield from _sensors(circuit, CIRCUIT_SENSORS)
    for gateway in gateway_parts(coordinator):
        yield from _sensors(gateway, GATEWAY_SENSORS)
    for meter in meter_parts(coordinator):
        yield from _sensors(meter, METER_SENSORS)
    for charge_point in charge_point_parts(coordinator):
        yield from _sensors(charge_point, CHARGE_POINT_SENSORS)
    for connector in connector_parts(coordinator):
        yield from _sensors(connector, CONNECTOR_SENSORS)
        yield from _sensors(connector, connector_currents(connector))


def _sensors[PartT: SitePart](
    part: PartT, descriptions: Iterable[ReevSensorDescription[PartT]]
) -> list[ReevSensor[Any]]:
    """Return the sensors of a part."""
    return [
        _sensor_class(description)(part, description)
        for description in descriptions
        if description.exists_fn(part)
    ]


def _sensor_class(description: ReevSensorDescription[Any]) -> type[ReevSensor[Any]]:
    """Return how a sensor treats gaps."""
    return ReevRegisterSensor if description.is_register else ReevSensor


class ReevSensor[PartT: SitePart](ReevEntity[PartT], SensorEntity):
    """A sensor."""

    entity_description: ReevSensorDescription[PartT]

    @property
    @override
    def native_value(self) -> StateType:
        """Return the state."""
        return self.entity_description.value_fn(self.part)


class ReevRegisterSensor[PartT: SitePart](ReevSensor[PartT], RestoreSensor):
    """An energy register: holds its value over gaps and restarts, and never runs backwards by mistake.

    Long-term statistics take a lower value for a new meter that began at zero, and count all of it again.
    """

    _last: StateType = None
    _lower_since_s: float | None = None

    @override
    async def async_added_to_hass(self) -> None:
        """Restore the last value."""
        if (stored := await self.async_get_last_sensor_data()) and isinstance(
            stored.native_value, str | int | float
        ):
            self._last = stored.native_value
        await super().async_added_to_hass()

    @property
    @override
    def native_value(self) -> StateType:
        """Return the register, or its last value if there is none or only a glitch."""
        value = self.entity_description.value_fn(self.part)
        last = self._last
        if not isinstance(value, int | float):
            return last
        if isinstance(last, int | float) and value < last:
            now_s = self.part.data.decision.at_s
            if self._lower_since_s is None:
                self._lower_since_s = now_s
            if now_s - self._lower_since_s < REGISTER_RESET_S:
                return last
            LOGGER.warning(
                "%s now counts from %.0f Wh, it was at %.0f Wh before",
                self.entity_id,
                value,
                last,
            )
        self._last, self._lower_since_s = value, None
        return value

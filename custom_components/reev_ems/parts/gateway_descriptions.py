"""What the entities of a gateway show."""

from collections.abc import Callable

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import (
    SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
    EntityCategory,
    UnitOfTemperature,
    UnitOfTime,
)
from homeassistant.helpers.typing import StateType

from ..meters import GatewayStatus
from .base import GatewayPart
from .sensor_descriptions import ReevSensorDescription


def _told(
    value_fn: Callable[[GatewayStatus], StateType],
) -> Callable[[GatewayPart], StateType]:
    """Take a value from what the gateway last told."""
    return lambda gateway: value_fn(gateway.status) if gateway.status else None


GATEWAY_SENSORS: tuple[ReevSensorDescription[GatewayPart], ...] = (
    ReevSensorDescription(
        key="uptime",
        translation_key="uptime",
        device_class=SensorDeviceClass.DURATION,
        entity_category=EntityCategory.DIAGNOSTIC,
        # Changes with every reading and says something only after a failure.
        entity_registry_enabled_default=False,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_unit_of_measurement=UnitOfTime.DAYS,
        suggested_display_precision=1,
        immediate=False,
        needs_live=True,
        value_fn=_told(lambda status: status.uptime_s),
    ),
    ReevSensorDescription(
        key="signal",
        device_class=SensorDeviceClass.SIGNAL_STRENGTH,
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
        state_class=SensorStateClass.MEASUREMENT,
        immediate=False,
        needs_live=True,
        value_fn=_told(lambda status: status.signal_dbm),
    ),
    ReevSensorDescription(
        key="temperature",
        device_class=SensorDeviceClass.TEMPERATURE,
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        immediate=False,
        needs_live=True,
        value_fn=_told(lambda status: status.temperature_c),
    ),
    ReevSensorDescription(
        key="network_type",
        translation_key="network_type",
        entity_category=EntityCategory.DIAGNOSTIC,
        needs_live=True,
        value_fn=_told(lambda status: status.network_type),
    ),
)

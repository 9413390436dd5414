"""Sensors of the reev EMS integration."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    PERCENTAGE,
    EntityCategory,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfFrequency,
    UnitOfPower,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .const import LOGGER
from .coordinator import ReevConfigEntry
from .energy_management.decision import LimitKind, SiteState
from .energy_management.model import PHASES, PartPerPhase
from .energy_management.observation import ConnectorState, MeterReading
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .parts import (
    UNKNOWN_PER_PHASE,
    ConnectorPart,
    MeterPart,
    SitePart,
    circuit_parts,
    connector_parts,
    meter_parts,
    site_part,
)

PARALLEL_UPDATES = 0

# An energy register that reads lower for this long really is lower: the meter was replaced or reset. A single
# lower reading is a glitch, which the statistics would take for a reset.
REGISTER_RESET_S = 60.0


@dataclass(frozen=True, kw_only=True)
class ReevSensorDescription[PartT: SitePart](
    SensorEntityDescription, ReevEntityDescription[PartT]
):
    """Describes a sensor."""

    value_fn: Callable[[PartT], StateType]
    attributes_fn: Callable[[PartT], Mapping[str, Any]] | None = None
    exists_fn: Callable[[PartT], bool] = lambda _: True
    is_register: bool = False
    """Whether it is an energy register, which never runs backwards."""


def _current[PartT: SitePart](
    key: str, value_fn: Callable[[PartT], StateType], **fields: Any
) -> ReevSensorDescription[PartT]:
    """Describe a current."""
    return ReevSensorDescription(
        key=key,
        device_class=SensorDeviceClass.CURRENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        immediate=False,
        value_fn=value_fn,
        **fields,
    )


def _power[PartT: SitePart](
    key: str, value_fn: Callable[[PartT], StateType], **fields: Any
) -> ReevSensorDescription[PartT]:
    """Describe a power."""
    return ReevSensorDescription(
        key=key,
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        immediate=False,
        value_fn=value_fn,
        **fields,
    )


def _energy[PartT: SitePart](
    key: str, value_fn: Callable[[PartT], StateType], **fields: Any
) -> ReevSensorDescription[PartT]:
    """Describe an energy that only grows, as the Energy dashboard takes it."""
    return ReevSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        suggested_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        state_class=SensorStateClass.TOTAL_INCREASING,
        suggested_display_precision=2,
        immediate=False,
        value_fn=value_fn,
        is_register=True,
        **fields,
    )


def _current_per_phase[PartT: SitePart](
    key: str,
    values_fn: Callable[[PartT], PartPerPhase],
    **fields: Any,
) -> tuple[ReevSensorDescription[PartT], ...]:
    """Describe a current of each phase of the grid."""
    return tuple(
        _current(
            f"{key}_{phase.lower()}",
            lambda part, index=index: values_fn(part)[index],
            translation_key=key,
            placeholders={"phase": phase},
            **fields,
        )
        for index, phase in enumerate(PHASES)
    )


def _base_a(part: SitePart) -> PartPerPhase:
    """Return the load of a circuit besides our connectors."""
    decision = part.circuit_decision
    return decision.base_a or UNKNOWN_PER_PHASE if decision else UNKNOWN_PER_PHASE


def _booked_a(part: SitePart) -> PartPerPhase:
    """Return what a circuit's connectors are booked with."""
    decision = part.circuit_decision
    return decision.booked_a if decision else UNKNOWN_PER_PHASE


def _available_a(part: SitePart) -> PartPerPhase:
    """Return what a circuit has left once its connectors are booked."""
    decision = part.circuit_decision
    return decision.available_a or UNKNOWN_PER_PHASE if decision else UNKNOWN_PER_PHASE


def _is_limited(part: SitePart) -> bool:
    """Return whether the circuit has a limit in A."""
    return part.circuit.limit_a is not None


def _is_metered(part: SitePart) -> bool:
    """Return whether a meter measures the circuit."""
    return part.circuit.metered


# How the energy management counts; for whoever wants to know why.
CIRCUIT_ACCOUNTS: tuple[ReevSensorDescription[SitePart], ...] = (
    *_current_per_phase(
        "base_current",
        _base_a,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
    *_current_per_phase(
        "booked_current",
        _booked_a,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
)

SITE_SENSORS: tuple[ReevSensorDescription[SitePart], ...] = (
    ReevSensorDescription(
        key="state",
        translation_key="state",
        device_class=SensorDeviceClass.ENUM,
        options=[str(state) for state in SiteState],
        value_fn=lambda site: site.data.decision.state,
    ),
    _power(
        "grid_power",
        lambda site: site.grid_power_w,
        translation_key="grid_power",
        exists_fn=_is_metered,
    ),
    *_current_per_phase(
        "grid_current", lambda site: site.grid_current_a, exists_fn=_is_metered
    ),
    *_current_per_phase(
        "headroom", lambda site: site.headroom_a, exists_fn=_is_metered
    ),
    _power(
        "pv_surplus",
        lambda site: site.data.decision.surplus_w,
        translation_key="pv_surplus",
        exists_fn=_is_metered,
    ),
    # The headroom less what is booked for cars that have not taken it yet.
    *_current_per_phase(
        "available_current",
        _available_a,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    ),
    *CIRCUIT_ACCOUNTS,
    ReevSensorDescription(
        key="charge_points_connected",
        translation_key="charge_points_connected",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda site: sum(
            charge_point.connected
            for charge_point in site.coordinator.charge_points.values()
        ),
    ),
)

CIRCUIT_SENSORS: tuple[ReevSensorDescription[SitePart], ...] = (
    *_current_per_phase("available_current", _available_a, exists_fn=_is_limited),
    *CIRCUIT_ACCOUNTS,
)


def _of_reading(
    value_fn: Callable[[MeterReading], StateType],
) -> Callable[[MeterPart], StateType]:
    """Take a value from the meter's last reading."""
    return lambda meter: value_fn(meter.reading) if meter.reading else None


METER_SENSORS: tuple[ReevSensorDescription[MeterPart], ...] = (
    _power(
        "power", _of_reading(lambda reading: reading.power_total_w), needs_live=True
    ),
    *(
        _current(
            f"current_{phase.lower()}",
            _of_reading(lambda reading, index=index: reading.current_a[index]),
            translation_key="current",
            placeholders={"phase": phase},
            needs_live=True,
        )
        for index, phase in enumerate(PHASES)
    ),
    *(
        _power(
            f"power_{phase.lower()}",
            _of_reading(lambda reading, index=index: reading.power_w[index]),
            translation_key="power",
            placeholders={"phase": phase},
            needs_live=True,
        )
        for index, phase in enumerate(PHASES)
    ),
    *(
        ReevSensorDescription(
            key=f"voltage_{phase.lower()}",
            translation_key="voltage",
            placeholders={"phase": phase},
            device_class=SensorDeviceClass.VOLTAGE,
            entity_category=EntityCategory.DIAGNOSTIC,
            native_unit_of_measurement=UnitOfElectricPotential.VOLT,
            state_class=SensorStateClass.MEASUREMENT,
            suggested_display_precision=1,
            immediate=False,
            needs_live=True,
            value_fn=_of_reading(lambda reading, index=index: reading.voltage_v[index]),
        )
        for index, phase in enumerate(PHASES)
    ),
    ReevSensorDescription(
        key="frequency",
        device_class=SensorDeviceClass.FREQUENCY,
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=UnitOfFrequency.HERTZ,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=2,
        immediate=False,
        needs_live=True,
        value_fn=_of_reading(lambda reading: reading.frequency_hz),
    ),
    _energy(
        "energy_import",
        _of_reading(lambda reading: reading.energy_import_wh),
        needs_live=True,
    ),
    _energy(
        "energy_export",
        _of_reading(lambda reading: reading.energy_export_wh),
        needs_live=True,
    ),
)


def _accepted(connector: ConnectorPart) -> dict[str, Any]:
    """Return what the charge point has made of its permit."""
    return {"accepted": connector.accepted_permit}


def _limit_details(connector: ConnectorPart) -> dict[str, Any]:
    """Return where the limit is, how long it lasts, and all of it in one English line."""
    if (limit := connector.limit) is None:
        return {}
    return {
        "circuit": limit.circuit,
        "phase": limit.phase,
        "remaining_s": None if limit.remaining_s is None else round(limit.remaining_s),
        "reason": str(limit),
    }


def _session_energy(connector: ConnectorPart) -> float | None:
    """Return the energy of the running session."""
    transaction = connector.view.transaction
    return transaction.energy_wh if transaction else None


CONNECTOR_SENSORS: tuple[ReevSensorDescription[ConnectorPart], ...] = (
    ReevSensorDescription(
        key="status",
        translation_key="status",
        device_class=SensorDeviceClass.ENUM,
        options=[str(state) for state in ConnectorState],
        value_fn=lambda connector: connector.state,
    ),
    ReevSensorDescription(
        key="permit",
        translation_key="permit",
        device_class=SensorDeviceClass.CURRENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        exists_fn=lambda connector: not connector.is_dc,
        value_fn=lambda connector: connector.permit,
        attributes_fn=_accepted,
    ),
    ReevSensorDescription(
        key="permit",
        translation_key="permit",
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        exists_fn=lambda connector: connector.is_dc,
        value_fn=lambda connector: connector.permit,
        attributes_fn=_accepted,
    ),
    ReevSensorDescription(
        key="limited_by",
        translation_key="limited_by",
        device_class=SensorDeviceClass.ENUM,
        options=[str(kind) for kind in LimitKind],
        value_fn=lambda connector: connector.limit.kind if connector.limit else None,
        attributes_fn=_limit_details,
    ),
    _power(
        "power",
        lambda connector: connector.power_w,
        translation_key="charging_power",
        needs_live=True,
    ),
    ReevSensorDescription(
        key="session_energy",
        translation_key="session_energy",
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.WATT_HOUR,
        suggested_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        state_class=SensorStateClass.TOTAL_INCREASING,
        suggested_display_precision=2,
        immediate=False,
        value_fn=_session_energy,
    ),
    _energy("energy", lambda connector: connector.view.energy_wh),
    ReevSensorDescription(
        key="state_of_charge",
        translation_key="state_of_charge",
        device_class=SensorDeviceClass.BATTERY,
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
        immediate=False,
        needs_live=True,
        # Only over a DC plug does the car say it.
        exists_fn=lambda connector: connector.is_dc,
        value_fn=lambda connector: connector.view.soc_pct,
    ),
)


def _connector_currents(
    connector: ConnectorPart,
) -> list[ReevSensorDescription[ConnectorPart]]:
    """Describe the currents of an AC connector, called by the grid's phases that it is wired to."""
    if connector.is_dc:
        return []
    return [
        _current(
            f"current_{name.lower()}",
            lambda part, index=index: part.current_a(index),
            translation_key="charging_current",
            placeholders={"phase": name},
            needs_live=True,
        )
        for index, name in enumerate(connector.phase_names)
    ]


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors of a site."""
    coordinator = entry.runtime_data
    entities = [
        *_sensors(site_part(coordinator), SITE_SENSORS),
    ]
    for circuit in circuit_parts(coordinator):
        entities += _sensors(circuit, CIRCUIT_SENSORS)
    for meter in meter_parts(coordinator):
        entities += _sensors(meter, METER_SENSORS)
    for connector in connector_parts(coordinator):
        entities += _sensors(connector, CONNECTOR_SENSORS)
        entities += _sensors(connector, _connector_currents(connector))
    async_add_by_subentry(async_add_entities, entities)


def _sensors[PartT: SitePart](
    part: PartT, descriptions: Iterable[ReevSensorDescription[PartT]]
) -> list[ReevSensor[Any]]:
    """Return the sensors of a part."""
    return [
        (ReevRegisterSensor if description.is_register else ReevSensor)(
            part, description
        )
        for description in descriptions
        if description.exists_fn(part)
    ]


class ReevSensor[PartT: SitePart](ReevEntity[PartT], SensorEntity):
    """A sensor."""

    entity_description: ReevSensorDescription[PartT]

    @property
    @override
    def native_value(self) -> StateType:
        """Return the state."""
        return self.entity_description.value_fn(self.part)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return what belongs to the state."""
        if (attributes_fn := self.entity_description.attributes_fn) is None:
            return None
        return attributes_fn(self.part)


class ReevRegisterSensor[PartT: SitePart](ReevSensor[PartT], RestoreSensor):
    """An energy register: holds its value over gaps, and never runs backwards by mistake.

    Long-term statistics take a lower value for a new meter that began at zero, and count all of it again.
    """

    _last_wh: float | None = None
    _lower_since_s: float | None = None

    @override
    async def async_added_to_hass(self) -> None:
        """Restore the value that statistics last saw."""
        if (stored := await self.async_get_last_sensor_data()) and isinstance(
            stored.native_value, int | float
        ):
            self._last_wh = float(stored.native_value)
        await super().async_added_to_hass()

    @property
    @override
    def native_value(self) -> StateType:
        """Return the register, or its last value if there is none or only a glitch."""
        value = super().native_value
        if not isinstance(value, int | float):
            return self._last_wh
        if self._last_wh is not None and value < self._last_wh:
            now_s = self.part.data.decision.at_s
            if self._lower_since_s is None:
                self._lower_since_s = now_s
            if now_s - self._lower_since_s < REGISTER_RESET_S:
                return self._last_wh
            LOGGER.warning(
                "%s now counts from %.0f Wh, it was at %.0f Wh before",
                self.entity_id,
                value,
                self._last_wh,
            )
        self._last_wh, self._lower_since_s = float(value), None
        return self._last_wh

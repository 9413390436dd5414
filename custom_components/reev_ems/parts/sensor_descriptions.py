"""What the sensors of a site show, in tables."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from homeassistant.components.sensor import (
    SensorDeviceClass,
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
from homeassistant.helpers.typing import StateType

from ..energy_management.decision import IssueKind, LimitKind, SiteState
from ..energy_management.model import PHASES, PartPerPhase
from ..energy_management.observation import ConnectorState, MeterReading
from ..entity import ReevEntityDescription
from ..ocpp_server import Problem
from ..site.texts import async_limit_text
from .base import UNKNOWN_PER_PHASE, MeterPart, SitePart
from .charge_point import (
    SELF_TEST_NOT_RUN,
    SELF_TEST_RESULTS,
    SELF_TEST_RUNNING,
    STATUS_CONNECTED,
    ChargePointPart,
    ConnectorPart,
)

NO_PROBLEM = "none"
NOBODY = "nobody"


@dataclass(frozen=True, kw_only=True)
class ReevSensorDescription[PartT: SitePart](
    SensorEntityDescription, ReevEntityDescription[PartT]
):
    """Describes a sensor."""

    value_fn: Callable[[PartT], StateType]
    exists_fn: Callable[[PartT], bool] = lambda _: True
    is_register: bool = False
    """Whether it is an energy register: outlives gaps and restarts, and never runs backwards."""


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


def _nth[PartT: SitePart](
    values_fn: Callable[[PartT], PartPerPhase], index: int
) -> Callable[[PartT], StateType]:
    """Take the value of one phase."""
    return lambda part: values_fn(part)[index]


def _current_per_phase[PartT: SitePart](
    key: str,
    values_fn: Callable[[PartT], PartPerPhase],
    **fields: Any,
) -> tuple[ReevSensorDescription[PartT], ...]:
    """Describe a current of each phase of the grid."""
    return tuple(
        _current(
            f"{key}_{phase.lower()}",
            _nth(values_fn, index),
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


def _surplus_w(site: SitePart) -> float | None:
    """Return what the sun leaves for charging; at night that is nothing, which is known."""
    surplus_w = site.data.decision.surplus_w
    return None if surplus_w is None else max(surplus_w, 0.0)


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
        _surplus_w,
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


def _phase_of_reading(
    values_fn: Callable[[MeterReading], PartPerPhase], index: int
) -> Callable[[MeterPart], StateType]:
    """Take the value of one phase from the meter's last reading."""
    return _of_reading(lambda reading: values_fn(reading)[index])


def _offers(quantity: str) -> Callable[[MeterPart], bool]:
    """Leave out what a meter's model does not measure."""
    return lambda meter: meter.offers(quantity)


METER_SENSORS: tuple[ReevSensorDescription[MeterPart], ...] = (
    _power(
        "power",
        _of_reading(lambda reading: reading.power_total_w),
        needs_live=True,
        exists_fn=_offers("power_total"),
    ),
    *(
        _current(
            f"current_{phase.lower()}",
            _phase_of_reading(lambda reading: reading.current_a, index),
            translation_key="current",
            placeholders={"phase": phase},
            needs_live=True,
            exists_fn=_offers(f"current_{phase.lower()}"),
        )
        for index, phase in enumerate(PHASES)
    ),
    *(
        _power(
            f"power_{phase.lower()}",
            _phase_of_reading(lambda reading: reading.power_w, index),
            translation_key="power",
            placeholders={"phase": phase},
            needs_live=True,
            exists_fn=_offers(f"power_{phase.lower()}"),
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
            exists_fn=_offers(f"voltage_{phase.lower()}"),
            value_fn=_phase_of_reading(lambda reading: reading.voltage_v, index),
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
        exists_fn=_offers("frequency"),
        value_fn=_of_reading(lambda reading: reading.frequency_hz),
    ),
    _energy(
        "energy_import",
        _of_reading(lambda reading: reading.energy_import_wh),
        needs_live=True,
        exists_fn=_offers("energy_import"),
    ),
    _energy(
        "energy_export",
        _of_reading(lambda reading: reading.energy_export_wh),
        needs_live=True,
        exists_fn=_offers("energy_export"),
    ),
)


def _accepted(connector: ConnectorPart) -> dict[str, Any]:
    """Return what the charge point has made of its permit."""
    return {"accepted": connector.accepted_permit}


def _limit_details(connector: ConnectorPart) -> dict[str, Any]:
    """Return where the limit is, how long it lasts, and all of it in one line; with a wait that the state leaves out."""
    shown, limit = connector.shown_limit, connector.limit
    if shown is None or limit is None:
        return {}
    hass = connector.coordinator.hass
    reason = async_limit_text(hass, limit)
    if shown != limit:
        reason = f"{async_limit_text(hass, replace(shown, remaining_s=None))}; {reason}"
    return {
        "circuit": shown.circuit,
        "phase": shown.phase,
        "group": shown.group,
        "remaining_s": None if limit.remaining_s is None else round(limit.remaining_s),
        "reason": reason,
    }


def _limit_in_words(connector: ConnectorPart) -> str | None:
    """Return what limits, and where; not for how long, which would be another text every second."""
    if (limit := connector.shown_limit) is None:
        return None
    return async_limit_text(
        connector.coordinator.hass, replace(limit, remaining_s=None)
    )


def _user(connector: ConnectorPart) -> str | None:
    """Return who charges: nobody is known, a tag that is no user's is unknown."""
    if user := connector.user:
        return user.name
    if connector.live and connector.view.transaction is None:
        return NOBODY
    return None


def _user_details(connector: ConnectorPart) -> dict[str, Any]:
    """Return the group of who charges."""
    group = connector.user.group if connector.user else None
    return {"group": group.name if group else None}


def _session_energy(connector: ConnectorPart) -> float | None:
    """Return the energy of the running session."""
    transaction = connector.view.transaction
    return transaction.energy_wh if transaction else None


CHARGE_POINT_SENSORS: tuple[ReevSensorDescription[ChargePointPart], ...] = (
    ReevSensorDescription(
        key="problem",
        translation_key="problem",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        options=[
            NO_PROBLEM,
            *(problem.value for problem in Problem),
            IssueKind.DISOBEDIENT.value,
        ],
        value_fn=lambda part: part.problem or NO_PROBLEM,
    ),
)

CONNECTOR_SENSORS: tuple[ReevSensorDescription[ConnectorPart], ...] = (
    ReevSensorDescription(
        key="status",
        translation_key="status",
        device_class=SensorDeviceClass.ENUM,
        options=[*(str(state) for state in ConnectorState), STATUS_CONNECTED],
        value_fn=lambda connector: connector.status,
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
        value_fn=lambda connector: (
            limit.kind if (limit := connector.shown_limit) else None
        ),
        attributes_fn=_limit_details,
    ),
    # Nobody opens the attributes to learn which fuse it is.
    ReevSensorDescription(
        key="limit_details",
        translation_key="limit_details",
        is_detail=True,
        value_fn=_limit_in_words,
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
        key="user",
        translation_key="user",
        value_fn=_user,
        attributes_fn=_user_details,
    ),
    ReevSensorDescription(
        key="self_test",
        translation_key="self_test",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        options=[SELF_TEST_NOT_RUN, SELF_TEST_RUNNING, *SELF_TEST_RESULTS],
        value_fn=lambda connector: connector.self_test_result,
    ),
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


def _own_phase(index: int) -> Callable[[ConnectorPart], StateType]:
    """Take the current of one of the charge point's own phases."""
    return lambda connector: connector.current_a(index)


def connector_currents(
    connector: ConnectorPart,
) -> list[ReevSensorDescription[ConnectorPart]]:
    """Describe the currents of an AC connector, called by the grid's phases that it is wired to."""
    if connector.is_dc:
        return []
    return [
        _current(
            f"current_{name.lower()}",
            _own_phase(index),
            translation_key="charging_current",
            placeholders={"phase": name},
            needs_live=True,
            is_detail=True,
        )
        for index, name in enumerate(connector.phase_names)
    ]

"""The parts of a site that entities speak about, each a device of its own.

A part knows where its facts are and which device shows them; what is made of the facts is in the platforms'
tables of descriptions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeIs, override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo

from .const import (
    CONF_CHARGE_POINT_ID,
    CONF_CIRCUIT,
    CONF_CONNECTORS,
    CONF_NUMBER,
    CONF_PROFILE,
    CONF_SENSORS,
    CONF_SERIAL,
    DOMAIN,
    ROOT_CIRCUIT,
    SUBENTRY_CHARGE_POINT,
    SUBENTRY_GATEWAY,
    SUBENTRY_METER,
)
from .coordinator import ReevCoordinator, SiteData
from .energy_management.decision import CircuitDecision, ConnectorDecision, Limit
from .energy_management.model import Circuit, Connector, PartPerPhase, Supply
from .energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    MeterReading,
)
from .meters import SENSOR_QUANTITIES, GatewayStatus, MeterProfile
from .names import connector_name
from .ocpp_server import ChargePoint, ConnectorView, SelfTest
from .people import User
from .site import ConnectorControls, connector_id
from .site_meters import MeterStatus

MANUFACTURER = "reev EMS"

UNKNOWN_PER_PHASE: PartPerPhase = (None, None, None)

# Chargers sample every 10 s as configured, some only every minute whatever they are told; what is older than two
# of those says nothing about now.
MEASUREMENT_LIFE_S = 120.0


# What a self-test can find, from the best to the worst.
SELF_TEST_RESULTS = (
    "passed",
    "inconclusive",
    "no_fallback",
    "disobeys",
    "no_meter_values",
)


@dataclass(frozen=True, kw_only=True)
class SitePart:
    """The site itself, with its grid connection."""

    coordinator: ReevCoordinator
    circuit: Circuit
    """The circuit whose limits it shows, as configured; other limits come with a reload."""
    subentry_id: str | None = None

    @property
    def data(self) -> SiteData:
        """Return the last turn of the control loop."""
        return self.coordinator.data

    @property
    def key(self) -> str:
        """Return what tells this part from all others, for ever."""
        return self.coordinator.config_entry.entry_id

    @property
    def live(self) -> bool:
        """Return whether the thing that measures this part answers."""
        return True

    @property
    def device_info(self) -> DeviceInfo | ChildDeviceInfo:
        """Return the device that shows this part."""
        return DeviceInfo(
            identifiers={(DOMAIN, self.key)},
            manufacturer=MANUFACTURER,
            model="Site",
            name=self.coordinator.config_entry.title,
            entry_type=dr.DeviceEntryType.SERVICE,
        )

    @property
    def site_device_id(self) -> str:
        """Return the registry id of the site's device, which every other device hangs on."""
        entry_id = self.coordinator.config_entry.entry_id
        return dr.async_get_device_id_by_identifier(
            self.coordinator.hass, (DOMAIN, entry_id), config_entry_id=entry_id
        )

    @property
    def circuit_decision(self) -> CircuitDecision | None:
        """Return how the circuit stands; None before the first decision about it."""
        return self.data.decision.circuits.get(self.circuit.id)

    @property
    def grid_power_w(self) -> float | None:
        """Return the power at the grid connection, positive for import."""
        meter = self.data.observation.meters.get(ROOT_CIRCUIT)
        return meter.power_w if meter and self._is_fresh(meter.age_s) else None

    @property
    def grid_current_a(self) -> PartPerPhase:
        """Return the currents at the grid connection, positive for import."""
        meter = self.data.observation.meters.get(ROOT_CIRCUIT)
        if meter is None or meter.current_a is None or not self._is_fresh(meter.age_s):
            return UNKNOWN_PER_PHASE
        return meter.current_a

    @property
    def headroom_a(self) -> PartPerPhase:
        """Return what the grid connection has left below its limit less the margin, as measured now."""
        if (limit_a := self.circuit.limit_a) is None:
            return UNKNOWN_PER_PHASE
        margin_a = self.data.site.margin_a
        l1, l2, l3 = (
            None if current is None else limit - margin_a - current
            for limit, current in zip(limit_a, self.grid_current_a, strict=True)
        )
        return l1, l2, l3

    def _is_fresh(self, age_s: float | None) -> bool:
        """Return whether a meter's value still says something about now (S3)."""
        return age_s is not None and age_s <= self.data.site.settings.meter_timeout_s


@dataclass(frozen=True, kw_only=True)
class SubentryPart(SitePart):
    """A part that has its own subentry."""

    subentry_id: str

    @property
    def subentry(self) -> ConfigSubentry:
        """Return the subentry."""
        return self.coordinator.config_entry.subentries[self.subentry_id]

    @property
    @override
    def key(self) -> str:
        """Return the subentry's id."""
        return self.subentry_id


@dataclass(frozen=True, kw_only=True)
class CircuitPart(SubentryPart):
    """A circuit below the grid connection."""

    @property
    def follows_pv(self) -> bool:
        """Return the PV switch of this circuit."""
        return self.coordinator.controls.follows_pv.get(self.circuit.id, False)

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the circuit's device."""
        return DeviceInfo(
            identifiers={(DOMAIN, self.key)},
            manufacturer=MANUFACTURER,
            model="Circuit",
            name=self.subentry.title,
            entry_type=dr.DeviceEntryType.SERVICE,
            via_device_id=self.site_device_id,
        )


@dataclass(frozen=True, kw_only=True)
class MeterPart(SubentryPart):
    """A meter."""

    @property
    def profile(self) -> MeterProfile | None:
        """Return what is known of its model; None: the model is no longer known."""
        return self.coordinator.profiles.get(self.subentry.data[CONF_PROFILE])

    def offers(self, quantity: str) -> bool:
        """Return whether its model measures a quantity; one that says so itself may offer any."""
        if CONF_SENSORS in self.subentry.data:
            return quantity in SENSOR_QUANTITIES
        quantities = self.profile.quantities if self.profile else ()
        return not quantities or quantity in quantities

    @property
    def status(self) -> MeterStatus | None:
        """Return how its reading goes."""
        return self.data.meters.get(self.subentry_id)

    @property
    def reading(self) -> MeterReading | None:
        """Return its last complete reading."""
        return self.status.reading if self.status else None

    @property
    @override
    def live(self) -> bool:
        """Return whether the last attempt brought a reading."""
        status = self.status
        return (
            status is not None and status.reading is not None and status.problem is None
        )

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the meter's device."""
        data = self.subentry.data
        profile = self.profile
        return DeviceInfo(
            identifiers={(DOMAIN, self.key)},
            manufacturer=profile.manufacturer if profile else None,
            model=profile.name if profile else data[CONF_PROFILE],
            name=self.subentry.title,
            serial_number=data.get(CONF_SERIAL),
            via_device_id=self.site_device_id,
        )


@dataclass(frozen=True, kw_only=True)
class GatewayPart(SubentryPart):
    """A gateway through which meters are reached."""

    @property
    def status(self) -> GatewayStatus | None:
        """Return what it last told; None while it does not answer."""
        return self.coordinator.gateways.statuses.get(self.subentry_id)

    @property
    @override
    def live(self) -> bool:
        """Return whether it answers."""
        return self.status is not None

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Return the gateway's device."""
        return DeviceInfo(
            identifiers={(DOMAIN, self.key)},
            manufacturer="Teltonika",
            name=self.subentry.title,
            via_device_id=self.site_device_id,
        )


@dataclass(frozen=True, kw_only=True)
class ChargePointPart(SubentryPart):
    """A charge point."""

    @property
    def charge_point(self) -> ChargePoint:
        """Return the OCPP server's view of it."""
        return self.coordinator.charge_points[self.subentry_id]

    @property
    @override
    def live(self) -> bool:
        """Return whether its socket is open."""
        return self.charge_point.connected

    @property
    @override
    def device_info(self) -> DeviceInfo | ChildDeviceInfo:
        """Return the charge point's device; what it is comes with its BootNotification (devices.py)."""
        return DeviceInfo(
            identifiers={(DOMAIN, self.subentry_id)},
            name=self.subentry.title,
            via_device_id=self.site_device_id,
        )


@dataclass(frozen=True, kw_only=True)
class ConnectorPart(ChargePointPart):
    """A connector of a charge point.

    The only connector of a charge point is shown on the charge point's own device: nobody calls a wall box's
    cable "connector 1". Of several, each is a child device.
    """

    number: int
    connector: Connector
    """As configured; another wiring comes with a reload. What can change without one is in `controls`."""

    @property
    def id(self) -> str:
        """Return the id by which the energy management knows it."""
        return self.connector.id

    @property
    @override
    def key(self) -> str:
        """Return what tells this connector from all others."""
        return f"{self.subentry_id}_{self.number}"

    @property
    def name(self) -> str:
        """Return what a person calls it, in a list of all connectors of the site."""
        return connector_name(self.subentry, self.number)

    @property
    def has_own_device(self) -> bool:
        """Return whether it has a device of its own: the charge point has other connectors, too."""
        return len(self.subentry.data[CONF_CONNECTORS]) > 1

    @property
    @override
    def device_info(self) -> DeviceInfo | ChildDeviceInfo:
        """Return the connector's device."""
        if not self.has_own_device:
            return super().device_info
        return ChildDeviceInfo(
            identifiers={(DOMAIN, self.key)},
            translation_key="connector",
            translation_placeholders={"number": str(self.number)},
            parent_device_id=dr.async_get_device_id_by_identifier(
                self.coordinator.hass,
                (DOMAIN, self.subentry_id),
                config_entry_id=self.coordinator.config_entry.entry_id,
            ),
        )

    @property
    def is_dc(self) -> bool:
        """Return whether it is controlled in W."""
        return self.connector.supply is Supply.DC

    @property
    def view(self) -> ConnectorView:
        """Return what the charge point said."""
        return self.charge_point.connectors[self.number]

    @property
    def state(self) -> ConnectorState:
        """Return its state; offline while the charge point's socket is closed."""
        return self.view.state if self.live else ConnectorState.OFFLINE

    @property
    def controls(self) -> ConnectorControls:
        """Return what a person set."""
        return self.coordinator.controls.connector(self.id)

    @property
    def decision(self) -> ConnectorDecision | None:
        """Return what it is allowed; None before the first decision about it."""
        return self.data.decision.connectors.get(self.id)

    @property
    def self_test_result(self) -> str | None:
        """Return what the last self-test found, the worst of it; None: there was none since the start."""
        test = self.charge_point.self_tests.get(self.number)
        match test:
            case None:
                return None
            case SelfTest(meter_values=False):
                return "no_meter_values"
            case SelfTest(obeys=False):
                return "disobeys"
            case SelfTest(falls_back=False):
                return "no_fallback"
            case SelfTest(obeys=True, falls_back=True):
                return "passed"
        return "inconclusive"

    @property
    def permit(self) -> float | None:
        """Return what it is allowed, in A per phase (AC) or W (DC)."""
        if (decision := self.decision) is None:
            return None
        return decision.permit_w if self.is_dc else decision.permit_a

    @property
    def accepted_permit(self) -> float | None:
        """Return what the charge point accepted last: it lags behind, or does not take what it is told."""
        if (permit := self.view.permit) is None:
            return None
        return permit.limit_w if self.is_dc else permit.limit_a

    @property
    def limit(self) -> Limit | None:
        """Return what binds the connector, with the names of circuit and user group for their ids."""
        if (decision := self.decision) is None:
            return None
        limit = decision.limited_by
        circuit, group = limit.circuit, limit.group
        if circuit is not None:
            circuit = self.coordinator.circuit_names.get(circuit, circuit)
        if group is not None:
            group = self.coordinator.group_names.get(group, group)
        return replace(limit, circuit=circuit, group=group)

    @property
    def user(self) -> User | None:
        """Return who charges; None: nobody, or somebody unknown."""
        transaction = self.view.transaction
        return self.coordinator.people.user_of(
            transaction.id_tag if transaction else None
        )

    @property
    def observation(self) -> ConnectorObservation | None:
        """Return what the energy management was told about it."""
        return self.data.observation.connectors.get(self.id)

    @property
    def power_w(self) -> float | None:
        """Return the measured power."""
        observation = self.observation
        return observation.power_w if _is_current(observation) else None

    def current_a(self, index: int) -> float | None:
        """Return the measured current of the charge point's own phase, 0 to 2."""
        observation = self.observation
        if not _is_current(observation) or observation.current_a is None:
            return None
        return observation.current_a[index]

    @property
    def phase_names(self) -> tuple[str, ...]:
        """Return what the charge point's own phases are called: by line phase where that is known."""
        connector = self.connector
        if connector.phases:
            return tuple(connector.phases)
        return tuple(str(number) for number in range(1, connector.phase_count + 1))


def _is_current(
    observation: ConnectorObservation | None,
) -> TypeIs[ConnectorObservation]:
    """Return whether there is a measurement that says something about now."""
    return (
        observation is not None
        and observation.age_s is not None
        and observation.age_s <= MEASUREMENT_LIFE_S
    )


def site_part(coordinator: ReevCoordinator) -> SitePart:
    """Return the site."""
    return SitePart(
        coordinator=coordinator, circuit=_circuits(coordinator)[ROOT_CIRCUIT]
    )


def circuit_parts(coordinator: ReevCoordinator) -> Iterator[CircuitPart]:
    """Return the circuits below the grid connection."""
    for circuit_id, circuit in _circuits(coordinator).items():
        if circuit_id != ROOT_CIRCUIT:
            yield CircuitPart(
                coordinator=coordinator, circuit=circuit, subentry_id=circuit_id
            )


def meter_parts(coordinator: ReevCoordinator) -> Iterator[MeterPart]:
    """Return the meters."""
    circuits = _circuits(coordinator)
    entry = coordinator.config_entry
    for subentry in entry.get_subentries_of_type(SUBENTRY_METER):
        yield MeterPart(
            coordinator=coordinator,
            circuit=circuits[subentry.data[CONF_CIRCUIT]],
            subentry_id=subentry.subentry_id,
        )


def gateway_parts(coordinator: ReevCoordinator) -> Iterator[GatewayPart]:
    """Return the gateways."""
    root = _circuits(coordinator)[ROOT_CIRCUIT]
    entry = coordinator.config_entry
    for subentry in entry.get_subentries_of_type(SUBENTRY_GATEWAY):
        yield GatewayPart(
            coordinator=coordinator, circuit=root, subentry_id=subentry.subentry_id
        )


def charge_point_parts(coordinator: ReevCoordinator) -> Iterator[ChargePointPart]:
    """Return the charge points."""
    circuits = _circuits(coordinator)
    entry = coordinator.config_entry
    for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT):
        yield ChargePointPart(
            coordinator=coordinator,
            circuit=circuits[subentry.data[CONF_CIRCUIT]],
            subentry_id=subentry.subentry_id,
        )


def connector_parts(coordinator: ReevCoordinator) -> Iterator[ConnectorPart]:
    """Return the connectors of all charge points."""
    connectors = {item.id: item for item in coordinator.data.site.connectors}
    for part in charge_point_parts(coordinator):
        for item in part.subentry.data[CONF_CONNECTORS]:
            number = item[CONF_NUMBER]
            item_id = connector_id(part.subentry.data[CONF_CHARGE_POINT_ID], number)
            yield ConnectorPart(
                coordinator=coordinator,
                circuit=part.circuit,
                subentry_id=part.subentry_id,
                number=number,
                connector=connectors[item_id],
            )


def _circuits(coordinator: ReevCoordinator) -> dict[str, Circuit]:
    """Return the site's circuits by their id."""
    return {circuit.id: circuit for circuit in coordinator.data.site.circuits}

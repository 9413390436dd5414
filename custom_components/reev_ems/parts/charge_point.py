"""Charge points and their connectors as the parts of a site that entities speak about."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import TypeIs, override

from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo

from ..const import (
    CONF_CHARGE_POINT_ID,
    CONF_CONNECTORS,
    CONF_NUMBER,
    DOMAIN,
    SUBENTRY_CHARGE_POINT,
)
from ..coordinator import ReevCoordinator
from ..energy_management.decision import ConnectorDecision, IssueKind, Limit
from ..energy_management.model import Connector, Supply
from ..energy_management.observation import ConnectorObservation, ConnectorState
from ..ocpp_server import ChargePoint, ConnectorView, SelfTest
from ..site.build import connector_id
from ..site.controls import ConnectorControls
from ..site.names import connector_name
from ..site.people import User
from .base import SubentryPart, circuit_of, site_circuits

# Chargers sample every 10 s as configured, some only every minute whatever they are told; what is older than two
# of those says nothing about now.
MEASUREMENT_LIFE_S = 120.0

# As many connectors have their measured values written at the usual pace, six each in five seconds. Of more, each has
# them written less often: a database takes a hundred rows a second for years, and not a thousand.
PACED_CONNECTORS = 80

STATUS_CONNECTED = "connected"

SELF_TEST_NOT_RUN = "not_run"
SELF_TEST_RUNNING = "running"

# What a self-test can find, from the best to the worst.
SELF_TEST_RESULTS = (
    "passed",
    "inconclusive",
    "no_fallback",
    "disobeys",
    "no_meter_values",
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
    def problem(self) -> str | None:
        """Return what is wrong with it: as it says itself, else as what it draws shows; None: nothing."""
        for problem in self.charge_point.problems:
            return problem
        own = {
            connector_id(self.charge_point.id, number)
            for number in self.charge_point.connectors
        }
        disobeys = any(
            issue.kind is IssueKind.DISOBEDIENT and issue.connector in own
            for issue in self.data.decision.issues
        )
        return IssueKind.DISOBEDIENT.value if disobeys else None

    @property
    @override
    def fingerprint(self) -> Hashable:
        """Return all that its entities show."""
        charge_point = self.charge_point
        return (
            self.coordinator.last_update_success,
            charge_point.connected,
            charge_point.info,
            self.problem,
            charge_point.floor_accepted,
            charge_point.firmware_status,
        )

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
    @override
    def slowness(self) -> float:
        """Return how many times slower than usual its measured values are written: many share what a database takes."""
        return max(1.0, len(self.data.site.connectors) / PACED_CONNECTORS)

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
    def status(self) -> str:
        """Return its state as a person sees it: connected, and else unknown, is not offline."""
        if self.live and self.state is ConnectorState.OFFLINE:
            return STATUS_CONNECTED
        return str(self.state)

    @property
    @override
    def fingerprint(self) -> Hashable:
        """Return all that its entities show."""
        view, observation = self.view, self.observation
        return (
            super().fingerprint,
            view.state,
            view.status,
            view.error_code,
            view.measured_at_s,
            view.energy_wh,
            view.voltage_v,
            view.soc_pct,
            view.temperature_c,
            view.transaction,
            view.permit,
            self.decision,
            self._steady_limit,
            observation and (observation.current_a, observation.power_w),
            _is_current(observation),
            self.controls,
            self.self_test_result,
            id(self.coordinator.people),
        )

    @property
    def controls(self) -> ConnectorControls:
        """Return what a person set."""
        return self.coordinator.controls.connector(self.id)

    @property
    def decision(self) -> ConnectorDecision | None:
        """Return what it is allowed; None before the first decision about it."""
        return self.data.decision.connectors.get(self.id)

    @property
    def self_test_result(self) -> str:
        """Return what the last self-test found, the worst of it, or that it runs."""
        if self.number in self.charge_point.testing:
            return SELF_TEST_RUNNING
        test = self.charge_point.self_tests.get(self.number)
        match test:
            case None:
                return SELF_TEST_NOT_RUN
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
        """Return what it is allowed, in A per phase (AC) or W (DC); None also where nothing can hold it."""
        if (decision := self.decision) is None or not self._holds_permit:
            return None
        return decision.permit_w if self.is_dc else decision.permit_a

    @property
    def _holds_permit(self) -> bool:
        """Return whether it has a session to which the permit goes, paused or not, or took the permit without one."""
        view, paused = self.view, self.charge_point.steering.pauses
        return (
            view.transaction is not None
            or view.permit is not None
            or self.number in paused
        )

    @property
    def accepted_permit(self) -> float | None:
        """Return what the charge point accepted last: it lags behind, or does not take what it is told."""
        if (permit := self.view.permit) is None:
            return None
        return permit.limit_w if self.is_dc else permit.limit_a

    @property
    def limit(self) -> Limit | None:
        """Return what binds the connector, with the names of circuit and user group for their ids."""
        return self._named(self.decision.limited_by) if self.decision else None

    @property
    def shown_limit(self) -> Limit | None:
        """Return what binds the connector as `limit` does, for a state: a short wait to be raised changes nothing."""
        return self._named(limit) if (limit := self._steady_limit) else None

    @property
    def _steady_limit(self) -> Limit | None:
        """Return what binds the connector, in the words of the energy management, for a state."""
        if (decision := self.decision) is None:
            return None
        data = self.data
        settings = (data.site, data.observation.external_limit_w is None)
        return self.coordinator.steady_limits[self.id].shown(
            decision.limited_by, data.decision.at_s, settings
        )

    def _named(self, limit: Limit) -> Limit:
        """Return a limit with the names of circuit and user group for their ids."""
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


def charge_point_parts(coordinator: ReevCoordinator) -> Iterator[ChargePointPart]:
    """Return the charge points."""
    circuits = site_circuits(coordinator)
    for subentry in coordinator.subentries_of_type(SUBENTRY_CHARGE_POINT):
        yield ChargePointPart(
            coordinator=coordinator,
            circuit=circuit_of(circuits, subentry),
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

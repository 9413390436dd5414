"""The parts of a site that entities speak about, each a device of its own.

A part knows where its facts are and which device shows them; what is made of the facts is in the platforms'
tables of descriptions.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceInfo

from ..const import (
    CONF_CIRCUIT,
    CONF_PROFILE,
    CONF_SENSORS,
    CONF_SERIAL,
    DOMAIN,
    ROOT_CIRCUIT,
    SUBENTRY_CIRCUIT,
    SUBENTRY_GATEWAY,
    SUBENTRY_METER,
)
from ..coordinator import ReevCoordinator, SiteData
from ..energy_management.decision import CircuitDecision
from ..energy_management.model import Circuit, PartPerPhase
from ..energy_management.observation import MeterReading
from ..meters import FOLLOWING_QUANTITIES, GatewayStatus, MeterProfile
from ..readings.meters import MeterStatus
from ..site.texts import async_model

MANUFACTURER = "reev EMS"

UNKNOWN_PER_PHASE: PartPerPhase = (None, None, None)


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
    def slowness(self) -> float:
        """Return how many times slower than usual its measured values are written."""
        return 1.0

    @property
    def fingerprint(self) -> Hashable:
        """Return what is another one when there may be something new to show; None: that cannot be told so easily."""
        return None

    @property
    def device_info(self) -> DeviceInfo | ChildDeviceInfo:
        """Return the device that shows this part."""
        return DeviceInfo(
            identifiers={(DOMAIN, self.key)},
            manufacturer=MANUFACTURER,
            model=async_model(self.coordinator.hass, "site"),
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
        return self.coordinator.subentry(self.subentry_id)

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
            model=async_model(self.coordinator.hass, SUBENTRY_CIRCUIT),
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
        if (sensors := self.subentry.data.get(CONF_SENSORS)) is not None:
            # Currents and powers follow from each other, voltages from nothing.
            return quantity in sensors or quantity in FOLLOWING_QUANTITIES
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


def site_part(coordinator: ReevCoordinator) -> SitePart:
    """Return the site."""
    return SitePart(
        coordinator=coordinator, circuit=site_circuits(coordinator)[ROOT_CIRCUIT]
    )


def circuit_parts(coordinator: ReevCoordinator) -> Iterator[CircuitPart]:
    """Return the circuits below the grid connection."""
    for circuit_id, circuit in site_circuits(coordinator).items():
        if circuit_id != ROOT_CIRCUIT:
            yield CircuitPart(
                coordinator=coordinator, circuit=circuit, subentry_id=circuit_id
            )


def meter_parts(coordinator: ReevCoordinator) -> Iterator[MeterPart]:
    """Return the meters."""
    circuits = site_circuits(coordinator)
    for subentry in coordinator.subentries_of_type(SUBENTRY_METER):
        yield MeterPart(
            coordinator=coordinator,
            circuit=circuit_of(circuits, subentry),
            subentry_id=subentry.subentry_id,
        )


def gateway_parts(coordinator: ReevCoordinator) -> Iterator[GatewayPart]:
    """Return the gateways."""
    root = site_circuits(coordinator)[ROOT_CIRCUIT]
    for subentry in coordinator.subentries_of_type(SUBENTRY_GATEWAY):
        yield GatewayPart(
            coordinator=coordinator, circuit=root, subentry_id=subentry.subentry_id
        )


def site_circuits(coordinator: ReevCoordinator) -> dict[str, Circuit]:
    """Return the site's circuits by their id."""
    return {circuit.id: circuit for circuit in coordinator.data.site.circuits}


def circuit_of(circuits: Mapping[str, Circuit], subentry: ConfigSubentry) -> Circuit:
    """Return the circuit of a meter or charge point; the grid connection in place of one that was removed."""
    return circuits.get(subentry.data[CONF_CIRCUIT]) or circuits[ROOT_CIRCUIT]

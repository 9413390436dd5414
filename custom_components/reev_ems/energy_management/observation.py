"""What was measured and what the charge points said, and how old it is.

A value that is missing, stale or implausible is None: unknown is absent, never zero (S2). Times are seconds of one
monotonic clock that the caller chooses; ages are relative to the observation's `at_s`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from .frozen import frozen
from .model import PartPerPhase


class ConnectorState(StrEnum):
    """The state of a connector, common to OCPP 1.6 and 2.0.1."""

    AVAILABLE = "available"
    PLUGGED = "plugged"
    CHARGING = "charging"
    SUSPENDED_EV = "suspended_ev"
    SUSPENDED_EVSE = "suspended_evse"
    FINISHING = "finishing"
    FAULTED = "faulted"
    OFFLINE = "offline"


@frozen
class MeterReading:
    """One complete reading of an energy meter, as it leaves the meter's reader.

    Currents and powers are signed, positive for import. `at_s` is the monotonic time at which the device
    answered. A quantity that the device does not offer is None.
    """

    at_s: float
    current_a: PartPerPhase
    voltage_v: PartPerPhase = (None, None, None)
    power_w: PartPerPhase = (None, None, None)
    power_total_w: float | None = None
    frequency_hz: float | None = None
    energy_import_wh: float | None = None
    energy_export_wh: float | None = None


@frozen
class MeterObservation:
    """What is known of a metered circuit's load."""

    current_a: PartPerPhase | None = None
    power_w: float | None = None
    voltage_v: PartPerPhase | None = None
    energy_import_wh: float | None = None
    age_s: float | None = None
    """None: there never was a reading."""


@frozen
class ConnectorObservation:
    """What is known of a connector."""

    state: ConnectorState
    current_a: PartPerPhase | None = None
    """Measured by the charge point, in the order of its own phases; absent phases of a single-phase car are 0."""
    power_w: float | None = None
    age_s: float | None = None
    """Age of `current_a` and `power_w`."""
    permit_a: float | None = None
    """What the charge point last accepted (AC); None: the last command counts as accepted."""
    permit_w: float | None = None
    priorities: tuple[int, ...] = ()
    """Priorities of the session's user and user groups; the highest of these and the connector's applies."""
    groups: tuple[str, ...] = ()
    """Ids of the session's user groups, also while the charge point is offline; only those with a limit matter."""
    used_phases: int | None = None
    """On how many of its own phases this user's car charged the last time; None: not known."""
    session_wh: float | None = None
    enabled: bool = True
    """The person's charging switch: False pauses."""
    authorized: bool = True
    """Whether the session's user may charge: False pauses."""


@frozen
class BatteryObservation:
    """The home battery; power is positive while it charges."""

    power_w: float | None = None
    soc_pct: float | None = None


@frozen
class Observation:
    """All that is known at one moment; meters are keyed by circuit, connectors by their id."""

    at_s: float
    meters: Mapping[str, MeterObservation] = field(default_factory=dict)
    connectors: Mapping[str, ConnectorObservation] = field(default_factory=dict)
    external_limit_w: float | None = None
    """§14a EnWG or another external limit for the controllable connectors, in W; None: no limit."""
    battery: BatteryObservation | None = None

"""What the rest of the program and the OCPP server tell each other, whatever the OCPP version.

A connector id is the OCPP 1.6 connector number; for OCPP 2.0.1 it is the EVSE's number. Currents are in A per phase,
powers in W, energies in Wh. Monotonic times end in `_s`, points in time of the real world are aware datetimes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import override

from ..energy_management.model import PartPerPhase, Supply
from ..energy_management.observation import ConnectorState

type Payload = dict[str, object]
"""The body of an OCPP message, as JSON has it."""

NOMINAL_VOLTAGE_V = 230.0


class CallError(Exception):
    """A request to a charge point that brought no usable answer.

    `key` says why, in words that the user interface translates: `not_connected`, `busy` (too many calls wait),
    `timeout`, `disconnected` (while waiting), `refused` (CALLERROR), `rejected` (answered with a negative status),
    `invalid_answer`, `unknown_connector`, `no_transaction`; of the self-test also `draws_too_little`, `aborted` and
    `test_running`.
    """

    def __init__(
        self, key: str, detail: str = "", *, status: str | None = None
    ) -> None:
        """Keep the key, an English detail and the status or error code that the charge point gave."""
        super().__init__(f"{key}: {detail}" if detail else key)
        self.key = key
        self.detail = detail
        self.status = status


def is_unknown_action(error: CallError) -> bool:
    """Whether a charge point does not know such a request at all: other payloads would not help."""
    return error.key == "refused" and error.status in {"NotImplemented", "NotSupported"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The failsafe that a charge point falls back to by itself (S4): A per phase for AC, W for DC.

    `limit_w` may be left out on AC (it follows from the current). 0 stops charging.
    """

    limit_a: float | None = 6.0
    limit_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What a connector may take from now on, and for how long before it falls to the floor by itself (S5)."""

    limit_a: float | None = None
    """A per phase used; AC."""
    limit_w: float | None = None
    """W in total; DC."""
    life_s: float = 300.0
    phase_count: int | None = None
    """Phases to charge with; only for charge points that can switch phases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePointConfig:
    """One adopted charge point, as the person set it up."""

    id: str
    connector_ids: tuple[int, ...] = (1,)
    floor: Floor = field(default_factory=Floor)
    supply: Mapping[int, Supply] = field(default_factory=dict)
    """By connector; AC where it is left out."""
    phases: Mapping[int, int] = field(default_factory=dict)
    """Number of phases by connector; 3 where it is left out."""
    maximum: Mapping[int, float] = field(default_factory=dict)
    """The most that a connector can charge with, in A (AC) or W (DC): what a charge point that takes no limits draws."""
    password: str | None = None
    """Basic authentication is demanded if it is set."""
    former_password: str | None = None
    """Still good: a charge point that was told another may not have taken it."""
    password_on_trial: bool = False
    """Whether it is let in without its password, too: it was told one, and has not shown yet that it uses it."""
    demands_certificate: bool = False
    """Whether it has to show a certificate of its own where the server does not demand one of all."""
    certificates: tuple[str, ...] | None = None
    """Serial numbers (tls.serial_number) of those that are good; None: any that its authority signed in its name."""
    meter_interval_s: int = 10
    quirks: Mapping[str, object] = field(default_factory=dict)
    """Overrides of what is known of its model (quirks.py)."""

    def supply_of(self, connector_id: int) -> Supply:
        """Return how the connector feeds the car."""
        return self.supply.get(connector_id, Supply.AC)

    def phases_of(self, connector_id: int) -> int:
        """Return how many phases the connector is wired with."""
        return self.phases.get(connector_id, 3)


class Problem(StrEnum):
    """What is wrong with a charge point, and a person should know."""

    FLOOR_REJECTED = "floor_rejected"
    """It keeps no failsafe (S4)."""
    PROFILE_REJECTED = "profile_rejected"
    """It takes no limits."""
    SCHEDULE_DIFFERS = "schedule_differs"
    """Another limit than it was told is in force, as it says itself."""
    RESTART_NEEDED = "restart_needed"
    """A setting acts only from its next restart on."""
    CONNECTOR_UNKNOWN = "connector_unknown"
    """A session runs where nothing is steered, since that connector is not set up."""
    POWER_CONTRADICTS = "power_contradicts"
    """It reports no power while its energy register rises."""
    ID_TWICE = "id_twice"
    """Several charge points connect with its id."""
    LOG_INS_FAILED = "log_ins_failed"
    """Somebody tries passwords."""
    PASSWORD_UNUSED = "password_unused"
    """It goes on without the password that it was given."""


class AuthorizationStatus(StrEnum):
    """The answer to an RFID card or another token; the values are those of OCPP."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Whether an id tag may charge."""

    status: AuthorizationStatus = AuthorizationStatus.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whose an id tag is."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootInfo:
    """What a charge point says about itself; what it leaves out is None."""

    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None


class CertificateUse(StrEnum):
    """What a certificate in a charge point's store is for."""

    CENTRAL_SYSTEM = "central_system"
    """The authority by which it knows this server."""
    MANUFACTURER = "manufacturer"
    """The authority by which it knows firmware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateHash:
    """How a charge point names a certificate in its store."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareSignature:
    """What shows a charge point that firmware is its manufacturer's."""

    certificate: str
    """PEM."""
    signature: str
    """Base64."""


class LogKind(StrEnum):
    """What a charge point can upload; the values are those of OCPP."""

    DIAGNOSTICS = "DiagnosticsLog"
    SECURITY = "SecurityLog"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownChargePoint:
    """A charge point that knocked while pairing was open and is not adopted."""

    id: str
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    address: str | None = None
    """IP address that it dialled in from."""
    version: str = "1.6"
    last_seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A running charging transaction."""

    id: int
    """The id in the session records; for OCPP 1.6 also the one on the wire."""
    remote_id: str | None = None
    """The charging station's own id; OCPP 2.0.1."""
    id_tag: str | None = None
    user: User | None = None
    """Whose tag it was when the transaction began; None: nobody's."""
    started_at: datetime
    meter_start_wh: float | None = None
    energy_wh: float | None = None
    """Charged so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What the commissioning self-test found; None: could not be told."""

    meter_values: bool
    """Whether measured values arrive."""
    obeys: bool | None = None
    """Whether it keeps to a limit."""
    schedule_agrees: bool | None = None
    """Whether its own composite schedule shows the floor after the permit."""
    falls_back: bool | None = None
    """Whether it went to its floor by itself."""
    fall_back_s: float | None = None
    """Measured seconds from the end of the permit to the floor; as exact as its meter values are frequent."""


@dataclass(slots=True, kw_only=True)
class ConnectorView:
    """What is known of a connector right now. Only the server writes it."""

    connector_id: int
    supply: Supply = Supply.AC
    state: ConnectorState = ConnectorState.OFFLINE
    status: str | None = None
    """As the charge point words it."""
    error_code: str | None = None
    current_a: PartPerPhase | None = None
    """In the order of the charge point's own phases; None for DC."""
    power_w: float | None = None
    voltage_v: float | None = None
    energy_wh: float | None = None
    """The register, not the session."""
    soc_pct: float | None = None
    current_offered_a: float | None = None
    power_offered_w: float | None = None
    temperature_c: float | None = None
    measured_at_s: float | None = None
    """Monotonic time at which `current_a` and `power_w` were measured."""
    phases_used: int | None = None
    """Phases on which the car was seen to draw in this transaction."""
    transaction: Transaction | None = None
    began_at_s: float | None = None
    """Monotonic time at which the last transaction began."""
    permit: Permit | None = None
    """The last accepted one; where an answer is missing, the larger of the two that may be in force."""
    permit_accepted_at_s: float | None = None
    permit_expires_at_s: float | None = None

    @override
    def __str__(self) -> str:
        """Return a line for the log."""
        return f"connector {self.connector_id}: {self.state}"


type IdTags = Mapping[str, bool]
"""Id tags, and whether they may charge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a charge point's list can take."""

    per_message: int
    in_all: int | None = None
    """None: it does not tell."""

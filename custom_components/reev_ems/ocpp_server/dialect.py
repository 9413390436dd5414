"""What differs between the OCPP versions, below the one ChargePoint that the rest of the program sees."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ..energy_management.observation import ConnectorState
from . import fields
from .abilities import Abilities
from .measurands import Measured
from .model import (
    Authorization,
    AuthorizationStatus,
    BootInfo,
    CertificateHash,
    CertificateUse,
    ChargePointConfig,
    ConnectorView,
    FirmwareSignature,
    IdTags,
    LogKind,
    Payload,
    Problem,
    Room,
    Transaction,
    User,
)
from .profiles import Profile
from .quirks import Quirks
from .session import CALL_TIMEOUT_S
from .transactions import TransactionLog

HEARTBEAT_S = 60
PENDING_INTERVAL_S = 10
PING_INTERVAL_S = 30

MEASURANDS = (
    "Power.Active.Import",
    "Current.Import",
    "Energy.Active.Import.Register",
    "Voltage",
    "Current.Offered",
    "Power.Offered",
    "SoC",
    "Temperature",
)
"""To ask for, in order of value."""


def fitting(
    measurands: Sequence[str], *, most: int | None = None, length: int | None = None
) -> list[str]:
    """Return as many of the best measurands as a charge point takes.

    Args:
        measurands: in order of value.
        most: of them; None: not told.
        length: of their comma separated list, in characters; None: not told.
    """
    kept = list(measurands)
    while len(kept) > 1 and (
        (most is not None and 0 < most < len(kept))
        or (length is not None and 0 < length < len(",".join(kept)))
    ):
        del kept[-1]
    return kept


type Request = tuple[str, Payload]
"""An action and its payload."""


class Reporter(Protocol):
    """A charge point as its dialect knows it: what it reports to, and what it asks of."""

    id: str
    config: ChargePointConfig
    connectors: Mapping[int, ConnectorView]
    told_state: set[int]
    abilities: Abilities

    @property
    def quirks(self) -> Quirks:
        """What is known of its model."""

    @property
    def transactions(self) -> TransactionLog:
        """The session records."""

    @property
    def only_connector(self) -> int | None:
        """The number of its connector, if it has one only."""

    @property
    def wanted_measurands(self) -> list[str]:
        """What to ask it to measure, in order of value."""

    def took_measurands(self, asked: list[str], taken: list[str]) -> None:
        """Note which measurands it took."""

    def clock(self) -> float:
        """Return the monotonic time."""

    def now(self) -> datetime:
        """Return our time."""

    def our_time(self, at: datetime | None) -> datetime:
        """Return a time of the charge point on our clock."""

    def saw_time(self, at: datetime | None) -> None:
        """Learn the charge point's clock from the time in a message."""

    def clock_was_set(self) -> None:
        """It has been told the time."""

    def authorize(self, id_tag: str | None) -> Authorization:
        """Return whether an id tag may charge here."""

    def user_of(self, id_tag: str | None) -> User | None:
        """Return whose an id tag is; None: nobody's."""

    def booted(self, info: BootInfo) -> None:
        """It has started."""

    def status(
        self,
        connector_id: int,
        status: str,
        state: ConnectorState,
        error_code: str | None = None,
    ) -> None:
        """A connector is in a state."""

    def transaction_started(self, connector_id: int, transaction: Transaction) -> None:
        """A transaction runs."""

    def session_ended(
        self, session_id: int, meter_stop_wh: float | None, reason: str | None
    ) -> None:
        """A session is over, wherever it ran."""

    def metered(
        self, connector_id: int, measured: Measured, at: datetime | None
    ) -> None:
        """A connector was measured."""

    def firmware_told(self, status: str | None, request_id: int | None) -> None:
        """A firmware update has come further."""

    def upload_told(self, status: str | None, request_id: int | None) -> None:
        """An upload of diagnostics or of a log has come further."""

    def security_told(
        self, kind: str | None, at: datetime | None, detail: str | None
    ) -> None:
        """Something happened that matters for security."""

    def problem(self, name: Problem, *, present: bool) -> None:
        """Note that something is wrong, or is so no longer."""

    def sign(self, request: str) -> bool:
        """Give it the certificate that it asks for, in a moment; False if it cannot have one."""

    async def ask_for(self, message: str, connector_id: int | None = None) -> bool:
        """Ask it to send a message; returns whether it will."""

    async def raw_call(
        self,
        action: str,
        payload: Payload,
        *,
        urgent: bool = False,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Payload:
        """Send any request and return its answer. Raises CallError."""


class Dialect(ABC):
    """One OCPP version, spoken with one charge point."""

    version: str
    id_tag_length: int
    """Characters of the longest id tag."""

    def __init__(self, point: Reporter) -> None:
        """Speak for a charge point."""
        self.point = point
        self._requests = 0

    @abstractmethod
    async def handle(self, action: str, payload: Payload) -> Payload | None:
        """Answer a request; None: there is no such action. Raises MissingField."""

    @classmethod
    @abstractmethod
    def empty_answer(cls, action: str) -> Payload:
        """Return the answer that makes the charge point drop a queued message that is of no use."""

    @classmethod
    @abstractmethod
    def boot_info(cls, payload: Payload) -> BootInfo:
        """Return what a BootNotification says."""

    @classmethod
    @abstractmethod
    def turn_away(cls, action: str, payload: Payload) -> Payload | None:
        """Answer one that is not adopted so that nothing is charged; None: there is no such action."""

    @abstractmethod
    def state_of(self, connector: ConnectorView) -> ConnectorState:
        """Return the state that the last known status means; OFFLINE if none is known."""

    @abstractmethod
    def remember_status(self, connector_id: int, status: str) -> None:
        """Begin with the status that a connector had before a restart."""

    @abstractmethod
    def runs_already(self, connector_id: int) -> None:
        """Note that a transaction of a connector began before this program started."""

    @abstractmethod
    def wire_id(self, transaction: Transaction) -> str | int:
        """Return the transaction's id on the wire."""

    @abstractmethod
    def set_profile(self, profile: Profile) -> Payload:
        """Return the payload of SetChargingProfile."""

    @abstractmethod
    def clear_profile(self, profile_id: int) -> Request:
        """Remove one charging profile, by its id: without an id it would remove the floor too."""

    @abstractmethod
    def composite_schedule(self, connector_id: int, duration_s: int) -> Request:
        """Ask what limit is in force over the next seconds."""

    @abstractmethod
    def remote_start(self, connector_id: int, id_tag: str) -> Request:
        """Start charging."""

    @abstractmethod
    def remote_stop(self, transaction: Transaction) -> Request:
        """Stop charging."""

    @abstractmethod
    def reset(self, *, hard: bool) -> Request:
        """Restart the charge point."""

    @abstractmethod
    def unlock(self, connector_id: int) -> Request:
        """Unlock the plug."""

    @abstractmethod
    def set_availability(self, connector_id: int, *, operative: bool) -> Request:
        """Take a connector (0: the whole charge point) into or out of service."""

    @abstractmethod
    def reserve(
        self, connector_id: int, id_tag: str, until: datetime, reservation_id: int
    ) -> Request:
        """Reserve a connector for an id tag."""

    @abstractmethod
    def update_firmware(
        self, location: str, at: datetime, signature: FirmwareSignature | None
    ) -> Request:
        """Fetch firmware from a URL and install it."""

    @abstractmethod
    def get_diagnostics(self, location: str) -> Request:
        """Upload diagnostics to a URL."""

    def get_log(self, kind: LogKind, location: str) -> Request:
        """Upload a log to a URL."""
        return "GetLog", {
            "logType": kind.value,
            "requestId": self.next_request(),
            "log": {"remoteLocation": location},
        }

    def next_request(self) -> int:
        """Return a number for a request that is answered later, by messages of its own."""
        self._requests += 1
        return self._requests

    @abstractmethod
    def get_local_list_version(self) -> tuple[Request, str]:
        """Ask for the version of the list of id tags; also returns the field of the answer that holds it."""

    @abstractmethod
    def trigger_certificate(self) -> Request:
        """Ask it to ask for a new certificate (SignCertificate)."""

    @abstractmethod
    def certificate_signed(self, chain: str) -> Request:
        """Hand over the certificate that it asked for, in PEM."""

    @abstractmethod
    def install_certificate(self, use: CertificateUse, certificate: str) -> Request:
        """Put an authority's certificate (PEM) into its store."""

    @abstractmethod
    def installed_certificates(self, use: CertificateUse) -> Request:
        """Ask which certificates are in its store."""

    def delete_certificate(self, certificate: CertificateHash) -> Request:
        """Remove a certificate from its store."""
        return "DeleteCertificate", {
            "certificateHashData": {
                "hashAlgorithm": certificate.algorithm,
                "issuerNameHash": certificate.issuer_name_hash,
                "issuerKeyHash": certificate.issuer_key_hash,
                "serialNumber": certificate.serial_number,
            }
        }

    @abstractmethod
    async def local_list_room(self) -> Room | None:
        """Ask what its list of id tags can take; None: it has none."""

    @abstractmethod
    async def enable_local_list(self) -> None:
        """Let it decide by its list while it is offline, where that is not so already."""

    @abstractmethod
    def send_local_list(self, id_tags: IdTags, version: int, *, full: bool) -> Request:
        """Replace its list of id tags, or add to it."""

    @abstractmethod
    def password_key(self, password: str) -> tuple[str, str]:
        """Return the configuration key for the password, and its value."""

    @abstractmethod
    def trigger(self, message: str, connector_id: int | None) -> Request:
        """Ask for a message."""

    @abstractmethod
    async def get_configuration(self, keys: list[str]) -> dict[str, str | None]:
        """Read configuration keys (all if none is named); for 2.x variables named `Component.Variable`."""

    async def change_configuration(self, key: str, value: str) -> str:
        """Write a configuration key and return the status."""
        status = await self._write(key, value)
        if status == "RebootRequired":
            self.point.problem(Problem.RESTART_NEEDED, present=True)
        return status

    @abstractmethod
    async def _write(self, key: str, value: str) -> str:
        """Write a configuration key and return the status."""

    @abstractmethod
    async def learn(self) -> None:
        """Read what the charge point can do, before anything is set."""

    @abstractmethod
    async def configure(self) -> None:
        """Set what metering and liveness need, where it is not so already."""

    # What both versions are told in the same words.

    async def _data_transfer(self, _payload: Payload) -> Payload:
        return {"status": "UnknownVendorId"}

    async def _firmware_status(self, payload: Payload) -> Payload:
        self.point.firmware_told(
            fields.text(payload, "status"), fields.integer(payload, "requestId")
        )
        return {}

    async def _upload_status(self, payload: Payload) -> Payload:
        self.point.upload_told(
            fields.text(payload, "status"), fields.integer(payload, "requestId")
        )
        return {}

    async def _security_event(self, payload: Payload) -> Payload:
        self.point.security_told(
            fields.text(payload, "type"),
            fields.moment(payload, "timestamp"),
            fields.text(payload, "techInfo"),
        )
        return {}

    async def _sign_certificate(self, payload: Payload) -> Payload:
        request = payload.get("csr")
        # Certificates for paying by plug are another authority's affair.
        wanted = fields.text(payload, "certificateType") != "V2GCertificate"
        taken = isinstance(request, str) and wanted and self.point.sign(request)
        return {"status": "Accepted" if taken else "Rejected"}


def status_of(may_charge: bool) -> str:
    """Return the status of an id tag in a list."""
    if may_charge:
        return AuthorizationStatus.ACCEPTED.value
    return AuthorizationStatus.BLOCKED.value

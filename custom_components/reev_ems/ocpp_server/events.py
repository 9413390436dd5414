"""What a charge point reports to its subscribers. Each event is sent once, after the views were updated."""

from dataclasses import dataclass
from datetime import datetime

from ..energy_management.observation import ConnectorState
from .learnt import Learnt
from .model import BootInfo, Permit, Problem, SelfTest, Transaction
from .profiles import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePointEvent:
    """Something that happened at a charge point."""

    charge_point_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(ChargePointEvent):
    """Its socket is open."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected(ChargePointEvent):
    """Its socket is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted(ChargePointEvent):
    """It sent a BootNotification."""

    info: BootInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorAccepted(ChargePointEvent):
    """It keeps its failsafe; permits may follow (S4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsChanged(ChargePointEvent):
    """What is wrong with it changed."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearntChanged(ChargePointEvent):
    """It has taught us something: to be kept, and handed to `OcppServer.adopt` after a restart."""

    learnt: Learnt


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareStatusChanged(ChargePointEvent):
    """A firmware update has come further; also in `ChargePoint.firmware_status`."""

    status: str
    """As OCPP words it: Downloading, Downloaded, Installing, Installed, DownloadFailed, ..."""
    request_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStatusChanged(ChargePointEvent):
    """The upload of diagnostics or of a log has come further; also in `ChargePoint.upload_status`."""

    status: str
    """As OCPP words it: Uploading, Uploaded, UploadFailed, ..."""
    request_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityEventReported(ChargePointEvent):
    """It noticed something that matters for security: a wrong password, an opened housing, a changed clock."""

    kind: str
    at: datetime
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIssued(ChargePointEvent):
    """It asked for a certificate and was sent one."""

    accepted: bool
    """Whether it took it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorEvent(ChargePointEvent):
    """Something that happened at one of its connectors."""

    connector_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(ConnectorEvent):
    """The connector is in another state, or has another error code."""

    state: ConnectorState


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionStarted(ConnectorEvent):
    """A session begins."""

    transaction: Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionEnded(ConnectorEvent):
    """A session is over; the transaction carries its energy."""

    transaction: Transaction
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered(ConnectorEvent):
    """New measured values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitAccepted(ConnectorEvent):
    """The charge point took a permit."""

    permit: Permit
    expires_at_s: float
    """Monotonic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitRejected(ConnectorEvent):
    """A permit did not get through; the one before it goes on until it expires."""

    permit: Permit
    reason: str
    """The status that it answered with, or the key of the CallError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleMismatch(ConnectorEvent):
    """It accepted a permit, but says that another limit is in force; the permit is sent again."""

    permit: Permit
    told: float
    """What it was told and accepted, in `unit`."""
    in_force: float | None
    """What it says, in `unit`; None: no limit at all."""
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRefused(ChargePointEvent):
    """An id tag was presented that may not charge."""

    id_tag: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTested(ConnectorEvent):
    """The commissioning self-test has ended."""

    result: SelfTest

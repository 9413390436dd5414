"""A charge point as bought, its outlets, and the transactions that run there."""

from dataclasses import dataclass, field
from enum import StrEnum

from .car import Connector, Supply
from .profiles import ChargingProfile, Limit, Unit, Wiring


class Status(StrEnum):
    """The state of an outlet, in the words of OCPP 1.6."""

    AVAILABLE = "Available"
    RESERVED = "Reserved"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    FINISHING = "Finishing"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class Registration(StrEnum):
    """What the central system answered to the BootNotification."""

    NONE = "None"
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePointConfig:
    """A charge point as bought."""

    id: str
    vendor: str = "Simulated"
    model: str = "AC 11"
    serial: str = "0"
    firmware: str = "1.0"
    auto_start: str | None = None
    """Id tag with which every car that is plugged in is started; None: a card must be shown."""
    max_stack_level: int = 8
    max_periods: int = 24
    max_profiles: int = 20
    units: tuple[Unit, ...] = (Unit.AMPERE, Unit.WATT)
    sample_interval_s: int = 60
    """MeterValueSampleInterval as delivered."""
    measurands: tuple[str, ...] = ("Energy.Active.Import.Register",)
    """MeterValuesSampledData as delivered."""
    measurands_max: int | None = None
    """Longest list of them: items (1.6), characters (2.0.1); None: it does not tell, and takes all."""
    local_list_max: int = 100
    """Id tags that its list has room for."""
    local_list_per_message: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """An outlet that is kept for somebody."""

    id: int
    id_tag: str
    """Casefolded."""
    until: float


@dataclass(slots=True, kw_only=True, eq=False)
class Transaction:
    """One charging transaction."""

    outlet: Outlet
    id_tag: str
    started_at: float
    meter_start_wh: int
    id: int | str | None = None
    """Given by the central system (1.6); None until it answered."""
    stopped_at: float | None = None
    meter_stop_wh: int = 0
    stop_reason: str = ""
    next_sample_at: float | None = None
    sequence: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Outlet:
    """A connector as its charge point sees it."""

    number: int
    connector: Connector
    wiring: Wiring
    status: Status = Status.AVAILABLE
    status_at: float = 0.0
    told: str | None = None
    """The status that the central system knows."""
    transaction: Transaction | None = None
    limit: Limit = field(init=False)
    """What the profiles say."""
    limit_since: float = 0.0
    operative: bool = True
    error: str | None = None
    finished: bool = False
    """The transaction is over, the plug still in."""
    reports_a: float = -1.0
    """What it says of its current instead of the truth (quirks.py)."""
    granted: tuple[str, float] | None = None
    """Id tag that may start here, until when."""
    granted_profile: ChargingProfile | None = None
    reservation: Reservation | None = None

    def __post_init__(self) -> None:
        """Start without a limit."""
        self.limit = Limit(amount=None, unit=self.wiring.unit, source="own maximum")

    @property
    def maximum(self) -> float:
        """Its own maximum, in its own unit."""
        return (
            self.connector.max_a
            if self.connector.supply is Supply.AC
            else self.connector.max_w
        )

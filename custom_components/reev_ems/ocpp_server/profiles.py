"""Charging profiles: from a permit to what goes on the wire. Pure functions, no clock.

The scheme (S5): the working profile lapses in three independent ways, since no single one works with every charger
(one client ignores `duration`; none ignored the second period).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
import math

from . import fields
from .model import Payload

START_MARGIN_S = 60.0
"""A profile starts this long ago, so that a clock that is a little behind does not leave a gap."""
GRACE_S = 60.0
"""`duration` and `validTo` end this long after the second period began: it is the one that should act."""

_ALWAYS = datetime.fromisoformat("1970-01-01T00:00:00Z")
"""When the floor begins: no clock of a charge point is set to a time before it."""

UNKNOWN_ACTION = "unknown action"
"""In place of a status: charging profiles are not implemented at all."""

_SAME_S = 2.0

FLOOR_PROFILE_ID = 1
_WORKING_PROFILE_ID = 100


class Unit(StrEnum):
    """What a charge point takes limits in."""

    AMPERE = "A"
    WATT = "W"


class Kind(StrEnum):
    """What a schedule counts its periods from."""

    ABSOLUTE = "Absolute"
    RELATIVE = "Relative"


class Purpose(StrEnum):
    """The purposes of OCPP 1.6; 2.x has another word for the last."""

    TX_PROFILE = "TxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    MAXIMUM = "ChargePointMaxProfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A charging profile, whatever the OCPP version."""

    id: int
    connector_id: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    unit: Unit
    periods: tuple[tuple[int, float], ...]
    """(seconds from the start, limit in `unit`)."""
    start: datetime | None = None
    """On the charge point's clock; only for absolute ones."""
    duration_s: int | None = None
    valid_to: datetime | None = None
    """On the charge point's clock."""
    transaction_id: str | int | None = None
    phase_count: int | None = None

    def like(self, other: Profile) -> bool:
        """Whether another profile says the same, and for as long, to the second."""
        timeless = {"periods": (), "start": None, "valid_to": None, "duration_s": None}
        if replace(self, **timeless) != replace(other, **timeless):  # type: ignore[arg-type]
            return False
        if [limit for _, limit in self.periods] != [
            limit for _, limit in other.periods
        ]:
            return False
        if self.valid_to is None or other.valid_to is None:
            return self.valid_to is other.valid_to
        return abs((self.valid_to - other.valid_to).total_seconds()) < _SAME_S


def floor_id(connector_id: int) -> int:
    """Return the id of the floor's profile: one for the whole charge point (connector 0), else one each."""
    return FLOOR_PROFILE_ID + connector_id


def working_id(connector_id: int) -> int:
    """Return the id of a connector's working profile. It stays the same, so that a renewal replaces."""
    return _WORKING_PROFILE_ID + connector_id


def truncate(limit: float, unit: Unit) -> float:
    """Return a limit as charge points take it: tenths of an ampere, whole watts, never rounded up."""
    if unit is Unit.AMPERE:
        return math.floor(limit * 10 + 1e-6) / 10
    return float(math.floor(limit + 1e-6))


def floor_profile(
    *,
    connector_id: int,
    stack_level: int,
    purpose: Purpose,
    kind: Kind,
    unit: Unit,
    limit: float,
    phase_count: int | None = None,
) -> Profile:
    """Return the failsafe: no expiry, lowest stack level (S4)."""
    return Profile(
        id=floor_id(connector_id),
        connector_id=connector_id,
        stack_level=stack_level,
        purpose=purpose,
        kind=kind,
        unit=unit,
        periods=((0, truncate(limit, unit)),),
        start=_ALWAYS if kind is Kind.ABSOLUTE else None,
        phase_count=phase_count,
    )


def working_profile(
    *,
    connector_id: int,
    stack_level: int,
    purpose: Purpose,
    kind: Kind,
    unit: Unit,
    limit: float,
    floor: float,
    life_s: float,
    now: datetime,
    elapsed_s: float,
    max_periods: int | None = None,
    transaction_id: str | int | None = None,
    phase_count: int | None = None,
) -> Profile:
    """Return the profile of a permit that lapses to the floor after `life_s` (S5).

    `now` is on the charge point's clock. A relative schedule counts from the start of the transaction, which was
    `elapsed_s` ago; it begins with the same limit, so that nothing depends on when the charge point began to count.
    """
    offset_s = START_MARGIN_S if kind is Kind.ABSOLUTE else max(0.0, elapsed_s)
    end_s = math.floor(offset_s + life_s)
    periods = [(0, truncate(limit, unit)), (end_s, truncate(floor, unit))]
    return Profile(
        id=working_id(connector_id),
        connector_id=0 if purpose is Purpose.MAXIMUM else connector_id,
        stack_level=stack_level,
        purpose=purpose,
        kind=kind,
        unit=unit,
        periods=tuple(periods[:max_periods]),
        start=now - timedelta(seconds=START_MARGIN_S)
        if kind is Kind.ABSOLUTE
        else None,
        duration_s=end_s + (int(GRACE_S) if max_periods != 1 else 0),
        valid_to=now
        + timedelta(seconds=life_s + (GRACE_S if max_periods != 1 else 0.0)),
        transaction_id=transaction_id if purpose is Purpose.TX_PROFILE else None,
        phase_count=phase_count,
    )


def _periods(profile: Profile) -> list[Payload]:
    extra: Payload = (
        {} if profile.phase_count is None else {"numberPhases": profile.phase_count}
    )
    return [
        {"startPeriod": start, "limit": limit, **extra}
        for start, limit in profile.periods
    ]


def _schedule(profile: Profile) -> Payload:
    schedule: Payload = {
        "chargingRateUnit": profile.unit,
        "chargingSchedulePeriod": _periods(profile),
    }
    if profile.start is not None:
        schedule["startSchedule"] = fields.timestamp(profile.start)
    if profile.duration_s is not None:
        schedule["duration"] = profile.duration_s
    return schedule


def to_16(profile: Profile) -> Payload:
    """Return the SetChargingProfile request of OCPP 1.6."""
    body: Payload = {
        "chargingProfileId": profile.id,
        "stackLevel": profile.stack_level,
        "chargingProfilePurpose": profile.purpose,
        "chargingProfileKind": profile.kind,
        "chargingSchedule": _schedule(profile),
    }
    if profile.valid_to is not None:
        body["validTo"] = fields.timestamp(profile.valid_to)
    if profile.transaction_id is not None:
        body["transactionId"] = profile.transaction_id
    return {"connectorId": profile.connector_id, "csChargingProfiles": body}


def to_201(profile: Profile) -> Payload:
    """Return the SetChargingProfile request of OCPP 2.0.1 and 2.1."""
    maximum = profile.purpose is Purpose.MAXIMUM
    body: Payload = {
        "id": profile.id,
        "stackLevel": profile.stack_level,
        "chargingProfilePurpose": "ChargingStationMaxProfile"
        if maximum
        else profile.purpose,
        "chargingProfileKind": profile.kind,
        "chargingSchedule": [{"id": 1, **_schedule(profile)}],
    }
    if profile.valid_to is not None:
        body["validTo"] = fields.timestamp(profile.valid_to)
    if profile.transaction_id is not None:
        body["transactionId"] = str(profile.transaction_id)
    return {"evseId": profile.connector_id, "chargingProfile": body}

"""OCPP 1.6 charging profiles as a good charge point understands them (section 3.13 of the specification).

Everything is pure; times are UTC seconds since 1970. Which limit counts:

- a profile counts while `validFrom` <= now < `validTo`, its schedule has begun, and its duration has not passed;
- of one purpose, the highest stack level that counts right now wins;
- a TxProfile goes before a TxDefaultProfile;
- a ChargePointMaxProfile is an upper bound on top of both;
- without any profile the connector's own maximum is the limit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

_DAY_S = 86400.0
_WEEK_S = 7 * _DAY_S


class Purpose(StrEnum):
    """What a profile is for."""

    CHARGE_POINT_MAX = "ChargePointMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


class Kind(StrEnum):
    """How a schedule's start is found."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


class Unit(StrEnum):
    """Unit of a limit: A per phase, or W in total."""

    AMPERE = "A"
    WATT = "W"


class ProfileError(ValueError):
    """A profile that contradicts itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A part of a schedule."""

    start_s: float
    """After the schedule's start."""
    limit: float
    number_phases: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingProfile:
    """A charging profile on one connector; connector 0 stands for the whole charge point."""

    id: int
    connector: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    unit: Unit
    periods: tuple[Period, ...]
    recurrency_s: float | None = None
    start_at: float | None = None
    duration_s: float | None = None
    valid_from: float | None = None
    valid_to: float | None = None
    transaction_id: int | str | None = None
    """A number in 1.6, a text in 2.0.1."""
    installed_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a connector may draw, and where that comes from."""

    amount: float | None
    """None: no profile limits; the connector's own maximum counts."""
    unit: Unit
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a connector needs to know of itself to turn W into A and back."""

    phases: int = 3
    voltage_v: float = 230.0
    unit: Unit = Unit.AMPERE
    """The unit that the connector works in."""

    def in_own_unit(self, limit: float, unit: Unit) -> float:
        """Convert a limit; W is the total over the phases, A is per phase."""
        if unit is self.unit:
            return limit
        whole = self.voltage_v * self.phases
        return limit / whole if unit is Unit.WATT else limit * whole


def iso(at: float) -> str:
    """Return a UTC time as OCPP writes it."""
    return (
        datetime.fromtimestamp(at, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def timestamp(text: str) -> float:
    """Return the seconds of an ISO 8601 time; one without zone is UTC.

    Raises:
        ProfileError: it is not a time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ProfileError(f"not a time: {text!r}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse_profile(
    connector: int, payload: Mapping[str, Any], now: float
) -> ChargingProfile:
    """Read `csChargingProfiles` of a message that already passed the OCPP schema.

    Raises:
        ProfileError: it contradicts itself.
    """
    schedule = payload["chargingSchedule"]
    periods = tuple(
        Period(
            start_s=float(period["startPeriod"]),
            limit=float(period["limit"]),
            number_phases=period.get("numberPhases"),
        )
        for period in schedule["chargingSchedulePeriod"]
    )
    if not periods or periods[0].start_s != 0.0:
        raise ProfileError("the first period must start at 0")
    starts = [period.start_s for period in periods]
    if starts != sorted(set(starts)):
        raise ProfileError("the periods must follow each other")
    if any(period.limit < 0.0 for period in periods):
        raise ProfileError("a limit must not be negative")
    kind = Kind(payload["chargingProfileKind"])
    recurrency = payload.get("recurrencyKind")
    if kind is Kind.RECURRING and (
        recurrency is None or "startSchedule" not in schedule
    ):
        raise ProfileError("a recurring profile needs recurrencyKind and startSchedule")
    if kind is Kind.RELATIVE and "startSchedule" in schedule:
        raise ProfileError("a relative profile has no startSchedule")

    def time_of(where: Mapping[str, Any], key: str) -> float | None:
        return timestamp(where[key]) if key in where else None

    return ChargingProfile(
        id=payload["chargingProfileId"],
        connector=connector,
        stack_level=payload["stackLevel"],
        purpose=Purpose(payload["chargingProfilePurpose"]),
        kind=kind,
        unit=Unit(schedule["chargingRateUnit"]),
        periods=periods,
        recurrency_s=None
        if kind is not Kind.RECURRING
        else _DAY_S
        if recurrency == "Daily"
        else _WEEK_S,
        start_at=time_of(schedule, "startSchedule"),
        duration_s=float(schedule["duration"]) if "duration" in schedule else None,
        valid_from=time_of(payload, "validFrom"),
        valid_to=time_of(payload, "validTo"),
        transaction_id=payload.get("transactionId"),
        installed_at=now,
    )


def period_at(
    profile: ChargingProfile, at: float, transaction_start: float | None
) -> Period | None:
    """Return the period that counts at a time; None: the profile does not count then."""
    if profile.valid_from is not None and at < profile.valid_from:
        return None
    if profile.valid_to is not None and at >= profile.valid_to:
        return None
    start = _schedule_start(profile, at, transaction_start)
    # To the millisecond: at an edge, the arithmetic of large floats must not decide which side it is on.
    elapsed = round(at - start, 3)
    if elapsed < 0.0 or (
        profile.duration_s is not None and elapsed >= profile.duration_s
    ):
        return None
    return next(
        period for period in reversed(profile.periods) if period.start_s <= elapsed
    )


def _schedule_start(
    profile: ChargingProfile, at: float, transaction_start: float | None
) -> float:
    begun = profile.installed_at if transaction_start is None else transaction_start
    if profile.kind is Kind.RELATIVE or profile.start_at is None:
        # Without a transaction a relative ChargePointMaxProfile starts when it comes into force.
        return (
            profile.installed_at
            if profile.purpose is Purpose.CHARGE_POINT_MAX
            else begun
        )
    if (
        profile.kind is Kind.RECURRING
        and profile.recurrency_s is not None
        and at >= profile.start_at
    ):
        turns = (at - profile.start_at + 5e-4) // profile.recurrency_s
        return profile.start_at + turns * profile.recurrency_s
    return profile.start_at


def composite_limit(
    profiles: Iterable[ChargingProfile],
    at: float,
    *,
    connector: int,
    wiring: Wiring,
    transaction_start: float | None = None,
    sharers: int = 1,
) -> Limit:
    """Return the limit of a connector at a time, in its own unit.

    Args:
        profiles: all that are installed on the charge point.
        at: the time.
        connector: its number, from 1.
        wiring: how the connector converts units.
        transaction_start: when its transaction began; None: there is none, so no TxProfile counts.
        sharers: how many connectors share a ChargePointMaxProfile.
    """
    counting = [
        (profile, period)
        for profile in profiles
        if profile.connector in (0, connector)
        and (period := period_at(profile, at, transaction_start)) is not None
    ]

    def highest(purpose: Purpose) -> Limit | None:
        candidates = [
            (profile, period)
            for profile, period in counting
            if profile.purpose is purpose
        ]
        if not candidates:
            return None
        # On one stack level the connector's own profile goes before the charge point's.
        profile, period = max(
            candidates, key=lambda pair: (pair[0].stack_level, pair[0].connector)
        )
        share = sharers if purpose is Purpose.CHARGE_POINT_MAX else 1
        return Limit(
            amount=wiring.in_own_unit(period.limit, profile.unit) / share,
            unit=wiring.unit,
            source=f"{purpose.value} {profile.id} stack {profile.stack_level}",
        )

    leading = highest(Purpose.TX) if transaction_start is not None else None
    leading = leading or highest(Purpose.TX_DEFAULT)
    ceiling = highest(Purpose.CHARGE_POINT_MAX)
    limits = [
        limit
        for limit in (leading, ceiling)
        if limit is not None and limit.amount is not None
    ]
    if not limits:
        return Limit(amount=None, unit=wiring.unit, source="own maximum")
    return min(
        limits,
        key=lambda limit: limit.amount if limit.amount is not None else float("inf"),
    )


def composite_schedule(
    profiles: Iterable[ChargingProfile],
    at: float,
    duration_s: float,
    *,
    connector: int,
    wiring: Wiring,
    transaction_start: float | None = None,
    sharers: int = 1,
) -> list[tuple[float, Limit]]:
    """Return (seconds after `at`, limit) wherever the limit of a connector changes within `duration_s`."""
    profiles = tuple(profiles)
    edges = {at}
    for profile in profiles:
        edges |= {
            edge
            for edge in _edges(profile, at, duration_s, transaction_start)
            if at < edge < at + duration_s
        }
    schedule: list[tuple[float, Limit]] = []
    for edge in sorted(edges):
        limit = composite_limit(
            profiles,
            edge,
            connector=connector,
            wiring=wiring,
            transaction_start=transaction_start,
            sharers=sharers,
        )
        if not schedule or schedule[-1][1].amount != limit.amount:
            schedule.append((edge - at, limit))
    return schedule


def _edges(
    profile: ChargingProfile,
    at: float,
    duration_s: float,
    transaction_start: float | None,
) -> set[float]:
    """Return all times at which the profile may change what it says."""
    edges = {
        edge
        for edge in (profile.valid_from, profile.valid_to, profile.start_at)
        if edge is not None
    }
    first = _schedule_start(profile, at, transaction_start)
    starts = [first]
    if profile.recurrency_s is not None:
        count = int(duration_s // profile.recurrency_s) + 1
        starts += [first + turn * profile.recurrency_s for turn in range(1, count + 1)]
    for start in starts:
        edges |= {start + period.start_s for period in profile.periods}
        if profile.duration_s is not None:
            edges.add(start + profile.duration_s)
    return edges


class ProfileStore:
    """The profiles installed on a charge point."""

    def __init__(self) -> None:
        """Start empty."""
        self.profiles: tuple[ChargingProfile, ...] = ()

    def install(self, profile: ChargingProfile) -> None:
        """Install; one of the same id, or of the same connector, purpose and stack level, is replaced."""

        def replaced(other: ChargingProfile) -> bool:
            return other.id == profile.id or (
                (other.connector, other.purpose, other.stack_level)
                == (profile.connector, profile.purpose, profile.stack_level)
            )

        self.profiles = (
            *(other for other in self.profiles if not replaced(other)),
            profile,
        )

    def clear(
        self,
        *,
        profile_id: int | None = None,
        connector: int | None = None,
        purpose: Purpose | None = None,
        stack_level: int | None = None,
    ) -> bool:
        """Remove the profiles that match; without any condition, all. Return whether any did."""

        def matches(profile: ChargingProfile) -> bool:
            if profile_id is not None:
                return profile.id == profile_id
            return (
                connector in (None, profile.connector)
                and purpose in (None, profile.purpose)
                and stack_level in (None, profile.stack_level)
            )

        kept = tuple(profile for profile in self.profiles if not matches(profile))
        removed = len(kept) != len(self.profiles)
        self.profiles = kept
        return removed

    def end_transaction(self, connector: int) -> None:
        """Forget the TxProfiles of a connector: they live as long as their transaction."""
        self.clear(connector=connector, purpose=Purpose.TX)

    def without_durations(self) -> tuple[ChargingProfile, ...]:
        """Return the profiles as a charge point sees them that does not know durations."""
        return tuple(replace(profile, duration_s=None) for profile in self.profiles)

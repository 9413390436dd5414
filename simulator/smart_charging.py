"""What both dialects share of smart charging: which profiles are taken, and the composite schedule."""

from collections.abc import Sequence
from dataclasses import replace

from .car import Supply
from .charge_point import ChargePoint
from .link import Json
from .outlets import ChargePointConfig, Outlet
from .profiles import ChargingProfile, Kind, Purpose, Unit, composite_schedule
from .quirks import Quirks

WHOLE = 0
"""The connector number (2.0.1: EVSE id) that stands for the whole charge point."""


def units(config: ChargePointConfig, quirks: Quirks) -> Sequence[Unit]:
    """Return the units of limits that are taken."""
    if quirks.power_unit_only:
        return (Unit.WATT,)
    if quirks.current_unit_only:
        return (Unit.AMPERE,)
    return config.units


def takes(config: ChargePointConfig, quirks: Quirks, profile: ChargingProfile) -> bool:
    """Whether the charge point is able to follow such a profile."""
    refused_purposes = {
        Purpose.TX: quirks.rejects_tx_profile,
        Purpose.TX_DEFAULT: quirks.rejects_tx_default,
        Purpose.CHARGE_POINT_MAX: quirks.rejects_charge_point_max,
    }
    return not (
        refused_purposes[profile.purpose]
        or profile.unit not in units(config, quirks)
        or (quirks.absolute_only and profile.kind is not Kind.ABSOLUTE)
        or (quirks.relative_only and profile.kind is not Kind.RELATIVE)
        or profile.stack_level
        > (0 if quirks.stack_zero_only else config.max_stack_level)
        or len(profile.periods) > (1 if quirks.single_period else config.max_periods)
    )


def fits(charge_point: ChargePoint, profile: ChargingProfile) -> bool:
    """Whether the profile fits what is there: connectors, transactions, room."""
    outlet = charge_point.outlet(profile.connector)
    if profile.connector != WHOLE and outlet is None:
        return False
    installed = {other.id for other in charge_point.store.profiles}
    if (
        profile.id not in installed
        and len(installed) >= charge_point.config.max_profiles
    ):
        return False
    if profile.purpose is Purpose.CHARGE_POINT_MAX:
        return profile.connector == WHOLE
    if profile.purpose is Purpose.TX_DEFAULT:
        return True
    if outlet is None or outlet.transaction is None:
        return False
    return profile.transaction_id in (None, outlet.transaction.id)


def composite_periods(
    charge_point: ChargePoint, outlet: Outlet, duration_s: float, unit: Unit
) -> list[Json]:
    """Return the `chargingSchedulePeriod` of a composite schedule that begins now."""
    transaction = outlet.transaction
    schedule = composite_schedule(
        charge_point.effective_profiles(),
        charge_point.now,
        duration_s,
        connector=outlet.number,
        wiring=outlet.wiring,
        transaction_start=transaction.started_at if transaction else None,
        sharers=charge_point.sharers,
    )
    asked = replace(outlet.wiring, unit=unit)
    periods: dict[int, Json] = {}
    for start_s, limit in schedule:
        amount = (
            outlet.maximum
            if limit.amount is None or charge_point.quirks.composite_ignores_limits
            else min(limit.amount, outlet.maximum)
        )
        period: Json = {
            "startPeriod": round(start_s),
            "limit": round(asked.in_own_unit(amount, outlet.wiring.unit), 1),
        }
        if outlet.connector.supply is Supply.AC:
            period["numberPhases"] = outlet.wiring.phases
        # Within one second, the later counts.
        periods[period["startPeriod"]] = period
    return list(periods.values())

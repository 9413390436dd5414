"""What each connector really takes, and what it must be booked with (S1, S6, S7, S8).

A connector is booked with the larger of what it draws and what it is permitted: whoever was permitted and has not yet
ramped will. Only a car that was steady below its permit for a while is believed to want no more: then its permit
comes down to its draw + 1 A, and goes back as soon as it draws nearly all of it.
"""

from dataclasses import replace
from math import isfinite

from .model import Settings
from .observation import ConnectorObservation
from .outlets import Outlet
from .state import ConnectorMemory, Draw, Permit, Vector

NOTHING: Vector = (0.0, 0.0, 0.0, 0.0)

_NEW_REPORT_S = 0.05
"""Reports whose times differ by less are the same: ages are differences of a running clock."""


def reported(
    outlet: Outlet, seen: ConnectorObservation
) -> tuple[Vector, Vector] | None:
    """Return the bounds of what the connector draws on the grid's phases; None: it does not say (S2).

    The direct current of a DC connector says nothing about the grid; its power does.
    """
    power_w = seen.power_w
    if power_w is not None and not (isfinite(power_w) and power_w > -1e6):
        return None
    if outlet.is_dc:
        if power_w is None:
            return None
        value = max(0.0, power_w) * outlet.unit_a
        both = (value, value, value, value * 3 * outlet.voltage_v)
        return both, both
    if seen.current_a is None:
        return None
    count = outlet.phase_count
    known = [
        max(0.0, value)
        for value in seen.current_a[:count]
        if value is not None and isfinite(value)
    ]
    if len(known) < count:
        return None
    total_w = sum(known) * outlet.voltage_v
    if power_w is not None:
        total_w = max(0.0, power_w)
    phases = outlet.connector.phases
    if phases is None:
        least = min(known) if count == 3 else 0.0
        most = max(known)
        return (least, least, least, total_w), (most, most, most, total_w)
    on_line = [0.0, 0.0, 0.0]
    for place, value in zip(outlet.places, known, strict=True):
        on_line[place] = value
    both = (on_line[0], on_line[1], on_line[2], total_w)
    return both, both


def follow(
    draw: Draw | None,
    outlet: Outlet,
    seen: ConnectorObservation,
    now_s: float,
    settings: Settings,
) -> tuple[Draw | None, bool]:
    """Return the draw after an observation, and whether there was a new report."""
    if seen.age_s is None or seen.age_s < 0 or seen.age_s > settings.reading_timeout_s:
        return draw, False
    reported_s = now_s - seen.age_s
    if draw is not None and reported_s < draw.reported_s + _NEW_REPORT_S:
        return draw, False
    bounds = reported(outlet, seen)
    if bounds is None:
        return draw, False
    low, high = bounds
    current_a = max(high[:3])
    if draw is None:
        return Draw(
            reported_s=reported_s,
            low=low,
            high=high,
            current_a=current_a,
            bucket_s=now_s,
            bucket_low=low,
            bucket_high=high,
            before_low=low,
            before_high=high,
            steady_s=reported_s,
            steady_from_a=current_a,
            steady_high_a=current_a,
        ), True
    steady = abs(current_a - draw.steady_from_a) <= settings.settle_band_a
    elapsed_s = now_s - draw.bucket_s
    if elapsed_s < settings.align_s:
        bucket_s, before_low, before_high = (
            draw.bucket_s,
            draw.before_low,
            draw.before_high,
        )
        bucket_low, bucket_high = (
            _least(draw.bucket_low, low),
            _most(draw.bucket_high, high),
        )
    else:
        # The last report was true until this one came, so it belongs to the new bucket too.
        bucket_s, bucket_low, bucket_high = (
            now_s,
            _least(draw.low, low),
            _most(draw.high, high),
        )
        if elapsed_s < 2 * settings.align_s:
            before_low, before_high = draw.bucket_low, draw.bucket_high
        else:
            before_low, before_high = draw.low, draw.high
    return Draw(
        reported_s=reported_s,
        low=low,
        high=high,
        current_a=current_a,
        bucket_s=bucket_s,
        bucket_low=bucket_low,
        bucket_high=bucket_high,
        before_low=before_low,
        before_high=before_high,
        steady_s=draw.steady_s if steady else reported_s,
        steady_from_a=draw.steady_from_a if steady else current_a,
        steady_high_a=max(draw.steady_high_a, current_a) if steady else current_a,
    ), True


def envelope(draw: Draw, now_s: float, align_s: float) -> tuple[Vector, Vector]:
    """Return the bounds of all reports of the last one to two `align_s`."""
    elapsed_s = now_s - draw.bucket_s
    if elapsed_s >= 2 * align_s:
        return draw.low, draw.high
    if elapsed_s >= align_s:
        return draw.bucket_low, draw.bucket_high
    return _least(draw.bucket_low, draw.before_low), _most(
        draw.bucket_high, draw.before_high
    )


def is_known(draw: Draw | None, now_s: float, settings: Settings) -> bool:
    """Return whether the last report still counts as a measurement."""
    return draw is not None and now_s - draw.reported_s <= settings.reading_timeout_s


def settle(
    memory: ConnectorMemory, outlet: Outlet, permit: float, settings: Settings
) -> ConnectorMemory:
    """Return the memory after a new report: whether the car settled below its permit, or wants more (S6)."""
    draw = memory.draw
    if draw is None:
        return memory
    permit_a = permit * outlet.unit_a
    limit_a = memory.draw_limit_a
    if (
        limit_a is not None
        and draw.current_a > 0
        and draw.current_a >= permit_a - settings.settle_band_a
    ):
        return replace(memory, draw_limit_a=None)
    settled = (
        draw.reported_s - draw.steady_s >= settings.settle_s
        and draw.reported_s - memory.permit.set_s >= settings.settle_s
        and draw.steady_high_a <= permit_a - settings.settle_below_a
    )
    if settled:
        wanted_a = max(
            draw.steady_high_a + settings.settle_below_a, outlet.minimum * outlet.unit_a
        )
        if limit_a is None or abs(wanted_a - limit_a) > settings.settle_band_a:
            return replace(memory, draw_limit_a=wanted_a)
    return memory


def obey(
    memory: ConnectorMemory, outlet: Outlet, permit: float, settings: Settings
) -> ConnectorMemory:
    """Return the memory after a new report: whether the connector keeps to its permit (S8)."""
    draw = memory.draw
    if draw is None:
        return memory
    allowed_a = permit * outlet.unit_a + settings.disobedient_a
    if draw.current_a > allowed_a:
        lowered_s = memory.permit.lowered_s
        if lowered_s is not None and draw.reported_s < lowered_s + settings.follow_s:
            return memory
        over_s = draw.reported_s if memory.over_s is None else memory.over_s
        disobedient = (
            memory.disobedient or draw.reported_s - over_s >= settings.disobedient_s
        )
        if (over_s, None, disobedient) == (
            memory.over_s,
            memory.obeyed_s,
            memory.disobedient,
        ):
            return memory
        return replace(memory, over_s=over_s, obeyed_s=None, disobedient=disobedient)
    if not memory.disobedient:
        return memory if memory.over_s is None else replace(memory, over_s=None)
    obeyed_s = draw.reported_s if memory.obeyed_s is None else memory.obeyed_s
    if draw.reported_s - obeyed_s >= settings.disobedient_s * 2:
        return replace(memory, over_s=None, obeyed_s=None, disobedient=False)
    return replace(memory, over_s=None, obeyed_s=obeyed_s)


def in_force(permit: Permit, outlet: Outlet, now_s: float) -> float:
    """Return the permit that holds now: the commanded one until it lapses, then the floor (S5)."""
    if permit.expires_s is not None and now_s < permit.expires_s:
        return permit.value
    return outlet.floor


def still_allowed(
    permit: Permit,
    outlet: Outlet,
    now_s: float,
    accepted: float | None,
    settings: Settings,
) -> float:
    """Return the highest permit that the car may still be drawing by.

    That is the permit in force, a higher one that the charge point has not yet replaced, and a higher one that the
    car has not yet had the time to leave.
    """
    value = in_force(permit, outlet, now_s)
    if accepted is not None and (permit.expires_s is None or now_s < permit.expires_s):
        value = max(value, min(accepted, outlet.maximum))
    if permit.lowered_s is not None and now_s < permit.lowered_s + settings.follow_s:
        value = max(value, permit.before)
    return value


def _least(first: Vector, second: Vector) -> Vector:
    if first is second:
        return first
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        min(first[2], second[2]),
        min(first[3], second[3]),
    )


def _most(first: Vector, second: Vector) -> Vector:
    if first is second:
        return first
    return (
        max(first[0], second[0]),
        max(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )

"""What each connector really takes, and what it must be booked with (S1, S6, S7, S8).

A connector is booked with the larger of what it draws and what it is permitted: whoever was permitted and has not yet
ramped will. Only a car that was steady below its permit for a while is believed to want no more: then its permit
comes down to its draw + 1 A, and goes back as soon as it draws nearly all of it.
"""

from math import isfinite

from .frozen import replace
from .model import Settings
from .observation import ConnectorObservation
from .outlets import Outlet
from .state import ConnectorMemory, Draw, Left, Permit, Span, Vector, least, most

_NEW_REPORT_S = 0.05
"""Reports whose times differ by less are the same: ages are differences of a running clock."""

BELIEVED_S = 32.0
"""A report counts as the present draw for this long; then the car may have stopped meanwhile."""

_REMEMBERED_S = 60.0
"""Reports are compared with readings from before the last of them that is believed; those may be late as well."""

_SPAN_S = 4.0
_SPAN_A = 0.5


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
    known = [
        value if value > 0 else 0.0
        for value in seen.current_a[: outlet.phase_count]
        if value is not None and isfinite(value)
    ]
    if len(known) < outlet.phase_count:
        return None
    total_w = sum(known) * outlet.voltage_v
    if power_w is not None:
        total_w = max(0.0, power_w)
    if outlet.phases is None:
        low_a = min(known) if len(known) == 3 else 0.0
        high_a = max(known)
        return (low_a, low_a, low_a, total_w), (high_a, high_a, high_a, total_w)
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
            spans=(Span(from_s=reported_s, low=low, high=high),),
            steady_s=reported_s,
            steady_from_a=current_a,
            steady_high_a=current_a,
        ), True
    steady = abs(current_a - draw.steady_from_a) <= settings.settle_band_a
    return Draw(
        reported_s=reported_s,
        low=low,
        high=high,
        current_a=current_a,
        spans=_spanned(draw.spans, reported_s, low, high),
        steady_s=draw.steady_s if steady else reported_s,
        steady_from_a=draw.steady_from_a if steady else current_a,
        steady_high_a=max(draw.steady_high_a, current_a) if steady else current_a,
    ), True


def lowest(draw: Draw, since_s: float) -> Vector:
    """Return the least of all reports that were true at a time since `since_s`."""
    # It holds the last report as well.
    last = draw.spans[-1]
    low = last.low
    if last.from_s > since_s:
        for span in reversed(draw.spans[:-1]):
            low = least(low, span.low)
            if span.from_s <= since_s:
                break
    return low


def highest(draw: Draw, since_s: float) -> Vector:
    """Return the most of all reports that were true at a time since `since_s`."""
    last = draw.spans[-1]
    high = last.high
    if last.from_s > since_s:
        for span in reversed(draw.spans[:-1]):
            high = most(high, span.high)
            if span.from_s <= since_s:
                break
    return high


def _spanned(
    spans: tuple[Span, ...], reported_s: float, low: Vector, high: Vector
) -> tuple[Span, ...]:
    """Return the spans after a report; one that differs little belongs to the last."""
    last = spans[-1]
    if reported_s < last.from_s + _SPAN_S or not (
        _falls(last.high, high) or _falls(low, last.low)
    ):
        grown = Span(
            from_s=last.from_s, low=least(last.low, low), high=most(last.high, high)
        )
        return (*spans[:-1], grown)
    # The one before the oldest that is young enough was true until that came.
    oldest_s = reported_s - _REMEMBERED_S
    first = max(
        (index for index, span in enumerate(spans) if span.from_s <= oldest_s),
        default=0,
    )
    return (*spans[first:], Span(from_s=reported_s, low=low, high=high))


def _falls(first: Vector, then: Vector) -> bool:
    """Return whether the current falls on a phase, by more than differs little."""
    return (
        first[0] - then[0] > _SPAN_A
        or first[1] - then[1] > _SPAN_A
        or first[2] - then[2] > _SPAN_A
    )


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
        value = still_allowed(memory.permit, permit, draw.reported_s, settings)
        if (lowered_s is not None and draw.reported_s < lowered_s) or (
            draw.current_a <= value * outlet.unit_a + settings.disobedient_a
        ):
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
        if disobedient and not memory.disobedient:
            # It may have dropped what it accepted, or have another permit than is known here.
            expires_s = memory.permit.expires_s
            if expires_s is None:
                expires_s = draw.reported_s + settings.paused_profile_life_s
            memory = replace(
                memory, permit=replace(memory.permit, sent_s=None, expires_s=expires_s)
            )
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


def standing(
    permit: Permit, outlet: Outlet, now_s: float, accepted: float | None
) -> float:
    """Return the highest permit that stands: the one in force, or a higher one that the charge point has yet to replace."""
    value = in_force(permit, outlet, now_s)
    lapsed = permit.expires_s is not None and now_s >= permit.expires_s
    if accepted is not None and accepted > value and not lapsed:
        value = min(accepted, outlet.maximum)
    return value


def still_allowed(
    permit: Permit, value: float, now_s: float, settings: Settings
) -> float:
    """Return the highest permit that the car may still be drawing by: a value, or a higher one that it is leaving."""
    for left in permit.left:
        if left.value > value and now_s < left.at_s + settings.follow_s:
            value = left.value
    return value


def leaving(
    permit: Permit, value: float, now_s: float, settings: Settings
) -> tuple[Left, ...]:
    """Return the higher permits that were left lately, with one that is left now."""
    before = [
        left
        for left in permit.left
        if left.value > value and now_s < left.at_s + settings.follow_s
    ]
    return (*before, Left(value=value, at_s=now_s))

"""The envelope of a connector: the least and the most that it may be drawing, as a step function of the last minute.

Three things write it, and nothing else (S1, S6, S7):

- a permit. From a raise on the car may draw as much; after a lowering it has `Settings.follow_s` to come down (the
  command's way, and 5 s for the car, IEC 61851-1). It lapses to the floor by itself (S5);
  A meter that shows the fall ends that wait;
- a report. It tells the draw at its moment, and is believed until the next one, for `Settings.reading_timeout_s` at the
  most: then the draw may be nothing or all that is permitted (S2). One at or below a lowered permit ends the wait for
  that lowering;
- an absence. What a charge point draws that is offline belongs to the load that a meter shows besides our connectors.

A meter may be late, so it is compared with the least and the most of the time that its reading may be of.
"""

from typing import NamedTuple

from .frozen import replace
from .model import Settings
from .observation import ConnectorState
from .outlets import Outlet
from .state import ConnectorMemory, Cut, Draw, Left, Permit
from .vectors import NOTHING, Vector, least, most


class Envelope(NamedTuple):
    """What a connector may have been drawing in a span of time."""

    low: Vector
    """The least, by its reports and the permits that it had to come down to."""
    likely: Vector
    """The most, by its reports; what it does not report, by its permits."""
    high: Vector
    """The most, by its permits."""
    followed: Vector
    """The most, by its reports, once it has followed its permit."""


_AWAY = Envelope(NOTHING, NOTHING, NOTHING, NOTHING)


def envelope(
    memory: ConnectorMemory,
    outlet: Outlet,
    used: tuple[int, ...] | None,
    *,
    standing: float,
    steered: bool,
    now_s: float,
    back_s: float,
    settings: Settings,
    cut: Cut | None = None,
) -> Envelope:
    """Return what a connector may have been drawing since a while ago.

    Args:
        memory: its permits and reports.
        outlet: its configuration.
        used: the own phases that its car uses; None: all.
        standing: the highest permit that stands for its charge point, in its own unit.
        steered: whether there is a session that permits count for.
        now_s: the time of the step.
        back_s: how long ago the span began.
        settings: the times.
        cut: a lowering that a meter above it has shown; None: there is none.
    """
    if memory.away or memory.state is ConnectorState.OFFLINE:
        return _AWAY
    start_s, draw, permit = now_s - back_s, memory.draw, memory.permit
    value = standing if steered else 0.0
    for left in permit.left:
        until_s = left.until_s
        if (
            cut is not None
            and cut.shown_s is not None
            and until_s - settings.follow_s <= cut.at_s
        ):
            until_s = min(until_s, cut.shown_s)
        if until_s > start_s and left.value > value:
            value = left.value
    high = outlet.load(value, used) if value > 0 else NOTHING
    in_force = outlet.load(standing, used) if steered else NOTHING
    if draw is None or now_s - draw.reported_s > settings.reading_timeout_s:
        if not steered:
            return Envelope(NOTHING, high, high, NOTHING)
        if memory.state is not ConnectorState.CHARGING:
            # It may have charged until its state changed, if it ever did.
            charged = memory.on_s is not None and memory.state_s > start_s
            likely = high if charged else NOTHING
            return Envelope(NOTHING, likely, high, NOTHING)
        return Envelope(NOTHING, high, high, in_force)
    if not steered and draw.reported_s < memory.state_s:
        # From before the session ended: its car may draw for a moment yet.
        return Envelope(NOTHING, high, high, NOTHING)
    low, likely = _hull(draw, start_s)
    raised_s, lowered_s = permit.raised_s, permit.lowered_s
    if raised_s is not None and draw.reported_s < raised_s + settings.follow_s:
        likely = most(likely, in_force)
    if memory.over_s is None and not memory.disobedient:
        if lowered_s is not None and draw.reported_s < lowered_s + settings.follow_s:
            low = least(low, in_force)
        else:
            high = most(high, draw.reports[-1].high)
        likely = least(likely, high)
        return Envelope(low, likely, high, least(likely, most(in_force, low)))
    return Envelope(low, likely, most(high, likely), likely)


def _hull(draw: Draw, start_s: float) -> tuple[Vector, Vector]:
    """Return the least and the most of all reports that were true at a time since `start_s`."""
    last = draw.reports[-1]
    low, high = last.low, last.high
    if last.from_s > start_s:
        for report in reversed(draw.reports[:-1]):
            low, high = least(low, report.low), most(high, report.high)
            if report.from_s <= start_s:
                break
    return low, high


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


def allowed(permit: Permit, value: float, now_s: float) -> float:
    """Return the highest permit that the car may still be drawing by: a value, or a higher one that it is leaving."""
    for left in permit.left:
        if left.value > value and now_s < left.until_s:
            value = left.value
    return value


def leaving(
    permit: Permit, value: float, now_s: float, settings: Settings
) -> tuple[Left, ...]:
    """Return the higher permits that were left lately, with one that is left now.

    They are kept as long as a meter may be late.
    """
    oldest_s = now_s - settings.meter_lag_s
    before = [
        left for left in permit.left if left.value > value and left.until_s > oldest_s
    ]
    return (*before, Left(value=value, until_s=now_s + settings.follow_s))


def followed(permit: Permit, reported_s: float) -> Permit:
    """Return the permit after a report which shows that the car has come down to it."""
    if all(left.until_s <= reported_s for left in permit.left):
        return permit
    return replace(
        permit,
        left=tuple(
            [
                replace(left, until_s=min(left.until_s, reported_s))
                for left in permit.left
            ]
        ),
    )


def lapsed(
    permit: Permit, expired_s: float, outlet: Outlet, settings: Settings
) -> Permit:
    """Return the floor that a permit lapsed to by itself (S5)."""
    fell = permit.value > outlet.floor
    return Permit(
        value=outlet.floor,
        set_s=expired_s,
        expires_s=None,
        lowered_s=expired_s if fell else permit.lowered_s,
        left=leaving(permit, permit.value, expired_s, settings)
        if fell
        else permit.left,
        sent_s=permit.sent_s,
    )

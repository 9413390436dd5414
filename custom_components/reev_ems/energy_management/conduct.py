"""What a car does with its permit: does it settle below it (S6), keep to it (S8), use all phases, sleep?

Each function returns the memory of a connector after a new report.
"""

from math import isfinite

from .envelope import allowed, followed
from .frozen import replace
from .model import Settings
from .observation import ConnectorObservation, ConnectorState
from .outlets import Outlet
from .state import ConnectorMemory, Draw, Pattern, Report
from .vectors import Vector, least, most

_NEW_REPORT_S = 0.05
"""Reports whose times differ by less are the same: ages are differences of a running clock."""

_REPORT_S = 4.0
"""Reports of so long are kept as one; a car that ramps takes as long."""

_REMEMBERED_S = 40.0
"""Reports are compared with readings that are late by `Settings.meter_lag_s` at the most."""

_IDLE_A = 0.5
"""A phase, or a car, that draws less draws nothing: meters in charge points show that much of nothing."""

_CHARGES_A = 3.0
"""A car that draws so much on one phase does on each that it uses: the least in IEC 61851-1 is 6 A."""

_INEXACT = 1.1
"""A power over the nominal voltage is a current within 10 % (EN 50160)."""

_LEAST_A = 6.0 / _INEXACT
"""A car that draws less than that on each of its phases would be below the minimum of IEC 61851-1."""

_FOLLOWS = 0.75
"""A car that draws less of its permit may be full soon, and says nothing about its phases."""

_PHASE_S = 10.0
"""A phase has to be idle for so long, in two reports or since the car was permitted to charge."""


def reported(
    outlet: Outlet,
    seen: ConnectorObservation,
    used: tuple[int, ...] | None = None,
) -> tuple[Vector, Vector] | None:
    """Return the bounds of what the connector draws on the grid's phases; None: it does not say (S2).

    The direct current of a DC connector says nothing about the grid; its power does.

    Args:
        outlet: its configuration.
        seen: what it says.
        used: the own phases that its car uses; None: all, as far as is known.
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
    known = _own_currents(outlet, seen)
    if known is None:
        if power_w is None:
            return None
        known = _by_power(outlet, power_w, used)
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


def _by_power(
    outlet: Outlet, power_w: float, used: tuple[int, ...] | None
) -> list[float]:
    """Return what a car draws on each own phase that says its power alone: it draws alike on those that it uses."""
    places = outlet.every if used is None else used
    each_a = max(0.0, power_w) / outlet.voltage_v / len(places)
    return [each_a if own in places else 0.0 for own in outlet.every]


def _needed(total_a: float, may_a: float, most: int) -> int:
    """Return how many phases a car uses at least that draws so much in all, by its permit."""
    for count in range(1, most):
        if total_a <= count * may_a * _INEXACT:
            return count
    return most


def _own_currents(outlet: Outlet, seen: ConnectorObservation) -> list[float] | None:
    """Return what the connector draws on its own phases; None: it does not say of each."""
    if seen.current_a is None:
        return None
    known = [
        value if value > 0 else 0.0
        for value in seen.current_a[: outlet.phase_count]
        if value is not None and isfinite(value)
    ]
    return known if len(known) == outlet.phase_count else None


def take_report(
    memory: ConnectorMemory,
    outlet: Outlet,
    seen: ConnectorObservation,
    now_s: float,
    settings: Settings,
) -> ConnectorMemory:
    """Return the memory with a report, if there is a new one; otherwise the same."""
    if seen.age_s is None or not 0 <= seen.age_s <= settings.reading_timeout_s:
        return memory
    reported_s, draw = now_s - seen.age_s, memory.draw
    if draw is not None and reported_s < draw.reported_s + _NEW_REPORT_S:
        return memory
    bounds = reported(outlet, seen, (0,) if memory.one_phase else memory.used)
    if bounds is None:
        return memory
    low, high = bounds
    current_a = max(high[:3])
    if draw is None:
        reports: tuple[Report, ...] = (Report(from_s=reported_s, low=low, high=high),)
        steady = False
    else:
        reports = _with_report(draw.reports, reported_s, low, high)
        steady = abs(current_a - draw.steady_from_a) <= settings.settle_band_a
    return replace(
        memory,
        draw=Draw(
            reported_s=reported_s,
            current_a=current_a,
            reports=reports,
            steady_s=draw.steady_s if steady and draw else reported_s,
            steady_from_a=draw.steady_from_a if steady and draw else current_a,
            steady_high_a=max(draw.steady_high_a, current_a)
            if steady and draw
            else current_a,
        ),
    )


def _with_report(
    reports: tuple[Report, ...], reported_s: float, low: Vector, high: Vector
) -> tuple[Report, ...]:
    last = reports[-1]
    if low == last.low and high == last.high:
        return reports
    if len(reports) > 1 and reported_s < last.from_s + _REPORT_S:
        # The hull of what comes within a few seconds is kept, with the last one after it.
        before = reports[-2]
        if before.from_s > last.from_s - _REPORT_S:
            hull = Report(
                from_s=before.from_s,
                low=least(before.low, last.low),
                high=most(before.high, last.high),
            )
            reports = (*reports[:-2], hull)
    oldest_s = reported_s - _REMEMBERED_S
    first = 0
    while first + 1 < len(reports) and reports[first + 1].from_s <= oldest_s:
        first += 1
    return (*reports[first:], Report(from_s=reported_s, low=low, high=high))


def settle(
    memory: ConnectorMemory, outlet: Outlet, permit: float, settings: Settings
) -> ConnectorMemory:
    """Return whether the car settled below its permit, or wants more (S6)."""
    draw = memory.draw
    if draw is None:
        return memory
    permit_a, limit_a = permit * outlet.unit_a, memory.draw_limit_a
    if (
        limit_a is not None
        and draw.current_a > 0
        and draw.current_a >= limit_a - settings.settle_band_a
    ):
        return replace(memory, draw_limit_a=None)
    settled = (
        draw.reported_s - draw.steady_s >= settings.settle_s
        and draw.reported_s - memory.permit.set_s >= settings.settle_s
        and draw.steady_high_a <= permit_a - settings.settle_below_a
    )
    if settled:
        wanted_a = max(draw.steady_high_a + settings.settle_below_a, outlet.min_a)
        if limit_a is None or abs(wanted_a - limit_a) > settings.settle_band_a:
            return replace(memory, draw_limit_a=wanted_a)
    return memory


def obey(
    memory: ConnectorMemory, outlet: Outlet, permit: float, settings: Settings
) -> ConnectorMemory:
    """Return whether the connector has followed its permit, and keeps to it (S8)."""
    draw = memory.draw
    if draw is None:
        return memory
    lowered_s = memory.permit.lowered_s
    permit_a = permit * outlet.unit_a
    if draw.current_a <= permit_a + settings.disobedient_a:
        if (
            lowered_s is not None
            and draw.reported_s > lowered_s
            and draw.current_a <= permit_a + settings.settle_band_a
        ):
            permit_now = followed(memory.permit, draw.reported_s)
            if permit_now is not memory.permit:
                memory = replace(memory, permit=permit_now)
        if not memory.disobedient:
            return memory if memory.over_s is None else replace(memory, over_s=None)
        obeyed_s = draw.reported_s if memory.obeyed_s is None else memory.obeyed_s
        if draw.reported_s - obeyed_s >= settings.disobedient_s * 2:
            return replace(memory, over_s=None, obeyed_s=None, disobedient=False)
        return replace(memory, over_s=None, obeyed_s=obeyed_s)
    may_a = allowed(memory.permit, permit, draw.reported_s) * outlet.unit_a
    if (lowered_s is not None and draw.reported_s < lowered_s) or (
        draw.current_a <= may_a + settings.disobedient_a
    ):
        return memory
    over_s = draw.reported_s if memory.over_s is None else memory.over_s
    disobedient = (
        memory.disobedient or draw.reported_s - over_s >= settings.disobedient_s
    )
    if disobedient and not memory.disobedient:
        # It may have dropped what it accepted, or have another permit than is known here.
        expires_s = memory.permit.expires_s
        if expires_s is None:
            expires_s = draw.reported_s + settings.paused_profile_life_s
        memory = replace(
            memory, permit=replace(memory.permit, sent_s=None, expires_s=expires_s)
        )
    return replace(memory, over_s=over_s, obeyed_s=None, disobedient=disobedient)


def use_phases(
    memory: ConnectorMemory,
    outlet: Outlet,
    seen: ConnectorObservation,
    permit: float,
    settings: Settings,
) -> ConnectorMemory:
    """Return which of its own phases the car uses: all until it is seen to leave some idle.

    A phase on which current appears is used at once.
    """
    draw = memory.draw
    if draw is None or outlet.is_dc or outlet.phase_count == 1:
        return memory
    if memory.one_phase or (
        memory.switched_s is not None and draw.reported_s < memory.switched_s + _PHASE_S
    ):
        # That is the charger's doing.
        return memory
    used = outlet.every if memory.used is None else memory.used
    known = _own_currents(outlet, seen)
    if known is None:
        found = _used_by_power(memory, draw, used, seen, outlet, permit, settings)
        if found is None:
            return memory
        loaded, more = found
    else:
        loaded = tuple([own for own, value in enumerate(known) if value >= _IDLE_A])
        more = any(known[own] >= 2 * _IDLE_A for own in outlet.every if own not in used)
        if not more and max(known) < _CHARGES_A:
            loaded = used
    if more:
        return replace(memory, used=tuple(sorted({*used, *loaded})), pattern=None)
    if len(loaded) >= len(used):
        return memory if memory.pattern is None else replace(memory, pattern=None)
    pattern = memory.pattern
    if pattern is None or pattern.phases != loaded:
        since_s = draw.reported_s
        if memory.used is None and memory.on_s is not None:
            # The first thing that is seen of a car which has had the time to start on all of them.
            since_s = max(memory.on_s, memory.state_s) + 2 * _PHASE_S
        pattern = Pattern(phases=loaded, since_s=min(since_s, draw.reported_s))
    if draw.reported_s - pattern.since_s >= _PHASE_S:
        return replace(memory, used=loaded, pattern=None)
    return memory if pattern is memory.pattern else replace(memory, pattern=pattern)


def _used_by_power(
    memory: ConnectorMemory,
    draw: Draw,
    used: tuple[int, ...],
    seen: ConnectorObservation,
    outlet: Outlet,
    permit: float,
    settings: Settings,
) -> tuple[tuple[int, ...], bool] | None:
    """Return the own phases that the power of a car takes, and whether it uses more than known; None: it says neither."""
    if seen.power_w is None or not isfinite(seen.power_w):
        return None
    total_a, may_a = max(0.0, seen.power_w) / outlet.voltage_v, permit * outlet.unit_a
    changed_s = max(memory.permit.raised_s or 0.0, memory.permit.lowered_s or 0.0)
    if may_a <= 0 or draw.reported_s < changed_s + settings.follow_s:
        return None
    count = _needed(total_a, may_a, outlet.phase_count)
    if count > len(used):
        return outlet.every[:count], True
    if total_a < _FOLLOWS * count * may_a or total_a >= (count + 1) * _LEAST_A:
        return used, False
    return outlet.every[:count], False


def sleep(
    memory: ConnectorMemory, outlet: Outlet, permit: float, now_s: float
) -> ConnectorMemory:
    """Return whether the car takes nothing of its offer; without an offer nobody knows."""
    draw, state = memory.draw, memory.state
    offered = permit >= outlet.minimum
    drawing = draw is not None and draw.current_a >= _IDLE_A
    if state is ConnectorState.CHARGING and (draw is None or drawing):
        asleep = False
    elif state is ConnectorState.SUSPENDED_EV:
        asleep = True
    elif drawing and draw is not None and draw.reported_s > memory.state_s:
        asleep = False
    else:
        asleep = offered or memory.sleeps_s is not None
    if not asleep:
        if memory.sleeps_s is None:
            return memory
        return replace(memory, sleeps_s=None, offered_s=None, withdrawn_s=None)
    if memory.sleeps_s is None:
        since_s = memory.state_s
        if memory.on_s is not None:
            since_s = max(since_s, memory.on_s)
        if draw is not None and state is ConnectorState.CHARGING:
            since_s = max(since_s, draw.steady_s)
        return replace(memory, sleeps_s=max(since_s, memory.arrived_s), offered_s=now_s)
    return memory

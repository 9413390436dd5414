"""PV surplus: how much there is, and who may start or has to stop for it.

A connector that follows the surplus starts when there has been enough for its minimum for the start delay, and stops
when there has not been for the stop delay; in between it is held at its minimum. The surplus counts with the minimums
of those that already charge taken off, so that nobody starts on what another one needs, and whoever waits out his
start delay has his minimum reserved. One starts per settle time, because the meter must see him first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .decision import Limit, LimitKind
from .model import Settings
from .observation import BatteryObservation
from .state import Sun, SunPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """A connector that charges from surplus only."""

    connector: str
    sun: Sun
    minimum_w: float
    """What it needs to charge at all, in W at the AC side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SunPlan:
    """Who may charge from the surplus."""

    suns: Mapping[str, Sun]
    waiting: Mapping[str, Limit]
    """Who may not, and why."""
    stopping: Mapping[str, Limit]
    """Who is held at the minimum because the surplus does not suffice."""
    committed_w: float
    """The minimums of those who charge: they get these whatever the surplus is."""
    started_s: float | None
    """When a connector was last started."""


def surplus_w(
    base_w: float | None,
    others_w: float,
    battery: BatteryObservation | None,
    settings: Settings,
    *,
    battery_expected: bool,
) -> float | None:
    """Return the surplus for the connectors that follow it, in W; None: unknown (S2).

    Args:
        base_w: base load at the grid connection, negative when it feeds in.
        others_w: what our connectors draw that do not follow the surplus.
        battery: the home battery. What it discharges is no surplus. What it charges is, if the cars go first.
        settings: reserve, and the state of charge below which the battery goes first.
        battery_expected: whether there has been a battery: silent now, it may be what feeds the house.
    """
    if base_w is None:
        return None
    free_w = -base_w - others_w - settings.pv_reserve_w
    if battery is None or battery.power_w is None:
        return None if battery_expected else free_w
    if (
        battery.power_w > 0
        and (threshold := settings.battery_priority_soc_pct) is not None
    ):
        if battery.soc_pct is None or battery.soc_pct < threshold:
            return free_w
    return free_w + battery.power_w


def plan_sun(
    applicants: Sequence[Applicant],
    free_w: float | None,
    now_s: float,
    started_s: float | None,
    settings: Settings,
) -> SunPlan:
    """Decide who may charge from the surplus.

    Args:
        applicants: in the order of their claims.
        free_w: the surplus; None: unknown, which counts as none.
        now_s: the time of the step.
        started_s: when a connector was last started.
        settings: thresholds and delays.
    """
    suns: dict[str, Sun] = {}
    waiting: dict[str, Limit] = {}
    stopping: dict[str, Limit] = {}
    committed_w = 0.0
    at_hand_w = float("-inf") if free_w is None else free_w
    for applicant in applicants:
        sun = applicant.sun
        if sun.phase not in {SunPhase.ON, SunPhase.STOPPING}:
            continue
        if (
            committed_w + applicant.minimum_w
            <= at_hand_w + settings.pv_stop_threshold_w
        ):
            if sun.phase is SunPhase.STOPPING:
                sun = replace(sun, phase=SunPhase.ON, since_s=now_s)
        else:
            if sun.phase is SunPhase.ON:
                sun = replace(sun, phase=SunPhase.STOPPING, since_s=now_s)
            remaining_s = max(
                sun.since_s + settings.pv_stop_delay_s - now_s,
                (sun.on_s or 0.0) + settings.min_on_s - now_s
                if sun.on_s is not None
                else 0.0,
            )
            if remaining_s <= 0:
                suns[applicant.connector] = Sun(
                    since_s=now_s, on_s=sun.on_s, off_s=now_s
                )
                continue
            stopping[applicant.connector] = Limit(
                kind=LimitKind.PV_STOPPING, remaining_s=remaining_s
            )
        suns[applicant.connector] = sun
        committed_w += applicant.minimum_w
    left_w = at_hand_w - committed_w
    for applicant in applicants:
        connector = applicant.connector
        sun = suns.get(connector, applicant.sun)
        if sun.phase in {SunPhase.ON, SunPhase.STOPPING}:
            continue
        if left_w < applicant.minimum_w + settings.pv_start_threshold_w:
            suns[connector] = (
                sun
                if sun.phase is SunPhase.IDLE
                else replace(sun, phase=SunPhase.IDLE, since_s=now_s)
            )
            waiting[connector] = Limit(kind=LimitKind.PV_WAITING)
            continue
        left_w -= applicant.minimum_w
        if sun.phase is SunPhase.IDLE:
            sun = replace(sun, phase=SunPhase.ARMING, since_s=now_s)
        remaining_s = max(
            sun.since_s + settings.pv_start_delay_s - now_s,
            0.0 if sun.off_s is None else sun.off_s + settings.min_off_s - now_s,
            0.0 if started_s is None else started_s + settings.settle_s - now_s,
        )
        if remaining_s <= 0:
            sun = Sun(phase=SunPhase.ON, since_s=now_s, on_s=now_s, off_s=sun.off_s)
            started_s = now_s
            committed_w += applicant.minimum_w
        else:
            waiting[connector] = Limit(
                kind=LimitKind.PV_WAITING, remaining_s=remaining_s
            )
        suns[connector] = sun
    return SunPlan(
        suns=suns,
        waiting=waiting,
        stopping=stopping,
        committed_w=committed_w,
        started_s=started_s,
    )

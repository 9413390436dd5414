"""PV surplus: how much there is, and who may start or has to stop for it.

A connector that follows the surplus starts when there has been enough for its minimum for the start delay, and stops
when there has not been for the stop delay; in between it is held at its minimum. The surplus counts with the minimums
of those that already charge taken off, so that nobody starts on what another one needs, and whoever waits out his
start delay has his minimum reserved. One starts per settle time, because the meter must see him first.

There is a budget for the site and one for every circuit with PV of its own. A connector needs room in all of its
budgets, so that no group ever takes more than the site has.

Where nobody knows how many phases a car uses, it is asked once in its session: it starts with what one phase needs, and
stops as soon as it draws more than there is.
"""

from collections.abc import Mapping, Sequence

from .decision import Limit, LimitKind
from .frozen import frozen, replace
from .model import Settings
from .observation import BatteryObservation
from .state import Sun, SunPhase


@frozen
class Applicant:
    """A connector that charges from surplus only."""

    connector: str
    sun: Sun
    minimum_w: float
    """What it needs to charge at all, in W at the AC side."""
    ask_w: float | None = None
    """What it needs if its car uses one phase only; None: it is known how many, or nobody would learn it."""
    budgets: tuple[str, ...]


@frozen
class SunPlan:
    """The connectors that may charge from the surplus."""

    suns: Mapping[str, Sun]
    waiting: Mapping[str, Limit]
    """The connectors that may not, and why."""
    stopping: Mapping[str, Limit]
    """The connectors that are held at the minimum because the surplus does not suffice."""
    committed_w: Mapping[str, float]
    """By budget, the minimums of those who charge: they get these whatever the surplus is."""
    started_s: float | None
    """When a connector was last started."""


def surplus_w(
    base_w: float | None,
    house_w: float | None,
    others_w: float,
    battery: BatteryObservation | None,
    settings: Settings,
    *,
    battery_expected: bool,
) -> float | None:
    """Return the surplus for the connectors that follow it, in W; None: unknown (S2).

    Args:
        base_w: base load at the grid connection, negative when it feeds in.
        house_w: the same without the home battery.
        others_w: what our connectors draw that do not follow the surplus.
        battery: the home battery. What it discharges is no surplus. What it charges is, if the cars go first.
        settings: reserve, and the state of charge below which the battery goes first.
        battery_expected: whether there has been a battery: silent now, it may be what feeds the house.
    """
    if base_w is None:
        return None
    free_w = -base_w - others_w - settings.pv_reserve_w
    if battery is None:
        return None if battery_expected else free_w
    if battery.power_w is None or house_w is None:
        # There is one, and nobody knows what it does.
        return None
    threshold = settings.battery_priority_soc_pct
    if battery.power_w > 0 and threshold is not None:
        if battery.soc_pct is None or battery.soc_pct < threshold:
            return free_w
    return free_w + base_w - house_w


def plan_sun(
    applicants: Sequence[Applicant],
    free_w: Mapping[str, float],
    now_s: float,
    started_s: float | None,
    settings: Settings,
) -> SunPlan:
    """Decide who may charge from the surplus.

    Args:
        applicants: in the order of their claims.
        free_w: the surplus by budget; what is left out is unknown, which counts as none.
        now_s: the time of the step.
        started_s: when a connector was last started.
        settings: thresholds and delays.
    """
    suns: dict[str, Sun] = {}
    waiting: dict[str, Limit] = {}
    stopping: dict[str, Limit] = {}
    committed_w: dict[str, float] = {}
    running = {SunPhase.ON, SunPhase.STOPPING}

    def fits(
        applicant: Applicant,
        need_w: float,
        taken_w: Mapping[str, float],
        spare_w: float,
    ) -> bool:
        return all(
            taken_w.get(budget, 0.0) + need_w
            <= free_w.get(budget, float("-inf")) + spare_w
            for budget in applicant.budgets
        )

    def take(applicant: Applicant, taken_w: dict[str, float]) -> None:
        for budget in applicant.budgets:
            taken_w[budget] = taken_w.get(budget, 0.0) + applicant.minimum_w

    for applicant in applicants:
        sun = applicant.sun
        if sun.phase not in running:
            continue
        # One that was only asked has to start still.
        spare_w = (
            -settings.pv_start_threshold_w
            if sun.asked
            else settings.pv_stop_threshold_w
        )
        if fits(applicant, applicant.minimum_w, committed_w, spare_w):
            if sun.phase is SunPhase.STOPPING or sun.asked:
                sun = replace(sun, phase=SunPhase.ON, since_s=now_s, asked=False)
        else:
            if sun.phase is SunPhase.ON:
                sun = replace(sun, phase=SunPhase.STOPPING, since_s=now_s)
            on_s = now_s - settings.min_on_s if sun.on_s is None else sun.on_s
            remaining_s = max(
                sun.since_s + settings.pv_stop_delay_s - now_s,
                on_s + settings.min_on_s - now_s,
            )
            if remaining_s <= 0 or (sun.asked and applicant.ask_w is None):
                suns[applicant.connector] = Sun(
                    since_s=now_s, on_s=sun.on_s, off_s=now_s
                )
                continue
            stopping[applicant.connector] = Limit(
                kind=LimitKind.PV_STOPPING, remaining_s=remaining_s
            )
        suns[applicant.connector] = sun
        take(applicant, committed_w)
    wanted_w = dict(committed_w)
    for applicant in applicants:
        connector = applicant.connector
        sun = suns.get(connector, applicant.sun)
        if sun.phase in running:
            continue
        spare_w = -settings.pv_start_threshold_w
        asked = False
        if not fits(applicant, applicant.minimum_w, wanted_w, spare_w):
            asked = (
                applicant.ask_w is not None
                and sun.on_s is None
                and fits(applicant, applicant.ask_w, wanted_w, spare_w)
            )
            if not asked:
                if sun.phase is not SunPhase.IDLE:
                    sun = replace(sun, phase=SunPhase.IDLE, since_s=now_s)
                suns[connector] = sun
                waiting[connector] = Limit(kind=LimitKind.PV_WAITING)
                continue
        take(applicant, wanted_w)
        if sun.phase is SunPhase.IDLE:
            sun = replace(sun, phase=SunPhase.ARMING, since_s=now_s)
        remaining_s = max(
            sun.since_s + settings.pv_start_delay_s - now_s,
            0.0 if sun.off_s is None else sun.off_s + settings.min_off_s - now_s,
            0.0 if started_s is None else started_s + settings.settle_s - now_s,
        )
        if remaining_s <= 0:
            sun = Sun(
                phase=SunPhase.ON,
                since_s=now_s,
                on_s=now_s,
                off_s=sun.off_s,
                asked=asked,
            )
            started_s = now_s
            take(applicant, committed_w)
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

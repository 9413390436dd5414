"""What can be wrong, or just inconvenient, each on a site of its own, with a bound for what may come of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from .controllers import Controller
from .fault import Fault, study
from .fault_events import (
    FAULT_S,
    after_a_raise,
    all_offline,
    cross,
    dark,
    exchanged,
    first_sight,
    flicker,
    freeze,
    halved,
    leave_half,
    lost,
    negated,
    scaled,
    set_true,
    shown_as,
    silent,
    step,
    turned,
    wake,
)
from .fault_sites import (
    asleep,
    board,
    boards,
    first_permit,
    four_cars,
    held_by_l2,
    idle_offline,
    ignoring,
    mixed_plan,
    modest,
    one_phase_cars,
    restless,
    skew,
    sunny,
    twelve_cars,
    waiting,
)
from .plan import SitePlan, SunPlan
from .run import Event

_BOUND = {"over_s": 15.0, "over_as": 300.0, "trips": 0.0}
_NOTICED = {"issue_after_s": 90.0}


def study_fault(name: str, make: Callable[[SitePlan], Controller]) -> dict[str, Any]:
    """Try a fault and return its figures, with `shortfalls`; where it has several forms, those of the worst."""
    fault = FAULTS[name]
    results = [study(name, form, make) for form in (fault, *fault.others)]
    return max(
        results,
        key=lambda figures: (
            len(figures["shortfalls"]),
            figures["over_s"],
            figures["over_as"],
        ),
    )


def _worst(faults: Iterable[Fault]) -> Fault:
    first, *others = faults
    return replace(first, others=tuple(others))


def _metered(
    about: str,
    event: Event,
    plan: Callable[[], SitePlan],
    over_s: float = 15.0,
    *,
    more: tuple[tuple[int, Event], ...] = (),
) -> tuple[Fault, Fault]:
    """Return a meter's fault that begins in the middle, and the same from the start."""
    at_most = {"over_s": over_s, "trips": 0.0} | _NOTICED
    if over_s <= 15.0:
        at_most["over_as"] = 300.0
    sudden = Fault(
        about=about, plan=plan, events=((FAULT_S, event), *more), at_most=at_most
    )
    first = Fault(
        about=f"{about}, from the start",
        plan=plan,
        events=((0, event), *more),
        judged_from_s=0,
        at_most=at_most | {"issue_after_s": 600.0},
    )
    return sudden, first


def _all() -> dict[str, Fault]:
    faults = {
        "held_by_l2": Fault(
            about="a one-phase car at a three-phase outlet, whose L2 is nearly full",
            plan=held_by_l2,
            judged_from_s=0,
            at_most={"over_s": 0.0},
            at_least={"room_pct": 92.0},
        ),
        "jump_after_raise": _worst(
            Fault(
                about="the house jumps by 25 A within 8 s of a raise, with cars below their permits",
                plan=modest(report_s, lag_s),
                events=((FAULT_S, leave_half),),
                reaction=after_a_raise(delay_s),
                at_most=_BOUND,
            )
            for report_s, lag_s, delay_s in product((10, 30), (1, 5), (1, 4, 7))
        ),
        "masked_fall": _worst(
            Fault(
                about="cars' fall is hidden by a house that rises as they fall: 10 A, then 2 A/s for 5 s",
                plan=board(report_s, lag_s),
                events=(
                    (FAULT_S, step(scaled(10.0))),
                    *(
                        (FAULT_S + after_s + second, step(scaled(2.0)))
                        for second in range(5)
                    ),
                ),
                at_most=_BOUND,
            )
            for report_s, lag_s, after_s in product((10, 30), (1, 5), (1, 3, 6))
        ),
        "imbalance_jump": Fault(
            about="12 A less on the phase that is behind",
            plan=skew,
            events=((FAULT_S, step((0.0, -12.0, 0.0))),),
            at_most={"skew_s": 18.0, "trips": 0.0},
        ),
        "small_changes": Fault(
            about="the house takes 4.8 A more, and again: twelve cars go down by 0.4 A each time",
            plan=twelve_cars,
            events=(
                (FAULT_S, step(scaled(4.8))),
                (FAULT_S + 30, step(scaled(4.8))),
            ),
            at_most=_BOUND,
        ),
        "peak": Fault(
            about="20 A for 3 s: nobody is stopped for it",
            plan=four_cars,
            events=((FAULT_S, step(scaled(20.0), 3)),),
            at_most={"pauses": 0.0, "trips": 0.0},
        ),
        "inrush": Fault(
            about="8 A for 1 s: nobody is stopped for it",
            plan=four_cars,
            events=((FAULT_S, step(scaled(8.0), 1)),),
            at_most={"pauses": 0.0, "trips": 0.0},
        ),
        "first_permit": Fault(
            about="at first sight a charge point has a permit of 1.04 A, with a minimum of 8 A",
            plan=first_permit,
            events=((0, first_sight),),
            judged_from_s=0,
            at_most={"below_least": 0.0, "over_s": 0.0},
        ),
        "idle_offline": Fault(
            about="three idle charge points without a fallback of their own are offline",
            plan=idle_offline,
            events=((0, set_true("offline", "idle1", "idle2", "idle3")),),
            judged_from_s=0,
            at_most={"over_s": 0.0},
            at_least={"room_pct": 92.0},
        ),
        "idle_offline_sun": Fault(
            about="the same under the sun, with cars that charge from surplus only",
            plan=lambda: idle_offline("solar", SunPlan(peak_w=12000.0, clouds=0.0)),
            events=((0, set_true("offline", "idle1", "idle2", "idle3")),),
            judged_from_s=0,
            at_most={"over_s": 0.0},
            at_least={"room_pct": 85.0},
        ),
        "all_offline": Fault(
            about="all charge points lose their connection, then the house takes 9 A more",
            plan=mixed_plan("all_offline"),
            events=((FAULT_S, all_offline),),
            at_most={"issue_after_s": 30.0, "over_s": 330.0, "trips": 0.0},
        ),
        "ignores": Fault(
            about="a charge point ignores its limit and draws 32 A",
            plan=ignoring,
            events=((FAULT_S, set_true("ignores", "cp1")),),
            at_most=_BOUND | _NOTICED,
        ),
        "draws_at_zero": Fault(
            about="a charge point draws 6 A at a permit of 0, and there is no room for it",
            plan=four_cars,
            events=(
                (FAULT_S, set_true("least_at_zero", "cp1", "cp2", "cp3", "cp4")),
                (FAULT_S + 60, step(scaled(12.0))),
            ),
            at_most={"over_s": 45.0, "over_as": 300.0, "trips": 0.0} | _NOTICED,
        ),
        "full_cars": Fault(
            about="four full cars, three that wait, room for four at 6 A",
            plan=waiting,
            judged_from_s=0,
            at_most={"over_s": 0.0},
            at_least={"room_pct": 92.0},
        ),
        "all_wake": Fault(
            about="five full cars wake at once",
            plan=asleep,
            events=((1800, wake),),
            judged_from_s=1800,
            at_most=_BOUND,
        ),
        "flicker": Fault(
            about="the house flickers by 6 A",
            plan=restless,
            events=((0, flicker),),
            judged_from_s=0,
            at_most={"writes_per_h_max": 40.0, "trips": 0.0},
        ),
        "silent": Fault(
            about="the meter does not answer any more, then the house takes 8 A more",
            plan=mixed_plan("silent"),
            events=((FAULT_S, silent), (FAULT_S + 5, step(scaled(8.0)))),
            at_most={"over_s": 30.0, "trips": 0.0} | _NOTICED,
        ),
        "frozen": Fault(
            about="the meter shows the same for ever, and the house takes 8 A more after 5 s",
            plan=mixed_plan("frozen"),
            events=((FAULT_S, freeze), (FAULT_S + 5, step(scaled(8.0)))),
            at_most={"over_s": 75.0, "trips": 0.0} | _NOTICED,
        ),
    }
    plain = mixed_plan("board")
    for name, pair in {
        "sign": _metered("the meter counts backwards", shown_as(negated), plain),
        "turned": _metered(
            "one current transformer is turned", shown_as(turned), plain
        ),
        "lost": _metered("one current transformer is lost", shown_as(lost), plain),
        "ratio": _metered("the meter shows half", shown_as(halved), plain),
        "swapped": _metered(
            "L1 and L2 are exchanged", shown_as(exchanged), one_phase_cars
        ),
        "wrong_circuit": _metered(
            "the meter of one board shows another", cross, boards
        ),
        "sign_sun": _metered(
            "the meter counts backwards, the sun hides it, then it goes",
            shown_as(negated),
            lambda: sunny("sign_sun"),
            90.0,
            more=((FAULT_S + 120, dark),),
        ),
        "turned_sun": _metered(
            "one current transformer is turned, the sun hides it, then it goes",
            shown_as(turned),
            lambda: sunny("turned_sun"),
            90.0,
            more=((FAULT_S + 120, dark),),
        ),
    }.items():
        faults[name], faults[f"{name}_from_start"] = pair
    return faults


FAULTS: Mapping[str, Fault] = _all()
"""By name."""

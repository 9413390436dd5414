"""What can be wrong, or just inconvenient, each on a site of its own, with a bound for what may come of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from random import Random
from typing import Any

from .controllers import Answer, Controller
from .fault_sites import car, circuit, mixed, outlet, site
from .plan import PerPhase, SitePlan, SunPlan
from .plant import Plant
from .run import Event, Reaction, Study

FAULT_S = 600
"""When a fault begins: everybody has charged for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A scenario and what is demanded of it.

    Its figures are those of a study and `over_as` (all of them), `skew_s`, `issue_after_s`, `pauses` (since the fault)
    and `below_least` (permits between 0 and the minimum).
    """

    about: str
    plan: Callable[[], SitePlan]
    events: tuple[tuple[int, Event], ...] = ()
    reaction: Callable[[], Reaction] | None = None
    judged_from_s: int = FAULT_S
    at_most: Mapping[str, float]
    at_least: Mapping[str, float] = field(default_factory=dict)
    others: tuple[Fault, ...] = ()
    """The same with other circumstances; the worst of all counts."""

    def shortfalls(self, figures: Mapping[str, Any]) -> list[str]:
        """Return what was demanded and not reached, one line each."""
        found = []
        for key, bound in self.at_most.items():
            value = figures.get(key)
            if value is None or value > bound:
                found.append(f"{key} {value} > {bound:g}")
        for key, bound in self.at_least.items():
            value = figures.get(key)
            if value is None or value < bound:
                found.append(f"{key} {value} < {bound:g}")
        return found


_BOUND = {"over_s": 15.0, "over_as": 300.0, "trips": 0.0}
_NOTICED = {"issue_after_s": 90.0}


def _scaled(amps: float) -> PerPhase:
    return (amps, amps, amps)


def _step(amps: PerPhase, seconds: int | None = None, name: str = "main") -> Event:
    def happen(plant: Plant) -> None:
        plant.add_base(name, amps, seconds)

    return happen


def _meter(change: Callable[[PerPhase], PerPhase], name: str = "main") -> Event:
    def happen(plant: Plant) -> None:
        plant.meter(name).fault = change

    return happen


def _freeze(plant: Plant) -> None:
    plant.meter("main").frozen = True


def _dark(plant: Plant) -> None:
    plant.darken_sun(0.1)


def _after_a_raise(delay_s: int) -> Callable[[], Reaction]:
    """Let the house jump so long after the first raise that is seen."""

    def begin() -> Reaction:
        permits: dict[str, float] = {}
        jumps_s: list[int] = []

        def react(plant: Plant, answer: Answer) -> None:
            for command in answer.commands:
                before = permits.get(command.connector, 0.0)
                permits[command.connector] = command.amount
                if plant.at_s >= FAULT_S and command.amount >= before + 1.0:
                    jumps_s.append(plant.at_s + delay_s)
            if jumps_s and plant.at_s == jumps_s[0]:
                plant.add_base("main", _scaled(25.0))

        return react

    return begin


def _leave_half(plant: Plant) -> None:
    """Let some room come free, so that there is something to raise."""
    plant.add_base("main", _scaled(-12.0))


def _first_sight(plant: Plant) -> None:
    charger = plant.chargers["cp1"]
    charger.permit = charger.accepted = charger.report.accepted = 1.04


def _set(attribute: str, *names: str) -> Event:
    def happen(plant: Plant) -> None:
        for name in names or tuple(plant.chargers):
            setattr(plant.chargers[name], attribute, True)

    return happen


def _all_offline(plant: Plant) -> None:
    _set("offline")(plant)
    plant.add_base("main", _scaled(9.0))


def _wake(plant: Plant) -> None:
    """All sleeping cars want 6 A at once."""
    for charger in plant.chargers.values():
        if charger.car is not None and charger.car.full:
            charger.car.plan = replace(
                charger.car.plan, wake_every_s=3600.0, wake_for_s=120.0
            )
            charger.car.wake(plant.at_s)


def _boards() -> SitePlan:
    circuits = (
        circuit(100.0),
        circuit(40.0, name="a", parent="main", base_a=(4.0, 4.0, 4.0)),
        circuit(40.0, name="b", parent="main", base_a=(3.0, 3.0, 3.0)),
    )
    cars = tuple(
        (outlet(f"a{index}", "a"), car(3 if index else 1)) for index in range(5)
    )
    return site("boards", (*cars, (outlet("b0", "b"), None)), circuits)


def _cross(plant: Plant) -> None:
    """The meter of one board shows what the other carries."""
    other = plant.circuit("b")

    def shown(_: PerPhase) -> PerPhase:
        l1, l2, l3 = other.load_a
        return (l1, l2, l3)

    plant.meter("a").fault = shown


def _one_phase_cars() -> SitePlan:
    base_a = (30.0, 10.0, 12.0)
    cars = tuple((outlet(f"cp{index + 1}"), car(1)) for index in range(4))
    return site("one_phase_cars", cars, (circuit(63.0, base_a=base_a),))


def _sunny(name: str) -> SitePlan:
    return mixed(
        name,
        (circuit(40.0, base_a=(4.0, 5.0, 4.0)),),
        sun=SunPlan(peak_w=16000.0, clouds=0.0),
    )


def _modest(report_s: int, lag_s: int) -> Callable[[], SitePlan]:
    """Return a maker of a site on which two cars draw much less than their outlets could give."""

    def make() -> SitePlan:
        cars = tuple(
            (outlet(f"cp{index + 1}", most=32.0, report_s=report_s), car(3, most))
            for index, most in enumerate((32.0, 32.0, 20.0, 10.0, 10.0))
        )
        house = circuit(80.0, base_a=(20.0, 18.0, 19.0), lag_s=lag_s)
        return site("modest", cars, (house,))

    return make


def _board(report_s: int, lag_s: int) -> Callable[[], SitePlan]:
    """Return a maker of a board with five three-phase cars that take all there is."""

    def make() -> SitePlan:
        cars = tuple(
            (outlet(f"cp{index + 1}", report_s=report_s), car(3)) for index in range(5)
        )
        return site(
            "board", cars, (circuit(80.0, base_a=(20.0, 18.0, 19.0), lag_s=lag_s),)
        )

    return make


def _twelve() -> SitePlan:
    cars = tuple((outlet(f"cp{index + 1}"), car(3)) for index in range(12))
    return site("twelve", cars, (circuit(125.0, base_a=(10.0, 10.0, 10.0)),))


def _four() -> SitePlan:
    cars = tuple((outlet(f"cp{index + 1}"), car(3)) for index in range(4))
    return site("four", cars, (circuit(50.0, base_a=(23.0, 23.0, 23.0)),))


def _skew() -> SitePlan:
    cars = (
        (outlet("cp1", most=32.0, phases=(0,)), car(1, 32.0)),
        (outlet("cp2"), car(3)),
    )
    return site(
        "skew", cars, (circuit(63.0, base_a=(8.0, 8.0, 8.0)),), imbalance_a=20.0
    )


def _held_by_l2() -> SitePlan:
    cars = ((outlet("cp1", most=32.0), car(1, 32.0)),)
    return site("held_by_l2", cars, (circuit(32.0, base_a=(2.0, 23.0, 2.0)),))


def _idle_offline(mode: str = "fast", sun: SunPlan | None = None) -> SitePlan:
    cars = tuple((outlet(f"cp{index + 1}", mode=mode), car(1)) for index in range(3))
    idle = tuple(
        (outlet(f"idle{index + 1}", most=32.0, fallback=False), None)
        for index in range(3)
    )
    return site(
        "idle_offline",
        (*cars, *idle),
        (circuit(63.0, base_a=(4.0, 4.0, 4.0)),),
        sun=sun,
        told={"pv_surplus": sun is not None},
    )


def _waiting() -> SitePlan:
    full = tuple(
        (outlet(f"full{index + 1}"), car(3, need_kwh=0.15)) for index in range(4)
    )
    wait = tuple((outlet(f"wait{index + 1}"), car(3)) for index in range(3))
    return site(
        "waiting",
        (*full, *wait),
        (circuit(32.0, base_a=(5.0, 5.0, 5.0)),),
        seconds=7200,
    )


def _asleep() -> SitePlan:
    full = tuple(
        (outlet(f"full{index + 1}"), car(3, need_kwh=0.15)) for index in range(5)
    )
    busy = tuple((outlet(f"busy{index + 1}"), car(3)) for index in range(3))
    return site(
        "asleep", (*full, *busy), (circuit(40.0, base_a=(5.0, 5.0, 5.0)),), seconds=3600
    )


def _restless() -> SitePlan:
    return replace(mixed("restless"), hours=1.0)


def _flicker(plant: Plant) -> None:
    """6 A more for 2 to 9 s, again and again."""
    rng = Random(6)
    base = plant.circuit("main").base
    at_s = 0
    while at_s < len(base):
        more_s, less_s = rng.randint(2, 9), rng.randint(2, 9)
        for row in base[at_s : at_s + more_s]:
            row[:] = [value + 6.0 for value in row]
        at_s += more_s + less_s


def _first_permit() -> SitePlan:
    return site(
        "first_permit", ((outlet("cp1", least=8.0), car(3)), (outlet("cp2"), car(3)))
    )


def _negated(values: PerPhase) -> PerPhase:
    return (-values[0], -values[1], -values[2])


def _turned(values: PerPhase) -> PerPhase:
    return (-values[0], values[1], values[2])


def _lost(values: PerPhase) -> PerPhase:
    return (0.0, values[1], values[2])


def _exchanged(values: PerPhase) -> PerPhase:
    return (values[1], values[0], values[2])


def _halved(values: PerPhase) -> PerPhase:
    return (values[0] / 2, values[1] / 2, values[2] / 2)


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
            plan=_held_by_l2,
            judged_from_s=0,
            at_most={"over_s": 0.0},
            at_least={"room_pct": 92.0},
        ),
        "jump_after_raise": _worst(
            Fault(
                about="the house jumps by 25 A within 8 s of a raise, with cars below their permits",
                plan=_modest(report_s, lag_s),
                events=((FAULT_S, _leave_half),),
                reaction=_after_a_raise(delay_s),
                at_most=_BOUND,
            )
            for report_s, lag_s, delay_s in product((10, 30), (1, 5), (1, 4, 7))
        ),
        "masked_fall": _worst(
            Fault(
                about="cars' fall is hidden by a house that rises as they fall: 10 A, then 2 A/s for 5 s",
                plan=_board(report_s, lag_s),
                events=(
                    (FAULT_S, _step(_scaled(10.0))),
                    *(
                        (FAULT_S + after_s + second, _step(_scaled(2.0)))
                        for second in range(5)
                    ),
                ),
                at_most=_BOUND,
            )
            for report_s, lag_s, after_s in product((10, 30), (1, 5), (1, 3, 6))
        ),
        "imbalance_jump": Fault(
            about="12 A less on the phase that is behind",
            plan=_skew,
            events=((FAULT_S, _step((0.0, -12.0, 0.0))),),
            at_most={"skew_s": 18.0, "trips": 0.0},
        ),
        "small_changes": Fault(
            about="the house takes 4.8 A more, and again: twelve cars go down by 0.4 A each time",
            plan=_twelve,
            events=(
                (FAULT_S, _step(_scaled(4.8))),
                (FAULT_S + 30, _step(_scaled(4.8))),
            ),
            at_most=_BOUND,
        ),
        "peak": Fault(
            about="20 A for 3 s: nobody is stopped for it",
            plan=_four,
            events=((FAULT_S, _step(_scaled(20.0), 3)),),
            at_most={"pauses": 0.0, "trips": 0.0},
        ),
        "inrush": Fault(
            about="8 A for 1 s: nobody is stopped for it",
            plan=_four,
            events=((FAULT_S, _step(_scaled(8.0), 1)),),
            at_most={"pauses": 0.0, "trips": 0.0},
        ),
        "first_permit": Fault(
            about="at first sight a charge point has a permit of 1.04 A, with a minimum of 8 A",
            plan=_first_permit,
            events=((0, _first_sight),),
            judged_from_s=0,
            at_most={"below_least": 0.0, "over_s": 0.0},
        ),
        "idle_offline": Fault(
            about="three idle charge points without a fallback of their own are offline",
            plan=_idle_offline,
            events=((0, _set("offline", "idle1", "idle2", "idle3")),),
            judged_from_s=0,
            at_most={"over_s": 0.0},
            at_least={"room_pct": 92.0},
        ),
        "idle_offline_sun": Fault(
            about="the same under the sun, with cars that charge from surplus only",
            plan=lambda: _idle_offline("solar", SunPlan(peak_w=12000.0, clouds=0.0)),
            events=((0, _set("offline", "idle1", "idle2", "idle3")),),
            judged_from_s=0,
            at_most={"over_s": 0.0},
            at_least={"room_pct": 85.0},
        ),
        "all_offline": Fault(
            about="all charge points lose their connection, then the house takes 9 A more",
            plan=mixed_plan("all_offline"),
            events=((FAULT_S, _all_offline),),
            at_most={"issue_after_s": 30.0, "over_s": 330.0, "trips": 0.0},
        ),
        "ignores": Fault(
            about="a charge point ignores its limit and draws 32 A",
            plan=_ignoring,
            events=((FAULT_S, _set("ignores", "cp1")),),
            at_most=_BOUND | _NOTICED,
        ),
        "draws_at_zero": Fault(
            about="a charge point draws 6 A at a permit of 0, and there is no room for it",
            plan=_four,
            events=(
                (FAULT_S, _set("least_at_zero", "cp1", "cp2", "cp3", "cp4")),
                (FAULT_S + 60, _step(_scaled(12.0))),
            ),
            at_most={"over_s": 45.0, "over_as": 300.0, "trips": 0.0} | _NOTICED,
        ),
        "full_cars": Fault(
            about="four full cars, three that wait, room for four at 6 A",
            plan=_waiting,
            judged_from_s=0,
            at_most={"over_s": 0.0},
            at_least={"room_pct": 92.0},
        ),
        "all_wake": Fault(
            about="five full cars wake at once",
            plan=_asleep,
            events=((1800, _wake),),
            judged_from_s=1800,
            at_most=_BOUND,
        ),
        "flicker": Fault(
            about="the house flickers by 6 A",
            plan=_restless,
            events=((0, _flicker),),
            judged_from_s=0,
            at_most={"writes_per_h_max": 40.0, "trips": 0.0},
        ),
        "silent": Fault(
            about="the meter does not answer any more, then the house takes 8 A more",
            plan=mixed_plan("silent"),
            events=((FAULT_S, _silent), (FAULT_S + 5, _step(_scaled(8.0)))),
            at_most={"over_s": 30.0, "trips": 0.0} | _NOTICED,
        ),
        "frozen": Fault(
            about="the meter shows the same for ever, and the house takes 20 A more after 5 s",
            plan=mixed_plan("frozen"),
            events=((FAULT_S, _freeze), (FAULT_S + 5, _step(_scaled(20.0)))),
            at_most={"over_s": 75.0, "trips": 0.0} | _NOTICED,
        ),
    }
    board = mixed_plan("board")
    for name, pair in {
        "sign": _metered("the meter counts backwards", _meter(_negated), board),
        "turned": _metered("one current transformer is turned", _meter(_turned), board),
        "lost": _metered("one current transformer is lost", _meter(_lost), board),
        "ratio": _metered("the meter shows half", _meter(_halved), board),
        "swapped": _metered(
            "L1 and L2 are exchanged", _meter(_exchanged), _one_phase_cars
        ),
        "wrong_circuit": _metered(
            "the meter of one board shows another", _cross, _boards
        ),
        "sign_sun": _metered(
            "the meter counts backwards, the sun hides it, then it goes",
            _meter(_negated),
            lambda: _sunny("sign_sun"),
            90.0,
            more=((FAULT_S + 120, _dark),),
        ),
        "turned_sun": _metered(
            "one current transformer is turned, the sun hides it, then it goes",
            _meter(_turned),
            lambda: _sunny("turned_sun"),
            90.0,
            more=((FAULT_S + 120, _dark),),
        ),
    }.items():
        faults[name], faults[f"{name}_from_start"] = pair
    return faults


def mixed_plan(name: str) -> Callable[[], SitePlan]:
    """Return a maker of the board with six cars of all kinds."""
    return lambda: mixed(name)


def _ignoring() -> SitePlan:
    cars = tuple(
        (outlet(f"cp{index + 1}", most=32.0), car(3, 32.0)) for index in range(3)
    )
    return site("ignoring", cars, (circuit(50.0, base_a=(20.0, 18.0, 19.0)),))


def _silent(plant: Plant) -> None:
    plant.meter("main").fault = lambda _: None


def _worst(faults: Iterable[Fault]) -> Fault:
    first, *others = faults
    return replace(first, others=tuple(others))


def study_fault(name: str, make: Callable[[SitePlan], Controller]) -> dict[str, Any]:
    """Try a fault and return its figures, with `shortfalls`; where it has several forms, those of the worst."""
    fault = FAULTS[name]
    results = [_study(name, form, make) for form in (fault, *fault.others)]
    return max(
        results,
        key=lambda figures: (
            len(figures["shortfalls"]),
            figures["over_s"],
            figures["over_as"],
        ),
    )


def _study(
    name: str, fault: Fault, make: Callable[[SitePlan], Controller]
) -> dict[str, Any]:
    plan = replace(fault.plan(), name=name)
    judge = _Judge(fault)
    study = Study(
        plan,
        make(plan),
        "",
        events=fault.events,
        judged_from_s=fault.judged_from_s,
        reaction=judge.react,
    )
    figures = study.run()
    raised = [
        at_s - fault.judged_from_s
        for issue, at_s in study.metrics.issues.items()
        if at_s >= fault.judged_from_s
    ]
    figures |= {
        "about": fault.about,
        "over_as": round(figures["over_within_as"] + figures["over_beyond_as"], 1),
        "skew_s": figures["imbalance"]["longest_s"],
        "issue_after_s": min(raised, default=None),
        "pauses": judge.pauses,
        "below_least": judge.below_least,
    }
    figures["shortfalls"] = fault.shortfalls(figures)
    return figures


class _Judge:
    """What faults are judged by, beyond the metrics of a site: pauses, permits below the minimum."""

    def __init__(self, fault: Fault) -> None:
        """Begin with nothing."""
        self._reaction = None if fault.reaction is None else fault.reaction()
        self._from_s = fault.judged_from_s
        self.below_least = 0
        self._pauses_before: int | None = None
        self.pauses = 0

    def react(self, plant: Plant, answer: Answer) -> None:
        """Look at a second."""
        if self._reaction is not None:
            self._reaction(plant, answer)
        for command in answer.commands:
            least = plant.chargers[command.connector].plan.least
            if command.kind == "permit" and 0.0 < command.amount < least:
                self.below_least += 1
        pauses = sum(visit.car.pauses for visit in plant.visits)
        if plant.at_s <= self._from_s or self._pauses_before is None:
            self._pauses_before = pauses
        self.pauses = pauses - self._pauses_before


FAULTS: Mapping[str, Fault] = _all()
"""By name."""

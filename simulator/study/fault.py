"""A fault: a scenario, what is demanded of it, and how it went."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .controllers import Answer, Controller
from .fault_events import FAULT_S
from .metrics import CONFIGURATION
from .plan import SitePlan
from .plant import Plant
from .run import Event, Reaction, Study


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


class Judge:
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


def study(
    name: str, fault: Fault, make: Callable[[SitePlan], Controller]
) -> dict[str, Any]:
    """Try one form of a fault and return its figures, with `shortfalls`."""
    plan = replace(fault.plan(), name=name)
    judge = Judge(fault)
    subject = Study(
        plan,
        make(plan),
        "",
        events=fault.events,
        judged_from_s=fault.judged_from_s,
        reaction=judge.react,
    )
    figures = subject.run()
    raised = [
        at_s - fault.judged_from_s
        for issue, at_s in subject.metrics.issues.items()
        if at_s >= fault.judged_from_s and issue.kind not in CONFIGURATION
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

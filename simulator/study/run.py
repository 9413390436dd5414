"""One study: a plant, somebody who decides, and the figures."""

from collections.abc import Callable
from dataclasses import dataclass, field
import time
from typing import Any

from .ceiling import Ceiling
from .controllers import Answer, Controller
from .metrics import Metrics, ideal_energies
from .oracle import Oracle
from .plan import SitePlan
from .plant import Plant

type Event = Callable[[Plant], None]
"""What a fault does to the plant when its time has come."""

type Reaction = Callable[[Plant, Answer], None]
"""What a fault does in answer to a decision; it is asked each second."""


@dataclass(slots=True)
class Study:
    """A study that is about to run.

    `events` happen at their second. What is over a limit before `judged_from_s` is not counted.
    """

    plan: SitePlan
    controller: Controller
    name: str
    events: tuple[tuple[int, Event], ...] = ()
    judged_from_s: int = 0
    reaction: Reaction | None = None
    plant: Plant = field(init=False)
    metrics: Metrics = field(init=False)
    ideal_wh: dict[tuple[str, int], float] = field(init=False, default_factory=dict)

    def run(
        self,
        progress: Callable[[float], None] | None = None,
        watch: Reaction | None = None,
    ) -> dict[str, Any]:
        """Run to the end and return the figures.

        Args:
            progress: is told the share that is done, about every ten simulated minutes.
            watch: is called after each second, and changes nothing.
        """
        began_s = time.perf_counter()
        plan = self.plan
        plant = self.plant = Plant(plan)
        oracle = Oracle(plan, plant.base, plant.sun_w)
        metrics = self.metrics = Metrics(plant, oracle, self.judged_from_s)
        ideal = self.ideal_wh = ideal_energies(plan, oracle)
        if isinstance(self.controller, Ceiling):
            self.controller.look(plant, oracle)
        events = sorted(self.events, key=lambda event: -event[0])
        deciding_s = 0.0
        clock = time.perf_counter
        for at_s in range(plan.seconds):
            while events and events[-1][0] <= at_s:
                events.pop()[1](plant)
            plant.advance()
            seen = plant.seen()
            asked_s = clock()
            answer = self.controller.step(seen)
            deciding_s += clock() - asked_s
            for command in answer.commands:
                plant.chargers[command.connector].take(command, at_s)
            metrics.note(answer)
            if self.reaction is not None:
                self.reaction(plant, answer)
            if watch is not None:
                watch(plant, answer)
            if progress is not None and at_s % 600 == 0:
                progress(at_s / plan.seconds)
        if progress is not None:
            progress(1.0)
        figures = metrics.told(
            [ideal[visit.plan.outlet, visit.plan.from_s] for visit in plant.visits]
        )
        wall_s = clock() - began_s
        return {
            "site": plan.name,
            "controller": self.name,
            "seed": plan.seed,
            "hours": plan.hours,
            **figures,
            "wall_s": round(wall_s, 1),
            "deciding_pct": round(100.0 * deciding_s / wall_s, 1),
            "ms_per_decision": round(1000.0 * deciding_s / max(1, plan.seconds), 3),
        }

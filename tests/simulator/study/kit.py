"""Small plans, and a controller that says what a test wants."""

from collections.abc import Callable, Mapping
from typing import Any

from simulator.study.charger import Command
from simulator.study.controllers import Answer
from simulator.study.plan import (
    CarPlan,
    ChargerPlan,
    CircuitPlan,
    HousePlan,
    MeterPlan,
    OutletPlan,
    SitePlan,
    VisitPlan,
)
from simulator.study.plant import Plant, Seen


def car(**changes: Any) -> CarPlan:
    """Return a car that starts at once and draws all that it is offered."""
    given: dict[str, Any] = {
        "need_wh": 50000.0,
        "start_s": 0.0,
        "wake_s": 0.0,
        "below_a": 0.0,
        "taper_wh": 0.0,
        "ramp_s": 1.0,
    }
    return CarPlan(**given | changes)


def circuit(
    limit_a: float | None = 32.0,
    base_a: tuple[float, float, float] = (2.0, 2.0, 2.0),
    **changes: Any,
) -> CircuitPlan:
    """Return a circuit without noise."""
    given: dict[str, Any] = {
        "id": "main",
        "limit_a": None if limit_a is None else (limit_a, limit_a, limit_a),
        "meter": MeterPlan(lag_s=0, noise_a=0.0),
        "house": HousePlan(level_a=base_a, flicker_a=0.0),
    }
    return CircuitPlan(**given | changes)


def outlet(name: str = "cp1", **changes: Any) -> OutletPlan:
    """Return an outlet that obeys at once and reports each second."""
    given: dict[str, Any] = {
        "id": name,
        "circuit": "main",
        "charger": ChargerPlan(latency_s=0.0, report_s=1),
    }
    return OutletPlan(**given | changes)


def site(
    cars: Mapping[OutletPlan, CarPlan | None] | list[tuple[OutletPlan, CarPlan | None]],
    *circuits: CircuitPlan,
    seconds: int = 600,
    **changes: Any,
) -> SitePlan:
    """Return a site whose cars are there from the beginning to the end."""
    pairs = list(cars.items()) if isinstance(cars, Mapping) else cars
    given: dict[str, Any] = {
        "name": "test",
        "hours": seconds / 3600.0,
        "start_h": 12.0,
        "seed": 1,
        "circuits": circuits or (circuit(),),
        "outlets": tuple(one for one, _ in pairs),
        "visits": tuple(
            VisitPlan(outlet=one.id, from_s=0, to_s=10 * seconds, car=its)
            for one, its in pairs
            if its is not None
        ),
    }
    return SitePlan(**given | changes)


class Scripted:
    """Permits by a function of the time, for everybody alike, sent when they change."""

    def __init__(self, plan: SitePlan, permit: Callable[[int], float]) -> None:
        """Begin with nothing sent."""
        self._names = [one.id for one in plan.outlets]
        self._permit = permit
        self._sent: float | None = None

    def step(self, seen: Seen) -> Answer:
        """Answer."""
        amount = self._permit(seen.at_s)
        commands: tuple[Command, ...] = ()
        if amount != self._sent:
            self._sent = amount
            commands = tuple(
                Command(connector=name, amount=amount) for name in self._names
            )
        return Answer(commands=commands, permit=lambda _: amount)


def advance(plant: Plant, seconds: int) -> None:
    """Let time pass without anybody who decides."""
    for _ in range(seconds):
        plant.advance()

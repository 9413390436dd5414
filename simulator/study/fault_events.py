"""What happens to a plant when a fault begins."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from .controllers import Answer
from .plan import PerPhase
from .plant import Plant
from .run import Event, Reaction

FAULT_S = 600
"""When a fault begins: everybody has charged for minutes."""


def scaled(amps: float) -> PerPhase:
    """Return the same for each phase."""
    return (amps, amps, amps)


def step(amps: PerPhase, seconds: int | None = None, name: str = "main") -> Event:
    """Let a circuit carry more from now on, or for some seconds."""

    def happen(plant: Plant) -> None:
        plant.add_base(name, amps, seconds)

    return happen


def shown_as(change: Callable[[PerPhase], PerPhase], name: str = "main") -> Event:
    """Let a meter show something else than it should."""

    def happen(plant: Plant) -> None:
        plant.meter(name).fault = change

    return happen


def freeze(plant: Plant) -> None:
    """Let the meter show the same for ever."""
    plant.meter("main").frozen = True


def silent(plant: Plant) -> None:
    """Let the meter not answer any more."""
    plant.meter("main").fault = lambda _: None


def dark(plant: Plant) -> None:
    """Let a tenth of the sun be left."""
    plant.darken_sun(0.1)


def after_a_raise(delay_s: int) -> Callable[[], Reaction]:
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
                plant.add_base("main", scaled(25.0))

        return react

    return begin


def leave_half(plant: Plant) -> None:
    """Let some room come free, so that there is something to raise."""
    plant.add_base("main", scaled(-12.0))


def first_sight(plant: Plant) -> None:
    """Let a charge point have a permit below its minimum."""
    charger = plant.chargers["cp1"]
    charger.permit = charger.accepted = charger.report.accepted = 1.04


def set_true(attribute: str, *names: str) -> Event:
    """Set what is wrong with charge points; all of them if none is named."""

    def happen(plant: Plant) -> None:
        for name in names or tuple(plant.chargers):
            setattr(plant.chargers[name], attribute, True)

    return happen


def all_offline(plant: Plant) -> None:
    """Cut all charge points off while the house takes 9 A more."""
    set_true("offline")(plant)
    plant.add_base("main", scaled(9.0))


def wake(plant: Plant) -> None:
    """All sleeping cars want 6 A at once."""
    for charger in plant.chargers.values():
        if charger.car is not None and charger.car.full:
            charger.car.plan = replace(
                charger.car.plan, wake_every_s=3600.0, wake_for_s=120.0
            )
            charger.car.wake(plant.at_s)


def cross(plant: Plant) -> None:
    """The meter of one board shows what the other carries."""
    other = plant.circuit("b")

    def shown(_: PerPhase) -> PerPhase:
        l1, l2, l3 = other.load_a
        return (l1, l2, l3)

    plant.meter("a").fault = shown


def flicker(plant: Plant) -> None:
    """6 A more for 2 to 9 s, again and again."""
    rng = Random(6)
    base = plant.circuit("main").base
    at_s = 0
    while at_s < len(base):
        more_s, less_s = rng.randint(2, 9), rng.randint(2, 9)
        for row in base[at_s : at_s + more_s]:
            row[:] = [value + 6.0 for value in row]
        at_s += more_s + less_s


def negated(values: PerPhase) -> PerPhase:
    """Return the values with the wrong sign."""
    return (-values[0], -values[1], -values[2])


def turned(values: PerPhase) -> PerPhase:
    """Return the values with L1 turned."""
    return (-values[0], values[1], values[2])


def lost(values: PerPhase) -> PerPhase:
    """Return the values without L1."""
    return (0.0, values[1], values[2])


def exchanged(values: PerPhase) -> PerPhase:
    """Return the values with L1 and L2 exchanged."""
    return (values[1], values[0], values[2])


def halved(values: PerPhase) -> PerPhase:
    """Return half of the values."""
    return (values[0] / 2, values[1] / 2, values[2] / 2)

"""The plant: circuits with all that hangs on them, one second per tick."""

from dataclasses import dataclass, field
from random import Random

import numpy as np

from .breakers import Breaker
from .car import Car
from .charger import Charger, Report
from .house import Trace, house_trace, sun_trace
from .meter import Meter, Reading
from .plan import VOLTAGE_V, BatteryPlan, CircuitPlan, HousePlan, SitePlan, VisitPlan

_RESET_S = 3600
"""Time until somebody comes and switches a tripped breaker on again."""
_NO_HOUSE = HousePlan(level_a=(0.0, 0.0, 0.0), flicker_a=0.0)


@dataclass(slots=True)
class Seen:
    """All that a controller can know at one moment."""

    at_s: int
    meters: dict[str, Reading | None]
    """By circuit; None: it does not answer."""
    reports: dict[str, Report]
    """By connector; those without a connection are left out."""
    external_w: float | None = None
    battery: tuple[float, float] | None = None
    """Its power (positive while it charges) and its state of charge in percent."""


@dataclass(slots=True)
class Visit:
    """A car's stay, and what became of it."""

    plan: VisitPlan
    car: Car


class Battery:
    """A home battery that keeps the grid connection near zero."""

    def __init__(self, plan: BatteryPlan) -> None:
        """Begin idle."""
        self._plan = plan
        self.power_w = 0.0
        self.soc = plan.soc

    def advance(self, grid_without_w: float) -> float:
        """Let one second pass; return its power, positive while it charges."""
        plan = self._plan
        wanted_w = max(-plan.max_w, min(plan.max_w, -grid_without_w))
        if (wanted_w > 0.0 and self.soc >= 1.0) or (
            wanted_w < 0.0 and self.soc <= 0.05
        ):
            wanted_w = 0.0
        self.power_w += (wanted_w - self.power_w) / plan.response_s
        self.soc += self.power_w / 3600.0 / plan.capacity_wh
        return self.power_w


class Circuit:
    """A node with what it carries now."""

    def __init__(
        self, plan: CircuitPlan, above: int | None, base: Trace, rng: Random
    ) -> None:
        """Begin with nothing flowing."""
        self.plan = plan
        self.above = above
        self.base: list[list[float]] = base.tolist()
        self.load_a = [0.0, 0.0, 0.0]
        self.chargers_a = [0.0, 0.0, 0.0]
        """The part of it that charge points draw."""
        self.meter = None if plan.meter is None else Meter(plan.meter, rng)
        self.breaker = (
            Breaker(plan.breaker, plan.limit_a)
            if plan.breaker is not None and plan.limit_a is not None
            else None
        )
        self.tripped_s: int | None = None
        self.trips = 0


@dataclass(slots=True)
class _Wiring:
    charger: Charger
    path: tuple[int, ...]
    """Its circuits, the nearest first."""
    visits: list[VisitPlan] = field(default_factory=list)
    leaves_s: int | None = None


class Plant:
    """A site that follows the laws of physics.

    `base` and `sun_w` are what the house takes and the sun gives, second by second; the oracle reads them too.
    """

    def __init__(self, plan: SitePlan) -> None:
        """Draw house, sun and noise from the plan's seed."""
        self.plan = plan
        self.at_s = 0
        rng = np.random.default_rng(plan.seed)
        seconds = plan.seconds
        self.base = [
            house_trace(circuit.house or _NO_HOUSE, seconds, plan.start_h, rng)
            for circuit in plan.circuits
        ]
        self.sun_w = (
            None
            if plan.sun is None
            else sun_trace(plan.sun, seconds, plan.start_h, rng)
        )
        self._sun: list[float] = [] if self.sun_w is None else self.sun_w.tolist()
        places = {circuit.id: place for place, circuit in enumerate(plan.circuits)}
        self.circuits = [
            Circuit(
                circuit,
                None if circuit.parent is None else places[circuit.parent],
                base,
                Random(f"{plan.seed} {circuit.id}"),
            )
            for circuit, base in zip(plan.circuits, self.base, strict=True)
        ]
        self.battery = None if plan.battery is None else Battery(plan.battery)
        self.visits: list[Visit] = []
        """All that began, in this order."""
        self._rng = Random(plan.seed)
        self._wirings = [
            _Wiring(Charger(outlet), self._path(places[outlet.circuit]))
            for outlet in plan.outlets
        ]
        self.chargers = {
            wiring.charger.plan.id: wiring.charger for wiring in self._wirings
        }
        by_outlet = {wiring.charger.plan.id: wiring for wiring in self._wirings}
        for visit in sorted(plan.visits, key=lambda visit: -visit.from_s):
            by_outlet[visit.outlet].visits.append(visit)

    def _path(self, place: int) -> tuple[int, ...]:
        path = [place]
        while (above := self.circuits[path[-1]].above) is not None:
            path.append(above)
        return tuple(path)

    def advance(self) -> None:
        """Let one second pass."""
        at_s = self.at_s
        circuits = self.circuits
        for circuit in circuits:
            circuit.load_a = circuit.base[at_s].copy()
            circuit.chargers_a = [0.0, 0.0, 0.0]
        for wiring in self._wirings:
            self._come_and_go(wiring, at_s)
            charger = wiring.charger
            charger.advance(at_s)
            if charger.draw > 0.0 and charger.car is not None:
                nearest = circuits[wiring.path[0]]
                load_a = charger.load_a
                for phase in charger.car.phases:
                    nearest.chargers_a[phase] += load_a
        self._add_up(at_s)
        for circuit in circuits:
            if circuit.meter is not None:
                l1, l2, l3 = circuit.load_a
                circuit.meter.advance(at_s, (l1, l2, l3))
            self._judge(circuit, at_s)
        self.at_s = at_s + 1

    def _come_and_go(self, wiring: _Wiring, at_s: int) -> None:
        if wiring.leaves_s is not None and at_s >= wiring.leaves_s:
            wiring.charger.plug(None)
            wiring.leaves_s = None
        if wiring.visits and at_s >= wiring.visits[-1].from_s:
            visit = wiring.visits.pop()
            car = Car(visit.car, wiring.charger.plan, self._rng, at_s)
            wiring.charger.plug(car)
            wiring.leaves_s = visit.to_s
            self.visits.append(Visit(visit, car))

    def _add_up(self, at_s: int) -> None:
        circuits = self.circuits
        for circuit in reversed(circuits):
            if circuit.tripped_s is not None:
                circuit.load_a = [0.0, 0.0, 0.0]
                circuit.chargers_a = [0.0, 0.0, 0.0]
                continue
            load, chargers = circuit.load_a, circuit.chargers_a
            # What the children carry was added to `load_a` before, with their chargers.
            own = chargers
            load[0] += own[0]
            load[1] += own[1]
            load[2] += own[2]
            if circuit.above is not None:
                above = circuits[circuit.above]
                for phase in (0, 1, 2):
                    above.load_a[phase] += load[phase] - chargers[phase]
                    above.chargers_a[phase] += chargers[phase]
        root = circuits[0]
        if self._sun and root.tripped_s is None:
            each_a = self._sun[at_s] / (3.0 * VOLTAGE_V)
            root.load_a = [value - each_a for value in root.load_a]
        if self.battery is not None and root.tripped_s is None:
            battery_w = self.battery.advance(VOLTAGE_V * sum(root.load_a))
            each_a = battery_w / (3.0 * VOLTAGE_V)
            root.load_a = [value + each_a for value in root.load_a]

    def _judge(self, circuit: Circuit, at_s: int) -> None:
        """Let the breaker carry its current, and trip: all below it is dark until somebody resets it."""
        if circuit.breaker is None:
            return
        if circuit.tripped_s is not None:
            if at_s - circuit.tripped_s >= _RESET_S:
                circuit.tripped_s = None
                circuit.breaker.reset()
                self._darken(circuit, dark=False)
        elif circuit.breaker.advance(circuit.load_a):
            circuit.tripped_s = at_s
            circuit.trips += 1
            self._darken(circuit, dark=True)

    def _darken(self, circuit: Circuit, *, dark: bool) -> None:
        place = self.circuits.index(circuit)
        for wiring in self._wirings:
            if place in wiring.path:
                wiring.charger.dead = dark or any(
                    self.circuits[above].tripped_s is not None for above in wiring.path
                )

    def circuit(self, name: str) -> Circuit:
        """Return a circuit by its name."""
        return next(circuit for circuit in self.circuits if circuit.plan.id == name)

    def meter(self, name: str) -> Meter:
        """Return the meter of a circuit.

        Raises:
            ValueError: it has none.
        """
        meter = self.circuit(name).meter
        if meter is None:
            raise ValueError(f"{name} has no meter")
        return meter

    def add_base(
        self, name: str, amps: tuple[float, float, float], seconds: int | None = None
    ) -> None:
        """Let a circuit carry more from now on, for ever or for some seconds; the oracle is not told."""
        base = self.circuit(name).base
        end_s = len(base) if seconds is None else self.at_s + seconds
        for row in base[self.at_s : end_s]:
            for phase in (0, 1, 2):
                row[phase] += amps[phase]

    @property
    def sun_now_w(self) -> float:
        """What the sun gave in the last second."""
        return self._sun[self.at_s - 1] if self._sun else 0.0

    def darken_sun(self, share: float) -> None:
        """Let the sun give a share of what it would, from now on; the oracle is not told."""
        self._sun[self.at_s :] = [share * power for power in self._sun[self.at_s :]]

    def seen(self) -> Seen:
        """Return what can be known now."""
        external_w = None
        for from_s, limit_w in self.plan.external_w:
            if from_s <= self.at_s:
                external_w = limit_w
        return Seen(
            at_s=self.at_s,
            meters={
                circuit.plan.id: circuit.meter.reading
                for circuit in self.circuits
                if circuit.meter is not None
            },
            reports={
                name: charger.report
                for name, charger in self.chargers.items()
                if not charger.offline and not charger.dead
            },
            external_w=external_w,
            battery=None
            if self.battery is None
            else (self.battery.power_w, 100.0 * self.battery.soc),
        )

"""Controllers: the interface, and baselines by rules that others published.

`equal`: every 10 s each car that is plugged in gets the same share of every circuit above it; what one does not use
goes to nobody (openWB's interval; the rule of most load management boxes).
`evcc`: one charge point per 30 s in turn; a circuit's current is that of its largest phase, without a meter the sum of
its charge points' largest; what is left of the limit goes to whose turn it is (evcc's core/circuit and core/site).
`first`: every 10 s, first come, first served, on the phases that the outlet is wired to.

All of them renew their permits at half of a life of 300 s.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, override

from .charger import Command, Report
from .plan import VOLTAGE_V, OutletPlan, SitePlan
from .plant import Seen

_LIFE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Something that a person was told."""

    kind: str
    circuit: str | None = None
    phase: str | None = None
    connector: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a controller decided."""

    commands: tuple[Command, ...] = ()
    permit: Callable[[str], float]
    """What a connector is allowed now."""
    reason: Callable[[str], str] = lambda _: "own rule"
    """What limits a connector."""
    state: str = "regulating"
    issues: tuple[Issue, ...] = ()


class Controller(Protocol):
    """Decides once a second."""

    def step(self, seen: Seen) -> Answer:
        """Answer what is known now."""


class Baseline(ABC):
    """What the baselines have in common: they know wiring, limits and reports, and renew their permits."""

    def __init__(self, plan: SitePlan) -> None:
        """Read the wiring."""
        self.plan = plan
        self.outlets = {outlet.id: outlet for outlet in plan.outlets}
        circuits = {circuit.id: circuit for circuit in plan.circuits}
        self.paths: dict[str, tuple[str, ...]] = {}
        for outlet in plan.outlets:
            path = [outlet.circuit]
            while (parent := circuits[path[-1]].parent) is not None:
                path.append(parent)
            self.paths[outlet.id] = tuple(path)
        self.circuits = circuits
        self.arrived_s: dict[str, int] = {}
        self._permits: dict[str, tuple[float, float]] = {}
        """The permit and when it was sent."""

    def step(self, seen: Seen) -> Answer:
        """Decide when it is time, renew what is old."""
        for name, report in seen.reports.items():
            if report.state == "available":
                self.arrived_s.pop(name, None)
            else:
                self.arrived_s.setdefault(name, seen.at_s)
        wanted = self.decide(seen)
        commands = []
        for name, amount in wanted.items():
            outlet = self.outlets[name]
            amount = _whole(outlet, amount)
            before = self._permits.get(name)
            if (
                before is None
                or before[0] != amount
                or seen.at_s - before[1] >= _LIFE_S / 2
            ):
                self._permits[name] = (amount, seen.at_s)
                commands.append(
                    Command(
                        connector=name, amount=amount, expires_s=seen.at_s + _LIFE_S
                    )
                )
        for name, (amount, sent_s) in list(self._permits.items()):
            if name not in wanted and seen.at_s - sent_s >= _LIFE_S / 2:
                self._permits[name] = (amount, seen.at_s)
                commands.append(
                    Command(
                        connector=name, amount=amount, expires_s=seen.at_s + _LIFE_S
                    )
                )
        return Answer(
            commands=tuple(commands),
            permit=self._permit,
        )

    def _permit(self, name: str) -> float:
        return self._permits.get(name, (self.outlets[name].floor, 0.0))[0]

    @abstractmethod
    def decide(self, seen: Seen) -> dict[str, float]:
        """Return the permits that change now."""

    def draw_a(self, name: str, report: Report) -> tuple[float, float, float]:
        """Return what a charge point says that it draws, else its permit, on the phases it is wired to."""
        outlet = self.outlets[name]
        if report.state != "charging":
            return (0.0, 0.0, 0.0)
        if outlet.dc and report.power_w is not None:
            each_a = report.power_w / outlet.efficiency / (3.0 * VOLTAGE_V)
            return (each_a, each_a, each_a)
        values = report.current_a
        if values is None:
            permit, _ = self._permits.get(name, (outlet.floor, 0.0))
            value = (
                permit / outlet.efficiency / (3.0 * VOLTAGE_V) if outlet.dc else permit
            )
            values = (value, value, value)
        lines = [0.0, 0.0, 0.0]
        for index, line in enumerate(outlet.phases):
            lines[line] = values[index]
        return (lines[0], lines[1], lines[2])

    def room_a(self, seen: Seen) -> dict[str, list[float]]:
        """Return what each circuit with a limit has for all its cars: the limit less what is not theirs."""
        rooms = {}
        for circuit in self.plan.circuits:
            if circuit.limit_a is None:
                continue
            reading = seen.meters.get(circuit.id)
            room = list(circuit.limit_a)
            if reading is not None:
                cars = [0.0, 0.0, 0.0]
                for name, report in seen.reports.items():
                    if circuit.id in self.paths[name]:
                        cars = [
                            a + b
                            for a, b in zip(
                                cars, self.draw_a(name, report), strict=True
                            )
                        ]
                room = [
                    limit - max(0.0, shown - car)
                    for limit, shown, car in zip(
                        room, reading.current_a, cars, strict=True
                    )
                ]
            else:
                room = [a - b for a, b in zip(room, circuit.reserve_a, strict=True)]
            rooms[circuit.id] = room
        return rooms

    def amps(self, outlet: OutletPlan, amount: float) -> float:
        """Return A per phase of a permit."""
        return amount / outlet.efficiency / (3.0 * VOLTAGE_V) if outlet.dc else amount

    def amount(self, outlet: OutletPlan, amps: float) -> float:
        """Return the permit of A per phase, 0 below the minimum."""
        amount = amps * outlet.efficiency * 3.0 * VOLTAGE_V if outlet.dc else amps
        amount = min(amount, outlet.most)
        return amount if amount >= outlet.least else 0.0

    def by_arrival(self) -> list[str]:
        """Return who is there, first come first."""
        return sorted(self.arrived_s, key=lambda name: (self.arrived_s[name], name))


def _whole(outlet: OutletPlan, amount: float) -> float:
    return round(int(amount / outlet.step + 1e-6) * outlet.step, 6)


class Equal(Baseline):
    """The same for everybody who is plugged in."""

    @override
    def decide(self, seen: Seen) -> dict[str, float]:
        if seen.at_s % 10:
            return {}
        rooms = self.room_a(seen)
        present = self.by_arrival()
        # The last to come waits until the rest gets the minimum.
        while True:
            permits = self._shares(present, rooms, seen.external_w)
            if not present or all(
                permits[name] >= self.outlets[name].least for name in present
            ):
                break
            present.pop()
        return {name: permits.get(name, 0.0) for name in self.arrived_s}

    def _shares(
        self,
        present: list[str],
        rooms: dict[str, list[float]],
        external_w: float | None,
    ) -> dict[str, float]:
        heads = {name: [0, 0, 0] for name in rooms}
        for name in present:
            for circuit in self.paths[name]:
                if circuit in heads:
                    for line in self.outlets[name].phases:
                        heads[circuit][line] += 1
        permits = {}
        for name in present:
            outlet = self.outlets[name]
            share = min(
                (
                    rooms[circuit][line] / heads[circuit][line]
                    for circuit in self.paths[name]
                    if circuit in rooms
                    for line in outlet.phases
                ),
                default=outlet.most,
            )
            if external_w is not None:
                share = min(
                    share, external_w / len(present) / (VOLTAGE_V * len(outlet.phases))
                )
            permits[name] = self.amount(outlet, share)
        return permits


class First(Baseline):
    """First come, first served."""

    @override
    def decide(self, seen: Seen) -> dict[str, float]:
        if seen.at_s % 10:
            return {}
        rooms = self.room_a(seen)
        left_w = seen.external_w
        permits = {}
        for name in self.by_arrival():
            outlet = self.outlets[name]
            share = min(
                (
                    rooms[circuit][line]
                    for circuit in self.paths[name]
                    if circuit in rooms
                    for line in outlet.phases
                ),
                default=outlet.most,
            )
            watts_per_a = VOLTAGE_V * len(outlet.phases)
            if left_w is not None:
                share = min(share, left_w / watts_per_a)
            permits[name] = amount = self.amount(outlet, share)
            amps = self.amps(outlet, amount)
            if left_w is not None:
                left_w -= amps * watts_per_a
            for circuit in self.paths[name]:
                if circuit in rooms:
                    for line in outlet.phases:
                        rooms[circuit][line] -= amps
        return permits


class Evcc(Baseline):
    """One at a time, by the largest phase.

    Surplus: its own draw plus what is exported, started after 60 s of enough, stopped after 180 s of too little.
    """

    _ENABLE_S, _DISABLE_S, _TICK_S = 60, 180, 30

    def __init__(self, plan: SitePlan) -> None:
        """Begin with the first charge point."""
        super().__init__(plan)
        self._turn = 0
        self._names = list(self.outlets)
        self._sun_s: dict[str, int] = {}
        self._on: dict[str, float] = {}

    @override
    def decide(self, seen: Seen) -> dict[str, float]:
        if seen.at_s % self._TICK_S or not self._names:
            return {}
        for name in [name for name in self._on if name not in self.arrived_s]:
            self._on.pop(name)
        # Whose outlet is empty does not take a turn.
        for _ in self._names:
            name = self._names[self._turn % len(self._names)]
            self._turn += 1
            if name in self.arrived_s and name in seen.reports:
                permit = self._on[name] = self._turn_of(name, seen)
                return {name: permit}
        return {}

    def _turn_of(self, name: str, seen: Seen) -> float:
        outlet = self.outlets[name]
        draws = {
            other: max(self.draw_a(other, report))
            for other, report in seen.reports.items()
        }
        old = draws[name]
        new = self.amps(outlet, outlet.most)
        if outlet.mode == "solar":
            new = self._sunny(name, outlet, seen, old)
        for circuit in self.paths[name]:
            limit_a = self.circuits[circuit].limit_a
            if limit_a is None:
                continue
            reading = seen.meters.get(circuit)
            now = (
                max(reading.current_a)
                if reading is not None
                else sum(
                    draws[other] for other in draws if circuit in self.paths[other]
                )
            )
            potential = min(limit_a) - now
            if max(0.0, new - old) > potential:
                new = max(0.0, old + potential)
        if seen.external_w is not None:
            taken_w = sum(
                VOLTAGE_V * sum(self.draw_a(other, report))
                for other, report in seen.reports.items()
                if other != name
            )
            new = min(
                new, (seen.external_w - taken_w) / (VOLTAGE_V * len(outlet.phases))
            )
        return self.amount(outlet, new)

    def _sunny(self, name: str, outlet: OutletPlan, seen: Seen, old: float) -> float:
        reading = seen.meters.get(self.plan.circuits[0].id)
        if reading is None:
            return 0.0
        report = seen.reports[name]
        lines = sum(value > 0.0 for value in report.current_a or ()) or len(
            outlet.phases
        )
        site_w = -reading.power_w + (seen.battery[0] if seen.battery else 0.0)
        target = old + site_w / (VOLTAGE_V * lines)
        enough = target >= outlet.least
        running = self._on.get(name, 0.0) > 0.0
        if enough is running:
            self._sun_s.pop(name, None)
            return max(target, outlet.least) if running else 0.0
        since_s = self._sun_s.setdefault(name, seen.at_s)
        wait_s = self._DISABLE_S if running else self._ENABLE_S
        if seen.at_s - since_s < wait_s:
            return outlet.least if running else 0.0
        self._sun_s.pop(name, None)
        return 0.0 if running else target


BASELINES: Mapping[str, Callable[[SitePlan], Controller]] = {
    "equal": Equal,
    "evcc": Evcc,
    "first": First,
}

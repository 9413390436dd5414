"""Charge points: commands that take their time, permits that lapse, reports now and then."""

from collections import deque
from dataclasses import dataclass
from math import floor, inf

from .car import Car
from .plan import VOLTAGE_V, OutletPlan


@dataclass(slots=True)
class Report:
    """What a charge point said last; it is replaced, never changed."""

    state: str
    current_a: tuple[float, float, float] | None
    """In the order of its own phases."""
    power_w: float | None
    measured_s: float | None
    """When current and power were measured."""
    accepted: float | None
    """The permit that it accepted last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a controller puts on the wire.

    `kind` is `permit`, `stop` (end the transaction), `start`, `inoperative` or `operative`.
    """

    connector: str
    kind: str = "permit"
    amount: float = 0.0
    """A or W, of a permit."""
    expires_s: float = inf
    phase_count: int | None = None


class Charger:
    """A connector with its charge point's control."""

    def __init__(self, plan: OutletPlan) -> None:
        """Begin on the floor, with nobody there."""
        self.plan = plan
        self.car: Car | None = None
        self.draw = 0.0
        """A per phase in use, or W of DC output."""
        self.permit = plan.floor
        self.offered = 0.0
        """The last second's offer."""
        self.expires_s = inf
        self.accepted: float | None = None
        self.offline = False
        self.dead = False
        """Without power."""
        self.ignores = False
        """It accepts every permit and lets the car take its maximum."""
        self.least_at_zero = False
        """It goes on with its minimum at a permit of 0."""
        self.stopped = False
        self.inoperative = False
        self.report = Report("available", None, None, None, None)
        self._pending: deque[tuple[float, Command]] = deque()
        self._next_report_s = plan.charger.report_at_s

    @property
    def offer(self) -> float:
        """What the car is told that it may draw; 0 below the minimum."""
        plan = self.plan
        if self.stopped or self.inoperative or self.dead:
            return 0.0
        if self.ignores:
            return plan.most
        offer = floor(min(self.permit, plan.most) / plan.step + 1e-6) * plan.step
        if offer < plan.least - 1e-6:
            return plan.least if self.least_at_zero else 0.0
        return offer

    @property
    def load_a(self) -> float:
        """What each phase in use carries."""
        if self.plan.dc:
            return self.draw / self.plan.efficiency / (3.0 * VOLTAGE_V)
        return self.draw

    def take(self, command: Command, at_s: int) -> None:
        """Receive a command; without a connection it is lost."""
        if not self.offline and not self.dead:
            self._pending.append((at_s + self.plan.charger.latency_s, command))

    def plug(self, car: Car | None) -> None:
        """Plug a car in, or out; each car is a transaction of its own."""
        self.car = car
        self.draw = 0.0
        self.stopped = False

    def advance(self, at_s: int) -> None:
        """Let one second pass."""
        while self._pending and self._pending[0][0] <= at_s:
            self._obey(self._pending.popleft()[1])
        if at_s >= self.expires_s:
            if self.plan.charger.autonomous_fallback:
                self.permit = self.plan.floor
            self.expires_s = inf
        if self.car is None:
            self.draw = self.offered = 0.0
            state = "available"
        else:
            offer = self.offered = self.offer
            if self.stopped or self.inoperative or self.dead:
                # The contactor is open.
                self.car.amount = 0.0
                self.draw = self.car.advance(at_s, 0.0)
                state = "finishing"
            else:
                self.draw = self.car.advance(at_s, offer)
                if self.draw > 0.0:
                    state = "charging"
                else:
                    state = "suspended_ev" if offer > 0.0 else "suspended_evse"
        if self.inoperative:
            state = "faulted"
        if at_s >= self._next_report_s or state != self.report.state:
            if at_s >= self._next_report_s:
                self._next_report_s += self.plan.charger.report_s
            self._say(state, at_s)

    def _obey(self, command: Command) -> None:
        match command.kind:
            case "permit":
                self.permit = self.accepted = command.amount
                self.expires_s = command.expires_s
                last = self.report
                self.report = Report(
                    last.state,
                    last.current_a,
                    last.power_w,
                    last.measured_s,
                    command.amount,
                )
            case "stop":
                self.stopped = True
            case "start":
                self.stopped = False
            case "inoperative":
                self.inoperative = True
            case "operative":
                self.inoperative = False

    def _say(self, state: str, at_s: int) -> None:
        reports = self.plan.charger.reports
        current_a = power_w = None
        if reports != "nothing":
            gain = self.plan.charger.gain
            if self.plan.dc:
                power_w = round(self.draw * gain, 0)
            else:
                phases = () if self.car is None else self.car.phases
                value = round(self.draw * gain, 1)
                power_w = round(self.draw * gain * VOLTAGE_V * len(phases), 0)
                if reports == "current":
                    lines = self.plan.phases
                    l1, l2, l3 = (
                        value if index < len(lines) and lines[index] in phases else 0.0
                        for index in range(3)
                    )
                    current_a = (l1, l2, l3)
        self.report = Report(
            state,
            current_a,
            power_w,
            None if reports == "nothing" else at_s,
            self.accepted,
        )

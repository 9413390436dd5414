"""A small site in simulated time: cars that ramp, charge points that report seldom, meters that lag."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import Decision
from custom_components.reev_ems.energy_management.model import (
    PHASES,
    PerPhase,
    Phase,
    Site,
)
from custom_components.reev_ems.energy_management.observation import (
    BatteryObservation,
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    Observation,
)
from tests.energy_management.stepping import step

RAMP_A_PER_S = 4.0
"""6 to 16 A in 2.5 s, 32 A to nothing in 8 s: a car has 5 s to follow (IEC 61851-1)."""


@dataclass
class Car:
    """A car at a connector."""

    wants_a: float = 16.0
    phases: tuple[Phase, ...] = PHASES
    state: ConnectorState = ConnectorState.CHARGING
    report_s: float = 10.0
    """How often its charge point reports; 0: never."""
    report_at_s: float = 0.0
    """Offset of its reports."""
    tells_power: bool = False
    """Whether its charge point tells its power instead of its currents."""
    obeys: bool = True
    confirms: bool = False
    """Whether the observation carries the accepted permit."""
    draw_a: float = 0.0
    permit_a: float = 6.0
    expires_s: float = float("inf")
    floor_a: float = 6.0
    reported_a: float = 0.0
    reported_s: float | None = None
    energy_wh: float = 0.0
    commands: int = 0
    one_phase: bool = False
    """Whether it was told to charge on its first phase only."""

    @property
    def loaded(self) -> tuple[Phase, ...]:
        """Return the phases that it loads now."""
        return self.phases[:1] if self.one_phase else self.phases

    def follow(self, now_s: float) -> None:
        """Move one second."""
        if now_s >= self.expires_s:
            self.permit_a, self.expires_s = self.floor_a, float("inf")
        drawing = self.state is ConnectorState.CHARGING
        target_a = self.wants_a if not self.obeys else min(self.wants_a, self.permit_a)
        if not drawing or (self.obeys and self.permit_a < 6):
            target_a = 0.0
        change_a = target_a - self.draw_a
        self.draw_a += max(-RAMP_A_PER_S, min(RAMP_A_PER_S, change_a))
        if 0 < self.draw_a < 6 and target_a == 0:
            self.draw_a = 0.0
        self.energy_wh += self.draw_a * 230 * len(self.loaded) / 3600
        if self.report_s and (now_s - self.report_at_s) % self.report_s == 0:
            self.reported_a, self.reported_s = self.draw_a, now_s


@dataclass
class Plant:
    """The site: base loads by circuit, cars by connector."""

    site: Site
    cars: dict[str, Car]
    base: Callable[[float], Mapping[str, PerPhase]]
    lag_s: int = 0
    """How far behind the meters are without saying so."""
    silent: set[str] = field(default_factory=set)
    """Circuits whose meters do not answer."""
    now_s: float = 0.0
    state: ControllerState = field(default_factory=ControllerState)
    battery: BatteryObservation | None = None
    external_limit_w: float | None = None
    before_step: Callable[[Observation], Observation] | None = None
    loads: deque[dict[str, PerPhase]] = field(default_factory=lambda: deque(maxlen=60))
    read_s: dict[str, float] = field(default_factory=dict)
    held: dict[str, PerPhase] = field(default_factory=dict)
    decision: Decision | None = None

    def load(self) -> dict[str, PerPhase]:
        """Return what each circuit carries now."""
        base = self.base(self.now_s)
        parents = {circuit.id: circuit.parent for circuit in self.site.circuits}
        total = {circuit: [0.0, 0.0, 0.0] for circuit in parents}

        def add(circuit: str, load: PerPhase) -> None:
            here: str | None = circuit
            while here is not None:
                for index, value in enumerate(load):
                    total[here][index] += value
                here = parents[here]

        for circuit, load in base.items():
            add(circuit, load)
        for connector in self.site.connectors:
            car = self.cars[connector.id]
            add(connector.circuit, self._on_line(car, car.draw_a))
        return {circuit: (a[0], a[1], a[2]) for circuit, a in total.items()}

    @staticmethod
    def _on_line(car: Car, current_a: float) -> PerPhase:
        l1, l2, l3 = (current_a if phase in car.loaded else 0.0 for phase in PHASES)
        return l1, l2, l3

    def observe(self) -> Observation:
        """Return what can be known now."""
        lagging = self.loads[max(0, len(self.loads) - 1 - self.lag_s)]
        meters: dict[str, MeterObservation] = {}
        for circuit in self.site.circuits:
            if not circuit.metered:
                continue
            if circuit.id not in self.silent:
                self.read_s[circuit.id] = self.now_s
                self.held[circuit.id] = lagging[circuit.id]
            if circuit.id in self.held:
                current_a = self.held[circuit.id]
                meters[circuit.id] = MeterObservation(
                    current_a=current_a,
                    power_w=sum(current_a) * 230,
                    age_s=self.now_s - self.read_s[circuit.id],
                )
        connectors: dict[str, ConnectorObservation] = {}
        for connector in self.site.connectors:
            car = self.cars[connector.id]
            reported = car.reported_s is not None
            own = [
                car.reported_a if phase in car.loaded else 0.0
                for phase in connector.phases or PHASES
            ]
            own += [0.0] * (3 - len(own))
            connectors[connector.id] = ConnectorObservation(
                state=car.state,
                current_a=(own[0], own[1], own[2])
                if reported and not car.tells_power
                else None,
                power_w=sum(own) * 230.0 if reported and car.tells_power else None,
                age_s=self.now_s - car.reported_s
                if car.reported_s is not None
                else None,
                permit_a=car.permit_a if car.confirms else None,
            )
        return Observation(
            at_s=self.now_s,
            meters=meters,
            connectors=connectors,
            battery=self.battery,
            external_limit_w=self.external_limit_w,
        )

    def tick(self) -> Decision:
        """Move one second: cars follow, meters read, the step decides, commands arrive."""
        self.now_s += 1
        for car in self.cars.values():
            car.follow(self.now_s)
        self.loads.append(self.load())
        return self.decide()

    def decide(self) -> Decision:
        """Decide anew with what can be known now; commands arrive."""
        observation = self.observe()
        if self.before_step:
            observation = self.before_step(observation)
        self.state, decision = step(self.site, self.state, observation)
        self.decision = decision
        for command in decision.commands:
            car = self.cars[command.connector]
            car.commands += 1
            if car.obeys and command.permit_a is not None:
                car.permit_a, car.expires_s = command.permit_a, command.expires_s
                if command.phase_count is not None:
                    car.one_phase = command.phase_count == 1
        return decision

    def run(self, seconds: int) -> list[Decision]:
        """Move on."""
        return [self.tick() for _ in range(seconds)]

    def permits(self) -> dict[str, float]:
        """Return what the charge points were told last."""
        return {name: car.permit_a for name, car in self.cars.items()}

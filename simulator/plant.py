"""The physics of a site: its circuits with all that hangs on them.

Pure: no wire and no clock; whoever owns a `Plant` calls `advance(dt_s)`, in real or in simulated time. Loads are
kept as active and reactive power per phase, so that every current, power and energy of a circuit follows from
U·I·cosφ. Powers are positive for consumption and import; per-phase values are (L1, L2, L3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .breaker import Breaker
from .car import Connector
from .house import BaseLoad, HomeBattery, SolarPlant
from .load import Load, PerPhase, per_phase

_LONGEST_STEP_S = 0.5
"""A longer `advance` is done in parts, so that ramps and the time over a limit stay true after a stall."""


@dataclass(slots=True, kw_only=True)
class Overload:
    """How far and how long one phase of a circuit was above its limit."""

    max_a: float = 0.0
    """The furthest above the limit that chargers pushed it after the grace time."""
    over_as: float = 0.0
    """Ampere-seconds above the limit, whoever caused them."""
    broken_as: float = 0.0
    """Ampere-seconds above the limit after the grace time that the chargers, not the base load alone, caused."""
    since_s: float = 0.0
    """For how long it has been over without a break."""


@dataclass(slots=True, kw_only=True)
class Circuit:
    """A node of the tree, with its true flows and its energy registers."""

    id: str
    parent: str | None = None
    limit_a: PerPhase | None = None
    load: Load = field(default_factory=Load)
    without_chargers: Load = field(default_factory=Load)
    import_wh: float = 0.0
    """Netted over the phases at every moment, as billing meters do."""
    export_wh: float = 0.0
    import_phase_wh: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    export_phase_wh: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    overload: tuple[Overload, Overload, Overload] = field(
        default_factory=lambda: (Overload(), Overload(), Overload())
    )
    breaker: Breaker | None = None

    def __post_init__(self) -> None:
        """Protect what has a limit."""
        if self.limit_a is not None:
            self.breaker = Breaker(rated_a=self.limit_a)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The truth at a circuit at one moment, as a perfect meter would read it."""

    at_s: float
    voltage_v: PerPhase
    current_a: PerPhase
    """Magnitudes; the direction is in the power."""
    power_w: PerPhase
    reactive_var: PerPhase
    frequency_hz: float
    import_wh: float
    export_wh: float
    import_phase_wh: PerPhase
    export_phase_wh: PerPhase


class Plant:
    """A whole site.

    Args:
        circuits: the tree; exactly one without a parent, the grid connection.
        connectors: the outlets, whose limits others set.
        base_loads, solar, batteries: what else is there.
        voltage_v: voltage of each phase.

    Raises:
        ValueError: a double id, a parent or a circuit that is not there, a cycle, or not exactly one root.
    """

    def __init__(
        self,
        *,
        circuits: Sequence[Circuit],
        connectors: Sequence[Connector] = (),
        base_loads: Sequence[BaseLoad] = (),
        solar: Sequence[SolarPlant] = (),
        batteries: Sequence[HomeBattery] = (),
        voltage_v: PerPhase = (230.0, 230.0, 230.0),
        grace_s: float = 0.0,
    ) -> None:
        """Check the tree and bring it to its state at time zero."""
        self.circuits = {circuit.id: circuit for circuit in circuits}
        self.connectors = {connector.id: connector for connector in connectors}
        self.base_loads = {base.circuit: base for base in base_loads}
        self.solar = {plant.id: plant for plant in solar}
        self.batteries = {battery.id: battery for battery in batteries}
        for kind, given, kept in (
            ("circuit", circuits, self.circuits),
            ("connector", connectors, self.connectors),
            ("base load", base_loads, self.base_loads),
            ("PV plant", solar, self.solar),
            ("battery", batteries, self.batteries),
        ):
            if len(given) != len(kept):
                raise ValueError(f"two of one name: {kind}")
        places = {
            *(connector.circuit for connector in connectors),
            *(base.circuit for base in base_loads),
            *(plant.circuit for plant in solar),
            *(battery.circuit for battery in batteries),
        }
        for place in sorted(places - set(self.circuits)):
            raise ValueError(f"no such circuit: {place}")
        self._bottom_up = self._order()
        self.root = self._bottom_up[-1]
        self.voltage_v = voltage_v
        self.frequency_hz = 50.0
        self.grace_s = grace_s
        self.at_s = 0.0
        self.curve_s = 0.0
        self.time_factor = 1.0
        """How much faster than everything else the curves of loads and sun run."""
        self._aggregate()

    def _order(self) -> tuple[Circuit, ...]:
        """Return the circuits, children before parents."""
        depth: dict[str, int] = {}
        for circuit in self.circuits.values():
            seen = [circuit.id]
            while (parent := self.circuits[seen[-1]].parent) is not None:
                if parent not in self.circuits:
                    raise ValueError(f"no such circuit: {parent}")
                if parent in seen:
                    raise ValueError(
                        f"circuits in a circle: {' > '.join([*seen, parent])}"
                    )
                seen.append(parent)
            depth[circuit.id] = len(seen)
        if list(depth.values()).count(1) != 1:
            raise ValueError("exactly one circuit must have no parent")
        return tuple(
            sorted(self.circuits.values(), key=lambda circuit: -depth[circuit.id])
        )

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        while dt_s > 0.0:
            step_s = min(dt_s, _LONGEST_STEP_S)
            self._step(step_s)
            dt_s -= step_s

    def _step(self, dt_s: float) -> None:
        self.at_s += dt_s
        self.curve_s += dt_s * self.time_factor
        for connector in self.connectors.values():
            connector.advance(dt_s, self.voltage_v)
        if self.batteries:
            present_w = sum(battery.power_w for battery in self.batteries.values())
            self._aggregate()
            without_w = (sum(self.root.load.power_w) - present_w) / len(self.batteries)
            for battery in self.batteries.values():
                battery.advance(dt_s, without_w)
        self._aggregate()
        for circuit in self._bottom_up:
            self._count(circuit, dt_s)

    def _aggregate(self) -> None:
        """Sum the loads from the leaves to the grid connection."""
        for circuit in self._bottom_up:
            circuit.load = Load()
            circuit.without_chargers = Load()
        loads = [
            *(
                (base.circuit, base.load(self.curve_s, self.voltage_v))
                for base in self.base_loads.values()
            ),
            *(
                (plant.circuit, plant.load(self.curve_s))
                for plant in self.solar.values()
            ),
            *((battery.circuit, battery.load()) for battery in self.batteries.values()),
        ]
        for name, load in loads:
            self.circuits[name].load += load
            self.circuits[name].without_chargers += load
        for connector in self.connectors.values():
            self.circuits[connector.circuit].load += connector.load(self.voltage_v)
        for circuit in self._bottom_up:
            if circuit.parent is not None:
                self.circuits[circuit.parent].load += circuit.load
                self.circuits[
                    circuit.parent
                ].without_chargers += circuit.without_chargers

    def _count(self, circuit: Circuit, dt_s: float) -> None:
        """Move the energy registers and the account of overloads."""
        hours = dt_s / 3600.0
        total_w = sum(circuit.load.power_w)
        circuit.import_wh += max(total_w, 0.0) * hours
        circuit.export_wh += max(-total_w, 0.0) * hours
        for phase, power_w in enumerate(circuit.load.power_w):
            circuit.import_phase_wh[phase] += max(power_w, 0.0) * hours
            circuit.export_phase_wh[phase] += max(-power_w, 0.0) * hours
        if circuit.limit_a is None:
            return
        current_a = circuit.load.current_a(self.voltage_v)
        if circuit.breaker is not None:
            circuit.breaker.advance(dt_s, current_a)
        without_a = circuit.without_chargers.current_a(self.voltage_v)
        for overload, current, without, limit in zip(
            circuit.overload, current_a, without_a, circuit.limit_a, strict=True
        ):
            if current <= limit:
                overload.since_s = 0.0
                continue
            overload.since_s += dt_s
            overload.over_as += (current - limit) * dt_s
            if overload.since_s > self.grace_s:
                caused_a = max(0.0, current - max(limit, without))
                overload.max_a = max(overload.max_a, caused_a)
                overload.broken_as += caused_a * dt_s

    def reset_metrics(self, grace_s: float | None = None) -> None:
        """Forget past overloads; those that last longer than `grace_s` count from now on."""
        if grace_s is not None:
            self.grace_s = grace_s
        for circuit in self.circuits.values():
            circuit.overload = (Overload(), Overload(), Overload())
            if circuit.breaker is not None:
                circuit.breaker.reset()

    def measure(self, circuit_id: str) -> Measurement:
        """Return the truth at a circuit."""
        circuit = self.circuits[circuit_id]
        return Measurement(
            at_s=self.at_s,
            voltage_v=self.voltage_v,
            current_a=circuit.load.current_a(self.voltage_v),
            power_w=circuit.load.power_w,
            reactive_var=circuit.load.reactive_var,
            frequency_hz=self.frequency_hz,
            import_wh=circuit.import_wh,
            export_wh=circuit.export_wh,
            import_phase_wh=per_phase(circuit.import_phase_wh),
            export_phase_wh=per_phase(circuit.export_phase_wh),
        )

"""The physics of a site: circuits, base loads, sun, home battery, cars.

Pure: no wire and no clock; whoever owns a `Plant` calls `advance(dt_s)`, in real or in simulated time. Loads are
kept as active and reactive power per phase, so that every current, power and energy of a circuit follows from
U·I·cosφ. Powers are positive for consumption and import; per-phase values are (L1, L2, L3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import hypot, sqrt

from .curve import Curve

type PerPhase = tuple[float, float, float]
"""Values of L1, L2, L3, in that order."""

ZERO: PerPhase = (0.0, 0.0, 0.0)

_LONGEST_STEP_S = 0.5
"""A longer `advance` is done in parts, so that ramps and the time over a limit stay true after a stall."""

_FULL = 1.0 - 1e-9

_TAPER_FLOOR = 0.05
"""DC: share of its power at which a car ends charging instead of creeping towards full for ever."""


class Supply(StrEnum):
    """How a connector feeds the car."""

    AC = "ac"
    DC = "dc"


@dataclass(slots=True, kw_only=True)
class Load:
    """Active and reactive power per phase."""

    power_w: PerPhase = ZERO
    reactive_var: PerPhase = ZERO

    def __add__(self, other: Load) -> Load:
        """Return both loads together."""
        return Load(
            power_w=_add(self.power_w, other.power_w),
            reactive_var=_add(self.reactive_var, other.reactive_var),
        )

    def current_a(self, voltage_v: PerPhase) -> PerPhase:
        """Return the magnitude of the current on each phase."""
        return _per_phase(
            [
                hypot(p, q) / u
                for p, q, u in zip(
                    self.power_w, self.reactive_var, voltage_v, strict=True
                )
            ]
        )


def _per_phase(values: Sequence[float]) -> PerPhase:
    first, second, third = values
    return (first, second, third)


def _add(left: PerPhase, right: PerPhase) -> PerPhase:
    return (left[0] + right[0], left[1] + right[1], left[2] + right[2])


def _load_of_current(
    current_a: PerPhase, voltage_v: PerPhase, power_factor: float
) -> Load:
    apparent = [i * u for i, u in zip(current_a, voltage_v, strict=True)]
    return Load(
        power_w=_per_phase([s * power_factor for s in apparent]),
        reactive_var=_per_phase(
            [abs(s) * sqrt(1.0 - power_factor**2) for s in apparent]
        ),
    )


@dataclass(slots=True, kw_only=True)
class Car:
    """An electric car; `soc` is its state of charge from 0 to 1."""

    phases: int = 3
    max_a: float = 16.0
    max_w: float = 150000.0
    """DC only."""
    battery_wh: float = 60000.0
    soc: float = 0.4
    ramp_s: float = 4.0
    """Time from nothing to `max_a` and back: cars must follow the pilot signal within 5 s (IEC 61851-1)."""
    taper_from_soc: float | None = None
    """Above this the car asks for less and less; None: 0.95 on AC, 0.8 on DC."""
    paused: bool = False
    """The car itself does not want to charge just now."""

    @property
    def full(self) -> bool:
        """Whether the battery takes no more."""
        return self.soc >= _FULL

    def share_wanted(self, supply: Supply) -> float:
        """Return the share of its maximum that the car would take."""
        if self.full or self.paused:
            return 0.0
        start = (
            self.taper_from_soc
            if self.taper_from_soc is not None
            else 0.95
            if supply is Supply.AC
            else 0.8
        )
        return 1.0 if self.soc <= start else (1.0 - self.soc) / (1.0 - start)


@dataclass(slots=True, kw_only=True)
class Connector:
    """An outlet of a charge point and what hangs on it.

    Whoever controls it sets `energised` (contactor closed, a transaction runs) and `limit_a` or `limit_w`.
    """

    id: str
    circuit: str
    supply: Supply = Supply.AC
    line_phases: tuple[int, ...] = (0, 1, 2)
    """Line phase (0 for L1) that each of the connector's own phases is wired to."""
    min_a: float = 6.0
    max_a: float = 16.0
    min_w: float = 5000.0
    max_w: float = 50000.0
    efficiency: float = 0.95
    """DC: output power over AC input power."""
    power_factor: float = 0.99
    car: Car | None = None
    energised: bool = False
    limit_a: float = field(init=False)
    limit_w: float = field(init=False)
    current_a: float = field(init=False, default=0.0)
    """AC: what each used phase really carries."""
    power_w: float = field(init=False, default=0.0)
    """DC: what really flows into the car."""
    energy_wh: float = field(init=False, default=0.0)
    """The connector's own energy register."""

    def __post_init__(self) -> None:
        """Start without a limit, as a charge point without a profile does."""
        self.limit_a = self.max_a
        self.limit_w = self.max_w

    @property
    def offers(self) -> bool:
        """Whether the limit leaves enough to charge at all."""
        if self.supply is Supply.AC:
            return min(self.limit_a, self.max_a) >= self.min_a
        return min(self.limit_w, self.max_w) >= self.min_w

    @property
    def draws(self) -> bool:
        """Whether current flows."""
        return self.current_a > 0.0 or self.power_w > 0.0

    @property
    def phases_used(self) -> int:
        """How many own phases carry current while the present car charges."""
        return min(len(self.line_phases), self.car.phases) if self.car else 0

    @property
    def own_current_a(self) -> PerPhase:
        """Return the AC currents in the order of the connector's own phases."""
        used = self.phases_used
        return (
            self.current_a if used > 0 else 0.0,
            self.current_a if used > 1 else 0.0,
            self.current_a if used > 2 else 0.0,
        )

    def output_w(self, voltage_v: PerPhase) -> float:
        """Return the active power that goes into the car."""
        if self.supply is Supply.DC:
            return self.power_w
        return sum(
            voltage_v[line] * self.current_a * self.power_factor
            for line in self.line_phases[: self.phases_used]
        )

    def load(self, voltage_v: PerPhase) -> Load:
        """Return what the connector takes from the circuit."""
        if self.supply is Supply.DC:
            taken_w = self.power_w / self.efficiency / 3.0
            return _load_of_current(
                _per_phase([taken_w / self.power_factor / u for u in voltage_v]),
                voltage_v,
                self.power_factor,
            )
        current = [0.0, 0.0, 0.0]
        for line in self.line_phases[: self.phases_used]:
            current[line] = self.current_a
        return _load_of_current(_per_phase(current), voltage_v, self.power_factor)

    def advance(self, dt_s: float, voltage_v: PerPhase) -> None:
        """Let the car follow what it is offered, and fill its battery."""
        car = self.car
        if car is None or not self.energised:
            # The contactor is open, or the plug is out: nothing ramps down, it ends.
            self.current_a = self.power_w = 0.0
            return
        if self.supply is Supply.AC:
            # A car cannot charge below its minimum: tapering ends there.
            share = car.share_wanted(self.supply)
            wanted = max(self.min_a, share * car.max_a) if share else 0.0
            target = min(self.limit_a, self.max_a, wanted) if self.offers else 0.0
            self.current_a = _ramp(
                self.current_a, target, self.min_a, car.max_a / car.ramp_s * dt_s
            )
        else:
            share = car.share_wanted(self.supply)
            wanted = max(_TAPER_FLOOR, share) * car.max_w if share else 0.0
            target = min(self.limit_w, self.max_w, wanted) if self.offers else 0.0
            self.power_w = _ramp(
                self.power_w,
                target,
                0.0,
                min(self.max_w, car.max_w) / car.ramp_s * dt_s,
            )
        charged_wh = self.output_w(voltage_v) * dt_s / 3600.0
        self.energy_wh += charged_wh
        car.soc = min(1.0, car.soc + charged_wh / car.battery_wh)


def _ramp(present: float, target: float, minimum: float, most: float) -> float:
    """Move towards the target by at most `most`; nothing flows below the minimum."""
    moved = present + max(-most, min(most, target - present))
    if moved >= minimum:
        return moved
    return minimum if target >= minimum else 0.0


@dataclass(slots=True, kw_only=True)
class BaseLoad:
    """What a circuit carries besides the charge points: a constant, a curve, or what a command set last."""

    circuit: str
    curve: Curve
    """A per phase."""
    power_factor: float = 0.95
    command_a: PerPhase | None = None
    """Set by command; None: the curve counts."""

    def load(self, curve_s: float, voltage_v: PerPhase) -> Load:
        """Return the load at a time of the curve."""
        current_a = (
            self.command_a
            if self.command_a is not None
            else _per_phase(self.curve.at(curve_s))
        )
        return _load_of_current(current_a, voltage_v, self.power_factor)


@dataclass(slots=True, kw_only=True)
class SolarPlant:
    """PV inverters of a circuit."""

    id: str
    circuit: str
    peak_w: float
    curve: Curve
    """Share of `peak_w`, 0 to 1."""
    phase_share: PerPhase = (1 / 3, 1 / 3, 1 / 3)
    command_w: float | None = None
    """Set by command; None: the curve counts."""

    def power_w(self, curve_s: float) -> float:
        """Return what the sun gives at a time of the curve."""
        return (
            self.command_w
            if self.command_w is not None
            else self.peak_w * self.curve.at(curve_s)[0]
        )

    def load(self, curve_s: float) -> Load:
        """Return the (negative) load at a time of the curve."""
        power_w = self.power_w(curve_s)
        return Load(
            power_w=_per_phase([-power_w * share for share in self.phase_share])
        )


@dataclass(slots=True, kw_only=True)
class HomeBattery:
    """A three-phase home battery that keeps the grid connection near zero, as such batteries do."""

    id: str
    circuit: str
    capacity_wh: float
    max_w: float
    soc: float = 0.5
    response_s: float = 2.0
    command_w: float | None = None
    """Charging power (negative: discharging) set by command; None: follow the grid connection."""
    power_w: float = 0.0
    """Positive while it charges."""

    def advance(self, dt_s: float, grid_without_w: float) -> None:
        """Move towards the power that would bring the grid connection to zero."""
        wanted_w = -grid_without_w if self.command_w is None else self.command_w
        wanted_w = max(-self.max_w, min(self.max_w, wanted_w))
        if (wanted_w > 0.0 and self.soc >= _FULL) or (
            wanted_w < 0.0 and self.soc <= 0.0
        ):
            wanted_w = 0.0
        self.power_w += (wanted_w - self.power_w) * min(1.0, dt_s / self.response_s)
        self.soc = max(
            0.0, min(1.0, self.soc + self.power_w * dt_s / 3600.0 / self.capacity_wh)
        )

    def load(self) -> Load:
        """Return what it takes from its circuit."""
        return Load(power_w=_per_phase([self.power_w / 3.0] * 3))


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
            import_phase_wh=_per_phase(circuit.import_phase_wh),
            export_phase_wh=_per_phase(circuit.export_phase_wh),
        )

"""Cars, and the outlets that they hang on: what they want, how they ramp, and when they are full."""

from dataclasses import dataclass, field
from enum import StrEnum

from .load import Load, PerPhase, load_of_current, per_phase

_FULL = 1.0 - 1e-9

_TAPER_FLOOR = 0.05
"""DC: share of its power at which a car ends charging instead of creeping towards full for ever."""


class Supply(StrEnum):
    """How a connector feeds the car."""

    AC = "ac"
    DC = "dc"


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
            return load_of_current(
                per_phase([taken_w / self.power_factor / u for u in voltage_v]),
                voltage_v,
                self.power_factor,
            )
        current = [0.0, 0.0, 0.0]
        for line in self.line_phases[: self.phases_used]:
            current[line] = self.current_a
        return load_of_current(per_phase(current), voltage_v, self.power_factor)

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

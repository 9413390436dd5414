"""What a circuit carries besides cars: the house, the sun, a home battery."""

from dataclasses import dataclass

from .curve import Curve
from .load import Load, PerPhase, load_of_current, per_phase

_FULL = 1.0 - 1e-9


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
            else per_phase(self.curve.at(curve_s))
        )
        return load_of_current(current_a, voltage_v, self.power_factor)


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
        return Load(power_w=per_phase([-power_w * share for share in self.phase_share]))


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
        return Load(power_w=per_phase([self.power_w / 3.0] * 3))

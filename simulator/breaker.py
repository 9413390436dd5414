"""Breakers, the judges of a site: a thermal element that integrates I²t, and a magnetic one.

The heat h of a device with rated current In follows τ·dh/dt = (I/In)² − h; it trips at h = k², k being the current that
it bears for ever. A device that trips here stays on, so that the rest of a run still tells something: it is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

_BEARS = 1.05
_MAGNETIC = 5.0
_TAU_S = 300.0
"""The selective main breaker of German meter cabinets (VDE 0641-21), the quickest of them at long times: 1.05 In is borne,
1.2 In is not; at 5 In it trips at once."""


@dataclass(slots=True, kw_only=True)
class Breaker:
    """A device on three phases, half warm at the beginning."""

    rated_a: Sequence[float]
    heat: list[float] = field(default_factory=lambda: [0.5, 0.5, 0.5])
    most_heat: float = 0.0
    """The highest share of the heat that trips it, since the last `reset`."""
    trips: int = 0
    """How often it tripped since then; it is cold and on again at once."""

    def advance(self, dt_s: float, current_a: Sequence[float]) -> None:
        """Let time pass."""
        for phase, (amps, rated_a) in enumerate(
            zip(current_a, self.rated_a, strict=True)
        ):
            ratio = amps / rated_a
            self.heat[phase] += (ratio * ratio - self.heat[phase]) * dt_s / _TAU_S
            self.most_heat = max(self.most_heat, self.heat[phase] / _BEARS**2)
            if self.heat[phase] >= _BEARS**2 or ratio >= _MAGNETIC:
                self.trips += 1
                self.heat = [0.0, 0.0, 0.0]
                return

    def reset(self) -> None:
        """Count from now on; it keeps its heat."""
        self.most_heat = max(self.heat) / _BEARS**2
        self.trips = 0

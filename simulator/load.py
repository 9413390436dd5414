"""What flows: active and reactive power per phase, from which every current follows by U·I·cosφ."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt

type PerPhase = tuple[float, float, float]
"""Values of L1, L2, L3, in that order."""

ZERO: PerPhase = (0.0, 0.0, 0.0)


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
        return per_phase(
            [
                hypot(p, q) / u
                for p, q, u in zip(
                    self.power_w, self.reactive_var, voltage_v, strict=True
                )
            ]
        )


def per_phase(values: Sequence[float]) -> PerPhase:
    """Return three values as one per phase."""
    first, second, third = values
    return (first, second, third)


def _add(left: PerPhase, right: PerPhase) -> PerPhase:
    return (left[0] + right[0], left[1] + right[1], left[2] + right[2])


def load_of_current(
    current_a: PerPhase, voltage_v: PerPhase, power_factor: float
) -> Load:
    """Return the load of a current: negative feeds active power, and still takes reactive power."""
    apparent = [i * u for i, u in zip(current_a, voltage_v, strict=True)]
    return Load(
        power_w=per_phase([s * power_factor for s in apparent]),
        reactive_var=per_phase(
            [abs(s) * sqrt(1.0 - power_factor**2) for s in apparent]
        ),
    )

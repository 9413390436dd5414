"""Breakers, the judges: a thermal element that integrates I²t, and a magnetic one.

The heat h of a device with rated current In follows τ·dh/dt = (I/In)² − h; it trips at h = k². k and τ are those of
the fastest device that its standard allows at long times, so that what passes here passes everywhere:
k is the conventional non-tripping current, τ is set by one published point.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A characteristic, in multiples of the rated current."""

    bears: float
    """The current that it bears for ever."""
    tau_s: float
    magnetic: float | None
    """Trips within the second; None: it has none."""


KINDS = {
    # IEC 60898-1: 1.13 In is borne for an hour, 2.55 In from cold trips within 1 to 120 s (here 30 s), 3 In may trip at once.
    "B": Kind(1.13, 137.0, 3.0),
    # IEC 60269-1, 16 to 160 A: 1.25 In is borne, twice the current melts after about two minutes.
    "gG": Kind(1.25, 580.0, None),
    # The selective main breaker of German meter cabinets (VDE 0641-21), 1.05 In borne, 1.2 In trips in time.
    "E": Kind(1.05, 300.0, 5.0),
}


class Breaker:
    """A device on three phases; one that trips opens all."""

    def __init__(self, kind: str, rated_a: tuple[float, float, float]) -> None:
        """Begin half warm."""
        self._kind = KINDS[kind]
        self._rated_a = rated_a
        self._limit = self._kind.bears**2
        self.heat = [0.5, 0.5, 0.5]
        self.most_heat = 0.0
        """The highest share of the heat that trips it."""

    def advance(self, current_a: list[float]) -> bool:
        """Let one second pass; return whether it trips."""
        tau_s, magnetic, heat = self._kind.tau_s, self._kind.magnetic, self.heat
        tripped = False
        for phase in (0, 1, 2):
            ratio = current_a[phase] / self._rated_a[phase]
            square = ratio * ratio
            heat[phase] += (square - heat[phase]) / tau_s
            if heat[phase] > self.most_heat * self._limit:
                self.most_heat = heat[phase] / self._limit
            if heat[phase] >= self._limit or (
                magnetic is not None and abs(ratio) >= magnetic
            ):
                tripped = True
        return tripped

    def reset(self) -> None:
        """Switch it on again, cold."""
        self.heat = [0.0, 0.0, 0.0]

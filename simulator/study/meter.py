"""Meters: the truth of some seconds ago, with noise, rounded, read now and then, and what faults make of it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .plan import VOLTAGE_V, MeterPlan

type Values = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read last; currents and power are positive for import."""

    current_a: Values
    power_w: float
    read_s: float


class Meter:
    """A meter of one circuit.

    `fault` turns what it would show into what it shows; None from it means that it does not answer.
    """

    def __init__(self, plan: MeterPlan, rng: Random) -> None:
        """Begin without a reading."""
        self._plan = plan
        self._rng = rng
        self._past: deque[Values] = deque(maxlen=plan.lag_s + 1)
        self.reading: Reading | None = None
        self.frozen = False
        self.fault: Callable[[Values], Values | None] | None = None

    def advance(self, at_s: int, current_a: Values) -> None:
        """Let one second pass."""
        self._past.append(current_a)
        if at_s % self._plan.poll_s:
            return
        if self.frozen and self.reading is not None:
            self.reading = Reading(self.reading.current_a, self.reading.power_w, at_s)
            return
        plan, gauss = self._plan, self._rng.gauss
        l1, l2, l3 = self._past[0]
        noise, step = plan.noise_a, plan.resolution_a
        shown: Values | None = (
            round((l1 + gauss(0.0, noise)) / step) * step,
            round((l2 + gauss(0.0, noise)) / step) * step,
            round((l3 + gauss(0.0, noise)) / step) * step,
        )
        if self.fault is not None and shown is not None:
            shown = self.fault(shown)
        if shown is not None:
            self.reading = Reading(shown, VOLTAGE_V * sum(shown), at_s)

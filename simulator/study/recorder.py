"""What a picture needs of a study, in means over some seconds."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .controllers import Answer
from .plan import VOLTAGE_V
from .plant import Plant

type Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Series at the grid connection; rows are moments."""

    every_s: int
    base_a: Matrix
    """Rows of three: the house."""
    sun_a: Matrix
    """Per phase; zeros without a sun."""
    draws_a: Matrix
    """Per outlet and phase."""
    permits_a: Matrix
    """Per phase: what all cars together are allowed, on the phases that they use."""
    failsafe: NDArray[np.bool_]
    names: tuple[str, ...]


@dataclass(slots=True)
class Recorder:
    """Watches a study."""

    every_s: int
    _base: list[list[float]] = field(default_factory=list)
    _sun: list[list[float]] = field(default_factory=list)
    _draws: list[list[list[float]]] = field(default_factory=list)
    _permits: list[list[float]] = field(default_factory=list)
    _failsafe: list[bool] = field(default_factory=list)
    _names: tuple[str, ...] = ()

    def watch(self, plant: Plant, answer: Answer) -> None:
        """Take a second into account."""
        if not self._names:
            self._names = tuple(plant.chargers)
        root = plant.circuits[0]
        sun_a = plant.sun_now_w / (3.0 * VOLTAGE_V)
        battery_w = 0.0 if plant.battery is None else plant.battery.power_w
        more_a = sun_a - battery_w / (3.0 * VOLTAGE_V)
        self._base.append(
            [
                load - cars + more_a
                for load, cars in zip(root.load_a, root.chargers_a, strict=True)
            ]
        )
        self._sun.append([sun_a])
        permits, draws = [0.0, 0.0, 0.0], []
        for name, charger in plant.chargers.items():
            lines = [0.0, 0.0, 0.0]
            if charger.car is not None:
                permit = answer.permit(name)
                if charger.plan.dc:
                    permit /= charger.plan.efficiency * 3.0 * VOLTAGE_V
                for phase in charger.car.phases:
                    lines[phase] = charger.load_a
                    if not charger.car.full:
                        permits[phase] += permit
            draws.append(lines)
        self._draws.append(draws)
        self._permits.append(permits)
        self._failsafe.append(answer.state == "failsafe")

    def picture(self) -> Picture:
        """Return what was recorded."""
        every = self.every_s
        count = len(self._base) // every

        def means(rows: list[list[float]] | list[list[list[float]]]) -> Matrix:
            values = np.array(rows[: count * every])
            grouped: Matrix = values.reshape(count, every, *values.shape[1:]).mean(
                axis=1
            )
            return grouped

        failsafe = np.array(self._failsafe[: count * every]).reshape(count, every)
        return Picture(
            every_s=every,
            base_a=means(self._base),
            sun_a=means(self._sun)[:, 0],
            draws_a=means(self._draws),
            permits_a=means(self._permits),
            failsafe=np.asarray(failsafe.any(axis=1)),
            names=self._names,
        )

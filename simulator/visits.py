"""Cars that come and go by the clock of the curves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .car import Car

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A car that stands at a connector for a part of every day (seconds after midnight)."""

    connector: str
    from_s: float
    to_s: float
    car: dict[str, Any]
    """What is passed to `Car`; every visit is a car of its own."""


class Visits:
    """Tells who comes and goes."""

    def __init__(self, visits: Sequence[Visit]) -> None:
        """Start with nobody there."""
        self._visits = tuple(visits)
        self._present: dict[str, Visit] = {}

    def changes(self, curve_s: float) -> Iterator[tuple[str, Car | None]]:
        """Yield (connector, the car that came, or None: it left) since the last call."""
        time_s = curve_s % _DAY_S
        due = {
            visit.connector: visit
            for visit in self._visits
            if visit.from_s <= time_s < visit.to_s
        }
        for name, visit in list(self._present.items()):
            if due.get(name) is not visit:
                del self._present[name]
                yield name, None
        for name, visit in due.items():
            if name not in self._present:
                self._present[name] = visit
                yield name, Car(**visit.car)

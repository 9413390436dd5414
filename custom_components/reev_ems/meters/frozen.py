"""Notices a meter that answers but no longer measures (S2)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..energy_management.observation import MeterReading

READINGS = 10
"""Readings in a row that must be equal in every digit; of a live grid no two are."""
LOAD_MOVED_A = 2.0
"""By how much the cars' currents must have changed meanwhile: more than a meter's resolution, and no rounding."""
REPORT_DELAY_S = 2.0
"""By how much a charge point's report may be younger than what it tells of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a charge point reported of a connector."""

    current_a: float
    """Sum over its phases."""
    at_s: float
    """On the clock of the readings."""


class FrozenWatch:
    """Watches the readings of one meter."""

    def __init__(
        self, *, readings: int = READINGS, load_moved_a: float = LOAD_MOVED_A
    ) -> None:
        """Start with a meter that is trusted."""
        self._readings = readings
        self._load_moved_a = load_moved_a
        self._last: MeterReading | None = None
        self._equal = 1
        self._since_s = 0.0
        self._first_a: dict[str, float] = {}
        self._low_a = self._high_a = 0.0

    def is_frozen(self, reading: MeterReading, loads: Mapping[str, Load]) -> bool:
        """Return whether the meter's registers stand still while the cars behind it are seen to ramp.

        `loads` are the last reports of the connectors behind the meter. Charge points report seldom: only what changed
        between two reports that both came after the registers last did is a ramp that the meter missed.
        """
        values = replace(reading, at_s=0.0)
        if values != self._last:
            self._last = values
            self._equal = 1
            self._since_s = reading.at_s
            self._first_a.clear()
            self._low_a = self._high_a = 0.0
            return False
        self._equal += 1
        moved_a = 0.0
        for connector, load in loads.items():
            if load.at_s > self._since_s + REPORT_DELAY_S:
                first_a = self._first_a.setdefault(connector, load.current_a)
                moved_a += load.current_a - first_a
        self._low_a = min(self._low_a, moved_a)
        self._high_a = max(self._high_a, moved_a)
        return (
            self._equal >= self._readings
            and self._high_a - self._low_a >= self._load_moved_a
        )

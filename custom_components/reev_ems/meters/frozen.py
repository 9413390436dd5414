"""Notices a meter that answers but no longer measures (S2)."""

from dataclasses import replace

from ..energy_management.observation import MeterReading

READINGS = 10
"""Readings in a row that must be equal in every digit; of a live grid no two are."""
LOAD_MOVED_A = 2.0
"""By how much the cars' currents must have changed meanwhile: more than a meter's resolution, and no rounding."""


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
        self._low_a = self._high_a = 0.0

    def is_frozen(self, reading: MeterReading, load_a: float) -> bool:
        """Return whether the meter's registers stand still while the cars behind it are seen to ramp.

        `load_a` is the sum of the currents that the charge points behind the meter report, over all phases.
        """
        values = replace(reading, at_s=0.0)
        if values != self._last:
            self._last = values
            self._equal = 1
            self._low_a = self._high_a = load_a
            return False
        self._equal += 1
        self._low_a = min(self._low_a, load_a)
        self._high_a = max(self._high_a, load_a)
        return (
            self._equal >= self._readings
            and self._high_a - self._low_a >= self._load_moved_a
        )

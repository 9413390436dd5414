"""Observes how often a meter really gives a reading."""

from collections import deque
from statistics import median

GAPS = 8
"""So many of the last gaps are looked at, and the middle one taken: a single late reading says nothing."""
FEWEST_GAPS = 2


class IntervalWatch:
    """Watches how old each reading of one meter gets before a newer one follows."""

    def __init__(self) -> None:
        """Start without knowledge."""
        self._gaps_s: deque[float] = deque(maxlen=GAPS)
        self._last_s: float | None = None

    @property
    def interval_s(self) -> float | None:
        """Seconds from the time of one reading until the next is there; None until there were enough of them."""
        return median(self._gaps_s) if len(self._gaps_s) >= FEWEST_GAPS else None

    def note(self, at_s: float, now_s: float) -> None:
        """Take in a reading as it comes; one that is no newer than the last says nothing."""
        if self._last_s is not None:
            if at_s <= self._last_s:
                return
            self._gaps_s.append(now_s - self._last_s)
        self._last_s = at_s

    def interrupt(self) -> None:
        """Forget the last reading, for there is none now: an outage is no rhythm."""
        self._last_s = None

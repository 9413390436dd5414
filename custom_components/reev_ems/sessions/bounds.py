"""How many records a charge point may make in an hour: whatever it reports, the file does not grow without bound."""

from collections import deque
import time

SESSIONS_PER_HOUR = 120
"""More than a charge point comes back with after weeks without a connection."""
_HOUR_S = 3600.0


class Arrivals:
    """The sessions that each charge point has reported within the last hour."""

    def __init__(self) -> None:
        """Begin with none."""
        self._of: dict[str, deque[tuple[float, int]]] = {}

    def note(self, charge_point_id: str, session_id: int) -> None:
        """A new record was made."""
        self._of.setdefault(charge_point_id, deque()).append(
            (time.monotonic(), session_id)
        )

    def too_many(self, charge_point_id: str) -> list[int]:
        """Return the ids of the last hour, oldest first, if there is no room for another one; else none."""
        arrivals = self._of.get(charge_point_id)
        if arrivals is None:
            return []
        while arrivals and arrivals[0][0] < time.monotonic() - _HOUR_S:
            arrivals.popleft()
        if len(arrivals) < SESSIONS_PER_HOUR:
            return []
        return [session_id for _, session_id in arrivals]

    def merged(self, charge_point_id: str, session_id: int) -> None:
        """A record of the last hour is part of another one now."""
        self._of[charge_point_id] = deque(
            item for item in self._of[charge_point_id] if item[1] != session_id
        )

"""Two charge points with one id: told, and damped, or they would throw each other out for ever (S12)."""

from collections import deque
import logging

from .model import Problem
from .point import Point
from .session import Session

_LOGGER = logging.getLogger(__name__)

_MOST = 3
SPAN_S = 600.0
"""So many newer connections within this time, while the older one was there, are not those of one charge point."""
QUIET_S = 60.0
"""After so long without another, or as long as the last ones took to come, one of them has gone."""
PING_S = 3.0


class Rivals:
    """The newer connections that came for one id while the one that had it answered."""

    def __init__(self, point: Point) -> None:
        """Begin with none."""
        self._point = point
        self._came_s: deque[float] = deque(maxlen=_MOST)

    async def win(self, session: Session) -> bool:
        """Return whether a newer connection takes over from this one, which may be half open.

        One that answers is no remainder of the same charge point. Where that happens again and again, it keeps the id.
        """
        if not await session.answers_ping(PING_S):
            return True
        self._came_s.append(self._point.clock())
        return not self.look()

    def look(self) -> bool:
        """Return whether several have the id, and tell so."""
        several = False
        if len(self._came_s) == _MOST:
            took_s = self._came_s[-1] - self._came_s[0]
            quiet_s = self._point.clock() - self._came_s[-1]
            several = took_s < SPAN_S and quiet_s < max(QUIET_S, took_s)
        if several and Problem.ID_TWICE not in self._point.problems:
            _LOGGER.warning(
                "%s: several charge points connect with this id", self._point.id
            )
        self._point.problem(Problem.ID_TWICE, present=several)
        return several

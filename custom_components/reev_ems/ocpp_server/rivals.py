"""Two charge points with one id: told, and damped, or they would throw each other out for ever (S12)."""

from collections import deque
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .charge_point import ChargePoint
    from .session import Session

_LOGGER = logging.getLogger(__name__)

_MOST = 3
SPAN_S = 60.0
"""So many newer connections within this time are not those of one charge point."""
PING_S = 3.0


class Rivals:
    """The newer connections that came for one id while it was connected."""

    def __init__(self, point: ChargePoint) -> None:
        """Begin with none."""
        self._point = point
        self._came_s: deque[float] = deque(maxlen=_MOST)

    async def win(self, session: Session) -> bool:
        """Return whether a newer connection takes over from this one, which may be half open.

        Where that happens again and again, the one that is connected keeps the id for as long as it answers.
        """
        self._came_s.append(self._point.clock())
        return not self.look() or not await session.answers_ping(PING_S)

    def look(self) -> bool:
        """Return whether several have the id, and tell so."""
        since_s = self._point.clock() - SPAN_S
        several = len(self._came_s) == _MOST and self._came_s[0] > since_s
        if several and "id_twice" not in self._point.problems:
            _LOGGER.warning(
                "%s: several charge points connect with this id", self._point.id
            )
        self._point.problem("id_twice", present=several)
        return several

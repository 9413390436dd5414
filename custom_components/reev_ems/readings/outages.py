"""Logs that something is down, once, and that it is back, once; what comes and goes all the time is called so (once)."""

from collections import deque
import time

from ..const import LOGGER

# So many times down within this time is flapping, until it has been quiet for as long.
FLAPS = 3
FLAPPING_S = 300.0


class Outage:
    """Whether one thing works, for the log. It is told of every attempt, so that it knows how long it lasts."""

    def __init__(self, name: str) -> None:
        """Begin with one that works; `name` begins the lines."""
        self._name = name
        self._down = False
        self._flapping = False
        self._since_s = 0.0
        """When it last went down or came back."""
        self._downs_s: deque[float] = deque(maxlen=FLAPS)

    def down(self, why: object) -> None:
        """It does not work."""
        now_s = time.monotonic()
        settled = self._settles(now_s)
        if not self._down:
            self._down, self._since_s = True, now_s
            self._downs_s.append(now_s)
            if self._flapping:
                return
            first_s = self._downs_s[0]
            self._flapping = (
                len(self._downs_s) == FLAPS and now_s - first_s <= FLAPPING_S
            )
            if self._flapping:
                LOGGER.warning(
                    "%s comes and goes (%s); this is not logged each time until it is steady",
                    self._name,
                    why,
                )
            else:
                LOGGER.warning("%s does not answer: %s", self._name, why)
        elif settled:
            LOGGER.warning("%s does not answer any more: %s", self._name, why)

    def up(self) -> None:
        """It works."""
        now_s = time.monotonic()
        settled = self._settles(now_s)
        if self._down:
            self._down, self._since_s = False, now_s
            if not self._flapping:
                LOGGER.info("%s answers again", self._name)
        elif settled:
            LOGGER.info("%s answers steadily again", self._name)

    def _settles(self, now_s: float) -> bool:
        """Return, once, that it comes and goes no more."""
        if not self._flapping or now_s - self._since_s < FLAPPING_S:
            return False
        self._flapping = False
        self._downs_s.clear()
        return True

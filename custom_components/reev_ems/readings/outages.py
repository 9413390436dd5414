"""Logs that something is down, once, and that it is back, once; what comes and goes all the time is called so (once)."""

from collections import deque
import time

from ..const import LOGGER

# So many times down within this time is flapping, until it has been quiet for as long.
FLAPS = 3
FLAPPING_S = 300.0


class Outage:
    """Whether one thing works, for the log."""

    def __init__(self, name: str) -> None:
        """Begin with one that works; `name` begins the lines."""
        self._name = name
        self._down = False
        self._flapping = False
        self._downs_s: deque[float] = deque(maxlen=FLAPS)

    def down(self, why: object) -> None:
        """It does not work; told again, that changes nothing."""
        if self._down:
            return
        self._down = True
        now_s = time.monotonic()
        quiet = not self._downs_s or now_s - self._downs_s[-1] > FLAPPING_S
        self._downs_s.append(now_s)
        if self._flapping and not quiet:
            return
        self._flapping = (
            len(self._downs_s) == FLAPS and now_s - self._downs_s[0] <= FLAPPING_S
        )
        if self._flapping:
            LOGGER.warning(
                "%s comes and goes (%s); this is not logged each time until it is steady",
                self._name,
                why,
            )
        else:
            LOGGER.warning("%s does not answer: %s", self._name, why)

    def up(self) -> None:
        """It works."""
        if not self._down:
            return
        self._down = False
        if not self._flapping:
            LOGGER.info("%s answers again", self._name)

"""Lets the rest of the program have its turn while hundreds of charge points talk at once.

The event loop runs all that is ready before it looks at anything else, and after a cut of the network, or when permits
change all over a site, that is hundreds of messages. Each also gives up the interpreter for the moment in which its bytes
go to the system, and gets it back only milliseconds later if another thread is busy.
"""

import asyncio
import time

ROUND_S = 0.01
"""So long messages are handled in one round of the event loop; the rest waits for the next ones."""


class Turns:
    """What the messages of all charge points together take of a round of the event loop."""

    def __init__(self) -> None:
        """Begin with a new round."""
        self._round_ends_s: float | None = None

    async def take(self) -> None:
        """Wait until there is time for one more message; who came first is first."""
        while not self._has_time():
            await asyncio.sleep(0)

    def _has_time(self) -> bool:
        """Return whether this round has time left."""
        now_s = time.monotonic()
        if self._round_ends_s is None:
            self._round_ends_s = now_s + ROUND_S
            asyncio.get_running_loop().call_soon(self._end_round)
        return now_s < self._round_ends_s

    def _end_round(self) -> None:
        self._round_ends_s = None

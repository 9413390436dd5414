"""Lets the rest of the program have its turn while hundreds of charge points talk at once.

The event loop runs all that is ready before it looks at anything else, and after a cut of the network, or when permits
change all over a site, that is hundreds of messages. Each also gives up the interpreter for the moment in which its bytes
go to the system, and gets it back only milliseconds later if another thread is busy.
"""

import asyncio
from heapq import heappop, heappush
from itertools import count
import time

ROUND_S = 0.01
"""So long messages are handled in one round of the event loop; the rest waits for the next ones."""
_WOKEN = 16
"""So many of those that wait look in a round whether there is time for them: hundreds that do would take it all."""


class Turns:
    """What the messages of all charge points together take of a round of the event loop."""

    def __init__(self) -> None:
        """Begin with a new round."""
        self._round_ends_s: float | None = None
        self._tickets = count()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        """A heap: who came first is first."""
        self._waking = False

    async def take(self) -> None:
        """Wait until there is time for one more message; who came first is first."""
        if not self._waking and self._has_time():
            return
        ticket = next(self._tickets)
        while True:
            await self._wait(ticket)
            if self._has_time():
                return

    async def _wait(self, ticket: int) -> None:
        """Wait for the next round in which it may be this one's turn."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        heappush(self._waiting, (ticket, waiter))
        if not self._waking:
            self._waking = True
            loop.call_soon(self._wake)
        await waiter

    def _wake(self) -> None:
        """Let the first ones look in the next round, and come again behind them."""
        woken = 0
        while self._waiting and woken < _WOKEN:
            _, waiter = heappop(self._waiting)
            if not waiter.done():
                waiter.set_result(None)
                woken += 1
        self._waking = woken > 0
        if self._waking:
            asyncio.get_running_loop().call_soon(self._wake)

    def _has_time(self) -> bool:
        """Return whether this round has time left."""
        now_s = time.monotonic()
        if self._round_ends_s is None:
            self._round_ends_s = now_s + ROUND_S
            asyncio.get_running_loop().call_soon(self._end_round)
        return now_s < self._round_ends_s

    def _end_round(self) -> None:
        self._round_ends_s = None

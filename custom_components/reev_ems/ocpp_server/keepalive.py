"""Finds out that the other end of a connection is gone, without a word and perhaps for hours.

Some charge points answer no ping though the standard of WebSocket asks for it, and are there all the same: what they
send proves it.
"""

import asyncio
from collections.abc import Callable
import time

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 25.0
SILENCE_S = 150.0
"""A charge point that answers no pings sends a Heartbeat each minute."""
_UNANSWERED = 3
"""After so many it is taken for one that answers none: each would be kept in mind for as long as the connection lasts."""


async def watch(connection: ServerConnection, heard_s: Callable[[], float]) -> None:
    """Ping until the connection is closed, and close it if nobody is there.

    Args:
        connection: open.
        heard_s: tells the monotonic time of the last message; 0 if there was none.
    """
    answers, missed = False, 0
    try:
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            asked_s = time.monotonic()
            if missed < _UNANSWERED:
                try:
                    async with asyncio.timeout(PING_TIMEOUT_S):
                        await (await connection.ping())
                except TimeoutError:
                    missed += not answers
                else:
                    answers, missed = True, 0
                    continue
            else:
                # Needs no answer, and keeps the way through routers open.
                await connection.pong()
            last_s = heard_s()
            tolerated_s = SILENCE_S if last_s and not answers else 0.0
            if last_s < asked_s and time.monotonic() - last_s > tolerated_s:
                await connection.close(1011, "no answer to a ping")
                return
    except ConnectionClosed:
        pass

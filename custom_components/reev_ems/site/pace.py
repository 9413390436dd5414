"""When the next turn of the control loop is due."""

import asyncio
from contextlib import suppress
import time

from homeassistant.core import callback

# Without any event a step runs this often, so that ages are noticed.
STEP_INTERVAL_S = 1.0
# After a step readings and events wait for this many times what it took: a quarter and a tenth of a core at most, and
# nothing to notice at sites of usual size, where a step takes milliseconds.
METER_REST = 3
EVENT_REST = 9
# Events of charge points that follow each other are looked at together: a flood of them must not take the processor.
EVENT_PAUSE_S = 0.1


class Pace:
    """Wakes the loop by news, and leaves the processor to others for some time after a step."""

    def __init__(self) -> None:
        """Begin without news."""
        self._wake = asyncio.Event()
        self._meter_news = asyncio.Event()
        self._ended_s = 0.0
        self._took_s = 0.0
        """How long the last step took."""

    @callback
    def news(self) -> None:
        """Something happened, or was changed."""
        self._wake.set()

    @callback
    def meter_news(self) -> None:
        """Step at once: a meter shows what has to be lowered."""
        self._meter_news.set()
        self._wake.set()

    async def wait(self) -> None:
        """Wait for the next step; all news of before are its news."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STEP_INTERVAL_S):
                await self._wake.wait()
        await self._rest()
        self._wake.clear()
        self._meter_news.clear()

    def stepped(self, began_s: float) -> None:
        """Note a step that ends now."""
        self._ended_s = time.monotonic()
        self._took_s = self._ended_s - began_s

    async def _rest(self) -> None:
        """Leave the processor to others for some time after a step, shorter where a meter has news.

        Among hundreds of connectors one or the other has an event at every moment, among tens of meters one a reading.
        """
        rest_s = self._until(METER_REST * self._took_s)
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        rest_s = self._until(max(EVENT_PAUSE_S, EVENT_REST * self._took_s))
        if rest_s > 0 and not self._meter_news.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._meter_news.wait()

    def _until(self, rest_s: float) -> float:
        """Return how long it is until so much time has passed since the step, an interval at most, in s."""
        return self._ended_s + min(rest_s, STEP_INTERVAL_S) - time.monotonic()

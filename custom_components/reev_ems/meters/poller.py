"""Polls a meter in a steady rhythm."""

import asyncio
from collections.abc import Callable
import math

from ..energy_management.observation import MeterReading
from .errors import MeterError, Trouble
from .reader import MeterReader

SILENT_POLL_S = 10.0
"""Longest wait between attempts to read a meter that does not answer: its neighbours have to wait for each of them."""


class MeterPoller:
    """Reads a meter again and again and hands on what comes."""

    def __init__(
        self,
        reader: MeterReader,
        *,
        poll_s: float,
        on_reading: Callable[[MeterReading], None],
        on_error: Callable[[MeterError], None],
    ) -> None:
        """Prepare to poll every `poll_s`, though no faster than the meter's profile allows."""
        self._reader = reader
        self._poll_s = max(poll_s, reader.profile.min_poll_s)
        self._on_reading = on_reading
        self._on_error = on_error

    async def run(self) -> None:
        """Poll until cancelled.

        Polls begin on the ticks of a fixed grid, so that they neither drift nor overlap; a tick that comes while a
        poll still runs is left out. Every failure is reported.
        """
        loop = asyncio.get_running_loop()
        tick_s = loop.time()
        silences = 0
        while True:
            try:
                reading = await self._reader.read()
            except MeterError as err:
                # Only silence costs the others time; attempts to connect are spaced by the gateway itself.
                silences = silences + 1 if err.key is Trouble.NO_ANSWER else 0
                self._on_error(err)
            else:
                silences = 0
                self._on_reading(reading)
            wait_s = self._poll_s
            if silences > 1:
                wait_s = max(
                    wait_s,
                    min(self._poll_s * 2 ** min(silences - 1, 10), SILENT_POLL_S),
                )
            now_s = loop.time()
            late_s = now_s - tick_s - wait_s
            tick_s += wait_s + max(0, math.ceil(late_s / self._poll_s)) * self._poll_s
            await asyncio.sleep(tick_s - now_s)

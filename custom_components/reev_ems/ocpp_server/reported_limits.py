"""How long the value of a variable of OCPP 2.x may be: a charging station tells it in a report only."""

import asyncio
from collections.abc import Callable
from typing import Final

from . import fields
from .dialect import Reporter
from .model import CallError, Payload

REPORT_WAIT_S: Final = 10.0
"""From the answer to the report, which comes by itself."""


class ReportedLimits:
    """Asks one charging station for reports about single variables."""

    def __init__(self, point: Reporter, next_request: Callable[[], int]) -> None:
        """Ask a charging station; `next_request` gives the numbers that reports refer to."""
        self._point = point
        self._next_request = next_request
        self._awaited: dict[int, asyncio.Future[int | None]] = {}

    async def longest(self, component: str, variable: str) -> int | None:
        """Return how many characters a list may have; None: that is not told.

        Raises CallError if the connection is lost.
        """
        request = self._next_request()
        told: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._awaited[request] = told
        about = {"component": {"name": component}, "variable": {"name": variable}}
        try:
            answer = await self._point.raw_call(
                "GetReport", {"requestId": request, "componentVariable": [about]}
            )
            if answer.get("status") != "Accepted":
                return None
            async with asyncio.timeout(REPORT_WAIT_S):
                return await told
        except TimeoutError:
            return None
        except CallError as error:
            # Custom reports are optional.
            if error.key not in {"refused", "invalid_answer", "timeout"}:
                raise
            return None
        finally:
            del self._awaited[request]

    def take(self, report: Payload) -> None:
        """Take a part of a report; one that nobody asked for means nothing."""
        request = fields.integer(report, "requestId")
        told = None if request is None else self._awaited.get(request)
        if told is None or told.done():
            return
        for entry in fields.mappings(report, "reportData"):
            characteristics = fields.mapping(entry, "variableCharacteristics")
            if (limit := fields.integer(characteristics, "maxLimit")) is not None:
                told.set_result(limit)
                return
        if report.get("tbc") is not True:
            told.set_result(None)

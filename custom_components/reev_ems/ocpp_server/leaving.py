"""What a charge point is left with when this program stops: permits that it may keep for a while, else its floor."""

import asyncio
from collections.abc import Mapping
import logging

from .abilities import Way
from .events import ChargePointEvent
from .model import CallError, Permit
from .point import Point
from .profiles import working_id

_LOGGER = logging.getLogger(__name__)


class Leaving:
    """The end of the work with one charge point."""

    def __init__(self, point: Point) -> None:
        """Begin with nothing handed over."""
        self._point = point
        self._handed_over: Mapping[int, Permit] = {}

    def can_keep(self, connector_id: int) -> bool:
        """Whether a permit of a connector stays without us, and falls to the floor by itself."""
        connector = self._point.connectors[connector_id]
        return (
            self._point.connected
            and self._point.floor_accepted
            and self._point.autonomous_fallback is not False
            and connector.transaction is not None
            and connector.permit is not None
        )

    async def hand_over(self, permits: Mapping[int, Permit], timeout_s: float) -> None:
        """Give connectors permits that stay when we stop (fall_back), where they are accepted in time."""
        self._handed_over = permits
        accepted = asyncio.Event()

        def look(_: ChargePointEvent) -> None:
            if all(map(self._is_handed_over, permits)):
                accepted.set()

        unsubscribe = self._point.subscribe(look)
        for connector_id, permit in permits.items():
            self._point.permit(connector_id, permit)
        try:
            async with asyncio.timeout(timeout_s):
                await accepted.wait()
        except TimeoutError:
            _LOGGER.warning("%s: not all permits were handed over", self._point.id)
        finally:
            unsubscribe()

    def _is_handed_over(self, connector_id: int) -> bool:
        """Whether the permit in force is the one that was handed over."""
        permit = self._point.connectors[connector_id].permit
        return permit is not None and permit is self._handed_over.get(connector_id)

    async def fall_back(self, timeout_s: float) -> None:
        """Remove the working profiles, so that the floor acts at once. What cannot be reached falls back by itself.

        What was handed over stays.
        """
        if (
            self._point.connected
            and self._point.steering.abilities.way is Way.VENDOR_KEY
        ):
            try:
                async with asyncio.timeout(timeout_s):
                    await self._point.steering.vendor_key.write_floors()
            except (CallError, TimeoutError) as error:
                _LOGGER.warning("%s: floor not written: %s", self._point.id, error)
            return
        for connector in self._point.connectors.values():
            if (
                connector.permit is None
                or not self._point.connected
                or self._is_handed_over(connector.connector_id)
            ):
                continue
            action, payload = self._point.dialect.clear_profile(
                working_id(connector.connector_id)
            )
            try:
                await self._point.raw_call(
                    action, payload, urgent=True, timeout_s=timeout_s
                )
            except CallError as error:
                _LOGGER.debug(
                    "%s: working profile not cleared: %s", self._point.id, error
                )

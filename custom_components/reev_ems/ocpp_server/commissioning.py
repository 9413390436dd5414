"""The commissioning self-test: does this charge point obey, and does it fall back when nobody renews its permit?

It runs during a transaction, with a car that draws more than the floor. It never permits more than was permitted
before, and ends at once if the energy management wants less than the test does.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
import logging

from ..energy_management.model import Supply
from . import composite
from .events import ChargePointEvent, PermitAccepted
from .model import CallError, ConnectorView, Permit, SelfTest
from .point import Point
from .profiles import Unit

_LOGGER = logging.getLogger(__name__)

LIFE_S = 25.0
"""Life of the permit that is not renewed."""
OBEY_WAIT_S = 30.0
FALL_BACK_WAIT_S = 60.0
_LONG_LIFE_S = 120.0
_ABOVE_FLOOR = 1.5
"""The permit of the test over the floor; well visible, and small."""
_TOLERANCE = composite.TOLERANCE
_EARLY_S = 5.0
_CHECK_S = 0.25


async def self_test(point: Point, connector_id: int) -> SelfTest:
    """Test a charging connector; takes two to three minutes.

    Raises CallError: `no_transaction`, `draws_too_little` (no more than the floor: nothing can be seen), `aborted`
    (the energy management needed less), `test_running`, or what a call brings.
    """
    return await _Test(point, point.connectors[connector_id]).run()


class _Test:
    def __init__(self, point: Point, connector: ConnectorView) -> None:
        self._point = point
        self._connector = connector
        self._dc = connector.supply is Supply.DC
        self._floor = point.steering.floor_of(
            connector, Unit.WATT if self._dc else Unit.AMPERE
        )

    async def run(self) -> SelfTest:
        connector, steering = self._connector, self._point.steering
        if connector.transaction is None:
            raise CallError("no_transaction")
        began_s = self._point.clock()
        if not await self._until(lambda: self._measured_since(began_s), OBEY_WAIT_S):
            return SelfTest(meter_values=False)
        limit = self._limit()
        steering.begin_test(connector.connector_id)
        try:
            return await self._test(limit)
        finally:
            steering.end_test(connector.connector_id)

    def _limit(self) -> float:
        """Return what the test permits: a little over the floor, never more than is permitted now."""
        permit = self._connector.permit
        permitted = (permit.limit_w if self._dc else permit.limit_a) if permit else None
        draw = self._draw()
        if permitted is None or draw is None or self._floor <= 0:
            raise CallError("draws_too_little")
        limit = min(permitted, self._floor * _ABOVE_FLOOR)
        if min(limit, draw) <= self._floor * _TOLERANCE:
            raise CallError("draws_too_little")
        return limit

    async def _test(self, limit: float) -> SelfTest:
        result = SelfTest(meter_values=True)
        accepted_s = await self._permit(limit, _LONG_LIFE_S)
        obeys = await self._until(
            lambda: self._draws_at_most(limit, accepted_s), OBEY_WAIT_S
        )
        result = replace(
            result, obeys=obeys, schedule_agrees=await self._schedule_agrees()
        )
        if not obeys:
            return result
        accepted_s = await self._permit(limit, LIFE_S)
        lapses_s = accepted_s + LIFE_S
        falls_back = await self._until(
            lambda: self._draws_at_most(self._floor, accepted_s),
            LIFE_S + FALL_BACK_WAIT_S,
        )
        measured_s = self._connector.measured_at_s
        if not falls_back or measured_s is None:
            return replace(result, falls_back=False)
        if measured_s < lapses_s - _EARLY_S:
            # The car took less by itself: that tells nothing.
            return result
        return replace(result, falls_back=True, fall_back_s=measured_s - lapses_s)

    async def _permit(self, limit: float, life_s: float) -> float:
        """Permit and return the time at which it was accepted."""
        accepted = asyncio.Event()

        def note(event: ChargePointEvent) -> None:
            if (
                isinstance(event, PermitAccepted)
                and event.connector_id == self._connector.connector_id
            ):
                accepted.set()

        unsubscribe = self._point.subscribe(note)
        permit = Permit(
            limit_w=limit if self._dc else None,
            limit_a=None if self._dc else limit,
            life_s=life_s,
        )
        try:
            self._point.steering.test_permit(self._connector.connector_id, permit)
            if not await self._until(accepted.is_set, OBEY_WAIT_S):
                raise CallError("timeout", "permit of the self-test")
        finally:
            unsubscribe()
        return self._connector.permit_accepted_at_s or self._point.clock()

    async def _schedule_agrees(self) -> bool | None:
        """Whether the composite schedule comes down to the floor; None if it is not implemented or says nothing."""
        schedule = await composite.ask(
            self._point, self._connector.connector_id, int(_LONG_LIFE_S * 2)
        )
        if schedule is None:
            return None
        floor = self._point.steering.floor_of(self._connector, schedule.unit)
        # Some write -1 for "no limit".
        return any(0 <= limit <= floor * _TOLERANCE for limit in schedule.limits)

    async def _until(self, condition: Callable[[], bool], wait_s: float) -> bool:
        """Wait for a condition; False if it does not come true. Raises CallError if the test is over."""
        end_s = self._point.clock() + wait_s
        while not condition():
            if self._connector.transaction is None:
                raise CallError("no_transaction")
            if not self._point.connected:
                raise CallError("not_connected")
            if self._point.steering.test_aborted(self._connector.connector_id):
                raise CallError("aborted")
            if self._point.clock() >= end_s:
                return False
            await asyncio.sleep(_CHECK_S)
        return True

    def _measured_since(self, at_s: float) -> bool:
        measured_s = self._connector.measured_at_s
        return measured_s is not None and measured_s > at_s and self._draw() is not None

    def _draws_at_most(self, limit: float, since_s: float) -> bool:
        draw = self._draw()
        return (
            draw is not None
            and self._measured_since(since_s)
            and draw <= limit * _TOLERANCE
        )

    def _draw(self) -> float | None:
        """Return the power (DC), or the current of the phase that carries most."""
        if self._dc:
            return self._connector.power_w
        return max(
            (a for a in self._connector.current_a or () if a is not None), default=None
        )

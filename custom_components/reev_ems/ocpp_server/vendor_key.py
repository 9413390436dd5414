"""Steering by a configuration key of the vendor, for charge points that take no charging profiles.

Nothing lapses by itself there: the floor is written back by us when a permit lapses, and when we stop. A charge point
that is steered in this way has no autonomous fallback, and is booked at its maximum while it is offline (S7).
"""

import logging

from .limits import permit_limit
from .model import CallError, ConnectorView, Permit
from .point import Point
from .profiles import Unit, truncate

_LOGGER = logging.getLogger(__name__)

_RETRY_S = 10.0


class VendorKey:
    """The keys of one charge point that hold a connector's current in A."""

    def __init__(self, point: Point) -> None:
        """Know nothing of what was written."""
        self._point = point
        self._written: dict[str, str] = {}
        self._not_before_s = 0.0

    def forget(self) -> None:
        """The charge point has restarted: write again."""
        self._written.clear()

    async def write(self, connector: ConnectorView, permit: Permit | None) -> bool:
        """Write a permit, or (None) the floor; returns whether it was taken. Raises CallError.

        What is written already is not written again: it wears out flash memory.
        """
        point = self._point
        key = point.steering.abilities.vendor_key
        if key is None:
            return False
        limit_a = point.steering.floor_of(connector, Unit.AMPERE)
        if permit is not None:
            phases = point.steering.phases.of(connector, Unit.AMPERE)
            limit_a = permit_limit(permit, connector, Unit.AMPERE, point.config, phases)
        name = key.replace("{connector}", str(connector.connector_id))
        # Whole amperes: not every one of these keys takes tenths.
        value = str(int(truncate(limit_a, Unit.AMPERE)))
        if self._written.get(name) == value:
            return True
        self._written.pop(name, None)
        try:
            status = await point.dialect.change_configuration(name, value)
        except CallError as error:
            if error.key not in {"refused", "invalid_answer"}:
                raise
            return False
        if status not in {"Accepted", "RebootRequired"}:
            return False
        self._written[name] = value
        return True

    async def write_floors(self) -> bool:
        """Write the floor of every connector; returns whether all were taken. Raises CallError."""
        return all(
            [
                await self.write(connector, None)
                for connector in self._point.connectors.values()
            ]
        )

    def next_s(self) -> float | None:
        """Return when the next permit lapses."""
        lapses_s = [
            connector.permit_expires_at_s
            for connector in self._point.connectors.values()
            if connector.permit_expires_at_s is not None
        ]
        return max(min(lapses_s), self._not_before_s) if lapses_s else None

    async def lapse(self) -> None:
        """Write the floor of each connector whose permit has lapsed. Raises CallError (`disconnected`)."""
        now_s = self._point.clock()
        if now_s < self._not_before_s:
            return
        for connector in self._point.connectors.values():
            expires_s = connector.permit_expires_at_s
            if expires_s is None or expires_s > now_s:
                continue
            try:
                taken = await self.write(connector, None)
            except CallError as error:
                if error.key == "disconnected":
                    raise
                taken = False
            if not taken:
                _LOGGER.warning("%s: floor not written", self._point.id)
                self._not_before_s = now_s + _RETRY_S
                continue
            connector.permit = connector.permit_accepted_at_s = None
            connector.permit_expires_at_s = None

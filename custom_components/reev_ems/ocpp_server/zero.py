"""Whether a limit of 0 pauses the cars of a charge point: some ignore it, others end their transaction on it."""

import logging

from .model import ConnectorView, Permit
from .point import Point

_LOGGER = logging.getLogger(__name__)

ENDS_WITHIN_S = 30.0
"""A transaction that ends so soon after a limit of 0 was accepted ended on it, unless somebody ended it."""
ENDS_ENOUGH = 2
"""Once may be chance."""
_BY_ITSELF = frozenset({"other", "energylimitreached", "timelimitreached"})
"""Reasons that name nobody. One that is left out means a person at the charge point (OCPP 1.6), and a car that ends it
(`StoppedByEV`) says nothing about the charge point."""
IGNORES_AFTER_S = 60.0
"""As long as a limit of 0 has been in force while the car charged on, and was sent again meanwhile (S8)."""
_GAP_S = 10.0


class Zero:
    """What a charge point has shown of itself."""

    def __init__(self, point: Point) -> None:
        """Suppose that it pauses."""
        self.ignores = False
        """Whether a car was seen to charge on."""
        self.ends = 0
        """How many transactions ended on it by themselves."""
        self.model_fails = False
        """Whether others of its model have shown the same; not kept with what it taught itself."""
        self._point = point
        self._disobeyed_s: dict[int, tuple[float, float]] = {}
        """By connector: from when to when it did."""

    @property
    def fails(self) -> bool:
        """Whether it has shown that a limit of 0 does not pause."""
        return self.ignores or self.ends >= ENDS_ENOUGH

    def forget(self) -> None:
        """It is another model, or has another firmware."""
        self.ignores, self.ends, self.model_fails = False, 0, False
        self._disobeyed_s.clear()

    def ended(self, connector: ConnectorView, reason: str | None) -> bool:
        """Learn from the end of a transaction, and return whether it ended on 0; the connector still has its permit."""
        if (
            connector.connector_id in self._point.steering.pauses
            or not self._has_nothing(connector)
            or (reason or "").replace(" ", "").lower() not in _BY_ITSELF
        ):
            return False
        if self.fails:
            return True
        self.ends += 1
        if self.ends >= ENDS_ENOUGH:
            _LOGGER.warning(
                "%s ends transactions on a limit of 0: from now on they are paused by a stop and a start",
                self._point.id,
            )
        self._point.taught()
        return True

    def _has_nothing(self, connector: ConnectorView) -> bool:
        """Return whether a limit of 0 was accepted a moment ago, or is being sent."""
        if self._point.steering.wants_nothing(connector.connector_id):
            return True
        accepted_s = connector.permit_accepted_at_s
        return (
            _is_zero(connector.permit)
            and accepted_s is not None
            and self._point.clock() - accepted_s <= ENDS_WITHIN_S
        )

    def disobeyed(self, connector_id: int) -> None:
        """Learn from a car that charges on at a permit of 0; to be told again as long as it does."""
        connector = self._point.connectors.get(connector_id)
        if self.fails or connector is None or not _is_zero(connector.permit):
            return
        now_s = self._point.clock()
        since_s, last_s = self._disobeyed_s.get(connector_id, (now_s, now_s))
        if now_s - last_s > _GAP_S:
            since_s = now_s
        self._disobeyed_s[connector_id] = (since_s, now_s)
        if now_s - since_s < IGNORES_AFTER_S:
            return
        self.ignores = True
        _LOGGER.warning(
            "%s ignores a limit of 0: from now on cars are paused by a stop and a start",
            self._point.id,
        )
        self._point.taught()
        self._point.steering.renew(connector_id)


def _is_zero(permit: Permit | None) -> bool:
    return permit is not None and not permit.limit_a and not permit.limit_w

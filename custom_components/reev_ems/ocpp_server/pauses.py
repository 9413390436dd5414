"""Pausing by ending the transaction, for charge points that cannot be paused by a limit.

Some end their transaction at a limit of 0 by themselves, and a few are stuck then until the plug is pulled; others take no
limits at all. An orderly remote stop, and a remote start for the same id tag once there is something to charge with,
is the best that can be had: each pause ends a session.
"""

from collections.abc import Mapping
import logging

from ..energy_management.observation import ConnectorState
from .dialect import Request
from .model import CallError, ConnectorView
from .point import Point
from .session import Session

_LOGGER = logging.getLogger(__name__)

_CALL_TIMEOUT_S = 20.0
START_WAIT_S = 60.0
"""Time that a remote start may take until it is tried again."""
ANYBODY = "REEVEMS"
"""For a session that began without an id tag."""

_WAITING = frozenset({ConnectorState.FINISHING, ConnectorState.PLUGGED})


class Pauses:
    """The connectors of one charge point whose transactions ended, by us or on a limit of 0, and are to go on."""

    def __init__(self, point: Point) -> None:
        """Begin with nobody paused."""
        self._point = point
        self._tags: dict[int, str] = {}
        self._stopped_s: dict[int, float] = {}

    @property
    def tags(self) -> dict[int, str]:
        """The id tags of those who were stopped, by connector; also to be kept over a restart."""
        return dict(self._tags)

    def recall(self, tags: Mapping[int, str]) -> None:
        """Go on with the pauses of before a restart."""
        self._tags = dict(tags)

    def __contains__(self, connector_id: int) -> bool:
        """Whether a connector was paused in this way."""
        return connector_id in self._tags

    def state_of(self, connector_id: int, state: ConnectorState) -> ConnectorState:
        """Return what the state of a connector means: one that was stopped by us waits for us."""
        if state is ConnectorState.AVAILABLE:
            self._forget(connector_id)
        paused = connector_id in self._tags and state in _WAITING
        return ConnectorState.SUSPENDED_EVSE if paused else state

    def began(self, connector_id: int) -> None:
        """A transaction runs, whoever started it."""
        self._forget(connector_id)

    async def stop(
        self, session: Session, connector: ConnectorView, *, urgent: bool = True
    ) -> bool:
        """End the connector's transaction; returns whether it obeys. Raises CallError."""
        if connector.transaction is None:
            return True
        tag = connector.transaction.id_tag or ANYBODY
        # Known before the end is reported, which comes first with some.
        self._tags[connector.connector_id] = tag
        taken = False
        try:
            request = self._point.dialect.remote_stop(connector.transaction)
            taken = await self._ask(session, request, urgent=urgent)
        finally:
            if not taken:
                self._tags.pop(connector.connector_id, None)
        self._stopped_s[connector.connector_id] = self._point.clock()
        self._point.taught()
        return taken

    def ended(self, connector: ConnectorView) -> None:
        """Its transaction, which it still has, ended on a limit of 0: it waits for more like one that was stopped."""
        if connector.transaction is None:
            return
        connector_id = connector.connector_id
        self._tags[connector_id] = connector.transaction.id_tag or ANYBODY
        self._stopped_s[connector_id] = self._point.clock()
        connector.state = self.state_of(connector_id, connector.state)
        self._point.taught()

    def start_at_s(self, connector_id: int) -> float:
        """Return the monotonic time before which a start would come too soon after the stop."""
        stopped_s = self._stopped_s.get(connector_id, 0.0)
        return stopped_s + self._point.quirks.start_rest_s

    def _forget(self, connector_id: int) -> None:
        if self._tags.pop(connector_id, None) is not None:
            self._point.taught()

    async def start(self, session: Session, connector: ConnectorView) -> bool:
        """Go on with the session that was ended; returns whether it will try. Raises CallError."""
        id_, point = connector.connector_id, self._point
        start = point.dialect.remote_start(id_, self._tags[id_])
        # Where it is restarted the next attempt comes when it is back.
        return await self._ask(
            session, start, urgent=True
        ) or await self._leave_finishing(session)

    async def start_after_restart(
        self, session: Session, connector: ConnectorView, tag: str
    ) -> bool:
        """Restart a charge point that refused a start; returns whether that helps, and the start comes then.

        Raises CallError.
        """
        if (
            connector.state is not ConnectorState.FINISHING
            or not await self._leave_finishing(session)
        ):
            return False
        self._tags[connector.connector_id] = tag
        self._point.taught()
        return True

    async def _leave_finishing(self, session: Session) -> bool:
        """Restart a model that takes no start in *Finishing* otherwise, if nobody else charges there."""
        point = self._point
        if not point.quirks.reset_when_finished or any(
            each.transaction for each in point.connectors.values()
        ):
            return False
        return await self._ask(session, point.dialect.reset(hard=False), urgent=False)

    async def _ask(self, session: Session, request: Request, *, urgent: bool) -> bool:
        action, payload = request
        try:
            answer = await session.call(
                action, payload, urgent=urgent, timeout_s=_CALL_TIMEOUT_S
            )
        except CallError as error:
            if error.key not in {"refused", "invalid_answer"}:
                raise
            return False
        status = str(answer.get("status", ""))
        _LOGGER.debug("%s: %s: %s", self._point.id, action, status)
        return status.lower() == "accepted"

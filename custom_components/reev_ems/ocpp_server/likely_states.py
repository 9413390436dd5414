"""The states of connectors that were not told since this program started: some tell theirs only when it changes."""

from ..energy_management.observation import ConnectorState
from .events import StatusChanged
from .model import ConnectorView
from .point import Point

_NOT_CHARGING = frozenset(
    {
        ConnectorState.AVAILABLE,
        ConnectorState.PLUGGED,
        ConnectorState.FINISHING,
        ConnectorState.OFFLINE,
    }
)
"""States that a running transaction contradicts if they are from before a restart."""


class LikelyStates:
    """What the connectors of one charge point are likely to do."""

    def __init__(self, point: Point) -> None:
        """Speak of a charge point."""
        self._point = point

    def of(self, connector: ConnectorView) -> ConnectorState:
        """Return the state as it was told, else as it was before a restart; OFFLINE where it is unknown."""
        point, id_ = self._point, connector.connector_id
        state = point.dialect.state_of(connector)
        untold = id_ not in point.told_state
        if untold and connector.transaction is not None and state in _NOT_CHARGING:
            state = ConnectorState.CHARGING
        return point.steering.pauses.state_of(id_, state)

    def presume(self, connector: ConnectorView) -> None:
        """Set the state of a connector to what is likely, as long as it was not told."""
        point, state = self._point, self.of(connector)
        if (
            not point.connected
            or connector.connector_id in point.told_state
            or state is connector.state
        ):
            return
        connector.state = state
        point.emit(
            StatusChanged(
                charge_point_id=point.id,
                connector_id=connector.connector_id,
                state=state,
            )
        )

    def remember(self) -> None:
        """Begin with the states of before a restart."""
        for connector in self._point.connectors.values():
            if connector.status is not None:
                self._point.dialect.remember_status(
                    connector.connector_id, connector.status
                )

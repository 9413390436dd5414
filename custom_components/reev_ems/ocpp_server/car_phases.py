"""On how many phases a car charges: what a limit in watts means in amperes (S1).

A single-phase car at a three-phase charge point that takes watts only draws three times the current that was meant
for three phases. So a limit in watts is for one phase until the car shows that it uses more: by its measured
currents, or because it does not charge at all by what would be enough for one phase.
"""

from ..energy_management.model import Supply
from ..energy_management.observation import ConnectorState
from .measurands import Measured
from .model import ConnectorView
from .point import Point
from .profiles import Unit

_CHARGING_A = 2.0
"""Below it is noise, or a car that has only just begun or nearly ended; some charge with little for hours."""
_DRAWING_A = 1.0
_LEAST_A = 6.0
"""The smallest current at which a car charges (IEC 61851)."""
NO_DRAW_S = 20.0


class CarPhases:
    """What is known of the cars at the connectors of one charge point."""

    def __init__(self, point: Point) -> None:
        """Know nothing of any car."""
        self._point = point
        self._before: dict[int, int] = {}
        self._several: set[int] = set()

    def of(self, connector: ConnectorView, unit: Unit) -> int:
        """Return the number of phases that a limit in a unit is to be calculated with."""
        wired = self._point.config.phases_of(connector.connector_id)
        if connector.supply is Supply.DC or unit is Unit.AMPERE:
            return wired
        known = connector.phases_used or self._point.quirks.car_phases
        if known is None:
            known = wired if connector.connector_id in self._several else 1
        return min(known, wired)

    def forget(self, connector: ConnectorView) -> None:
        """Another car may be there."""
        connector.phases_used = None
        self._before.pop(connector.connector_id, None)
        self._several.discard(connector.connector_id)

    def measured(self, connector: ConnectorView, values: Measured) -> None:
        """Learn from measured currents.

        Two samples in a row have to say so, at a current that is no ramp or taper. Where watts are counted, fewer
        phases are believed at once.
        """
        drawing = values.drawing_phases
        largest = max((a or 0.0 for a in values.current_a or ()), default=0.0)
        if drawing is None or largest < _CHARGING_A:
            self.look(connector)
            return
        before = self._before.get(connector.connector_id)
        self._before[connector.connector_id] = drawing
        counted = self.of(connector, Unit.WATT)
        fewer = self._counts_watts(connector) and drawing < counted
        more = drawing == before and drawing > (connector.phases_used or 0)
        if fewer or more:
            connector.phases_used = drawing
            if self._counts_watts(connector):
                self._point.steering.renew(connector.connector_id)

    def look(self, connector: ConnectorView) -> None:
        """Take a car for one of several phases that does not charge by what is enough for one."""
        id_ = connector.connector_id
        permit, accepted_s = connector.permit, connector.permit_accepted_at_s
        if (
            not self._counts_watts(connector)
            or self.of(connector, Unit.WATT) > 1
            or self._point.config.phases_of(id_) == 1
            or connector.phases_used is not None
            or permit is None
            or accepted_s is None
            or (permit.limit_a or 0.0) < _LEAST_A
            or self._point.clock() < accepted_s + NO_DRAW_S
        ):
            return
        measured_s = connector.measured_at_s
        idle = (
            connector.current_a is not None
            and measured_s is not None
            and measured_s > accepted_s
            and max((a or 0.0 for a in connector.current_a), default=0.0) < _DRAWING_A
        )
        waits = connector.state is ConnectorState.SUSPENDED_EVSE
        silent = measured_s is None or measured_s <= accepted_s
        if (waits and (idle or silent)) or (
            connector.state is ConnectorState.CHARGING and idle
        ):
            self._several.add(id_)
            self._point.steering.renew(id_)

    def _counts_watts(self, connector: ConnectorView) -> bool:
        return (
            connector.supply is Supply.AC
            and self._point.steering.abilities.unit_for(connector.supply) is Unit.WATT
        )

"""From what is permitted to what a charge point is told: its unit, the phases that its car uses, the safe side.

Pure functions, no clock.
"""

from ..energy_management.model import Supply
from .model import NOMINAL_VOLTAGE_V, ChargePointConfig, ConnectorView, Floor, Permit
from .profiles import Unit

_DC_ASSUMED_VOLTAGE_V = 1000.0
"""For DC chargers that take amperes only, until they report a voltage: the highest there is, so that the power that
was permitted is never passed."""
_LOWEST_VOLTAGE_V = 180.0


def permit_limit(
    permit: Permit,
    connector: ConnectorView,
    unit: Unit,
    config: ChargePointConfig,
    phases: int,
) -> float:
    """Return a permit in the unit of the charge point. `phases`: those that a car is taken to charge with."""
    return _limit(
        permit.limit_a,
        permit.limit_w,
        connector,
        unit,
        config,
        permit.phase_count or phases,
    )


def floor_limit(
    floor: Floor,
    connector: ConnectorView,
    unit: Unit,
    config: ChargePointConfig,
    phases: int,
) -> float:
    """Return the floor in the unit of the charge point. `phases`: those that a car is taken to charge with."""
    limit_a = floor.limit_a
    if connector.supply is Supply.DC and floor.limit_w is not None:
        limit_a = None
    return _limit(limit_a, floor.limit_w, connector, unit, config, phases)


def _limit(
    limit_a: float | None,
    limit_w: float | None,
    connector: ConnectorView,
    unit: Unit,
    config: ChargePointConfig,
    phases: int,
) -> float:
    """Return a limit in the unit of the charge point, converted to the safe side; nothing permitted is 0."""
    measured_v = connector.voltage_v
    if connector.supply is Supply.DC and limit_w is not None:
        if unit is Unit.WATT:
            return limit_w
        alive = measured_v is not None and measured_v > _LOWEST_VOLTAGE_V
        return limit_w / (measured_v if alive and measured_v else _DC_ASSUMED_VOLTAGE_V)
    volts = NOMINAL_VOLTAGE_V
    if (
        connector.supply is Supply.AC
        and measured_v is not None
        and measured_v > _LOWEST_VOLTAGE_V
    ):
        volts = min(volts, measured_v)
    if unit is Unit.AMPERE:
        # Watts over more phases are fewer amperes on each.
        watts_per_ampere = volts * config.phases_of(connector.connector_id)
        return limit_a if limit_a is not None else (limit_w or 0.0) / watts_per_ampere
    return (
        limit_w
        if limit_w is not None and limit_a is None
        else (limit_a or 0.0) * volts * phases
    )

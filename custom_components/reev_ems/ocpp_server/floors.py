"""Installs the failsafe of a charge point before anything else (S4), in the first way that it takes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from ..energy_management.model import Supply
from .abilities import Abilities, floor_ladder
from .limits import floor_limit
from .model import ConnectorView, Floor
from .profiles import Profile, Unit, floor_profile
from .session import Session

if TYPE_CHECKING:
    from .charge_point import ChargePoint


async def install(
    point: ChargePoint, session: Session, floor: Floor
) -> Abilities | None:
    """Install the floor; returns how, None if every way was refused. Raises CallError."""
    supply = Supply.DC if Supply.DC in point.config.supply.values() else Supply.AC
    for attempt in floor_ladder(point.steering.abilities, supply):
        for profile in _profiles(point, attempt, floor):
            if await point.steering.set_profile(session, profile) != "Accepted":
                break
        else:
            return attempt
    return None


def _profiles(
    point: ChargePoint, attempt: Abilities, floor: Floor
) -> Iterator[Callable[[], Profile]]:
    """Yield what makes the profiles of one attempt: one for the charge point, or one for each connector."""
    unit = attempt.unit or Unit.AMPERE
    limits = {
        connector.connector_id: floor_limit(
            floor, connector, unit, point.config, _phases(point, connector, unit)
        )
        for connector in point.connectors.values()
    }
    if not attempt.floor_per_connector:
        limits = {0: min(limits.values())}
    for connector_id, limit in limits.items():
        yield partial(
            floor_profile,
            connector_id=connector_id,
            stack_level=0,
            purpose=attempt.floor_purpose,
            kind=attempt.floor_kind,
            unit=unit,
            limit=limit,
        )


def _phases(point: ChargePoint, connector: ConnectorView, unit: Unit) -> int:
    """Return the phases that the floor is calculated with: it is for every car that will ever come."""
    wired = point.config.phases_of(connector.connector_id)
    if unit is Unit.AMPERE or connector.supply is Supply.DC:
        return wired
    return min(wired, point.quirks.car_phases or 1)

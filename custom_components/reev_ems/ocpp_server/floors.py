"""Installs the failsafe of a charge point before anything else (S4), in the first way that it takes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from ..energy_management.model import Supply
from .abilities import Abilities, Way, floor_ladder
from .events import FloorAccepted
from .limits import floor_limit
from .model import CallError, ConnectorView, Floor, Problem
from .point import Point
from .profiles import UNKNOWN_ACTION, Profile, Unit, floor_profile
from .session import Session

_RETRY_S = 60.0
_PROFILES_AGAIN_S = 600.0


class Floors:
    """Brings one charge point to its floor, or finds out that it keeps none."""

    def __init__(self, point: Point) -> None:
        """Begin with a charge point that has none."""
        self.done = False
        """Whether the floor was installed, or all ways to install it were tried twice."""
        self.not_before_s = 0.0
        """When it is tried again."""
        self._point = point
        self._refused_before = False

    def again(self) -> None:
        """Install the floor at the next occasion: it changed, or the charge point has booted."""
        self.done = self._refused_before = False
        self.not_before_s = 0.0

    async def send(self, session: Session) -> bool:
        """Install the floor, in the first way that is taken.

        Returns whether the charge point is steered without charging profiles from now on. Raises CallError
        (`disconnected`).
        """
        point = self._point
        floor = point.config.floor
        try:
            attempt = None
            if "way" not in point.quirks.abilities:
                attempt = await install(point, session, floor)
            if attempt is None:
                return await self._otherwise()
        except CallError as error:
            if error.key == "disconnected":
                raise
            self.not_before_s = point.clock() + _RETRY_S
            return False
        if floor != point.config.floor:
            # It was changed meanwhile; the next one to be sent is the newer one.
            return False
        point.steering.abilities = attempt
        self.done, self._refused_before = True, False
        point.taught()
        point.problem(Problem.FLOOR_REJECTED, present=False)
        point.emit(FloorAccepted(charge_point_id=point.id))
        return False

    async def _otherwise(self) -> bool:
        """Go on without profiles: by the vendor's key, else by stopping and starting. Raises CallError."""
        point, steering = self._point, self._point.steering
        point.problem(Problem.FLOOR_REJECTED, present=True)
        patient = (
            steering.abilities.way is Way.PROFILE and not steering.abilities.vendor_key
        )
        if patient and not self._refused_before:
            # Some refuse everything for a moment after their start; nobody is stopped for that.
            self._refused_before = True
            self.not_before_s = point.clock() + _RETRY_S
            return False
        by_key = await steering.vendor_key.write_floors()
        way = Way.VENDOR_KEY if by_key else Way.START_STOP
        point.read_back.clear()
        steering.abilities = replace(steering.abilities, way=way)
        # Now and then profiles are tried again: smart charging may have been switched on.
        self.not_before_s = point.clock() + _PROFILES_AGAIN_S
        new, self.done = not self.done, True
        point.taught()
        return new


async def install(point: Point, session: Session, floor: Floor) -> Abilities | None:
    """Install the floor; returns how, None if every way was refused. Raises CallError."""
    supply = Supply.DC if Supply.DC in point.config.supply.values() else Supply.AC
    for attempt in floor_ladder(point.steering.abilities, supply):
        for profile in _profiles(point, attempt, floor):
            status = await point.steering.set_profile(session, profile)
            if status == UNKNOWN_ACTION:
                return None
            if status != "Accepted":
                break
        else:
            return attempt
    return None


def _profiles(
    point: Point, attempt: Abilities, floor: Floor
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


def _phases(point: Point, connector: ConnectorView, unit: Unit) -> int:
    """Return the phases that the floor is calculated with: it is for every car that will ever come."""
    wired = point.config.phases_of(connector.connector_id)
    if unit is Unit.AMPERE or connector.supply is Supply.DC:
        return wired
    return min(wired, point.quirks.car_phases or 1)

"""What a charge point says that is in force (GetCompositeSchedule): asked after each change, not believed blindly."""

import asyncio
from dataclasses import dataclass, replace
import logging

from . import fields
from .events import ScheduleMismatch
from .model import CallError, ConnectorView, Permit, Problem
from .point import Point
from .profiles import Unit

_LOGGER = logging.getLogger(__name__)

READ_AFTER_S = 3.0
"""Time that a charge point may take to apply what it accepted."""
_BETWEEN_S = 30.0
_HORIZON_S = 60
TOLERANCE = 1.08
_SLACK = {Unit.AMPERE: 0.2, Unit.WATT: 50.0}
_MOST_RESENDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The limits of the next seconds, as the charge point calculates them."""

    unit: Unit
    limits: tuple[float, ...]
    """In `unit`, the one in force now first; negative: none."""


async def ask(
    point: Point, connector_id: int, duration_s: int, unit: Unit | None = None
) -> Schedule | None:
    """Ask for the composite schedule; None if it is not implemented or says nothing. Raises CallError."""
    action, payload = point.dialect.composite_schedule(connector_id, duration_s)
    if unit is not None:
        payload["chargingRateUnit"] = unit
    try:
        answer = await point.raw_call(action, payload)
    except CallError as error:
        if error.key not in {"refused", "invalid_answer"}:
            raise
        _LOGGER.debug("%s: no composite schedule: %s", point.id, error)
        return None
    schedule = fields.mapping(answer, "chargingSchedule") or fields.mapping(
        answer, "schedule"
    )
    told = fields.text(schedule, "chargingRateUnit")
    limits = tuple(
        limit
        for period in fields.mappings(schedule, "chargingSchedulePeriod")
        if (limit := fields.number(period.get("limit"))) is not None
    )
    if not limits or told not in {Unit.AMPERE, Unit.WATT}:
        return None
    return Schedule(unit=Unit(told), limits=limits)


class ReadBack:
    """Compares what a charge point accepted with what it says that is in force."""

    def __init__(self, point: Point) -> None:
        """Wait for a permit that is accepted."""
        self.differing: dict[int, ScheduleMismatch] = {}
        """By connector: what it says, where that did not change by telling it again."""
        self._point = point
        self._due_s: dict[int, float] = {}
        self._asked_s: dict[int, float] = {}
        self._agreed: dict[int, Permit] = {}
        self._resends: dict[int, int] = {}
        self._wake = asyncio.Event()

    def accepted(self, connector_id: int, permit: Permit) -> None:
        """A permit was accepted; a mere renewal is not asked about."""
        if self._point.steering.abilities.composite_schedule is False:
            return
        agreed = self._agreed.get(connector_id)
        if agreed is not None and agreed == replace(permit, life_s=agreed.life_s):
            return
        asked_s = self._asked_s.get(connector_id, -_BETWEEN_S)
        self._due_s[connector_id] = max(
            self._point.clock() + READ_AFTER_S, asked_s + _BETWEEN_S
        )
        self._wake.set()

    def forget(self, connector_id: int) -> None:
        """Another transaction runs."""
        self._agreed.pop(connector_id, None)
        self._due_s.pop(connector_id, None)
        self._resends.pop(connector_id, None)

    def look_again(self) -> None:
        """Its clock was set: what it accepted may have ended, or may not begin for an hour."""
        for connector_id in self._agreed:
            self._due_s[connector_id] = self._point.clock() + READ_AFTER_S
        self._agreed.clear()
        self._asked_s.clear()
        self._resends.clear()
        self._wake.set()

    def clear(self) -> None:
        """It is another charge point now, or steered in another way."""
        self.differing.clear()
        self._note()

    async def run(self) -> None:
        """Ask what is due until cancelled."""
        while True:
            self._wake.clear()
            now_s = self._point.clock()
            for connector_id in [
                id_ for id_, at_s in self._due_s.items() if at_s <= now_s
            ]:
                del self._due_s[connector_id]
                self._asked_s[connector_id] = now_s
                try:
                    await self._read(connector_id)
                except CallError as error:
                    _LOGGER.debug("%s: not read back: %s", self._point.id, error)
                    if error.key in {"disconnected", "not_connected"}:
                        return
            next_s = min(self._due_s.values(), default=None)
            wait_s = None if next_s is None else max(0.0, next_s - self._point.clock())
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _read(self, connector_id: int) -> None:
        point = self._point
        connector = point.connectors.get(connector_id)
        told = point.steering.told.get(connector_id)
        if connector is None or connector.permit is None or told is None:
            return
        permit, (limit, unit) = connector.permit, told
        schedule = await ask(point, connector_id, _HORIZON_S, unit)
        if point.steering.told.get(connector_id) != told or connector.permit is None:
            # It was told something else meanwhile: that is asked about in its turn.
            return
        point.steering.knows_schedule(schedule is not None)
        if schedule is None or schedule.unit is not unit:
            self._agrees(connector_id)
            return
        in_force = schedule.limits[0]
        if 0 <= in_force <= limit * TOLERANCE + _SLACK[unit]:
            self._agreed[connector_id] = permit
            self._resends.pop(connector_id, None)
            self._agrees(connector_id)
            return
        _LOGGER.debug("%s: %s told, %s in force", point.id, told, schedule)
        mismatch = ScheduleMismatch(
            charge_point_id=point.id,
            connector_id=connector_id,
            permit=permit,
            told=limit,
            in_force=in_force if in_force >= 0 else None,
            unit=unit,
        )
        sent = self._resends.get(connector_id, 0)
        floor = point.steering.floor_of(connector, unit)
        nothing = not 0 <= in_force <= floor * TOLERANCE + _SLACK[unit]
        if sent < 2 and connector_id not in self.differing:
            # Told in the other kind, and if that did not help either, as before.
            point.steering.turn_kind(floor_too=nothing)
            self._asked_s.pop(connector_id, None)
        if sent:
            self.differing[connector_id] = mismatch
            self._note()
        point.emit(mismatch)
        if sent == 2 and nothing and _draws_more(connector, limit, unit):
            # A schedule that counts from a start which its clock has yet to reach acts in a session that begins now.
            _LOGGER.warning(
                "%s connector %s: no limit acts; its session is begun anew",
                point.id,
                connector_id,
            )
            await point.stop_until_permitted(connector_id)
        if sent < _MOST_RESENDS:
            self._resends[connector_id] = sent + 1
            point.steering.renew(connector_id)

    def _agrees(self, connector_id: int) -> None:
        """Nothing speaks against it any more."""
        if self.differing.pop(connector_id, None) is not None:
            self._note()

    def _note(self) -> None:
        self._point.problem(Problem.SCHEDULE_DIFFERS, present=bool(self.differing))


def _draws_more(connector: ConnectorView, limit: float, unit: Unit) -> bool:
    """Whether a connector was measured above what it was told, by more than a measurement may be wrong."""
    drawn = (connector.power_w,) if unit is Unit.WATT else connector.current_a or ()
    most = limit * TOLERANCE + _SLACK[unit]
    return any(each is not None and each > most for each in drawn)

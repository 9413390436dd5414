"""Keeps a charge point on its floor and permits: the floor first (S4), then working profiles that expire (S5)."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
import logging
from typing import TYPE_CHECKING

from ..energy_management.model import Supply
from ..energy_management.observation import ConnectorState
from .abilities import Abilities, floor_ladder, working_ladder
from .events import FloorAccepted, PermitAccepted, PermitRejected
from .model import NOMINAL_VOLTAGE_V, CallError, ConnectorView, Floor, Payload, Permit
from .profiles import Profile, Purpose, Unit, floor_profile, working_profile
from .session import Session

if TYPE_CHECKING:
    from .charge_point import ChargePoint

_LOGGER = logging.getLogger(__name__)

_CALL_TIMEOUT_S = 20.0
_FLOOR_RETRY_S = 60.0
_PERMIT_RETRY_S = 10.0
_EMPTY = frozenset(
    {ConnectorState.AVAILABLE, ConnectorState.OFFLINE, ConnectorState.FAULTED}
)

_TRANSACTION_HOLD_S = 0.5
"""A charge point that handles the answer to its StartTransaction on the side refuses a profile that comes at once."""
_TRANSACTION_FRESH_S = 5.0
_LADDER_REST_S = 600.0
"""A charge point that refused every way is asked the whole ladder again only after this."""
_SHORTEST_LIFE_S = 5.0
_DC_ASSUMED_VOLTAGE_V = 1000.0
"""For DC chargers that take amperes only, until they report a voltage: the highest there is, so that the power that
was permitted is never passed."""
_LOWEST_VOLTAGE_V = 180.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The newest permit of a connector."""

    permit: Permit
    expires_at_s: float


class Steering:
    """The profiles of one charge point. `run` carries them out while it is connected."""

    def __init__(self, point: ChargePoint, abilities: Abilities) -> None:
        """Start with what is known of the model."""
        self.abilities = abilities
        self.floor_accepted = False
        self._point = point
        self._wanted: dict[int, _Wanted] = {}
        self._due: set[int] = set()
        self._parked: dict[int, _Wanted] = {}
        """By connector in its self-test: the newest permit, to go on with."""
        self._aborted: set[int] = set()
        self._not_before_s: dict[int, float] = {}
        self._held_until_s: dict[int, float] = {}
        self._ladder_again_s = 0.0
        self._floor_not_before_s = 0.0
        self._wake = asyncio.Event()

    def permit(self, connector_id: int, permit: Permit) -> None:
        """Want a permit from now on; it replaces one that still waits. A self-test gives way only to less."""
        wanted = _Wanted(permit, self._point.clock() + permit.life_s)
        if connector_id in self._parked:
            self._parked[connector_id] = wanted
            if not _raises(self._wanted[connector_id].permit, permit):
                return
            self._aborted.add(connector_id)
        self._wanted[connector_id] = wanted
        self.renew(connector_id)

    def begin_test(self, connector_id: int) -> None:
        """Hold the permits of a connector back for its self-test. Raises CallError."""
        if connector_id in self._parked:
            raise CallError("test_running")
        if connector_id not in self._wanted:
            raise CallError("aborted")
        self._parked[connector_id] = self._wanted[connector_id]

    def test_permit(self, connector_id: int, permit: Permit) -> None:
        """Want a permit of the self-test."""
        if connector_id not in self._aborted:
            self._wanted[connector_id] = _Wanted(
                permit, self._point.clock() + permit.life_s
            )
            self.renew(connector_id)

    def test_aborted(self, connector_id: int) -> bool:
        """Whether less was permitted than the self-test needs."""
        return connector_id in self._aborted

    def end_test(self, connector_id: int) -> None:
        """Go on with the newest permit."""
        self._aborted.discard(connector_id)
        self._wanted[connector_id] = self._parked.pop(connector_id)
        self.renew(connector_id)

    def floor_of(self, connector: ConnectorView, unit: Unit) -> float:
        """Return the connector's floor in A or W."""
        return self._floor_limit(self._point.config.floor, connector, unit)

    def renew(self, connector_id: int) -> None:
        """Send the connector's permit again: its transaction or its charging has begun (S8)."""
        if connector_id in self._wanted:
            self._due.add(connector_id)
            self._not_before_s.pop(connector_id, None)
            self._wake.set()

    def began(self, connector_id: int) -> None:
        """Let the charge point note the transaction that it was just given an id for, then send the permit."""
        self._held_until_s[connector_id] = self._point.clock() + _TRANSACTION_HOLD_S
        self.renew(connector_id)

    def install_floor(self) -> None:
        """Send the floor again: it changed, or the charge point has booted."""
        self.floor_accepted = False
        self._floor_not_before_s = 0.0
        self._wake.set()

    def start_afresh(self) -> None:
        """Wait for nothing any more: the charge point has connected or booted."""
        self._ladder_again_s = 0.0
        self._floor_not_before_s = 0.0
        self._not_before_s.clear()
        self._wake.set()

    async def run(self, session: Session) -> None:
        """Send what is due until cancelled or disconnected."""
        while True:
            self._wake.clear()
            try:
                if (
                    not self.floor_accepted
                    and self._point.clock() >= self._floor_not_before_s
                ):
                    await self._send_floor(session)
                if self.floor_accepted:
                    for connector in self._in_order():
                        await self._send_permit(session, connector)
            except CallError as error:
                if error.key == "disconnected":
                    return
                raise
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _pause_s(self) -> float | None:
        """Return how long nothing will be due; None: until something happens."""
        now_s = self._point.clock()
        times = [
            self._time_of(connector.connector_id)
            for id_ in self._due
            if (connector := self._point.connectors.get(id_))
            and self._steerable(connector)
        ]
        if not self.floor_accepted:
            times = [self._floor_not_before_s]
        return max(0.0, min(times) - now_s) if times else None

    def _time_of(self, connector_id: int) -> float:
        """Return when the connector's permit may go out."""
        return max(
            self._not_before_s.get(connector_id, 0.0),
            self._held_until_s.get(connector_id, 0.0),
        )

    def _in_order(self) -> list[ConnectorView]:
        """Return the connectors with a permit to send, what is lowered first."""
        now_s = self._point.clock()

        def raised(connector: ConnectorView) -> bool:
            wanted = self._wanted[connector.connector_id].permit
            return connector.permit is not None and _raises(wanted, connector.permit)

        return sorted(
            (
                connector
                for id_ in self._due
                if (connector := self._point.connectors.get(id_)) is not None
                and self._steerable(connector)
                and now_s >= self._time_of(id_)
            ),
            key=raised,
        )

    def _steerable(self, connector: ConnectorView) -> bool:
        """Whether a working profile has something to act on."""
        if connector.transaction is not None:
            return True
        # Where it acts without one it is still not written for an empty place: writing wears out flash memory.
        return (
            self.abilities.working_purpose is not Purpose.TX_PROFILE
            and connector.state not in _EMPTY
        )

    async def _send_floor(self, session: Session) -> None:
        """Install the floor, in the first way that is taken."""
        point = self._point
        floor = point.config.floor
        supply = Supply.DC if Supply.DC in point.config.supply.values() else Supply.AC
        try:
            for attempt in floor_ladder(self.abilities, supply):
                if await self._floor_taken(session, attempt, floor):
                    break
            else:
                self._floor_not_before_s = point.clock() + _FLOOR_RETRY_S * 5
                point.problem("floor_rejected", present=True)
                return
        except CallError as error:
            if error.key == "disconnected":
                raise
            self._floor_not_before_s = point.clock() + _FLOOR_RETRY_S
            return
        if floor != point.config.floor:
            # It was changed meanwhile; the loop sends the newer one.
            return
        self.abilities = attempt
        self.floor_accepted = True
        point.taught()
        point.problem("floor_rejected", present=False)
        point.emit(FloorAccepted(charge_point_id=point.id))

    async def _floor_taken(
        self, session: Session, attempt: Abilities, floor: Floor
    ) -> bool:
        point = self._point
        connectors: Iterable[ConnectorView] = point.connectors.values()
        unit = attempt.unit or Unit.AMPERE
        limits = {
            connector.connector_id: self._floor_limit(floor, connector, unit)
            for connector in connectors
        }
        if not attempt.floor_per_connector:
            limits = {0: min(limits.values())}
        for connector_id, limit in limits.items():
            profile = partial(
                floor_profile,
                connector_id=connector_id,
                stack_level=0,
                purpose=attempt.floor_purpose,
                kind=attempt.floor_kind,
                unit=unit,
                limit=limit,
            )
            if await self._set(session, profile) != "Accepted":
                return False
        return True

    async def _send_permit(self, session: Session, connector: ConnectorView) -> None:
        """Put the newest permit of a connector on the wire, in the first way that is taken."""
        point, connector_id = self._point, connector.connector_id
        wanted = self._wanted[connector_id]
        if wanted.expires_at_s - point.clock() < _SHORTEST_LIFE_S:
            self._due.discard(connector_id)
            return
        status = ""
        ladder = list(working_ladder(self.abilities))
        fresh = (
            point.clock()
            < self._held_until_s.get(connector_id, 0.0) + _TRANSACTION_FRESH_S
        )
        if fresh or point.clock() < self._ladder_again_s:
            ladder = ladder[:1]
        for attempt in ladder:
            transaction = connector.transaction

            def newest(attempt: Abilities = attempt) -> Profile:
                """Return the profile of the permit that is wanted when it is this call's turn."""
                nonlocal wanted
                self._due.discard(connector_id)
                wanted = self._wanted[connector_id]
                return self._working(connector, wanted, attempt)

            try:
                status = await self._set(session, newest)
            except CallError as error:
                self._unanswered(connector, wanted, error.key)
                if error.key == "disconnected":
                    raise
                return
            except asyncio.CancelledError:
                self._unanswered(connector, wanted, "disconnected")
                raise
            if status == "Accepted":
                self.abilities = attempt
                point.taught()
                self._accepted(connector, wanted)
                return
            now_running = connector.transaction
            if (now_running and now_running.id) != (transaction and transaction.id):
                # It ended in between: that is why it was refused.
                break
        else:
            self._due.add(connector_id)
            self._not_before_s[connector_id] = point.clock() + (
                _TRANSACTION_FRESH_S if fresh else _PERMIT_RETRY_S
            )
            if not fresh:
                point.problem("profile_rejected", present=True)
            if len(ladder) > 1:
                self._ladder_again_s = point.clock() + _LADDER_REST_S
        self._rejected(connector_id, wanted.permit, status)

    def _accepted(self, connector: ConnectorView, wanted: _Wanted) -> None:
        point = self._point
        connector.permit = wanted.permit
        connector.permit_accepted_at_s = point.clock()
        connector.permit_expires_at_s = wanted.expires_at_s
        point.problem("profile_rejected", present=False)
        point.emit(
            PermitAccepted(
                charge_point_id=point.id,
                connector_id=connector.connector_id,
                permit=wanted.permit,
                expires_at_s=wanted.expires_at_s,
            )
        )

    def _rejected(self, connector_id: int, permit: Permit, reason: str) -> None:
        _LOGGER.debug(
            "%s connector %s: permit not taken: %s",
            self._point.id,
            connector_id,
            reason,
        )
        self._point.emit(
            PermitRejected(
                charge_point_id=self._point.id,
                connector_id=connector_id,
                permit=permit,
                reason=reason,
            )
        )

    def _unanswered(
        self, connector: ConnectorView, wanted: _Wanted, reason: str
    ) -> None:
        """Send the permit again, and book the larger of the two that may be in force, until both have lapsed."""
        connector_id, had = connector.connector_id, connector.permit
        if had is None or connector.permit_expires_at_s is None:
            connector.permit = wanted.permit
            connector.permit_expires_at_s = wanted.expires_at_s
        else:
            connector.permit = replace(
                had,
                limit_a=_larger(had.limit_a, wanted.permit.limit_a),
                limit_w=_larger(had.limit_w, wanted.permit.limit_w),
            )
            connector.permit_expires_at_s = max(
                connector.permit_expires_at_s, wanted.expires_at_s
            )
        self._due.add(connector_id)
        self._not_before_s[connector_id] = self._point.clock() + _PERMIT_RETRY_S
        self._rejected(connector_id, wanted.permit, reason)

    async def _set(self, session: Session, build: Callable[[], Profile]) -> str:
        """Send a profile and return the status; the error code where the request as such was refused."""

        def payload() -> Payload:
            profile = build()
            _LOGGER.debug("%s: %s", self._point.id, profile)
            return self._point.dialect.set_profile(profile)

        try:
            answer = await session.call(
                "SetChargingProfile", payload, urgent=True, timeout_s=_CALL_TIMEOUT_S
            )
        except CallError as error:
            if error.key in {"refused", "invalid_answer"}:
                return error.status or "Refused"
            raise
        return str(answer.get("status", "")).strip().capitalize()

    def _working(
        self, connector: ConnectorView, wanted: _Wanted, attempt: Abilities
    ) -> Profile:
        point = self._point
        unit = attempt.unit_for(connector.supply)
        transaction = connector.transaction
        now = point.charger_now()
        return working_profile(
            connector_id=connector.connector_id,
            stack_level=attempt.stack_level,
            purpose=attempt.working_purpose,
            kind=attempt.working_kind,
            unit=unit,
            limit=self._permit_limit(wanted.permit, connector, unit),
            floor=self._floor_limit(point.config.floor, connector, unit),
            life_s=wanted.expires_at_s - point.clock(),
            now=now,
            elapsed_s=(point.now() - transaction.started_at).total_seconds()
            if transaction
            else 0.0,
            max_periods=attempt.max_periods,
            transaction_id=point.dialect.wire_id(transaction) if transaction else None,
            phase_count=None
            if connector.supply is Supply.DC
            else wanted.permit.phase_count,
        )

    def _permit_limit(
        self, permit: Permit, connector: ConnectorView, unit: Unit
    ) -> float:
        phases = permit.phase_count or connector.phases_used
        return self._limit(permit.limit_a, permit.limit_w, connector, unit, phases)

    def _floor_limit(self, floor: Floor, connector: ConnectorView, unit: Unit) -> float:
        if connector.supply is Supply.DC:
            return self._limit(
                None if floor.limit_w is not None else floor.limit_a,
                floor.limit_w,
                connector,
                unit,
                None,
            )
        return self._limit(floor.limit_a, floor.limit_w, connector, unit, None)

    def _limit(
        self,
        limit_a: float | None,
        limit_w: float | None,
        connector: ConnectorView,
        unit: Unit,
        phases: int | None,
    ) -> float:
        """Return a limit in the unit of the charge point, converted to the safe side; nothing permitted is 0."""
        config, measured_v = self._point.config, connector.voltage_v
        if connector.supply is Supply.DC and limit_w is not None:
            if unit is Unit.WATT:
                return limit_w
            alive = measured_v is not None and measured_v > _LOWEST_VOLTAGE_V
            return limit_w / (
                measured_v if alive and measured_v else _DC_ASSUMED_VOLTAGE_V
            )
        volts = NOMINAL_VOLTAGE_V
        if (
            connector.supply is Supply.AC
            and measured_v
            and measured_v > _LOWEST_VOLTAGE_V
        ):
            volts = min(volts, measured_v)
        watts_per_ampere = volts * (phases or config.phases_of(connector.connector_id))
        if unit is Unit.AMPERE:
            return (
                limit_a if limit_a is not None else (limit_w or 0.0) / watts_per_ampere
            )
        return (
            limit_w
            if limit_w is not None and limit_a is None
            else (limit_a or 0.0) * watts_per_ampere
        )


def _larger(one: float | None, other: float | None) -> float | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _raises(permit: Permit, other: Permit) -> bool:
    """Whether a permit is more than another."""
    return (permit.limit_a or 0.0, permit.limit_w or 0.0) > (
        other.limit_a or 0.0,
        other.limit_w or 0.0,
    )

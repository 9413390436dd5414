"""Keeps a charge point on its floor and permits: the floor first (S4), then working profiles that expire (S5)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
import logging

from ..energy_management.observation import ConnectorState
from . import working
from .abilities import OTHER_KIND, Abilities, Way, working_ladder
from .car_phases import CarPhases
from .events import PermitAccepted, PermitRejected
from .floors import Floors
from .limits import floor_limit
from .model import CallError, ConnectorView, Payload, Permit, Problem, is_unknown_action
from .pauses import START_WAIT_S, Pauses
from .point import Point
from .profiles import UNKNOWN_ACTION, Profile, Purpose, Unit
from .session import Session
from .vendor_key import VendorKey

_LOGGER = logging.getLogger(__name__)

_CALL_TIMEOUT_S = 20.0
_LONGEST_CALL_S = 80.0
"""A charge point whose answer did not come in time is given twice the time at the next try, up to this."""
_PERMIT_RETRY_S = 10.0
_EMPTY = frozenset(
    {ConnectorState.AVAILABLE, ConnectorState.OFFLINE, ConnectorState.FAULTED}
)

_TRANSACTION_HOLD_S = 0.5
"""A charge point that handles the answer to its StartTransaction on the side refuses a profile that comes at once."""
_TRANSACTION_FRESH_S = 5.0
_SAME_AGAIN_S = 1.0
"""The same profile is not sent twice within this time; nobody forgets it so soon."""
_LADDER_REST_S = 600.0
"""A charge point that refused every way is asked the whole ladder again only after this."""
_SHORTEST_LIFE_S = 5.0
"""A permit with less to live is not worth its message, unless it lowers what is in force."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The newest permit of a connector."""

    permit: Permit
    expires_at_s: float


class Steering:
    """The profiles of one charge point. `run` carries them out while it is connected."""

    def __init__(self, point: Point, abilities: Abilities) -> None:
        """Start with what is known of the model."""
        self.abilities = abilities
        self.phases = CarPhases(point)
        self.pauses = Pauses(point)
        self.vendor_key = VendorKey(point)
        self.told: dict[int, tuple[float, Unit]] = {}
        """By connector: the limit of the last accepted working profile, as the charge point was told it."""
        self._floors = Floors(point)
        self._point = point
        self._wanted: dict[int, _Wanted] = {}
        self._due: set[int] = set()
        self._sent: dict[int, tuple[Profile, float]] = {}
        """By connector: the profile that was accepted last on this connection, and when."""
        self._parked: dict[int, _Wanted] = {}
        """By connector in its self-test: the newest permit, to go on with."""
        self._aborted: set[int] = set()
        self._not_before_s: dict[int, float] = {}
        self._held_until_s: dict[int, float] = {}
        self._ladder_again_s = 0.0
        self._unknown_until_s = 0.0
        """Until then profiles of permits are not tried: they are not implemented."""
        self._patience_s = _CALL_TIMEOUT_S
        self._wake = asyncio.Event()

    @property
    def floor_accepted(self) -> bool:
        """Whether the charge point keeps its failsafe (S4)."""
        return self._floors.done and self.abilities.way is Way.PROFILE

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
        """Hold the permits of a connector back for its self-test; it has a permit."""
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

    def wants_nothing(self, connector_id: int) -> bool:
        """Whether a permit of nothing is on its way to a connector."""
        return connector_id in self._due and _is_zero(self._wanted[connector_id].permit)

    def end_test(self, connector_id: int) -> None:
        """Go on with the newest permit."""
        self._aborted.discard(connector_id)
        self._wanted[connector_id] = self._parked.pop(connector_id)
        self.renew(connector_id)

    def floor_of(self, connector: ConnectorView, unit: Unit) -> float:
        """Return the connector's floor in A or W."""
        return floor_limit(
            self._point.config.floor,
            connector,
            unit,
            self._point.config,
            self.phases.of(connector, unit),
        )

    def knows_schedule(self, implemented: bool) -> None:
        """Note whether it tells which limit is in force, unless somebody knows better."""
        if "composite_schedule" in self._point.quirks.abilities:
            return
        if self.abilities.composite_schedule is not implemented:
            self.abilities = replace(self.abilities, composite_schedule=implemented)
            self._point.taught()

    def renew(self, connector_id: int) -> None:
        """Send the connector's permit again: its transaction or its charging has begun (S8)."""
        if connector_id in self._wanted:
            self._due.add(connector_id)
            self._not_before_s.pop(connector_id, None)
            self._wake.set()

    def began(self, connector_id: int) -> None:
        """Let the charge point note the transaction that it was just given an id for, then send the permit."""
        self._held_until_s[connector_id] = self._point.clock() + _TRANSACTION_HOLD_S
        self.pauses.began(connector_id)
        self.told.pop(connector_id, None)
        self._point.read_back.forget(connector_id)
        self.renew(connector_id)

    def install_floor(self) -> None:
        """Send the floor again: it changed, or the charge point has booted."""
        self._floors.again()
        self.vendor_key.forget()
        self._wake.set()

    def turn_kind(self, *, floor_too: bool) -> None:
        """Tell the permits, and the floor if that does not act either, as schedules of the other kind.

        A charge point whose clock or whose start of the session is wrong takes one kind for not begun, or for over.
        """
        known = self.abilities
        if self.abilities.way is not Way.PROFILE:
            return
        if known.working_purpose is not Purpose.MAXIMUM:
            known = replace(known, working_kind=OTHER_KIND[known.working_kind])
        if floor_too and known.floor_purpose is not Purpose.MAXIMUM:
            known = replace(known, floor_kind=OTHER_KIND[known.floor_kind])
            self.install_floor()
        self.abilities = known

    def start_afresh(self) -> None:
        """Wait for nothing any more: the charge point has connected or booted, and may have lost what it was told."""
        self._due |= set(self._wanted)
        self._sent.clear()
        self._ladder_again_s = self._unknown_until_s = 0.0
        self._floors.not_before_s = 0.0
        self._not_before_s.clear()
        self._wake.set()

    async def run(self, session: Session) -> None:
        """Send what is due until cancelled. Raises CallError (`disconnected`)."""
        while True:
            self._wake.clear()
            if (
                not self.floor_accepted
                and self._point.clock() >= self._floors.not_before_s
                and await self._floors.send(session)
            ):
                # In another way now.
                self._due |= set(self._wanted)
            if self._floors.done:
                if self.abilities.way is Way.VENDOR_KEY:
                    await self.vendor_key.lapse()
                for connector in self._in_order():
                    await self._send_permit(session, connector)
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
        if not self._floors.done:
            times = [self._floors.not_before_s]
        elif not self.floor_accepted:
            times.append(self._floors.not_before_s)
            lapse_s = self.vendor_key.next_s()
            if self.abilities.way is Way.VENDOR_KEY and lapse_s is not None:
                times.append(lapse_s)
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
        if connector.transaction is not None or connector.connector_id in self.pauses:
            return True
        # Where it acts without one it is still not written for an empty place: writing wears out flash memory.
        acts = self.abilities.way is Way.VENDOR_KEY or (
            self.abilities.way is Way.PROFILE
            and self.abilities.working_purpose is not Purpose.TX_PROFILE
        )
        return acts and connector.state not in _EMPTY

    async def _send_permit(self, session: Session, connector: ConnectorView) -> None:
        """Put the newest permit of a connector on the wire, in the first way that is taken."""
        point, connector_id = self._point, connector.connector_id
        wanted = self._worth_sending(connector)
        if wanted is None:
            self._due.discard(connector_id)
            return
        if (again_s := self._again_at_s(connector, wanted)) is not None:
            # A car that resumes gives several reasons to send it: they are one.
            self._not_before_s[connector_id] = again_s
            return
        if connector.transaction is None and connector_id in self.pauses:
            await self._start_again(session, connector, wanted)
            return
        unknown = point.clock() < self._unknown_until_s
        if self.abilities.way is not Way.PROFILE or (
            _is_zero(wanted.permit) and (unknown or not point.obeys_pause)
        ):
            await self._send_otherwise(session, connector, wanted)
            return
        if unknown:
            self._not_before_s[connector_id] = self._unknown_until_s
            return
        status, told = "", (0.0, Unit.AMPERE)
        sent: Profile
        ladder = working_ladder(self.abilities)
        fresh = (
            point.clock()
            < self._held_until_s.get(connector_id, 0.0) + _TRANSACTION_FRESH_S
        )
        first_only = fresh or point.clock() < self._ladder_again_s
        for attempt in islice(ladder, 1) if first_only else ladder:
            if status == UNKNOWN_ACTION:
                continue
            transaction = connector.transaction

            def newest(attempt: Abilities = attempt) -> Profile:
                """Return the profile of the permit that is wanted when it is this call's turn."""
                nonlocal wanted, told, sent
                self._due.discard(connector_id)
                wanted = self._wanted[connector_id]
                profile = working.profile(
                    point, connector, wanted.permit, wanted.expires_at_s, attempt
                )
                told, sent = (profile.periods[0][1], profile.unit), profile
                return profile

            try:
                status = await self.set_profile(session, newest)
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
                self.told[connector_id] = told
                self._sent[connector_id] = (sent, point.clock())
                point.problem(Problem.PROFILE_REJECTED, present=False)
                self._accepted(connector, wanted)
                if connector_id not in self._parked:
                    point.read_back.accepted(connector_id, wanted.permit)
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
                point.problem(Problem.PROFILE_REJECTED, present=True)
            if status == UNKNOWN_ACTION:
                self._unknown_until_s = point.clock() + _LADDER_REST_S
            if not first_only:
                self._ladder_again_s = point.clock() + _LADDER_REST_S
            if not fresh and _is_zero(wanted.permit):
                # It stays on its floor, which is more than is there.
                await self._send_otherwise(session, connector, wanted)
                return
        self._rejected(connector_id, wanted.permit, status)

    def _again_at_s(self, connector: ConnectorView, wanted: _Wanted) -> float | None:
        """Return when to send a permit of which all was accepted a moment ago; None: it says something else."""
        sent = self._sent.get(connector.connector_id)
        if sent is None or self._point.clock() >= sent[1] + _SAME_AGAIN_S:
            return None
        profile = working.profile(
            self._point, connector, wanted.permit, wanted.expires_at_s, self.abilities
        )
        return sent[1] + _SAME_AGAIN_S if profile.like(sent[0]) else None

    def _worth_sending(self, connector: ConnectorView) -> _Wanted | None:
        """Return the permit to send; None for one that is about to lapse, unless it lowers what is in force."""
        now_s, wanted = self._point.clock(), self._wanted[connector.connector_id]
        if wanted.expires_at_s - now_s >= _SHORTEST_LIFE_S:
            return wanted
        if (
            connector.permit is None
            or connector.permit_expires_at_s is None
            or connector.permit_expires_at_s <= now_s
            or not _raises(connector.permit, wanted.permit)
        ):
            return None
        wanted = _Wanted(wanted.permit, now_s + _SHORTEST_LIFE_S)
        self._wanted[connector.connector_id] = wanted
        return wanted

    async def _send_otherwise(
        self, session: Session, connector: ConnectorView, wanted: _Wanted
    ) -> None:
        """Carry a permit out without a charging profile: by the vendor's key, by stopping, or not at all."""
        connector_id = connector.connector_id
        self._due.discard(connector_id)
        nothing = _is_zero(wanted.permit)
        if self.abilities.way is Way.START_STOP:
            maximum = self._point.config.maximum.get(connector_id, 0.0)
            permitted = wanted.permit.limit_a or wanted.permit.limit_w or 0.0
            # All or nothing: what is less than its maximum would be passed.
            nothing = nothing or permitted < maximum
        try:
            if nothing:
                done = await self.pauses.stop(session, connector)
            else:
                done = (
                    self.abilities.way is Way.START_STOP
                    or await self.vendor_key.write(connector, wanted.permit)
                )
        except CallError as error:
            self._unanswered(connector, wanted, error.key)
            if error.key == "disconnected":
                raise
            return
        if done:
            self._accepted(connector, wanted)
            return
        self._due.add(connector_id)
        self._not_before_s[connector_id] = self._point.clock() + _PERMIT_RETRY_S
        self._point.problem(Problem.PROFILE_REJECTED, present=True)
        self._rejected(connector_id, wanted.permit, "Rejected")

    async def _start_again(
        self, session: Session, connector: ConnectorView, wanted: _Wanted
    ) -> None:
        """Go on with a session that was ended to pause it, once there is something to charge with."""
        connector_id = connector.connector_id
        if _is_zero(wanted.permit):
            self._due.discard(connector_id)
            return
        self._due.add(connector_id)
        if (start_s := self.pauses.start_at_s(connector_id)) > self._point.clock():
            self._not_before_s[connector_id] = start_s
            return
        self._not_before_s[connector_id] = self._point.clock() + START_WAIT_S
        try:
            tried = await self.pauses.start(session, connector)
        except CallError as error:
            if error.key == "disconnected":
                raise
            self._rejected(connector_id, wanted.permit, error.key)
            return
        if not tried:
            self._rejected(connector_id, wanted.permit, "Rejected")

    def _accepted(self, connector: ConnectorView, wanted: _Wanted) -> None:
        point = self._point
        connector.permit = wanted.permit
        connector.permit_accepted_at_s = point.clock()
        connector.permit_expires_at_s = wanted.expires_at_s
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
        if reason != "disconnected":
            self._not_before_s[connector_id] = self._point.clock() + _PERMIT_RETRY_S
        self._rejected(connector_id, wanted.permit, reason)

    async def set_profile(self, session: Session, build: Callable[[], Profile]) -> str:
        """Send a profile and return the status; the error code where the request as such was refused."""

        def payload() -> Payload:
            profile = build()
            _LOGGER.debug("%s: %s", self._point.id, profile)
            return self._point.dialect.set_profile(profile)

        began_s = self._point.clock()
        try:
            answer = await session.call(
                "SetChargingProfile", payload, urgent=True, timeout_s=self._patience_s
            )
        except CallError as error:
            if is_unknown_action(error):
                return UNKNOWN_ACTION
            if error.key in {"refused", "invalid_answer"}:
                return error.status or "Refused"
            if error.key == "timeout":
                self._patience_s = min(2.0 * self._patience_s, _LONGEST_CALL_S)
            raise
        if self._point.clock() - began_s < _CALL_TIMEOUT_S:
            self._patience_s = _CALL_TIMEOUT_S
        return str(answer.get("status", "")).strip().capitalize()


def _larger(one: float | None, other: float | None) -> float | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _raises(permit: Permit, other: Permit) -> bool:
    """Whether a permit is more than another."""
    return (permit.limit_a or 0.0, permit.limit_w or 0.0) > (
        other.limit_a or 0.0,
        other.limit_w or 0.0,
    )


def _is_zero(permit: Permit) -> bool:
    """Whether nothing is permitted."""
    return not permit.limit_a and not permit.limit_w

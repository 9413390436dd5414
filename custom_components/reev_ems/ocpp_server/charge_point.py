"""A charge point as the rest of the program sees it, whatever its OCPP version. It outlives its connections."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
import logging
from typing import Protocol

from ..energy_management.model import Supply
from ..energy_management.observation import ConnectorState
from . import commissioning, quirks
from .abilities import Abilities
from .clock import ClockOffset
from .dialect import Dialect
from .events import (
    Booted,
    ChargePointEvent,
    Connected,
    Disconnected,
    Metered,
    ProblemsChanged,
    SelfTested,
    StatusChanged,
    TagRefused,
    TransactionEnded,
    TransactionStarted,
)
from .measurands import Measured
from .model import (
    Authorization,
    AuthorizationStatus,
    BootInfo,
    CallError,
    ChargePointConfig,
    ConnectorView,
    Payload,
    Permit,
    SelfTest,
    Transaction,
)
from .profiles import Unit, working_id
from .remote import RemoteControl
from .session import Session
from .steering import Steering
from .transactions import TransactionLog, transaction_of
from .v16 import V16

_LOGGER = logging.getLogger(__name__)

BOOT_WAIT_S = 3.0
"""A charge point that has just started does not take requests before its BootNotification was answered; one that
reconnects sends none."""
RECONNECT_WAIT_S = 1.0
METER_WATCH_S = 30.0
_LATE_INTERVALS = 3

_CHARGING_A = 5.0
_OLDEST_REPORT = timedelta(days=400)

_NO_CURRENT = (0.0, 0.0, 0.0)


class Host(Protocol):
    """What a charge point needs of its server."""

    transactions: TransactionLog
    clock: Callable[[], float]
    now: Callable[[], datetime]
    authorize: Callable[[str, str], Authorization]
    quirk_table: tuple[quirks.Entry, ...]


class ChargePoint(RemoteControl):
    """An adopted charge point."""

    def __init__(self, config: ChargePointConfig, host: Host) -> None:
        """Begin without a connection."""
        self.id = config.id
        self.config = config
        self.info: BootInfo | None = None
        self.connected_at: datetime | None = None
        self.connectors: Mapping[int, ConnectorView] = {}
        self.self_tests: dict[int, SelfTest] = {}
        self.dialect: Dialect = V16(self)
        self.steering = Steering(self, Abilities())
        self.quirks = quirks.Quirks()
        self._host = host
        self._session: Session | None = None
        self._listeners: list[Callable[[ChargePointEvent], None]] = []
        self._problems: tuple[str, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self._setting_up: asyncio.Task[None] | None = None
        self._offset = ClockOffset()
        self._booted = asyncio.Event()
        self._awaiting_boot = False
        self._boot_asked = False
        self._learnt = False
        self._configured = False
        self._restored = False
        self._newest_sample: dict[int, datetime] = {}
        self._drawing: dict[int, int] = {}
        self._make_connectors()
        self._know_model()

    # What others read and ask.

    @property
    def connected(self) -> bool:
        """Whether its socket is open."""
        return self._session is not None

    @property
    def version(self) -> str:
        """The OCPP version that it speaks, or spoke last."""
        return self.dialect.version

    @property
    def floor_accepted(self) -> bool:
        """Whether it keeps its failsafe (S4)."""
        return self.steering.floor_accepted

    @property
    def problems(self) -> tuple[str, ...]:
        """What a person should know: `floor_rejected`, `profile_rejected`."""
        return self._problems

    @property
    def clock_offset_s(self) -> float:
        """How far its clock is ahead of ours."""
        return self._offset.seconds

    def subscribe(
        self, listener: Callable[[ChargePointEvent], None]
    ) -> Callable[[], None]:
        """Call `listener` with each event; returns what ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def permit(self, connector_id: int, permit: Permit) -> None:
        """Permit a connector a limit from now on; the newest replaces one that waits.

        It goes out at once if a transaction runs, else as soon as one starts, and again on each transition to
        charging. The outcome arrives as PermitAccepted or PermitRejected. Raises CallError (`unknown_connector`).
        """
        self._connector(connector_id)
        self.steering.permit(connector_id, permit)

    @property
    def autonomous_fallback(self) -> bool | None:
        """Whether it falls to its floor by itself: as the self-test found, else as is known of its model."""
        found = [
            test.falls_back
            for test in self.self_tests.values()
            if test.falls_back is not None
        ]
        return all(found) if found else self.quirks.autonomous_fallback

    async def self_test(self, connector_id: int) -> SelfTest:
        """Test whether a charging connector obeys and falls back by itself (commissioning.py). Raises CallError."""
        self._connector(connector_id)
        result = self.self_tests[connector_id] = await commissioning.self_test(
            self, connector_id
        )
        self.emit(
            SelfTested(
                charge_point_id=self.id, connector_id=connector_id, result=result
            )
        )
        return result

    async def fall_back(self, timeout_s: float) -> None:
        """Remove the working profiles, so that the floor acts at once. What cannot be reached falls back by itself."""
        for connector in self.connectors.values():
            if connector.permit is None or self._session is None:
                continue
            action, payload = self.dialect.clear_profile(
                working_id(connector.connector_id)
            )
            try:
                await self._session.call(
                    action, payload, urgent=True, timeout_s=timeout_s
                )
            except CallError as error:
                _LOGGER.debug("%s: working profile not cleared: %s", self.id, error)

    # What the server does with it.

    def apply(self, config: ChargePointConfig) -> None:
        """Take a changed configuration without dropping the connection."""
        before, self.config = self.config, config
        if config == before:
            return
        places = (config.connector_ids, config.supply) != (
            before.connector_ids,
            before.supply,
        )
        if places:
            self._make_connectors()
        if config.quirks != before.quirks:
            self.steering.abilities = Abilities()
            self._know_model()
            self._learnt = False
        if places or config.floor != before.floor or not self._learnt:
            self.steering.install_floor()
        if (
            places
            or not self._learnt
            or config.meter_interval_s != before.meter_interval_s
        ):
            self._configured = False
            if self._session is not None and not self._awaiting_boot:
                self._begin_set_up()

    async def close(self, reason: str) -> None:
        """Drop the connection."""
        if self._session is not None:
            await self._session.close(1001, reason)

    # What its connection does (session.Peer).

    async def handle(
        self, session: Session, action: str, payload: Payload
    ) -> Payload | None:
        """Answer a request."""
        if session is not self._session:
            return self.dialect.empty_answer(action)
        return await self.dialect.handle(action, payload)

    def empty_answer(self, session: Session, action: str) -> Payload:
        """Return the answer that makes it drop a queued message that is of no use."""
        return self.dialect.empty_answer(action)

    def connected_with(self, session: Session, dialect: type[Dialect]) -> None:
        """Take over a connection; the newest wins, since the old one may be half open."""
        old, self._session = self._session, session
        if old is not None:
            self._end_tasks()
            self._start(self._close_old(old))
        if not isinstance(self.dialect, dialect):
            self.dialect = dialect(self)
            self._learnt = self._configured = False
        self._booted.clear()
        self._boot_asked = False
        self.connected_at = self.now()
        self._offset.forget()
        self.steering.start_afresh()
        for connector in self.connectors.values():
            connector.state = self.dialect.state_of(connector)
        self.emit(Connected(charge_point_id=self.id, version=self.version))
        self._start(self._work(session))

    def disconnected(self, session: Session) -> None:
        """The connection is gone; one that was replaced changes nothing."""
        if session is not self._session:
            return
        self._session = None
        self._end_tasks()
        for connector in self.connectors.values():
            connector.state = ConnectorState.OFFLINE
        self.emit(Disconnected(charge_point_id=self.id))

    async def _close_old(self, session: Session) -> None:
        await session.close(1000, "a newer connection of the same charge point")

    async def _work(self, session: Session) -> None:
        """Bring the charge point to its floor and keep it on its permits."""
        try:
            if not self._restored:
                await self._restore()
            self._awaiting_boot = True
            try:
                wait_s = RECONNECT_WAIT_S if self._learnt else BOOT_WAIT_S
                async with asyncio.timeout(wait_s):
                    await self._booted.wait()
            except TimeoutError:
                pass
            finally:
                self._awaiting_boot = False
            if not self._learnt:
                await self.dialect.learn()
                self._learnt = True
            self._begin_set_up()
            self._start(self._watch_meter_values())
            await self.steering.run(session)
        except CallError as error:
            _LOGGER.debug("%s: %s", self.id, error)

    async def _watch_meter_values(self) -> None:
        """Ask a charging connector for values where they do not come by themselves."""
        while True:
            await asyncio.sleep(METER_WATCH_S)
            late_s = self.clock() - _LATE_INTERVALS * max(
                self.config.meter_interval_s, self.quirks.meter_interval_s
            )
            for connector in self.connectors.values():
                if (
                    connector.state is ConnectorState.CHARGING
                    and (connector.measured_at_s or 0.0) < late_s
                ):
                    with contextlib.suppress(CallError):
                        await self.trigger("MeterValues", connector.connector_id)

    def _begin_set_up(self) -> None:
        """Set up, from the beginning if that is under way."""
        if self._setting_up is not None:
            self._setting_up.cancel()
        self._setting_up = self._start(self._set_up())

    async def _set_up(self) -> None:
        """Learn what it can do and configure it, where that was not done since it started."""
        try:
            if self.info is None:
                # It started before we did, and says what it is only when asked.
                self._boot_asked = True
                with contextlib.suppress(CallError):
                    await self.trigger("BootNotification")
            if not self._learnt:
                await self.dialect.learn()
                self._learnt = True
                self.steering.install_floor()
            if not self._configured:
                await self.dialect.configure()
                self._configured = True
        except CallError as error:
            _LOGGER.debug("%s: not configured: %s", self.id, error)

    async def _restore(self) -> None:
        """Take up the transactions that were running when this program ended."""
        for record in await self._host.transactions.open_transactions(self.id):
            connector = self.connectors.get(record.connector_id)
            if connector is not None and connector.transaction is None:
                connector.transaction = transaction_of(record)
        self._restored = True

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.error("%s: a task failed", self.id, exc_info=error)

    def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _make_connectors(self) -> None:
        old = self.connectors
        self.connectors = {
            id_: old.get(id_) or ConnectorView(connector_id=id_)
            for id_ in self.config.connector_ids
        }
        for connector in self.connectors.values():
            connector.supply = self.config.supply_of(connector.connector_id)

    # What the dialects report.

    def now(self) -> datetime:
        """Return our time."""
        return self._host.now()

    def clock(self) -> float:
        """Return the monotonic time."""
        return self._host.clock()

    def charger_now(self) -> datetime:
        """Return the time on the charge point's clock."""
        return self.now() + timedelta(seconds=self._offset.seconds)

    @property
    def transactions(self) -> TransactionLog:
        """The session records."""
        return self._host.transactions

    def emit(self, event: ChargePointEvent) -> None:
        """Tell the subscribers."""
        for listener in tuple(self._listeners):
            listener(event)

    def problem(self, name: str, *, present: bool) -> None:
        """Note that something is wrong, or is so no longer."""
        if (name in self._problems) == present:
            return
        others = tuple(problem for problem in self._problems if problem != name)
        self._problems = (*others, name) if present else others
        self.emit(ProblemsChanged(charge_point_id=self.id, problems=self._problems))

    def booted(self, info: BootInfo) -> None:
        """It has started: what it forgot is set again."""
        if self.info is not None and info != self.info:
            # Another model or firmware: what was learnt may be true no longer.
            self.steering.abilities = Abilities()
            self._learnt = False
        self.info = info
        self._know_model()
        self._booted.set()
        asked, self._boot_asked = self._boot_asked, False
        if not asked:
            self._configured = False
            self.steering.install_floor()
            self.steering.start_afresh()
        self.emit(Booted(charge_point_id=self.id, info=info))
        if not self._awaiting_boot and not asked:
            self._begin_set_up()

    def _know_model(self) -> None:
        """Apply what is known of the model, and what the person set."""
        try:
            self.quirks = quirks.known(
                self._host.quirk_table, self.info or BootInfo(), self.config.quirks
            )
        except (ValueError, TypeError) as error:
            _LOGGER.error(
                "%s: the settings of its abilities are wrong: %s", self.id, error
            )
        self.steering.abilities = self.quirks.applied_to(self.steering.abilities)

    def saw_time(self, at: datetime | None) -> None:
        """Learn the charge point's clock from the time in a message."""
        if at is not None:
            self._offset.learn(self.clock(), (at - self.now()).total_seconds())

    def our_time(self, at: datetime | None) -> datetime:
        """Return a time of the charge point on our clock; our own time for one that cannot be.

        Clocks that count from 1970, or that are hours off, must not put sessions into another order.
        """
        now = self.now()
        if at is None:
            return now
        try:
            ours = at - timedelta(seconds=self._offset.seconds)
        except OverflowError:
            return now
        return min(ours, now) if ours > now - _OLDEST_REPORT else now

    def clock_was_set(self) -> None:
        """It has been told the time."""
        self._offset.forget()

    def authorize(self, id_tag: str | None) -> Authorization:
        """Return whether an id tag may charge here."""
        if id_tag is None:
            return Authorization(status=AuthorizationStatus.INVALID)
        authorization = self._host.authorize(self.id, id_tag)
        if authorization.status is not AuthorizationStatus.ACCEPTED:
            self.emit(
                TagRefused(
                    charge_point_id=self.id, id_tag=id_tag, status=authorization.status
                )
            )
        return authorization

    def status(
        self,
        connector_id: int,
        status: str,
        state: ConnectorState,
        error_code: str | None = None,
    ) -> None:
        """A connector is in a state."""
        connector = self.connectors.get(connector_id)
        if connector is None:
            return
        before = (connector.state, connector.error_code)
        connector.status, connector.state, connector.error_code = (
            status,
            state,
            error_code,
        )
        if state is ConnectorState.AVAILABLE:
            # Nothing is plugged in: a transaction whose end was lost is over, and no current can flow.
            self._nothing_flows(connector)
            if connector.transaction is not None:
                self.transaction_ended(
                    connector_id, connector.transaction.id, None, None
                )
        if before != (state, error_code):
            self.emit(
                StatusChanged(
                    charge_point_id=self.id, connector_id=connector_id, state=state
                )
            )
        if (
            state is ConnectorState.CHARGING
            and before[0] is not ConnectorState.CHARGING
        ):
            self.steering.renew(connector_id)

    def transaction_started(self, connector_id: int, transaction: Transaction) -> None:
        """A transaction runs; told twice, or after a younger one, it changes nothing."""
        connector = self.connectors.get(connector_id)
        if connector is None:
            return
        running = connector.transaction
        if running is not None and (
            running.id == transaction.id or transaction.started_at < running.started_at
        ):
            return
        connector.transaction = transaction
        connector.phases_used = None
        connector.permit = connector.permit_accepted_at_s = (
            connector.permit_expires_at_s
        ) = None
        self.emit(
            TransactionStarted(
                charge_point_id=self.id,
                connector_id=connector_id,
                transaction=transaction,
            )
        )
        self.steering.began(connector_id)

    def transaction_ended(
        self,
        connector_id: int,
        transaction_id: int,
        meter_stop_wh: float | None,
        reason: str | None,
    ) -> None:
        """A transaction is over; one that is not the running one (a late report) changes nothing here."""
        connector = self.connectors.get(connector_id)
        if (
            connector is None
            or connector.transaction is None
            or connector.transaction.id != transaction_id
        ):
            return
        ended = _charged(connector.transaction, meter_stop_wh)
        connector.transaction = None
        connector.phases_used = None
        connector.permit = connector.permit_accepted_at_s = (
            connector.permit_expires_at_s
        ) = None
        self._nothing_flows(connector)
        self.emit(
            TransactionEnded(
                charge_point_id=self.id,
                connector_id=connector_id,
                transaction=ended,
                reason=reason,
            )
        )

    def metered(
        self, connector_id: int, measured: Measured, at: datetime | None
    ) -> None:
        """A connector was measured, at a time on the charge point's clock; older values than known ones are dropped."""
        connector = self.connectors.get(connector_id)
        if connector is None:
            return
        at = at or self.charger_now()
        newest = self._newest_sample.get(connector_id)
        if newest is not None and at < newest <= self.charger_now() + timedelta(
            seconds=60
        ):
            return
        self._newest_sample[connector_id] = at
        if measured.current_a is not None or measured.power_w is not None:
            connector.current_a, connector.power_w = (
                measured.current_a,
                measured.power_w,
            )
            connector.measured_at_s = self.clock() - max(
                0.0, (self.charger_now() - at).total_seconds()
            )
        connector.voltage_v = _newer(measured.voltage_v, connector.voltage_v)
        connector.energy_wh = _newer(measured.energy_wh, connector.energy_wh)
        connector.soc_pct = _newer(measured.soc_pct, connector.soc_pct)
        connector.current_offered_a = _newer(
            measured.current_offered_a, connector.current_offered_a
        )
        connector.power_offered_w = _newer(
            measured.power_offered_w, connector.power_offered_w
        )
        connector.temperature_c = _newer(
            measured.temperature_c, connector.temperature_c
        )
        if connector.transaction is not None:
            connector.transaction = _charged(connector.transaction, measured.energy_wh)
            self._learn_phases(connector, measured)
        self.emit(Metered(charge_point_id=self.id, connector_id=connector_id))

    def _learn_phases(self, connector: ConnectorView, measured: Measured) -> None:
        """Note on how many phases the car draws; a limit in W then means another current.

        Two samples in a row have to say so, at a current that is no ramp or taper.
        """
        drawing = measured.drawing_phases
        if (
            drawing is None
            or max(a or 0.0 for a in measured.current_a or ()) < _CHARGING_A
        ):
            return
        before = self._drawing.get(connector.connector_id)
        self._drawing[connector.connector_id] = drawing
        if drawing == before and drawing > (connector.phases_used or 0):
            connector.phases_used = drawing
            if self.steering.abilities.unit_for(connector.supply) is Unit.WATT:
                self.steering.renew(connector.connector_id)

    def _nothing_flows(self, connector: ConnectorView) -> None:
        connector.current_a = None if connector.supply is Supply.DC else _NO_CURRENT
        connector.power_w = 0.0
        connector.measured_at_s = self.clock()


def _newer[T](value: T | None, old: T | None) -> T | None:
    return old if value is None else value


def _charged(transaction: Transaction, energy_wh: float | None) -> Transaction:
    """Return the transaction with the energy up to a reading of the register."""
    if energy_wh is None:
        return transaction
    start_wh = (
        transaction.meter_start_wh
        if transaction.meter_start_wh is not None
        else energy_wh
    )
    return replace(
        transaction, meter_start_wh=start_wh, energy_wh=max(0.0, energy_wh - start_wh)
    )

"""What a charge point tells about itself, its connectors and its transactions: kept in the views, sent as events."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from ..energy_management.model import Supply
from ..energy_management.observation import ConnectorState
from . import clock, quirks
from .composite import ReadBack
from .events import (
    ChargePointEvent,
    FirmwareStatusChanged,
    Metered,
    SecurityEventReported,
    StatusChanged,
    TagRefused,
    TransactionEnded,
    TransactionStarted,
    UploadStatusChanged,
)
from .measurands import Measured
from .model import (
    Authorization,
    AuthorizationStatus,
    ChargePointConfig,
    ConnectorView,
    Problem,
    Transaction,
    User,
)
from .registers import Registers
from .steering import Steering
from .transactions import TransactionLog
from .zero import Zero

_OLDEST_REPORT = timedelta(days=400)

_OFFSET_STEP_S = 5.0
"""A change of a clock that is worth to be kept, and to tell the permits again."""
_OUR_STEP_S = 1.0

_MOST_ELSEWHERE = 16
"""Sessions at connectors that are not set up, of which the end is waited for."""

_NO_CURRENT = (0.0, 0.0, 0.0)


class Host(Protocol):
    """What a charge point needs of its server."""

    transactions: TransactionLog
    clock: Callable[[], float]
    now: Callable[[], datetime]
    authorize: Callable[[str, str], Authorization]
    quirk_table: tuple[quirks.Entry, ...]
    sign_request: Callable[[str, str], str] | None

    def log_ins_quiet(self, charge_point_id: str) -> bool:
        """Whether no password was wrong for a charge point for a while."""


class Reports:
    """The views of a charge point's connectors, written by what the dialects report."""

    steering: Steering
    read_back: ReadBack
    zero: Zero

    def __init__(self, config: ChargePointConfig, host: Host) -> None:
        """Begin with connectors of which nothing is known."""
        self.id = config.id
        self.config = config
        self.connectors: Mapping[int, ConnectorView] = {}
        self.authorize_tag: Callable[[str], Authorization] | None = None
        """Decides who may charge here; None: the server does. An empty tag: nobody was asked for one."""
        self.user_of_tag: Callable[[str], User | None] | None = None
        """Tells whose an id tag is; None: no users are known."""
        self.firmware_status: str | None = None
        """The last word about a firmware update, as OCPP has it."""
        self.upload_status: str | None = None
        """The last word about an upload of diagnostics or of a log, as OCPP has it."""
        self._host = host
        self._listeners: list[Callable[[ChargePointEvent], None]] = []
        self._offset = clock.ClockOffset()
        self._our_lead_s: float | None = None
        """Our clock less the monotonic time: it changes only when our clock is set."""
        self.told_state: set[int] = set()
        """The connectors that told their state since this program started."""
        self._newest_sample: dict[int, datetime] = {}
        self._registers = Registers()
        self._elsewhere: set[int] = set()
        """Sessions that run at connectors that are not set up."""
        self._make_connectors()

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

    def taught(self) -> None:
        """Tell that something was learnt that is to be kept."""

    def problem(self, name: Problem, *, present: bool) -> None:
        """Note that something is wrong, or is so no longer."""

    def _make_connectors(self) -> None:
        old = self.connectors
        self.connectors = {
            id_: old.get(id_) or ConnectorView(connector_id=id_)
            for id_ in self.config.connector_ids
        }
        for connector in self.connectors.values():
            connector.supply = self.config.supply_of(connector.connector_id)

    def now(self) -> datetime:
        """Return our time."""
        return self._host.now()

    def clock(self) -> float:
        """Return the monotonic time."""
        return self._host.clock()

    def charger_now(self) -> datetime:
        """Return the time on the charge point's clock."""
        self._heed_our_clock()
        return self.now() + timedelta(seconds=self._offset.seconds)

    @property
    def transactions(self) -> TransactionLog:
        """The session records."""
        return self._host.transactions

    def emit(self, event: ChargePointEvent) -> None:
        """Tell the subscribers."""
        for listener in tuple(self._listeners):
            listener(event)

    @property
    def only_connector(self) -> int | None:
        """The number of its connector, if it has one only."""
        return next(iter(self.connectors)) if len(self.connectors) == 1 else None

    def saw_time(self, at: datetime | None) -> None:
        """Learn the charge point's clock from the time in a message."""
        if at is None:
            return
        self._heed_our_clock()
        before_s, found_s = self._offset.seconds, self._offset.found_before_s
        was_set = self._offset.learn(self.clock(), (at - self.now()).total_seconds())
        ahead_s = self._offset.believed_s
        if (
            ahead_s is not None
            and abs(ahead_s - self._offset.found_before_s) > _OFFSET_STEP_S
        ):
            self._offset.found_before_s = round(ahead_s)
        if self._offset.found_before_s != found_s:
            self.taught()
        if was_set:
            # What is measured from now on is new, whatever the clock says.
            self._newest_sample.clear()
            self.steering.install_floor()
            self.read_back.look_again()
        if abs(self._offset.seconds - before_s) > _OFFSET_STEP_S:
            for connector_id in self.connectors:
                self.steering.renew(connector_id)
        if self._offset.doubted:
            self.clock_doubted()

    def clock_doubted(self) -> None:
        """Look whether its clock was set: the time in a message contradicts those before."""

    def _heed_our_clock(self) -> None:
        """Notice that our own clock was set: theirs was not."""
        lead_s = self.now().timestamp() - self.clock()
        if self._our_lead_s is not None:
            moved_s = lead_s - self._our_lead_s
            if abs(moved_s) < _OUR_STEP_S:
                return
            self._offset.moved(moved_s)
        self._our_lead_s = lead_s

    def our_time(self, at: datetime | None) -> datetime:
        """Return a time of the charge point on our clock; our own time for one that cannot be.

        Clocks that count from 1970, or that are hours off, must not put sessions into another order.
        """
        now = self.now()
        if at is None:
            return now
        try:
            ours = at - timedelta(seconds=self._offset.for_records_s)
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
        if self.authorize_tag is None:
            authorization = self._host.authorize(self.id, id_tag)
        else:
            authorization = self.authorize_tag(id_tag)
        if authorization.status is not AuthorizationStatus.ACCEPTED:
            self.emit(
                TagRefused(
                    charge_point_id=self.id, id_tag=id_tag, status=authorization.status
                )
            )
        return authorization

    def user_of(self, id_tag: str | None) -> User | None:
        """Return whose an id tag is; None: nobody's."""
        if not id_tag or self.user_of_tag is None:
            return None
        return self.user_of_tag(id_tag)

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
        was_told = connector_id in self.told_state
        self.told_state.add(connector_id)
        before = (connector.state, connector.error_code)
        known_as = connector.status
        state = self.steering.pauses.state_of(connector_id, state)
        connector.status, connector.state, connector.error_code = (
            status,
            state,
            error_code,
        )
        if state is ConnectorState.AVAILABLE:
            # Nothing is plugged in: a transaction whose end was lost is over, and no current can flow.
            self._nothing_flows(connector)
            self._registers.forget(connector_id)
            self.problem(Problem.POWER_CONTRADICTS, present=self._registers.contradict)
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
        if state is ConnectorState.CHARGING and not (
            was_told and before[0] is ConnectorState.CHARGING
        ):
            self.steering.renew(connector_id)
            if before[0] is not state and _nothing_measured(connector):
                _unmeasured(connector)
        if status != known_as:
            self.taught()

    def presume(self, connector: ConnectorView) -> None:
        """Set the state of a connector to what is likely, as long as it was not told."""

    def firmware_told(self, status: str | None, request_id: int | None) -> None:
        """A firmware update has come further."""
        if status is not None:
            self.firmware_status = status
            self.emit(
                FirmwareStatusChanged(
                    charge_point_id=self.id, status=status, request_id=request_id
                )
            )

    def upload_told(self, status: str | None, request_id: int | None) -> None:
        """An upload of diagnostics or of a log has come further."""
        if status is not None:
            self.upload_status = status
            self.emit(
                UploadStatusChanged(
                    charge_point_id=self.id, status=status, request_id=request_id
                )
            )

    def security_told(
        self, kind: str | None, at: datetime | None, detail: str | None
    ) -> None:
        """Something happened that matters for security."""
        if kind is not None:
            self.emit(
                SecurityEventReported(
                    charge_point_id=self.id,
                    kind=kind,
                    at=self.our_time(at),
                    detail=detail,
                )
            )

    def transaction_started(self, connector_id: int, transaction: Transaction) -> None:
        """A transaction runs; told twice, or after a younger one, it changes nothing."""
        connector = self.connectors.get(connector_id)
        if connector is None:
            if len(self._elsewhere) < _MOST_ELSEWHERE:
                self._elsewhere.add(transaction.id)
                self.problem(Problem.CONNECTOR_UNKNOWN, present=True)
            return
        running = connector.transaction
        if running is not None and (
            running.id == transaction.id or transaction.started_at < running.started_at
        ):
            return
        self.runs(connector, transaction)
        began_s = connector.began_at_s or 0.0
        self._registers.began(
            connector_id, transaction.meter_start_wh, began_s, self.clock()
        )
        if _nothing_measured(connector):
            _unmeasured(connector)
        self.steering.phases.forget(connector)
        connector.permit = connector.permit_accepted_at_s = (
            connector.permit_expires_at_s
        ) = None
        self.presume(connector)
        self.emit(
            TransactionStarted(
                charge_point_id=self.id,
                connector_id=connector_id,
                transaction=transaction,
            )
        )
        self.steering.began(connector_id)

    def runs(self, connector: ConnectorView, transaction: Transaction) -> None:
        """Note a transaction as the connector's, and since when it runs on a clock that is never set."""
        connector.transaction = transaction
        ago_s = (self.now() - transaction.started_at).total_seconds()
        connector.began_at_s = self.clock() - max(0.0, ago_s)

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
        if self.zero.ended(connector, reason):
            self.steering.pauses.ended(connector)
        if (ended.energy_wh or 0.0) < (connector.transaction.energy_wh or 0.0):
            # An end with less than was measured, mostly with 0 Wh.
            ended = connector.transaction
        connector.transaction = None
        self.steering.phases.forget(connector)
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

    def session_ended(
        self, session_id: int, meter_stop_wh: float | None, reason: str | None
    ) -> None:
        """A session is over, wherever it ran."""
        for connector_id in self.connectors:
            self.transaction_ended(connector_id, session_id, meter_stop_wh, reason)
        self._elsewhere.discard(session_id)
        if not self._elsewhere:
            self.problem(Problem.CONNECTOR_UNKNOWN, present=False)

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
        at_s = self.clock() - max(0.0, (self.charger_now() - at).total_seconds())
        measured = self._registers.checked(connector_id, measured, at_s)
        self.problem(Problem.POWER_CONTRADICTS, present=self._registers.contradict)
        if measured.current_a is not None or measured.power_w is not None:
            connector.current_a, connector.power_w = (
                measured.current_a,
                measured.power_w,
            )
            connector.measured_at_s = at_s
        elif self._registers.doubts(connector_id):
            _unmeasured(connector)
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
            self.steering.phases.measured(connector, measured)
        self.emit(Metered(charge_point_id=self.id, connector_id=connector_id))

    def _nothing_flows(self, connector: ConnectorView) -> None:
        connector.current_a = None if connector.supply is Supply.DC else _NO_CURRENT
        connector.power_w = 0.0
        connector.measured_at_s = self.clock()


def _nothing_measured(connector: ConnectorView) -> bool:
    """Whether the last that is known is that nothing flows."""
    return not connector.power_w and not any(connector.current_a or ())


def _unmeasured(connector: ConnectorView) -> None:
    """It draws what nobody has measured yet: what flowed before says nothing about now (S2)."""
    connector.current_a = connector.power_w = connector.measured_at_s = None


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

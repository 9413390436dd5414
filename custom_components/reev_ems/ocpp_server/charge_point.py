"""A charge point as the rest of the program sees it, whatever its OCPP version. It outlives its connections."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
import logging
from typing import override

from ..energy_management.observation import ConnectorState
from . import clock, commissioning, quirks
from .abilities import Abilities, Way
from .composite import ReadBack
from .dialect import MEASURANDS, Dialect
from .events import (
    Booted,
    CertificateIssued,
    Connected,
    Disconnected,
    LearntChanged,
    ProblemsChanged,
    ScheduleMismatch,
    SelfTested,
)
from .learnt import Learnt
from .leaving import Leaving
from .likely_states import LikelyStates
from .local_list import LocalList
from .model import (
    BootInfo,
    CallError,
    ChargePointConfig,
    ConnectorView,
    Payload,
    Permit,
    Problem,
    SelfTest,
    is_unknown_action,
)
from .remote import RemoteControl
from .reports import Host, Reports
from .rivals import Rivals
from .session import Session
from .steering import Steering
from .transactions import transaction_of
from .v16 import V16
from .zero import Zero

_LOGGER = logging.getLogger(__name__)

BOOT_WAIT_S = 3.0
"""A charge point that has just started does not take requests before its BootNotification was answered; one that
reconnects sends none."""
RECONNECT_WAIT_S = 1.0
LEARN_WAIT_S = 20.0
BOOT_REST_S = 60.0
"""Some announce themselves again and again over one connection: they are set up no more often than this."""
METER_WATCH_S = 30.0
_LATE_INTERVALS = 3
_CERTIFICATE_WAIT_S = 0.5


class ChargePoint(RemoteControl, Reports):
    """An adopted charge point."""

    def __init__(
        self, config: ChargePointConfig, host: Host, learnt: Learnt | None = None
    ) -> None:
        """Begin without a connection."""
        super().__init__(config, host)
        self.info: BootInfo | None = None
        self.connected_at: datetime | None = None
        self.self_tests: dict[int, SelfTest] = {}
        self.testing: set[int] = set()
        """The connectors whose self-test runs now."""
        self.without_measurands: tuple[str, ...] = ()
        """What it refused to measure while it took others."""
        self.dialect: Dialect = V16(self)
        self.steering = Steering(self, Abilities())
        self.read_back = ReadBack(self)
        self.likely_states = LikelyStates(self)
        self.rivals = Rivals(self)
        self.local_list = LocalList(self)
        self.zero = Zero(self)
        self.leaving = Leaving(self)
        self.quirks = quirks.Quirks()
        self._session: Session | None = None
        self._problems: tuple[Problem, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self._setting_up: asyncio.Task[None] | None = None
        self._set_up_at_s = 0.0
        self._resting: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._booted = asyncio.Event()
        self.password_told = False
        """Whether it was told the password that it has on trial, since this program started."""
        self._introduced = False
        self._triggers = True
        """Whether it knows TriggerMessage, as far as we know."""
        self._awaiting_boot = False
        self._boot_asked = False
        self._asked = False
        """Whether it told what it can do."""
        self._configured = False
        self._restored = False
        if learnt is None:
            self._know_model()
        else:
            self._recall(learnt)
        self._told = self.learnt

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
    def abilities(self) -> Abilities:
        """What it can do, as far as is known."""
        return self.steering.abilities

    @abilities.setter
    def abilities(self, abilities: Abilities) -> None:
        """Take what it says of itself."""
        self.steering.abilities = abilities

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What a person should know."""
        return self._problems

    @property
    def schedule_mismatches(self) -> Mapping[int, ScheduleMismatch]:
        """By connector: another limit than it was told is in force, as it says itself, also after it was told again."""
        return {
            connector_id: mismatch
            for connector_id, mismatch in self.read_back.differing.items()
            if connector_id in self.connectors
        }

    @property
    def learnt(self) -> Learnt:
        """What it has taught us and that is to be kept over a restart."""
        return Learnt(
            info=self.info or BootInfo(),
            overrides=self.config.quirks,
            abilities=self.steering.abilities,
            without_measurands=self.without_measurands,
            clock_offset_s=self._offset.found_before_s,
            self_tests=dict(self.self_tests),
            paused=self.steering.pauses.tags,
            local_list=self.local_list.record,
            ignores_zero=self.zero.ignores,
            ends_on_zero=self.zero.ends,
            statuses={
                connector.connector_id: connector.status
                for connector in self.connectors.values()
                if connector.status is not None
            },
        )

    @property
    def wanted_measurands(self) -> list[str]:
        """What to ask it to measure, in order of value."""
        without = {*self.quirks.without_measurands, *self.without_measurands}
        return [name for name in MEASURANDS if name not in without]

    def took_measurands(self, asked: list[str], taken: list[str]) -> None:
        """Note which measurands it took; one that takes none just now is asked for all of them again."""
        if taken:
            refused = (name for name in asked if name not in taken)
            self.without_measurands = (*self.without_measurands, *refused)
            self.taught()

    @override
    def taught(self) -> None:
        """Tell that something was learnt that is to be kept."""
        learnt = self.learnt
        if learnt != self._told:
            self._told = learnt
            self.emit(LearntChanged(charge_point_id=self.id, learnt=learnt))

    def permit(self, connector_id: int, permit: Permit) -> None:
        """Permit a connector a limit from now on; the newest replaces one that waits.

        It goes out at once if a transaction runs, else as soon as one starts, and again on each transition to
        charging. The outcome arrives as PermitAccepted or PermitRejected. Raises CallError (`unknown_connector`).
        """
        self._connector(connector_id)
        self.steering.permit(connector_id, permit)

    async def stop_until_permitted(self, connector_id: int) -> None:
        """End a connector's transaction, which goes on with the next permit of more than nothing (pauses.py).

        Its permit has to be 0 by then. Profiles go before it. Raises CallError.
        """
        connector = self._connector(connector_id)
        if connector.transaction is None:
            raise CallError("no_transaction")
        if self._session is None:
            raise CallError("not_connected")
        if not await self.steering.pauses.stop(self._session, connector, urgent=False):
            raise CallError("rejected", "remote stop")

    @property
    def autonomous_fallback(self) -> bool | None:
        """Whether it falls to its floor by itself: as the self-test found, else as is known of its model.

        Without charging profiles nothing does. May change with SelfTested, Booted and LearntChanged.
        """
        if self.steering.abilities.way is not Way.PROFILE:
            return False
        found = [
            test.falls_back
            for test in self.self_tests.values()
            if test.falls_back is not None
        ]
        return all(found) if found else self.quirks.autonomous_fallback

    @property
    def obeys_pause(self) -> bool:
        """Whether a permit of 0 keeps its cars from charging; if not, a pause ends the transaction (pauses.py).

        What a person says counts more than what it, or another of its model, has shown. May change with Booted and
        LearntChanged.
        """
        if self.steering.abilities.way is not Way.PROFILE:
            return False
        if "zero_ends_session" in self.config.quirks:
            return not self.quirks.zero_ends_session
        return not (
            self.quirks.zero_ends_session or self.zero.fails or self.zero.model_fails
        )

    async def self_test(self, connector_id: int) -> SelfTest:
        """Test whether a charging connector obeys and falls back by itself (commissioning.py). Raises CallError."""
        self._connector(connector_id)
        if connector_id in self.testing:
            raise CallError("test_running")
        self.testing.add(connector_id)
        try:
            result = await commissioning.self_test(self, connector_id)
        finally:
            self.testing.discard(connector_id)
        self.self_tests[connector_id] = result
        self.emit(
            SelfTested(
                charge_point_id=self.id, connector_id=connector_id, result=result
            )
        )
        self.taught()
        return result

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
            self._elsewhere.clear()
            self.problem(Problem.CONNECTOR_UNKNOWN, present=False)
        if config.password != before.password or not config.password_on_trial:
            self.password_told = False
            self.problem(Problem.PASSWORD_UNUSED, present=False)
        if config.quirks != before.quirks:
            self._forget()
            self._know_model()
            self._agree_on_version()
        if places or config.floor != before.floor or not self._asked:
            self.steering.install_floor()
        if (
            places
            or not self._asked
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

    async def gives_way(self) -> bool:
        """Return whether a newer connection takes over."""
        return self._session is None or await self.rivals.win(self._session)

    def password_guessed(self, failures: int, address: str) -> None:
        """Somebody tried wrong passwords: tell so once, until it has been quiet for a while."""
        if Problem.LOG_INS_FAILED in self._problems:
            return
        _LOGGER.warning(
            "%s: %s wrong passwords, the last from %s", self.id, failures, address
        )
        self.problem(Problem.LOG_INS_FAILED, present=True)
        self.security_told("FailedLogIns", None, f"{failures}, {address}")

    def connected_with(self, session: Session, dialect: type[Dialect]) -> None:
        """Take over a connection; the newest wins, since the old one may be half open."""
        old, self._session = self._session, session
        if old is None:
            _LOGGER.info("%s: connected", self.id)
        else:
            self._end_tasks()
            self._start(self._close_old(old))
        if not isinstance(self.dialect, dialect):
            self.dialect = dialect(self)
            self.likely_states.remember()
            self._asked = self._configured = False
        self._booted.clear()
        self._boot_asked = False
        self.connected_at = self.now()
        self._offset.forget()
        self.local_list.start_afresh()
        self.steering.start_afresh()
        for connector in self.connectors.values():
            connector.state = self.likely_states.of(connector)
        self.emit(Connected(charge_point_id=self.id, version=self.version))
        self._start(self._work(session))

    def disconnected(self, session: Session) -> None:
        """The connection is gone; one that was replaced changes nothing."""
        if session is not self._session:
            return
        _LOGGER.info("%s: connection lost", self.id)
        self._session = None
        self._end_tasks()
        for connector in self.connectors.values():
            connector.state = ConnectorState.OFFLINE
        self.emit(Disconnected(charge_point_id=self.id))

    def sign(self, request: str) -> bool:
        """Give it the certificate that it asks for, in a moment; False if it cannot have one."""
        if self._host.sign_request is None:
            return False
        try:
            chain = self._host.sign_request(request, self.id)
        except ValueError as error:
            _LOGGER.warning("%s: no certificate: %s", self.id, error)
            return False
        self._start(self._hand_over(chain))
        return True

    async def _hand_over(self, chain: str) -> None:
        # First it has to hear that it will get one.
        await asyncio.sleep(_CERTIFICATE_WAIT_S)
        action, payload = self.dialect.certificate_signed(chain)
        try:
            answer = await self.raw_call(action, payload)
        except CallError as error:
            _LOGGER.warning("%s: certificate not handed over: %s", self.id, error)
            return
        accepted = str(answer.get("status", "")).lower() == "accepted"
        self.emit(CertificateIssued(charge_point_id=self.id, accepted=accepted))

    @override
    def clock_doubted(self) -> None:
        """Ask for a fresh time, which shows whether its clock was set or a message was late."""
        if self._session is not None and (
            self._looking is None or self._looking.done()
        ):
            self._looking = self._start(self._look_at_clock())

    async def _look_at_clock(self) -> None:
        await asyncio.sleep(clock.STEP_CONFIRMED_S)
        for connector in self.connectors.values():
            if self._offset.doubted:
                await self.ask_for("MeterValues", connector.connector_id)

    async def _close_old(self, session: Session) -> None:
        await session.close(1000, "a newer connection of the same charge point")

    async def _work(self, session: Session) -> None:
        """Bring the charge point to its floor and keep it on its permits."""
        try:
            if not self._restored:
                await self._restore()
            self._awaiting_boot = True
            try:
                wait_s = RECONNECT_WAIT_S if self._asked else BOOT_WAIT_S
                async with asyncio.timeout(wait_s):
                    await self._booted.wait()
            except TimeoutError:
                pass
            finally:
                self._awaiting_boot = False
            if not self._asked:
                await self._learn()
            self._begin_set_up()
            self._start(self._watch_meter_values())
            self._start(self.read_back.run())
            self._start(self.local_list.run())
            await self.steering.run(session)
        except CallError as error:
            _LOGGER.debug("%s: %s", self.id, error)

    async def _learn(self) -> None:
        """Ask what it can do. One that gives no answer is not left without its floor (S4): it is asked again later."""
        try:
            async with asyncio.timeout(LEARN_WAIT_S):
                await self.dialect.learn()
        except (CallError, TimeoutError) as error:
            _LOGGER.debug("%s: does not tell what it can do: %s", self.id, error)
        else:
            self._asked = True

    async def _watch_meter_values(self) -> None:
        """Ask a charging connector for values where they do not come by themselves."""
        while True:
            await asyncio.sleep(METER_WATCH_S)
            self.rivals.look()
            if self._host.log_ins_quiet(self.id):
                self.problem(Problem.LOG_INS_FAILED, present=False)
            late_s = self.clock() - _LATE_INTERVALS * max(
                self.config.meter_interval_s, self.quirks.meter_interval_s
            )
            for connector in self.connectors.values():
                self.steering.phases.look(connector)
                if (
                    connector.state is ConnectorState.CHARGING
                    and (connector.measured_at_s or 0.0) < late_s
                ):
                    await self.ask_for("MeterValues", connector.connector_id)

    async def ask_for(self, message: str, connector_id: int | None = None) -> bool:
        """Ask it to send a message, unless it knows no such request; returns whether it will."""
        if self._triggers is False:
            return False
        try:
            await self.trigger(message, connector_id)
        except CallError as error:
            if is_unknown_action(error):
                self._triggers = False
            return False
        return True

    def _begin_set_up(self) -> None:
        """Set up, from the beginning if that is under way."""
        if self._setting_up is not None:
            self._setting_up.cancel()
        self._setting_up = self._start(self._set_up())

    async def _set_up(self) -> None:
        """Learn what it can do and configure it, where that was not done since it started."""
        try:
            if not self._introduced:
                # It started before we did, and says what it is only when asked.
                self._boot_asked = True
                await self.ask_for("BootNotification")
            if not self._asked:
                await self.dialect.learn()
                self._asked = True
                self.steering.install_floor()
            if not self._configured:
                await self.dialect.configure()
                self._configured = True
            self.local_list.look()
        except CallError as error:
            _LOGGER.debug("%s: not configured: %s", self.id, error)

    async def _restore(self) -> None:
        """Take up the transactions that were running when this program ended."""
        try:
            records = await self._host.transactions.open_transactions(self.id)
        except OSError as error:
            # It must have its floor all the same; the next connection tries again.
            _LOGGER.error("%s: its transactions cannot be read: %s", self.id, error)
            return
        for record in records:
            connector = self.connectors.get(record.connector_id)
            if connector is not None and connector.transaction is None:
                self.runs(connector, transaction_of(record))
                self.dialect.runs_already(connector.connector_id)
                self.presume(connector)
        self._restored = True

    @override
    def presume(self, connector: ConnectorView) -> None:
        """Set the state of a connector to what is likely, as long as it was not told."""
        self.likely_states.presume(connector)

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

    # What the dialects report.

    @override
    def problem(self, name: Problem, *, present: bool) -> None:
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
            self._forget()
            self.self_tests.clear()
        known, self.info = self.info, info
        self._introduced = True
        if info != known:
            self._know_model()
            self._agree_on_version()
        repeated = self._booted.is_set() and info == known
        self._booted.set()
        asked, self._boot_asked = self._boot_asked, False
        if not asked:
            rest_s = self._set_up_at_s + BOOT_REST_S - self.clock()
            if not repeated or rest_s <= 0:
                self._set_up_again()
            elif self._resting is None or self._resting.done():
                self._resting = self._start(self._set_up_later(rest_s))
        self.emit(Booted(charge_point_id=self.id, info=info))

    def _set_up_again(self) -> None:
        """Set all that a charge point may have forgotten when it started."""
        self._set_up_at_s = self.clock()
        self.problem(Problem.RESTART_NEEDED, present=False)
        self._configured = False
        self.steering.install_floor()
        self.steering.start_afresh()
        if not self._awaiting_boot:
            self._begin_set_up()

    async def _set_up_later(self, rest_s: float) -> None:
        await asyncio.sleep(rest_s)
        self._set_up_again()

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

    def _agree_on_version(self) -> None:
        """Let it connect again where it offers the version in which its model is known to work."""
        wanted = self.quirks.ocpp_version
        if (
            self._session is not None
            and wanted != self.version
            and wanted in self._session.offered
        ):
            self._start(self.close("another OCPP version"))

    def _forget(self) -> None:
        """Ask again what it can do."""
        self.steering.abilities = Abilities()
        self.read_back.clear()
        self.without_measurands = ()
        self.zero.forget()
        self._triggers = True
        self._offset.found_before_s = 0.0
        self._asked = False

    def _recall(self, learnt: Learnt) -> None:
        """Go on with what was learnt before a restart, unless the person has set something else since."""
        self.info = None if learnt.info == BootInfo() else learnt.info
        self._know_model()
        if learnt.overrides == self.config.quirks:
            floor_kind = self.steering.abilities.floor_kind
            self.steering.abilities = learnt.abilities
            if not learnt.floor_kind_asked:
                self.steering.abilities = replace(
                    learnt.abilities, floor_kind=floor_kind
                )
            self.without_measurands = learnt.without_measurands
        self._offset.found_before_s = learnt.clock_offset_s
        self.self_tests = dict(learnt.self_tests)
        self.local_list.record = learnt.local_list
        self.zero.ignores, self.zero.ends = learnt.ignores_zero, learnt.ends_on_zero
        for connector in self.connectors.values():
            connector.status = learnt.statuses.get(connector.connector_id)
        self.likely_states.remember()
        self.steering.pauses.recall(learnt.paused)

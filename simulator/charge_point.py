"""A charge point, whatever it speaks: plug, authorization, transactions, limits, and messages that must not be lost.

`tick` is called with every step of the plant. All that has to do with electricity happens there and then, connected
or not; what is to be told goes into the outbox.
"""

from abc import ABC, abstractmethod
import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

from .car import Car, Connector, Supply
from .id_tags import IdTags
from .link import Json, Link, LinkConfig
from .load import PerPhase
from .maintenance import Maintenance
from .outbox import Message, Outbox
from .outlets import (
    ChargePointConfig,
    Outlet,
    Registration,
    Reservation,
    Status,
    Transaction,
)
from .profiles import (
    ChargingProfile,
    Limit,
    ProfileStore,
    Unit,
    Wiring,
    composite_limit,
)
from .quirks import Quirks

_OLD_START_S = 1262304000.0
"""2010-01-01, the earliest time that MicroOcpp knows (MIN_TIME)."""
_REMOTE_START_WAIT_S = 60.0
_MOST_IN_BOOKS = 1000


class ChargePoint(ABC):
    """The version-neutral part; a dialect tells the central system.

    Args:
        config: what it is.
        link: where it connects.
        outlets: its connectors, number 1 first.
        voltage_v: reads the present voltage of the grid's phases.
        quirks: what it does wrong.
    """

    def __init__(
        self,
        config: ChargePointConfig,
        link: LinkConfig,
        connectors: Sequence[Connector],
        *,
        voltage_v: Callable[[], PerPhase],
        quirks: Quirks | None = None,
    ) -> None:
        """Wire it up; `run` connects it."""
        self.config = config
        self.quirks = quirks or Quirks()
        self.voltage_v = voltage_v
        self.store = ProfileStore()
        self.outlets = tuple(
            Outlet(
                number=number,
                connector=connector,
                wiring=Wiring(
                    phases=len(connector.line_phases),
                    unit=Unit.AMPERE if connector.supply is Supply.AC else Unit.WATT,
                ),
            )
            for number, connector in enumerate(connectors, 1)
        )
        self.link = Link(
            link, on_call=self.handle, on_up=self._link_up, on_down=self._link_down
        )
        self.registration = Registration.NONE
        self.heartbeat_s = 300.0
        self.now = 0.0
        """The charge point's own clock, UTC seconds."""
        self.outbox = Outbox(self.link, lambda: self.online)
        self.firmware = config.firmware
        self.maintenance = Maintenance(self)
        self.id_tags = IdTags(config)
        self.books: deque[Transaction] = deque(maxlen=_MOST_IN_BOOKS)
        """Its transactions, whoever was told of them."""
        self._next_boot_at: float | None = None
        self._next_heartbeat_at: float | None = None
        self._up_since = 0.0
        self._reboot_wanted: tuple[str, bool] | None = None

    # What the dialects do.

    @abstractmethod
    def handle(self, action: str, payload: Json) -> Json:
        """Answer a call of the central system; raise CallError to refuse it."""

    @abstractmethod
    def boot_message(self) -> Message:
        """Return the BootNotification."""

    @abstractmethod
    def heartbeat_message(self) -> Message:
        """Return a Heartbeat."""

    @abstractmethod
    def status_message(self, outlet: Outlet) -> Message:
        """Return a StatusNotification of the outlet's present status."""

    @abstractmethod
    def status_word(self, outlet: Outlet) -> str:
        """Return what a StatusNotification would say of the outlet's present status."""

    @abstractmethod
    def tell_registered(self) -> None:
        """Tell what is told once after registration, before the status of the outlets."""

    @abstractmethod
    def authorize_message(
        self, id_tag: str, on_result: Callable[[bool], None]
    ) -> Message:
        """Return an Authorize; `on_result` is told whether the tag is welcome."""

    @abstractmethod
    def tell_start(self, transaction: Transaction) -> None:
        """Record that a transaction began."""

    @abstractmethod
    def tell_sample(self, transaction: Transaction) -> None:
        """Record a meter reading of a running transaction."""

    @abstractmethod
    def tell_stop(self, transaction: Transaction) -> None:
        """Record that a transaction ended."""

    @abstractmethod
    def sample_interval_s(self) -> float:
        """Return the time between two samples of a transaction; 0: none."""

    @property
    @abstractmethod
    def by_local_list(self) -> bool:
        """Whether it decides by its list of id tags while there is no connection."""

    def vendor_limit(self) -> float:
        """Return what a vendor's configuration key limits, in the outlet's unit."""
        return inf

    @abstractmethod
    def tell_state(self, outlet: Outlet) -> None:
        """Record a change of the outlet's status, where the dialect keeps such a record."""

    @abstractmethod
    def tell_reservation_expired(self, reservation: Reservation) -> None:
        """Tell that nobody came, where the version has a message for that."""

    # Life.

    async def run(self) -> None:
        """Connect, and send what there is to send, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run())
            tasks.create_task(self.outbox.run())
            tasks.create_task(self.maintenance.run())

    def tick(self, wall_s: float) -> None:
        """Let the charge point act; `wall_s` is the true UTC time in seconds."""
        self.now = wall_s + self.quirks.clock_offset_s
        self.link.answer_delay_s = self.quirks.slow_answer_s
        if self._reboot_wanted is not None:
            reason, when_idle = self._reboot_wanted
            if not (when_idle and any(outlet.transaction for outlet in self.outlets)):
                self._reboot_wanted = None
                self.reboot(reason)
        for outlet in self.outlets:
            self._transact(outlet)
        for outlet in self.outlets:
            outlet.reports_a = self.quirks.reports_a
            self._apply_limit(outlet)
            self._set_status(outlet)
            self._sample(outlet)
        self.maintenance.tick()
        self._keep_registered()
        drops_s = self.quirks.drops_connection_s
        if drops_s and self.link.up and self.now - self._up_since >= drops_s:
            self.link.drop()

    def reboot(self, reason: str) -> None:
        """Lose power, or reset: transactions end, the connection is lost, profiles stay."""
        for outlet in self.outlets:
            self.stop(outlet, reason)
            outlet.finished = False
            outlet.told = None
        self.registration = Registration.NONE
        self.outbox.lose_news()
        self.link.drop()

    def reboot_soon(self, reason: str, *, when_idle: bool = False) -> None:
        """Reboot at the next tick, so that an answer still gets out; or when no transaction runs."""
        self._reboot_wanted = (reason, when_idle)

    def take_password(self, password: str) -> None:
        """Log in with another password from the next connection on."""
        if not self.quirks.ignores_password:
            self.link.config = replace(self.link.config, password=password)

    def outlet(self, number: int) -> Outlet | None:
        """Return an outlet by its number."""
        return next(
            (outlet for outlet in self.outlets if outlet.number == number), None
        )

    # The person at the charge point.

    def plug(self, outlet: Outlet, car: Car) -> None:
        """Plug a car in.

        Raises:
            ValueError: there is one already.
        """
        if outlet.connector.car is not None:
            raise ValueError("there is a car already")
        outlet.connector.car = car

    def unplug(self, outlet: Outlet) -> Car | None:
        """Take the car away; a running transaction ends."""
        self.stop(outlet, "EVDisconnected")
        outlet.finished = False
        car, outlet.connector.car = outlet.connector.car, None
        return car

    def present(self, outlet: Outlet, id_tag: str) -> None:
        """Show a card: starts, or stops what the same card started."""
        running = outlet.transaction
        if running is not None:
            if running.id_tag.casefold() == id_tag.casefold():
                self.stop(outlet, "Local")
            return

        def decided(welcome: bool) -> None:
            if welcome:
                self.id_tags.cached.add(id_tag.casefold())
                self.grant(outlet, id_tag)

        if self.online:
            self.outbox.tell(self.authorize_message(id_tag, decided))
        else:
            decided(self.id_tags.is_welcome(id_tag, by_list=self.by_local_list))

    # What both a person and the central system can bring about.

    def grant(
        self, outlet: Outlet, id_tag: str, profile: ChargingProfile | None = None
    ) -> None:
        """Let a transaction start as soon as a car is there, unless the place is kept for somebody else."""
        reservation = outlet.reservation
        if reservation is not None and reservation.id_tag != id_tag.casefold():
            return
        outlet.granted = (id_tag, self.now + _REMOTE_START_WAIT_S)
        outlet.granted_profile = profile
        outlet.finished = False

    def reserve(self, outlet: Outlet, reservation: Reservation) -> str:
        """Keep an outlet for an id tag; return the status, which both versions have the same words for."""
        if outlet.error is not None:
            return "Faulted"
        if not outlet.operative:
            return "Unavailable"
        others = (
            outlet.reservation is not None and outlet.reservation.id != reservation.id
        )
        if outlet.transaction is not None or outlet.connector.car is not None or others:
            return "Occupied"
        outlet.reservation = reservation
        return "Accepted"

    def cancel_reservation(self, reservation_id: int) -> bool:
        """Give an outlet free again; False if there is no such reservation."""
        for outlet in self.outlets:
            if outlet.reservation and outlet.reservation.id == reservation_id:
                outlet.reservation = None
                return True
        return False

    def stop(self, outlet: Outlet, reason: str) -> bool:
        """End the outlet's transaction; False if there is none."""
        transaction = outlet.transaction
        if transaction is None:
            return False
        transaction.stopped_at = self.now
        transaction.meter_stop_wh = round(outlet.connector.energy_wh)
        transaction.stop_reason = reason
        outlet.transaction = None
        outlet.finished = True
        outlet.connector.energised = False
        self.store.end_transaction(outlet.number)
        self.tell_stop(transaction)
        return True

    @property
    def online(self) -> bool:
        """Whether there is a connection on which it may speak."""
        return self.link.up and self.registration is Registration.ACCEPTED

    def composite(self, outlet: Outlet, at: float) -> Limit:
        """Return what the profiles allow at a time."""
        transaction = outlet.transaction
        return composite_limit(
            self.effective_profiles(),
            at,
            connector=outlet.number,
            wiring=outlet.wiring,
            transaction_start=transaction.started_at if transaction else None,
            sharers=self.sharers,
        )

    @property
    def sharers(self) -> int:
        """How many connectors share a limit of the whole charge point."""
        return max(1, sum(outlet.transaction is not None for outlet in self.outlets))

    def effective_profiles(self) -> tuple[ChargingProfile, ...]:
        """Return the profiles as this charge point understands them."""
        profiles = (
            self.store.without_durations()
            if self.quirks.ignores_duration
            else self.store.profiles
        )
        if self.quirks.old_starts_are_none:
            profiles = tuple(
                replace(profile, start_at=None)
                if profile.start_at is not None and profile.start_at <= _OLD_START_S
                else profile
                for profile in profiles
            )
        return profiles

    # The parts of a tick.

    def _transact(self, outlet: Outlet) -> None:
        """Start what may start; end what must end."""
        if outlet.granted is not None and self.now > outlet.granted[1]:
            outlet.granted = outlet.granted_profile = None
        if outlet.reservation is not None and self.now > outlet.reservation.until:
            self.tell_reservation_expired(outlet.reservation)
            outlet.reservation = None
        if outlet.error is not None:
            self.stop(outlet, "Other")
        # One tick passes between the plug and the start, so that Preparing is told.
        ready = outlet.status in (Status.PREPARING, Status.FINISHING)
        usable = outlet.operative and outlet.error is None and ready
        if outlet.connector.car is None or outlet.transaction is not None or not usable:
            return
        id_tag = outlet.granted[0] if outlet.granted is not None else None
        if id_tag is None and not outlet.finished:
            id_tag = self.config.auto_start
        kept = outlet.reservation
        if id_tag is None or (kept is not None and kept.id_tag != id_tag.casefold()):
            return
        outlet.reservation = None
        transaction = Transaction(
            outlet=outlet,
            id_tag=id_tag,
            started_at=self.now,
            meter_start_wh=round(outlet.connector.energy_wh),
        )
        outlet.transaction = transaction
        outlet.finished = False
        outlet.connector.energised = True
        if outlet.granted_profile is not None:
            self.store.install(outlet.granted_profile)
        outlet.granted = outlet.granted_profile = None
        self.books.append(transaction)
        self.tell_start(transaction)

    def _apply_limit(self, outlet: Outlet) -> None:
        """Obey, or not, what the profiles say."""
        limit = self.composite(outlet, self.now)
        if limit.amount != outlet.limit.amount:
            outlet.limit_since = self.now
        outlet.limit = limit
        if self.now - outlet.limit_since < self.quirks.applies_late_s:
            return
        amount = min(outlet.maximum, self.vendor_limit())
        ignored = self.quirks.disobedient or (
            self.quirks.ignores_zero and limit.amount == 0
        )
        if limit.amount is not None and not ignored:
            amount = min(limit.amount, amount)
        if outlet.connector.supply is Supply.AC:
            outlet.connector.limit_a = amount
        else:
            outlet.connector.limit_w = amount
        if self.quirks.zero_stops_transaction and amount == 0.0:
            self.stop(outlet, "Other")

    def _status(self, outlet: Outlet) -> Status:
        connector, car = outlet.connector, outlet.connector.car
        if outlet.error is not None:
            return Status.FAULTED
        if outlet.transaction is not None and car is not None:
            if not connector.offers:
                return Status.SUSPENDED_EVSE
            if car.share_wanted(connector.supply) == 0.0:
                return Status.SUSPENDED_EV
            return Status.CHARGING
        if not outlet.operative:
            return Status.UNAVAILABLE
        if car is None and outlet.granted is None:
            return Status.AVAILABLE if outlet.reservation is None else Status.RESERVED
        if car is None:
            return Status.PREPARING
        return Status.FINISHING if outlet.finished else Status.PREPARING

    def _set_status(self, outlet: Outlet) -> None:
        status = self._status(outlet)
        if status is outlet.status:
            return
        outlet.status = status
        outlet.status_at = self.now
        self.tell_state(outlet)
        if self.online and outlet.told != self.status_word(outlet):
            self.announce(outlet)

    def announce(self, outlet: Outlet) -> None:
        """Tell the outlet's status."""
        outlet.told = self.status_word(outlet)
        message = self.status_message(outlet)

        def lost() -> None:
            outlet.told = None

        message.on_loss = lost
        self.outbox.tell(message)

    def _sample(self, outlet: Outlet) -> None:
        transaction, interval_s = outlet.transaction, self.sample_interval_s()
        if transaction is None or interval_s <= 0.0 or self.quirks.no_meter_values:
            return
        due_at = transaction.next_sample_at
        # An interval that was shortened takes effect at once.
        if due_at is None or due_at > self.now + interval_s:
            transaction.next_sample_at = (
                self.now if due_at is not None else transaction.started_at
            ) + interval_s
        elif self.now >= due_at:
            transaction.next_sample_at = max(due_at + interval_s, self.now)
            self.tell_sample(transaction)

    # The connection.

    def _link_up(self) -> None:
        self._up_since = self.now
        if (
            self.registration is not Registration.ACCEPTED
            or self.quirks.boots_on_reconnect
        ):
            self.registration = Registration.NONE
            self._next_boot_at = self.now
        else:
            self._next_heartbeat_at = self.now + self.heartbeat_s
            # The standard: after a mere loss of connection only what changed is told.
            for outlet in self.outlets:
                if outlet.told != self.status_word(outlet):
                    self.announce(outlet)
        self.outbox.wake()

    def _link_down(self) -> None:
        self.outbox.lose_news()
        self._next_boot_at = self._next_heartbeat_at = None
        if self.quirks.forgets_profiles_offline:
            self.store.clear()

    def _keep_registered(self) -> None:
        if not self.link.up:
            return
        if self._next_boot_at is not None and self.now >= self._next_boot_at:
            self._next_boot_at = None
            self.boot()
        if (
            self.online
            and self._next_heartbeat_at is not None
            and self.now >= self._next_heartbeat_at
        ):
            self._next_heartbeat_at = self.now + self.heartbeat_s
            self.outbox.tell(self.heartbeat_message())

    def boot(self) -> None:
        """Send a BootNotification."""
        message = self.boot_message()
        message.before_accepted = True
        message.on_answer = self._registered
        message.on_loss = self._boot_lost
        self.outbox.tell(message)

    def _boot_lost(self) -> None:
        self._next_boot_at = self.now + self.outbox.retry_s

    def _registered(self, answer: Json) -> None:
        self.registration = Registration(answer["status"])
        interval_s = float(answer["interval"])
        if self.registration is not Registration.ACCEPTED:
            self._next_boot_at = self.now + (interval_s or self.outbox.retry_s)
            return
        self.heartbeat_s = interval_s or self.heartbeat_s
        self._next_heartbeat_at = self.now + self.heartbeat_s
        self.tell_registered()
        self.maintenance.noticed("StartupOfTheDevice")
        for outlet in self.outlets:
            self.announce(outlet)
        self.outbox.wake()

"""What the OCPP server asks of the session records (implemented in `sessions`)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from .model import Transaction, User


class OpenTransaction(Protocol):
    """A transaction that has not ended."""

    @property
    def id(self) -> int:
        """The id in the records, unique for ever."""

    @property
    def connector_id(self) -> int:
        """Where it runs."""

    @property
    def remote_id(self) -> str | None:
        """The charging station's own id (OCPP 2.0.1)."""

    @property
    def id_tag(self) -> str | None:
        """Whose it is."""

    @property
    def user_id(self) -> str | None:
        """The user whose tag it was when it began."""

    @property
    def user_name(self) -> str | None:
        """What he was called then."""

    @property
    def started_at(self) -> datetime:
        """When it began."""

    @property
    def meter_start_wh(self) -> float | None:
        """The energy register at its beginning."""

    @property
    def energy_wh(self) -> float | None:
        """Charged so far."""


class TransactionLog(Protocol):
    """Durable records of charging sessions, each one once (S11).

    What `start` and `stop` are told is on the disk when they return, or in memory as long as the disk takes nothing,
    which a person is told of. No method fails on something unknown or told twice; what cannot be kept raises OSError.
    """

    async def start(
        self,
        *,
        charge_point_id: str,
        connector_id: int,
        key: str,
        started_at: datetime,
        id_tag: str | None = None,
        user_id: str | None = None,
        user_name: str | None = None,
        meter_start_wh: float | None = None,
        remote_id: str | None = None,
    ) -> int:
        """Record the beginning of a session and return its id.

        The same `key` of the same charge point is the same session and returns the same id.
        """

    async def stop(
        self,
        *,
        charge_point_id: str,
        transaction_id: int,
        stopped_at: datetime,
        meter_stop_wh: float | None = None,
        reason: str | None = None,
    ) -> bool:
        """Record the end of a session; False if the charge point has no such session.

        The first report counts, unless it contradicts what was measured: then the next one that does not.
        """

    async def stop_unknown(
        self,
        *,
        charge_point_id: str,
        connector_id: int,
        key: str,
        stopped_at: datetime,
        id_tag: str | None = None,
        user_id: str | None = None,
        user_name: str | None = None,
        meter_start_wh: float | None = None,
        meter_stop_wh: float | None = None,
        reason: str | None = None,
        remote_id: str | None = None,
    ) -> int:
        """Record the end of a session whose beginning is not known, and return the session's id.

        Connector 0: which one is unknown. The same `key` of the same charge point is the same end.
        """

    async def is_over(self, charge_point_id: str, transaction_id: int) -> bool:
        """Whether the end of a session was reported, and nothing contradicts it."""

    async def only_open(self, charge_point_id: str) -> int | None:
        """Return the one session that has not ended; None if there are none or several."""

    async def identify(
        self,
        *,
        charge_point_id: str,
        transaction_id: int,
        id_tag: str,
        user_id: str | None = None,
        user_name: str | None = None,
    ) -> None:
        """Note whose a session is that began without an id tag, or with one that was refused."""

    async def meter(
        self,
        *,
        charge_point_id: str,
        transaction_id: int,
        at: datetime,
        energy_wh: float,
    ) -> None:
        """Note the energy register within a session; values may come late and in any order."""

    async def has(self, charge_point_id: str, transaction_id: int) -> bool:
        """Whether there is or was such a session of the charge point."""

    async def open_transactions(
        self, charge_point_id: str
    ) -> Sequence[OpenTransaction]:
        """Return what has not ended, oldest first; of many the newest."""

    async def find(self, charge_point_id: str, remote_id: str) -> int | None:
        """Return the id of the session that the charging station calls `remote_id`."""


def transaction_of(record: OpenTransaction) -> Transaction:
    """Return a recorded transaction as one that runs."""
    user = None
    if record.user_id is not None:
        user = User(id=record.user_id, name=record.user_name or "")
    return Transaction(
        id=record.id,
        remote_id=record.remote_id,
        id_tag=record.id_tag,
        user=user,
        started_at=record.started_at,
        meter_start_wh=record.meter_start_wh,
        energy_wh=record.energy_wh,
    )

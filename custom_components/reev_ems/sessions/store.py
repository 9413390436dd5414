"""The session records on disk: SQLite, in one thread of their own.

What `start` and `stop` are told is written before they return; readings of the energy register are gathered and
written with the next of these, or after a few seconds: each replaces the one before, and the charge point goes on
counting meanwhile.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
import logging
from pathlib import Path

from sqlalchemy import (
    ColumnElement,
    Engine,
    column,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from .record import SessionRecord
from .tables import METADATA, SESSIONS

_LOGGER = logging.getLogger(__name__)

_FLUSH_S = 10.0
_IDS_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_SEQUENCE = table("sqlite_sequence", column("name"), column("seq"))
"""Where SQLite keeps the last id that it gave."""


class SessionLog:
    """Durable records of charging sessions in one SQLite file."""

    def __init__(self, path: Path | str) -> None:
        """Prepare; `open` opens or creates the file."""
        self._path = Path(path)
        self._executor = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="session records"
        )
        self._engine: Engine | None = None
        self._readings: dict[tuple[str, int], tuple[datetime, float]] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._writes: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the file, or create it; opening it again changes nothing. Raises OSError."""
        await self._run(self._open)

    async def close(self) -> None:
        """Write what is gathered and close the file."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._engine is not None:
            await self.flush()
            await self._run(self._dispose)
        # Its one thread is idle by now.
        self._executor.shutdown()

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
        """Record the beginning of a session and return its id; the same key is the same session.

        Told again with an earlier time it began then: reports may come in any order. An older session of the
        connector whose end was not reported ends here, with what is known of it; should its end be reported yet,
        that corrects it.
        """

        def work(connection: Connection) -> int:
            own = (SESSIONS.c.charge_point_id == charge_point_id, SESSIONS.c.key == key)
            known = connection.execute(select(SESSIONS).where(*own)).mappings().first()
            if known is not None and known["ended_by_report"] and remote_id is None:
                # A start is not repeated after its end was reported: another session of a charge point whose
                # clock and register begin anew each time.
                connection.execute(
                    update(SESSIONS).where(*own).values(key=f"{key}#{known['id']}")
                )
            elif known is not None:
                if _text(started_at) < known["started_at"]:
                    values: dict[str, object] = {"started_at": _text(started_at)}
                    if meter_start_wh is not None:
                        values["meter_start_wh"] = meter_start_wh
                    if id_tag:
                        values |= _person(id_tag, user_id, user_name)
                    connection.execute(update(SESSIONS).where(*own).values(values))
                return int(known["id"])
            connection.execute(
                update(SESSIONS)
                .where(
                    SESSIONS.c.charge_point_id == charge_point_id,
                    SESSIONS.c.connector_id == connector_id,
                    SESSIONS.c.stopped_at.is_(None),
                    SESSIONS.c.started_at <= _text(started_at),
                )
                .values(stopped_at=_text(started_at))
            )
            new = connection.execute(
                insert(SESSIONS)
                .values(
                    charge_point_id=charge_point_id,
                    connector_id=connector_id,
                    key=key,
                    remote_id=remote_id,
                    started_at=_text(started_at),
                    meter_start_wh=meter_start_wh,
                    ended_by_report=False,
                    **_person(id_tag, user_id, user_name),
                )
                .returning(SESSIONS.c.id)
            ).scalar_one()
            return int(new)

        return await self._write(work)

    async def stop(
        self,
        *,
        charge_point_id: str,
        transaction_id: int,
        stopped_at: datetime,
        meter_stop_wh: float | None = None,
        reason: str | None = None,
    ) -> bool:
        """Record the end of a session; the first report counts. False if the charge point has no such session."""

        def work(connection: Connection) -> bool:
            own = (
                SESSIONS.c.id == transaction_id,
                SESSIONS.c.charge_point_id == charge_point_id,
            )
            found = connection.execute(select(SESSIONS).where(*own)).mappings().first()
            if found is None:
                return False
            if found["ended_by_report"]:
                return True
            values: dict[str, object] = {
                "stopped_at": _text(max(stopped_at, _time(found["started_at"]))),
                "stop_reason": reason,
                "ended_by_report": True,
            }
            if meter_stop_wh is not None:
                values |= {
                    "meter_last_wh": meter_stop_wh,
                    "meter_last_at": _text(stopped_at),
                }
            connection.execute(update(SESSIONS).where(*own).values(values))
            return True

        return await self._write(work)

    async def identify(
        self,
        *,
        charge_point_id: str,
        transaction_id: int,
        id_tag: str,
        user_id: str | None = None,
        user_name: str | None = None,
    ) -> None:
        """Record whose a session is, where that shows only once it has begun."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(SESSIONS)
                .where(
                    SESSIONS.c.id == transaction_id,
                    SESSIONS.c.charge_point_id == charge_point_id,
                )
                .values(_person(id_tag, user_id, user_name))
            )

        await self._write(work)

    async def meter(
        self,
        *,
        charge_point_id: str,
        transaction_id: int,
        at: datetime,
        energy_wh: float,
    ) -> None:
        """Note the energy register within a session; values may come late and in any order."""
        key = (charge_point_id, transaction_id)
        known = self._readings.get(key)
        if known is None or known[0] < at:
            self._readings[key] = (at, energy_wh)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(
                _FLUSH_S, self._flush_soon
            )

    async def find(self, charge_point_id: str, remote_id: str) -> int | None:
        """Return the id of the session that the charging station calls `remote_id`."""
        return await self._id_where(
            SESSIONS.c.charge_point_id == charge_point_id,
            SESSIONS.c.remote_id == remote_id,
        )

    async def has(self, charge_point_id: str, transaction_id: int) -> bool:
        """Whether there is or was such a session."""
        own = (
            SESSIONS.c.id == transaction_id,
            SESSIONS.c.charge_point_id == charge_point_id,
        )
        return await self._id_where(*own) is not None

    async def _id_where(self, *conditions: ColumnElement[bool]) -> int | None:
        """Return the newest id; writes nothing, since this is asked often and a write waits for the disk."""

        def work(connection: Connection) -> int | None:
            newest = (
                select(SESSIONS.c.id).where(*conditions).order_by(SESSIONS.c.id.desc())
            )
            return connection.execute(newest).scalar()

        return await self._run(lambda: self._in_transaction({}, work))

    async def open_transactions(self, charge_point_id: str) -> Sequence[SessionRecord]:
        """Return the sessions of a charge point that have not ended, oldest first."""
        return await self._query(
            SESSIONS.c.charge_point_id == charge_point_id,
            SESSIONS.c.stopped_at.is_(None),
        )

    async def history(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        charge_point_ids: Collection[str] | None = None,
        id_tag: str | None = None,
        limit: int = 1000,
    ) -> Sequence[SessionRecord]:
        """Return the newest `limit` sessions that began in [since, until), oldest first; None: at all charge points."""
        conditions: list[ColumnElement[bool]] = []
        if since is not None:
            conditions.append(SESSIONS.c.started_at >= _text(since))
        if until is not None:
            conditions.append(SESSIONS.c.started_at < _text(until))
        if charge_point_ids is not None:
            conditions.append(SESSIONS.c.charge_point_id.in_(charge_point_ids))
        if id_tag is not None:
            conditions.append(SESSIONS.c.id_tag.collate("NOCASE") == id_tag)
        return await self._query(*conditions, limit=limit)

    async def flush(self) -> None:
        """Write the readings that are gathered."""

        def nothing(_connection: Connection) -> None:
            """The readings go with every write."""

        await self._write(nothing)

    def _flush_soon(self) -> None:
        self._flushing = None
        task = asyncio.get_running_loop().create_task(self.flush())
        self._writes.add(task)
        task.add_done_callback(self._flushed)

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.error("Session records cannot be written: %s", error)

    async def _query(
        self, *conditions: ColumnElement[bool], limit: int = 1000
    ) -> Sequence[SessionRecord]:
        def work(connection: Connection) -> list[SessionRecord]:
            newest = (
                select(SESSIONS)
                .where(*conditions)
                .order_by(SESSIONS.c.started_at.desc(), SESSIONS.c.id.desc())
                .limit(limit)
            )
            return [_record(row) for row in connection.execute(newest).mappings()][::-1]

        return await self._write(work)

    async def _write[T](self, work: Callable[[Connection], T]) -> T:
        """Do work in one database transaction, the gathered readings first."""
        readings, self._readings = self._readings, {}
        try:
            return await self._run(lambda: self._in_transaction(readings, work))
        except OSError:
            self._readings = readings | self._readings
            raise

    async def _run[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    # In the thread.

    def _open(self) -> None:
        if self._engine is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            f"sqlite:///{self._path}",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def _set_up(connection: object, _record: object) -> None:
            cursor = connection.cursor()  # type: ignore[attr-defined]
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.close()

        try:
            METADATA.create_all(engine)
            with engine.begin() as connection:
                _add_columns(connection)
                _begin_ids(connection)
        except DBAPIError as error:
            engine.dispose()
            raise OSError(f"{self._path}: {error.orig}") from error
        self._engine = engine

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _in_transaction[T](
        self,
        readings: dict[tuple[str, int], tuple[datetime, float]],
        work: Callable[[Connection], T],
    ) -> T:
        if self._engine is None:
            raise OSError("the session records are closed")
        try:
            with self._engine.begin() as connection:
                for (charge_point_id, session_id), (at, energy_wh) in readings.items():
                    connection.execute(
                        update(SESSIONS)
                        .where(
                            SESSIONS.c.id == session_id,
                            SESSIONS.c.charge_point_id == charge_point_id,
                            SESSIONS.c.ended_by_report.is_(False),
                            SESSIONS.c.meter_last_at.is_(None)
                            | (SESSIONS.c.meter_last_at < _text(at)),
                        )
                        .values(
                            meter_last_wh=energy_wh,
                            meter_last_at=_text(at),
                            # Where the beginning has no reading, the first one counts.
                            meter_start_wh=func.coalesce(
                                SESSIONS.c.meter_start_wh, energy_wh
                            ),
                        )
                    )
                return work(connection)
        except DBAPIError as error:
            raise OSError(f"{self._path}: {error.orig}") from error


def _add_columns(connection: Connection) -> None:
    """Give a file of an older version the columns that it lacks."""
    there = {
        column["name"] for column in inspect(connection).get_columns(SESSIONS.name)
    }
    for lacking in SESSIONS.columns:
        if lacking.name not in there:
            kind = lacking.type.compile(connection.dialect)
            connection.execute(
                text(f"ALTER TABLE {SESSIONS.name} ADD COLUMN {lacking.name} {kind}")
            )


def _begin_ids(connection: Connection) -> None:
    """Let the ids of a new file begin where those of a lost one cannot have come to.

    They count from the seconds since the epoch below, so that a charge point that still has a transaction of the
    lost file does not mean another one by its id. They stay positive in 32 bits for decades.
    """
    if (
        connection.execute(
            select(_SEQUENCE.c.seq).where(_SEQUENCE.c.name == SESSIONS.name)
        ).first()
        is None
    ):
        first = int((datetime.now(UTC) - _IDS_SINCE).total_seconds())
        connection.execute(insert(_SEQUENCE).values(name=SESSIONS.name, seq=first))


def _person(
    id_tag: str | None, user_id: str | None, user_name: str | None
) -> dict[str, object]:
    """Return the columns that say whose a session is."""
    return {"id_tag": id_tag, "user_id": user_id, "user_name": user_name}


def _text(at: datetime) -> str:
    """Return a time as it is stored: UTC, of fixed length, so that it sorts."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _time(stored: str) -> datetime:
    return datetime.fromisoformat(stored)


def _record(row: RowMapping) -> SessionRecord:
    return SessionRecord(
        id=row["id"],
        charge_point_id=row["charge_point_id"],
        connector_id=row["connector_id"],
        remote_id=row["remote_id"],
        id_tag=row["id_tag"],
        user_id=row["user_id"],
        user_name=row["user_name"],
        started_at=_time(row["started_at"]),
        stopped_at=None if row["stopped_at"] is None else _time(row["stopped_at"]),
        meter_start_wh=row["meter_start_wh"],
        meter_last_wh=row["meter_last_wh"],
        stop_reason=row["stop_reason"],
        ended_by_report=row["ended_by_report"],
    )

"""The session records: what is told of sessions, kept in the file (database.py) so that each is there once.

What `start` and `stop` are told is written before they return; readings of the energy register are gathered and
written with the next of these, or after a few seconds: each replaces the one before, and the charge point goes on
counting meanwhile.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
import logging
from pathlib import Path

from sqlalchemy import ColumnElement, insert, literal, select, tuple_, update
from sqlalchemy.engine import Connection

from .bounds import Arrivals
from .database import Condition, Database, has_room
from .merging import make_room
from .readings import Readings, write_readings
from .record import SessionRecord
from .rows import (
    as_text,
    as_time,
    can_have_ended,
    end,
    ended_before,
    newest_records,
    person_values,
    same_tag,
    set_values,
)
from .tables import SESSIONS

_LOGGER = logging.getLogger(__name__)

_FLUSH_S = 10.0
_SAME_END = timedelta(seconds=2)
"""A repeated report of an end says the same time; we may have learnt more of the charge point's clock since."""
_MOST_OPEN = 100
"""Open sessions of one charge point: it forgot what more is open."""


class SessionLog:
    """Durable records of charging sessions in one SQLite file."""

    def __init__(self, path: Path | str) -> None:
        """Prepare; `open` opens or creates the file."""
        self._database = Database(Path(path))
        self._arrivals = Arrivals()
        self._readings: Readings = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._writes: set[asyncio.Task[None]] = set()

    @property
    def condition(self) -> Condition:
        """How the records are kept: whether the disk takes them, and whether a damaged file was replaced."""
        return self._database.condition

    def on_change(self, listener: Callable[[Condition], None]) -> None:
        """Call `listener` when the condition has become another one."""
        self._database.on_change = listener

    async def open(self) -> None:
        """Open the file, or create it; opening it again changes nothing.

        A file that is damaged is set aside, and where the disk takes nothing the records are kept in memory. Raises
        NewerRecordsError (OSError): the file is of a newer version of this program, and left as it is.
        """
        await self._database.open()

    async def close(self) -> None:
        """Write what is gathered and close the file."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._readings:
            self._flush_soon()
        if self._writes:
            await asyncio.wait(self._writes)
        await self._database.close()

    async def hold_checkpoints(self) -> None:
        """Leave the main file as it is, with all in it that was told so far, until `release_checkpoints`.

        Whoever copies the file meanwhile has whole records: new ones go into the log beside it. Raises OSError.
        """
        if self._database.is_open:
            await self.flush()
            await self._database.hold_checkpoints()

    async def release_checkpoints(self) -> None:
        """Let the main file change again. Raises OSError."""
        await self._database.release_checkpoints()

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

        person = person_values(id_tag, user_id, user_name)

        def work(connection: Connection) -> int:
            own = (SESSIONS.c.charge_point_id == charge_point_id, SESSIONS.c.key == key)
            known = connection.execute(select(SESSIONS).where(*own)).mappings().first()
            if known is None and remote_id is None:
                known = ended_before(
                    connection, charge_point_id, started_at, id_tag, meter_start_wh
                )
            began: dict[str, object] = {"started_at": as_text(started_at)}
            if meter_start_wh is not None:
                began["meter_start_wh"] = meter_start_wh
            if id_tag:
                began |= person
            if known is not None and known["start_unknown"]:
                began |= {
                    "key": key,
                    "connector_id": connector_id,
                    "start_unknown": False,
                }
                set_values(connection, known["id"], began)
                return int(known["id"])
            if (
                known is not None
                and known["ended_by_report"]
                and remote_id is None
                and as_text(started_at) > known["stopped_at"]
            ):
                # A start is not repeated after its end: another session of a charge point whose clock and register
                # begin anew each time.
                set_values(connection, known["id"], {"key": f"{key}#{known['id']}"})
            elif known is not None:
                changes: dict[str, object] = {}
                if as_text(started_at) < known["started_at"]:
                    changes = began
                if known["connector_id"] == 0:
                    changes |= {"connector_id": connector_id}
                if changes:
                    set_values(connection, known["id"], changes)
                return int(known["id"])
            connection.execute(
                update(SESSIONS)
                .where(
                    SESSIONS.c.charge_point_id == charge_point_id,
                    SESSIONS.c.connector_id == connector_id,
                    SESSIONS.c.stopped_at.is_(None),
                    SESSIONS.c.started_at <= as_text(started_at),
                )
                .values(stopped_at=as_text(started_at))
            )
            return self._add(
                connection,
                charge_point_id=charge_point_id,
                connector_id=connector_id,
                key=key,
                remote_id=remote_id,
                started_at=as_text(started_at),
                meter_start_wh=meter_start_wh,
                ended_by_report=False,
                **person,
            )

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
        """Record the end of a session. False if the charge point has no such session.

        The first report counts, unless it contradicts what was measured: then the next one that does not.
        """

        def work(connection: Connection) -> bool:
            own = (
                SESSIONS.c.id == transaction_id,
                SESSIONS.c.charge_point_id == charge_point_id,
            )
            found = connection.execute(select(SESSIONS).where(*own)).mappings().first()
            if found is None:
                return False
            end(connection, found, stopped_at, meter_stop_wh, reason)
            return True

        return await self._write(work)

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
        """Record the end of a session that is not known by its id, and return what id it has here.

        It is the end of the open session that it fits to, if there is one only among those that have their id from
        here: with the same id tag where the end has an id of its own (`remote_id`). Else it is kept as a session of
        its own, which its beginning joins, should it be reported yet. The same key is the same end.
        """

        def work(connection: Connection) -> int:
            mine = SESSIONS.c.charge_point_id == charge_point_id
            known = connection.execute(
                select(SESSIONS.c.id).where(mine, SESSIONS.c.key == key)
            ).scalar()
            if known is None and remote_id is None:
                known = connection.execute(
                    select(SESSIONS.c.id).where(
                        mine,
                        SESSIONS.c.ended_by_report,
                        SESSIONS.c.meter_stop_wh == meter_stop_wh,
                        SESSIONS.c.stopped_at.between(
                            as_text(stopped_at - _SAME_END),
                            as_text(stopped_at + _SAME_END),
                        ),
                    )
                ).scalar()
            if known is not None:
                return int(known)
            fitting = [
                row
                for row in connection.execute(
                    select(SESSIONS)
                    .where(
                        mine,
                        SESSIONS.c.stopped_at.is_(None),
                        SESSIONS.c.remote_id.is_(None),
                    )
                    .order_by(SESSIONS.c.id.desc())
                    .limit(_MOST_OPEN)
                ).mappings()
                if same_tag(row["id_tag"], id_tag, unsaid=remote_id is None)
                and as_time(row["started_at"]) <= stopped_at
                and can_have_ended(row, stopped_at, meter_stop_wh)
            ]
            if len(fitting) == 1:
                end(connection, fitting[0], stopped_at, meter_stop_wh, reason)
                return int(fitting[0]["id"])
            return self._add(
                connection,
                charge_point_id=charge_point_id,
                connector_id=connector_id,
                key=key,
                remote_id=remote_id,
                started_at=as_text(stopped_at),
                stopped_at=as_text(stopped_at),
                # One reading alone says nothing of what was charged.
                meter_start_wh=None
                if meter_start_wh == meter_stop_wh
                else meter_start_wh,
                meter_stop_wh=meter_stop_wh,
                stop_reason=reason,
                ended_by_report=True,
                start_unknown=True,
                **person_values(id_tag, user_id, user_name),
            )

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
                .values(person_values(id_tag, user_id, user_name))
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

    async def is_over(self, charge_point_id: str, transaction_id: int) -> bool:
        """Whether the end of a session was reported, and nothing contradicts it."""
        return (
            await self._id_where(
                SESSIONS.c.id == transaction_id,
                SESSIONS.c.charge_point_id == charge_point_id,
                SESSIONS.c.ended_by_report,
                SESSIONS.c.contradicted.isnot(True),
            )
            is not None
        )

    async def only_open(self, charge_point_id: str) -> int | None:
        """Return the one session of a charge point that has not ended; None if there are none or several."""

        def work(connection: Connection) -> int | None:
            found = connection.execute(
                select(SESSIONS.c.id)
                .where(
                    SESSIONS.c.charge_point_id == charge_point_id,
                    SESSIONS.c.stopped_at.is_(None),
                )
                .limit(2)
            ).all()
            return int(found[0].id) if len(found) == 1 else None

        return await self._database.transaction(work)

    async def _id_where(self, *conditions: ColumnElement[bool]) -> int | None:
        """Return the newest id; writes nothing, since this is asked often and a write waits for the disk."""

        def work(connection: Connection) -> int | None:
            newest = (
                select(SESSIONS.c.id).where(*conditions).order_by(SESSIONS.c.id.desc())
            )
            return connection.execute(newest).scalar()

        return await self._database.transaction(work)

    async def open_transactions(self, charge_point_id: str) -> Sequence[SessionRecord]:
        """Return the sessions of a charge point that have not ended, oldest first; of many the newest."""
        return await self._database.transaction(
            lambda connection: newest_records(
                connection,
                SESSIONS.c.charge_point_id == charge_point_id,
                SESSIONS.c.stopped_at.is_(None),
                limit=_MOST_OPEN,
            )
        )

    async def history(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        charge_point_ids: Collection[str] | None = None,
        id_tag: str | None = None,
        user_id: str | None = None,
        before: int | None = None,
        limit: int = 1000,
    ) -> Sequence[SessionRecord]:
        """Return the newest `limit` sessions that began in [since, until), oldest first; None: at all charge points.

        `before` is the id of a session: then those that are listed before it.
        """
        conditions: list[ColumnElement[bool]] = []
        if since is not None:
            conditions.append(SESSIONS.c.started_at >= as_text(since))
        if until is not None:
            conditions.append(SESSIONS.c.started_at < as_text(until))
        if charge_point_ids is not None:
            conditions.append(SESSIONS.c.charge_point_id.in_(charge_point_ids))
        if id_tag is not None:
            conditions.append(SESSIONS.c.id_tag.collate("NOCASE") == id_tag)
        if user_id is not None:
            conditions.append(SESSIONS.c.user_id == user_id)
        if before is not None:
            place = select(SESSIONS.c.started_at).where(SESSIONS.c.id == before)
            conditions.append(
                tuple_(SESSIONS.c.started_at, SESSIONS.c.id)
                < tuple_(place.scalar_subquery(), literal(before))
            )
        return await self._write(
            lambda connection: newest_records(connection, *conditions, limit=limit)
        )

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

    async def _write[T](self, work: Callable[[Connection], T]) -> T:
        """Do work in one database transaction, the gathered readings first."""
        readings, self._readings = self._readings, {}

        def both(connection: Connection) -> T:
            write_readings(connection, readings)
            return work(connection)

        try:
            return await self._database.transaction(both)
        except OSError:
            self._readings = readings | self._readings
            raise

    def _add(self, connection: Connection, **values: object) -> int:
        """Make a record and return its id; of a charge point that made too many, two become one. Raises OSError."""
        if not has_room(connection):
            raise OSError("no room in memory for more session records")
        charge_point_id = str(values["charge_point_id"])
        make_room(connection, charge_point_id, self._arrivals)
        new = connection.execute(
            insert(SESSIONS).values(values).returning(SESSIONS.c.id)
        ).scalar_one()
        self._arrivals.note(charge_point_id, new)
        return int(new)

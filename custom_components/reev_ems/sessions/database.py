"""The file of the session records, in one thread of its own, and what is done when it fails.

A file that is damaged is set aside, and a new one goes on with what could be read of it. While the disk takes nothing
(full, read-only, broken) the records are kept in memory, and written once it does: load management never waits.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
import logging
from pathlib import Path
import sqlite3
from urllib.parse import quote

from sqlalchemy import (
    Engine,
    and_,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from .tables import METADATA, SESSIONS, NewerRecordsError, begin_ids, last_id, prepare

_LOGGER = logging.getLogger(__name__)

RETRY_S = 30.0
"""How often a disk that takes nothing is tried again."""
_CHECKED_WHOLE_BYTES = 16 * 1024 * 1024
_KNOWN_IN_MEMORY = 1000
_MOST_IN_MEMORY = 10_000

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_TAKES_NOTHING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    }
)

type Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Condition:
    """How the records are kept."""

    trouble: str | None = None
    """Why the disk takes nothing: the records are in memory; None: they are on the disk."""
    set_aside: Path | None = None
    """Where the damaged file is that was replaced since the start; None: there was none."""


class Database:
    """One SQLite file; its connection is used by one thread."""

    def __init__(self, path: Path) -> None:
        """Prepare; `open` opens or creates the file."""
        self.condition = Condition()
        self.on_change: Callable[[Condition], None] | None = None
        """Called in the event loop when the condition has become another one."""
        self._path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="session records")
        self._file: Engine | None = None
        self._memory: Engine | None = None
        """What the records are kept in while the disk takes nothing."""
        self._lent: dict[int, Row] = {}
        """The rows of the file as they were when they were taken into memory."""
        self._found = Condition()
        self._retrying: asyncio.TimerHandle | None = None
        self._retry_task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether records are kept at all."""
        return self._file is not None or self._memory is not None

    async def open(self) -> None:
        """Open the file, or create it; opening it again changes nothing. Raises NewerRecordsError."""
        await self.run(self._open)

    async def close(self) -> None:
        """Close the file. Returns once all is written that can be."""
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None
        if self._retry_task is not None:
            await self._retry_task
        await self._in_thread(self._dispose)
        # Its one thread is idle by now.
        self._executor.shutdown()

    async def run[T](self, work: Callable[[], T]) -> T:
        """Do work in the thread, and tell if the condition has become another one by it."""
        try:
            return await self._in_thread(work)
        finally:
            self._tell()

    async def transaction[T](self, work: Callable[[Connection], T]) -> T:
        """Do work in one database transaction. Raises OSError; then nothing of it is done."""
        return await self.run(lambda: self._transaction(work))

    async def hold_checkpoints(self) -> None:
        """Write everything into the main file, and from now on nothing: a copy of it is whole, with or without its log."""
        await self.run(lambda: self._pragmas("wal_checkpoint(TRUNCATE)", _NO_MERGE))

    async def release_checkpoints(self) -> None:
        """Write into the main file again."""
        await self.run(lambda: self._pragmas(_MERGE, "wal_checkpoint(PASSIVE)"))

    async def _in_thread[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _tell(self) -> None:
        found = self._found
        if found.trouble is not None and self._retrying is None:
            self._retrying = asyncio.get_running_loop().call_later(
                RETRY_S, self._retry_soon
            )
        if found == self.condition:
            return
        before, self.condition = self.condition, found
        if found.set_aside not in (None, before.set_aside):
            _LOGGER.error(
                "The session records were damaged; they are kept as %s and begun anew",
                found.set_aside,
            )
        if found.trouble is not None and before.trouble is None:
            _LOGGER.error(
                "The session records cannot be written and are kept in memory: %s",
                found.trouble,
            )
        if found.trouble is None and before.trouble is not None:
            _LOGGER.warning("The session records are written again")
        if self.on_change is not None:
            self.on_change(found)

    def _retry_soon(self) -> None:
        self._retrying = None
        self._retry_task = asyncio.get_running_loop().create_task(
            self.run(self._return_to_disk)
        )

    # In the thread.

    def _open(self) -> None:
        if self.is_open:
            return
        try:
            self._file = self._open_file()
        except NewerRecordsError:
            raise
        except OSError as error:
            self._keep_in_memory(error, self._rows_of_closed_file())

    def _open_file(self) -> Engine:
        """Return the file, whole and of this version; a damaged one is set aside. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._opened()
        except DBAPIError as error:
            if _code(error) not in _DAMAGED:
                raise _os_error(self._path, error) from error
        rows = self._rows_of_closed_file()
        self._set_aside()
        try:
            engine = self._opened()
            with engine.begin() as connection:
                _put(connection, rows, {})
        except DBAPIError as error:
            raise _os_error(self._path, error) from error
        return engine

    def _opened(self) -> Engine:
        """Return the file. Raises DBAPIError, also with SQLITE_CORRUPT for what its check finds."""
        if not self._path.is_dir():
            # It has the users' tags; its log gets the same mode.
            self._path.touch(0o600)
            self._path.chmod(0o600)
        engine = _engine(f"sqlite:///{self._path}")
        _begin_transactions_explicitly(engine, "journal_mode=WAL", "synchronous=FULL")
        try:
            with engine.begin() as connection:
                check = text(f"PRAGMA {self._check()}(1)")
                found = connection.execute(check).scalar()
                if found != "ok":
                    raise _damaged(str(found))
                prepare(connection)
        except DBAPIError, OSError:
            engine.dispose()
            raise
        return engine

    def _check(self) -> str:
        """Return how to check the file: charge points wait for it, and the whole check of a large one takes long.

        It takes 13 s for a million sessions (300 MB), without the contents of the indexes 0.5 s.
        """
        if self._path.stat().st_size > _CHECKED_WHOLE_BYTES:
            return "quick_check"
        return "integrity_check"

    def _set_aside(self) -> None:
        """Give the damaged file another name, with its log. Raises OSError."""
        now = datetime.now(UTC)
        aside = self._path.with_name(f"{self._path.name}.damaged-{now:%Y%m%dT%H%M%S%f}")
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            beside = self._path.with_name(self._path.name + suffix)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + suffix))
        self._found = Condition(self._found.trouble, aside)

    def _transaction[T](self, work: Callable[[Connection], T]) -> T:
        engine = self._memory or self._file
        if engine is None:
            raise OSError("the session records are closed")
        try:
            with engine.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            if engine is self._memory:
                raise _os_error(self._path, error) from error
            self._recover(error)
        try:
            with (self._memory or self._opened_again()).begin() as connection:
                return work(connection)
        except DBAPIError as error:
            raise _os_error(self._path, error) from error

    def _opened_again(self) -> Engine:
        if self._file is None:
            raise OSError("the session records are closed")
        return self._file

    def _recover(self, error: DBAPIError) -> None:
        """Make that the work can be done again, after the file has failed. Raises OSError if that would not help."""
        code = _code(error)
        if code not in _DAMAGED | _TAKES_NOTHING or self._file is None:
            raise _os_error(self._path, error) from error
        rows = list(_readable(self._file))
        if code in _TAKES_NOTHING:
            self._keep_in_memory(_os_error(self._path, error), rows)
            return
        self._file.dispose()
        self._file = None
        try:
            self._set_aside()
            self._file = self._open_file()
            with self._file.begin() as connection:
                _put(connection, rows, {})
        except (DBAPIError, OSError) as failure:
            self._keep_in_memory(OSError(str(failure)), rows)

    def _keep_in_memory(self, error: OSError, rows: Sequence[Row]) -> None:
        memory = _engine("sqlite://")
        _begin_transactions_explicitly(memory)
        with memory.begin() as connection:
            METADATA.create_all(connection)
            _put(connection, rows, {})
            begin_ids(connection, max((_id(row) for row in rows), default=0))
        self._memory = memory
        self._lent = {_id(row): row for row in rows}
        self._found = Condition(str(error), self._found.set_aside)

    def _return_to_disk(self) -> None:
        """Write what was kept in memory, if the disk takes it by now."""
        if self._memory is None:
            return
        if self._file is not None:
            self._file.dispose()
            self._file = None
        aside = self._found.set_aside
        try:
            self._file = self._open_file()
            # A file that was damaged meanwhile has nothing of what was lent.
            lent = self._lent if self._found.set_aside == aside else {}
            with self._memory.begin() as kept, self._file.begin() as connection:
                rows = [dict(row) for row in kept.execute(select(SESSIONS)).mappings()]
                _put(connection, rows, lent)
                gone = lent.keys() - {_id(row) for row in rows}
                if gone:
                    connection.execute(delete(SESSIONS).where(SESSIONS.c.id.in_(gone)))
                begin_ids(connection, last_id(kept) or 0)
        except (DBAPIError, OSError) as error:
            _LOGGER.debug("The session records stay in memory: %s", error)
            return
        self._memory.dispose()
        self._memory = None
        self._lent = {}
        self._found = Condition(None, self._found.set_aside)

    def _rows_of_closed_file(self) -> list[Row]:
        """Return what can be read of a file that cannot be opened for writing.

        Without its log, which nobody can read then: what was written last may be missing.
        """
        engine = _engine(
            f"sqlite:///file:{quote(str(self._path))}?mode=ro&immutable=1&uri=true"
        )
        try:
            return list(_readable(engine))
        finally:
            engine.dispose()

    def _pragmas(self, *pragmas: str) -> None:
        """Carry out what cannot be part of a transaction."""
        if self._memory is not None or self._file is None:
            return
        connection = self._file.raw_connection()
        try:
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from error
        finally:
            connection.close()

    def _dispose(self) -> None:
        self._return_to_disk()
        if self._memory is not None:
            _LOGGER.error("Session records that were kept in memory are lost")
        for engine in (self._memory, self._file):
            if engine is not None:
                engine.dispose()
        self._memory = self._file = None


_MERGE = "wal_autocheckpoint=1000"
_NO_MERGE = "wal_autocheckpoint=0"


def has_room(connection: Connection) -> bool:
    """Whether a new session can be kept: in memory there is a bound."""
    if connection.engine.url.database:
        return True
    count = connection.execute(select(func.count()).select_from(SESSIONS)).scalar_one()
    return bool(count < _MOST_IN_MEMORY)


def _engine(url: str) -> Engine:
    """Return what has one connection, used by one thread at a time."""
    return create_engine(
        url, poolclass=StaticPool, connect_args={"check_same_thread": False}
    )


def _begin_transactions_explicitly(engine: Engine, *pragmas: str) -> None:
    """Let a transaction begin where SQLAlchemy begins it: Python's driver would leave out reads and changes of tables."""

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


def _readable(engine: Engine) -> Iterator[Row]:
    """Yield what runs, and the newest of the rest, as far as it can be read; the file may be of an older version."""
    found: dict[int, Row] = {}
    for query in (
        "SELECT * FROM sessions WHERE stopped_at IS NULL LIMIT :most",
        "SELECT * FROM sessions ORDER BY id DESC LIMIT :most",
    ):
        with _whatever_can_be_read(), engine.begin() as connection:
            asked = text(query).bindparams(most=_KNOWN_IN_MEMORY)
            for row in connection.execute(asked).mappings():
                values = {name: row.get(name) for name in SESSIONS.columns.keys()}  # noqa: SIM118
                found.setdefault(row["id"], values)
    yield from found.values()


@contextmanager
def _whatever_can_be_read() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        _LOGGER.debug("Session records cannot be read: %s", error)


def _put(connection: Connection, rows: Sequence[Row], lent: Mapping[int, Row]) -> None:
    """Write rows, but for those that are as they were lent; a session is the same by its charge point and key."""
    for row in rows:
        if lent.get(_id(row)) == row:
            continue
        same = and_(
            SESSIONS.c.charge_point_id == row["charge_point_id"],
            SESSIONS.c.key == row["key"],
        )
        values = {name: value for name, value in row.items() if name != "id"}
        own = SESSIONS.c.id == row["id"]
        if row["id"] in lent:
            # Its key may have changed.
            connection.execute(update(SESSIONS).where(own).values(values))
        elif connection.execute(select(SESSIONS.c.id).where(same)).first():
            connection.execute(update(SESSIONS).where(same).values(values))
        elif connection.execute(select(SESSIONS.c.id).where(own)).first():
            connection.execute(insert(SESSIONS).values(values))
        else:
            connection.execute(insert(SESSIONS).values(row))


def _id(row: Row) -> int:
    return int(str(row["id"]))


def _code(error: DBAPIError) -> int:
    """Return SQLite's primary error code."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF


def _os_error(path: Path, error: DBAPIError) -> OSError:
    return OSError(f"{path}: {error.orig}")


def _damaged(what: str) -> DBAPIError:
    """Return what SQLite raises for a damaged file."""
    found = sqlite3.DatabaseError(what)
    found.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return DBAPIError("PRAGMA integrity_check", None, found)

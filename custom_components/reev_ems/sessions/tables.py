"""The database schema of the session records, and how files of older versions come to it."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    column,
    insert,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.engine import Connection

METADATA = MetaData()

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("charge_point_id", String, nullable=False),
    Column("connector_id", Integer, nullable=False),
    Column("key", String, nullable=False),
    Column("remote_id", String),
    Column("id_tag", String),
    Column("started_at", String, nullable=False),
    Column("stopped_at", String),
    Column("meter_start_wh", Float),
    Column("meter_last_wh", Float),
    Column("meter_last_at", String),
    Column("stop_reason", String),
    Column("ended_by_report", Boolean, nullable=False),
    # Later columns are added to older files by a migration: they may be empty, and have no default.
    Column("user_id", String),
    Column("user_name", String),
    Column("meter_stop_wh", Float),
    Column("contradicted", Boolean),
    Column("start_unknown", Boolean),
    Column("merged", Integer),
    UniqueConstraint("charge_point_id", "key"),
    # An id is never given twice, also after rows were deleted: it is the transaction id on the wire.
    sqlite_autoincrement=True,
)
"""Times are texts in UTC; `key` is what makes a repeated report the same session."""

Index("sessions_by_start", SESSIONS.c.started_at)
Index(
    "sessions_by_remote_id",
    SESSIONS.c.charge_point_id,
    SESSIONS.c.remote_id,
    sqlite_where=SESSIONS.c.remote_id.isnot(None),
)
# What is open is asked at every start and at ends without a good id, also of charge points with thousands of records.
Index("sessions_by_end", SESSIONS.c.charge_point_id, SESSIONS.c.stopped_at)

_SEQUENCE = table("sqlite_sequence", column("name"), column("seq"))
"""Where SQLite keeps the last id that it gave."""

_IDS_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_IDS_PER_S = 2


class NewerRecordsError(OSError):
    """The file was written by a newer version of this program."""


def prepare(connection: Connection) -> None:
    """Bring a file to this version's schema, in the transaction of the connection. Raises NewerRecordsError."""
    version = int(connection.execute(text("PRAGMA user_version")).scalar_one())
    if version > VERSION:
        raise NewerRecordsError(
            f"the session records are of version {version}, known is {VERSION}"
        )
    if inspect(connection).has_table(SESSIONS.name):
        for migrate in MIGRATIONS[version:]:
            migrate(connection)
    METADATA.create_all(connection)
    connection.execute(text(f"PRAGMA user_version = {VERSION}"))
    begin_ids(connection)


def begin_ids(connection: Connection, last: int = 0) -> None:
    """Let the next id be above `last`, above each that this file gave, and above those of a lost or a newer file.

    The ids keep up with the half seconds since 2026, faster than sites begin sessions: a charge point that still has
    a transaction of a file that was replaced by a backup does not mean another one by its id. They stay positive in 32
    bits for decades.
    """
    clock = int((datetime.now(UTC) - _IDS_SINCE).total_seconds() * _IDS_PER_S)
    given = last_id(connection)
    first = max(last, clock, given or 0)
    if given is None:
        connection.execute(insert(_SEQUENCE).values(name=SESSIONS.name, seq=first))
    else:
        of_sessions = _SEQUENCE.c.name == SESSIONS.name
        connection.execute(update(_SEQUENCE).where(of_sessions).values(seq=first))


def last_id(connection: Connection) -> int | None:
    """Return the last id that the file gave; None: none yet."""
    of_sessions = select(_SEQUENCE.c.seq).where(_SEQUENCE.c.name == SESSIONS.name)
    given: int | None = connection.execute(of_sessions).scalar()
    return given


def _to_1(connection: Connection) -> None:
    """From the files that had no number; some of them lack the users, too."""
    there = {item["name"] for item in inspect(connection).get_columns(SESSIONS.name)}
    for name, kind in {
        "user_id": "VARCHAR",
        "user_name": "VARCHAR",
        "meter_stop_wh": "FLOAT",
        "contradicted": "BOOLEAN",
        "start_unknown": "BOOLEAN",
        "merged": "INTEGER",
    }.items():
        if name not in there:
            connection.execute(text(f"ALTER TABLE sessions ADD COLUMN {name} {kind}"))
    for index in SESSIONS.indexes:
        index.create(connection, checkfirst=True)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_to_1,)
"""What leads from each version to the next one."""

VERSION = len(MIGRATIONS)
"""Version of the schema, kept in the file (`PRAGMA user_version`)."""

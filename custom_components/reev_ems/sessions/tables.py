"""The database schema of the session records."""

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
)

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
    # Later columns are added to older files (store.py): they may be empty, and have no default.
    Column("user_id", String),
    Column("user_name", String),
    UniqueConstraint("charge_point_id", "key"),
    Index("sessions_by_start", "started_at"),
    # An id is never given twice, also after rows were deleted: it is the transaction id on the wire.
    sqlite_autoincrement=True,
)
"""Times are texts in UTC; `key` is what makes a repeated report the same session."""

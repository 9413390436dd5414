"""What is read from the rows of sessions, and the changes of them that have a rule."""

from datetime import UTC, datetime
import logging

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.engine import Connection, RowMapping

from .evidence import can_end
from .record import SessionRecord
from .tables import SESSIONS

_LOGGER = logging.getLogger(__name__)

_MOST_ENDS = 100


def set_values(
    connection: Connection, session_id: int, values: dict[str, object]
) -> None:
    """Change a session."""
    connection.execute(
        update(SESSIONS).where(SESSIONS.c.id == session_id).values(values)
    )


def end(
    connection: Connection,
    found: RowMapping,
    stopped_at: datetime,
    meter_stop_wh: float | None,
    reason: str | None,
) -> None:
    """Note the end of a session, unless a better report of it is there."""
    contradicted = not can_have_ended(found, stopped_at, meter_stop_wh)
    if found["ended_by_report"] and (contradicted or not found["contradicted"]):
        return
    if contradicted:
        _LOGGER.warning(
            "%s: the end of session %s contradicts what was measured: %s Wh after %s Wh",
            found["charge_point_id"],
            found["id"],
            meter_stop_wh,
            found["meter_last_wh"],
        )
    set_values(
        connection,
        found["id"],
        {
            "stopped_at": as_text(max(stopped_at, as_time(found["started_at"]))),
            "stop_reason": reason,
            "meter_stop_wh": meter_stop_wh,
            "ended_by_report": True,
            "contradicted": contradicted,
        },
    )


def can_have_ended(row: RowMapping, at: datetime, meter_stop_wh: float | None) -> bool:
    """Whether a session can have ended with a register, by what was measured."""
    return can_end(
        meter_stop_wh,
        at,
        start_wh=row["meter_start_wh"],
        last_wh=row["meter_last_wh"],
        last_at=as_time(row["meter_last_at"] or row["started_at"]),
    )


def ended_before(
    connection: Connection,
    charge_point_id: str,
    started_at: datetime,
    id_tag: str | None,
    meter_start_wh: float | None,
) -> RowMapping | None:
    """Return the end without a beginning that a session which began then can have had."""
    rows = connection.execute(
        select(SESSIONS)
        .where(
            SESSIONS.c.charge_point_id == charge_point_id,
            SESSIONS.c.start_unknown.is_(True),
            SESSIONS.c.stopped_at >= as_text(started_at),
        )
        .order_by(SESSIONS.c.stopped_at)
        .limit(_MOST_ENDS)
    ).mappings()
    for row in rows:
        stop_wh = row["meter_stop_wh"]
        if same_tag(row["id_tag"], id_tag, unsaid=True) and (
            stop_wh is None or meter_start_wh is None or stop_wh >= meter_start_wh
        ):
            return row
    return None


def same_tag(one: str | None, other: str | None, *, unsaid: bool) -> bool:
    """Whether two id tags are the same, as OCPP compares them; `unsaid`: what is said where one is missing."""
    if one is None or other is None:
        return unsaid
    return one.casefold() == other.casefold()


def newest_records(
    connection: Connection, *conditions: ColumnElement[bool], limit: int
) -> list[SessionRecord]:
    """Return the newest sessions, oldest first."""
    newest = (
        select(SESSIONS)
        .where(*conditions)
        .order_by(SESSIONS.c.started_at.desc(), SESSIONS.c.id.desc())
        .limit(limit)
    )
    return [record_of(row) for row in connection.execute(newest).mappings()][::-1]


def person_values(
    id_tag: str | None, user_id: str | None, user_name: str | None
) -> dict[str, object]:
    """Return the columns that say whose a session is."""
    return {"id_tag": id_tag, "user_id": user_id, "user_name": user_name}


def as_text(at: datetime) -> str:
    """Return a time as it is stored: UTC, of fixed length, so that it sorts."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def as_time(stored: str) -> datetime:
    """Return a stored time."""
    return datetime.fromisoformat(stored)


def record_of(row: RowMapping) -> SessionRecord:
    """Return a row as it is told."""
    return SessionRecord(
        id=row["id"],
        charge_point_id=row["charge_point_id"],
        connector_id=row["connector_id"],
        remote_id=row["remote_id"],
        id_tag=row["id_tag"],
        user_id=row["user_id"],
        user_name=row["user_name"],
        started_at=as_time(row["started_at"]),
        stopped_at=None if row["stopped_at"] is None else as_time(row["stopped_at"]),
        meter_start_wh=row["meter_start_wh"],
        meter_last_wh=row["meter_last_wh"],
        meter_stop_wh=row["meter_stop_wh"],
        stop_reason=row["stop_reason"],
        ended_by_report=row["ended_by_report"],
        contradicted=bool(row["contradicted"]),
        start_reported=not row["start_unknown"],
        merged=row["merged"] or 0,
    )

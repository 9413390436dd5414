"""Readings of the energy register within sessions, taken as far as they can be true."""

from collections.abc import Mapping
from datetime import UTC, datetime
import logging

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection, RowMapping

from .evidence import can_follow, goes_on
from .tables import SESSIONS

_LOGGER = logging.getLogger(__name__)

_AT_ONCE = 500
"""SQLite binds no end of values to a statement."""

type Readings = dict[tuple[str, int], tuple[datetime, float]]
"""By charge point and session: when, and the register in Wh."""


def write_readings(connection: Connection, readings: Readings) -> None:
    """Write the newest reading of each session, unless it has a newer one or cannot have this one."""
    ids = [session_id for _, session_id in readings]
    changes: list[Mapping[str, object]] = []
    for start in range(0, len(ids), _AT_ONCE):
        part = SESSIONS.c.id.in_(ids[start : start + _AT_ONCE])
        for row in connection.execute(select(SESSIONS).where(part)).mappings():
            reading = readings.get((row["charge_point_id"], row["id"]))
            if reading is not None and _counts(row, *reading):
                at, wh = reading
                changes.append(
                    {
                        "session": row["id"],
                        "last_wh": wh,
                        "last_at": at.astimezone(UTC).isoformat(
                            timespec="microseconds"
                        ),
                        # Where the beginning has no reading, the first one counts.
                        "start_wh": wh
                        if row["meter_start_wh"] is None
                        else row["meter_start_wh"],
                        # A report of its end that came before this cannot be true.
                        "wrong": row["ended_by_report"] or None,
                    }
                )
    if changes:
        connection.execute(
            update(SESSIONS)
            .where(SESSIONS.c.id == bindparam("session"))
            .values(
                meter_last_wh=bindparam("last_wh"),
                meter_last_at=bindparam("last_at"),
                meter_start_wh=bindparam("start_wh"),
                contradicted=bindparam("wrong"),
            ),
            changes,
        )


def _counts(row: RowMapping, at: datetime, wh: float) -> bool:
    """Whether a reading tells something new of a session, and can be true."""
    last_at = datetime.fromisoformat(row["meter_last_at"] or row["started_at"])
    if row["meter_last_at"] is not None and at <= last_at:
        return False
    last_wh = row["meter_start_wh"]
    if row["meter_last_wh"] is not None:
        last_wh = row["meter_last_wh"]
    if not can_follow(wh, at, last_wh, last_at):
        _LOGGER.debug("Session %s: %s Wh cannot follow %s Wh", row["id"], wh, last_wh)
        return False
    if not row["ended_by_report"] or row["contradicted"]:
        return True
    ended_wh = last_wh if row["meter_stop_wh"] is None else row["meter_stop_wh"]
    stopped_at = datetime.fromisoformat(row["stopped_at"])
    return goes_on(wh, at, ended_wh or 0.0, stopped_at)

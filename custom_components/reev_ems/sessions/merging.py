"""Two records become one where a charge point reports more sessions than there can be."""

import logging

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection, RowMapping

from .bounds import Arrivals
from .rows import record_of
from .tables import SESSIONS

_LOGGER = logging.getLogger(__name__)

_PROOF_WH = 100.0
"""Measured within a session: less than a minute of charging at 6 A gives."""


def make_room(connection: Connection, charge_point_id: str, arrivals: Arrivals) -> None:
    """Merge the two oldest records of the hour that nothing proves, if there is no room for another one.

    The sum of what the charge point claims stays, and how many there were. Where all are proven or none has ended,
    the oldest ones give way all the same.
    """
    ids = arrivals.too_many(charge_point_id)
    if not ids:
        return
    rows = (
        connection.execute(
            select(SESSIONS).where(SESSIONS.c.id.in_(ids)).order_by(SESSIONS.c.id)
        )
        .mappings()
        .all()
    )
    for gone in set(ids) - {row["id"] for row in rows}:
        arrivals.merged(charge_point_id, gone)
    if len(rows) < 2:
        return
    kept, merged = sorted(
        rows,
        key=lambda row: (not row["merged"], row["stopped_at"] is None, _proven(row)),
    )[:2]
    if not kept["merged"]:
        _LOGGER.warning(
            "%s reports more sessions than there can be; records of it are merged",
            charge_point_id,
        )
    count = 1 + (kept["merged"] or 0) + (merged["merged"] or 0)
    connection.execute(
        update(SESSIONS)
        .where(SESSIONS.c.id == kept["id"])
        .values(
            started_at=min(kept["started_at"], merged["started_at"]),
            stopped_at=max(_end(kept), _end(merged)),
            ended_by_report=True,
            start_unknown=False,
            contradicted=False,
            meter_start_wh=0.0,
            meter_last_wh=None,
            meter_stop_wh=sum(
                record_of(row).energy_wh or 0.0 for row in (kept, merged)
            ),
            merged=count,
        )
    )
    connection.execute(delete(SESSIONS).where(SESSIONS.c.id == merged["id"]))
    arrivals.merged(charge_point_id, merged["id"])


def _proven(row: RowMapping) -> bool:
    """Whether energy was measured within a session, beside what its beginning and its end claim."""
    start_wh, last_wh = row["meter_start_wh"], row["meter_last_wh"]
    return (
        start_wh is not None and last_wh is not None and last_wh - start_wh >= _PROOF_WH
    )


def _end(row: RowMapping) -> str:
    """Return when a session ended; one that runs, as far as is known."""
    return str(row["stopped_at"] or row["meter_last_at"] or row["started_at"])

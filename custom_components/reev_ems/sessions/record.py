"""A charging session as it is recorded."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One charging transaction of one user at one connector."""

    id: int
    charge_point_id: str
    connector_id: int
    """0: the end of a session was reported of which nothing else is known."""
    remote_id: str | None
    """The charging station's own id (OCPP 2.0.1)."""
    id_tag: str | None
    user_id: str | None
    user_name: str | None
    """Whose tag it was when the session began, and what he was called then; None: nobody's, or not recorded yet."""
    started_at: datetime
    stopped_at: datetime | None
    """None: it runs."""
    meter_start_wh: float | None
    meter_last_wh: float | None
    """The newest reading of the energy register."""
    meter_stop_wh: float | None
    """What the report of the end said."""
    stop_reason: str | None
    ended_by_report: bool
    """False: it runs, or its end was never reported and follows from the session after it."""
    contradicted: bool
    """Whether the report of its end cannot be, by what was measured: then that counts, until a better one comes."""
    start_reported: bool
    """False: its end came first, and its beginning has not been reported yet."""
    merged: int
    """How many more sessions without proof this record stands for, of a charge point that reports too many."""

    @property
    def energy_wh(self) -> float | None:
        """Charged energy; None if the charge point did not say."""
        end_wh = None if self.contradicted else self.meter_stop_wh
        end_wh = self.meter_last_wh if end_wh is None else end_wh
        if self.meter_start_wh is None or end_wh is None:
            return None
        return max(0.0, end_wh - self.meter_start_wh)

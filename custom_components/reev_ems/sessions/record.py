"""A charging session as it is recorded."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One charging transaction of one user at one connector."""

    id: int
    charge_point_id: str
    connector_id: int
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
    """The newest reading of the energy register, the one at the end included."""
    stop_reason: str | None
    ended_by_report: bool
    """False: it runs, or its end was never reported and follows from the session after it."""

    @property
    def energy_wh(self) -> float | None:
        """Charged energy; None if the charge point did not say."""
        if self.meter_start_wh is None or self.meter_last_wh is None:
            return None
        return max(0.0, self.meter_last_wh - self.meter_start_wh)

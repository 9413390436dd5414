"""What the reports of a charge point about energy are worth, beside what it said before.

Anybody of the network can speak for a charge point that has no password, and some charge points end their sessions
with a register of 0.
"""

from datetime import datetime, timedelta

_ROUNDING_WH = 100.0
"""Registers in kWh with one decimal go with ends in Wh."""
_MOST_WH = 200_000.0
"""More than a car's battery takes, so that reports of a charge point without a clock may all come at once."""
_MOST_W = 500_000.0
"""More than a connector gives."""
CLOSING = timedelta(seconds=60)
"""Some charge points send the last values after the end."""


def can_follow(
    wh: float, at: datetime, before_wh: float | None, before_at: datetime
) -> bool:
    """Whether a register that showed `before_wh` can show `wh` at a later time (Wh)."""
    if before_wh is None:
        return True
    hours = max(0.0, (at - before_at).total_seconds()) / 3600
    return -_ROUNDING_WH <= wh - before_wh <= _MOST_WH + _MOST_W * hours


def can_end(
    stop_wh: float | None,
    at: datetime,
    *,
    start_wh: float | None,
    last_wh: float | None,
    last_at: datetime,
) -> bool:
    """Whether a session that was measured at `last_wh` can have ended with this register (Wh)."""
    if stop_wh is None:
        return True
    if start_wh is not None and last_wh is not None and stop_wh <= start_wh < last_wh:
        # No energy at all, after some was measured.
        return False
    before_wh = start_wh if last_wh is None else last_wh
    return can_follow(stop_wh, at, before_wh, last_at)


def goes_on(wh: float, at: datetime, ended_wh: float, stopped_at: datetime) -> bool:
    """Whether a reading after the end shows that the session goes on."""
    return at > stopped_at + CLOSING and wh > ended_wh + _ROUNDING_WH

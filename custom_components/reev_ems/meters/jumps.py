"""Tells values that jump from loads that switch: what is not like the reading before needs a second look (S2).

A gateway that mixes up the answers of its meters, or a frame that was damaged on a serial line, can give values that are
plausible each for itself.
"""

from ..energy_management.observation import MeterReading
from .reading import CURRENT_MAX_A, VOLTAGE_V

JUMP_A = 80.0
"""Hardly any building switches more at once; where one does, it costs one more request."""
ENERGY_SLACK_WH = 10_000.0
"""Counters come in steps of up to 1 kWh; those of two meters are further apart than this, as a rule."""
POWER_MAX_W = 3 * CURRENT_MAX_A * VOLTAGE_V[1]
MEMORY_S = 60.0
"""After a longer silence a reading can be like anything."""


def follows(before: MeterReading, after: MeterReading) -> bool:
    """Return whether a reading can be the next one of the same meter without anything out of the ordinary."""
    passed_s = after.at_s - before.at_s
    if passed_s > MEMORY_S:
        return True
    for earlier, later in zip(before.current_a, after.current_a, strict=True):
        if earlier is not None and later is not None and abs(later - earlier) > JUMP_A:
            return False
    return all(
        earlier is None
        or later is None
        or -ENERGY_SLACK_WH
        <= later - earlier
        <= ENERGY_SLACK_WH + POWER_MAX_W * passed_s / 3600
        for earlier, later in (
            (before.energy_import_wh, after.energy_import_wh),
            (before.energy_export_wh, after.energy_export_wh),
        )
    )

"""What limits a connector, for people: without the short waits between two raises.

While loads change, what binds a connector gives way to "about to be raised" for some seconds again and again. Each
change of a state is an entry in Home Assistant's activity list, and none of these tells anything new.
"""

from dataclasses import dataclass
from typing import Final

from ..energy_management.decision import Limit, LimitKind

# Two raises of the energy management are 15 s apart unless somebody set another time.
RAISE_WAIT_SHOWN_AFTER_S: Final = 30.0

# What sets how high a permit is. The permit is the same still while the connector waits to be raised, so these remain
# the answer. All others are over by then: who waits for fresh meter values is not about to be raised.
HEIGHTS: Final = frozenset(
    {
        LimitKind.OWN_MAXIMUM,
        LimitKind.CIRCUIT_PHASE,
        LimitKind.CIRCUIT_POWER,
        LimitKind.PV_SURPLUS,
        LimitKind.EXTERNAL_LIMIT,
        LimitKind.USER_GROUP,
        LimitKind.IMBALANCE,
        LimitKind.CAR_DRAWS_LESS,
    }
)


@dataclass(slots=True)
class SteadyLimit:
    """Remembers what bound one connector before it began to wait to be raised."""

    wait_shown_after_s: float = RAISE_WAIT_SHOWN_AFTER_S
    _bound: Limit | None = None
    _settings: object = None
    _waits_since_s: float | None = None

    def shown(self, limit: Limit, now_s: float, settings: object) -> Limit:
        """Return what to show; the same again however often it is asked about a moment.

        Args:
            limit: what binds the connector now.
            now_s: the time of the decision.
            settings: what people and the grid operator set. Once it changes, what bound before may be over, and
                somebody may look whether it is.
        """
        if limit.kind is not LimitKind.RAISE_WAIT or settings != self._settings:
            self._bound = limit if limit.kind in HEIGHTS else None
            self._settings = settings
            self._waits_since_s = None
            return limit
        if self._waits_since_s is None:
            self._waits_since_s = now_s
        if now_s - self._waits_since_s >= self.wait_shown_after_s:
            self._bound = None
        return self._bound or limit

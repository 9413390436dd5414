"""How much one charge point may say, over all its connections: a flood is read more slowly (back-pressure, S12)."""

from collections.abc import Callable, Mapping

RATE_PER_S = 20.0
BURST = 300
"""A charger that comes back with a long queue may empty it."""

CONNECTION = 10.0
"""What a new connection costs: each begins with a dozen of requests."""
_DEAR: Mapping[str, float] = {
    "BootNotification": 10.0,
    "SecurityEventNotification": 20.0,
    "SignCertificate": 20.0,
    "StartTransaction": 20.0,
    "StopTransaction": 5.0,
}
_TRANSACTION_EVENTS = {"Started": 20.0, "Ended": 5.0}


def price(action: str, payload: object) -> float:
    """Return what a request costs: those that are written to the disk, or that a person reads, cost more."""
    if action == "TransactionEvent" and isinstance(payload, dict):
        return _TRANSACTION_EVENTS.get(str(payload.get("eventType")), 1.0)
    return _DEAR.get(action, 1.0)


class Pace:
    """A purse that fills at a constant rate."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with a full one; `clock` is monotonic."""
        self._clock = clock
        self._tokens = float(BURST)
        self._filled_s = clock()

    def pay(self, tokens: float) -> float:
        """Take tokens out; returns the seconds to wait until the purse is out of debt."""
        now_s = self._clock()
        filled = self._tokens + (now_s - self._filled_s) * RATE_PER_S
        self._tokens = min(float(BURST), filled) - tokens
        self._filled_s = now_s
        return max(0.0, -self._tokens / RATE_PER_S)

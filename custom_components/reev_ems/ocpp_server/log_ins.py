"""Slows down who guesses passwords, without keeping out who knows one (S12)."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from .connections import network

_FREE = 5
"""Wrong passwords that cost nothing: somebody may be typing."""
_FREE_PER_ADDRESS = 20
"""For all ids together, from an address from which the id in question never came in."""
_LONGEST_S = 60.0
_FORGET_S = 600.0
_MOST = 1000
ALARM = 5
"""A person is told of so many wrong passwords for one charge point."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last_s: float = 0.0

    def wait_s(self, free: int, now_s: float) -> float:
        """Return how long nothing is compared from now on: twice as long with each failure."""
        beyond = self.count - free
        if beyond < 0:
            return 0.0
        return self.last_s + min(2.0 ** min(beyond, 10), _LONGEST_S) - now_s


class LogIns:
    """The log-ins of one port that failed: by charge point and address, by address, by charge point."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with none; `clock` is monotonic."""
        self.failed_in_all = 0
        self._clock = clock
        self._failures: OrderedDict[tuple[str | None, str | None], _Failures] = (
            OrderedDict()
        )
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, charge_point_id: str, address: str) -> float:
        """Return how long a charge point has to wait for its next attempt from an address; 0: not at all."""
        now_s, place = self._clock(), network(address)
        wait_s = self._of(charge_point_id, place).wait_s(_FREE, now_s)
        if (charge_point_id, place) not in self._good:
            of_all = self._of(None, place).wait_s(_FREE_PER_ADDRESS, now_s)
            wait_s = max(wait_s, of_all)
        return max(0.0, wait_s)

    def failed(self, charge_point_id: str, address: str) -> int:
        """Count a wrong password; returns how many there were for the charge point lately, from anywhere."""
        self.failed_in_all += 1
        place = network(address)
        for key in ((charge_point_id, place), (None, place), (charge_point_id, None)):
            failures = self._of(*key)
            failures.count += 1
            failures.last_s = self._clock()
            self._failures[key] = failures
            self._failures.move_to_end(key)
        while len(self._failures) > _MOST:
            self._failures.popitem(last=False)
        return self._of(charge_point_id, None).count

    def succeeded(self, charge_point_id: str, address: str) -> None:
        """Begin anew for who has come in."""
        place = network(address)
        self._failures.pop((charge_point_id, place), None)
        self._good[charge_point_id, place] = None
        self._good.move_to_end((charge_point_id, place))
        while len(self._good) > _MOST:
            self._good.popitem(last=False)

    def quiet(self, charge_point_id: str) -> bool:
        """Whether no password was wrong for a charge point for a while."""
        return not self._of(charge_point_id, None).count

    def _of(self, charge_point_id: str | None, place: str | None) -> _Failures:
        failures = self._failures.get((charge_point_id, place))
        if failures is None or self._clock() > failures.last_s + _FORGET_S:
            return _Failures()
        return failures

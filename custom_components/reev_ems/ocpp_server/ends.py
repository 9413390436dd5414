"""Transactions that are over as far as we know, and cars that go on all the same.

Their last values may come late and do not make them run again. But an end may have been a mistake of the charge point, or
somebody else's message: where a car still charges, fresh values with the id of its transaction go on and on.
"""

from collections import OrderedDict

from .measurands import Measured
from .registers import LEAST_W

GOES_ON_S = 10.0
"""So long after an end the values of a transaction are its last ones."""
_REMEMBERED = 32
_ROUNDING_WH = 1.0
"""A register may show so much more the next time though nothing flows."""


class Ends[Id: (int, str)]:
    """The transactions of one charge point that have ended."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ended_s: OrderedDict[Id, float] = OrderedDict()

    def note(self, transaction: Id, at_s: float) -> None:
        """Note that a transaction is over, as of a monotonic time."""
        self._ended_s.setdefault(transaction, at_s)
        if len(self._ended_s) > _REMEMBERED:
            self._ended_s.popitem(last=False)

    def forget(self, transaction: Id) -> None:
        """It runs again."""
        self._ended_s.pop(transaction, None)

    def __contains__(self, transaction: Id) -> bool:
        """Whether a transaction is known to be over."""
        return transaction in self._ended_s

    def goes_on(self, transaction: Id, now_s: float, age_s: float) -> bool:
        """Whether a value of a transaction, as old as `age_s`, shows that it goes on after its end."""
        ended_s = self._ended_s.get(transaction)
        return ended_s is not None and now_s - max(0.0, age_s) - ended_s >= GOES_ON_S


def draws(measured: Measured, before_wh: float | None) -> bool:
    """Whether a measurement shows a car that charges, by itself or by a register that has risen since before."""
    return (
        (measured.power_w or 0.0) >= LEAST_W
        or measured.drawing_phases is not None
        or (
            measured.energy_wh is not None
            and before_wh is not None
            and measured.energy_wh > before_wh + _ROUNDING_WH
        )
    )

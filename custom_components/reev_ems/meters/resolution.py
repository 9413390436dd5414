"""Learns how finely sensors tell their values: some meters hand on whole amperes only."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation


def step_of(text: str) -> float | None:
    """Return the place value of a number's last digit that is not a zero behind the point; None if it is no number."""
    try:
        exponent = Decimal(text).normalize().as_tuple().exponent
    except InvalidOperation:
        return None
    return 10.0 ** min(exponent, 0) if isinstance(exponent, int) else None


class Resolutions:
    """The finest step that each sensor has shown so far; until one shows a fraction, it counts in whole units."""

    def __init__(self) -> None:
        """Start without knowledge."""
        self._steps: dict[str, float] = {}

    @property
    def known(self) -> Mapping[str, float]:
        """By quantity, in its own unit (A, V or W)."""
        return self._steps

    def note(self, quantity: str, text: str, unit: float) -> None:
        """Take in what a sensor shows; `unit` is what 1 of it is in the quantity's own unit."""
        step = step_of(text)
        if step is not None:
            step *= unit
            self._steps[quantity] = min(step, self._steps.get(quantity, step))

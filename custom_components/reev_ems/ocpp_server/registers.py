"""Power from the energy register, for connectors that report none while their register rises.

Unknown is not zero (S2): a car that seems to draw nothing would have its room given to others.
"""

from dataclasses import dataclass, replace

from .measurands import Measured

_SHORTEST_S = 5.0
"""Registers count whole watt-hours: over less time, one of them more or less says nothing."""
_PATIENCE_S = 60.0
"""Without a rise for so long, or for twice the time between the last two, the zero is believed."""
_LEAST_W = 100.0
"""What electronics may take while no car charges."""
_MOST_W = 2e6


@dataclass(slots=True)
class _Register:
    """The register of one connector, as of its last rise."""

    at_s: float
    energy_wh: float
    rises: int = 0
    """In a row, while no power was reported."""
    gap_s: float = 0.0
    """Between the last two rises."""
    power_w: float = 0.0


class Registers:
    """The energy registers of one charge point."""

    def __init__(self) -> None:
        """Begin with none."""
        self._registers: dict[int, _Register] = {}

    @property
    def contradict(self) -> bool:
        """Whether a connector reports no power again and again while its register rises."""
        return any(register.rises > 1 for register in self._registers.values())

    def forget(self, connector_id: int) -> None:
        """Another transaction runs."""
        self._registers.pop(connector_id, None)

    def doubts(self, connector_id: int) -> bool:
        """Whether the register of a connector says something else than its power."""
        register = self._registers.get(connector_id)
        return register is not None and register.rises > 0

    def checked(self, connector_id: int, measured: Measured, at_s: float) -> Measured:
        """Return what was measured at a monotonic time, without a zero that the register contradicts.

        One rise makes the power unknown: some registers are a sample late. From the second on it is calculated.
        """
        if not _says_zero(measured):
            if measured.power_w is not None or measured.current_a is not None:
                self.forget(connector_id)
            return measured
        energy_wh = measured.energy_wh
        if energy_wh is None:
            return measured
        register = self._registers.get(connector_id)
        if register is None:
            self._registers[connector_id] = _Register(at_s, energy_wh)
            return measured
        _look(register, energy_wh, at_s)
        if not register.rises:
            return measured
        power_w = register.power_w if register.rises > 1 else None
        return replace(measured, current_a=None, power_w=power_w)


def _look(register: _Register, energy_wh: float, at_s: float) -> None:
    """Take a reading of the register."""
    past_s = at_s - register.at_s
    if energy_wh < register.energy_wh:
        # It began anew.
        register.at_s, register.energy_wh, register.rises = at_s, energy_wh, 0
    elif energy_wh > register.energy_wh and past_s >= _SHORTEST_S:
        power_w = (energy_wh - register.energy_wh) * 3600.0 / past_s
        rises = _LEAST_W <= power_w <= _MOST_W
        register.rises = register.rises + 1 if rises else 0
        register.at_s, register.energy_wh = at_s, energy_wh
        register.gap_s, register.power_w = past_s, power_w
    elif past_s > max(_PATIENCE_S, 2.0 * register.gap_s):
        register.rises = 0


def _says_zero(measured: Measured) -> bool:
    """Whether something was measured, and all of it is nothing."""
    values = (measured.power_w, *(measured.current_a or ()))
    known = [value for value in values if value is not None]
    return bool(known) and not any(known)

"""Power from the energy register, for connectors that report none, or no current, while their register rises.

Unknown is not zero (S2): a car that seems to draw nothing would have its room given to others. Power and current are
judged apart: some report one of them well, and nothing but noise as the other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..energy_management.model import PartPerPhase
from .measurands import Measured
from .model import NOMINAL_VOLTAGE_V

_SHORTEST_S = 5.0
"""Registers count whole watt-hours: over less time, one of them more or less says nothing."""
_PATIENCE_S = 60.0
"""Without a rise for so long, or for twice the time between the last two, the zero is believed."""
LEAST_W = 100.0
"""What electronics may take while no car charges, and what a register may show more than a power that is right."""
_LEAST_A = 0.5
_MOST_W = 2e6


@dataclass(slots=True)
class _Register:
    """The register of one connector, as of its last rise."""

    at_s: float
    energy_wh: float
    rises: int = 0
    """In a row, while nothing was reported to flow."""
    gap_s: float = 0.0
    """Between the last two rises."""
    power_w: float = 0.0


class Registers:
    """The energy registers of one charge point."""

    def __init__(self) -> None:
        """Begin with none."""
        # By connector, once for its power and once for its current.
        self._powers: dict[int, _Register] = {}
        self._currents: dict[int, _Register] = {}

    @property
    def contradict(self) -> bool:
        """Whether a connector reports no power, or no current, again and again while its register rises."""
        return any(register.rises > 1 for register in self._all())

    def _all(self) -> Iterable[_Register]:
        return (*self._powers.values(), *self._currents.values())

    def forget(self, connector_id: int) -> None:
        """Another transaction runs, or none."""
        self._powers.pop(connector_id, None)
        self._currents.pop(connector_id, None)

    def began(
        self, connector_id: int, energy_wh: float | None, at_s: float, now_s: float
    ) -> None:
        """Another transaction runs since a monotonic time, from that reading on; one of long ago says nothing."""
        self.forget(connector_id)
        if energy_wh is not None and now_s - at_s <= _PATIENCE_S:
            self._powers[connector_id] = _Register(at_s, energy_wh)
            self._currents[connector_id] = _Register(at_s, energy_wh)

    def doubts(self, connector_id: int) -> bool:
        """Whether the register of a connector says something else than its power or current."""
        registers = (self._powers.get(connector_id), self._currents.get(connector_id))
        return any(register is not None and register.rises for register in registers)

    def checked(self, connector_id: int, measured: Measured, at_s: float) -> Measured:
        """Return what was measured at a monotonic time, without a zero that the register contradicts.

        One rise makes it unknown: some registers are a sample late. From the second on the power is calculated.
        """
        power_w, current_a, energy_wh = (
            measured.power_w,
            measured.current_a,
            measured.energy_wh,
        )
        none_flows = power_w is None or power_w < LEAST_W
        power = current = None
        if power_w is not None:
            said_w = power_w if none_flows else None
            power = _judged(self._powers, connector_id, said_w, energy_wh, at_s)
        if current_a is not None:
            said_w = _little_w(current_a, partly=none_flows)
            current = _judged(self._currents, connector_id, said_w, energy_wh, at_s)
        register = power or (current if power_w is None else None)
        if register is not None:
            power_w = register.power_w if register.rises > 1 else None
        elif current is None:
            return measured
        return replace(
            measured, current_a=None if current else current_a, power_w=power_w
        )


def _judged(
    registers: dict[int, _Register],
    connector_id: int,
    said_w: float | None,
    energy_wh: float | None,
    at_s: float,
) -> _Register | None:
    """Return the register if it contradicts the little that is said to flow; None as `said_w`: much flows."""
    if said_w is None:
        registers.pop(connector_id, None)
        return None
    if energy_wh is None:
        return None
    register = registers.get(connector_id)
    if register is None:
        registers[connector_id] = _Register(at_s, energy_wh)
        return None
    _look(register, energy_wh, at_s, max(0.0, said_w) + LEAST_W)
    return register if register.rises else None


def _look(register: _Register, energy_wh: float, at_s: float, least_w: float) -> None:
    """Take a reading of the register, which contradicts from so much power on."""
    past_s = at_s - register.at_s
    if energy_wh < register.energy_wh:
        # It began anew.
        register.at_s, register.energy_wh, register.rises = at_s, energy_wh, 0
    elif energy_wh > register.energy_wh and past_s >= _SHORTEST_S:
        power_w = (energy_wh - register.energy_wh) * 3600.0 / past_s
        rises = least_w <= power_w <= _MOST_W
        register.rises = register.rises + 1 if rises else 0
        register.at_s, register.energy_wh = at_s, energy_wh
        register.gap_s, register.power_w = past_s, power_w
    elif past_s > max(_PATIENCE_S, 2.0 * register.gap_s):
        register.rises = 0


def _little_w(current_a: PartPerPhase, *, partly: bool) -> float | None:
    """Return about how much power little current is; None: much flows, or may flow on a phase that is not told.

    `partly`: the phases that are told count for all, since nothing says that power flows.
    """
    known = [value for value in current_a if value is not None]
    enough = bool(known) if partly else len(known) == len(current_a)
    if not enough or any(value >= _LEAST_A for value in known):
        return None
    return NOMINAL_VOLTAGE_V * sum(known)

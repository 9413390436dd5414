"""What a meter sees of the truth: right, or as an electrician has left it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import voluptuous as vol

from .load import PerPhase
from .plant import Measurement
from .values import LINE_PHASES, POSITIVE, different, phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How a meter is connected and set up; its own phases are counted from 0."""

    sign: int = 1
    """-1: all current transformers are mounted the wrong way round."""
    inverted: tuple[int, ...] = ()
    """The meter's phases whose own transformer is the wrong way round (right again, if all are)."""
    lost: tuple[int, ...] = ()
    """The meter's phases whose current transformer gives nothing."""
    phase_order: tuple[int, int, int] = (0, 1, 2)
    """Line phase (0 for L1) that each of the meter's phases is connected to."""
    ratio: float = 1.0
    """What it shows of 1 A: its setting of the transformers differs from what is installed."""
    frozen_energy: bool = False
    """Its counters stand still."""

    def seen(self, truth: Measurement, counted: Energies) -> Measurement:
        """Return what it shows: the truth through its wiring, and what it has counted itself."""
        return Measurement(
            at_s=truth.at_s,
            voltage_v=self._ordered(truth.voltage_v),
            current_a=_times(self._ordered(truth.current_a), self._magnitudes),
            power_w=_times(self._ordered(truth.power_w), self._factors),
            reactive_var=_times(self._ordered(truth.reactive_var), self._factors),
            frequency_hz=truth.frequency_hz,
            import_wh=counted.import_wh,
            export_wh=counted.export_wh,
            import_phase_wh=counted.import_phase_wh,
            export_phase_wh=counted.export_phase_wh,
        )

    def counted(self, before: Energies, last: Energies, truth: Measurement) -> Energies:
        """Return the counters after what flowed from the `last` true ones on."""
        if self.frozen_energy:
            return before
        into = self._ordered(_less(truth.import_phase_wh, last.import_phase_wh))
        out = self._ordered(_less(truth.export_phase_wh, last.export_phase_wh))
        into, out = _turned(into, out, self._factors)
        total_in = (truth.import_wh - last.import_wh) * self.ratio
        total_out = (truth.export_wh - last.export_wh) * self.ratio
        if self.sign < 0:
            total_in, total_out = total_out, total_in
        if self.inverted or self.lost:
            net_wh = sum(into) - sum(out)
            total_in, total_out = max(net_wh, 0.0), max(-net_wh, 0.0)
        return Energies(
            import_wh=before.import_wh + total_in,
            export_wh=before.export_wh + total_out,
            import_phase_wh=_sum(before.import_phase_wh, into),
            export_phase_wh=_sum(before.export_phase_wh, out),
        )

    @property
    def _factors(self) -> PerPhase:
        """What each of the meter's phases makes of a power."""
        one, two, three = (
            0.0
            if own in self.lost
            else self.sign * (-1 if own in self.inverted else 1) * self.ratio
            for own in range(3)
        )
        return one, two, three

    @property
    def _magnitudes(self) -> PerPhase:
        one, two, three = map(abs, self._factors)
        return one, two, three

    def _ordered(self, values: PerPhase) -> PerPhase:
        first, second, third = self.phase_order
        return values[first], values[second], values[third]


@dataclass(frozen=True, slots=True, kw_only=True)
class Energies:
    """What counters show."""

    import_wh: float = 0.0
    export_wh: float = 0.0
    import_phase_wh: PerPhase = (0.0, 0.0, 0.0)
    export_phase_wh: PerPhase = (0.0, 0.0, 0.0)

    @classmethod
    def of(cls, truth: Measurement) -> Energies:
        """Return the true ones."""
        return cls(
            import_wh=truth.import_wh,
            export_wh=truth.export_wh,
            import_phase_wh=truth.import_phase_wh,
            export_phase_wh=truth.export_phase_wh,
        )


def _times(values: PerPhase, factors: PerPhase) -> PerPhase:
    one, two, three = (a * b for a, b in zip(values, factors, strict=True))
    return one, two, three


def _sum(values: PerPhase, more: PerPhase) -> PerPhase:
    one, two, three = (a + b for a, b in zip(values, more, strict=True))
    return one, two, three


def _less(values: PerPhase, less: PerPhase) -> PerPhase:
    return _sum(values, _times(less, (-1.0, -1.0, -1.0)))


def _turned(
    into: PerPhase, out: PerPhase, factors: PerPhase
) -> tuple[PerPhase, PerPhase]:
    """Return what is counted as import and as export."""
    seen_in = [a if f >= 0 else b for a, b, f in zip(into, out, factors, strict=True)]
    seen_out = [b if f >= 0 else a for a, b, f in zip(into, out, factors, strict=True)]
    one, two, three = map(abs, factors)
    return (
        _times((seen_in[0], seen_in[1], seen_in[2]), (one, two, three)),
        _times((seen_out[0], seen_out[1], seen_out[2]), (one, two, three)),
    )


WIRING: dict[Any, Any] = {
    vol.Optional("sign"): vol.In((1, -1)),
    vol.Optional("inverted"): LINE_PHASES,
    vol.Optional("lost"): LINE_PHASES,
    vol.Optional("phase_order"): vol.All([phase], vol.Length(min=3, max=3), different),
    vol.Optional("ratio"): POSITIVE,
    vol.Optional("frozen_energy"): bool,
}
"""The keys of a wiring, in a site file and in a command; what is left out is right."""


def read_wiring(given: Mapping[str, Any]) -> Wiring:
    """Return the wiring that checked keys describe, of which some may be others' keys."""
    return Wiring(**{str(key): given[key] for key in WIRING if key in given})

"""Meter values of charge points, brought to one meaning: A, W, Wh, V, % and °C, per phase of the charge point.

Chargers differ: prefixed units, units left out, sums where a phase is meant, phases named in three ways, values that
are no numbers. What cannot be understood is absent (S2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
import re

from ..energy_management.model import PartPerPhase, Supply
from . import fields
from .model import NOMINAL_VOLTAGE_V

_PHASES = {"L1": 0, "L1-N": 0, "L2": 1, "L2-N": 1, "L3": 2, "L3-N": 2}

_IGNORED_LOCATIONS = frozenset({"inlet", "ev", "upstream"})

_FACTORS = {
    "": 1.0, "w": 1.0, "kw": 1000.0, "va": 1.0, "kva": 1000.0, "wh": 1.0, "kwh": 1000.0, "a": 1.0, "ma": 0.001,
    "watt": 1.0, "amp": 1.0, "amps": 1.0, "ampere": 1.0, "volt": 1.0, "v": 1.0, "mv": 0.001, "kv": 1000.0, "percent": 1.0, "%": 1.0, "celsius": 1.0, "celcius": 1.0, "c": 1.0,
}  # fmt: skip
_KELVIN, _FAHRENHEIT = frozenset({"k", "kelvin"}), frozenset({"fahrenheit", "f"})
_ZERO_CELSIUS_K = 273.15

_LIMITS = {
    "Current.Import": 2000.0,
    "Current.Offered": 2000.0,
    "Power.Active.Import": 2e6,
    "Power.Offered": 2e6,
    "Voltage": 1500.0,
    "SoC": 100.0,
    "Temperature": 200.0,
    "Energy.Active.Import.Register": 1e12,
}
"""Magnitudes above these are no measurement; also the measurands that are read at all."""

_SUM_TOLERANCE = 0.2
_DRAWING_A = 1.0
_REVERSED_A, _REVERSED_W = -1.0, -250.0
"""Below these a charge point would feed the grid: its current transformers are the wrong way round (S2)."""
_LINE_TO_LINE_V = 300.0
"""A voltage above is between two phases."""
_GAP = re.compile(r"(?<=\d)[ \u00a0\u202f](?=\d{3}(?!\d))")
_DECIMAL_COMMA = re.compile(r"\s*([+-]?\d*),(\d{1,2}|\d{4,})\s*")
"""Three digits behind a comma may also be thousands, and are nothing that can be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one set of sampled values says; what it does not say is None."""

    current_a: PartPerPhase | None = None
    power_w: float | None = None
    voltage_v: float | None = None
    energy_wh: float | None = None
    energy_begin_wh: float | None = None
    """The register at the beginning of the transaction, where it is given."""
    soc_pct: float | None = None
    current_offered_a: float | None = None
    power_offered_w: float | None = None
    temperature_c: float | None = None

    @property
    def drawing_phases(self) -> int | None:
        """Number of phases with more than 1 A; None if no current is known or none flows."""
        if self.current_a is None:
            return None
        return (
            sum(
                1
                for value in self.current_a
                if value is not None and value > _DRAWING_A
            )
            or None
        )


def gathered(
    values: Iterable[Mapping[str, object]],
) -> list[Mapping[str, object]]:
    """Return meter values in their order, those of one moment as one: some send each sampled value in one of its own."""
    sets: dict[object, list[Mapping[str, object]]] = {}
    for value in values:
        samples = sets.setdefault(fields.text(value, "timestamp"), [])
        samples += fields.mappings(value, "sampledValue")
    return [
        {"timestamp": timestamp, "sampledValue": samples}
        for timestamp, samples in sets.items()
    ]


type _Values = dict[int | None, float]
"""By phase index; None for the total."""


def read(
    samples: Iterable[Mapping[str, object]], *, supply: Supply, phases: int
) -> Measured:
    """Return the meaning of sampled values of OCPP 1.6 or 2.x.

    `phases` is the number of phases that the connector is wired with: a phase within it that is not reported is
    unknown, one outside it carries nothing.
    """
    values: dict[str, _Values] = {}
    begin_wh: float | None = None
    for sample in samples:
        measurand = fields.text(sample, "measurand") or "Energy.Active.Import.Register"
        value = _value(measurand, sample)
        location = (fields.text(sample, "location") or "").lower()
        if value is None or (location in _IGNORED_LOCATIONS and measurand != "SoC"):
            continue
        phase = (fields.text(sample, "phase") or "").upper() or None
        if phase is not None and phase not in _PHASES:
            continue
        context = fields.text(sample, "context")
        if (
            measurand == "Energy.Active.Import.Register"
            and context == "Transaction.Begin"
        ):
            begin_wh = value if phase is None else begin_wh
            continue
        if context == "Trigger" and value == 0:
            # Some chargers answer a trigger with zeros while they charge.
            continue
        values.setdefault(measurand, {})[None if phase is None else _PHASES[phase]] = (
            value
        )
    power_w = _total(values.get("Power.Active.Import"))
    voltage_v = _mean(values.get("Voltage"))
    current_a: PartPerPhase | None = None
    currents = values.get("Current.Import")
    if power_w is not None and power_w < _REVERSED_W:
        power_w = None
    if supply is Supply.AC:
        if voltage_v is not None and voltage_v > _LINE_TO_LINE_V:
            voltage_v /= sqrt(3.0)
        current_a = _currents(currents, phases, power_w, voltage_v)
    elif power_w is None and voltage_v is not None and currents and None in currents:
        power_w = voltage_v * currents[None]
    return Measured(
        current_a=current_a,
        power_w=power_w,
        voltage_v=voltage_v,
        energy_wh=_total(values.get("Energy.Active.Import.Register")),
        energy_begin_wh=begin_wh,
        soc_pct=_total(values.get("SoC")),
        current_offered_a=_largest(values.get("Current.Offered")),
        power_offered_w=_total(values.get("Power.Offered")),
        temperature_c=_largest(values.get("Temperature")),
    )


def _value(measurand: str, sample: Mapping[str, object]) -> float | None:
    """Return a sample in base units; None if it is no number, unknown or impossible."""
    limit = _LIMITS.get(measurand)
    value = _number(sample.get("value"))
    if limit is None or value is None or sample.get("format") == "SignedData":
        return None
    nested = fields.mapping(sample, "unitOfMeasure")
    unit = (fields.text(nested, "unit") or fields.text(sample, "unit") or "").lower()
    exponent = fields.integer(nested, "multiplier") or 0
    if abs(exponent) > 9:
        return None
    value *= 10.0**exponent
    if unit in _KELVIN:
        value -= _ZERO_CELSIUS_K
    elif unit in _FAHRENHEIT:
        value = (value - 32.0) / 1.8
    elif unit in _FACTORS:
        value *= _FACTORS[unit]
    else:
        return None
    return value if abs(value) <= limit else None


def _number(value: object) -> float | None:
    """Return a number, also with a decimal comma or with gaps between thousands."""
    if isinstance(value, str):
        value = _GAP.sub("", value)
        if (comma := _DECIMAL_COMMA.fullmatch(value)) is not None:
            value = ".".join(comma.groups())
    return fields.number(value)


def _total(values: _Values | None) -> float | None:
    """Return the total that was given, else the sum of the phases."""
    if not values:
        return None
    return values[None] if None in values else sum(values.values())


def _largest(values: _Values | None) -> float | None:
    return max(values.values()) if values else None


def _mean(values: _Values | None) -> float | None:
    """Return the total that was given, else the mean of the phases that have voltage."""
    if not values:
        return None
    if None in values:
        return values[None]
    alive = [value for value in values.values() if value > 0]
    return sum(alive) / len(alive) if alive else 0.0


def _currents(
    values: _Values | None, phases: int, power_w: float | None, voltage_v: float | None
) -> PartPerPhase | None:
    """Return the current of each phase of the charge point."""
    if not values:
        return None
    per_phase = {phase: value for phase, value in values.items() if phase is not None}
    if not per_phase:
        # One value without a phase is the current of each phase, or with some chargers the sum: the power tells.
        each_a = values[None]
        volts = voltage_v or NOMINAL_VOLTAGE_V
        if phases > 1 and power_w is not None and each_a > _DRAWING_A:
            if abs(power_w - volts * each_a) <= _SUM_TOLERANCE * power_w:
                each_a /= phases
        per_phase = dict.fromkeys(range(phases), each_a)
    reversed_ones = {n for n, each in per_phase.items() if each < _REVERSED_A}
    elsewhere = [per_phase.pop(n) for n in range(phases, 3) if n in per_phase]
    if phases == 1:
        # Some name the one phase as that of the grid.
        per_phase[0] = max([*per_phase.values(), *elsewhere])
        reversed_ones = {0} if reversed_ones else set()
    elif any(each > _DRAWING_A for each in elsewhere):
        # Which of its phases that is cannot be told.
        per_phase.clear()
    for phase in reversed_ones:
        per_phase.pop(phase, None)
    l1, l2, l3 = (
        per_phase.get(index, None if index < phases else 0.0) for index in range(3)
    )
    return (l1, l2, l3)

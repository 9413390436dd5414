"""What a charge point measures, in the words of OCPP."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from .car import Supply
from .load import PerPhase
from .outlets import Outlet
from .quirks import Quirks

_DC_VOLTAGE_V = 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sampled value."""

    measurand: str
    value: float
    unit: str
    phase: str | None = None
    location: str = "Outlet"
    digits: int = 1


type _Meter = Callable[[Outlet, PerPhase], list[Sample]]


def _energy(outlet: Outlet, voltage_v: PerPhase) -> list[Sample]:
    return [
        Sample(
            measurand="Energy.Active.Import.Register",
            value=outlet.connector.energy_wh,
            unit="Wh",
            digits=0,
        )
    ]


def _power(outlet: Outlet, voltage_v: PerPhase) -> list[Sample]:
    power_w = outlet.connector.output_w(voltage_v)
    if outlet.reports_a >= 0:
        power_w = outlet.reports_a * sum(voltage_v[: outlet.wiring.phases])
    return [Sample(measurand="Power.Active.Import", value=power_w, unit="W")]


def _current(outlet: Outlet, voltage_v: PerPhase) -> list[Sample]:
    connector = outlet.connector
    if connector.supply is Supply.DC:
        return [
            Sample(
                measurand="Current.Import",
                value=connector.power_w / _DC_VOLTAGE_V,
                unit="A",
                digits=2,
            )
        ]
    return [
        Sample(
            measurand="Current.Import",
            value=current_a if outlet.reports_a < 0 else outlet.reports_a,
            unit="A",
            phase=f"L{index}",
            digits=2,
        )
        for index, current_a in enumerate(
            connector.own_current_a[: outlet.wiring.phases], 1
        )
    ]


def _voltage(outlet: Outlet, voltage_v: PerPhase) -> list[Sample]:
    connector = outlet.connector
    if connector.supply is Supply.DC:
        return [Sample(measurand="Voltage", value=_DC_VOLTAGE_V, unit="V")]
    return [
        Sample(
            measurand="Voltage", value=voltage_v[line], unit="V", phase=f"L{index}-N"
        )
        for index, line in enumerate(connector.line_phases, 1)
    ]


def _current_offered(outlet: Outlet, voltage_v: PerPhase) -> list[Sample]:
    connector = outlet.connector
    if connector.supply is Supply.DC:
        return [
            Sample(
                measurand="Current.Offered",
                value=connector.limit_w / _DC_VOLTAGE_V,
                unit="A",
            )
        ]
    return [
        Sample(
            measurand="Current.Offered",
            value=connector.limit_a if connector.offers else 0.0,
            unit="A",
        )
    ]


def _power_offered(outlet: Outlet, voltage_v: PerPhase) -> list[Sample]:
    connector = outlet.connector
    offered_w = (
        connector.limit_w
        if connector.supply is Supply.DC
        else connector.limit_a * sum(voltage_v[line] for line in connector.line_phases)
    )
    return [
        Sample(
            measurand="Power.Offered",
            value=offered_w if connector.offers else 0.0,
            unit="W",
        )
    ]


def _soc(outlet: Outlet, voltage_v: PerPhase) -> list[Sample]:
    car = outlet.connector.car
    # On AC the charge point does not learn it.
    if car is None or outlet.connector.supply is Supply.AC:
        return []
    return [
        Sample(
            measurand="SoC",
            value=100.0 * car.soc,
            unit="Percent",
            location="EV",
            digits=0,
        )
    ]


_METERS: dict[str, _Meter] = {
    "Energy.Active.Import.Register": _energy,
    "Power.Active.Import": _power,
    "Current.Import": _current,
    "Voltage": _voltage,
    "Current.Offered": _current_offered,
    "Power.Offered": _power_offered,
    "SoC": _soc,
}

_FLOWS = frozenset({"Current.Import", "Power.Active.Import"})

MEASURANDS = frozenset(_METERS)
"""What the simulated charge points can measure."""


def measure(
    outlet: Outlet, names: Iterable[str], voltage_v: PerPhase, quirks: Quirks
) -> list[Sample]:
    """Return the present values of some measurands.

    Args:
        outlet: whose.
        names: of measurands; unknown ones are left out.
        voltage_v: of the grid's phases.
        quirks: what is wrong with the values.
    """
    samples = [
        sample
        for name in names
        if name in _METERS
        for sample in _METERS[name](outlet, voltage_v)
    ]
    if quirks.reports_zero:
        samples = [
            replace(sample, value=0.0) if sample.measurand in _FLOWS else sample
            for sample in samples
        ]
    if not quirks.current_as_sum:
        return samples
    currents = [
        sample.value for sample in samples if sample.measurand == "Current.Import"
    ]
    rest = [sample for sample in samples if sample.measurand != "Current.Import"]
    return [
        *rest,
        Sample(measurand="Current.Import", value=sum(currents), unit="A", digits=2),
    ]

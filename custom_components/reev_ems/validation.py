"""Checks of what a person enters, before it is saved; pure functions over the words of the energy management."""

from collections.abc import Mapping
from dataclasses import dataclass
import math
import re

from .energy_management.model import (
    PHASES,
    Circuit,
    Connector,
    FailsafeAction,
    Phase,
    Site,
    Supply,
)

# IEC 61851-1: below 6 A a car does not charge, so no circuit below it can ever serve a connector.
MINIMUM_LIMIT_A = 6.0

# OCPP 2.0.1 part 4, section 3.1.1: what an identity may consist of; 1.6 allows no more in a URL.
_CHARGE_POINT_ID = re.compile(r"[A-Za-z0-9*\-_=:+|@.]{1,48}")

# Sums of floats must not turn an exactly full circuit into an overloaded one.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorExcess:
    """A limit that the floors below it and the known load exceed (S9)."""

    circuit: str
    phase: Phase | None
    """None: the power limit."""
    excess: float
    """A of the phase, or W of the power limit."""


def limit_error(limit_a: float) -> str | None:
    """Return the error key of a current limit that no car could charge below, in A."""
    if not math.isfinite(limit_a) or limit_a <= 0:
        return "limit_not_positive"
    if limit_a < MINIMUM_LIMIT_A:
        return "limit_below_minimum"
    return None


def power_limit_error(limit_w: float, voltage_v: float) -> str | None:
    """Return the error key of a power limit that no car could charge below, in W."""
    if not math.isfinite(limit_w) or limit_w <= 0:
        return "limit_not_positive"
    if limit_w < MINIMUM_LIMIT_A * voltage_v:
        return "power_limit_below_minimum"
    return None


def is_charge_point_id(text: str) -> bool:
    """Return whether a text can be the identity at the end of a charge point's URL."""
    return _CHARGE_POINT_ID.fullmatch(text) is not None


def is_below(parents: Mapping[str, str | None], circuit: str, top: str) -> bool:
    """Return whether a circuit is `top` itself or lies below it, in a tree given as child to parent."""
    seen = set()
    current: str | None = circuit
    while current is not None and current not in seen:
        if current == top:
            return True
        seen.add(current)
        current = parents.get(current)
    return False


def floors_over_limit(site: Site) -> tuple[FloorExcess, ...]:
    """Return every limit that could not hold if all charge points fell to their floor (S9).

    Known load is what unmetered circuits are said to carry; what a meter sees is not known beforehand.
    """
    parents = {circuit.id: circuit.parent for circuit in site.circuits}
    excesses = []
    for circuit in site.circuits:
        floors = [
            _floor(connector, site)
            for connector in site.connectors
            if is_below(parents, connector.circuit, circuit.id)
        ]
        reserves = [
            _reserve(other)
            for other in site.circuits
            if is_below(parents, other.id, circuit.id)
        ]
        loads = [sum(values) for values in zip(*floors, *reserves, strict=True)]
        if circuit.limit_a is not None:
            excesses += [
                FloorExcess(circuit=circuit.id, phase=phase, excess=load - limit)
                for phase, load, limit in zip(
                    PHASES, loads, circuit.limit_a, strict=True
                )
                if load > limit + _TOLERANCE
            ]
        if circuit.limit_w is not None:
            excess_w = (
                sum(
                    _floor_w(connector, site)
                    for connector in site.connectors
                    if is_below(parents, connector.circuit, circuit.id)
                )
                + sum(sum(values) for values in reserves) * site.voltage_v
                - circuit.limit_w
            )
            if excess_w > _TOLERANCE:
                excesses.append(
                    FloorExcess(circuit=circuit.id, phase=None, excess=excess_w)
                )
    return tuple(excesses)


def _reserve(circuit: Circuit) -> tuple[float, float, float]:
    """Return the load that a circuit without a meter is said to carry, in A."""
    return (0.0, 0.0, 0.0) if circuit.metered else circuit.reserve_a


def _floor(connector: Connector, site: Site) -> tuple[float, float, float]:
    """Return what a connector's floor draws from L1 to L3, in A; unknown phases count on each (S2)."""
    if connector.supply is Supply.DC:
        current_a = _floor_w(connector, site) / len(PHASES) / site.voltage_v
        return current_a, current_a, current_a
    current_a = _floor_a(site)
    l1, l2, l3 = (
        current_a if connector.phases is None or phase in connector.phases else 0.0
        for phase in PHASES
    )
    return l1, l2, l3


def _floor_w(connector: Connector, site: Site) -> float:
    """Return what a connector's floor draws from the grid, in W."""
    if connector.supply is Supply.AC:
        count = len(connector.phases) if connector.phases else connector.phase_count
        return _floor_a(site) * site.voltage_v * count
    if site.settings.failsafe is FailsafeAction.STOP:
        return 0.0
    return connector.min_w / connector.efficiency


def _floor_a(site: Site) -> float:
    """Return the floor of an AC connector, in A per phase."""
    if site.settings.failsafe is FailsafeAction.STOP:
        return 0.0
    return site.settings.failsafe_a

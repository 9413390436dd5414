"""What a studied site is made of, before anything moves: values that the YAML file, a seed or a fault fills.

Currents in A per phase, powers in W, times in s from the beginning of the study. Phases are 0, 1, 2 for L1, L2, L3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

VOLTAGE_V = 230.0
"""The voltage of every phase, always: what is studied are currents."""

PATIENT = 1_000_000
"""Pauses that no car lives to see."""

type PerPhase = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlan:
    """A meter, and how it fails to tell the truth of this very second."""

    poll_s: int = 1
    lag_s: int = 1
    """How far its registers are behind."""
    noise_a: float = 0.05
    """Standard deviation of each reading."""
    resolution_a: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class HousePlan:
    """What a circuit carries besides charge points."""

    kind: str = "constant"
    """A day curve of `house.KINDS`."""
    level_a: PerPhase = (1.0, 1.0, 1.0)
    """Highest hourly mean per phase (`constant`: the value)."""
    kettles_per_h: float = 0.0
    """9 A on one phase for 2 to 4 min, in the waking hours."""
    heat_pump_a: float = 0.0
    """On three phases, about 15 min of 45, each start with an inrush."""
    inrush_a: float = 0.0
    """Further current in the first second of a heat pump's start."""
    flicker_a: float = 0.2
    """Standard deviation from second to second."""
    most_a: PerPhase | None = None
    """Nothing goes above this: a base load that exceeds the limit by itself says nothing about who shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitPlan:
    """A node of the tree of limits."""

    id: str
    parent: str | None = None
    limit_a: PerPhase | None = None
    breaker: str | None = "B"
    """A key of `breakers.KINDS`; None: nothing trips."""
    meter: MeterPlan | None = None
    house: HousePlan | None = None
    reserve_a: PerPhase = (0.0, 0.0, 0.0)
    """What the energy management is told to keep free where there is no meter."""
    told: dict[str, Any] = field(default_factory=dict)
    """More of the run format's fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerPlan:
    """How a charge point behaves between the command and the car."""

    latency_s: float = 0.5
    """From a command on the wire to the limit at the outlet."""
    report_s: int = 10
    """Between two reports; a change of state is told at once."""
    report_at_s: int = 0
    """Offset of its reports."""
    reports: str = "current"
    """`current`, `power` or `nothing`."""
    gain: float = 1.0
    """Its own meter's error."""
    autonomous_fallback: bool = True
    """Whether a permit that is not renewed falls to the floor by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletPlan:
    """A connector of a charge point; AC in A, DC in W."""

    id: str
    circuit: str
    dc: bool = False
    phases: tuple[int, ...] = (0, 1, 2)
    """Line phase of each of its own phases."""
    least: float = 6.0
    most: float = 16.0
    step: float = 0.1
    efficiency: float = 0.95
    floor: float = 6.0
    """What it falls back to by itself; 0: it stops."""
    mode: str = "fast"
    priority: int = 5
    charger: ChargerPlan = ChargerPlan()
    told: dict[str, Any] = field(default_factory=dict, hash=False)
    """More of the run format's fields, for instance `can_switch_phases`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarPlan:
    """A car and what it came for."""

    need_wh: float
    phases: int = 3
    """How many of the outlet's phases it uses, from the first one on; of no meaning on DC."""
    most: float = 16.0
    """A per phase on AC, W on DC."""
    ramp_s: float = 4.0
    """From nothing to its maximum and back: cars have 5 s to follow (IEC 61851-1)."""
    start_s: float = 8.0
    """From an offer to its first current."""
    wake_s: float = 15.0
    """The same after a pause."""
    below_a: float = 0.3
    """It draws this much less than it is offered, as on-board chargers do."""
    taper_wh: float = 1500.0
    """It asks for less and less while this is missing."""
    one_phase_wh: float = 0.0
    """With less than this missing it goes on with one phase; 0: it does not."""
    pauses: int = PATIENT
    """After so many it gives up until it is plugged in anew."""
    wake_every_s: float = 0.0
    """How often it wants 6 A for a while when it is full; 0: never."""
    wake_for_s: float = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPlan:
    """A car at an outlet."""

    outlet: str
    from_s: int
    to_s: int
    car: CarPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class SunPlan:
    """PV at the grid connection, the same on three phases."""

    peak_w: float
    clouds: float = 0.5
    """Share of the time under broken clouds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryPlan:
    """A home battery at the grid connection that keeps it near zero."""

    capacity_wh: float
    max_w: float
    soc: float = 0.5
    response_s: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePlan:
    """One site for one study."""

    name: str
    hours: float
    start_h: float
    """Time of the day at which it begins."""
    seed: int
    circuits: tuple[CircuitPlan, ...]
    """The grid connection first, parents before children."""
    outlets: tuple[OutletPlan, ...]
    visits: tuple[VisitPlan, ...]
    imbalance_a: float | None = None
    sun: SunPlan | None = None
    battery: BatteryPlan | None = None
    external_w: tuple[tuple[int, float | None], ...] = ()
    """From when on which limit holds for all charge points together."""
    told: dict[str, Any] = field(default_factory=dict)
    """More of the run format's site, for instance `margin_a` or `settings`."""

    @property
    def seconds(self) -> int:
        """How long the study lasts."""
        return round(self.hours * 3600)

"""The site as configured: circuits, connectors and the settings of the rules.

Everything here is frozen and holds no measured value (see observation.py). Currents are in A per phase, powers
in W, positive for consumption. A change of configuration, a priority moved by an automation included, is a new Site.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from .frozen import frozen

type PerPhase = tuple[float, float, float]
"""Values of L1, L2, L3, in that order."""

type PartPerPhase = tuple[float | None, float | None, float | None]
"""Values of L1, L2, L3; an unknown one is None, never zero (S2)."""


class Phase(StrEnum):
    """A phase of the grid connection."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


PHASES = (Phase.L1, Phase.L2, Phase.L3)


class Supply(StrEnum):
    """How a connector feeds the car: AC is controlled in A per phase, DC in W."""

    AC = "ac"
    DC = "dc"


class ChargingMode(StrEnum):
    """What a connector may charge from."""

    AUTOMATIC = "automatic"
    """As `Connector.automatic_mode` says while the PV switch of the site or of one of its circuits is on, else fast."""
    FAST = "fast"
    SOLAR_MIN = "solar_min"
    """The minimum always, more from surplus."""
    SOLAR = "solar"
    """Surplus only."""
    OFF = "off"


class SharingPolicy(StrEnum):
    """What priorities decide."""

    EQUAL = "equal"
    """Admission only; all admitted share alike."""
    PRIORITY = "priority"
    """Everybody's minimum first, then by class."""
    STRICT = "strict"
    """A higher class is filled before a lower one gets anything."""


class FailsafeAction(StrEnum):
    """What a charge point falls back to when nobody steers it."""

    MINIMUM = "minimum"
    STOP = "stop"


@frozen
class Circuit:
    """A node of the tree of limits; the one without a parent is the grid connection."""

    id: str
    parent: str | None = None
    limit_a: PerPhase | None = None
    limit_w: float | None = None
    metered: bool = False
    """Whether a meter measures this circuit; if not, `reserve_a` stands for its base load."""
    reserve_a: PerPhase = (0.0, 0.0, 0.0)
    follows_pv: bool = False
    """The PV switch of this group: connectors below it in mode `automatic` follow the surplus."""
    own_pv: bool = False
    """Whether its meter sees PV of its own: its connectors then take no more than the surplus there."""
    hard_limit: bool = False
    """Whether its limit is never exceeded for a moment, also where a breaker would bear it."""
    generation: bool | None = None
    """Whether something below it feeds in, so that its meter may show less than the cars draw; None: nobody said."""


@frozen
class Connector:
    """An outlet that is limited: an OCPP 1.6 connector, or the connector of a 2.0.1 EVSE."""

    id: str
    circuit: str
    supply: Supply = Supply.AC
    phases: tuple[Phase, ...] | None = PHASES
    """Line phases it is wired to, in the order of its own phases; None: unknown, counts on every phase."""
    phase_count: int = 3
    """How many phases it uses where `phases` is unknown."""
    min_a: float = 6.0
    max_a: float = 16.0
    min_w: float = 5000.0
    max_w: float = 50000.0
    efficiency: float = 0.95
    """DC only: output power over AC input power."""
    step_a: float = 0.1
    step_w: float = 100.0
    priority: int = 5
    weight: float = 1.0
    mode: ChargingMode = ChargingMode.FAST
    automatic_mode: ChargingMode = ChargingMode.SOLAR
    """What mode `automatic` means while a PV switch is on: `solar` or `solar_min`."""
    obeys_pause: bool = True
    """Whether a permit of 0 keeps its car from charging; if not, a pause ends the transaction."""
    can_switch_phases: bool = False
    """Whether it may be given one phase instead of three (its first line phase remains)."""
    autonomous_fallback: bool = True
    """Whether it proved that it falls to its floor by itself; if not it counts at its maximum when offline (S7)."""


@frozen
class UserGroup:
    """A limit for all connectors together on which members of a group of users charge; None: no such limit."""

    id: str
    limit_a: PerPhase | None = None
    limit_w: float | None = None


@frozen
class ImbalanceLimit:
    """The phase imbalance limit: largest difference between two phases of the grid connection, in A."""

    limit_a: float = 20.0


@frozen
class Settings:
    """Every timing and threshold of the rules (docs/settings.md)."""

    meter_hold_s: float = 5.0
    """Meter age above which nothing below its circuit is raised (S3)."""
    meter_timeout_s: float = 15.0
    """Meter age above which its circuit's connectors go to the failsafe (S3)."""
    recovery_s: float = 10.0
    """Fresh readings for this long end the failsafe."""
    recovery_raise_s: float = 30.0
    """Fresh readings for this long allow raises again after a failsafe."""
    failsafe: FailsafeAction = FailsafeAction.MINIMUM
    failsafe_a: float = 6.0
    raise_interval_s: float = 15.0
    raise_step_a: float = 1.0
    raise_small_after_s: float = 75.0
    """A raise below `raise_step_a` is given once its room has stood for this long."""
    settle_s: float = 15.0
    settle_band_a: float = 0.5
    settle_below_a: float = 1.0
    disobedient_a: float = 1.0
    disobedient_s: float = 15.0
    follow_s: float = 8.0
    """How long a car may take to follow a lower permit: the command's way, and 5 s for the car (IEC 61851-1)."""
    align_s: float = 16.0
    """Readings of meters and charge points may be this far apart in time and still be of the same moment."""
    meter_lag_s: float = 15.0
    """How far the readings of meters may be behind the moment that they are said to be of."""
    reading_timeout_s: float = 60.0
    """Age above which a charge point's own measurement is no longer one (S2)."""
    resend_s: float = 15.0
    """How often a permit is sent again to a charge point that has not accepted it."""
    profile_life_s: float = 300.0
    paused_profile_life_s: float = 900.0
    """Life of a permit at or below the floor: falling back from it needs no haste (S5)."""
    rotation_slot_s: float = 3600.0
    max_pauses: int = 3
    """Pauses for lack of room per session, after which a car keeps its minimum before those with fewer: some cars
    give up after three (evcc/optimizer#144)."""
    sleep_after_s: float = 30.0
    """A car that draws nothing of its offer for so long sleeps."""
    sleep_offer_s: float = 300.0
    """How long a sleeping car keeps its offer while others want it."""
    overload_wait_s: float = 4.0
    """So long an overload that the breaker bears is waited out at the most, before anybody is stopped."""
    overload_s: float = 10.0
    """A circuit measured above its limit for so long is overloaded (S13)."""
    stop_after_s: float = 20.0
    """From then on transactions are stopped, where permits do not help (S13)."""
    restore_s: float = 300.0
    """Room has to stand for so long before the measures against an overload are undone."""
    may_stop_transactions: bool = True
    may_make_inoperative: bool = True
    test_meters: bool = True
    """Whether meters are put to the test by what cars do (S14); if not, they are believed, and late by `meter_lag_s`."""
    min_on_s: float = 300.0
    min_off_s: float = 60.0
    """Pause after the sun went; the stop delay limits the switching already."""
    pv_start_delay_s: float = 60.0
    pv_stop_delay_s: float = 180.0
    pv_start_threshold_w: float = 0.0
    """Surplus above the connector's minimum power that starts it."""
    pv_stop_threshold_w: float = 0.0
    """Grid import that stops it."""
    pv_reserve_w: float = 0.0
    """Surplus that is left for others."""
    pv_per_phase: bool = False
    """Whether surplus counts per phase; by default it is netted over the phases as meters are."""
    imbalance_hold_s: float = 10.0
    phase_switch_w: float = 200.0
    phase_switch_s: float = 600.0
    battery_priority_soc_pct: float | None = None
    """Below this state of charge the home battery goes before the cars; None: the cars always go first."""


@frozen
class Site:
    """One grid connection with all below it."""

    circuits: tuple[Circuit, ...]
    connectors: tuple[Connector, ...] = ()
    user_groups: tuple[UserGroup, ...] = ()
    """Those with a limit."""
    sharing: SharingPolicy = SharingPolicy.PRIORITY
    voltage_v: float = 230.0
    margin_a: float = 0.0
    """Left free on every phase of every circuit."""
    load_management: bool = True
    """Off: the connectors are held at the failsafe, since nobody looks after the limits."""
    pv_surplus: bool = False
    """The site's PV switch: connectors in mode `automatic` follow the surplus at the grid connection."""
    imbalance: ImbalanceLimit | None = field(default_factory=ImbalanceLimit)
    settings: Settings = field(default_factory=Settings)

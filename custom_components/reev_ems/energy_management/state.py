"""What the controller remembers from one step to the next.

All of it is explicit, frozen and plain, so that it goes to JSON and back without loss and every decision can be
replayed. Times are on the clock of `Observation.at_s` as long as that clock never runs backwards (see
`ControllerState.shift_s`).
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from .decision import Limit
from .frozen import frozen
from .observation import ConnectorState
from .truth_memory import Witness
from .vectors import PartVector, Vector


@frozen
class Report:
    """The bounds of what a charge point reported within a few seconds; they hold until the next report."""

    from_s: float
    low: Vector
    high: Vector


@frozen
class Left:
    """A higher permit that was left; the car may still be drawing by it."""

    value: float
    until_s: float


@frozen
class Permit:
    """The permit that was last commanded, in the connector's own unit: A (AC) or W (DC)."""

    value: float
    set_s: float
    expires_s: float | None
    """When it lapses to the floor by itself; None: it is the floor."""
    raised_s: float | None = None
    lowered_s: float | None = None
    left: tuple[Left, ...] = ()
    """The higher ones that it was lowered from lately; the car needs a moment to follow each time."""
    sent_s: float | None = None
    """When it was last put into a command; None: never."""
    one_phase: bool = False
    """Whether that command was for one phase."""
    resent: int = 0
    """How often it was sent again because the charge point had accepted another."""


class SunPhase(StrEnum):
    """Where a connector in mode `solar` stands."""

    IDLE = "idle"
    ARMING = "arming"
    """There is surplus enough, for less than the start delay."""
    ON = "on"
    STOPPING = "stopping"
    """There is not enough, for less than the stop delay."""


@frozen
class Sun:
    """The hysteresis of PV charging of one connector."""

    phase: SunPhase = SunPhase.IDLE
    since_s: float = 0.0
    on_s: float | None = None
    """When it was last switched on."""
    off_s: float | None = None
    """When it was last switched off."""
    asked: bool = False
    """Whether it was switched on to learn how many phases its car uses."""


@frozen
class Draw:
    """What a connector draws, as its charge point reports it."""

    reported_s: float
    current_a: float
    """The highest of its phases."""
    reports: tuple[Report, ...]
    """Those of the last while, the oldest first."""
    steady_s: float
    """Since when it is steady."""
    steady_from_a: float
    steady_high_a: float


@frozen
class Pattern:
    """The own phases on which a car was seen to draw, before that is believed."""

    phases: tuple[int, ...]
    since_s: float


@frozen
class Room:
    """The least of the targets above the permit, since there is room for a raise."""

    since_s: float
    value: float


class Measure(StrEnum):
    """What was done about a connector that overloads a circuit (S13)."""

    STOP = "stop"
    INOPERATIVE = "inoperative"


@frozen
class ConnectorMemory:
    """What is remembered of a connector."""

    state: ConnectorState
    """The last one that was seen; `offline` only until it is seen for the first time."""
    state_s: float
    """Since when it is in this state."""
    away: bool = False
    """Whether it is offline: its draw is part of what a meter shows besides our connectors (S7)."""
    arrived_s: float
    """When the car was plugged in."""
    queued_s: float
    """Its place in the queue: when it came, or when its last turn ended."""
    permit: Permit
    draw: Draw | None = None
    guess: Vector | None = None
    """What it was taken to draw when it was first seen, or seen again, while it has not said it (S7)."""
    guess_s: float = 0.0
    draw_limit_a: float | None = None
    """What a settled car can make use of (S6); None: all it can get."""
    used: tuple[int, ...] | None = None
    """Which of its own phases the car uses, from 0; None: all of them, until it is seen."""
    pattern: Pattern | None = None
    sleeps_s: float | None = None
    """Since when it draws nothing of its offer; None: it does, or has no offer."""
    offered_s: float | None = None
    """Since when a sleeping car has its offer; None: it was withdrawn, or the car does not sleep."""
    withdrawn_s: float | None = None
    over_s: float | None = None
    """Since when it draws more than its permit."""
    obeyed_s: float | None = None
    """Since when a disobedient one keeps to its permit again."""
    disobedient: bool = False
    probed: bool = False
    """Whether it is held lower for a moment, to put a meter to the test (S14)."""
    room: Room | None = None
    taken_back: int = 0
    """How often lately a raise was taken back: the more often, the longer room has to stand."""
    taken_back_s: float | None = None
    on_s: float | None = None
    """When it was last given its minimum after nothing."""
    turn_s: float | None = None
    """When its turn began: it gives way after a slot, if somebody waits."""
    pauses: int = 0
    """How often it was paused for lack of room in this session."""
    lacks: Limit | None = None
    """The row that lacked the room for its minimum."""
    waits_s: float | None = None
    """Since when it has waited, for room and then to be raised."""
    sun: Sun | None = None
    one_phase: bool = False
    """Whether it charges on one phase instead of three."""
    switched_s: float | None = None
    """When it last changed its phases."""
    three_phase_room_s: float | None = None
    """Since when there is room for three phases again."""
    measure: Measure | None = None
    measure_s: float = 0.0
    """When that was last commanded."""


@frozen
class Bounds:
    """What the readings of a few seconds say about the base load."""

    from_s: float
    low: PartVector
    """The least of the lower bounds, by what the connectors are believed to draw at the most."""
    peak: PartVector
    """The largest of the lower bounds."""
    high: PartVector
    """The least of the upper bounds."""


@frozen
class BaseLoad:
    """What is known of a circuit's load besides our connectors (base_load.py)."""

    low: PartVector
    """The lower estimate: where less base load would be the danger."""
    high: PartVector
    """The upper estimate: where more would be."""
    since_s: float
    """When the first reading came."""
    over_s: float | None = None
    """Since when readings exceed a limit."""
    last_over_s: float | None = None
    """When one did last."""
    bounds: tuple[Bounds, ...] = ()
    peaks: tuple[Bounds, ...] = ()
    """The same for each of the last minutes."""


@frozen
class Cut:
    """Permits below a circuit that were lowered, and what its meter shows of it."""

    at_s: float
    """When the last of them was lowered."""
    since_s: float
    peak: PartVector
    """The highest readings since the first was."""
    fall_a: tuple[float, float, float]
    """By how much the readings should fall."""
    shown_s: float | None = None
    """When the meter showed it: by then the cars had followed."""


@frozen
class MeterMemory:
    """What is remembered of a metered circuit."""

    since_s: float
    """When it was first asked for."""
    sampled_s: float | None = None
    """When the last complete reading was taken."""
    interval_s: float = 0.0
    """How far its readings are apart, smoothed."""
    fresh_s: float | None = None
    """Since when readings come without a gap of the meter timeout."""
    failed: bool = False
    raise_from_s: float = 0.0
    """Raises are allowed from here on."""
    base: BaseLoad | None = None
    cut: Cut | None = None
    witness: Witness | None = None
    """What it showed of our own steps (S14)."""
    is_false: bool = False
    """Whether it contradicts them, so that it is not believed."""
    generates: bool = False
    """Whether it showed that something below it feeds in."""
    lag_s: float | None = None
    """How far its readings are behind at the most, learnt from our own steps; None: not yet."""
    heat: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How much of what a breaker bears has been used up, by phase; from 1 on nothing is waited out."""
    over_s: float | None = None
    """Since when it is measured above its limit."""
    room_s: float | None = None
    """Since when an overload has been over; None: it is not, or there was none."""


@frozen
class ControllerState:
    """All that `step` remembers; without arguments, the start."""

    now_s: float | None = None
    """Time of the last step."""
    shift_s: float = 0.0
    """What is added to `Observation.at_s` so that time never runs backwards."""
    raise_from_s: float = 0.0
    """Nothing on the site is raised before this."""
    meters: Mapping[str, MeterMemory] = field(default_factory=dict)
    connectors: Mapping[str, ConnectorMemory] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()
    """Circuits whose room somebody wants who would take it; "": that of the whole site."""
    yielded_s: float | None = None
    """When somebody last gave way to one who waits."""
    sun_started_s: float | None = None
    """When PV charging last started a connector."""
    skewed_s: Mapping[str, float] = field(default_factory=dict)
    """Since when a pair of phases ("L1 over L3") violates the imbalance limit."""
    battery_seen: bool = False
    house: BaseLoad | None = None
    """The grid connection without its home battery, where there is one; of its load only the power is known."""

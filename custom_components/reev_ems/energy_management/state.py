"""What the controller remembers from one step to the next.

All of it is explicit, frozen and plain, so that it goes to JSON and back without loss and every decision can be
replayed. Times are on the clock of `Observation.at_s` as long as that clock never runs backwards (see
`ControllerState.shift_s`).
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from .frozen import frozen
from .observation import ConnectorState

type Vector = tuple[float, float, float, float]
"""A on L1, L2 and L3, then the power of all in W, at the AC side."""

type PartVector = tuple[float | None, float | None, float | None, float | None]
"""The same where a part may be unknown."""

NOTHING: Vector = (0.0, 0.0, 0.0, 0.0)
UNKNOWN: PartVector = (None, None, None, None)


def most(first: Vector, second: Vector) -> Vector:
    """Return the larger of each part."""
    a1, a2, a3, a4 = first
    b1, b2, b3, b4 = second
    return (
        max(a1, b1),
        max(a2, b2),
        max(a3, b3),
        max(a4, b4),
    )


def least(first: Vector, second: Vector) -> Vector:
    """Return the smaller of each part."""
    a1, a2, a3, a4 = first
    b1, b2, b3, b4 = second
    return (
        min(a1, b1),
        min(a2, b2),
        min(a3, b3),
        min(a4, b4),
    )


def beyond(load: Vector, booked: Vector) -> Vector:
    """Return what a load takes beyond what is booked already."""
    return (
        max(0.0, load[0] - booked[0]),
        max(0.0, load[1] - booked[1]),
        max(0.0, load[2] - booked[2]),
        max(0.0, load[3] - booked[3]),
    )


@frozen
class Span:
    """The bounds of the reports that came within a few seconds; the last of them is true until the next span."""

    from_s: float
    low: Vector
    high: Vector


@frozen
class Draw:
    """What a connector draws, as its charge point reports it.

    A report bounds the draw from both sides: where the phase is not known, it may be on any.
    """

    reported_s: float
    low: Vector
    high: Vector
    current_a: float
    """The highest of its phases."""
    spans: tuple[Span, ...]
    """What it reported in the last while, the oldest first."""
    steady_s: float
    """Since when it is steady."""
    steady_from_a: float
    steady_high_a: float


@frozen
class Left:
    """A higher permit that was left."""

    value: float
    at_s: float


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


@frozen
class Guess:
    """What a connector is taken to draw that has not said it yet."""

    load: Vector = NOTHING
    since_s: float | None = None
    """Since when; None: it is away, and its draw part of the base load (S7)."""


@frozen
class ConnectorMemory:
    """What is remembered of a connector."""

    state: ConnectorState
    arrived_s: float
    """When the car was plugged in."""
    queued_s: float
    """Its place in the queue of the rotation: when it came, or when its last turn ended."""
    turns: int = 0
    """How many turns of the rotation it had; of those whose turns end together the least served goes first."""
    permit: Permit
    draw: Draw | None = None
    draw_limit_a: float | None = None
    """What a settled car can make use of (S6); None: all it can get."""
    over_s: float | None = None
    """Since when it draws more than its permit."""
    obeyed_s: float | None = None
    """Since when a disobedient one keeps to its permit again."""
    disobedient: bool = False
    guess: Guess | None = None
    """What it is taken to draw; None: it has said so since it was first seen, and since it was away."""
    room_s: float | None = None
    """Since when there is room for a raise."""
    on_s: float | None = None
    """When it was last given its minimum after nothing."""
    off_s: float | None = None
    """When it was last paused for lack of room."""
    sun: Sun | None = None
    one_phase: bool = False
    """Whether it charges on one phase instead of three."""
    switched_s: float | None = None
    """When it last changed its phases."""
    three_phase_room_s: float | None = None
    """Since when there is room for three phases again."""


@frozen
class Bounds:
    """What a meter said about the base load during one bucket of time."""

    bucket: int
    low: PartVector
    """The smallest lower bound of the base load."""
    high: PartVector
    """The largest upper bound by the reports of that time; later ones may show that it was higher."""
    peak: PartVector
    """The largest reading."""


@frozen
class Cut:
    """Permits below a circuit that were lowered and that its meter has not shown yet."""

    since_s: float
    reading: PartVector
    base: PartVector
    """The estimate of the base load when they were lowered."""
    fall_a: float = 0.0
    """By how much the reading should fall where it falls most."""


@frozen
class Still:
    """A reading that the meter has stayed at."""

    since_s: float
    reading: PartVector


@frozen
class MeterMemory:
    """What is remembered of a metered circuit."""

    since_s: float
    """When it was first asked for."""
    sampled_s: float | None = None
    """When the last complete reading was taken."""
    fresh_s: float | None = None
    """Since when readings come without a gap of the meter timeout."""
    failed: bool = False
    raise_from_s: float = 0.0
    """Raises are allowed from here on."""
    base: PartVector | None = None
    """The estimate of the base load."""
    proven: bool = False
    """Whether there were readings for long enough to tell it from our connectors' draw."""
    bounds: tuple[Bounds, ...] = ()
    cut: Cut | None = None
    still: Still | None = None


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
    slot_s: float | None = None
    """When the running slot of the rotation began; None: everybody fits."""
    sun_started_s: float | None = None
    """When PV charging last started a connector."""
    skewed_s: Mapping[str, float] = field(default_factory=dict)
    """Since when a pair of phases ("L1 over L3") violates the imbalance limit."""
    battery_seen: bool = False
    house: MeterMemory | None = None
    """The grid connection without its home battery, where there is one; of its load only the power is known."""

"""What the energy management decided, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final, override

from .frozen import frozen
from .model import PartPerPhase, PerPhase


class SiteState(StrEnum):
    """What the energy management is doing."""

    STARTING = "starting"
    """No complete picture yet: everything is held at the failsafe."""
    REGULATING = "regulating"
    HOLDING = "holding"
    """A meter is late: nothing is raised (S3)."""
    FAILSAFE = "failsafe"
    """A meter is silent: its circuit's connectors are at the failsafe (S3)."""
    OVERLOADED = "overloaded"
    """A circuit has been measured above its limit for a while (S13)."""
    OFF = "off"
    """Load management is switched off: every connector is at the failsafe."""


class LimitKind(StrEnum):
    """The kind of row or rule that bound a connector; the key of its translated text."""

    OWN_MAXIMUM = "own_maximum"
    CIRCUIT_PHASE = "circuit_phase"
    CIRCUIT_POWER = "circuit_power"
    PV_SURPLUS = "pv_surplus"
    PV_WAITING = "pv_waiting"
    PV_STOPPING = "pv_stopping"
    EXTERNAL_LIMIT = "external_limit"
    USER_GROUP = "user_group"
    IMBALANCE = "imbalance"
    METER_AGE = "meter_age"
    FAILSAFE = "failsafe"
    ROTATION = "rotation"
    MINIMUM_OFF_TIME = "minimum_off_time"
    RAISE_WAIT = "raise_wait"
    CAR_DRAWS_LESS = "car_draws_less"
    CAR_SLEEPS = "car_sleeps"
    """The car does not take its offer; one minimum is kept for all that sleep."""
    METER_DOUBT = "meter_doubt"
    """A meter contradicts what the cars do (S14)."""
    OVERLOAD = "overload"
    """A circuit is measured above its limit (S13)."""
    DISOBEDIENT = "disobedient"
    """It draws more than its permit (S8)."""
    MODE_OFF = "mode_off"
    SWITCHED_OFF = "switched_off"
    NOT_AUTHORIZED = "not_authorized"
    """The session's user may not charge."""
    NOT_CONNECTED = "not_connected"
    """No car is plugged in."""
    OFFLINE = "offline"
    GUARD = "guard"


@frozen
class Limit:
    """The row or rule that bound a connector."""

    kind: LimitKind
    circuit: str | None = None
    phase: str | None = None
    """"L1", or "L1 over L3" for the imbalance rows."""
    group: str | None = None
    """The group of users whose limit it is."""
    remaining_s: float | None = None

    @override
    def __str__(self) -> str:
        """Return the English text, as the case and run commands print it ("main, L1")."""
        group = f"user group {self.group}" if self.group else None
        parts = (self.circuit, group, self.phase)
        place = ", ".join(part for part in parts if part)
        match self.kind:
            case LimitKind.CIRCUIT_PHASE:
                return place
            case LimitKind.CIRCUIT_POWER:
                return f"{place}, power"
            case LimitKind.USER_GROUP:
                return place if self.phase else f"{place}, power"
            case LimitKind.METER_DOUBT:
                return f"meter of {place} contradicts the cars"
            case LimitKind.OVERLOAD:
                return f"{place} is overloaded"
            case LimitKind.IMBALANCE:
                return f"phase imbalance {self.phase}"
            case LimitKind.ROTATION if place:
                text = f"{place}, {_TEXTS[self.kind]}"
            case LimitKind.PV_SURPLUS | LimitKind.PV_WAITING | LimitKind.PV_STOPPING:
                text = _TEXTS[self.kind]
                if self.circuit:
                    text = f"{text} of {self.circuit}"
                if self.phase:
                    text = f"{text}, {self.phase}"
            case _:
                text = _TEXTS[self.kind]
        return text if self.remaining_s is None else f"{text}, {self.remaining_s:.0f} s"


_TEXTS: Final[Mapping[LimitKind, str]] = {
    LimitKind.OWN_MAXIMUM: "own maximum",
    LimitKind.PV_SURPLUS: "PV surplus",
    LimitKind.PV_WAITING: "waiting for PV surplus",
    LimitKind.PV_STOPPING: "stopping for lack of PV surplus",
    LimitKind.EXTERNAL_LIMIT: "external limit",
    LimitKind.METER_AGE: "waiting for fresh meter readings",
    LimitKind.FAILSAFE: "failsafe",
    LimitKind.ROTATION: "waiting for its turn",
    LimitKind.MINIMUM_OFF_TIME: "minimum pause",
    LimitKind.RAISE_WAIT: "waiting to be raised",
    LimitKind.CAR_DRAWS_LESS: "the car draws less",
    LimitKind.CAR_SLEEPS: "the car sleeps",
    LimitKind.DISOBEDIENT: "ignores limits",
    LimitKind.MODE_OFF: "charging mode off",
    LimitKind.SWITCHED_OFF: "charging switched off",
    LimitKind.NOT_AUTHORIZED: "the user may not charge",
    LimitKind.NOT_CONNECTED: "no car",
    LimitKind.OFFLINE: "charge point offline",
    LimitKind.GUARD: "final safety check",
}
"""Kinds that do not name their place alone."""


@frozen
class ConnectorDecision:
    """What one connector is allowed from now on."""

    permit_a: float | None
    """A per phase used (AC), 0: paused; None for DC."""
    permit_w: float | None
    """W (DC output), 0: paused; None for AC."""
    limited_by: Limit
    phase_count: int | None = None
    """Phases to charge with, only where the connector can switch phases."""
    used_phases: int | None = None
    """On how many of its own phases the car at it was seen to charge; None: not known yet."""


class Action(StrEnum):
    """What a command asks a charge point to do."""

    PERMIT = "permit"
    """A charging profile: the permit, and when it lapses to the floor by itself (S5)."""
    STOP = "stop"
    """End the transaction (S13)."""
    INOPERATIVE = "inoperative"
    """Take the connector out of service (S13)."""
    OPERATIVE = "operative"
    """Put it back into service."""


@frozen
class Command:
    """What has to go on the wire; only a permit has a value and a life."""

    connector: str
    action: Action = Action.PERMIT
    permit_a: float | None = None
    permit_w: float | None = None
    expires_s: float | None = None
    """On the clock of the observation's `at_s`; None: not a permit."""
    phase_count: int | None = None


class IssueKind(StrEnum):
    """Something that a person should know; the key of its translated text."""

    METER_SILENT = "meter_silent"
    BASE_LOAD_OVER_LIMIT = "base_load_over_limit"
    FLOORS_OVER_LIMIT = "floors_over_limit"
    DISOBEDIENT = "disobedient"
    IMBALANCE_RESIDUAL = "imbalance_residual"
    OVERLOADED = "overloaded"
    """A circuit is measured above its limit; `phase` is the worst one, `value` the A over it (S13)."""
    METER_CONTRADICTION = "meter_contradiction"
    """A meter contradicts what the cars do; `finding` says how (S14)."""
    NO_AUTONOMOUS_FALLBACK = "no_autonomous_fallback"


class Finding(StrEnum):
    """How a meter contradicts what our connectors do (S14); the phases concerned stand in `Issue.phase`."""

    REVERSED = "reversed"
    """The sign is wrong: of one phase (a transformer turned around), or of all."""
    LOST = "lost"
    """A phase shows nothing of what the cars draw there: its transformer or voltage tap is gone."""
    SWAPPED = "swapped"
    """Phases are exchanged ("L1 L2")."""
    RATIO = "ratio"
    """What it shows is a multiple of what the cars draw; `Issue.value` is the factor."""
    FROZEN = "frozen"
    """Its values stand still."""
    ELSEWHERE = "elsewhere"
    """It shows nothing of what the cars below its circuit do."""


@frozen
class Issue:
    """A finding with the circuit, phase or connector that it is about."""

    kind: IssueKind
    circuit: str | None = None
    phase: str | None = None
    connector: str | None = None
    value: float | None = None
    """A over the limit, or the age in s."""
    finding: Finding | None = None
    drawn_a: PerPhase | None = None
    """METER_CONTRADICTION: what the cars drew on each phase when it was found."""
    shown_a: PartPerPhase | None = None
    """What the meter showed then."""


@frozen
class CircuitDecision:
    """How a circuit stands, in A per phase."""

    base_a: PartPerPhase | None
    """Load besides our connectors; None: unknown."""
    booked_a: PerPhase
    """What its connectors are booked with."""
    available_a: PerPhase | None
    """limit − margin − base − booked; None: no limit or unknown base."""


@frozen
class Decision:
    """The answer to one observation."""

    at_s: float
    state: SiteState
    connectors: Mapping[str, ConnectorDecision] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    circuits: Mapping[str, CircuitDecision] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    surplus_w: float | None = None
    """PV surplus at the grid connection that connectors may use; None: unknown or no meter."""

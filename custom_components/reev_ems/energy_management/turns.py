"""One connector in one step: what was seen of it, what is remembered, what it is booked with, what it gets."""

from math import inf
from typing import Final

from .decision import Limit, LimitKind
from .frozen import replace
from .model import Settings
from .observation import ConnectorObservation, ConnectorState
from .occupancy import (
    BELIEVED_S,
    follow,
    highest,
    in_force,
    leaving,
    lowest,
    obey,
    settle,
    standing,
    still_allowed,
)
from .outlets import Outlet
from .state import (
    NOTHING,
    ConnectorMemory,
    Draw,
    Guess,
    Left,
    Permit,
    Vector,
    beyond,
    least,
    most,
)

STEERED: Final = frozenset(
    {
        ConnectorState.PLUGGED,
        ConnectorState.CHARGING,
        ConnectorState.SUSPENDED_EV,
        ConnectorState.SUSPENDED_EVSE,
    }
)
"""A car is there and its charge point takes profiles. In the other states nothing is written."""

_NO_SESSION: Final = frozenset({ConnectorState.AVAILABLE, ConnectorState.FINISHING})

_NOT_CONNECTED = Limit(kind=LimitKind.NOT_CONNECTED)


class Turn:
    """The working row of a connector in a step."""

    __slots__ = (
        "_allowed_load",
        "_most",
        "accepted",
        "allowed",
        "before",
        "booked",
        "doubt",
        "emerged",
        "failed",
        "follows",
        "known",
        "late",
        "limit",
        "memory",
        "name",
        "new",
        "one_phase",
        "outlet",
        "priority",
        "reserved",
        "seen",
        "standing",
        "steered",
        "switching",
        "target",
    )

    def __init__(
        self,
        outlet: Outlet,
        seen: ConnectorObservation,
        remembered: ConnectorMemory | None,
        now_s: float,
        settings: Settings,
    ) -> None:
        """Take in what was seen."""
        connector = outlet.connector
        self.name = connector.id
        self.outlet = outlet
        self.seen = seen
        self.memory = memory = _followed(outlet, seen, remembered, now_s, settings)
        self.steered = seen.state in STEERED
        self.priority = connector.priority
        if seen.priorities:
            self.priority = max(self.priority, *seen.priorities)
        self.accepted: float | None = None
        """The permit that the charge point says it accepted."""
        if self.steered:
            self.accepted = seen.permit_w if outlet.is_dc else seen.permit_a
        self.before = self.new = in_force(memory.permit, outlet, now_s)
        self.standing = standing(memory.permit, outlet, now_s, self.accepted)
        """The highest permit that stands for its charge point."""
        self.allowed = still_allowed(memory.permit, self.standing, now_s, settings)
        """The highest permit that the car may still be drawing by."""
        self.one_phase = memory.one_phase
        self.switching = (
            memory.switched_s is not None
            and now_s < memory.switched_s + settings.settle_s
        )
        """Whether it may still be on the phases that it is to leave."""
        self.reserved = False
        """Whether it takes no part in the sharing, and is booked as it is."""
        self.late = False
        self.failed = False
        self.follows = False
        """Whether it follows the PV surplus."""
        self.target = 0.0
        self.booked: Vector = NOTHING
        self.limit = _NOT_CONNECTED
        self._allowed_load = self._most = self.load(self.allowed)
        self.known: Vector | None = None
        """What it draws at most by its last report; None: unknown."""
        if (draw := memory.draw) is not None:
            self._most = most(self._allowed_load, draw.high)
            if now_s - draw.reported_s <= settings.reading_timeout_s:
                self.known = draw.high
        self.emerged = NOTHING
        """What was base load and is known to be its draw now; negative: what is base load again."""
        self.doubt = NOTHING
        """What it is only taken to draw: nothing is raised into that."""
        if seen.state is ConnectorState.OFFLINE:
            if (
                outlet.metered
                and self.offline_load(now_s, settings, metered=True) == NOTHING
            ):
                self.memory = replace(memory, guess=Guess(), draw=None)
        elif memory.guess is not None:
            self._guess(memory.guess, now_s, settings)

    def _guess(self, guess: Guess, now_s: float, settings: Settings) -> None:
        """Take the draw out of the base load, whose part it was until the connector came.

        Before the first report that is a guess, and if there is none for long, it is base load again (S2).
        """
        memory, permit = self.memory, self.memory.permit
        since_s = now_s if guess.since_s is None else guess.since_s
        load, heard, ramped = guess.load, True, NOTHING
        if memory.draw is not None:
            load = memory.draw.low
            if permit.raised_s is not None:
                ramped = self._allowed_load
        elif now_s >= since_s + settings.reading_timeout_s:
            load = NOTHING
        else:
            heard = False
            if guess.since_s is None or memory.arrived_s == now_s:
                charges = self.seen.state is ConnectorState.CHARGING
                load = self._allowed_load if charges else NOTHING
            self.doubt = load
        more = beyond(load, most(guess.load, ramped))
        less = beyond(least(guess.load, self.load(self.before)), load)
        if more != less:
            self.emerged = (
                more[0] - less[0],
                more[1] - less[1],
                more[2] - less[2],
                more[3] - less[3],
            )
        guessed = None if heard else Guess(load=load, since_s=since_s)
        if guessed != guess:
            self.memory = replace(memory, guess=guessed)

    def load(self, value: float) -> Vector:
        """Return the most that a permit can load the circuits with, during a change both sets of phases."""
        return self.outlet.load(value, one_phase=self.one_phase and not self.switching)

    def occupied(self, value: float) -> Vector:
        """Return what the connector is booked with at a permit (S1)."""
        if value <= self.allowed:
            return self._most
        load, draw = self.load(value), self.memory.draw
        return load if draw is None else most(load, draw.high)

    @property
    def likely_draw(self) -> Vector:
        """Return what it draws at most by its last report, or may draw by its permit if it does not report."""
        if self.known is not None:
            return self.known
        return self._allowed_load if self.steered else NOTHING

    def highest_draw(self, settings: Settings) -> Vector:
        """Return what it draws at most by its last report, or may draw by its permit if that tells nothing of now."""
        draw = self.memory.draw
        if draw is not None and self._may_have_ramped(draw, settings):
            return self._allowed_load
        return self.likely_draw

    def _may_have_ramped(self, draw: Draw, settings: Settings) -> bool:
        """Return whether it reported before it had followed its last raise."""
        raised_s = self.memory.permit.raised_s
        return raised_s is not None and draw.reported_s < raised_s + settings.follow_s

    @property
    def told_s(self) -> float | None:
        """Return when it last said what it draws, -inf: it never did; None: it draws nothing, as far as is known."""
        draw, state = self.memory.draw, self.seen.state
        if state is ConnectorState.OFFLINE:
            return None
        if draw is None:
            return -inf if state is ConnectorState.CHARGING else None
        return draw.reported_s if draw.current_a > 0 else None

    def draw_bounds(
        self, now_s: float, since_s: float, settings: Settings
    ) -> tuple[float, ...]:
        """Return the lowest and the highest draw, and the most that it may be drawing now and once it followed.

        These are four vectors in one tuple. Without a report it may be drawing nothing or all that it is permitted.
        `since_s` is for the lowest; the highest is that of the last `Settings.align_s`.
        """
        memory, state = self.memory, self.seen.state
        draw, lowered_s = memory.draw, memory.permit.lowered_s
        if state is ConnectorState.OFFLINE:
            load = self.offline_load(now_s, settings, metered=True)
            return (*NOTHING, *load, *load, *load)
        upper = self._most
        allowed = permitted = followed = self._allowed_load
        if self.before != self.allowed:
            permitted = followed = self.load(self.before)
        if not self.steered:
            upper = self.without_session(now_s, settings)
            if upper is not self._most:
                allowed = followed = NOTHING
        if draw is None:
            low = high = NOTHING
            if state is ConnectorState.CHARGING:
                high = upper
                if memory.guess is not None:
                    low = least(memory.guess.load, permitted)
            return (*low, *high, *upper, *upper)
        obeys = memory.over_s is None and not memory.disobedient
        if (
            obeys
            and lowered_s is not None
            and draw.reported_s < lowered_s + settings.follow_s
        ):
            # From before it had to have followed, the report tells no more than the permits, but that it did follow.
            followed_a = self.before * self.outlet.unit_a + settings.settle_band_a
            came_down = draw.reported_s > lowered_s and draw.current_a <= followed_a
            upper = permitted if came_down else allowed
        else:
            followed = upper
        if self.known is None:
            return (*NOTHING, *upper, *upper, *followed)
        low, high = NOTHING, highest(draw, now_s - settings.align_s)
        if now_s - draw.reported_s <= BELIEVED_S:
            low = lowest(draw, since_s)
            if obeys:
                low = least(low, permitted)
        if self._may_have_ramped(draw, settings):
            high = most(high, self._allowed_load)
        return (*low, *high, *upper, *followed)

    def without_session(self, now_s: float, settings: Settings) -> Vector:
        """Return what a connector is booked with while its charge point takes no profiles.

        The permits end with the session, but its car may draw for a moment yet: only then is that room there (S6).
        """
        lowered_s = self.memory.permit.lowered_s
        if lowered_s is not None and now_s < lowered_s + settings.follow_s:
            return self._most
        return self.known or NOTHING

    def offline_load(
        self, now_s: float, settings: Settings, *, metered: bool
    ) -> Vector:
        """Return what the connector is booked with while it is offline (S7).

        Until its permit lapses that is the permit, then its floor; where a meter sees it, its draw is by then part
        of the base load. Whoever does not fall back by himself counts with his maximum.
        """
        outlet, permit = self.outlet, self.memory.permit
        if not outlet.connector.autonomous_fallback:
            return outlet.load(outlet.maximum)
        fallen_s = settings.follow_s + (permit.lowered_s or permit.set_s)
        if metered and permit.expires_s is None and now_s >= fallen_s:
            return NOTHING
        return outlet.load(self.allowed)


def _followed(
    outlet: Outlet,
    seen: ConnectorObservation,
    memory: ConnectorMemory | None,
    now_s: float,
    settings: Settings,
) -> ConnectorMemory:
    """Return the memory of a connector after what was seen of it."""
    state = seen.state
    # After a start charge points are offline until they connect: that is no sight of them yet.
    unseen = memory is None or memory.state is ConnectorState.OFFLINE
    if memory is None or (unseen and state is not ConnectorState.OFFLINE):
        memory = ConnectorMemory(
            state=state,
            arrived_s=now_s,
            queued_s=now_s,
            permit=_adopted(outlet, seen, now_s, settings),
            guess=_first_guess(outlet, state, memory, now_s),
        )
    elif memory.state is not state and state is not ConnectorState.OFFLINE:
        memory = _arrived(outlet, memory, state, now_s, settings)
    permit = memory.permit
    if permit.expires_s is not None and now_s >= permit.expires_s:
        memory = replace(
            memory, permit=_lapsed(permit, permit.expires_s, outlet, settings)
        )
    if state is ConnectorState.OFFLINE and memory.permit.sent_s is not None:
        # Who comes back may have dropped what it accepted (S8).
        memory = replace(memory, permit=replace(memory.permit, sent_s=None))
    if state is ConnectorState.AVAILABLE:
        return memory
    draw, new = follow(memory.draw, outlet, seen, now_s, settings)
    if not new:
        return memory
    permit = memory.permit
    if memory.guess is not None and (
        permit.expires_s is permit.raised_s is permit.lowered_s is None
    ):
        # So far it was taken to be the floor.
        memory = replace(memory, permit=_adopted(outlet, seen, now_s, settings))
    memory = replace(memory, draw=draw)
    if state in STEERED:
        value = in_force(memory.permit, outlet, now_s)
        memory = settle(memory, outlet, value, settings)
        memory = obey(memory, outlet, value, settings)
    return memory


def _first_guess(
    outlet: Outlet, state: ConnectorState, memory: ConnectorMemory | None, now_s: float
) -> Guess | None:
    """Return what a connector is taken to draw that is seen for the first time."""
    if memory is not None:
        return memory.guess
    if not outlet.metered:
        return None
    if state is ConnectorState.OFFLINE:
        return Guess(load=outlet.load(outlet.floor), since_s=now_s)
    return Guess()


def _adopted(
    outlet: Outlet, seen: ConnectorObservation, now_s: float, settings: Settings
) -> Permit:
    """Return the permit of a connector seen for the first time.

    After a restart cars are charging by permits that we gave and forgot: what the charge point accepted, or what
    the car draws, is taken up instead of dropping it.
    """
    floor = Permit(value=outlet.floor, set_s=now_s, expires_s=None)
    if seen.state in _NO_SESSION:
        return floor
    accepted = seen.permit_w if outlet.is_dc else seen.permit_a
    if accepted is None:
        draw, _ = follow(None, outlet, seen, now_s, settings)
        if draw is None or draw.current_a <= outlet.floor * outlet.unit_a:
            return floor
        accepted = draw.current_a / outlet.unit_a
    value = outlet.truncate(min(max(accepted, 0.0), outlet.maximum))
    return Permit(value=value, set_s=now_s, expires_s=now_s + settings.profile_life_s)


def _arrived(
    outlet: Outlet,
    memory: ConnectorMemory,
    state: ConnectorState,
    now_s: float,
    settings: Settings,
) -> ConnectorMemory:
    """Return the memory of a connector whose state changed."""
    was = memory.state
    ended = state in _NO_SESSION and was not in _NO_SESSION
    if ended or (was in _NO_SESSION and state in STEERED):
        # A session's permits end with it; its car may draw for a moment yet.
        permit = memory.permit
        value = in_force(permit, outlet, now_s)
        if ended:
            value = still_allowed(permit, value, now_s, settings)
        return ConnectorMemory(
            state=state,
            arrived_s=now_s,
            queued_s=now_s,
            permit=Permit(
                value=outlet.floor,
                set_s=now_s,
                expires_s=None,
                lowered_s=now_s if ended else permit.lowered_s,
                left=(Left(value=value, at_s=now_s),) if ended else permit.left,
            ),
            draw=memory.draw if state is ConnectorState.FINISHING else None,
            disobedient=memory.disobedient,
        )
    permit = memory.permit
    if state is ConnectorState.CHARGING:
        # Some charge points drop a profile that they accepted before the car began to charge (S8).
        permit = replace(permit, sent_s=None)
    return replace(memory, state=state, permit=permit)


def _lapsed(
    permit: Permit, expired_s: float, outlet: Outlet, settings: Settings
) -> Permit:
    """Return the floor that a permit lapsed to by itself (S5)."""
    fell = permit.value > outlet.floor
    return Permit(
        value=outlet.floor,
        set_s=expired_s,
        expires_s=None,
        lowered_s=expired_s if fell else permit.lowered_s,
        left=leaving(permit, permit.value, expired_s, settings)
        if fell
        else permit.left,
        sent_s=permit.sent_s,
    )

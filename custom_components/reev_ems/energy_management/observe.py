"""Observe: each connector's memory after what was seen of it, and what it may be drawing now."""

from typing import Final

from .conduct import obey, reported, settle, sleep, take_report, use_phases
from .envelope import Envelope, allowed, envelope, in_force, lapsed, leaving, standing
from .frozen import frozen, replace
from .model import Settings
from .observation import ConnectorObservation, ConnectorState, Observation
from .outlets import Layout, Outlet
from .state import ConnectorMemory, ControllerState, Cut, Left, Permit
from .vectors import NOTHING, Vector, most

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

_GUESSED: Final = 1.5
"""Multiple of the time that a report is believed: the first one may be a little late."""

_ABSENT = ConnectorObservation(state=ConnectorState.OFFLINE)


@frozen
class Seen:
    """A connector in this step, before anything is decided."""

    name: str
    outlet: Outlet
    seen: ConnectorObservation
    memory: ConnectorMemory
    steered: bool
    priority: int
    used: tuple[int, ...] | None
    """The own phases that it may be drawing on; None: all."""
    before: float
    """The permit in force."""
    accepted: float | None
    """The permit that the charge point says it accepted."""
    standing: float
    """The highest permit that stands for its charge point."""
    allowed: float
    """The highest permit that the car may still be drawing by."""
    now: Envelope
    """What it may be drawing at this moment."""
    cut: Cut | None
    """The last lowering below one of its circuits that the meter has shown."""
    emerged: Vector
    """What was base load so far and is known, or taken, to be its draw from now on (S7); negative: what is base load
    again."""

    def load(self, value: float) -> Vector:
        """Return the most that a permit can load the circuits with."""
        return self.outlet.load(value, self.used)

    def occupied(self, value: float) -> Vector:
        """Return what the connector is booked with at a permit (S1)."""
        if value <= self.allowed:
            return self.now.high
        return most(self.load(value), self.now.likely)

    @property
    def is_offline(self) -> bool:
        """Return whether nobody knows what it does."""
        return self.seen.state is ConnectorState.OFFLINE

    @property
    def is_on(self) -> bool:
        """Return whether it has an offer."""
        return self.steered and self.before >= self.outlet.minimum

    def drawn_since(self, now_s: float, back_s: float, settings: Settings) -> Envelope:
        """Return what it may have been drawing in the time that a late reading may be of."""
        memory, start_s = self.memory, now_s - back_s
        draw = memory.draw
        if (
            not memory.permit.left
            and memory.state_s <= start_s
            and (draw is None or draw.reports[-1].from_s <= start_s)
        ):
            # Nothing has changed since.
            return self.now
        return envelope(
            self.memory,
            self.outlet,
            self.used,
            standing=self.standing,
            steered=self.steered,
            now_s=now_s,
            back_s=back_s,
            settings=settings,
            cut=self.cut,
        )

    def unseen_load(self) -> Vector:
        """Return what it is booked with while it is offline and no meter sees it (S7).

        Until its permit lapses that is the permit, then its floor. One that does not fall back by itself counts with
        its maximum.
        """
        if not self.outlet.connector.autonomous_fallback:
            return self.outlet.load(self.outlet.maximum)
        return self.load(self.allowed)


def observe(
    plan: Layout, state: ControllerState, observation: Observation, now_s: float
) -> list[Seen]:
    """Return every connector of the site as it is seen now."""
    settings, seen = plan.site.settings, observation.connectors
    return [
        _seen(
            outlet,
            seen.get(name, _ABSENT),
            state.connectors.get(name),
            _shown(outlet, state),
            now_s,
            settings,
        )
        for name, outlet in plan.outlets.items()
    ]


def _seen(
    outlet: Outlet,
    seen: ConnectorObservation,
    before: ConnectorMemory | None,
    cut: Cut | None,
    now_s: float,
    settings: Settings,
) -> Seen:
    memory = _followed(outlet, seen, before, now_s, settings)
    steered = seen.state in STEERED
    accepted = None
    if steered:
        accepted = seen.permit_w if outlet.is_dc else seen.permit_a
    priority = outlet.connector.priority
    if seen.priorities:
        priority = max(priority, *seen.priorities)
    used = _used(memory, now_s, settings)
    stands = standing(memory.permit, outlet, now_s, accepted)
    now = envelope(
        memory,
        outlet,
        used,
        standing=stands,
        steered=steered,
        now_s=now_s,
        back_s=0.0,
        settings=settings,
        cut=cut,
    )
    unseen = before is None or before.away or before.state is ConnectorState.OFFLINE
    memory, emerged = _emerged(memory, now.likely, now_s, settings, new=unseen)
    return Seen(
        name=outlet.connector.id,
        outlet=outlet,
        seen=seen,
        memory=memory,
        steered=steered,
        priority=priority,
        used=used,
        before=in_force(memory.permit, outlet, now_s),
        accepted=accepted,
        standing=stands,
        allowed=allowed(memory.permit, stands, now_s),
        now=now,
        cut=cut,
        emerged=emerged,
    )


def _emerged(
    memory: ConnectorMemory,
    likely: Vector,
    now_s: float,
    settings: Settings,
    *,
    new: bool,
) -> tuple[ConnectorMemory, Vector]:
    """Return the memory, and what leaves the base load as a connector comes.

    Before its first report that is a guess; if there is none for long, it is base load again (S2).
    """
    if memory.away:
        return memory if memory.guess is None else replace(memory, guess=None), NOTHING
    if new:
        guess = likely if memory.draw is None and likely != NOTHING else None
        return replace(memory, guess=guess, guess_s=now_s), likely
    if memory.guess is None:
        return memory, NOTHING
    if memory.draw is not None:
        return replace(memory, guess=None), NOTHING
    if now_s - memory.guess_s < _GUESSED * settings.reading_timeout_s:
        return memory, NOTHING
    l1, l2, l3, power_w = memory.guess
    return replace(memory, guess=None), (-l1, -l2, -l3, -power_w)


def guessed(connectors: list[Seen]) -> frozenset[str]:
    """Return the circuits below which nothing is raised: what a connector draws there is only guessed."""
    return frozenset(
        name
        for item in connectors
        if item.memory.guess is not None
        for name in item.outlet.metered
    )


def _shown(outlet: Outlet, state: ControllerState) -> Cut | None:
    """Return the last lowering that a meter above a connector has shown."""
    last: Cut | None = None
    for name in outlet.metered:
        memory = state.meters.get(name)
        if memory is None or memory.cut is None or memory.cut.shown_s is None:
            continue
        if last is None or memory.cut.at_s > last.at_s:
            last = memory.cut
    return last


def _used(
    memory: ConnectorMemory, now_s: float, settings: Settings
) -> tuple[int, ...] | None:
    """Return the own phases that a car may be drawing on; during a change both sets."""
    if memory.switched_s is not None and now_s < memory.switched_s + settings.settle_s:
        return None
    return (0,) if memory.one_phase else memory.used


def _followed(
    outlet: Outlet,
    seen: ConnectorObservation,
    memory: ConnectorMemory | None,
    now_s: float,
    settings: Settings,
) -> ConnectorMemory:
    """Return the memory of a connector after what was seen of it."""
    state = seen.state
    offline = state is ConnectorState.OFFLINE
    if memory is None or (memory.state is ConnectorState.OFFLINE and not offline):
        # After a start charge points are offline until they connect: that is no sight of them yet.
        memory = ConnectorMemory(
            state=state,
            state_s=now_s,
            away=offline,
            arrived_s=now_s,
            queued_s=now_s,
            permit=_adopted(outlet, seen, now_s, settings),
            used=_remembered(outlet, seen),
        )
    elif offline:
        if not memory.away:
            memory = replace(memory, away=True)
    else:
        if memory.state is not state:
            memory = _arrived(outlet, seen, memory, now_s, settings)
        if memory.away:
            # It may have dropped what it accepted (S8).
            memory = replace(
                memory, away=False, permit=replace(memory.permit, sent_s=None)
            )
    permit = memory.permit
    if permit.expires_s is not None and now_s >= permit.expires_s:
        permit = lapsed(permit, permit.expires_s, outlet, settings)
        memory = replace(memory, permit=permit)
    if offline or state is ConnectorState.AVAILABLE:
        return memory
    draw = memory.draw
    memory = take_report(memory, outlet, seen, now_s, settings)
    value = in_force(permit, outlet, now_s)
    if memory.draw is not draw:
        if draw is None and permit.expires_s is permit.raised_s is permit.lowered_s:
            # So far it was taken to be the floor.
            permit = _adopted(outlet, seen, now_s, settings)
            memory = replace(memory, permit=permit)
            value = in_force(permit, outlet, now_s)
        if state in STEERED:
            memory = settle(memory, outlet, value, settings)
            memory = obey(memory, outlet, value, settings)
            memory = use_phases(memory, outlet, seen, value, settings)
    return sleep(memory, outlet, value, now_s) if state in STEERED else memory


def _remembered(outlet: Outlet, seen: ConnectorObservation) -> tuple[int, ...] | None:
    """Return the own phases that the user's car used the last time; None: all, or not known."""
    count = seen.used_phases
    if count is None or not 0 < count < outlet.phase_count or outlet.is_dc:
        return None
    return outlet.every[:count]


def _adopted(
    outlet: Outlet, seen: ConnectorObservation, now_s: float, settings: Settings
) -> Permit:
    """Return the permit of a connector seen for the first time.

    After a restart cars are charging by permits that we gave and forgot: what the charge point accepted, or what
    the car draws, is taken up instead of dropping it, as far as a charger can do it.
    """
    floor = Permit(value=outlet.floor, set_s=now_s, expires_s=None)
    if seen.state in _NO_SESSION or seen.state is ConnectorState.OFFLINE:
        return floor
    accepted = seen.permit_w if outlet.is_dc else seen.permit_a
    if accepted is None:
        bounds = None
        if seen.age_s is not None and 0 <= seen.age_s <= settings.reading_timeout_s:
            bounds = reported(outlet, seen)
        if bounds is None:
            return floor
        current_a = max(bounds[1][:3])
        if current_a <= outlet.floor * outlet.unit_a:
            return floor
        accepted = current_a / outlet.unit_a
    value = outlet.truncate(min(max(accepted, 0.0), outlet.maximum))
    if value < outlet.minimum:
        value = outlet.floor if value == outlet.floor else 0.0
    return Permit(value=value, set_s=now_s, expires_s=now_s + settings.profile_life_s)


def _arrived(
    outlet: Outlet,
    seen: ConnectorObservation,
    memory: ConnectorMemory,
    now_s: float,
    settings: Settings,
) -> ConnectorMemory:
    """Return the memory of a connector whose state changed."""
    was, state, permit = memory.state, seen.state, memory.permit
    ended = state in _NO_SESSION and was not in _NO_SESSION
    if ended or (was in _NO_SESSION and state in STEERED):
        # A session's permits end with it; its car may draw for a moment yet.
        left = permit.left
        if ended:
            value = allowed(permit, in_force(permit, outlet, now_s), now_s)
            left = (Left(value=value, until_s=now_s + settings.follow_s),)
        return ConnectorMemory(
            state=state,
            state_s=now_s,
            arrived_s=now_s,
            queued_s=now_s,
            away=memory.away,
            permit=Permit(
                value=outlet.floor,
                set_s=now_s,
                expires_s=None,
                lowered_s=now_s if ended else permit.lowered_s,
                left=left,
            ),
            draw=memory.draw if state is ConnectorState.FINISHING else None,
            used=memory.used if ended else _remembered(outlet, seen),
            disobedient=memory.disobedient,
            measure=memory.measure,
            measure_s=memory.measure_s,
        )
    if state is ConnectorState.CHARGING:
        # Some charge points drop a profile that they accepted before the car began to charge (S8).
        permit = replace(permit, sent_s=None)
    return replace(memory, state=state, state_s=now_s, permit=permit)


__all__ = ["STEERED", "Seen", "guessed", "leaving", "observe"]

"""Raise: decreases at once, raises into room that is really there (S6).

The targets of a step hold once every car has followed. Until then cars that are to come down still draw what they
had, and cars that were permitted and have not ramped yet will: a raise may only go into what all of these leave.
Everything here only lowers the targets.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from .choose import Chosen
from .circuits import Loads, carried, room_w, rooms_a
from .decision import Limit, LimitKind
from .frozen import frozen, replace
from .meters import Ages
from .model import Circuit, Settings, UserGroup
from .observe import Seen
from .outlets import Layout
from .share import Shared, Target, group_bookings
from .state import ConnectorMemory, Room, SunPhase
from .vectors import NOTHING, Vector, add, beyond

_ROUNDING = 1e-6

_FIRST_STAND_S: Final = 8.0
_LONGEST_STAND_S: Final = 60.0
_FORGOTTEN_S: Final = 300.0
"""After a raise was taken back, room has to stand for 8 s, after two for 16 s, and so on; one is forgotten every 5 min.
A household that flickers would have profiles written all the time."""


@frozen
class Permitted:
    """What a connector is allowed from now on, and what it is booked with."""

    value: float
    limit: Limit
    one_phase: bool
    memory: ConnectorMemory


@frozen
class Taken:
    """The permits of all connectors."""

    permits: Mapping[str, Permitted]
    booked: Mapping[str, Sequence[float]]
    """By circuit."""


def take(
    plan: Layout,
    connectors: Sequence[Seen],
    ages: Ages,
    loads: Loads,
    chosen: Chosen,
    shared: Shared,
    probes: Mapping[str, float],
    external_limit_w: float | None,
    raise_from_s: float,
    now_s: float,
) -> Taken:
    """Return what every connector is allowed from now on.

    Args:
        plan: the site.
        connectors: as they are seen.
        ages: of the meters.
        loads: of the circuits.
        chosen: who takes part.
        shared: the targets.
        probes: by connector, what it is held at to put a meter to the test.
        external_limit_w: for all connectors together.
        raise_from_s: nothing on the site is raised before this.
        now_s: the time of the step.
    """
    settings = plan.site.settings
    permits: dict[str, Permitted] = {}
    booked: dict[str, Vector] = {}
    wanted: dict[str, Seen] = {}
    offers: list[Seen] = []
    sleeping = {item.name for item in chosen.sleepers}
    for item in connectors:
        name, target = item.name, shared.targets[item.name]
        memory = shared.memories.get(name, item.memory)
        value, limit, room = item.before, target.limit, None
        held_at = probes.get(name)
        if not item.steered:
            held_at = None
        elif held_at is not None and (
            held_at < target.value
            # Also on the floor, to which a false meter has led: or nobody would see that it was mended.
            or (target.value >= value and external_limit_w is None)
        ):
            value = held_at
            limit = Limit(kind=LimitKind.METER_DOUBT, circuit=item.outlet.metered[0])
        elif target.value <= value or not plan.site.load_management:
            value = target.value
        elif not ages.late.isdisjoint(item.outlet.metered):
            limit = Limit(kind=LimitKind.METER_AGE)
        elif name in sleeping:
            offers.append(item)
        else:
            room = _room(memory.room, target.value, now_s)
            wait = _wait(
                item, memory, room, target, ages, raise_from_s, settings, now_s
            )
            if wait is None:
                wanted[name] = item
            else:
                limit = wait
        if memory.room != room or memory.probed is not (held_at is not None):
            memory = replace(memory, room=room, probed=held_at is not None)
        permits[name] = Permitted(
            value=value, limit=limit, one_phase=target.one_phase, memory=memory
        )
        held = chosen.held.get(name)
        if name not in sleeping and (held is None or held.booked is None):
            booked[name] = NOTHING if item.is_offline else item.occupied(value)
    totals = _book(plan, chosen, shared, connectors, booked)
    for item in offers:
        # Its minimum is booked already, with that of all that sleep.
        if _holds(item, plan, loads, totals):
            target = shared.targets[item.name]
            permits[item.name] = replace(permits[item.name], value=target.value)
    if wanted:
        by_group = group_bookings(plan, connectors, chosen, booked, chosen.sleepers)
        raises = {
            name: beyond(item.load(shared.targets[name].value), booked[name])
            for name, item in wanted.items()
        }
        parts = _fitting(
            plan, loads, chosen, wanted, raises, totals, by_group, external_limit_w
        )
        for name, item in wanted.items():
            permitted = _raised(
                item, permits[name], shared.targets[name], parts[name], settings
            )
            permits[name] = permitted
            more = beyond(item.occupied(permitted.value), booked[name])
            for circuit in item.outlet.path:
                add(totals[circuit.id], more)
    return Taken(permits=permits, booked=totals)


def _room(room: Room | None, value: float, now_s: float) -> Room:
    """Return the room for a raise, of which the least counts that it has been."""
    if room is None:
        return Room(since_s=now_s, value=value)
    return room if value >= room.value else Room(since_s=room.since_s, value=value)


def stand_s(memory: ConnectorMemory, now_s: float) -> float:
    """Return how long room has to stand: the longer the more raises were taken back lately."""
    if memory.taken_back_s is None:
        return 0.0
    forgotten = int((now_s - memory.taken_back_s) // _FORGOTTEN_S)
    times = memory.taken_back - forgotten
    if times <= 0:
        return 0.0
    return min(_LONGEST_STAND_S, _FIRST_STAND_S * 2.0 ** (times - 1))


def _wait(
    item: Seen,
    memory: ConnectorMemory,
    room: Room,
    target: Target,
    ages: Ages,
    raise_from_s: float,
    settings: Settings,
    now_s: float,
) -> Limit | None:
    """Return why a raise has to wait; None: it has not."""
    if memory.over_s is not None:
        # One that drew more than its permit by its last report has to show first that it keeps to it (S8).
        return Limit(kind=LimitKind.RAISE_WAIT)
    from_s = raise_from_s
    for circuit in item.outlet.metered:
        allowed_s = ages.raise_from_s[circuit]
        if allowed_s is None:
            return Limit(kind=LimitKind.METER_AGE)
        from_s = max(from_s, allowed_s)
    if now_s < from_s:
        return Limit(kind=LimitKind.METER_AGE, remaining_s=from_s - now_s)
    raised_s = memory.permit.raised_s
    until_s = room.since_s
    if not (item.before <= 0 and memory.sun and memory.sun.phase is SunPhase.ON):
        # Surplus stood for the start delay.
        until_s += stand_s(memory, now_s)
    if raised_s is not None:
        until_s = max(until_s, raised_s + settings.raise_interval_s)
    if now_s < until_s:
        return Limit(kind=LimitKind.RAISE_WAIT, remaining_s=until_s - now_s)
    step_a = (room.value - item.before) * item.outlet.unit_a
    if (
        step_a < settings.raise_step_a - _ROUNDING
        and now_s < room.since_s + settings.raise_small_after_s
    ):
        # So near the target that what bound it is the better answer than the wait.
        return target.limit
    return None


def _raised(
    item: Seen, permitted: Permitted, target: Target, part: float, settings: Settings
) -> Permitted:
    """Return the part of a raise that fits, if it is worth a command."""
    outlet, room = item.outlet, permitted.memory.room
    stood = target.value if room is None else min(target.value, room.value)
    value = stood
    if part < 1:
        # The car may draw more than its permit still: what it has on top is no part of the raise.
        held = max(item.allowed, item.before)
        value = outlet.truncate(held + max(0.0, target.value - held) * part)
        value = min(value, stood)
    least = min(settings.raise_step_a / outlet.unit_a, stood - item.before)
    if value < max(outlet.minimum, item.before + least) - outlet.step / 2:
        return replace(permitted, limit=Limit(kind=LimitKind.RAISE_WAIT))
    # What stood is given; more has to stand anew.
    return replace(permitted, value=value, memory=replace(permitted.memory, room=None))


def _book(
    plan: Layout,
    chosen: Chosen,
    shared: Shared,
    connectors: Sequence[Seen],
    booked: Mapping[str, Vector],
) -> dict[str, list[float]]:
    """Return what each circuit is booked with."""
    loads: dict[str, list[Sequence[float]]] = {
        name: [NOTHING] for name in plan.circuits
    }
    for item in connectors:
        if (load := booked.get(item.name, NOTHING)) is not NOTHING:
            loads[item.outlet.connector.circuit].append(load)
    totals = carried(plan, loads)
    for name, total in totals.items():
        add(total, chosen.reserved[name])
        if (kept := shared.pool.get(name)) is not None:
            add(total, kept)
    return totals


def _fitting(
    plan: Layout,
    loads: Loads,
    chosen: Chosen,
    wanted: Mapping[str, Seen],
    raises: Mapping[str, Vector],
    totals: Mapping[str, Sequence[float]],
    by_group: Mapping[str, Sequence[float]],
    external_limit_w: float | None,
) -> dict[str, float]:
    """Return for each raise the part of it that fits, 0 to 1: in each row all are cut alike."""
    site = plan.site
    asked: dict[str, list[float]] = {}
    asked_by_group = {group.id: [0.0] * 4 for group in site.user_groups}
    for name, more in raises.items():
        for circuit in wanted[name].outlet.path:
            add(asked.setdefault(circuit.id, [0.0] * 4), more)
        for group_id in wanted[name].seen.groups:
            if group_id in asked_by_group:
                add(asked_by_group[group_id], more)
    parts: dict[str, Sequence[float]] = {}
    for name, more_a in asked.items():
        rooms = _rooms(plan.circuits[name], plan, loads, totals[name])
        if name == plan.root.id and external_limit_w is not None:
            left_w = external_limit_w - totals[name][3] - chosen.offline_w
            rooms[3] = left_w if rooms[3] is None else min(rooms[3], left_w)
        parts[name] = _cut(rooms, more_a)
    group_parts = {
        group.id: _cut(
            _group_rooms(group, site.margin_a, by_group[group.id]),
            asked_by_group[group.id],
        )
        for group in site.user_groups
    }
    return {
        name: min(
            (
                part
                for fits in (
                    *(parts[circuit.id] for circuit in wanted[name].outlet.path),
                    *(
                        group_parts[group_id]
                        for group_id in wanted[name].seen.groups
                        if group_id in group_parts
                    ),
                )
                for part, value in zip(fits, more, strict=True)
                if value > 0
            ),
            default=1.0,
        )
        for name, more in raises.items()
    }


def _holds(
    item: Seen,
    plan: Layout,
    loads: Loads,
    totals: Mapping[str, Sequence[float]],
) -> bool:
    """Return whether the circuits of a connector carry what is booked on them."""
    return all(
        room is None or room >= -_ROUNDING
        for circuit in item.outlet.path
        for room in _rooms(circuit, plan, loads, totals[circuit.id])
    )


def _rooms(
    circuit: Circuit, plan: Layout, loads: Loads, booked: Sequence[float]
) -> list[float | None]:
    base_a = loads.base_a[circuit.id]
    room_a = rooms_a(circuit, plan.site, base_a, booked)
    base_w = loads.base_w.get(circuit.id)
    left_w = room_w(circuit, plan.site, base_a, base_w, booked[3])
    return [*(room_a or (None, None, None)), left_w]


def _group_rooms(
    group: UserGroup, margin_a: float, booked: Sequence[float]
) -> list[float | None]:
    rooms: list[float | None] = [None] * 4
    if group.limit_a is not None:
        for index, limit_a in enumerate(group.limit_a):
            rooms[index] = limit_a - margin_a - booked[index]
    if group.limit_w is not None:
        rooms[3] = group.limit_w - booked[3]
    return rooms


def _cut(rooms: Sequence[float | None], asked: Sequence[float]) -> Sequence[float]:
    """Return the part of what is asked for that the room allows, 0 to 1."""
    return [
        1.0
        if room is None or more <= max(0.0, room + _ROUNDING)
        else max(0.0, room) / more
        for room, more in zip(rooms, asked, strict=True)
    ]

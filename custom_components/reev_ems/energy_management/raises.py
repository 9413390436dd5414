"""Decreases at once, raises into room that is really there (S6).

The targets of a step hold once every car has followed. Until then cars that are to come down still draw what they
had, and cars that were permitted and have not ramped yet will: a raise may only go into what all of these leave.
Everything here only lowers the targets.
"""

from collections.abc import Iterable, Mapping, Sequence

from .case import Case
from .circuits import Circuits, add
from .decision import Limit, LimitKind
from .frozen import frozen, replace
from .model import Circuit, Settings, Site, UserGroup
from .observation import ConnectorState
from .state import Vector, beyond
from .turns import Turn

_ROUNDING = 1e-6


@frozen
class Raise:
    """A raise that somebody could have."""

    connector: str
    path: tuple[Circuit, ...]
    groups: tuple[str, ...]
    more: Vector
    """What it takes beyond what the connector is booked with."""


def take(
    turns: Sequence[Turn],
    circuits: Circuits,
    case: Case | None,
    external_limit_w: float | None,
    raise_from_s: float,
    now_s: float,
) -> None:
    """Set what every connector is allowed from now on, and book it.

    Args:
        turns: the connectors with their targets.
        circuits: meters and base loads.
        case: the moment of the site; None: load management is off, and everybody takes his target.
        external_limit_w: for all connectors together.
        raise_from_s: nothing on the site is raised before this.
        now_s: the time of the step.
    """
    wanted: dict[str, Turn] = {}
    for turn in turns:
        if not turn.steered:
            continue
        memory = turn.memory
        if turn.target > turn.new and case is not None:
            if turn.late:
                turn.target = turn.new
                turn.limit = Limit(kind=LimitKind.METER_AGE)
            elif memory.room_s is None:
                turn.memory = replace(memory, room_s=now_s)
        if turn.target <= turn.new or case is None:
            turn.new = turn.target
            if memory.room_s is not None:
                turn.memory = replace(memory, room_s=None)
        elif (
            wait := _wait(turn, circuits, raise_from_s, case.site.settings, now_s)
        ) is None:
            wanted[turn.name] = turn
        else:
            turn.limit = wait
        if not turn.reserved:
            turn.booked = turn.occupied(turn.new)
    circuits.book(turns)
    if case is None or not wanted:
        return
    parts = fitting(
        case,
        circuits,
        [
            Raise(
                connector=name,
                path=turn.outlet.path,
                groups=turn.seen.groups,
                more=beyond(turn.load(turn.target), turn.booked),
            )
            for name, turn in wanted.items()
        ],
        external_limit_w,
        booked_by_group(case.site, turns, now_s),
    )
    for name, turn in wanted.items():
        _raise(turn, parts[name], case.site.settings, circuits)


def _wait(
    turn: Turn,
    circuits: Circuits,
    raise_from_s: float,
    settings: Settings,
    now_s: float,
) -> Limit | None:
    """Return why a raise has to wait; None: it has not."""
    if turn.memory.over_s is not None:
        # Whoever drew more than his permit by his last report has to show first that he keeps to it (S8).
        return Limit(kind=LimitKind.RAISE_WAIT)
    from_s = raise_from_s
    for circuit in turn.outlet.metered:
        allowed_s = circuits.raise_from_s[circuit]
        if allowed_s is None:
            return Limit(kind=LimitKind.METER_AGE)
        from_s = max(from_s, allowed_s)
    if now_s < from_s:
        return Limit(kind=LimitKind.METER_AGE, remaining_s=from_s - now_s)
    raised_s = turn.memory.permit.raised_s
    if raised_s is not None and now_s < raised_s + settings.raise_interval_s:
        return Limit(
            kind=LimitKind.RAISE_WAIT,
            remaining_s=raised_s + settings.raise_interval_s - now_s,
        )
    step_a = (turn.target - turn.new) * turn.outlet.unit_a
    room_s = turn.memory.room_s
    if (
        step_a < settings.raise_step_a - _ROUNDING
        and room_s is not None
        and now_s < room_s + settings.raise_small_after_s
    ):
        # So near the target that what bound it is the better answer than the wait.
        return turn.limit
    return None


def _raise(turn: Turn, part: float, settings: Settings, circuits: Circuits) -> None:
    """Give the part of a raise that fits, if it is worth a command."""
    outlet = turn.outlet
    value = turn.target
    if part < 1:
        # The car may draw more than its permit still: what it has on top is no part of the raise.
        held = max(turn.allowed, turn.new)
        value = outlet.truncate(held + max(0.0, turn.target - held) * part)
    least = min(settings.raise_step_a / outlet.unit_a, turn.target - turn.new)
    if value < max(outlet.minimum, turn.new + least) - outlet.step / 2:
        turn.limit = Limit(kind=LimitKind.RAISE_WAIT)
        return
    booked = turn.booked
    turn.new = min(value, turn.target)
    turn.booked = turn.occupied(turn.new)
    more = beyond(turn.booked, booked)
    for circuit in outlet.path:
        add(circuits.used[circuit.id], more)


def fitting(
    case: Case,
    circuits: Circuits,
    raises: Sequence[Raise],
    external_limit_w: float | None,
    booked_groups: Mapping[str, Sequence[float]],
) -> dict[str, float]:
    """Return for each raise the part of it that fits, 0 to 1: in each row all are cut alike.

    Args:
        case: the moment of the site.
        circuits: base loads, and what is booked before the raises.
        raises: who could have more.
        external_limit_w: for all connectors together.
        booked_groups: what is booked by user group, before the raises.
    """
    asked: dict[str, list[float]] = {}
    for item in raises:
        for circuit in item.path:
            add(asked.setdefault(circuit.id, [0.0] * 4), item.more)
    parts = {
        circuit.id: _parts(
            case,
            circuits,
            circuit,
            asked[circuit.id],
            external_limit_w if circuit.parent is None else None,
        )
        for circuit in case.site.circuits
        if circuit.id in asked
    }
    group_parts = {
        group.id: _group_parts(case.site, group, booked_groups[group.id], raises)
        for group in case.site.user_groups
    }
    return {
        item.connector: min(
            (
                part
                for fits in (
                    *(parts[circuit.id] for circuit in item.path),
                    *(group_parts[name] for name in item.groups if name in group_parts),
                )
                for part, value in zip(fits, item.more, strict=True)
                if value > 0
            ),
            default=1.0,
        )
        for item in raises
    }


def booked_by_group(
    site: Site, turns: Iterable[Turn], now_s: float
) -> dict[str, list[float]]:
    """Return what connectors are booked with, by user group: L1, L2, L3 in A and the power in W.

    No meter measures a group: whoever is offline counts with its floor even where a circuit's meter sees it (S7).
    """
    booked = {group.id: [0.0] * 4 for group in site.user_groups}
    if booked:
        for turn in turns:
            load = turn.booked
            if turn.seen.groups and turn.seen.state is ConnectorState.OFFLINE:
                load = turn.offline_load(now_s, site.settings, metered=False)
            for name in turn.seen.groups:
                if name in booked:
                    add(booked[name], load)
    return booked


def _group_parts(
    site: Site, group: UserGroup, booked: Sequence[float], raises: Iterable[Raise]
) -> Sequence[float]:
    """Return what fits of the raises of a group's members, for each phase and the power."""
    asked = [0.0] * 4
    for item in raises:
        if group.id in item.groups:
            add(asked, item.more)
    rooms: list[float | None] = [None] * 4
    if group.limit_a is not None:
        for index, limit_a in enumerate(group.limit_a):
            rooms[index] = limit_a - site.margin_a - booked[index]
    if group.limit_w is not None:
        rooms[3] = group.limit_w - booked[3]
    return _cut(rooms, asked)


def _parts(
    case: Case,
    circuits: Circuits,
    circuit: Circuit,
    asked: Sequence[float],
    external_limit_w: float | None,
) -> Sequence[float]:
    """Return what fits of the raises below a circuit, for each phase and the power."""
    booked, base_a = circuits.used[circuit.id], circuits.base_a[circuit.id]
    assumed_a = circuit.reserve_a if base_a is None else base_a
    rooms: list[float | None] = [None] * 4
    if circuit.limit_a is not None:
        for index, limit_a in enumerate(circuit.limit_a):
            rooms[index] = (
                limit_a - case.site.margin_a - assumed_a[index] - booked[index]
            )
    if circuit.limit_w is not None:
        base_w = circuits.base_w.get(circuit.id)
        if base_w is None:
            base_w = sum(assumed_a) * case.site.voltage_v
        rooms[3] = circuit.limit_w - base_w - booked[3]
    if external_limit_w is not None:
        room_w = external_limit_w - booked[3] - circuits.offline_in_base_w
        rooms[3] = room_w if rooms[3] is None else min(rooms[3], room_w)
    return _cut(rooms, asked)


def _cut(rooms: Sequence[float | None], asked: Sequence[float]) -> Sequence[float]:
    """Return the part of what is asked for that the room allows, 0 to 1."""
    return [
        1.0
        if room is None or more <= max(0.0, room + _ROUNDING)
        else max(0.0, room) / more
        for room, more in zip(rooms, asked, strict=True)
    ]

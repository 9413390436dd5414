"""How much of the raises fits now (S6).

The targets of a step hold once every car has followed. Until then cars that are to come down still draw what they
had, and cars that were permitted and have not ramped yet will: a raise may only go into what all of these leave.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .case import Case
from .model import Circuit, PerPhase
from .state import Vector

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """A raise that somebody could have."""

    connector: str
    path: tuple[Circuit, ...]
    booked: Vector
    more: Vector
    """What it takes beyond what the connector is booked with."""


def fitting(
    case: Case,
    base_a: Mapping[str, PerPhase | None],
    base_w: Mapping[str, float | None],
    used: Mapping[str, Sequence[float]],
    raises: Sequence[Raise],
    external_limit_w: float | None,
) -> dict[str, float]:
    """Return for each raise the part of it that fits, 0 to 1: in each row all are cut alike.

    Args:
        case: the moment of the site.
        base_a: base load of the circuits in A per phase.
        base_w: and in W.
        used: what all connectors below a circuit are booked with before the raises, four parts like a Vector.
        raises: who could have more.
        external_limit_w: for all connectors together.
    """
    asked: dict[str, list[float]] = {}
    root = ""
    for item in raises:
        for circuit in item.path:
            total = asked.setdefault(circuit.id, [0.0] * 4)
            for index, value in enumerate(item.more):
                total[index] += value
        root = item.path[-1].id
    parts: dict[str, tuple[float, float, float, float]] = {}
    for circuit in case.site.circuits:
        if (more := asked.get(circuit.id)) is None:
            continue
        booked = used[circuit.id]
        rooms: list[float | None] = [None] * 4
        base = base_a[circuit.id]
        if circuit.limit_a is not None:
            assumed = circuit.reserve_a if base is None else base
            for index in range(3):
                rooms[index] = (
                    circuit.limit_a[index]
                    - case.site.margin_a
                    - assumed[index]
                    - booked[index]
                )
        if circuit.limit_w is not None:
            load_w = base_w.get(circuit.id)
            if load_w is None:
                load_w = sum(base or circuit.reserve_a) * case.site.voltage_v
            rooms[3] = circuit.limit_w - load_w - booked[3]
        if circuit.id == root and external_limit_w is not None:
            room_w = external_limit_w - booked[3]
            rooms[3] = room_w if rooms[3] is None else min(rooms[3], room_w)
        found = [
            1.0
            if room is None or wanted <= max(0.0, room + _ROUNDING)
            else max(0.0, room) / wanted
            for room, wanted in zip(rooms, more, strict=True)
        ]
        parts[circuit.id] = found[0], found[1], found[2], found[3]
    return {
        item.connector: min(
            (
                part
                for circuit in item.path
                for part, value in zip(parts[circuit.id], item.more, strict=True)
                if value > 0
            ),
            default=1.0,
        )
        for item in raises
    }

"""Rotation: where there is not the minimum for everybody, those who charge give way, one after the other.

Each turn lasts a slot (`Settings.rotation_slot_s`). At no moment do all turns end: of k who charge one gives way each
k-th part of a slot, the longest served first, so that each of n who wait runs within ⌈n/k⌉ slots. A car that was paused
a few times (`Settings.max_pauses`), or has waited as many slots, keeps its minimum before those with fewer: many give up
then.
"""

from collections.abc import Mapping, Sequence

from .decision import Limit
from .frozen import frozen, replace
from .model import Settings
from .observe import Seen
from .state import ConnectorMemory, ControllerState


@frozen
class Rotation:
    """The connector that gives way."""

    memories: Mapping[str, ConnectorMemory]
    yielded_s: float | None
    next_s: float | None
    """In which time somebody gives way at the latest; None: nobody charges, or nobody waits."""


def rotate(
    candidates: Sequence[Seen],
    state: ControllerState,
    now_s: float,
    settings: Settings,
) -> Rotation:
    """Send the one who has charged longest to the end of the queue, if it is time and somebody waits."""
    waiting = [item for item in candidates if item.memory.lacks is not None]
    if not waiting:
        return Rotation(memories={}, yielded_s=state.yielded_s, next_s=None)
    running = [
        item
        for item in candidates
        if item.memory.turn_s is not None
        and item.is_on
        and any(
            _in_the_way(item, other)
            and (
                not is_protected(item.memory, now_s, settings)
                or is_protected(other.memory, now_s, settings)
            )
            for other in waiting
        )
    ]
    if not running:
        return Rotation(memories={}, yielded_s=state.yielded_s, next_s=None)
    longest = min(running, key=lambda item: (item.memory.turn_s or 0.0, item.name))
    due_s = (longest.memory.turn_s or 0.0) + settings.rotation_slot_s
    if state.yielded_s is not None:
        due_s = max(due_s, state.yielded_s + settings.rotation_slot_s / len(running))
    if now_s < due_s:
        return Rotation(memories={}, yielded_s=state.yielded_s, next_s=due_s - now_s)
    memory = replace(longest.memory, queued_s=now_s, turn_s=now_s)
    return Rotation(
        memories={longest.name: memory},
        yielded_s=now_s,
        next_s=settings.rotation_slot_s / len(running),
    )


def is_protected(memory: ConnectorMemory, now_s: float, settings: Settings) -> bool:
    """Return whether a car has had its share of pauses; to wait for a slot is as good as one."""
    waited = 0
    if memory.waits_s is not None:
        waited = int((now_s - memory.waits_s) // max(settings.rotation_slot_s, 1.0))
    return memory.pauses + waited >= settings.max_pauses


def _in_the_way(item: Seen, other: Seen) -> bool:
    """Return whether one charges on what another one waits for."""
    limit: Limit | None = other.memory.lacks
    return (
        limit is not None
        and item.priority <= other.priority
        and (
            limit.circuit is None
            or any(circuit.id == limit.circuit for circuit in item.outlet.path)
        )
        and (limit.group is None or limit.group in item.seen.groups)
    )

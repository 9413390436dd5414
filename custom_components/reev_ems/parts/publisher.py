"""Decides which entities look at a turn of the control loop, and lets the event loop breathe meanwhile.

A site of 500 connectors has 13,000 entities, and at most turns nothing is new for nearly all of them.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count, islice
from typing import Protocol

from homeassistant.core import HomeAssistant, callback

# Chargers and meters must not wait for states to be written: after so many parts and entities others have their turn.
# To see whether a part has news costs 15 µs, a look 5 µs, with a state to write 100 µs; a site of a few charge points is
# done at once.
SLICE = 150

# Every entity looks this often even if nothing seems new, for what is only a matter of time.
LOOK_S = 30.0


class Shown(Protocol):
    """A part of the site that entities show."""

    @property
    def key(self) -> str:
        """Return what tells this part from all others, for ever."""

    @property
    def fingerprint(self) -> Hashable:
        """Return a value that changes whenever an entity may need writing; None: that cannot be told so easily."""


class Looking(Protocol):
    """An entity: it looks whether it has something to write."""

    @property
    def part(self) -> Shown:
        """Return the part that it shows."""

    def look(self) -> None:
        """Write the state if it is due."""


@dataclass(slots=True)
class _Group:
    """The entities of one part of the site."""

    part: Shown
    entities: dict[Looking, None] = field(default_factory=dict)
    fingerprint: Hashable = None
    looked_s: float = 0.0


class Publisher:
    """Knows the entities of a site."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin without entities."""
        self._hass = hass
        self._groups: dict[tuple[type, str], _Group] = {}
        self._unchecked: dict[tuple[type, str], None] = {}
        self._queue: dict[Looking, None] = {}
        self._held: list[tuple[float, int, Looking]] = []
        self._holding: dict[Looking, float] = {}
        self._order = count()
        self._is_working = False
        self._now_s = 0.0
        """The time of the last turn, on the clock of the decisions."""

    @callback
    def add(self, entity: Looking) -> Callable[[], None]:
        """Let an entity look from now on; return what ends it."""
        part = entity.part
        group = self._groups.setdefault((type(part), part.key), _Group(part))
        group.entities[entity] = None
        return partial(self._remove, group, entity)

    @callback
    def _remove(self, group: _Group, entity: Looking) -> None:
        """Forget an entity."""
        group.entities.pop(entity, None)
        self._queue.pop(entity, None)
        self._holding.pop(entity, None)

    @callback
    def hold(self, entity: Looking, until_s: float) -> None:
        """Let an entity look again when the value that it has is due, on the clock of the decisions."""
        if self._holding.get(entity) != until_s:
            self._holding[entity] = until_s
            heappush(self._held, (until_s, next(self._order), entity))

    @callback
    def turn(self, now_s: float) -> None:
        """Let those look for whom something is new or due; what is left over from before comes first."""
        self._now_s = now_s
        self._unchecked |= dict.fromkeys(self._groups)
        if self._is_working:
            return
        if len(self._groups) > SLICE:
            # The step before it has taken its share of this round of the event loop.
            self._is_working = True
            self._hass.loop.call_soon(self._work)
        else:
            self._work()

    def _check(self, group: _Group) -> None:
        """Let the entities of a part look if they may have something new; all, if for them it is time to."""
        if not group.entities:
            return
        fingerprint = group.part.fingerprint
        now_s = self._now_s
        if (
            fingerprint is None
            or fingerprint != group.fingerprint
            or now_s - group.looked_s >= LOOK_S
        ):
            group.fingerprint, group.looked_s = fingerprint, now_s
            self._queue |= group.entities
        while self._held and self._held[0][0] <= now_s:
            due_s, _, entity = heappop(self._held)
            if self._holding.get(entity) == due_s:
                del self._holding[entity]
                self._queue[entity] = None

    @callback
    def _work(self) -> None:
        """Look at some; at the rest after other work of the event loop."""
        self._is_working = False
        for key in tuple(islice(self._unchecked, SLICE)):
            del self._unchecked[key]
            self._check(self._groups[key])
        for entity in tuple(islice(self._queue, SLICE)):
            # The state of another one may have led to the end of this one.
            if entity in self._queue:
                del self._queue[entity]
                entity.look()
        if self._queue or self._unchecked:
            self._is_working = True
            self._hass.loop.call_soon(self._work)

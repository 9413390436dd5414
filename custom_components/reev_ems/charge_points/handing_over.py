"""Before a planned stop, or where a site is unloaded for longer than a reload: charge points keep what fits without us."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
import time
from typing import Final

from homeassistant.core import callback

from ..const import LOGGER
from ..energy_management.decision import Decision
from ..energy_management.handover import BaseLoad, permits_to_keep
from ..energy_management.model import PerPhase, Site, Supply
from ..energy_management.observation import Observation
from ..ocpp_server import ChargePoint, OcppServer, Permit

# "The last minutes" of a base load, kept in parts of some seconds; known for less than a minute it is not known.
KEPT_S: Final = 300.0
PART_S: Final = 10.0
LEAST_S = 60.0
# A restart of Home Assistant takes minutes; a permit that nobody renews must not outlive what it was given for.
LIFE_S: Final = 900.0
# Home Assistant stops no later than 100 s after it began to, and the permits go out at the same time to all.
ACCEPT_S: Final = 5.0
# Decisions that are older say nothing about now: the loop had failed, or stopped long ago.
OLDEST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class HandingOver:
    """Lets the charge points of a config entry keep what fits without us."""

    server: OcppServer
    hand_over: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Part:
    """The base load of a circuit within some seconds."""

    begun_s: float
    highest_a: PerPhase
    lowest_a: PerPhase


@dataclass(slots=True)
class BaseLoads:
    """What circuits carried besides our connectors over the last minutes."""

    _parts: dict[str, deque[_Part]] = field(default_factory=dict)

    @callback
    def note(self, decision: Decision) -> None:
        """Take in a decision; a base load that is not known now is known no more."""
        now_s = decision.at_s
        for name, circuit in decision.circuits.items():
            if circuit.base_a is None or None in circuit.base_a:
                self._parts.pop(name, None)
                continue
            l1, l2, l3 = (value or 0.0 for value in circuit.base_a)
            base_a = (l1, l2, l3)
            parts = self._parts.setdefault(name, deque())
            if not parts or now_s - parts[-1].begun_s >= PART_S:
                parts.append(_Part(now_s, base_a, base_a))
            else:
                parts[-1].highest_a = _each(max, parts[-1].highest_a, base_a)
                parts[-1].lowest_a = _each(min, parts[-1].lowest_a, base_a)
            while parts[0].begun_s < now_s - KEPT_S:
                parts.popleft()

    def ranges(self, now_s: float) -> dict[str, BaseLoad]:
        """Return the extremes by circuit, of those that are known for long enough."""
        found = {}
        for name, parts in self._parts.items():
            if now_s - parts[0].begun_s < LEAST_S:
                continue
            highest_a, lowest_a = parts[0].highest_a, parts[0].lowest_a
            for part in parts:
                highest_a = _each(max, highest_a, part.highest_a)
                lowest_a = _each(min, lowest_a, part.lowest_a)
            found[name] = BaseLoad(highest_a=highest_a, lowest_a=lowest_a)
        return found


async def async_hand_over(
    connectors: Mapping[str, tuple[ChargePoint, int]],
    site: Site,
    observation: Observation,
    decision: Decision,
    base_loads: BaseLoads,
) -> None:
    """Give charge points the permits that they may keep without us; returns when they have accepted, or did not in time."""
    now_s = time.monotonic()
    if now_s - decision.at_s > OLDEST_S:
        return
    able = {
        item_id
        for item_id, (charge_point, number) in connectors.items()
        if charge_point.leaving.can_keep(number)
    }
    kept = permits_to_keep(site, observation, decision, base_loads.ranges(now_s), able)
    dc = {item.id for item in site.connectors if item.supply is Supply.DC}
    by_point: dict[ChargePoint, dict[int, Permit]] = {}
    for item_id, permit in kept.items():
        charge_point, number = connectors[item_id]
        by_point.setdefault(charge_point, {})[number] = Permit(
            limit_a=None if item_id in dc else permit,
            limit_w=permit if item_id in dc else None,
            life_s=LIFE_S,
            phase_count=decision.connectors[item_id].phase_count,
        )
    LOGGER.debug("Handed over: %s", kept)
    await asyncio.gather(
        *(
            charge_point.leaving.hand_over(permits, ACCEPT_S)
            for charge_point, permits in by_point.items()
        )
    )


def _each(
    pick: Callable[[tuple[float, float]], float], one: PerPhase, other: PerPhase
) -> PerPhase:
    """Return the larger or the smaller value of each phase."""
    l1, l2, l3 = (pick(pair) for pair in zip(one, other, strict=True))
    return l1, l2, l3

"""The last hour of observations and decisions, so that a decision can be replayed after somebody wondered about it.

A large site keeps less than an hour: as much as a bound on the memory allows.
"""

from collections import deque
from dataclasses import dataclass
import lzma
import pickle

from homeassistant.core import HomeAssistant

from ..energy_management.controller import ControllerState
from ..energy_management.decision import Decision
from ..energy_management.model import Site
from ..energy_management.observation import Observation

KEPT_S = 3600.0
# An hour of 250 connectors, or half an hour of 500.
KEPT_BYTES = 16 * 1024 * 1024
# Steps of a part share what is the same in all of them, which halves its size and the time to pickle it. The open part
# is objects in memory, hence parts have the fewer steps the more connectors there are.
PART_CONNECTORS = 2500
PART_STEPS = 60
# A machine that is too busy to pack steps leaves some out: better than to pile them up.
MAX_PACKING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One turn of the control loop, with all that is needed to take it again."""

    site: Site
    state_before: ControllerState
    observation: Observation
    decision: Decision


@dataclass(frozen=True, slots=True)
class _Part:
    """Consecutive steps, packed."""

    until_s: float
    packed: bytes


class History:
    """A ring of steps, packed part by part in the executor."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin empty."""
        self._hass = hass
        self._parts: deque[_Part] = deque()
        self._open: list[Step] = []
        self._bytes = 0
        self._packing = 0

    def append(
        self,
        site: Site,
        state_before: ControllerState,
        observation: Observation,
        decision: Decision,
    ) -> None:
        """Take a step; forget what is older than an hour."""
        self._open.append(
            Step(
                site=site,
                state_before=state_before,
                observation=observation,
                decision=decision,
            )
        )
        while self._parts and (
            self._parts[0].until_s < observation.at_s - KEPT_S
            or self._bytes > KEPT_BYTES
        ):
            self._bytes -= len(self._parts.popleft().packed)
        if len(self._open) >= max(
            1, min(PART_STEPS, PART_CONNECTORS // max(len(site.connectors), 1))
        ):
            steps, self._open = self._open, []
            if self._packing < MAX_PACKING:
                self._hass.async_create_task(
                    self._async_pack(steps), "reev EMS history", eager_start=True
                )

    async def _async_pack(self, steps: list[Step]) -> None:
        """Pack steps and put them behind those that are packed."""
        self._packing += 1
        try:
            packed = await self._hass.async_add_executor_job(_pack, steps)
        finally:
            self._packing -= 1
        self._parts.append(_Part(steps[-1].observation.at_s, packed))
        self._bytes += len(packed)

    async def async_steps(self) -> list[Step]:
        """Return all steps, oldest first."""
        # If two were packed at the same time, the later one may have been ready first.
        in_order = sorted(self._parts, key=lambda part: part.until_s)
        parts = [part.packed for part in in_order]
        opened = list(self._open)
        unpacked = await self._hass.async_add_executor_job(
            lambda: [step for packed in parts for step in _unpack(packed)]
        )
        return unpacked + opened


def _pack(steps: list[Step]) -> bytes:
    """Return steps in a small part of their size: the next step is nearly the same, and lies within LZMA's reach."""
    return lzma.compress(pickle.dumps(steps), preset=0)


def _unpack(packed: bytes) -> list[Step]:
    """Return what _pack took."""
    steps: list[Step] = pickle.loads(lzma.decompress(packed))
    return steps

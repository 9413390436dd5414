"""What goes beyond permits where a circuit stays overloaded (S13), carried out beside the control loop.

No permit waits for it: each connector has a task of its own, whose calls give way to charging profiles.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..const import LOGGER
from ..energy_management.decision import Action
from ..ocpp_server import CallError, ChargePoint

# As often as a permit that is not accepted is sent again.
RETRY_S = 15.0
# A transaction that did not end within a minute is the energy management's affair again: it asks anew if it has to.
STOP_TRIES = 4


@dataclass(slots=True)
class _Job:
    """What is wanted of a connector."""

    action: Action
    done: Action | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Something else is wanted."""


class Measures:
    """Ends transactions, and takes connectors out of service and back."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        on_service: Callable[[str, bool], None],
    ) -> None:
        """Begin with nothing to do; `on_service` is told which connectors are out of service because of us.

        It is told before one is taken out, and after one is back: what this program does not remember nobody undoes.
        """
        self._hass = hass
        self._entry = entry
        self._on_service = on_service
        self._jobs: dict[str, _Job] = {}

    @property
    def pending(self) -> Mapping[str, Action]:
        """What is not done yet, by connector; to be kept over a reload."""
        return {
            item_id: job.action
            for item_id, job in self._jobs.items()
            if job.done is not job.action
        }

    @callback
    def want(
        self, item_id: str, charge_point: ChargePoint, number: int, action: Action
    ) -> None:
        """Want an action at a connector; it replaces one that is not done, and the same one goes on."""
        if action is Action.INOPERATIVE:
            self._on_service(item_id, False)
        if job := self._jobs.get(item_id):
            if job.action is not action:
                job.action = action
                job.news.set()
            return
        job = self._jobs[item_id] = _Job(action)
        self._entry.async_create_background_task(
            self._hass,
            self._work(item_id, charge_point, number, job),
            f"reev EMS {item_id} {action}",
        )

    async def _work(
        self, item_id: str, charge_point: ChargePoint, number: int, job: _Job
    ) -> None:
        """Try until it is done; what is asked for once more within a moment is not done twice."""
        failed, tries = False, 0
        while job.action is not job.done:
            job.news.clear()
            action = job.action
            try:
                await _carry_out(charge_point, number, action)
            except CallError as error:
                tries += 1
                if not failed:
                    LOGGER.warning(
                        "%s: %s is not possible now: %s", item_id, action, error
                    )
                failed = True
                if action is Action.STOP and tries >= STOP_TRIES:
                    job.done = action
            else:
                job.done, tries = action, 0
                if failed:
                    LOGGER.info("%s: %s was possible again", item_id, action)
                failed = False
                if action is Action.OPERATIVE:
                    self._on_service(item_id, True)
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await job.news.wait()
        del self._jobs[item_id]


async def _carry_out(charge_point: ChargePoint, number: int, action: Action) -> None:
    """Ask the charge point. Raises CallError."""
    if action is not Action.STOP:
        await charge_point.set_availability(number, action is Action.OPERATIVE)
    elif charge_point.connectors[number].transaction is not None:
        await charge_point.stop_until_permitted(number)

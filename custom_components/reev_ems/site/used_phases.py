"""On how many phases a user's car charges, remembered from one session to the next."""

from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store

from ..const import DEFAULT_ID_TAG, DOMAIN
from ..ocpp_server import ANYBODY, Transaction
from .people import People, tag_key

STORAGE_VERSION = 1
# It is learnt once per session, and what is lost in a power cut the next session shows again.
STORAGE_DELAY_S = 300
# More than the people of one site; a public site sees strangers, of whom those of longest ago are forgotten.
MOST = 1000

# Anybody's: they say nothing about the car.
_SHARED = {tag_key(DEFAULT_ID_TAG), tag_key(ANYBODY)}


def person_of(transaction: Transaction | None, people: People) -> str | None:
    """Return who charges: a user, or a tag that is nobody's; None: nobody in particular."""
    if transaction is None or not transaction.id_tag:
        return None
    if user := people.user_of(transaction.id_tag):
        return f"user {user.id}"
    tag = tag_key(transaction.id_tag)
    return None if tag in _SHARED else f"tag {tag}"


class UsedPhases:
    """What was learnt at a site, by `person_of`."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Initialize; nothing is known before async_load."""
        self._store: Store[dict[str, Any]] = Store(
            hass, STORAGE_VERSION, f"{DOMAIN}.{entry_id}.used_phases"
        )
        self._known: dict[str, int] = {}
        self._is_kept = True

    async def async_load(self) -> None:
        """Read what was kept."""
        self._known = await self._store.async_load() or {}

    def of(self, person: str | None) -> int | None:
        """Return the number of phases of a person's car; None: not known."""
        return None if person is None else self._known.get(person)

    @callback
    def learn(self, person: str | None, phases: int | None) -> None:
        """Remember on how many phases a person's car was seen to charge; None says nothing new."""
        if person is None or phases is None or self._known.get(person) == phases:
            return
        self._known.pop(person, None)
        self._known[person] = phases
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        self._is_kept = False
        self._store.async_delay_save(self._to_keep, STORAGE_DELAY_S)

    async def async_save(self) -> None:
        """Write what waits to be written: a reload reads it at once."""
        if not self._is_kept:
            await self._store.async_save(self._to_keep())

    def _to_keep(self) -> dict[str, int]:
        """Return what is written."""
        self._is_kept = True
        return self._known

    async def async_remove(self) -> None:
        """Forget all: the site was removed."""
        await self._store.async_remove()

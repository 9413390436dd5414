"""The list of id tags in a charge point, by which it decides while it is offline: kept as it should be."""

import asyncio
from hashlib import sha256
from itertools import batched
import json
import logging
from typing import Protocol

from .learnt import LocalListRecord
from .model import CallError, IdTags
from .point import Point

_LOGGER = logging.getLogger(__name__)

SETTLE_S = 2.0
"""Several changes by one person make one list."""


class Lists(Point, Protocol):
    """A charge point that may keep such a list."""

    async def local_list_version(self) -> int:
        """Return the version of its list; 0: it has none, -1: it cannot have one. Raises CallError."""

    async def send_local_list(
        self, id_tags: IdTags, version: int, *, full: bool = True
    ) -> str:
        """Replace its list, or add to it. Raises CallError."""

    async def clear_cache(self) -> str:
        """Let it forget whom it let charge. Raises CallError."""


class LocalList:
    """Keeps the list of one charge point; `run` does while it is connected.

    Its version is read and compared with the one that was sent last, so that nothing is written that is there already.
    A charge point that forgot its list, or was given another one, is sent all of it.
    """

    def __init__(self, point: Lists) -> None:
        """Leave the list alone until `want` says what is to be in it."""
        self.record: LocalListRecord | None = None
        """What it was last made; kept over a restart."""
        self.problem: str | None = None
        """Why it is not as it should be: the key of a CallError, `unsupported`, or `not_all` (too many, or too long)."""
        self._point = point
        self._wanted: IdTags | None = None
        self._ready = False
        self._wake = asyncio.Event()

    def want(self, id_tags: IdTags | None) -> None:
        """Want these id tags in it and no others; None: leave it alone."""
        if id_tags != self._wanted:
            self._wanted = id_tags
            self.problem = None
            self._wake.set()

    def start_afresh(self) -> None:
        """Wait until the charge point was set up."""
        self._ready = False

    def look(self) -> None:
        """Compare: it has just connected, and may have forgotten everything."""
        self._ready = True
        self._wake.set()

    async def run(self) -> None:
        """Bring the list up to date at each change until cancelled or disconnected."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._wanted is None or not self._ready:
                continue
            await asyncio.sleep(SETTLE_S)
            try:
                await self._keep(self._wanted)
            except CallError as error:
                if error.key in {"disconnected", "not_connected"}:
                    return
                # Most that have no list say so by an error.
                self._note("unsupported" if error.key == "refused" else error.key)
                _LOGGER.debug("%s: list of id tags: %s", self._point.id, error)

    async def _keep(self, id_tags: IdTags) -> None:
        """Send the list if it is another one. Raises CallError."""
        point, dialect = self._point, self._point.dialect
        if not id_tags and self.record is None:
            # Where there are no users and never were any, the list is somebody else's.
            return
        room = await dialect.local_list_room()
        version = -1 if room is None else await point.local_list_version()
        if room is None or version < 0:
            self._note("unsupported")
            return
        fitting = {
            id_tag: may_charge
            # A card that may charge comes first where there is not room for all.
            for id_tag, may_charge in sorted(
                id_tags.items(), key=lambda item: (not item[1], item[0])
            )[: room.in_all]
            if len(id_tag) <= dialect.id_tag_length
        }
        self._note(None if len(fitting) == len(id_tags) else "not_all")
        record = LocalListRecord(version=version, digest=_digest(fitting))
        await dialect.enable_local_list()
        if record == self.record:
            return
        if self.record is not None:
            # Some take no lower version than one that they had before.
            version = max(version, self.record.version)
        full = True
        for part in list(batched(fitting.items(), room.per_message, strict=False)) or [
            ()
        ]:
            version += 1
            await point.send_local_list(dict(part), version, full=full)
            full = False
        self.record = LocalListRecord(version=version, digest=record.digest)
        point.taught()
        try:
            # A card that left the list must not stay in the cache either.
            await point.clear_cache()
        except CallError as error:
            _LOGGER.debug("%s: cache not cleared: %s", point.id, error)

    def _note(self, problem: str | None) -> None:
        if problem not in (None, self.problem):
            _LOGGER.info(
                "%s: its list of id tags is not as it should be: %s",
                self._point.id,
                problem,
            )
        self.problem = problem


def _digest(id_tags: IdTags) -> str:
    """Return what is another one for another list; no tag can be read from it."""
    return sha256(json.dumps(sorted(id_tags.items())).encode()).hexdigest()

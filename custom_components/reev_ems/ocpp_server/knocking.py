"""Charge points that knock while pairing is open: listed while there is room; none pushes out one that came alone (S12)."""

from collections import Counter
from collections.abc import Hashable, Mapping
from datetime import timedelta

from .connections import network
from .model import UnknownChargePoint

MOST = 20
_SILENT = timedelta(seconds=60)
"""One that was not heard for so long gives way to anybody."""


class Knocking:
    """The charge points that wait for adoption, by id, the one that was heard last at the end."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.listed: dict[str, UnknownChargePoint] = {}

    def see(self, unknown: UnknownChargePoint) -> tuple[bool, str | None]:
        """List a charge point; returns whether that is news, and the id of the one that gave way to it."""
        before = self.listed.pop(unknown.id, None)
        gone = None
        if before is None and len(self.listed) >= MOST:
            gone = self._to_give_way(unknown)
            if gone is None:
                return False, None
            del self.listed[gone]
        self.listed[unknown.id] = unknown
        return before is None or before.model != unknown.model, gone

    def _to_give_way(self, unknown: UnknownChargePoint) -> str | None:
        first = next(iter(self.listed.values()))
        if unknown.last_seen - first.last_seen > _SILENT:
            return first.id
        places = {id_: network(each.address or "") for id_, each in self.listed.items()}
        return of_the_crowd(places, network(unknown.address or ""))


def of_the_crowd[Key: Hashable](places: Mapping[Key, str], place: str) -> Key | None:
    """Return the first of the address that has most, which gives way to one of an address that has fewer; None: nobody."""
    counts = Counter(places.values())
    crowd, most = counts.most_common(1)[0]
    if most < 2 or counts[place] + 1 >= most:
        return None
    return next(key for key, each in places.items() if each == crowd)

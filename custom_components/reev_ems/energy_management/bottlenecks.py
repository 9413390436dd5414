"""The rows that can become full, and who stands in them.

Most rows of a site never bind: those below could not load them enough. Only the others are gone through again and again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from .rows import Entry, Rows


class Bottlenecks:
    """Some of the rows."""

    def __init__(
        self, rows: Rows, wanted: Sequence[bool], *, at_minimum: bool = False
    ) -> None:
        """Select rows.

        Args:
            rows: of the case, with every signature.
            wanted: by row, whether it can become full.
            at_minimum: whether only minimums are asked about, which do not count everywhere.
        """
        self.entries: Sequence[tuple[Entry, ...]] = [()] * len(rows.places)
        """By signature, its rows, the nearest circuit's first, and the coefficients there."""
        self._members: dict[int, list[int]] | None = None
        if not any(wanted):
            return
        shared = [
            tuple(
                [
                    entry
                    for entry in (
                        shape.common
                        if at_minimum
                        else shape.common + shape.above_minimum
                    )
                    if wanted[entry[0]]
                ]
            )
            for shape in rows.shapes
        ]
        known: dict[tuple[int, int], tuple[Entry, ...]] = {}
        self.entries = [
            _climb(rows, wanted, place, shape_place, shared[shape_place], known)
            for place, shape_place in zip(rows.places, rows.shape_places, strict=True)
        ]

    def members(self) -> Mapping[int, Sequence[int]]:
        """Return by row the signatures that stand in it."""
        if self._members is None:
            members: defaultdict[int, list[int]] = defaultdict(list)
            for signature, entries in enumerate(self.entries):
                for row, _ in entries:
                    members[row].append(signature)
            self._members = members
        return self._members


def _climb(
    rows: Rows,
    wanted: Sequence[bool],
    start: int,
    shape_place: int,
    shared: tuple[Entry, ...],
    known: dict[tuple[int, int], tuple[Entry, ...]],
) -> tuple[Entry, ...]:
    """Go up from a circuit to where the rows are known, and come down again."""
    place: int | None = start
    climbed: list[int] = []
    while place is not None and (place, shape_place) not in known:
        climbed.append(place)
        place = rows.circuits[place].parent
    entries = shared if place is None else known[place, shape_place]
    shape = rows.shapes[shape_place]
    for place in reversed(climbed):
        node = rows.circuits[place]
        if (row := node.power_row) is not None and wanted[row]:
            entries = ((row, shape.phase_count), *entries)
        if (row := node.phase_rows) is not None:
            own = [(row + phase, 1.0) for phase in shape.loaded if wanted[row + phase]]
            if own:
                entries = (*own, *entries)
        known[place, shape_place] = entries
    return entries

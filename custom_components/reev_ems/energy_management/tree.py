"""The tree of circuits: who lies below whom."""

from collections.abc import Iterable, Iterator, Mapping

from .model import Circuit

_upwards: list[tuple[Iterable[Circuit], tuple[Circuit, ...]]] = []
"""The last site's circuits and their order: they change rarely."""


def upwards(circuits: tuple[Circuit, ...]) -> tuple[Circuit, ...]:
    """Return the circuits in an order that depends on their ids alone, each before those above it.

    Raises:
        ValueError: they are no tree.
    """
    for known, order in _upwards:
        if known is circuits:
            return order
    paths = paths_to_root(circuits)
    names = sorted(paths, key=lambda name: (-len(paths[name]), name))
    order = tuple([paths[name][0] for name in names])
    # In one assignment: another thread may be replaying decisions.
    _upwards[:] = [(circuits, order)]
    return order


def paths_to_root(circuits: Iterable[Circuit]) -> dict[str, tuple[Circuit, ...]]:
    """Return for each circuit itself and those above it, the grid connection last.

    Raises:
        ValueError: an id is there twice, a parent does not exist, or a circuit lies below itself.
    """
    by_id: dict[str, Circuit] = {}
    for circuit in circuits:
        if circuit.id in by_id:
            raise ValueError(f"circuit {circuit.id!r} is there twice")
        by_id[circuit.id] = circuit
    paths: dict[str, tuple[Circuit, ...]] = {}
    for start in by_id:
        # Climb until a path is known, then come down again: linear, and safe in trees of any depth.
        climbed: list[str] = []
        climbing: set[str] = set()
        here: str | None = start
        while here is not None and here not in paths:
            if here in climbing:
                raise ValueError(f"circuit {here!r} lies below itself")
            if here not in by_id:
                raise ValueError(
                    f"circuit {climbed[-1]!r} has the unknown parent {here!r}"
                )
            climbing.add(here)
            climbed.append(here)
            here = by_id[here].parent
        above = () if here is None else paths[here]
        for below in reversed(climbed):
            above = paths[below] = (by_id[below], *above)
    return paths


def parents_of(circuits: Iterable[Circuit]) -> dict[str, str | None]:
    """Return the tree as child to parent."""
    return {circuit.id: circuit.parent for circuit in circuits}


def climb(parents: Mapping[str, str | None], circuit: str) -> Iterator[str]:
    """Yield a circuit and those above it, the grid connection last; a circle of a damaged configuration ends."""
    seen: set[str] = set()
    here: str | None = circuit
    while here is not None and here not in seen:
        yield here
        seen.add(here)
        here = parents.get(here)


def is_below(parents: Mapping[str, str | None], circuit: str, top: str) -> bool:
    """Return whether the current of a circuit flows through `top`, or it is `top` itself."""
    return top in climb(parents, circuit)

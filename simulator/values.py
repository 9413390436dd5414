"""How single values of a site file, and of commands, are read."""

from collections.abc import Callable, Mapping
from typing import Any

import voluptuous as vol

from .load import PerPhase


def finite(value: Any) -> float:
    """Read a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise vol.Invalid("a number is needed")
    if not abs(value) < 1e12:
        raise vol.Invalid("a finite number is needed")
    return float(value)


POSITIVE = vol.All(
    finite, vol.Range(min=0.0, min_included=False, msg="must be above 0")
)
NOT_NEGATIVE = vol.All(finite, vol.Range(min=0.0, msg="must not be negative"))
SHARE = vol.All(finite, vol.Range(min=0.0, max=1.0, msg="must be from 0 to 1"))


def per_phase(value: Any) -> PerPhase:
    """Read one number for all phases, or three."""
    if isinstance(value, list):
        if len(value) != 3:
            raise vol.Invalid("one number or three are needed")
        first, second, third = (finite(part) for part in value)
        return (first, second, third)
    same = finite(value)
    return (same, same, same)


def positive_per_phase(value: Any) -> PerPhase:
    """Read one number above 0 for all phases, or three."""
    values = per_phase(value)
    if min(values) <= 0.0:
        raise vol.Invalid("must be above 0")
    return values


def phase(value: Any) -> int:
    """Read a phase as its place."""
    names = ("L1", "L2", "L3")
    if value not in names:
        raise vol.Invalid("L1, L2 or L3 is needed")
    return names.index(value)


def different(values: list[int]) -> tuple[int, ...]:
    """Read phases of which none is named twice."""
    if len(set(values)) != len(values):
        raise vol.Invalid("a phase is named twice")
    return tuple(values)


def one_of(names: Mapping[str, Any], what: str) -> Callable[[Any], Any]:
    """Return a reader of names that gives what they stand for."""

    def read(value: Any) -> Any:
        if value not in names:
            raise vol.Invalid(f"no such {what}; there are {', '.join(names)}")
        return names[value]

    return read


LINE_PHASES = vol.All([phase], vol.Length(min=1, max=3), different)
"""Phases by name, each once."""

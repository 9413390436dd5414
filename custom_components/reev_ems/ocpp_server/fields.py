"""Reading what charge points send: tolerant of what is harmless, exact about what is not there.

Chargers in the field break the schema (numbers as text, longer texts, local time), so a field is read for what it
means. What cannot be read is None.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
import math
import re

TEXT_LIMIT = 255
"""Texts of charge points are cut here: they end up in states, logs and records."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN = re.compile(r"[!-~](?:[ -~]*[!-~])?")
"""What most texts are, and what needs no cleaning."""
_BIG = 1e15
_INTEGER_LIMIT = 2**31


class MissingField(Exception):
    """A request lacks what it cannot be understood without."""


def text(
    payload: Mapping[str, object], name: str, limit: int = TEXT_LIMIT
) -> str | None:
    """Return a text without control characters, cut at `limit`; None if it is absent or empty."""
    value = payload.get(name)
    if isinstance(value, str) and len(value) <= limit and _PLAIN.fullmatch(value):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return _CONTROL.sub(" ", str(value)[:limit]).strip() or None


def number(value: object) -> float | None:
    """Return a finite number, also from its text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        result = float(value)
    except ValueError, OverflowError:
        return None
    return result if math.isfinite(result) and abs(result) < _BIG else None


def integer(payload: Mapping[str, object], name: str) -> int | None:
    """Return a whole number of OCPP (32 bits), also from its text; None for anything else."""
    value = number(payload.get(name))
    if value is None or abs(value) >= _INTEGER_LIMIT or value != int(value):
        return None
    return int(value)


def required_integer(payload: Mapping[str, object], name: str) -> int:
    """Return a whole number. Raises MissingField."""
    value = integer(payload, name)
    if value is None:
        raise MissingField(name)
    return value


def flag(value: str | None) -> bool | None:
    """Return a configuration key that is true or false, in any spelling; None for anything else."""
    return {"true": True, "false": False}.get((value or "").strip().lower())


def moment(payload: Mapping[str, object], name: str) -> datetime | None:
    """Return a point in time in UTC; one without an offset is taken as UTC. None if it is absent or no time."""
    value = payload.get(name)
    if not isinstance(value, str):
        return None
    try:
        result = datetime.fromisoformat(value.strip())
        return (result if result.tzinfo else result.replace(tzinfo=UTC)).astimezone(UTC)
    except ValueError, OverflowError:
        return None


def mapping(payload: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return an object; an empty one if it is absent or something else."""
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def mappings(payload: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """Return the objects of a list; none if it is absent or something else."""
    value = payload.get(name)
    return (
        [item for item in value if isinstance(item, dict)]
        if isinstance(value, list)
        else []
    )


def timestamp(at: datetime) -> str:
    """Return a point in time as OCPP writes it: UTC, milliseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

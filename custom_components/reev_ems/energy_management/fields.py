"""Reading JSON strictly: what is not understood is refused in one line that names the field."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
import json
from math import isfinite
from typing import NoReturn

LARGEST = 1e9
"""No current, power, energy or time of a site is larger; what is, is a mistake."""


class RefusedError(ValueError):
    """The input cannot be used; its text is one line that names the field."""


def parse(text: str) -> object:
    """Return the value that a JSON text stands for.

    Raises:
        RefusedError: it is no JSON, holds NaN or Infinity, names a field twice or is nested too deeply.
    """
    try:
        value: object = json.loads(
            text, parse_constant=_no_number, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise RefusedError(
            f"no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise RefusedError("nested too deeply") from None
    except ValueError as error:
        # A whole number of thousands of digits.
        raise RefusedError(f"no JSON: {error}".splitlines()[0]) from None
    return value


def _no_number(name: str) -> NoReturn:
    raise RefusedError(f"{name} is not a number")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise RefusedError(f"{ascii(name)[1:-1]}: given twice")
        found[name] = value
    return found


class Fields:
    """The fields of one JSON object; each is taken once, and `done` refuses what is left."""

    def __init__(self, raw: object, path: str = "") -> None:
        """Take the object.

        Args:
            raw: the parsed value.
            path: where it stands, for the messages.

        Raises:
            RefusedError: it is no object.
        """
        if not isinstance(raw, Mapping):
            raise RefusedError(f"{path or 'the input'}: must be an object")
        self._path = path
        self._left = dict(raw)

    def refuse(self, name: str, reason: str) -> NoReturn:
        """Refuse a field."""
        raise RefusedError(f"{self._at(name)}: {reason}")

    def has(self, name: str) -> bool:
        """Return whether a field is there and not taken yet."""
        return name in self._left

    def done(self) -> None:
        """Refuse the fields that nobody took."""
        for name in self._left:
            self.refuse(ascii(str(name))[1:-1], "unknown field")

    def text(self, name: str) -> str:
        """Take a text that must be there and not be empty."""
        value = self._take(name)
        if not isinstance(value, str) or not value:
            self.refuse(name, "must be a text that is not empty")
        return value

    def optional_text(self, name: str) -> str | None:
        """Take a text; absent and null are None."""
        return None if self._is_null(name) else self.text(name)

    def choice[E: StrEnum](self, name: str, default: E) -> E:
        """Take one of an enumeration's values."""
        if name not in self._left:
            return default
        value = self._take(name)
        kind = type(default)
        if not isinstance(value, str) or value not in list(kind):
            self.refuse(name, f"must be one of {', '.join(kind)}")
        return kind(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Take true or false."""
        if name not in self._left:
            return default
        value = self._take(name)
        if not isinstance(value, bool):
            self.refuse(name, "must be true or false")
        return value

    def optional_flag(self, name: str) -> bool | None:
        """Take true or false; absent and null are None."""
        return None if self._is_null(name) else self.flag(name, default=False)

    def number(
        self,
        name: str,
        default: float,
        *,
        least: float = -LARGEST,
        most: float = LARGEST,
        above: float | None = None,
    ) -> float:
        """Take a finite number between two bounds; `above` is a lower bound that it must not touch."""
        if name not in self._left:
            return default
        return self._number(name, self._take(name), least, most, above)

    def optional_number(
        self, name: str, *, least: float = -LARGEST, most: float = LARGEST
    ) -> float | None:
        """Take a finite number between two bounds; absent and null are None."""
        if self._is_null(name):
            return None
        return self._number(name, self._take(name), least, most, None)

    def whole_number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Take a whole number between two bounds."""
        value = self.number(name, default, least=least, most=most)
        if value != int(value):
            self.refuse(name, "must be a whole number")
        return int(value)

    def optional_whole_number(self, name: str, *, least: int, most: int) -> int | None:
        """Take a whole number between two bounds; absent and null are None."""
        if self._is_null(name):
            return None
        return self.whole_number(name, least, least=least, most=most)

    def whole_numbers(self, name: str, *, least: int, most: int) -> tuple[int, ...]:
        """Take a list of whole numbers."""
        values = self._take(name)
        if not isinstance(values, list):
            self.refuse(name, "must be a list")
        found: list[int] = []
        for index, value in enumerate(values):
            at = f"{name}[{index}]"
            number = self._number(at, value, least, most, None)
            if number != int(number):
                self.refuse(at, "must be a whole number")
            found.append(int(number))
        return tuple(found)

    def per_phase(
        self, name: str, *, least: float = -LARGEST
    ) -> tuple[float, float, float] | None:
        """Take the values of L1, L2, L3; absent and null are None."""
        values = self.part_per_phase(name, least=least)
        if values is None:
            return None
        l1, l2, l3 = values
        if l1 is None or l2 is None or l3 is None:
            self.refuse(name, "must be three numbers, for L1, L2, L3")
        return l1, l2, l3

    def part_per_phase(
        self, name: str, *, least: float = -LARGEST
    ) -> tuple[float | None, float | None, float | None] | None:
        """Take the values of L1, L2, L3, of which some may be null; absent and null are None."""
        if self._is_null(name):
            return None
        values = self._take(name)
        if not isinstance(values, Sequence) or isinstance(values, str):
            self.refuse(name, "must be three numbers, for L1, L2, L3")
        if len(values) != 3:
            self.refuse(name, "must be three numbers, for L1, L2, L3")
        l1, l2, l3 = (
            None
            if value is None
            else self._number(f"{name}[{index}]", value, least, LARGEST, None)
            for index, value in enumerate(values)
        )
        return l1, l2, l3

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Take a list of texts; null is None."""
        values = self._take(name)
        if values is None:
            return None
        if not isinstance(values, list) or not all(
            isinstance(value, str) for value in values
        ):
            self.refuse(name, "must be a list of texts")
        return tuple(values)

    def inner(self, name: str) -> Fields | None:
        """Take an object; absent and null are None."""
        if self._is_null(name):
            return None
        return Fields(self._take(name), self._at(name))

    def names(self) -> tuple[str, ...]:
        """Return the names of the fields that are left."""
        return tuple(self._left)

    def each[T](self, name: str, read: Callable[[Fields], T]) -> Iterator[T]:
        """Take a list of objects, absent is an empty one, and read each."""
        values = self._take(name) if name in self._left else []
        if not isinstance(values, list):
            self.refuse(name, "must be a list")
        for index, value in enumerate(values):
            fields = Fields(value, self._at(f"{name}[{index}]"))
            result = read(fields)
            fields.done()
            yield result

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _take(self, name: str) -> object:
        if name not in self._left:
            self.refuse(name, "is missing")
        return self._left.pop(name)

    def _is_null(self, name: str) -> bool:
        """Return whether a field is absent or null; if so it counts as taken."""
        if self._left.get(name) is not None:
            return False
        self._left.pop(name, None)
        return True

    def _number(
        self, name: str, value: object, least: float, most: float, above: float | None
    ) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, "must be a number")
        # Compared before it is converted: a whole number may be too large for a float.
        if not -LARGEST <= value <= LARGEST or not isfinite(value):
            self.refuse(name, "is out of any range")
        if above is not None and value <= above:
            self.refuse(name, f"must be above {above:g}")
        if value < least:
            self.refuse(
                name,
                "must not be negative" if least == 0 else f"must be {least:g} or more",
            )
        if value > most:
            self.refuse(name, f"must be {most:g} or less")
        return float(value)

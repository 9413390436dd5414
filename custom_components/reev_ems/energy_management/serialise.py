"""Sites, observations, decisions and states as plain JSON values and back, exactly.

`to_json` and `from_json` follow the dataclasses' own type annotations, so a field added there is covered here. The
formats that people write and read are in run_format.py; this one is for storage and for replaying decisions.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, TypeAliasType, Union, get_args, get_origin, get_type_hints

from .fields import RefusedError

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
"""What `json` writes."""


def to_json(value: object) -> Json:
    """Return a value as plain JSON values.

    Raises:
        TypeError: a part of it is of a kind that the energy management does not use.
    """
    if isinstance(value, Enum):
        return str(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if is_dataclass(value):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
    raise TypeError(f"{type(value).__name__} cannot be written")


def from_json[T: Hashable](kind: type[T], data: object) -> T:
    """Return the value that `to_json` wrote; fields that are left out have their defaults.

    Raises:
        RefusedError: the data are not those of such a value; the text names the field.
    """
    value: T = _reader(kind)(data, "")
    return value


type _Reader = Callable[[object, str], Any]


@cache
def _reader(kind: Any) -> _Reader:
    """Return what reads a value of a type."""
    while isinstance(kind, TypeAliasType):
        kind = kind.__value__
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass_reader(kind)
    if origin in {Union, UnionType}:
        return _optional_reader(arguments)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is Mapping:
        return _mapping_reader(arguments[1])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_reader(kind)
    if kind is float:
        return _read_float
    if kind in {bool, int, str}:
        return _plain_reader(kind)
    raise TypeError(f"{kind} cannot be read")


def _dataclass_reader(kind: Any) -> _Reader:
    # Resolved at the first value, as types may hold themselves.
    readers: dict[str, _Reader] = {}

    def read(data: object, path: str) -> Any:
        if not isinstance(data, Mapping):
            raise _refused(path, "must be an object")
        if not readers:
            hints = get_type_hints(kind)
            readers.update(
                {item.name: _reader(hints[item.name]) for item in fields(kind)}
            )
        values: dict[str, Any] = {}
        for name, value in data.items():
            at = f"{path}.{name}" if path else str(name)
            if name not in readers:
                raise _refused(at, "unknown field")
            values[name] = readers[name](value, at)
        try:
            return kind(**values)
        except TypeError as error:
            raise _refused(path, str(error)) from None

    return read


def _optional_reader(arguments: tuple[Any, ...]) -> _Reader:
    (inner,) = (item for item in arguments if item is not NoneType)
    reader = _reader(inner)
    return lambda data, path: None if data is None else reader(data, path)


def _tuple_reader(arguments: tuple[Any, ...]) -> _Reader:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        every = _reader(arguments[0])

        def read_any(data: object, path: str) -> Any:
            if not isinstance(data, list):
                raise _refused(path, "must be a list")
            return tuple(
                every(item, f"{path}[{index}]") for index, item in enumerate(data)
            )

        return read_any
    readers = [_reader(item) for item in arguments]

    def read(data: object, path: str) -> Any:
        if not isinstance(data, list) or len(data) != len(readers):
            raise _refused(path, f"must be a list of {len(readers)}")
        return tuple(
            reader(item, f"{path}[{index}]")
            for index, (reader, item) in enumerate(zip(readers, data, strict=True))
        )

    return read


def _mapping_reader(inner: Any) -> _Reader:
    reader = _reader(inner)

    def read(data: object, path: str) -> Any:
        if not isinstance(data, Mapping):
            raise _refused(path, "must be an object")
        return {str(key): reader(item, f"{path}.{key}") for key, item in data.items()}

    return read


def _enum_reader(kind: type[Enum]) -> _Reader:
    def read(data: object, path: str) -> Any:
        try:
            return kind(data)
        except ValueError:
            choices = ", ".join(str(item.value) for item in kind)
            raise _refused(path, f"must be one of {choices}") from None

    return read


def _read_float(data: object, path: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float):
        raise _refused(path, "must be a number")
    try:
        value = float(data)
    except OverflowError:
        raise _refused(path, "is out of any range") from None
    if not isfinite(value):
        raise _refused(path, "must be a finite number")
    return value


def _plain_reader(kind: Any) -> _Reader:
    def read(data: object, path: str) -> Any:
        if type(data) is not kind:
            raise _refused(path, f"must be of type {kind.__name__}")
        return data

    return read


def _refused(path: str, reason: str) -> RefusedError:
    return RefusedError(f"{path or 'the input'}: {reason}")

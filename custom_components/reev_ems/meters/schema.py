"""Makes meter profiles of the data that files and the user's form hold, and refuses what is wrong by name."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
import math
import re
from typing import Any, override

from .flaws import Flaw
from .profile import (
    CT_PRIMARY,
    PHASE_CURRENTS,
    PHASE_POWERS,
    PHASE_VOLTAGES,
    QUANTITIES,
    WORDS,
    Block,
    Combine,
    Identifier,
    MeterProfile,
    Quantity,
    Space,
    Status,
    WordOrder,
)

MAX_READ = 125
"""Registers in one request, by the Modbus standard."""

_ID = re.compile(r"[a-z][a-z0-9_]{1,63}")
_SPACES: dict[int, Space] = {3: "holding", 4: "input"}
_WORD_ORDERS: dict[str, WordOrder] = {"big": "big", "little": "little"}


class InvalidProfile(ValueError):
    """A profile breaks the schema; `path` leads to the value at fault."""

    def __init__(self, path: tuple[str, ...], flaw: Flaw, **facts: object) -> None:
        """Name the value by its path, as there may be no file with lines; `facts` fill the sentence of the flaw."""
        super().__init__(path, flaw, facts)
        self.path = path
        self.flaw = flaw
        self.facts = facts

    @override
    def __str__(self) -> str:
        """Return the English sentence."""
        return self.told(self.flaw.value)

    def told(self, sentence: str) -> str:
        """Return what is wrong and where, in the words of a sentence of any language."""
        sentence = sentence.format(**self.facts)
        return f"{'.'.join(self.path)}: {sentence}" if self.path else sentence


class _Fields:
    """A mapping that is taken apart key by key; what is left over is unknown and refused."""

    def __init__(self, value: object, path: tuple[str, ...]) -> None:
        if not isinstance(value, Mapping):
            raise InvalidProfile(path, Flaw.NOT_A_MAPPING)
        self._left: dict[str, object] = {str(key): item for key, item in value.items()}
        self.path = path

    def has(self, key: str) -> bool:
        return key in self._left

    def left(self) -> list[str]:
        """Return what is left."""
        return list(self._left)

    def take(self, key: str) -> object:
        """Return the value of a key, or None."""
        return self._left.pop(key, None)

    def problem(self, key: str, flaw: Flaw, **facts: object) -> InvalidProfile:
        return InvalidProfile((*self.path, key), flaw, **facts)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._left.pop(key, default)
        if not isinstance(value, str) or not value.strip():
            raise self.problem(key, Flaw.NOT_A_TEXT)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(
            isinstance(item, str) for item in value
        ):
            raise self.problem(key, Flaw.NOT_TEXTS)
        return tuple(value)

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        return self._integer(key, self._left.pop(key, default), low, high)

    def integers(
        self, key: str, low: int, high: int, default: tuple[int, ...] = ()
    ) -> tuple[int, ...]:
        value = self._left.pop(key, list(default))
        if not isinstance(value, list):
            raise self.problem(key, Flaw.NOT_WHOLE_NUMBERS)
        return tuple(self._integer(key, item, low, high) for item in value)

    def _integer(self, key: str, value: object, low: int, high: int) -> int:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not low <= value <= high
        ):
            raise self.problem(key, Flaw.WHOLE_OUT_OF_RANGE, low=low, high=high)
        return value

    def number(self, key: str, low: float, high: float, default: float) -> float:
        value = self._left.pop(key, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise self.problem(key, Flaw.OUT_OF_RANGE, low=low, high=high)
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._left.pop(key, False)
        if not isinstance(value, bool):
            raise self.problem(key, Flaw.NOT_A_FLAG)
        return value

    def choice[T](self, key: str, choices: Mapping[Any, T], default: object) -> T:
        value = self._left.pop(key, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | str)
            or value not in choices
        ):
            raise self.problem(
                key, Flaw.NOT_A_CHOICE, choices=", ".join(map(str, choices))
            )
        return choices[value]

    def end(self) -> None:
        """Refuse keys that nobody asked for: most likely they are misspelt."""
        for key in self._left:
            raise self.problem(key, Flaw.UNKNOWN_KEY)


def parse_profile(
    data: object, *, known: Mapping[str, MeterProfile] | None = None
) -> MeterProfile:
    """Make a profile of a mapping as a file or the user's form holds it.

    `known` are the profiles that `candidates` may name. Raises InvalidProfile.
    """
    fields = _Fields(data, ())
    profile_id = fields.text("id")
    if not _ID.fullmatch(profile_id):
        raise fields.problem("id", Flaw.BAD_ID)
    space = fields.choice("function_code", _SPACES, 3)
    order = fields.choice("word_order", _WORD_ORDERS, "big")
    value_type = fields.choice("type", {name: name for name in WORDS}, "float32")
    max_read = fields.integer("max_read", 1, MAX_READ, MAX_READ)
    absent = fields.integers("absent", 0, 2**64 - 1)

    quantities = {
        name: _parse_quantity(item, name, space, order, value_type, absent)
        for name, item in _named(fields, "quantities", QUANTITIES)
    }
    spans = {
        (part.space, address, WORDS[part.type])
        for part in quantities.values()
        for address in part.addresses
    }
    spans |= {
        (part.space, register, 1)
        for part in quantities.values()
        for register in (part.scale_register, part.sign_register)
        if register is not None
    }
    blocks = _parse_blocks(fields, "blocks", space, max_read, spans)
    _check_quantities(fields, quantities, blocks)

    identification = {
        name: _parse_identifier(item, ("identification", name), space, order)
        for name, item in _named(fields, "identification", None)
    }
    id_spans = {
        (part.space, part.address, part.count) for part in identification.values()
    }
    id_blocks = _parse_blocks(
        fields, "identification_blocks", space, max_read, id_spans
    )
    for name, part in identification.items():
        if not any(
            block.holds(part.space, part.address, part.count) for block in id_blocks
        ):
            raise InvalidProfile(
                ("identification", name), Flaw.OUTSIDE_IDENTIFICATION_BLOCKS
            )
    profile = MeterProfile(
        id=profile_id,
        name=fields.text("name"),
        name_remark=fields.text("name_remark") if fields.has("name_remark") else None,
        manufacturer=fields.text("manufacturer", "unknown"),
        models=fields.texts("models"),
        status=fields.choice(
            "status", {item.value: item for item in Status}, "unverified"
        ),
        port=fields.integer("port", 1, 65535, 502),
        unit_ids=fields.integers("unit_ids", 0, 255, (1,)),
        min_poll_s=fields.number("min_poll_s", 0.1, 60.0, 1.0),
        max_connections=fields.integer("max_connections", 1, 1000)
        if fields.has("max_connections")
        else None,
        needs_gateway=fields.flag("needs_gateway"),
        rating_a=fields.number("rating_a", 1.0, 100_000.0, 1.0)
        if fields.has("rating_a")
        else None,
        ratings_a=_parse_ratings(fields),
        blocks=blocks,
        quantities=quantities,
        identification_blocks=id_blocks,
        identification=identification,
        sunspec_models=fields.integers("sunspec_models", 1, 65534),
        candidates=_parse_candidates(fields, known or {}),
        notes=fields.texts("notes"),
        value_notes=fields.texts("value_notes"),
        sources=fields.texts("sources"),
    )
    fields.end()
    ct_primary = identification.get(CT_PRIMARY)
    if ct_primary is not None and ct_primary.type == "string":
        raise InvalidProfile(("identification", CT_PRIMARY, "type"), Flaw.NOT_A_NUMBER)
    if not profile.unit_ids:
        raise fields.problem("unit_ids", Flaw.NO_UNIT_ID)
    kinds = (profile.quantities, profile.sunspec_models, profile.candidates)
    if sum(bool(kind) for kind in kinds) != 1:
        raise InvalidProfile((), Flaw.NOT_ONE_KIND)
    return profile


def _named(
    fields: _Fields, key: str, allowed: tuple[str, ...] | None
) -> Iterator[tuple[str, object]]:
    """Yield the items of a mapping of named things; a null takes an inherited one away."""
    value = fields.take(key)
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise fields.problem(key, Flaw.NOT_A_MAPPING)
    for name, item in value.items():
        if allowed is not None and name not in allowed:
            raise InvalidProfile(
                (key, str(name)), Flaw.UNKNOWN_QUANTITY, known=", ".join(allowed)
            )
        if item is not None:
            yield str(name), item


def _parse_quantity(
    data: object,
    name: str,
    space: Space,
    order: WordOrder,
    value_type: str,
    absent: tuple[int, ...],
) -> Quantity:
    fields = _Fields(data, ("quantities", name))
    given = [kind for kind in Combine if fields.has(kind)]
    if len(given) != 1:
        raise InvalidProfile(fields.path, Flaw.NOT_ONE_SOURCE)
    combine = given[0]
    if combine is Combine.ONE:
        addresses: tuple[int, ...] = (fields.integer("address", 0, 65535),)
    else:
        addresses = fields.integers(combine, 0, 65535)
        if len(addresses) < 2 or (combine is Combine.MINUS and len(addresses) != 2):
            raise fields.problem(combine, Flaw.NOT_TWO_ADDRESSES)
    quantity = Quantity(
        combine=combine,
        addresses=addresses,
        space=fields.choice("function_code", {**_SPACES, space: space}, space),
        type=fields.choice("type", {item: item for item in WORDS}, value_type),
        word_order=fields.choice("word_order", _WORD_ORDERS, order),
        scale=fields.number("scale", -1e6, 1e6, 1.0),
        scale_register=fields.integer("scale_register", 0, 65535)
        if fields.has("scale_register")
        else None,
        absent=frozenset(fields.integers("absent", 0, 2**64 - 1, absent)),
        sign_from=fields.choice(
            "sign_from", {item: item for item in PHASE_POWERS}, None
        )
        if fields.has("sign_from")
        else None,
        sign_register=fields.integer("sign_register", 0, 65535)
        if fields.has("sign_register")
        else None,
        tenth_above=fields.number("tenth_above", 0.0, 1e6, 0.0)
        if fields.has("tenth_above")
        else None,
        optional=fields.flag("optional"),
    )
    fields.end()
    if quantity.scale == 0 or math.isnan(quantity.scale):
        raise fields.problem("scale", Flaw.SCALE_IS_ZERO)
    if quantity.sign_from is not None and name not in PHASE_CURRENTS:
        raise fields.problem("sign_from", Flaw.SIGN_OF_NO_CURRENT)
    if max(addresses) + WORDS[quantity.type] > 65536:
        raise InvalidProfile(fields.path, Flaw.BEYOND_LAST_REGISTER)
    return quantity


def _check_quantities(
    fields: _Fields, quantities: Mapping[str, Quantity], blocks: tuple[Block, ...]
) -> None:
    """Refuse quantities from which no reading can be made."""
    if not quantities:
        return
    if "current_l1" not in quantities:
        raise fields.problem("quantities", Flaw.NO_CURRENT)
    if not quantities.keys() & {*PHASE_VOLTAGES, "frequency"}:
        raise fields.problem(
            "quantities",
            Flaw.NO_SIGN_OF_LIFE,
        )
    spans = sorted(
        {
            (quantity.space, address, address + WORDS[quantity.type], name)
            for name, quantity in quantities.items()
            for address in quantity.addresses
        }
    )
    for before, after in pairwise(spans):
        if before[0] == after[0] and after[1] < before[2]:
            raise InvalidProfile(
                ("quantities", after[3]),
                Flaw.OVERLAPS_QUANTITY,
                quantity=before[3],
                address=after[1],
            )
    for name, quantity in quantities.items():
        if quantity.sign_from is not None and quantity.sign_from not in quantities:
            raise InvalidProfile(
                ("quantities", name, "sign_from"),
                Flaw.SIGN_FROM_NOTHING,
                quantity=quantity.sign_from,
            )
        places = [
            [
                block
                for block in blocks
                if block.holds(quantity.space, address, WORDS[quantity.type])
            ]
            for address in quantity.addresses
        ]
        if not all(places):
            raise InvalidProfile(("quantities", name), Flaw.OUTSIDE_BLOCKS)
        for key, register in (
            ("scale_register", quantity.scale_register),
            ("sign_register", quantity.sign_register),
        ):
            if register is not None and not any(
                block.holds(quantity.space, register, 1) for block in blocks
            ):
                raise InvalidProfile(("quantities", name, key), Flaw.OUTSIDE_BLOCKS)
        # Import and export that are read in two requests may belong to two moments.
        if quantity.combine is Combine.MINUS and not set(places[0]) & set(places[1]):
            raise InvalidProfile(("quantities", name), Flaw.TWO_BLOCKS)


def _parse_blocks(
    fields: _Fields,
    key: str,
    space: Space,
    max_read: int,
    spans: set[tuple[Space, int, int]],
) -> tuple[Block, ...]:
    """Return the requests of a profile; where it names none, they follow from the values without reading gaps."""
    data = fields.take(key)
    if data is None:
        return _cover(spans, max_read)
    if not isinstance(data, list):
        raise fields.problem(key, Flaw.NOT_BLOCKS)
    blocks = []
    for index, item in enumerate(data):
        if (
            not isinstance(item, list)
            or len(item) != 2
            or any(isinstance(part, bool) or not isinstance(part, int) for part in item)
        ):
            raise InvalidProfile((key, str(index)), Flaw.NOT_A_BLOCK)
        start, count = item
        if (
            not 0 <= start <= 65535
            or not 1 <= count <= max_read
            or start + count > 65536
        ):
            raise InvalidProfile(
                (key, str(index)), Flaw.BLOCK_OUT_OF_RANGE, largest=max_read
            )
        blocks.append(Block(space=space, start=start, count=count))
    ordered = sorted(blocks, key=lambda block: block.start)
    for before, after in pairwise(ordered):
        if after.start < before.start + before.count:
            raise fields.problem(
                key, Flaw.OVERLAPS_BLOCK, start=after.start, count=after.count
            )
    other = {span for span in spans if span[0] != space}
    return (*blocks, *_cover(other, max_read))


def _cover(spans: set[tuple[Space, int, int]], max_read: int) -> tuple[Block, ...]:
    """Return blocks that hold the spans and nothing between them."""
    blocks: list[Block] = []
    for space, start, count in sorted(spans):
        last = blocks[-1] if blocks else None
        end = start + count
        if (
            last is not None
            and last.space == space
            and start <= last.start + last.count
        ):
            joined = max(end, last.start + last.count) - last.start
            if joined <= max_read:
                blocks[-1] = Block(space=space, start=last.start, count=joined)
                continue
            if start < last.start + last.count:
                raise InvalidProfile(("quantities",), Flaw.OVERLAP, address=start)
        blocks.append(Block(space=space, start=start, count=count))
    return tuple(blocks)


def _parse_identifier(
    data: object, path: tuple[str, ...], space: Space, order: WordOrder
) -> Identifier:
    fields = _Fields(data, path)
    value_type = fields.choice(
        "type", {item: item for item in (*WORDS, "string")}, "uint16"
    )
    words = WORDS.get(value_type)
    expect = fields.take("expect")
    expected: list[Any] = (
        expect if isinstance(expect, list) else [] if expect is None else [expect]
    )
    wanted = str if value_type == "string" else int
    if any(isinstance(item, bool) or not isinstance(item, wanted) for item in expected):
        raise fields.problem(
            "expect", Flaw.NOT_A_TEXT if wanted is str else Flaw.NOT_WHOLE
        )
    identifier = Identifier(
        space=fields.choice("function_code", {**_SPACES, space: space}, space),
        address=fields.integer("address", 0, 65535),
        count=fields.integer("count", 1, 32, 1) if words is None else words,
        type=value_type,
        word_order=fields.choice("word_order", _WORD_ORDERS, order),
        byte_order=fields.choice("byte_order", _WORD_ORDERS, "big"),
        expect=tuple(expected),
        hint=fields.flag("hint"),
    )
    fields.end()
    return identifier


def _parse_ratings(fields: _Fields) -> dict[str, float]:
    """Return the largest currents by model."""
    data = fields.take("ratings_a")
    if data is None:
        return {}
    ratings = _Fields(data, ("ratings_a",))
    return {
        model: ratings.number(model, 1.0, 100_000.0, 1.0) for model in ratings.left()
    }


def _parse_candidates(
    fields: _Fields, known: Mapping[str, MeterProfile]
) -> tuple[MeterProfile, ...]:
    names = fields.texts("candidates")
    for name in names:
        if name not in known:
            raise fields.problem("candidates", Flaw.UNKNOWN_PROFILE, profile=name)
    return tuple(known[name] for name in names)

"""Reads the blocks of a profile and decodes them, through the register fields of modbus-connection."""

from collections.abc import Mapping
import math
from typing import override

from modbus_connection import ModbusUnit
from modbus_connection.model import ManualComponent
from modbus_connection.model.fields import (
    FloatField,
    NumberField,
    RawField,
    RegisterField,
    StringField,
)

from .profile import (
    WORDS,
    Block,
    Combine,
    Identifier,
    MeterProfile,
    Quantity,
    WordOrder,
)
from .schema import MAX_READ


class Measurement:
    """The measured quantities of one device."""

    def __init__(self, unit: ModbusUnit, profile: MeterProfile) -> None:
        """Plan the requests; nothing is read yet."""
        self._quantities = profile.quantities
        self._component = _component(unit, profile.blocks)
        for name, quantity in profile.quantities.items():
            for index, address in enumerate(quantity.addresses):
                self._component.add(
                    f"{name} {index}",
                    _number(quantity.type, address, quantity.word_order, quantity),
                    space=quantity.space,
                )
            if quantity.sign_register is not None:
                self._component.add(
                    _sign(name),
                    RawField(quantity.sign_register),
                    space=quantity.space,
                )

    async def read(self) -> dict[str, float | None]:
        """Read all blocks; a value that the device marks as not available, or that is no number, is None.

        Raises ModbusError.
        """
        values = await self._component.async_update()
        return {
            name: _combined(quantity, name, values)
            for name, quantity in self._quantities.items()
        }


async def read_identification(
    unit: ModbusUnit, block: Block, fields: Mapping[str, Identifier]
) -> dict[str, str | float]:
    """Read what a block tells about the device, by the fields' names. Raises ModbusError."""
    component = _component(unit, (block,))
    for name, field in fields.items():
        if block.holds(field.space, field.address, field.count):
            component.add(
                name,
                _text(field)
                if field.type == "string"
                else _number(field.type, field.address, field.word_order),
                space=field.space,
            )
    values = await component.async_update()
    return {
        name: clean_text(value) if isinstance(value, str) else value
        for name, value in values.items()
        if name in fields and value is not None
    }


class _SwappedStringField(StringField):
    """A text of which the first letter is in the low byte of a register."""

    @override
    def decode(self, words: list[int], scale_exponent: int | None = None) -> str:
        swapped = [(word & 0xFF) << 8 | word >> 8 for word in words]
        return super().decode(swapped, scale_exponent)


def _text(field: Identifier) -> StringField:
    kind = StringField if field.byte_order == "big" else _SwappedStringField
    return kind(field.address, count=field.count)


def clean_text(value: str) -> str:
    """Return a device's text without what follows its end or cannot be shown."""
    return "".join(filter(str.isprintable, value.partition("\0")[0])).strip()


def _component(unit: ModbusUnit, blocks: tuple[Block, ...]) -> ManualComponent:
    """Return a reader that sends exactly the given requests."""
    spaces = {
        space: tuple(
            (block.start, block.start + block.count - 1)
            for block in blocks
            if block.space == space
        )
        for space in ("holding", "input")
    }
    component = ManualComponent(
        unit,
        max_span=MAX_READ,
        holding_ranges=spaces["holding"],
        input_ranges=spaces["input"],
    )
    for block in blocks:
        # Spans the block, since the planner would cut off what no field needs.
        whole = RawField(block.start, count=block.count)
        component.add(f"block {block.space} {block.start}", whole, space=block.space)
    return component


def _number(
    value_type: str,
    address: int,
    word_order: WordOrder,
    quantity: Quantity | None = None,
) -> RegisterField[float]:
    scale = 1.0 if quantity is None else quantity.scale
    scale_register = None if quantity is None else quantity.scale_register
    if value_type.startswith("float"):
        # Not scaled here: the library would cut it to whole numbers where the scale is one.
        return FloatField(
            address,
            count=WORDS[value_type],
            word_order=word_order,
            scale_register=scale_register,
        )
    return NumberField[float](
        address,
        count=WORDS[value_type],
        signed=value_type.startswith("int"),
        word_order=word_order,
        scale=scale,
        scale_register=scale_register,
        # SunSpec's exponents; 0x8000 means that there is none.
        scale_exponent_range=(-10, 10),
        nan=None if quantity is None else quantity.absent,
    )


def _combined(
    quantity: Quantity, name: str, values: Mapping[str, float | None]
) -> float | None:
    factor = quantity.scale if quantity.type.startswith("float") else 1.0
    parts: list[float] = []
    for index in range(len(quantity.addresses)):
        value = values[f"{name} {index}"]
        if value is None or not math.isfinite(value):
            return None
        parts.append(float(value) * factor)
    if quantity.combine is Combine.MINUS:
        return parts[0] - parts[1]
    value = sum(parts)
    if quantity.sign_register is not None and values[_sign(name)]:
        value = -abs(value)
    if quantity.tenth_above is not None and value > quantity.tenth_above:
        value /= 10
    return value


def _sign(name: str) -> str:
    """Return the key of a quantity's sign."""
    return f"{name} sign"

"""What a register map is made of, and how values get into registers.

Addresses are 0-based as on the wire; a register's raw number times `scale` is the value in V, A, W, var, Hz or Wh.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
import struct

from .plant import Measurement

_STRUCT = {
    "uint16": ">H",
    "int16": ">h",
    "uint32": ">I",
    "int32": ">i",
    "uint64": ">Q",
    "int64": ">q",
    "float32": ">f",
    "float64": ">d",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One value of a meter: a quantity that is measured, or a constant."""

    address: int
    type: str
    """A key of the struct table, or `string`."""
    quantity: str | None = None
    constant: int | str | None = None
    count: int = 0
    """Length of a string in registers."""
    scale: float = 1.0
    low_word_first: bool = False

    @property
    def length(self) -> int:
        """Number of 16-bit registers."""
        return self.count or struct.calcsize(_STRUCT[self.type]) // 2

    def words(self, quantities: Mapping[str, float]) -> tuple[int, ...]:
        """Encode the present value; what does not fit the type is given as its nearest end."""
        if self.type == "string":
            data = (
                str(self.constant)
                .encode("ascii")
                .ljust(2 * self.count, b"\0")[: 2 * self.count]
            )
        else:
            value = (
                quantities[self.quantity]
                if self.quantity is not None
                else self.constant
            )
            if not isinstance(value, (int, float)):
                raise TypeError(
                    f"register {self.address}: a number is needed, not {value!r}"
                )
            data = struct.pack(_STRUCT[self.type], _fit(self.type, value / self.scale))
        words = struct.unpack(f">{len(data) // 2}H", data)
        return words[::-1] if self.low_word_first else words


def _fit(kind: str, value: float) -> float | int:
    if kind.startswith("float"):
        return value
    bits: int = int(kind.removeprefix("u").removeprefix("int"))
    low, high = (
        (0, 2**bits - 1)
        if kind.startswith("u")
        else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    fitting: int = max(low, min(high, round(value)))
    return fitting


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The register map of a meter model."""

    name: str
    registers: tuple[Register, ...]
    filled: tuple[tuple[int, int], ...] = ()
    """First and last address of ranges whose reserved words answer `fill_word` instead of exception 2."""
    fill_word: int = 0
    whole_values: bool = False
    """Refuses reads that start or end inside a value."""
    whole_blocks: tuple[tuple[int, int], ...] = ()
    """Address and length of blocks that are read as a whole or not at all."""
    single_reads: Mapping[int, int] = field(default_factory=dict)
    """Addresses that hold something else when they are read alone."""
    most_registers: int = 125
    """Longest read."""
    functions: tuple[int, ...] = (3,)
    any_unit: bool = False
    """Answers whatever unit id it is asked for."""
    refresh_s: float = 0.2
    """How often the device writes new values into its registers."""

    def image(self, measurement: Measurement) -> dict[int, int]:
        """Return the words of all values for one moment."""
        quantities = quantities_of(measurement)
        image: dict[int, int] = {}
        for register in self.registers:
            image.update(
                zip(_addresses(register), register.words(quantities), strict=True)
            )
        return image

    def word(self, image: Mapping[int, int], address: int) -> int | None:
        """Return what is at an address; None: there is nothing."""
        word = image.get(address)
        if word is None and any(
            first <= address <= last for first, last in self.filled
        ):
            return self.fill_word
        return word

    def refuses(self, address: int, count: int) -> bool:
        """Whether a read of existing registers is still not to this device's liking."""
        if count > self.most_registers:
            return True
        end = address + count
        for block, length in self.whole_blocks:
            if (
                address < block + length
                and end > block
                and (address, count) != (block, length)
            ):
                return True
            if (address, count) == (block, length):
                return False
        if not self.whole_values:
            return False
        return any(
            register.address < edge < register.address + register.length
            for register in self.registers
            for edge in (address, end)
        )


def _addresses(register: Register) -> range:
    return range(register.address, register.address + register.length)


def quantities_of(measurement: Measurement) -> dict[str, float]:
    """Return everything that a register may hold, by name; magnitudes where meters give magnitudes."""
    total_w = sum(measurement.power_w)
    total_var = sum(measurement.reactive_var)
    apparent = [
        u * i for u, i in zip(measurement.voltage_v, measurement.current_a, strict=True)
    ]
    total_va = sum(apparent)
    quantities = {
        "frequency": measurement.frequency_hz,
        "power": total_w,
        "power_import": max(total_w, 0.0),
        "power_export": max(-total_w, 0.0),
        "reactive": total_var,
        "reactive_import": max(total_var, 0.0),
        "reactive_export": max(-total_var, 0.0),
        "apparent": total_va,
        "power_factor": abs(total_w) / total_va if total_va else 1.0,
        "energy_import": measurement.import_wh,
        "energy_export": measurement.export_wh,
        "zero": 0.0,
    }
    for index in range(3):
        phase = f"l{index + 1}"
        power_w = measurement.power_w[index]
        factor = power_w / apparent[index] if apparent[index] else 1.0
        quantities |= {
            f"voltage_{phase}": measurement.voltage_v[index],
            f"current_{phase}": measurement.current_a[index],
            f"power_{phase}": power_w,
            f"power_import_{phase}": max(power_w, 0.0),
            f"power_export_{phase}": max(-power_w, 0.0),
            f"power_factor_{phase}": factor,
            f"power_factor_magnitude_{phase}": abs(factor),
            f"energy_import_{phase}": measurement.import_phase_wh[index],
            f"energy_export_{phase}": measurement.export_phase_wh[index],
        }
    return quantities

"""Register layouts of energy meters, as their makers document them.

Written from the research notes on each meter, not from the integration's profiles. Addresses are 0-based as on the
wire; a register's raw number times `scale` is the value in V, A, W, var, Hz or Wh.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
    """First and last address of ranges whose reserved words answer 0 instead of exception 2."""
    whole_values: bool = False
    """Refuses reads that start or end inside a value."""
    whole_blocks: tuple[tuple[int, int], ...] = ()
    """Address and length of blocks that are read as a whole or not at all."""
    functions: tuple[int, ...] = (3,)
    any_unit: bool = False
    """Answers whatever unit id it is asked for."""
    refresh_s: float = 0.2
    """How often the device writes new values into its registers."""

    def image(self, measurement: Measurement) -> dict[int, int]:
        """Return all readable registers for one moment."""
        quantities = quantities_of(measurement)
        image = dict.fromkeys(
            (
                address
                for first, last in self.filled
                for address in range(first, last + 1)
            ),
            0,
        )
        for register in self.registers:
            image.update(
                zip(_addresses(register), register.words(quantities), strict=True)
            )
        return image

    def refuses(self, address: int, count: int) -> bool:
        """Whether a read of existing registers is still not to this device's liking."""
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


def _phases(
    address: int, step: int, quantity: str, kind: str, scale: float = 1.0
) -> tuple[Register, ...]:
    """Return the registers of L1, L2, L3."""
    return tuple(
        Register(
            address=address + index * step,
            type=kind,
            quantity=f"{quantity}_l{index + 1}",
            scale=scale,
        )
        for index in range(3)
    )


def _one(address: int, quantity: str, kind: str, scale: float = 1.0) -> Register:
    return Register(address=address, type=kind, quantity=quantity, scale=scale)


def _constant(address: int, value: int | str, kind: str, count: int = 0) -> Register:
    return Register(address=address, type=kind, constant=value, count=count)


def _janitza_block_19000() -> tuple[Register, ...]:
    """Return the block that all Janitza devices share."""
    return (
        *_phases(19000, 2, "voltage", "float32"),
        *_phases(19012, 2, "current", "float32"),
        *_phases(19020, 2, "power", "float32"),
        _one(19026, "power", "float32"),
        *_phases(19044, 2, "power_factor", "float32"),
        _one(19050, "frequency", "float32"),
        *_phases(19062, 2, "energy_import", "float32"),
        _one(19068, "energy_import", "float32"),
        *_phases(19070, 2, "energy_export", "float32"),
        _one(19076, "energy_export", "float32"),
    )


JANITZA_UMG604 = Layout(
    name="janitza_umg604",
    registers=(
        *_phases(1317, 2, "voltage", "float32"),
        *_phases(1325, 2, "current", "float32"),
        *_phases(1333, 2, "power", "float32"),
        _one(1369, "power", "float32"),
        _one(1439, "frequency", "float32"),
        _one(9851, "energy_import", "float32"),
        _one(9863, "energy_export", "float32"),
        _constant(10072, "UMG604-PRO", "string", 32),
        _constant(10176, 40604001, "uint32"),
        _constant(10178, 5216202, "uint32"),
        _constant(13437, "4.035", "string", 8),
        *_janitza_block_19000(),
    ),
    filled=((1317, 1440), (19000, 19121)),
    functions=(3, 4),
    refresh_s=0.2,
)

TQ_EM420 = Layout(
    name="tq_em420",
    registers=(
        _one(0, "power_import", "uint32", 0.1),
        _one(2, "power_export", "uint32", 0.1),
        _one(4, "reactive_import", "uint32", 0.1),
        _one(6, "reactive_export", "uint32", 0.1),
        _one(26, "frequency", "uint32", 0.001),
        *_phases(40, 40, "power_import", "uint32", 0.1),
        *_phases(42, 40, "power_export", "uint32", 0.1),
        *_phases(60, 40, "current", "uint32", 0.001),
        *_phases(62, 40, "voltage", "uint32", 0.001),
        *_phases(64, 40, "power_factor_magnitude", "int32", 0.001),
        _one(512, "energy_import", "uint64", 0.1),
        _one(516, "energy_export", "uint64", 0.1),
        *_phases(592, 80, "energy_import", "uint64", 0.1),
        *_phases(596, 80, "energy_export", "uint64", 0.1),
        _constant(8192, 0x5233, "uint16"),
        _constant(8193, 0x4842, "uint16"),
        _constant(8194, 1, "uint16"),
        _constant(8195, 0x0102, "uint16"),
        _constant(8196, "TQ-Systems GmbH", "string", 16),
        _constant(8212, "EM420-LLRR", "string", 16),
        _constant(8228, "72420001", "string", 16),
    ),
    filled=((0, 145),),
    any_unit=True,
    refresh_s=0.5,
)

SIEMENS_PAC2200 = Layout(
    name="siemens_pac2200",
    registers=(
        *_phases(1, 2, "voltage", "float32"),
        *(_one(address, "zero", "float32") for address in (7, 9, 11)),
        *_phases(13, 2, "current", "float32"),
        *(_one(address, "zero", "float32") for address in (19, 21, 23)),
        *_phases(25, 2, "power", "float32"),
        *(_one(address, "zero", "float32") for address in (31, 33, 35)),
        *_phases(37, 2, "power_factor_magnitude", "float32"),
        _one(55, "frequency", "float32"),
        *(_one(address, "zero", "float32") for address in (57, 59, 61)),
        _one(63, "apparent", "float32"),
        _one(65, "power", "float32"),
        _one(67, "reactive", "float32"),
        _one(69, "power_factor", "float32"),
        _one(71, "zero", "float32"),
        # All energy is counted in tariff 1; the total is tariff 1 plus tariff 2.
        _one(801, "energy_import", "float64"),
        _one(805, "zero", "float64"),
        _one(809, "energy_export", "float64"),
        _one(813, "zero", "float64"),
        _constant(64001, 42, "uint16"),
        _constant(64002, "7KM2200-2EA30-1EA1", "string", 10),
        _constant(64012, "LQN22000001", "string", 8),
        _constant(64020, 1, "uint16"),
        _constant(64021, "V3.2.0", "string", 7),
    ),
    whole_values=True,
    whole_blocks=((64001, 27),),
    functions=(3, 4),
    refresh_s=0.5,
)

LAYOUTS = {
    layout.name: layout for layout in (JANITZA_UMG604, TQ_EM420, SIEMENS_PAC2200)
}

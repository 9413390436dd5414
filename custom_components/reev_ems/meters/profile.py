"""What is known of a meter model, as data: which requests it answers, and what is in the registers.

Addresses are those on the wire, counted from 0. A value is the decoded number times its scale, in V, A, W, Hz or Wh,
positive for import.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

CT_PRIMARY = "ct_primary"
"""Field of the identification with the primary current of the transformers in A, as it is set in the device."""

type Space = Literal["holding", "input"]
"""Function code 3 reads holding registers, 4 reads input registers."""

type WordOrder = Literal["big", "little"]
"""Whether the high or the low word of a value comes first."""

PHASE_VOLTAGES = ("voltage_l1", "voltage_l2", "voltage_l3")
PHASE_CURRENTS = ("current_l1", "current_l2", "current_l3")
PHASE_POWERS = ("power_l1", "power_l2", "power_l3")
QUANTITIES = (
    *PHASE_VOLTAGES,
    *PHASE_CURRENTS,
    *PHASE_POWERS,
    "power_total",
    "frequency",
    "energy_import",
    "energy_export",
)
"""All quantities that a profile can hold; voltages are phase to neutral."""

WORDS = {
    "uint16": 1,
    "int16": 1,
    "uint32": 2,
    "int32": 2,
    "float32": 2,
    "uint64": 4,
    "int64": 4,
    "float64": 4,
}
"""Registers that a number of each type takes."""


class Status(StrEnum):
    """How far a profile can be trusted."""

    VERIFIED = "verified"
    """Read from a real meter and compared with its display."""
    DOCUMENTED = "documented"
    """Written after the maker's list or several independent programs, never tried by us."""
    UNVERIFIED = "unverified"
    """A guess from related devices, or a single source."""


class Combine(StrEnum):
    """How a quantity follows from its addresses."""

    ONE = "address"
    SUM = "sum"
    MINUS = "minus"
    """The first less the second: import and export that the device counts apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One request that the device answers: exactly these registers, no fewer and no more."""

    space: Space
    start: int
    count: int

    def holds(self, space: Space, address: int, count: int) -> bool:
        """Return whether the registers lie inside this block."""
        return (
            self.space == space
            and self.start <= address
            and address + count <= self.start + self.count
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """How a measured quantity is found and decoded."""

    combine: Combine
    addresses: tuple[int, ...]
    space: Space
    type: str
    word_order: WordOrder
    scale: float = 1.0
    scale_register: int | None = None
    """Register with a power of ten that scales the value (SunSpec)."""
    absent: frozenset[int] = frozenset()
    """Raw values by which the device says "not available"."""
    sign_from: str | None = None
    """Power that gives a current its direction, for devices that tell its magnitude only."""
    sign_register: int | None = None
    """Register that is not 0 while the value, a magnitude, is negative."""
    tenth_above: float | None = None
    """A value above it is ten times too large: models of one map differ in the scale."""
    optional: bool = False
    """Whether a reading is complete without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A register that tells the devices apart."""

    space: Space
    address: int
    count: int
    type: str
    word_order: WordOrder
    byte_order: WordOrder = "big"
    """Whether the first letter of a text is the high or the low byte of a register."""
    expect: tuple[int | str, ...] = ()
    """Numbers of which it must be one, or texts of which it must begin with one; empty: anything."""
    hint: bool = False
    """Whether an unexpected value only deserves a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterProfile:
    """A meter model. It has quantities, or SunSpec models to look for, or other profiles to try."""

    id: str
    name: str
    """As it is on the device, the same in every language."""
    name_remark: str | None = None
    """Key of a text that tells it apart where the name alone does not."""
    manufacturer: str
    models: tuple[str, ...]
    status: Status
    port: int = 502
    unit_ids: tuple[int, ...] = (1,)
    """Unit ids seen in use, the most likely first."""
    min_poll_s: float = 1.0
    max_connections: int | None = None
    """TCP connections that the device serves at once, where known."""
    needs_gateway: bool = False
    """Whether the device speaks Modbus RTU only, so that a Modbus gateway must stand before it."""
    rating_a: float | None = None
    """Largest current per phase that it can measure; None if that depends on the transformers or the type."""
    ratings_a: Mapping[str, float] = field(default_factory=dict)
    """The same by the model that the device names; the longest that it begins with counts."""
    blocks: tuple[Block, ...] = ()
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    identification_blocks: tuple[Block, ...] = ()
    identification: Mapping[str, Identifier] = field(default_factory=dict)
    sunspec_models: tuple[int, ...] = ()
    candidates: tuple[MeterProfile, ...] = ()
    """Profiles of which one may fit a model whose own registers are not public."""
    notes: tuple[str, ...] = ()
    """Keys of texts of the user interface, or sentences: what one has to know to reach the device."""
    value_notes: tuple[str, ...] = ()
    """The same about its values, of no use while it does not answer."""
    sources: tuple[str, ...] = ()
    """Sources of these registers, and which of them after a colon."""

"""What a charge point can do: told by its configuration, known of its model, or learnt from its answers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ..energy_management.model import Supply
from .profiles import Kind, Purpose, Unit


class Way(StrEnum):
    """How a charge point is steered, the best way first."""

    PROFILE = "profile"
    """By charging profiles; the only way that lapses to the floor by itself."""
    VENDOR_KEY = "vendor_key"
    """By a configuration key of its vendor that holds the current in A. Nothing lapses by itself."""
    START_STOP = "start_stop"
    """It charges at its maximum or not at all: transactions are stopped and started. Nothing lapses by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """The way in which a charge point takes limits. None: not known yet."""

    way: Way = Way.PROFILE
    unit: Unit | None = None
    """The only unit that it takes."""
    max_stack_level: int | None = None
    max_periods: int | None = None
    floor_purpose: Purpose = Purpose.TX_DEFAULT
    floor_kind: Kind = Kind.ABSOLUTE
    """Relative ones count from the start of the session: where a clock is set back, some have not begun."""
    floor_per_connector: bool = False
    working_purpose: Purpose = Purpose.TX_PROFILE
    working_kind: Kind = Kind.ABSOLUTE
    working_stack_level: int | None = None
    vendor_key: str | None = None
    """The configuration key of Way.VENDOR_KEY, where the model has one."""
    switches_phases: bool | None = None
    """Whether it can charge on fewer phases than it is wired with, as it says of itself."""
    composite_schedule: bool | None = None
    """Whether it tells which limit is in force (GetCompositeSchedule)."""

    def unit_for(self, supply: Supply) -> Unit:
        """Return the unit to try first."""
        return self.unit or (Unit.WATT if supply is Supply.DC else Unit.AMPERE)

    @property
    def stack_level(self) -> int:
        """Stack level of the working profile: just above the floor's, which is 0."""
        if self.working_stack_level is not None:
            return self.working_stack_level
        return 1 if self.max_stack_level is None else min(1, self.max_stack_level)


_READERS: Mapping[str, Callable[[Any], object]] = {
    "way": Way,
    "unit": Unit,
    "max_stack_level": int,
    "max_periods": int,
    "floor_kind": Kind,
    "working_kind": Kind,
    "floor_purpose": Purpose,
    "working_purpose": Purpose,
    "floor_per_connector": bool,
    "working_stack_level": int,
    "vendor_key": str,
    "composite_schedule": bool,
    "switches_phases": bool,
}


def read_abilities(values: Mapping[str, object]) -> dict[str, object]:
    """Return abilities that were written as JSON or YAML. Raises ValueError for what is none."""
    if not set(values) <= set(_READERS):
        raise ValueError(
            f"unknown ability: {', '.join(sorted(set(values) - set(_READERS)))}"
        )
    return {
        name: None if value is None else _READERS[name](value)
        for name, value in values.items()
    }


_OTHER_UNIT = {Unit.AMPERE: Unit.WATT, Unit.WATT: Unit.AMPERE}
OTHER_KIND = {Kind.ABSOLUTE: Kind.RELATIVE, Kind.RELATIVE: Kind.ABSOLUTE}


def floor_ladder(known: Abilities, supply: Supply) -> Iterator[Abilities]:
    """Yield the ways to install the floor by a charging profile, the best known first."""
    unit = known.unit_for(supply)
    units = (unit,) if known.unit else (unit, _OTHER_UNIT[unit])
    for purpose in dict.fromkeys((known.floor_purpose, Purpose.MAXIMUM)):
        scopes = dict.fromkeys((known.floor_per_connector, True))
        if purpose is Purpose.MAXIMUM:
            # It exists for the whole charge point only, and the standard forbids relative ones from 2.0.1 on.
            scopes = {False: None}
        for scope in scopes:
            for kind in (known.floor_kind, OTHER_KIND[known.floor_kind]):
                for each in units:
                    yield replace(
                        known,
                        way=Way.PROFILE,
                        unit=each,
                        floor_purpose=purpose,
                        floor_kind=kind,
                        floor_per_connector=scope,
                    )


def working_ladder(known: Abilities) -> Iterator[Abilities]:
    """Yield the ways to install the working profile, the best known first.

    Below the floor's level there is nothing: a working profile replaces the floor where both share a purpose and a
    level, so that a TxDefaultProfile is tried only above level 0.
    """
    level = known.stack_level
    purposes = (
        known.working_purpose,
        Purpose.TX_PROFILE,
        Purpose.TX_DEFAULT,
        Purpose.MAXIMUM,
    )
    for purpose in dict.fromkeys(purposes):
        for stack_level in dict.fromkeys((level, 0, 1)):
            if purpose is known.floor_purpose and stack_level == 0:
                continue
            for kind in (known.working_kind, OTHER_KIND[known.working_kind]):
                if purpose is Purpose.MAXIMUM and kind is Kind.RELATIVE:
                    continue
                yield replace(
                    known,
                    working_purpose=purpose,
                    working_kind=kind,
                    working_stack_level=stack_level,
                )

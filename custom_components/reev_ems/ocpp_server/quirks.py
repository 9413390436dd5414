"""What is known of charger models, as data (quirks.yaml), and what the person set for one charge point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
import re
from typing import cast

import yaml

from .abilities import Abilities, read_abilities
from .model import BootInfo

_OWN = (
    "without_measurands",
    "meter_interval_s",
    "autonomous_fallback",
    "zero_ends_session",
    "car_phases",
    "set_up",
    "ocpp_version",
    "reset_when_finished",
    "start_rest_s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """All that is known of one charge point's model."""

    names: tuple[str, ...] = ()
    """The entries of the table that matched."""
    abilities: Mapping[str, object] = field(default_factory=dict)
    without_measurands: tuple[str, ...] = ()
    meter_interval_s: int = 0
    autonomous_fallback: bool | None = None
    """False: it is known not to fall to its floor by itself; None: nothing is known."""
    zero_ends_session: bool = False
    """A limit of 0 ends the transaction: it is paused by stopping it in an orderly way (pauses.py)."""
    car_phases: int | None = None
    """Where limits are in W: the phases that every car here charges with; None: one, until it shows more."""
    set_up: bool = True
    """Whether its configuration may be written."""
    ocpp_version: str | None = None
    """The version to agree on where it offers several; None: the first that it offers."""
    reset_when_finished: bool = False
    """Whether it takes no start after a session until it was restarted, or the plug was pulled."""
    start_rest_s: int = 0
    """A start sooner after a stop than this upsets it."""

    def applied_to(self, abilities: Abilities) -> Abilities:
        """Return the abilities with what is known of the model."""
        return replace(abilities, **self.abilities)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the table."""

    name: str
    match: Mapping[str, re.Pattern[str]]
    values: Mapping[str, object]
    source: str

    def matches(self, info: BootInfo) -> bool:
        """Whether this is about the charge point that said `info`."""
        said = {"vendor": info.vendor, "model": info.model, "firmware": info.firmware}
        return all(
            pattern.search(said[part] or "") for part, pattern in self.match.items()
        )


def load() -> tuple[Entry, ...]:
    """Read the table. Reads a file: not in the event loop. Raises ValueError where it is wrong."""
    rows = yaml.safe_load(
        files(__package__).joinpath("quirks.yaml").read_text(encoding="utf-8")
    )
    return tuple(_entry(row) for row in rows)


def known(
    table: Sequence[Entry], info: BootInfo, overrides: Mapping[str, object]
) -> Quirks:
    """Return what is known of a charge point; what the person set wins. Raises ValueError for a wrong override."""
    quirks = Quirks()
    for entry in table:
        if entry.matches(info):
            quirks = replace(
                _merged(quirks, entry.values), names=(*quirks.names, entry.name)
            )
    return _merged(quirks, overrides)


def _entry(row: Mapping[str, object]) -> Entry:
    values = {
        key: value
        for key, value in row.items()
        if key not in {"name", "match", "source"}
    }
    match = cast("Mapping[str, str]", row["match"])
    if not match or not set(match) <= {"vendor", "model", "firmware"}:
        raise ValueError(f"{row['name']}: match")
    _merged(Quirks(), values)
    return Entry(
        name=str(row["name"]),
        match={
            part: re.compile(pattern, re.IGNORECASE) for part, pattern in match.items()
        },
        values=values,
        source=str(row["source"]),
    )


def _merged(quirks: Quirks, values: Mapping[str, object]) -> Quirks:
    unknown = set(values) - {"abilities", *_OWN}
    if unknown:
        raise ValueError(f"unknown quirk: {', '.join(sorted(unknown))}")
    raw = cast("Mapping[str, object]", values.get("abilities") or {})
    abilities = read_abilities(raw)
    own = {name: values[name] for name in _OWN if name in values}
    if "without_measurands" in own:
        own["without_measurands"] = tuple(
            cast("Sequence[str]", own["without_measurands"])
        )
    if own.get("ocpp_version") not in {None, "1.6", "2.0.1", "2.1"}:
        raise ValueError(f"no OCPP version: {own['ocpp_version']}")
    return replace(quirks, abilities={**quirks.abilities, **abilities}, **own)  # type: ignore[arg-type]

"""The rows of the matrix, read from the files beside this one.

A row is a fault with what is expected:

    row: name, as the command takes it
    what: one sentence
    rules: the safety rules that it tries, e.g. [S3]
    quick: true if it belongs to the short selection
    do: steps, one after the other
    expect: conditions, each with `within_s` from the last step on
    undo: steps
    recovers_s: within which all charge again and no issue is left; left out: the site is begun anew afterwards
    bounds: what may not be exceeded (below)
    issues: the only repair issues that may be shown meanwhile

A step is a command of the simulator (`do: …`), `wait_s`, `ha` (bench.py), or `call` (an action of Home Assistant);
`each: charge_points` repeats a command for all of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import voluptuous as vol
import yaml

FOLDER = Path(__file__).parent

type Step = dict[str, Any]

_STEPS = [
    vol.Any(
        vol.Schema({vol.Required("do"): str}, extra=vol.ALLOW_EXTRA),
        vol.Schema({vol.Required("wait_s"): vol.Any(int, float)}),
        vol.Schema({vol.Required("ha"): str}, extra=vol.ALLOW_EXTRA),
        vol.Schema({vol.Required("call"): str}, extra=vol.ALLOW_EXTRA),
    )
]

_SCHEMA = vol.Schema(
    [
        {
            vol.Required("row"): str,
            vol.Required("what"): str,
            vol.Optional("rules", default=list): [str],
            vol.Optional("quick", default=False): bool,
            vol.Required("do"): _STEPS,
            vol.Optional("expect", default=list): [
                vol.Schema(
                    {vol.Required("within_s"): vol.Any(int, float)},
                    extra=vol.ALLOW_EXTRA,
                )
            ],
            vol.Optional("undo", default=list): _STEPS,
            vol.Optional("recovers_s"): vol.Any(int, float),
            vol.Optional("issues", default=list): [str],
            vol.Optional("bounds", default=dict): {
                vol.Optional("broken_as"): vol.Any(int, float),
                vol.Optional("log_lines"): int,
                vol.Optional("sessions"): vol.In(("equal", "recorded")),
            },
        }
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a row may cost. No breaker may trip in any."""

    broken_as: float = 0.0
    """Ampere-seconds above a limit that chargers caused, beyond the grace time."""
    log_lines: int = 25
    """Warnings and errors of the integration."""
    sessions: str = "equal"
    """`equal`: the records are as the charge points' books say; `recorded`: each ended session is recorded once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault with what is expected."""

    name: str
    what: str
    rules: tuple[str, ...]
    quick: bool
    do: tuple[Step, ...]
    expect: tuple[Step, ...]
    undo: tuple[Step, ...]
    recovers_s: float | None
    issues: frozenset[str]
    bounds: Bounds


def load_rows(files: Iterable[Path] | None = None) -> list[Row]:
    """Return all rows. Raises ValueError for one that makes no sense."""
    rows = []
    for file in sorted(FOLDER.glob("*.yaml")) if files is None else files:
        try:
            items = _SCHEMA(yaml.safe_load(file.read_text(encoding="utf-8")))
        except vol.Invalid as error:
            raise ValueError(f"{file.name}: {error}") from error
        rows += [
            Row(
                name=item["row"],
                what=item["what"],
                rules=tuple(item["rules"]),
                quick=item["quick"],
                do=tuple(item["do"]),
                expect=tuple(item["expect"]),
                undo=tuple(item["undo"]),
                recovers_s=item.get("recovers_s"),
                issues=frozenset(item["issues"]),
                bounds=Bounds(**item["bounds"]),
            )
            for item in items
        ]
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        raise ValueError("two rows of one name")
    return rows

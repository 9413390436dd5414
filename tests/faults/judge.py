"""The oracle of truth: what the simulator knows, beside what the integration says and has recorded."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
import sqlite3
from typing import Any

type Json = dict[str, Any]

SAME_WH = 15.0
"""Registers are whole watt-hours, and a session's last reading is up to some seconds old."""
FLOOR_A = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A session as it is on the disk."""

    id: int
    charge_point: str
    remote_id: str | None
    ended: bool
    """Whether its end was reported."""
    closed: bool
    """Whether it is known to be over, reported or not."""
    energy_wh: float | None


def read_records(path: Path) -> list[Record]:
    """Return the session records of a file, also while it is written."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [
            Record(
                id=row["id"],
                charge_point=row["charge_point_id"],
                remote_id=row["remote_id"],
                ended=bool(row["ended_by_report"]),
                closed=row["stopped_at"] is not None,
                energy_wh=_energy_wh(row),
            )
            for row in connection.execute("SELECT * FROM sessions")
        ]


def _energy_wh(row: sqlite3.Row) -> float | None:
    stop_wh = None if row["contradicted"] else row["meter_stop_wh"]
    stop_wh = row["meter_last_wh"] if stop_wh is None else stop_wh
    if stop_wh is None or row["meter_start_wh"] is None:
        return None
    return float(stop_wh - row["meter_start_wh"])


def compare(books: Iterable[Json], records: Iterable[Record], how: str) -> list[str]:
    """Return how the records differ from the charge points' books, in words; nothing: not at all."""
    found: list[str] = []
    by_id: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        for name in {str(record.id), record.remote_id} - {None}:
            by_id.setdefault((record.charge_point, str(name)), []).append(record)
    for entry in books:
        if entry["id"] is None:
            # Not told yet, or never heard.
            continue
        name = f"{entry['charge_point']} {entry['id']}"
        same = by_id.get((entry["charge_point"], str(entry["id"])), [])
        if len(same) != 1:
            found.append(f"{name}: {len(same)} records")
            continue
        (record,) = same
        if entry["stopped_at"] is None:
            if record.ended:
                found.append(f"{name}: runs, but is recorded as ended")
        elif not (record.ended if how == "equal" else record.closed):
            found.append(f"{name}: has ended, but is recorded as open")
        elif how == "equal" and (
            record.energy_wh is None
            or abs(record.energy_wh - entry["energy_wh"]) > SAME_WH
        ):
            found.append(f"{name}: {record.energy_wh} Wh for {entry['energy_wh']} Wh")
    return found


def limits_a(state: Json) -> dict[str, float]:
    """Return the limit in force at each charge point, in A; without any its maximum."""
    found = {}
    for name, charge_point in state["charge_points"].items():
        connector = charge_point["connectors"]["1"]
        limit = connector["limit"]
        found[name] = connector["maximum"] if limit is None else limit
    return found


def over_a(state: Json) -> float:
    """Return by how much the worst phase of the worst circuit is over its limit now, in A; negative: under it."""
    return max(
        current_a - limit_a
        for circuit in state["circuits"].values()
        for current_a, limit_a in zip(
            circuit["current_a"], circuit["limit_a"], strict=True
        )
    )


def heat(state: Json) -> float:
    """Return the highest share of the heat that trips a breaker."""
    return max(
        circuit["breaker"]["most_heat"] for circuit in state["circuits"].values()
    )


def trips(state: Json) -> int:
    """Return how often a breaker tripped."""
    return sum(circuit["breaker"]["trips"] for circuit in state["circuits"].values())


def is_so(condition: Mapping[str, Any], state: Json, issues: frozenset[str]) -> bool:
    """Whether a condition of a row holds now.

    `floor`, `above_floor`: names of charge points, or `all`; `at_most_a`, `at_least_a`: A by charge point; `charging`: who
    draws more than 1 A; `used_a`: A on the fullest phase by circuit; `within_limits`: no circuit is over; `issue`: the
    beginning of a translation key; `running`: who has a transaction. `within_s` and `for_s` say when, and for how long.
    """
    found = True
    limits = limits_a(state)
    for kind, value in condition.items():
        names = list(limits) if value == "all" else value
        match kind:
            case "floor":
                found &= all(limits[name] <= FLOOR_A for name in names)
            case "above_floor":
                found &= all(limits[name] > FLOOR_A for name in names)
            case "at_most_a":
                found &= all(limits[name] <= amps for name, amps in value.items())
            case "at_least_a":
                found &= all(limits[name] >= amps for name, amps in value.items())
            case "charging":
                found &= all(_current_a(state, name) > 1 for name in names)
            case "running":
                found &= all(
                    state["charge_points"][name]["connectors"]["1"]["transaction"]
                    for name in names
                )
            case "within_limits":
                found &= over_a(state) <= 0
            case "issue":
                found &= any(issue.startswith(value) for issue in issues)
            case "used_a":
                found &= all(
                    max(state["circuits"][circuit]["current_a"]) >= amps
                    for circuit, amps in value.items()
                )
            case "within_s" | "for_s":
                pass
            case _:
                raise ValueError(f"no such condition: {kind}")
    return found


def _current_a(state: Json, name: str) -> float:
    connector = state["charge_points"][name]["connectors"]["1"]
    return max(connector["current_a"])

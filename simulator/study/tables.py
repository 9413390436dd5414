"""Results as tables in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = (
    ("site", "site", "{}"),
    ("seed", "seed", "{}"),
    ("controller", "by", "{}"),
    ("room_pct", "room %", "{:.1f}"),
    ("energy_pct", "energy %", "{:.1f}"),
    ("delivered_kwh", "kWh", "{:.0f}"),
    ("worst_car", "worst", "{:.2f}"),
    ("jain", "Jain", "{:.3f}"),
    ("over_beyond_as", "As > 8 s", "{:.0f}"),
    ("over_longest_s", "longest s", "{}"),
    ("imbalance.beyond_as", "skew As > 18 s", "{:.0f}"),
    ("trips", "trips", "{}"),
    ("starts_mean", "starts", "{:.1f}"),
    ("starts_max", "most", "{}"),
    ("writes_per_h_mean", "writes/h", "{:.0f}"),
    ("freed_room_s.p90", "freed p90 s", "{:.0f}"),
    ("overload_s.p90", "over p90 s", "{:.0f}"),
    ("false_alarms", "false alarms", "{}"),
    ("ms_per_decision", "ms", "{:.2f}"),
)


def _value(figures: Mapping[str, Any], key: str) -> Any:
    found: Any = figures
    for part in key.split("."):
        found = found[part]
    return found


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the main figures, a row for each study."""
    lines = [
        f"| {' | '.join(title for _, title, _ in _COLUMNS)} |",
        f"|{'---|' * len(_COLUMNS)}",
    ]
    for figures in results:
        cells = [shape.format(_value(figures, key)) for key, _, shape in _COLUMNS]
        lines.append(f"| {' | '.join(cells)} |")
        if sun := figures.get("sun"):
            lines[-1] += f" sun {sun['used_pct']} % used, {sun['bought_pct']} % bought"
    return "\n".join(lines)


def overview(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the room used on each site, a column for each who decides; who broke a limit is marked."""
    names = list(dict.fromkeys(figures["controller"] for figures in results))
    sites: dict[tuple[str, int], dict[str, str]] = {}
    for figures in results:
        cells = sites.setdefault((figures["site"], figures["seed"]), {})
        cells[figures["controller"]] = f"{figures['room_pct']:.0f}{_marks(figures)}"
    lines = [
        f"| of the oracle's room, % | {' | '.join(names)} |",
        f"|{'---|' * (len(names) + 1)}",
        *(
            f"| {site} | {' | '.join(cells.get(name, '') for name in names)} |"
            for (site, _), cells in sites.items()
        ),
        "",
        "\\*: more than 10 As over a limit beyond 8 s (imbalance: 18 s). †: more than 10 % not from the sun.",
    ]
    return "\n".join(lines)


def _marks(figures: Mapping[str, Any]) -> str:
    over_as = figures["over_beyond_as"] + figures["imbalance"]["beyond_as"]
    marks = "\\*" if over_as > 10.0 or figures["trips"] else ""
    return marks + ("†" if figures.get("sun", {}).get("bought_pct", 0.0) > 10.0 else "")


def fault_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return what faults led to."""
    lines = [
        "| fault | what happens | by | over s | As | skew s | room % | pauses | writes/h | trips | issue after s | issues | short of |",
        f"|{'---|' * 13}",
    ]
    for figures in results:
        after = figures["issue_after_s"]
        cells = [
            figures["site"],
            figures["about"],
            figures["controller"],
            figures["over_s"],
            round(figures["over_as"]),
            figures["skew_s"],
            figures["room_pct"],
            figures["pauses"],
            round(figures["writes_per_h_max"]),
            figures["trips"],
            "never" if after is None else after,
            ", ".join(figures["issues"]),
            "; ".join(figures["shortfalls"]) or "nothing",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)

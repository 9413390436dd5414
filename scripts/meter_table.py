"""Writes the table of supported meters in docs/meters.md from the profiles."""

import json
from pathlib import Path
import sys

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from custom_components.reev_ems.meters import MeterProfile, load_profiles  # noqa: E402
from custom_components.reev_ems.meters.profile import CT_PRIMARY  # noqa: E402
from simulator.layouts import LAYOUTS  # noqa: E402

PAGE = ROOT / "docs" / "meters.md"
BEGIN = "<!-- The table is written by scripts/meter-table. -->\n"
END = "<!-- End of the table. -->\n"
TEXTS = ROOT / "custom_components" / "reev_ems" / "translations" / "en.json"

# What is checked in CI beside the reading of a device made after the profile itself.
AFTER_THE_MANUAL = {"janitza_umg604", "tq_em420", "siemens_pac2200"}
"""Registers written after the maker's document by hand: tests/meters/test_profiles_on_the_wire.py."""
SIMULATED_AS = {
    "abb_b24": "abb_b23",
    "sunspec_203": "sunspec_meter",
    "sunspec_213": "sunspec_meter",
}
"""Simulated meters whose profile has another name."""


def table() -> str:
    """Return the table and the notes below it."""
    loaded = load_profiles()
    if loaded.errors:
        raise SystemExit(
            "\n".join(
                f"{error.file}:{error.line}: {error.reason}" for error in loaded.errors
            )
        )
    profiles = sorted(
        loaded.profiles.values(), key=lambda profile: profile.name.casefold()
    )
    rows = [
        "| meter | profile | confidence | how | checked | rating | unit ids | fastest poll | sources |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [_row(profile) for profile in profiles]
    texts = json.loads(TEXTS.read_text(encoding="utf-8"))
    words = texts["selector"]["meter_note"]["options"]
    notes = [
        f"- **{profile.name}**: {' '.join(words.get(note, note) for note in profile.notes)}"
        for profile in profiles
        if profile.notes
    ]
    return "\n".join([*rows, "", "Good to know:", "", *notes, ""])


def _row(profile: MeterProfile) -> str:
    if profile.candidates:
        how = f"tries {', '.join(f'`{candidate.id}`' for candidate in profile.candidates)}"
    elif profile.sunspec_models:
        how = "walks the chain of SunSpec models"
    else:
        requests = len(profile.blocks)
        how = f"{requests} request{'s' if requests > 1 else ''} per reading"
    if profile.needs_gateway:
        how += ", through a Modbus gateway"
    cells = (
        profile.name,
        f"`{profile.id}`",
        profile.status,
        how,
        _checked(profile),
        _rating(profile),
        ", ".join(map(str, profile.unit_ids)),
        f"{profile.min_poll_s:g} s",
        "; ".join(profile.sources),
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _checked(profile: MeterProfile) -> str:
    """Return what CI does with a profile, over TCP each time."""
    if profile.candidates:
        return "finds its candidates, refuses what fits none"
    if profile.sunspec_models:
        checks = ["chain"]
    else:
        checks = ["twin"]
    if profile.id in AFTER_THE_MANUAL:
        checks.append("manual")
    if profile.id in {SIMULATED_AS.get(name, name) for name in LAYOUTS}:
        checks.append("simulator")
    return ", ".join(checks)


def _rating(profile: MeterProfile) -> str:
    if CT_PRIMARY in profile.identification:
        return "from the device"
    return "" if profile.rating_a is None else f"{profile.rating_a:g} A"


def main() -> None:
    """Write the table, or with --check exit with 1 if it is not what the profiles say."""
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.name} has no place for the table")
    wanted = f"{before}{BEGIN}{table()}{END}{after}"
    if "--check" in sys.argv[1:]:
        if wanted != page:
            raise SystemExit("docs/meters.md is out of date; run scripts/meter-table")
        return
    PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()

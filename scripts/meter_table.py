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
    selector = json.loads(TEXTS.read_text(encoding="utf-8"))["selector"]
    words = selector["meter_note"]["options"]
    remarks = selector["meter_name"]["options"]
    profiles = {
        remarks.get(profile.name_remark, "{name}").format(name=profile.name): profile
        for profile in loaded.profiles.values()
    }
    if len(profiles) < len(loaded.profiles):
        raise SystemExit("two profiles have one name")
    profiles = dict(sorted(profiles.items(), key=lambda item: item[0].casefold()))
    rows = [
        "| meter | profile | confidence | how | checked | rating | unit ids | fastest poll |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [_row(name, profile) for name, profile in profiles.items()]
    agreements = [
        f"- **{name}**: {'; '.join(profile.sources)}."
        for name, profile in profiles.items()
    ]
    alone = [
        name
        for name, profile in profiles.items()
        if profile.quantities
        and (len(profile.sources) < 2 or "single_source" in profile.notes)
    ]
    notes = [
        f"- **{name}**: {' '.join(words.get(note, note) for note in told)}"
        for name, profile in profiles.items()
        if (told := (*profile.notes, *profile.value_notes))
    ]
    return "\n".join(
        [
            *rows,
            "",
            "What agrees with whom (U voltages, I currents, P powers, f frequency):",
            "",
            *agreements,
            "",
            f"Still resting on one source alone: {', '.join(alone)}.",
            "",
            "Good to know:",
            "",
            *notes,
            "",
        ]
    )


def _row(name: str, profile: MeterProfile) -> str:
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
        name,
        f"`{profile.id}`",
        profile.status,
        how,
        _checked(profile),
        _rating(profile),
        ", ".join(map(str, profile.unit_ids)),
        f"{profile.min_poll_s:g} s",
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _checked(profile: MeterProfile) -> str:
    """Return what CI does with a profile, over TCP each time."""
    if profile.candidates:
        return "finds its candidates, refuses what fits none"
    if profile.sunspec_models:
        checks = ["chain"]
    else:
        # Every profile with registers of its own has a vector in tests/meters/vectors.py: a test compares.
        checks = ["twin", "vector"]
    if profile.id in {SIMULATED_AS.get(name, name) for name in LAYOUTS}:
        checks.append("simulator")
    return ", ".join(checks)


def _rating(profile: MeterProfile) -> str:
    if CT_PRIMARY in profile.identification:
        return "from the device"
    ratings_a = sorted({*profile.ratings_a.values()})
    if profile.rating_a is not None:
        ratings_a = [profile.rating_a]
    return ", ".join(f"{rating_a:g} A" for rating_a in ratings_a)


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

"""What the documentation says of the meters is what the profiles say."""

from pathlib import Path
import runpy

import pytest
import yaml

from custom_components.reev_ems.meters import parse_profile
from custom_components.reev_ems.meters.reading import FREQUENCY_HZ, VOLTAGE_V

ROOT = Path(__file__).parents[2]


def test_table_is_up_to_date() -> None:
    """The generated table is the one in the page."""
    script = runpy.run_path(str(ROOT / "scripts" / "meter_table.py"))
    page = (ROOT / "docs" / "meters.md").read_text(encoding="utf-8")
    assert f"{script['BEGIN']}{script['table']()}{script['END']}" in page, (
        "run scripts/meter-table"
    )


def test_example_is_a_profile() -> None:
    """The example in the page is accepted as it stands, and the limits in it are those of the program."""
    page = (ROOT / "docs" / "meters.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    profile = parse_profile(yaml.safe_load(example))
    assert profile.id == "bakery_meter"
    assert f"{VOLTAGE_V[0]:g} to {VOLTAGE_V[1]:g} V" in page
    assert f"{FREQUENCY_HZ[0]:g} to {FREQUENCY_HZ[1]:g} Hz" in page


@pytest.mark.parametrize(
    "key",
    ["cannot_connect", "no_answer", "not_this_meter", "incomplete", "implausible"],
)
def test_errors_are_explained(key: str) -> None:
    """Each kind of trouble has its line."""
    assert f"| `{key}` |" in (ROOT / "docs" / "meters.md").read_text(encoding="utf-8")

"""What the documentation says of the meters is what the profiles say."""

from pathlib import Path
import runpy

import pytest
import yaml

from custom_components.reev_ems.energy_management.model import Settings
from custom_components.reev_ems.flows.meter_map import new_profile
from custom_components.reev_ems.meters import parse_profile
from custom_components.reev_ems.meters.commissioning import (
    DARK_EXPORT_W,
    LOAD_STEP_W,
    OVERLOAD,
    RATIO_TOO_LARGE,
    RATIO_TOO_SMALL,
    STEP_A,
    STILL_A,
)
from custom_components.reev_ems.meters.detect import DETECTION_TIMEOUT_S
from custom_components.reev_ems.meters.jumps import JUMP_A
from custom_components.reev_ems.meters.reading import FREQUENCY_HZ, VOLTAGE_V
from custom_components.reev_ems.meters.sensors import (
    COARSE_MARGIN_A,
    LOWEST_POWER_FACTOR,
)
from custom_components.reev_ems.readings.gateways import POLL_S
from custom_components.reev_ems.readings.sensors import SILENT_S

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "meters.md"


def test_table_is_up_to_date() -> None:
    """The generated table is the one in the page."""
    script = runpy.run_path(str(ROOT / "scripts" / "meter_table.py"))
    page = PAGE.read_text(encoding="utf-8")
    assert f"{script['BEGIN']}{script['table']()}{script['END']}" in page, (
        "run scripts/meter-table"
    )


def test_examples_are_profiles() -> None:
    """The examples in the page are accepted as they stand: a map as the form takes it, and a whole file."""
    page = PAGE.read_text(encoding="utf-8")
    entered, file = (part.split("```")[0] for part in page.split("```yaml\n")[1:])
    mine = parse_profile(new_profile("Mine", yaml.safe_load(entered), ()))
    assert mine.quantities["current_l3"].sign_from == "power_l3"
    profile = parse_profile(yaml.safe_load(file))
    assert profile.id == "bakery_meter"


def test_limits_are_those_of_the_program() -> None:
    """A number in the page is the number that is used."""
    page = PAGE.read_text(encoding="utf-8")
    for text in (
        f"{VOLTAGE_V[0]:g} to {VOLTAGE_V[1]:g} V",
        f"{FREQUENCY_HZ[0]:g} to {FREQUENCY_HZ[1]:g} Hz",
        f"a current by more than {JUMP_A:g} A",
        f"more than {RATIO_TOO_LARGE:g} times the limit",
        f"all phases below {RATIO_TOO_SMALL * 100:g} % of the limit",
        f"more than {OVERLOAD:g} times the rating",
        f"more than {DARK_EXPORT_W:g} W of export",
        f"at least {LOAD_STEP_W:g} W",
        f"at least {STEP_A:g} A on one, less than {STILL_A:g} A on the others",
        f"after {DETECTION_TIMEOUT_S:g} s at the latest",
        f"every {SILENT_S:g} s and longer",
        f"It is asked every {POLL_S:g} s",
        f"a power factor of {LOWEST_POWER_FACTOR:g}",
        f"{1 + COARSE_MARGIN_A:g} A are added",
        f"the meter timeout ({Settings().meter_timeout_s:g} s)",
    ):
        assert text in page


@pytest.mark.parametrize(
    "key",
    ["cannot_connect", "no_answer", "not_this_meter", "incomplete", "implausible"],
)
def test_errors_are_explained(key: str) -> None:
    """Each kind of trouble has its line."""
    assert f"| `{key}` |" in PAGE.read_text(encoding="utf-8")

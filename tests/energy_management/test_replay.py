"""scripts/replay: recorded decisions, taken again."""

from dataclasses import replace
import json
from pathlib import Path

import pytest

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.model import Settings
from custom_components.reev_ems.energy_management.observation import Observation
from custom_components.reev_ems.energy_management.replay import main, record
from tests.energy_management.plant import Plant
from tests.energy_management.stepping import step
from tests.energy_management.test_closed_loop import cars, site, steady


def recording() -> dict[str, object]:
    """Return what a ring buffer holds after two minutes."""
    # The step of these tests puts no meter to the test.
    recorded = replace(site(2), settings=Settings(test_meters=False))
    plant = Plant(site=recorded, cars=cars(2), base=lambda _: steady(5))
    steps = []
    for _ in range(120):
        before = plant.state
        seen: list[Observation] = []

        def remember(
            observation: Observation, seen: list[Observation] = seen
        ) -> Observation:
            seen.append(observation)
            return observation

        plant.before_step = remember
        decision = plant.tick()
        steps.append((plant.site, before, seen[0], decision))
    found: dict[str, object] = dict(record(steps[50:]))
    return found


def test_a_download_replays_without_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also inside the envelope of a Home Assistant diagnostics download."""
    path = tmp_path / "diagnostics.json"
    path.write_text(json.dumps({"data": {"recording": recording()}}))
    assert main([str(path)]) == 0
    assert capsys.readouterr().out == "0 differences\n"


def test_differences_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A decision that this version does not take any more."""
    found = recording()
    steps = found["steps"]
    assert isinstance(steps, list)
    steps[3]["decision"]["connectors"]["c0"]["permit_a"] = 11.5
    path = tmp_path / "recording.json"
    path.write_text(json.dumps(found))
    assert main([str(path)]) == 1
    out = capsys.readouterr().out
    assert (
        out
        == "step 3, 54 s: connectors.c0.permit_a: was 11.5, now 13.5\n1 differences\n"
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no JSON"),
        ("[]", "recording"),
        ("{}", "steps"),
        ('{"steps": [1], "site": {"circuits": []}}', "steps[0]"),
        ('{"steps": [{}], "site": {}}', "circuits"),
        (
            '{"steps": [{"observation": {"at_s": "x"}}], "site": {"circuits": []}}',
            "at_s",
        ),
        (
            '{"steps": [{"observation": {"at_s": 1}}], "site": {"circuits": []}}',
            "steps[0]",
        ),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, named: str
) -> None:
    """One line, exit code 2."""
    path = tmp_path / "recording.json"
    path.write_text(text)
    assert main([str(path)]) == 2
    errors = capsys.readouterr().err
    assert named in errors
    assert errors.count("\n") == 1


def test_steps_are_the_same_with_and_without_the_layout_at_hand() -> None:
    """The memo of the site's layout changes nothing."""
    first, second = site(2), site(3)
    plant = Plant(site=first, cars=cars(3), base=lambda _: steady(5))
    plant.run(3)
    observation = plant.observe()
    alone = step(first, plant.state, observation)
    step(second, ControllerState(), observation)
    assert step(first, plant.state, observation) == alone

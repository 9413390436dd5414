"""What is found out about a meter's wiring, and what is left open."""

from itertools import permutations
import random

import pytest

from custom_components.reev_ems.energy_management.model import (
    PHASES,
    PartPerPhase,
    Phase,
)
from custom_components.reev_ems.energy_management.observation import MeterReading
from custom_components.reev_ems.meters.commissioning import (
    Doubt,
    LinePhaseLearner,
    doubts,
    is_inverted,
    phase_that_moved,
)


def reading(
    current_a: PartPerPhase = (1.0, 1.0, 1.0), power_total_w: float | None = None
) -> MeterReading:
    """Return a reading."""
    return MeterReading(at_s=0.0, current_a=current_a, power_total_w=power_total_w)


@pytest.mark.parametrize(
    ("before_w", "after_w", "inverted"),
    [
        (500, 2500, False),
        (-500, -2500, True),
        (-3000, -1000, False),
        (500, 700, None),
        (None, 700, None),
    ],
)
def test_direction(
    before_w: float | None, after_w: float, inverted: bool | None
) -> None:
    """A load that is switched on makes a right meter count more import, whatever the sun does."""
    assert (
        is_inverted(reading(power_total_w=before_w), reading(power_total_w=after_w))
        is inverted
    )


@pytest.mark.parametrize(
    ("after", "phase"),
    [
        ((11.0, 1.2, 0.9), Phase.L1),
        ((1.0, 0.9, -9.0), Phase.L3),
        ((11.0, 11.0, 1.0), None),
        ((11.0, 3.0, 1.0), None),
        ((1.0, 1.0, 1.0), None),
        ((11.0, None, 1.0), None),
    ],
)
def test_phase_of_a_switched_load(after: PartPerPhase, phase: Phase | None) -> None:
    """The phase is named only if it is the only one."""
    assert phase_that_moved((1.0, 1.0, 1.0), after) is phase


@pytest.mark.parametrize(
    ("current_a", "rating_a", "found"),
    [
        ((40.0, 20.0, 62.0), None, []),
        ((70.0, 20.0, 62.0), None, []),
        ((400.0, 20.0, 62.0), None, [Doubt.CURRENT_ABOVE_LIMIT]),
        ((-0.05, 0.1, 0.02), None, [Doubt.HARDLY_ANY_CURRENT]),
        ((0.0, 0.0, 5.0), None, []),
        ((None, None, None), None, []),
        ((40.0, 20.0, -62.0), 63.0, []),
        ((40.0, 20.0, 45.0), 50.0, [Doubt.LIMIT_ABOVE_RATING]),
        (
            (40.0, 20.0, -62.0),
            50.0,
            [Doubt.LIMIT_ABOVE_RATING, Doubt.CURRENT_ABOVE_RATING],
        ),
    ],
)
def test_transformers_and_rating(
    current_a: PartPerPhase, rating_a: float | None, found: list[Doubt]
) -> None:
    """Currents beyond the fuse or close to none raise a doubt, and a meter that is too small for its circuit."""
    assert (
        doubts(
            reading(current_a),
            limit_a=(63.0, 63.0, 63.0),
            rating_a=rating_a,
            is_dark=True,
        )
        == found
    )


@pytest.mark.parametrize(
    ("power_w", "is_dark", "found"),
    [
        (-2000.0, True, [Doubt.EXPORT_IN_THE_DARK]),
        (-2000.0, False, []),
        (-100.0, True, []),
        (2000.0, True, []),
        (None, True, []),
    ],
)
def test_export_in_the_dark(
    power_w: float | None, is_dark: bool, found: list[Doubt]
) -> None:
    """At night nothing is left to export; a circuit whose limit is not known says nothing about its currents."""
    told = reading((400.0, 0.0, 0.0), power_total_w=power_w)
    assert doubts(told, limit_a=None, rating_a=None, is_dark=is_dark) == found


@pytest.mark.parametrize("wiring", list(permutations(PHASES)))
def test_line_phases_are_learnt_from_cars(wiring: tuple[Phase, Phase, Phase]) -> None:
    """Single-phase cars that start and stop in a house that lives its life reveal the wiring of their connector."""
    rng = random.Random("".join(wiring))
    learner = LinePhaseLearner()
    base = [8.0, 8.0, 8.0]
    for report in range(400):
        base = [
            max(
                0.0,
                load + rng.gauss(0, 0.4) + (rng.random() < 0.05) * rng.uniform(-8, 8),
            )
            for load in base
        ]
        own = [0.0, 0.0, 0.0]
        if report // 5 % 2:
            own[report // 100 % 2] = rng.choice((10.0, 16.0))
        meter = list(base)
        for index, phase in enumerate(wiring):
            meter[PHASES.index(phase)] += own[index]
        learner.observe((own[0], own[1], own[2]), (meter[0], meter[1], meter[2]))
    assert learner.line_phases() == wiring


def test_three_phase_cars_teach_nothing() -> None:
    """Where all phases move alike, nothing is proposed."""
    learner = LinePhaseLearner()
    for report in range(100):
        current_a = 16.0 * (report % 2)
        learner.observe((current_a,) * 3, (current_a + 1, current_a + 2, current_a + 3))
    assert learner.line_phases() is None
    assert learner.line_phase(Phase.L1) is None

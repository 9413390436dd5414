"""The judges of a site: breakers that get warm, and the charge points' own books."""

import pytest

from simulator.breaker import Breaker
from simulator.commands import execute
from simulator.site import running_site
from simulator.site_file import parse_site
from simulator.state import state_of

from .sites import charge_point, site


def minutes_until_trip(ratio: float) -> float | None:
    """Return how long a breaker bears a multiple of its rated current; None: an hour and more."""
    breaker = Breaker(rated_a=(63.0, 63.0, 63.0))
    for step in range(36_000):
        breaker.advance(0.1, (63.0 * ratio, 1.0, 1.0))
        if breaker.trips:
            return step / 600
    return None


@pytest.mark.parametrize(
    ("ratio", "at_least", "at_most"),
    [(1.2, 2, 12), (2.0, 0.4, 2), (5.0, 0, 0.01)],
)
def test_breaker_trips_as_the_standard_says(
    ratio: float, at_least: float, at_most: float
) -> None:
    """Slowly a little above its rating, at once at five times."""
    minutes = minutes_until_trip(ratio)
    assert minutes is not None
    assert at_least <= minutes <= at_most


def test_breaker_bears_what_it_must() -> None:
    """Its rating for ever, and a short jump."""
    assert minutes_until_trip(1.0) is None
    assert minutes_until_trip(1.04) is None
    breaker = Breaker(rated_a=(63.0, 63.0, 63.0))
    for _ in range(10):
        breaker.advance(1.0, (126.0, 1.0, 1.0))
    assert breaker.trips == 0
    assert 0.45 < breaker.most_heat < 0.6


async def test_books_and_breakers_in_the_state(socket_enabled: None) -> None:
    """What took place is in the books, also without anybody who listens; a reset keeps the heat."""
    config = parse_site(site(charge_point("CP1"), tick_s=0.05), csms="ws://127.0.0.1:1")
    async with running_site(config) as running:
        for second in range(30):
            running.tick(1.0, 1_000_000.0 + second)
        await execute(running, {"do": "stop", "connector": "CP1"})
        (entry,) = state_of(running)["books"]
        assert entry["energy_wh"] > 0
        assert entry["stopped_at"] is not None
        await execute(running, {"do": "reset_metrics"})
        (breaker,) = [
            circuit["breaker"]
            for circuit in state_of(running)["circuits"].values()
            if circuit["breaker"]
        ]
        assert breaker["trips"] == 0
        assert breaker["most_heat"] > 0

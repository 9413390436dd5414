"""One commissioned site for all scenarios; each scenario starts from a settled one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

import pytest
import pytest_asyncio

from simulator.demo import Demo

SITE_FILE = Path(__file__).parent / "site.yaml"
# Short enough for a test, long enough that the steps can be told apart.
PROFILE_LIFE_S = 40
METER_TIMEOUT_S = 15
CAR_RAMP_S = 3
POLL_S = 0.1

FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make a place for the measured figures."""
    config.stash[FIGURES] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the figures that the scenarios measured."""
    if figures := config.stash[FIGURES]:
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.write_line(figure)


@dataclass
class E2E:
    """The running site, and the figures that the scenarios measured."""

    demo: Demo
    figures: list[str]

    async def state(self) -> dict[str, Any]:
        """Return the truth about the site."""
        return await self.demo.simulator.state()

    async def command(self, name: str, **arguments: Any) -> None:
        """Change something at the site."""
        await self.demo.simulator.command(name, **arguments)

    async def call(self, action: str, **data: Any) -> None:
        """Perform an action in Home Assistant."""
        await self.demo.home_assistant.call(action, **data)

    async def entity(self, entity_id: str) -> dict[str, Any]:
        """Return an entity's state and attributes."""
        answer: dict[str, Any] = await self.demo.home_assistant.get(
            f"/api/states/{entity_id}"
        )
        return answer

    async def set_base(self, circuit: str, *current_a: float) -> None:
        """Set what a circuit carries besides the chargers."""
        await self.command("base_load", circuit=circuit, current_a=list(current_a))

    async def wait(
        self,
        what: str,
        is_so: Callable[[dict[str, Any]], bool],
        within_s: float,
    ) -> float:
        """Wait until the site is in a state; return how long it took, in s."""
        began_s = time.monotonic()
        while True:
            state = await self.state()
            elapsed_s = time.monotonic() - began_s
            if is_so(state):
                return elapsed_s
            assert elapsed_s <= within_s, f"{what}: not within {within_s} s; {state}"
            await asyncio.sleep(POLL_S)

    async def wait_for(
        self, what: str, is_so: Callable[[], Awaitable[bool]], within_s: float
    ) -> float:
        """Wait until something is so in Home Assistant; return how long it took, in s."""
        began_s = time.monotonic()
        while not await is_so():
            elapsed_s = time.monotonic() - began_s
            assert elapsed_s <= within_s, f"{what}: not within {within_s} s"
            await asyncio.sleep(POLL_S * 5)
        return time.monotonic() - began_s

    async def settle(self) -> None:
        """Bring the site to quiet: light loads, no sun, every car charging as fast as it may."""
        await self.set_base("main", 4, 4, 4)
        await self.set_base("garage", 2, 2, 2)
        await self.command("solar", id="roof", power_w=0)
        await self.wait("quiet site", is_full, within_s=120)
        await self.command("reset_metrics")

    def note(self, figure: str) -> None:
        """Keep a measured figure for the end of the run."""
        self.figures.append(figure)


def connector(state: dict[str, Any], charge_point: str) -> dict[str, Any]:
    """Return the truth about a charge point's connector."""
    found: dict[str, Any] = state["charge_points"][charge_point]["connectors"]["1"]
    return found


def limits_a(state: dict[str, Any]) -> dict[str, float | None]:
    """Return the limit in force at each charge point, in A."""
    return {name: connector(state, name)["limit"] for name in state["charge_points"]}


def worst_over_a(state: dict[str, Any]) -> float:
    """Return by how much the worst phase of the worst circuit is over its limit, in A; negative: under it."""
    return max(
        current_a - limit_a
        for circuit in state["circuits"].values()
        for current_a, limit_a in zip(
            circuit["current_a"], circuit["limit_a"], strict=True
        )
    )


def is_full(state: dict[str, Any]) -> bool:
    """Return whether the cars take most of what they can get: 40 A on L2 of the garage, 16 A at CP4."""
    garage_a = state["circuits"]["garage"]["current_a"]
    return (
        connector(state, "CP4")["current_a"][0] > 15
        and 37 < garage_a[1] <= 40
        and worst_over_a(state) <= 0
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[E2E]:
    """Start Home Assistant and the simulator, and set the integration up through its forms."""
    demo = Demo(tmp_path_factory.mktemp("e2e"), SITE_FILE, "E2E site")
    try:
        await demo.start()
        await shorten_times(demo)
        yield E2E(demo, request.config.stash[FIGURES])
    finally:
        await demo.stop()


async def shorten_times(demo: Demo) -> None:
    """Set the options through their form, so that a scenario takes seconds."""
    await demo.home_assistant.run_flow(
        {"handler": demo.entry_id},
        {
            "sharing_of_power": {
                "sharing": "priority",
                "margin_a": 0.5,
                "rotation_slot_s": 900,
                "raise_interval_s": 5,
            },
            "failsafe_behavior": {
                "failsafe": "minimum",
                "failsafe_a": 6,
                "meter_timeout_s": METER_TIMEOUT_S,
                "profile_life_s": PROFILE_LIFE_S,
            },
            "grid": {"imbalance_limit_a": 0},
            "pv": {
                "pv_start_threshold_w": 0,
                "pv_start_delay_s": 5,
                "pv_stop_threshold_w": 0,
                "pv_stop_delay_s": 10,
                "pv_reserve_w": 0,
                "min_on_s": 5,
                "min_off_s": 5,
                "pv_per_phase": False,
            },
            "battery": {},
            "access": {},
        },
        kind="options/",
    )

"""Before a planned stop charge points keep what fits without us; a crash ends on the floor."""

import asyncio
from dataclasses import replace
import time

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.charge_points import handing_over
from custom_components.reev_ems.charge_points.handing_over import BaseLoads
from custom_components.reev_ems.charge_points.listener import RELEASE_GRACE
from custom_components.reev_ems.const import DEFAULT_ID_TAG
from custom_components.reev_ems.coordinator import ReevCoordinator
from custom_components.reev_ems.energy_management.decision import (
    CircuitDecision,
    Decision,
    SiteState,
)
from custom_components.reev_ems.energy_management.handover import BaseLoad
from simulator.site import Site

from .site import until
from .test_listener import pass_time
from .test_measures import halt, outlet, permit

NAMES = ("CP16", "CP201")
FLOOR_A = 6.0


def limits_a(running: Site, after_s: float) -> dict[str, float | None]:
    """Return what limits each charge point some time from now, if it hears nothing more."""
    return {
        name: point.composite(outlet(running, name), point.now + after_s).amount
        for name in NAMES
        for point in [running.charge_points[name]]
    }


@pytest.fixture
async def charging(
    plant: tuple[Site, MockConfigEntry], monkeypatch: pytest.MonkeyPatch
) -> ReevCoordinator:
    """Both versions charge, with 12 A and 9 A; the base load is known."""
    running, entry = plant
    monkeypatch.setattr(handing_over, "LEAST_S", 0.0)
    await until(
        lambda: all(point.online for point in running.charge_points.values()),
        "not connected",
    )
    for name in ("CP16", "CP201"):
        running.charge_points[name].present(outlet(running, name), DEFAULT_ID_TAG)
    await until(
        lambda: all(outlet(running, name).transaction for name in NAMES),
        "no transactions",
    )
    coordinator: ReevCoordinator = entry.runtime_data
    await until(
        lambda: coordinator.data.decision.state is SiteState.REGULATING,
        "not regulating",
    )
    halt(entry)
    given = {"CP16": 12.0, "CP201": 9.0}
    for name, permit_a in given.items():
        permit(coordinator, name, permit_a)
    await until(lambda: limits_a(running, 1) == given, "permits not in force")
    decision = coordinator.data.decision
    coordinator.async_set_updated_data(
        replace(
            coordinator.data,
            decision=replace(
                decision,
                connectors={
                    f"{name}:1": replace(
                        decision.connectors[f"{name}:1"], permit_a=permit_a
                    )
                    for name, permit_a in given.items()
                },
            ),
        )
    )
    return coordinator


async def stop(hass: HomeAssistant) -> None:
    """Stop Home Assistant as far as integrations are told."""
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()


async def test_s5_a_planned_stop_keeps_what_fits(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry], charging: ReevCoordinator
) -> None:
    """For 15 minutes, then everybody is on the floor; before it a crash would have ended on the floor after 5."""
    running, _ = plant
    assert set(limits_a(running, 400).values()) == {FLOOR_A}
    await stop(hass)
    assert not any(point.online for point in running.charge_points.values())
    assert limits_a(running, 1) == {"CP16": 12.0, "CP201": 9.0}
    assert limits_a(running, 850) == {"CP16": 12.0, "CP201": 9.0}
    assert set(limits_a(running, 905).values()) == {FLOOR_A}


async def test_s5_what_does_not_fit_is_lowered_before_the_stop(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry], charging: ReevCoordinator
) -> None:
    """The base load of the last minutes leaves less than is permitted now."""
    running, _ = plant
    base_a = (63 - 0.5 - 6.3 - 18 - 3.0, 0.0, 0.0)
    decision = replace(
        charging.data.decision,
        circuits={
            "main": CircuitDecision(
                base_a=base_a, booked_a=(0.0,) * 3, available_a=None
            )
        },
    )
    charging._base_loads = BaseLoads()
    charging._base_loads.note(decision)
    await stop(hass)
    assert limits_a(running, 850) == {"CP16": 8.0, "CP201": 7.0}


async def test_s3_nothing_is_kept_where_a_meter_is_silent(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry], charging: ReevCoordinator
) -> None:
    """Everybody is on the floor at once, as after an orderly stop before."""
    running, _ = plant
    charging.async_set_updated_data(
        replace(
            charging.data,
            decision=replace(charging.data.decision, state=SiteState.FAILSAFE),
        )
    )
    await stop(hass)
    assert set(limits_a(running, 1).values()) == {FLOOR_A}


async def test_s5_a_site_that_is_unloaded_for_longer_keeps_what_fits(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry], charging: ReevCoordinator
) -> None:
    """A reload changes nothing; without one nobody steers any more."""
    running, entry = plant
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert limits_a(running, 850)["CP16"] == FLOOR_A
    await pass_time(hass, RELEASE_GRACE)
    await until(
        lambda: not any(point.online for point in running.charge_points.values()),
        "the server goes on",
    )
    assert limits_a(running, 850) == {"CP16": 12.0, "CP201": 9.0}
    assert await hass.config_entries.async_setup(entry.entry_id)


async def test_s5_a_removed_site_leaves_only_floors_behind(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry], charging: ReevCoordinator
) -> None:
    """Nobody will steer its charge points again."""
    running, entry = plant
    await hass.config_entries.async_remove(entry.entry_id)
    assert set(limits_a(running, 1).values()) == {FLOOR_A}
    # The fixture unloads it.
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)


async def test_s2_what_was_decided_long_ago_says_nothing(
    hass: HomeAssistant,
    plant: tuple[Site, MockConfigEntry],
    charging: ReevCoordinator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop had failed, or stopped."""
    running, _ = plant
    monkeypatch.setattr(handing_over, "OLDEST_S", 0.0)
    await asyncio.sleep(0.01)
    await stop(hass)
    assert set(limits_a(running, 1).values()) == {FLOOR_A}


def test_base_loads_of_the_last_minutes() -> None:
    """Highest and lowest of each circuit; unknown for a moment, it is learnt anew."""

    def decided(at_s: float, base_a: tuple[float | None, ...] | None) -> Decision:
        circuit = CircuitDecision(
            base_a=base_a,  # type: ignore[arg-type]
            booked_a=(0.0,) * 3,
            available_a=None,
        )
        return Decision(
            at_s=at_s, state=SiteState.REGULATING, circuits={"main": circuit}
        )

    loads = BaseLoads()
    began_s = time.monotonic()
    loads.note(decided(began_s, (40.0, 1.0, 1.0)))
    for second in range(1, 400):
        loads.note(decided(began_s + second, (5.0 + second % 7, 2.0, -3.0)))
        if second == handing_over.LEAST_S - 1:
            assert loads.ranges(began_s + second) == {}
        if second == 250:
            peak = loads.ranges(began_s + second)["main"].highest_a
            assert peak == (40.0, 2.0, 1.0)
    assert loads.ranges(began_s + 399) == {
        "main": BaseLoad(highest_a=(11.0, 2.0, -3.0), lowest_a=(5.0, 2.0, -3.0))
    }
    loads.note(decided(began_s + 400, (5.0, None, 1.0)))
    assert loads.ranges(began_s + 400) == {}

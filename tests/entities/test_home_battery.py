"""The home battery, as the energy management is told of it."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.energy_management.observation import BatteryObservation
from custom_components.reev_ems.site.home_battery import (
    POWER_LIFE_S,
    SOC_LIFE_S,
    observe_battery,
)

POWER, SOC = "sensor.battery_power", "sensor.battery_soc"
OPTIONS = {"battery_power": POWER, "battery_soc": SOC}
WATTS, PERCENT = {"unit_of_measurement": "W"}, {"unit_of_measurement": "%"}


def test_no_battery(hass: HomeAssistant) -> None:
    """Where none is named there is none."""
    assert observe_battery(hass, {}) is None


async def test_battery(hass: HomeAssistant) -> None:
    """Power in W, positive while it charges; the state of charge may be left out."""
    hass.states.async_set(POWER, "-1.5", {"unit_of_measurement": "kW"})
    hass.states.async_set(SOC, "42.5", PERCENT)
    assert observe_battery(hass, OPTIONS) == BatteryObservation(
        power_w=-1500, soc_pct=42.5
    )
    assert observe_battery(
        hass, {"battery_power": POWER, "battery_invert": True}
    ) == BatteryObservation(power_w=1500)


@pytest.mark.parametrize(
    ("entity", "value", "attributes"),
    [
        (POWER, "unavailable", WATTS),
        (POWER, "unknown", WATTS),
        (POWER, "nan", WATTS),
        (POWER, "-inf", WATTS),
        (POWER, "1000", {"unit_of_measurement": "A"}),
        (POWER, "1000", {}),
        (SOC, "unavailable", PERCENT),
        (SOC, "nan", PERCENT),
        (SOC, "101", PERCENT),
        (SOC, "-1", PERCENT),
        (SOC, "3.7", {"unit_of_measurement": "V"}),
    ],
)
async def test_s2_unusable_value_is_absent(
    hass: HomeAssistant, entity: str, value: str, attributes: dict[str, Any]
) -> None:
    """Nothing that is no number of its kind is calculated with."""
    hass.states.async_set(POWER, "1000", WATTS)
    hass.states.async_set(SOC, "50", PERCENT)
    hass.states.async_set(entity, value, attributes)
    assert observe_battery(hass, OPTIONS) == BatteryObservation(
        power_w=None if entity == POWER else 1000, soc_pct=None if entity == SOC else 50
    )
    hass.states.async_remove(entity)
    found = observe_battery(hass, OPTIONS)
    assert found
    assert None in (found.power_w, found.soc_pct)


async def test_s2_stale_value_is_absent(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """A value that was not reported for too long says nothing; reported again unchanged, it does."""
    hass.states.async_set(POWER, "1000", WATTS)
    hass.states.async_set(SOC, "50", PERCENT)
    freezer.tick(POWER_LIFE_S)
    assert observe_battery(hass, OPTIONS) == BatteryObservation(
        power_w=1000, soc_pct=50
    )
    freezer.tick(1)
    assert observe_battery(hass, OPTIONS) == BatteryObservation(soc_pct=50)
    hass.states.async_set(POWER, "1000", WATTS)
    assert observe_battery(hass, OPTIONS) == BatteryObservation(
        power_w=1000, soc_pct=50
    )
    freezer.tick(SOC_LIFE_S)
    assert observe_battery(hass, OPTIONS) == BatteryObservation()


async def test_observation_of_the_site(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """What the options name is in every observation."""
    coordinator = entry.runtime_data
    assert coordinator.data.observation.battery is None
    hass.config_entries.async_update_entry(entry, options={**entry.options, **OPTIONS})
    await hass.async_block_till_done()
    hass.states.async_set(POWER, "800", WATTS)
    coordinator = entry.runtime_data
    observation = coordinator._observe(coordinator.data.decision.at_s)
    assert observation.battery == BatteryObservation(power_w=800)

"""A meter that is made of Home Assistant's sensors, in a running site."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
import time
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.energy_management.decision import Issue, IssueKind
from custom_components.reev_ems.issues.shown import async_update_issues
from custom_components.reev_ems.readings import sensors as sensor_meter
from custom_components.reev_ems.readings.meters import MeterStatus
from tests.config_flow.inputs import free_port

from .site import state

QUANTITIES = ("current_l1", "current_l2", "current_l3", "power_total")


def report(hass: HomeAssistant, **values: str) -> None:
    """Let sensors report."""
    for quantity, value in values.items():
        unit = "A" if quantity.startswith("current") else "kW"
        hass.states.async_set(
            f"sensor.{quantity}", value, {"unit_of_measurement": unit}
        )


@pytest.fixture
async def site(
    hass: HomeAssistant, socket_enabled: None
) -> AsyncGenerator[MockConfigEntry]:
    """A running site whose only meter is made of sensors that reported once."""
    report(hass, current_l1="5", current_l2="-4", current_l3="0", power_total="0.23")
    found = MockConfigEntry(
        domain=DOMAIN,
        title="Depot",
        data={"limit_a": [63.0] * 3, "limit_w": None, "ocpp_port": free_port()},
        options={},
        subentries_data=[
            ConfigSubentryData(
                data={
                    "circuit": "main",
                    "profile": "sensors",
                    "sensors": {name: f"sensor.{name}" for name in QUANTITIES},
                    "wiring": "three_phase",
                    "invert": False,
                },
                subentry_type="meter",
                title="P1",
                unique_id="meter_main",
            )
        ],
    )
    found.add_to_hass(hass)
    assert await hass.config_entries.async_setup(found.entry_id)
    await hass.async_block_till_done()
    yield found
    await hass.config_entries.async_unload(found.entry_id)


async def until(
    site: MockConfigEntry, condition: Callable[[MeterStatus], bool]
) -> MeterStatus:
    """Wait for the meter to be in a condition."""
    async with asyncio.timeout(3):
        while True:
            (status,) = site.runtime_data.data.meters.values()
            if condition(status):
                return status
            await asyncio.sleep(0.01)


async def test_reads_what_the_sensors_report(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    """Units are converted; what no sensor measures has no entity. Whole amperes are not believed to the letter."""
    status = await until(site, lambda status: status.reading is not None)
    assert status.reading
    assert status.reading.current_a == (6.5, -2.5, 1.5)
    assert status.reading.power_total_w == pytest.approx(230.0)
    report(hass, current_l1="7.1", current_l2="-4.2", current_l3="0.0")
    status = await until(
        site,
        lambda status: bool(status.reading and status.reading.current_a[0] == 7.1),
    )
    assert status.reading
    assert status.reading.current_a == (7.1, -4.2, 1.5)
    power = state(hass, site, "sensor", "P1", "power")
    assert float(power.state) == pytest.approx(230.0)
    assert not hass.states.async_entity_ids("sensor") or not any(
        "voltage" in item for item in hass.states.async_entity_ids("sensor")
    )


async def test_s3_as_old_as_the_oldest(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    """A phase that does not report keeps the whole reading old; an equal value that is reported again is new."""
    first = (await until(site, lambda status: status.reading is not None)).reading
    assert first
    begin_s = time.monotonic()
    report(hass, current_l1="6.1", current_l2="-4", power_total="0.23")
    second = (
        await until(
            site,
            lambda status: bool(status.reading and status.reading.current_a[0] == 6.1),
        )
    ).reading
    assert second
    assert second.at_s < begin_s
    report(hass, current_l3="0")
    third = await until(
        site, lambda status: bool(status.reading and status.reading.at_s >= begin_s)
    )
    assert third.reading


@pytest.mark.parametrize("value", ["unavailable", "unknown", "nan", "inf", ""])
async def test_s2_sensor_without_a_value_is_no_zero(
    hass: HomeAssistant, site: MockConfigEntry, value: str
) -> None:
    """One sensor that has no value takes the reading away; the last one ages."""
    before = await until(site, lambda status: status.reading is not None)
    report(hass, current_l2=value)
    after = await until(site, lambda status: status.problem is not None)
    assert after.problem == "incomplete"
    assert after.reading == before.reading
    report(hass, current_l2="1")
    await until(site, lambda status: status.problem is None)


async def test_s2_unit_that_changed(hass: HomeAssistant, site: MockConfigEntry) -> None:
    """A number without its unit is not a current."""
    hass.states.async_set("sensor.current_l1", "5", {"unit_of_measurement": "W"})
    status = await until(site, lambda status: status.problem is not None)
    assert status.problem == "incomplete"


async def test_sensors_that_fall_silent(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    """Sensors that keep their last value without reporting it are told as silent."""
    await until(site, lambda status: status.reading is not None)
    with patch.object(sensor_meter, "SILENT_S", 0.2):
        await asyncio.sleep(0.25)
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=6))
        status = await until(site, lambda status: status.problem is not None)
    assert status.problem == "no_answer"
    async_update_issues(
        site.runtime_data, [Issue(kind=IssueKind.METER_SILENT, circuit="main")]
    )
    issues = ir.async_get(hass).issues
    assert "meter_silent_sensors" in {item.translation_key for item in issues.values()}


async def test_how_far_apart_the_readings_are(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    """It is observed, for a slow meter costs; what came before an outage is not counted."""
    assert (
        await until(site, lambda status: status.reading is not None)
    ).interval_s is None
    for _ in range(3):
        await asyncio.sleep(0.3)
        report(
            hass, current_l1="5", current_l2="-4", current_l3="0", power_total="0.23"
        )
        await asyncio.sleep(0.15)
    status = await until(site, lambda status: status.interval_s is not None)
    assert status.interval_s == pytest.approx(0.55, abs=0.1)

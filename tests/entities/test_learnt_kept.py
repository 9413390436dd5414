"""What charge points taught is kept over a restart of Home Assistant."""

from datetime import timedelta
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.reev_ems.charge_points.learnt import STORAGE_DELAY_S
from custom_components.reev_ems.ocpp_server import Learnt
from custom_components.reev_ems.ocpp_server.model import BootInfo, SelfTest
from tests.config_flow.inputs import free_port
from tests.meters.wire import ModbusServer

from .charger import Charger
from .site import set_up, site_entry, state, until

KEY = "reev_ems.charge_points"
PASSED = SelfTest(
    meter_values=True,
    obeys=True,
    schedule_agrees=True,
    falls_back=True,
    fall_back_s=3.0,
)
RECORD = Learnt(
    info=BootInfo(vendor="Acme", model="Box 11"), self_tests={1: PASSED}
).as_dict()


@pytest.fixture
async def restart(hass: HomeAssistant, meter: ModbusServer, hass_storage: Any) -> Any:
    """Start a site with a record of its charge point, and end it after the test."""
    entry = site_entry(meter.port, free_port())

    async def start(record: Any) -> MockConfigEntry:
        hass_storage[KEY] = {"version": 1, "key": KEY, "data": {"CP-LEFT": record}}
        entry.add_to_hass(hass)
        await set_up(hass, entry)
        return entry

    yield start
    if entry.state is ConfigEntryState.LOADED:
        await hass.config_entries.async_unload(entry.entry_id)


def self_test(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """Return what the self-test of the charge point found."""
    return state(hass, entry, "sensor", "Garage left", "1_self_test").state


async def test_result_of_the_self_test(hass: HomeAssistant, restart: Any) -> None:
    """Nobody has to test a charge point again after each restart."""
    assert self_test(hass, await restart(RECORD)) == "passed"


async def test_record_that_cannot_be_read(
    hass: HomeAssistant, restart: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is learnt anew, and the log names the charge point."""
    entry = await restart({**RECORD, "info": "?"})
    assert self_test(hass, entry) == "not_run"
    assert "CP-LEFT is learnt anew" in caplog.text


async def test_a_model_that_zero_does_not_pause(
    hass: HomeAssistant, restart: Any
) -> None:
    """What one has shown is true of all of its model and firmware, and the energy management knows it."""
    info = BootInfo(vendor="Alpha", model="Box 11", serial="S-7", firmware="1.2.3")
    entry = await restart(Learnt(info=info, ignores_zero=True).as_dict())

    def obeying() -> set[str]:
        connectors = entry.runtime_data._plan.site.connectors
        return {item.id for item in connectors if item.obeys_pause}

    assert obeying() == {"CP-YARD:1", "CP-YARD:2", "CP-DC:1"}
    async with Charger(entry.data["ocpp_port"], "CP-YARD"):
        await until(lambda: obeying() == {"CP-DC:1"}, "not known of its model")
        (point,) = (
            item
            for item in entry.runtime_data.charge_points.values()
            if item.id == "CP-YARD"
        )
        assert not point.obeys_pause
        assert not point.learnt.ignores_zero


async def test_charge_point_that_was_removed(
    hass: HomeAssistant, restart: Any, hass_storage: Any
) -> None:
    """Its record goes with it."""
    entry = await restart(RECORD)
    (left,) = [
        item for item in entry.subentries.values() if item.title == "Garage left"
    ]
    hass.config_entries.async_remove_subentry(entry, left.subentry_id)
    await hass.async_block_till_done()
    later = dt_util.utcnow() + timedelta(seconds=STORAGE_DELAY_S + 1)
    async_fire_time_changed(hass, later)
    await hass.async_block_till_done()
    assert hass_storage[KEY]["data"] == {}

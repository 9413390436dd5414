"""A router tells how it is, and a silent meter behind it from one whose router is dead."""

from collections.abc import Callable

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.energy_management.decision import Issue, IssueKind
from custom_components.reev_ems.issues.shown import async_update_issues
from custom_components.reev_ems.readings import gateways as site_gateways
from tests.meters.wire import ModbusServer

from .site import set_up, state, subentry_id, until

SILENT = Issue(kind=IssueKind.METER_SILENT, circuit="main")


async def test_entities(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Signal, temperature, network and the inputs are shown."""
    await until(lambda: None not in entry.runtime_data.gateways.statuses.values())

    def shown(platform: str, key: str) -> str:
        return state(hass, entry, platform, "Router", key).state

    await until(lambda: shown("binary_sensor", "connectivity") == "on")
    await until(lambda: shown("sensor", "signal") == "-71")
    assert shown("sensor", "temperature") == "43.0"
    assert shown("sensor", "network_type") == "4G"
    assert shown("binary_sensor", "digital_input_1") == "on"
    assert shown("binary_sensor", "digital_input_2") == "off"


async def test_silent_meter_or_dead_gateway(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    meter: ModbusServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The repair issue's text tells which of the two it is."""
    monkeypatch.setattr(site_gateways, "POLL_S", 0.1)
    meter_id = subentry_id(entry, "Grid meter")
    router_id = subentry_id(entry, "Router")
    hass.config_entries.async_update_subentry(
        entry,
        entry.subentries[meter_id],
        data={**entry.subentries[meter_id].data, "poll_s": 0.5},
    )
    hass.config_entries.async_update_subentry(
        entry,
        entry.subentries[router_id],
        data={**entry.subentries[router_id].data, "meters": [meter_id]},
    )
    await hass.async_block_till_done()
    await set_up(hass, entry)
    coordinator = entry.runtime_data

    def told(key: str) -> Callable[[], bool]:
        def is_told() -> bool:
            async_update_issues(coordinator, [SILENT])
            issues = ir.async_get(hass).issues.values()
            return key in {issue.translation_key for issue in issues if issue.active}

        return is_told

    router = meter.devices[2]
    del meter.devices[1]
    await until(told("meter_silent_behind_gateway"))
    del meter.devices[2]
    await until(told("meter_silent_gateway_dead"))
    meter.devices[2] = router
    await until(told("meter_silent_behind_gateway"))

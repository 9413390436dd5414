"""What an older version stored means the same."""

from typing import Any

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.config_flow import ReevConfigFlow
from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.energy_management.model import ChargingMode

from .site import AC, charge_point, free_port_entry


def stored(mode: str) -> dict[str, Any]:
    """Return a connector's controls as they were stored before there was a mode `automatic`."""
    return {"mode": mode, "priority": 7, "enabled": True}


async def test_solar_modes_become_automatic(
    hass: HomeAssistant, socket_enabled: None, hass_storage: dict[str, Any]
) -> None:
    """Solar modes followed the sun only while a PV switch was on; what nobody had touched charged fast."""
    six = AC | {"phases": ["L1"]}
    entry = free_port_entry(
        charge_point("Left", "CP1", "main", six, six, six),
        charge_point("Right", "CP2", "main", six, six),
        minor_version=1,
    )
    hass_storage[f"{DOMAIN}.{entry.entry_id}"] = {
        "version": 1,
        "minor_version": 1,
        "key": f"{DOMAIN}.{entry.entry_id}",
        "data": {
            "load_management": True,
            "pv_surplus": True,
            "follows_pv": {},
            "connectors": {
                "CP1:1": stored("solar"),
                "CP1:2": stored("solar_min"),
                "CP1:3": stored("fast"),
                "CP2:1": stored("off"),
            },
            "without_fallback": ["CP2"],
            "external_limit": False,
            "external_limit_w": 4200.0,
            "external_signal": None,
        },
    }
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.minor_version == ReevConfigFlow.MINOR_VERSION
    expected = {
        "CP1:1": (ChargingMode.AUTOMATIC, ChargingMode.SOLAR, 7),
        "CP1:2": (ChargingMode.AUTOMATIC, ChargingMode.SOLAR_MIN, 7),
        "CP1:3": (ChargingMode.FAST, ChargingMode.SOLAR, 7),
        "CP2:1": (ChargingMode.OFF, ChargingMode.SOLAR, 7),
        "CP2:2": (ChargingMode.FAST, ChargingMode.SOLAR, 5),
    }
    for _ in range(2):
        site = entry.runtime_data.data.site
        assert site.pv_surplus
        assert {
            item.id: (item.mode, item.automatic_mode, item.priority)
            for item in site.connectors
        } == expected
        assert entry.runtime_data.controls.external_limit_w == 4200.0
        # It is stored, and not taken apart once more.
        assert await hass.config_entries.async_reload(entry.entry_id)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_entry_of_a_newer_version_is_left_alone(
    hass: HomeAssistant, hass_storage: dict[str, Any]
) -> None:
    """What it means nobody knows here."""
    entry = MockConfigEntry(domain=DOMAIN, version=2, data={}, options={})
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert hass_storage.get(f"{DOMAIN}.{entry.entry_id}") is None

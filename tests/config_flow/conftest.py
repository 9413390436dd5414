"""A meter on the wire and a site without charge points, for the tests of the forms."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from unittest.mock import AsyncMock, patch

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.meters import load_profiles
from tests.meters.wire import ModbusServer, twin

from .inputs import PROFILE, add_charge_point, free_port, meter_data, without_meter

PROFILES = load_profiles().profiles


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Give Home Assistant a directory of its own."""
    return str(tmp_path)


@pytest.fixture(autouse=True)
def custom_integration(enable_custom_integrations: None) -> None:
    """Let Home Assistant find this integration."""


@pytest.fixture
def setup_entry() -> Generator[AsyncMock]:
    """Keep a created entry from being set up: what the forms do ends with the entry."""
    with patch(
        "custom_components.reev_ems.async_setup_entry", return_value=True
    ) as mock:
        yield mock


@pytest.fixture
async def meter(socket_enabled: None) -> AsyncGenerator[ModbusServer]:
    """A meter that answers on unit 1 of a port of its own."""
    device = twin(PROFILES[PROFILE])
    async with ModbusServer({1: device}) as server:
        yield server


@pytest.fixture
async def entry(hass: HomeAssistant) -> MockConfigEntry:
    """A site of 63 A with a metered grid connection and a garage of 32 A."""
    # As if the integration had been set up.
    await async_get_translations(hass, "en", "selector", (DOMAIN,))
    found = MockConfigEntry(
        domain=DOMAIN,
        minor_version=2,
        title="Depot",
        data={"limit_a": [63.0, 63.0, 63.0], "limit_w": None, "ocpp_port": 9000},
        options={"imbalance_limit_a": 20.0},
        subentries_data=[
            ConfigSubentryData(
                data=meter_data("192.0.2.1", circuit="main"),
                subentry_type="meter",
                title="Grid meter",
                unique_id="meter_192.0.2.1:502/1",
            ),
            ConfigSubentryData(
                data={
                    "parent": "main",
                    "limit_a": [32.0, 32.0, 32.0],
                    "limit_w": None,
                    "reserve_a": [0.0, 0.0, 0.0],
                },
                subentry_type="circuit",
                title="Garage",
                unique_id=None,
            ),
        ],
    )
    found.add_to_hass(hass)
    return found


@pytest.fixture
async def site(
    hass: HomeAssistant, socket_enabled: None, entry: MockConfigEntry
) -> AsyncGenerator[MockConfigEntry]:
    """The site running on a port of its own, with a charge point and no meter."""
    without_meter(hass, entry)
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "ocpp_port": free_port()}
    )
    await add_charge_point(hass, entry)
    assert await hass.config_entries.async_setup(entry.entry_id)
    yield entry
    await hass.config_entries.async_unload(entry.entry_id)

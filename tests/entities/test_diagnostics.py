"""The diagnostics download: complete, without secrets, and good for a replay."""

import asyncio
from dataclasses import replace
import json
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.json import ExtendedJSONEncoder
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    get_system_health_info,
)

from custom_components.reev_ems import diagnostics
from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.energy_management.replay import replay
from custom_components.reev_ems.site.history import Step

from .charger import Charger
from .site import subentry_id


async def download(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    """Return the diagnostics as the browser gets them."""
    found = await diagnostics.async_get_config_entry_diagnostics(hass, entry)
    return json.loads(json.dumps(found, cls=ExtendedJSONEncoder, allow_nan=False))


async def test_diagnostics(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """What is known of the site, its meter and its charge points is in it."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.status("Preparing")
        transaction_id = await charger.start(tag="SECRET-CARD")
        await charger.measure((6.0, 6.0, 6.0), 1100.0, transaction_id)
        found = await download(hass, entry)
    (meter,) = found["meters"].values()
    assert meter["problem"] is None
    assert meter["reading"]["current_a"][0] is not None
    by_id = {item["id"]: item for item in found["charge_points"].values()}
    assert by_id["CP-LEFT"]["connected"]
    assert by_id["CP-LEFT"]["info"]["model"] == "Box 11"
    assert not by_id["CP-DC"]["connected"]
    view = by_id["CP-LEFT"]["connectors"]["1"]
    assert view["current_a"] == [6.0, 6.0, 6.0]
    assert view["transaction"]["id"] == transaction_id
    assert found["controls"]["load_management"] is True


async def test_s12_no_secret_leaves(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Neither passwords nor cards nor addresses nor serial numbers are in the file."""
    (left,) = [
        item for item in entry.subentries.values() if item.title == "Garage left"
    ]
    hass.config_entries.async_update_subentry(
        entry, left, data={**left.data, "password": "SECRET-PASSWORD"}
    )
    await hass.async_block_till_done()
    async with Charger(
        entry.data["ocpp_port"], "CP-LEFT", password="SECRET-PASSWORD"
    ) as charger:
        await charger.start(tag="SECRET-CARD")
        await charger.start(tag="CARD-ADA")
        text = json.dumps(await download(hass, entry))
    # Of the user of the site neither the card nor the name.
    secrets = ("SECRET-PASSWORD", "SECRET-CARD", "127.0.0.1", "S-1", "CARD-ADA", "Ada")
    for secret in secrets:
        assert secret not in text


async def test_replay(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The recorded decisions can be taken again, and come out the same."""
    coordinator = entry.runtime_data
    await coordinator.async_set_pv_surplus(True)
    async with asyncio.timeout(5):
        while len(await coordinator.history.async_steps()) < 3:
            await asyncio.sleep(0.05)
    found = await download(hass, entry)
    steps = found["recording"]["steps"]
    assert len(steps) >= 3
    assert list(replay(found["recording"])) == []
    steps[-1]["decision"]["state"] = "off"
    assert [item.where for item in replay(found["recording"])] == ["state"]


async def test_recording_is_bounded(
    hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large site keeps fewer steps in the file, the newest ones."""
    step: Step = (await entry.runtime_data.history.async_steps())[-1]
    steps = [
        replace(step, observation=replace(step.observation, at_s=at_s))
        for at_s in (1.0, 2.0, 3.0)
    ]
    assert len(step.site.connectors) == 4
    monkeypatch.setattr(diagnostics, "MAX_CONNECTOR_STEPS", 11)
    kept = diagnostics.recording(steps)["steps"]
    assert [item["observation"]["at_s"] for item in kept] == [2.0, 3.0]


async def test_system_health(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The system information page says how the site stands."""
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    async with Charger(entry.data["ocpp_port"], "CP-LEFT"):
        found = await get_system_health_info(hass, DOMAIN)
    assert found["meters"] == "1 of 1 answer"
    assert found["charge_points"] == "1 of 3 connected"
    assert found["sites"].startswith("Depot: ")


async def test_diagnostics_of_a_device_are_the_devices(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A charge point's are about it and nobody else, a meter's about the meter; that of the site is the site's."""
    registry = dr.async_get(hass)

    async def of(title: str) -> str:
        device = registry.async_get_device_by_identifier(
            (DOMAIN, subentry_id(entry, title)), entry.entry_id
        )
        assert device
        found = await diagnostics.async_get_device_diagnostics(hass, entry, device)
        return str(found)

    async with Charger(entry.data["ocpp_port"], "CP-LEFT"):
        left = await of("Garage left")
    assert "CP-LEFT" in left
    assert "CP-YARD" not in left
    assert "recording" not in left
    meter = await of("Grid meter")
    assert "reading" in meter
    assert "CP-" not in meter

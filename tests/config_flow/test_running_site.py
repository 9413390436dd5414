"""The forms at a site that really runs: its meter is being read, its OCPP server listens."""

import asyncio
from collections.abc import AsyncGenerator
import time

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.reev_ems.meters import load_profiles
from tests.entities.charger import Charger
from tests.meters.wire import ModbusServer, twin

from .inputs import (
    PROFILE,
    Form,
    charge_point_input,
    circuit_input,
    confirmation,
    connector_input,
    free_port,
    meter_input,
    open_options,
    open_reconfigure,
    open_site,
    open_subentry,
    site_input,
    subentry_id,
)


async def read(site: ConfigEntry) -> None:
    """Wait until the running site has read its meter anew."""
    since_s = time.monotonic()
    async with asyncio.timeout(5):
        while any(
            status.reading is None or status.reading.at_s < since_s
            for status in site.runtime_data.data.meters.values()
        ):
            await asyncio.sleep(0.01)


@pytest.fixture
async def site(hass: HomeAssistant, meter: ModbusServer) -> AsyncGenerator[ConfigEntry]:
    """A site that was set up through its forms; unloaded at the end."""
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(meter_input(meter.port, poll_s=0.5), "confirm")
    await form.submit(confirmation())
    entry: ConfigEntry = form.created()["result"]
    assert entry.state is ConfigEntryState.LOADED
    await read(entry)
    yield entry
    await read(entry)
    await hass.config_entries.async_unload(entry.entry_id)


async def test_charge_point_that_knocks_is_offered_and_adopted(
    hass: HomeAssistant, site: ConfigEntry
) -> None:
    """From an open pairing to a charge point that the site steers."""
    site.runtime_data.set_pairing(True)
    async with Charger(site.data["ocpp_port"], "BOX-1") as charger:
        await charger.until(lambda: bool(hass.config_entries.flow.async_progress()))
        (offered,) = hass.config_entries.flow.async_progress()
        assert offered["context"]["title_placeholders"] == {
            "name": "Alpha Box 11 (BOX-1)"
        }
        by_hand = await open_subentry(hass, site, "charge_point")
        options = by_hand.result["data_schema"].schema["charge_point_id"].config
        assert options["options"] == [{"value": "BOX-1", "label": "BOX-1 Alpha Box 11"}]

        form = Form(
            hass,
            "config",
            await hass.config_entries.flow.async_configure(offered["flow_id"]),
        )
        form.shows("adopt")
        assert form.placeholders["vendor"] == "`Alpha`"
        identity = charge_point_input()
        del identity["charge_point_id"]
        await form.submit(identity, "connector")
        await form.submit(connector_input())
        form.aborted("charge_point_added")
        await hass.async_block_till_done()
        (charge_point,) = site.runtime_data.charge_points.values()
        assert charge_point.id == "BOX-1"
        assert not site.runtime_data.server.unknown


async def test_offer_ends_with_a_charge_point_that_is_added_by_hand(
    hass: HomeAssistant, site: ConfigEntry
) -> None:
    """Nobody is led to add it twice; the offer of another one stays."""
    site.runtime_data.set_pairing(True)
    port = site.data["ocpp_port"]
    flows = hass.config_entries.flow
    async with Charger(port, "BOX-1") as charger, Charger(port, "BOX-2"):
        await charger.until(lambda: len(flows.async_progress()) == 2)
        by_hand = await open_subentry(hass, site, "charge_point")
        await by_hand.submit(charge_point_input(charge_point_id="BOX-1"), "connector")
        await by_hand.submit(connector_input())
        by_hand.created()
        await hass.async_block_till_done()
        offered = [flow["context"]["unique_id"] for flow in flows.async_progress()]
        assert offered == ["charge_point_BOX-2"]


async def test_second_site_shares_the_port(
    hass: HomeAssistant, site: ConfigEntry, meter: ModbusServer
) -> None:
    """Our own server has the port, so another site may use it; its meter must be another one."""
    other = meter.devices[2] = twin(load_profiles().profiles[PROFILE])
    form = await open_site(hass)
    await form.submit(
        site_input(name="Yard", ocpp_port=site.data["ocpp_port"]), "meter"
    )
    await form.submit(meter_input(meter.port), "meter", host="meter_already_configured")
    yard_meter = meter_input(meter.port, unit_id=2)
    # The same serial number: it is the same meter under another unit id.
    await form.submit(yard_meter, "meter", host="meter_already_configured")
    other.put_number([3], 10176, "uint32", 4712)
    await form.submit(yard_meter, "confirm")
    await form.submit(confirmation())
    yard: ConfigEntry = form.created()["result"]
    assert yard.runtime_data.server is site.runtime_data.server
    await read(yard)
    await hass.config_entries.async_unload(yard.entry_id)


async def test_meter_is_tried_over_the_connection_that_reads_it(
    hass: HomeAssistant, site: ConfigEntry, meter: ModbusServer
) -> None:
    """Many meters take one connection only; the form must not need a second."""
    grid = subentry_id(site, "Grid meter")
    before = meter.connections
    form = await open_subentry(hass, site, "meter", grid)
    await form.submit({"circuit": "main", **meter_input(meter.port)}, "confirm")
    await form.submit(confirmation(name="Main meter"))
    form.aborted("reconfigure_successful")
    await read(site)
    assert meter.connections <= before + 1, "only the reload may connect anew"
    assert meter.open_now <= 1


async def test_site_goes_on_after_each_change(
    hass: HomeAssistant, site: ConfigEntry
) -> None:
    """Changes are taken up by the running site, without leaving it unloaded."""
    form = await open_subentry(hass, site, "circuit")
    await form.submit(circuit_input())
    form.created()
    roof = subentry_id(site, "Roof")
    assert roof in {circuit.id for circuit in site.runtime_data.data.site.circuits}

    await read(site)
    options = await open_options(hass, site)
    wanted = options.suggested
    wanted["sharing_of_power"]["margin_a"] = 2
    await options.submit(wanted)
    assert site.runtime_data.data.site.margin_a == 2

    await read(site)
    port = free_port()
    form = await open_reconfigure(hass, site)
    await form.submit({"limit_a": 35, "phase_limits": {}, "ocpp_port": port})
    form.aborted("reconfigure_successful")
    assert site.runtime_data.data.site.circuits[0].limit_a == (35, 35, 35)
    assert site.state is ConfigEntryState.LOADED
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


async def test_s2_another_meter_at_the_address_is_no_reading_and_a_repair_issue(
    hass: HomeAssistant, site: ConfigEntry, meter: ModbusServer
) -> None:
    """After a change of addresses another meter of the same model answers; the issue says so, and goes with it."""
    hass.config_entries.async_update_entry(
        site, options={**site.options, "meter_timeout_s": 2, "recovery_s": 1}
    )
    await hass.async_block_till_done()
    await read(site)

    def silent() -> list[str | None]:
        return [
            issue.translation_key
            for issue in ir.async_get(hass).issues.values()
            if issue.translation_key and issue.translation_key.startswith("meter_sil")
        ]

    async def until(wanted: list[str]) -> None:
        async with asyncio.timeout(20):
            while silent() != wanted:
                await asyncio.sleep(0.05)

    assert silent() == []
    await meter.stop()
    meter.devices[1].put_number([3], 10176, "uint32", 999)
    await meter.start()
    since_s = time.monotonic()
    await until(["meter_silent_wrong_identity"])
    (status,) = site.runtime_data.data.meters.values()
    assert status.reading.at_s < since_s, "nothing of the other meter is a reading"
    meter.devices[1].put_number([3], 10176, "uint32", 4711)
    await until([])

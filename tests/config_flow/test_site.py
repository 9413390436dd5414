"""The forms that set up a site, against a real meter on the loopback interface."""

import asyncio
from errno import EACCES
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.meters.wire import GRID, ModbusServer

from .inputs import (
    PROFILE,
    confirmation,
    free_port,
    meter_input,
    open_reconfigure,
    open_site,
    site_input,
)


async def test_site_with_its_meter(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """From nothing to a site whose meter was read and confirmed."""
    form = await open_site(hass)
    form.shows("user")
    site = site_input(limit_w=40_000)
    await form.submit(site, "meter")
    await form.submit(meter_input(meter.port), "confirm")
    shown = form.placeholders
    assert shown["meter"] == "Janitza UMG 604-PRO"
    assert shown["voltage_l1"] == "231.5 V"
    assert shown["current_l2"] == "-10.5 A"
    assert shown["power_l3"] == "900 W"
    assert shown["power_total"] == "3128 W"
    assert shown["frequency"] == "50.0 Hz"
    assert "4711" in shown["identification"]
    await form.submit(confirmation())

    entry = form.created()["result"]
    assert entry.title == "Depot"
    assert entry.data == {
        "limit_a": [63, 63, 63],
        "limit_w": 40_000,
        "ocpp_port": site["ocpp_port"],
    }
    assert entry.options == {"imbalance_limit_a": 20}
    (subentry,) = entry.subentries.values()
    assert subentry.subentry_type == "meter"
    assert subentry.title == "Grid meter"
    assert subentry.data == {
        "circuit": "main",
        **meter_input(meter.port),
        "invert": False,
        "phase_order": ["L1", "L2", "L3"],
        "serial": "4711",
    }
    assert len(setup_entry.mock_calls) == 1
    # The probe's connection does not outlive the form.
    async with asyncio.timeout(2):
        while meter.open_now:
            await asyncio.sleep(0.01)


async def test_phases_with_limits_of_their_own(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """A phase that is fused differently."""
    form = await open_site(hass)
    await form.submit(site_input(phase_limits={"limit_l2_a": 50}), "meter")
    await form.submit(meter_input(meter.port), "confirm")
    await form.submit(confirmation())
    assert form.created()["data"]["limit_a"] == [63, 50, 63]


async def test_corrected_values_are_shown_before_they_are_saved(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """A meter that is installed backwards, on rotated phases."""
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(meter_input(meter.port), "confirm")
    corrected = confirmation(invert=True, phase_order="l2_l3_l1")
    await form.submit(corrected, "confirm")
    # The meter's input 3 is wired to L1, its input 1 to L2.
    assert form.placeholders["current_l1"] == f"{-GRID['current_l3']:.1f} A"
    assert form.placeholders["power_l2"] == f"{-GRID['power_l1']:.0f} W"
    assert form.placeholders["voltage_l2"] == f"{GRID['voltage_l1']:.1f} V"
    assert form.placeholders["power_total"] == f"{-GRID['power_total']:.0f} W"
    assert form.suggested == corrected
    # A single transformer is turned as well, and the ratio is wrong: shown once more.
    corrected |= {"inverted_phases": ["L3"], "ratio": 0.5}
    await form.submit(corrected, "confirm")
    assert form.placeholders["current_l1"] == f"{GRID['current_l3'] / 2:.1f} A"
    assert form.placeholders["power_l2"] == f"{-GRID['power_l1'] / 2:.0f} W"
    await form.submit(corrected)
    (subentry,) = form.created()["result"].subentries.values()
    assert subentry.data["invert"] is True
    assert subentry.data["phase_order"] == ["L2", "L3", "L1"]
    assert (subentry.data["inverted_phases"], subentry.data["ratio"]) == (["L3"], 0.5)


@pytest.mark.parametrize(
    ("country", "limit_a"), [("DE", 20), ("AT", 16), ("CH", 16), ("NL", 0), (None, 0)]
)
async def test_country_suggests_the_imbalance_limit(
    hass: HomeAssistant, country: str | None, limit_a: float
) -> None:
    """The suggestion is editable; elsewhere the limit is off."""
    hass.config.country = country
    form = await open_site(hass)
    assert form.suggested["imbalance_limit_a"] == limit_a


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"limit_a": 0}, {"limit_a": "limit_not_positive"}),
        ({"limit_a": -63}, {"limit_a": "limit_not_positive"}),
        ({"limit_a": float("nan")}, {"limit_a": "limit_not_positive"}),
        ({"limit_a": float("inf")}, {"limit_a": "limit_not_positive"}),
        ({"limit_a": 5.9}, {"limit_a": "limit_below_minimum"}),
        ({"limit_w": 0}, {"limit_w": "limit_not_positive"}),
        ({"limit_w": 1000}, {"limit_w": "power_limit_below_minimum"}),
        (
            {"phase_limits": {"limit_l3_a": 5}},
            {"phase_limits": "limit_below_minimum"},
        ),
        ({"name": " "}, {"name": "name_missing"}),
    ],
)
async def test_bad_site_is_refused_at_the_field(
    hass: HomeAssistant,
    meter: ModbusServer,
    setup_entry: AsyncMock,
    changes: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """Each error is at its field, and gone once the value is right."""
    form = await open_site(hass)
    await form.submit(site_input(**changes), "user", **errors)
    await form.submit(site_input(), "meter")
    await form.submit(meter_input(meter.port), "confirm")
    await form.submit(confirmation())
    form.created()


async def test_port_that_is_taken(hass: HomeAssistant, socket_enabled: None) -> None:
    """Another program listens on the OCPP port."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        form = await open_site(hass)
        await form.submit(site_input(ocpp_port=port), "user", ocpp_port="port_in_use")
    await form.submit(site_input(ocpp_port=port), "meter")


async def test_port_that_is_reserved(
    hass: HomeAssistant, socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as a user who is allowed to use any port, so the system's answer is made up."""
    monkeypatch.setattr(
        hass.loop, "create_server", AsyncMock(side_effect=PermissionError(EACCES, ""))
    )
    form = await open_site(hass)
    await form.submit(site_input(ocpp_port=80), "user", ocpp_port="port_not_allowed")


async def test_site_name_in_use(
    hass: HomeAssistant, socket_enabled: None, entry: MockConfigEntry
) -> None:
    """Two sites of one name could not be told apart."""
    form = await open_site(hass)
    await form.submit(site_input(name="depot"), "user", name="name_in_use")
    await form.submit(site_input(name="Depot 2"), "meter")


async def test_meter_that_cannot_be_reached(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """A port that nobody listens on, then the right one."""
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(meter_input(free_port()), "meter", host="cannot_connect")
    assert "127.0.0.1" in form.placeholders["detail"]
    # A meter without Ethernet: the way out is named.
    await form.submit(
        meter_input(free_port(), profile="eastron_sdm630"),
        "meter",
        host="cannot_connect",
    )
    assert "wired to a Modbus gateway" in form.placeholders["detail"]
    await form.submit(meter_input(meter.port, host="  "), "meter", host="host_missing")
    await form.submit(meter_input(meter.port), "confirm")


async def test_unit_that_does_not_answer(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """A gateway answers for a unit that is not there."""
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(meter_input(meter.port, unit_id=7), "meter", unit_id="no_answer")
    await form.submit(meter_input(meter.port), "confirm")


async def test_another_device(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """A device answers that does not have the registers of the chosen model."""
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(
        meter_input(meter.port, profile="siemens_pac2200"),
        "meter",
        profile="not_this_meter",
    )
    await form.submit(meter_input(meter.port), "confirm")


async def test_values_that_cannot_be_true(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """A device whose registers hold nonsense is not taken for a meter."""
    profile_device = meter.devices[1]
    profile_device.put_number([3], 19000, "float32", 12_345.0)
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(meter_input(meter.port), "meter", base="implausible")
    profile_device.put_number([3], 19000, "float32", 230.0)
    await form.submit(meter_input(meter.port), "confirm")


async def test_meter_of_another_site(
    hass: HomeAssistant,
    socket_enabled: None,
    setup_entry: AsyncMock,
    entry: MockConfigEntry,
) -> None:
    """A meter cannot measure two sites."""
    form = await open_site(hass)
    await form.submit(site_input(name="Yard"), "meter")
    await form.submit(
        meter_input(502, host="192.0.2.1"), "meter", host="meter_already_configured"
    )


async def test_polled_too_often(
    hass: HomeAssistant, meter: ModbusServer, setup_entry: AsyncMock
) -> None:
    """A profile that a person added says how often its device may be asked."""
    folder = Path(hass.config.path("reev_ems", "meters"))
    folder.mkdir(parents=True)
    profile = f"id: slow\nextends: {PROFILE}\nname: Slow meter\nmin_poll_s: 5\n"
    (folder / "slow.yaml").write_text(profile, encoding="utf-8")
    form = await open_site(hass)
    await form.submit(site_input(), "meter")
    await form.submit(
        meter_input(meter.port, profile="slow"), "meter", poll_s="polled_too_often"
    )
    assert form.placeholders["min_poll"] == "5"
    await form.submit(meter_input(meter.port, profile="slow", poll_s=5), "confirm")


async def test_limits_and_port_can_be_changed(
    hass: HomeAssistant, socket_enabled: None, entry: MockConfigEntry
) -> None:
    """The form shows what is stored and saves what is entered."""
    form = await open_reconfigure(hass, entry)
    form.shows("grid_connection")
    assert form.suggested == {
        "limit_a": 63,
        "phase_limits": {},
        "hard_limit": False,
        "generation": "unknown",
        "ocpp_port": 9000,
    }
    port = free_port()
    changed = {"limit_a": 50, "phase_limits": {"limit_l1_a": 35}, "ocpp_port": port}
    await form.submit(
        {**changed, "limit_a": -1}, "grid_connection", limit_a="limit_not_positive"
    )
    await form.submit(changed)
    form.aborted("reconfigure_successful")
    assert entry.data == {
        "limit_a": [35, 50, 50],
        "limit_w": None,
        "hard_limit": False,
        "generation": "unknown",
        "ocpp_port": port,
    }

    again = await open_reconfigure(hass, entry)
    assert again.suggested["phase_limits"] == {
        "limit_l1_a": 35,
        "limit_l2_a": 50,
        "limit_l3_a": 50,
    }


async def test_changed_port_that_is_taken(
    hass: HomeAssistant, socket_enabled: None, entry: MockConfigEntry
) -> None:
    """A port is tried before it is saved, but not the one in use by ourselves."""
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        form = await open_reconfigure(hass, entry)
        changed = {"limit_a": 50, "phase_limits": {}, "ocpp_port": port}
        await form.submit(changed, "grid_connection", ocpp_port="port_in_use")
    await form.submit({**changed, "ocpp_port": 9000})
    form.aborted("reconfigure_successful")

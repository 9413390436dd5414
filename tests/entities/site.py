"""A site with one of everything, as the forms store it, and how to find its entities."""

import asyncio
from collections.abc import Callable
import time
from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryData
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.ocpp_server import ChargePoint, Transaction
from tests.config_flow.inputs import free_port

PROFILE = "janitza_umg604"

# Two steps of the control loop, the way to the charge point, and a car's ramp.
FOLLOW_S = 15.0

AC = {"supply": "ac", "min_a": 6.0, "max_a": 16.0}
DC = {"supply": "dc", "min_w": 5000.0, "max_w": 50000.0}


def meter(title: str, circuit: str, port: int) -> ConfigSubentryData:
    """Return a meter as it is stored."""
    return ConfigSubentryData(
        data={
            "circuit": circuit,
            "profile": PROFILE,
            "host": "127.0.0.1",
            "port": port,
            "unit_id": 1,
            "poll_s": 10.0,
            "invert": False,
            "phase_order": ["L1", "L2", "L3"],
        },
        subentry_type="meter",
        title=title,
        unique_id=f"meter_127.0.0.1:{port}/1",
    )


def circuit(title: str, subentry_id: str) -> ConfigSubentryData:
    """Return a circuit of 40 A below the grid connection as it is stored."""
    return ConfigSubentryData(
        data={
            "parent": "main",
            "limit_a": [40.0, 40.0, 40.0],
            "limit_w": None,
            "reserve_a": [0.0, 0.0, 0.0],
        },
        subentry_id=subentry_id,
        subentry_type="circuit",
        title=title,
        unique_id=None,
    )


def charge_point(
    title: str, charge_point_id: str, circuit_id: str, *connectors: dict[str, Any]
) -> ConfigSubentryData:
    """Return a charge point as it is stored; its connectors are numbered."""
    return ConfigSubentryData(
        data={
            "charge_point_id": charge_point_id,
            "circuit": circuit_id,
            "password": None,
            "connectors": [
                {"number": number, **connector}
                for number, connector in enumerate(connectors, start=1)
            ],
        },
        subentry_type="charge_point",
        title=title,
        unique_id=f"charge_point_{charge_point_id}",
    )


def gateway(title: str, port: int) -> ConfigSubentryData:
    """Return a router as it is stored; by its other name it is not at the address of any meter."""
    return ConfigSubentryData(
        data={"host": "localhost", "port": port, "unit_id": 2, "meters": []},
        subentry_type="gateway",
        title=title,
        unique_id="gateway_localhost",
    )


def user(
    title: str, *id_tags: str, group: str | None = None, **changes: Any
) -> ConfigSubentryData:
    """Return a user as it is stored."""
    return ConfigSubentryData(
        data={
            "id_tags": list(id_tags),
            "group": group,
            "priority": 5,
            "enabled": True,
            **changes,
        },
        subentry_type="user",
        title=title,
        unique_id=None,
    )


def user_group(title: str, subentry_id: str, **changes: Any) -> ConfigSubentryData:
    """Return a group of users as it is stored."""
    return ConfigSubentryData(
        data={"priority": 5, "limit_a": None, "limit_w": None, **changes},
        subentry_id=subentry_id,
        subentry_type="user_group",
        title=title,
        unique_id=None,
    )


def site_entry(meter_port: int, ocpp_port: int) -> MockConfigEntry:
    """Return a depot of 63 A: garage of 40 A, a wall box on rotated phases, a double post, a DC charger."""
    return MockConfigEntry(
        domain=DOMAIN,
        minor_version=2,
        title="Depot",
        data={"limit_a": [63.0, 63.0, 63.0], "limit_w": None, "ocpp_port": ocpp_port},
        options={"imbalance_limit_a": 20.0},
        subentries_data=[
            meter("Grid meter", "main", meter_port),
            gateway("Router", meter_port),
            circuit("Garage", "garage"),
            charge_point(
                "Garage left",
                "CP-LEFT",
                "garage",
                AC | {"phases": ["L2", "L3", "L1"]},
            ),
            charge_point(
                "Yard",
                "CP-YARD",
                "main",
                AC | {"phases": ["L2"]},
                AC | {"phases": None, "phase_count": 3},
            ),
            charge_point("Fast charger", "CP-DC", "main", DC),
            user_group("Fleet", "fleet", priority=7),
            user("Ada", "CARD-ADA", group="fleet"),
        ],
    )


def free_port_entry(
    *subentries: ConfigSubentryData, minor_version: int = 2
) -> MockConfigEntry:
    """Return a site of 63 A without a meter, at a port of its own."""
    return MockConfigEntry(
        domain=DOMAIN,
        minor_version=minor_version,
        title="Depot",
        data={"limit_a": [63.0] * 3, "limit_w": None, "ocpp_port": free_port()},
        options={},
        subentries_data=subentries,
    )


def charges(entry: MockConfigEntry, name: str) -> None:
    """Let a session run at the first connector of a charge point."""
    point: ChargePoint = entry.runtime_data.charge_points[subentry_id(entry, name)]
    point.connectors[1].transaction = Transaction(id=1, started_at=point.now())


async def until(condition: Callable[[], bool], what: str = "not so") -> None:
    """Wait for what the control loop, a charge point or a timer brings about."""
    try:
        async with asyncio.timeout(FOLLOW_S):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(what)


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set a site up, or up again, and wait until its meter was read: the last reading outlives a reload."""
    begun_s = time.monotonic()
    if entry.state is ConfigEntryState.LOADED:
        assert await hass.config_entries.async_reload(entry.entry_id)
    else:
        assert await hass.config_entries.async_setup(entry.entry_id)

    def is_read() -> bool:
        meters = entry.runtime_data.data.meters.values()
        return all(meter.reading and meter.reading.at_s > begun_s for meter in meters)

    async with asyncio.timeout(5):
        while not is_read():
            await asyncio.sleep(0.01)
    await hass.async_block_till_done()


def subentry_id(entry: MockConfigEntry, title: str) -> str:
    """Return the id of the subentry with a title."""
    return next(
        item.subentry_id for item in entry.subentries.values() if item.title == title
    )


def entity_id(
    hass: HomeAssistant, entry: MockConfigEntry, platform: str, title: str, key: str
) -> str:
    """Return the entity of a part; the connector's number is in front of the key ("1_permit")."""
    owner = entry.entry_id if title == entry.title else subentry_id(entry, title)
    found = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{owner}_{key}")
    assert found, f"no {platform} {key} of {title}"
    return found


def state(
    hass: HomeAssistant, entry: MockConfigEntry, platform: str, title: str, key: str
) -> State:
    """Return the state of an entity of a part."""
    found = hass.states.get(entity_id(hass, entry, platform, title, key))
    assert found, f"{platform} {key} of {title} has no state"
    return found

"""The simulated charge points were written from the standard, apart from the server: both must agree."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.model import Supply
from custom_components.reev_ems.ocpp_server import (
    ChargePointConfig,
    Floor,
    OcppServer,
    Permit,
)
from custom_components.reev_ems.sessions import SessionLog
from simulator.charge_point import Outlet
from simulator.site import Site, running_site
from simulator.site_file import parse_site

from .sites import charge_point, site

type Json = dict[str, Any]

# Some refuse what the server tries first, and it tries again after 10 s.
FOLLOW_S = 60.0

PERMITS = {
    "AC": Permit(limit_a=10.0, life_s=8.0),
    "DC": Permit(limit_w=20000.0, life_s=8.0),
}

KINDS: dict[str, Json] = {
    "GOOD": {},
    "GOOD201": {"protocol": "ocpp2.0.1"},
    "WATTS": {"quirks": {"power_unit_only": True}, "units": ["W"]},
    "AMPERES": {"quirks": {"current_unit_only": True}, "units": ["A"]},
    "NO_TX": {"quirks": {"rejects_tx_profile": True}},
    "NO_MAX": {"quirks": {"rejects_charge_point_max": True}},
    "SINGLE": {"quirks": {"single_period": True}, "max_periods": 1},
    "STACK0": {"quirks": {"stack_zero_only": True}},
    "ABSOLUTE": {"quirks": {"absolute_only": True}},
    "RELATIVE": {"quirks": {"relative_only": True}},
    "NO_DURATION": {"quirks": {"ignores_duration": True}},
    "BOOTS": {"quirks": {"boots_on_reconnect": True}},
    "SLOW": {"quirks": {"slow_answer_s": 0.2}},
    "NO_COMPOSITE": {"quirks": {"no_composite_schedule": True}},
}
"""Charge points of every sort, each with one three-phase connector of 16 A."""

DIRECT = {
    "units": ["W"],
    "connector": {"supply": "dc", "max_w": 50000, "car": {"ramp_s": 0.1, "soc": 0.1}},
}


@pytest.fixture
async def server(tmp_path: Path, socket_enabled: None) -> AsyncIterator[OcppServer]:
    """The server, with every charge point adopted."""
    store = SessionLog(tmp_path / "sessions.db")
    await store.open()
    server = OcppServer(host="127.0.0.1", port=0, transactions=store)
    await server.start()
    for name in KINDS:
        # What a floor in watts is worth depends on the cars that come.
        quirks = {"car_phases": 3} if name == "WATTS" else {}
        server.adopt(ChargePointConfig(id=name, quirks=quirks))
    for name in ("DC", "DC201"):
        server.adopt(
            ChargePointConfig(
                id=name,
                supply={1: Supply.DC},
                floor=Floor(limit_a=None, limit_w=5000.0),
            )
        )
    yield server
    await server.stop()
    await store.close()


@pytest.fixture
async def running(server: OcppServer) -> AsyncIterator[Site]:
    """All charge points, on the wire."""
    chargers = [charge_point(name, **options) for name, options in KINDS.items()]
    chargers += [
        charge_point("DC", **DIRECT),
        charge_point("DC201", protocol="ocpp2.0.1", **DIRECT),
    ]
    config = parse_site(
        site(*chargers, tick_s=0.05), csms=f"ws://127.0.0.1:{server.port}"
    )
    async with running_site(config) as started:
        yield started


def outlets(running: Site) -> dict[str, Outlet]:
    """Return the only outlet of each charge point."""
    return {name: charger.outlets[0] for name, charger in running.charge_points.items()}


def drawn(outlet: Outlet) -> float:
    """Return A on AC, W on DC."""
    return outlet.connector.current_a or outlet.connector.power_w


async def until_all_draw(
    running: Site, alternating: float, direct: float, ask: Callable[[], None]
) -> None:
    """Wait until every connector draws what it should; `ask` is called again and again meanwhile."""
    wanted = {
        name: direct if name.startswith("DC") else alternating
        for name in running.charge_points
    }
    wrong = wanted
    try:
        async with asyncio.timeout(FOLLOW_S):
            while wrong:
                ask()
                await asyncio.sleep(0.5)
                wrong = {
                    name: drawn(outlet)
                    for name, outlet in outlets(running).items()
                    if abs(drawn(outlet) - wanted[name]) > 0.15
                }
    except TimeoutError:
        pytest.fail(f"these draw something else: {wrong}")


async def test_s5_floor_permit_and_fall(server: OcppServer, running: Site) -> None:
    """Each gets its floor, follows its permit, and when the server is gone falls to the floor by itself.

    And nothing that the server said broke the schema.
    """

    def permit() -> None:
        for name in running.charge_points:
            server.charge_points[name].permit(
                1, PERMITS["DC" if name.startswith("DC") else "AC"]
            )

    await until_all_draw(running, 6.0, 5000.0, lambda: None)
    assert all(
        server.charge_points[name].floor_accepted for name in running.charge_points
    )
    await until_all_draw(running, 10.0, 20000.0, permit)
    await server.stop()
    await until_all_draw(running, 6.0, 5000.0, lambda: None)
    assert {
        name: outlet.limit.source for name, outlet in outlets(running).items()
    } == dict.fromkeys(running.charge_points, "TxDefaultProfile 1 stack 0")
    assert [
        charger.link.complaints
        for charger in running.charge_points.values()
        if charger.link.complaints
    ] == []

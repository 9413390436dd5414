"""Charge points that were connected before this program started, and tell nothing when asked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    ChargePointConfig,
    Learnt,
    OcppServer,
    Permit,
)
from custom_components.reev_ems.sessions import SessionLog
from simulator.site import Site, running_site
from simulator.site_file import parse_site

from ..simulator.sites import charge_point, site
from .wire import soon

KINDS: dict[str, dict[str, Any]] = {
    "CP16": {"quirks": {"rejects_trigger": True}},
    "CP201": {"protocol": "ocpp2.0.1", "quirks": {"rejects_trigger": True}},
}


@pytest.fixture
async def running(server: OcppServer) -> AsyncIterator[Site]:
    """Charge points that send nothing because they were asked to, on the wire."""
    config = parse_site(
        site(*(charge_point(name, **kind) for name, kind in KINDS.items())),
        csms=f"ws://127.0.0.1:{server.port}",
    )
    async with running_site(config) as started:
        yield started


def adopt(server: OcppServer, learnt: dict[str, Learnt]) -> None:
    """Let them in; their meter values come too seldom to tell anything."""
    for name in KINDS:
        server.adopt(ChargePointConfig(id=name, meter_interval_s=600), learnt.get(name))


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("charging", [True, False])
async def test_s7_a_state_that_is_not_told_again(
    server: OcppServer,
    store: SessionLog,
    running: Site,
    charging: bool,
    remembered: bool,
) -> None:
    """After a restart a connected one is not offline: what it told before, or what its variables say, is its state."""
    expected = ConnectorState.CHARGING if charging else ConnectorState.AVAILABLE
    if not charging:
        for charger in running.charge_points.values():
            charger.unplug(charger.outlets[0])
    adopt(server, {})
    await soon(
        lambda: all(
            point.connectors[1].state is expected
            for point in server.charge_points.values()
        ),
        10,
    )
    learnt = {
        name: Learnt.from_dict(point.learnt.as_dict())
        for name, point in server.charge_points.items()
    }
    port = server.port
    await server.stop()
    again = OcppServer(host="127.0.0.1", port=port, transactions=store)
    adopt(again, learnt if remembered else {})
    await again.start()
    try:
        for point in again.charge_points.values():
            await soon(lambda point=point: point.connected, 15)
        await asyncio.sleep(1.5)
        states = {
            name: point.connectors[1].state
            for name, point in again.charge_points.items()
        }
        known = charging or remembered
        assert states["CP201"] is expected
        assert states["CP16"] is (expected if known else ConnectorState.OFFLINE)
        if charging:
            for point in again.charge_points.values():
                point.permit(1, Permit(limit_a=9, life_s=60))
            await soon(
                lambda: all(
                    abs(charger.outlets[0].connector.current_a - 9) < 0.1
                    for charger in running.charge_points.values()
                ),
                10,
            )
    finally:
        await again.stop()

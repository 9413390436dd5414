"""Charge points that say far too much slow nobody down but themselves (S12)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
import sys
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    OcppServer,
    Permit,
    SecurityEventReported,
    pace,
)
from custom_components.reev_ems.ocpp_server.pace import Pace, price
from custom_components.reev_ems.sessions import SessionLog

from .wire import soon

FLOODING = [f"BAD{number}" for number in range(5)]
PROJECT = Path(__file__).parents[2]


@pytest.fixture
async def flood(server: OcppServer, adopt: Any) -> AsyncIterator[list[Any]]:
    """Five adopted charge points that send 180 messages a second each; returns what is heard of them."""
    heard = [adopt(each)[1] for each in FLOODING]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.ocpp_server.flood",
        f"ws://127.0.0.1:{server.port}",
        *FLOODING,
        cwd=PROJECT,
    )
    points = [server.charge_points[each] for each in FLOODING]
    await soon(lambda: all(point.connected for point in points), 20)
    yield heard
    process.kill()
    await process.wait()


async def test_s12_a_flood_does_not_delay_a_permit(
    server: OcppServer, adopt: Any, dial: Any, store: SessionLog, flood: list[Any]
) -> None:
    """A lowered permit of another charge point is on the wire within a second all the time, and records stay few."""
    point, _ = adopt("GOOD")
    client = await dial("GOOD")
    await client.start()
    loop = asyncio.get_running_loop()
    await soon(lambda: point.floor_accepted)
    slowest_s = 0.0
    for turn in range(60):
        sent = len(client.profiles("TxProfile"))
        began_s = loop.time()
        point.permit(1, Permit(limit_a=30 - turn * 0.4))
        await client.until(lambda sent=sent: len(client.profiles("TxProfile")) > sent)
        slowest_s = max(slowest_s, loop.time() - began_s)
        await asyncio.sleep(0.1)
    assert slowest_s < 1.0
    assert len(await store.history(limit=10000)) < 5 * 20
    told = sum(len(recorder.of(SecurityEventReported)) for recorder in flood)
    assert told < 5 * 20


def test_s12_what_a_flood_is_paid_with() -> None:
    """A long queue is taken at once, then twenty cheap messages a second; starts and ends cost what they write."""
    now_s = 0.0
    purse = Pace(lambda: now_s)
    assert [purse.pay(1) for _ in range(pace.BURST)] == [0.0] * pace.BURST
    assert purse.pay(1) == pytest.approx(1 / pace.RATE_PER_S)
    now_s = 1.0
    assert purse.pay(pace.RATE_PER_S - 1) == 0.0
    now_s = 1000.0
    assert purse.pay(pace.BURST) == 0.0
    started = price("TransactionEvent", {"eventType": "Started"})
    assert started == price("StartTransaction", {}) > price("MeterValues", {})
    assert price("TransactionEvent", {"eventType": "Updated"}) == 1.0
    assert price("TransactionEvent", []) == 1.0

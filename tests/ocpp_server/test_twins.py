"""Two charge points with one id: one of them keeps it, and a person is told."""

import asyncio
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from custom_components.reev_ems.ocpp_server import (
    Connected,
    OcppServer,
    charge_point,
    rivals,
)

from .wire import WireChargePoint, soon


async def twin(dial: Any, seconds: float) -> None:
    """Dial in again whenever the connection is lost, and say something."""
    async with asyncio.timeout(seconds):
        while True:
            client: WireChargePoint = await dial()
            try:
                while True:
                    await client.send('[2,"1","Heartbeat",{}]')
                    await asyncio.sleep(0.02)
            except ConnectionClosed:
                await asyncio.sleep(0.02)


async def test_s12_twins(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They change places a few times, not for ever; the problem goes when only one is left."""
    monkeypatch.setattr(rivals, "QUIET_S", 1.0)
    monkeypatch.setattr(charge_point, "METER_WATCH_S", 0.1)
    point, recorder = adopt()
    await asyncio.gather(*(twin(dial, 1.5) for _ in range(2)), return_exceptions=True)
    assert len(recorder.of(Connected)) <= 4
    assert point.problems == ("id_twice",)
    await soon(lambda: point.problems == ())


async def test_s12_a_dead_twin_gives_way(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers no ping any more does not keep the id, however often another comes: weak WiFi is no twin."""
    monkeypatch.setattr(rivals, "PING_S", 0.2)
    point, recorder = adopt()
    clients = []
    for count in range(1, 6):
        clients.append(await dial())
        await soon(lambda count=count: len(recorder.of(Connected)) == count)
        assert point.problems == ()
        # The network swallows all that comes to it.
        clients[-1].socket.transport.pause_reading()
    for client in clients:
        client.socket.transport.resume_reading()


async def test_s12_slow_twins(server: OcppServer, adopt: Any, dial: Any) -> None:
    """Two that take the id from each other every 31 s are two as well; one of them keeps it."""
    passed_s = 0.0
    server.clock = lambda: time.monotonic() + passed_s
    point, recorder = adopt()
    await dial()
    for _ in range(20):
        before = len(recorder.of(Connected))
        passed_s += 31.0
        client = await dial()
        await soon(
            lambda before=before, client=client: (
                len(recorder.of(Connected)) > before or client.socket.close_code
            )
        )
    assert len(recorder.of(Connected)) <= 4
    assert point.problems == ("id_twice",)
    # The other one may come again.
    passed_s += 50.0
    point.rivals.look()
    assert point.problems == ("id_twice",)
    passed_s += 50.0
    point.rivals.look()
    assert point.problems == ()

"""Two charge points with one id: one of them keeps it, and a person is told."""

import asyncio
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from custom_components.reev_ems.ocpp_server import Connected, charge_point, rivals

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
    monkeypatch.setattr(rivals, "SPAN_S", 1.0)
    monkeypatch.setattr(charge_point, "METER_WATCH_S", 0.1)
    point, recorder = adopt()
    await asyncio.gather(*(twin(dial, 1.5) for _ in range(2)), return_exceptions=True)
    assert len(recorder.of(Connected)) <= 4
    assert point.problems == ("id_twice",)
    await soon(lambda: point.problems == ())


async def test_s12_a_dead_twin_gives_way(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers no ping any more does not keep the id, however often others come."""
    monkeypatch.setattr(rivals, "PING_S", 0.2)
    _, recorder = adopt()
    clients = [await dial() for _ in range(3)]
    await soon(lambda: len(recorder.of(Connected)) == 3)
    # The network swallows all that comes to it.
    clients[-1].socket.transport.pause_reading()
    await dial()
    await soon(lambda: len(recorder.of(Connected)) == 4)
    clients[-1].socket.transport.resume_reading()

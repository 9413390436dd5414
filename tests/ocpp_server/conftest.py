"""The server under test, its records, and charge points that dial in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
import logging
from pathlib import Path
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    ChargePoint,
    ChargePointConfig,
    ChargePointEvent,
    OcppServer,
    charge_point,
    reported_limits,
    steering,
)
from custom_components.reev_ems.sessions import SessionLog

from .wire import WAIT_S, WireChargePoint


@pytest.fixture(autouse=True)
def loopback(
    socket_enabled: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Let sockets work, and do not wait for what may never come as long as with real charge points."""
    # Every statement of the session records otherwise.
    caplog.set_level(logging.WARNING, "sqlalchemy.engine")
    monkeypatch.setattr(charge_point, "BOOT_WAIT_S", 0.05)
    monkeypatch.setattr(charge_point, "RECONNECT_WAIT_S", 0.05)
    monkeypatch.setattr(reported_limits, "REPORT_WAIT_S", 0.05)
    monkeypatch.setattr(steering, "_TRANSACTION_HOLD_S", 0.05)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SessionLog]:
    """Return session records on a fresh file."""
    store = SessionLog(tmp_path / "sessions.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def server(store: SessionLog) -> AsyncIterator[OcppServer]:
    """Return a listening server."""
    server = OcppServer(host="127.0.0.1", port=0, transactions=store)
    await server.start()
    yield server
    await server.stop()


class Recorder:
    """Keeps the events of a charge point."""

    def __init__(self, point: ChargePoint) -> None:
        """Subscribe."""
        self.point = point
        self.events: list[ChargePointEvent] = []
        self._news = asyncio.Event()
        self.unsubscribe = point.subscribe(self._note)

    def _note(self, event: ChargePointEvent) -> None:
        self.events.append(event)
        self._news.set()

    def of[T: ChargePointEvent](self, kind: type[T]) -> list[T]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def wait[T: ChargePointEvent](
        self, kind: type[T], count: int = 1, wait_s: float = WAIT_S
    ) -> T:
        """Wait for the count-th event of a kind."""
        async with asyncio.timeout(wait_s):
            while len(self.of(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(kind)[count - 1]


@pytest.fixture
def adopt(server: OcppServer) -> Iterator[Callable[..., tuple[ChargePoint, Recorder]]]:
    """Return what adopts a charge point and records its events."""
    recorders: list[Recorder] = []

    def adopt(id: str = "CP1", **settings: Any) -> tuple[ChargePoint, Recorder]:
        point = server.adopt(ChargePointConfig(id=id, **settings))
        recorders.append(Recorder(point))
        return point, recorders[-1]

    yield adopt
    for recorder in recorders:
        recorder.unsubscribe()


@pytest.fixture
async def dial(server: OcppServer) -> AsyncIterator[Callable[..., Any]]:
    """Return what dials in as a charge point, with handlers for the server's requests."""
    clients: list[WireChargePoint] = []

    async def dial(
        id: str = "CP1", handlers: Any = None, **kwargs: Any
    ) -> WireChargePoint:
        client = WireChargePoint()
        client.handlers |= handlers or {}
        await client.connect(f"ws://127.0.0.1:{server.port}/ocpp/{id}", **kwargs)
        clients.append(client)
        return client

    yield dial
    for client in clients:
        await client.close()

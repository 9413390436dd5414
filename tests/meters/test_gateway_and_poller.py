"""One connection per gateway for all meters behind it, and a steady rhythm for each of them."""

import asyncio
from collections.abc import AsyncGenerator
import contextlib
import gc

import pytest

from custom_components.reev_ems.energy_management.observation import MeterReading
from custom_components.reev_ems.meters import (
    LoadedProfiles,
    MeterError,
    MeterPoller,
    MeterProfile,
    MeterReader,
    ModbusGateways,
    Trouble,
    probe_meter,
)

from .wire import ModbusServer, twin


@pytest.fixture
def profile(loaded: LoadedProfiles) -> MeterProfile:
    """A meter that is read with one request."""
    return loaded.profiles["janitza_umg604"]


@pytest.fixture
async def server(
    profile: MeterProfile, socket_enabled: None
) -> AsyncGenerator[ModbusServer]:
    """Five meters behind one gateway."""
    async with ModbusServer(
        {unit_id: twin(profile) for unit_id in range(1, 6)}
    ) as found:
        yield found


def readers_of(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> list[MeterReader]:
    """Return a reader of each of the server's meters."""
    return [
        MeterReader(
            gateways, profile, host="127.0.0.1", port=server.port, unit_id=unit_id
        )
        for unit_id in server.devices
    ]


async def test_one_connection_for_all_meters_behind_a_gateway(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """Five meters and a probe share a connection, which lasts until the last one leaves."""
    readers = readers_of(gateways, profile, server)
    await asyncio.gather(*(reader.read() for reader in readers))
    await probe_meter(gateways, profile, host="127.0.0.1", port=server.port, unit_id=3)
    assert server.connections == 1
    for reader in readers[1:]:
        await reader.close()
    await readers[0].read()
    assert server.open_now == 1
    await readers[0].close()
    await asyncio.sleep(0.05)
    assert server.open_now == 0
    with pytest.raises(MeterError):
        await readers[0].read()
    assert server.connections == 1


async def test_requests_are_sent_one_after_the_other(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """A gateway that can hold one request at a time is never given two."""
    running = most = 0

    async def slowly(
        request: bytes, response: bytes, writer: asyncio.StreamWriter
    ) -> None:
        async def later() -> None:
            nonlocal running
            await asyncio.sleep(0.005)
            running -= 1
            writer.write(response)

        nonlocal running, most
        running += 1
        most = max(most, running)
        tasks.append(asyncio.create_task(later()))

    tasks: list[asyncio.Task[None]] = []
    server.fault = slowly
    readers = readers_of(gateways, profile, server)
    await asyncio.gather(*(reader.read() for reader in readers))
    assert most == 1
    for reader in readers:
        await reader.close()


async def test_reconnects_when_the_gateway_returns(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """A gateway that was gone is tried again, at growing intervals for all of its meters together."""
    readers = readers_of(gateways, profile, server)
    await asyncio.gather(*(reader.read() for reader in readers))
    await server.stop()
    await asyncio.sleep(0.05)
    for _ in range(3):
        results = await asyncio.gather(
            *(reader.read() for reader in readers), return_exceptions=True
        )
        assert {error.key for error in results if isinstance(error, MeterError)} == {
            Trouble.CANNOT_CONNECT
        }
    await server.start()
    # The rounds above made one attempt to connect, and the next is not due yet.
    with pytest.raises(MeterError, match="shortly"):
        await readers[0].read()
    assert server.connections == 1
    async with asyncio.timeout(2):
        while True:
            with contextlib.suppress(MeterError):
                await readers[0].read()
                break
            await asyncio.sleep(0.05)
    await asyncio.gather(*(reader.read() for reader in readers))
    assert server.connections == 2
    for reader in readers:
        await reader.close()


async def test_a_person_does_not_wait_for_the_next_attempt(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """A probe connects at once, and takes the others along."""
    await server.stop()
    reader = MeterReader(
        gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
    )
    with pytest.raises(MeterError):
        await reader.read()
    await server.start()
    await probe_meter(gateways, profile, host="127.0.0.1", port=server.port, unit_id=2)
    await reader.read()
    assert server.connections == 1
    await reader.close()


@pytest.fixture
async def deaf_port(
    socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> asyncio.Event:
    """A network in which an attempt to connect takes a while, then fails; set while one is under way."""
    begun = asyncio.Event()

    async def slowly(*_: object, **__: object) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", slowly)
    return begun


async def test_nobody_is_left_behind_who_was_connecting(
    gateways: ModbusGateways,
    profile: MeterProfile,
    deaf_port: asyncio.Event,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A reading that is cancelled while it connects ends without a trace: no task runs on, asyncio misses nobody."""
    before = asyncio.all_tasks()
    reader = MeterReader(gateways, profile, host="127.0.0.1", port=1, unit_id=1)
    reading = asyncio.create_task(reader.read())
    await deaf_port.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await reader.close()
    gc.collect()
    assert asyncio.all_tasks() == before
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_dead_connection_is_replaced(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """A connection on which nothing comes back any more is given up for a new one."""
    reader = MeterReader(
        gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
    )
    await reader.read()

    async def vanish(
        request: bytes, response: bytes, writer: asyncio.StreamWriter
    ) -> None:
        """Behave like a router that forgot the connection."""
        if server.connections > 1:
            writer.write(response)

    server.fault = vanish
    for _ in range(2):
        with pytest.raises(MeterError):
            await reader.read()
    await reader.read()
    assert server.connections == 2
    await reader.close()


async def test_silent_meter_does_not_stop_its_neighbours(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """Four meters go on while the fifth is silent, and are delayed by no more than its timeouts, which grow rare."""
    server.silent_units = {5}
    readers = readers_of(gateways, profile, server)
    readings = [0] * 5
    errors: list[MeterError] = []

    def count(index: int) -> None:
        readings[index] += 1

    def poller(index: int) -> MeterPoller:
        return MeterPoller(
            readers[index],
            poll_s=0.2,
            on_reading=lambda _: count(index),
            on_error=errors.append,
        )

    tasks = [asyncio.create_task(poller(index).run()) for index in range(5)]
    await asyncio.sleep(2.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    assert readings[4] == 0
    # 13 polls of 0.2 s, less what about 3 timeouts of 0.3 s and the reconnections after them cost.
    assert min(readings[:4]) >= 6
    assert 2 <= len(errors) <= 5
    assert {error.key for error in errors} == {Trouble.NO_ANSWER}
    for reader in readers:
        await reader.close()


async def readings_of(reader: MeterReader, poll_s: float, count: int) -> list[float]:
    """Return the times of a poller's first readings, relative to the first."""
    times: list[float] = []
    enough = asyncio.Event()

    def take(reading: MeterReading) -> None:
        times.append(reading.at_s)
        if len(times) == count:
            enough.set()

    poller = MeterPoller(
        reader,
        poll_s=poll_s,
        on_reading=take,
        on_error=lambda error: pytest.fail(str(error)),
    )
    task = asyncio.create_task(poller.run())
    await asyncio.wait_for(enough.wait(), 10)
    task.cancel()
    await asyncio.wait([task])
    return [time_s - times[0] for time_s in times]


async def test_steady_rhythm(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """Polls keep to their grid although each of them takes time."""

    async def slowly(
        request: bytes, response: bytes, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(0.05)
        writer.write(response)

    reader = MeterReader(
        gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
    )
    await reader.read()
    server.fault = slowly
    times_s = await readings_of(reader, 0.2, 7)
    # Waiting 0.2 s after each reading would have drifted by 0.3 s.
    assert times_s == pytest.approx([0.2 * index for index in range(7)], abs=0.1)
    await reader.close()


async def test_slow_meter_leaves_ticks_out(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """A poll that takes longer than its interval is not overtaken, and no polls pile up behind it."""

    async def slowly(
        request: bytes, response: bytes, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(0.25)
        writer.write(response)

    reader = MeterReader(
        gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
    )
    await reader.read()
    server.fault = slowly
    assert await readings_of(reader, 0.2, 4) == pytest.approx(
        [0.0, 0.4, 0.8, 1.2], abs=0.1
    )
    await reader.close()

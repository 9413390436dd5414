"""Whatever the wire does, a reading is complete or absent, and absence has a reason within the timeout."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
import logging
import socket
import time

import pytest

from custom_components.reev_ems.meters import (
    LoadedProfiles,
    MeterError,
    MeterProfile,
    MeterReader,
    ModbusGateways,
    Trouble,
    probe_meter,
)

from .wire import ModbusServer, twin, words


@pytest.fixture
def profile(loaded: LoadedProfiles) -> MeterProfile:
    """A meter that is read with one request."""
    return loaded.profiles["janitza_umg604"]


@pytest.fixture
async def server(
    profile: MeterProfile, socket_enabled: None
) -> AsyncGenerator[ModbusServer]:
    """The meter's twin behind unit id 1."""
    async with ModbusServer({1: twin(profile)}) as found:
        yield found


async def trouble_of(
    reading: Awaitable[object], *, within_s: float = 1.5
) -> MeterError:
    """Return the error that a reading ends with, and see that it comes in time."""
    start_s = time.monotonic()
    with pytest.raises(MeterError) as caught:
        await asyncio.wait_for(reading, 10)
    assert time.monotonic() - start_s < within_s
    assert str(caught.value).endswith(".") or ":" in str(caught.value)
    assert caught.value.facts
    assert " the " not in caught.value.facts
    return caught.value


def reader_of(
    gateways: ModbusGateways,
    profile: MeterProfile,
    server: ModbusServer,
    unit_id: int = 1,
) -> MeterReader:
    """Return a reader of the server's meter."""
    return MeterReader(
        gateways, profile, host="127.0.0.1", port=server.port, unit_id=unit_id
    )


async def test_closed_port(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """Nothing listens."""
    await server.stop()
    error = await trouble_of(
        probe_meter(gateways, profile, host="127.0.0.1", port=server.port, unit_id=1)
    )
    assert error.key == Trouble.CANNOT_CONNECT


@pytest.mark.parametrize("port", [0, 70000])
async def test_port_that_cannot_be(
    gateways: ModbusGateways, profile: MeterProfile, port: int
) -> None:
    """A port that is none is a failure to connect."""
    error = await trouble_of(
        probe_meter(gateways, profile, host="127.0.0.1", port=port, unit_id=1)
    )
    assert error.key == Trouble.CANNOT_CONNECT


@pytest.mark.parametrize(
    "failure",
    [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")],
)
async def test_name_that_cannot_be_resolved(
    gateways: ModbusGateways,
    profile: MeterProfile,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    """A name that nobody knows, or that is none, is a failure to connect. The tests' network resolves no names."""

    async def refuse(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", refuse)
    error = await trouble_of(
        probe_meter(gateways, profile, host="meter.invalid", port=502, unit_id=1)
    )
    assert error.key == Trouble.CANNOT_CONNECT


async def test_accepts_and_keeps_silent(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """The connection stands, no answer comes, and the probe ends within its timeout."""
    server.silent_units = {1}
    error = await trouble_of(
        probe_meter(gateways, profile, host="127.0.0.1", port=server.port, unit_id=1)
    )
    assert error.key == Trouble.NO_ANSWER
    slow = ModbusGateways(request_timeout_s=30)
    error = await trouble_of(
        probe_meter(
            slow, profile, host="127.0.0.1", port=server.port, unit_id=1, timeout_s=0.3
        )
    )
    assert error.key == Trouble.NO_ANSWER
    await slow.close()


async def half(request: bytes, response: bytes, writer: asyncio.StreamWriter) -> None:
    """Send half of the answer."""
    writer.write(response[: len(response) // 2])


async def foreign_transaction(
    request: bytes, response: bytes, writer: asyncio.StreamWriter
) -> None:
    """Send the answer to a request that nobody sent."""
    writer.write(bytes([response[0] ^ 0x40]) + response[1:])


async def foreign_unit(
    request: bytes, response: bytes, writer: asyncio.StreamWriter
) -> None:
    """Send an answer in the name of another device."""
    writer.write(response[:6] + bytes([response[6] + 7]) + response[7:])


async def foreign_protocol(
    request: bytes, response: bytes, writer: asyncio.StreamWriter
) -> None:
    """Send what is not Modbus."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


async def hang_up(
    request: bytes, response: bytes, writer: asyncio.StreamWriter
) -> None:
    """Close the connection instead of answering."""
    writer.close()


async def too_few(
    request: bytes, response: bytes, writer: asyncio.StreamWriter
) -> None:
    """Send a well-formed answer with two registers instead of all."""
    writer.write(
        response[:4] + (7).to_bytes(2) + response[6:8] + bytes([4, 1, 2, 3, 4])
    )


async def wrong_byte_count(
    request: bytes, response: bytes, writer: asyncio.StreamWriter
) -> None:
    """Say that more bytes follow than do."""
    writer.write(response[:8] + bytes([250]) + response[9:])


async def unknown_function(
    request: bytes, response: bytes, writer: asyncio.StreamWriter
) -> None:
    """Answer with a function code that does not exist."""
    writer.write(response[:7] + bytes([0x6E]) + response[8:])


async def empty_frame(
    request: bytes, response: bytes, writer: asyncio.StreamWriter
) -> None:
    """Send a header that announces nothing."""
    writer.write(response[:4] + b"\0\1" + response[6:7])


async def flood(request: bytes, response: bytes, writer: asyncio.StreamWriter) -> None:
    """Send rubbish without end."""
    for _ in range(50):
        writer.write(b"\xff" * 1000)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "fault",
    [
        half,
        foreign_transaction,
        foreign_unit,
        foreign_protocol,
        hang_up,
        too_few,
        wrong_byte_count,
        unknown_function,
        empty_frame,
        flood,
    ],
)
async def test_broken_answers(
    gateways: ModbusGateways,
    profile: MeterProfile,
    server: ModbusServer,
    fault: Callable[[bytes, bytes, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    """An answer that is none is no reading; as soon as the device recovers, so do the readings."""
    reader = reader_of(gateways, profile, server)
    await reader.read()
    server.fault = fault
    for _ in range(2):
        error = await trouble_of(reader.read())
        assert error.key in (Trouble.NO_ANSWER, Trouble.CANNOT_CONNECT)
    server.fault = None
    async with asyncio.timeout(3):
        while True:
            try:
                reading = await reader.read()
            except MeterError:
                await asyncio.sleep(0.1)
            else:
                break
    assert reading.current_a == (20.0, -10.5, 4.0)
    await reader.close()


@pytest.mark.parametrize("code", range(1, 12))
async def test_exceptions(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer, code: int
) -> None:
    """Each Modbus exception ends the reading at once."""

    async def refuse(
        request: bytes, response: bytes, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(
            response[:4] + b"\0\3" + response[6:7] + bytes([response[7] | 0x80, code])
        )

    server.fault = refuse
    error = await trouble_of(
        probe_meter(gateways, profile, host="127.0.0.1", port=server.port, unit_id=1),
        within_s=1.0,
    )
    assert error.key == (Trouble.NOT_THIS_METER if code <= 3 else Trouble.NO_ANSWER)


async def test_wrong_unit_behind_a_gateway(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """The gateway tells that the device does not answer."""
    error = await trouble_of(
        probe_meter(gateways, profile, host="127.0.0.1", port=server.port, unit_id=9)
    )
    assert error.key == Trouble.NO_ANSWER
    assert "gateway" in str(error)


async def test_another_model(
    gateways: ModbusGateways, loaded: LoadedProfiles, server: ModbusServer
) -> None:
    """A Janitza is neither a Siemens nor a TQ."""
    for profile_id in ("siemens_pac2200", "tq_em420"):
        error = await trouble_of(
            probe_meter(
                gateways,
                loaded.profiles[profile_id],
                host="127.0.0.1",
                port=server.port,
                unit_id=1,
            )
        )
        assert error.key == Trouble.NOT_THIS_METER


@pytest.mark.parametrize("word", [0x0000, 0xFFFF, 0x7FFF, 0x8000])
async def test_s2_no_value_is_not_zero(
    loaded: LoadedProfiles, socket_enabled: None, word: int
) -> None:
    """Registers that all hold the same filling are never taken for a measurement, whatever the model."""

    gateways = ModbusGateways(request_timeout_s=10)

    async def trouble(profile: MeterProfile) -> Trouble:
        meter = twin(profile)
        for block in profile.blocks:
            code = 3 if block.space == "holding" else 4
            for address in range(block.start, block.start + block.count):
                meter.registers[code, address] = word
        async with ModbusServer({1: meter}) as server:
            error = await trouble_of(
                probe_meter(
                    gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
                ),
                within_s=10,
            )
        return error.key

    measuring = [item for item in loaded.profiles.values() if item.quantities]
    found = await asyncio.gather(*map(trouble, measuring))
    await gateways.close()
    # Where the model's number lies among the measured registers, it is another model.
    unreal = {Trouble.IMPLAUSIBLE, Trouble.INCOMPLETE, Trouble.NOT_THIS_METER}
    assert set(found) <= unreal


@pytest.mark.parametrize(
    "profile_id", ["janitza_umg604", "tq_em420", "siemens_pac2200"]
)
async def test_s2_swapped_words(
    gateways: ModbusGateways, loaded: LoadedProfiles, profile_id: str
) -> None:
    """A meter whose words come in the other order is noticed."""
    profile = loaded.profiles[profile_id]
    meter = twin(profile)
    for quantity in profile.quantities.values():
        for address in quantity.addresses:
            one, two = meter.registers[3, address], meter.registers[3, address + 1]
            meter.registers[3, address], meter.registers[3, address + 1] = two, one
    async with ModbusServer({1: meter}) as server:
        error = await trouble_of(
            probe_meter(
                gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
            )
        )
    assert error.key in (Trouble.IMPLAUSIBLE, Trouble.INCOMPLETE)


@pytest.mark.parametrize(
    ("address", "value"),
    [
        (19000, 0.0),
        (19002, 400.0),
        (19004, float("nan")),
        (19012, float("inf")),
        (19012, float("nan")),
        (19012, 3.0e38),
        (19012, 0.0),
        (19020, 60_000.0),
        (19024, float("-inf")),
        (19026, -30_000.0),
        (19050, 60.0),
        (19050, float("nan")),
    ],
)
async def test_s2_implausible_value(
    gateways: ModbusGateways,
    profile: MeterProfile,
    server: ModbusServer,
    address: int,
    value: float,
) -> None:
    """One value that cannot be makes the whole reading absent."""
    server.devices[1].put_number([3], address, "float32", value)
    server.devices[1].inner.clear()
    error = await trouble_of(
        probe_meter(gateways, profile, host="127.0.0.1", port=server.port, unit_id=1)
    )
    assert error.key in (Trouble.IMPLAUSIBLE, Trouble.INCOMPLETE)


async def test_energy_is_not_needed(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """A counter that gives nothing is absent and takes nothing else with it."""
    server.devices[1].put_number([3], 19068, "float32", float("nan"))
    probe = await probe_meter(
        gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
    )
    assert probe.reading.energy_import_wh is None
    assert probe.reading.energy_export_wh == 56_000.0


async def test_load_that_switches_within_a_reading(
    gateways: ModbusGateways, loaded: LoadedProfiles
) -> None:
    """Totals and phases of two moments contradict each other once; the second attempt counts."""
    profile = loaded.profiles["tq_em420"]
    meter = twin(profile)
    async with ModbusServer({1: meter}) as server:
        reader = reader_of(gateways, profile, server)
        await reader.read()

        async def switch(
            request: bytes, response: bytes, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(response)
            if (
                request[8:10] == b"\0\0"
            ):  # after the total was read, before the phases are
                meter.registers.update(
                    {(3, 121): 40_000, (3, 141): 18_000, (3, 1): 62_275}
                )

        server.fault = switch
        reading = await reader.read()
        await reader.close()
    assert reading.current_a[2] == 18.0
    assert reading.power_w[2] == 4000.0


async def test_current_is_signed_by_real_export_only(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """A reactive current with a touch of negative power loads the phase and must not look like room."""
    server.devices[1].put([3], 19022, words("float32", -60.0))
    server.devices[1].put([3], 19026, words("float32", 5377.5))
    server.devices[1].inner.clear()
    probe = await probe_meter(
        gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
    )
    assert probe.reading.current_a == (20.0, 10.5, 4.0)


async def test_another_device_at_the_same_address(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """After a change of addresses another meter of the same model answers: no reading, and the reason."""
    serial = (
        await probe_meter(
            gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
        )
    ).serial
    reader = MeterReader(
        gateways,
        profile,
        host="127.0.0.1",
        port=server.port,
        unit_id=1,
        expected_serial=serial,
    )
    await reader.read()
    await server.stop()
    server.devices[1].put([3], 10176, words("uint32", 999))
    await server.start()
    for _ in range(20):
        with pytest.raises(MeterError) as caught:
            await reader.read()
        if caught.value.key == Trouble.WRONG_IDENTITY:
            break
        await asyncio.sleep(0.1)
    assert caught.value.key == Trouble.WRONG_IDENTITY
    assert "999" in str(caught.value)
    error = await trouble_of(reader.read())
    assert error.key == Trouble.WRONG_IDENTITY, "and it stays so"
    await reader.close()


async def test_meter_exchanged_behind_its_gateway(
    gateways: ModbusGateways, profile: MeterProfile, server: ModbusServer
) -> None:
    """The connection to the gateway stands all the time; a meter that was silent is asked who it is."""
    serial = (
        await probe_meter(
            gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
        )
    ).serial
    reader = MeterReader(
        gateways,
        profile,
        host="127.0.0.1",
        port=server.port,
        unit_id=1,
        expected_serial=serial,
    )
    await reader.read()
    old = server.devices.pop(1)
    assert (await trouble_of(reader.read())).key == Trouble.NO_ANSWER
    old.put([3], 10176, words("uint32", 999))
    server.devices[1] = old
    assert (await trouble_of(reader.read())).key == Trouble.WRONG_IDENTITY
    assert server.connections == 2  # the probe's and the reader's
    await reader.close()


async def test_cancelling_a_silent_read_ends_the_task(
    profile: MeterProfile, server: ModbusServer
) -> None:
    """The task that waits for a silent device ends when it is told to."""
    server.silent_units = {1}
    gateways = ModbusGateways(request_timeout_s=5)
    reader = reader_of(gateways, profile, server)

    async def forever() -> None:
        while True:
            try:
                await reader.read()
            except MeterError:
                await asyncio.sleep(0)

    task = asyncio.create_task(forever())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()
    await gateways.close()


async def test_failed_requests_are_not_logged_one_by_one(
    gateways: ModbusGateways,
    profile: MeterProfile,
    server: ModbusServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The Modbus library keeps quiet about our requests: who reads the meter says once that it is down."""
    caplog.set_level(logging.INFO)
    server.silent_units = {1}
    reader = reader_of(gateways, profile, server)
    for _ in range(3):
        await trouble_of(reader.read())
    await server.stop()
    for _ in range(3):
        await trouble_of(reader.read())
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []
    await reader.close()

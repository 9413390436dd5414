"""The Modbus servers on the wire: framing, faults, lag, wrong wiring, several meters behind one endpoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import struct
from typing import Any

import pytest

from simulator.layouts import JANITZA_UMG604, SIEMENS_PAC2200, TQ_EM420
from simulator.modbus import Endpoint, Fault, Meter, MeterConfig
from simulator.plant import Measurement
from simulator.wiring import Wiring

pytestmark = pytest.mark.usefixtures("socket_enabled")

REQUEST = bytes.fromhex("1234 0000 0006 01 03 4A44 0002")
"""Transaction 0x1234, unit 1: two registers from 19012, the current on L1."""


def truth(at_s: float = 0.0, current_a: float = 10.0) -> Measurement:
    """Return a moment with one current on all phases."""
    return Measurement(
        at_s=at_s,
        voltage_v=(230.0, 230.0, 230.0),
        current_a=(current_a, current_a + 1.0, current_a + 2.0),
        power_w=(current_a * 230.0, -100.0, 0.0),
        reactive_var=(0.0, 0.0, 0.0),
        frequency_hz=50.0,
        import_wh=100.0,
        export_wh=7.0,
        import_phase_wh=(100.0, 0.0, 0.0),
        export_phase_wh=(0.0, 7.0, 0.0),
    )


def janitza(name: str = "m", unit: int = 1, **options: Any) -> Meter:
    """Return a meter that carries 10 A on L1."""
    config = MeterConfig(
        id=name, circuit="main", layout=JANITZA_UMG604, unit=unit, **options
    )
    return Meter(config, truth())


@asynccontextmanager
async def served(*meters: Meter) -> AsyncIterator[Endpoint]:
    """Serve meters behind one endpoint."""
    endpoint = Endpoint("127.0.0.1", 0, meters)
    await endpoint.start()
    try:
        yield endpoint
    finally:
        await endpoint.stop()


async def exchange(
    endpoint: Endpoint, request: bytes = REQUEST, *, wait_s: float = 2.0
) -> bytes:
    """Send bytes on a new connection and return all that comes until it is quiet for a moment, or closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(request)
    received = b""
    try:
        async with asyncio.timeout(wait_s):
            while data := await reader.read(1024):
                received += data
                if (
                    len(received) >= 6
                    and len(received) >= 6 + struct.unpack(">H", received[4:6])[0]
                ):
                    break
    except TimeoutError:
        pass
    writer.close()
    return received


def current_l1(frame: bytes) -> float:
    """Decode the answer to REQUEST."""
    assert frame[:9] == bytes.fromhex("1234 0000 0007 01 03 04")
    return float(struct.unpack(">f", frame[9:])[0])


async def test_a_read_byte_by_byte() -> None:
    """Header and payload as the Modbus TCP specification writes them."""
    async with served(janitza()) as endpoint:
        assert await exchange(endpoint) == bytes.fromhex(
            "1234 0000 0007 01 03 04 41200000"
        )


async def test_an_exception_byte_by_byte() -> None:
    """An address that is not there: function with its top bit set, then 2."""
    async with served(janitza()) as endpoint:
        request = bytes.fromhex("0001 0000 0006 01 03 0000 0002")
        assert await exchange(endpoint, request) == bytes.fromhex(
            "0001 0000 0003 01 83 02"
        )


@pytest.mark.parametrize(
    ("request_hex", "exception"),
    [
        ("0001 0000 0006 01 06 4A44 0002", 1),
        ("0001 0000 0006 01 03 4A44 0000", 3),
        ("0001 0000 0006 01 03 4A44 007E", 3),
        ("0001 0000 0004 01 03 4A44", 3),
    ],
)
async def test_requests_that_make_no_sense(request_hex: str, exception: int) -> None:
    """Writing, nothing, too much, and too little are refused by the code the specification names."""
    async with served(janitza()) as endpoint:
        assert (await exchange(endpoint, bytes.fromhex(request_hex)))[8] == exception


async def test_no_modbus_ends_the_connection() -> None:
    """What is not Modbus TCP costs its connection, and only that."""
    async with served(janitza()) as endpoint:
        assert await exchange(endpoint, b"GET / HTTP/1.1\r\n\r\n") == b""
        assert current_l1(await exchange(endpoint)) == 10.0


async def test_two_requests_in_one_packet() -> None:
    """They are answered in order, each with its transaction id."""
    async with served(janitza()) as endpoint:
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(REQUEST + b"\x99" + REQUEST[1:])
        async with asyncio.timeout(2.0):
            answers = await reader.readexactly(2 * 13)
        writer.close()
        assert (answers[:2], answers[13:15]) == (b"\x12\x34", b"\x99\x34")


async def test_several_meters_behind_one_endpoint() -> None:
    """The unit id chooses; a unit that is not there is a silent target behind a gateway (exception 11)."""
    pac = Meter(
        MeterConfig(id="p", circuit="main", layout=SIEMENS_PAC2200, unit=7),
        truth(current_a=3.0),
    )
    tq = Meter(
        MeterConfig(id="t", circuit="main", layout=TQ_EM420, unit=9),
        truth(current_a=4.0),
    )
    async with served(janitza(), pac, tq) as endpoint:
        assert current_l1(await exchange(endpoint)) == 10.0
        answer = await exchange(
            endpoint, bytes.fromhex("0001 0000 0006 07 03 000D 0002")
        )
        assert answer[9:] == struct.pack(">f", 3.0)
        answer = await exchange(
            endpoint, bytes.fromhex("0001 0000 0006 09 03 003C 0002")
        )
        assert answer[9:] == struct.pack(">I", 4000)
        answer = await exchange(
            endpoint, bytes.fromhex("0001 0000 0006 02 03 4A44 0002")
        )
        assert answer == bytes.fromhex("0001 0000 0003 02 83 0B")


async def test_silence() -> None:
    """The connection is accepted, and nothing comes; other meters behind the endpoint go on answering."""
    silent, other = janitza(), janitza("other", 2)
    async with served(silent, other) as endpoint:
        await endpoint.set_fault(silent, Fault.SILENCE)
        assert await exchange(endpoint, wait_s=0.2) == b""
        assert len(await exchange(endpoint, REQUEST[:6] + b"\x02" + REQUEST[7:])) == 13
        await endpoint.set_fault(silent, Fault.NONE)
        assert current_l1(await exchange(endpoint)) == 10.0


async def test_refused_connections() -> None:
    """The port is closed, open connections end; later it is the same port again."""
    meter = janitza()
    async with served(meter) as endpoint:
        port = endpoint.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await endpoint.set_fault(meter, Fault.REFUSE)
        async with asyncio.timeout(2.0):
            assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await endpoint.set_fault(meter, Fault.NONE)
        assert endpoint.port == port
        assert current_l1(await exchange(endpoint)) == 10.0


async def test_exceptions_delays_and_broken_frames() -> None:
    """Each fault shows on the wire as what it is called."""
    meter = janitza()
    async with served(meter) as endpoint:
        await endpoint.set_fault(meter, Fault.EXCEPTION, exception_code=6)
        assert (await exchange(endpoint))[7:] == b"\x83\x06"
        await endpoint.set_fault(meter, Fault.HALF_FRAME)
        assert len(await exchange(endpoint, wait_s=0.2)) == 6
        await endpoint.set_fault(meter, Fault.WRONG_TRANSACTION)
        assert (await exchange(endpoint))[:2] == b"\x12\x35"
        await endpoint.set_fault(meter, Fault.ZEROS)
        assert (await exchange(endpoint))[9:] == bytes(4)
        await endpoint.set_fault(meter, Fault.ONES)
        assert (await exchange(endpoint))[9:] == b"\xff" * 4
        await endpoint.set_fault(meter, Fault.NONE, delay_s=0.3)
        started_s = asyncio.get_running_loop().time()
        assert current_l1(await exchange(endpoint)) == 10.0
        assert asyncio.get_running_loop().time() - started_s >= 0.3


async def test_a_late_answer_keeps_its_transaction_id() -> None:
    """A request that the client gave up is answered under its own id, not the next one's."""
    meter = janitza()
    async with served(meter) as endpoint:
        await endpoint.set_fault(meter, Fault.NONE, delay_s=0.2)
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(REQUEST)
        await asyncio.sleep(0.05)
        writer.write(bytes.fromhex("7777 0000 0006 01 03 4A38 0002"))
        async with asyncio.timeout(2.0):
            answers = await reader.readexactly(2 * 13)
        writer.close()
        assert (answers[:2], answers[9:13]) == (b"\x12\x34", struct.pack(">f", 10.0))
        assert (answers[13:15], answers[22:]) == (b"\x77\x77", struct.pack(">f", 230.0))


def shown_a(meter: Meter) -> float:
    """Return the current on L1 in the registers."""
    words = [meter.image()[19012], meter.image()[19013]]
    return float(struct.unpack(">f", struct.pack(">2H", *words))[0])


def test_registers_follow_at_the_refresh_rate() -> None:
    """Between two refreshes the registers stand still."""
    meter = janitza(refresh_s=1.0)
    seen = []
    for tick in range(1, 25):
        meter.sample(truth(at_s=tick / 10.0, current_a=float(tick)))
        seen.append(shown_a(meter))
    assert seen == [10.0] * 9 + [10.0] * 10 + [20.0] * 5


def test_registers_lag() -> None:
    """A value reaches the registers after the lag, none is skipped for good."""
    meter = janitza(refresh_s=0.0, lag_s=0.5)
    seen = []
    for tick in range(1, 11):
        meter.sample(truth(at_s=tick / 10.0, current_a=float(tick)))
        seen.append(shown_a(meter))
    assert seen == [10.0] * 5 + [1.0, 2.0, 3.0, 4.0, 5.0]


def test_frozen_registers_thaw_to_the_present() -> None:
    """Frozen registers show what they showed."""
    meter = janitza(refresh_s=0.0)
    meter.sample(truth(at_s=0.1, current_a=5.0))
    meter.fault = Fault.FROZEN
    for tick in range(2, 50):
        meter.sample(truth(at_s=tick / 10.0, current_a=float(tick)))
    assert shown_a(meter) == 5.0
    meter.fault = Fault.NONE
    meter.sample(truth(at_s=5.0, current_a=50.0))
    assert shown_a(meter) == 50.0


def test_current_transformers_the_wrong_way_round() -> None:
    """Powers change their sign, and import and export change places."""
    meter = janitza(wiring=Wiring(sign=-1))
    image = meter.image()
    words = struct.pack(
        ">4H", *(image[address] for address in (19020, 19021, 19068, 19069))
    )
    assert struct.unpack(">2f", words) == (-2300.0, 7.0)


def test_phases_in_the_wrong_order() -> None:
    """The meter's first phase shows the line phase that it is connected to."""
    meter = janitza(wiring=Wiring(phase_order=(2, 0, 1)))
    image = meter.image()
    words = struct.pack(">6H", *(image[address] for address in range(19012, 19018)))
    assert struct.unpack(">3f", words) == (12.0, 10.0, 11.0)


async def test_a_taken_port_is_an_error() -> None:
    """Two endpoints cannot share a port."""
    async with served(janitza()) as endpoint:
        with pytest.raises(OSError):
            await Endpoint("127.0.0.1", endpoint.port, [janitza()]).start()

"""What is malformed, oversized, too much or too slow costs one connection and nothing else (S12)."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import suppress
import json
import logging
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from custom_components.reev_ems.ocpp_server import (
    CallError,
    ChargePointConfig,
    OcppServer,
    connections,
    keepalive,
    pace,
    server as ocpp_server,
    session,
)
from custom_components.reev_ems.sessions import SessionLog

from .wire import WireChargePoint, iso

MALFORMED = [
    "no json",
    "{}",
    "[]",
    "[2]",
    '[2,"1"]',
    '[2,null,"Heartbeat",{}]',
    '[2,[1],"Heartbeat",{}]',
    '[2,"' + "x" * 200 + '","Heartbeat",{}]',
    '[2,"1",[],{}]',
    '[2,"1",{"a":1},{}]',
    '[9,"1","Heartbeat",{}]',
    '["2","1","Heartbeat",{}]',
    "[" * 100_000,
    "[" * 500 + "]" * 500,
    '[2,"1","Heartbeat",' + '{"a":' * 200 + "1" + "}" * 200 + "]",
    "[2,1" + "1" * 5000 + "]",
    '[3,"unknown",{}]',
    '[4,"unknown"]',
    '[4,"unknown","Code","text",{}]',
    '[5,"1","Code","text",{}]',
    '[6,"1","NotifyPeriodicEventStream",{}]',
    b"\x00\x01\xff",
]


async def test_s12_malformed_frames_leave_the_connection_alive(
    adopt: Any, dial: Any
) -> None:
    """Whatever is no message is dropped; the next message is answered."""
    adopt()
    client = await dial()
    for frame in MALFORMED:
        await client.send(frame)
        assert "currentTime" in await client.ask("Heartbeat"), frame[:50]


async def test_s12_many_malformed_frames_cost_the_connection(
    adopt: Any, dial: Any
) -> None:
    """Who sends nothing but rubbish is hung up on; others stay."""
    adopt()
    adopt("CP2")
    client, other = await dial(), await dial("CP2")
    for _ in range(60):
        await client.send("rubbish")
    assert await client.closed() == 1008
    assert "currentTime" in await other.ask("Heartbeat")


async def test_s12_oversized_frames_cost_the_connection(adopt: Any, dial: Any) -> None:
    """A message above 256 KiB is not even read."""
    adopt()
    client = await dial()
    await client.send("[2,1," + "x" * 300_000)
    assert await client.closed() == 1009


PAYLOADS: list[object] = [
    None,
    [],
    "text",
    7,
    {},
    {"connectorId": "x"},
    {"connectorId": 1e400},
]


async def test_s12_queued_messages_never_get_an_error(adopt: Any, dial: Any) -> None:
    """A CALLERROR would leave them in the charger's queue for ever."""
    adopt()
    client = await dial()
    for action in sorted(session.QUEUED_BY_CHARGER - {"TransactionEvent"}):
        for payload in PAYLOADS:
            answer = await client.call(action, payload)
            assert answer[0] == 3, (action, payload)
            if action == "StartTransaction":
                assert answer[2]["idTagInfo"]["status"] == "Invalid"


async def test_s12_absurd_meter_values_are_no_values(adopt: Any, dial: Any) -> None:
    """NaN, infinities and impossible magnitudes are absent; a future time changes nothing."""
    point, _ = adopt()
    client = await dial()
    for value in ("NaN", "1e308", "-1e308", "inf", "", None, "9" * 400, {"a": 1}, True):
        await client.call(
            "MeterValues",
            {
                "connectorId": 1,
                "meterValue": [
                    {
                        "timestamp": "9999-12-31T23:59:59Z",
                        "sampledValue": [
                            {
                                "value": value,
                                "measurand": "Current.Import",
                                "phase": "L1",
                            },
                            {"value": value, "measurand": "Power.Active.Import"},
                        ],
                    }
                ],
            },
        )
    assert point.connectors[1].current_a is None
    assert point.connectors[1].power_w is None
    assert point.clock_offset_s == 0
    sample = {"value": "7", "measurand": "Current.Import", "phase": "L1"}
    await client.ask(
        "MeterValues",
        connectorId=1,
        meterValue=[{"timestamp": iso(), "sampledValue": [sample]}],
    )
    assert point.connectors[1].current_a == (7, None, None)


async def test_s11_duplicate_calls_are_answered_from_memory(
    adopt: Any, dial: Any, store: Any
) -> None:
    """The same frame again is the same answer; the same id with another content is not."""
    adopt()
    client = await dial()
    payload = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": iso()}
    first = await client.call("StartTransaction", payload, "same")
    assert await client.call("StartTransaction", payload, "same") == first
    assert "currentTime" in (await client.call("Heartbeat", {}, "same"))[2]


async def test_call_fails_at_disconnect_without_waiting(adopt: Any, dial: Any) -> None:
    """A pending call and those behind it end when the socket goes."""
    point, _ = adopt()
    client = await dial(handlers={"Reset": lambda _: None})
    calls = [asyncio.create_task(point.reset()) for _ in range(3)]
    await client.until(lambda: client.sent("Reset"))
    client.abort()
    async with asyncio.timeout(2):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [result.key for result in results if isinstance(result, CallError)] == [
        "disconnected"
    ] * 3
    with pytest.raises(CallError, match="not_connected"):
        await point.reset()


async def test_timeouts_do_not_add_up(adopt: Any, dial: Any) -> None:
    """Three calls to a mute charge point all end after one timeout."""
    point, _ = adopt()
    await dial(handlers={"Reset": lambda _: None})
    loop = asyncio.get_running_loop()
    began = loop.time()
    results = await asyncio.gather(
        *(point.raw_call("Reset", {"type": "Soft"}, timeout_s=0.5) for _ in range(3)),
        return_exceptions=True,
    )
    assert [result.key for result in results if isinstance(result, CallError)] == [
        "timeout"
    ] * 3
    assert loop.time() - began < 1.4


async def test_calls_go_one_at_a_time_and_urgent_ones_first(
    adopt: Any, dial: Any
) -> None:
    """The second call leaves after the first was answered; an urgent one overtakes."""
    point, _ = adopt()
    client = await dial(handlers={"Reset": lambda _: None})
    first = asyncio.create_task(
        point.raw_call("Reset", {"type": "Soft"}, timeout_s=0.3)
    )
    await client.until(lambda: client.sent("Reset"))
    behind = asyncio.create_task(point.raw_call("ClearCache", {}))
    await asyncio.sleep(0)
    urgent = asyncio.create_task(
        point.raw_call("UnlockConnector", {"connectorId": 1}, urgent=True)
    )
    await asyncio.sleep(0.1)
    assert not client.sent("ClearCache")
    with pytest.raises(CallError, match="timeout"):
        await first
    await asyncio.gather(behind, urgent)
    names = [name for name, _ in client.requests]
    assert names.index("UnlockConnector") < names.index("ClearCache")


async def test_too_many_waiting_calls_are_refused(adopt: Any, dial: Any) -> None:
    """The queue of calls has a bound."""
    point, _ = adopt()
    client = await dial(handlers={"Reset": lambda _: None})
    calls = [
        asyncio.create_task(point.raw_call("Reset", {"type": "Soft"}, timeout_s=0.5))
        for _ in range(60)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    keys = {result.key for result in results if isinstance(result, CallError)}
    assert keys == {"busy", "timeout"}
    assert "currentTime" in await client.ask("Heartbeat")


async def test_answers_that_break_the_schema_still_count(
    adopt: Any, dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An extra field is said once and tolerated; an answer that is no object is an error."""
    point, _ = adopt()
    caplog.set_level(logging.INFO, logger=session.__name__)
    client = await dial(
        handlers={"Reset": lambda _: {"status": "Accepted", "extra": 1}}
    )
    assert await point.reset() == "Accepted"
    assert await point.reset() == "Accepted"
    assert len([line for line in caplog.messages if "breaks the schema" in line]) == 1
    client.handlers["Reset"] = lambda _: ("InternalError", "no")
    with pytest.raises(CallError, match="refused"):
        await point.reset()
    client.handlers["Reset"] = lambda _: []
    with pytest.raises(CallError, match="invalid_answer"):
        await point.reset()
    client.handlers["Reset"] = lambda _: {"status": "Rejected"}
    with pytest.raises(CallError, match="rejected"):
        await point.reset()


async def test_s12_flood_is_slowed_down_and_others_are_not(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A charge point that sends 100 times too much is read more slowly."""
    monkeypatch.setattr(pace, "BURST", 50)
    monkeypatch.setattr(pace, "RATE_PER_S", 100.0)
    adopt()
    adopt("CP2")
    client, other = await dial(), await dial("CP2")
    loop = asyncio.get_running_loop()
    began = loop.time()
    flood = asyncio.create_task(_flood(client, 200))
    await asyncio.sleep(0.05)
    asked = loop.time()
    await other.ask("Heartbeat")
    assert loop.time() - asked < 1.0
    await flood
    assert loop.time() - began > 1.0


async def _flood(client: WireChargePoint, count: int) -> None:
    await asyncio.gather(*(client.ask("Heartbeat") for _ in range(count)))


async def test_s12_newest_connection_wins(adopt: Any, dial: Any) -> None:
    """A half-open old socket does not lock a charge point out."""
    point, _ = adopt()
    old = await dial()
    await old.boot()
    new = await dial()
    await old.closed()
    await new.ask("Heartbeat")
    assert point.connected
    await new.until(lambda: new.requests or point.floor_accepted)


BAD_PATHS = [
    "/", "/ocpp/..", "/ocpp/a%2Fb", "/ocpp/%00", "/ocpp/" + "x" * 49, "/ocpp/%F0%9F%9A%97",
    "/ocpp/%20x", "/ocpp/a%0Ab", "/ocpp/" + "x" * 5000,
]  # fmt: skip


async def test_s12_bad_ids_get_404_even_while_pairing(server: OcppServer) -> None:
    """An id is 1 to 48 printable characters."""
    server.pairing = True
    for path in BAD_PATHS:
        client = WireChargePoint()
        with pytest.raises(InvalidStatus) as refused:
            await client.connect(f"ws://127.0.0.1:{server.port}{path}")
        assert refused.value.response.status_code == 404, path


async def test_ids_come_in_several_spellings(server: OcppServer, adopt: Any) -> None:
    """Any prefix, percent-encoding, and the query of some Autel chargers."""
    point, _ = adopt("CP 1")
    paths = ("/CP%201", "/a/b/c/CP%201", "/ws/webSocket?=CP%201", "/ocpp/CP%201/")
    # A slash too many, at the end of the address that was entered.
    for path in (*paths, "//CP%201", "/ocpp//CP%201//", "/CP%201?token=x/y"):
        client = WireChargePoint()
        await client.connect(f"ws://127.0.0.1:{server.port}{path}")
        await client.ask("Heartbeat")
        assert point.connected
        await client.close()


async def test_protocols(adopt: Any, dial: Any) -> None:
    """None is 1.6, its spelling does not matter, an unknown one alone is refused."""
    adopt()
    client = await dial(protocols=())
    await client.ask("Heartbeat")
    client = await dial(protocols=("OCPP1.6",))
    assert client.socket.subprotocol == "OCPP1.6"
    await client.ask("Heartbeat")
    client = await dial(protocols=("ocpp1.5",))
    assert await client.closed() == 1002


async def test_handshake_without_connection_header(
    adopt: Any, server: OcppServer
) -> None:
    """Autel's firmware 1.38 leaves it out."""
    adopt()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    key = base64.b64encode(b"0" * 16).decode()
    writer.write(
        f"GET /CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n".encode()
    )
    async with asyncio.timeout(5):
        assert b"101" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_s12_passwords(adopt: Any, dial: Any) -> None:
    """The user is the id; the password counts as text or, for hex keys, as the bytes that it means."""
    key = "00112233445566778899aabbccddeeff"
    adopt(password="secret-secret-secret")
    adopt("HEX", password=key)

    def header(user: str, password: bytes) -> dict[str, dict[str, str]]:
        credentials = base64.b64encode(user.encode() + b":" + password).decode()
        return {"additional_headers": {"Authorization": f"Basic {credentials}"}}

    for extra in (
        {},
        header("CP1", b"wrong"),
        header("HEX", b"secret-secret-secret"),
        header("CP1", b""),
        {"additional_headers": {"Authorization": "Basic ???"}},
        {"additional_headers": {"Authorization": "Bearer x"}},
    ):
        with pytest.raises(InvalidStatus) as refused:
            await dial(**extra)
        assert refused.value.response.status_code == 401
    await (await dial(**header("CP1", b"secret-secret-secret"))).ask("Heartbeat")
    await (await dial("HEX", **header("HEX", key.encode()))).ask("Heartbeat")
    await (await dial("HEX", **header("HEX", bytes.fromhex(key)))).ask("Heartbeat")


async def test_s12_silent_sockets_do_not_keep_others_out(
    adopt: Any, dial: Any, server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a flood of connections that say nothing, those above a bound are dropped at once."""
    monkeypatch.setattr(connections, "_MAX_HANDSHAKES", 20)
    adopt()
    client = await dial()
    sockets = [
        await asyncio.open_connection("127.0.0.1", server.port) for _ in range(40)
    ]
    await asyncio.sleep(0.1)
    dropped = [
        reader.at_eof() or reader.exception() is not None for reader, _ in sockets
    ]
    assert dropped.count(True) >= 19
    assert "currentTime" in await client.ask("Heartbeat")
    for _, writer in sockets:
        writer.close()


async def silent_socket(
    port: int, address: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a socket from an address of this machine, and say nothing."""
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))


def hung_up(reader: asyncio.StreamReader) -> bool:
    """Whether the other side has closed or dropped a socket."""
    return reader.at_eof() or reader.exception() is not None


async def test_s12_one_address_cannot_take_all_connections(
    adopt: Any, dial: Any, server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address gets two sockets for each adopted charge point and a few more; other addresses have their own."""
    monkeypatch.setattr(connections, "_SPARE_PER_ADDRESS", 5)
    adopt()
    sockets = [await silent_socket(server.port, "127.0.0.2") for _ in range(20)]
    await asyncio.sleep(0.1)
    assert [hung_up(reader) for reader, _ in sockets].count(True) == 20 - (2 + 5)
    client = await dial()
    assert "currentTime" in await client.ask("Heartbeat")
    for _, writer in sockets:
        writer.close()
    await asyncio.sleep(0.1)
    reader, writer = await silent_socket(server.port, "127.0.0.2")
    await asyncio.sleep(0.1)
    assert not hung_up(reader)
    writer.close()


HANDSHAKE = (
    "GET /CP1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(b'0' * 16).decode()}\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
).encode()


@pytest.fixture
async def impatient(
    store: SessionLog, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[OcppServer]:
    """Return a server that waits for a third of a second only; the parameter is how often it pings."""
    monkeypatch.setattr(ocpp_server, "_OPEN_TIMEOUT_S", 0.3)
    monkeypatch.setattr(keepalive, "PING_INTERVAL_S", getattr(request, "param", 0.3))
    monkeypatch.setattr(keepalive, "PING_TIMEOUT_S", 0.3)
    monkeypatch.setattr(ocpp_server, "_CLOSE_TIMEOUT_S", 0.1)
    monkeypatch.setattr(session, "_SEND_TIMEOUT_S", 0.3)
    server = OcppServer(host="127.0.0.1", port=0, transactions=store)
    await server.start()
    server.adopt(ChargePointConfig(id="CP1"))
    yield server
    await server.stop()


@pytest.mark.parametrize("said", [b"", b"GET /CP1 HT", HANDSHAKE[:-2], b"\x16\x03"])
async def test_s12_slow_handshakes_are_ended(
    impatient: OcppServer, said: bytes
) -> None:
    """Who does not finish its handshake in time is hung up on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient.port)
    writer.write(said)
    async with asyncio.timeout(3):
        with suppress(ConnectionError):
            while await reader.read(1000):
                pass
    writer.close()


async def test_s12_dead_connections_are_noticed(impatient: OcppServer) -> None:
    """Who answers no ping is gone: a half-open socket does not stay for hours."""
    point = impatient.charge_points["CP1"]
    reader, writer = await asyncio.open_connection("127.0.0.1", impatient.port)
    writer.write(HANDSHAKE)
    async with asyncio.timeout(3):
        assert b"101" in await reader.readline()
        while not point.connected:
            await asyncio.sleep(0.01)
        while point.connected:
            await asyncio.sleep(0.01)
    writer.close()


@pytest.mark.parametrize("impatient", [None], indirect=True)
async def test_s12_who_does_not_read_loses_its_connection(
    impatient: OcppServer,
) -> None:
    """A reader that does not read blocks nobody for longer than a moment."""
    point = impatient.charge_points["CP1"]
    _reader, writer = await asyncio.open_connection(
        "127.0.0.1", impatient.port, limit=1
    )
    writer.write(HANDSHAKE)
    async with asyncio.timeout(5):
        while not point.connected:
            await asyncio.sleep(0.01)
        with pytest.raises(CallError, match="disconnected"):
            await point.data_transfer("v", None, "x" * 50_000_000)
        while point.connected:
            await asyncio.sleep(0.01)
    writer.close()


async def test_logs_carry_no_control_characters(adopt: Any, dial: Any) -> None:
    """A vendor's name cannot write lines of its own into the log."""
    point, _ = adopt()
    client = await dial()
    await client.boot("Evil\nERROR forged", "x" * 5000)
    assert point.info.vendor == "Evil ERROR forged"
    assert len(point.info.model) <= 255


async def test_a_bug_in_a_handler_is_logged_and_answered(
    adopt: Any,
    dial: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One message that cannot be handled does not end the connection."""
    point, _ = adopt()
    client = await dial()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(point, "status", broken)
    assert await client.status("Charging") == {}
    assert "could not be handled" in caplog.text
    monkeypatch.undo()
    assert json.loads(client.frames[-1])[0] == 3

"""What charge points in the field do and the standard does not: each costs nothing but itself."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    CallError,
    OcppServer,
    Permit,
    PermitAccepted,
    TransactionStarted,
    charge_point,
    floors,
    keepalive,
    steering,
)
from custom_components.reev_ems.sessions import SessionLog

from .wire import Payload, iso, soon


def element(at: str | None, *samples: Payload) -> Payload:
    """Return one element of a list of meter values."""
    return {"sampledValue": list(samples)} | ({"timestamp": at} if at else {})


def current(value: object, phase: str) -> Payload:
    """Return a sampled current."""
    return {"value": value, "measurand": "Current.Import", "phase": phase}


@pytest.mark.parametrize(
    "at", [iso(), None, "yesterday"], ids=["now", "none", "no time"]
)
async def test_values_of_one_moment_in_many_elements(
    adopt: Any, dial: Any, at: str | None
) -> None:
    """Some send each sampled value with a timestamp of its own; together they are one measurement."""
    point, _ = adopt()
    client = await dial()
    await client.ask(
        "MeterValues",
        connectorId=1,
        meterValue=[
            *(element(at, current(amps, f"L{amps}")) for amps in (1, 2, 3)),
            element(
                at, {"value": "1,38", "measurand": "Power.Active.Import", "unit": "kW"}
            ),
            element(at, {"value": "7", "unit": "kWh"}),
        ],
    )
    view = point.connectors[1]
    assert view.current_a == (1, 2, 3)
    assert (view.power_w, view.energy_wh) == (1380, 7000)


async def test_places_that_do_not_exist(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """What is said of the charge point as a whole, or of connectors that it does not have, is no connector's."""
    point, recorder = adopt()
    client = await dial()
    await client.status("Charging")
    for connector_id in (0, 2, 99, 2**31 - 1):
        for status in ("Available", "Faulted", "Unavailable"):
            assert await client.status(status, connector_id) == {}
        values = [element(iso(), current("9", "L1"))]
        await client.ask("MeterValues", connectorId=connector_id, meterValue=values)
    assert set(point.connectors) == {1}
    assert point.connectors[1].state is ConnectorState.CHARGING
    assert point.connectors[1].current_a is None
    transaction_id = await client.start(2)
    assert not recorder.of(TransactionStarted)
    assert len(await store.history()) == 1
    # It charges where nobody steers it: that a person has to know.
    assert point.problems == ("connector_unknown",)
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=1, timestamp=iso()
    )
    assert point.problems == ()


async def test_s11_a_start_without_an_end_before_it(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Who forgets its transaction at a restart begins another; the former ends there, and the newer is steered."""
    point, _ = adopt()
    client = await dial()
    before = iso(datetime.now(UTC) - timedelta(hours=1))
    first = await client.start(timestamp=before)
    client.abort()
    client = await dial()
    point.permit(1, Permit(limit_a=9))
    second = await client.start(meterStart=3000)
    assert first != second
    await client.until(lambda: client.profiles("TxProfile"))
    assert client.profiles("TxProfile")[-1]["transactionId"] == second
    (running,) = await store.open_transactions("CP1")
    assert running.id == second
    await client.ask(
        "StopTransaction", transactionId=first, meterStop=2500, timestamp=iso()
    )
    assert point.connectors[1].transaction.id == second
    assert [record.energy_wh for record in await store.history()] == [1500, None]


async def test_s11_the_same_start_each_time(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Without a clock and with a register that begins anew, all sessions begin alike."""
    adopt()
    client = await dial()
    for energy_wh in (500, 700):
        transaction_id = await client.start(
            meterStart=0, timestamp="1970-01-01T00:00:00Z"
        )
        await client.ask(
            "StopTransaction",
            transactionId=transaction_id,
            meterStop=energy_wh,
            timestamp="1970-01-01T00:00:00Z",
        )
    assert [record.energy_wh for record in await store.history()] == [500, 700]


@pytest.mark.parametrize("wrong", ["2099-01-01T00:00:00Z", "1970-01-01T00:00:09"])
async def test_s3_a_clock_that_is_set_right(adopt: Any, dial: Any, wrong: str) -> None:
    """Values from before count until the clock is right, those from after it at once."""
    point, _ = adopt()
    client = await dial()
    for at, amps in ((wrong, "5"), (iso(), "7")):
        values = [element(at, *(current(amps, f"L{n}") for n in (1, 2, 3)))]
        await client.ask("MeterValues", connectorId=1, meterValue=values)
    view = point.connectors[1]
    assert view.current_a == (7, 7, 7)
    assert point.clock() - view.measured_at_s < 1.0


async def test_one_message_id_for_everything(
    adopt: Any, dial: Any, server: OcppServer
) -> None:
    """The time is never that of an earlier answer: who counts no messages would be set back for ever."""
    adopt()
    client = await dial()
    times = []
    for _ in range(2):
        answer = await client.call("Heartbeat", {}, "1")
        times.append(datetime.fromisoformat(answer[2]["currentTime"]))
        await asyncio.sleep(0.01)
    assert times[0] < times[1]


async def test_s5_an_answer_that_takes_long(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who answers later than we wait is waited for longer the next time, else it would never be steered."""
    monkeypatch.setattr(steering, "_CALL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(floors, "_RETRY_S", 0.1)
    monkeypatch.setattr(steering, "_PERMIT_RETRY_S", 0.1)
    point, recorder = adopt()
    client = await dial(handlers={"SetChargingProfile": lambda _: None})
    answering: set[asyncio.Task[None]] = set()

    async def late(message_id: str) -> None:
        await asyncio.sleep(0.3)
        await client.send(json.dumps([3, message_id, {"status": "Accepted"}]))

    async def serve(message_id: str, action: str, payload: Payload) -> None:
        client.requests.append((action, payload))
        if action == "SetChargingProfile":
            answering.add(asyncio.create_task(late(message_id)))
        else:
            answer = client.handlers.get(action, lambda _: {"status": "Accepted"})
            await client.send(json.dumps([3, message_id, answer(payload)]))

    client._serve = serve
    await client.start()
    point.permit(1, Permit(limit_a=8))
    await recorder.wait(PermitAccepted)
    assert point.floor_accepted
    await asyncio.gather(*answering)


async def test_s4_a_boot_with_every_message(adopt: Any, dial: Any) -> None:
    """Who announces itself again and again is not written to again and again, and its permits go on."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=8))
    await recorder.wait(PermitAccepted)
    floors = len(client.profiles("TxDefaultProfile"))
    asked = len(client.sent("GetConfiguration"))
    for turn, amps in enumerate((9, 10, 11), 2):
        await client.boot()
        await client.ask("Heartbeat")
        point.permit(1, Permit(limit_a=amps))
        await recorder.wait(PermitAccepted, turn)
    assert len(client.profiles("TxDefaultProfile")) == floors
    assert len(client.sent("GetConfiguration")) == asked
    assert point.connectors[1].permit.limit_a == 11


async def test_s4_another_boot_over_one_connection(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy a charge point may start anew without a new connection: after a while it has its floor again."""
    monkeypatch.setattr(charge_point, "BOOT_REST_S", 0.3)
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=8))
    await recorder.wait(PermitAccepted)
    sent = len(client.sent("SetChargingProfile"))
    for _ in range(3):
        await client.boot()
    await client.until(lambda: len(client.sent("SetChargingProfile")) == sent + 2)
    await asyncio.sleep(0.1)
    assert [
        payload["csChargingProfiles"]["chargingProfilePurpose"]
        for payload in client.sent("SetChargingProfile")[sent:]
    ] == ["TxDefaultProfile", "TxProfile"]


@pytest.mark.parametrize("boots", [True, False])
async def test_s5_what_is_forgotten_is_told_again(
    adopt: Any, dial: Any, boots: bool
) -> None:
    """A charge point may lose its profiles with its power, or with its connection: the permit is sent at once."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    transaction_id = await client.start()
    await client.status("Charging")
    point.permit(1, Permit(limit_a=0, life_s=900))
    await recorder.wait(PermitAccepted)
    client.abort()
    await soon(lambda: not point.connected)
    client = await dial()
    if boots:
        await client.boot()
    await client.until(lambda: client.profiles("TxProfile"))
    assert client.profiles("TxProfile")[0]["transactionId"] == transaction_id
    names = [name for name, _ in client.requests]
    if boots:
        purposes = [
            payload["csChargingProfiles"]["chargingProfilePurpose"]
            for payload in client.sent("SetChargingProfile")
        ]
        assert purposes[0] == "TxDefaultProfile"
    assert names.count("SetChargingProfile") <= 2 + boots


async def test_reconnect_while_a_command_is_under_way(adopt: Any, dial: Any) -> None:
    """The call on the old socket fails at once; what it should have brought comes on the new one."""
    point, recorder = adopt()
    client = await dial()
    await client.start()
    await client.until(lambda: client.profiles("TxDefaultProfile"))
    client.handlers["SetChargingProfile"] = lambda _: None
    client.handlers["Reset"] = lambda _: None
    point.permit(1, Permit(limit_a=7))
    await client.until(lambda: client.profiles("TxProfile"))
    reset = asyncio.create_task(point.reset())
    await asyncio.sleep(0)
    again = await dial()
    async with asyncio.timeout(1):
        with pytest.raises(CallError, match="disconnected"):
            await reset
    await recorder.wait(PermitAccepted)
    assert again.profiles("TxProfile")
    assert point.connectors[1].permit.limit_a == 7


async def test_late_and_strange_answers(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer after its time, twice, or to nothing does not answer the next question."""
    point, _ = adopt()
    held: list[str] = []
    client = await dial(handlers={"Reset": lambda _: None})
    await client.until(lambda: point.floor_accepted or client.requests)
    with pytest.raises(CallError, match="timeout"):
        await point.raw_call("Reset", {"type": "Soft"}, timeout_s=0.1)
    held = [json.loads(frame)[1] for frame in client.frames if '"Reset"' in frame]
    client.handlers["UnlockConnector"] = lambda _: None
    unlock = asyncio.create_task(point.raw_call("UnlockConnector", {"connectorId": 1}))
    await client.until(lambda: client.sent("UnlockConnector"))
    for kind in ([3, held[0], {"status": "Accepted"}], [3, held[0], {}], [4, "0"]):
        await client.send(json.dumps(kind))
    await client.ask("Heartbeat")
    assert not unlock.done()
    now = next(json.loads(f)[1] for f in client.frames if '"UnlockConnector"' in f)
    await client.send(json.dumps([3, now, {"status": "Unlocked"}]))
    assert (await unlock)["status"] == "Unlocked"


def handshake(path: str, *lines: str) -> bytes:
    """Return the bytes of an opening handshake."""
    key = base64.b64encode(b"0" * 16).decode()
    return "\r\n".join(
        (
            f"GET {path} HTTP/1.1",
            "Host: x",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            *lines,
            "",
            "",
        )
    ).encode()


def frame(payload: bytes, opcode: int = 1, *, final: bool = True) -> bytes:
    """Return a masked frame of up to 65,535 bytes."""
    head = bytes([opcode | (0x80 if final else 0)])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    else:
        head += bytes([0x80 | 126]) + len(payload).to_bytes(2)
    return head + bytes(4) + payload


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        (["Sec-WebSocket-Protocol: ocpp1.6"], b"ocpp1.6"),
        (["Sec-WebSocket-Protocol: ocpp1.2, ocpp1.5,ocpp1.6"], b"ocpp1.6"),
        (["Sec-WebSocket-Protocol: ocpp2.0,ocpp2.0.1 ,  ocpp1.6"], b"ocpp2.0.1"),
        (
            ["Sec-WebSocket-Protocol: ocpp1.5", "sec-websocket-protocol: ocpp1.6"],
            b"ocpp1.6",
        ),
        (["Sec-WebSocket-Protocol: ocpp1.6,"], b"ocpp1.6"),
        (["Sec-WebSocket-Protocol: , ocpp1.6"], b"ocpp1.6"),
        (["Sec-WebSocket-Protocol: OCPP1.6J, ocpp1.6"], b"ocpp1.6"),
        (["Sec-WebSocket-Protocol:"], b""),
        ([], b""),
    ],
)
async def test_subprotocols(
    adopt: Any, server: OcppServer, lines: list[str], chosen: bytes
) -> None:
    """Lists in any order and in pieces; an empty one is none, which means 1.6."""
    point, _ = adopt()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(handshake("/CP1", *lines))
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    named = [line for line in head.split(b"\r\n") if b"Protocol:" in line]
    assert [line.split()[-1] for line in named] == ([chosen] if chosen else [])
    await soon(lambda: point.connected)
    writer.close()


async def test_frames_in_pieces(adopt: Any, server: OcppServer) -> None:
    """A message in many fragments, bytes that come one by one, and a ping in the middle."""
    adopt()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(handshake("/ocpp//CP1/", "Sec-WebSocket-Protocol: ocpp1.6"))
    text = b'[2,"one","Heartbeat",{}]'
    pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
    sent = b"".join(
        frame(piece, 1 if not n else 0, final=n == len(pieces) - 1)
        + (frame(b"p", 9) if n == 2 else b"")
        for n, piece in enumerate(pieces)
    )
    for byte in sent:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    read = b""
    async with asyncio.timeout(5):
        while b'[3,"one",' not in read:
            read += await reader.read(1000)
    assert b"\x8a\x01p" in read
    writer.close()


@pytest.mark.parametrize("speaks", [True, False])
async def test_s12_pings_without_an_answer(
    adopt: Any, server: OcppServer, monkeypatch: pytest.MonkeyPatch, speaks: bool
) -> None:
    """Who answers no ping is there for as long as it says something now and then, and no longer."""
    monkeypatch.setattr(keepalive, "PING_INTERVAL_S", 0.05)
    monkeypatch.setattr(keepalive, "PING_TIMEOUT_S", 0.05)
    monkeypatch.setattr(keepalive, "SILENCE_S", 0.5)
    point, _ = adopt()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(handshake("/CP1"))
    await soon(lambda: point.connected)
    if speaks:
        for number in range(4):
            writer.write(frame(f'[2,"{number}","Heartbeat",{{}}]'.encode()))
            await asyncio.sleep(0.3)
            assert point.connected
    await soon(lambda: not point.connected)
    sent = await reader.read(100_000)
    # Three that ask, then some that do not.
    assert sent.count(b"\x89\x04") == (3 if speaks else 1)
    assert (b"\x8a\x00" in sent) is speaks
    writer.close()

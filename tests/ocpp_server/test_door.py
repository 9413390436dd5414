"""Strangers at the door: guessers of passwords, silent sockets and crowds of strangers keep nobody out (S12)."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from custom_components.reev_ems.ocpp_server import (
    OcppServer,
    SecurityEventReported,
    charge_point,
    connections,
    knocking,
    log_ins,
    server as ocpp_server,
)
from custom_components.reev_ems.ocpp_server.knocking import Knocking
from custom_components.reev_ems.ocpp_server.log_ins import LogIns
from custom_components.reev_ems.ocpp_server.model import UnknownChargePoint

from .test_security import login
from .wire import WireChargePoint, soon

PASSWORD = "correct horse 17"


async def test_s12_guessing_is_slowed_down_and_told(
    server: OcppServer, adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few wrong passwords are answered, then few at all; the charge point itself comes in from its own address."""
    monkeypatch.setattr(charge_point, "METER_WATCH_S", 0.1)
    point, recorder = adopt(password=PASSWORD)
    codes: list[int] = []
    async with asyncio.timeout(10):
        for number in range(200):
            with pytest.raises(InvalidStatus) as refused:
                await dial(**login("CP1", f"guess {number}"))
            codes.append(refused.value.response.status_code)
    assert 5 <= codes.count(401) <= 7
    assert codes.count(429) == len(codes) - codes.count(401)
    assert server.failed_log_ins == codes.count(401)
    assert point.problems == ("log_ins_failed",)
    events = recorder.of(SecurityEventReported)
    assert [event.kind for event in events] == ["FailedLogIns"]
    assert "127.0.0.1" in str(events[0].detail)
    with pytest.raises(InvalidStatus):
        await dial(**login("CP1", PASSWORD))
    elsewhere = WireChargePoint()
    await elsewhere.connect(
        f"ws://127.0.0.1:{server.port}/CP1",
        local_addr=("127.0.0.2", 0),
        **login("CP1", PASSWORD),
    )
    await elsewhere.ask("Heartbeat")
    monkeypatch.setattr(log_ins, "_FORGET_S", 0.0)
    await soon(lambda: point.problems == ())
    await elsewhere.close()


def test_s12_how_long_a_guesser_waits() -> None:
    """The wait doubles up to a minute, per charge point and address; an address that tries many ids waits, too."""
    now_s = 0.0
    attempts = LogIns(lambda: now_s)
    waits = []
    for _ in range(14):
        attempts.failed("CP1", "192.0.2.1")
        waits.append(attempts.wait_s("CP1", "192.0.2.1"))
        now_s += waits[-1]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert attempts.wait_s("CP1", "192.0.2.2") == 0
    for number in range(30):
        attempts.failed(f"CP{number}", "2001:db8::1")
    assert attempts.wait_s("CP99", "2001:db8::2") > 0
    attempts.succeeded("CP99", "2001:db8::3")
    assert attempts.wait_s("CP99", "2001:db8::4") == 0
    now_s += 700
    assert attempts.wait_s("CP1", "192.0.2.1") == 0
    assert attempts.quiet("CP1")
    for number in range(3000):
        attempts.failed(f"N{number}", f"192.0.2.{number % 200}")
    assert len(attempts._failures) <= 1000


@pytest.mark.parametrize("same_address", [True, False])
async def test_s12_silent_sockets_keep_nobody_out(
    adopt: Any,
    dial: Any,
    server: OcppServer,
    monkeypatch: pytest.MonkeyPatch,
    same_address: bool,
) -> None:
    """Not 70 of its own address, and not 900 of sixty others: the charge point comes in while they are held open."""
    adopt()
    sockets = []
    for number in range(70 if same_address else 900):
        address = "127.0.0.1" if same_address else f"127.0.1.{number % 60 + 1}"
        with suppress(OSError):
            sockets.append(
                await asyncio.open_connection(
                    "127.0.0.1", server.port, local_addr=(address, 0)
                )
            )
    client = await dial()
    assert "currentTime" in await client.ask("Heartbeat")
    assert server.dropped >= (18 if same_address else 300)
    for _, writer in sockets:
        writer.close()


async def test_s12_many_connections_do_not_keep_out_who_is_adopted(
    adopt: Any, dial: Any, server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of all sockets is for strangers."""
    monkeypatch.setattr(ocpp_server, "_MAX_CONNECTIONS", 1)
    adopt()
    adopt("CP2")
    server.pairing = True
    await (await dial()).ask("Heartbeat")
    await (await dial("CP2")).ask("Heartbeat")
    with pytest.raises(InvalidStatus) as refused:
        await dial("STRANGER")
    assert refused.value.response.status_code == 503


async def knock(server: OcppServer, id_: str, address: str) -> WireChargePoint | None:
    """Knock as an unknown charge point; None if the door stays shut."""
    client = WireChargePoint()
    with suppress(InvalidStatus):
        await client.connect(
            f"ws://127.0.0.1:{server.port}/{id_}", local_addr=(address, 0)
        )
        await client.boot()
        return client
    return None


async def test_s12_a_crowd_does_not_push_out_who_comes_alone(
    server: OcppServer,
) -> None:
    """A few of a flood of ids from one address are listed; from another one there is room, before and after it."""
    told: list[str] = []
    gone: list[str] = []
    server.on_unknown = lambda unknown: told.append(unknown.id)
    server.on_forgotten = gone.append
    server.pairing = True
    clients = [await knock(server, "FIRST", "127.0.0.2")]
    clients += [await knock(server, f"N{number}", "127.0.0.3") for number in range(100)]
    assert len(server.unknown) == 20
    assert sum(client is not None for client in clients) == 20
    clients.append(await knock(server, "LATE", "127.0.0.4"))
    assert {"FIRST", "LATE"} <= set(server.unknown)
    assert len(told) == 21
    assert gone == ["N0"]
    for client in filter(None, clients):
        await client.close()


async def test_s12_a_guest_that_says_nothing_gives_way(
    server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sockets that are opened and say nothing do not take the places of those who introduce themselves."""
    monkeypatch.setattr(ocpp_server, "_INTRODUCTION_S", 1.5)
    server.pairing = True
    silent = [WireChargePoint() for _ in range(20)]
    for number, client in enumerate(silent):
        await client.connect(f"ws://127.0.0.1:{server.port}/N{number}")
    await soon(lambda: len(server._guests) == 20)
    assert await knock(server, "REAL", "127.0.0.1") is None
    await asyncio.sleep(1.6)
    real = await knock(server, "REAL", "127.0.0.1")
    assert real is not None
    assert set(server.unknown) == {"REAL"}
    for client in (*silent, real):
        await client.close()


def test_s12_who_was_silent_for_long_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A place in the list is not kept for ever."""
    monkeypatch.setattr(knocking, "MOST", 2)
    now = datetime.now(UTC)
    listed = Knocking()

    def see(id_: str, after_s: float) -> tuple[bool, str | None]:
        at = now + timedelta(seconds=after_s)
        return listed.see(UnknownChargePoint(id=id_, address="192.0.2.1", last_seen=at))

    assert [see("A", 0), see("B", 30), see("C", 40)] == [
        (True, None),
        (True, None),
        (False, None),
    ]
    assert see("A", 50) == (False, None)
    assert see("C", 100) == (True, "B")


def test_addresses_of_one_machine() -> None:
    """A machine has one IPv4 address, and any of a prefix of IPv6."""
    network = connections.network
    assert network("::ffff:192.0.2.1") == network("192.0.2.1")
    assert network("2001:db8::1") == network("2001:db8::ffff%eth0")
    assert network("2001:db8::1") != network("2001:db8:0:1::1")
    assert network("") == ""

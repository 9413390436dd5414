"""Ends of transactions that nobody knows, on the wire: none is lost, none ends what goes on (S11)."""

import asyncio
from datetime import UTC, datetime, timedelta
import time
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    Permit,
    TransactionEnded,
    TransactionStarted,
    pace,
)
from custom_components.reev_ems.sessions import SessionLog

from .test_v201 import Station
from .wire import iso


@pytest.fixture
def station(dial: Any) -> Any:
    """Return what dials in as a 2.0.1 charging station."""

    async def make() -> Station:
        client = await dial("CP1", protocols=("ocpp2.0.1",))
        client.handlers["GetVariables"] = lambda _: {"getVariableResult": []}
        return Station(client)

    return make


async def test_s11_end_of_an_unknown_id_is_recorded_once(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """It is acknowledged, kept, and counts as one however often it is told; a running session goes on."""
    point, recorder = adopt()
    client = await dial()
    running = await client.start()
    for _ in range(2):
        answer = await client.ask(
            "StopTransaction",
            transactionId=4711,
            meterStop=9000,
            timestamp="2026-11-30T10:00:00Z",
            idTag="SOMEBODY",
        )
        assert answer == {"idTagInfo": {"status": "Accepted"}}
    kept = next(item for item in await store.history() if item.id != running)
    assert (kept.connector_id, kept.remote_id, kept.id_tag) == (1, "4711", "SOMEBODY")
    assert (kept.energy_wh, kept.start_reported) == (None, False)
    assert len(await store.history()) == 2
    assert point.connectors[1].transaction.id == running
    assert not recorder.of(TransactionEnded)


async def test_s11_beginning_that_comes_after_its_end(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """A session that is over is recorded with its energy, and not shown as one that runs."""
    point, recorder = adopt()
    client = await dial()
    begun = datetime.now(UTC) - timedelta(hours=2)
    ended = begun + timedelta(hours=1)
    await client.ask(
        "StopTransaction", transactionId=5, meterStop=9000, timestamp=iso(ended)
    )
    for _ in range(2):
        await client.start(timestamp=iso(begun), meterStart=2000)
    (record,) = await store.history()
    assert (record.energy_wh, record.id_tag) == (7000, "TAG")
    assert point.connectors[1].transaction is None
    assert not recorder.of(TransactionStarted)


async def test_s11_energy_of_an_unknown_end_from_its_own_readings(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """What the end says of the beginning counts."""
    adopt()
    client = await dial()
    begin = {"value": "2000", "context": "Transaction.Begin"}
    await client.ask(
        "StopTransaction",
        transactionId=5,
        meterStop=9000,
        timestamp=iso(),
        transactionData=[{"timestamp": iso(), "sampledValue": [begin]}],
    )
    (record,) = await store.history()
    assert record.energy_wh == 7000


async def test_s11_end_that_contradicts_what_was_measured(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Whoever speaks for a charge point without a password makes no 1 Wh of 5.8 kWh; the true end corrects."""
    _, recorder = adopt()
    client = await dial()
    begun = datetime.now(UTC) - timedelta(hours=1)
    session = await client.start(timestamp=iso(begun), meterStart=1000)
    await client.ask(
        "MeterValues",
        connectorId=1,
        transactionId=session,
        meterValue=[{"timestamp": iso(), "sampledValue": [{"value": "6800"}]}],
    )
    for meter_stop in (1001, 12000, 1001):
        await client.ask(
            "StopTransaction",
            transactionId=session,
            meterStop=meter_stop,
            timestamp=iso(),
        )
        (record,) = await store.history()
        if meter_stop == 1001 and record.meter_stop_wh != 12000:
            assert (record.energy_wh, record.contradicted) == (5800, True)
    assert (record.energy_wh, record.contradicted) == (11000, False)
    assert recorder.of(TransactionEnded)[0].transaction.energy_wh == 5800


async def test_s11_unknown_end_of_201_is_no_unknown_connector(
    adopt: Any, station: Any, store: SessionLog
) -> None:
    """It names no EVSE, or 0: the only one is meant, nobody is told that a connector is not set up."""
    point, recorder = adopt()
    box = await station()
    await box.event("Ended", tx="a", energy=5000, evse=None)
    await box.event("Ended", tx="b", energy=5000, evse={"id": 0})
    await box.event("Updated", "Charging", tx="c", energy=5000, evse={"id": 0})
    assert {item.connector_id for item in await store.history()} == {1}
    assert not point.problems
    assert len(recorder.of(TransactionStarted)) == 1
    await box.event("Started", tx="a", energy=2000, seconds=-60)
    record = next(item for item in await store.history() if item.remote_id == "a")
    assert (record.energy_wh, record.start_reported) == (3000, True)
    assert len(await store.history()) == 3
    assert len(recorder.of(TransactionStarted)) == 1


async def test_s11_unknown_end_of_201_where_there_are_two_evses(
    adopt: Any, station: Any, store: SessionLog
) -> None:
    """Nobody knows where it was, until an event says so."""
    point, _ = adopt(connector_ids=(1, 2))
    box = await station()
    for kind in ("Updated", "Updated", "Ended"):
        await box.event(kind, tx="a", energy=5000, evse=None)
    (record,) = await store.history()
    assert record.connector_id == 0
    assert not point.problems
    await box.event("Started", tx="a", energy=2000, seconds=-60, evse={"id": 2})
    (record,) = await store.history()
    assert (record.connector_id, record.energy_wh) == (2, 3000)
    assert point.connectors[2].transaction is None


async def test_s11_late_event_of_201_after_our_restart(
    adopt: Any, station: Any, store: SessionLog
) -> None:
    """What was over before does not run again."""
    session = await store.start(
        charge_point_id="CP1",
        connector_id=1,
        key="tx/old",
        started_at=datetime.now(UTC) - timedelta(hours=2),
        remote_id="old",
    )
    await store.stop(
        charge_point_id="CP1", transaction_id=session, stopped_at=datetime.now(UTC)
    )
    _, recorder = adopt()
    box = await station()
    await box.event("Updated", "Charging", tx="old", energy=5000)
    assert not recorder.of(TransactionStarted)


async def test_s11_session_after_a_restored_backup(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """What ran when the backup was made is over; the one that runs is in no record, and is taken up and steered."""
    old = await store.start(
        charge_point_id="CP1",
        connector_id=1,
        key="old",
        started_at=datetime.now(UTC) - timedelta(hours=2),
        meter_start_wh=0,
    )
    point, _ = adopt()
    point.permit(1, Permit(limit_a=9))
    client = await dial()
    await client.status("Charging")
    await client.until(lambda: client.profiles("TxProfile"))
    value = {"timestamp": iso(), "sampledValue": [{"value": "2000"}]}
    for _ in range(2):
        await client.ask(
            "MeterValues", connectorId=1, transactionId=old + 77, meterValue=[value]
        )
    await client.until(
        lambda: client.profiles("TxProfile")[-1]["transactionId"] == old + 77
    )
    first, second = await store.history()
    assert (first.id, first.ended_by_report) == (old, False)
    assert first.stopped_at is not None
    assert (second.remote_id, second.stopped_at) == (str(old + 77), None)
    # A session that it began itself is not given up for an id that nobody knows.
    begun = await client.start()
    await client.ask(
        "MeterValues", connectorId=1, transactionId=old + 99, meterValue=[value]
    )
    assert point.connectors[1].transaction.id == begun


async def test_s12_flood_of_sessions_and_ends_delays_nobody(
    adopt: Any, dial: Any, store: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without the pace at which one may speak: a hostile charge point begins and ends sessions as fast as it can; another one's start is answered soon."""
    monkeypatch.setattr(pace, "RATE_PER_S", 1e6)
    adopt()
    adopt("CP2")
    evil, good = await dial(), await dial("CP2")

    async def flood() -> None:
        for number in range(250):
            await evil.start(timestamp=iso(), meterStart=number)
            await evil.ask(
                "StopTransaction",
                transactionId=-1,
                meterStop=number,
                timestamp=iso(),
            )

    task = asyncio.create_task(flood())
    worst_s = 0.0
    number = 0
    while not task.done():
        number += 1
        began_s = time.perf_counter()
        await good.ask("Heartbeat")
        worst_s = max(worst_s, time.perf_counter() - began_s)
        await asyncio.sleep(0.05)
    await task
    assert worst_s < 1
    assert len(await store.history()) <= 121

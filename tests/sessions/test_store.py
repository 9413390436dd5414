"""Each charging session ends up in the records once, with the right energy (S11)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
import random
import sqlite3

import pytest

from custom_components.reev_ems.sessions import SessionLog, store

T0 = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a time some seconds after T0."""
    return T0 + timedelta(seconds=seconds)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SessionLog]:
    """Return records on a fresh file."""
    log = SessionLog(tmp_path / "sessions.db")
    await log.open()
    await log.open()
    yield log
    await log.close()


async def start(
    log: SessionLog, key: str = "k", seconds: float = 0, **more: object
) -> int:
    """Record a session of CP1, connector 1, from 1000 Wh on."""
    arguments = {
        "charge_point_id": "CP1",
        "connector_id": 1,
        "key": key,
        "started_at": at(seconds),
        "id_tag": "Tag",
        "meter_start_wh": 1000.0,
    } | more
    return await log.start(**arguments)  # type: ignore[arg-type]


async def test_s11_same_key_is_the_same_session(log: SessionLog) -> None:
    """A repeated start returns the id that the first one got."""
    first = await start(log)
    assert first > 0
    assert await start(log) == first
    assert await start(log, charge_point_id="CP2") != first
    assert len(await log.history()) == 2


async def test_s11_ids_are_never_reused_over_a_restart(tmp_path: Path) -> None:
    """What was written is there after the file is opened again, and ids go on."""
    path = tmp_path / "sub" / "sessions.db"
    log = SessionLog(str(path))
    await log.open()
    first = await start(log)
    await log.meter(
        charge_point_id="CP1", transaction_id=first, at=at(10), energy_wh=1500
    )
    await log.close()
    log = SessionLog(path)
    await log.open()
    (record,) = await log.open_transactions("CP1")
    assert (record.id, record.energy_wh, record.started_at) == (first, 500, T0)
    assert await start(log, "k2", 100) > first
    await log.close()


async def test_s11_energy_whatever_the_order_of_reports(log: SessionLog) -> None:
    """Readings in any order, some after the end: the register at the end counts."""
    session = await start(log)
    readings = [(seconds, 1000.0 + seconds) for seconds in range(10, 100, 10)]
    random.Random(1).shuffle(readings)
    for seconds, energy_wh in readings[:5]:
        await log.meter(
            charge_point_id="CP1",
            transaction_id=session,
            at=at(seconds),
            energy_wh=energy_wh,
        )
    await log.stop(
        charge_point_id="CP1",
        transaction_id=session,
        stopped_at=at(95),
        meter_stop_wh=1095,
        reason="Local",
    )
    for seconds, energy_wh in readings[5:]:
        await log.meter(
            charge_point_id="CP1",
            transaction_id=session,
            at=at(seconds),
            energy_wh=energy_wh,
        )
    await log.flush()
    (record,) = await log.history()
    assert (record.energy_wh, record.stop_reason, record.stopped_at) == (
        95,
        "Local",
        at(95),
    )


async def test_s11_first_stop_counts_and_only_the_own_charge_point_can(
    log: SessionLog,
) -> None:
    """A replayed or a forged end changes nothing."""
    session = await start(log)
    assert not await log.stop(
        charge_point_id="EVIL", transaction_id=session, stopped_at=at(5)
    )
    assert not await log.stop(
        charge_point_id="CP1", transaction_id=999, stopped_at=at(5)
    )
    assert (await log.open_transactions("CP1"))[0].id == session
    for stop_wh in (2000.0, 9000.0):
        assert await log.stop(
            charge_point_id="CP1",
            transaction_id=session,
            stopped_at=at(60),
            meter_stop_wh=stop_wh,
        )
    assert (await log.history())[0].energy_wh == 1000
    assert not await log.open_transactions("CP1")


async def test_s11_missing_stop_ends_with_the_next_session_and_may_come_late(
    log: SessionLog,
) -> None:
    """A lost end is assumed at the next start; the report of it, once it comes, is believed."""
    first = await start(log, "a")
    await log.meter(
        charge_point_id="CP1", transaction_id=first, at=at(10), energy_wh=1400
    )
    second = await start(log, "b", 100)
    older, newer = await log.history()
    assert (older.id, older.energy_wh, older.stopped_at) == (first, 400, at(100))
    assert not older.ended_by_report
    assert (newer.id, newer.stopped_at) == (second, None)
    await log.stop(
        charge_point_id="CP1",
        transaction_id=first,
        stopped_at=at(50),
        meter_stop_wh=1700,
    )
    older, _ = await log.history()
    assert (older.energy_wh, older.stopped_at, older.ended_by_report) == (
        700,
        at(50),
        True,
    )


async def test_s11_replayed_older_start_leaves_the_running_session_alone(
    log: SessionLog,
) -> None:
    """An offline session that is told of late does not end the one that runs."""
    running = await start(log, "now", 100)
    await start(log, "offline", 0)
    assert running in [record.id for record in await log.open_transactions("CP1")]


async def test_history_by_time_charge_point_and_tag(log: SessionLog) -> None:
    """The query takes the newest, in order; tags are compared as OCPP does."""
    for number in range(5):
        await start(log, f"k{number}", number * 60, charge_point_id=f"CP{number % 2}")
    await start(log, "other", 600, id_tag="guest")
    tagged = await log.history(id_tag="TAG")
    assert len(tagged) == 5
    assert [record.started_at for record in await log.history(limit=2)] == [
        at(240),
        at(600),
    ]
    assert len(await log.history(since=at(60), until=at(180))) == 2
    assert len(await log.history(charge_point_ids={"CP0"})) == 3
    assert len(await log.history(charge_point_ids={"CP0"}, limit=3)) == 3
    assert await log.history(charge_point_ids=()) == []


async def test_s11_charger_without_a_clock_has_more_than_one_session(
    log: SessionLog,
) -> None:
    """Its starts all look alike; after a reported end the next one is another session."""
    ids = []
    for begun_s in (0, 100, 200):
        session = await start(log, "1/1970-01-01T00:00:00Z/T/0", begun_s)
        assert await start(log, "1/1970-01-01T00:00:00Z/T/0", begun_s + 1) == session
        await log.stop(
            charge_point_id="CP1",
            transaction_id=session,
            stopped_at=at(begun_s + 5),
            meter_stop_wh=1200,
        )
        ids.append(session)
    assert len(set(ids)) == 3
    assert [record.energy_wh for record in await log.history()] == [200, 200, 200]


async def test_s11_readings_are_written_by_themselves(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Together, after a while; what a broken disk did not take is written when it is mended."""
    monkeypatch.setattr(store, "_FLUSH_S", 0.05)
    session = await start(log)

    async def read(energy_wh: float) -> None:
        await log.meter(
            charge_point_id="CP1",
            transaction_id=session,
            at=at(energy_wh),
            energy_wh=energy_wh,
        )

    async def written(energy_wh: float) -> None:
        async with asyncio.timeout(5):
            while (await log.history())[0].energy_wh != energy_wh - 1000:
                await asyncio.sleep(0.02)

    for energy_wh in (1100, 1200, 1300):
        await read(energy_wh)
    await written(1300)
    with monkeypatch.context() as broken:
        broken.setattr(log._database, "_file", None)
        await read(1400)
        async with asyncio.timeout(5):
            while "cannot be written" not in caplog.text:
                await asyncio.sleep(0.02)
    await read(1350)
    await written(1400)


async def test_remote_ids_are_found(log: SessionLog) -> None:
    """A 2.0.1 transaction is known by the id that the charging station gave it."""
    session = await start(log, "tx", remote_id="abc-1")
    assert await log.find("CP1", "abc-1") == session
    assert await log.find("CP2", "abc-1") is None


async def test_many_at_once(log: SessionLog) -> None:
    """Writes at the same time are one after the other."""
    ids = await asyncio.gather(
        *(start(log, f"k{n % 20}", connector_id=n % 20) for n in range(100))
    )
    assert len(set(ids)) == 20


async def test_who_it_was_at_the_beginning(log: SessionLog) -> None:
    """The user is kept with the tag: by the earliest report, and by the card that is shown later."""
    session = await start(log, seconds=10, user_id="u1", user_name="Ada")
    assert await start(log, seconds=20, id_tag="T2", user_id="u2") == session
    (record,) = await log.history()
    assert (record.id_tag, record.user_id, record.user_name) == ("Tag", "u1", "Ada")
    await start(log, seconds=5, id_tag="T3", user_id="u3", user_name="Bob")
    (record,) = await log.history()
    assert (record.id_tag, record.user_id, record.user_name) == ("T3", "u3", "Bob")
    # An earlier report without a tag says nothing about who it was.
    await start(log, seconds=4, id_tag=None)
    (record,) = await log.history()
    assert (record.started_at, record.user_name) == (at(4), "Bob")
    await log.identify(charge_point_id="CP1", transaction_id=session, id_tag="X")
    (record,) = await log.history()
    assert (record.id_tag, record.user_id, record.user_name) == ("X", None, None)


async def test_s11_file_of_an_older_version(tmp_path: Path) -> None:
    """What is in it stays, with nobody's name; what comes names its user; opening it again changes nothing."""
    path = tmp_path / "sessions.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE sessions (
                id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                charge_point_id VARCHAR NOT NULL,
                connector_id INTEGER NOT NULL,
                "key" VARCHAR NOT NULL,
                remote_id VARCHAR,
                id_tag VARCHAR,
                started_at VARCHAR NOT NULL,
                stopped_at VARCHAR,
                meter_start_wh FLOAT,
                meter_last_wh FLOAT,
                meter_last_at VARCHAR,
                stop_reason VARCHAR,
                ended_by_report BOOLEAN NOT NULL,
                UNIQUE (charge_point_id, "key")
            );
            CREATE INDEX sessions_by_start ON sessions (started_at);
            INSERT INTO sessions VALUES (
                41, 'CP1', 1, 'k', NULL, 'Tag', '2026-01-01T00:00:00.000000+00:00',
                NULL, 1000.0, 1500.0, NULL, NULL, 0
            );
            """
        )
    for _ in range(2):
        log = SessionLog(path)
        await log.open()
        (old, *_) = await log.history()
        assert (old.id, old.id_tag, old.user_name, old.energy_wh) == (
            41,
            "Tag",
            None,
            500,
        )
        await log.close()
    log = SessionLog(path)
    await log.open()
    assert await start(log, "k2", user_id="u1", user_name="Ada") > 41
    assert [record.user_name for record in await log.history()] == [None, "Ada"]
    await log.close()

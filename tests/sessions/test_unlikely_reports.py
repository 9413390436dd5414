"""Ends without a beginning, ends that cannot be, sessions by the thousand (S11, S12)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
import time

import pytest

from custom_components.reev_ems.sessions import SessionLog, SessionRecord, bounds

T0 = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Return a time some minutes after T0."""
    return T0 + timedelta(minutes=minutes)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SessionLog]:
    """Return records on a fresh file."""
    log = SessionLog(tmp_path / "sessions.db")
    await log.open()
    yield log
    await log.close()


async def start(
    log: SessionLog, key: str = "k", minutes: float = 0, **more: object
) -> int:
    """Record a session of CP1, connector 1, from 1000 Wh on."""
    arguments = {
        "charge_point_id": "CP1",
        "connector_id": 1,
        "key": key,
        "started_at": at(minutes),
        "id_tag": "Tag",
        "meter_start_wh": 1000.0,
    } | more
    return await log.start(**arguments)  # type: ignore[arg-type]


async def measure(log: SessionLog, session: int, minutes: float, wh: float) -> None:
    """Note the register."""
    await log.meter(
        charge_point_id="CP1", transaction_id=session, at=at(minutes), energy_wh=wh
    )
    await log.flush()


async def stop(
    log: SessionLog, session: int, minutes: float, wh: float | None
) -> SessionRecord:
    """Record the end of a session and return what is known of it then."""
    assert await log.stop(
        charge_point_id="CP1",
        transaction_id=session,
        stopped_at=at(minutes),
        meter_stop_wh=wh,
    )
    return next(item for item in await log.history() if item.id == session)


async def stop_unknown(
    log: SessionLog, key: str, minutes: float, **more: object
) -> int:
    """Record the end of a session of which nothing else is known."""
    arguments = {
        "charge_point_id": "CP1",
        "connector_id": 1,
        "key": key,
        "stopped_at": at(minutes),
        "meter_stop_wh": 3000.0,
    } | more
    return await log.stop_unknown(**arguments)  # type: ignore[arg-type]


async def test_s11_an_end_that_came_first_is_joined_by_its_beginning(
    log: SessionLog,
) -> None:
    """One record with the energy of both; repeated, each is the same session."""
    ended = await stop_unknown(log, "end/77", 30, remote_id="77", id_tag="TAG")
    (record,) = await log.history()
    assert (record.energy_wh, record.start_reported) == (None, False)
    assert await stop_unknown(log, "end/77", 30, remote_id="77") == ended
    assert await start(log) == ended
    assert await start(log) == ended
    (record,) = await log.history()
    assert (record.energy_wh, record.start_reported) == (2000, True)
    assert (record.started_at, record.stopped_at) == (T0, at(30))
    assert await log.is_over("CP1", ended)


@pytest.mark.parametrize(
    "begun",
    [
        {"minutes": 31},
        {"id_tag": "Other"},
        {"meter_start_wh": 3001.0},
        {"charge_point_id": "CP2"},
    ],
)
async def test_s11_a_beginning_that_does_not_fit_is_another_session(
    log: SessionLog, begun: dict[str, object]
) -> None:
    """It is later, of another person, of a higher register or of another charge point."""
    ended = await stop_unknown(log, "end/77", 30, remote_id="77", id_tag="Tag")
    assert await start(log, **begun) != ended  # type: ignore[arg-type]
    assert len(await log.history()) == 2


async def test_s11_an_end_with_a_foreign_id_ends_the_session_of_its_tag_only(
    log: SessionLog,
) -> None:
    """Without the tag nobody can say whose end it is, and the session that runs goes on."""
    running = await start(log)
    await stop_unknown(log, "end/5", 20, remote_id="5")
    await stop_unknown(log, "end/6", 21, remote_id="6", id_tag="Other")
    assert await log.only_open("CP1") == running
    assert await stop_unknown(log, "end/7", 30, remote_id="7", id_tag="tag") == running
    assert await log.only_open("CP1") is None
    assert len(await log.history()) == 3


async def test_s11_an_end_whose_id_was_lost_goes_where_it_fits(
    log: SessionLog,
) -> None:
    """One of two that run was measured above its register; where both fit it is kept by itself."""
    first = await start(log, "a")
    second = await start(log, "b", connector_id=2)
    await measure(log, second, 10, 9000)
    assert await stop_unknown(log, "end/-1", 30) == first
    # Repeated with a clock that is known better by now.
    assert await stop_unknown(log, "end/-1/again", 30.02) == first
    third = await start(log, "c", 40)
    kept = await stop_unknown(log, "end/-1/9500", 60, meter_stop_wh=9500.0)
    assert kept not in {first, second, third}


@pytest.mark.parametrize("forged_wh", [0.0, 1.0, 1001.0, 5000.0, 1e9])
async def test_s11_an_end_that_contradicts_the_meter_is_marked_and_corrected(
    log: SessionLog, forged_wh: float
) -> None:
    """What was measured counts meanwhile; the true end then does, and another forged one no more."""
    session = await start(log)
    await measure(log, session, 30, 6800)
    record = await stop(log, session, 31, forged_wh)
    assert (record.contradicted, record.energy_wh) == (True, 5800)
    record = await stop(log, session, 60, 12000)
    assert (record.contradicted, record.energy_wh) == (False, 11000)
    record = await stop(log, session, 61, forged_wh)
    assert (record.energy_wh, record.stopped_at) == (11000, at(60))


async def test_s11_a_small_session_does_not_end_with_nothing(log: SessionLog) -> None:
    """50 Wh were measured: an end at the beginning's register does not undo them."""
    session = await start(log)
    await measure(log, session, 1, 1050)
    record = await stop(log, session, 2, 1000)
    assert (record.contradicted, record.energy_wh) == (True, 50)


async def test_s11_registers_are_rounded(log: SessionLog) -> None:
    """A reading in tenths of a kWh may be above the end; without any reading the end is all there is."""
    session = await start(log)
    await measure(log, session, 30, 6900)
    record = await stop(log, session, 31, 6849)
    assert (record.contradicted, record.energy_wh) == (False, 5849)
    session = await start(log, "b", 40)
    assert (await stop(log, session, 50, None)).energy_wh is None
    session = await start(log, "c", 60)
    assert (await stop(log, session, 60, 51000)).energy_wh == 50000


async def test_s11_a_session_that_goes_on_after_its_end_is_marked(
    log: SessionLog,
) -> None:
    """Its register rises: the end was nobody's, or came too early. The next end counts."""
    session = await start(log)
    await measure(log, session, 30, 6800)
    assert not (await stop(log, session, 31, 6850)).contradicted
    await measure(log, session, 31.5, 6990)
    assert await log.is_over("CP1", session)
    await measure(log, session, 45, 9000)
    assert not await log.is_over("CP1", session)
    record = await stop(log, session, 60, 12000)
    assert (record.contradicted, record.energy_wh) == (False, 11000)


async def test_s11_readings_that_cannot_be_are_no_evidence(log: SessionLog) -> None:
    """A register that falls, or that rises faster than any connector lets it."""
    session = await start(log)
    await measure(log, session, 30, 6800)
    await measure(log, session, 31, 20)
    await measure(log, session, 32, 1e12)
    assert (await log.history())[0].energy_wh == 5800


async def test_s12_records_of_an_hour_are_bounded(
    log: SessionLog, caplog: pytest.LogCaptureFixture
) -> None:
    """Thousands of sessions in seconds become one record beside a bounded number; what was measured stays."""
    proven = await start(log, "proven")
    await measure(log, proven, 30, 6800)
    assert (await stop(log, proven, 31, 6850)).energy_wh == 5850
    caplog.clear()
    count = 600
    for number in range(count):
        session = await start(log, f"k{number}", 60 + number)
        await stop(log, session, 60.5 + number, 1001.0)
    other = await start(log, "other", charge_point_id="CP2")
    records = await log.history()
    assert len(records) == bounds.SESSIONS_PER_HOUR + 1
    assert sum(1 + record.merged for record in records) == count + 2
    assert sum(record.energy_wh or 0 for record in records) == count + 5850
    assert {proven, other} <= {record.id for record in records}
    assert caplog.text.count("more sessions than there can be") == 1


async def test_s12_many_ends_without_an_id_hold_nobody_up(log: SessionLog) -> None:
    """Thousands of open records, a hundred ends without an id: another one's start is recorded at once."""
    await _many_open(log, 5000)

    async def forged(number: int) -> None:
        await log.only_open("EVIL")
        await stop_unknown(log, f"end/{number}", 1, charge_point_id="EVIL")

    flood = [asyncio.ensure_future(forged(number)) for number in range(100)]
    await asyncio.sleep(0)
    worst_s = await _worst_pause_s(asyncio.gather(*flood))
    assert worst_s < 0.1
    began_s = time.perf_counter()
    await start(log)
    assert time.perf_counter() - began_s < 0.2


async def _many_open(log: SessionLog, count: int) -> None:
    """Write open sessions as an older version let them come about."""
    engine = log._database._file
    assert engine is not None
    with engine.begin() as connection:
        for number in range(count):
            connection.exec_driver_sql(
                "INSERT INTO sessions (charge_point_id, connector_id, key, started_at, ended_by_report)"
                " VALUES ('EVIL', ?, ?, ?, 0)",
                (number, f"k{number}", at(number / 1000).isoformat()),
            )


async def _worst_pause_s(work: asyncio.Future[list[None]]) -> float:
    """Return for how long the event loop stood still at most."""
    worst_s = 0.0
    while not work.done():
        began_s = time.perf_counter()
        await asyncio.sleep(0.001)
        worst_s = max(worst_s, time.perf_counter() - began_s)
    return worst_s


async def test_history_in_pages(log: SessionLog) -> None:
    """Page by page each session comes once, in order, also where several began at the same time."""
    ids = [
        await start(log, f"k{number}", number // 3, charge_point_id=f"CP{number}")
        for number in range(25)
    ]
    pages: list[list[int]] = []
    before = None
    while page := await log.history(limit=7, before=before):
        pages.insert(0, [record.id for record in page])
        before = page[0].id
    assert [len(page) for page in pages] == [4, 7, 7, 7]
    assert [item for page in pages for item in page] == ids

"""Whatever becomes of the file: the sessions go on, each is recorded once, and a person is told (S11)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
import resource
import shutil
import signal
import sqlite3
import sys

import pytest

from custom_components.reev_ems.sessions import (
    Condition,
    NewerRecordsError,
    SessionLog,
    database,
    tables,
)

T0 = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def opened(path: Path) -> SessionLog:
    """Return the records of a file."""
    log = SessionLog(path)
    await log.open()
    return log


async def start(log: SessionLog, key: str, minutes: float = 0, cp: str = "CP1") -> int:
    """Record a session of connector 1, from 1000 Wh on."""
    return await log.start(
        charge_point_id=cp,
        connector_id=1,
        key=key,
        started_at=T0 + timedelta(minutes=minutes),
        id_tag="Tag",
        meter_start_wh=1000.0,
    )


async def stop(log: SessionLog, session: int, minutes: float, wh: float) -> bool:
    """Record the end of a session."""
    return await log.stop(
        charge_point_id="CP1",
        transaction_id=session,
        stopped_at=T0 + timedelta(minutes=minutes),
        meter_stop_wh=wh,
    )


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let no file grow above a size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


async def written_again(log: SessionLog) -> None:
    """Wait until the disk takes the records."""
    async with asyncio.timeout(5):
        while log.condition.trouble is not None:
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def retry_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait half a minute for the disk."""
    monkeypatch.setattr(database, "RETRY_S", 0.1)


def damage(path: Path, what: str) -> None:
    """Damage a file."""
    if what == "no database":
        path.write_bytes(b"this is no database, whatever its name says" * 1000)
        return
    content = bytearray(path.read_bytes())
    if what == "cut":
        path.write_bytes(content[: len(content) // 2])
        return
    # All pages but the first one, which says that it is a database.
    for index in range(4096, len(content), 7):
        content[index] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("what", ["no database", "cut", "bits"])
async def test_s11_a_damaged_file_is_set_aside_and_a_new_one_begun(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing raises, the old file is kept under another name, and ids go on above those that it gave."""
    path = tmp_path / "sessions.db"
    log = await opened(path)
    last = 0
    for number in range(200):
        last = await start(log, f"k{number}", number)
    await log.close()
    damage(path, what)
    # An hour goes by.
    monkeypatch.setattr(tables, "_IDS_SINCE", tables._IDS_SINCE - timedelta(hours=1))
    told: list[Condition] = []
    log = SessionLog(path)
    log.on_change(told.append)
    await log.open()
    aside = log.condition.set_aside
    assert aside is not None
    assert aside.exists()
    assert told == [Condition(None, aside)]
    session = await start(log, "new", 1000)
    assert session > last
    await log.close()
    log = await opened(path)
    assert log.condition == Condition()
    assert (await log.history())[-1].id == session
    await log.close()


async def test_s11_damage_while_it_is_open(tmp_path: Path) -> None:
    """What was read before it goes on under its id."""
    path = tmp_path / "sessions.db"
    log = await opened(path)
    for number in range(300):
        await start(log, f"k{number}", number, cp=f"CP{number % 3}")
    await log.hold_checkpoints()
    await log.release_checkpoints()
    damage(path, "bits")
    # What SQLite has in its memory it does not read again.
    assert log._database._file is not None
    log._database._file.dispose()
    session = await start(log, "new", 1000)
    assert log.condition.set_aside is not None
    assert log.condition.trouble is None
    assert await stop(log, session, 1010, 3000)
    assert (await log.history())[-1].energy_wh == 2000
    await log.close()


async def test_s11_a_full_disk_keeps_nobody_from_charging(tmp_path: Path) -> None:
    """Sessions begin and end in memory, a running one goes on, and all is on the disk once there is room."""
    path = tmp_path / "sessions.db"
    log = await opened(path)
    running = await start(log, "running")
    told: list[str | None] = []
    log.on_change(lambda condition: told.append(condition.trouble))
    with no_file_above(8192):
        await log.meter(
            charge_point_id="CP1",
            transaction_id=running,
            at=T0 + timedelta(minutes=20),
            energy_wh=4000,
        )
        ids = [await start(log, f"new{n}", 60 + n, cp=f"N{n}") for n in range(5)]
        assert log.condition.trouble is not None
        assert len({running, *ids}) == 6
        assert await start(log, "new0", 60, cp="N0") == ids[0]
        assert await stop(log, running, 30, 5000)
        await asyncio.sleep(0.3)
        assert log.condition.trouble is not None
    await written_again(log)
    assert [text is None for text in told] == [False, True]
    await log.close()
    log = await opened(path)
    records = {record.id: record for record in await log.history()}
    assert records.keys() == {running, *ids}
    assert records[running].energy_wh == 4000
    assert await start(log, "later", 100) > max(records)
    await log.close()


async def test_s11_sqlite_says_that_it_is_full(tmp_path: Path) -> None:
    """The same by a bound within SQLite; the retry opens the file anew, and there the bound is gone."""
    log = await opened(tmp_path / "sessions.db")
    assert log._database._file is not None
    with log._database._file.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    ids = [await start(log, f"k{n}", n, cp=f"N{n}") for n in range(100)]
    await written_again(log)
    assert [record.id for record in await log.history()] == ids
    await log.close()


async def test_s11_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A directory is in its way: all is kept in memory, and written as soon as the way is free."""
    path = tmp_path / "sessions.db"
    path.mkdir()
    log = await opened(path)
    assert log.condition.trouble is not None
    session = await start(log, "k")
    path.rmdir()
    await written_again(log)
    assert await stop(log, session, 10, 2000)
    await log.close()
    log = await opened(path)
    (record,) = await log.history()
    assert (record.id, record.energy_wh) == (session, 1000)
    await log.close()


async def test_s11_a_session_that_the_file_has_is_not_doubled(tmp_path: Path) -> None:
    """While the file could not be read its sessions were told again, with other ids."""
    path, away = tmp_path / "sessions.db", tmp_path / "away"
    log = await opened(path)
    for number in range(3):
        await start(log, f"k{number}", number, cp=f"N{number}")
    await log.close()
    path.rename(away)
    path.mkdir()
    log = await opened(path)
    await start(log, "k1", 1, cp="N1")
    await start(log, "new", 5, cp="N9")
    path.rmdir()
    away.rename(path)
    await written_again(log)
    keys = [record.charge_point_id for record in await log.history()]
    assert keys == ["N0", "N1", "N2", "N9"]
    await log.close()


async def test_s11_damage_while_the_disk_is_full(tmp_path: Path) -> None:
    """What is in memory is all that is left, and all of it is written."""
    path = tmp_path / "sessions.db"
    log = await opened(path)
    ids = [await start(log, f"k{n}", n, cp=f"N{n}") for n in range(5)]
    with no_file_above(8192):
        ids.append(await start(log, "in memory", 10, cp="N9"))
        assert log.condition.trouble is not None
        path.with_name("sessions.db-wal").write_bytes(b"")
    damage(path, "no database")
    await written_again(log)
    assert log.condition.set_aside is not None
    assert [record.id for record in await log.history()] == ids
    await log.close()


async def test_s11_a_backup_while_nothing_is_kept(tmp_path: Path) -> None:
    """No site is set up: there is nothing to be held."""
    log = SessionLog(tmp_path / "sessions.db")
    await log.hold_checkpoints()
    await log.release_checkpoints()
    await log.close()


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """It is refused by a name of its own, and not a byte of it changes."""
    path = tmp_path / "sessions.db"
    log = await opened(path)
    await start(log, "k")
    await log.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {tables.VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    log = SessionLog(path)
    with pytest.raises(NewerRecordsError):
        await log.open()
    await log.close()
    assert path.read_bytes() == before


async def test_s12_only_home_assistant_reads_the_file(tmp_path: Path) -> None:
    """It has the users' tags, and so has its log; also where an older version made it."""
    path = tmp_path / "sessions.db"
    path.touch(0o644)
    log = await opened(path)
    await start(log, "k")
    modes = [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()]
    assert modes == [0o600] * 3
    await log.close()


async def test_s11_a_restored_backup_gives_no_id_twice(tmp_path: Path) -> None:
    """The older file has seen fewer sessions than were begun since."""
    path, backup = tmp_path / "sessions.db", tmp_path / "backup.db"
    log = await opened(path)
    await start(log, "k")
    await log.close()
    shutil.copy(path, backup)
    log = await opened(path)
    lost = await start(log, "lost", 5)
    await log.close()
    # No backup is restored within less.
    await asyncio.sleep(1.1)
    shutil.copy(backup, path)
    log = await opened(path)
    assert await start(log, "after", 10) != lost
    await log.close()


async def test_s11_a_copy_made_during_a_backup_is_whole(tmp_path: Path) -> None:
    """The main file does not change meanwhile, and what came before is in it without its log."""
    path, copy = tmp_path / "sessions.db", tmp_path / "copy.db"
    log = await opened(path)
    for number in range(20):
        await start(log, f"k{number}", number)
    await log.hold_checkpoints()
    before = path.read_bytes()
    for number in range(20, 1100):
        await start(log, f"k{number}", number, cp=f"N{number}")
    assert path.read_bytes() == before
    shutil.copy(path, copy)
    await log.release_checkpoints()
    await log.close()
    assert path.read_bytes() != before
    copied = await opened(copy)
    assert len(await copied.history()) == 20
    await copied.close()


async def test_s11_killed_in_the_middle_of_writing(tmp_path: Path) -> None:
    """What was answered is there, each once; several times over."""
    path = tmp_path / "sessions.db"
    answered: list[str] = []
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _WRITER,
            str(path),
            str(len(answered)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(30):
            line = (await process.stdout.readline()).decode()
            answered.append(line.strip())
        process.send_signal(signal.SIGKILL)
        answered += [
            line
            for line in (await process.stdout.read()).decode().splitlines()
            if line.endswith(".")
        ]
        await process.wait()
    log = await opened(path)
    assert log.condition == Condition()
    ids = [record.id for record in await log.history()]
    assert len(set(ids)) == len(ids)
    assert {int(line.rstrip(".")) for line in answered} <= set(ids)
    await log.close()


_WRITER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from custom_components.reev_ems.sessions import SessionLog

async def main():
    log = SessionLog(sys.argv[1])
    await log.open()
    number = int(sys.argv[2]) * 1000
    while True:
        number += 1
        session = await log.start(
            charge_point_id=f"CP{number % 7}", connector_id=1, key=f"k{number}", started_at=datetime.now(UTC)
        )
        print(f"{session}.", flush=True)

asyncio.run(main())
"""

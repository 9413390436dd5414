"""The session records in Home Assistant: what is shown of them, and that nothing of theirs stops load management."""

import asyncio
from pathlib import Path
import sqlite3
import tarfile
from typing import Any

from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems import backup
from custom_components.reev_ems.charge_points.listener import DATA
from custom_components.reev_ems.const import DOMAIN, MINOR_VERSION
from custom_components.reev_ems.sessions import database, tables
from custom_components.reev_ems.site.records import SESSIONS_FILE
from tests.config_flow.inputs import free_port
from tests.meters.wire import ModbusServer

from .charger import Charger
from .site import set_up, site_entry, subentry_id, until

LEFT = "Garage left"


@pytest.fixture
def path(hass: HomeAssistant) -> Path:
    """Return where the records are."""
    return Path(hass.config.path(SESSIONS_FILE))


def issues(hass: HomeAssistant) -> dict[str, ir.IssueEntry]:
    """Return what is shown of the records, by translation key."""
    return {
        issue.translation_key or "": issue
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN and "records" in issue.issue_id
    }


async def charges(entry: MockConfigEntry) -> int:
    """Charge at the wall box; return the transaction's id, by which it is steered."""
    charge_point = entry.runtime_data.charge_points[subentry_id(entry, LEFT)]
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.until(lambda: charge_point.floor_accepted)
        session = await charger.start()
        await charger.status("Charging")
        transaction = charge_point.connectors[1].transaction
        assert transaction
        assert transaction.id == session
        await charger.stop(session, 3000)
    return session


async def test_s11_damaged_records_do_not_stop_load_management(
    hass: HomeAssistant, meter: ModbusServer, path: Path
) -> None:
    """The site is up, cars are steered, the file is named in an issue that stays until it was read."""
    path.write_bytes(b"this is no database" * 1000)
    found = site_entry(meter.port, free_port())
    found.add_to_hass(hass)
    await set_up(hass, found)
    await charges(found)
    issue = issues(hass)["records_damaged"]
    assert issue.is_persistent
    (aside,) = path.parent.glob(f"{SESSIONS_FILE}.damaged-*")
    assert issue.translation_placeholders == {"file": aside.name}
    assert await async_setup_component(hass, "repairs", {})
    manager = repairs_flow_manager(hass)
    assert manager
    form = await manager.async_init(DOMAIN, data={"issue_id": issue.issue_id})
    assert form["type"] is FlowResultType.FORM
    done = await manager.async_configure(form["flow_id"], {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert await hass.config_entries.async_unload(found.entry_id)


async def test_s11_disk_that_takes_nothing_is_an_issue_while_it_lasts(
    hass: HomeAssistant,
    meter: ModbusServer,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cars are steered meanwhile; then their sessions are on the disk."""
    monkeypatch.setattr(database, "RETRY_S", 0.2)
    path.mkdir()
    found = site_entry(meter.port, free_port())
    found.add_to_hass(hass)
    await set_up(hass, found)
    session = await charges(found)
    assert "records_not_written" in issues(hass)
    path.rmdir()
    await until(lambda: "records_not_written" not in issues(hass))
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT id, meter_stop_wh FROM sessions").fetchall()
    connection.close()
    assert rows == [(session, 3000)]
    assert await hass.config_entries.async_unload(found.entry_id)


async def test_records_of_a_newer_version_are_refused_in_words(
    hass: HomeAssistant, meter: ModbusServer, path: Path
) -> None:
    """Nothing is written over them."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {tables.VERSION + 1}")
    connection.close()
    found = site_entry(meter.port, free_port())
    found.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(found.entry_id)
    assert found.state is ConfigEntryState.SETUP_ERROR
    assert found.error_reason_translation_key == "records_newer"


async def test_settings_of_a_newer_version_are_refused_in_words(
    hass: HomeAssistant, meter: ModbusServer
) -> None:
    """Also where only the minor version is higher: what it means is not known here."""
    found = site_entry(meter.port, free_port())
    found.add_to_hass(hass)
    hass.config_entries.async_update_entry(found, minor_version=MINOR_VERSION + 1)
    assert not await hass.config_entries.async_setup(found.entry_id)
    assert found.state is ConfigEntryState.SETUP_ERROR
    assert found.error_reason_translation_key == "settings_newer"


@pytest.mark.parametrize(
    "stored",
    [
        [],
        {"connectors": []},
        {
            "load_management": "perhaps",
            "pv_surplus": True,
            "follows_pv": {"garage": True, "x": "y"},
            "connectors": {
                "CP-LEFT:1": {"mode": "moonlight", "priority": 7, "colour": "red"},
                "CP-DC:1": {"mode": "solar", "priority": 99, "enabled": None},
            },
            "without_fallback": 5,
            "external_signal": {"source": 1},
            "weather": {"rain": 1},
        },
    ],
)
@pytest.mark.parametrize("version", [1, 7])
async def test_controls_of_a_newer_version_are_read_as_far_as_known(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    meter: ModbusServer,
    stored: Any,
    version: int,
) -> None:
    """What is not understood has its default, and the site runs."""
    found = site_entry(meter.port, free_port())
    found.add_to_hass(hass)
    key = f"{DOMAIN}.{found.entry_id}"
    hass_storage[key] = {
        "version": version,
        "minor_version": 1,
        "key": key,
        "data": stored,
    }
    await set_up(hass, found)
    controls = found.runtime_data.controls
    assert controls.load_management is True
    if isinstance(stored, dict) and "weather" in stored:
        assert controls.pv_surplus is True
        assert dict(controls.follows_pv) == {"garage": True}
        left = controls.connector("CP-LEFT:1")
        assert (left.mode, left.priority, left.enabled) == ("automatic", 7, True)
        fast_charger = controls.connector("CP-DC:1")
        assert (fast_charger.mode, fast_charger.priority) == ("solar", 5)
    assert await hass.config_entries.async_unload(found.entry_id)


@pytest.mark.parametrize("stored", [[], {"CP-LEFT": 5}, {"CP-LEFT": {"info": 1}}])
async def test_what_was_learnt_by_a_newer_version(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    meter: ModbusServer,
    stored: Any,
) -> None:
    """What cannot be read is learnt anew."""
    key = f"{DOMAIN}.charge_points"
    hass_storage[key] = {
        "version": 9,
        "minor_version": 1,
        "key": key,
        "data": stored,
    }
    found = site_entry(meter.port, free_port())
    found.add_to_hass(hass)
    await set_up(hass, found)
    await charges(found)
    assert await hass.config_entries.async_unload(found.entry_id)


async def test_s11_backup_holds_whole_records(
    hass: HomeAssistant, entry: MockConfigEntry, path: Path, tmp_path: Path
) -> None:
    """A backup that is made while sessions begin and end has those that had ended before, in one file."""
    before = [await charges(entry) for _ in range(3)]
    await backup.async_pre_backup(hass)
    content = path.read_bytes()
    during = await charges(entry)
    archive = tmp_path / "backup.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(path, SESSIONS_FILE)
    assert path.read_bytes() == content
    await backup.async_post_backup(hass)
    assert await charges(entry) > during
    restored = tmp_path / "restored"
    with tarfile.open(archive) as tar:
        tar.extractall(restored, filter="data")
    with sqlite3.connect(restored / SESSIONS_FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute("SELECT id FROM sessions ORDER BY id").fetchall()
    connection.close()
    assert [row[0] for row in rows] == before


async def test_backup_is_known_to_home_assistant(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Home Assistant finds the platform and calls it, also while the records are in memory."""
    assert await async_setup_component(hass, "backup", {})
    await hass.async_block_till_done()
    from homeassistant.components.backup import async_get_manager

    manager = async_get_manager(hass)
    assert DOMAIN in manager.platforms
    await manager.async_pre_backup_actions()
    await manager.async_post_backup_actions()


async def test_get_sessions_in_pages(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Each answer says whether there is more, and where to go on."""
    log = hass.data[DATA].sessions
    async with asyncio.timeout(5):
        ids = [await charges(entry) for _ in range(5)]
    found: list[int] = []
    data: dict[str, Any] = {"limit": 2}
    for more in (True, True, False):
        answer: Any = await hass.services.async_call(
            DOMAIN, "get_sessions", data, blocking=True, return_response=True
        )
        assert answer["more"] is more
        found = [item["id"] for item in answer["sessions"]] + found
        data["before"] = answer["next_before"]
    assert found == ids
    assert data["before"] is None
    assert log.condition.trouble is None

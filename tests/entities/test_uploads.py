"""What charge points upload to Home Assistant: one file, once, of a bounded size, and to nowhere else."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import FormData
from aiohttp.test_utils import TestClient
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from yarl import URL

from custom_components.reev_ems.charge_points import uploads

from .charger import Charger
from .site import state, subentry_id
from .test_services import LEFT, ask, charger, device_id

__all__ = ["charger"]


@pytest.fixture
async def client(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    tmp_path: Path,
) -> TestClient[Any, Any]:
    """A charge point's HTTP client: it has no user."""
    hass.config.internal_url = "http://192.0.2.3:8123"
    hass.config.media_dirs = {"local": str(tmp_path / "media")}
    return await hass_client_no_auth()


@pytest.fixture
async def path(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    charger: Charger,
    client: TestClient[Any, Any],
) -> str:
    """The path of the address that the charge point was told."""
    charger.answers["GetDiagnostics"] = lambda _: {"fileName": "diag.zip"}
    answer = await ask(hass, "get_diagnostics", device_id=device_id(entry, hass, LEFT))
    assert answer["file_name"] == "diag.zip"
    assert answer["folder"].endswith("media/reev_ems/CP-LEFT")
    location = URL(dict(charger.asked)["GetDiagnostics"]["location"])
    assert location.origin() == URL("http://192.0.2.3:8123")
    return location.path


def stored(tmp_path: Path) -> list[Path]:
    """Return the files in the media folder."""
    return [file for file in (tmp_path / "media").rglob("*") if file.is_file()]


async def test_received(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    charger: Charger,
    client: TestClient[Any, Any],
    path: str,
    tmp_path: Path,
) -> None:
    """The file is stored, an event says where, and the address is closed."""
    await charger.call("DiagnosticsStatusNotification", {"status": "Uploading"})
    upload = state(hass, entry, "event", LEFT, "upload")
    assert upload.attributes["event_type"] == "uploading"
    content = b"log" * 100_000
    answer = await client.put(f"{path}/diag.zip", data=content)
    assert answer.status == 201
    await hass.async_block_till_done()
    (file,) = stored(tmp_path)
    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o077 == 0
    assert file.name.endswith("-diag.zip")
    upload = state(hass, entry, "event", LEFT, "upload")
    assert upload.attributes["event_type"] == "received"
    assert upload.attributes["path"] == str(file)
    await charger.call("DiagnosticsStatusNotification", {"status": "UploadFailed"})
    upload = state(hass, entry, "event", LEFT, "upload")
    assert upload.attributes["event_type"] == "failed"
    assert upload.attributes["status"] == "UploadFailed"
    answer = await client.put(f"{path}/diag.zip", data=b"again")
    assert answer.status == 404
    assert len(stored(tmp_path)) == 1


async def test_form(client: TestClient[Any, Any], path: str, tmp_path: Path) -> None:
    """Some send a form; its first file is taken, whatever it calls itself."""
    form = FormData()
    form.add_field("comment", "nothing", content_type="text/plain")
    assert (await client.post(path, data=form)).status == 400
    form = FormData(quote_fields=False)
    form.add_field("comment", "nothing", content_type="text/plain")
    form.add_field("file", b"content", filename="../../../etc/x y.tar.gz")
    answer = await client.post(path, data=form)
    assert answer.status == 201
    (file,) = stored(tmp_path)
    assert file.name.endswith("-x_y.tar.gz")
    assert file.read_bytes() == b"content"


async def test_s12_size_is_bound(
    client: TestClient[Any, Any],
    path: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is too large is not kept, whether it says so or not; a smaller one may follow."""
    monkeypatch.setattr(uploads, "MAX_BYTES", 1000)
    assert (await client.put(path, data=b"x" * 1001)).status == 413

    async def endless() -> Any:
        """Send without saying how much."""
        for _ in range(11):
            yield b"x" * 100

    assert (await client.put(path, data=endless())).status == 413
    assert stored(tmp_path) == []
    assert (await client.put(path, data=b"x" * 1000)).status == 201


async def test_s12_nobody_else_uploads(
    hass: HomeAssistant,
    client: TestClient[Any, Any],
    path: str,
    tmp_path: Path,
) -> None:
    """Without the secret part there is nothing, and after a while nothing either."""
    for wrong in ("x", path.rpartition("/")[2][:-1], "%2e%2e"):
        answer = await client.put(f"/api/reev_ems/upload/{wrong}", data=b"x")
        assert answer.status == 404
    assert (await client.get(path)).status == 405
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=16))
    await hass.async_block_till_done()
    assert (await client.put(path, data=b"x")).status == 404
    assert stored(tmp_path) == []


async def test_given_address_and_refusal(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    charger: Charger,
    client: TestClient[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With an address nothing is opened here; a refusal closes what was."""
    device = device_id(entry, hass, LEFT)
    url = "ftp://192.0.2.9/in"
    charger.answers["GetDiagnostics"] = lambda _: {"fileName": "d"}
    answer = await ask(hass, "get_diagnostics", device_id=device, url=url)
    assert answer == {"file_name": "d"}
    assert dict(charger.asked)["GetDiagnostics"]["location"] == url
    charger.answers["GetLog"] = lambda _: {"status": "Rejected"}
    for _ in range(uploads._MAX_OPEN + 1):
        with pytest.raises(HomeAssistantError) as error:
            await ask(hass, "get_diagnostics", device_id=device, kind="security")
        assert error.value.translation_key == "charge_point_rejected"
    asked = dict(charger.asked)["GetLog"]
    assert asked["logType"] == "SecurityLog"
    monkeypatch.setattr(uploads, "_MAX_OPEN", 0)
    with pytest.raises(HomeAssistantError) as error:
        await ask(hass, "get_diagnostics", device_id=device)
    assert error.value.translation_key == "too_many_uploads"
    monkeypatch.undo()
    hass.config.internal_url = None
    hass.config.api = None
    with pytest.raises(HomeAssistantError) as error:
        await ask(hass, "get_diagnostics", device_id=device)
    assert error.value.translation_key == "no_internal_url"


async def test_security_event(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """What a charge point noticed is an event."""
    await charger.call(
        "SecurityEventNotification",
        {
            "type": "TamperDetectionActivated",
            "timestamp": "2026-11-23T06:00:00Z",
            "techInfo": "cover",
        },
    )
    found = state(hass, entry, "event", LEFT, "security")
    assert found.attributes["kind"] == "TamperDetectionActivated"
    assert found.attributes["detail"] == "cover"
    assert subentry_id(entry, LEFT)


async def test_disk_that_takes_nothing(
    client: TestClient[Any, Any],
    path: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The charge point and the log are told, and once there is room it may be sent again."""
    blocked = tmp_path / "media" / "reev_ems"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file where a folder should be")
    assert (await client.put(path, data=b"log")).status == 507
    assert "cannot be stored" in caplog.text
    blocked.unlink()
    assert (await client.put(path, data=b"log")).status == 201
    (file,) = stored(tmp_path)
    assert file.read_bytes() == b"log"

"""Firmware, uploads, certificates, reservations and id tag lists, of both versions, between simulator and server.

And charge points that take no profiles, or cannot be paused by them, under the server's control.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
import pytest

from custom_components.reev_ems.ocpp_server import (
    Booted,
    CallError,
    CertificateIssued,
    CertificateUse,
    ChargePoint,
    ChargePointConfig,
    ChargePointEvent,
    FirmwareSignature,
    FirmwareStatusChanged,
    LogKind,
    OcppServer,
    Permit,
    ScheduleMismatch,
    UploadStatusChanged,
    charge_point as server_charge_point,
    composite,
    steering,
    tls,
)
from custom_components.reev_ems.sessions import SessionLog
from simulator import maintenance
from simulator.outlets import Outlet, Status
from simulator.plant import Car
from simulator.site import Site, running_site
from simulator.site_file import SiteError, parse_site

from .csms import eventually
from .sites import charge_point, site

type Json = dict[str, Any]

VERSIONS = {"CP16": "ocpp1.6", "CP201": "ocpp2.0.1"}


@pytest.fixture(autouse=True)
def quick(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sockets work, and nothing take longer than it must."""
    monkeypatch.setattr(maintenance, "STEP_S", 0.05)
    monkeypatch.setattr(server_charge_point, "BOOT_WAIT_S", 0.5)
    monkeypatch.setattr(server_charge_point, "_CERTIFICATE_WAIT_S", 0.05)
    monkeypatch.setattr(steering, "_TRANSACTION_HOLD_S", 0.05)
    monkeypatch.setattr(steering, "_TRANSACTION_FRESH_S", 0.1)
    monkeypatch.setattr(steering, "_FLOOR_RETRY_S", 0.5)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[OcppServer]:
    """A listening server."""
    store = SessionLog(tmp_path / "sessions.db")
    await store.open()
    server = OcppServer(host="127.0.0.1", port=0, transactions=store)
    await server.start()
    yield server
    await server.stop()
    await store.close()


class Pair:
    """A simulated charge point and what the server sees of it."""

    def __init__(self, point: ChargePoint, running: Site) -> None:
        """Listen to it."""
        self.point = point
        self.charger = running.charge_points[point.id]
        self.events: list[ChargePointEvent] = []
        point.subscribe(self.events.append)

    @property
    def outlet(self) -> Outlet:
        """Its only outlet."""
        return self.charger.outlets[0]

    def of[T: ChargePointEvent](self, kind: type[T]) -> list[T]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(params=VERSIONS)
async def pair(
    request: pytest.FixtureRequest, server: OcppServer
) -> AsyncIterator[Pair]:
    """A charge point of each version, connected, with nobody plugged in."""
    name: str = request.param
    point = server.adopt(ChargePointConfig(id=name))
    there = charge_point(
        name,
        protocol=VERSIONS[name],
        firmware="1.0",
        connector={"plugged": False},
    )
    del there["auto_start"]
    config = parse_site(
        site(there), csms=f"ws://127.0.0.1:{server.port}", control_port=0
    )
    async with running_site(config) as running:
        pair = Pair(point, running)
        await eventually(lambda: point.info is not None and point.floor_accepted)
        yield pair
        assert list(pair.charger.link.complaints) == []


async def test_firmware_update(pair: Pair) -> None:
    """Each step is told, and it comes back with the new version; one that cannot be had is told too."""
    url = "https://example.com/fw-2.0.bin"
    await pair.point.update_firmware(url, datetime.now(UTC))
    await eventually(
        lambda: any(event.info.firmware == "fw-2.0" for event in pair.of(Booted))
    )
    told = [event.status for event in pair.of(FirmwareStatusChanged)]
    assert told == ["Downloading", "Downloaded", "Installing", "Installed"]
    pair.charger.quirks.firmware_fails = True
    await eventually(lambda: pair.charger.online)
    signature = FirmwareSignature(certificate="PEM", signature="c2ln")
    await pair.point.update_firmware(url, datetime.now(UTC), signature)
    await eventually(lambda: pair.point.firmware_status == "DownloadFailed")
    assert await pair.point.trigger("FirmwareStatusNotification") == "Accepted"


async def test_uploads(pair: Pair) -> None:
    """Diagnostics and the security log arrive where they should; a receiver that does not answer is told."""
    received: dict[str, bytes] = {}

    async def take(request: web.Request) -> web.Response:
        received[request.path] = await request.read()
        return web.Response()

    app = web.Application()
    app.add_routes([web.put("/in/{name}", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
        name = await pair.point.get_diagnostics(url)
        await eventually(lambda: pair.point.upload_status == "Uploaded")
        assert b"BootNotification" in received[f"/in/{name}"]
        await pair.point.get_log(LogKind.SECURITY, url)
        await eventually(
            lambda: (
                [event.status for event in pair.of(UploadStatusChanged)]
                == ["Uploading", "Uploaded"] * 2
            )
        )
    finally:
        await runner.cleanup()
    await pair.point.get_diagnostics(url)
    await eventually(
        lambda: pair.point.upload_status in {"UploadFailed", "UploadFailure"}
    )


async def test_s12_certificates(pair: Pair, server: OcppServer, tmp_path: Path) -> None:
    """It asks for its certificate when it is told to, and takes one for its own key only; its store can be kept."""
    authority = tls.Authority.load_or_create(tmp_path / "tls")
    server.sign_request = authority.sign_request
    await pair.point.renew_certificate()
    await eventually(lambda: pair.of(CertificateIssued))
    assert pair.of(CertificateIssued)[0].accepted
    assert pair.charger.maintenance.certificate
    other, _ = authority.charge_point_certificate("X")
    answer = await pair.point.raw_call(
        *pair.point.dialect.certificate_signed(other.decode())
    )
    assert answer["status"] == "Rejected"

    use = CertificateUse.CENTRAL_SYSTEM
    assert await pair.point.installed_certificates(use) == ()
    await pair.point.install_certificate(use, authority.pem.decode())
    with pytest.raises(CallError, match="rejected"):
        await pair.point.install_certificate(use, "nonsense")
    (installed,) = await pair.point.installed_certificates(use)
    await pair.point.delete_certificate(installed)
    assert await pair.point.installed_certificates(use) == ()
    with pytest.raises(CallError, match="rejected"):
        await pair.point.delete_certificate(installed)


async def test_reservation(pair: Pair) -> None:
    """A place is kept for one card, until it comes, the time is over, or it is given up."""
    point, charger, outlet = pair.point, pair.charger, pair.outlet
    soon = datetime.now(UTC) + timedelta(seconds=60)
    await point.reserve(1, "MINE", soon, 5)
    await eventually(lambda: point.connectors[1].status == "Reserved")
    with pytest.raises(CallError, match="rejected"):
        await point.reserve(1, "YOURS", soon, 6)
    await point.cancel_reservation(5)
    with pytest.raises(CallError, match="rejected"):
        await point.cancel_reservation(5)
    await point.reserve(1, "MINE", datetime.now(UTC) + timedelta(seconds=0.5), 7)
    await eventually(lambda: outlet.reservation is None)
    await point.reserve(1, "MINE", soon, 8)
    car = Car(ramp_s=0.1)
    charger.plug(outlet, car)
    charger.present(outlet, "YOURS")
    await eventually(lambda: charger.outbox.sent.get("Authorize", 0) == 1)
    charger.present(outlet, "mine")
    await eventually(lambda: point.connectors[1].transaction is not None)
    assert (point.connectors[1].transaction.id_tag or "").lower() == "mine"
    assert outlet.reservation is None


async def test_local_list(pair: Pair) -> None:
    """Who is on the list starts without a connection, nobody else; the session is told afterwards."""
    point, charger, outlet = pair.point, pair.charger, pair.outlet
    assert await point.local_list_version() == 0
    await point.send_local_list(["LISTED"], 3)
    assert await point.local_list_version() == 3
    charger.link.disconnect()
    await eventually(lambda: not charger.link.up)
    charger.plug(outlet, Car(ramp_s=0.1))
    await eventually(lambda: outlet.status is Status.PREPARING)
    charger.present(outlet, "STRANGER")
    assert outlet.granted is None
    charger.present(outlet, "listed")
    await eventually(lambda: outlet.transaction is not None)
    charger.link.reconnect()
    await eventually(lambda: point.connectors[1].transaction is not None, 10)


# Other ways.


@asynccontextmanager
async def charging(
    server: OcppServer, *, quirks: Json | None = None, own: Json
) -> AsyncIterator[Pair]:
    """Run a charge point with a car, quirks of its `own`, and what the server is told of them."""
    point = server.adopt(ChargePointConfig(id="CP", quirks=quirks or {}))
    config = parse_site(
        site(charge_point("CP", quirks=own)),
        csms=f"ws://127.0.0.1:{server.port}",
        control_port=0,
    )
    async with running_site(config) as running:
        yield Pair(point, running)


NO_PROFILES = {
    "rejects_tx_profile": True,
    "rejects_tx_default": True,
    "rejects_charge_point_max": True,
}


async def test_s1_a_vendors_key_limits(server: OcppServer) -> None:
    """A charge point that refuses all profiles follows its own key: floor, permit, and nothing."""
    async with charging(
        server,
        quirks={"abilities": {"vendor_key": "MaxCurrent"}},
        own=NO_PROFILES | {"vendor_key": "MaxCurrent"},
    ) as pair:
        connector = pair.outlet.connector
        await eventually(lambda: abs(connector.current_a - 6.0) < 0.1, 10)
        pair.point.permit(1, Permit(limit_a=11))
        await eventually(lambda: abs(connector.current_a - 11.0) < 0.1)
        pair.point.permit(1, Permit(limit_a=0))
        await eventually(lambda: connector.current_a == 0.0)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({}, NO_PROFILES),
        ({"zero_ends_session": True}, {"zero_stops_transaction": True}),
    ],
)
async def test_s1_pause_by_stopping(
    server: OcppServer, here: Json, there: Json
) -> None:
    """It is stopped, and started again for the same card, as often as needed."""
    async with charging(server, quirks=here, own=there) as pair:
        connector, view = pair.outlet.connector, pair.point.connectors[1]
        for _ in range(2):
            pair.point.permit(1, Permit(limit_a=16))
            await eventually(lambda: abs(connector.current_a - 16.0) < 0.1, 10)
            pair.point.permit(1, Permit(limit_a=0))
            await eventually(lambda: connector.current_a == 0.0)
            await eventually(lambda: view.state == "suspended_evse")
            assert view.transaction is None
        assert pair.outlet.connector.car is not None


async def test_s8_a_schedule_that_shows_another_limit(
    server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in force is asked for, and told where it is not what was accepted."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.1)
    async with charging(server, own={"composite_ignores_limits": True}) as pair:
        await eventually(lambda: pair.point.connectors[1].transaction is not None)
        pair.point.permit(1, Permit(limit_a=8))
        await eventually(lambda: pair.of(ScheduleMismatch))
        assert pair.of(ScheduleMismatch)[0].in_force == 16


# Encrypted.


@pytest.mark.parametrize("own", [False, True])
async def test_s12_a_site_file_with_certificates(
    server: OcppServer, tmp_path: Path, own: bool
) -> None:
    """Simulated charge points encrypt, and sign in with certificates of their own."""
    authority = tls.Authority.load_or_create(tmp_path / "tls")
    files = authority.server_certificate(("127.0.0.1",))
    await server.change_encryption(tls.context(*files, authority.path if own else None))
    options: Json = {}
    if own:
        certificate, key = authority.charge_point_certificate("CP1")
        for name, data in (("certificate", certificate), ("key", key)):
            (tmp_path / name).write_bytes(data)
            options[name] = str(tmp_path / name)
    point = server.adopt(ChargePointConfig(id="CP1"))
    config = parse_site(
        site(charge_point("CP1", **options), ca=str(authority.path)),
        csms=f"wss://127.0.0.1:{server.port}",
        control_port=0,
    )
    async with running_site(config):
        await eventually(lambda: point.floor_accepted, 10)


def test_certificates_that_cannot_be_read() -> None:
    """The charge point is named."""
    config = parse_site(
        site(charge_point("CP1"), ca="/nowhere.pem"), csms="wss://127.0.0.1:1"
    )
    with pytest.raises(SiteError, match="CP1: certificate"):
        config.charge_points()
    with pytest.raises(SiteError, match="own certificate"):
        parse_site(site(charge_point("CP1", certificate="x")))

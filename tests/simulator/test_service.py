"""Firmware, uploads, certificates, reservations and id tag lists, of both versions, between simulator and server.

And charge points that take no profiles, or cannot be paused by them, under the server's control.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
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
    Learnt,
    LogKind,
    OcppServer,
    Permit,
    ScheduleMismatch,
    SecurityEventReported,
    UploadStatusChanged,
    charge_point as server_charge_point,
    composite,
    floors,
    local_list,
    steering,
    tls,
)
from custom_components.reev_ems.sessions import SessionLog
from simulator import maintenance
from simulator.car import Car
from simulator.outlets import Outlet, Status
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
    monkeypatch.setattr(server_charge_point, "RECONNECT_WAIT_S", 0.05)
    monkeypatch.setattr(server_charge_point, "_CERTIFICATE_WAIT_S", 0.05)
    monkeypatch.setattr(steering, "_TRANSACTION_HOLD_S", 0.05)
    monkeypatch.setattr(steering, "_TRANSACTION_FRESH_S", 0.1)
    monkeypatch.setattr(floors, "_RETRY_S", 0.5)


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
        link = self.charger.link
        link.config = replace(link.config, retry_s=0.1)
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
    assert await point.dialect.local_list_room()
    await point.dialect.enable_local_list()
    await point.send_local_list({"LISTED": True}, 3)
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


def tags(count: int, *, blocked: int = 0) -> dict[str, bool]:
    """Return id tags that may charge, and some that may not."""
    allowed = {f"TAG-{number:03}": True for number in range(count)}
    return allowed | {f"NOT-{number:03}": False for number in range(blocked)}


def listed(id_tags: dict[str, bool]) -> dict[str, bool]:
    """Return what the charge point makes of a list."""
    return {id_tag.casefold(): welcome for id_tag, welcome in id_tags.items()}


async def test_list_is_kept_as_it_should_be(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts of what it takes, once, and again where the charge point has lost it."""
    monkeypatch.setattr(local_list, "SETTLE_S", 0.05)
    point, charger = pair.point, pair.charger

    async def reconnected() -> None:
        charger.link.drop()
        await eventually(lambda: not point.connected)
        await eventually(lambda: point.connected and point.local_list._ready, 10)
        # Whatever is to be sent is.
        await asyncio.sleep(0.3)

    # Without users the list is somebody else's.
    point.local_list.want({})
    await reconnected()
    assert charger.id_tags.version == 0
    wanted = tags(40, blocked=5)
    point.local_list.want(wanted)
    await eventually(lambda: charger.id_tags.listed == listed(wanted))
    await eventually(lambda: point.learnt.local_list is not None)
    assert charger.id_tags.version == 3, "20 in a message"
    assert charger.by_local_list
    await reconnected()
    assert charger.id_tags.version == 3, "it was there already"

    charger.id_tags.listed, charger.id_tags.version = {}, 0
    await reconnected()
    await eventually(lambda: charger.id_tags.listed == listed(wanted))
    assert charger.id_tags.version > 3
    wanted = tags(3)
    point.local_list.want(wanted)
    await eventually(lambda: charger.id_tags.listed == listed(wanted))
    point.local_list.want(None)
    version = charger.id_tags.version
    await reconnected()
    assert charger.id_tags.version == version
    point.local_list.want({})
    await eventually(lambda: charger.id_tags.listed == {})
    assert point.local_list.problem is None


async def test_list_that_does_not_fit(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there is room for, who may charge first; a charge point without a list is left alone."""
    monkeypatch.setattr(local_list, "SETTLE_S", 0.05)
    point, charger = pair.point, pair.charger
    limit = 20 if point.version == "1.6" else 36
    point.local_list.want({"X" * limit: True, "X" * (limit + 1): True})
    await eventually(lambda: charger.id_tags.listed == {"x" * limit: True})
    assert point.local_list.problem == "not_all"
    point.local_list.want(tags(95, blocked=10))
    if point.version == "1.6":
        # A charging station does not tell, but refuses.
        await eventually(lambda: len(charger.id_tags.listed) == 100)
        assert sum(charger.id_tags.listed.values()) == 95
        assert point.local_list.problem == "not_all"
    else:
        await eventually(lambda: point.local_list.problem == "rejected")
        assert sum(charger.id_tags.listed.values()) == 95
    charger.quirks.no_local_list = True
    before = dict(charger.id_tags.listed)
    point.local_list.want(tags(2))
    await eventually(lambda: point.local_list.problem == "unsupported")
    assert charger.id_tags.listed == before


async def test_s12_offline_as_the_list_says(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was welcome once is so no longer when he is taken from the list, or blocked in it."""
    monkeypatch.setattr(local_list, "SETTLE_S", 0.05)
    point, charger, outlet = pair.point, pair.charger, pair.outlet
    for card in ("ADA", "BOB", "EVE"):
        charger.present(outlet, card)
        await eventually(lambda: outlet.granted is not None)
        outlet.granted = None
    point.local_list.want({"ADA": True, "BOB": False})
    await eventually(lambda: point.learnt.local_list is not None)
    await eventually(lambda: not charger.id_tags.cached)
    charger.link.disconnect()
    await eventually(lambda: not charger.link.up)
    charger.plug(outlet, Car(ramp_s=0.1))
    await eventually(lambda: outlet.status is Status.PREPARING)
    for card in ("BOB", "EVE"):
        charger.present(outlet, card)
        assert outlet.granted is None
    charger.present(outlet, "ADA")
    assert outlet.granted is not None


async def test_security_events(pair: Pair) -> None:
    """Its start, its password and its firmware, in this order; and what it is commanded to tell."""
    charger, point = pair.charger, pair.point
    charger.quirks.security_events = True

    def told() -> list[str]:
        return [event.kind for event in pair.of(SecurityEventReported)]

    charger.reboot("PowerLoss")
    await eventually(lambda: told() == ["StartupOfTheDevice"], 10)
    await eventually(lambda: point.floor_accepted)
    await point.change_password("00112233445566778899aabbccddeeff")
    await eventually(lambda: told()[1:] == ["ReconfigurationOfSecurityParameters"])
    charger.maintenance.tell_security_event("TamperDetectionActivated", "cover")
    await eventually(lambda: told()[2:] == ["TamperDetectionActivated"])
    event = pair.of(SecurityEventReported)[-1]
    assert event.detail == "cover"
    assert abs((event.at - datetime.now(UTC)).total_seconds()) < 5


async def test_list_outlives_our_restart(
    server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent before is known, and not sent again."""
    monkeypatch.setattr(local_list, "SETTLE_S", 0.05)
    async with charging(server) as pair:
        pair.point.local_list.want(tags(2))
        await eventually(lambda: pair.point.learnt.local_list is not None)
        kept = Learnt.from_dict(pair.point.learnt.as_dict())
        server.remove(pair.point.id)
        await eventually(lambda: not pair.charger.link.up)
        point = server.adopt(ChargePointConfig(id=pair.point.id), kept)
        point.local_list.want(tags(2))
        await eventually(lambda: point.connected and point.local_list._ready, 10)
        await asyncio.sleep(0.5)
        assert pair.charger.id_tags.version == 1


# Other ways.


@asynccontextmanager
async def charging(
    server: OcppServer,
    *,
    quirks: Json | None = None,
    own: Json | None = None,
    protocol: str = "ocpp1.6",
) -> AsyncIterator[Pair]:
    """Run a charge point with a car, quirks of its `own`, and what the server is told of them."""
    point = server.adopt(ChargePointConfig(id="CP", quirks=quirks or {}))
    config = parse_site(
        site(charge_point("CP", protocol=protocol, quirks=own or {})),
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


@pytest.mark.parametrize(
    ("protocol", "key"),
    [("ocpp1.6", "MaxCurrent"), ("ocpp2.0.1", "VendorCtrlr.MaxCurrent")],
)
async def test_s1_a_vendors_key_limits(
    server: OcppServer, protocol: str, key: str
) -> None:
    """A charge point that refuses all profiles follows its own key: floor, permit, and nothing."""
    async with charging(
        server,
        quirks={"abilities": {"vendor_key": key}},
        own=NO_PROFILES | {"vendor_key": key},
        protocol=protocol,
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
            await eventually(
                lambda: view.state == "suspended_evse" and view.transaction is None
            )
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
    await server.listen_anew(
        "127.0.0.1", tls.context(*files, authority.path if own else None)
    )
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

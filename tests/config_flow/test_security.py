"""The forms of an OCPP port's security, and what they change at a site that runs."""

import asyncio
from datetime import UTC, datetime, timedelta
import io
from pathlib import Path
import re
import ssl
from typing import Any
from zipfile import ZipFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from custom_components.reev_ems.charge_points.security import (
    PortSecurity,
    security_of_port,
)
from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.ocpp_server import tls
from custom_components.reev_ems.ocpp_server.passwords import is_hashed, is_password
from tests.entities.charger import Charger
from tests.ocpp_server.encrypted import common_name, pem

from .inputs import (
    PASSWORD,
    add_charge_point,
    charge_point_input,
    connector_input,
    free_port,
    open_reconfigure,
    open_subentry,
    security_input,
    subentry_id,
    without_meter,
)


async def test_s12_nobody_is_locked_out_by_a_profile(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A password is demanded of all only when all have one, and then of new ones too."""
    await add_charge_point(hass, entry)
    form = await open_reconfigure(hass, entry, "ocpp_security")
    assert form.suggested == security_input("none")
    for profile in ("basic", "tls"):
        await form.submit(
            security_input(profile),
            "ocpp_security",
            security_profile="passwords_missing",
        )
        assert form.placeholders["without_password"] == "Left"
    left = subentry_id(entry, "Left")
    login = await open_subentry(hass, entry, "charge_point", left)
    await login.choose("login")
    await login.submit(
        {"security": {"login": "own"}}, "login", security="password_missing"
    )
    await login.submit(
        {"security": {"login": "own", "password": "short"}},
        "login",
        security="password_length",
    )
    await login.submit({"security": {"login": "generate"}}, "credentials")
    shown = login.placeholders
    assert shown["charge_point_id"] == "CP1"
    assert re.fullmatch(r"[0-9a-f]{32}", shown["password"])
    qr_code = login.result["data_schema"].schema["qr_code"].config["data"]
    assert qr_code.splitlines() == [shown["url"], "CP1", shown["password"]]
    assert shown["url"].startswith("ws://")
    assert entry.subentries[left].data["password"] != shown["password"]
    await login.submit({})
    login.aborted("reconfigure_successful")
    kept = entry.subentries[left].data["password"]
    assert is_password(kept, shown["password"].encode())
    assert shown["password"] not in kept

    await form.submit(security_input("basic"))
    form.aborted("reconfigure_successful")
    form = await open_subentry(hass, entry, "charge_point")
    assert form.suggested["security"] == {"login": "generate"}
    second = charge_point_input(charge_point_id="CP2", name="Right")
    await form.submit(
        {**second, "security": {"login": "none"}}, "user", security="password_demanded"
    )
    await form.submit(second, "connector")
    await form.submit(connector_input(), "credentials")
    await form.submit({})
    right = entry.subentries[subentry_id(entry, "Right")]
    assert is_hashed(right.data["password"])


async def test_password_is_removed(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Where the site does not demand one."""
    await add_charge_point(hass, entry, PASSWORD)
    left = subentry_id(entry, "Left")
    form = await open_subentry(hass, entry, "charge_point", left)
    await form.choose("login")
    assert form.suggested["security"] == {"login": "generate"}
    await form.submit({"security": {"login": "none"}})
    form.aborted("reconfigure_successful")
    assert "password" not in entry.subentries[left].data


async def test_generated_certificate(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """The names are checked, the authority can be fetched before anything changes, and by nobody else."""
    await add_charge_point(hass, entry, PASSWORD)
    form = await open_reconfigure(hass, entry, "ocpp_security")
    await form.submit(security_input("tls"), "generated_certificate")
    assert "homeassistant.local" in form.suggested["names"]
    for names in ([], ["ws://x"], ["a b"], ["192.0.2.7:9000"], ["-x"]):
        await form.submit(
            {"names": names}, "generated_certificate", names="host_invalid"
        )
    await form.submit({"names": ["ems.example", "192.0.2.7"]}, "authority")
    assert form.placeholders["url"] == "wss://ems.example:9000/"
    assert "security" not in entry.data
    without_meter(hass, entry)
    assert await hass.config_entries.async_setup(entry.entry_id)

    (path,) = re.findall(r'href="([^"]+)"', form.placeholders["certificate"])
    client = await hass_client_no_auth()
    answer = await client.get("/api/reev_ems/authority")
    assert answer.status == 401
    answer = await client.get(path)
    assert answer.status == 200
    authority = tls.Authority.load_or_create(
        Path(hass.config.path("reev_ems", "certificates"))
    )
    assert await answer.read() == authority.pem
    assert form.placeholders["fingerprint"] == authority.fingerprint

    await form.submit({})
    form.aborted("reconfigure_successful")
    security = PortSecurity.of(entry.data)
    assert security.names == ("ems.example", "192.0.2.7")
    assert security.scheme == "wss"
    form = await open_subentry(hass, entry, "charge_point", subentry_id(entry, "Left"))
    assert form.placeholders["url"] == "wss://ems.example:9000/"
    again = await open_reconfigure(hass, entry, "ocpp_security")
    assert again.suggested == security_input("tls")
    await again.submit(security_input("tls"), "generated_certificate")
    assert again.suggested["names"] == ["ems.example", "192.0.2.7"]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_certificate_files(
    hass: HomeAssistant, entry: MockConfigEntry, tmp_path: Path
) -> None:
    """Each file is checked, and what is wrong is said at its field."""
    await add_charge_point(hass, entry, PASSWORD)
    folder = tmp_path / "certificates"
    authority = tls.Authority.load_or_create(folder)
    certificate, key = authority.server_certificate(("ems.example",))
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    right = {"certificate": str(certificate), "key": str(key)}
    form = await open_reconfigure(hass, entry, "ocpp_security")
    await form.submit(security_input("mutual_tls", "files"), "certificate_files")
    for changes, errors in (
        ({"certificate": "/nowhere.pem"}, {"certificate": "file_unreadable"}),
        ({"certificate": str(nonsense)}, {"certificate": "not_a_certificate"}),
        ({"key": "/nowhere.pem"}, {"key": "file_unreadable"}),
        ({"key": str(nonsense)}, {"key": "not_a_key"}),
        (
            {"key": str(folder / "ocpp-ca-key.pem")},
            {"key": "key_of_another_certificate"},
        ),
        ({"client_ca": str(nonsense)}, {"client_ca": "not_a_certificate"}),
    ):
        await form.submit({**right, **changes}, "certificate_files", **errors)
    await form.submit({**right, "client_ca": str(authority.path)})
    form.aborted("reconfigure_successful")
    security = PortSecurity.of(entry.data)
    assert security.certificate == str(certificate)
    assert not security.issues_certificates
    form = await open_reconfigure(hass, entry, "ocpp_security")
    assert form.suggested == security_input("mutual_tls", "files")
    await form.submit(form.suggested, "certificate_files")
    assert form.suggested["key"] == str(key)


async def test_sites_that_share_a_port_have_the_same_security(
    hass: HomeAssistant, socket_enabled: None, entry: MockConfigEntry
) -> None:
    """Changing one changes the other, and a site that joins takes it over."""
    port = entry.data["ocpp_port"]
    yard = MockConfigEntry(domain=DOMAIN, title="Yard", data=dict(entry.data))
    yard.add_to_hass(hass)
    form = await open_reconfigure(hass, yard, "ocpp_security")
    await form.submit(security_input("basic"))
    assert PortSecurity.of(entry.data) == PortSecurity.of(yard.data)
    assert security_of_port(hass, port).profile == "basic"

    roof = MockConfigEntry(
        domain=DOMAIN,
        title="Roof",
        data={"limit_a": [63.0] * 3, "limit_w": None, "ocpp_port": free_port()},
    )
    roof.add_to_hass(hass)
    form = await open_reconfigure(hass, roof)
    changed = {"limit_a": 63, "phase_limits": {}, "ocpp_port": free_port()}
    await form.submit(changed)
    assert "security" not in roof.data
    other = MockConfigEntry(
        domain=DOMAIN,
        title="Cellar",
        data={**roof.data, "security": PortSecurity.of(yard.data).data},
    )
    other.add_to_hass(hass)
    joined = free_port()
    hass.config_entries.async_update_entry(
        other, data={**other.data, "ocpp_port": joined}
    )
    form = await open_reconfigure(hass, roof)
    await form.submit({**changed, "ocpp_port": joined})
    form.aborted("reconfigure_successful")
    assert PortSecurity.of(roof.data).profile == "basic"


async def dial(
    entry: ConfigEntry, context: ssl.SSLContext | None, **kwargs: Any
) -> None:
    """Connect as CP1 once; raises where that is refused."""
    scheme = "wss" if context else "ws"
    url = f"{scheme}://127.0.0.1:{entry.data['ocpp_port']}/CP1"
    async with connect(
        url, subprotocols=[Subprotocol("ocpp1.6")], ssl=context, **kwargs
    ):
        pass


async def test_s12_switched_over_while_running(
    hass: HomeAssistant,
    site: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    tmp_path: Path,
) -> None:
    """From open to certificates for every charge point, made and fetched here."""
    # In debug mode asyncio takes each handshake that fails for an error of the program.
    asyncio.get_running_loop().set_debug(False)
    port = site.data["ocpp_port"]
    async with Charger(port, "CP1") as charger:
        (charge_point,) = site.runtime_data.charge_points.values()
        await charger.until(lambda: charge_point.connected)
        form = await open_reconfigure(hass, site, "ocpp_security")
        await form.submit(security_input("mutual_tls"), "generated_certificate")
        await form.submit({"names": ["127.0.0.1"]}, "authority")
        await form.submit({}, "without_certificate")
        assert form.placeholders["charge_points"] == "Left"
        await form.submit({})
        form.aborted("reconfigure_successful")
        await hass.async_block_till_done()
        assert site.state is ConfigEntryState.LOADED
        await charger.until(lambda: not charge_point.connected)
    assert site.runtime_data.server.port == port
    with pytest.raises((InvalidHandshake, OSError, EOFError)):
        await dial(site, None)

    authority = tls.Authority.load_or_create(
        Path(hass.config.path("reev_ems", "certificates"))
    )
    trust = ssl.create_default_context(cafile=authority.path)
    with pytest.raises((InvalidHandshake, OSError, EOFError)):
        await dial(site, trust)
    form = await open_subentry(hass, site, "charge_point", subentry_id(site, "Left"))
    await form.choose("certificate")
    (path,) = re.findall(r'href="([^"]+)"', form.placeholders["certificate"])
    client = await hass_client_no_auth()
    answer = await client.get(path.replace("&amp;", "&"))
    archive = ZipFile(io.BytesIO(await answer.read()))
    assert (await client.get(path)).status == 404, "a private key is given once"
    archive.extractall(tmp_path / "cp1")
    await form.submit({})
    form.aborted("certificate_made")
    trust.load_cert_chain(tmp_path / "cp1/certificate.pem", tmp_path / "cp1/key.pem")
    await dial(site, trust)


async def test_s12_passwords_are_demanded_while_running(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    """A charge point that stays connected keeps its socket; the next connection needs the password."""
    port = site.data["ocpp_port"]
    left = subentry_id(site, "Left")
    async with Charger(port, "CP1") as charger:
        charge_point = site.runtime_data.charge_points[left]
        await charger.until(lambda: charge_point.floor_accepted)
        since = charge_point.connected_at
        form = await open_subentry(hass, site, "charge_point", left)
        await form.choose("login")
        await form.submit({"security": {"password": PASSWORD}}, "credentials")
        await form.submit({})
        form = await open_reconfigure(hass, site, "ocpp_security")
        await form.submit(security_input("basic"))
        await hass.async_block_till_done()
        await charger.status("Available")
        charge_point = site.runtime_data.charge_points[left]
        assert (charge_point.connected, charge_point.connected_at) == (True, since)
    with pytest.raises(InvalidStatus):
        await dial(site, None)
    async with Charger(port, "CP1", password=PASSWORD) as charger:
        await charger.status("Available")
    assert site.runtime_data.server.demands_password


async def test_certificate_that_is_gone(
    hass: HomeAssistant, site: MockConfigEntry, tmp_path: Path
) -> None:
    """The site waits for its certificate, and says so."""
    gone = PortSecurity.of(
        {
            "security": {
                "profile": "mutual_tls",
                "names": [],
                "certificate": str(tmp_path / "gone.pem"),
                "key": str(tmp_path / "gone-key.pem"),
                "client_ca": None,
            }
        }
    )
    hass.config_entries.async_update_entry(
        site, data={**site.data, "security": gone.data}
    )
    await hass.async_block_till_done()
    assert site.state is ConfigEntryState.SETUP_RETRY
    assert site.error_reason_translation_key == "certificate_unusable"


async def test_authority_that_cannot_be_read(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """What is wrong is said before anything changes, and mended it goes on."""
    await add_charge_point(hass, entry, PASSWORD)
    folder = Path(hass.config.path("reev_ems", "certificates"))
    await hass.async_add_executor_job(tls.Authority.load_or_create, folder)
    key = folder / "ocpp-ca-key.pem"
    right = key.read_bytes()
    key.write_text("nonsense")
    form = await open_reconfigure(hass, entry, "ocpp_security")
    await form.submit(security_input("tls"), "generated_certificate")
    names = {"names": ["ems.example"]}
    await form.submit(names, "generated_certificate", base="certificate_not_made")
    assert form.placeholders["detail"]
    assert "security" not in entry.data
    key.write_bytes(right)
    await form.submit(names, "authority")


async def test_address_in_the_network_of_the_charge_points(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Without an address of Home Assistant the usual name is offered; an IPv6 address is written in brackets."""
    await add_charge_point(hass, entry, PASSWORD)
    hass.config.internal_url = hass.config.api = None
    form = await open_reconfigure(hass, entry, "ocpp_security")
    await form.submit(security_input("tls"), "generated_certificate")
    assert form.suggested["names"] == ["homeassistant.local"]
    await form.submit({"names": ["2001:db8::7"]}, "authority")
    await form.submit({})
    form = await open_subentry(hass, entry, "charge_point", subentry_id(entry, "Left"))
    assert form.placeholders["url"] == "wss://[2001:db8::7]:9000/"


async def test_files_that_the_server_cannot_use(
    hass: HomeAssistant, entry: MockConfigEntry, tmp_path: Path
) -> None:
    """They belong together, and are still not good enough; good ones lead to the authority of the charge points."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    name = common_name("ems.example")
    now = datetime.now(UTC)
    weak = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = {
        "certificate": str(tmp_path / "weak.pem"),
        "key": str(tmp_path / "weak-key.pem"),
    }
    Path(files["certificate"]).write_bytes(
        weak.public_bytes(serialization.Encoding.PEM)
    )
    Path(files["key"]).write_bytes(pem(key))
    form = await open_reconfigure(hass, entry, "ocpp_security")
    await form.submit(security_input("mutual_tls", "files"), "certificate_files")
    await form.submit(files, "certificate_files", base="certificate_unusable")
    assert "KEY_TOO_SMALL" in form.placeholders["detail"]

    good = tls.Authority.load_or_create(tmp_path / "certificates")
    certificate, own = good.server_certificate(("ems.example",))
    await form.submit({"certificate": str(certificate), "key": str(own)}, "authority")
    assert form.placeholders["url"].startswith("wss://")
    await form.submit({})
    form.aborted("reconfigure_successful")
    assert PortSecurity.of(entry.data).issues_certificates

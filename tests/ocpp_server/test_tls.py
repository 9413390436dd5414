"""Security profiles 2 and 3, with certificates made for the test."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
import pytest
from websockets.exceptions import InvalidHandshake, InvalidStatus

from custom_components.reev_ems.ocpp_server import (
    ChargePointConfig,
    OcppServer,
    UnknownChargePoint,
    tls,
)
from custom_components.reev_ems.sessions import SessionLog

from .encrypted import Dialer, common_name, pem
from .wire import WireChargePoint


def issue(folder: Path, name: str) -> tuple[Path, Path]:
    """Issue a certificate for a charge point; its own authority is `ca.pem`."""
    ca_key, ca_name = ec.generate_private_key(ec.SECP256R1()), common_name("authority")
    now = datetime.now(UTC)

    def sign(
        subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(
                x509.BasicConstraints(ca=ca, path_length=None), critical=True
            )
            .sign(ca_key, hashes.SHA256())
        )

    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.pem").write_bytes(
        sign(ca_name, ca_key, ca=True).public_bytes(serialization.Encoding.PEM)
    )
    certificate, key_file = folder / "client.pem", folder / "client-key.pem"
    certificate.write_bytes(
        sign(common_name(name), key, ca=False).public_bytes(serialization.Encoding.PEM)
    )
    key_file.write_bytes(pem(key))
    return certificate, key_file


@pytest.fixture
async def encrypted(
    store: SessionLog, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[OcppServer]:
    """Return a server with TLS; parametrised with a folder's name it demands certificates."""
    authority = tls.Authority.load_or_create(tmp_path / "tls")
    certificate, key = authority.server_certificate(("localhost", "127.0.0.1"))
    client_ca = None
    if getattr(request, "param", None):
        issue(tmp_path, request.param)
        client_ca = tmp_path / "ca.pem"
    server = OcppServer(
        host="127.0.0.1",
        port=0,
        transactions=store,
        ssl_context=tls.context(certificate, key, client_ca),
    )
    await server.start()
    server.adopt(ChargePointConfig(id="CP1"))
    server.adopt(ChargePointConfig(id="CP2"))
    yield server
    await server.stop()


def client_context(tmp_path: Path) -> ssl.SSLContext:
    """Return what a charge point trusts: the authority's certificate, as typed into it."""
    return ssl.create_default_context(cafile=tmp_path / "tls" / tls.AUTHORITY_FILE)


async def test_s12_tls(encrypted: OcppServer, tmp_path: Path) -> None:
    """Encrypted works, plain does not, and costs nobody anything; the key is for its owner only."""
    client = WireChargePoint()
    await client.connect(
        f"wss://127.0.0.1:{encrypted.port}/CP1", ssl=client_context(tmp_path)
    )
    await client.ask("Heartbeat")
    with pytest.raises((InvalidHandshake, OSError, EOFError)):
        await WireChargePoint().connect(f"ws://127.0.0.1:{encrypted.port}/CP1")
    await client.ask("Heartbeat")
    await client.close()
    for key in (tmp_path / "tls").glob("*-key.pem"):
        assert key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("encrypted", ["CP1"], indirect=True)
async def test_s12_client_certificates(encrypted: OcppServer, tmp_path: Path) -> None:
    """A certificate opens the connection of the charge point that it names, and no other."""
    context = client_context(tmp_path)
    with pytest.raises((InvalidHandshake, OSError, EOFError)):
        await WireChargePoint().connect(
            f"wss://127.0.0.1:{encrypted.port}/CP1", ssl=context
        )
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client-key.pem")
    client = WireChargePoint()
    await client.connect(f"wss://127.0.0.1:{encrypted.port}/CP1", ssl=context)
    await client.ask("Heartbeat")
    await client.close()
    with pytest.raises(InvalidStatus) as refused:
        await WireChargePoint().connect(
            f"wss://127.0.0.1:{encrypted.port}/CP2", ssl=context
        )
    assert refused.value.response.status_code == 403


def test_authority_outlives_the_servers_certificate(tmp_path: Path) -> None:
    """A server that is reached by another name gets another certificate; what charge points trust stays."""
    first = tls.Authority.load_or_create(tmp_path)
    certificate, _ = first.server_certificate(("localhost", "127.0.0.1"))
    before = certificate.read_bytes()
    again = tls.Authority.load_or_create(tmp_path)
    assert again.fingerprint == first.fingerprint
    again.server_certificate(("localhost", "127.0.0.1"))
    assert certificate.read_bytes() == before
    again.server_certificate(("localhost", "192.0.2.7"))
    assert certificate.read_bytes() != before
    assert certificate.read_bytes().endswith(first.pem)


@pytest.mark.parametrize("named", ["CP1", "CP2"])
async def test_s12_certificates_of_our_own_authority(
    store: SessionLog, tmp_path: Path, named: str
) -> None:
    """A charge point that was given a certificate by us signs in with it, and as nobody else."""
    authority = tls.Authority.load_or_create(tmp_path)
    certificate, key = authority.server_certificate(("127.0.0.1",))
    server = OcppServer(
        host="127.0.0.1",
        port=0,
        transactions=store,
        ssl_context=tls.context(certificate, key, authority.path),
    )
    await server.start()
    server.adopt(ChargePointConfig(id="CP1"))
    dialer = Dialer(authority)
    context = dialer.showing(*authority.charge_point_certificate(named))
    status = await dialer.handshake(server.port, context)
    assert status == (101 if named == "CP1" else 403)
    await server.stop()


class Port(Dialer):
    """An encrypted port of our own authority, and what dials in there with certificates of it."""

    def __init__(self, server: OcppServer, authority: tls.Authority) -> None:
        """Take a listening server."""
        super().__init__(authority)
        self.server = server

    def make(self, charge_point_id: str) -> tuple[ssl.SSLContext, str]:
        """Make a certificate; return what shows it, and its serial number."""
        certificate, key = self.authority.charge_point_certificate(charge_point_id)
        return self.showing(certificate, key), tls.serial_number(certificate)

    async def lets_in(
        self,
        context: ssl.SSLContext,
        charge_point_id: str = "CP1",
        password: str = "",
    ) -> int:
        """Connect once; return the status of the handshake."""
        return await self.handshake(
            self.server.port, context, charge_point_id, password
        )


@pytest.fixture(params=[True, False], ids=["of all", "of some"])
async def port(
    store: SessionLog, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Port]:
    """Return a port that demands certificates of all charge points, or of some."""
    authority = tls.Authority.load_or_create(tmp_path / "tls")
    files = authority.server_certificate(("127.0.0.1",))
    context = tls.context(*files, authority.path, of_all=request.param)
    server = OcppServer(
        host="127.0.0.1", port=0, transactions=store, ssl_context=context
    )
    await server.start()
    yield Port(server, authority)
    await server.stop()


async def test_s12_only_good_certificates(port: Port) -> None:
    """Of those in its name only the ones that are good; whoever is removed needs another one when he comes again."""
    first, first_serial = port.make("CP1")
    second, second_serial = port.make("CP1")

    def adopt(*good: str) -> None:
        port.server.adopt(
            ChargePointConfig(id="CP1", demands_certificate=True, certificates=good)
        )

    adopt(first_serial)
    assert await port.lets_in(first) == 101
    # It sends no password, also where it has one from before; none makes up for a certificate.
    port.server.adopt(
        ChargePointConfig(
            id="CP1",
            demands_certificate=True,
            certificates=(first_serial,),
            password="correct horse",
        )
    )
    assert await port.lets_in(first) == 101
    assert await port.lets_in(second, password="correct horse") == 403
    adopt(first_serial)
    assert port.server.certificate_shown("CP1") == first_serial
    assert await port.lets_in(second) == 403
    assert port.server.certificate_shown("CP1") == first_serial
    adopt(first_serial, second_serial)
    assert [await port.lets_in(each) for each in (first, second)] == [101, 101]
    assert port.server.certificate_shown("CP1") == second_serial
    adopt(second_serial)
    assert await port.lets_in(first) == 403

    port.server.remove("CP1")
    assert port.server.certificate_shown("CP1") is None
    adopt()
    assert [await port.lets_in(each) for each in (first, second)] == [403, 403]


@pytest.mark.parametrize("port", [False], indirect=True)
async def test_s12_certificate_and_password_on_one_port(port: Port) -> None:
    """One charge point shows its certificate, the other logs in with its password; none does with less."""
    own, serial = port.make("CP1")
    foreign, _ = port.make("CP2")
    port.server.demands_password = True
    certified = ChargePointConfig(
        id="CP1", demands_certificate=True, certificates=(serial,)
    )
    port.server.adopt(certified)
    port.server.adopt(ChargePointConfig(id="CP2", password="correct horse"))
    assert await port.lets_in(own) == 101
    assert await port.lets_in(port.without()) == 403
    assert await port.lets_in(foreign) == 403
    assert await port.lets_in(port.without(), "CP2", "correct horse") == 101
    assert await port.lets_in(port.without(), "CP2") == 401
    assert await port.lets_in(foreign, "CP2") == 401

    # Whom nobody asks shows nothing: some have certificates of their makers, that are good for nothing here.
    stranger = tls.Authority.load_or_create(port.authority.path.parent / "other")
    certificate, key = stranger.charge_point_certificate("CP2")
    context = port.showing(certificate, key)
    with pytest.raises((InvalidHandshake, OSError, EOFError)):
        await port.lets_in(context, "CP2", "correct horse")
    port.server.remove("CP1")
    assert await port.lets_in(context, "CP2", "correct horse") == 101


async def test_s12_adoption_asks_for_the_certificate(port: Port) -> None:
    """Who waited for adoption has to dial in again, with the certificate that is his."""
    seen: list[UnknownChargePoint] = []
    port.server.pairing = True
    port.server.on_unknown = seen.append
    context, _ = port.make("CP9")
    client = WireChargePoint()
    await client.connect(f"wss://127.0.0.1:{port.server.port}/CP1", ssl=context)
    await client.boot()
    assert [each.id for each in seen] == ["CP1"]
    point = port.server.adopt(
        ChargePointConfig(id="CP1", demands_certificate=True, certificates=())
    )
    assert await client.closed() == 1012
    assert not point.connected
    assert await port.lets_in(context) == 403

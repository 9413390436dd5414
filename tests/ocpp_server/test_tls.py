"""Security profiles 2 and 3, with certificates made for the test."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
import pytest
from websockets.exceptions import InvalidHandshake, InvalidStatus

from custom_components.reev_ems.ocpp_server import ChargePointConfig, OcppServer, tls
from custom_components.reev_ems.sessions import SessionLog

from .wire import WireChargePoint


def issue(folder: Path, name: str) -> tuple[Path, Path]:
    """Issue a certificate for a charge point; its own authority is `ca.pem`."""
    ca_key, ca_name = ec.generate_private_key(ec.SECP256R1()), _name("authority")
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
        sign(_name(name), key, ca=False).public_bytes(serialization.Encoding.PEM)
    )
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, key_file


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


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
    own, own_key = authority.charge_point_certificate(named)
    (tmp_path / "own.pem").write_bytes(own)
    (tmp_path / "own-key.pem").write_bytes(own_key)
    trust = ssl.create_default_context(cafile=authority.path)
    trust.load_cert_chain(tmp_path / "own.pem", tmp_path / "own-key.pem")
    client = WireChargePoint()
    connecting = client.connect(f"wss://127.0.0.1:{server.port}/CP1", ssl=trust)
    if named == "CP1":
        await connecting
        await client.ask("Heartbeat")
        await client.close()
    else:
        with pytest.raises(InvalidStatus):
            await connecting
    await server.stop()

"""Certificates for tests, and charge points that show them at an encrypted port."""

import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from websockets.exceptions import InvalidStatus

from custom_components.reev_ems.ocpp_server import tls

from .wire import WireChargePoint

type Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def common_name(name: str) -> x509.Name:
    """Return the name of a certificate."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def csr(key: Key, name: str = "serial 17") -> str:
    """Return a certificate signing request, as a charge point makes it."""
    request = x509.CertificateSigningRequestBuilder().subject_name(common_name(name))
    return (
        request.sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


def pem(key: Key) -> bytes:
    """Return a private key as a file has it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Dialer:
    """Dials in at encrypted ports of this computer, with certificates or without."""

    def __init__(self, authority: tls.Authority) -> None:
        """Trust an authority; the certificates that are shown are kept in its folder."""
        self.authority = authority

    def without(self) -> ssl.SSLContext:
        """Return what shows no certificate."""
        return ssl.create_default_context(cafile=self.authority.path)

    def showing(self, certificate: bytes, key: bytes) -> ssl.SSLContext:
        """Return what shows a certificate, or a chain of them."""
        file = self.authority.path.with_name(f"{tls.serial_number(certificate)}.pem")
        file.write_bytes(certificate + key)
        context = self.without()
        context.load_cert_chain(file)
        return context

    async def handshake(
        self,
        port: int,
        context: ssl.SSLContext,
        charge_point_id: str = "CP1",
        password: str = "",
    ) -> int:
        """Connect once and be answered; return the status of the handshake."""
        login = f"{charge_point_id}:{password}@" if password else ""
        client = WireChargePoint()
        try:
            await client.connect(
                f"wss://{login}127.0.0.1:{port}/{charge_point_id}", ssl=context
            )
        except InvalidStatus as refused:
            return refused.response.status_code
        await client.ask("Heartbeat")
        await client.close()
        return 101

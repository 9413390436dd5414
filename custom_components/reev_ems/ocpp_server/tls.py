"""Encryption of the OCPP port: security profiles 2 (TLS) and 3 (TLS with a certificate for each charge point).

Everything here reads or writes files and is not for the event loop.
"""

from datetime import UTC, datetime, timedelta
import ipaddress
import os
from pathlib import Path
import ssl
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = timedelta(days=365 * 20)
"""Nobody renews a certificate that was typed into a charger."""

AUTHORITY_FILE = "ocpp-ca.pem"
CERTIFICATE_FILE = "ocpp-certificate.pem"
KEY_FILE = "ocpp-key.pem"
_AUTHORITY_KEY_FILE = "ocpp-ca-key.pem"
_AUTHORITY_NAME = "reev EMS OCPP authority"

type _Key = ec.EllipticCurvePrivateKey
type _PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_SMALLEST_RSA_BITS = 2048
_REQUEST_LIMIT = 5500
"""The standard's own bound of a certificate signing request, in characters."""


def context(
    certificate: Path,
    key: Path,
    client_ca: Path | None = None,
    *,
    of_all: bool = True,
) -> ssl.SSLContext:
    """Return what the server needs for TLS 1.2 and above.

    With `client_ca` each charge point has to present a certificate of this authority whose common name is its id
    (security profile 3), or only those of which the server demands it (`of_all` False). Raises OSError or
    ssl.SSLError where a file is missing or wrong.
    """
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    result.minimum_version = ssl.TLSVersion.TLSv1_2
    # Without an answer for encrypted keys OpenSSL would ask at the terminal, and wait.
    result.load_cert_chain(certificate, key, password="")
    if client_ca is not None:
        result.load_verify_locations(client_ca)
        if of_all:
            result.verify_mode = ssl.CERT_REQUIRED
    return result


def common_name(certificate: object) -> str | None:
    """Return the common name of a certificate as `SSLObject.getpeercert` gives it."""
    subject = certificate.get("subject", ()) if isinstance(certificate, dict) else ()
    names = [value for part in subject for name, value in part if name == "commonName"]
    return names[0] if len(names) == 1 else None


def shown_serial_number(certificate: object) -> str | None:
    """Return the serial number of a certificate as `SSLObject.getpeercert` gives it, written as `serial_number` does."""
    if not isinstance(certificate, dict) or "serialNumber" not in certificate:
        return None
    return f"{int(certificate['serialNumber'], 16):X}"


def serial_number(certificate: str | bytes) -> str:
    """Return the serial number of a certificate in PEM, or of the first of a chain, in hexadecimal digits."""
    pem = certificate if isinstance(certificate, bytes) else certificate.encode()
    return f"{x509.load_pem_x509_certificate(pem).serial_number:X}"


class Authority:
    """The certificate authority of this Home Assistant: charge points are given its certificate once.

    The server's own certificate can then be made anew for another name or address, and charge points can be given
    certificates of their own.
    """

    def __init__(self, folder: Path, certificate: x509.Certificate, key: _Key) -> None:
        """Use `load_or_create`."""
        self._folder = folder
        self._certificate = certificate
        self._key = key

    @classmethod
    def load_or_create(cls, folder: Path) -> Self:
        """Return the authority of a folder, made at the first time. Raises OSError, and ValueError for wrong files."""
        certificate_file, key_file = (
            folder / AUTHORITY_FILE,
            folder / _AUTHORITY_KEY_FILE,
        )
        if certificate_file.exists() and key_file.exists():
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{key_file.name} holds another kind of key")
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            return cls(folder, certificate, key)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(_AUTHORITY_NAME)
        certificate = (
            _builder(name, key.public_key(), issuer=name, issuer_key=key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_key(key_file, key)
        certificate_file.write_bytes(_pem(certificate))
        return cls(folder, certificate, key)

    @property
    def path(self) -> Path:
        """The certificate that charge points have to trust."""
        return self._folder / AUTHORITY_FILE

    @property
    def pem(self) -> bytes:
        """The certificate that charge points have to trust, in PEM."""
        return _pem(self._certificate)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint of its certificate, as chargers and browsers show it."""
        return self._certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def server_certificate(self, names: tuple[str, ...]) -> tuple[Path, Path]:
        """Return certificate and key of this server for its host names and addresses; the first is the common name.

        What exists is kept as long as the names are the same and it was signed by this authority.
        """
        certificate_file, key_file = (
            self._folder / CERTIFICATE_FILE,
            self._folder / KEY_FILE,
        )
        alternatives = x509.SubjectAlternativeName(
            [_general_name(each) for each in names]
        )
        if certificate_file.exists() and key_file.exists():
            known = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            extension = known.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            )
            if (extension.value, known.issuer) == (
                alternatives,
                self._certificate.subject,
            ):
                return certificate_file, key_file
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            _name(names[0]),
            key.public_key(),
            ExtendedKeyUsageOID.SERVER_AUTH,
            alternatives,
        )
        _write_key(key_file, key)
        # With the authority's own, for charge points that want to see the whole chain.
        certificate_file.write_bytes(_pem(certificate) + self.pem)
        return certificate_file, key_file

    def charge_point_certificate(self, charge_point_id: str) -> tuple[bytes, bytes]:
        """Return a new certificate and key for a charge point, in PEM; the key is kept nowhere."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            _name(charge_point_id), key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH
        )
        return _pem(certificate), _key_pem(key)

    def sign_request(self, request: str, charge_point_id: str) -> str:
        """Return the certificate that a charge point asks for (SignCertificate), with this authority's, in PEM.

        Whatever name it asks for, it gets the one that it is known by here: no charge point can become another
        one. Raises ValueError for what is no request of a key that is good enough.
        """
        if len(request) > _REQUEST_LIMIT:
            raise ValueError("certificate signing request is too long")
        try:
            asked = x509.load_pem_x509_csr(request.encode())
            key, proven = asked.public_key(), asked.is_signature_valid
        except UnsupportedAlgorithm as error:
            raise ValueError(str(error)) from error
        if not proven:
            raise ValueError("certificate signing request is not signed by its own key")
        strong = isinstance(key, ec.EllipticCurvePublicKey) or (
            isinstance(key, rsa.RSAPublicKey) and key.key_size >= _SMALLEST_RSA_BITS
        )
        if not strong:
            raise ValueError("key of the certificate signing request is too weak")
        certificate = self._sign(
            _name(charge_point_id),
            key,  # type: ignore[arg-type]
            ExtendedKeyUsageOID.CLIENT_AUTH,
        )
        return (_pem(certificate) + self.pem).decode()

    def _sign(
        self,
        subject: x509.Name,
        public_key: _PublicKey,
        purpose: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        """Return a certificate for one purpose."""
        builder = (
            _builder(
                subject,
                public_key,
                issuer=self._certificate.subject,
                issuer_key=self._key.public_key(),
            )
            .add_extension(
                x509.BasicConstraints(ca=False, path_length=None), critical=True
            )
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _builder(
    subject: x509.Name,
    public_key: _PublicKey,
    *,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    """Return what all certificates have in common; OpenSSL's strict check wants both identifiers."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key),
            critical=False,
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(file: Path, key: _Key) -> None:
    """Write a private key that only its owner may read."""
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
    ) as stream:
        stream.write(_key_pem(key))


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

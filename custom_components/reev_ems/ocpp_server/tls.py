"""Encryption of the OCPP port: security profiles 2 (TLS) and 3 (TLS with a certificate for each charge point).

Everything here reads or writes files and is not for the event loop.
"""

from datetime import UTC, datetime, timedelta
import ipaddress
import os
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = timedelta(days=365 * 20)
"""Nobody renews a certificate that was typed into a charger."""


def context(
    certificate: Path, key: Path, client_ca: Path | None = None
) -> ssl.SSLContext:
    """Return what the server needs for TLS 1.2 and above.

    With `client_ca` each charge point has to present a certificate of this authority whose common name is its id
    (security profile 3). Raises OSError or ssl.SSLError where a file is missing or wrong.
    """
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    result.minimum_version = ssl.TLSVersion.TLSv1_2
    result.load_cert_chain(certificate, key)
    if client_ca is not None:
        result.verify_mode = ssl.CERT_REQUIRED
        result.load_verify_locations(client_ca)
    return result


def common_name(certificate: object) -> str | None:
    """Return the common name of a certificate as `SSLObject.getpeercert` gives it."""
    subject = certificate.get("subject", ()) if isinstance(certificate, dict) else ()
    names = [value for part in subject for name, value in part if name == "commonName"]
    return names[0] if len(names) == 1 else None


def generate(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """Make a self-signed certificate for the host names and addresses of this server, and return its paths.

    The first name becomes the common name. Files that exist are kept.
    """
    certificate, key_file = folder / "ocpp-certificate.pem", folder / "ocpp-key.pem"
    if certificate.exists() and key_file.exists():
        return certificate, key_file
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(each) for each in names]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(
        os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
    ) as file:
        file.write(private)
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return certificate, key_file


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

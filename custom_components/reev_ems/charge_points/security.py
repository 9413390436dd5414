"""How the OCPP ports are secured, as the sites that use them are set up.

Encryption belongs to a port: sites that share one have the same settings.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
import ssl
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ..const import CONF_OCPP_PORT, CONF_SECURITY, DOMAIN
from ..ocpp_server import tls

CERTIFICATES_FOLDER = ("reev_ems", "certificates")


class SecurityProfile(StrEnum):
    """The security profiles of OCPP, 0 to 3."""

    NONE = "none"
    BASIC = "basic"
    TLS = "tls"
    MUTUAL_TLS = "mutual_tls"

    @property
    def is_encrypted(self) -> bool:
        """Return whether charge points connect by TLS."""
        return self in (SecurityProfile.TLS, SecurityProfile.MUTUAL_TLS)

    @property
    def demands_password(self) -> bool:
        """Return whether every charge point needs a password; with a certificate of its own it may have one."""
        return self in (SecurityProfile.BASIC, SecurityProfile.TLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSecurity:
    """How one OCPP port is secured."""

    profile: SecurityProfile = SecurityProfile.NONE
    address: str | None = None
    """Address of this machine at which alone the port is open; None: at every one that it has."""
    names: tuple[str, ...] = ()
    """Host names and addresses for which a certificate is made; empty where there are files."""
    certificate: str | None = None
    """Path of a file in PEM, as are the other two."""
    key: str | None = None
    client_ca: str | None = None
    """The authority of the charge points' certificates; None: ours."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Return the security of a site's port from its config entry's data."""
        stored = dict(data.get(CONF_SECURITY) or {})
        if not stored:
            return cls()
        return cls(
            **stored
            | {
                "profile": SecurityProfile(stored["profile"]),
                "names": tuple(stored["names"]),
            }
        )

    @property
    def data(self) -> dict[str, Any]:
        """Return what is stored of it."""
        return asdict(self) | {"profile": self.profile.value, "names": list(self.names)}

    @property
    def scheme(self) -> str:
        """Return how addresses of the port begin."""
        return "wss" if self.profile.is_encrypted else "ws"

    @property
    def encryption(self) -> Self | None:
        """Return what charge points have to dial in again for when it changes; None: no encryption."""
        return self if self.profile.is_encrypted else None

    @property
    def issues_certificates(self) -> bool:
        """Return whether all charge points are given certificates by our own authority."""
        return self.profile is SecurityProfile.MUTUAL_TLS and self.client_ca is None

    @property
    def takes_own_certificates(self) -> bool:
        """Return whether charge points may show certificates of our own authority."""
        return self.profile.is_encrypted and self.client_ca is None


def sites_of_port(hass: HomeAssistant, port: int) -> list[ConfigEntry[Any]]:
    """Return the sites that use an OCPP port."""
    return [
        entry
        for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
        if entry.data[CONF_OCPP_PORT] == port
    ]


def security_of_port(hass: HomeAssistant, port: int) -> PortSecurity:
    """Return how a port is secured; one that no site uses yet is not."""
    for entry in sites_of_port(hass, port):
        return PortSecurity.of(entry.data)
    return PortSecurity()


def certificates_folder(hass: HomeAssistant) -> Path:
    """Return where our own certificates are kept."""
    return Path(hass.config.path(*CERTIFICATES_FOLDER))


async def async_authority(hass: HomeAssistant) -> tls.Authority:
    """Return our certificate authority, made at the first time. Raises OSError and ValueError."""
    return await hass.async_add_executor_job(
        tls.Authority.load_or_create, certificates_folder(hass)
    )


async def async_ssl_context(
    hass: HomeAssistant, security: PortSecurity
) -> ssl.SSLContext | None:
    """Return what the server encrypts with; None: nothing. Raises OSError (ssl.SSLError is one) and ValueError."""
    if not security.profile.is_encrypted:
        return None

    def load() -> ssl.SSLContext:
        folder = certificates_folder(hass)
        client_ca = (
            Path(security.client_ca)
            if security.client_ca
            else tls.Authority.load_or_create(folder).path
        )
        return tls.context(
            *_server_files(security, folder),
            client_ca,
            of_all=security.profile is SecurityProfile.MUTUAL_TLS,
        )

    return await hass.async_add_executor_job(load)


async def async_renew_certificate(
    hass: HomeAssistant, security: PortSecurity, context: ssl.SSLContext
) -> None:
    """Let a running server show the certificate that its file holds now. Raises OSError and ValueError."""

    def load() -> None:
        files = _server_files(security, certificates_folder(hass))
        # An encrypted key is refused; without an answer OpenSSL would ask at the terminal, and wait.
        context.load_cert_chain(*files, password="")

    await hass.async_add_executor_job(load)


def _server_files(security: PortSecurity, folder: Path) -> tuple[Path, Path]:
    """Return certificate and key of the server, made if they are to be ours."""
    if security.certificate is None or security.key is None:
        return tls.Authority.load_or_create(folder).server_certificate(security.names)
    return Path(security.certificate), Path(security.key)


def file_errors(certificate: str, key: str, client_ca: str | None) -> dict[str, str]:
    """Return what is wrong with the files of a port, as error keys by the name of the file's field. Reads them."""
    errors: dict[str, str] = {}
    found = _certificate(certificate)
    if isinstance(found, str):
        errors["certificate"] = found
    try:
        private = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    except OSError:
        errors["key"] = "file_unreadable"
    except ValueError, TypeError:
        errors["key"] = "not_a_key"
    else:
        if not isinstance(found, str) and private.public_key() != found.public_key():
            errors["key"] = "key_of_another_certificate"
    if client_ca is not None and isinstance(wrong := _certificate(client_ca), str):
        errors["client_ca"] = wrong
    return errors


def _certificate(path: str) -> x509.Certificate | str:
    """Return the certificate in a file, or what is wrong with it."""
    try:
        certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except OSError:
        return "file_unreadable"
    except ValueError:
        return "not_a_certificate"
    if certificate.not_valid_after_utc < datetime.now(UTC):
        return "certificate_expired"
    return certificate

"""What a charge point does besides charging: firmware, uploads, certificates and security events."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
import hashlib
import logging
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientSession, ClientTimeout
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .link import Json
from .outbox import Message
from .profiles import iso

if TYPE_CHECKING:
    from .charge_point import ChargePoint

_LOGGER = logging.getLogger(__name__)

STEP_S = 1.0
"""How long each step of a firmware update takes."""
_UPLOAD_TIMEOUT_S = 30.0
_MOST_JOBS = 10

_UPDATE = ("Downloading", "Downloaded", "Installing", "Installed")
_FAILED_UPDATE = ("Downloading", "DownloadFailed")


@dataclass(slots=True, kw_only=True)
class _Update:
    """A firmware update that is under way."""

    firmware: str
    action: str
    request_id: int | None
    steps: list[str]
    next_at: float


class Maintenance:
    """The part of a charge point that is no charging."""

    def __init__(self, point: ChargePoint) -> None:
        """Begin with nothing to do."""
        self.firmware_status = "Idle"
        self.upload_status = "Idle"
        self.certificate: str | None = None
        """The chain that it was given, in PEM."""
        self.key: ec.EllipticCurvePrivateKey | None = None
        """The key of the certificate that it asked for last."""
        self.store: dict[str, list[str]] = {}
        """Certificates of authorities in PEM, by their use."""
        self._point = point
        self._update: _Update | None = None
        self._jobs: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue(
            _MOST_JOBS
        )

    async def run(self) -> None:
        """Carry out what takes long, until cancelled."""
        while True:
            job = await self._jobs.get()
            await job()

    def tick(self) -> None:
        """Go on with a firmware update."""
        update = self._update
        if update is None or self._point.now < update.next_at:
            return
        self._firmware(update.steps.pop(0), update)
        update.next_at = self._point.now + STEP_S
        if update.steps:
            return
        self._update = None
        if self.firmware_status == "Installed":
            self._point.firmware = update.firmware
            self.noticed("FirmwareUpdated")
            self._point.reboot_soon("Reboot", when_idle=True)

    # Firmware and uploads.

    def update_firmware(
        self, location: str, at: float, *, action: str, request_id: int | None
    ) -> None:
        """Fetch firmware at a time, and install it; its version is the name of the file."""
        steps = _FAILED_UPDATE if self._point.quirks.firmware_fails else _UPDATE
        self._update = _Update(
            firmware=location.rpartition("/")[2].rpartition(".")[0] or location,
            action=action,
            request_id=request_id,
            steps=list(steps),
            next_at=at,
        )

    def _firmware(self, status: str, update: _Update) -> None:
        self.firmware_status = status
        self.tell(update.action, {"status": status} | _with_request(update.request_id))

    def upload(self, location: str, *, action: str, request_id: int | None) -> str:
        """Upload a log by HTTP PUT; returns the name of its file."""
        name = f"{self._point.config.id}.log"
        if not self._jobs.full():
            self._jobs.put_nowait(
                partial(self._upload, location, name, action, request_id)
            )
        return name

    async def _upload(
        self, location: str, name: str, action: str, request_id: int | None
    ) -> None:
        self._uploading("Uploading", action, request_id)
        log = "\n".join(
            f"{action}: {count}" for action, count in self._point.outbox.sent.items()
        )
        try:
            async with (
                ClientSession(timeout=ClientTimeout(_UPLOAD_TIMEOUT_S)) as session,
                session.put(f"{location.rstrip('/')}/{name}", data=log) as answer,
            ):
                answer.raise_for_status()
        except (ClientError, TimeoutError, ValueError) as error:
            _LOGGER.info("%s: upload failed: %s", self._point.config.id, error)
            failed = "UploadFailed" if request_id is None else "UploadFailure"
            self._uploading(failed, action, request_id)
            return
        self._uploading("Uploaded", action, request_id)

    def _uploading(self, status: str, action: str, request_id: int | None) -> None:
        self.upload_status = status
        self.tell(action, {"status": status} | _with_request(request_id))

    # Security.

    def noticed(self, kind: str) -> None:
        """Tell what it noticed, if it is one that tells such things."""
        if self._point.quirks.security_events:
            self.tell_security_event(kind)

    def tell_security_event(self, kind: str, detail: str = "") -> None:
        """Send a SecurityEventNotification."""
        payload = {"type": kind, "timestamp": iso(self._point.now)}
        self.tell("SecurityEventNotification", payload | _with_detail(detail))

    def ask_for_certificate(self) -> None:
        """Make a new key, and ask for its certificate."""
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.NameAttribute(NameOID.COMMON_NAME, self._point.config.serial)
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([name]))
            .sign(self.key, hashes.SHA256())
        )
        pem = request.public_bytes(serialization.Encoding.PEM).decode()
        self.tell("SignCertificate", {"csr": pem})

    def take_certificate(self, chain: str) -> bool:
        """Take the certificate that was asked for; False if it is not for its key."""
        try:
            certificate = x509.load_pem_x509_certificates(chain.encode())[0]
        except ValueError:
            return False
        if self.key is None or certificate.public_key() != self.key.public_key():
            return False
        self.certificate = chain
        return True

    def install_certificate(self, use: str, pem: str) -> bool:
        """Put an authority's certificate into the store; False if it is none."""
        try:
            x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            return False
        self.store.setdefault(use, []).append(pem)
        return True

    def installed(self, use: str) -> list[Json]:
        """Return the hashes of the certificates of a use."""
        return [_hashes_of(pem) for pem in self.store.get(use, ())]

    def delete_certificate(self, hashes_of: Json) -> bool:
        """Remove a certificate; False if there is none."""
        for kept in self.store.values():
            for pem in kept:
                if _hashes_of(pem) == hashes_of:
                    kept.remove(pem)
                    return True
        return False

    def tell(self, action: str, payload: Json) -> None:
        """Tell the central system."""
        self._point.outbox.tell(Message(action=action, payload=lambda: payload))


def _with_request(request_id: int | None) -> Json:
    return {} if request_id is None else {"requestId": request_id}


def _with_detail(detail: str) -> Json:
    return {"techInfo": detail} if detail else {}


def _hashes_of(pem: str) -> Json:
    """Return how OCPP names a certificate, here one that signed itself."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": hashlib.sha256(certificate.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": hashlib.sha256(key).hexdigest(),
        "serialNumber": f"{certificate.serial_number:x}",
    }

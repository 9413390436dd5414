"""What a person or an automation asks of a charge point, whatever its OCPP version."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from . import fields
from .model import (
    CallError,
    CertificateHash,
    CertificateUse,
    ConnectorView,
    FirmwareSignature,
    IdTags,
    LogKind,
    Payload,
)
from .session import CALL_TIMEOUT_S

if TYPE_CHECKING:
    from .dialect import Dialect, Request
    from .session import Session
    from .steering import Steering

_NEGATIVE = frozenset(
    {"rejected", "notsupported", "notimplemented", "unlockfailed", "failed", "faulted", "occupied", "unavailable",
     "notfound", "invalidcertificate", "revokedcertificate", "unknownconnector", "unknownvendorid", "unknownmessageid", "versionmismatch", "ongoingauthorizedtransaction"}
)  # fmt: skip


class RemoteControl:
    """The requests of a charge point."""

    dialect: Dialect
    steering: Steering
    connectors: Mapping[int, ConnectorView]
    _session: Session | None

    async def remote_start(self, connector_id: int, id_tag: str) -> str:
        """Start charging for an id tag, after a restart where its model takes no other. Raises CallError."""
        connector = self._connector(connector_id)
        try:
            return await self._command(self.dialect.remote_start(connector_id, id_tag))
        except CallError as error:
            if error.key != "rejected" or self._session is None:
                raise
            pauses = self.steering.pauses
            if not await pauses.start_after_restart(self._session, connector, id_tag):
                raise
            return "Accepted"

    async def remote_stop(self, connector_id: int) -> str:
        """Stop the transaction of a connector. Raises CallError."""
        transaction = self._connector(connector_id).transaction
        if transaction is None:
            raise CallError("no_transaction")
        return await self._command(self.dialect.remote_stop(transaction))

    async def reset(self, hard: bool = False) -> str:
        """Restart it. Raises CallError."""
        return await self._command(self.dialect.reset(hard=hard))

    async def unlock(self, connector_id: int) -> str:
        """Unlock a plug. Raises CallError."""
        self._connector(connector_id)
        return await self._command(self.dialect.unlock(connector_id))

    async def set_availability(self, connector_id: int, operative: bool) -> str:
        """Take a connector (0: all) into or out of service. Raises CallError."""
        return await self._command(
            self.dialect.set_availability(connector_id, operative=operative)
        )

    async def trigger(self, message: str, connector_id: int | None = None) -> str:
        """Ask it to send a message, by its OCPP name. Raises CallError."""
        return await self._command(self.dialect.trigger(message, connector_id))

    async def get_configuration(
        self, keys: list[str] | None = None
    ) -> dict[str, str | None]:
        """Read configuration keys or variables; all if none is named. Raises CallError."""
        return await self.dialect.get_configuration(keys or [])

    async def change_configuration(self, key: str, value: str) -> str:
        """Write a configuration key or variable; returns Accepted or RebootRequired. Raises CallError."""
        return self._positive(
            "ChangeConfiguration", await self.dialect.change_configuration(key, value)
        )

    async def data_transfer(
        self, vendor_id: str, message_id: str | None, data: str | None
    ) -> Payload:
        """Send a vendor's message and return the answer. Raises CallError."""
        payload: Payload = {"vendorId": vendor_id}
        if message_id is not None:
            payload["messageId"] = message_id
        if data is not None:
            payload["data"] = data
        answer = await self.raw_call("DataTransfer", payload)
        self._positive("DataTransfer", str(answer.get("status", "")))
        return answer

    async def clear_cache(self) -> str:
        """Forget the id tags that it keeps. Raises CallError."""
        return await self._command(("ClearCache", {}))

    async def reserve(
        self, connector_id: int, id_tag: str, until: datetime, reservation_id: int
    ) -> str:
        """Reserve a connector for an id tag. Raises CallError."""
        self._connector(connector_id)
        return await self._command(
            self.dialect.reserve(connector_id, id_tag, until, reservation_id)
        )

    async def cancel_reservation(self, reservation_id: int) -> str:
        """Cancel a reservation. Raises CallError."""
        return await self._command(
            ("CancelReservation", {"reservationId": reservation_id})
        )

    async def update_firmware(
        self, location: str, at: datetime, signature: FirmwareSignature | None = None
    ) -> str:
        """Fetch firmware from a URL and install it. Progress: FirmwareStatusChanged. Raises CallError."""
        return await self._command(
            self.dialect.update_firmware(location, at, signature)
        )

    async def get_diagnostics(self, location: str) -> str:
        """Upload its diagnostics to a URL; returns the file name, if it tells. Progress: UploadStatusChanged.

        Raises CallError.
        """
        return await self._upload(self.dialect.get_diagnostics(location))

    async def get_log(self, kind: LogKind, location: str) -> str:
        """Upload a log to a URL; returns the file name, if it tells. Progress: UploadStatusChanged.

        Not every charge point of OCPP 1.6 knows it. Raises CallError.
        """
        return await self._upload(self.dialect.get_log(kind, location))

    async def _upload(self, request: Request) -> str:
        action, payload = request
        answer = await self.raw_call(action, payload)
        self._positive(action, str(answer.get("status", "")))
        return fields.text(answer, "fileName") or fields.text(answer, "filename") or ""

    async def local_list_version(self) -> int:
        """Return the version of its list of id tags; 0: it has none, -1: it cannot have one. Raises CallError."""
        (action, payload), name = self.dialect.get_local_list_version()
        version = fields.integer(await self.raw_call(action, payload), name)
        if version is None:
            raise CallError("invalid_answer", action)
        return version

    async def renew_certificate(self) -> str:
        """Ask it to ask for a new certificate; what comes of it is told by CertificateIssued. Raises CallError."""
        return await self._command(self.dialect.trigger_certificate())

    async def install_certificate(self, use: CertificateUse, certificate: str) -> str:
        """Put an authority's certificate (PEM) into its store. Raises CallError."""
        return await self._command(self.dialect.install_certificate(use, certificate))

    async def installed_certificates(
        self, use: CertificateUse
    ) -> tuple[CertificateHash, ...]:
        """Return which certificates are in its store. Raises CallError."""
        action, payload = self.dialect.installed_certificates(use)
        answer = await self.raw_call(action, payload)
        if str(answer.get("status", "")).lower() == "notfound":
            return ()
        self._positive(action, str(answer.get("status", "")))
        # 1.6 names them at once, 2.0.1 within chains.
        entries = fields.mappings(answer, "certificateHashData") + [
            fields.mapping(chain, "certificateHashData")
            for chain in fields.mappings(answer, "certificateHashDataChain")
        ]
        return tuple(
            CertificateHash(
                algorithm=fields.text(entry, "hashAlgorithm") or "",
                issuer_name_hash=fields.text(entry, "issuerNameHash") or "",
                issuer_key_hash=fields.text(entry, "issuerKeyHash") or "",
                serial_number=fields.text(entry, "serialNumber") or "",
            )
            for entry in entries
        )

    async def delete_certificate(self, certificate: CertificateHash) -> str:
        """Remove a certificate from its store. Raises CallError."""
        return await self._command(self.dialect.delete_certificate(certificate))

    async def send_local_list(
        self, id_tags: IdTags, version: int, *, full: bool = True
    ) -> str:
        """Replace the list of id tags by which it decides while it is offline, or add to it. Raises CallError."""
        return await self._command(
            self.dialect.send_local_list(id_tags, version, full=full)
        )

    async def change_password(self, password: str) -> str:
        """Set the password that it signs in with, from its next connection on. Raises CallError."""
        return await self.change_configuration(*self.dialect.password_key(password))

    async def raw_call(
        self,
        action: str,
        payload: Payload,
        *,
        urgent: bool = False,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Payload:
        """Send any request and return its answer. Raises CallError."""
        if self._session is None:
            raise CallError("not_connected")
        return await self._session.call(
            action, payload, urgent=urgent, timeout_s=timeout_s
        )

    def _connector(self, connector_id: int) -> ConnectorView:
        if connector_id not in self.connectors:
            raise CallError("unknown_connector", str(connector_id))
        return self.connectors[connector_id]

    async def _command(self, request: Request) -> str:
        action, payload = request
        answer = await self.raw_call(action, payload)
        return self._positive(action, str(answer.get("status", "")))

    def _positive(self, action: str, status: str) -> str:
        """Return the status of an answer. Raises CallError (`rejected`) if it is negative."""
        if status.replace(" ", "").lower() in _NEGATIVE:
            raise CallError("rejected", f"{action}: {status}", status=status)
        return status

"""What both dialects are asked in the same words about starts, logs, certificates and reservations."""

from collections.abc import Callable

from .charge_point import ChargePoint
from .link import Json
from .outlets import Status


class ServicedChargePoint(ChargePoint):
    """The part of a charge point that answers in words which both versions share."""

    @property
    def service_answers(self) -> dict[str, Callable[[Json], Json]]:
        """Return who answers what."""
        return {
            "CancelReservation": self._cancel_reservation,
            "ClearCache": self._clear_cache,
            "CertificateSigned": self._certificate_signed,
            "DeleteCertificate": self._delete_certificate,
            "GetLog": self._get_log,
            "InstallCertificate": self._install_certificate,
        }

    @property
    def startable(self) -> tuple[Status, ...]:
        """The states in which a remote start is taken, the likeliest first."""
        states = (Status.PREPARING, Status.AVAILABLE, Status.FINISHING)
        return states[:2] if self.quirks.finishing_until_unplugged else states

    def _clear_cache(self, _payload: Json) -> Json:
        self.id_tags.cached.clear()
        return {"status": "Accepted"}

    def _get_log(self, payload: Json) -> Json:
        name = self.maintenance.upload(
            payload["log"]["remoteLocation"],
            action="LogStatusNotification",
            request_id=payload["requestId"],
        )
        return {"status": "Accepted", "filename": name}

    def _certificate_signed(self, payload: Json) -> Json:
        taken = self.maintenance.take_certificate(payload["certificateChain"])
        return {"status": "Accepted" if taken else "Rejected"}

    def _install_certificate(self, payload: Json) -> Json:
        taken = self.maintenance.install_certificate(
            payload["certificateType"], payload["certificate"]
        )
        return {"status": "Accepted" if taken else "Rejected"}

    def _delete_certificate(self, payload: Json) -> Json:
        found = self.maintenance.delete_certificate(payload["certificateHashData"])
        return {"status": "Accepted" if found else "NotFound"}

    def _cancel_reservation(self, payload: Json) -> Json:
        found = self.cancel_reservation(payload["reservationId"])
        return {"status": "Accepted" if found else "Rejected"}

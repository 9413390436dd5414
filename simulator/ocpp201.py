"""OCPP 2.0.1 of a good charging station: provisioning, availability, maintenance, and who answers what.

Each EVSE has one connector; the outlet's number is the EVSE's id.
"""

from collections.abc import Callable, Mapping
from typing import Any, override

from .link import CallError, Json
from .outbox import Message
from .outlets import Outlet, Reservation, Status
from .profiles import iso, timestamp
from .smart_charging import WHOLE
from .transactions201 import CONNECTOR, Transactions201

_LOCAL_LIST = frozenset({"GetLocalListVersion", "SendLocalList"})

_REPORT_ENTRIES = 10
"""Variables in one NotifyReport."""

_STATUS = {
    Status.AVAILABLE: "Available",
    Status.RESERVED: "Reserved",
    Status.PREPARING: "Occupied",
    Status.CHARGING: "Occupied",
    Status.SUSPENDED_EV: "Occupied",
    Status.SUSPENDED_EVSE: "Occupied",
    Status.FINISHING: "Occupied",
    Status.UNAVAILABLE: "Unavailable",
    Status.FAULTED: "Faulted",
}


class ChargePoint201(Transactions201):
    """A charging station that speaks OCPP 2.0.1."""

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what ChargePoint takes."""
        super().__init__(*args, **kwargs)
        self._answers: dict[str, Callable[[Json], Json]] = self.service_answers | {
            "ChangeAvailability": self._change_availability,
            "ClearChargingProfile": self.clear_charging_profile,
            "DataTransfer": lambda payload: {"status": "UnknownVendorId"},
            "GetBaseReport": self._get_base_report,
            "GetReport": self._get_report,
            "GetChargingProfiles": self.get_charging_profiles,
            "GetCompositeSchedule": self.get_composite_schedule,
            "GetInstalledCertificateIds": self._installed_certificates,
            "GetLocalListVersion": lambda payload: {
                "versionNumber": self.id_tags.version
            },
            "GetTransactionStatus": self.get_transaction_status,
            "GetVariables": self._get_variables,
            "RequestStartTransaction": self.request_start,
            "RequestStopTransaction": self.request_stop,
            "ReserveNow": self._reserve_now,
            "Reset": self._reset,
            "SendLocalList": self._send_local_list,
            "SetChargingProfile": self.set_charging_profile,
            "SetVariables": self._set_variables,
            "TriggerMessage": self._trigger_message,
            "UnlockConnector": self._unlock,
            "UpdateFirmware": self._update_firmware,
        }

    # To the central system.

    @override
    def boot_message(self) -> Message:
        payload = {
            "reason": "PowerUp",
            "chargingStation": {
                "vendorName": self.config.vendor,
                "model": self.config.model,
                "serialNumber": self.config.serial,
                "firmwareVersion": self.firmware,
            },
        }
        return Message(action="BootNotification", payload=lambda: payload)

    @override
    def heartbeat_message(self) -> Message:
        return Message(action="Heartbeat", payload=dict)

    @override
    def status_message(self, outlet: Outlet) -> Message:
        payload = {
            "timestamp": iso(outlet.status_at or self.now),
            "connectorStatus": self.status_word(outlet),
            "evseId": outlet.number,
            "connectorId": CONNECTOR,
        }
        return Message(action="StatusNotification", payload=lambda: payload)

    @override
    def status_word(self, outlet: Outlet) -> str:
        return _STATUS[outlet.status]

    @override
    def tell_registered(self) -> None:
        """Do nothing: every EVSE tells its own status."""

    @override
    def authorize_message(
        self, id_tag: str, on_result: Callable[[bool], None]
    ) -> Message:
        return Message(
            action="Authorize",
            payload=lambda: {"idToken": {"idToken": id_tag, "type": "ISO14443"}},
            on_answer=lambda answer: on_result(
                answer["idTokenInfo"]["status"] == "Accepted"
            ),
        )

    # From the central system.

    @override
    def handle(self, action: str, payload: Json) -> Json:
        if action not in self._answers:
            raise CallError("NotImplemented", action)
        if action in _LOCAL_LIST and self.quirks.no_local_list:
            raise CallError("NotSupported", action)
        if action == "GetCompositeSchedule" and self.quirks.no_composite_schedule:
            raise CallError("NotSupported", action)
        return self._answers[action](payload)

    def _get_variables(self, payload: Json) -> Json:
        return {
            "getVariableResult": [
                self._availability(asked) or self.variables.get(asked)
                for asked in payload["getVariableData"]
            ]
        }

    def _availability(self, asked: Json) -> Json | None:
        """Answer one entry of GetVariables that is about the state of an EVSE; None: it is about something else."""
        place = asked["component"]
        outlet = self.outlet(place.get("evse", {}).get("id", WHOLE))
        if (
            outlet is None
            or place["name"] not in {"Connector", "EVSE"}
            or asked["variable"]["name"] != "AvailabilityState"
        ):
            return None
        return {
            **asked,
            "attributeStatus": "Accepted",
            "attributeValue": self.status_word(outlet),
        }

    def _set_variables(self, payload: Json) -> Json:
        results = [self.variables.set(asked) for asked in payload["setVariableData"]]
        for asked, result in zip(payload["setVariableData"], results, strict=True):
            if (
                asked["variable"]["name"] == "BasicAuthPassword"
                and result["attributeStatus"] == "Accepted"
            ):
                self.take_password(asked["attributeValue"])
        if any(
            result["component"]["name"] == "SecurityCtrlr"
            and result["attributeStatus"] == "Accepted"
            for result in results
        ):
            self.maintenance.noticed("ReconfigurationOfSecurityParameters")
        numbers = self.variables.number
        self.heartbeat_s = (
            numbers("OCPPCommCtrlr", "HeartbeatInterval") or self.heartbeat_s
        )
        self.outbox.attempts = int(
            numbers("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent")
        )
        self.outbox.retry_s = numbers(
            "OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"
        )
        # A new ping interval is taken up by the next connection.
        self.link.ping_interval_s = (
            numbers("OCPPCommCtrlr", "WebSocketPingInterval") or None
        )
        return {"setVariableResult": results}

    def _get_base_report(self, payload: Json) -> Json:
        self._tell_report(payload["requestId"], self.variables.report())
        return {"status": "Accepted"}

    def _get_report(self, payload: Json) -> Json:
        asked = [
            (item["component"]["name"], item.get("variable", {}).get("name"))
            for item in payload.get("componentVariable", ())
        ]
        entries = [
            entry
            for entry in self.variables.report()
            if (entry["component"]["name"], entry["variable"]["name"]) in asked
        ]
        if not entries:
            return {"status": "EmptyResultSet"}
        self._tell_report(payload["requestId"], entries)
        return {"status": "Accepted"}

    def _tell_report(self, request_id: int, entries: list[Json]) -> None:
        """Send entries, in as many messages as it takes."""
        parts = [
            entries[start : start + _REPORT_ENTRIES]
            for start in range(0, len(entries), _REPORT_ENTRIES)
        ]
        for number, part in enumerate(parts):
            self.tell_now(
                "NotifyReport",
                {
                    "requestId": request_id,
                    "generatedAt": iso(self.now),
                    "seqNo": number,
                    "tbc": number < len(parts) - 1,
                    "reportData": part,
                },
            )

    @override
    def tell_now(self, action: str, payload: Mapping[str, Any]) -> None:
        """Send what was asked for, registered or not."""
        self.outbox.tell(
            Message(action=action, payload=lambda: payload, before_accepted=True)
        )

    def _change_availability(self, payload: Json) -> Json:
        number = payload.get("evse", {}).get("id", WHOLE)
        concerned = [
            outlet for outlet in self.outlets if number in (WHOLE, outlet.number)
        ]
        if not concerned:
            return {"status": "Rejected"}
        for outlet in concerned:
            outlet.operative = payload["operationalStatus"] == "Operative"
        scheduled = any(
            not outlet.operative and outlet.transaction for outlet in concerned
        )
        return {"status": "Scheduled" if scheduled else "Accepted"}

    def _reset(self, payload: Json) -> Json:
        busy = any(outlet.transaction for outlet in self.outlets)
        self.reboot_soon("ImmediateReset", when_idle=payload["type"] == "OnIdle")
        return {
            "status": "Scheduled"
            if busy and payload["type"] == "OnIdle"
            else "Accepted"
        }

    def _unlock(self, payload: Json) -> Json:
        outlet = self.outlet(payload["evseId"])
        if outlet is None or payload["connectorId"] != CONNECTOR:
            return {"status": "UnknownConnector"}
        if outlet.transaction is not None:
            return {"status": "OngoingAuthorizedTransaction"}
        return {"status": "Unlocked"}

    def _trigger_message(self, payload: Json) -> Json:
        number = payload.get("evse", {}).get("id", WHOLE)
        outlets = [
            outlet for outlet in self.outlets if number in (WHOLE, outlet.number)
        ]
        if not outlets or self.quirks.rejects_trigger:
            return {"status": "Rejected"}
        match payload["requestedMessage"]:
            case "BootNotification":
                self.boot()
            case "Heartbeat":
                self.tell_now("Heartbeat", {})
            case "StatusNotification":
                for outlet in outlets:
                    message = self.status_message(outlet)
                    message.before_accepted = True
                    self.outbox.tell(message)
            case "MeterValues":
                for outlet in outlets:
                    value = self.meter_value(outlet, "TxUpdatedMeasurands", "Trigger")
                    if value is not None:
                        self.tell_now(
                            "MeterValues",
                            {"evseId": outlet.number, "meterValue": [value]},
                        )
            case "TransactionEvent":
                for outlet in outlets:
                    if outlet.transaction is not None:
                        self.tell_all(outlet.transaction)
            case "FirmwareStatusNotification":
                status = self.maintenance.firmware_status
                self.maintenance.tell("FirmwareStatusNotification", {"status": status})
            case "LogStatusNotification":
                status = self.maintenance.upload_status
                self.maintenance.tell("LogStatusNotification", {"status": status})
            case "SignChargingStationCertificate":
                self.maintenance.ask_for_certificate()
            case _:
                return {"status": "NotImplemented"}
        return {"status": "Accepted"}

    # Firmware, uploads, certificates, reservations, id tokens.

    @override
    def vendor_limit(self) -> float:
        if not self.quirks.vendor_key:
            return super().vendor_limit()
        component, _, name = self.quirks.vendor_key.partition(".")
        return self.variables.number(component, name)

    @property
    @override
    def by_local_list(self) -> bool:
        return self.variables.flag("LocalAuthListCtrlr", "Enabled")

    @override
    def tell_reservation_expired(self, reservation: Reservation) -> None:
        self.tell_now(
            "ReservationStatusUpdate",
            {"reservationId": reservation.id, "reservationUpdateStatus": "Expired"},
        )

    def _update_firmware(self, payload: Json) -> Json:
        firmware = payload["firmware"]
        self.maintenance.update_firmware(
            firmware["location"],
            timestamp(firmware["retrieveDateTime"]),
            action="FirmwareStatusNotification",
            request_id=payload["requestId"],
        )
        return {"status": "Accepted"}

    def _installed_certificates(self, payload: Json) -> Json:
        uses = payload.get("certificateType") or list(self.maintenance.store)
        chains = [
            {"certificateType": use, "certificateHashData": found}
            for use in uses
            for found in self.maintenance.installed(use)
        ]
        if not chains:
            return {"status": "NotFound"}
        return {"status": "Accepted", "certificateHashDataChain": chains}

    def _reserve_now(self, payload: Json) -> Json:
        outlet = self.outlet(payload.get("evseId", 1))
        if outlet is None:
            return {"status": "Rejected"}
        reservation = Reservation(
            id=payload["id"],
            id_tag=payload["idToken"]["idToken"].casefold(),
            until=timestamp(payload["expiryDateTime"]),
        )
        return {"status": self.reserve(outlet, reservation)}

    def _send_local_list(self, payload: Json) -> Json:
        tags = {
            entry["idToken"]["idToken"]: entry.get("idTokenInfo", {}).get("status")
            == "Accepted"
            for entry in payload.get("localAuthorizationList", ())
        }
        full = payload["updateType"] == "Full"
        return {
            "status": self.id_tags.take(payload["versionNumber"], full=full, tags=tags)
        }

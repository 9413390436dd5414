"""OCPP 1.6-J: Core, Smart Charging and Remote Trigger of a good charge point."""

from collections.abc import Callable, Mapping
from typing import Any, override

from .configuration import Configuration
from .link import CallError, Json
from .measurands import Sample, measure
from .outbox import Message
from .outlets import Outlet, Reservation, Transaction
from .profiles import (
    ChargingProfile,
    ProfileError,
    Purpose,
    Unit,
    iso,
    parse_profile,
    timestamp,
)
from .serviced import ServicedChargePoint
from .smart_charging import WHOLE, composite_periods, fits, takes


class ChargePoint16(ServicedChargePoint):
    """A charge point that speaks OCPP 1.6-J."""

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what ChargePoint takes."""
        super().__init__(*args, **kwargs)
        self.configuration = Configuration(
            self.config, self.outlets, vendor_key=self.quirks.vendor_key
        )
        self._answers: dict[str, Callable[[Json], Json]] = self.service_answers | {
            "ChangeAvailability": self._change_availability,
            "ChangeConfiguration": self._change_configuration,
            "ClearChargingProfile": self._clear_charging_profile,
            "DataTransfer": lambda payload: {"status": "UnknownVendorId"},
            "ExtendedTriggerMessage": self._trigger_message,
            "GetCompositeSchedule": self._get_composite_schedule,
            "GetConfiguration": self._get_configuration,
            "GetDiagnostics": self._get_diagnostics,
            "GetInstalledCertificateIds": self._installed_certificates,
            "GetLocalListVersion": lambda payload: {
                "listVersion": -1 if self.quirks.no_local_list else self.id_tags.version
            },
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "ReserveNow": self._reserve_now,
            "Reset": self._reset,
            "SendLocalList": self._send_local_list,
            "SetChargingProfile": self._set_charging_profile,
            "SignedUpdateFirmware": self._signed_update_firmware,
            "TriggerMessage": self._trigger_message,
            "UnlockConnector": self._unlock,
            "UpdateFirmware": self._update_firmware,
        }

    # To the central system.

    @override
    def boot_message(self) -> Message:
        return Message(
            action="BootNotification",
            payload=lambda: {
                "chargePointVendor": self.config.vendor,
                "chargePointModel": self.config.model,
                "chargePointSerialNumber": self.config.serial,
                "firmwareVersion": self.firmware,
            },
        )

    @override
    def heartbeat_message(self) -> Message:
        return Message(action="Heartbeat", payload=dict)

    @override
    def status_message(self, outlet: Outlet) -> Message:
        payload = {
            "connectorId": outlet.number,
            "errorCode": outlet.error or "NoError",
            "status": outlet.status.value,
            "timestamp": iso(outlet.status_at or self.now),
        }
        return Message(action="StatusNotification", payload=lambda: payload)

    @override
    def status_word(self, outlet: Outlet) -> str:
        return outlet.status.value

    @override
    def tell_registered(self) -> None:
        self.outbox.tell(self._own_status())

    @override
    def authorize_message(
        self, id_tag: str, on_result: Callable[[bool], None]
    ) -> Message:
        return Message(
            action="Authorize",
            payload=lambda: {"idTag": id_tag},
            on_answer=lambda answer: on_result(
                answer["idTagInfo"]["status"] == "Accepted"
            ),
        )

    @override
    def tell_start(self, transaction: Transaction) -> None:
        payload = {
            "connectorId": transaction.outlet.number,
            "idTag": transaction.id_tag,
            "meterStart": transaction.meter_start_wh,
            "timestamp": iso(transaction.started_at),
        }

        def started(answer: Json) -> None:
            transaction.id = answer["transactionId"]
            if answer["idTagInfo"]["status"] == "Accepted":
                return
            if (
                transaction.outlet.transaction is transaction
                and self.configuration.flag("StopTransactionOnInvalidId")
            ):
                self.stop(transaction.outlet, "DeAuthorized")

        self.outbox.record(
            Message(
                action="StartTransaction", payload=lambda: payload, on_answer=started
            )
        )

    @override
    def tell_sample(self, transaction: Transaction) -> None:
        names = self.configuration.names("MeterValuesSampledData")
        value = self._meter_value(transaction.outlet, names, "Sample.Periodic")
        if value is None:
            return

        def payload() -> Mapping[str, Any] | None:
            if transaction.id is None:
                return None
            return {
                "connectorId": transaction.outlet.number,
                "transactionId": transaction.id,
                "meterValue": [value],
            }

        self.outbox.record(
            Message(action="MeterValues", payload=payload, may_be_missed=True)
        )

    @override
    def tell_stop(self, transaction: Transaction) -> None:
        def payload() -> Mapping[str, Any] | None:
            if transaction.id is None or transaction.stopped_at is None:
                return None
            return {
                "transactionId": transaction.id,
                "meterStop": transaction.meter_stop_wh,
                "timestamp": iso(transaction.stopped_at),
                "reason": transaction.stop_reason,
                "idTag": transaction.id_tag,
            }

        self.outbox.record(Message(action="StopTransaction", payload=payload))

    @override
    def tell_state(self, outlet: Outlet) -> None:
        """Do nothing: 1.6 has its StatusNotification."""

    @override
    def sample_interval_s(self) -> float:
        return self.configuration.number("MeterValueSampleInterval")

    def _meter_value(
        self, outlet: Outlet, names: tuple[str, ...], context: str
    ) -> Json | None:
        samples = measure(outlet, names, self.voltage_v(), self.quirks)
        if not samples:
            return None
        return {
            "timestamp": iso(self.now),
            "sampledValue": [_sampled_value(sample, context) for sample in samples],
        }

    # From the central system.

    @override
    def handle(self, action: str, payload: Json) -> Json:
        if action not in self._answers:
            raise CallError("NotImplemented", action)
        if action == "GetCompositeSchedule" and self.quirks.no_composite_schedule:
            raise CallError("NotSupported", action)
        return self._answers[action](payload)

    def _get_configuration(self, payload: Json) -> Json:
        known, unknown = self.configuration.read(payload.get("key") or ())
        return {"configurationKey": known, "unknownKey": unknown}

    def _change_configuration(self, payload: Json) -> Json:
        status = self.configuration.write(payload["key"], payload["value"])
        if status == "Accepted":
            if payload["key"] == "AuthorizationKey":
                self.take_password(payload["value"])
                self.maintenance.noticed("ReconfigurationOfSecurityParameters")
            self.heartbeat_s = (
                self.configuration.number("HeartbeatInterval") or self.heartbeat_s
            )
            self.outbox.attempts = int(
                self.configuration.number("TransactionMessageAttempts")
            )
            self.outbox.retry_s = self.configuration.number(
                "TransactionMessageRetryInterval"
            )
            # As many chargers do, a new ping interval is taken up by the next connection.
            self.link.ping_interval_s = (
                self.configuration.number("WebSocketPingInterval") or None
            )
        return {"status": status}

    def _change_availability(self, payload: Json) -> Json:
        number = payload["connectorId"]
        if number != WHOLE and self.outlet(number) is None:
            return {"status": "Rejected"}
        concerned = [
            outlet for outlet in self.outlets if number in (WHOLE, outlet.number)
        ]
        for outlet in concerned:
            outlet.operative = payload["type"] == "Operative"
        scheduled = any(
            not outlet.operative and outlet.transaction for outlet in concerned
        )
        return {"status": "Scheduled" if scheduled else "Accepted"}

    def _remote_start(self, payload: Json) -> Json:
        number = payload.get("connectorId")
        waiting = self.startable
        outlet = (
            self.outlet(number)
            if number is not None
            else next(
                (
                    outlet
                    for status in waiting
                    for outlet in self.outlets
                    if outlet.status is status
                ),
                None,
            )
        )
        if outlet is None or outlet.status not in waiting:
            return {"status": "Rejected"}
        profile = None
        if "chargingProfile" in payload:
            profile = self._parse(outlet.number, payload["chargingProfile"])
            if (
                profile is None
                or profile.purpose is not Purpose.TX
                or not takes(self.config, self.quirks, profile)
            ):
                return {"status": "Rejected"}
        if self.configuration.flag("AuthorizeRemoteTxRequests"):
            self.present(outlet, payload["idTag"])
        else:
            self.grant(outlet, payload["idTag"], profile)
        return {"status": "Accepted"}

    def _remote_stop(self, payload: Json) -> Json:
        for outlet in self.outlets:
            if (
                outlet.transaction is not None
                and outlet.transaction.id == payload["transactionId"]
            ):
                self.stop(outlet, "Remote")
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    def _reset(self, payload: Json) -> Json:
        self.reboot_soon(f"{payload['type']}Reset")
        return {"status": "Accepted"}

    def _unlock(self, payload: Json) -> Json:
        outlet = self.outlet(payload["connectorId"])
        if outlet is None:
            return {"status": "NotSupported"}
        self.stop(outlet, "UnlockCommand")
        return {"status": "Unlocked"}

    def _trigger_message(self, payload: Json) -> Json:
        wanted = payload["requestedMessage"]
        if self.quirks.rejects_trigger:
            return {"status": "Rejected"}
        number = payload.get("connectorId")
        outlets = [
            outlet for outlet in self.outlets if number in (None, WHOLE, outlet.number)
        ]
        if number is not None and not outlets:
            return {"status": "Rejected"}
        match wanted:
            case "BootNotification":
                self.boot()
            case "Heartbeat":
                self._tell_now(self.heartbeat_message())
            case "StatusNotification":
                if number in (None, WHOLE):
                    self._tell_now(self._own_status())
                for outlet in outlets:
                    self._tell_now(self.status_message(outlet))
            case "MeterValues":
                for outlet in outlets:
                    self._tell_now(self._triggered_values(outlet))
            case "FirmwareStatusNotification":
                status = self.maintenance.firmware_status
                self.maintenance.tell(wanted, {"status": status})
            case "DiagnosticsStatusNotification" | "LogStatusNotification":
                status = self.maintenance.upload_status
                self.maintenance.tell(wanted, {"status": status})
            case "SignChargePointCertificate":
                self.maintenance.ask_for_certificate()
            case _:
                return {"status": "NotImplemented"}
        return {"status": "Accepted"}

    def _tell_now(self, message: Message) -> None:
        """Send what was asked for, registered or not."""
        message.before_accepted = True
        self.outbox.tell(message)

    def _own_status(self) -> Message:
        payload = {
            "connectorId": WHOLE,
            "errorCode": "NoError",
            "status": "Available",
            "timestamp": iso(self.now),
        }
        return Message(action="StatusNotification", payload=lambda: payload)

    def _triggered_values(self, outlet: Outlet) -> Message:
        names = self.configuration.names("MeterValuesSampledData")
        value = self._meter_value(outlet, names, "Trigger")
        payload: Json = {"connectorId": outlet.number, "meterValue": [value]}
        transaction = outlet.transaction
        if transaction is not None and transaction.id is not None:
            payload["transactionId"] = transaction.id
        return Message(action="MeterValues", payload=lambda: payload if value else None)

    # Firmware, uploads, certificates, reservations, id tags.

    @override
    def tell_reservation_expired(self, reservation: Reservation) -> None:
        """Do nothing: 1.6 has no message for that."""

    @property
    @override
    def by_local_list(self) -> bool:
        return self.configuration.flag("LocalAuthListEnabled")

    @override
    def vendor_limit(self) -> float:
        key = self.quirks.vendor_key
        return self.configuration.number(key) if key else super().vendor_limit()

    def _update_firmware(self, payload: Json) -> Json:
        self.maintenance.update_firmware(
            payload["location"],
            timestamp(payload["retrieveDate"]),
            action="FirmwareStatusNotification",
            request_id=None,
        )
        return {}

    def _signed_update_firmware(self, payload: Json) -> Json:
        firmware = payload["firmware"]
        self.maintenance.update_firmware(
            firmware["location"],
            timestamp(firmware["retrieveDateTime"]),
            action="SignedFirmwareStatusNotification",
            request_id=payload["requestId"],
        )
        return {"status": "Accepted"}

    def _get_diagnostics(self, payload: Json) -> Json:
        name = self.maintenance.upload(
            payload["location"], action="DiagnosticsStatusNotification", request_id=None
        )
        return {"fileName": name}

    def _installed_certificates(self, payload: Json) -> Json:
        found = self.maintenance.installed(payload["certificateType"])
        if not found:
            return {"status": "NotFound"}
        return {"status": "Accepted", "certificateHashData": found}

    def _reserve_now(self, payload: Json) -> Json:
        outlet = self.outlet(payload["connectorId"])
        if outlet is None:
            return {"status": "Rejected"}
        reservation = Reservation(
            id=payload["reservationId"],
            id_tag=payload["idTag"].casefold(),
            until=timestamp(payload["expiryDate"]),
        )
        return {"status": self.reserve(outlet, reservation)}

    def _send_local_list(self, payload: Json) -> Json:
        if self.quirks.no_local_list:
            return {"status": "NotSupported"}
        tags = {
            entry["idTag"]: entry.get("idTagInfo", {}).get("status") == "Accepted"
            for entry in payload.get("localAuthorizationList", ())
        }
        full = payload["updateType"] == "Full"
        return {
            "status": self.id_tags.take(payload["listVersion"], full=full, tags=tags)
        }

    # Charging profiles.

    def _parse(self, connector: int, payload: Json) -> ChargingProfile | None:
        try:
            return parse_profile(connector, payload, self.now)
        except ProfileError:
            return None

    def _set_charging_profile(self, payload: Json) -> Json:
        profile = self._parse(payload["connectorId"], payload["csChargingProfiles"])
        if (
            profile is None
            or not takes(self.config, self.quirks, profile)
            or not fits(self, profile)
        ):
            return {"status": "Rejected"}
        self.store.install(profile)
        return {"status": "Accepted"}

    def _clear_charging_profile(self, payload: Json) -> Json:
        purpose = payload.get("chargingProfilePurpose")
        cleared = self.store.clear(
            profile_id=payload.get("id"),
            connector=payload.get("connectorId"),
            purpose=Purpose(purpose) if purpose is not None else None,
            stack_level=payload.get("stackLevel"),
        )
        return {"status": "Accepted" if cleared else "Unknown"}

    def _get_composite_schedule(self, payload: Json) -> Json:
        number = payload["connectorId"]
        outlet = self.outlet(number)
        if outlet is None:
            # The whole: only known where it is the same as its only connector.
            if number != WHOLE or len(self.outlets) > 1:
                return {"status": "Rejected"}
            outlet = self.outlets[0]
        unit = Unit(payload.get("chargingRateUnit", outlet.wiring.unit))
        return {
            "status": "Accepted",
            "connectorId": number,
            "scheduleStart": iso(self.now),
            "chargingSchedule": {
                "duration": payload["duration"],
                "startSchedule": iso(self.now),
                "chargingRateUnit": unit.value,
                "chargingSchedulePeriod": composite_periods(
                    self, outlet, float(payload["duration"]), unit
                ),
            },
        }


def _sampled_value(sample: Sample, context: str) -> Json:
    value: Json = {
        "value": f"{sample.value:.{sample.digits}f}",
        "context": context,
        "measurand": sample.measurand,
        "location": sample.location,
        "unit": sample.unit,
    }
    if sample.phase is not None:
        value["phase"] = sample.phase
    return value

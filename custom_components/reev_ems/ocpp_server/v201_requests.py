"""What we ask of a charging station that speaks OCPP 2.0.1 or 2.1."""

from abc import abstractmethod
from dataclasses import replace
from datetime import datetime
import logging
from typing import override

from . import fields
from .dialect import PING_INTERVAL_S, Dialect, Reporter, Request, fitting, status_of
from .model import (
    CallError,
    CertificateUse,
    FirmwareSignature,
    IdTags,
    LogKind,
    Payload,
    Room,
    Transaction,
)
from .profiles import Profile, Unit, to_201
from .reported_limits import ReportedLimits

_LOGGER = logging.getLogger(__name__)

_STACK_LEVEL = "SmartChargingCtrlr.ProfileStackLevel"
_RATE_UNIT = "SmartChargingCtrlr.RateUnit"
_PERIODS = "SmartChargingCtrlr.PeriodsPerSchedule"
_PHASES = "SmartChargingCtrlr.Phases3to1"
_INTERVAL = "SampledDataCtrlr.TxUpdatedInterval"
_MEASURANDS = "SampledDataCtrlr.TxUpdatedMeasurands"
_START_MEASURANDS = "SampledDataCtrlr.TxStartedMeasurands"
_END_MEASURANDS = "SampledDataCtrlr.TxEndedMeasurands"
_VALUE_LENGTH = "DeviceDataCtrlr.ConfigurationValueSize"
_PING = "OCPPCommCtrlr.WebSocketPingInterval"

_CERTIFICATES = {
    CertificateUse.CENTRAL_SYSTEM: "CSMSRootCertificate",
    CertificateUse.MANUFACTURER: "ManufacturerRootCertificate",
}

_LIST_ENABLED = "LocalAuthListCtrlr.Enabled"
_LIST_ITEMS = "LocalAuthListCtrlr.ItemsPerMessage"
_LIST_BYTES = "LocalAuthListCtrlr.BytesPerMessage"
_OFFLINE = "AuthCtrlr.LocalAuthorizeOffline"
_TOKEN_BYTES = 160
"""Size of the longest token in a list, with its share of the message."""
_MANY_TOKENS = 1000
_FEW_TOKENS = 10
"""In one message to a charging station that does not tell how many it takes."""

_AUTHORIZATION = {
    "AuthCtrlr.OfflineTxForUnknownIdEnabled": "false",
    "TxCtrlr.StopTxOnInvalidId": "true",
}
"""A card that may not charge does not, also while the connection is lost."""

_ENERGY = "Energy.Active.Import.Register"
_VARIABLES_AT_ONCE = 4
"""The least that a charging station has to take in one request."""


class Requests201(Dialect):
    """The half of OCPP 2.0.1 in which we ask."""

    version = "2.0.1"
    id_tag_length = 36

    def __init__(self, point: Reporter) -> None:
        """Speak with a charging station."""
        super().__init__(point)
        self._variables: dict[str, str | None] = {}
        self._status: dict[int, str] = {}
        self._charging_state: dict[int, str] = {}
        self.reported_limits = ReportedLimits(point, self.next_request)

    @override
    def wire_id(self, transaction: Transaction) -> str | int:
        """Return the transaction's id on the wire."""
        return transaction.remote_id or str(transaction.id)

    @override
    def remember_status(self, connector_id: int, status: str) -> None:
        """Begin with the status that an EVSE had before a restart."""
        self._status[connector_id] = status

    @abstractmethod
    def take_status(self, evse: int, status: str) -> None:
        """Take the status of an EVSE, however it was told."""

    @override
    def set_profile(self, profile: Profile) -> Payload:
        """Return the payload of SetChargingProfile."""
        return to_201(profile)

    @override
    def clear_profile(self, profile_id: int) -> Request:
        """Remove one charging profile, by its id."""
        return "ClearChargingProfile", {"chargingProfileId": profile_id}

    @override
    def composite_schedule(self, connector_id: int, duration_s: int) -> Request:
        """Ask what limit is in force over the next seconds."""
        return "GetCompositeSchedule", {"evseId": connector_id, "duration": duration_s}

    @override
    def remote_start(self, connector_id: int, id_tag: str) -> Request:
        """Start charging."""
        return "RequestStartTransaction", {
            "evseId": connector_id,
            "remoteStartId": self.next_request(),
            "idToken": {"idToken": id_tag, "type": "Central"},
        }

    @override
    def remote_stop(self, transaction: Transaction) -> Request:
        """Stop charging."""
        return "RequestStopTransaction", {
            "transactionId": str(self.wire_id(transaction))
        }

    @override
    def reset(self, *, hard: bool) -> Request:
        """Restart the charging station: at once, or when it is idle."""
        return "Reset", {"type": "Immediate" if hard else "OnIdle"}

    @override
    def unlock(self, connector_id: int) -> Request:
        """Unlock the plug."""
        return "UnlockConnector", {"evseId": connector_id, "connectorId": 1}

    @override
    def set_availability(self, connector_id: int, *, operative: bool) -> Request:
        """Take an EVSE (0: the whole charging station) into or out of service."""
        payload: Payload = {
            "operationalStatus": "Operative" if operative else "Inoperative"
        }
        if connector_id:
            payload["evse"] = {"id": connector_id}
        return "ChangeAvailability", payload

    @override
    def reserve(
        self, connector_id: int, id_tag: str, until: datetime, reservation_id: int
    ) -> Request:
        """Reserve an EVSE for an id tag."""
        return "ReserveNow", {
            "id": reservation_id,
            "evseId": connector_id,
            "expiryDateTime": fields.timestamp(until),
            "idToken": {"idToken": id_tag, "type": "Central"},
        }

    @override
    def update_firmware(
        self, location: str, at: datetime, signature: FirmwareSignature | None
    ) -> Request:
        """Fetch firmware from a URL and install it."""
        firmware: Payload = {
            "location": location,
            "retrieveDateTime": fields.timestamp(at),
        }
        if signature is not None:
            firmware["signingCertificate"] = signature.certificate
            firmware["signature"] = signature.signature
        return "UpdateFirmware", {
            "requestId": self.next_request(),
            "firmware": firmware,
        }

    @override
    def get_diagnostics(self, location: str) -> Request:
        """Upload diagnostics to a URL."""
        return self.get_log(LogKind.DIAGNOSTICS, location)

    @override
    def get_local_list_version(self) -> tuple[Request, str]:
        """Ask for the version of the list of id tags."""
        return ("GetLocalListVersion", {}), "versionNumber"

    @override
    def trigger_certificate(self) -> Request:
        """Ask it to ask for a new certificate."""
        return "TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}

    @override
    def certificate_signed(self, chain: str) -> Request:
        """Hand over the certificate that it asked for."""
        return "CertificateSigned", {
            "certificateChain": chain,
            "certificateType": "ChargingStationCertificate",
        }

    @override
    def install_certificate(self, use: CertificateUse, certificate: str) -> Request:
        """Put an authority's certificate into its store."""
        return "InstallCertificate", {
            "certificateType": _CERTIFICATES[use],
            "certificate": certificate,
        }

    @override
    def installed_certificates(self, use: CertificateUse) -> Request:
        """Ask which certificates are in its store."""
        return "GetInstalledCertificateIds", {"certificateType": [_CERTIFICATES[use]]}

    @override
    async def local_list_room(self) -> Room | None:
        """Ask what its list of id tokens can take; None: it has none."""
        values = await self.get_configuration(
            [_LIST_ENABLED, _LIST_ITEMS, _LIST_BYTES, _OFFLINE]
        )
        self._variables |= values
        items, size = (
            fields.integer(self._variables, name) for name in (_LIST_ITEMS, _LIST_BYTES)
        )
        if items is None and _LIST_ENABLED not in self._variables:
            return None
        if size is not None:
            items = min(items or _MANY_TOKENS, size // _TOKEN_BYTES)
        return Room(per_message=max(items or _FEW_TOKENS, 1))

    @override
    async def enable_local_list(self) -> None:
        """Let it decide by its list while it is offline, where that is not so already."""
        if self.point.quirks.set_up:
            for name in (_LIST_ENABLED, _OFFLINE):
                await self._set(name, "true")

    @override
    def send_local_list(self, id_tags: IdTags, version: int, *, full: bool) -> Request:
        """Replace its list of id tokens, or add to it."""
        payload: Payload = {
            "versionNumber": version,
            "updateType": "Full" if full else "Differential",
        }
        if id_tags:
            payload["localAuthorizationList"] = [
                {
                    "idToken": {"idToken": id_tag, "type": "ISO14443"},
                    "idTokenInfo": {"status": status_of(may_charge)},
                }
                for id_tag, may_charge in id_tags.items()
            ]
        return "SendLocalList", payload

    @override
    def password_key(self, password: str) -> tuple[str, str]:
        """Return the variable for the password, and its value: 16 to 40 characters."""
        return "SecurityCtrlr.BasicAuthPassword", password

    @override
    def trigger(self, message: str, connector_id: int | None) -> Request:
        """Ask for a message."""
        payload: Payload = {"requestedMessage": message}
        if connector_id is not None:
            evse: Payload = {"id": connector_id}
            if message == "StatusNotification":
                evse["connectorId"] = 1
            payload["evse"] = evse
        return "TriggerMessage", payload

    @override
    async def get_configuration(self, keys: list[str]) -> dict[str, str | None]:
        """Read variables, named `Component.Variable`; without names those that matter here."""
        names = keys or [
            _STACK_LEVEL,
            _RATE_UNIT,
            _PERIODS,
            _PHASES,
            _INTERVAL,
            _MEASURANDS,
            _VALUE_LENGTH,
            _PING,
        ]
        values: dict[str, str | None] = {}
        for start in range(0, len(names), _VARIABLES_AT_ONCE):
            part = names[start : start + _VARIABLES_AT_ONCE]
            answer = await self.point.raw_call(
                "GetVariables", {"getVariableData": [_variable(name) for name in part]}
            )
            for entry in fields.mappings(answer, "getVariableResult"):
                component = fields.text(fields.mapping(entry, "component"), "name")
                variable = fields.text(fields.mapping(entry, "variable"), "name")
                if entry.get("attributeStatus") == "Accepted":
                    values[f"{component}.{variable}"] = fields.text(
                        entry, "attributeValue", limit=2500
                    )
        return values

    @override
    async def _write(self, key: str, value: str) -> str:
        """Write a variable, named `Component.Variable`, and return the status."""
        data = {**_variable(key), "attributeValue": value}
        answer = await self.point.raw_call("SetVariables", {"setVariableData": [data]})
        results = fields.mappings(answer, "setVariableResult")
        return str(results[0].get("attributeStatus", "")) if results else "Rejected"

    @override
    async def learn(self) -> None:
        """Read what the charging station can do, before anything is set."""
        try:
            self._variables = await self.get_configuration([])
        except CallError as error:
            if error.key not in {"refused", "invalid_answer"}:
                raise
        known = self.point.abilities
        level = fields.integer(self._variables, _STACK_LEVEL)
        periods = fields.integer(self._variables, _PERIODS)
        units = {
            part.strip().upper()
            for part in (self._variables.get(_RATE_UNIT) or "").split(",")
        } & {
            "A",
            "W",
        }
        self.point.abilities = replace(
            known,
            max_stack_level=level
            if known.max_stack_level is None
            else known.max_stack_level,
            max_periods=periods
            if known.max_periods is None and periods
            else known.max_periods,
            unit=known.unit or (Unit(units.pop()) if len(units) == 1 else None),
            switches_phases=fields.flag(self._variables.get(_PHASES))
            if known.switches_phases is None
            else known.switches_phases,
        )

    @override
    async def configure(self) -> None:
        """Set what metering and liveness need, where it is not so already."""
        for evse in self.point.connectors:
            if evse not in self.point.told_state:
                if not await self.point.ask_for("StatusNotification", evse):
                    await self._ask_status(evse)
            if (
                self.point.connectors[evse].transaction
                and evse not in self._charging_state
            ):
                await self.point.ask_for("TransactionEvent", evse)
        quirks = self.point.quirks
        if not quirks.set_up:
            return
        interval_s = max(self.point.config.meter_interval_s, quirks.meter_interval_s)
        await self._set(_INTERVAL, str(interval_s))
        await self._set(_PING, str(PING_INTERVAL_S))
        await self._set_measurands()
        more = await self.get_configuration(
            [_START_MEASURANDS, _END_MEASURANDS, *_AUTHORIZATION]
        )
        for name, value in more.items():
            if name in _AUTHORIZATION:
                self._variables[name] = value
                await self._set(name, _AUTHORIZATION[name])
            elif _ENERGY not in (value or ""):
                await self._set(name, _ENERGY, present=True)

    async def _ask_status(self, evse: int) -> None:
        """Read the status of an EVSE where it is not told when asked for. Raises CallError if the connection is lost."""
        places: tuple[Payload, ...] = (
            {"name": "Connector", "evse": {"id": evse, "connectorId": 1}},
            {"name": "EVSE", "evse": {"id": evse}},
        )
        data = [
            {"component": place, "variable": {"name": "AvailabilityState"}}
            for place in places
        ]
        try:
            answer = await self.point.raw_call(
                "GetVariables", {"getVariableData": data}
            )
        except CallError as error:
            if error.key not in {"refused", "invalid_answer"}:
                raise
            return
        for entry in fields.mappings(answer, "getVariableResult"):
            status = fields.text(entry, "attributeValue")
            if entry.get("attributeStatus") == "Accepted" and status is not None:
                self.take_status(evse, status)
                return

    async def _set_measurands(self) -> None:
        """Ask for all measurands at once; where that is refused, for as many of the best as are taken."""
        wanted = self.point.wanted_measurands
        have = {
            part.strip() for part in (self._variables.get(_MEASURANDS) or "").split(",")
        }
        if set(wanted[:3]) <= have or _MEASURANDS not in self._variables:
            return
        told = (
            fields.integer(self._variables, _VALUE_LENGTH),
            await self.reported_limits.longest(*_MEASURANDS.split(".")),
        )
        wanted = fitting(
            wanted, length=min((item for item in told if item), default=None)
        )
        if set(wanted) == have or await self._set(_MEASURANDS, ",".join(wanted)):
            return
        taken: list[str] = []
        for name in wanted:
            if await self._set(_MEASURANDS, ",".join([*taken, name])):
                taken.append(name)
        self.point.took_measurands(wanted, taken)

    async def _set(self, name: str, value: str, *, present: bool = False) -> bool:
        """Write a variable that has another value; returns whether it now has this one."""
        if name not in self._variables and not present:
            return False
        if self._variables.get(name) == value:
            return True
        try:
            status = await self.change_configuration(name, value)
        except CallError as error:
            if error.key not in {"refused", "invalid_answer"}:
                raise
            status = "Rejected"
        _LOGGER.debug("%s: %s = %s: %s", self.point.id, name, value, status)
        if status not in {"Accepted", "RebootRequired"}:
            return False
        self._variables[name] = value
        return True


def _variable(name: str) -> Payload:
    component, _, variable = name.partition(".")
    return {"component": {"name": component}, "variable": {"name": variable}}

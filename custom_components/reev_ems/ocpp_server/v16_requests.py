"""What we ask of a charge point that speaks OCPP 1.6-J."""

from dataclasses import dataclass, replace
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
    Payload,
    Room,
    Transaction,
)
from .profiles import Profile, Unit, to_16

_LOGGER = logging.getLogger(__name__)

_PHASE_SWITCH_KEYS = (
    "ConnectorSwitch3to1PhaseSupported",
    # Charge Amps says it by a key of its own, named as a variable of OCPP 2.0.1 (evcc 16228).
    "ACPhaseSwitchingSupported",
)
_LEARN_KEYS = (
    *_PHASE_SWITCH_KEYS,
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "MeterValuesSampledData",
    "MeterValuesSampledDataMaxLength",
    "MeterValueSampleInterval",
    "WebSocketPingInterval",
)


_LOCAL_LIST_KEYS = (
    "LocalAuthListEnabled",
    "LocalAuthListMaxLength",
    "LocalAuthorizeOffline",
    "SendLocalListMaxLength",
    "SupportedFeatureProfiles",
)
_FEW_TAGS = 10
"""In one message to a charge point that does not tell how many it takes."""

_AUTHORIZATION_KEYS = {
    "StopTransactionOnInvalidId": "true",
    "AllowOfflineTxForUnknownId": "false",
}
"""A card that may not charge does not, also while the connection is lost."""


_EXTENDED_TRIGGERS = frozenset({"LogStatusNotification", "SignChargePointCertificate"})

_CERTIFICATES = {
    CertificateUse.CENTRAL_SYSTEM: "CentralSystemRootCertificate",
    CertificateUse.MANUFACTURER: "ManufacturerRootCertificate",
}


@dataclass(frozen=True, slots=True)
class _Key:
    """A configuration key as the charge point gives it."""

    name: str
    value: str | None
    readonly: bool


class Requests16(Dialect):
    """The half of OCPP 1.6-J in which we ask."""

    version = "1.6"
    id_tag_length = 20

    def __init__(self, point: Reporter) -> None:
        """Speak with a charge point."""
        super().__init__(point)
        self._keys: dict[str, _Key] = {}

    @override
    def wire_id(self, transaction: Transaction) -> str | int:
        """Return the transaction's id on the wire: ours, but for one that was recovered."""
        recovered = transaction.remote_id
        return int(recovered) if recovered and recovered.isdecimal() else transaction.id

    @override
    def set_profile(self, profile: Profile) -> Payload:
        """Return the payload of SetChargingProfile."""
        return to_16(profile)

    @override
    def clear_profile(self, profile_id: int) -> Request:
        """Remove one charging profile, by its id."""
        return "ClearChargingProfile", {"id": profile_id}

    @override
    def composite_schedule(self, connector_id: int, duration_s: int) -> Request:
        """Ask what limit is in force over the next seconds."""
        return "GetCompositeSchedule", {
            "connectorId": connector_id,
            "duration": duration_s,
        }

    @override
    def remote_start(self, connector_id: int, id_tag: str) -> Request:
        """Start charging."""
        return "RemoteStartTransaction", {"connectorId": connector_id, "idTag": id_tag}

    @override
    def remote_stop(self, transaction: Transaction) -> Request:
        """Stop charging."""
        return "RemoteStopTransaction", {"transactionId": self.wire_id(transaction)}

    @override
    def reset(self, *, hard: bool) -> Request:
        """Restart the charge point."""
        return "Reset", {"type": "Hard" if hard else "Soft"}

    @override
    def unlock(self, connector_id: int) -> Request:
        """Unlock the plug."""
        return "UnlockConnector", {"connectorId": connector_id}

    @override
    def set_availability(self, connector_id: int, *, operative: bool) -> Request:
        """Take a connector (0: the whole charge point) into or out of service."""
        kind = "Operative" if operative else "Inoperative"
        return "ChangeAvailability", {"connectorId": connector_id, "type": kind}

    @override
    def reserve(
        self, connector_id: int, id_tag: str, until: datetime, reservation_id: int
    ) -> Request:
        """Reserve a connector for an id tag."""
        return "ReserveNow", {
            "connectorId": connector_id,
            "expiryDate": fields.timestamp(until),
            "idTag": id_tag,
            "reservationId": reservation_id,
        }

    @override
    def update_firmware(
        self, location: str, at: datetime, signature: FirmwareSignature | None
    ) -> Request:
        """Fetch firmware from a URL and install it."""
        if signature is None:
            return "UpdateFirmware", {
                "location": location,
                "retrieveDate": fields.timestamp(at),
            }
        return "SignedUpdateFirmware", {
            "requestId": self.next_request(),
            "firmware": {
                "location": location,
                "retrieveDateTime": fields.timestamp(at),
                "signingCertificate": signature.certificate,
                "signature": signature.signature,
            },
        }

    @override
    def get_diagnostics(self, location: str) -> Request:
        """Upload diagnostics to a URL."""
        return "GetDiagnostics", {"location": location}

    @override
    def get_local_list_version(self) -> tuple[Request, str]:
        """Ask for the version of the list of id tags."""
        return ("GetLocalListVersion", {}), "listVersion"

    @override
    def trigger_certificate(self) -> Request:
        """Ask it to ask for a new certificate."""
        return "ExtendedTriggerMessage", {
            "requestedMessage": "SignChargePointCertificate"
        }

    @override
    def certificate_signed(self, chain: str) -> Request:
        """Hand over the certificate that it asked for."""
        return "CertificateSigned", {"certificateChain": chain}

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
        return "GetInstalledCertificateIds", {"certificateType": _CERTIFICATES[use]}

    @override
    async def local_list_room(self) -> Room | None:
        """Ask what its list of id tags can take; None: it has none."""
        try:
            keys = await self._read_keys(list(_LOCAL_LIST_KEYS))
        except CallError as error:
            if error.key not in {"refused", "invalid_answer"}:
                raise
            keys = []
        self._keys |= {key.name.lower(): key for key in keys}
        profiles = self._value("SupportedFeatureProfiles")
        if profiles is not None and "localauthlist" not in profiles.lower():
            return None
        per_message, in_all = (
            fields.integer({"value": self._value(name)}, "value")
            for name in ("SendLocalListMaxLength", "LocalAuthListMaxLength")
        )
        return Room(per_message=max(per_message or _FEW_TAGS, 1), in_all=in_all)

    @override
    async def enable_local_list(self) -> None:
        """Let it decide by its list while it is offline, where that is not so already."""
        if self.point.quirks.set_up:
            for name in ("LocalAuthListEnabled", "LocalAuthorizeOffline"):
                await self._set(name, "true")

    @override
    def send_local_list(self, id_tags: IdTags, version: int, *, full: bool) -> Request:
        """Replace its list of id tags, or add to it."""
        payload: Payload = {
            "listVersion": version,
            "updateType": "Full" if full else "Differential",
        }
        if id_tags:
            payload["localAuthorizationList"] = [
                {"idTag": id_tag, "idTagInfo": {"status": status_of(may_charge)}}
                for id_tag, may_charge in id_tags.items()
            ]
        return "SendLocalList", payload

    @override
    def password_key(self, password: str) -> tuple[str, str]:
        """Return the configuration key for the password, and its value: up to 40 hex digits."""
        return "AuthorizationKey", password

    @override
    def trigger(self, message: str, connector_id: int | None) -> Request:
        """Ask for a message."""
        payload: Payload = {"requestedMessage": message}
        if connector_id is not None:
            payload["connectorId"] = connector_id
        extended = message in _EXTENDED_TRIGGERS
        return "ExtendedTriggerMessage" if extended else "TriggerMessage", payload

    @override
    async def get_configuration(self, keys: list[str]) -> dict[str, str | None]:
        """Read configuration keys; all if none is named."""
        return {key.name: key.value for key in await self._read_keys(keys)}

    @override
    async def _write(self, key: str, value: str) -> str:
        """Write a configuration key and return the status."""
        answer = await self.point.raw_call(
            "ChangeConfiguration", {"key": key, "value": value}
        )
        return str(answer.get("status", ""))

    async def _read_keys(self, names: list[str]) -> list[_Key]:
        answer = await self.point.raw_call(
            "GetConfiguration", {"key": names} if names else {}
        )
        return [
            _Key(
                name,
                fields.text(entry, "value", limit=2000),
                entry.get("readonly") is True,
            )
            for entry in fields.mappings(answer, "configurationKey")
            if (name := fields.text(entry, "key")) is not None
        ]

    @override
    async def learn(self) -> None:
        """Read what the charge point can do, before anything is set."""
        keys: list[_Key] = []
        for names in ([], list(_LEARN_KEYS)):
            # Some answer only to the whole list, others only to names.
            try:
                keys = await self._read_keys(names)
            except CallError as error:
                silent = error.key == "timeout" and not names
                if not silent and error.key not in {"refused", "invalid_answer"}:
                    raise
            if keys:
                break
        self._keys = {key.name.lower(): key for key in keys}
        known = self.point.abilities
        level = fields.integer(
            {"value": self._value("ChargeProfileMaxStackLevel")}, "value"
        )
        periods = fields.integer(
            {"value": self._value("ChargingScheduleMaxPeriods")}, "value"
        )
        units = {
            {
                "current": Unit.AMPERE,
                "a": Unit.AMPERE,
                "power": Unit.WATT,
                "w": Unit.WATT,
            }.get(part.strip())
            for part in (self._value("ChargingScheduleAllowedChargingRateUnit") or "")
            .lower()
            .split(",")
        } - {None}
        self.point.abilities = replace(
            known,
            max_stack_level=level
            if known.max_stack_level is None
            else known.max_stack_level,
            max_periods=periods
            if known.max_periods is None and periods
            else known.max_periods,
            unit=known.unit or (units.pop() if len(units) == 1 else None),
            switches_phases=self._switches_phases()
            if known.switches_phases is None
            else known.switches_phases,
        )

    def _value(self, name: str) -> str | None:
        key = self._keys.get(name.lower())
        return key.value if key else None

    def _switches_phases(self) -> bool | None:
        """Return whether it says that it switches phases; None: it says nothing about that."""
        said = {fields.flag(self._value(name)) for name in _PHASE_SWITCH_KEYS} - {None}
        return True in said if said else None

    @override
    async def configure(self) -> None:
        """Set what metering and liveness need, where it is not so already.

        It may act only from the next restart on; that is left to a person, since it would end sessions.
        """
        for connector_id in self.point.connectors:
            if connector_id not in self.point.told_state:
                await self.point.ask_for("StatusNotification", connector_id)
        if not self.point.quirks.set_up:
            return
        interval_s = max(
            self.point.config.meter_interval_s, self.point.quirks.meter_interval_s
        )
        await self._set("MeterValueSampleInterval", str(interval_s))
        await self._set("WebSocketPingInterval", str(PING_INTERVAL_S))
        await self._set_measurands()
        for name, value in _AUTHORIZATION_KEYS.items():
            await self._set(name, value)

    async def _set(self, name: str, value: str) -> bool:
        """Write a key that has another value; returns whether it now has this one. Writing wears some chargers out."""
        key = self._keys.get(name.lower())
        if key is None or key.readonly or _same(key.value, value):
            return key is not None and _same(key.value, value)
        try:
            status = await self.change_configuration(key.name, value)
        except CallError as error:
            if error.key != "refused":
                raise
            status = "Rejected"
        if status in {"Accepted", "RebootRequired"}:
            self._keys[name.lower()] = replace(key, value=value)
        _LOGGER.debug("%s: %s = %s: %s", self.point.id, name, value, status)
        return status in {"Accepted", "RebootRequired"}

    async def _set_measurands(self) -> None:
        """Ask for all measurands at once; where that is refused, for as many of the best as are taken."""
        name = "MeterValuesSampledData"
        most = fields.integer({"value": self._value(f"{name}MaxLength")}, "value")
        wanted = fitting(self.point.wanted_measurands, most=most)
        have = {part.strip() for part in (self._value(name) or "").split(",")}
        if set(wanted[:3]) <= have:
            return
        if await self._set(name, ",".join(wanted)):
            return
        taken: list[str] = []
        for measurand in wanted:
            if await self._set(name, ",".join([*taken, measurand])):
                taken.append(measurand)
        self.point.took_measurands(wanted, taken)


def _same(value: str | None, wanted: str) -> bool:
    """Whether a key has a value; true and True are the same."""
    return value is not None and value.strip().lower() == wanted.lower()

"""OCPP 2.0.1, and 2.1 as far as its messages are the same: what a charging station asks of us.

A connector here is an EVSE.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import override

from ..energy_management.observation import ConnectorState
from . import fields, measurands
from .dialect import HEARTBEAT_S, Reporter
from .ends import Ends, draws
from .model import (
    Authorization,
    AuthorizationStatus,
    BootInfo,
    ConnectorView,
    Payload,
    Transaction,
)
from .v201_requests import Requests201

_OUT_OF_SERVICE = frozenset({"Faulted", "Unavailable"})

_CHARGING_STATES = {
    "Charging": ConnectorState.CHARGING,
    "SuspendedEV": ConnectorState.SUSPENDED_EV,
    "SuspendedEVSE": ConnectorState.SUSPENDED_EVSE,
}

_ANSWERS: Mapping[str, Payload] = {
    "ClearedChargingLimit": {},
    "Get15118EVCertificate": {"status": "Failed", "exiResponse": ""},
    "GetCertificateStatus": {"status": "Failed"},
    "NotifyChargingLimit": {},
    "NotifyCustomerInformation": {},
    "NotifyDisplayMessages": {},
    "NotifyEVChargingNeeds": {"status": "Processing"},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
    "NotifyEvent": {},
    "NotifyMonitoringReport": {},
    "PublishFirmwareStatusNotification": {},
    "ReportChargingProfiles": {},
    "ReservationStatusUpdate": {},
}
"""Requests that need no more than an answer."""

_ANSWERS_21: Mapping[str, Payload] = {
    "ClosePeriodicEventStream": {},
    "NotifyDERAlarm": {},
    "NotifyDERStartStop": {},
    "NotifyPriorityCharging": {},
    "NotifySettlement": {},
    "NotifyWebPaymentStarted": {},
    "OpenPeriodicEventStream": {"status": "Rejected"},
    "PullDynamicScheduleUpdate": {"status": "Rejected"},
    "ReportDERControl": {},
}


class V201(Requests201):
    """A charging station that speaks OCPP 2.0.1."""

    answers: Mapping[str, Payload] = _ANSWERS

    def __init__(self, point: Reporter) -> None:
        """Speak for a charging station."""
        super().__init__(point)
        self._running_before: set[int] = set()
        self._ends: Ends[str] = Ends()
        self._handlers: dict[str, Callable[[Payload], Awaitable[Payload]]] = {
            "BootNotification": self._boot,
            "Heartbeat": self._heartbeat,
            "Authorize": self._authorize,
            "StatusNotification": self._status_notification,
            "TransactionEvent": self._transaction_event,
            "MeterValues": self._meter,
            "NotifyReport": self._notify_report,
            "DataTransfer": self._data_transfer,
            "FirmwareStatusNotification": self._firmware_status,
            "LogStatusNotification": self._upload_status,
            "SecurityEventNotification": self._security_event,
            "SignCertificate": self._sign_certificate,
        }

    @override
    async def handle(self, action: str, payload: Payload) -> Payload | None:
        """Answer a request."""
        if (handler := self._handlers.get(action)) is not None:
            return await handler(payload)
        return self.answers.get(action)

    @classmethod
    @override
    def empty_answer(cls, action: str) -> Payload:
        """Return the answer that makes the charging station drop a queued message that is of no use."""
        return {}

    @classmethod
    @override
    def boot_info(cls, payload: Payload) -> BootInfo:
        """Return what a BootNotification says."""
        station = fields.mapping(payload, "chargingStation")
        return BootInfo(
            vendor=fields.text(station, "vendorName"),
            model=fields.text(station, "model"),
            serial=fields.text(station, "serialNumber"),
            firmware=fields.text(station, "firmwareVersion"),
        )

    @classmethod
    @override
    def turn_away(cls, action: str, payload: Payload) -> Payload | None:
        """Answer a charging station that is not adopted so that nothing is charged."""
        match action:
            case "Authorize":
                return {"idTokenInfo": {"status": "Invalid"}}
            case "TransactionEvent":
                return (
                    {"idTokenInfo": {"status": "Invalid"}}
                    if "idToken" in payload
                    else {}
                )
            case "StatusNotification" | "MeterValues":
                return {}
        return None

    @override
    def state_of(self, connector: ConnectorView) -> ConnectorState:
        """Return the state that the last known status and charging state mean."""
        evse = connector.connector_id
        status, charging = self._status.get(evse), self._charging_state.get(evse)
        if charging is None and evse in self._running_before:
            charging = "Charging"
        if status in _OUT_OF_SERVICE:
            return ConnectorState.FAULTED
        if connector.transaction is not None and charging is not None:
            # Also while "Available": a transaction may begin with the authorization, before the plug.
            return _CHARGING_STATES.get(charging, ConnectorState.PLUGGED)
        match status:
            case "Available" | "Reserved":
                return ConnectorState.AVAILABLE
            case "Occupied":
                return (
                    ConnectorState.FINISHING
                    if charging == "Ended"
                    else ConnectorState.PLUGGED
                )
        return ConnectorState.OFFLINE

    @override
    def runs_already(self, connector_id: int) -> None:
        """Take it for charging as long as its charging state is not told."""
        self._running_before.add(connector_id)

    # What the charging station asks.

    async def _boot(self, payload: Payload) -> Payload:
        self.point.clock_was_set()
        self.point.booted(self.boot_info(payload))
        return {
            "status": "Accepted",
            "currentTime": fields.timestamp(self.point.now()),
            "interval": HEARTBEAT_S,
        }

    async def _heartbeat(self, _payload: Payload) -> Payload:
        return {"currentTime": fields.timestamp(self.point.now())}

    async def _authorize(self, payload: Payload) -> Payload:
        return {"idTokenInfo": self._token_info(payload)}

    async def _status_notification(self, payload: Payload) -> Payload:
        evse = fields.required_integer(payload, "evseId")
        status = fields.text(payload, "connectorStatus")
        self.point.saw_time(fields.moment(payload, "timestamp"))
        if status is not None and evse in self.point.connectors:
            self.take_status(evse, status)
        return {}

    @override
    def take_status(self, evse: int, status: str) -> None:
        """Take the status of an EVSE, however it was told."""
        self._status[evse] = status
        if status == "Available" and self._charging_state.get(evse) == "Ended":
            del self._charging_state[evse]
        self._tell_state(evse)

    def _tell_state(self, evse: int) -> None:
        connector = self.point.connectors[evse]
        state = self.state_of(connector)
        status = self._status.get(evse) or self._charging_state.get(evse) or ""
        if state is not ConnectorState.OFFLINE:
            self.point.status(evse, status, state)

    async def _transaction_event(self, payload: Payload) -> Payload:
        point = self.point
        info = fields.mapping(payload, "transactionInfo")
        remote_id = fields.text(info, "transactionId")
        at = fields.moment(payload, "timestamp")
        point.saw_time(at)
        answer: Payload = {}
        if "idToken" in payload:
            answer["idTokenInfo"] = self._token_info(payload)
        if remote_id is None:
            return answer
        kind = fields.text(payload, "eventType")
        # 0 is the whole station.
        evse = fields.integer(fields.mapping(payload, "evse"), "id") or None
        if evse is None:
            evse = await self._evse_of(remote_id)
        values = measurands.gathered(fields.mappings(payload, "meterValue"))
        charging = fields.text(info, "chargingState")
        if charging is None and remote_id in self._ends and self._draws(evse, values):
            # It needs not be told again in each event.
            charging = "Charging"
        transaction = await self._transaction(
            remote_id, evse, kind, point.our_time(at), payload, charging
        )
        if kind == "Ended":
            self._ends.note(remote_id, point.clock())
        elif (
            evse is not None
            and remote_id not in self._ends
            and not await self._is_over(evse, transaction)
        ):
            point.transaction_started(evse, transaction)
        await self._record(evse, transaction.id, values)
        if evse is not None:
            running = (
                point.connectors[evse].transaction if evse in point.connectors else None
            )
            if running is not None and running.id == transaction.id:
                if kind == "Updated":
                    await self._identify(evse, running, payload, answer)
                if charging is not None and kind != "Ended":
                    self._charging_state[evse] = charging
                    self._tell_state(evse)
        if kind == "Ended":
            await self._ended(
                transaction,
                point.our_time(at),
                values,
                fields.text(info, "stoppedReason"),
            )
        return answer

    async def _identify(
        self, evse: int, running: Transaction, payload: Payload, answer: Payload
    ) -> None:
        """Learn whose a running transaction is: a car may be plugged in before its driver shows a card."""
        id_tag = fields.text(fields.mapping(payload, "idToken"), "idToken")
        status = fields.text(fields.mapping(answer, "idTokenInfo"), "status")
        if (
            id_tag is None
            or id_tag == running.id_tag
            or status != AuthorizationStatus.ACCEPTED
            or fields.text(payload, "triggerReason") == "StopAuthorized"
        ):
            return
        user = self.point.user_of(id_tag)
        self.point.connectors[evse].transaction = replace(
            running, id_tag=id_tag, user=user
        )
        await self.point.transactions.identify(
            charge_point_id=self.point.id,
            transaction_id=running.id,
            id_tag=id_tag,
            user_id=user.id if user else None,
            user_name=user.name if user else None,
        )

    def _draws(self, evse: int | None, values: list[Mapping[str, object]]) -> bool:
        """Whether measured values, the newest known ones behind them, show that a car charges."""
        connector = self.point.connectors.get(evse or 0)
        before_wh = connector.energy_wh if connector else None
        return any(draws(self._read(evse, value), before_wh) for value in values)

    async def _evse_of(self, remote_id: str) -> int | None:
        """Return where a transaction runs: only one of its events has to say so."""
        for connector in self.point.connectors.values():
            if connector.transaction and connector.transaction.remote_id == remote_id:
                return connector.connector_id
        for record in await self.point.transactions.open_transactions(self.point.id):
            if record.remote_id == remote_id:
                return record.connector_id or None
        return self.point.only_connector

    async def _is_over(self, evse: int, transaction: Transaction) -> bool:
        """Whether the end of a transaction came before its other events."""
        connector = self.point.connectors.get(evse)
        running = connector.transaction if connector else None
        if running is not None and running.id == transaction.id:
            return False
        return await self.point.transactions.is_over(self.point.id, transaction.id)

    async def _transaction(
        self,
        remote_id: str,
        evse: int | None,
        kind: str | None,
        at: datetime,
        payload: Payload,
        charging: str | None,
    ) -> Transaction:
        """Return the transaction of an event; the first that arrives is its beginning, until an earlier one does."""
        point = self.point
        id_tag = fields.text(fields.mapping(payload, "idToken"), "idToken")
        user = point.user_of(id_tag)
        connector = point.connectors.get(evse or 0)
        running = connector.transaction if connector else None
        if kind == "Updated" and running is not None and running.remote_id == remote_id:
            return running
        known = await point.transactions.find(point.id, remote_id)
        key = f"tx/{remote_id}"
        if kind == "Updated" and known is not None:
            if await point.transactions.is_over(point.id, known):
                self._ends.note(remote_id, point.clock())
            age_s = (point.now() - at).total_seconds()
            if charging == "Charging" and self._ends.goes_on(
                remote_id, point.clock(), age_s
            ):
                self._ends.forget(remote_id)
                known, key = None, f"{key}/{at}"
        start_wh: float | None = None
        begins = kind == "Started" or known is None
        if begins:
            for value in fields.mappings(payload, "meterValue"):
                measured = self._read(evse, value)
                start_wh = measured.energy_begin_wh if start_wh is None else start_wh
                start_wh = measured.energy_wh if start_wh is None else start_wh
        if known is None and kind == "Ended":
            values = measurands.gathered(fields.mappings(payload, "meterValue"))
            known = await point.transactions.stop_unknown(
                charge_point_id=point.id,
                connector_id=evse or 0,
                key=f"tx/{remote_id}",
                stopped_at=at,
                id_tag=id_tag,
                user_id=user.id if user else None,
                user_name=user.name if user else None,
                meter_start_wh=start_wh,
                meter_stop_wh=self._last_energy_wh(values),
                reason=fields.text(
                    fields.mapping(payload, "transactionInfo"), "stoppedReason"
                ),
                remote_id=remote_id,
            )
        elif known is None or begins:
            known = await point.transactions.start(
                charge_point_id=point.id,
                connector_id=evse or 0,
                key=key,
                started_at=at,
                id_tag=id_tag,
                user_id=user.id if user else None,
                user_name=user.name if user else None,
                meter_start_wh=start_wh,
                remote_id=remote_id,
            )
        return Transaction(
            id=known,
            remote_id=remote_id,
            id_tag=id_tag,
            user=user,
            started_at=at,
            meter_start_wh=start_wh,
            energy_wh=None if start_wh is None else 0.0,
        )

    async def _ended(
        self,
        transaction: Transaction,
        at: datetime,
        values: list[Mapping[str, object]],
        reason: str | None,
    ) -> None:
        point = self.point
        stop_wh = self._last_energy_wh(values)
        await point.transactions.stop(
            charge_point_id=point.id,
            transaction_id=transaction.id,
            stopped_at=at,
            meter_stop_wh=stop_wh,
            reason=reason,
        )
        evses = [
            connector.connector_id
            for connector in point.connectors.values()
            if connector.transaction is not None
            and connector.transaction.id == transaction.id
        ]
        self._charging_state.update(dict.fromkeys(evses, "Ended"))
        point.session_ended(transaction.id, stop_wh, reason)
        for evse in evses:
            self._tell_state(evse)

    def _last_energy_wh(self, values: list[Mapping[str, object]]) -> float | None:
        """Return the last reading of the energy register."""
        last_wh = None
        for value in values:
            energy_wh = self._read(None, value).energy_wh
            last_wh = last_wh if energy_wh is None else energy_wh
        return last_wh

    async def _meter(self, payload: Payload) -> Payload:
        evse = fields.required_integer(payload, "evseId")
        values = measurands.gathered(fields.mappings(payload, "meterValue"))
        for value in values:
            self.point.saw_time(fields.moment(value, "timestamp"))
        await self._record(evse, None, values)
        return {}

    async def _notify_report(self, payload: Payload) -> Payload:
        """Take a part of a report."""
        self.reported_limits.take(payload)
        return {}

    async def _record(
        self,
        evse: int | None,
        transaction_id: int | None,
        values: list[Mapping[str, object]],
    ) -> None:
        """Take measured values into the view, and the energy register of a transaction into the records."""
        point = self.point
        for value in values:
            at = fields.moment(value, "timestamp")
            measured = self._read(evse, value)
            if evse is not None:
                point.metered(evse, measured, at)
            if (
                transaction_id is not None
                and at is not None
                and measured.energy_wh is not None
            ):
                await point.transactions.meter(
                    charge_point_id=point.id,
                    transaction_id=transaction_id,
                    at=point.our_time(at),
                    energy_wh=measured.energy_wh,
                )

    def _read(
        self, evse: int | None, value: Mapping[str, object]
    ) -> measurands.Measured:
        config = self.point.config
        return measurands.read(
            fields.mappings(value, "sampledValue"),
            supply=config.supply_of(evse or 0),
            phases=config.phases_of(evse or 0),
        )

    def _token_info(self, payload: Payload) -> Payload:
        token = fields.text(fields.mapping(payload, "idToken"), "idToken")
        kind = fields.text(fields.mapping(payload, "idToken"), "type")
        if token is None and kind == "NoAuthorization":
            # A charging station that is set to charge for everybody.
            token = ""
        return _token_info(self.point.authorize(token))


class V21(V201):
    """A charging station that speaks OCPP 2.1, served as one of 2.0.1; what is new there is answered."""

    version = "2.1"
    answers: Mapping[str, Payload] = {**_ANSWERS, **_ANSWERS_21}


def _token_info(authorization: Authorization) -> Payload:
    return {"status": authorization.status.value}

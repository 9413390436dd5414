"""OCPP 1.6-J: what a charge point asks of us."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import override

from ..energy_management.observation import ConnectorState
from . import fields, measurands
from .dialect import HEARTBEAT_S, Reporter
from .ends import Ends, draws
from .model import Authorization, BootInfo, ConnectorView, Payload, Transaction
from .transactions import transaction_of
from .v16_requests import Requests16

_STATES = {
    "available": ConnectorState.AVAILABLE,
    "preparing": ConnectorState.PLUGGED,
    "charging": ConnectorState.CHARGING,
    "suspendedev": ConnectorState.SUSPENDED_EV,
    "suspendedevse": ConnectorState.SUSPENDED_EVSE,
    "finishing": ConnectorState.FINISHING,
    "reserved": ConnectorState.AVAILABLE,
    "unavailable": ConnectorState.FAULTED,
    "faulted": ConnectorState.FAULTED,
}

_RUNNING = frozenset(
    {
        ConnectorState.CHARGING,
        ConnectorState.SUSPENDED_EV,
        ConnectorState.SUSPENDED_EVSE,
    }
)


_REMEMBERED = 32
"""Sessions whose charge point has spoken of them."""


class V16(Requests16):
    """A charge point that speaks OCPP 1.6-J."""

    def __init__(self, point: Reporter) -> None:
        """Speak for a charge point."""
        super().__init__(point)
        self._ends: Ends[int] = Ends()
        self._ended_last: dict[int, int] = {}
        """By connector: the id on the wire of the transaction that ended there last."""
        self._confirmed: deque[int] = deque(maxlen=_REMEMBERED)
        """Sessions of which it has spoken itself since this program began."""
        self._handlers: dict[str, Callable[[Payload], Awaitable[Payload]]] = {
            "BootNotification": self._boot,
            "Heartbeat": self._heartbeat,
            "Authorize": self._authorize,
            "StatusNotification": self._status,
            "StartTransaction": self._start,
            "StopTransaction": self._stop,
            "MeterValues": self._meter,
            "DataTransfer": self._data_transfer,
            "DiagnosticsStatusNotification": self._upload_status,
            "LogStatusNotification": self._upload_status,
            "FirmwareStatusNotification": self._firmware_status,
            "SignedFirmwareStatusNotification": self._firmware_status,
            "SecurityEventNotification": self._security_event,
            "SignCertificate": self._sign_certificate,
        }

    @override
    async def handle(self, action: str, payload: Payload) -> Payload | None:
        """Answer a request."""
        handler = self._handlers.get(action)
        return None if handler is None else await handler(payload)

    @classmethod
    @override
    def empty_answer(cls, action: str) -> Payload:
        """Return the answer that makes the charge point drop a queued message that is of no use."""
        if action == "StartTransaction":
            return {"transactionId": 0, "idTagInfo": {"status": "Invalid"}}
        return {}

    @classmethod
    @override
    def boot_info(cls, payload: Payload) -> BootInfo:
        """Return what a BootNotification says."""
        return BootInfo(
            vendor=fields.text(payload, "chargePointVendor"),
            model=fields.text(payload, "chargePointModel"),
            serial=fields.text(payload, "chargePointSerialNumber")
            or fields.text(payload, "chargeBoxSerialNumber"),
            firmware=fields.text(payload, "firmwareVersion"),
        )

    @classmethod
    @override
    def turn_away(cls, action: str, payload: Payload) -> Payload | None:
        """Answer one that is not adopted so that nothing is charged."""
        match action:
            case "Authorize":
                return {"idTagInfo": {"status": "Invalid"}}
            case (
                "StatusNotification"
                | "MeterValues"
                | "StartTransaction"
                | "StopTransaction"
            ):
                return cls.empty_answer(action)
        return None

    @override
    def state_of(self, connector: ConnectorView) -> ConnectorState:
        """Return the state that the last known status means."""
        return _state(connector.status) or ConnectorState.OFFLINE

    @override
    def remember_status(self, connector_id: int, status: str) -> None:
        """Do nothing: the view holds it."""

    @override
    def runs_already(self, connector_id: int) -> None:
        """Do nothing: its status says whether it charges."""

    # What the charge point asks.

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
        return {
            "idTagInfo": _id_tag_info(
                self.point.authorize(fields.text(payload, "idTag"))
            )
        }

    async def _status(self, payload: Payload) -> Payload:
        connector_id = fields.required_integer(payload, "connectorId")
        status = fields.text(payload, "status")
        self.point.saw_time(fields.moment(payload, "timestamp"))
        state = _state(status)
        if status is None or state is None:
            return {}
        error_code = fields.text(payload, "errorCode")
        if error_code == "NoError":
            error_code = None
        self.point.status(connector_id, status, state, error_code)
        return {}

    async def _start(self, payload: Payload) -> Payload:
        point = self.point
        connector_id = fields.required_integer(payload, "connectorId")
        id_tag = fields.text(payload, "idTag")
        meter_start_wh = fields.number(payload.get("meterStart"))
        at = fields.moment(payload, "timestamp")
        point.saw_time(at)
        authorization = point.authorize(id_tag)
        user = point.user_of(id_tag)
        started_at = point.our_time(at)
        transaction_id = await point.transactions.start(
            charge_point_id=point.id,
            connector_id=connector_id,
            key=f"{connector_id}/{fields.text(payload, 'timestamp')}/{id_tag}/{meter_start_wh}",
            started_at=started_at,
            id_tag=id_tag,
            user_id=user.id if user else None,
            user_name=user.name if user else None,
            meter_start_wh=meter_start_wh,
        )
        self._confirm(transaction_id)
        if not await point.transactions.is_over(point.id, transaction_id):
            point.transaction_started(
                connector_id,
                Transaction(
                    id=transaction_id,
                    id_tag=id_tag,
                    user=user,
                    started_at=started_at,
                    meter_start_wh=meter_start_wh,
                    energy_wh=0.0 if meter_start_wh is not None else None,
                ),
            )
        return {
            "transactionId": transaction_id,
            "idTagInfo": _id_tag_info(authorization),
        }

    async def _stop(self, payload: Payload) -> Payload:
        point = self.point
        transaction_id = fields.integer(payload, "transactionId")
        at = fields.moment(payload, "timestamp")
        point.saw_time(at)
        meter_stop_wh = fields.number(payload.get("meterStop"))
        reason = fields.text(payload, "reason")
        session_id = (
            None if transaction_id is None else await self._session_of(transaction_id)
        )
        if session_id is not None:
            for value in measurands.gathered(
                fields.mappings(payload, "transactionData")
            ):
                await self._record(
                    session_id, self._read(0, value), fields.moment(value, "timestamp")
                )
        known = session_id is not None and await point.transactions.stop(
            charge_point_id=point.id,
            transaction_id=session_id,
            stopped_at=point.our_time(at),
            meter_stop_wh=meter_stop_wh,
            reason=reason,
        )
        if transaction_id is not None and not known:
            session_id = await self._keep_end(transaction_id, payload)
        if session_id is not None:
            for connector in point.connectors.values():
                running = connector.transaction
                if transaction_id and running is not None and running.id == session_id:
                    self._ended_last[connector.connector_id] = transaction_id
            point.session_ended(session_id, meter_stop_wh, reason)
        id_tag = fields.text(payload, "idTag")
        return {} if id_tag is None else {"idTagInfo": {"status": "Accepted"}}

    async def _keep_end(self, transaction_id: int, payload: Payload) -> int:
        """Record the end of a transaction whose id is lost or unknown, and return its session."""
        point = self.point
        id_tag = fields.text(payload, "idTag")
        user = point.user_of(id_tag)
        timestamp, meter_stop = (
            fields.text(payload, "timestamp"),
            payload.get("meterStop"),
        )
        first = next(iter(fields.mappings(payload, "transactionData")), {})
        begun = self._read(0, first)
        return await point.transactions.stop_unknown(
            charge_point_id=point.id,
            connector_id=point.only_connector or 0,
            key=f"end/{transaction_id}/{timestamp}/{meter_stop}",
            stopped_at=point.our_time(fields.moment(payload, "timestamp")),
            id_tag=id_tag,
            user_id=user.id if user else None,
            user_name=user.name if user else None,
            meter_start_wh=begun.energy_wh
            if begun.energy_begin_wh is None
            else begun.energy_begin_wh,
            meter_stop_wh=fields.number(meter_stop),
            reason=fields.text(payload, "reason"),
            remote_id=str(transaction_id) if transaction_id > 0 else None,
        )

    async def _meter(self, payload: Payload) -> Payload:
        point = self.point
        connector_id = fields.required_integer(payload, "connectorId")
        transaction_id = fields.integer(payload, "transactionId")
        if transaction_id is None or transaction_id <= 0:
            transaction_id = self._goes_on_as(connector_id, payload) or transaction_id
        session_id = None
        if transaction_id is not None:
            await self._recover(connector_id, transaction_id, payload)
            session_id = self._running_session(connector_id, transaction_id)
            if session_id is None:
                session_id = await self._session_of(transaction_id)
            else:
                self._confirm(session_id)
        for value in measurands.gathered(fields.mappings(payload, "meterValue")):
            at = fields.moment(value, "timestamp")
            point.saw_time(at)
            measured = self._read(connector_id, value)
            point.metered(connector_id, measured, at)
            if session_id is not None:
                await self._record(session_id, measured, at)
        return {}

    def _goes_on_as(self, connector_id: int, payload: Payload) -> int | None:
        """Return the ended transaction that values without an id belong to: a car charges on after it."""
        connector = self.point.connectors.get(connector_id)
        if (
            connector is None
            or connector.transaction is not None
            or connector.state is not ConnectorState.CHARGING
        ):
            return None
        first = next(iter(fields.mappings(payload, "meterValue")), {})
        if not draws(self._read(connector_id, first), connector.energy_wh):
            return None
        return self._ended_last.get(connector_id)

    def _confirm(self, session_id: int) -> None:
        if session_id not in self._confirmed:
            self._confirmed.append(session_id)

    def _running_session(self, connector_id: int, transaction_id: int) -> int | None:
        """Return the session of the connector's running transaction, if the id means it."""
        connector = self.point.connectors.get(connector_id)
        transaction = connector.transaction if connector else None
        if transaction is None or self.wire_id(transaction) != transaction_id:
            return None
        return transaction.id

    async def _session_of(self, transaction_id: int) -> int | None:
        """Return the session that a transaction id on the wire means; None if there is none."""
        point = self.point
        if transaction_id <= 0:
            # Some lose the id and send -1 or 0: if one session is open, it is that one.
            return await point.transactions.only_open(point.id)
        recovered = await point.transactions.find(point.id, str(transaction_id))
        return transaction_id if recovered is None else recovered

    async def _recover(
        self, connector_id: int, transaction_id: int, payload: Payload
    ) -> None:
        """Take up a transaction that runs but is not in the records: their file was lost, or it began elsewhere.

        Or the file is that of a backup, and the one that ran then is long over: the charge point never spoke of it.
        """
        point = self.point
        connector = point.connectors.get(connector_id)
        if (
            connector is None
            or (
                connector.transaction is not None
                and (
                    self.wire_id(connector.transaction) == transaction_id
                    or connector.transaction.id in self._confirmed
                )
            )
            or (connector.state not in _RUNNING and connector_id in point.told_state)
            or transaction_id <= 0
        ):
            return
        first = next(iter(fields.mappings(payload, "meterValue")), {})
        at = point.our_time(fields.moment(first, "timestamp"))
        age_s = (point.now() - at).total_seconds()
        goes_on = self._ends.goes_on(transaction_id, point.clock(), age_s)
        if transaction_id in self._ends and not goes_on:
            return
        for record in await point.transactions.open_transactions(point.id):
            if record.id == transaction_id or record.remote_id == str(transaction_id):
                point.transaction_started(connector_id, transaction_of(record))
                return
        if not goes_on and (
            await point.transactions.has(point.id, transaction_id)
            or await point.transactions.find(point.id, str(transaction_id)) is not None
        ):
            # It has ended: these are its last values, unless there are ever more of them.
            self._ends.note(transaction_id, point.clock())
            return
        self._ends.forget(transaction_id)
        start_wh = self._read(connector_id, first).energy_wh
        session_id = await point.transactions.start(
            charge_point_id=point.id,
            connector_id=connector_id,
            key=f"recovered/{transaction_id}" + (f"/{at}" if goes_on else ""),
            started_at=at,
            meter_start_wh=start_wh,
            remote_id=str(transaction_id),
        )
        point.transaction_started(
            connector_id,
            Transaction(
                id=session_id,
                remote_id=str(transaction_id),
                started_at=at,
                meter_start_wh=start_wh,
            ),
        )

    def _read(
        self, connector_id: int, value: Mapping[str, object]
    ) -> measurands.Measured:
        config = self.point.config
        return measurands.read(
            fields.mappings(value, "sampledValue"),
            supply=config.supply_of(connector_id),
            phases=config.phases_of(connector_id),
        )

    async def _record(
        self, transaction_id: int, measured: measurands.Measured, at: datetime | None
    ) -> None:
        """Note the energy register of a transaction."""
        if measured.energy_wh is not None and at is not None:
            await self.point.transactions.meter(
                charge_point_id=self.point.id,
                transaction_id=transaction_id,
                at=self.point.our_time(at),
                energy_wh=measured.energy_wh,
            )


def _state(status: str | None) -> ConnectorState | None:
    return _STATES.get((status or "").replace(" ", "").lower())


def _id_tag_info(authorization: Authorization) -> Payload:
    return {"status": authorization.status.value}

"""Transactions of OCPP 2.0.1: what starts and stops them, and the TransactionEvents that tell of them."""

from typing import Any, override
import uuid

from .charging201 import Charging201
from .link import Json
from .measurands import Sample, measure
from .outbox import Message
from .outlets import Outlet, Status, Transaction
from .profiles import Purpose, iso
from .smart_charging import takes
from .variables import Variables

CONNECTOR = 1
"""The only connector of an EVSE."""

_CHARGING_STATE = {
    Status.CHARGING: "Charging",
    Status.SUSPENDED_EV: "SuspendedEV",
    Status.SUSPENDED_EVSE: "SuspendedEVSE",
    Status.AVAILABLE: "Idle",
}

_ENDS = {
    "DeAuthorized": ("Deauthorized", "DeAuthorized"),
    "EVDisconnected": ("EVCommunicationLost", "EVDisconnected"),
    "ImmediateReset": ("ResetCommand", "ImmediateReset"),
    "Local": ("StopAuthorized", "Local"),
    "PowerLoss": ("AbnormalCondition", "PowerLoss"),
    "Remote": ("RemoteStop", "Remote"),
    "UnlockCommand": ("UnlockCommand", "Other"),
}
"""Trigger and stop reason of a transaction's end, by the charge point's own reason."""


class Transactions201(Charging201):
    """The part of a charging station that keeps transactions."""

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what ChargePoint takes."""
        super().__init__(*args, **kwargs)
        self.variables = Variables(
            self.config, self.outlets, vendor_key=self.quirks.vendor_key
        )
        self._remote_starts: dict[int, Json] = {}
        """The RequestStartTransaction that each EVSE waits to carry out."""

    @override
    def tell_start(self, transaction: Transaction) -> None:
        transaction.id = str(uuid.uuid4())
        outlet = transaction.outlet
        request = self._remote_starts.pop(outlet.number, None)
        token: Json = {"idToken": transaction.id_tag, "type": "ISO14443"}
        remote: Json = {}
        if request is not None and request["idToken"]["idToken"] == transaction.id_tag:
            token = request["idToken"]
            remote = {"remoteStartId": request["remoteStartId"]}
        self._event(
            transaction,
            "Started",
            "RemoteStart" if remote else "Authorized",
            info={"chargingState": "EVConnected"} | remote,
            more={
                "idToken": token,
                "evse": {"id": outlet.number, "connectorId": CONNECTOR},
            },
            measurands="TxStartedMeasurands",
            context="Transaction.Begin",
        )

    @override
    def tell_sample(self, transaction: Transaction) -> None:
        self._event(
            transaction,
            "Updated",
            "MeterValuePeriodic",
            measurands="TxUpdatedMeasurands",
            context="Sample.Periodic",
            may_be_missed=True,
        )

    @override
    def tell_stop(self, transaction: Transaction) -> None:
        trigger, reason = _ENDS.get(
            transaction.stop_reason, ("AbnormalCondition", "Other")
        )
        self._event(
            transaction,
            "Ended",
            trigger,
            info={"stoppedReason": reason},
            measurands="TxEndedMeasurands",
            context="Transaction.End",
        )

    @override
    def tell_state(self, outlet: Outlet) -> None:
        transaction, state = outlet.transaction, _CHARGING_STATE.get(outlet.status)
        if transaction is not None and state is not None:
            self._event(
                transaction,
                "Updated",
                "ChargingStateChanged",
                info={"chargingState": state},
            )

    def tell_all(self, transaction: Transaction) -> None:
        """Tell the state and what is measured, as somebody asked for it."""
        state = _CHARGING_STATE.get(transaction.outlet.status)
        self._event(
            transaction,
            "Updated",
            "Trigger",
            info={"chargingState": state} if state else {},
            measurands="TxUpdatedMeasurands",
            context="Trigger",
        )

    def _event(
        self,
        transaction: Transaction,
        event: str,
        trigger: str,
        *,
        info: Json | None = None,
        more: Json | None = None,
        measurands: str | None = None,
        context: str = "",
        may_be_missed: bool = False,
    ) -> None:
        """Record a TransactionEvent of this moment."""
        payload: Json = {
            "eventType": event,
            "timestamp": iso(self.now),
            "triggerReason": trigger,
            "seqNo": transaction.sequence,
            "transactionInfo": {"transactionId": transaction.id} | (info or {}),
        } | (more or {})
        transaction.sequence += 1
        if not self.online:
            payload["offline"] = True
        if measurands is not None:
            value = self.meter_value(transaction.outlet, measurands, context)
            if value is not None:
                payload["meterValue"] = [value]

        def answered(answer: Json) -> None:
            welcome = (
                answer.get("idTokenInfo", {}).get("status", "Accepted") == "Accepted"
            )
            current = transaction.outlet.transaction is transaction
            if (
                current
                and not welcome
                and self.variables.flag("TxCtrlr", "StopTxOnInvalidId")
            ):
                self.stop(transaction.outlet, "DeAuthorized")

        self.outbox.record(
            Message(
                action="TransactionEvent",
                payload=lambda: payload,
                on_answer=answered,
                may_be_missed=may_be_missed,
            )
        )

    @override
    def sample_interval_s(self) -> float:
        return self.variables.number("SampledDataCtrlr", "TxUpdatedInterval")

    def meter_value(self, outlet: Outlet, measurands: str, context: str) -> Json | None:
        """Return what is measured at an EVSE, as one MeterValue; None if no such measurand is configured."""
        names = self.variables.names("SampledDataCtrlr", measurands)
        samples = measure(outlet, names, self.voltage_v(), self.quirks)
        if not samples:
            return None
        return {
            "timestamp": iso(self.now),
            "sampledValue": [_sampled_value(sample, context) for sample in samples],
        }

    def request_start(self, payload: Json) -> Json:
        """Start a transaction, or remember to."""
        waiting = self.startable
        number = payload.get("evseId")
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
            profile = self.parse(outlet.number, payload["chargingProfile"])
            if (
                profile is None
                or profile.purpose is not Purpose.TX
                or profile.transaction_id is not None
                or not takes(self.config, self.quirks, profile)
            ):
                return {"status": "Rejected"}
        self._remote_starts[outlet.number] = payload
        if self.variables.flag("AuthCtrlr", "AuthorizeRemoteStart"):
            self.present(outlet, payload["idToken"]["idToken"])
        else:
            self.grant(outlet, payload["idToken"]["idToken"], profile)
        return {"status": "Accepted"}

    def request_stop(self, payload: Json) -> Json:
        """Stop a transaction."""
        for outlet in self.outlets:
            if (
                outlet.transaction is not None
                and outlet.transaction.id == payload["transactionId"]
            ):
                self.stop(outlet, "Remote")
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    def get_transaction_status(self, payload: Json) -> Json:
        """Tell whether a transaction goes on, and whether messages wait."""
        answer: Json = {"messagesInQueue": self.outbox.records_waiting > 0}
        if "transactionId" in payload:
            running = [
                outlet.transaction.id for outlet in self.outlets if outlet.transaction
            ]
            answer["ongoingIndicator"] = payload["transactionId"] in running
        return answer


def _sampled_value(sample: Sample, context: str) -> Json:
    value: Json = {
        "value": round(sample.value, sample.digits),
        "context": context,
        "measurand": sample.measurand,
        "location": sample.location,
        "unitOfMeasure": {"unit": sample.unit},
    }
    if sample.phase is not None:
        value["phase"] = sample.phase
    return value

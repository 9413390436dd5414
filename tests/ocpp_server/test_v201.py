"""OCPP 2.0.1 and 2.1 on the wire: the same charge point for the rest of the program."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import itertools
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    Authorization,
    AuthorizationStatus,
    BootInfo,
    CallError,
    FloorAccepted,
    OcppServer,
    Permit,
    PermitAccepted,
    TransactionEnded,
    TransactionStarted,
    schemas,
)
from custom_components.reev_ems.ocpp_server.dialect import MEASURANDS
from custom_components.reev_ems.sessions import SessionLog

from . import conformity
from .wire import Payload, WireChargePoint, iso

T0 = datetime.now(UTC) - timedelta(minutes=1)


class Station:
    """A 2.0.1 charging station on the wire."""

    def __init__(self, client: WireChargePoint) -> None:
        """Speak through a client."""
        self.client = client
        self._sequence = itertools.count()

    async def boot(self, vendor: str = "Vendor", **more: str) -> Payload:
        """Send a BootNotification."""
        return await self.client.ask(
            "BootNotification",
            reason="PowerUp",
            chargingStation={"vendorName": vendor, "model": "Model", **more},
        )

    async def status(self, status: str, evse: int = 1) -> Payload:
        """Send a StatusNotification."""
        return await self.client.ask(
            "StatusNotification",
            timestamp=iso(),
            connectorStatus=status,
            evseId=evse,
            connectorId=1,
        )

    async def event(
        self,
        kind: str,
        state: str | None = None,
        *,
        tx: str = "tx-1",
        energy: float | None = None,
        seconds: float = 0,
        current: tuple[float, ...] = (),
        **more: Any,
    ) -> Payload:
        """Send a TransactionEvent of EVSE 1."""
        samples: list[Payload] = [
            {"value": value, "measurand": "Current.Import", "phase": f"L{phase}"}
            for phase, value in enumerate(current, 1)
        ]
        if energy is not None:
            samples.append(
                {"value": energy, "measurand": "Energy.Active.Import.Register"}
            )
        at = iso(T0 + timedelta(seconds=seconds))
        payload: Payload = {
            "eventType": kind,
            "timestamp": at,
            "triggerReason": "ChargingStateChanged",
            "seqNo": next(self._sequence),
            "transactionInfo": {"transactionId": tx}
            | ({"chargingState": state} if state else {}),
            "evse": {"id": 1, "connectorId": 1},
        } | more
        if payload["evse"] is None:
            del payload["evse"]
        if samples:
            payload["meterValue"] = [{"timestamp": at, "sampledValue": samples}]
        return await self.client.ask("TransactionEvent", **payload)


@pytest.fixture
def station(dial: Any) -> Callable[..., Any]:
    """Return what dials in as a 2.0.1 charging station."""

    async def make(
        id: str = "CP1", protocol: str = "ocpp2.0.1", **kwargs: Any
    ) -> Station:
        client = await dial(id, protocols=(protocol,), **kwargs)
        client.handlers.setdefault("GetVariables", lambda _: {"getVariableResult": []})
        client.handlers.pop("GetConfiguration", None)
        return Station(client)

    return make


async def test_session_from_boot_to_end(
    adopt: Any, station: Any, store: SessionLog
) -> None:
    """Boot, floor, transaction, permit, meter values, end: as with 1.6."""
    point, recorder = adopt()
    box = await station()
    answer = await box.boot("Acme", firmwareVersion="9")
    assert answer["status"] == "Accepted"
    assert point.info == BootInfo(vendor="Acme", model="Model", firmware="9")
    assert point.version == "2.0.1"
    await recorder.wait(FloorAccepted)
    (floor,) = box.client.sent("SetChargingProfile")
    assert floor["evseId"] == 0
    assert floor["chargingProfile"]["chargingProfilePurpose"] == "TxDefaultProfile"
    await box.status("Occupied")
    assert point.connectors[1].state is ConnectorState.PLUGGED
    point.permit(1, Permit(limit_a=11))
    assert await box.event("Started", "EVConnected", energy=1000) == {}
    await box.event(
        "Updated", "Charging", seconds=10, energy=1200, current=(10.5, 10.4, 10.3)
    )
    await recorder.wait(PermitAccepted)
    request = box.client.sent("SetChargingProfile")[-1]
    profile = request["chargingProfile"]
    assert (request["evseId"], profile["transactionId"]) == (1, "tx-1")
    assert profile["chargingProfilePurpose"] == "TxProfile"
    (schedule,) = profile["chargingSchedule"]
    assert [period["limit"] for period in schedule["chargingSchedulePeriod"]] == [11, 6]
    for sent in box.client.sent("SetChargingProfile"):
        assert (
            schemas.load("2.0.1").request_violation("SetChargingProfile", sent) is None
        )
    view = point.connectors[1]
    states = [view.state]
    assert view.current_a == (10.5, 10.4, 10.3)
    assert view.transaction is not None
    assert view.transaction.energy_wh == 200
    await box.event("Updated", "SuspendedEV", seconds=20)
    states.append(view.state)
    await box.event(
        "Ended",
        seconds=30,
        energy=1900,
        transactionInfo={"transactionId": "tx-1", "stoppedReason": "Local"},
    )
    states.append(view.state)
    await box.status("Available")
    states.append(view.state)
    assert states == [
        ConnectorState.CHARGING,
        ConnectorState.SUSPENDED_EV,
        ConnectorState.FINISHING,
        ConnectorState.AVAILABLE,
    ]
    ended = recorder.of(TransactionEnded)[-1]
    assert (ended.transaction.energy_wh, ended.reason) == (900, "Local")
    (record,) = await store.history()
    assert (record.remote_id, record.energy_wh) == ("tx-1", 900)


async def test_s11_events_with_gaps_in_any_order_and_twice(
    adopt: Any, station: Any, store: SessionLog
) -> None:
    """Updated before Started, repeats, an end without a beginning, late events after the end."""
    _, recorder = adopt()
    box = await station()
    await box.event("Updated", "Charging", seconds=20, energy=1300)
    await box.event("Started", "EVConnected", seconds=0, energy=1000, offline=True)
    await box.event("Updated", "Charging", seconds=20, energy=1300)
    for _ in range(2):
        await box.event("Ended", seconds=40, energy=1500)
    await box.event("Updated", "Charging", seconds=30, energy=1400, offline=True)
    await box.event("Ended", tx="lost", seconds=50, energy=2500)
    by_id = {record.remote_id: record for record in await store.history()}
    assert set(by_id) == {"tx-1", "lost"}
    assert by_id["tx-1"].energy_wh == 500
    assert by_id["tx-1"].ended_by_report
    assert by_id["lost"].ended_by_report
    assert (
        len(recorder.of(TransactionStarted)) == len(recorder.of(TransactionEnded)) == 1
    )


async def test_only_one_event_has_to_name_the_evse(adopt: Any, station: Any) -> None:
    """The others are for where the transaction runs, also after our restart."""
    point, _ = adopt()
    box = await station()
    await box.status("Occupied")
    await box.event("Started", "EVConnected", energy=1000)
    await box.event("Updated", "Charging", seconds=10, current=(9.0,), evse=None)
    view = point.connectors[1]
    assert (view.state, view.current_a) == (ConnectorState.CHARGING, (9, None, None))
    view.transaction = None
    await box.event("Updated", "SuspendedEV", seconds=20, energy=1700, evse=None)
    assert view.state is ConnectorState.SUSPENDED_EV
    await box.event("Ended", seconds=30, energy=1800, evse=None)
    assert view.transaction is None


async def test_s12_tokens(adopt: Any, station: Any, server: OcppServer) -> None:
    """An answer about the token is given only where one was sent."""
    adopt()
    server.authorize = lambda _point, tag: Authorization(
        status=AuthorizationStatus.ACCEPTED
        if tag == "good"
        else AuthorizationStatus.BLOCKED
    )
    box = await station()
    token = {"idToken": "bad", "type": "ISO14443"}
    answer = await box.client.ask("Authorize", idToken=token)
    assert answer == {"idTokenInfo": {"status": "Blocked"}}
    answer = await box.event("Started", idToken=token)
    assert answer == {"idTokenInfo": {"status": "Blocked"}}
    answer = await box.event("Updated", idToken={"idToken": "good", "type": "ISO14443"})
    assert answer == {"idTokenInfo": {"status": "Accepted"}}


async def test_s11_card_that_is_shown_after_the_plug(
    adopt: Any, station: Any, store: SessionLog
) -> None:
    """A transaction that begins with the plug gets its driver later; who may not charge does not become it."""
    point, _ = adopt()
    point.authorize_tag = lambda tag: Authorization(
        status=AuthorizationStatus.ACCEPTED
        if tag == "good"
        else AuthorizationStatus.INVALID
    )
    box = await station()
    await box.event("Started", "EVConnected")
    bad, good = ({"idToken": tag, "type": "ISO14443"} for tag in ("bad", "good"))
    answer = await box.event("Updated", idToken=bad)
    assert answer == {"idTokenInfo": {"status": "Invalid"}}
    assert point.connectors[1].transaction.id_tag is None
    await box.event("Updated", triggerReason="Authorized", idToken=good)
    assert point.connectors[1].transaction.id_tag == "good"
    (record,) = await store.history()
    assert record.id_tag == "good"


async def test_s12_station_that_charges_for_everybody(adopt: Any, station: Any) -> None:
    """It says so instead of sending a token; whether that is wanted is decided here."""
    point, _ = adopt()
    box = await station()
    nobody = {"idToken": "", "type": "NoAuthorization"}
    answer = await box.client.ask("Authorize", idToken=nobody)
    assert answer == {"idTokenInfo": {"status": "Accepted"}}
    point.authorize_tag = lambda tag: Authorization(
        status=AuthorizationStatus.ACCEPTED if tag else AuthorizationStatus.INVALID
    )
    answer = await box.client.ask("Authorize", idToken=nobody)
    assert answer == {"idTokenInfo": {"status": "Invalid"}}


VARIABLES = {
    "SmartChargingCtrlr.ProfileStackLevel": "0",
    "SmartChargingCtrlr.RateUnit": "W",
    "SampledDataCtrlr.TxUpdatedInterval": "60",
    "SampledDataCtrlr.TxUpdatedMeasurands": "Voltage",
    "SampledDataCtrlr.TxEndedMeasurands": "",
    "OCPPCommCtrlr.WebSocketPingInterval": "30",
}


async def test_variables_are_believed_and_set_where_they_differ(
    adopt: Any, station: Any
) -> None:
    """Abilities come from SmartChargingCtrlr, metering is set in SampledDataCtrlr."""

    def get(payload: Payload) -> Payload:
        results = []
        for entry in payload["getVariableData"]:
            name = f"{entry['component']['name']}.{entry['variable']['name']}"
            known = name in VARIABLES
            results.append(
                entry
                | {"attributeStatus": "Accepted" if known else "UnknownVariable"}
                | ({"attributeValue": VARIABLES[name]} if known else {})
            )
        return {"getVariableResult": results}

    def put(payload: Payload) -> Payload:
        (entry,) = payload["setVariableData"]
        refused = "SoC" in entry["attributeValue"]
        result = {
            "component": entry["component"],
            "variable": entry["variable"],
            "attributeStatus": "Rejected" if refused else "Accepted",
        }
        return {"setVariableResult": [result]}

    point, recorder = adopt()
    box = await station(handlers={"GetVariables": get, "SetVariables": put})
    await box.boot()
    await recorder.wait(FloorAccepted)
    floor = box.client.sent("SetChargingProfile")[0]["chargingProfile"]
    assert floor["chargingSchedule"][0]["chargingRateUnit"] == "W"
    assert point.steering.abilities.stack_level == 0

    def written() -> dict[str, str]:
        return {
            entry["setVariableData"][0]["variable"]["name"]: entry["setVariableData"][
                0
            ]["attributeValue"]
            for entry in box.client.sent("SetVariables")
            if "SoC" not in entry["setVariableData"][0]["attributeValue"]
        }

    await box.client.until(lambda: "TxEndedMeasurands" in written())
    assert written()["TxUpdatedInterval"] == "10"
    assert written()["TxUpdatedMeasurands"].endswith("Temperature")
    assert "WebSocketPingInterval" not in written()
    assert await point.get_configuration(["OCPPCommCtrlr.WebSocketPingInterval"]) == {
        "OCPPCommCtrlr.WebSocketPingInterval": "30"
    }
    with pytest.raises(CallError, match="rejected"):
        await point.change_configuration("SampledDataCtrlr.TxUpdatedMeasurands", "SoC")


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_remote_control(
    adopt: Any, dial: Any, station: Any, version: str
) -> None:
    """The requests that entities and actions make are valid in both versions."""
    point, recorder = adopt()
    if version == "1.6":
        client = await dial()
        await client.boot()
    else:
        box = await station()
        client = box.client
        await box.boot()
        client.handlers["SetVariables"] = lambda payload: {
            "setVariableResult": [
                {
                    "attributeStatus": "Accepted",
                    "component": payload["setVariableData"][0]["component"],
                    "variable": payload["setVariableData"][0]["variable"],
                }
            ]
        }
    await recorder.wait(FloorAccepted)
    with pytest.raises(CallError, match="no_transaction"):
        await point.remote_stop(1)
    await (client.start() if version == "1.6" else box.event("Started", "Charging"))
    await point.remote_start(1, "TAG")
    await point.remote_stop(1)
    await point.reset(hard=True)
    await point.set_availability(0, operative=False)
    await point.set_availability(1, operative=True)
    await point.trigger("StatusNotification", 1)
    await point.data_transfer("vendor", None, "x")
    await point.raw_call(*point.dialect.clear_profile(101))
    await point.raw_call(*point.dialect.composite_schedule(1, 60))
    await point.clear_cache()
    await point.reserve(1, "TAG", datetime.now(UTC), 5)
    await point.cancel_reservation(5)
    await point.update_firmware("https://example.com/fw.bin", datetime.now(UTC))
    await point.get_diagnostics("https://example.com/upload")
    await point.send_local_list({"A": True, "B": True}, 2)
    await point.change_password("00112233445566778899aabbccddeeff")
    client.handlers["UnlockConnector"] = lambda _: {"status": "UnlockFailed"}
    with pytest.raises(CallError, match="rejected"):
        await point.unlock(1)
    with pytest.raises(CallError, match="unknown_connector"):
        await point.unlock(9)
    asked = {name for name, _ in client.requests}
    assert len(asked) >= 15
    for name, payload in client.requests:
        assert name in schemas.load(version).requests
        violation = schemas.load(version).request_violation(name, payload)
        assert violation is None, (name, payload, violation.message)


NEW_IN_21 = (
    "ClosePeriodicEventStream", "NotifyDERAlarm", "NotifyDERStartStop", "NotifyPriorityCharging",
    "NotifySettlement", "OpenPeriodicEventStream", "PullDynamicScheduleUpdate", "ReportDERControl",
)  # fmt: skip


async def test_every_message_of_2_1_has_a_valid_answer(adopt: Any, dial: Any) -> None:
    """Those of 2.0.1 (test_conformity.py) and the new ones; what does not exist is an error."""
    adopt()
    client = await dial(protocols=("ocpp2.1",))
    ids = {"evseId": 1, "transactionInfo": {"transactionId": "t"}, "evse": {"id": 1}}
    for action in (*NEW_IN_21, *sorted(conformity.FROM_CHARGE_POINT["2.0.1"])):
        answer = await client.ask(action, **ids)
        violation = schemas.load("2.1").response_violation(action, answer)
        assert violation is None, (action, answer, violation.message)
    assert (await client.call("MakeCoffee", {}))[0] == 4


async def test_s12_pairing_speaks_2_0_1(
    server: OcppServer, station: Any, adopt: Any
) -> None:
    """An unknown station waits; its transactions are not recorded."""
    server.pairing = True
    box = await station("NEW")
    assert (await box.boot("Acme"))["status"] == "Pending"
    assert server.unknown["NEW"].version == "2.0.1"
    assert server.unknown["NEW"].vendor == "Acme"
    answer = await box.event("Started", idToken={"idToken": "x", "type": "Local"})
    assert answer["idTokenInfo"]["status"] == "Invalid"
    adopt("NEW")
    assert (await box.boot("Acme"))["status"] == "Accepted"


async def test_a_charger_may_change_its_version(
    adopt: Any, dial: Any, station: Any
) -> None:
    """Some try 1.6 first; the charge point goes on with the newest connection's."""
    point, _ = adopt()
    await (await dial()).boot()
    box = await station()
    await box.boot()
    assert point.version == "2.0.1"
    both = await dial(protocols=("ocpp2.0.1", "ocpp1.6"))
    assert both.socket.subprotocol == "ocpp2.0.1"


@pytest.mark.parametrize(
    "report",
    [
        pytest.param({"status": "Accepted"}, id="accepted, and never sent"),
        pytest.param({"status": "Rejected"}, id="rejected"),
        pytest.param(("NotImplemented", ""), id="not implemented"),
    ],
)
async def test_who_does_not_tell_how_long_a_list_may_be_is_asked_for_all(
    adopt: Any, station: Any, report: Any
) -> None:
    """Reports are optional: without one the whole list is tried."""

    def variables(payload: Payload) -> Payload:
        return {
            "getVariableResult": [
                {
                    **asked,
                    "attributeStatus": "Accepted",
                    "attributeValue": "Voltage",
                }
                for asked in payload["getVariableData"]
                if asked["variable"]["name"] == "TxUpdatedMeasurands"
            ]
        }

    adopt()
    box = await station(
        handlers={"GetVariables": variables, "GetReport": lambda _: report}
    )
    await box.boot()
    await box.client.until(lambda: box.client.sent("SetVariables"))
    (written,) = box.client.sent("SetVariables")[0]["setVariableData"]
    assert written["variable"]["name"] == "TxUpdatedMeasurands"
    assert written["attributeValue"].split(",") == list(MEASURANDS)


async def test_what_stations_of_the_field_say(
    adopt: Any, station: Any, store: SessionLog
) -> None:
    """EVSEs that do not exist, values in pieces, reports that nobody asked for, times that cannot be: nothing breaks."""
    point, recorder = adopt()
    box = await station()
    await box.boot()
    await box.status("Occupied")
    for evse in (0, 2, 10**9):
        assert await box.status("Faulted", evse) == {}
        await box.client.ask("MeterValues", evseId=evse, meterValue=[])
    assert point.connectors[1].state is ConnectorState.PLUGGED
    for request, part in ((7, {}), ("x", None), (7, {"reportData": [1, {}], "tbc": 1})):
        answer = await box.client.ask(
            "NotifyReport", requestId=request, generatedAt="?", seqNo=0, **(part or {})
        )
        assert answer == {}
    await box.event("Updated", "Charging", tx="never begun", energy=1000)
    at = iso()
    await box.client.ask(
        "MeterValues",
        evseId="1",
        meterValue=[
            {"timestamp": at, "sampledValue": [sample]}
            for sample in (
                {"value": 7, "measurand": "Current.Import", "phase": "L1-N"},
                {"value": "8", "measurand": "Current.Import", "phase": "l2"},
                {"value": 9, "measurand": "Current.Import", "phase": "L3"},
                {
                    "value": 5.5,
                    "measurand": "Power.Active.Import",
                    "unitOfMeasure": {"unit": "kW", "multiplier": "0"},
                },
            )
        ],
    )
    view = point.connectors[1]
    assert (view.current_a, view.power_w) == ((7, 8, 9), 5500)
    await box.event(
        "Ended", tx="never begun", energy=1700, timestamp="2099-01-01T00:00:00"
    )
    await box.event("Started", "Charging", tx="elsewhere", evse={"id": 9})
    assert view.transaction is None
    assert point.problems == ("connector_unknown",)
    assert len(recorder.of(TransactionEnded)) == 1
    await box.event("Ended", tx="elsewhere", evse=None)
    assert point.problems == ()
    records = {record.remote_id: record for record in await store.history()}
    assert set(records) == {"never begun", "elsewhere"}
    ended = records["never begun"]
    assert ended.energy_wh == 700
    assert ended.stopped_at <= datetime.now(UTC)

"""OCPP 1.6-J on the wire: the core messages, the floor, permits that expire, and pairing."""

import asyncio
from datetime import UTC, datetime, timedelta
import json
import logging
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from custom_components.reev_ems.energy_management.model import Supply
from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    Authorization,
    AuthorizationStatus,
    BootInfo,
    CallError,
    ChargePointConfig,
    Disconnected,
    Floor,
    FloorAccepted,
    Metered,
    OcppServer,
    Permit,
    PermitAccepted,
    PermitRejected,
    StatusChanged,
    TagRefused,
    TransactionEnded,
    TransactionStarted,
    User,
    charge_point,
)
from custom_components.reev_ems.sessions import SessionLog

from .wire import Payload, iso


def seconds(start: str, end: str) -> float:
    """Return the seconds between two times on the wire."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


async def test_boot_heartbeat_and_status(
    adopt: Any, dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What a charge point says of itself is seen, and kept over a lost connection; both ends of that are logged once."""
    caplog.set_level(logging.INFO, "custom_components.reev_ems")
    point, recorder = adopt(connector_ids=(1, 2))
    assert point.connectors[1].state is ConnectorState.OFFLINE
    client = await dial()
    answer = await client.boot(
        "Acme", "Box", firmwareVersion="1.2", chargePointSerialNumber="S"
    )
    assert answer["status"] == "Accepted"
    assert abs(seconds(answer["currentTime"], iso())) < 5
    assert point.info == BootInfo(
        vendor="Acme", model="Box", serial="S", firmware="1.2"
    )
    assert "currentTime" in await client.ask("Heartbeat")
    await client.status("Preparing", 2)
    assert point.connected
    assert point.version == "1.6"
    assert recorder.of(StatusChanged)[-1] == StatusChanged(
        charge_point_id="CP1", connector_id=2, state=ConnectorState.PLUGGED
    )
    await client.close()
    await recorder.wait(Disconnected)
    assert not point.connected
    again = await dial()
    await again.ask("Heartbeat")
    assert caplog.messages == [
        "CP1: connected",
        "CP1: connection lost",
        "CP1: connected",
    ]
    states = [connector.state for connector in point.connectors.values()]
    assert states == [ConnectorState.OFFLINE, ConnectorState.PLUGGED]


async def test_s4_floor_comes_before_any_permit(adopt: Any, dial: Any) -> None:
    """The first profile is the failsafe: lowest level, no expiry."""
    point, recorder = adopt()
    point.permit(1, Permit(limit_a=16))
    client = await dial()
    await client.start()
    await client.boot()
    await recorder.wait(PermitAccepted)
    purposes = [
        payload["csChargingProfiles"]["chargingProfilePurpose"]
        for payload in client.sent("SetChargingProfile")
    ]
    assert purposes[0] == "TxDefaultProfile"
    assert purposes.index("TxProfile") > 0
    floor = client.sent("SetChargingProfile")[0]
    assert floor["connectorId"] == 0
    profile = floor["csChargingProfiles"]
    assert profile["stackLevel"] == 0
    assert profile["chargingSchedule"]["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 6}
    ]
    assert "validTo" not in profile
    assert "duration" not in profile["chargingSchedule"]


async def test_s4_no_profile_is_sent_while_the_floor_is_refused(
    adopt: Any, dial: Any
) -> None:
    """Who keeps no failsafe is not steered by profiles that would lapse to nothing, and a person is told."""
    point, _ = adopt()
    client = await dial(
        handlers={"SetChargingProfile": lambda _: {"status": "Rejected"}}
    )
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=16))
    await client.until(lambda: client.profiles("ChargePointMaxProfile"))
    await asyncio.sleep(0.2)
    assert not point.floor_accepted
    assert "floor_rejected" in point.problems
    assert not client.profiles("TxProfile")
    assert not client.sent("RemoteStopTransaction")


async def test_s5_working_profile_lapses_in_three_ways(adopt: Any, dial: Any) -> None:
    """A second period, a duration and a validTo each end the permit."""
    point, recorder = adopt(floor=Floor(limit_a=6))
    client = await dial()
    await client.boot()
    transaction_id = await client.start()
    point.permit(1, Permit(limit_a=10.57, life_s=120))
    accepted = await recorder.wait(PermitAccepted)
    profile = client.profiles("TxProfile")[-1]
    schedule = profile["chargingSchedule"]
    assert profile["transactionId"] == transaction_id
    assert profile["stackLevel"] == 1
    assert profile["chargingProfileKind"] == "Absolute"
    work, lapse = schedule["chargingSchedulePeriod"]
    assert work == {"startPeriod": 0, "limit": 10.5}
    assert lapse["limit"] == 6
    assert 60 + 118 <= lapse["startPeriod"] <= 60 + 120
    assert lapse["startPeriod"] < schedule["duration"] <= 60 + 120 + 60
    assert 55 < seconds(schedule["startSchedule"], iso()) < 65
    assert 170 < seconds(iso(), profile["validTo"]) <= 180
    assert point.connectors[1].permit == Permit(limit_a=10.57, life_s=120)
    assert accepted.expires_at_s == point.connectors[1].permit_expires_at_s


async def test_permit_waits_for_the_transaction_and_newest_wins(
    adopt: Any, dial: Any
) -> None:
    """Without a transaction nothing is sent; then only the newest."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await recorder.wait(FloorAccepted)
    point.permit(1, Permit(limit_a=16))
    point.permit(1, Permit(limit_a=8))
    await asyncio.sleep(0.1)
    assert not client.profiles("TxProfile")
    await client.start()
    await recorder.wait(PermitAccepted)
    limits = [
        profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        for profile in client.profiles("TxProfile")
    ]
    assert limits == [8]


async def test_newest_permit_replaces_one_that_waits_for_its_turn(
    adopt: Any, dial: Any
) -> None:
    """Behind a slow call only the newest of several permits goes out."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=16))
    await recorder.wait(PermitAccepted)
    client.handlers["Reset"] = lambda _: None
    slow = asyncio.create_task(point.raw_call("Reset", {"type": "Soft"}, timeout_s=0.4))
    await client.until(lambda: client.sent("Reset"))
    for limit_a in (15, 14, 6):
        point.permit(1, Permit(limit_a=limit_a))
        await asyncio.sleep(0.05)
    with pytest.raises(CallError):
        await slow
    await recorder.wait(PermitAccepted, count=2)
    await asyncio.sleep(0.1)
    limits = [
        profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        for profile in client.profiles("TxProfile")
    ]
    assert limits == [16, 6]


async def test_s8_permit_goes_out_again_when_charging_begins(
    adopt: Any, dial: Any
) -> None:
    """Chargers forget: each transition to charging repeats the permit."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=9))
    await recorder.wait(PermitAccepted)
    await client.status("SuspendedEV")
    await asyncio.sleep(0.1)
    before = len(client.profiles("TxProfile"))
    await client.status("Charging")
    await recorder.wait(PermitAccepted, count=2)
    assert len(client.profiles("TxProfile")) == before + 1


async def test_charger_that_takes_watts_only(adopt: Any, dial: Any) -> None:
    """A refused ampere limit is sent again in watts of the connector's phases."""

    def take(payload: dict[str, Any]) -> dict[str, Any]:
        unit = payload["csChargingProfiles"]["chargingSchedule"]["chargingRateUnit"]
        return {"status": "Accepted" if unit == "W" else "Rejected"}

    point, recorder = adopt(phases={1: 1})
    client = await dial(handlers={"SetChargingProfile": take})
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    schedule = client.profiles("TxProfile")[-1]["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "W"
    assert [period["limit"] for period in schedule["chargingSchedulePeriod"]] == [
        2300,
        1380,
    ]


async def test_dc_in_watts_without_phases(adopt: Any, dial: Any) -> None:
    """DC is limited in whole watts."""
    point, recorder = adopt(
        supply={1: Supply.DC}, floor=Floor(limit_a=None, limit_w=5000)
    )
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_w=20000.9))
    await recorder.wait(PermitAccepted)
    schedule = client.profiles("TxProfile")[-1]["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "W"
    assert [period["limit"] for period in schedule["chargingSchedulePeriod"]] == [
        20000,
        5000,
    ]
    assert "numberPhases" not in schedule["chargingSchedulePeriod"][0]


async def test_transaction_from_start_to_stop(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Measured values arrive in the view, the energy in the records."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.status("Charging")
    transaction_id = await client.start(meterStart=5000)
    assert recorder.of(TransactionStarted)[-1].transaction.id == transaction_id
    await client.ask(
        "MeterValues",
        connectorId=1,
        transactionId=transaction_id,
        meterValue=[
            {
                "timestamp": iso(),
                "sampledValue": [
                    {"value": "5.5", "unit": "kWh"},
                    {"value": "6900", "measurand": "Power.Active.Import", "unit": "W"},
                    {"value": "10.1", "measurand": "Current.Import", "phase": "L1"},
                    {"value": "10.0", "measurand": "Current.Import", "phase": "L2"},
                    {"value": "9.9", "measurand": "Current.Import", "phase": "L3"},
                    {"value": "16", "measurand": "Current.Offered", "unit": "A"},
                    {"value": "41", "measurand": "SoC", "unit": "Percent"},
                ],
            }
        ],
    )
    view = point.connectors[1]
    assert recorder.of(Metered)
    assert view.current_a == (10.1, 10.0, 9.9)
    assert (view.power_w, view.soc_pct, view.current_offered_a) == (6900, 41, 16)
    assert view.measured_at_s is not None
    assert view.transaction is not None
    assert view.transaction.energy_wh == 500
    await client.ask(
        "StopTransaction",
        transactionId=transaction_id,
        meterStop=7500,
        timestamp=iso(),
        reason="EVDisconnected",
    )
    ended = recorder.of(TransactionEnded)[-1]
    assert (ended.transaction.energy_wh, ended.reason) == (2500, "EVDisconnected")
    assert view.transaction is None
    assert view.current_a == (0, 0, 0)
    (record,) = await store.history()
    assert (record.id, record.energy_wh, record.id_tag) == (transaction_id, 2500, "TAG")


async def test_s11_repeated_start_and_stop_are_one_session(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Replays, also over a new connection, add nothing."""
    _, recorder = adopt()
    client = await dial()
    at = iso()
    first = await client.start(timestamp=at)
    assert await client.start(timestamp=at) == first
    client.abort()
    again = await dial()
    assert await again.start(timestamp=at) == first
    for meter_stop in (4000, 9999):
        await again.ask(
            "StopTransaction",
            transactionId=first,
            meterStop=meter_stop,
            timestamp=iso(),
        )
    await again.ask("StopTransaction", transactionId=77, meterStop=1, timestamp=iso())
    assert (
        len(recorder.of(TransactionStarted)) == len(recorder.of(TransactionEnded)) == 1
    )
    (record,) = await store.history()
    assert record.energy_wh == 3000


async def test_s11_what_cannot_be_recorded_is_not_acknowledged(
    adopt: Any, dial: Any, store: SessionLog, caplog: pytest.LogCaptureFixture
) -> None:
    """With a broken disk the charger keeps its report, and sends it again."""
    adopt()
    client = await dial()
    engine = store._engine
    store._engine = None
    await client.send(
        json.dumps(
            [
                2,
                "a",
                "StartTransaction",
                {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "t"},
            ]
        )
    )
    await client.ask("Heartbeat")
    assert not any('"a"' in frame for frame in client.frames)
    assert "cannot be recorded" in caplog.text
    store._engine = engine
    await client.start()
    assert len(await store.history()) == 1


async def test_s11_clock_of_1970_does_not_misplace_sessions(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Times that cannot be are replaced by ours; an offline session keeps its own."""
    adopt()
    client = await dial()
    await client.start(timestamp="1970-01-01T00:00:07Z")
    offline = datetime.now(UTC) - timedelta(days=3)
    await client.start(timestamp=iso(offline), meterStart=5)
    old, new = await store.history()
    assert abs(old.started_at - offline) < timedelta(seconds=1)
    assert datetime.now(UTC) - new.started_at < timedelta(minutes=1)


async def test_s11_transaction_survives_our_restart(
    store: SessionLog, dial: Any, server: OcppServer
) -> None:
    """A transaction of before our start is steered again."""
    transaction_id = await store.start(
        charge_point_id="CP1",
        connector_id=1,
        key="k",
        started_at=datetime.now(UTC) - timedelta(minutes=5),
        id_tag="TAG",
        user_id="u1",
        user_name="Ada",
        meter_start_wh=100,
    )
    point = server.adopt(ChargePointConfig(id="CP1"))
    point.permit(1, Permit(limit_a=7))
    client = await dial()
    await client.until(lambda: client.profiles("TxProfile"))
    assert client.profiles("TxProfile")[0]["transactionId"] == transaction_id
    transaction = point.connectors[1].transaction
    assert transaction is not None
    assert transaction.user == User(id="u1", name="Ada")


def metered(transaction_id: int, energy: str, *currents: str) -> Payload:
    """Return a MeterValues request of connector 1."""
    samples: list[Payload] = [{"value": energy}]
    samples += [
        {"value": current, "measurand": "Current.Import", "phase": f"L{phase}"}
        for phase, current in enumerate(currents, 1)
    ]
    return {
        "connectorId": 1,
        "transactionId": transaction_id,
        "meterValue": [{"timestamp": iso(), "sampledValue": samples}],
    }


async def test_s11_running_transaction_of_lost_records_is_taken_up(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Its meter values show it; it is steered and ended by the id that the charger knows, and recorded once."""
    point, recorder = adopt()
    client = await dial()
    await client.status("Charging")
    point.permit(1, Permit(limit_a=9))
    for energy in ("2000", "2100"):
        await client.ask("MeterValues", **metered(77, energy))
    await recorder.wait(PermitAccepted)
    assert client.profiles("TxProfile")[-1]["transactionId"] == 77
    await client.ask(
        "StopTransaction", transactionId=77, meterStop=2500, timestamp=iso()
    )
    await client.ask("MeterValues", **metered(77, "2500"))
    assert (
        len(recorder.of(TransactionStarted)) == len(recorder.of(TransactionEnded)) == 1
    )
    (record,) = await store.history()
    assert record.energy_wh == 500


async def test_s11_closing_meter_values_do_not_revive_a_session(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Some chargers send the last values after the stop."""
    point, _ = adopt()
    client = await dial()
    transaction_id = await client.start()
    await client.status("Charging")
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=1500, timestamp=iso()
    )
    await client.ask("MeterValues", **metered(transaction_id, "1600"))
    assert point.connectors[1].transaction is None
    (record,) = await store.history()
    assert record.energy_wh == 500


async def test_s11_stop_with_a_lost_id_ends_the_only_open_session(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """-1 means the one that runs, if there is one only."""
    adopt(connector_ids=(1, 2))
    client = await dial()
    await client.start(1)
    await client.ask(
        "StopTransaction", transactionId=-1, meterStop=1400, timestamp=iso()
    )
    assert (await store.history())[0].energy_wh == 400
    await client.start(1, meterStart=1400)
    await client.start(2)
    await client.ask(
        "StopTransaction", transactionId=-1, meterStop=1900, timestamp=iso()
    )
    assert len(await store.open_transactions("CP1")) == 2


async def test_s12_tags_are_asked_for(
    adopt: Any, dial: Any, server: OcppServer
) -> None:
    """Only authorised tags charge, and a refusal still has a transaction id."""
    _, recorder = adopt()
    server.authorize = lambda point, tag: Authorization(
        status=AuthorizationStatus.ACCEPTED
        if tag == "good"
        else AuthorizationStatus.BLOCKED,
        parent_id_tag="group",
    )
    client = await dial()
    answer = await client.ask("Authorize", idTag="good")
    assert answer["idTagInfo"] == {"status": "Accepted", "parentIdTag": "group"}
    assert (await client.ask("Authorize", idTag="bad"))["idTagInfo"][
        "status"
    ] == "Blocked"
    started = await client.ask(
        "StartTransaction", connectorId=1, idTag="bad", meterStart=0, timestamp=iso()
    )
    assert started["transactionId"] > 0
    assert started["idTagInfo"]["status"] == "Blocked"
    assert [event.id_tag for event in recorder.of(TagRefused)] == ["bad", "bad"]


async def test_charge_point_that_started_before_us_is_asked_what_it_is(
    adopt: Any, dial: Any
) -> None:
    """Without a BootNotification one is triggered; it does not make the floor be written again."""
    point, recorder = adopt()
    client = await dial()
    await client.until(lambda: client.sent("TriggerMessage"))
    assert client.sent("TriggerMessage")[0] == {"requestedMessage": "BootNotification"}
    await recorder.wait(FloorAccepted)
    await client.boot("Acme")
    assert point.info is not None
    await client.until(lambda: len(client.sent("TriggerMessage")) == 2)
    assert len(client.profiles("TxDefaultProfile")) == 1
    await client.boot("Acme")
    await recorder.wait(FloorAccepted, count=2)


async def test_s5_orderly_stop_clears_the_permit_by_its_id(
    adopt: Any, dial: Any, server: OcppServer
) -> None:
    """The floor acts at once; it is never cleared with it."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=16))
    await recorder.wait(PermitAccepted)
    await server.stop()
    assert client.sent("ClearChargingProfile") == [
        {"id": client.profiles("TxProfile")[-1]["chargingProfileId"]}
    ]


async def test_meter_values_that_do_not_come_are_asked_for(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some chargers send none by themselves."""
    monkeypatch.setattr(charge_point, "METER_WATCH_S", 0.05)
    adopt(meter_interval_s=0)
    client = await dial()
    await client.status("Charging")
    await client.until(
        lambda: (
            {"requestedMessage": "MeterValues", "connectorId": 1}
            in client.sent("TriggerMessage")
        )
    )


async def test_changed_settings_keep_the_socket(
    adopt: Any, dial: Any, server: OcppServer
) -> None:
    """The same settings change nothing; others are applied to the connection that is there."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await recorder.wait(FloorAccepted)
    await client.until(lambda: client.sent("TriggerMessage"))
    assert server.adopt(ChargePointConfig(id="CP1")) is point
    assert len(client.profiles("TxDefaultProfile")) == 1
    asked = len(client.sent("TriggerMessage"))
    server.adopt(
        ChargePointConfig(id="CP1", connector_ids=(1, 2), floor=Floor(limit_a=8))
    )
    await recorder.wait(FloorAccepted, count=2)
    floor = client.profiles("TxDefaultProfile")[-1]["chargingSchedule"][
        "chargingSchedulePeriod"
    ]
    assert floor == [{"startPeriod": 0, "limit": 8}]
    await client.until(
        lambda: any(
            request.get("connectorId") == 2
            for request in client.sent("TriggerMessage")[asked:]
        )
    )
    await client.status("Charging", 2)
    assert point.connectors[2].state is ConnectorState.CHARGING
    server.remove("CP1")
    assert await client.closed() == 1001
    with pytest.raises(InvalidStatus):
        await dial()


async def test_data_transfer_and_unknown_actions_are_answered(
    adopt: Any, dial: Any
) -> None:
    """Every CALL has an answer."""
    adopt()
    client = await dial()
    assert await client.ask("DataTransfer", vendorId="x") == {
        "status": "UnknownVendorId"
    }
    assert await client.ask("FirmwareStatusNotification", status="Idle") == {}
    kind, _, code, *_ = await client.call("MakeCoffee", {})
    assert (kind, code) == (4, "NotImplemented")


async def test_metering_is_configured_only_where_it_differs(
    adopt: Any, dial: Any
) -> None:
    """What is right is not written; what is refused is left out."""
    keys = [
        {"key": "MeterValueSampleInterval", "readonly": False, "value": "60"},
        {"key": "WebSocketPingInterval", "readonly": False, "value": "30"},
        {"key": "MeterValuesSampledData", "readonly": False, "value": "Voltage"},
        {"key": "StopTransactionOnInvalidId", "readonly": False, "value": "True"},
        {"key": "AllowOfflineTxForUnknownId", "readonly": False, "value": "true"},
    ]
    taken: list[str] = []

    def change(payload: dict[str, Any]) -> dict[str, Any]:
        if payload["key"] == "MeterValuesSampledData" and "SoC" in payload["value"]:
            return {"status": "Rejected"}
        taken.append(f"{payload['key']}={payload['value']}")
        return {"status": "Accepted"}

    adopt()
    client = await dial(
        handlers={
            "GetConfiguration": lambda _: {"configurationKey": keys},
            "ChangeConfiguration": change,
        }
    )
    await client.boot()
    await client.until(lambda: any("AllowOfflineTx" in entry for entry in taken))
    assert taken[0] == "MeterValueSampleInterval=10"
    assert not any("WebSocketPingInterval" in entry for entry in taken)
    assert taken[-1] == "AllowOfflineTxForUnknownId=false"
    assert not any("StopTransactionOnInvalidId" in entry for entry in taken)
    assert taken[-2] == (
        "MeterValuesSampledData=Power.Active.Import,Current.Import,Energy.Active.Import.Register,"
        "Voltage,Current.Offered,Power.Offered,Temperature"
    )


async def test_lost_answer_keeps_the_larger_permit_in_the_books(
    adopt: Any, dial: Any
) -> None:
    """An unanswered decrease may not have happened."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=16))
    await recorder.wait(PermitAccepted)
    client.handlers["SetChargingProfile"] = lambda _: None
    point.permit(1, Permit(limit_a=6))
    await client.until(lambda: len(client.profiles("TxProfile")) == 2)
    client.abort()
    rejected = await recorder.wait(PermitRejected)
    assert rejected.reason == "disconnected"
    assert point.connectors[1].permit is not None
    assert point.connectors[1].permit.limit_a == 16


async def test_s12_unknown_charge_points_need_pairing(
    server: OcppServer, dial: Any, adopt: Any
) -> None:
    """Unknown ids get 404, or wait in a list until adopted."""
    with pytest.raises(InvalidStatus) as refused:
        await dial("NEW")
    assert refused.value.response.status_code == 404
    assert server.turned_away == 1
    assert not server.unknown
    server.pairing = True
    told: list[str] = []
    server.on_unknown = lambda unknown: told.append(unknown.id)
    client = await dial("NEW")
    assert (await client.boot("Acme", "Box"))["status"] == "Pending"
    assert await client.start() == 0
    assert server.unknown["NEW"].model == "Box"
    assert server.unknown["NEW"].address == "127.0.0.1"
    assert told == ["NEW"]
    point, recorder = adopt("NEW")
    assert not server.unknown
    assert (await client.boot("Acme", "Box"))["status"] == "Accepted"
    await recorder.wait(FloorAccepted)
    assert point.connected
    server.pairing = False
    with pytest.raises(InvalidStatus):
        await dial("OTHER")


async def test_port_that_is_taken(server: OcppServer, store: SessionLog) -> None:
    """A taken port is an OSError, and stopping is harmless."""
    other = OcppServer(host="127.0.0.1", port=server.port, transactions=store)
    with pytest.raises(OSError, match="address already in use"):
        await other.start()
    await other.stop()

"""OCPP 1.6-J on the wire: the core messages, settings, and pairing."""

import logging
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    BootInfo,
    ChargePointConfig,
    Disconnected,
    Floor,
    FloorAccepted,
    OcppServer,
    StatusChanged,
    charge_point,
)
from custom_components.reev_ems.sessions import SessionLog

from .wire import iso, seconds


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


async def test_s12_who_waits_for_adoption_is_kept_waiting(
    server: OcppServer, dial: Any
) -> None:
    """It hears the time, and nothing in its queue is answered by an error, or it would stick there."""
    server.pairing = True
    client = await dial("NEW")
    assert (await client.boot())["status"] == "Pending"
    assert "currentTime" in await client.ask("Heartbeat")
    assert await client.ask("MeterValues", connectorId=1, meterValue=[]) == {}
    # Of another version; some send it all the same.
    assert await client.ask("TransactionEvent", eventType="Started") == {}
    assert (await client.call("MakeCoffee", {}))[0] == 4


async def test_s12_end_of_pairing_drops_who_waits(
    server: OcppServer, dial: Any
) -> None:
    """Who was not adopted is nobody's business any more, and is not let in again."""
    server.pairing = True
    client = await dial("NEW")
    await client.boot()
    assert set(server.unknown) == {"NEW"}
    server.pairing = False
    assert await client.closed() is not None
    assert not server.unknown
    with pytest.raises(InvalidStatus) as refused:
        await dial("NEW")
    assert refused.value.response.status_code == 404


async def test_port_that_is_taken(server: OcppServer, store: SessionLog) -> None:
    """A taken port is an OSError, and stopping is harmless."""
    other = OcppServer(host="127.0.0.1", port=server.port, transactions=store)
    with pytest.raises(OSError, match="address already in use"):
        await other.start()
    await other.stop()

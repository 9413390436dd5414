"""A car that goes on charging though its session has ended in the records has a session again, and is steered."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    Permit,
    PermitAccepted,
    TransactionStarted,
    ends,
)
from custom_components.reev_ems.sessions import SessionLog

from .wire import WireChargePoint, iso


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for late values as long as with real charge points."""
    monkeypatch.setattr(ends, "GOES_ON_S", 0.3)


async def values(client: WireChargePoint, transaction_id: int, energy_wh: int) -> None:
    """Send the energy register of a transaction, OCPP 1.6."""
    sample = {"timestamp": iso(), "sampledValue": [{"value": str(energy_wh)}]}
    await client.ask(
        "MeterValues", connectorId=1, transactionId=transaction_id, meterValue=[sample]
    )


@pytest.mark.parametrize("status", ["Charging", "Finishing"])
async def test_s11_ended_and_still_charging_16(
    adopt: Any, dial: Any, store: SessionLog, status: str
) -> None:
    """Fresh values with its id, and the status Charging, show that it goes on; late ones do not."""
    point, recorder = adopt()
    client = await dial()
    transaction_id = await client.start()
    await client.status("Charging")
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=1001, timestamp=iso()
    )
    await client.status(status)
    point.permit(1, Permit(limit_a=9))
    await values(client, transaction_id, 3000)
    assert point.connectors[1].transaction is None
    await asyncio.sleep(0.4)
    await values(client, transaction_id, 3100)
    goes_on = status == "Charging"
    assert len(await store.history()) == 1 + goes_on
    if not goes_on:
        return
    await recorder.wait(PermitAccepted)
    assert client.profiles("TxProfile")[-1]["transactionId"] == transaction_id
    await values(client, transaction_id, 4100)
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=5100, timestamp=iso()
    )
    first, second = await store.history()
    assert (first.energy_wh, second.energy_wh) == (1, 2000)
    assert point.connectors[1].transaction is None


async def event(client: WireChargePoint, kind: str, **more: Any) -> None:
    """Send a TransactionEvent, with the energy register."""
    state = more.pop("state", "Charging")
    energy_wh = more.pop("energy_wh")
    at = more.pop("at", None)
    samples: list[dict[str, Any]] = [{"value": energy_wh}]
    if "power_w" in more:
        power = {"value": more.pop("power_w"), "measurand": "Power.Active.Import"}
        samples.append(power)
    info = {"transactionId": "T1"} | ({"chargingState": state} if state else {})
    await client.ask(
        "TransactionEvent",
        eventType=kind,
        timestamp=iso(at),
        triggerReason="MeterValuePeriodic",
        seqNo=1,
        evse={"id": 1},
        transactionInfo=info,
        meterValue=[{"timestamp": iso(at), "sampledValue": samples}],
    )


@pytest.mark.parametrize("again", [False, True])
async def test_s11_ended_and_still_charging_201(
    adopt: Any, dial: Any, store: SessionLog, again: bool
) -> None:
    """The same in 2.0.1, where late events are told by their time; also over a new connection."""
    point, recorder = adopt()
    client = await dial(protocols=("ocpp2.0.1",))
    await event(client, "Started", energy_wh=1000)
    await event(client, "Ended", energy_wh=1001)
    point.permit(1, Permit(limit_a=9))
    if again:
        client.abort()
        client = await dial(protocols=("ocpp2.0.1",))
    before = datetime.now(UTC)
    await asyncio.sleep(0.4)
    await event(client, "Updated", energy_wh=2000, at=before - timedelta(seconds=5))
    await event(client, "Updated", energy_wh=2900, state="Idle")
    assert len(recorder.of(TransactionStarted)) == 1
    await event(client, "Updated", energy_wh=3000)
    await recorder.wait(TransactionStarted, 2)
    await recorder.wait(PermitAccepted)
    sent = client.sent("SetChargingProfile")[-1]["chargingProfile"]
    assert sent["transactionId"] == "T1"
    await event(client, "Ended", energy_wh=4000)
    first, second = await store.history()
    assert (first.energy_wh, second.energy_wh) == (1, 1000)


@pytest.mark.parametrize(
    ("power_w", "rise_wh", "goes_on"),
    [(11000, 0, True), (0, 500, True), (0, 0, False), (60, 1, False)],
)
async def test_s11_ended_and_still_charging_201_without_its_state(
    adopt: Any, dial: Any, store: SessionLog, power_w: int, rise_wh: int, goes_on: bool
) -> None:
    """The charging state needs not be in each event: power or a rising register shows that a car charges."""
    point, recorder = adopt()
    client = await dial(protocols=("ocpp2.0.1",))
    await client.ask(
        "StatusNotification",
        timestamp=iso(),
        connectorStatus="Occupied",
        evseId=1,
        connectorId=1,
    )
    await event(client, "Started", energy_wh=1000)
    await event(client, "Ended", energy_wh=1001)
    point.permit(1, Permit(limit_a=9))
    view = point.connectors[1]
    for each in (1, 2):
        values = {"energy_wh": 1001 + each * rise_wh, "power_w": power_w}
        await event(client, "Updated", state=None, **values)
        assert view.transaction is None
    await asyncio.sleep(0.4)
    values = {"energy_wh": 1001 + 3 * rise_wh, "power_w": power_w}
    await event(client, "Updated", state=None, **values)
    assert len(await store.history()) == 1 + goes_on
    if not goes_on:
        assert (view.transaction, view.state) == (None, "finishing")
        return
    await recorder.wait(PermitAccepted)
    sent = client.sent("SetChargingProfile")[-1]["chargingProfile"]
    assert sent["transactionId"] == "T1"
    assert view.state == "charging"
    # Nobody says that it pauses because nothing is said.
    await event(client, "Updated", state=None, **values)
    assert view.state == "charging"


async def values_without_id(
    client: WireChargePoint, power_w: int, energy_wh: int, **more: int
) -> None:
    """Send power and energy register, OCPP 1.6, without the id of a transaction or with one that is none."""
    samples = [
        {"value": str(energy_wh)},
        {"value": str(power_w), "measurand": "Power.Active.Import"},
    ]
    sample = {"timestamp": iso(), "sampledValue": samples}
    await client.ask("MeterValues", connectorId=1, meterValue=[sample], **more)


@pytest.mark.parametrize(
    ("more", "power_w", "rise_wh", "status", "goes_on"),
    [
        ({}, 11000, 500, "Charging", True),
        ({"transactionId": 0}, 11000, 500, "Charging", True),
        ({"transactionId": -1}, 0, 500, "Charging", True),
        ({}, 0, 0, "Charging", False),
        ({}, 11000, 500, "SuspendedEV", False),
    ],
)
async def test_s11_ended_and_still_charging_16_without_an_id(
    adopt: Any,
    dial: Any,
    store: SessionLog,
    more: dict[str, int],
    power_w: int,
    rise_wh: int,
    status: str,
    goes_on: bool,
) -> None:
    """A car that charges on after its end has a session also where its values say none; it is steered, and ends."""
    point, recorder = adopt()
    client = await dial()
    transaction_id = await client.start()
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=1001, timestamp=iso()
    )
    await values_without_id(client, 0, 1001)
    await client.status(status)
    point.permit(1, Permit(limit_a=9))
    for each in (1, 2):
        await values_without_id(client, power_w, 1001 + each * rise_wh, **more)
        assert point.connectors[1].transaction is None
    await asyncio.sleep(0.4)
    for each in (3, 4):
        await values_without_id(client, power_w, 1001 + each * rise_wh, **more)
    assert len(await store.history()) == 1 + goes_on
    assert (point.connectors[1].transaction is not None) is goes_on
    if not goes_on:
        return
    await recorder.wait(PermitAccepted)
    assert client.profiles("TxProfile")[-1]["transactionId"] == transaction_id
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=4501, timestamp=iso()
    )
    assert point.connectors[1].transaction is None
    first, second = await store.history()
    assert (first.energy_wh, second.energy_wh) == (1, 2000)

"""OCPP 1.6-J on the wire: transactions, of which none is lost or counted twice."""

from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    Authorization,
    AuthorizationStatus,
    ChargePointConfig,
    Metered,
    OcppServer,
    Permit,
    PermitAccepted,
    TagRefused,
    TransactionEnded,
    TransactionStarted,
    User,
)
from custom_components.reev_ems.sessions import SessionLog

from .wire import Payload, iso


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
    database = store._database
    engine, database._file = database._file, None
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
    database._file = engine
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
    )
    client = await dial()
    answer = await client.ask("Authorize", idTag="good")
    assert answer["idTagInfo"] == {"status": "Accepted"}
    assert (await client.ask("Authorize", idTag="bad"))["idTagInfo"][
        "status"
    ] == "Blocked"
    started = await client.ask(
        "StartTransaction", connectorId=1, idTag="bad", meterStart=0, timestamp=iso()
    )
    assert started["transactionId"] > 0
    assert started["idTagInfo"]["status"] == "Blocked"
    assert [event.id_tag for event in recorder.of(TagRefused)] == ["bad", "bad"]

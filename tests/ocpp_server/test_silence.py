"""Charge points that do not answer, or lose the connection in the middle of a question."""

import asyncio
from datetime import UTC, datetime
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
import pytest

from custom_components.reev_ems import ocpp_server
from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    CertificateIssued,
    ChargePointConfig,
    Floor,
    FloorAccepted,
    OcppServer,
    Permit,
    PermitAccepted,
    PermitRejected,
    ScheduleMismatch,
    TransactionEnded,
    charge_point,
    composite,
    floors,
    pauses,
    remote,
    steering,
    tls,
    vendor_key,
)
from custom_components.reev_ems.sessions import SessionLog

from .encrypted import csr
from .wire import Payload, WireChargePoint, iso, soon


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for answers as long as with real charge points."""
    monkeypatch.setattr(steering, "_CALL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(pauses, "_CALL_TIMEOUT_S", 0.2)
    defaults = remote.RemoteControl.raw_call.__kwdefaults__
    monkeypatch.setitem(defaults, "timeout_s", 0.2)
    monkeypatch.setattr(floors, "_RETRY_S", 0.1)
    monkeypatch.setattr(steering, "_TRANSACTION_FRESH_S", 0.0)


def silent(_: Payload) -> None:
    """Give no answer."""


def refuse(_: Payload) -> Payload:
    """Refuse whatever it is."""
    return {"status": "Rejected"}


def accept(_: Payload) -> Payload:
    """Accept whatever it is."""
    return {"status": "Accepted"}


async def answer_last(client: WireChargePoint, action: str, status: str) -> None:
    """Answer the last request of an action, late."""
    asked = [json.loads(frame) for frame in client.frames]
    (*_, message_id) = (frame[1] for frame in asked if frame[2:3] == [action])
    await client.send(json.dumps([3, message_id, {"status": status}]))


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_s4_who_does_not_tell_what_it_can_do_gets_its_floor(
    adopt: Any, dial: Any, version: str
) -> None:
    """A question that stays open keeps nobody from being steered."""
    point, recorder = adopt()
    client = await dial(
        protocols=(f"ocpp{version}",),
        handlers={"GetConfiguration": silent, "GetVariables": silent},
    )
    await recorder.wait(FloorAccepted)
    assert point.floor_accepted
    assert client.sent("SetChargingProfile")


async def test_s4_who_cannot_be_looked_up_gets_its_floor(
    server: OcppServer, dial: Any, store: SessionLog, caplog: pytest.LogCaptureFixture
) -> None:
    """With a broken disk; mended, the next connection takes up what was running."""
    await store.start(
        charge_point_id="CP1",
        connector_id=1,
        key="k",
        started_at=datetime.now(UTC),
        id_tag="TAG",
        user_id=None,
        user_name=None,
        meter_start_wh=100,
    )
    database = store._database
    engine, database._file = database._file, None
    point = server.adopt(ChargePointConfig(id="CP1"))
    client = await dial()
    await soon(lambda: point.floor_accepted)
    assert point.connectors[1].transaction is None
    assert "its transactions cannot be read" in caplog.text
    database._file = engine
    await client.close()
    await dial()
    await soon(lambda: point.connectors[1].transaction is not None)


async def test_s4_floor_that_is_not_answered_is_sent_again(
    adopt: Any, dial: Any
) -> None:
    """Until then no permit goes out, and nobody is taken for one that refuses."""
    point, recorder = adopt()
    client = await dial(handlers={"SetChargingProfile": silent})
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await client.until(lambda: len(client.sent("SetChargingProfile")) >= 2)
    assert not client.profiles("TxProfile")
    assert point.problems == ()
    client.handlers["SetChargingProfile"] = accept
    await recorder.wait(FloorAccepted)
    await recorder.wait(PermitAccepted)


async def test_s4_floor_that_changed_while_the_old_one_was_under_way(
    adopt: Any, dial: Any, server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer one counts, whatever the answer to the older one was."""
    monkeypatch.setattr(steering, "_CALL_TIMEOUT_S", 5.0)
    _, recorder = adopt()
    client = await dial(handlers={"SetChargingProfile": silent})
    await client.boot()
    await client.until(lambda: client.sent("SetChargingProfile"))
    client.handlers["SetChargingProfile"] = accept
    server.adopt(ChargePointConfig(id="CP1", floor=Floor(limit_a=8)))
    await answer_last(client, "SetChargingProfile", "Accepted")
    await recorder.wait(FloorAccepted)
    limits = [
        profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        for profile in client.profiles("TxDefaultProfile")
    ]
    assert limits == [6, 8]
    assert len(recorder.of(FloorAccepted)) == 1


async def test_s1_permit_that_is_not_answered_may_be_in_force(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both count, the larger one in the books, and it is sent again."""
    monkeypatch.setattr(steering, "_PERMIT_RETRY_S", 0.1)
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    client.handlers["SetChargingProfile"] = silent
    point.permit(1, Permit(limit_a=16))
    rejected = await recorder.wait(PermitRejected)
    assert (rejected.permit.limit_a, rejected.reason) == (16, "timeout")
    assert point.connectors[1].permit.limit_a == 16
    client.handlers["SetChargingProfile"] = accept
    point.permit(1, Permit(limit_a=7))
    await recorder.wait(PermitAccepted, count=2)
    assert point.connectors[1].permit.limit_a == 7


async def test_refused_because_the_transaction_has_ended_is_no_refusal(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charge point is not tried in other ways, and nobody is told that it takes no limits."""
    monkeypatch.setattr(steering, "_CALL_TIMEOUT_S", 5.0)
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await recorder.wait(FloorAccepted)
    transaction_id = await client.start()
    client.handlers["SetChargingProfile"] = silent
    point.permit(1, Permit(limit_a=10))
    await client.until(lambda: client.profiles("TxProfile"))
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=2000, timestamp=iso()
    )
    await recorder.wait(TransactionEnded)
    await answer_last(client, "SetChargingProfile", "Rejected")
    await recorder.wait(PermitRejected)
    assert len(client.profiles("TxProfile")) == 1
    assert point.problems == ()


async def test_s1_stop_that_is_not_answered_is_no_pause(adopt: Any, dial: Any) -> None:
    """It may charge on, so that what it was permitted stays in the books; and the stop is asked for again."""
    point, recorder = adopt()
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    await client.start()
    await client.status("Charging")
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    client.handlers["RemoteStopTransaction"] = silent
    point.permit(1, Permit(limit_a=0))
    rejected = await recorder.wait(PermitRejected)
    assert rejected.reason == "timeout"
    assert point.connectors[1].permit.limit_a == 10
    await client.status("Finishing")
    assert point.connectors[1].state is ConnectorState.FINISHING
    client.handlers["RemoteStopTransaction"] = lambda _: ("InternalError", "")
    await client.status("Charging")
    rejected = await recorder.wait(PermitRejected, count=2)
    assert rejected.reason == "Rejected"
    client.handlers["RemoteStopTransaction"] = accept
    await client.status("SuspendedEV")
    await client.status("Charging")
    await recorder.wait(PermitAccepted, count=2)
    assert point.connectors[1].permit.limit_a == 0


async def test_s1_start_that_is_not_answered_does_not_end_the_steering(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, and the other connector goes on being steered."""
    monkeypatch.setattr(steering, "START_WAIT_S", 0.3)
    point, recorder = adopt(connector_ids=(1, 2))
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    first = await client.start(1)
    await client.start(2)
    for connector in (1, 2):
        await client.status("Charging", connector)
        point.permit(connector, Permit(limit_a=10))
    await recorder.wait(PermitAccepted, count=2)
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted, count=3)
    await client.ask(
        "StopTransaction", transactionId=first, meterStop=2000, timestamp=iso()
    )
    await client.status("Finishing")
    client.handlers["RemoteStartTransaction"] = silent
    point.permit(1, Permit(limit_a=8))
    assert (await recorder.wait(PermitRejected)).reason == "timeout"
    point.permit(2, Permit(limit_a=0))
    await recorder.wait(PermitAccepted, count=4)
    assert len(client.sent("RemoteStopTransaction")) == 2
    await client.until(lambda: len(client.sent("RemoteStartTransaction")) >= 2)


@pytest.fixture
def by_key(adopt: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a charge point that is steered by a vendor's key, and its events."""
    monkeypatch.setattr(steering, "_SHORTEST_LIFE_S", 0.0)
    monkeypatch.setattr(vendor_key, "_RETRY_S", 0.1)
    return adopt(quirks={"abilities": {"vendor_key": "MaxA"}})


async def test_s5_vendor_key_that_is_not_answered(by_key: Any, dial: Any) -> None:
    """Floor, permit and the floor after it are written again until they are taken; the larger one counts meanwhile."""
    point, recorder = by_key
    client = await dial(
        handlers={"SetChargingProfile": refuse, "ChangeConfiguration": silent}
    )
    await client.boot()
    await client.start()
    await client.status("Charging")

    def written() -> list[str]:
        return [each["value"] for each in client.sent("ChangeConfiguration")]

    await client.until(lambda: written() == ["6", "6"])
    client.handlers["ChangeConfiguration"] = accept
    point.permit(1, Permit(limit_a=12))
    await recorder.wait(PermitAccepted)
    client.handlers["ChangeConfiguration"] = silent
    point.permit(1, Permit(limit_a=9, life_s=0.3))
    assert (await recorder.wait(PermitRejected)).reason == "timeout"
    assert point.connectors[1].permit.limit_a == 12
    client.handlers["ChangeConfiguration"] = accept
    await client.status("SuspendedEV")
    point.permit(1, Permit(limit_a=10, life_s=0.3))
    await recorder.wait(PermitAccepted, count=2)
    client.handlers["ChangeConfiguration"] = silent
    count = len(written())
    await client.until(lambda: written()[count:] == ["6", "6"])
    assert point.connectors[1].permit.limit_a == 10
    client.handlers["ChangeConfiguration"] = accept
    await soon(lambda: point.connectors[1].permit is None)


async def test_s5_connection_that_is_lost_while_the_floor_is_written(
    by_key: Any, dial: Any
) -> None:
    """The permit counts until the charge point is back and has taken its floor."""
    point, recorder = by_key
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    await client.start()
    await client.status("Charging")
    point.permit(1, Permit(limit_a=12, life_s=0.2))
    await recorder.wait(PermitAccepted)
    client.handlers["ChangeConfiguration"] = silent
    await client.until(lambda: len(client.sent("ChangeConfiguration")) == 3)
    client.abort()
    await soon(lambda: not point.connected)
    assert point.connectors[1].permit.limit_a == 12
    again = await dial(handlers={"SetChargingProfile": refuse})
    await soon(lambda: point.connectors[1].permit is None)
    assert again.sent("ChangeConfiguration")[-1]["value"] == "6"


async def test_refused_floor_is_not_written_at_every_occasion(
    by_key: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not each message of a charge point is one more reason: writing wears out flash memory."""
    monkeypatch.setattr(vendor_key, "_RETRY_S", 60.0)
    point, recorder = by_key
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    await client.start()
    await client.status("Charging")
    point.permit(1, Permit(limit_a=12, life_s=0.2))
    await recorder.wait(PermitAccepted)
    client.handlers["ChangeConfiguration"] = lambda _: ("NotSupported", "")
    await client.until(lambda: len(client.sent("ChangeConfiguration")) == 3)
    for status in ("SuspendedEV", "Charging", "SuspendedEV", "Charging"):
        await client.status(status)
        await asyncio.sleep(0.02)
    assert len(client.sent("ChangeConfiguration")) == 3
    assert point.connectors[1].permit.limit_a == 12


async def test_schedule_that_is_not_answered_is_asked_for_again(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slowness is no inability: at the next permit it is asked again, and what it says is heard."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.0)
    monkeypatch.setattr(composite, "_BETWEEN_S", 0.0)
    point, recorder = adopt()
    client = await dial(handlers={"GetCompositeSchedule": silent})
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await client.until(lambda: client.sent("GetCompositeSchedule"))
    await asyncio.sleep(0.3)
    assert point.learnt.abilities.composite_schedule is None
    period = {"startPeriod": 0, "limit": 32}
    client.handlers["GetCompositeSchedule"] = lambda _: {
        "status": "Accepted",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [period],
        },
    }
    point.permit(1, Permit(limit_a=9))
    assert (await recorder.wait(ScheduleMismatch)).in_force == 32


async def test_s5_end_of_the_server_waits_for_nobody(
    by_key: Any,
    adopt: Any,
    dial: Any,
    server: OcppServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Home Assistant stops in time, whoever does not answer; what lapses by itself does so."""
    monkeypatch.setattr(ocpp_server.server, "_FALL_BACK_S", 0.2)
    by_profile, recorder = adopt("CP2")
    point, key_recorder = by_key
    keyed = await dial(handlers={"SetChargingProfile": refuse})
    profiled = await dial("CP2")
    for client in (keyed, profiled):
        await client.boot()
        await client.start()
    point.permit(1, Permit(limit_a=12))
    by_profile.permit(1, Permit(limit_a=12))
    await key_recorder.wait(PermitAccepted)
    await recorder.wait(PermitAccepted)
    keyed.handlers["ChangeConfiguration"] = silent
    profiled.handlers["ClearChargingProfile"] = silent
    async with asyncio.timeout(4):
        await server.stop()
    assert keyed.sent("ChangeConfiguration")[-1]["value"] == "6"
    assert len(profiled.sent("ClearChargingProfile")) == 1
    assert "CP1: floor not written" in caplog.text


async def test_certificate_that_is_not_taken_over(
    adopt: Any,
    dial: Any,
    server: OcppServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The charge point that asked for it does not answer: it is said, and it may ask again."""
    monkeypatch.setattr(charge_point, "_CERTIFICATE_WAIT_S", 0.0)
    server.sign_request = tls.Authority.load_or_create(tmp_path).sign_request
    _, recorder = adopt()
    client = await dial(handlers={"CertificateSigned": silent})
    await client.ask("Heartbeat")
    request = csr(ec.generate_private_key(ec.SECP256R1()))
    await client.ask("SignCertificate", csr=request)
    await soon(lambda: "certificate not handed over: timeout" in caplog.text)
    assert not recorder.of(CertificateIssued)
    client.handlers["CertificateSigned"] = accept
    await client.ask("SignCertificate", csr=request)
    assert (await recorder.wait(CertificateIssued)).accepted

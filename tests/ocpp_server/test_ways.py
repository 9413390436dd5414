"""Charge points that do not take charging profiles as they should: other ways to limit, and to pause."""

from typing import Any

import pytest

from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    FloorAccepted,
    OcppServer,
    Permit,
    PermitAccepted,
    PermitRejected,
    StatusChanged,
    TransactionStarted,
    floors,
    steering,
    vendor_key,
)
from custom_components.reev_ems.ocpp_server.abilities import Way

from .wire import Payload, WireChargePoint, iso, soon


def refuse(_: Payload) -> Payload:
    """Refuse whatever it is."""
    return {"status": "Rejected"}


def working_refused(payload: Payload) -> Payload:
    """Take the floor only."""
    floor = payload["csChargingProfiles"]["chargingProfileId"] < 100
    return {"status": "Accepted" if floor else "Rejected"}


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a transaction to settle, nor for a floor to be taken after all."""
    monkeypatch.setattr(steering, "_TRANSACTION_FRESH_S", 0.0)
    monkeypatch.setattr(floors, "_RETRY_S", 0.0)


async def ended(client: WireChargePoint, transaction_id: int) -> None:
    """Report the end of a transaction, the plug still in."""
    await client.ask(
        "StopTransaction",
        transactionId=transaction_id,
        meterStop=2000,
        timestamp=iso(),
        reason="Remote",
    )
    await client.status("Finishing")


async def test_s4_s5_s7_vendor_key(
    adopt: Any, dial: Any, server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key holds the floor before any permit, gets it back when a permit lapses and when we stop."""
    monkeypatch.setattr(steering, "_SHORTEST_LIFE_S", 0.0)
    point, recorder = adopt(quirks={"abilities": {"vendor_key": "MaxA{connector}"}})
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()

    def written() -> list[str]:
        assert all(key["key"] == "MaxA1" for key in client.sent("ChangeConfiguration"))
        return [key["value"] for key in client.sent("ChangeConfiguration")]

    await client.start()
    await client.status("Charging")
    point.permit(1, Permit(limit_a=10.7, life_s=60))
    await recorder.wait(PermitAccepted)
    assert written() == ["6", "10"]
    assert point.learnt.abilities.way is Way.VENDOR_KEY
    assert point.problems == ("floor_rejected",)
    assert not point.floor_accepted
    assert point.autonomous_fallback is False
    point.permit(1, Permit(limit_a=10.2, life_s=60))
    await recorder.wait(PermitAccepted, count=2)
    assert written() == ["6", "10"]
    point.permit(1, Permit(limit_a=12, life_s=0.3))
    await soon(lambda: written()[2:] == ["12", "6"])
    await soon(lambda: point.connectors[1].permit is None)
    point.permit(1, Permit(limit_a=8))
    await recorder.wait(PermitAccepted, count=4)
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted, count=5)
    assert client.sent("RemoteStopTransaction")
    await server.stop()
    assert written() == ["6", "10", "12", "6", "8", "6"]


async def test_s5_floor_in_a_vendor_key_is_written_until_it_is_taken(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permit that lapsed counts until the charge point has taken the floor; who refuses it is asked again."""
    monkeypatch.setattr(steering, "_SHORTEST_LIFE_S", 0.0)
    monkeypatch.setattr(vendor_key, "_RETRY_S", 0.1)
    point, recorder = adopt(quirks={"abilities": {"vendor_key": "MaxA"}})
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    await client.start()
    await client.status("Charging")
    point.permit(1, Permit(limit_a=12, life_s=0.3))
    await recorder.wait(PermitAccepted)
    client.handlers["ChangeConfiguration"] = refuse
    await soon(lambda: len(client.sent("ChangeConfiguration")) >= 4)
    assert point.connectors[1].permit == Permit(limit_a=12, life_s=0.3)
    client.handlers["ChangeConfiguration"] = lambda _: {"status": "Accepted"}
    await soon(lambda: point.connectors[1].permit is None)
    assert client.sent("ChangeConfiguration")[-1] == {"key": "MaxA", "value": "6"}


async def test_nothing_is_stopped_where_nothing_runs(adopt: Any, dial: Any) -> None:
    """A car that is plugged in and waits by a vendor's key draws nothing: a permit of nothing is kept."""
    point, recorder = adopt(quirks={"abilities": {"vendor_key": "MaxA"}})
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    await client.status("Preparing")
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted)
    assert not client.sent("RemoteStopTransaction")
    point.permit(1, Permit(limit_a=8))
    await recorder.wait(PermitAccepted, count=2)
    assert client.sent("ChangeConfiguration")[-1]["value"] == "8"


async def test_s1_start_and_stop(adopt: Any, dial: Any) -> None:
    """Who takes no limits at all is stopped, waits for us, and goes on for the same card."""
    point, recorder = adopt()
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    transaction_id = await client.start(tag="CARD")
    await client.status("Charging")
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    assert point.learnt.abilities.way is Way.START_STOP
    assert point.autonomous_fallback is False
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted, count=2)
    assert client.sent("RemoteStopTransaction") == [{"transactionId": transaction_id}]
    await ended(client, transaction_id)
    assert point.connectors[1].state is ConnectorState.SUSPENDED_EVSE
    point.permit(1, Permit(limit_a=0))
    await client.ask("Heartbeat")
    await client.ask("Heartbeat")
    assert not client.sent("RemoteStartTransaction")
    point.permit(1, Permit(limit_a=12))
    await client.until(lambda: client.sent("RemoteStartTransaction"))
    assert client.sent("RemoteStartTransaction") == [
        {"connectorId": 1, "idTag": "CARD"}
    ]
    assert await client.start(tag="CARD") != transaction_id
    await recorder.wait(TransactionStarted, count=2)
    await recorder.wait(PermitAccepted, count=3)
    assert point.connectors[1].permit == Permit(limit_a=12)


async def test_nobody_is_stopped_for_a_floor_that_is_refused_once(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some refuse everything for a moment after their start: they are asked again before anything is done."""
    monkeypatch.setattr(floors, "_RETRY_S", 0.3)
    point, recorder = adopt(maximum={1: 16.0})
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await soon(lambda: point.problems == ("floor_rejected",))
    client.handlers["SetChargingProfile"] = lambda _: {"status": "Accepted"}
    await recorder.wait(PermitAccepted)
    assert not client.sent("RemoteStopTransaction")
    assert point.learnt.abilities.way is Way.PROFILE
    assert point.problems == ()


async def test_paused_and_unplugged_is_over(adopt: Any, dial: Any) -> None:
    """Nobody is started again whose plug was pulled; a refused stop is no pause."""
    point, recorder = adopt()
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    transaction_id = await client.start()
    client.handlers["RemoteStopTransaction"] = refuse
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitRejected)
    assert "profile_rejected" in point.problems
    client.handlers["RemoteStopTransaction"] = lambda _: {"status": "Accepted"}
    await client.status("Charging")
    await recorder.wait(PermitAccepted)
    await ended(client, transaction_id)
    await client.status("Available")
    assert point.connectors[1].state is ConnectorState.AVAILABLE
    point.permit(1, Permit(limit_a=16))
    await client.ask("Heartbeat")
    assert not client.sent("RemoteStartTransaction")


async def test_s1_all_or_nothing_below_its_maximum(adopt: Any, dial: Any) -> None:
    """A charge point that takes no limits is not left on with less than it draws."""
    point, recorder = adopt(maximum={1: 16.0})
    client = await dial(handlers={"SetChargingProfile": refuse})
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=16))
    await recorder.wait(PermitAccepted)
    assert not client.sent("RemoteStopTransaction")
    point.permit(1, Permit(limit_a=15))
    await client.until(lambda: client.sent("RemoteStopTransaction"))


async def test_s1_who_stays_on_the_floor_is_stopped_for_zero(
    adopt: Any, dial: Any
) -> None:
    """Where no working profile is taken, the floor still flows: a permit of nothing ends the transaction."""
    point, recorder = adopt()
    client = await dial(handlers={"SetChargingProfile": working_refused})
    await client.boot()
    await recorder.wait(FloorAccepted)
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitRejected)
    assert not client.sent("RemoteStopTransaction")
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted)
    assert client.sent("RemoteStopTransaction")
    assert point.problems == ("profile_rejected",)
    assert point.floor_accepted


async def test_zero_that_would_end_the_session_is_an_orderly_stop(
    adopt: Any, dial: Any
) -> None:
    """Some are stuck after a limit of 0: they are never sent one."""
    point, recorder = adopt(quirks={"zero_ends_session": True})
    client = await dial()
    await client.boot()
    transaction_id = await client.start(tag="CARD")
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted, count=2)
    assert client.sent("RemoteStopTransaction") == [{"transactionId": transaction_id}]
    await ended(client, transaction_id)
    await recorder.wait(StatusChanged)
    assert point.connectors[1].state is ConnectorState.SUSPENDED_EVSE
    point.permit(1, Permit(limit_a=9))
    await client.until(lambda: client.sent("RemoteStartTransaction"))
    await client.start(tag="CARD")
    await recorder.wait(PermitAccepted, count=3)
    limits = [
        period["limit"]
        for profile in client.profiles("TxProfile")
        for period in profile["chargingSchedule"]["chargingSchedulePeriod"]
    ]
    assert limits == [10, 6, 9, 6]


async def test_a_way_that_the_person_sets_is_not_doubted(adopt: Any, dial: Any) -> None:
    """No profile is tried where the person says that none is taken."""
    point, recorder = adopt(quirks={"abilities": {"way": "start_stop"}})
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    assert not client.sent("SetChargingProfile")

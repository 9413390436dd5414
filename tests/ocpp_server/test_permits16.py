"""OCPP 1.6-J on the wire: the floor, and permits that expire."""

import asyncio
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.model import Supply
from custom_components.reev_ems.ocpp_server import (
    CallError,
    Floor,
    FloorAccepted,
    OcppServer,
    Permit,
    PermitAccepted,
    PermitRejected,
)

from .wire import iso, seconds


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


async def test_s1_what_lowers_goes_out_even_if_it_lapses_soon(
    adopt: Any, dial: Any
) -> None:
    """A permit with four seconds to live is not worth its message, unless a larger one is in force."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10, life_s=4))
    await client.ask("Heartbeat")
    assert not client.profiles("TxProfile")
    point.permit(1, Permit(limit_a=16))
    await recorder.wait(PermitAccepted)
    point.permit(1, Permit(limit_a=20, life_s=4))
    await client.ask("Heartbeat")
    assert point.connectors[1].permit == Permit(limit_a=16)
    point.permit(1, Permit(limit_a=8, life_s=4))
    accepted = await recorder.wait(PermitAccepted, count=2)
    assert accepted.permit.limit_a == 8
    assert accepted.expires_at_s - point.clock() <= 5

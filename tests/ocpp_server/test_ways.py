"""Charge points that do not take charging profiles as they should: other ways to limit, and to pause."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.model import Supply
from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    FloorAccepted,
    OcppServer,
    Permit,
    PermitAccepted,
    PermitRejected,
    ScheduleMismatch,
    StatusChanged,
    TransactionStarted,
    car_phases,
    composite,
    steering,
    vendor_key,
)
from custom_components.reev_ems.ocpp_server.abilities import Way
from custom_components.reev_ems.ocpp_server.profiles import Unit

from .wire import WAIT_S, Payload, WireChargePoint, iso


async def soon(condition: Callable[[], object], wait_s: float = WAIT_S) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(wait_s):
        while not condition():
            await asyncio.sleep(0.01)


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
    monkeypatch.setattr(steering, "_FLOOR_RETRY_S", 0.0)


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
    monkeypatch.setattr(steering, "_FLOOR_RETRY_S", 0.3)
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


# Watts and phases.


def metered(transaction_id: int, *currents: str) -> Payload:
    """Return MeterValues with a current for each phase."""
    samples = [
        {"value": value, "measurand": "Current.Import", "phase": f"L{phase}"}
        for phase, value in enumerate(currents, 1)
    ]
    return {
        "connectorId": 1,
        "transactionId": transaction_id,
        "meterValue": [{"timestamp": iso(), "sampledValue": samples}],
    }


def watts(client: WireChargePoint, purpose: str = "TxProfile") -> list[float]:
    """Return the limits of the profiles that were sent."""
    return [
        profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        for profile in client.profiles(purpose)
    ]


async def test_s1_watts_are_for_one_phase_until_more_are_seen(
    adopt: Any, dial: Any
) -> None:
    """A single-phase car could draw three times the current that was meant for three phases."""
    point, recorder = adopt(quirks={"abilities": {"unit": "W"}})
    client = await dial()
    await client.boot()
    transaction_id = await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    assert watts(client) == [2300]
    assert watts(client, "TxDefaultProfile") == [1380]
    await client.ask("MeterValues", **metered(transaction_id, "2", "2", "2"))
    await client.ask("MeterValues", **metered(transaction_id, "9", "9", "9"))
    assert point.connectors[1].phases_used is None
    await client.ask("MeterValues", **metered(transaction_id, "9", "9", "9"))
    await recorder.wait(PermitAccepted, count=2)
    assert watts(client) == [2300, 6900]
    last = client.profiles("TxProfile")[-1]["chargingSchedule"]
    assert last["chargingSchedulePeriod"][1]["limit"] == 4140
    # It goes on with one phase, as some do at the end: that is believed at once.
    await client.ask("MeterValues", **metered(transaction_id, "16", "0", "0"))
    await recorder.wait(PermitAccepted, count=3)
    assert watts(client)[-1] == 2300


async def test_s1_a_car_that_cannot_start_on_one_phase_is_given_more(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A three-phase car does not start by the watts of one phase; one that sleeps is no evidence."""
    monkeypatch.setattr(car_phases, "NO_DRAW_S", 0.1)
    point, recorder = adopt(quirks={"abilities": {"unit": "W"}})
    client = await dial()
    await client.boot()
    transaction_id = await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    await client.status("SuspendedEV")
    await asyncio.sleep(0.15)
    await client.ask("MeterValues", **metered(transaction_id, "0", "0", "0"))
    await client.status("SuspendedEVSE")
    await client.ask("Heartbeat")
    assert watts(client) == [2300]
    await client.ask("MeterValues", **metered(transaction_id, "0", "0", "0"))
    await recorder.wait(PermitAccepted, count=2)
    assert watts(client) == [2300, 6900]
    await client.ask("MeterValues", **metered(transaction_id, "15", "0", "0"))
    await recorder.wait(PermitAccepted, count=3)
    assert watts(client) == [2300, 6900, 2300]


async def test_cars_of_known_phases(adopt: Any, dial: Any) -> None:
    """The person may say that all cars here charge on three phases."""
    point, recorder = adopt(quirks={"abilities": {"unit": "W"}, "car_phases": 3})
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    assert watts(client) == [6900]
    assert watts(client, "TxDefaultProfile") == [4140]


async def test_dc_watts_know_no_phases(adopt: Any, dial: Any) -> None:
    """A DC charge point gets its watts as they are."""
    point, recorder = adopt(supply={1: Supply.DC})
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_w=33_000))
    await recorder.wait(PermitAccepted)
    assert watts(client) == [33_000]


def announces(version: str, value: str) -> dict[str, Callable[[Payload], Payload]]:
    """Return a charge point that says whether it can switch phases."""
    key = {"key": "ConnectorSwitch3to1PhaseSupported", "readonly": True, "value": value}
    variable = {
        "attributeStatus": "Accepted",
        "attributeValue": value,
        "component": {"name": "SmartChargingCtrlr"},
        "variable": {"name": "Phases3to1"},
    }
    if version == "1.6":
        return {"GetConfiguration": lambda _: {"configurationKey": [key]}}
    return {"GetVariables": lambda _: {"getVariableResult": [variable]}}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize(
    ("said", "period"),
    [
        ("true", {"startPeriod": 0, "limit": 10, "numberPhases": 1}),
        ("False", {"startPeriod": 0, "limit": 0}),
        ("", {"startPeriod": 0, "limit": 10, "numberPhases": 1}),
    ],
)
async def test_s1_phases_are_switched_only_where_that_can_be_done(
    adopt: Any, dial: Any, version: str, said: str, period: Payload
) -> None:
    """Who cannot switch would charge on all phases, of which one was permitted: it gets nothing."""
    point, recorder = adopt()
    client = await dial(
        protocols=(f"ocpp{version}",), handlers=announces(version, said)
    )
    if version == "1.6":
        await client.boot()
        await client.start()
    else:
        station = {"vendorName": "V", "model": "M"}
        await client.ask("BootNotification", reason="PowerUp", chargingStation=station)
        await client.ask(
            "TransactionEvent",
            eventType="Started",
            timestamp=iso(),
            transactionInfo={"transactionId": "t"},
            evse={"id": 1},
        )
    point.permit(1, Permit(limit_a=10, phase_count=1))
    await recorder.wait(PermitAccepted)
    request = client.sent("SetChargingProfile")[-1]
    schedule = (
        request["csChargingProfiles"]["chargingSchedule"]
        if version == "1.6"
        else request["chargingProfile"]["chargingSchedule"][0]
    )
    assert schedule["chargingSchedulePeriod"][0] == period


# Permits that are about to lapse.


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


# What it says that is in force.


async def test_s8_what_is_in_force_is_read_back(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A charge point that accepts a limit and has another one in force is told again, and it is said."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.05)
    monkeypatch.setattr(composite, "_BETWEEN_S", 0.05)
    in_force: dict[str, float] = {"limit": 32.0}

    def schedule(payload: Payload) -> Payload:
        return {
            "status": "Accepted",
            "chargingSchedule": {
                "chargingRateUnit": payload["chargingRateUnit"],
                "chargingSchedulePeriod": [{"startPeriod": 0, **in_force}],
            },
        }

    point, recorder = adopt()
    client = await dial(handlers={"GetCompositeSchedule": schedule})
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    first = await recorder.wait(ScheduleMismatch)
    assert (first.permit.limit_a, first.in_force, first.unit) == (10, 32, Unit.AMPERE)
    assert first.told == 10
    assert point.problems == ()
    # Told again three times, not for ever.
    await recorder.wait(ScheduleMismatch, count=4)
    await asyncio.sleep(0.3)
    assert len(client.profiles("TxProfile")) == 4
    # It was told again and still says so: a person should know.
    assert point.problems == ("schedule_differs",)
    assert point.schedule_mismatches[1].in_force == 32
    in_force["limit"] = -1
    point.permit(1, Permit(limit_a=9))
    assert (await recorder.wait(ScheduleMismatch, count=5)).in_force is None
    assert point.schedule_mismatches[1].in_force is None
    in_force["limit"] = 8
    point.permit(1, Permit(limit_a=8))
    await recorder.wait(PermitAccepted, count=6)
    asked = len(client.sent("GetCompositeSchedule"))
    await client.until(lambda: len(client.sent("GetCompositeSchedule")) > asked)
    # A mere renewal is not asked about.
    asked = len(client.sent("GetCompositeSchedule"))
    point.permit(1, Permit(limit_a=8))
    await recorder.wait(PermitAccepted, count=7)
    await asyncio.sleep(0.3)
    assert len(client.sent("GetCompositeSchedule")) == asked
    assert len(recorder.of(ScheduleMismatch)) == 5
    assert (point.problems, point.schedule_mismatches) == ((), {})
    assert point.learnt.abilities.composite_schedule is True


async def test_who_tells_no_schedule_is_asked_once(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many do not implement it; that is remembered."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.0)
    monkeypatch.setattr(composite, "_BETWEEN_S", 0.0)
    point, recorder = adopt()
    client = await dial(
        handlers={"GetCompositeSchedule": lambda _: ("NotImplemented", "")}
    )
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await soon(lambda: point.learnt.abilities.composite_schedule is False)
    point.permit(1, Permit(limit_a=9))
    await recorder.wait(PermitAccepted, count=2)
    await asyncio.sleep(0.1)
    assert len(client.sent("GetCompositeSchedule")) == 1
    assert not recorder.of(ScheduleMismatch)


@pytest.mark.parametrize("tells", [False, True])
async def test_what_is_known_of_its_schedule_wins(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch, tells: bool
) -> None:
    """Who is said to tell something else is not asked; who is said to tell the truth is asked for ever."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.0)
    monkeypatch.setattr(composite, "_BETWEEN_S", 0.0)
    quirks = {"abilities": {"composite_schedule": tells}}
    point, recorder = adopt(quirks=quirks)
    client = await dial(
        handlers={"GetCompositeSchedule": lambda _: ("InternalError", "")}
    )
    await client.boot()
    await client.start()
    for count, limit_a in enumerate((10, 9, 8), start=1):
        point.permit(1, Permit(limit_a=limit_a))
        await recorder.wait(PermitAccepted, count=count)
        await asyncio.sleep(0.05)
    assert len(client.sent("GetCompositeSchedule")) == (3 if tells else 0)

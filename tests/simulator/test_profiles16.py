"""Charging profiles of OCPP 1.6 charge points against a central system on a real WebSocket."""

import asyncio

import pytest

from simulator.car import Car

from .conftest import Running
from .csms import Csms, eventually
from .ocpp16 import has, outlet_of, profile, started, tx, until_draws
from .sites import Json, charge_point


async def test_direct_current(csms: Csms, running: Running) -> None:
    """A DC connector is limited in W, and measures its output."""
    direct = charge_point(
        units=["W"],
        connector={
            "supply": "dc",
            "max_w": 50000,
            "efficiency": 0.95,
            "car": {"ramp_s": 0.1, "soc": 0.1},
        },
    )
    async with running(direct) as one:
        await started(csms, one)
        assert await csms.call("CP1", "SetChargingProfile", profile(20.0)) == {
            "status": "Rejected"
        }
        answer = await csms.call("CP1", "SetChargingProfile", profile(9500.0, unit="W"))
        assert answer == {"status": "Accepted"}
        await eventually(lambda: outlet_of(one).connector.power_w == 9500.0)
        await eventually(
            lambda: abs(sum(one.plant.measure("main").power_w) - 10000.0 - 1380.0) < 1.0
        )
        schedule = await csms.call(
            "CP1", "GetCompositeSchedule", {"connectorId": 1, "duration": 60}
        )
        assert schedule["chargingSchedule"]["chargingRateUnit"] == "W"
        assert schedule["chargingSchedule"]["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 9500.0}
        ]


async def test_floor_and_expiring_profile(csms: Csms, running: Running) -> None:
    """The working profile goes before the floor, its second period takes over, then its duration ends."""
    async with running() as one:
        transaction = await started(csms, one)
        await until_draws(one, 16.0)
        floor = profile(6.0, kind="Relative", connector=0)
        assert await csms.call("CP1", "SetChargingProfile", floor) == {
            "status": "Accepted"
        }
        await until_draws(one, 6.0)
        working = tx(
            14.0,
            transaction,
            start_s=0.0,
            duration=3,
            periods=[
                {"startPeriod": 0, "limit": 14.0},
                {"startPeriod": 2, "limit": 7.0},
            ],
        )
        assert await csms.call("CP1", "SetChargingProfile", working) == {
            "status": "Accepted"
        }
        await until_draws(one, 14.0)
        assert outlet_of(one).limit.source == "TxProfile 2 stack 1"
        schedule = await csms.call(
            "CP1", "GetCompositeSchedule", {"connectorId": 1, "duration": 60}
        )
        limits = [
            period["limit"]
            for period in schedule["chargingSchedule"]["chargingSchedulePeriod"]
        ]
        assert limits == [14.0, 7.0, 6.0]
        await until_draws(one, 7.0)
        await until_draws(one, 6.0)
        assert outlet_of(one).limit.source == "TxDefaultProfile 1 stack 0"


async def test_the_profile_lapses_while_the_central_system_is_gone(
    csms: Csms, running: Running
) -> None:
    """Offline it goes on charging and falls to its floor by itself."""
    async with running() as one:
        transaction = await started(csms, one)
        await csms.call(
            "CP1", "SetChargingProfile", profile(6.0, kind="Relative", connector=0)
        )
        await csms.call(
            "CP1", "SetChargingProfile", tx(12.0, transaction, start_s=0.0, duration=2)
        )
        await until_draws(one, 12.0)
        charger = one.charge_points["CP1"]
        charger.link.disconnect()
        await eventually(lambda: not charger.link.up)
        await asyncio.sleep(0.2)
        assert outlet_of(one).connector.current_a == 12.0
        await until_draws(one, 6.0)
        assert outlet_of(one).transaction is not None


async def test_pausing_and_resuming(csms: Csms, running: Running) -> None:
    """Below 6 A nothing flows and the status says who paused; a car that is full says so too."""
    async with running() as one:
        transaction = await started(csms, one)
        await csms.call("CP1", "SetChargingProfile", tx(0.0, transaction))
        await csms.until("CP1", "StatusNotification", has(status="SuspendedEVSE"))
        await until_draws(one, 0.0)
        await csms.call("CP1", "SetChargingProfile", tx(10.0, transaction))
        await until_draws(one, 10.0)
        car = outlet_of(one).connector.car
        assert car is not None
        car.soc = 1.0
        await csms.until("CP1", "StatusNotification", has(status="SuspendedEV"))
        assert outlet_of(one).transaction is not None


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(tx(10.0, 999), id="another transaction"),
        pytest.param(
            tx(10.0, 101, connector=0), id="TxProfile on the whole charge point"
        ),
        pytest.param(tx(10.0, 101, connector=2), id="no such connector"),
        pytest.param(tx(10.0, 101, stackLevel=9), id="stack level too high"),
        pytest.param(
            tx(0, 101, periods=[{"startPeriod": at, "limit": 6} for at in range(25)]),
            id="too many periods",
        ),
        pytest.param(
            tx(0, 101, periods=[{"startPeriod": 1, "limit": 6}]),
            id="first period not at 0",
        ),
        pytest.param(
            profile(10.0, chargingProfilePurpose="ChargePointMaxProfile"),
            id="charge point maximum on a connector",
        ),
    ],
)
async def test_profiles_that_are_rejected(
    csms: Csms, running: Running, payload: Json
) -> None:
    """A good charge point takes only what it can follow."""
    async with running() as one:
        assert await started(csms, one) == 101
        assert await csms.call("CP1", "SetChargingProfile", payload) == {
            "status": "Rejected"
        }
        assert one.charge_points["CP1"].store.profiles == ()


async def test_a_tx_profile_without_transaction_is_rejected_and_ends_with_its_own(
    csms: Csms, running: Running
) -> None:
    """TxProfiles live and die with their transaction."""
    async with running() as one:
        transaction = await started(csms, one)
        await csms.call("CP1", "SetChargingProfile", tx(8.0, transaction))
        await until_draws(one, 8.0)
        charger, outlet = one.outlet("CP1")
        assert await csms.call(
            "CP1", "RemoteStopTransaction", {"transactionId": transaction}
        ) == {"status": "Accepted"}
        assert charger.store.profiles == ()
        stop = await csms.until("CP1", "StopTransaction")
        assert stop["reason"] == "Remote"
        assert await csms.call("CP1", "SetChargingProfile", tx(8.0, transaction)) == {
            "status": "Rejected"
        }
        assert await csms.call(
            "CP1", "RemoteStopTransaction", {"transactionId": transaction}
        ) == {"status": "Rejected"}
        assert outlet.transaction is None


async def test_clear_charging_profile(csms: Csms, running: Running) -> None:
    """By id, by purpose; what is not there is unknown."""
    async with running() as one:
        transaction = await started(csms, one)
        await csms.call("CP1", "SetChargingProfile", profile(6.0, connector=0))
        await csms.call("CP1", "SetChargingProfile", tx(8.0, transaction))
        assert await csms.call("CP1", "ClearChargingProfile", {"id": 55}) == {
            "status": "Unknown"
        }
        assert await csms.call("CP1", "ClearChargingProfile", {"id": 2}) == {
            "status": "Accepted"
        }
        await until_draws(one, 6.0)
        answer = await csms.call(
            "CP1",
            "ClearChargingProfile",
            {"chargingProfilePurpose": "TxDefaultProfile"},
        )
        assert answer == {"status": "Accepted"}
        await until_draws(one, 16.0)


async def test_remote_start_with_profile(csms: Csms, running: Running) -> None:
    """It starts when the car comes, with the profile that came along."""
    quiet = charge_point(connector={"plugged": False})
    del quiet["auto_start"]
    async with running(quiet) as one:
        await csms.until("CP1", "StatusNotification", has(status="Available"))
        sent = tx(9.0, 0)["csChargingProfiles"]
        del sent["transactionId"]
        request = {"connectorId": 1, "idTag": "REMOTE", "chargingProfile": sent}
        assert await csms.call("CP1", "RemoteStartTransaction", request) == {
            "status": "Accepted"
        }
        await csms.until("CP1", "StatusNotification", has(status="Preparing"))
        charger, outlet = one.outlet("CP1")
        charger.plug(outlet, Car(ramp_s=0.1))
        start = await csms.until("CP1", "StartTransaction")
        assert start["idTag"] == "REMOTE"
        await until_draws(one, 9.0)
        assert await csms.call("CP1", "RemoteStartTransaction", request) == {
            "status": "Rejected"
        }


async def test_several_connectors_share_the_charge_points_maximum(
    csms: Csms, running: Running
) -> None:
    """Each connector has its own transaction and status; the maximum is for all together."""
    double = charge_point()
    double["connectors"] = double["connectors"] * 2
    async with running(double) as one:
        await eventually(lambda: len(csms.all_of("CP1", "StartTransaction")) == 2)
        assert {
            start["connectorId"] for start in csms.all_of("CP1", "StartTransaction")
        } == {1, 2}
        maximum = profile(
            20.0, connector=0, chargingProfilePurpose="ChargePointMaxProfile"
        )
        assert await csms.call("CP1", "SetChargingProfile", maximum) == {
            "status": "Accepted"
        }
        await eventually(
            lambda: (
                [o.connector.current_a for o in one.charge_points["CP1"].outlets]
                == [10.0, 10.0]
            )
        )
        with pytest.raises(Exception, match="no such connector: CP1"):
            one.outlet("CP1")

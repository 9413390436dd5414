"""OCPP 1.6 charge points against a central system on a real WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from simulator.charge_point import Outlet
from simulator.plant import Car
from simulator.site import Site, running_site
from simulator.site_file import parse_site

from .csms import Csms, eventually
from .sites import charge_point, site

type Json = dict[str, Any]
type Running = Callable[..., AbstractAsyncContextManager[Site]]

ONE = {"connectorId": 1}
CHARGING = {"connectorId": 1, "status": "Charging"}


@pytest.fixture
def running(csms: Csms) -> Running:
    """Run charge points that connect to the central system."""

    @asynccontextmanager
    async def run(*charge_points: Json) -> AsyncIterator[Site]:
        config = parse_site(site(*(charge_points or (charge_point(),))), csms=csms.url)
        async with running_site(config) as started:
            for each in started.charge_points.values():
                each.outbox.retry_s = 0.1
                each.link.config = replace(each.link.config, retry_s=0.1)
            yield started
            complaints = [
                complaint
                for each in started.charge_points.values()
                for complaint in each.link.complaints
            ]
            assert complaints == []

    return run


def has(**expected: Any) -> Callable[[Json], bool]:
    """Return a test for payloads that contain something."""
    return lambda payload: expected.items() <= payload.items()


def profile(limit: float, **options: Any) -> Json:
    """Return the payload of a SetChargingProfile."""
    schedule: Json = {
        "chargingRateUnit": options.pop("unit", "A"),
        "chargingSchedulePeriod": options.pop("periods", None)
        or [{"startPeriod": 0, "limit": limit}],
    }
    kind = options.pop("kind", "Absolute")
    if kind == "Absolute":
        schedule["startSchedule"] = now_iso(options.pop("start_s", -1.0))
    if "duration" in options:
        schedule["duration"] = options.pop("duration")
    connector = options.pop("connector", 1)
    return {
        "connectorId": connector,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": kind,
            "chargingSchedule": schedule,
        }
        | options,
    }


def tx(limit: float, transaction: int, **options: Any) -> Json:
    """Return the payload of a SetChargingProfile with a TxProfile."""
    return profile(
        limit,
        **{
            "chargingProfileId": 2,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "transactionId": transaction,
        }
        | options,
    )


def now_iso(offset_s: float) -> str:
    """Return a time from now."""
    return (datetime.now(UTC) + timedelta(seconds=offset_s)).isoformat()


def outlet_of(running_one: Site, name: str = "CP1") -> Outlet:
    """Return a charge point's first outlet."""
    return running_one.charge_points[name].outlets[0]


async def until_draws(
    running_one: Site, current_a: float, name: str = "CP1", within_s: float = 5.0
) -> None:
    """Wait until a connector draws a current."""
    connector = outlet_of(running_one, name).connector
    await eventually(lambda: abs(connector.current_a - current_a) < 1e-6, within_s)


async def started(csms: Csms, running_one: Site, name: str = "CP1") -> int:
    """Wait until a transaction runs, and return its id."""
    outlet = outlet_of(running_one, name)
    await eventually(
        lambda: outlet.transaction is not None and outlet.transaction.id is not None
    )
    assert outlet.transaction is not None
    return int(outlet.transaction.id or 0)


async def test_boot_status_and_start(csms: Csms, running: Running) -> None:
    """A charge point says what it is, tells its status, and starts the car that is plugged in."""
    async with running(charge_point(vendor="V", model="M", serial="S", firmware="F")):
        boot = await csms.until("CP1", "BootNotification")
        assert boot == {
            "chargePointVendor": "V",
            "chargePointModel": "M",
            "chargePointSerialNumber": "S",
            "firmwareVersion": "F",
        }
        start = await csms.until("CP1", "StartTransaction")
        assert (start["connectorId"], start["idTag"], start["meterStart"]) == (
            1,
            "TAG",
            0,
        )
        await csms.until(
            "CP1", "StatusNotification", has(**CHARGING, errorCode="NoError")
        )


async def test_pending_is_honoured(csms: Csms, running: Running) -> None:
    """While pending nothing is told; the next BootNotification comes after the interval, or when triggered."""
    csms.boot_status, csms.boot_interval_s = "Pending", 60
    async with running() as one:
        await csms.until("CP1", "BootNotification")
        await eventually(lambda: outlet_of(one).transaction is not None)
        await asyncio.sleep(0.2)
        assert {action for _, action, _ in csms.heard} == {"BootNotification"}
        assert (
            await csms.call("CP1", "GetConfiguration", {"key": ["NumberOfConnectors"]})
        )["configurationKey"] == [
            {"key": "NumberOfConnectors", "readonly": True, "value": "1"}
        ]
        csms.boot_status = "Accepted"
        answer = await csms.call(
            "CP1", "TriggerMessage", {"requestedMessage": "BootNotification"}
        )
        assert answer == {"status": "Accepted"}
        await csms.until("CP1", "StartTransaction")
        assert len(csms.all_of("CP1", "BootNotification")) == 2


async def test_pending_asks_again_after_the_interval(
    csms: Csms, running: Running
) -> None:
    """The interval of the answer is the time to wait."""
    csms.boot_status, csms.boot_interval_s = "Pending", 1
    async with running() as one:
        await csms.until("CP1", "BootNotification")
        csms.boot_status = "Accepted"
        await eventually(lambda: one.charge_points["CP1"].online)
        assert len(csms.all_of("CP1", "BootNotification")) == 2


async def test_heartbeats(csms: Csms, running: Running) -> None:
    """The interval of the BootNotification's answer counts."""
    csms.boot_interval_s = 1
    async with running():
        await csms.until("CP1", "Heartbeat")


async def test_basic_authentication(csms: Csms, running: Running) -> None:
    """The user name is the identity."""
    async with running(charge_point(password="secret")):
        await csms.until_connected("CP1")
        assert csms.authorization == "Basic Q1AxOnNlY3JldA=="


async def test_card_starts_and_stops(csms: Csms, running: Running) -> None:
    """A card is authorized first; the same card stops; then the plug must go."""
    quiet = charge_point()
    del quiet["auto_start"]
    async with running(quiet) as one:
        await csms.until("CP1", "StatusNotification", has(status="Preparing"))
        charger, outlet = one.outlet("CP1")
        charger.present(outlet, "CARD")
        assert await csms.until("CP1", "Authorize") == {"idTag": "CARD"}
        transaction = await started(csms, one)
        await until_draws(one, 16.0)
        await asyncio.sleep(0.2)
        charger.present(outlet, "OTHER")
        assert outlet.transaction is not None
        charger.present(outlet, "card")
        stop = await csms.until("CP1", "StopTransaction")
        assert (stop["transactionId"], stop["reason"], stop["idTag"]) == (
            transaction,
            "Local",
            "CARD",
        )
        assert stop["meterStop"] == round(outlet.connector.energy_wh) > 0
        await csms.until("CP1", "StatusNotification", has(status="Finishing"))
        assert outlet.connector.current_a == 0.0
        charger.unplug(outlet)
        await eventually(lambda: outlet.status == "Available")


async def test_unwelcome_cards(csms: Csms, running: Running) -> None:
    """A card that is refused starts nothing; a tag that StartTransaction refuses ends the transaction."""
    csms.tag_status = "Blocked"
    quiet = charge_point("CP2")
    del quiet["auto_start"]
    async with running(charge_point(), quiet) as one:
        stop = await csms.until("CP1", "StopTransaction")
        assert stop["reason"] == "DeAuthorized"
        await csms.until("CP2", "StatusNotification", has(status="Preparing"))
        charger, outlet = one.outlet("CP2")
        charger.present(outlet, "CARD")
        await csms.until("CP2", "Authorize")
        await asyncio.sleep(0.2)
        assert outlet.transaction is None


async def test_unplugging_ends_the_transaction(csms: Csms, running: Running) -> None:
    """And the next car is the next transaction."""
    async with running() as one:
        first = await started(csms, one)
        charger, outlet = one.outlet("CP1/1")
        charger.unplug(outlet)
        stop = await csms.until("CP1", "StopTransaction")
        assert (stop["transactionId"], stop["reason"]) == (first, "EVDisconnected")
        await csms.until("CP1", "StatusNotification", has(status="Available"))
        charger.plug(outlet, Car(ramp_s=0.1))
        with pytest.raises(ValueError, match="already"):
            charger.plug(outlet, Car())
        await eventually(lambda: len(csms.all_of("CP1", "StartTransaction")) == 2)
        assert await started(csms, one) == first + 1


async def test_meter_values_as_configured(csms: Csms, running: Running) -> None:
    """Interval and measurands are those of the configuration; currents per phase, in the connector's own order."""
    rotated = charge_point(
        connector={"phases": ["L2", "L3", "L1"], "car": {"phases": 1, "ramp_s": 0.1}}
    )
    async with running(rotated) as one:
        transaction = await started(csms, one)
        await until_draws(one, 16.0)
        for key, value in (
            (
                "MeterValuesSampledData",
                "Current.Import,Voltage,Power.Active.Import,Energy.Active.Import.Register",
            ),
            ("metervaluesampleinterval", "1"),
        ):
            answer = await csms.call(
                "CP1", "ChangeConfiguration", {"key": key, "value": value}
            )
            assert answer == {"status": "Accepted"}
        values = await csms.until("CP1", "MeterValues")
        assert (values["connectorId"], values["transactionId"]) == (1, transaction)
        (value,) = values["meterValue"]
        samples = {
            (s["measurand"], s.get("phase")): (float(s["value"]), s["unit"])
            for s in value["sampledValue"]
        }
        energy = samples.pop(("Energy.Active.Import.Register", None))
        assert energy[1] == "Wh"
        assert samples == {
            ("Current.Import", "L1"): (16.0, "A"),
            ("Current.Import", "L2"): (0.0, "A"),
            ("Current.Import", "L3"): (0.0, "A"),
            ("Voltage", "L1-N"): (230.0, "V"),
            ("Voltage", "L2-N"): (230.0, "V"),
            ("Voltage", "L3-N"): (230.0, "V"),
            ("Power.Active.Import", None): (3680.0, "W"),
        }
        # The connector's first phase is wired to L2.
        assert one.plant.measure("main").current_a == pytest.approx((2.0, 18.0, 2.0))


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
            duration=4,
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


async def test_schema_violations_are_refused(csms: Csms) -> None:
    """What the OCPP schema does not allow is answered by a CALLERROR and remembered as a complaint."""
    async with running_site(parse_site(site(charge_point()), csms=csms.url)) as one:
        await started(csms, one)
        charger = one.charge_points["CP1"]
        too_fine = profile(10.05)
        assert await csms.call("CP1", "SetChargingProfile", too_fine) == {
            "error": "FormationViolation"
        }
        fine = profile(10.1)
        assert await csms.call("CP1", "SetChargingProfile", fine) == {
            "status": "Accepted"
        }
        assert await csms.call("CP1", "Reset", {"type": "Gentle"}) == {
            "error": "FormationViolation"
        }
        assert await csms.call("CP1", "MakeCoffee", {"location": "ftp://x"}) == {
            "error": "NotImplemented"
        }
        assert ["limit" in complaint for complaint in charger.link.complaints] == [
            True,
            False,
        ]
        await csms.connections["CP1"].send("[2")
        await csms.connections["CP1"].send('[3,"nothing",{}]')
        await eventually(lambda: len(charger.link.complaints) == 4)
        assert charger.link.up


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


async def test_configuration(csms: Csms, running: Running) -> None:
    """Keys are found whatever their case; read only, unknown and wrong values are told apart; secrets stay."""
    async with running() as one:
        await csms.until("CP1", "BootNotification")
        await eventually(lambda: one.charge_points["CP1"].online)
        answer = await csms.call(
            "CP1",
            "GetConfiguration",
            {"key": ["chargeprofilemaxstacklevel", "Nonsense"]},
        )
        assert answer == {
            "configurationKey": [
                {"key": "ChargeProfileMaxStackLevel", "readonly": True, "value": "8"}
            ],
            "unknownKey": ["Nonsense"],
        }
        everything = await csms.call("CP1", "GetConfiguration", {})
        keys = {entry["key"]: entry for entry in everything["configurationKey"]}
        assert (
            keys["ChargingScheduleAllowedChargingRateUnit"]["value"] == "Current,Power"
        )
        assert keys["SupportedFeatureProfiles"]["value"].startswith(
            "Core,SmartCharging,RemoteTrigger"
        )
        assert "value" not in keys["AuthorizationKey"]
        for key, value, status in (
            ("MeterValueSampleInterval", "10", "Accepted"),
            ("MeterValueSampleInterval", "soon", "Rejected"),
            ("MeterValuesSampledData", "Current.Import,Frequency", "Rejected"),
            ("NumberOfConnectors", "2", "Rejected"),
            ("Nonsense", "2", "NotSupported"),
        ):
            answer = await csms.call(
                "CP1", "ChangeConfiguration", {"key": key, "value": value}
            )
            assert answer == {"status": status}, key
        answer = await csms.call(
            "CP1", "GetConfiguration", {"key": ["MeterValueSampleInterval"]}
        )
        assert answer["configurationKey"][0]["value"] == "10"


async def test_phase_rotation_is_told(csms: Csms, running: Running) -> None:
    """R, S and T stand for L1, L2 and L3."""
    async with running(charge_point(connector={"phases": ["L2", "L3", "L1"]})) as one:
        await eventually(lambda: one.charge_points["CP1"].online)
        answer = await csms.call(
            "CP1", "GetConfiguration", {"key": ["ConnectorPhaseRotation"]}
        )
        assert answer["configurationKey"][0]["value"] == "1.STR"


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


async def test_triggers(csms: Csms, running: Running) -> None:
    """Asked for, they come at once."""
    async with running() as one:
        await started(csms, one)
        assert csms.all_of("CP1", "MeterValues") == []
        for wanted in ("MeterValues", "StatusNotification", "Heartbeat"):
            answer = await csms.call(
                "CP1", "TriggerMessage", {"requestedMessage": wanted}
            )
            assert answer == {"status": "Accepted"}
        values = await csms.until("CP1", "MeterValues")
        assert values["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"
        await csms.until("CP1", "StatusNotification", has(connectorId=0))
        await csms.until("CP1", "Heartbeat")
        answer = await csms.call(
            "CP1", "TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"}
        )
        assert answer == {"status": "Accepted"}
        assert (await csms.until("CP1", "FirmwareStatusNotification")) == {
            "status": "Idle"
        }
        answer = await csms.call(
            "CP1",
            "TriggerMessage",
            {"requestedMessage": "MeterValues", "connectorId": 7},
        )
        assert answer == {"status": "Rejected"}


async def test_reset_availability_and_unlock(csms: Csms, running: Running) -> None:
    """A reset ends transactions and boots again; profiles survive; out of service nothing starts."""
    async with running() as one:
        first = await started(csms, one)
        await csms.call("CP1", "SetChargingProfile", profile(7.0))
        await csms.call("CP1", "SetChargingProfile", tx(9.0, first))
        assert await csms.call("CP1", "Reset", {"type": "Hard"}) == {
            "status": "Accepted"
        }
        await eventually(lambda: len(csms.all_of("CP1", "BootNotification")) == 2)
        stop = await csms.until("CP1", "StopTransaction")
        assert (stop["transactionId"], stop["reason"]) == (first, "HardReset")
        assert await started(csms, one) == first + 1
        await until_draws(one, 7.0)
        answer = await csms.call(
            "CP1", "ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}
        )
        assert answer == {"status": "Scheduled"}
        assert await csms.call("CP1", "UnlockConnector", ONE) == {"status": "Unlocked"}
        await csms.until("CP1", "StatusNotification", has(status="Unavailable"))
        answer = await csms.call(
            "CP1", "ChangeAvailability", {"connectorId": 0, "type": "Operative"}
        )
        assert answer == {"status": "Accepted"}
        await eventually(lambda: outlet_of(one).status == "Finishing")


async def test_nothing_is_lost_offline(csms: Csms, running: Running) -> None:
    """Transactions that happen offline are told afterwards, in order, with their times; news are not."""
    async with running() as one:
        first = await started(csms, one)
        await eventually(lambda: one.charge_points["CP1"].outbox.records_waiting == 0)
        charger, outlet = one.outlet("CP1")
        charger.link.disconnect()
        await eventually(lambda: not charger.link.up)
        charger.unplug(outlet)
        await asyncio.sleep(0.1)
        charger.plug(outlet, Car(ramp_s=0.1))
        await eventually(lambda: outlet.transaction is not None)
        await asyncio.sleep(0.2)
        charger.unplug(outlet)
        unplugged = datetime.now(UTC)
        assert charger.outbox.records_waiting == 3
        await asyncio.sleep(1.5)
        charger.link.reconnect()
        await eventually(lambda: len(csms.all_of("CP1", "StopTransaction")) == 2)
        told = [action for _, action, _ in csms.heard if action.endswith("Transaction")]
        assert told == [
            "StartTransaction",
            "StopTransaction",
            "StartTransaction",
            "StopTransaction",
        ]
        stops = csms.all_of("CP1", "StopTransaction")
        assert [stop["transactionId"] for stop in stops] == [first, first + 1]
        assert abs(
            datetime.fromisoformat(stops[1]["timestamp"]) - unplugged
        ) < timedelta(seconds=1.0)
        # After a mere loss of connection the standard wants no BootNotification.
        assert len(csms.all_of("CP1", "BootNotification")) == 1
        await csms.until("CP1", "StatusNotification", has(status="Available"))


async def test_records_are_repeated_and_given_up(csms: Csms, running: Running) -> None:
    """A refused record is sent again as often as configured; a lost connection does not count."""
    csms.refuse.add("StartTransaction")
    async with running() as one:
        await eventually(lambda: len(csms.all_of("CP1", "StartTransaction")) == 3)
        await eventually(lambda: one.charge_points["CP1"].outbox.records_waiting == 0)
        charger, outlet = one.outlet("CP1")
        charger.unplug(outlet)
        await asyncio.sleep(0.2)
        # Nobody gave this transaction an id, so its end cannot be told.
        assert csms.all_of("CP1", "StopTransaction") == []


async def test_the_connection_comes_back(csms: Csms, running: Running) -> None:
    """Lost from either side, it is made again; what was lost with it is sent again and not counted as refused."""
    csms.mute.add("StartTransaction")
    async with running() as one:
        charger = one.charge_points["CP1"]
        losses = charger.outbox.attempts + 1

        def told(times: int) -> bool:
            return len(csms.all_of("CP1", "StartTransaction")) == times

        def connected(times: int) -> bool:
            return charger.link.connects == times

        for turn in range(1, losses + 1):
            await eventually(partial(told, turn))
            if turn == losses:
                csms.mute.clear()
            charger.link.drop()
            await eventually(partial(connected, turn + 1))
        await started(csms, one)
        assert told(losses + 1)
        await csms.connections["CP1"].close()
        await eventually(lambda: charger.link.connects == losses + 2)


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


QUIRKS: dict[str, tuple[Json, Json]] = {
    "rejects_tx_profile": ({"rejects_tx_profile": True}, tx(10.0, 101)),
    "rejects_tx_default": ({"rejects_tx_default": True}, profile(10.0)),
    "rejects_charge_point_max": (
        {"rejects_charge_point_max": True},
        profile(10.0, connector=0, chargingProfilePurpose="ChargePointMaxProfile"),
    ),
    "power_unit_only": ({"power_unit_only": True}, profile(10.0)),
    "current_unit_only": ({"current_unit_only": True}, profile(6900.0, unit="W")),
    "absolute_only": ({"absolute_only": True}, profile(10.0, kind="Relative")),
    "relative_only": ({"relative_only": True}, profile(10.0)),
    "stack_zero_only": ({"stack_zero_only": True}, tx(10.0, 101)),
    "single_period": (
        {"single_period": True},
        tx(
            0.0,
            101,
            periods=[
                {"startPeriod": 0, "limit": 9.0},
                {"startPeriod": 60, "limit": 6.0},
            ],
        ),
    ),
}


@pytest.mark.parametrize(("quirks", "payload"), QUIRKS.values(), ids=QUIRKS.keys())
async def test_quirks_that_reject(
    csms: Csms, running: Running, quirks: Json, payload: Json
) -> None:
    """Each rejects what it is named after, and without it the same is accepted."""
    async with running(charge_point(quirks=quirks)) as one:
        assert await started(csms, one) == 101
        assert await csms.call("CP1", "SetChargingProfile", payload) == {
            "status": "Rejected"
        }
        setattr(one.charge_points["CP1"].quirks, next(iter(quirks)), False)
        assert await csms.call("CP1", "SetChargingProfile", payload) == {
            "status": "Accepted"
        }


async def test_quirk_disobedient(csms: Csms, running: Running) -> None:
    """It accepts, and charges on."""
    async with running(charge_point(quirks={"disobedient": True})) as one:
        transaction = await started(csms, one)
        await until_draws(one, 16.0)
        assert await csms.call("CP1", "SetChargingProfile", tx(8.0, transaction)) == {
            "status": "Accepted"
        }
        await asyncio.sleep(0.3)
        assert outlet_of(one).connector.current_a == 16.0
        assert outlet_of(one).limit.amount == 8.0
        one.charge_points["CP1"].quirks.disobedient = False
        await until_draws(one, 8.0)


async def test_quirk_ignores_duration(csms: Csms, running: Running) -> None:
    """The profile never ends."""
    async with running(charge_point(quirks={"ignores_duration": True})) as one:
        transaction = await started(csms, one)
        await csms.call(
            "CP1", "SetChargingProfile", tx(8.0, transaction, start_s=-5.0, duration=1)
        )
        await until_draws(one, 8.0)


async def test_quirk_forgets_profiles_offline(csms: Csms, running: Running) -> None:
    """Without connection it charges at its maximum: dangerous."""
    async with running(charge_point(quirks={"forgets_profiles_offline": True})) as one:
        await started(csms, one)
        await csms.call("CP1", "SetChargingProfile", profile(8.0))
        await until_draws(one, 8.0)
        one.charge_points["CP1"].link.disconnect()
        await until_draws(one, 16.0)


async def test_quirk_zero_stops_transaction(csms: Csms, running: Running) -> None:
    """A limit of nothing ends the transaction."""
    async with running(charge_point(quirks={"zero_stops_transaction": True})) as one:
        transaction = await started(csms, one)
        await csms.call("CP1", "SetChargingProfile", tx(0.0, transaction))
        stop = await csms.until("CP1", "StopTransaction")
        assert stop["transactionId"] == transaction


async def test_quirks_of_answers_and_connection(csms: Csms, running: Running) -> None:
    """Slow answers, no composite schedule, currents as a sum, connections that drop, boots on reconnect."""
    quirks = {
        "slow_answer_s": 0.3,
        "no_composite_schedule": True,
        "current_as_sum": True,
        "boots_on_reconnect": True,
        "clock_offset_s": 3600.0,
    }
    async with running(charge_point(quirks=quirks)) as one:
        await started(csms, one)
        await until_draws(one, 16.0)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        answer = await csms.call(
            "CP1", "GetCompositeSchedule", {"connectorId": 1, "duration": 60}
        )
        assert answer == {"error": "NotSupported"}
        assert loop.time() - began_s >= 0.3
        await csms.call(
            "CP1",
            "ChangeConfiguration",
            {"key": "MeterValuesSampledData", "value": "Current.Import"},
        )
        await csms.call("CP1", "TriggerMessage", {"requestedMessage": "MeterValues"})
        values = await csms.until("CP1", "MeterValues")
        (sample,) = values["meterValue"][0]["sampledValue"]
        assert (float(sample["value"]), "phase" in sample) == (48.0, False)
        ahead = datetime.fromisoformat(
            values["meterValue"][0]["timestamp"]
        ) - datetime.now(UTC)
        assert timedelta(minutes=59) < ahead < timedelta(minutes=61)
        charger = one.charge_points["CP1"]
        charger.quirks.drops_connection_s = 0.2
        await eventually(lambda: charger.link.connects >= 2)
        charger.quirks.drops_connection_s = 0.0
        await eventually(lambda: len(csms.all_of("CP1", "BootNotification")) >= 2)


async def test_quirk_no_meter_values(csms: Csms, running: Running) -> None:
    """Nothing is sampled, however short the interval."""
    async with running(
        charge_point(sample_interval_s=1, quirks={"no_meter_values": True})
    ) as one:
        await started(csms, one)
        await asyncio.sleep(1.3)
        assert csms.all_of("CP1", "MeterValues") == []
        one.charge_points["CP1"].quirks.no_meter_values = False
        await csms.until("CP1", "MeterValues")


async def test_quirk_applies_late(csms: Csms, running: Running) -> None:
    """It accepts at once and obeys later."""
    async with running(charge_point(quirks={"applies_late_s": 0.5})) as one:
        transaction = await started(csms, one)
        await until_draws(one, 16.0)
        await csms.call("CP1", "SetChargingProfile", tx(8.0, transaction))
        await asyncio.sleep(0.2)
        assert outlet_of(one).connector.current_a == 16.0
        await until_draws(one, 8.0)

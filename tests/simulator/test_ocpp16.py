"""OCPP 1.6 charge points against a central system on a real WebSocket."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from simulator.car import Car
from simulator.site import running_site
from simulator.site_file import parse_site

from .conftest import Running
from .csms import Csms, eventually
from .ocpp16 import has, outlet_of, profile, started, tx, until_draws
from .sites import charge_point, site

ONE = {"connectorId": 1}
CHARGING = {"connectorId": 1, "status": "Charging"}


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

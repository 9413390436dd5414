"""OCPP 2.0.1 charging stations against a central system on a real WebSocket."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.car import Car
from simulator.charge_point import Outlet
from simulator.site import Site, running_site
from simulator.site_file import parse_site

from .conftest import Running
from .csms import Csms, eventually
from .sites import Json, charge_point, site


@pytest.fixture
def protocol() -> str:
    """What the charging stations speak."""
    return "ocpp2.0.1"


def outlet_of(one: Site) -> Outlet:
    """Return the first EVSE."""
    return one.charge_points["CP1"].outlets[0]


def event(kind: str, trigger: str | None = None) -> Callable[[Json], bool]:
    """Return a test for TransactionEvents."""
    return lambda payload: (
        payload["eventType"] == kind and trigger in (None, payload["triggerReason"])
    )


async def transaction_of(csms: Csms) -> str:
    """Wait until a transaction has begun, and return its id."""
    started = await csms.until("CP1", "TransactionEvent", event("Started"))
    return str(started["transactionInfo"]["transactionId"])


async def until_draws(one: Site, current_a: float) -> None:
    """Wait until the connector draws a current."""
    await eventually(lambda: abs(outlet_of(one).connector.current_a - current_a) < 1e-6)


def profile(limit: float, transaction: str | None = None, **options: Any) -> Json:
    """Return the payload of a SetChargingProfile."""
    schedule: Json = {
        "id": 1,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": options.pop(
            "periods", [{"startPeriod": 0, "limit": limit}]
        ),
    }
    if options.get("chargingProfileKind", "Absolute") == "Absolute":
        schedule["startSchedule"] = (
            datetime.now(UTC) - timedelta(seconds=1)
        ).isoformat()
    evse = options.pop("evse", 1)
    plain: Json = {
        "id": 2 if transaction else 1,
        "stackLevel": 1 if transaction else 0,
        "chargingProfilePurpose": "TxProfile" if transaction else "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    if transaction is not None:
        plain["transactionId"] = transaction
    return {"evseId": evse, "chargingProfile": plain | options}


async def test_boot_status_and_transaction(csms: Csms, running: Running) -> None:
    """Registration, status of the EVSE, and the events of a transaction from start to end."""
    async with running(
        charge_point(vendor="V", model="M", serial="S", firmware="F")
    ) as one:
        assert await csms.until("CP1", "BootNotification") == {
            "reason": "PowerUp",
            "chargingStation": {
                "vendorName": "V",
                "model": "M",
                "serialNumber": "S",
                "firmwareVersion": "F",
            },
        }
        transaction = await transaction_of(csms)
        await csms.until(
            "CP1", "TransactionEvent", event("Updated", "ChargingStateChanged")
        )
        await until_draws(one, 16.0)
        await asyncio.sleep(0.3)
        charger, outlet = one.outlet("CP1")
        charger.unplug(outlet)
        await csms.until("CP1", "TransactionEvent", event("Ended"))
        first, second, last = csms.all_of("CP1", "TransactionEvent")
        assert [each["seqNo"] for each in (first, second, last)] == [0, 1, 2]
        assert {
            each["transactionInfo"]["transactionId"] for each in (first, second, last)
        } == {transaction}
        assert (first["triggerReason"], first["idToken"]) == (
            "Authorized",
            {"idToken": "TAG", "type": "ISO14443"},
        )
        assert first["evse"] == {"id": 1, "connectorId": 1}
        assert second["transactionInfo"]["chargingState"] == "Charging"
        assert last["triggerReason"] == "EVCommunicationLost"
        assert last["transactionInfo"]["stoppedReason"] == "EVDisconnected"
        (sample,) = last["meterValue"][0]["sampledValue"]
        assert sample["measurand"] == "Energy.Active.Import.Register"
        assert sample["value"] == round(outlet.connector.energy_wh) > 0
        await csms.until(
            "CP1",
            "StatusNotification",
            lambda payload: payload["connectorStatus"] == "Available",
        )
        # Preparing, charging and all that is one word here, told once.
        words = [
            payload["connectorStatus"]
            for payload in csms.all_of("CP1", "StatusNotification")
        ]
        assert words in (
            ["Occupied", "Available"],
            ["Available", "Occupied", "Available"],
        )


async def test_periodic_values_as_configured(csms: Csms, running: Running) -> None:
    """Interval and measurands are variables; values are numbers."""
    async with running() as one:
        await transaction_of(csms)
        await until_draws(one, 16.0)
        answer = await csms.call(
            "CP1",
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "component": {"name": "sampleddatactrlr"},
                        "variable": {"name": "TxUpdatedMeasurands"},
                        "attributeValue": "Current.Import,Power.Active.Import",
                    },
                    {
                        "component": {"name": "SampledDataCtrlr"},
                        "variable": {"name": "TxUpdatedInterval"},
                        "attributeValue": "1",
                    },
                ]
            },
        )
        assert [
            result["attributeStatus"] for result in answer["setVariableResult"]
        ] == ["Accepted", "Accepted"]
        values = await csms.until(
            "CP1", "TransactionEvent", event("Updated", "MeterValuePeriodic")
        )
        samples = {
            (s["measurand"], s.get("phase")): s["value"]
            for s in values["meterValue"][0]["sampledValue"]
        }
        assert samples == {
            ("Current.Import", "L1"): 16.0,
            ("Current.Import", "L2"): 16.0,
            ("Current.Import", "L3"): 16.0,
            ("Power.Active.Import", None): 11040.0,
        }


async def test_variables_and_report(csms: Csms, running: Running) -> None:
    """What is known, unknown, read only and secret; the report has everything, in parts."""
    async with running() as one:
        await eventually(lambda: one.charge_points["CP1"].online)
        asked = [
            ("SmartChargingCtrlr", "RateUnit"),
            ("SmartChargingCtrlr", "Colour"),
            ("Coffee", "Strength"),
            ("SecurityCtrlr", "BasicAuthPassword"),
        ]
        answer = await csms.call(
            "CP1",
            "GetVariables",
            {
                "getVariableData": [
                    {"component": {"name": c}, "variable": {"name": v}}
                    for c, v in asked
                ]
            },
        )
        results = [
            (r["attributeStatus"], r.get("attributeValue"))
            for r in answer["getVariableResult"]
        ]
        assert results == [
            ("Accepted", "A,W"),
            ("UnknownVariable", None),
            ("UnknownComponent", None),
            ("Rejected", None),
        ]
        answer = await csms.call(
            "CP1", "GetBaseReport", {"requestId": 7, "reportBase": "FullInventory"}
        )
        assert answer == {"status": "Accepted"}
        await csms.until("CP1", "NotifyReport", lambda payload: not payload["tbc"])
        parts = csms.all_of("CP1", "NotifyReport")
        assert [part["seqNo"] for part in parts] == list(range(len(parts)))
        names = {
            entry["variable"]["name"] for part in parts for entry in part["reportData"]
        }
        assert {
            "ProfileStackLevel",
            "TxUpdatedMeasurands",
            "HeartbeatInterval",
        } <= names


async def test_profiles(csms: Csms, running: Running) -> None:
    """Floor, working profile, read-back and clearing."""
    async with running() as one:
        transaction = await transaction_of(csms)
        floor = profile(6.0, evse=0)
        assert await csms.call("CP1", "SetChargingProfile", floor) == {
            "status": "Accepted"
        }
        await until_draws(one, 6.0)
        work = profile(
            0,
            transaction,
            periods=[
                {"startPeriod": 0, "limit": 14.0},
                {"startPeriod": 60, "limit": 6.0},
            ],
        )
        assert await csms.call("CP1", "SetChargingProfile", work) == {
            "status": "Accepted"
        }
        await until_draws(one, 14.0)
        answer = await csms.call(
            "CP1", "GetCompositeSchedule", {"evseId": 1, "duration": 120}
        )
        periods = answer["schedule"]["chargingSchedulePeriod"]
        assert [period["limit"] for period in periods] == [14.0, 6.0]
        answer = await csms.call(
            "CP1", "GetChargingProfiles", {"requestId": 3, "chargingProfile": {}}
        )
        assert answer == {"status": "Accepted"}
        await csms.until(
            "CP1", "ReportChargingProfiles", lambda payload: not payload["tbc"]
        )
        reported = csms.all_of("CP1", "ReportChargingProfiles")
        assert [report["chargingProfile"][0]["id"] for report in reported] == [1, 2]
        assert await csms.call(
            "CP1", "ClearChargingProfile", {"chargingProfileId": 2}
        ) == {"status": "Accepted"}
        await until_draws(one, 6.0)
        criteria = {
            "chargingProfileCriteria": {
                "chargingProfilePurpose": "TxDefaultProfile",
                "evseId": 0,
            }
        }
        assert await csms.call("CP1", "ClearChargingProfile", criteria) == {
            "status": "Accepted"
        }
        await until_draws(one, 16.0)
        answer = await csms.call(
            "CP1", "GetChargingProfiles", {"requestId": 4, "chargingProfile": {}}
        )
        assert answer == {"status": "NoProfiles"}


async def test_profiles_that_are_rejected(csms: Csms, running: Running) -> None:
    """The rules of K01: each has its reason."""
    async with running() as one:
        transaction = await transaction_of(csms)
        assert (await csms.call("CP1", "SetChargingProfile", profile(6.0)))[
            "status"
        ] == "Accepted"
        maximum = "ChargingStationMaxProfile"
        for payload, reason in (
            (profile(9.0, "nonsense"), "TxNotFound"),
            (profile(9.0, transaction, evse=0), "TxNotFound"),
            (profile(9.0, id=9), "DuplicateProfile"),
            (profile(9.0, id=9, evse=0), "DuplicateProfile"),
            (
                profile(9.0, chargingProfilePurpose=maximum, stackLevel=3, id=9),
                "InvalidProfile",
            ),
            (
                profile(
                    9.0,
                    chargingProfilePurpose=maximum,
                    chargingProfileKind="Relative",
                    evse=0,
                    stackLevel=3,
                    id=9,
                ),
                "InvalidProfile",
            ),
            (profile(9.0, id=9, stackLevel=99), "InvalidProfile"),
        ):
            answer = await csms.call("CP1", "SetChargingProfile", payload)
            assert answer == {
                "status": "Rejected",
                "statusInfo": {"reasonCode": reason},
            }, payload
        # The same id may come again: that is how a profile is renewed.
        assert (await csms.call("CP1", "SetChargingProfile", profile(7.0)))[
            "status"
        ] == "Accepted"
        await until_draws(one, 7.0)


async def test_remote_start_and_stop(csms: Csms, running: Running) -> None:
    """The token and the id of the request come back in the first event; the end says Remote."""
    quiet = charge_point()
    del quiet["auto_start"]
    async with running(quiet) as one:
        await eventually(lambda: outlet_of(one).status == "Preparing")
        token = {"idToken": "APP-7", "type": "Central"}
        request = {"evseId": 1, "idToken": token, "remoteStartId": 42}
        await eventually(lambda: one.charge_points["CP1"].online)
        assert await csms.call("CP1", "RequestStartTransaction", request) == {
            "status": "Accepted"
        }
        started = await csms.until("CP1", "TransactionEvent", event("Started"))
        assert (started["triggerReason"], started["idToken"]) == ("RemoteStart", token)
        assert started["transactionInfo"]["remoteStartId"] == 42
        transaction = started["transactionInfo"]["transactionId"]
        status = await csms.call(
            "CP1", "GetTransactionStatus", {"transactionId": transaction}
        )
        assert status["ongoingIndicator"] is True
        assert await csms.call(
            "CP1", "UnlockConnector", {"evseId": 1, "connectorId": 1}
        ) == {"status": "OngoingAuthorizedTransaction"}
        answer = await csms.call(
            "CP1", "RequestStopTransaction", {"transactionId": transaction}
        )
        assert answer == {"status": "Accepted"}
        ended = await csms.until("CP1", "TransactionEvent", event("Ended"))
        assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == (
            "RemoteStop",
            "Remote",
        )
        answer = await csms.call(
            "CP1", "RequestStopTransaction", {"transactionId": transaction}
        )
        assert answer == {"status": "Rejected"}


async def test_unwelcome_tokens(csms: Csms, running: Running) -> None:
    """A token that the first event's answer refuses ends the transaction."""
    csms.tag_status = "Blocked"
    async with running():
        ended = await csms.until("CP1", "TransactionEvent", event("Ended"))
        assert ended["triggerReason"] == "Deauthorized"


async def test_triggers_reset_and_availability(csms: Csms, running: Running) -> None:
    """Asked for, they come; a reset when idle waits for the transaction's end."""
    async with running() as one:
        transaction = await transaction_of(csms)
        for wanted in ("MeterValues", "TransactionEvent", "Heartbeat"):
            answer = await csms.call(
                "CP1", "TriggerMessage", {"requestedMessage": wanted, "evse": {"id": 1}}
            )
            assert answer == {"status": "Accepted"}
        await csms.until("CP1", "MeterValues")
        await csms.until("CP1", "TransactionEvent", event("Updated", "Trigger"))
        await csms.until("CP1", "Heartbeat")
        answer = await csms.call(
            "CP1", "TriggerMessage", {"requestedMessage": "SignV2GCertificate"}
        )
        assert answer == {"status": "NotImplemented"}
        assert await csms.call("CP1", "Reset", {"type": "OnIdle"}) == {
            "status": "Scheduled"
        }
        await asyncio.sleep(0.2)
        assert len(csms.all_of("CP1", "BootNotification")) == 1
        await csms.call(
            "CP1", "ChangeAvailability", {"operationalStatus": "Inoperative"}
        )
        await csms.call("CP1", "RequestStopTransaction", {"transactionId": transaction})
        await eventually(lambda: len(csms.all_of("CP1", "BootNotification")) == 2)
        await csms.until(
            "CP1",
            "StatusNotification",
            lambda payload: payload["connectorStatus"] == "Unavailable",
        )
        assert outlet_of(one).transaction is None


async def test_events_are_kept_offline(csms: Csms, running: Running) -> None:
    """They come later, in order, marked as offline."""
    async with running(charge_point(connector={"plugged": False})) as one:
        charger, outlet = one.outlet("CP1")
        await eventually(lambda: charger.online)
        charger.plug(outlet, Car(ramp_s=0.1))
        first = await transaction_of(csms)
        await eventually(
            lambda: outlet.status == "Charging" and charger.outbox.records_waiting == 0
        )
        charger.link.disconnect()
        await eventually(lambda: not charger.link.up)
        charger.unplug(outlet)
        await asyncio.sleep(0.1)
        charger.plug(outlet, Car(ramp_s=0.1))
        await eventually(lambda: outlet.status == "Charging")
        charger.link.reconnect()
        await eventually(lambda: charger.online and charger.outbox.records_waiting == 0)
        events = csms.all_of("CP1", "TransactionEvent")
        assert [(each["eventType"], each.get("offline", False)) for each in events] == [
            ("Started", False),
            ("Updated", False),
            ("Ended", True),
            ("Started", True),
            ("Updated", True),
        ]
        assert events[2]["transactionInfo"]["transactionId"] == first
        assert events[3]["transactionInfo"]["transactionId"] != first


async def test_refused_calls(csms: Csms) -> None:
    """Unknown actions and broken payloads are answered by CALLERRORs."""
    station = charge_point() | {"protocol": "ocpp2.0.1"}
    async with running_site(parse_site(site(station), csms=csms.url)) as one:
        await transaction_of(csms)
        assert await csms.call("CP1", "GetCRL", {}) == {"error": "NotImplemented"}
        assert await csms.call("CP1", "Reset", {"type": "Hard"}) == {
            "error": "FormationViolation"
        }
        assert len(one.charge_points["CP1"].link.complaints) == 1

"""OCPP 1.6 charge points with quirks, against a central system on a real WebSocket."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from .conftest import Running
from .csms import Csms, eventually
from .ocpp16 import outlet_of, profile, started, tx, until_draws
from .sites import Json, charge_point

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

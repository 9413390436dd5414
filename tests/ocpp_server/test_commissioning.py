"""The self-test against chargers that do it right and wrong, with a car on the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    CallError,
    ChargePoint,
    FloorAccepted,
    Permit,
    PermitAccepted,
    commissioning,
    steering,
)

from .wire import Payload, WireChargePoint, iso

FLOOR_A = 6.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the permit of the test live for two seconds."""
    monkeypatch.setattr(commissioning, "LIFE_S", 2.0)
    monkeypatch.setattr(commissioning, "OBEY_WAIT_S", 1.0)
    monkeypatch.setattr(commissioning, "FALL_BACK_WAIT_S", 1.0)
    monkeypatch.setattr(commissioning, "_CHECK_S", 0.02)
    monkeypatch.setattr(steering, "_SHORTEST_LIFE_S", 0.5)


class Charger:
    """Takes TxProfiles and draws what they allow."""

    def __init__(self, *, obeys: bool = True, lapses: bool = True) -> None:
        """`lapses`: whether it heeds the second period."""
        self.obeys = obeys
        self.lapses = lapses
        self.schedule: Payload | None = None

    def take(self, payload: Payload) -> Payload:
        """Install a profile."""
        profile = payload["csChargingProfiles"]
        if profile["chargingProfilePurpose"] == "TxProfile":
            self.schedule = profile["chargingSchedule"]
        return {"status": "Accepted"}

    def composite(self, payload: Payload) -> Payload:
        """Answer GetCompositeSchedule."""
        if self.schedule is None:
            return {"status": "Rejected"}
        return {
            "status": "Accepted",
            "connectorId": payload["connectorId"],
            "chargingSchedule": self.schedule,
        }

    def draw_a(self) -> float:
        """Return what the car draws now."""
        if self.schedule is None:
            return FLOOR_A
        if not self.obeys:
            return 16.0
        since_s = (
            datetime.now(UTC) - datetime.fromisoformat(self.schedule["startSchedule"])
        ).total_seconds()
        periods = [
            period["limit"]
            for period in self.schedule["chargingSchedulePeriod"]
            if period["startPeriod"] <= since_s
        ]
        return float(periods[-1] if self.lapses else periods[0])


@asynccontextmanager
async def metering(client: WireChargePoint, charger: Charger) -> AsyncIterator[None]:
    """Send meter values ten times a second."""

    async def send() -> None:
        while True:
            samples = [
                {
                    "value": str(charger.draw_a()),
                    "measurand": "Current.Import",
                    "phase": f"L{phase}",
                }
                for phase in (1, 2, 3)
            ]
            await client.ask(
                "MeterValues",
                connectorId=1,
                meterValue=[{"timestamp": iso(), "sampledValue": samples}],
            )
            await asyncio.sleep(0.1)

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def charging(adopt: Any, dial: Any) -> Callable[..., Any]:
    """Return what brings a charger to charging at 12 A."""

    async def make(charger: Charger) -> tuple[ChargePoint, WireChargePoint, Any]:
        point, recorder = adopt()
        client = await dial(
            handlers={
                "SetChargingProfile": charger.take,
                "GetCompositeSchedule": charger.composite,
            }
        )
        await client.boot()
        await recorder.wait(FloorAccepted)
        await client.start()
        point.permit(1, Permit(limit_a=12))
        await recorder.wait(PermitAccepted)
        return point, client, recorder

    return make


async def test_s5_good_charger_passes(charging: Any) -> None:
    """It obeys, shows the floor in its schedule, and falls back on time; then the old permit goes on."""
    charger = Charger()
    point, client, recorder = await charging(charger)
    async with metering(client, charger):
        result = await point.self_test(1)
        assert (
            result.meter_values,
            result.obeys,
            result.schedule_agrees,
            result.falls_back,
        ) == (
            True,
            True,
            True,
            True,
        )
        assert -1.5 < result.fall_back_s < 1.5
        assert point.autonomous_fallback is True
        await recorder.wait(PermitAccepted, count=4)
        assert recorder.of(PermitAccepted)[-1].permit.limit_a == 12
    limits = [
        profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        for profile in client.profiles("TxProfile")
    ]
    assert max(limits) == 12
    assert 9 in limits


async def test_s7_charger_that_does_not_lapse_is_found(charging: Any) -> None:
    """It counts at its maximum when offline."""
    charger = Charger(lapses=False)
    point, client, _ = await charging(charger)
    async with metering(client, charger):
        result = await point.self_test(1)
    assert (result.obeys, result.falls_back, result.fall_back_s) == (True, False, None)
    assert point.autonomous_fallback is False


async def test_s8_charger_that_does_not_obey_is_found(charging: Any) -> None:
    """Accepted is not obeyed."""
    charger = Charger(obeys=False)
    point, client, _ = await charging(charger)
    async with metering(client, charger):
        result = await point.self_test(1)
    assert (result.obeys, result.falls_back) == (False, None)


async def test_no_meter_values_are_found(charging: Any) -> None:
    """Without values nothing can be told."""
    point, _, _ = await charging(Charger())
    assert (await point.self_test(1)).meter_values is False


async def test_s1_self_test_gives_way_to_a_lower_permit(charging: Any) -> None:
    """A fuse goes before a test; a higher permit waits for its end."""
    charger = Charger(lapses=False)
    point, client, _ = await charging(charger)
    async with metering(client, charger):
        test = asyncio.create_task(point.self_test(1))
        await client.until(lambda: charger.draw_a() == 9)
        with pytest.raises(CallError, match="test_running"):
            await point.self_test(1)
        point.permit(1, Permit(limit_a=14))
        await asyncio.sleep(0.2)
        assert charger.draw_a() == 9
        point.permit(1, Permit(limit_a=7))
        with pytest.raises(CallError, match="aborted"):
            await test
        await client.until(lambda: charger.draw_a() == 7)


async def test_nothing_to_see_without_a_transaction_or_with_a_small_draw(
    adopt: Any, dial: Any
) -> None:
    """The test says why it cannot run."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await recorder.wait(FloorAccepted)
    with pytest.raises(CallError, match="no_transaction"):
        await point.self_test(1)
    await client.start()
    point.permit(1, Permit(limit_a=6))
    await recorder.wait(PermitAccepted)
    async with metering(client, Charger()):
        with pytest.raises(CallError, match="draws_too_little"):
            await point.self_test(1)


async def test_nothing_to_see_where_nothing_was_permitted(
    adopt: Any, dial: Any
) -> None:
    """Its transaction runs by itself, on the floor."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await recorder.wait(FloorAccepted)
    await client.start()
    async with metering(client, Charger()):
        with pytest.raises(CallError, match="draws_too_little"):
            await point.self_test(1)


async def test_car_that_takes_less_by_itself_tells_nothing_of_the_fall(
    charging: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was full before the permit lapsed; that it obeys was seen."""
    monkeypatch.setattr(commissioning, "_EARLY_S", 0.5)
    charger = Charger()
    point, client, _ = await charging(charger)

    def full(payload: Payload) -> Payload:
        answer = charger.take(payload)
        if len(client.profiles("TxProfile")) == 2:
            charger.schedule = None
        return answer

    client.handlers["SetChargingProfile"] = full
    async with metering(client, charger):
        result = await point.self_test(1)
    assert (result.obeys, result.falls_back, result.fall_back_s) == (True, None, None)


async def test_permit_of_the_test_that_is_refused(charging: Any) -> None:
    """The test says that it could not be made, and the permit of before goes on."""
    charger = Charger()
    point, client, recorder = await charging(charger)
    client.handlers["SetChargingProfile"] = lambda _: {"status": "Rejected"}
    async with metering(client, charger):
        with pytest.raises(CallError, match="timeout"):
            await point.self_test(1)
        client.handlers["SetChargingProfile"] = charger.take
        point.permit(1, Permit(limit_a=12))
        await recorder.wait(PermitAccepted, count=2)
    assert point.self_tests == {}


async def test_charger_without_a_schedule_is_tested_all_the_same(charging: Any) -> None:
    """Many do not implement it."""
    charger = Charger(obeys=False)
    point, client, _ = await charging(charger)
    client.handlers["GetCompositeSchedule"] = lambda _: ("NotImplemented", "")
    async with metering(client, charger):
        result = await point.self_test(1)
    assert (result.obeys, result.schedule_agrees) == (False, None)


@pytest.mark.parametrize("end", ["no_transaction", "not_connected"])
async def test_self_test_ends_with_what_it_tests(charging: Any, end: str) -> None:
    """The car leaves, or the network fails."""
    charger = Charger(obeys=False)
    point, client, _ = await charging(charger)
    async with metering(client, charger):
        test = asyncio.create_task(point.self_test(1))
        await client.until(lambda: len(client.profiles("TxProfile")) == 2)
        if end == "not_connected":
            client.abort()
        else:
            transaction = point.connectors[1].transaction
            await client.ask(
                "StopTransaction",
                transactionId=transaction.id,
                meterStop=2000,
                timestamp=iso(),
            )
        with pytest.raises(CallError, match=end):
            await test
    assert not point.testing

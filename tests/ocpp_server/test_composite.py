"""What a charge point says that is in force, against what it was told."""

import asyncio
import json
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    Permit,
    PermitAccepted,
    ScheduleMismatch,
    composite,
)
from custom_components.reev_ems.ocpp_server.profiles import Unit

from .wire import Payload, iso, soon


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


async def test_schedule_of_a_transaction_that_is_over_tells_nothing(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer came late, and another car charges."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.0)
    monkeypatch.setattr(composite, "_BETWEEN_S", 0.0)
    point, recorder = adopt()
    client = await dial(handlers={"GetCompositeSchedule": lambda _: None})
    await client.boot()
    first = await client.start()
    point.permit(1, Permit(limit_a=10))
    await client.until(lambda: client.sent("GetCompositeSchedule"))
    await client.ask(
        "StopTransaction", transactionId=first, meterStop=2000, timestamp=iso()
    )
    await client.start()
    (asked,) = (
        json.loads(frame)[1]
        for frame in client.frames
        if "GetCompositeSchedule" in frame
    )
    period = {"startPeriod": 0, "limit": 32}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    answer = {"status": "Accepted", "chargingSchedule": schedule}
    await client.send(json.dumps([3, asked, answer]))
    await recorder.wait(PermitAccepted, count=2)
    assert not recorder.of(ScheduleMismatch)
    assert point.learnt.abilities.composite_schedule is None

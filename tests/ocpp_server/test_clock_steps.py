"""Charge points whose clock is set while a car charges: the floor stands, and the permits come back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    ChargePointConfig,
    OcppServer,
    Permit,
    PermitAccepted,
    clock,
    composite,
    steering,
)
from custom_components.reev_ems.sessions import SessionLog
from simulator.charge_point import Outlet
from simulator.site import Site, running_site
from simulator.site_file import parse_site

from ..simulator.sites import charge_point, site
from .wire import iso, soon

FLOOR_A = 6.0
PERMIT_A = 10.0
KINDS: dict[str, dict[str, Any]] = {
    "GOOD": {},
    "GOOD201": {"protocol": "ocpp2.0.1"},
    "ABSOLUTE": {"quirks": {"absolute_only": True}},
    "NO_TRIGGER": {"quirks": {"rejects_trigger": True}},
}


@pytest.fixture
async def running(
    server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    """Charge points that check when a schedule begins, on the wire, each with a car of 16 A."""
    monkeypatch.setattr(clock, "STEP_CONFIRMED_S", 0.5)
    for name in KINDS:
        server.adopt(ChargePointConfig(id=name, meter_interval_s=1))
    config = parse_site(
        site(*(charge_point(name, **kind) for name, kind in KINDS.items())),
        csms=f"ws://127.0.0.1:{server.port}",
    )
    async with running_site(config) as started:
        yield started


def outlets(running: Site) -> list[Outlet]:
    """Return the outlets."""
    return [charger.outlets[0] for charger in running.charge_points.values()]


def drawn(running: Site) -> list[float]:
    """Return what the cars draw, in A."""
    return [outlet.connector.current_a for outlet in outlets(running)]


async def follow(
    server: OcppServer, running: Site, amps: float, wait_s: float = 15.0
) -> float:
    """Permit until every car draws that; returns the most that one drew meanwhile."""
    most_a = 0.0
    async with asyncio.timeout(wait_s):
        while any(abs(each - amps) > 0.15 for each in drawn(running)):
            for point in server.charge_points.values():
                point.permit(1, Permit(limit_a=amps, life_s=60.0))
            for _ in range(20):
                await asyncio.sleep(0.02)
                most_a = max(most_a, *drawn(running))
    return most_a


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0, -86400.0 * 365 * 56])
async def test_s4_a_clock_that_is_set_while_a_car_charges(
    server: OcppServer, running: Site, step_s: float
) -> None:
    """Whatever a clock says, nobody draws more than permit and floor, and the permit is back soon."""
    await follow(server, running, PERMIT_A)
    for charger in running.charge_points.values():
        charger.quirks.clock_offset_s = step_s
    await asyncio.sleep(0.1)
    assert await follow(server, running, PERMIT_A + 1) <= PERMIT_A + 1.1


@pytest.mark.parametrize("quirk", ["relative_only", "old_starts_are_none"])
async def test_s4_a_clock_that_is_set_back_where_no_schedule_has_begun(
    server: OcppServer, monkeypatch: pytest.MonkeyPatch, quirk: str
) -> None:
    """Floor and permit count from a start that its clock has yet to reach: all the same it is limited again soon."""
    monkeypatch.setattr(clock, "STEP_CONFIRMED_S", 0.5)
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.3)
    point = server.adopt(ChargePointConfig(id="CP", meter_interval_s=1))
    config = parse_site(
        site(charge_point("CP", quirks={quirk: True})),
        csms=f"ws://127.0.0.1:{server.port}",
    )
    async with running_site(config) as running:
        await follow(server, running, PERMIT_A)
        running.charge_points["CP"].quirks.clock_offset_s = -3600.0
        await asyncio.sleep(0.1)
        await follow(server, running, PERMIT_A + 1)
        await soon(lambda: running.charge_points["CP"].outlets[0].transaction)
        assert point.connectors[1].transaction is not None
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert drawn(running)[0] <= PERMIT_A + 1.1


@pytest.mark.parametrize("step_h", [1, -1, 24])
async def test_s5_our_own_clock_is_set(
    server: OcppServer, running: Site, step_h: float
) -> None:
    """Charge points go on by theirs: what they are told begins now on their clocks."""
    await follow(server, running, PERMIT_A)
    server.now = lambda: datetime.now(UTC) + timedelta(hours=step_h)
    assert await follow(server, running, PERMIT_A + 1, 6.0) <= PERMIT_A + 1.1


@pytest.mark.parametrize("step_h", [1, -1])
async def test_s5_relative_schedules_count_on_a_clock_that_is_never_set(
    adopt: Any, dial: Any, server: OcppServer, step_h: float
) -> None:
    """The second period begins when the permit lapses, however our clock was set since the session began."""
    point, recorder = adopt(quirks={"abilities": {"working_kind": "Relative"}})
    client = await dial()
    await client.start()
    server.now = lambda: datetime.now(UTC) + timedelta(hours=step_h)
    point.permit(1, Permit(limit_a=9, life_s=100))
    await recorder.wait(PermitAccepted)
    (profile,) = client.profiles("TxProfile")
    first, second = profile["chargingSchedule"]["chargingSchedulePeriod"]
    assert first["startPeriod"] == 0
    assert second["startPeriod"] == pytest.approx(100, abs=2)


async def test_a_delay_of_messages_is_no_other_clock(
    adopt: Any, dial: Any, store: SessionLog
) -> None:
    """Messages that are 2 to 10 s on their way do not shift the times of a session."""
    adopt()
    client = await dial()
    began = datetime.now(UTC) - timedelta(seconds=8)
    transaction_id = await client.start(timestamp=iso(began))
    ended = datetime.now(UTC) - timedelta(seconds=6)
    await client.ask(
        "StopTransaction",
        transactionId=transaction_id,
        meterStop=1001,
        timestamp=iso(ended),
    )
    (record,) = await store.history()
    assert (iso(record.started_at), iso(record.stopped_at)) == (iso(began), iso(ended))


@pytest.mark.parametrize("floor_acts", [False, True])
async def test_s4_no_limit_in_force_is_answered_in_the_other_kind(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch, floor_acts: bool
) -> None:
    """What a charge point accepted and does not apply is told at once as a schedule of the other kind."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.05)
    monkeypatch.setattr(steering, "_TRANSACTION_HOLD_S", 0.0)
    point, recorder = adopt()

    def in_force(_: Any) -> Any:
        relative = any(
            profile["chargingProfileKind"] == "Relative"
            for profile in client.profiles("TxProfile")
        )
        limit = 4.0 if relative else 6.0 if floor_acts else -1.0
        period = {"startPeriod": 0, "limit": limit}
        return {
            "status": "Accepted",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [period],
            },
        }

    client = await dial(handlers={"GetCompositeSchedule": in_force})
    await client.start()
    point.permit(1, Permit(limit_a=4))
    await recorder.wait(PermitAccepted, 2)
    kinds = {
        purpose: [each["chargingProfileKind"] for each in client.profiles(purpose)]
        for purpose in ("TxProfile", "TxDefaultProfile")
    }
    assert kinds["TxProfile"] == ["Absolute", "Relative"]
    assert kinds["TxDefaultProfile"] == ["Absolute"] + ["Relative"] * (not floor_acts)
    await soon(lambda: len(client.sent("GetCompositeSchedule")) == 2)
    assert point.problems == ()

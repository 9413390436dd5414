"""What a charge point taught us outlives a restart, as long as it is true."""

import asyncio
from collections.abc import AsyncIterator, Callable
import dataclasses
from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    BootInfo,
    ChargePoint,
    ChargePointConfig,
    FloorAccepted,
    Learnt,
    LearntChanged,
    OcppServer,
    Permit,
    PermitAccepted,
    SelfTest,
    steering,
)
from custom_components.reev_ems.ocpp_server.abilities import Abilities, Way
from custom_components.reev_ems.ocpp_server.learnt import LocalListRecord
from custom_components.reev_ems.ocpp_server.profiles import Kind, Purpose, Unit
from custom_components.reev_ems.sessions import SessionLog

from .conftest import Recorder
from .wire import WAIT_S, Payload, WireChargePoint, iso

LEARNT = Learnt(
    info=BootInfo(vendor="Vendor", model="Model"),
    overrides={"meter_interval_s": 30},
    abilities=Abilities(
        way=Way.PROFILE,
        unit=Unit.WATT,
        max_stack_level=3,
        working_purpose=Purpose.TX_DEFAULT,
        working_kind=Kind.RELATIVE,
        working_stack_level=1,
        composite_schedule=False,
        switches_phases=True,
    ),
    without_measurands=("SoC",),
    clock_offset_s=3600.0,
    statuses={1: "Charging"},
    floor_kind_asked=False,
    self_tests={1: SelfTest(meter_values=True, falls_back=True, fall_back_s=2.5)},
    paused={1: "CARD"},
    local_list=LocalListRecord(version=4, digest="of tags"),
    ignores_zero=True,
    ends_on_zero=1,
)


def kept(learnt: Learnt) -> Learnt:
    """Return a record as it comes back from a file."""
    return Learnt.from_dict(json.loads(json.dumps(learnt.as_dict())))


def test_the_record_survives_json() -> None:
    """Every field comes back; a field of another version is left out; what is no record is refused."""
    assert kept(LEARNT) == LEARNT
    assert kept(Learnt()) == Learnt()
    assert all(
        getattr(LEARNT, field.name) != getattr(Learnt(), field.name)
        for field in dataclasses.fields(Learnt)
    )
    data = LEARNT.as_dict()
    newer = {**data, "abilities": {**LEARNT.as_dict()["abilities"], "wings": 2}}  # type: ignore[dict-item]
    assert Learnt.from_dict({**newer, "more": 1}) == LEARNT
    for wrong in (
        {},
        {**data, "abilities": {"unit": "HP"}},
        {**data, "self_tests": {"x": {}}},
        {**data, "clock_offset_s": "long"},
        {**data, "info": None},
    ):
        with pytest.raises(ValueError):
            Learnt.from_dict(wrong)


@pytest.fixture
async def restarted(
    store: SessionLog,
) -> AsyncIterator[Callable[..., Any]]:
    """Return what starts a server with one charge point of which something is known."""
    servers: list[OcppServer] = []
    clients: list[WireChargePoint] = []

    async def restart(
        learnt: Learnt | None, handlers: Any, **settings: Any
    ) -> tuple[ChargePoint, Recorder, WireChargePoint]:
        server = OcppServer(host="127.0.0.1", port=0, transactions=store)
        await server.start()
        servers.append(server)
        point = server.adopt(ChargePointConfig(id="CP1", **settings), learnt)
        recorder = Recorder(point)
        client = WireChargePoint()
        client.handlers |= handlers
        await client.connect(f"ws://127.0.0.1:{server.port}/CP1")
        clients.append(client)
        return point, recorder, client

    yield restart
    for client in clients:
        await client.close()
    for server in servers:
        await server.stop()


def picky(payload: Payload) -> Payload:
    """Take relative profiles in W only."""
    profile = payload["csChargingProfiles"]
    taken = (
        profile["chargingProfileKind"] == "Relative"
        and profile["chargingSchedule"]["chargingRateUnit"] == "W"
    )
    return {"status": "Accepted" if taken else "Rejected"}


async def test_the_ladder_is_not_climbed_again(
    restarted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart floor and permit are taken at the first attempt; another firmware begins anew."""
    monkeypatch.setattr(steering, "_TRANSACTION_FRESH_S", 0.0)
    handlers = {"SetChargingProfile": picky}
    point, recorder, client = await restarted(None, handlers)
    await client.boot(firmwareVersion="1.0")
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    refused = [
        payload for payload in client.sent("SetChargingProfile") if not _taken(payload)
    ]
    assert refused
    learnt = kept(recorder.of(LearntChanged)[-1].learnt)
    assert learnt == point.learnt
    assert learnt.info.firmware == "1.0"
    assert learnt.abilities.unit is Unit.WATT

    point, recorder, client = await restarted(learnt, handlers)
    await client.boot(firmwareVersion="1.0")
    await recorder.wait(FloorAccepted)
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    assert all(_taken(payload) for payload in client.sent("SetChargingProfile"))
    assert not recorder.of(LearntChanged)

    point, recorder, client = await restarted(learnt, handlers)
    await client.boot(firmwareVersion="2.0")
    await recorder.wait(FloorAccepted)
    assert not _taken(client.sent("SetChargingProfile")[0])
    assert point.learnt.info.firmware == "2.0"


def _taken(payload: Payload) -> bool:
    return picky(payload)["status"] == "Accepted"


async def test_what_the_person_sets_goes_before_what_was_learnt(
    restarted: Any,
) -> None:
    """A changed override begins anew, on top of what the person says."""
    learnt = dataclasses.replace(LEARNT, overrides={})
    point, recorder, client = await restarted(
        learnt, {}, quirks={"abilities": {"unit": "A"}}
    )
    await client.boot()
    await recorder.wait(FloorAccepted)
    schedule = client.profiles("TxDefaultProfile")[0]["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "A"
    assert point.steering.abilities.working_purpose is Purpose.TX_PROFILE
    assert point.autonomous_fallback is True


async def test_refused_measurands_are_not_asked_for_again(restarted: Any) -> None:
    """Asked for once; after a restart nothing is written that the charge point has, or refuses."""
    value = {"MeterValuesSampledData": "", "MeterValueSampleInterval": "10"}

    def read(_: Payload) -> Payload:
        return {
            "configurationKey": [
                {"key": key, "readonly": False, "value": text}
                for key, text in value.items()
            ]
        }

    def write(payload: Payload) -> Payload:
        names = payload["value"].split(",")
        if not set(names) <= {"Current.Import", "Voltage"}:
            return {"status": "Rejected"}
        value[payload["key"]] = payload["value"]
        return {"status": "Accepted"}

    handlers = {"GetConfiguration": read, "ChangeConfiguration": write}
    point, recorder, client = await restarted(None, handlers)
    await client.boot()
    async with asyncio.timeout(WAIT_S):
        while not recorder.events or not point.learnt.without_measurands:
            await asyncio.sleep(0.01)
    assert value["MeterValuesSampledData"] == "Current.Import,Voltage"
    learnt = kept(point.learnt)
    assert "Power.Active.Import" in learnt.without_measurands
    assert recorder.of(LearntChanged)

    value["MeterValuesSampledData"] = ""
    point, recorder, client = await restarted(learnt, handlers)
    await client.boot()
    await client.until(lambda: client.sent("ChangeConfiguration"))
    assert [entry["value"] for entry in client.sent("ChangeConfiguration")] == [
        "Current.Import,Voltage"
    ]


async def test_s5_a_known_clock_is_believed_when_a_message_confirms_it(
    restarted: Any,
) -> None:
    """A clock that is an hour ahead: unknown it has to prove itself, known one message is enough."""
    ahead = timedelta(hours=1)

    async def tell(client: WireChargePoint) -> None:
        await client.ask(
            "StatusNotification",
            connectorId=1,
            status="Available",
            errorCode="NoError",
            timestamp=iso(datetime.now(UTC) + ahead),
        )

    point, _, client = await restarted(None, {})
    await tell(client)
    assert point.clock_offset_s == 0.0
    point, _, client = await restarted(Learnt(clock_offset_s=3600.0), {})
    assert point.clock_offset_s == 0.0
    await tell(client)
    assert point.clock_offset_s == pytest.approx(3600, abs=5)
    ahead = timedelta(0)
    await client.boot()
    await tell(client)
    assert point.clock_offset_s == pytest.approx(0, abs=5)
    assert point.learnt.clock_offset_s == pytest.approx(0, abs=5)


async def test_a_pause_outlives_a_restart(restarted: Any) -> None:
    """A car that was stopped to pause it is started again, though we have restarted meanwhile."""
    quirks = {"abilities": {"way": "start_stop"}}
    point, recorder, client = await restarted(None, {}, quirks=quirks)
    await client.boot()
    transaction_id = await client.start(tag="CARD")
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted)
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=5, timestamp=iso()
    )
    learnt = kept(point.learnt)
    assert recorder.of(LearntChanged)[-1].learnt == learnt

    point, recorder, client = await restarted(learnt, {}, quirks=quirks)
    await client.status("Finishing")
    assert point.connectors[1].state is ConnectorState.SUSPENDED_EVSE
    point.permit(1, Permit(limit_a=16))
    await client.until(lambda: client.sent("RemoteStartTransaction"))
    assert client.sent("RemoteStartTransaction")[0]["idTag"] == "CARD"
    await client.status("Available")
    assert not point.learnt.paused


async def test_s4_a_relative_floor_of_an_earlier_version_is_asked_about_again(
    restarted: Any,
) -> None:
    """Earlier versions asked for a relative floor first; one that stands each step of a clock is better."""
    data = Learnt(abilities=Abilities(floor_kind=Kind.RELATIVE)).as_dict()
    for asked, kind in (({"floor_kind_asked": True}, "Relative"), ({}, "Absolute")):
        record = {name: data[name] for name in data if name != "floor_kind_asked"}
        _, recorder, client = await restarted(Learnt.from_dict(record | asked), {})
        await recorder.wait(FloorAccepted)
        (floor,) = client.profiles("TxDefaultProfile")
        assert floor["chargingProfileKind"] == kind

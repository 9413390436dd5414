"""What a charge point does not know is not asked again and again, and nothing is told thrice."""

import asyncio
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    CallError,
    Permit,
    PermitAccepted,
    charge_point,
    floors,
    quirks,
    steering,
)
from custom_components.reev_ems.ocpp_server.abilities import Way
from custom_components.reev_ems.ocpp_server.model import BootInfo

from .wire import iso, soon

UNKNOWN = ("NotImplemented", "")


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_profiles_that_are_not_implemented(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """One answer of that kind ends the attempts; the second, after a while, ends them for longer."""
    monkeypatch.setattr(floors, "_RETRY_S", 0.2)
    point, _ = adopt()
    client = await dial(
        handlers={"SetChargingProfile": lambda _: UNKNOWN},
        protocols=(f"ocpp{version}",),
    )
    await soon(lambda: point.steering.abilities.way is Way.START_STOP)
    assert len(client.sent("SetChargingProfile")) == 2


async def test_permits_that_are_not_implemented(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the floor was taken the ladder ends at its first step, too; nothing still ends the session."""
    monkeypatch.setattr(steering, "_TRANSACTION_FRESH_S", 0.0)
    monkeypatch.setattr(steering, "_PERMIT_RETRY_S", 0.05)
    point, _ = adopt()
    client = await dial()
    await soon(lambda: point.floor_accepted)
    client.handlers["SetChargingProfile"] = lambda _: UNKNOWN
    before = len(client.sent("SetChargingProfile"))
    await client.start()
    point.permit(1, Permit(limit_a=9))
    await soon(lambda: point.problems == ("profile_rejected",))
    for limit_a in (8, 9, 10):
        await asyncio.sleep(0.1)
        point.permit(1, Permit(limit_a=limit_a))
    await asyncio.sleep(0.1)
    assert len(client.sent("SetChargingProfile")) == before + 1
    point.permit(1, Permit(limit_a=0))
    await soon(lambda: client.sent("RemoteStopTransaction"))


async def test_messages_that_cannot_be_asked_for(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A charge point that knows no TriggerMessage is asked once, not at every look for values that are late."""
    monkeypatch.setattr(charge_point, "METER_WATCH_S", 0.05)
    adopt()
    client = await dial(handlers={"TriggerMessage": lambda _: UNKNOWN})
    await client.start()
    await client.status("Charging")
    await asyncio.sleep(0.5)
    assert len(client.sent("TriggerMessage")) == 1


async def test_s8_a_resume_is_told_once(adopt: Any, dial: Any) -> None:
    """A raise, the status that follows it and the values of a car that begins to draw are one reason."""
    point, recorder = adopt()
    client = await dial()
    transaction_id = await client.start()
    await client.status("SuspendedEVSE")
    point.permit(1, Permit(limit_a=0, life_s=900))
    await recorder.wait(PermitAccepted)
    before = len(client.profiles("TxProfile"))
    point.permit(1, Permit(limit_a=10))
    await client.status("Charging")
    point.permit(1, Permit(limit_a=10))
    await client.status("SuspendedEV")
    await client.status("Charging")
    await asyncio.sleep(0.2)
    assert len(client.profiles("TxProfile")) == before + 1
    # The transitions to charging are told again, in a second; something else is told at once.
    point.permit(1, Permit(limit_a=11))
    await asyncio.sleep(0.2)
    assert len(client.profiles("TxProfile")) == before + 2
    assert client.profiles("TxProfile")[-1]["transactionId"] == transaction_id
    await client.status("SuspendedEV")
    await client.status("Charging")
    await asyncio.sleep(0.2)
    assert len(client.profiles("TxProfile")) == before + 2
    await soon(lambda: len(client.profiles("TxProfile")) == before + 3)


async def test_s1_phases_are_learnt_from_a_small_current(adopt: Any, dial: Any) -> None:
    """A car that charges with less than 5 A uses its phases all the same."""
    point, _ = adopt()
    client = await dial()
    transaction_id = await client.start()
    await client.status("Charging")
    for _ in range(2):
        samples = [
            {"value": amps, "measurand": "Current.Import", "phase": phase}
            for amps, phase in (("3.1", "L1"), ("0", "L2"), ("0", "L3"))
        ]
        await client.ask(
            "MeterValues",
            connectorId=1,
            transactionId=transaction_id,
            meterValue=[{"timestamp": iso(), "sampledValue": samples}],
        )
    assert point.connectors[1].phases_used == 1


@pytest.mark.parametrize(
    ("wanted", "offered", "agreed"),
    [
        (None, ("ocpp2.0.1", "ocpp1.6"), "2.0.1"),
        ("1.6", ("ocpp2.0.1", "ocpp1.6"), "1.6"),
        ("2.0.1", ("ocpp1.6", "ocpp2.0.1"), "2.0.1"),
        ("1.6", ("ocpp2.0.1",), "2.0.1"),
    ],
)
async def test_the_version_that_is_meant_for_it(
    adopt: Any, dial: Any, wanted: str | None, offered: tuple[str, ...], agreed: str
) -> None:
    """The version that was set goes first among several; nobody is kept out for it."""
    point, _ = adopt(quirks={"ocpp_version": wanted} if wanted else {})
    await dial(protocols=offered)
    await soon(lambda: point.connected)
    assert point.version == agreed


async def test_another_version_is_agreed_on_anew(adopt: Any, dial: Any) -> None:
    """A charge point connected in another version than the one that is set now has to connect again."""
    point, _ = adopt()
    client = await dial(protocols=("ocpp2.0.1", "ocpp1.6"))
    await soon(lambda: point.connected)
    adopt(quirks={"ocpp_version": "1.6"})
    assert await client.closed() == 1001
    await soon(lambda: not point.connected)
    client = await dial(protocols=("ocpp2.0.1", "ocpp1.6"))
    await soon(lambda: point.connected)
    assert point.version == "1.6"
    adopt(quirks={"ocpp_version": "1.6", "car_phases": 3})
    await client.ask("Heartbeat")


@pytest.mark.parametrize(
    ("offered", "hangs_up"),
    [(("ocpp2.0.1", "ocpp1.6"), True), (("ocpp2.0.1",), False)],
)
async def test_a_model_that_works_in_another_version(
    adopt: Any, dial: Any, offered: tuple[str, ...], hangs_up: bool
) -> None:
    """What it is tells the charge point only after the version is agreed on: it connects again, if it offered that one."""
    point, _ = adopt()
    client = await dial(protocols=offered)
    await client.call(
        "BootNotification",
        {
            "reason": "PowerUp",
            "chargingStation": {"vendorName": "FOXESS", "model": "A011KP1"},
        },
    )
    if not hangs_up:
        await soon(lambda: point.floor_accepted)
        assert point.version == "2.0.1"
        return
    assert await client.closed() == 1001
    client = await dial(protocols=offered)
    await client.boot("FOXESS", "A011KP1")
    await soon(lambda: point.floor_accepted)
    assert point.version == "1.6"


def test_foxess_and_autel() -> None:
    """What is known of them is found by what they say of themselves."""
    table = quirks.load()
    foxess = quirks.known(table, BootInfo(vendor="FOXESS", model="A011KP1"), {})
    assert (foxess.ocpp_version, foxess.start_rest_s) == ("1.6", 600)
    autel = quirks.known(table, BootInfo(vendor="Autel", model="MaxiCharger"), {})
    assert autel.reset_when_finished


async def test_a_start_that_waits_and_a_restart_before_it(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paused session goes on after the rest that the model needs, and after a restart where it takes no start."""
    monkeypatch.setattr(steering, "START_WAIT_S", 0.2)
    point, recorder = adopt(
        quirks={
            "zero_ends_session": True,
            "start_rest_s": 1,
            "reset_when_finished": True,
        }
    )
    client = await dial()
    transaction_id = await client.start()
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted)
    client.handlers["RemoteStartTransaction"] = lambda _: {"status": "Rejected"}
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=1, timestamp=iso()
    )
    await client.status("Finishing")
    stopped_s = point.clock()
    point.permit(1, Permit(limit_a=10))
    await soon(lambda: client.sent("Reset"))
    assert point.clock() - stopped_s > 0.8
    assert len(client.sent("RemoteStartTransaction")) == 1
    client.handlers["RemoteStartTransaction"] = lambda _: {"status": "Accepted"}
    await soon(lambda: len(client.sent("RemoteStartTransaction")) == 2)
    assert len(client.sent("Reset")) == 1


@pytest.mark.parametrize("resets", [True, False])
async def test_a_start_by_a_person_after_a_restart(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch, resets: bool
) -> None:
    """Where a model takes no start after a session until it was restarted, a person's start leads to that, too."""
    monkeypatch.setattr(steering, "START_WAIT_S", 0.2)
    point, _ = adopt(quirks={"reset_when_finished": resets})
    client = await dial()
    transaction_id = await client.start()
    await client.ask(
        "StopTransaction", transactionId=transaction_id, meterStop=1, timestamp=iso()
    )
    await client.status("Finishing")
    client.handlers["RemoteStartTransaction"] = lambda _: {"status": "Rejected"}
    if not resets:
        with pytest.raises(CallError, match="Rejected"):
            await point.remote_start(1, "CARD")
        assert not client.sent("Reset")
        return
    assert await point.remote_start(1, "CARD") == "Accepted"
    assert len(client.sent("Reset")) == 1
    client.handlers["RemoteStartTransaction"] = lambda _: {"status": "Accepted"}
    await client.boot()
    await client.status("Finishing")
    point.permit(1, Permit(limit_a=10))
    await soon(lambda: len(client.sent("RemoteStartTransaction")) == 2)
    assert client.sent("RemoteStartTransaction")[-1]["idTag"] == "CARD"

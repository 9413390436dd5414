"""Charge points that a limit of 0 does not pause show it, and are paused otherwise from then on."""

from typing import Any

import pytest

from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import (
    BootInfo,
    ChargePoint,
    Learnt,
    Permit,
    PermitAccepted,
    TransactionEnded,
    zero,
)

from .conftest import Recorder
from .wire import WireChargePoint, iso


async def pause(
    point: ChargePoint, recorder: Recorder, client: WireChargePoint, reason: str | None
) -> None:
    """Start a transaction, permit nothing, and let it end for a reason."""
    before = len(recorder.of(PermitAccepted))
    ends = len(recorder.of(TransactionEnded))
    transaction_id = await client.start(tag="CARD")
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted, count=before + 1)
    await client.ask(
        "StopTransaction",
        transactionId=transaction_id,
        meterStop=2000,
        timestamp=iso(),
        **({"reason": reason} if reason else {}),
    )
    await recorder.wait(TransactionEnded, count=ends + 1)
    await client.status("Finishing")


async def test_s13_who_ends_its_sessions_on_zero_is_stopped_in_an_orderly_way(
    adopt: Any, dial: Any
) -> None:
    """Twice is no chance; from then on it is sent no limit of 0 any more."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    for reason in ("Local", "Remote", "EVDisconnected", None, "Other"):
        await pause(point, recorder, client, reason)
    assert point.learnt.ends_on_zero == 1
    assert point.obeys_pause
    await pause(point, recorder, client, "Other")
    assert not point.obeys_pause
    assert Learnt.from_dict(point.learnt.as_dict()).ends_on_zero == 2
    assert not client.sent("RemoteStopTransaction")
    sent = len(client.profiles("TxProfile"))
    transaction_id = await client.start(tag="CARD")
    point.permit(1, Permit(limit_a=0))
    await client.until(lambda: client.sent("RemoteStopTransaction"))
    assert client.sent("RemoteStopTransaction") == [{"transactionId": transaction_id}]
    assert len(client.profiles("TxProfile")) == sent


@pytest.mark.parametrize(("reason", "goes_on"), [("Other", True), ("Local", False)])
async def test_s11_a_session_that_ended_on_zero_goes_on_with_the_next_permit(
    adopt: Any, dial: Any, reason: str, goes_on: bool
) -> None:
    """Also the first time, and for the same card; one that a person ended stays ended."""
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await pause(point, recorder, client, reason)
    waits = point.connectors[1].state is ConnectorState.SUSPENDED_EVSE
    assert waits is goes_on
    point.permit(1, Permit(limit_a=10))
    if goes_on:
        await client.until(lambda: client.sent("RemoteStartTransaction"))
        assert client.sent("RemoteStartTransaction")[0]["idTag"] == "CARD"
        await client.start(tag="CARD")
        await recorder.wait(PermitAccepted, count=2)
    else:
        await client.status("Available")
        assert not client.sent("RemoteStartTransaction")


async def test_s13_an_end_long_after_zero_is_none_by_zero(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may end for any reason by then."""
    monkeypatch.setattr(zero, "ENDS_WITHIN_S", -1.0)
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    await pause(point, recorder, client, "Other")
    assert point.learnt.ends_on_zero == 0


async def test_s13_who_ignores_zero_is_stopped(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as that is sure; a permit of something is not what this is about."""
    monkeypatch.setattr(zero, "IGNORES_AFTER_S", 0.0)
    point, recorder = adopt()
    client = await dial()
    await client.boot()
    transaction_id = await client.start(tag="CARD")
    point.permit(1, Permit(limit_a=6))
    await recorder.wait(PermitAccepted)
    point.zero.disobeyed(1)
    assert point.obeys_pause
    monkeypatch.setattr(zero, "IGNORES_AFTER_S", 60.0)
    point.permit(1, Permit(limit_a=0))
    await recorder.wait(PermitAccepted, count=2)
    point.zero.disobeyed(1)
    point.zero.disobeyed(1)
    assert point.obeys_pause
    monkeypatch.setattr(zero, "IGNORES_AFTER_S", 0.0)
    point.zero.disobeyed(1)
    assert not point.obeys_pause
    assert point.learnt.ignores_zero
    await client.until(lambda: client.sent("RemoteStopTransaction"))
    assert client.sent("RemoteStopTransaction") == [{"transactionId": transaction_id}]


async def test_another_firmware_or_a_person_knows_better(adopt: Any, dial: Any) -> None:
    """What was learnt is true for one firmware, and less than what somebody says."""
    point, _ = adopt()
    point.info = BootInfo(vendor="V", model="M", firmware="1")
    point.zero.ignores = True
    assert not point.obeys_pause
    point.booted(BootInfo(vendor="V", model="M", firmware="2"))
    assert point.obeys_pause
    certain, _ = adopt("CP2", quirks={"zero_ends_session": False})
    certain.zero.ignores = True
    assert certain.obeys_pause
    startstop, _ = adopt("CP3", quirks={"abilities": {"way": "start_stop"}})
    assert not startstop.obeys_pause

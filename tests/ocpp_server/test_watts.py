"""Limits in watts, and of how many phases: a car that is taken for less than it is would draw too much."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.model import Supply
from custom_components.reev_ems.ocpp_server import (
    Floor,
    FloorAccepted,
    Permit,
    PermitAccepted,
    car_phases,
)

from .wire import Payload, WireChargePoint, iso


def metered(transaction_id: int, *currents: str) -> Payload:
    """Return MeterValues with a current for each phase."""
    samples = [
        {"value": value, "measurand": "Current.Import", "phase": f"L{phase}"}
        for phase, value in enumerate(currents, 1)
    ]
    return {
        "connectorId": 1,
        "transactionId": transaction_id,
        "meterValue": [{"timestamp": iso(), "sampledValue": samples}],
    }


def watts(client: WireChargePoint, purpose: str = "TxProfile") -> list[float]:
    """Return the limits of the profiles that were sent."""
    return [
        profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        for profile in client.profiles(purpose)
    ]


async def test_s1_watts_are_for_one_phase_until_more_are_seen(
    adopt: Any, dial: Any
) -> None:
    """A single-phase car could draw three times the current that was meant for three phases."""
    point, recorder = adopt(quirks={"abilities": {"unit": "W"}})
    client = await dial()
    await client.boot()
    transaction_id = await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    assert watts(client) == [2300]
    assert watts(client, "TxDefaultProfile") == [1380]
    await client.ask("MeterValues", **metered(transaction_id, "1.9", "1.9", "1.9"))
    await client.ask("MeterValues", **metered(transaction_id, "9", "9", "9"))
    assert point.connectors[1].phases_used is None
    await client.ask("MeterValues", **metered(transaction_id, "9", "9", "9"))
    await recorder.wait(PermitAccepted, count=2)
    assert watts(client) == [2300, 6900]
    last = client.profiles("TxProfile")[-1]["chargingSchedule"]
    assert last["chargingSchedulePeriod"][1]["limit"] == 4140
    # It goes on with one phase, as some do at the end: that is believed at once.
    await client.ask("MeterValues", **metered(transaction_id, "16", "0", "0"))
    await recorder.wait(PermitAccepted, count=3)
    assert watts(client)[-1] == 2300


async def test_s1_a_car_that_cannot_start_on_one_phase_is_given_more(
    adopt: Any, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A three-phase car does not start by the watts of one phase; one that sleeps is no evidence."""
    monkeypatch.setattr(car_phases, "NO_DRAW_S", 0.1)
    point, recorder = adopt(quirks={"abilities": {"unit": "W"}})
    client = await dial()
    await client.boot()
    transaction_id = await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    await client.status("SuspendedEV")
    await asyncio.sleep(0.15)
    await client.ask("MeterValues", **metered(transaction_id, "0", "0", "0"))
    await client.status("SuspendedEVSE")
    await client.ask("Heartbeat")
    assert watts(client) == [2300]
    await client.ask("MeterValues", **metered(transaction_id, "0", "0", "0"))
    await recorder.wait(PermitAccepted, count=2)
    assert watts(client) == [2300, 6900]
    await client.ask("MeterValues", **metered(transaction_id, "15", "0", "0"))
    await recorder.wait(PermitAccepted, count=3)
    assert watts(client) == [2300, 6900, 2300]


async def test_cars_of_known_phases(adopt: Any, dial: Any) -> None:
    """The person may say that all cars here charge on three phases."""
    point, recorder = adopt(quirks={"abilities": {"unit": "W"}, "car_phases": 3})
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_a=10))
    await recorder.wait(PermitAccepted)
    assert watts(client) == [6900]
    assert watts(client, "TxDefaultProfile") == [4140]


async def test_dc_watts_know_no_phases(adopt: Any, dial: Any) -> None:
    """A DC charge point gets its watts as they are."""
    point, recorder = adopt(supply={1: Supply.DC})
    client = await dial()
    await client.boot()
    await client.start()
    point.permit(1, Permit(limit_w=33_000))
    await recorder.wait(PermitAccepted)
    assert watts(client) == [33_000]


def announces(version: str, value: str) -> dict[str, Callable[[Payload], Payload]]:
    """Return a charge point that says whether it can switch phases."""
    key = {"key": "ConnectorSwitch3to1PhaseSupported", "readonly": True, "value": value}
    variable = {
        "attributeStatus": "Accepted",
        "attributeValue": value,
        "component": {"name": "SmartChargingCtrlr"},
        "variable": {"name": "Phases3to1"},
    }
    if version == "1.6":
        return {"GetConfiguration": lambda _: {"configurationKey": [key]}}
    return {"GetVariables": lambda _: {"getVariableResult": [variable]}}


@pytest.mark.parametrize(
    ("said", "switches"),
    [
        ({"ACPhaseSwitchingSupported": "true"}, True),
        (
            {
                "ConnectorSwitch3to1PhaseSupported": "false",
                "ACPhaseSwitchingSupported": "true",
            },
            True,
        ),
        ({"ACPhaseSwitchingSupported": "false"}, False),
        ({"ACPhaseSwitchingSupported": "maybe"}, None),
    ],
)
async def test_charge_amps_says_by_a_key_of_its_own_that_it_switches_phases(
    adopt: Any, dial: Any, said: dict[str, str], switches: bool | None
) -> None:
    """It counts as the standard's key does."""
    keys = [{"key": key, "readonly": True, "value": said[key]} for key in said]
    point, recorder = adopt()
    client = await dial(
        handlers={"GetConfiguration": lambda _: {"configurationKey": keys}}
    )
    await client.boot()
    await recorder.wait(FloorAccepted)
    assert point.steering.abilities.switches_phases is switches


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize(
    ("said", "period"),
    [
        ("true", {"startPeriod": 0, "limit": 10, "numberPhases": 1}),
        ("False", {"startPeriod": 0, "limit": 0}),
        ("", {"startPeriod": 0, "limit": 10, "numberPhases": 1}),
    ],
)
async def test_s1_phases_are_switched_only_where_that_can_be_done(
    adopt: Any, dial: Any, version: str, said: str, period: Payload
) -> None:
    """Who cannot switch would charge on all phases, of which one was permitted: it gets nothing."""
    point, recorder = adopt()
    client = await dial(
        protocols=(f"ocpp{version}",), handlers=announces(version, said)
    )
    if version == "1.6":
        await client.boot()
        await client.start()
    else:
        station = {"vendorName": "V", "model": "M"}
        await client.ask("BootNotification", reason="PowerUp", chargingStation=station)
        await client.ask(
            "TransactionEvent",
            eventType="Started",
            timestamp=iso(),
            transactionInfo={"transactionId": "t"},
            evse={"id": 1},
        )
    point.permit(1, Permit(limit_a=10, phase_count=1))
    await recorder.wait(PermitAccepted)
    request = client.sent("SetChargingProfile")[-1]
    schedule = (
        request["csChargingProfiles"]["chargingSchedule"]
        if version == "1.6"
        else request["chargingProfile"]["chargingSchedule"][0]
    )
    assert schedule["chargingSchedulePeriod"][0] == period


def volts(value: str) -> Payload:
    """Return MeterValues with a voltage."""
    sample = {"value": value, "measurand": "Voltage", "unit": "V"}
    return {
        "connectorId": 1,
        "meterValue": [{"timestamp": iso(), "sampledValue": [sample]}],
    }


async def test_s1_power_in_amperes_is_never_more_than_was_permitted(
    adopt: Any, dial: Any
) -> None:
    """A DC charge point that takes amperes only: at the highest voltage there is, until it tells its own."""

    def amperes_only(payload: Payload) -> Payload:
        unit = payload["csChargingProfiles"]["chargingSchedule"]["chargingRateUnit"]
        return {"status": "Accepted" if unit == "A" else "Rejected"}

    point, recorder = adopt(
        supply={1: Supply.DC}, floor=Floor(limit_a=None, limit_w=5000)
    )
    client = await dial(handlers={"SetChargingProfile": amperes_only})
    await client.boot()
    await recorder.wait(FloorAccepted)
    await client.start()
    point.permit(1, Permit(limit_w=20_000))
    await recorder.wait(PermitAccepted)
    assert watts(client)[-1] == 20
    assert watts(client, "TxDefaultProfile")[-1] == 5
    await client.ask("MeterValues", **volts("400"))
    point.permit(1, Permit(limit_w=20_200))
    await recorder.wait(PermitAccepted, count=2)
    assert watts(client)[-1] == 50.5
    # No battery of a car is at that: it is not the car's voltage yet.
    await client.ask("MeterValues", **volts("12"))
    point.permit(1, Permit(limit_w=20_000))
    await recorder.wait(PermitAccepted, count=3)
    assert watts(client)[-1] == 20


async def test_s1_watts_at_a_low_voltage_are_fewer(adopt: Any, dial: Any) -> None:
    """The same watts would be more amperes."""
    point, recorder = adopt(quirks={"abilities": {"unit": "W"}, "car_phases": 3})
    client = await dial()
    await client.boot()
    await client.start()
    for voltage, told in (("210", 6300), ("245", 6900), ("0", 6900)):
        await client.ask("MeterValues", **volts(voltage))
        count = len(recorder.of(PermitAccepted))
        point.permit(1, Permit(limit_a=10))
        await recorder.wait(PermitAccepted, count=count + 1)
        assert watts(client)[-1] == told

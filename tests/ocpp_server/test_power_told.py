"""What a connector draws is unknown until it was measured, and no zero is believed that its register contradicts (S2)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    ChargePointConfig,
    OcppServer,
    registers,
)
from custom_components.reev_ems.ocpp_server.measurands import Measured
from custom_components.reev_ems.ocpp_server.registers import Registers
from simulator.site import Site, running_site
from simulator.site_file import parse_site

from ..simulator.sites import charge_point, site
from .wire import iso, soon

KINDS: dict[str, dict[str, Any]] = {
    f"{quirk}{name}": {"protocol": protocol, "quirks": {quirk: True}}
    for quirk in ("no_meter_values", "reports_zero")
    for name, protocol in (("16", "ocpp1.6"), ("201", "ocpp2.0.1"))
}
ZERO = Measured(current_a=(0.0, 0.0, 0.0), power_w=0.0)


@pytest.fixture
async def running(
    server: OcppServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    """Charge points that measure nothing or nothing but zero, on the wire; nobody is there yet."""
    monkeypatch.setattr(registers, "_SHORTEST_S", 1.9)
    for name in KINDS:
        server.adopt(ChargePointConfig(id=name, meter_interval_s=1))
    config = parse_site(
        site(*(charge_point(name, **kind) for name, kind in KINDS.items())),
        csms=f"ws://127.0.0.1:{server.port}",
    )
    async with running_site(config) as started:
        yield started


async def test_s2_what_was_never_measured(server: OcppServer, running: Site) -> None:
    """From an empty place to a charging car: nobody says that it draws 0 W, and a power that is derived is about right."""
    cars = {
        name: charger.unplug(charger.outlets[0])
        for name, charger in running.charge_points.items()
    }
    views = {name: point.connectors[1] for name, point in server.charge_points.items()}
    await soon(lambda: all(view.power_w == 0 for view in views.values()), 10)
    for name, charger in running.charge_points.items():
        charger.plug(charger.outlets[0], cars[name])
    for name in KINDS:
        await soon(lambda name=name: views[name].state == "charging", 10)
    silent = [views[name] for name in KINDS if name.startswith("no_meter_values")]
    for _ in range(10):
        assert {(view.power_w, view.current_a) for view in silent} == {(None, None)}
        await asyncio.sleep(0.1)
    floor_w = pytest.approx(3 * 6 * 230, rel=0.4)
    for name in KINDS:
        if name.startswith("reports_zero"):
            await soon(lambda name=name: views[name].power_w == floor_w, 15)
            assert views[name].current_a is None
            assert server.charge_points[name].problems == ("power_contradicts",)
            charger = running.charge_points[name]
            charger.unplug(charger.outlets[0])
            await soon(lambda name=name: not server.charge_points[name].problems)


def told(*energy_wh: float, every_s: float = 10.0) -> list[float | None]:
    """Return the power that is believed at each reading of the register, while zero is reported."""
    known = Registers()
    return [
        known.checked(
            1, Measured(current_a=(0, 0, 0), power_w=0, energy_wh=each), at * every_s
        ).power_w
        for at, each in enumerate(energy_wh)
    ]


def test_s2_the_register_decides() -> None:
    """One rise may be late, a trickle is no car, a register that counts tenths of kWh is right all the same."""
    assert told(0, 10, 20, 30) == [0, None, 3600, 3600]
    assert told(0, 0, 10, 10, 10, 10, 10, 10, 10, 10) == [0, 0, *[None] * 7, 0]
    assert told(0, 0.1, 0.2, 0.3) == [0, 0, 0, 0]
    assert told(500, 510, 0, 0) == [500 - 500, None, 0, 0]
    steps = [100 * (at // 3) for at in range(10)]
    assert told(*steps)[6:] == [12000] * 4
    quick = told(*range(20), every_s=1)
    assert set(quick[10:]) == {3600}


@pytest.mark.parametrize("between", [None, Measured(power_w=2000.0, energy_wh=10)])
def test_s2_a_power_that_is_told_is_believed(between: Measured | None) -> None:
    """The register counts only while nothing but zero is reported."""
    known = Registers()
    for at, energy_wh in enumerate((0, 5, 10, 15)):
        if between is not None:
            assert known.checked(1, between, at * 10.0 - 5) is between
        value = known.checked(
            1, Measured(power_w=0.0, energy_wh=energy_wh), at * 10.0
        ).power_w
    assert (value == 0) is (between is not None)
    assert known.contradict is (between is None)


@pytest.mark.parametrize(
    ("current_a", "power_w", "believed_a", "believed_w"),
    [
        (0.0, 11000.0, None, 11000.0),
        (16.0, 0.0, 16.0, None),
        (0.1, 20.0, None, None),
        (16.0, 11000.0, 16.0, 11000.0),
    ],
)
async def test_s2_power_and_current_are_judged_apart(
    adopt: Any,
    dial: Any,
    monkeypatch: pytest.MonkeyPatch,
    current_a: float,
    power_w: float,
    believed_a: float | None,
    believed_w: float | None,
) -> None:
    """What the register contradicts is never shown, from the first reading on, and is named; the other one counts."""
    monkeypatch.setattr(registers, "_SHORTEST_S", 0.2)
    point, _ = adopt()
    client = await dial()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await client.start()
    await client.status("Charging")
    view = point.connectors[1]
    for reading in range(4):
        await asyncio.sleep(0.3)
        energy_wh = 1000.0 + 3.0 * (loop.time() - began_s)
        samples = [
            {"value": f"{energy_wh}"},
            {"value": f"{power_w}", "measurand": "Power.Active.Import"},
            *(
                {"value": f"{current_a}", "measurand": "Current.Import", "phase": phase}
                for phase in ("L1", "L2", "L3")
            ),
        ]
        await client.ask(
            "MeterValues",
            connectorId=1,
            meterValue=[{"timestamp": iso(), "sampledValue": samples}],
        )
        assert view.current_a == (believed_a and (believed_a,) * 3)
        if believed_w is not None or reading == 0:
            assert view.power_w == believed_w
        else:
            # 3 Wh a second.
            assert view.power_w == pytest.approx(10800.0, rel=0.2)
    contradicts = (current_a, power_w) != (16.0, 11000.0)
    assert point.problems == (("power_contradicts",) if contradicts else ())


def test_s2_a_little_that_is_right_is_believed() -> None:
    """Electronics take some power; a register that shows it, roughly, contradicts nothing."""
    known = Registers()
    for at in range(10):
        little = Measured(
            current_a=(0.4, 0.0, 0.0), power_w=95.0, energy_wh=float(at * 95 // 120)
        )
        assert known.checked(1, little, at * 30.0) is little
    assert not known.contradict


def test_s2_a_transaction_of_long_ago_is_no_base() -> None:
    """What was charged hours ago says nothing about a car that draws nothing now."""
    known = Registers()
    zero = Measured(current_a=(0.0, 0.0, 0.0), power_w=0.0, energy_wh=9000.0)
    known.began(1, 1000.0, 0.0, 3600.0)
    assert known.checked(1, zero, 3600.0) is zero

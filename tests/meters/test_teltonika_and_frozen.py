"""The gateway's own health, and meters that answer without measuring."""

import asyncio
from collections.abc import Callable

import pytest

from custom_components.reev_ems.energy_management.observation import MeterReading
from custom_components.reev_ems.meters import (
    FrozenWatch,
    Load,
    LoadedProfiles,
    MeterError,
    MeterReader,
    ModbusGateways,
    TeltonikaGateway,
    Trouble,
)

from .wire import Device, ModbusServer, router, twin


@pytest.mark.parametrize("offset", [0, -1])
@pytest.mark.parametrize(
    ("signal", "uptime"), [(-71, 3600), (0, 100), (-113, 40_000_000)]
)
async def test_router_tells_its_status(
    gateways: ModbusGateways, offset: int, signal: int, uptime: int
) -> None:
    """Whichever way the maker's register numbers are meant, the right one is found."""
    async with ModbusServer(
        {1: router(offset, signal=signal, uptime=uptime)}
    ) as server:
        gateway = TeltonikaGateway(gateways, host="127.0.0.1", port=server.port)
        await gateway.read()
        status = await gateway.read()
        await gateway.close()
    assert status.uptime_s == uptime
    assert status.signal_dbm == (signal or None)
    assert status.temperature_c == 43.0
    assert (status.hostname, status.operator, status.network_type) == (
        "RUT956",
        "Telekom.de",
        "4G",
    )
    assert (status.serial, status.mac) == ("1104123456", "001E42AABBCC")
    assert (status.digital_input_1, status.digital_input_2) == (True, False)


async def test_what_is_no_router(
    gateways: ModbusGateways, loaded: LoadedProfiles
) -> None:
    """A meter is not taken for a router, and a silent one is told as such."""
    meter = twin(loaded.profiles["janitza_umg604"])
    full = Device()
    full.fill([3], 0, 200, 7)
    async with ModbusServer({1: meter, 2: full}) as server:
        for unit_id, key in (
            (1, Trouble.NOT_THIS_METER),
            (2, Trouble.NOT_THIS_METER),
            (3, Trouble.NO_ANSWER),
        ):
            gateway = TeltonikaGateway(
                gateways, host="127.0.0.1", port=server.port, unit_id=unit_id
            )
            with pytest.raises(MeterError) as caught:
                await gateway.read()
            assert caught.value.key == key
            await gateway.close()


async def test_dead_gateway_and_silent_meter_are_told_apart(
    gateways: ModbusGateways, loaded: LoadedProfiles
) -> None:
    """Behind a living router a silent meter is a matter of the meter; a dead router is one of its own."""
    profile = loaded.profiles["janitza_umg604"]
    async with ModbusServer({1: router(0), 5: twin(profile)}) as server:
        gateway = TeltonikaGateway(gateways, host="127.0.0.1", port=server.port)
        reader = MeterReader(
            gateways, profile, host="127.0.0.1", port=server.port, unit_id=5
        )
        await reader.read()
        server.silent_units = {5}
        with pytest.raises(MeterError) as caught:
            await reader.read()
        assert caught.value.key == Trouble.NO_ANSWER
        assert (await gateway.read()).uptime_s == 3600
        assert server.connections == 1
    await asyncio.sleep(0.05)  # until the closed connection is noticed
    for attempt in (reader.read, gateway.read):
        with pytest.raises(MeterError) as caught:
            await attempt()
        assert caught.value.key == Trouble.CANNOT_CONNECT
    await reader.close()
    await gateway.close()


def reading(at_s: float, current_a: float) -> MeterReading:
    """Return a reading at a moment."""
    return MeterReading(
        at_s=at_s, current_a=(current_a, 0.0, 0.0), voltage_v=(230.1, 231.0, 229.5)
    )


def reports(
    second: float, every_s: float, draws: Callable[[float], float]
) -> dict[str, Load]:
    """Return the last report of a charge point that reports at times, of what it drew then."""
    at_s = second // every_s * every_s
    return {"car": Load(current_a=draws(at_s), at_s=at_s)}


def test_s2_frozen_registers_are_noticed_when_cars_ramp() -> None:
    """Ten equal readings while a car ramps by 6 A are no measurement; the first that differs is one again."""
    watch = FrozenWatch()
    verdicts = [
        watch.is_frozen(
            reading(second, 12.0),
            reports(second, 1, lambda at_s: 6.0 + min(at_s, 9.0)),
        )
        for second in range(12)
    ]
    assert verdicts == [False] * 9 + [True] * 3
    assert not watch.is_frozen(reading(12, 12.1), reports(12, 1, lambda at_s: 15.0))


def test_steady_site_is_not_frozen() -> None:
    """Where nothing moves, equal readings prove nothing; where the readings move, nothing is frozen."""
    watch = FrozenWatch()
    assert not any(
        watch.is_frozen(reading(second, 12.0), reports(second, 1, lambda at_s: 6.0))
        for second in range(100)
    )
    watch = FrozenWatch()
    assert not any(
        watch.is_frozen(reading(second, float(second)), reports(second, 1, float))
        for second in range(100)
    )


@pytest.mark.parametrize("every_s", [10, 60])
def test_late_report_of_a_ramp_is_not_held_against_the_meter(every_s: float) -> None:
    """A car that starts is seen by the meter at once, and reported by its charge point much later."""
    watch = FrozenWatch()

    def draws(at_s: float) -> float:
        return 16.0 if at_s >= 25 else 0.0

    assert not any(
        watch.is_frozen(
            reading(second, 1.0 + draws(second)), reports(second, every_s, draws)
        )
        for second in range(300)
    )

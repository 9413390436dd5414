"""Values that jump are no measurement until the same meter gives them again."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import pytest

from custom_components.reev_ems.energy_management.observation import MeterReading
from custom_components.reev_ems.meters import (
    LoadedProfiles,
    MeterError,
    MeterReader,
    ModbusGateways,
    Trouble,
)
from custom_components.reev_ems.meters.jumps import follows

from .wire import Device, ModbusServer, twin, words

BEFORE = MeterReading(
    at_s=10.0,
    current_a=(20.0, None, -4.0),
    energy_import_wh=1e6,
    energy_export_wh=5e4,
)


@pytest.mark.parametrize(
    ("changes", "ordinary"),
    [
        ({}, True),
        ({"current_a": (95.0, 200.0, -80.0)}, True),
        ({"current_a": (101.0, None, -4.0)}, False),
        ({"current_a": (20.0, None, 90.0)}, False),
        ({"current_a": (None, None, -4.0)}, True),
        ({"energy_import_wh": 1.011e6}, True),
        ({"energy_import_wh": 1.1e6}, False),
        ({"energy_import_wh": 9e5}, False),
        ({"energy_export_wh": 0.0}, False),
        ({"energy_export_wh": None}, True),
        ({"at_s": 80.0, "current_a": (500.0, None, 0.0)}, True),
    ],
)
def test_what_follows_a_reading(changes: dict[str, object], ordinary: bool) -> None:
    """Loads that switch are ordinary, leaps of a current or of a counter are not."""
    after = replace(BEFORE, **{"at_s": 11.0, **changes})  # type: ignore[arg-type]
    assert follows(BEFORE, after) is ordinary


@pytest.fixture
async def server(
    loaded: LoadedProfiles, socket_enabled: None
) -> AsyncGenerator[ModbusServer]:
    """A meter, behind a gateway that will mix up its answers with those of a larger one."""
    async with ModbusServer({1: twin(loaded.profiles["janitza_umg604"])}) as found:
        yield found


@pytest.fixture
async def reader(
    loaded: LoadedProfiles, gateways: ModbusGateways, server: ModbusServer
) -> AsyncGenerator[MeterReader]:
    """The meter's reader, after a first reading."""
    found = MeterReader(
        gateways,
        loaded.profiles["janitza_umg604"],
        host="127.0.0.1",
        port=server.port,
        unit_id=1,
        expected_serial="4711",
    )
    await found.read()
    yield found
    await found.close()


def loaded_with(device: Device, current_a: float) -> None:
    """Put a current, and what goes with it, on the first phase."""
    power_w = 231.0 * current_a
    for address, value in (
        (19012, current_a),
        (19020, power_w),
        (19026, power_w - 2310.0 + 900.0),
    ):
        for offset, word in enumerate(words("float32", value)):
            device.registers[3, address + offset] = word


def answers(server: ModbusServer, currents_a: list[float]) -> None:
    """Let the measured block be answered with one current after the other; the last one stays."""

    def use(current_a: float) -> None:
        loaded_with(server.devices[1], current_a)

    use(currents_a[0])

    async def next_one(
        request: bytes, response: bytes, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(response)
        if request[8:10] == (19000).to_bytes(2) and len(currents_a) > 1:
            currents_a.pop(0)
            use(currents_a[0])

    server.fault = next_one


@pytest.mark.parametrize(
    ("currents_a", "measured_a"),
    [
        ([30.0], 30.0),
        ([300.0, 21.0], 21.0),  # a foreign answer, then the right one again
        ([300.0, 310.0], 310.0),  # a load that really switched
    ],
)
async def test_s2_jump_is_looked_at_twice(
    reader: MeterReader,
    server: ModbusServer,
    currents_a: list[float],
    measured_a: float,
) -> None:
    """What the second look shows is the measurement."""
    answers(server, currents_a)
    assert (await reader.read()).current_a[0] == measured_a


async def test_s2_values_that_jump_about_are_no_measurement(
    reader: MeterReader, server: ModbusServer
) -> None:
    """Three readings of which none is like another."""
    answers(server, [300.0, 700.0, 20.0])
    with pytest.raises(MeterError) as caught:
        await reader.read()
    assert caught.value.key is Trouble.IMPLAUSIBLE
    assert caught.value.facts.startswith("I = 20/")
    assert (await reader.read()).current_a[0] == 20.0


@pytest.mark.parametrize(
    "change",
    [
        lambda device: loaded_with(device, 400.0),
        lambda device: device.put([3], 19068, words("float32", 99.0)),
    ],
)
async def test_another_meter_that_answers_at_once_is_asked_who_it_is(
    reader: MeterReader, server: ModbusServer, change: Callable[[Device], None]
) -> None:
    """Without any failure in between, only the leap tells that the values are those of another meter."""
    device = server.devices[1]
    change(device)
    device.put([3], 10176, words("uint32", 999))
    device.inner.clear()
    with pytest.raises(MeterError) as caught:
        await reader.read()
    assert caught.value.key is Trouble.WRONG_IDENTITY

"""A running poller through everything that the wire can do: no case is a measurement, and after each the readings return.

What each kind of broken answer is like is in test_wire_abuse.py; here all of them happen to meters that are being read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from custom_components.reev_ems.energy_management.observation import MeterReading
from custom_components.reev_ems.meters import (
    LoadedProfiles,
    MeterError,
    MeterPoller,
    MeterProfile,
    MeterReader,
    ModbusGateways,
    Trouble,
)

from .test_wire_abuse import (
    empty_frame,
    flood,
    foreign_protocol,
    foreign_transaction,
    foreign_unit,
    half,
    hang_up,
    too_few,
    unknown_function,
    wrong_byte_count,
)
from .wire import Fault, ModbusServer, twin, words

type Disturb = Callable[[ModbusServer, MeterProfile], Awaitable[None]]

LOST = {Trouble.NO_ANSWER, Trouble.CANNOT_CONNECT}
UNREAL = {Trouble.IMPLAUSIBLE, Trouble.INCOMPLETE}
SERIAL = 10176


async def close_port(server: ModbusServer, _: MeterProfile) -> None:
    """Let nothing listen any more."""
    await server.stop()


async def keep_silent(server: ModbusServer, _: MeterProfile) -> None:
    """Accept connections and requests, and answer none."""
    server.silent_units = {1}


def break_answers(fault: Fault) -> Disturb:
    """Return what breaks every answer."""

    async def disturb(server: ModbusServer, _: MeterProfile) -> None:
        server.fault = fault

    return disturb


def refuse(code: int) -> Disturb:
    """Return what answers every request with a Modbus exception."""

    async def fault(_: bytes, response: bytes, writer: asyncio.StreamWriter) -> None:
        head = response[:4] + b"\0\3" + response[6:7]
        writer.write(head + bytes([response[7] | 0x80, code]))

    return break_answers(fault)


def fill(word: int) -> Disturb:
    """Return what gives the same word for every register that is measured."""

    async def disturb(server: ModbusServer, profile: MeterProfile) -> None:
        for block in profile.blocks:
            for address in range(block.start, block.start + block.count):
                server.devices[1].registers[3, address] = word

    return disturb


async def swap_words(server: ModbusServer, profile: MeterProfile) -> None:
    """Exchange the words of every value."""
    registers = server.devices[1].registers
    for quantity in profile.quantities.values():
        (address,) = quantity.addresses
        high, low = (3, address), (3, address + 1)
        registers[high], registers[low] = registers[low], registers[high]


async def jump(server: ModbusServer, profile: MeterProfile) -> None:
    """Give values that are plausible each for itself, and far from those before."""
    registers, steps = server.devices[1].registers, count(1)

    async def fault(_: bytes, response: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        amperes = 20.0 + 200.0 * next(steps)
        for name, value in (
            ("current_l1", amperes),
            ("power_l1", 230.0 * amperes),
            ("power_total", 230.0 * amperes - 1410.0),
        ):
            (address,) = profile.quantities[name].addresses
            for offset, word in enumerate(words("float32", value)):
                registers[3, address + offset] = word

    server.fault = fault


async def become_another(server: ModbusServer, _: MeterProfile) -> None:
    """Let another meter of the same kind have the address."""
    await server.stop()
    server.devices[1].registers[3, SERIAL + 1] = 999
    await server.start()


CASES: dict[str, tuple[Disturb, set[Trouble]]] = {
    "closed port": (close_port, {Trouble.CANNOT_CONNECT}),
    "accept and silence": (keep_silent, LOST),
    **{
        fault.__name__: (break_answers(fault), LOST)
        for fault in (
            half,
            foreign_transaction,
            foreign_unit,
            foreign_protocol,
            hang_up,
            too_few,
            wrong_byte_count,
            unknown_function,
            empty_frame,
            flood,
        )
    },
    **{
        f"exception {code}": (
            refuse(code),
            # What the device does not have, it does not have; anything else may pass.
            {Trouble.NOT_THIS_METER if code <= 3 else Trouble.NO_ANSWER},
        )
        for code in range(1, 12)
    },
    **{f"all {word:#06x}": (fill(word), UNREAL) for word in (0, 0xFFFF, 0x7FFF)},
    "swapped words": (swap_words, UNREAL),
    "values that jump": (jump, {Trouble.IMPLAUSIBLE}),
    "another device": (become_another, {Trouble.WRONG_IDENTITY}),
}
# A request under way is cut off; a device that refuses the registers of its serial number counts as another one.
MEANWHILE = LOST | {Trouble.WRONG_IDENTITY}


@dataclass
class Heard:
    """What a poller handed on."""

    readings: list[MeterReading] = field(default_factory=list)
    errors: list[MeterError] = field(default_factory=list)

    async def until(self, what: list[MeterReading] | list[MeterError]) -> None:
        """Wait for the first of a kind."""
        async with asyncio.timeout(30):
            while not what:
                await asyncio.sleep(0.01)


async def suffer(profile: MeterProfile, disturb: Disturb) -> set[Trouble]:
    """Poll a meter before, during and after a disturbance; return the troubles it caused. No reading may come meanwhile."""
    heard = Heard()
    gateways = ModbusGateways(request_timeout_s=1.0)
    async with ModbusServer({1: twin(profile)}) as server:
        reader = MeterReader(
            gateways,
            profile,
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
            expected_serial="4711",
        )
        poller = MeterPoller(
            reader,
            poll_s=0.2,
            on_reading=heard.readings.append,
            on_error=heard.errors.append,
        )
        task = asyncio.create_task(poller.run())
        await heard.until(heard.readings)
        right = heard.readings[0].current_a
        await disturb(server, profile)
        await heard.until(heard.errors)
        heard.readings.clear()
        async with asyncio.timeout(30):
            while len(heard.errors) < 3:
                await asyncio.sleep(0.01)
        assert not heard.readings, "taken for a measurement"
        troubles = {error.key for error in heard.errors}
        # All as it was before.
        await server.stop()
        server.fault = None
        server.silent_units.clear()
        server.devices[1] = twin(profile)
        heard.readings.clear()
        await server.start()
        await heard.until(heard.readings)
        assert heard.readings[0].current_a == right == (20.0, -10.5, 4.0)
        assert not task.done()
        task.cancel()
        await asyncio.wait({task})
        await reader.close()
    await gateways.close()
    return troubles


async def test_s2_nothing_that_the_wire_does_is_taken_for_a_measurement(
    loaded: LoadedProfiles, socket_enabled: None
) -> None:
    """Each case ends in its own trouble, none in a reading, and the meter is read again once it is over."""
    profile = loaded.profiles["janitza_umg604"]
    outcomes = await asyncio.gather(
        *(suffer(profile, disturb) for disturb, _ in CASES.values()),
        return_exceptions=True,
    )
    wrong = {}
    for (name, (_, expected)), outcome in zip(CASES.items(), outcomes, strict=True):
        if isinstance(outcome, BaseException) or not (
            outcome & expected and outcome <= expected | MEANWHILE
        ):
            wrong[name] = outcome
    assert wrong == {}

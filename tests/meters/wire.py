"""A Modbus TCP server of the tests' own, so that what the integration reads was not written by its own library."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
import socket
import struct
from typing import Self

from custom_components.reev_ems.meters.profile import WORDS, Combine, MeterProfile

FORMATS = {
    "uint16": ">H",
    "int16": ">h",
    "uint32": ">I",
    "int32": ">i",
    "uint64": ">Q",
    "int64": ">q",
    "float32": ">f",
    "float64": ">d",
}

type Fault = Callable[[bytes, bytes, asyncio.StreamWriter], Awaitable[None]]
"""Gets the request, the right answer and the connection, and sends what it likes."""


def words(kind: str, value: float, order: str = "big") -> list[int]:
    """Return the registers of a number."""
    raw = struct.pack(
        FORMATS[kind], value if kind.startswith("float") else round(value)
    )
    found = list(struct.unpack(f">{len(raw) // 2}H", raw))
    return found if order == "big" else found[::-1]


def text_words(text: str, count: int) -> list[int]:
    """Return the registers of a text, filled up with zeros."""
    return list(
        struct.unpack(f">{count}H", text.encode("ascii").ljust(2 * count, b"\0"))
    )


@dataclass
class Device:
    """Registers of one unit; those that are not there are illegal addresses."""

    registers: dict[tuple[int, int], int] = field(default_factory=dict)
    inner: set[tuple[int, int]] = field(default_factory=set)
    """Registers at which no read may begin: they are in the middle of a value."""

    def put(self, codes: Iterable[int], address: int, values: list[int]) -> None:
        """Place registers that belong together."""
        for code in codes:
            for offset, value in enumerate(values):
                self.registers[code, address + offset] = value
                if offset:
                    self.inner.add((code, address + offset))

    def put_number(
        self,
        codes: Iterable[int],
        address: int,
        kind: str,
        value: float,
        order: str = "big",
    ) -> None:
        """Place a number."""
        self.put(codes, address, words(kind, value, order))

    def fill(
        self, codes: Iterable[int], start: int, count: int, value: int = 0
    ) -> None:
        """Let reserved registers between values answer."""
        for code in codes:
            for address in range(start, start + count):
                self.registers.setdefault((code, address), value)

    def answer(self, code: int, address: int, count: int) -> bytes:
        """Return the PDU that answers a read."""
        wanted = [(code, address + offset) for offset in range(count)]
        if code not in (3, 4):
            return bytes([code | 0x80, 1])
        if not 1 <= count <= 125:
            return bytes([code | 0x80, 3])
        cut = wanted[0] in self.inner or (code, address + count) in self.inner
        if cut or any(register not in self.registers for register in wanted):
            return bytes([code | 0x80, 2])
        values = [self.registers[register] for register in wanted]
        return bytes([code, 2 * count]) + struct.pack(f">{count}H", *values)


class ModbusServer:
    """Devices behind one port of the loopback interface."""

    def __init__(self, devices: dict[int, Device]) -> None:
        """Serve the devices by their unit ids; the port is chosen at the start and kept."""
        self.devices = devices
        self.fault: Fault | None = None
        self.silent_units: set[int] = set()
        self.requests: list[tuple[int, int, int, int]] = []
        """Unit, function code, address and count of all requests."""
        self.connections = 0
        self.open_now = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and all connections."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_now += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = await reader.readexactly(6)
                    body = await reader.readexactly(int.from_bytes(head[4:6]))
                    await self._answer(head + body, writer)
        finally:
            self.open_now -= 1
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        unit, code, address, count = struct.unpack(">BBHH", request[6:12])
        self.requests.append((unit, code, address, count))
        if unit in self.silent_units:
            return
        device = self.devices.get(unit)
        pdu = (
            bytes([code | 0x80, 11])
            if device is None
            else device.answer(code, address, count)
        )
        response = request[:4] + (len(pdu) + 1).to_bytes(2) + request[6:7] + pdu
        if self.fault is not None:
            await self.fault(request, response, writer)
        else:
            writer.write(response)


@contextmanager
def black_hole() -> Iterator[int]:
    """Give a port that neither accepts nor refuses: its queue is full, and further attempts are dropped."""
    with socket.socket() as listener, ExitStack() as queued:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = queued.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        port: int = listener.getsockname()[1]
        yield port


GRID = {
    "voltage_l1": 231.5,
    "voltage_l2": 229.25,
    "voltage_l3": 233.0,
    "current_l1": 20.0,
    "current_l2": 10.5,
    "current_l3": 4.0,
    "power_l1": 4537.5,
    "power_l2": -2310.0,
    "power_l3": 900.0,
    "power_total": 3127.5,
    "frequency": 50.0,
    "energy_import": 1_234_000.0,
    "energy_export": 56_000.0,
}
"""A grid connection that imports on L1 and L3 and exports on L2; numbers that every scale and float can hold."""


def grid_currents(
    profile: MeterProfile,
) -> tuple[float | None, float | None, float | None]:
    """Return the currents that a profile's twin gives: those of its phases, with a direction if it tells powers."""

    def current(phase: int) -> float | None:
        quantity = profile.quantities.get(f"current_l{phase}")
        if quantity is None:
            return None
        amperes = GRID[f"current_l{phase}"]
        exports = quantity.sign_from is not None and GRID[f"power_l{phase}"] < 0
        return -amperes if exports else amperes

    return current(1), current(2), current(3)


def twin(profile: MeterProfile, values: dict[str, float] | None = None) -> Device:
    """Return a device as a profile describes it, at the given values; currents are magnitudes."""
    device = Device()
    for name, quantity in profile.quantities.items():
        value = {**GRID, **(values or {})}[name]
        if quantity.sign_from is not None:
            value = abs(value)
        if quantity.combine is Combine.SUM:
            parts = [value / len(quantity.addresses)] * len(quantity.addresses)
        elif quantity.combine is Combine.MINUS:
            parts = [max(value, 0.0), max(-value, 0.0)]
        else:
            parts = [value]
        code = 3 if quantity.space == "holding" else 4
        if quantity.sign_register is not None:
            parts = [abs(value)]
        for address, part in zip(quantity.addresses, parts, strict=True):
            device.put_number(
                [code],
                address,
                quantity.type,
                part / quantity.scale,
                quantity.word_order,
            )
        if quantity.sign_register is not None:
            device.put([code], quantity.sign_register, [int(value < 0)])
    for identifier in profile.identification.values():
        code = 3 if identifier.space == "holding" else 4
        first = identifier.expect[0] if identifier.expect else None
        if identifier.type == "string":
            text = text_words(str(first or "A1"), identifier.count)
            if identifier.byte_order == "little":
                text = [(word & 0xFF) << 8 | word >> 8 for word in text]
            device.put([code], identifier.address, text)
        else:
            number = (
                first
                if isinstance(first, int)
                else 4711 % 2 ** (16 * WORDS[identifier.type] - 1)
            )
            device.put_number(
                [code],
                identifier.address,
                identifier.type,
                number,
                identifier.word_order,
            )
    for block in (*profile.blocks, *profile.identification_blocks):
        device.fill([3 if block.space == "holding" else 4], block.start, block.count)
    return device


def router(
    offset: int, *, signal: int = -71, temperature: int = 430, uptime: int = 3600
) -> Device:
    """Return a router whose registers begin at 1 + offset."""
    device = Device()
    device.fill([3], 1 + offset, 140)
    device.put([3], 1 + offset, words("uint32", uptime))
    device.put([3], 3 + offset, words("int32", signal))
    device.put([3], 5 + offset, words("int32", temperature))
    for register, text in (
        (7, "RUT956"),
        (23, "Telekom.de"),
        (39, "1104123456"),
        (55, "001E42AABBCC"),
        (71, "RUT956"),
        (87, "1"),
        (103, "registered (home)"),
        (119, "4G"),
    ):
        device.put([3], register + offset, text_words(text, 16))
    device.put([3], 135 + offset, [0, 1])
    device.inner.clear()
    return device

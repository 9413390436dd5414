"""Modbus TCP servers: endpoints, the meters behind them, and what may go wrong with either.

The server is written here and not taken from pymodbus: the integration reads with that library, and a server made
of the same code would share its mistakes. It also has to misbehave on command, and must pair a late answer with
its own request's transaction id.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
import logging
import struct

import voluptuous as vol

from .plant import Measurement
from .registers import Layout
from .wiring import Energies, Wiring

_LOGGER = logging.getLogger(__name__)

_HEADER = struct.Struct(">HHHB")
"""Transaction id, protocol (0), length of the rest, unit id."""

_MOST_REGISTERS = 125
_LONGEST_PDU = 253
_IDLE_S = 300.0
"""A connection without a request for this long is closed, as meters do."""

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
GATEWAY_TARGET_SILENT = 11


class Fault(StrEnum):
    """What a meter does instead of answering well."""

    NONE = "none"
    SILENCE = "silence"
    """The connection is accepted, no answer comes."""
    REFUSE = "refuse"
    """The endpoint's port is closed, for all meters behind it."""
    FROZEN = "frozen"
    """Registers keep their last values."""
    EXCEPTION = "exception"
    """Every request is answered by `exception_code`."""
    HALF_FRAME = "half_frame"
    """Half of the answer, then nothing."""
    WRONG_TRANSACTION = "wrong_transaction"
    """The answer bears another transaction id."""
    ZEROS = "zeros"
    """All registers are 0."""
    ONES = "ones"
    """All registers are 0xFFFF, which is also not-a-number."""


FAULT = vol.All(vol.In([fault.value for fault in Fault]), vol.Coerce(Fault))
"""A fault by name, in a site file and in a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterConfig:
    """A meter: which circuit it measures, and how."""

    id: str
    circuit: str
    layout: Layout
    unit: int = 1
    lag_s: float = 0.0
    """Age of the values when they reach the registers (integration time of the meter)."""
    refresh_s: float | None = None
    """None: as the model does."""
    fault: Fault = Fault.NONE
    wiring: Wiring = field(default_factory=Wiring)


class Meter:
    """The registers of one meter; `sample` is to be called at every tick of the plant."""

    def __init__(self, config: MeterConfig, first: Measurement) -> None:
        """Start with a first measurement."""
        self.config = config
        self.fault = config.fault
        self.exception_code = 4
        self.delay_s = 0.0
        """Time that every answer takes."""
        self.requests = 0
        self._refresh_s = (
            config.layout.refresh_s if config.refresh_s is None else config.refresh_s
        )
        self._underway: deque[Measurement] = deque(maxlen=4096)
        self.wiring = config.wiring
        """Changed by `rewire`."""
        self._truth = first
        self._shown_at_s = first.at_s
        self._counted = self.wiring.counted(Energies(), Energies(), first)
        self._image: dict[int, int] | None = None

    @property
    def shown(self) -> Measurement:
        """What the registers hold."""
        return self.wiring.seen(self._truth, self._counted)

    def sample(self, truth: Measurement) -> None:
        """Take in the truth; show it `lag_s` later, at the next refresh."""
        self._underway.append(truth)
        arrived = None
        # The tolerance is for the sums of ticks.
        due_s = truth.at_s - self.config.lag_s + 1e-6
        while self._underway and self._underway[0].at_s <= due_s:
            arrived = self._underway.popleft()
        if arrived is None:
            return
        # A tick that comes a little early must not cost a whole refresh.
        if (
            truth.at_s - self._shown_at_s < self._refresh_s - 1e-3
            or self.fault is Fault.FROZEN
        ):
            self._underway.appendleft(arrived)
            return
        self._counted = self.wiring.counted(
            self._counted, Energies.of(self._truth), arrived
        )
        self._truth = arrived
        self._shown_at_s = truth.at_s
        self._image = None

    def rewire(self, wiring: Wiring) -> None:
        """Be connected otherwise from now on; what was counted until now stays counted."""
        self.wiring = wiring
        self._image = None

    def move(self, circuit: str, truth: Measurement) -> None:
        """Measure another circuit from now on; its counters go on from where they are."""
        self.config = replace(self.config, circuit=circuit)
        self._underway.clear()
        self._truth = truth
        self._image = None

    def image(self) -> Mapping[int, int]:
        """Return the readable registers."""
        if self._image is None:
            self._image = self.config.layout.image(self.shown)
        return self._image

    def answer(self, pdu: bytes) -> bytes:
        """Answer a request as a good meter does (PDU in, PDU out)."""
        self.requests += 1
        function = pdu[0]
        layout = self.config.layout
        if self.fault is Fault.EXCEPTION:
            return _exception(function, self.exception_code)
        if function not in layout.functions:
            return _exception(function, ILLEGAL_FUNCTION)
        if len(pdu) != 5:
            return _exception(function, ILLEGAL_VALUE)
        address, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= _MOST_REGISTERS:
            return _exception(function, ILLEGAL_VALUE)
        image = self.image()
        words = [
            layout.word(image, register) for register in range(address, address + count)
        ]
        if count == 1 and address in layout.single_reads:
            words = [layout.single_reads[address]]
        known = [word for word in words if word is not None]
        if len(known) != count or layout.refuses(address, count):
            return _exception(function, ILLEGAL_ADDRESS)
        if self.fault is Fault.ZEROS:
            known = [0] * count
        elif self.fault is Fault.ONES:
            known = [0xFFFF] * count
        return struct.pack(f">BB{count}H", function, 2 * count, *known)


def _exception(function: int, code: int) -> bytes:
    return bytes((function | 0x80, code))


class Endpoint:
    """A Modbus TCP server: a meter's own port, or a gateway with several meters behind it."""

    def __init__(self, host: str, port: int, meters: Sequence[Meter]) -> None:
        """Take the meters; a port of 0 is chosen by the system at the first `start`."""
        self.host = host
        self.port = port
        self.meters = tuple(meters)
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None and not self._refuses:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def set_fault(
        self,
        meter: Meter,
        fault: Fault,
        *,
        exception_code: int | None = None,
        delay_s: float | None = None,
    ) -> None:
        """Let a meter misbehave from now on, or behave again."""
        meter.fault = fault
        if exception_code is not None:
            meter.exception_code = exception_code
        meter.delay_s = 0.0 if delay_s is None else delay_s
        if self._refuses:
            await self.stop()
        else:
            await self.start()

    @property
    def _refuses(self) -> bool:
        """Whether its port is closed."""
        return any(meter.fault is Fault.REFUSE for meter in self.meters)

    def _meter(self, unit: int) -> Meter | None:
        for meter in self.meters:
            if meter.config.unit == unit:
                return meter
        if len(self.meters) == 1 and self.meters[0].config.layout.any_unit:
            return self.meters[0]
        return None

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served in a task")
        self._tasks.add(task)
        self.connections += 1
        try:
            with suppress(
                ConnectionError,
                asyncio.IncompleteReadError,
                TimeoutError,
                asyncio.CancelledError,
            ):
                while await self._one_request(reader, writer):
                    pass
        finally:
            self.connections -= 1
            self._tasks.discard(task)
            writer.close()

    async def _one_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Read one request and answer it; False ends the connection."""
        async with asyncio.timeout(_IDLE_S):
            header = await reader.readexactly(_HEADER.size)
        transaction, protocol, length, unit = _HEADER.unpack(header)
        if protocol != 0 or not 2 <= length <= _LONGEST_PDU + 1:
            _LOGGER.warning("no Modbus TCP request: %s", header.hex())
            return False
        async with asyncio.timeout(_IDLE_S):
            pdu = await reader.readexactly(length - 1)
        meter = self._meter(unit)
        if meter is None:
            answer = _exception(pdu[0], GATEWAY_TARGET_SILENT)
        else:
            if meter.delay_s:
                await asyncio.sleep(meter.delay_s)
            answer = meter.answer(pdu)
            if meter.fault is Fault.SILENCE:
                return True
            if meter.fault is Fault.WRONG_TRANSACTION:
                transaction = (transaction + 1) % 0x10000
        frame = _HEADER.pack(transaction, 0, len(answer) + 1, unit) + answer
        if meter is not None and meter.fault is Fault.HALF_FRAME:
            frame = frame[: len(frame) // 2]
        writer.write(frame)
        await writer.drain()
        return True


def group_into_endpoints(
    meters: Sequence[tuple[str, int, Meter]], choose_port: Callable[[int, int], int]
) -> list[Endpoint]:
    """Return one endpoint for each distinct host and port; `choose_port` maps (place in the list, port) to the port."""
    groups: dict[tuple[str, int], list[Meter]] = {}
    for host, port, meter in meters:
        groups.setdefault((host, port), []).append(meter)
    return [
        Endpoint(host, choose_port(place, port), group)
        for place, ((host, port), group) in enumerate(groups.items())
    ]

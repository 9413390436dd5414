"""Modbus TCP servers: endpoints, the meters behind them, and what may go wrong with either.

The server is written here and not taken from pymodbus: the integration reads with that library, and a server made
of the same code would share its mistakes. It also has to misbehave on command, and must pair a late answer with
its own request's transaction id.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
import logging
import struct

from .plant import Measurement
from .registers import Layout

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
    sign: int = 1
    """-1: the current transformers are mounted the wrong way round."""
    phase_order: tuple[int, int, int] = (0, 1, 2)
    """Line phase (0 for L1) that each of the meter's phases is connected to."""


class Meter:
    """The registers of one meter; `sample` is to be called at every tick of the plant."""

    def __init__(self, config: MeterConfig, first: Measurement) -> None:
        """Start with a first measurement."""
        self.config = config
        self.fault = Fault.NONE
        self.exception_code = 4
        self.delay_s = 0.0
        """Time that every answer takes."""
        self.requests = 0
        self._refresh_s = (
            config.layout.refresh_s if config.refresh_s is None else config.refresh_s
        )
        self._underway: deque[Measurement] = deque(maxlen=4096)
        self._shown = first
        self._shown_at_s = first.at_s
        self._image: tuple[Measurement, dict[int, int]] | None = None

    @property
    def shown(self) -> Measurement:
        """What the registers hold, before wrong wiring."""
        return self._shown

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
        self._shown = arrived
        self._shown_at_s = truth.at_s

    def image(self) -> Mapping[int, int]:
        """Return the readable registers."""
        if self._image is None or self._image[0] is not self._shown:
            self._image = (
                self._shown,
                self.config.layout.image(_wired(self._shown, self.config)),
            )
        return self._image[1]

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


def _wired(truth: Measurement, config: MeterConfig) -> Measurement:
    """Return what the meter sees through its wiring."""
    if config.sign == 1 and config.phase_order == (0, 1, 2):
        return truth

    def seen(
        values: tuple[float, float, float], sign: int = 1
    ) -> tuple[float, float, float]:
        first, second, third = config.phase_order
        return (sign * values[first], sign * values[second], sign * values[third])

    forward = config.sign == 1
    return Measurement(
        at_s=truth.at_s,
        voltage_v=seen(truth.voltage_v),
        current_a=seen(truth.current_a),
        power_w=seen(truth.power_w, config.sign),
        reactive_var=seen(truth.reactive_var, config.sign),
        frequency_hz=truth.frequency_hz,
        import_wh=truth.import_wh if forward else truth.export_wh,
        export_wh=truth.export_wh if forward else truth.import_wh,
        import_phase_wh=seen(
            truth.import_phase_wh if forward else truth.export_phase_wh
        ),
        export_phase_wh=seen(
            truth.export_phase_wh if forward else truth.import_phase_wh
        ),
    )


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
        if self._server is None:
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
        if any(other.fault is Fault.REFUSE for other in self.meters):
            await self.stop()
        else:
            await self.start()

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

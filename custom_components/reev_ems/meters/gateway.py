"""The connections to gateways: one per address, shared by all meters behind it.

Requests on a connection go one after the other. After a failed attempt to connect the next one waits, longer each
time, for all meters behind the gateway together.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
import logging
from typing import override

from modbus_connection import (
    IllegalDataAddressError,
    ModbusConnectionError,
    ModbusError,
    ModbusProtocolError,
    ModbusTcpParams,
    ModbusTimeoutError,
)
from modbus_connection.pymodbus import ModbusConnection, PymodbusUnit

from .errors import MeterError, Trouble

REQUEST_TIMEOUT_S = 3.0
"""Leaves time to send a lost packet twice, and keeps a silent meter from ageing its neighbours beyond 5 s (S3)."""
BACKOFF_FIRST_S = 0.5
BACKOFF_LONGEST_S = 10.0
SILENCES_TO_RECYCLE = 2
"""Requests in a row that nobody answered, after which the connection itself is taken for dead."""

_reading_meter: ContextVar[bool] = ContextVar("reading_meter", default=False)


def _is_news(record: logging.LogRecord) -> bool:
    """Keep pymodbus from logging each failed request of ours: the caller reports a meter that is down once."""
    return not _reading_meter.get() or logging.getLogger(record.name).isEnabledFor(
        logging.DEBUG
    )


class MeterUnit(PymodbusUnit):
    """A device behind a gateway, leased until `release`.

    Reads raise ModbusError and nothing else, and end when their task is cancelled.
    """

    def __init__(self, gateway: _Gateway, unit_id: int) -> None:
        """Hold the gateway's connection; only ModbusGateways makes these."""
        super().__init__(gateway.connection, unit_id)
        self._gateway: _Gateway | None = gateway
        self.unit_id = unit_id
        self.host = gateway.host
        self.port = gateway.port

    @property
    def place(self) -> str:
        """Address and unit id in words."""
        return f"{self.host}:{self.port}, unit {self.unit_id}"

    @property
    def facts(self) -> str:
        """Address and unit id without words."""
        return f"{self.host}:{self.port}/{self.unit_id}"

    async def open(self, *, at_once: bool = False) -> int:
        """Connect if needed and return the number of this connection, which changes when it was lost in between.

        `at_once` skips the wait after failed attempts. Raises MeterError.
        """
        if self._gateway is None:
            raise MeterError(
                Trouble.CANNOT_CONNECT,
                f"The connection to {self.place} was closed.",
                self.facts,
            )
        return await self._gateway.open(at_once=at_once)

    async def release(self) -> None:
        """Give the device back; the last one closes the gateway's connection."""
        if (gateway := self._gateway) is not None:
            self._gateway = None
            await gateway.release()

    @override
    async def read_holding_registers(self, address: int, count: int) -> list[int]:
        """Read registers with function code 3."""
        return await self._read(super().read_holding_registers, address, count)

    @override
    async def read_input_registers(self, address: int, count: int) -> list[int]:
        """Read registers with function code 4."""
        return await self._read(super().read_input_registers, address, count)

    async def _read(self, read: _Read, address: int, count: int) -> list[int]:
        gateway = self._gateway
        if gateway is None:
            raise ModbusConnectionError("the device was given back")
        if address + count > 65536:
            # A chain of models can lead anywhere; the library calls this a fault of the program.
            raise IllegalDataAddressError
        try:
            words = await read(address, count)
        except ModbusTimeoutError:
            # pymodbus turns the cancellation of a task into a timeout, after which the task would run on.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError from None
            await gateway.note_silence()
            raise
        except ModbusError:
            gateway.silences = 0
            raise
        gateway.silences = 0
        if len(words) != count:
            raise ModbusProtocolError(f"{len(words)} registers came instead of {count}")
        return words


type _Read = Callable[[int, int], Awaitable[list[int]]]


class _Connection(ModbusConnection):
    """A connection whose attempts to connect are its own.

    The library shields an attempt from the cancellation of whoever waits for it, and asyncio logs as unexpected how
    such an orphan ends. Here nobody waits at the shield but a task that is never cancelled.
    """

    def __init__(self, params: ModbusTcpParams, *, timeout: float) -> None:
        """Initialize; nothing is connected yet."""
        super().__init__(params, timeout=timeout)
        self._attempts: set[asyncio.Task[None]] = set()

    @override
    async def connect(self) -> None:
        """Connect, if that is not so yet."""
        if self.connected:
            return
        attempt = asyncio.create_task(super().connect())
        self._attempts.add(attempt)
        attempt.add_done_callback(self._ended)
        await asyncio.wait({attempt})
        attempt.result()

    def _ended(self, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        if not attempt.cancelled():
            # The caller that would have wanted to know may be gone.
            attempt.exception()

    @override
    async def close(self) -> None:
        """Close for good, and let the attempts end."""
        await super().close()
        if self._attempts:
            await asyncio.wait(self._attempts)


class _Gateway:
    """A connection and those who use it."""

    def __init__(
        self,
        params: ModbusTcpParams,
        timeout_s: float,
        unused: Callable[[_Gateway], None],
    ) -> None:
        self.host = params.host
        self.port = params.port
        self.connection = _Connection(params, timeout=timeout_s)
        self.leases = 0
        self.silences = 0
        self._unused = unused
        self._failures = 0
        self._not_before_s = 0.0
        self._up = False
        self._number = 0
        self.connection.on_connection_lost(self._lost)

    def _lost(self) -> None:
        self._up = False

    async def open(self, *, at_once: bool) -> int:
        """Connect if the connection is down. Raises MeterError."""
        _reading_meter.set(True)
        if self._up and self.connection.connected:
            return self._number
        loop = asyncio.get_running_loop()
        before_s = self._not_before_s
        if not at_once and loop.time() < before_s:
            raise MeterError(
                Trouble.CANNOT_CONNECT,
                f"Cannot connect to {self.host}:{self.port}; trying again shortly.",
                f"{self.host}:{self.port}",
            )
        try:
            await self.connection.connect()
        # A name that cannot be encoded and a port beyond 65535 do not come as errors of the library.
        except (ModbusError, UnicodeError, OverflowError) as err:
            # Several meters may have waited for the same attempt.
            if before_s == self._not_before_s:
                wait_s = min(BACKOFF_FIRST_S * 2**self._failures, BACKOFF_LONGEST_S)
                self._failures = min(self._failures + 1, 10)
                self._not_before_s = loop.time() + wait_s
            raise MeterError(
                Trouble.CANNOT_CONNECT,
                f"Cannot connect to {self.host}:{self.port}: nothing answers there.",
                f"{self.host}:{self.port}",
            ) from err
        self._failures = 0
        self._not_before_s = 0.0
        if not self._up:
            self._up = True
            self._number += 1
            self.silences = 0
        return self._number

    async def note_silence(self) -> None:
        """Count an unanswered request; drop a connection on which nobody answers, for it may be dead."""
        self.silences += 1
        if self.silences >= SILENCES_TO_RECYCLE:
            self.silences = 0
            self._up = False
            with suppress(ModbusConnectionError):
                await self.connection.disconnect()

    async def release(self) -> None:
        self.leases -= 1
        if self.leases == 0:
            self._unused(self)
            await self.close()

    async def close(self) -> None:
        with suppress(ModbusConnectionError):
            await self.connection.close()


class ModbusGateways:
    """All gateways of this program."""

    def __init__(self, *, request_timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Begin without any connection."""
        self._request_timeout_s = request_timeout_s
        self._gateways: dict[tuple[str, int], _Gateway] = {}
        logger = logging.getLogger("pymodbus.logging")
        if _is_news not in logger.filters:
            logger.addFilter(_is_news)

    def unit(self, host: str, port: int, unit_id: int) -> MeterUnit:
        """Lease a device; its gateway's connection opens with the first `open` and closes with the last release."""
        params = ModbusTcpParams(host=host.strip(), port=port)
        key = (params.host, params.port)
        if (gateway := self._gateways.get(key)) is None:
            gateway = self._gateways[key] = _Gateway(
                params, self._request_timeout_s, self._forget
            )
        gateway.leases += 1
        return MeterUnit(gateway, unit_id)

    def _forget(self, gateway: _Gateway) -> None:
        key = (gateway.host, gateway.port)
        if self._gateways.get(key) is gateway:
            del self._gateways[key]

    async def close(self) -> None:
        """Close all connections; leases that are still out find them closed."""
        gateways = list(self._gateways.values())
        self._gateways.clear()
        for gateway in gateways:
            await gateway.close()

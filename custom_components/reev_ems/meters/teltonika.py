"""Teltonika RUT routers: whether the gateway itself lives, apart from the meters behind it.

The router has a Modbus TCP server of its own (off by default, port 502, unit id 1). Its maker's table counts registers
from 1 and does not say whether the wire does; both are tried once, and what answers plausibly is kept. Source:
Teltonika's wiki, RUT955 Modbus page.
"""

import asyncio
from dataclasses import dataclass

from modbus_connection import (
    IllegalDataAddressError,
    IllegalDataValueError,
    ModbusError,
)
from modbus_connection.model import ManualComponent
from modbus_connection.model.fields import NumberField, StringField

from .errors import MeterError, Trouble
from .gateway import MeterUnit, ModbusGateways
from .reader import explain
from .registers import clean_text

READ_TIMEOUT_S = 8.0
LAST_REGISTER = 138

TEXTS = {
    "hostname": 7,
    "operator": 23,
    "serial": 39,
    "mac": 55,
    "name": 71,
    "sim": 87,
    "registration": 103,
    "network_type": 119,
}
"""Texts of 16 registers each, as the maker counts them."""
SIGNAL_DBM = (-150, 0)
TEMPERATURE_C = (-60.0, 120.0)
UPTIME_MAX_S = 20 * 365 * 86400

# As the maker counts: numbers and the first texts, the other texts, inputs and address; each fits into one request.
_BLOCKS = ((1, 70), (71, LAST_REGISTER))


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStatus:
    """What a router tells about itself; what it does not tell or cannot be is None."""

    uptime_s: int
    signal_dbm: int | None
    temperature_c: float
    hostname: str | None
    operator: str | None
    network_type: str | None
    registration: str | None
    sim: str | None
    serial: str | None
    mac: str | None
    digital_input_1: bool | None
    """Where a grid operator's ripple control receiver is wired to (§14a EnWG)."""
    digital_input_2: bool | None


class TeltonikaGateway:
    """Reads the status of a router."""

    def __init__(
        self, gateways: ModbusGateways, *, host: str, port: int = 502, unit_id: int = 1
    ) -> None:
        """Lease the router's own Modbus server; it is first spoken to by `read`."""
        self._unit = gateways.unit(host, port, unit_id)
        self._offset: int | None = None
        """What is to be added to the maker's register numbers."""

    async def read(self) -> GatewayStatus:
        """Read the status. Raises MeterError."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                await self._unit.open()
                if self._offset is not None:
                    return await _status(self._unit, self._offset)
                for offset in (0, -1):
                    try:
                        status = await _status(self._unit, offset)
                    except IllegalDataAddressError, IllegalDataValueError, MeterError:
                        continue
                    self._offset = offset
                    return status
        except ModbusError as err:
            raise explain(err, self._unit) from err
        except TimeoutError as err:
            raise MeterError(
                Trouble.NO_ANSWER,
                f"No answer from {self._unit.place} in time.",
                self._unit.facts,
            ) from err
        raise MeterError(
            Trouble.NOT_THIS_METER,
            f"The device at {self._unit.place} is no Teltonika router.",
            self._unit.facts,
        )

    async def close(self) -> None:
        """Give the router back."""
        await self._unit.release()


async def _status(unit: MeterUnit, offset: int) -> GatewayStatus:
    """Read all registers. Raises ModbusError, and MeterError if what comes is no router's status."""
    component = ManualComponent(
        unit,
        holding_ranges=tuple(
            (first + offset, last + offset) for first, last in _BLOCKS
        ),
    )
    for name, register, signed, scale in (
        ("uptime", 1, False, 1.0),
        ("signal", 3, True, 1.0),
        ("temperature", 5, True, 0.1),
        ("input 1", 135, True, 1.0),
        ("input 2", 137, True, 1.0),
    ):
        component.add(
            name,
            NumberField[float](register + offset, count=2, signed=signed, scale=scale),
        )
    for name, register in TEXTS.items():
        component.add(name, StringField(register + offset, count=16))
    values = await component.async_update()

    uptime_s = int(values["uptime"])
    signal_dbm = int(values["signal"])
    temperature_c = float(values["temperature"])
    # One register off, each number is made of halves of two: not all three of them can be true then.
    if not (
        0 < uptime_s <= UPTIME_MAX_S
        and SIGNAL_DBM[0] <= signal_dbm <= SIGNAL_DBM[1]
        and TEMPERATURE_C[0] <= temperature_c <= TEMPERATURE_C[1]
    ):
        raise MeterError(
            Trouble.NOT_THIS_METER,
            f"The device at {unit.place} does not tell a router's status.",
            unit.facts,
        )
    texts = {name: clean_text(values[name]) or None for name in TEXTS}
    return GatewayStatus(
        uptime_s=uptime_s,
        # A router without a modem tells 0.
        signal_dbm=signal_dbm or None,
        temperature_c=temperature_c,
        hostname=texts["hostname"],
        operator=texts["operator"],
        network_type=texts["network_type"],
        registration=texts["registration"],
        sim=texts["sim"],
        serial=texts["serial"],
        mac=texts["mac"],
        digital_input_1=_input(values["input 1"]),
        digital_input_2=_input(values["input 2"]),
    )


def _input(value: float) -> bool | None:
    return {0: False, 1: True}.get(int(value))

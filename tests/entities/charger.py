"""A charge point on the wire: OCPP over a websocket, with the answers a good charger gives."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
import json
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

ACCEPTED = {"status": "Accepted"}

type Answer = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Makes an answer of a request; None: hang up instead."""


class Charger:
    """Sends what a test tells it, answers what it is asked, and remembers it."""

    def __init__(
        self,
        port: int,
        charge_point_id: str,
        *,
        password: str | None = None,
        version: str = "1.6",
        answers: dict[str, Answer] | None = None,
    ) -> None:
        """Initialize; `async with` connects. `answers` are those that are not as usual.

        What it sends by itself beside the BootNotification is of OCPP 1.6.
        """
        user = f"{charge_point_id}:{password}@" if password else ""
        self.url = f"ws://{user}127.0.0.1:{port}/{charge_point_id}"
        self.version = version
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Answer] = {
            "GetConfiguration": lambda _: {"configurationKey": [], "unknownKey": []},
            "GetVariables": lambda _: {"getVariableResult": []},
            "SetVariables": lambda _: {"setVariableResult": []},
            "UnlockConnector": lambda _: {"status": "Unlocked"},
            **(answers or {}),
        }
        self._connection: ClientConnection
        self._reader: asyncio.Task[None]
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        """Connect and boot."""
        self._connection = await connect(
            self.url, subprotocols=[Subprotocol(f"ocpp{self.version}")]
        )
        self._reader = asyncio.create_task(self._read())
        await self.call("BootNotification", self._boot())
        return self

    def _boot(self) -> dict[str, Any]:
        """Return what it says about itself."""
        if self.version == "1.6":
            return {
                "chargePointVendor": "Alpha",
                "chargePointModel": "Box 11",
                "chargePointSerialNumber": "S-1",
                "firmwareVersion": "1.2.3",
            }
        station = {
            "vendorName": "Alpha",
            "model": "Box 11",
            "serialNumber": "S-1",
            "firmwareVersion": "1.2.3",
        }
        return {"reason": "PowerUp", "chargingStation": station}

    async def __aexit__(self, *_: object) -> None:
        """Disconnect, once nothing was asked for a moment."""
        asked = -1
        while asked != len(self.asked):
            asked = len(self.asked)
            await asyncio.sleep(0.1)
        await self._connection.close()
        await self._reader

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its result."""
        message_id = f"c{len(self._waiting)}"
        answer = self._waiting[message_id] = asyncio.get_running_loop().create_future()
        await self._connection.send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(5):
            return await answer

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what this charge point's messages bring about."""
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.02)

    async def status(self, status: str, number: int = 1) -> None:
        """Report the status of a connector."""
        payload = {"connectorId": number, "errorCode": "NoError", "status": status}
        await self.call("StatusNotification", payload)

    async def start(
        self, number: int = 1, tag: str = "TAG", meter_wh: int = 1000
    ) -> int:
        """Start a transaction and return its id."""
        result = await self.call(
            "StartTransaction",
            {
                "connectorId": number,
                "idTag": tag,
                "meterStart": meter_wh,
                "timestamp": datetime.now(UTC).isoformat(),
            },
        )
        transaction_id: int = result["transactionId"]
        return transaction_id

    async def stop(self, transaction_id: int, meter_wh: int) -> None:
        """Stop a transaction."""
        await self.call(
            "StopTransaction",
            {
                "transactionId": transaction_id,
                "meterStop": meter_wh,
                "timestamp": datetime.now(UTC).isoformat(),
                "reason": "Local",
            },
        )

    async def measure(
        self, current_a: tuple[float, ...], energy_wh: float, transaction_id: int
    ) -> None:
        """Report currents, the power they make at 230 V, and the energy register."""
        values = [
            {
                "value": str(current),
                "measurand": "Current.Import",
                "phase": f"L{index}",
                "unit": "A",
            }
            for index, current in enumerate(current_a, start=1)
        ]
        power_w = 230 * sum(current_a)
        values += [
            {"value": str(power_w), "measurand": "Power.Active.Import", "unit": "W"},
            {
                "value": str(energy_wh),
                "measurand": "Energy.Active.Import.Register",
                "unit": "Wh",
            },
        ]
        await self.call(
            "MeterValues",
            {
                "connectorId": 1,
                "transactionId": transaction_id,
                "meterValue": [
                    {
                        "timestamp": datetime.now(UTC).isoformat(),
                        "sampledValue": values,
                    }
                ],
            },
        )

    async def _read(self) -> None:
        """Take answers, and answer requests."""
        with suppress(ConnectionClosed):
            async for frame in self._connection:
                message = json.loads(frame)
                if message[0] == 2:
                    _, message_id, action, payload = message
                    self.asked.append((action, payload))
                    answer = self.answers.get(action, lambda _: ACCEPTED)(payload)
                    if answer is None:
                        await self._connection.close()
                        return
                    await self._connection.send(json.dumps([3, message_id, answer]))
                else:
                    self._waiting[message[1]].set_result(message[2])

"""A charge point on the wire: a raw WebSocket client that says what a test tells it to."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
import itertools
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

WAIT_S = 5.0

type Payload = dict[str, Any]
type Handler = Callable[[Payload], Payload | tuple[str, str] | None]


def iso(at: datetime | None = None) -> str:
    """Return a time as charge points write it."""
    return (
        (at or datetime.now(UTC))
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def seconds(start: str, end: str) -> float:
    """Return the seconds between two times as charge points write them."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


async def soon(condition: Callable[[], object], wait_s: float = WAIT_S) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(wait_s):
        while not condition():
            await asyncio.sleep(0.01)


def _accept(_payload: Payload) -> Payload:
    return {"status": "Accepted"}


class WireChargePoint:
    """A client that answers requests by a table and keeps everything that it was sent.

    A handler returns the payload of the answer, a (code, description) for a CALLERROR, or None for silence.
    """

    def __init__(self) -> None:
        """Answer everything with Accepted until told otherwise."""
        self.handlers: dict[str, Handler] = {
            "GetConfiguration": lambda _: {"configurationKey": [], "unknownKey": []}
        }
        self.requests: list[tuple[str, Payload]] = []
        self.frames: list[str] = []
        self._answers: dict[str, asyncio.Future[list[Any]]] = {}
        self._ids = itertools.count(1)
        self._news = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None
        self.socket: ClientConnection | None = None

    async def connect(
        self, url: str, protocols: tuple[str, ...] = ("ocpp1.6",), **kwargs: Any
    ) -> WireChargePoint:
        """Dial in."""
        self.socket = await connect(
            url,
            subprotocols=[Subprotocol(name) for name in protocols] or None,
            compression=None,
            **kwargs,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def close(self) -> None:
        """Hang up."""
        if self.socket is not None and self._reader is not None:
            await self.socket.close()
            await self._reader

    def abort(self) -> None:
        """Lose the network."""
        assert self.socket is not None
        self.socket.transport.abort()

    async def closed(self) -> int | None:
        """Wait until the server has hung up; returns its close code."""
        assert self.socket is not None
        async with asyncio.timeout(WAIT_S):
            await self.socket.wait_closed()
        return self.socket.close_code

    async def send(self, frame: str | bytes) -> None:
        """Send anything."""
        assert self.socket is not None
        await self.socket.send(frame)

    async def call(
        self, action: str, payload: object, message_id: str | None = None
    ) -> list[Any]:
        """Send a CALL and return the whole CALLRESULT or CALLERROR."""
        message_id = message_id or f"m{next(self._ids)}"
        self._answers[message_id] = asyncio.get_running_loop().create_future()
        await self.send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(WAIT_S):
            return await self._answers[message_id]

    async def ask(self, action: str, **payload: Any) -> Payload:
        """Send a CALL and return the payload of its CALLRESULT."""
        answer = await self.call(action, payload)
        assert answer[0] == 3, answer
        result: Payload = answer[2]
        return result

    async def boot(
        self, vendor: str = "Vendor", model: str = "Model", **more: str
    ) -> Payload:
        """Send a BootNotification."""
        return await self.ask(
            "BootNotification", chargePointVendor=vendor, chargePointModel=model, **more
        )

    async def status(
        self, status: str, connector_id: int = 1, error: str = "NoError"
    ) -> Payload:
        """Send a StatusNotification."""
        return await self.ask(
            "StatusNotification",
            connectorId=connector_id,
            status=status,
            errorCode=error,
            timestamp=iso(),
        )

    async def start(self, connector_id: int = 1, tag: str = "TAG", **more: Any) -> int:
        """Send a StartTransaction and return the transaction id."""
        answer = await self.ask(
            "StartTransaction",
            **{
                "connectorId": connector_id,
                "idTag": tag,
                "meterStart": 1000,
                "timestamp": iso(),
            }
            | more,
        )
        transaction_id: int = answer["transactionId"]
        return transaction_id

    def sent(self, action: str) -> list[Payload]:
        """Return the requests of an action that the server made."""
        return [payload for name, payload in self.requests if name == action]

    def profiles(self, purpose: str) -> list[Payload]:
        """Return the charging profiles of a purpose that were sent, OCPP 1.6."""
        return [
            payload["csChargingProfiles"]
            for payload in self.sent("SetChargingProfile")
            if payload["csChargingProfiles"]["chargingProfilePurpose"] == purpose
        ]

    async def until(
        self, condition: Callable[[], object], wait_s: float = WAIT_S
    ) -> None:
        """Wait until something is so that the server's requests bring about."""
        async with asyncio.timeout(wait_s), self._news:
            await self._news.wait_for(lambda: bool(condition()))

    async def _read(self) -> None:
        assert self.socket is not None
        try:
            async for frame in self.socket:
                self.frames.append(str(frame))
                message = json.loads(frame)
                if message[0] == 2:
                    await self._serve(*message[1:])
                elif (future := self._answers.get(message[1])) and not future.done():
                    future.set_result(message)
        except ConnectionClosed:
            pass

    async def _serve(self, message_id: str, action: str, payload: Payload) -> None:
        handler = self.handlers.get(action, _accept)
        answer = handler(payload)
        if isinstance(answer, tuple):
            await self.send(json.dumps([4, message_id, *answer, {}]))
        elif answer is not None:
            await self.send(json.dumps([3, message_id, answer]))
        async with self._news:
            self.requests.append((action, payload))
            self._news.notify_all()

"""A small OCPP 1.6 and 2.0.1 central system on a real WebSocket, for the simulator's charge points to talk to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
import json
from typing import Any
from urllib.parse import unquote

from websockets import Subprotocol
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

type Json = dict[str, Any]

WAIT_S = 5.0

SUBPROTOCOLS = [Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")]


class Csms:
    """Answers like a friendly central system, keeps what it heard, and calls charge points."""

    def __init__(self) -> None:
        """Start without any connection."""
        self.port = 0
        self.heard: list[tuple[str, str, Json]] = []
        self.connections: dict[str, ServerConnection] = {}
        self.boot_status = "Accepted"
        self.boot_interval_s = 300
        self.tag_status = "Accepted"
        self.mute: set[str] = set()
        """Actions that get no answer."""
        self.refuse: set[str] = set()
        """Actions that are answered with a CALLERROR."""
        self.authorization: str | None = None
        self._transactions = 100
        self._answers: dict[str, asyncio.Future[list[Any]]] = {}
        self._news = asyncio.Condition()
        self._calls = 0

    @property
    def url(self) -> str:
        """Where charge points connect."""
        return f"ws://127.0.0.1:{self.port}/ocpp"

    async def serve_one(self, connection: ServerConnection) -> None:
        """Serve a charge point."""
        assert connection.request is not None
        assert connection.subprotocol in SUBPROTOCOLS
        name = unquote(connection.request.path.rpartition("/")[2])
        self.authorization = connection.request.headers.get("Authorization")
        self.connections[name] = connection
        async with self._news:
            self._news.notify_all()
        # Charge points also vanish without a closing handshake.
        with suppress(ConnectionClosed):
            async for frame in connection:
                message = json.loads(frame)
                if message[0] != 2:
                    self._answers.pop(message[1]).set_result(message)
                    continue
                _, message_id, action, payload = message
                self.heard.append((name, action, payload))
                async with self._news:
                    self._news.notify_all()
                if action in self.mute:
                    continue
                if action in self.refuse:
                    await connection.send(
                        json.dumps([4, message_id, "InternalError", "no", {}])
                    )
                    continue
                await connection.send(
                    json.dumps([3, message_id, self._answer(action, payload)])
                )

    def _answer(self, action: str, payload: Json) -> Json:
        now = datetime.now(UTC).isoformat()
        match action:
            case "BootNotification":
                return {
                    "status": self.boot_status,
                    "currentTime": now,
                    "interval": self.boot_interval_s,
                }
            case "Heartbeat":
                return {"currentTime": now}
            case "Authorize" if "idToken" in payload:
                return {"idTokenInfo": {"status": self.tag_status}}
            case "Authorize":
                return {"idTagInfo": {"status": self.tag_status}}
            case "TransactionEvent" if "idToken" in payload:
                return {"idTokenInfo": {"status": self.tag_status}}
            case "StartTransaction":
                self._transactions += 1
                return {
                    "transactionId": self._transactions,
                    "idTagInfo": {"status": self.tag_status},
                }
            case _:
                return {}

    async def call(self, name: str, action: str, payload: Json) -> Json:
        """Call a charge point; a CALLERROR is given as {"error": code}."""
        self._calls += 1
        message_id = f"c{self._calls}"
        future = asyncio.get_running_loop().create_future()
        self._answers[message_id] = future
        await self.connections[name].send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(WAIT_S):
            answer = await future
        return answer[2] if answer[0] == 3 else {"error": answer[2]}

    def all_of(self, name: str, action: str) -> list[Json]:
        """Return all payloads of one action that a charge point sent."""
        return [
            payload
            for who, what, payload in self.heard
            if (who, what) == (name, action)
        ]

    async def until(
        self,
        name: str,
        action: str,
        fits: Callable[[Json], bool] = lambda payload: True,
    ) -> Json:
        """Wait until a charge point has said something, and return the first that fits."""
        async with asyncio.timeout(WAIT_S), self._news:
            while True:
                for payload in self.all_of(name, action):
                    if fits(payload):
                        return payload
                await self._news.wait()

    async def until_connected(self, name: str) -> None:
        """Wait for a connection."""
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: name in self.connections)


@asynccontextmanager
async def running_csms() -> AsyncIterator[Csms]:
    """Run a central system on a free port."""
    csms = Csms()
    server = await serve(csms.serve_one, "127.0.0.1", 0, subprotocols=SUBPROTOCOLS)
    csms.port = server.sockets[0].getsockname()[1]
    try:
        yield csms
    finally:
        server.close()
        await server.wait_closed()


async def eventually(truth: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(within_s):
        while not truth():
            await asyncio.sleep(0.01)

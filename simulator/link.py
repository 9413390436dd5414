"""OCPP over WebSocket, the charge point's end: keeps a connection up, pairs calls with their answers."""

import asyncio
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
import json
import logging
import ssl
from typing import Any
from urllib.parse import quote
import uuid

from websockets import Subprotocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from .schemas import complaint, known

type Json = dict[str, Any]

_LOGGER = logging.getLogger(__name__)

_CALL, _RESULT, _ERROR = 2, 3, 4

_MOST_WAITING = 64
"""Calls of the central system that wait for their turn; more cost the connection."""

_MOST_COMPLAINTS = 100


type _Inbound = tuple[str, str, Json, str | None]
"""Message id, action, payload, and what the schema has against it."""


class CallError(Exception):
    """A call that is answered with a CALLERROR, by either side."""

    def __init__(self, code: str, description: str = "") -> None:
        """Take the OCPP error code."""
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description


class LinkDownError(Exception):
    """There is no connection, it was lost, or no answer came in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """Where to connect, as whom, and how patiently."""

    url: str
    """Address of the central system; the identity is appended."""
    identity: str
    subprotocol: str = "ocpp1.6"
    password: str | None = None
    """HTTP Basic authentication; the user name is the identity."""
    tls: ssl.SSLContext | None = None
    retry_s: float = 1.0
    """First wait before connecting again; doubles up to `longest_retry_s`."""
    longest_retry_s: float = 8.0
    call_timeout_s: float = 30.0
    connect_timeout_s: float = 10.0


class Link:
    """The connection of one charge point.

    Args:
        config: where to connect.
        on_call: answers a call of the central system; may raise CallError.
        on_up: told when the connection is there.
        on_down: told when it is lost.
    """

    def __init__(
        self,
        config: LinkConfig,
        *,
        on_call: Callable[[str, Json], Json],
        on_up: Callable[[], None],
        on_down: Callable[[], None],
    ) -> None:
        """Prepare; nothing happens before `run`."""
        self.config = config
        self.ping_interval_s: float | None = 30.0
        self.answer_delay_s = 0.0
        """Time to think before each answer."""
        self.complaints: deque[str] = deque(maxlen=_MOST_COMPLAINTS)
        """What the central system said against the schema."""
        self.connects = 0
        self._on_call = on_call
        self._on_up = on_up
        self._on_down = on_down
        self._connection: ClientConnection | None = None
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._calling = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._wanted.set()

    @property
    def up(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    async def run(self) -> None:
        """Keep a connection up until cancelled."""
        wait_s = self.config.retry_s
        while True:
            await self._wanted.wait()
            try:
                connection = await self._connect()
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                _LOGGER.debug("%s: %s", self.config.identity, error)
                await asyncio.sleep(wait_s)
                wait_s = min(2.0 * wait_s, self.config.longest_retry_s)
                continue
            wait_s = self.config.retry_s
            if not self._wanted.is_set():
                await connection.close()
                continue
            await self._stay(connection)
            await asyncio.sleep(wait_s)

    async def _connect(self) -> ClientConnection:
        config = self.config
        headers = {}
        if config.password is not None:
            token = b64encode(f"{config.identity}:{config.password}".encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        return await connect(
            f"{config.url.rstrip('/')}/{quote(config.identity, safe='')}",
            subprotocols=[Subprotocol(config.subprotocol)],
            additional_headers=headers,
            ssl=config.tls,
            compression=None,
            user_agent_header=None,
            proxy=None,
            open_timeout=config.connect_timeout_s,
            close_timeout=1.0,
            ping_interval=self.ping_interval_s,
            ping_timeout=self.ping_interval_s,
        )

    async def _stay(self, connection: ClientConnection) -> None:
        """Serve one connection to its end."""
        self._connection = connection
        self.connects += 1
        inbox: asyncio.Queue[_Inbound] = asyncio.Queue(_MOST_WAITING)
        answering = asyncio.create_task(self._answer(connection, inbox))
        self._on_up()
        try:
            async for frame in connection:
                self._receive(frame, inbox)
        except (ConnectionClosed, asyncio.QueueFull) as error:
            _LOGGER.debug("%s: connection lost: %s", self.config.identity, error)
        finally:
            self._connection = None
            answering.cancel()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(LinkDownError("the connection was lost"))
            self._waiting.clear()
            self._on_down()
            await connection.close()

    def _receive(self, frame: str | bytes, inbox: asyncio.Queue[_Inbound]) -> None:
        try:
            message = json.loads(frame)
            exact = json.loads(frame, parse_float=Decimal)
        except ValueError:
            self.complaints.append(f"not JSON: {frame[:80]!r}")
            return
        match message:
            case [2, str(message_id), str(action), dict(payload)]:
                wrong = None
                if known(self.config.subprotocol, action):
                    wrong = complaint(
                        self.config.subprotocol, action, exact[3], answer=False
                    )
                if wrong is not None:
                    self.complaints.append(wrong)
                inbox.put_nowait((message_id, action, payload, wrong))
            case [3, str(message_id), dict(payload)]:
                self._settle(message_id, payload)
            case [4, str(message_id), str(code), str(description), *_]:
                self._settle(message_id, CallError(code, description))
            case _:
                self.complaints.append(f"not an OCPP message: {frame[:80]!r}")

    def _settle(self, message_id: str, answer: Json | CallError) -> None:
        future = self._waiting.pop(message_id, None)
        if future is None or future.done():
            self.complaints.append(f"an answer to nothing: {message_id}")
        elif isinstance(answer, CallError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    async def _answer(
        self, connection: ClientConnection, inbox: asyncio.Queue[_Inbound]
    ) -> None:
        """Answer the calls of the central system one after the other."""
        while True:
            message_id, action, payload, wrong = await inbox.get()
            if self.answer_delay_s:
                await asyncio.sleep(self.answer_delay_s)
            try:
                result = self._respond(action, payload, wrong)
                reply: list[Any] = [_RESULT, message_id, result]
            except CallError as error:
                reply = [_ERROR, message_id, error.code, error.description[:255], {}]
            try:
                await connection.send(json.dumps(reply))
            except ConnectionClosed:
                return

    def _respond(self, action: str, payload: Json, wrong: str | None) -> Json:
        if wrong is not None:
            raise CallError("FormationViolation", wrong)
        return self._on_call(action, payload)

    async def call(self, action: str, payload: Mapping[str, Any]) -> Json:
        """Call the central system; one call at a time.

        Raises:
            CallError: it was refused, or answered by what the schema does not allow.
            LinkDownError: there is no connection, it was lost, or no answer came in time.
        """
        async with self._calling:
            connection = self._connection
            if connection is None:
                raise LinkDownError("not connected")
            message_id = str(uuid.uuid4())
            future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
            self._waiting[message_id] = future
            try:
                async with asyncio.timeout(self.config.call_timeout_s):
                    await connection.send(
                        json.dumps([_CALL, message_id, action, payload])
                    )
                    answer = await future
            except TimeoutError as error:
                raise LinkDownError(f"no answer to {action}") from error
            except ConnectionClosed as error:
                raise LinkDownError("the connection was lost") from error
            finally:
                self._waiting.pop(message_id, None)
        exact = json.loads(json.dumps(answer), parse_float=Decimal)
        if (
            wrong := complaint(self.config.subprotocol, action, exact, answer=True)
        ) is not None:
            self.complaints.append(wrong)
            raise CallError("FormationViolation", wrong)
        return answer

    def disconnect(self) -> None:
        """Drop the connection and stay away until `reconnect`."""
        self._wanted.clear()
        self.drop()

    def reconnect(self) -> None:
        """Connect again."""
        self._wanted.set()

    def drop(self) -> None:
        """Lose the connection, as a bad network does: without a closing handshake."""
        if self._connection is not None:
            self._connection.transport.abort()

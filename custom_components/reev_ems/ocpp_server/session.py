"""One WebSocket connection of a charge point: frames in, frames out, calls matched with their answers.

The state of the connection ends with it. Whatever a charge point sends costs at most its own connection: frames are
bounded, a flood is slowed down, and each call that waits is failed when the socket goes.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
import json
import logging
import time
from typing import Protocol
import uuid

import orjson
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from . import keepalive
from .fields import MissingField
from .model import CallError, Payload
from .pace import Pace, price
from .schemas import Schemas
from .turns import Turns

_LOGGER = logging.getLogger(__name__)

CALL_TIMEOUT_S = 30.0
"""From asking to answered, the wait behind other calls included, so that timeouts do not add up."""

_SEND_TIMEOUT_S = 10.0
_WAITING_CALLS = 32
_CHECKED_FIRST = 3
_CHECKED_THEN = 20
_REMEMBERED_ANSWERS = 16
_MALFORMED_FRAMES = 50
_MESSAGE_ID_LIMIT = 128
"""The standard says 36; some chargers send more."""
_DEPTH_LIMIT = 64

_CALL, _RESULT, _ERROR, _RESULT_ERROR, _SEND = 2, 3, 4, 5, 6

QUEUED_BY_CHARGER = frozenset(
    {
        "StartTransaction",
        "StopTransaction",
        "MeterValues",
        "StatusNotification",
        "TransactionEvent",
    }
)
"""A charge point repeats these until they are answered well; an error would jam its queue for ever."""


class Peer(Protocol):
    """Our side of the connection: it answers the charge point."""

    async def handle(
        self, session: Session, action: str, payload: Payload
    ) -> Payload | None:
        """Answer a request; None: there is no such action. Raises MissingField."""

    def empty_answer(self, session: Session, action: str) -> Payload:
        """Return the answer that makes a charge point drop a queued message that is of no use."""

    def disconnected(self, session: Session) -> None:
        """The connection is gone."""


class _Line:
    """Lets one call at a time through; urgent ones first."""

    def __init__(self) -> None:
        self._busy = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, *, urgent: bool) -> AsyncIterator[None]:
        """Wait for the turn and hold it."""
        if self._busy:
            await self._wait(self._urgent if urgent else self._others)
        self._busy = True
        try:
            yield
        finally:
            self._next()

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        if len(queue) >= _WAITING_CALLS:
            raise CallError("busy")
        waiter = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._next()
            elif waiter in queue:
                queue.remove(waiter)
            raise

    def _next(self) -> None:
        for queue in (self._urgent, self._others):
            while queue:
                waiter = queue.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
        self._busy = False


class Session:
    """A charge point's connection, from the handshake to its end."""

    def __init__(
        self,
        connection: ServerConnection,
        peer: Peer,
        *,
        charge_point_id: str,
        version: str,
        offered: Collection[str] = (),
        schemas: Schemas,
        turns: Turns,
        pace: Pace,
    ) -> None:
        """Take over an open connection; `run` serves it.

        `offered` are the OCPP versions among which the charge point let us choose.
        """
        self.peer = peer
        self.charge_point_id = charge_point_id
        self.version = version
        self.offered = offered
        self.address: str | None = (connection.remote_address or (None,))[0]
        self.throttled = 0
        self.malformed = 0
        self._connection = connection
        self._schemas = schemas
        self._turns = turns
        self._pace = pace
        self._line = _Line()
        self._pending: dict[str, tuple[str, asyncio.Future[Payload]]] = {}
        self._answers: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._reported: set[tuple[str, str]] = set()
        self._seen: dict[str, int] = {}
        self._closed = False
        self._heard_s = 0.0

    @property
    def open(self) -> bool:
        """Whether calls can still go out."""
        return not self._closed

    async def run(self) -> None:
        """Serve the connection until it closes."""
        watching = asyncio.get_running_loop().create_task(
            keepalive.watch(self._connection, lambda: self._heard_s)
        )
        try:
            while True:
                frame = await self._connection.recv()
                self._heard_s = time.monotonic()
                if not await self._throttle(1.0):
                    # What it said before, many hundreds of messages perhaps, it will say again.
                    break
                await self._turns.take()
                await self._receive(frame)
        except ConnectionClosed as error:
            _LOGGER.debug("%s: connection closed: %s", self.charge_point_id, error)
        finally:
            watching.cancel()
            self._closed = True
            for action, future in self._pending.values():
                if not future.done():
                    _fail(future, CallError("disconnected", action))
            self._pending.clear()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection. Returns at the latest after the close timeout of the server."""
        self._closed = True
        await self._connection.close(code, reason)

    async def answers_ping(self, timeout_s: float) -> bool:
        """Return whether somebody is at the other end."""
        try:
            async with asyncio.timeout(timeout_s):
                await (await self._connection.ping())
        except TimeoutError, ConnectionClosed:
            return False
        return True

    async def call(
        self,
        action: str,
        payload: Payload | Callable[[], Payload],
        *,
        urgent: bool = False,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Payload:
        """Ask the charge point and return its answer.

        One call is under way at a time; urgent ones go before the others. A payload that is a function is built
        when it is its turn, so that the newest goes out. Raises CallError.
        """
        try:
            async with asyncio.timeout(timeout_s), self._line.turn(urgent=urgent):
                await self._turns.take()
                return await self._exchange(
                    action, payload() if callable(payload) else payload
                )
        except TimeoutError as error:
            raise CallError("timeout", action) from error

    async def _exchange(self, action: str, payload: Payload) -> Payload:
        if self._closed:
            raise CallError("disconnected", action)
        message_id = uuid.uuid4().hex
        future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self._pending[message_id] = (action, future)
        try:
            await self._send([_CALL, message_id, action, payload])
            answer = await future
        finally:
            self._pending.pop(message_id, None)
        self._report_violation(
            action, "answer", self._schemas.response_violation(action, answer)
        )
        return answer

    async def _send(self, message: list[object]) -> None:
        await self._send_text(orjson.dumps(message).decode())

    async def _send_text(self, frame: str) -> None:
        """Send a frame; a reader that does not read loses its connection."""
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await self._connection.send(frame)
        except TimeoutError:
            _LOGGER.warning(
                "%s does not read what it is sent; closing", self.charge_point_id
            )
            self._connection.transport.abort()
            raise CallError("disconnected") from None
        except ConnectionClosed:
            raise CallError("disconnected") from None

    async def _throttle(self, tokens: float) -> bool:
        """Wait until a request is paid for; False if nobody is there any more to hear its answer."""
        if (wait_s := self._pace.pay(tokens)) <= 0.0:
            return True
        self.throttled += 1
        try:
            async with asyncio.timeout(wait_s):
                await self._connection.wait_closed()
        except TimeoutError:
            return True
        return False

    async def _receive(self, frame: str | bytes) -> None:
        message = _parse(frame)
        match message:
            case [int(kind), str(message_id), *rest] if (
                0 < len(message_id) <= _MESSAGE_ID_LIMIT and message_id.isprintable()
            ):
                pass
            case _:
                await self._malformed("no OCPP message")
                return
        match kind, rest:
            case 2, [str(action), payload, *_]:
                await self._answer(message_id, action, payload, hash(frame))
            case 3, [payload, *_]:
                self._result(message_id, payload)
            case 4, _:
                self._error(message_id, rest)
            case ((5 | 6), _):
                # OCPP 2.1: unconfirmed messages and errors about our answers; neither is answered.
                _LOGGER.debug(
                    "%s: message of type %s dropped", self.charge_point_id, kind
                )
            case _:
                await self._malformed("unknown kind of message")

    async def _malformed(self, what: str) -> None:
        self.malformed += 1
        _LOGGER.debug("%s: %s", self.charge_point_id, what)
        if self.malformed >= _MALFORMED_FRAMES:
            _LOGGER.warning(
                "%s sent %s malformed frames; closing",
                self.charge_point_id,
                self.malformed,
            )
            await self._connection.close(1008, "too many malformed frames")

    def _result(self, message_id: str, payload: object) -> None:
        action, future = self._pending.get(message_id, ("", None))
        if future is None or future.done():
            _LOGGER.debug("%s: answer to nothing dropped", self.charge_point_id)
        elif isinstance(payload, dict):
            future.set_result(payload)
        else:
            _fail(future, CallError("invalid_answer", action))

    def _error(self, message_id: str, rest: list[object]) -> None:
        action, future = self._pending.get(message_id, ("", None))
        if future is None or future.done():
            _LOGGER.debug("%s: error to nothing dropped", self.charge_point_id)
            return
        code, description = [str(part)[:200] for part in [*rest, "", ""][:2]]
        _fail(
            future,
            CallError(
                "refused", f"{action}: {code} {description}".strip(), status=code
            ),
        )

    async def _answer(
        self, message_id: str, action: str, payload: object, fingerprint: int
    ) -> None:
        """Answer a request, a repeated one as before."""
        known = self._answers.get(message_id)
        if known and known[0] == fingerprint:
            answer = known[1]
        else:
            if not await self._throttle(price(action, payload) - 1.0):
                return
            message = await self._handle(message_id, action, payload)
            if message is None:
                return
            answer = orjson.dumps(message).decode()
            if action != "Heartbeat":
                # A charge point that counts no messages would be told the time of its first one for ever.
                self._answers[message_id] = (fingerprint, answer)
            if len(self._answers) > _REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        try:
            await self._send_text(answer)
        except CallError:
            self._closed = True

    async def _handle(
        self, message_id: str, action: str, payload: object
    ) -> list[object] | None:
        """Return the CALLRESULT or CALLERROR for a request; None: no answer, so that it is sent again."""
        body = payload if isinstance(payload, dict) else {}
        if self._is_to_be_checked(action):
            self._report_violation(
                action, "request", self._schemas.request_violation(action, body)
            )
        description = ""
        try:
            result = await self.peer.handle(self, action, body)
            if result is not None:
                return [_RESULT, message_id, result]
            code = "NotImplemented"
        except MissingField as error:
            # 1.6 has a spelling of its own, to be kept.
            code = (
                "OccurenceConstraintViolation"
                if self.version == "1.6"
                else "OccurrenceConstraintViolation"
            )
            description = str(error)
        except OSError as error:
            # The disk is full or broken. What is not recorded is not acknowledged (S11).
            _LOGGER.error(
                "%s: %s cannot be recorded: %s",
                self.charge_point_id,
                action[:50],
                error,
            )
            return None
        except Exception:
            _LOGGER.exception(
                "%s: %s could not be handled", self.charge_point_id, action[:50]
            )
            code = "InternalError"
        if action in QUEUED_BY_CHARGER:
            return [_RESULT, message_id, self.peer.empty_answer(self, action)]
        return [_ERROR, message_id, code, description, {}]

    def _is_to_be_checked(self, action: str) -> bool:
        """Whether to hold a request against its schema: the first ones of a kind, then now and then.

        Nothing depends on it but a line in the log, and for MeterValues it would cost more than all else together.
        """
        if action not in self._schemas.requests:
            return False
        seen = self._seen[action] = self._seen.get(action, 0) + 1
        return seen <= _CHECKED_FIRST or seen % _CHECKED_THEN == 0

    def _report_violation(self, action: str, what: str, violation: object) -> None:
        """Say once per kind that a charge point breaks the schema; what is harmless is tolerated."""
        if violation is None:
            return
        path = ".".join(str(part) for part in getattr(violation, "absolute_path", ()))
        kind = (action, path)
        if kind not in self._reported and len(self._reported) < 100:
            self._reported.add(kind)
            _LOGGER.info(
                "%s: %s %s breaks the schema at %s (%s)",
                self.charge_point_id,
                action,
                what,
                path[:100] or "its top",
                getattr(violation, "validator", ""),
            )


def _fail(future: asyncio.Future[Payload], error: CallError) -> None:
    """Fail a call; who waited for it may be gone by now, and then nobody asks why."""
    future.set_exception(error)
    future.exception()


def _parse(frame: str | bytes) -> object:
    """Return what a frame says; None if it is no JSON, or too deep."""
    try:
        message: object = orjson.loads(frame)
    except orjson.JSONDecodeError:
        # NaN, lone surrogates and the like: not JSON, but some chargers send them.
        try:
            message = json.loads(frame, parse_constant=lambda _: None)
        except ValueError, RecursionError:
            return None
    return None if _too_deep(message) else message


def _too_deep(message: object) -> bool:
    level: list[object] = [message]
    for _ in range(_DEPTH_LIMIT):
        level = [
            child
            for item in level
            if isinstance(item, list | dict)
            for child in (item.values() if isinstance(item, Mapping) else item)
            if isinstance(child, list | dict)
        ]
        if not level:
            return False
    return True

"""What a charge point wants to tell, and in which order.

News (status, heartbeat, authorization) are for now or never. Records (what happened in transactions) are kept while
there is no connection, are sent one after the other, and again if they are refused.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
import logging
from typing import Any

from .link import CallError, Json, Link, LinkDownError

_LOGGER = logging.getLogger(__name__)

_MOST_NEWS = 1000
_MOST_RECORDS = 10000
"""More cannot be kept while offline; then the oldest that may be missed give way."""

_LOOK_AGAIN_S = 0.5
"""How long it may take until a record is tried again after its pause."""


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """Something to tell the central system; the payload is made when it is sent."""

    action: str
    payload: Callable[[], Mapping[str, Any] | None]
    """None: not worth sending any more."""
    on_answer: Callable[[Json], None] = lambda answer: None
    on_loss: Callable[[], None] = lambda: None
    before_accepted: bool = False
    """Whether it may be sent before the charge point is registered."""
    may_be_missed: bool = False
    """A record that gives way first: the next one says nearly the same."""
    attempts: int = 0


class Outbox:
    """The two queues of a charge point.

    Args:
        link: the connection.
        accepted: whether the charge point is registered.
    """

    def __init__(self, link: Link, accepted: Callable[[], bool]) -> None:
        """Start empty; `run` sends."""
        self.attempts = 3
        """How often a refused record is sent."""
        self.retry_s = 10.0
        """Pause after a refusal; it grows with each attempt."""
        self.sent: dict[str, int] = {}
        """How many messages of each action were answered."""
        self._link = link
        self._accepted = accepted
        self._news: deque[Message] = deque(maxlen=_MOST_NEWS)
        self._records: deque[Message] = deque()
        self._work = asyncio.Event()
        self._retry_at_s = 0.0

    @property
    def records_waiting(self) -> int:
        """How many records still have to be sent."""
        return len(self._records)

    def tell(self, message: Message) -> None:
        """Send news."""
        self._news.append(message)
        self._work.set()

    def record(self, message: Message) -> None:
        """Keep a record until it was sent."""
        if len(self._records) >= _MOST_RECORDS:
            oldest = next(
                (kept for kept in self._records if kept.may_be_missed), self._records[0]
            )
            self._records.remove(oldest)
        self._records.append(message)
        self._work.set()

    def wake(self) -> None:
        """Look again: there is a connection, or the charge point was registered."""
        self._work.set()

    def lose_news(self) -> None:
        """Forget the news: there is nobody to hear them."""
        lost = list(self._news)
        self._news.clear()
        for message in lost:
            message.on_loss()

    async def run(self) -> None:
        """Send, until cancelled."""
        while True:
            following = self._next()
            if following is not None:
                await self._send(*following)
                continue
            self._work.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._work.wait()

    def _next(self) -> tuple[Message, bool] | None:
        """Return what to send now, and whether it is a record."""
        if not self._link.up:
            return None
        for message in self._news:
            if message.before_accepted or self._accepted():
                self._news.remove(message)
                return message, False
        if self._accepted() and self._records and _now_s() >= self._retry_at_s:
            return self._records[0], True
        return None

    async def _send(self, message: Message, is_record: bool) -> None:
        payload = message.payload()
        if payload is None:
            self._forget(message)
            return
        try:
            answer = await self._link.call(message.action, payload)
        except LinkDownError as error:
            _LOGGER.debug(
                "%s: %s: %s", self._link.config.identity, message.action, error
            )
            # With the connection, a record is not refused but not sent.
            if is_record and not self._link.up:
                return
            self._failed(message, is_record)
        except CallError as error:
            _LOGGER.info(
                "%s: %s refused: %s", self._link.config.identity, message.action, error
            )
            self._failed(message, is_record)
        else:
            self._forget(message)
            self.sent[message.action] = self.sent.get(message.action, 0) + 1
            message.on_answer(answer)

    def _failed(self, message: Message, is_record: bool) -> None:
        """Drop news; count an attempt of a record, and give it up after too many."""
        message.attempts += 1
        if is_record and message.attempts < self.attempts:
            self._retry_at_s = _now_s() + self.retry_s * message.attempts
            return
        self._forget(message)
        message.on_loss()

    def _forget(self, message: Message) -> None:
        # A record is the first, unless it gave way to newer ones meanwhile.
        if self._records and self._records[0] is message:
            self._records.popleft()


def _now_s() -> float:
    return asyncio.get_running_loop().time()

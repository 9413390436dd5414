"""A charge point that knocks while pairing is open: told to wait, shown to the person, charging nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from . import fields
from .connections import network
from .dialect import PENDING_INTERVAL_S, Dialect
from .model import Payload, UnknownChargePoint
from .session import Session


class Guest:
    """Answers for a charge point that is not adopted."""

    def __init__(
        self,
        unknown: UnknownChargePoint,
        dialect: type[Dialect],
        *,
        now: Callable[[], datetime],
        seen: Callable[[UnknownChargePoint], None],
        since_s: float,
    ) -> None:
        """Remember what it says about itself by calling `seen`; it came at `since_s`, a monotonic time."""
        self.introduced = False
        """Whether it has said what it is."""
        self.since_s = since_s
        self.place = network(unknown.address or "")
        self.session: Session | None = None
        self._unknown = unknown
        self._dialect = dialect
        self._now = now
        self._seen = seen

    async def handle(
        self, session: Session, action: str, payload: Payload
    ) -> Payload | None:
        """Answer so that it stays and asks again, and so that nothing is charged."""
        self._unknown = replace(self._unknown, last_seen=self._now())
        dialect = self._dialect
        answer: Payload | None
        if action == "BootNotification":
            self.introduced = True
            told = dialect.boot_info(payload)
            self._unknown = replace(
                self._unknown,
                vendor=told.vendor,
                model=told.model,
                serial=told.serial,
                firmware=told.firmware,
            )
            answer = {
                "status": "Pending",
                "currentTime": fields.timestamp(self._now()),
                "interval": PENDING_INTERVAL_S,
            }
        elif action == "Heartbeat":
            answer = {"currentTime": fields.timestamp(self._now())}
        else:
            answer = dialect.turn_away(action, payload)
        self._seen(self._unknown)
        return answer

    def empty_answer(self, session: Session, action: str) -> Payload:
        """Return the answer that makes it drop a queued message."""
        return self._dialect.empty_answer(action)

    def disconnected(self, session: Session) -> None:
        """The connection is gone; what it said stays listed while pairing is open."""

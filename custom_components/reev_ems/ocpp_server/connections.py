"""Counts sockets before anything is read from them, and drops at once those that are too many (S12)."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, override

from websockets.asyncio.server import ServerConnection

_MAX_HANDSHAKES = 600
"""Sockets that have not come as far as being served."""
_SPARE_PER_ADDRESS = 50
"""Sockets of one address beyond twice the adopted charge points: these may all be behind one router, and dial in anew
before their old sockets are known to be dead."""


class Connections:
    """The sockets of one server."""

    def __init__(self, adopted: Callable[[], int]) -> None:
        """Take what tells the number of adopted charge points."""
        self.dropped = 0
        """Sockets that were too many."""
        self._adopted = adopted
        self._unserved: set[ServerConnection] = set()
        self._by_address: Counter[str] = Counter()

    def make(self, *args: Any, **kwargs: Any) -> ServerConnection:
        """Return what `websockets` keeps for a new socket."""
        return _Connection(self, *args, **kwargs)

    def served(self, connection: ServerConnection) -> None:
        """Note that a handshake has succeeded."""
        self._unserved.discard(connection)

    def joined(self, connection: ServerConnection, address: str) -> bool:
        """Count a new socket; False if it is one too many."""
        self._unserved.add(connection)
        self._by_address[address] += 1
        allowed = 2 * self._adopted() + _SPARE_PER_ADDRESS
        fits = (
            len(self._unserved) <= _MAX_HANDSHAKES
            and self._by_address[address] <= allowed
        )
        self.dropped += not fits
        return fits

    def left(self, connection: ServerConnection, address: str) -> None:
        """Forget a socket that is gone."""
        self._unserved.discard(connection)
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]


class _Connection(ServerConnection):
    """A connection that is dropped at once where there are too many.

    Otherwise whoever opens sockets and says nothing would hold them all for the time of a handshake.
    """

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        """Join the connections of the same server."""
        super().__init__(*args, **kwargs)
        self._connections = connections
        self._address = ""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take or drop a socket."""
        super().connection_made(transport)
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._connections.joined(self, self._address) and isinstance(
            transport, asyncio.Transport
        ):
            transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._connections.left(self, self._address)
        super().connection_lost(exc)

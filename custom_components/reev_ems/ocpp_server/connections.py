"""Counts sockets before anything is read from them, and drops at once those that are too many (S12)."""

import asyncio
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any, override

from websockets.asyncio.server import ServerConnection

_MAX_HANDSHAKES = 600
"""Sockets that have not come as far as being served."""
_SPARE_PER_ADDRESS = 50
"""Sockets of one address beyond twice the adopted charge points: these may all be behind one router, and dial in anew
before their old sockets are known to be dead."""
_PREFIX_BYTES = 8


def network(address: str) -> str:
    """Return what stands for one machine: of IPv6 the first half, since one machine has as many addresses as it likes."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:_PREFIX_BYTES].hex()


class Connections:
    """The sockets of one server.

    Where there are too many, the oldest that has not come as far as being served gives way to the new one: of the same
    address, or of the one that has the most of them. Who holds sockets and says nothing keeps out nobody but itself.
    """

    def __init__(self, adopted: Callable[[], int]) -> None:
        """Take what tells the number of adopted charge points."""
        self.dropped = 0
        """Sockets that were too many."""
        self._adopted = adopted
        self._unserved: dict[str, dict[ServerConnection, None]] = {}
        """By address, the oldest first."""
        self._by_address: Counter[str] = Counter()

    def make(self, *args: Any, **kwargs: Any) -> ServerConnection:
        """Return what `websockets` keeps for a new socket."""
        return _Connection(self, *args, **kwargs)

    def served(self, connection: ServerConnection) -> None:
        """Note that a handshake has succeeded."""
        address = network(str((connection.remote_address or ("",))[0]))
        self._forget(connection, address)

    def joined(self, connection: ServerConnection, address: str) -> None:
        """Count a new socket, and drop one if that is one too many."""
        waiting = self._unserved.setdefault(address, {})
        waiting[connection] = None
        self._by_address[address] += 1
        crowd = None
        if self._by_address[address] > 2 * self._adopted() + _SPARE_PER_ADDRESS:
            crowd = address
        elif sum(map(len, self._unserved.values())) > _MAX_HANDSHAKES:
            crowd = max(self._unserved, key=lambda each: len(self._unserved[each]))
        if crowd is not None:
            self.dropped += 1
            oldest = next(iter(self._unserved[crowd]))
            self._forget(oldest, crowd)
            oldest.transport.abort()

    def left(self, connection: ServerConnection, address: str) -> None:
        """Forget a socket that is gone."""
        self._forget(connection, address)
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    def _forget(self, connection: ServerConnection, address: str) -> None:
        waiting = self._unserved.get(address, {})
        waiting.pop(connection, None)
        if not waiting:
            self._unserved.pop(address, None)


class _Connection(ServerConnection):
    """A connection that is counted from its first moment."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        """Join the connections of the same server."""
        super().__init__(*args, **kwargs)
        self._connections = connections
        self._address = ""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count a socket."""
        super().connection_made(transport)
        peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._address = network(peer)
        self._connections.joined(self, self._address)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._connections.left(self, self._address)
        super().connection_lost(exc)

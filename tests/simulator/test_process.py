"""Ports for processes that start later."""

import asyncio

import pytest

from simulator.process import ReservedPort

OTHERS = 50


@pytest.mark.usefixtures("socket_enabled")
async def test_reserved_port_is_free_for_its_server_alone() -> None:
    """The server that names it gets it, though others asked for any port meanwhile; the next wish for it fails."""
    reserved = ReservedPort()
    others = [ReservedPort() for _ in range(OTHERS)]
    assert reserved.number not in {other.number for other in others}

    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", reserved.number
    )
    async with server:
        assert server.sockets[0].getsockname()[1] == reserved.number
        assert ReservedPort(reserved.number).number != reserved.number
    for port in (reserved, *others):
        port.release()

"""What the security settings of a port change while it runs."""

import base64
from pathlib import Path
import ssl
from typing import Any

import pytest
from websockets.exceptions import InvalidHandshake, InvalidStatus

from custom_components.reev_ems.ocpp_server import OcppServer, tls

from .wire import WireChargePoint


def login(user: str, password: str) -> dict[str, dict[str, str]]:
    """Return what a charge point's connection carries to log in."""
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"additional_headers": {"Authorization": f"Basic {credentials}"}}


async def test_s12_a_port_that_demands_passwords(
    server: OcppServer, adopt: Any, dial: Any
) -> None:
    """With security profile 1 nobody comes in without one."""
    adopt()
    await (await dial()).close()
    server.demands_password = True
    with pytest.raises(InvalidStatus) as refused:
        await dial()
    assert refused.value.response.status_code == 401
    adopt(password="correct horse 17")
    await (await dial(**login("CP1", "correct horse 17"))).close()


async def test_s12_former_password(server: OcppServer, adopt: Any, dial: Any) -> None:
    """A charge point that has not taken its new password gets in; it is known which of the two was used."""
    adopt(password="new password 123", former_password="old password 123")
    assert not server.knows_password("CP1")
    await (await dial(**login("CP1", "old password 123"))).close()
    assert not server.knows_password("CP1")
    with pytest.raises(InvalidStatus):
        await dial(**login("CP1", "new password"))
    await (await dial(**login("CP1", "new password 123"))).close()
    assert server.knows_password("CP1")
    adopt(password="new password 123")
    with pytest.raises(InvalidStatus):
        await dial(**login("CP1", "old password 123"))
    assert server.knows_password("CP1")
    server.remove("CP1")
    assert not server.knows_password("CP1")


async def test_s12_encryption_is_switched_on(
    server: OcppServer, adopt: Any, dial: Any, tmp_path: Path
) -> None:
    """Nobody stays connected in the clear, and the same charge point goes on encrypted."""
    point, _ = adopt()
    plain = await dial()
    port = server.port
    authority = tls.Authority.load_or_create(tmp_path)
    files = authority.server_certificate(("127.0.0.1",))
    await server.listen_anew("127.0.0.1", tls.context(*files))
    assert server.port == port
    await plain.closed()
    assert not point.connected
    with pytest.raises((InvalidHandshake, OSError, EOFError)):
        await WireChargePoint().connect(f"ws://127.0.0.1:{port}/CP1")
    client = WireChargePoint()
    trust = ssl.create_default_context(cafile=authority.path)
    await client.connect(f"wss://127.0.0.1:{port}/CP1", ssl=trust)
    await client.ask("Heartbeat")
    assert point.connected
    await client.close()

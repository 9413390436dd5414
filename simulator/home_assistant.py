"""A real Home Assistant in a process of its own, prepared with a user and driven through its public API."""

import asyncio
from collections.abc import Mapping
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import aiohttp

PROJECT = Path(__file__).resolve().parent.parent
USER = "demo"
PASSWORD = "demo"
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60
REQUEST_TIMEOUT_S = 60

# No `default_config:`: it brings the cloud and voice along.
CONFIGURATION = """\
homeassistant:
  name: reev EMS demo
  country: DE
  language: en
  currency: EUR
  unit_system: metric
  time_zone: Europe/Berlin
  latitude: 48.137
  longitude: 11.575
frontend:
config:
history:
logbook:
energy:
recorder:
system_health:
logger:
  default: warning
  logs:
    custom_components.reev_ems: info
"""

DASHBOARD = """\
lovelace:
  dashboards:
    demo-site:
      mode: yaml
      filename: dashboard.yaml
      title: Demo site
      icon: mdi:ev-station
      show_in_sidebar: true
"""


class HomeAssistantError(Exception):
    """Home Assistant did not start, or refused a request."""


class HomeAssistant:
    """Home Assistant on loopback with our integration; `python` is the interpreter it is installed for."""

    def __init__(
        self,
        config_dir: Path,
        *,
        port: int,
        python: str = sys.executable,
        dashboard: Path | None = None,
    ) -> None:
        """Initialize; prepare() writes the configuration, start() the process."""
        self.config_dir = config_dir
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = config_dir / "process.log"
        self._python = python
        self._dashboard = dashboard
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    def prepare(self) -> None:
        """Write a fresh configuration with a user who is past the onboarding."""
        shutil.rmtree(self.config_dir, ignore_errors=True)
        storage = self.config_dir / ".storage"
        storage.mkdir(parents=True)
        configuration = CONFIGURATION
        if self._dashboard:
            configuration += DASHBOARD
            shutil.copy(self._dashboard, self.config_dir / "dashboard.yaml")
        (self.config_dir / "configuration.yaml").write_text(configuration)
        (self.config_dir / "custom_components").symlink_to(
            PROJECT / "custom_components"
        )
        _write_store(
            storage / "onboarding",
            version=4,
            data={"done": ["user", "core_config", "analytics", "integration"]},
        )
        # A port in YAML is on trial only and reverts after five minutes.
        _write_store(
            storage / "http",
            version=3,
            data={
                "stable": {
                    "server_host": ["127.0.0.1"],
                    "server_port": self.port,
                    "cors_allowed_origins": [],
                    "login_attempts_threshold": -1,
                    "ip_ban_enabled": False,
                    "ssl_profile": "intermediate_v6",
                    "use_x_frame_options": True,
                    "created_at": "2026-01-01T00:00:00+00:00",
                    "error": None,
                    "error_message": None,
                },
                "pending": None,
                "yaml_migration_done": True,
            },
        )
        self._run("--script", "auth", "-c", str(self.config_dir), "add", USER, PASSWORD)

    def _run(self, *arguments: str) -> None:
        """Run one of Home Assistant's scripts to its end."""
        result = subprocess.run(
            [self._python, "-m", "homeassistant", *arguments],
            capture_output=True,
            check=False,
            text=True,
            timeout=START_TIMEOUT_S,
        )
        if result.returncode:
            raise HomeAssistantError(result.stderr.strip() or result.stdout.strip())

    async def start(self) -> None:
        """Start the process, wait until it answers, log in."""
        environment = os.environ | {
            "PATH": f"{Path(self._python).parent}:{os.environ['PATH']}"
        }
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(self._python, "-m", "homeassistant", "-c", str(self.config_dir)),
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                await self._log_in()
                if (await self.get("/api/config"))["state"] == "RUNNING":
                    return
            except aiohttp.ClientError, HomeAssistantError:
                await self._close_session()
            if self._process.returncode is not None or time.monotonic() > deadline:
                tail = self.log_path.read_text().splitlines()[-200:]
                raise HomeAssistantError(
                    "Home Assistant did not start:\n" + "\n".join(tail)
                )
            await asyncio.sleep(0.25)

    @property
    def pid(self) -> int | None:
        """The process; None: it does not run."""
        process = self._process
        return (
            None if process is None or process.returncode is not None else process.pid
        )

    async def stop(self) -> None:
        """Stop it as a person would, and wait for its end."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it without a chance to clean up."""
        await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> None:
        """End the process and all that it started."""
        await self._close_session()
        if (process := self._process) is None:
            return
        self._process = None
        if process.returncode is not None:
            return
        os.killpg(process.pid, number)
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _close_session(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def _log_in(self) -> None:
        """Get an access token the way the frontend does."""
        if self._session:
            return
        self.token = await log_in(self.url)
        self._session = aiohttp.ClientSession(
            self.url,
            headers={"Authorization": f"Bearer {self.token['access_token']}"},
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
        )

    async def get(self, path: str) -> Any:
        """GET a JSON resource."""
        return await self._request("GET", path)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST JSON and return the JSON answer."""
        return await self._request("POST", path, json=body)

    async def delete(self, path: str) -> Any:
        """DELETE a resource."""
        return await self._request("DELETE", path)

    async def _request(self, method: str, path: str, **arguments: Any) -> Any:
        if self._session is None:
            raise HomeAssistantError("not running")
        async with self._session.request(method, path, **arguments) as response:
            text = await response.text()
            if response.status >= 400:
                raise HomeAssistantError(
                    f"{method} {path}: {response.status} {text[:500]}"
                )
            return json.loads(text) if text else None

    async def call(self, action: str, **data: Any) -> Any:
        """Perform an action, e.g. `number.set_value`."""
        domain, name = action.split(".")
        return await self.post(f"/api/services/{domain}/{name}", data)

    async def state(self, entity_id: str) -> str:
        """Return an entity's state."""
        return str((await self.get(f"/api/states/{entity_id}"))["state"])

    async def command(self, kind: str, **arguments: Any) -> Any:
        """Send a WebSocket command, e.g. `config/entity_registry/list`, and return its result."""
        if self._session is None:
            raise HomeAssistantError("not running")
        async with self._session.ws_connect("/api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json(
                {"type": "auth", "access_token": self.token["access_token"]}
            )
            await socket.receive_json()
            await socket.send_json({"id": 1, "type": kind, **arguments})
            answer = await socket.receive_json(timeout=REQUEST_TIMEOUT_S)
        if not answer["success"]:
            raise HomeAssistantError(f"{kind}: {answer['error']}")
        return answer["result"]

    async def run_flow(
        self, start: Mapping[str, Any], *inputs: Mapping[str, Any], kind: str = ""
    ) -> dict[str, Any]:
        """Walk a flow through its forms and return its last answer.

        `kind` is "" for config flows, "subentries/" or "options/" for those. A form that shows an error ends in
        HomeAssistantError, as does one that is left open.
        """
        base = f"/api/config/config_entries/{kind}flow"
        result: dict[str, Any] = await self.post(base, start)
        for user_input in inputs:
            if result["type"] not in ("form", "menu"):
                break
            result = await self.post(f"{base}/{result['flow_id']}", user_input)
            if result.get("errors"):
                raise HomeAssistantError(
                    f"step {result['step_id']}: {result['errors']} for {user_input}"
                )
        if result["type"] in ("form", "menu"):
            raise HomeAssistantError(
                f"the flow still asks for step {result['step_id']}"
            )
        return result


async def log_in(url: str) -> dict[str, Any]:
    """Log the prepared user in; return the answer of the token endpoint."""
    client_id = f"{url}/"
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    async with aiohttp.ClientSession(url, timeout=timeout) as session:
        flow = await _post(
            session,
            "/auth/login_flow",
            json={
                "client_id": client_id,
                "handler": ["homeassistant", None],
                "redirect_uri": client_id,
            },
        )
        result = await _post(
            session,
            f"/auth/login_flow/{flow['flow_id']}",
            json={"client_id": client_id, "username": USER, "password": PASSWORD},
        )
        return await _post(
            session,
            "/auth/token",
            data={
                "client_id": client_id,
                "grant_type": "authorization_code",
                "code": result["result"],
            },
        )


async def _post(
    session: aiohttp.ClientSession, path: str, **body: Any
) -> dict[str, Any]:
    async with session.post(path, **body) as response:
        if response.status >= 400:
            raise HomeAssistantError(f"{path}: {response.status}")
        answer: dict[str, Any] = await response.json()
        return answer


def _write_store(path: Path, *, version: int, data: Mapping[str, Any]) -> None:
    """Write a file of Home Assistant's own storage."""
    content = {"version": version, "minor_version": 1, "key": path.name, "data": data}
    path.write_text(json.dumps(content))

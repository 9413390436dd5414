"""The running site of the matrix: a real Home Assistant, the simulator, and what can be done to both."""

import asyncio
from collections.abc import Iterable
import os
from pathlib import Path
import random
import resource
import shutil
import signal
from typing import Any

import aiohttp

from simulator.demo import Demo
from simulator.home_assistant import HomeAssistantError
from tests.e2e.conftest import shorten_times

from .judge import Json
from .rows import Step

SITE_FILE = Path(__file__).parent / "sites/depot.yaml"
SESSIONS_FILE = "reev_ems_sessions.db"
_RUBBISH = b"\x00this is no file of ours\xff" * 500
_FULL_BYTES = 4096
"""On a full disk a file may still change, and one that is new and small finds room."""
_KILLS_APART_S = (2.0, 8.0)

type _Stores = dict[str, Path]


class Bench:
    """A commissioned site that is broken and mended."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        """Initialize; `start` takes about half a minute."""
        self.demo = Demo(folder / "site", SITE_FILE, "Depot")
        self.random = random.Random(seed)
        self._backup = folder / "backup"
        self._twists = {
            "term": self._term,
            "kill": self._kill,
            "start": self._start,
            "freeze": self._freeze,
            "kill_often": self._kill_often,
            "disk_full": self._disk_full,
            "disk_free": self._disk_free,
            "damage": self._damage,
            "newer": self._newer,
            "backup": self._back_up,
            "restore": self._restore,
            "fix": self._fix,
        }

    async def start(self) -> None:
        """Start everything and set the integration up."""
        await self.demo.start()
        await shorten_times(self.demo)

    async def stop(self) -> None:
        """Stop everything."""
        await self.demo.stop()

    @property
    def records_path(self) -> Path:
        """Where the session records are."""
        return self.demo.home_assistant.config_dir / SESSIONS_FILE

    async def state(self) -> Json:
        """Return the truth about the site."""
        return await self.demo.simulator.state()

    async def issues(self) -> frozenset[str] | None:
        """Return the translation keys of the repair issues that are shown; None: nobody can be asked."""
        try:
            found = await self.demo.home_assistant.command("repairs/list_issues")
        except HomeAssistantError, aiohttp.ClientError, TimeoutError, TypeError:
            return None
        return frozenset(
            issue["translation_key"]
            for issue in found["issues"]
            if issue["domain"] == "reev_ems" and not issue["ignored"]
        )

    def log_lines(self) -> list[str]:
        """Return the warnings and errors of the integration since it was installed."""
        path = self.demo.home_assistant.log_path
        return [
            line
            for line in path.read_text(errors="replace").splitlines()
            if "[custom_components.reev_ems" in line
            and (" WARNING " in line or " ERROR " in line)
        ]

    async def settle(self) -> None:
        """Light loads, every car plugged in, nobody limited to the floor."""
        for circuit, amps in (("main", 4), ("garage", 2)):
            await self.demo.simulator.command(
                "base_load", circuit=circuit, current_a=[amps] * 3
            )
        for name, charge_point in (await self.state())["charge_points"].items():
            if charge_point["connectors"]["1"]["transaction"] is None:
                await self.demo.simulator.command("unplug", connector=name)
                await asyncio.sleep(0.5)
                await self.demo.simulator.command("plug", connector=name)

    async def carry_out(self, steps: Iterable[Step]) -> None:
        """Carry out steps, one after the other."""
        for given in steps:
            step = dict(given)
            if "wait_s" in step:
                await asyncio.sleep(step["wait_s"])
            elif "ha" in step:
                await self._twists[step.pop("ha")](**step)
            elif "call" in step:
                await self.demo.home_assistant.call(step.pop("call"), **step)
            else:
                await self._command(step)

    async def _command(self, step: Step) -> None:
        name = step.pop("do")
        if step.pop("each", None) is None:
            await self.demo.simulator.command(name, **step)
            return
        for charge_point in (await self.state())["charge_points"]:
            await self.demo.simulator.command(name, charge_point=charge_point, **step)

    # What is done to Home Assistant.

    async def _term(self) -> None:
        await self.demo.home_assistant.stop()

    async def _kill(self) -> None:
        await self.demo.home_assistant.kill()

    async def _start(self) -> None:
        await self.demo.home_assistant.start()

    async def _freeze(self, seconds: float) -> None:
        """Let nothing of it run, as a blocked event loop or a machine that swaps."""
        pid = self.demo.home_assistant.pid
        assert pid is not None
        os.killpg(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.killpg(pid, signal.SIGCONT)

    async def _kill_often(self, times: int) -> None:
        """Kill it at random moments, also of its start."""
        for _ in range(times):
            await self.demo.home_assistant.kill()
            starting = asyncio.create_task(self.demo.home_assistant.start())
            await asyncio.wait(
                (starting,), timeout=self.random.uniform(*_KILLS_APART_S)
            )
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        await self.demo.home_assistant.kill()
        await self.demo.home_assistant.start()

    async def _disk_full(self) -> None:
        """Let no file of it grow any more."""
        self._limit_files(_FULL_BYTES)

    async def _disk_free(self) -> None:
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, size: int) -> None:
        pid = self.demo.home_assistant.pid
        if pid is not None:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def _stores(self) -> _Stores:
        folder = self.demo.home_assistant.config_dir
        return {
            "sessions": folder / SESSIONS_FILE,
            "controls": folder / ".storage" / f"reev_ems.{self.demo.entry_id}",
            "learnt": folder / ".storage/reev_ems.charge_points",
        }

    async def _damage(self, store: str) -> None:
        """Write rubbish over a file, while nobody has it open."""
        path = self._stores()[store]
        path.write_bytes(_RUBBISH)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    async def _newer(self, store: str) -> None:
        """Let a file say that a newer version wrote it."""
        path = self._stores()[store]
        text = path.read_text()
        path.write_text(text.replace('"version": 1', '"version": 9', 1))

    async def _back_up(self) -> None:
        """Copy what is on the disk, as a backup of a stopped Home Assistant."""
        shutil.rmtree(self._backup, ignore_errors=True)
        self._backup.mkdir(parents=True)
        for path in self._stores().values():
            shutil.copy(path, self._backup)

    async def _restore(self) -> None:
        for path in self._stores().values():
            shutil.copy(self._backup / path.name, path)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    async def _fix(self, issue: str) -> None:
        """Submit the dialog of a repair issue, as a person does who reads it and clicks once."""
        home_assistant = self.demo.home_assistant
        found = await home_assistant.command("repairs/list_issues")
        (issue_id,) = (
            each["issue_id"]
            for each in found["issues"]
            if each["translation_key"] == issue
        )
        flow = await home_assistant.post(
            "/api/repairs/issues/fix", {"handler": "reev_ems", "issue_id": issue_id}
        )
        await home_assistant.post(f"/api/repairs/issues/fix/{flow['flow_id']}", {})

    async def resources(self) -> dict[str, Any]:
        """Return the memory of Home Assistant (MiB) and the files that it has open."""
        pid = self.demo.home_assistant.pid
        status = Path(f"/proc/{pid}/status").read_text()
        resident = next(line for line in status.splitlines() if "VmRSS" in line)
        return {
            "memory_mib": int(resident.split()[1]) / 1024,
            "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        }

"""What many charge points cost inside a running Home Assistant.

    python -m benchmarks.scale_home_assistant --charge-points 500 --seconds 120

A real Home Assistant with a recorder runs the integration; charge points and the meter of the grid connection are in a
third process (scale_charge_points.py). Each charge point sends MeterValues every 10 s and changes its status every
minute: the car rests, then draws what it is permitted again, so that the load management has its hands full: those that
do not rest ask for 16 A each, and 7 A each are there, since those that rest may draw their 6 A again at any moment.
Measured are, inside Home Assistant, processor time, lag of the event loop and memory, less those of the same Home Assistant
without a site, and whether it grows; then all connections are cut at once, and it is measured how long it takes until every
charge point is back with a message answered and has been told its floor or a permit anew, and that no session was lost
or doubled.
"""

import argparse
import asyncio
import json
import math
import os
from pathlib import Path
import shutil
import sys
import tempfile
import time
from typing import Any

from simulator import home_assistant as harness
from simulator.home_assistant import PROJECT, HomeAssistant
from simulator.process import free_port

from . import scale_charge_points as charge_points

DOMAIN = "reev_ems"
LIMIT_A_EACH = 6.5
BOARD_SIZE = 50
SETTLE_S = 30.0
FIRST_START_TIMEOUT_S = 600
CONNECTED_TIMEOUT_S = 300.0
STORM_TIMEOUT_S = 120.0


class Others:
    """The process of the charge points and the meter, as seen from here."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self._process = process

    @classmethod
    async def start(cls, url: str, count: int) -> tuple[Others, int]:
        """Start it; return it with the meter's port. No charge point dials before `go`."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", charge_points.__name__, url, str(count)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
        )
        others = cls(process)
        return others, (await others._read())["meter_port"]

    async def go(self) -> None:
        """Let the charge points dial."""
        await self._write("go")

    async def report(self, since: float = 0.0) -> dict[str, Any]:
        """Return how they are; connected and answered count from a point in time of their clock."""
        await self._write(str(since))
        return await self._read()

    async def stop(self) -> None:
        """End it."""
        self._process.terminate()
        await self._process.wait()

    async def _write(self, line: str) -> None:
        if self._process.stdin is None:
            raise RuntimeError("no pipe")
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def _read(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("no pipe")
        async with asyncio.timeout(60):
            answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
            return answer


def entry_data(count: int, meter_port: int, ocpp_port: int) -> dict[str, Any]:
    """Return a config entry with its subentries as Home Assistant stores it."""
    at = "2026-01-01T00:00:00+00:00"
    subentries: list[dict[str, Any]] = [
        {
            "data": {
                "circuit": "main",
                "profile": charge_points.METER,
                "host": "127.0.0.1",
                "port": meter_port,
                "unit_id": 1,
                "poll_s": 1.0,
                "invert": False,
                "phase_order": ["L1", "L2", "L3"],
            },
            "subentry_id": "meter",
            "subentry_type": "meter",
            "title": "Grid meter",
            "unique_id": f"meter_127.0.0.1:{meter_port}/1",
        }
    ]
    limit_a = LIMIT_A_EACH * count + 30
    subentries += [
        {
            "data": {
                "parent": "main",
                "limit_a": [1.2 * LIMIT_A_EACH * BOARD_SIZE] * 3,
                "limit_w": None,
                "reserve_a": [0.0, 0.0, 0.0],
            },
            "subentry_id": f"board{board}",
            "subentry_type": "circuit",
            "title": f"Board {board}",
            "unique_id": None,
        }
        for board in range(-(-count // BOARD_SIZE))
    ]
    subentries += [
        {
            "data": {
                "charge_point_id": f"CP{number:04}",
                "circuit": f"board{number // BOARD_SIZE}",
                "connectors": [
                    {
                        "number": 1,
                        "supply": "ac",
                        "phases": ["L1", "L2", "L3"],
                        "phase_count": 3,
                        "can_switch_phases": False,
                        "min_a": 6.0,
                        "max_a": charge_points.WANTED_A,
                    }
                ],
            },
            "subentry_id": f"point{number:04}",
            "subentry_type": "charge_point",
            "title": f"Charge point {number}",
            "unique_id": f"charge_point_CP{number:04}",
        }
        for number in range(count)
    ]
    return {
        "created_at": at,
        "data": {"limit_a": [limit_a] * 3, "limit_w": None, "ocpp_port": ocpp_port},
        "disabled_by": None,
        "discovery_keys": {},
        "domain": DOMAIN,
        "entry_id": "scale",
        "minor_version": 1,
        "modified_at": at,
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": subentries,
        "title": "Scale",
        "unique_id": None,
        "version": 1,
    }


def prepare(home_assistant: HomeAssistant, entry: dict[str, Any] | None) -> None:
    """Write the configuration, with the probe and perhaps a site."""
    home_assistant.prepare()
    folder = home_assistant.config_dir
    custom = folder / "custom_components"
    custom.unlink()
    custom.mkdir()
    (custom / DOMAIN).symlink_to(PROJECT / "custom_components" / DOMAIN)
    (custom / "loop_probe").symlink_to(PROJECT / "benchmarks/loop_probe")
    with (folder / "configuration.yaml").open("a") as file:
        file.write("loop_probe:\n")
    if entry is not None:
        content = {
            "version": 1,
            "minor_version": 5,
            "key": "core.config_entries",
            "data": {"entries": [entry]},
        }
        (folder / ".storage/core.config_entries").write_text(json.dumps(content))


async def probe(
    home_assistant: HomeAssistant, name: str, **data: Any
) -> dict[str, Any]:
    """Ask the probe."""
    answer = await home_assistant.post(
        f"/api/services/loop_probe/{name}?return_response", data
    )
    response: dict[str, Any] = answer["service_response"]
    return response


async def idle(folder: Path, seconds: float) -> dict[str, Any]:
    """Return what Home Assistant costs without a site."""
    home_assistant = _home_assistant(folder)
    await asyncio.to_thread(prepare, home_assistant, None)
    await home_assistant.start()
    try:
        await asyncio.sleep(SETTLE_S / 2)
        await probe(home_assistant, "measure")
        await asyncio.sleep(seconds)
        return await probe(home_assistant, "measure")
    finally:
        await home_assistant.stop()


async def loaded(
    folder: Path, count: int, seconds: float, profile: Path | None
) -> dict[str, Any]:
    """Return what it costs with a site of many charge points, and how it stands a storm."""
    ocpp_port = free_port()
    others, meter_port = await Others.start(f"ws://127.0.0.1:{ocpp_port}", count)
    home_assistant = _home_assistant(folder)
    try:
        entry = entry_data(count, meter_port, ocpp_port)
        await asyncio.to_thread(prepare, home_assistant, entry)
        # The first start of all registers thousands of entities, an event each for the recorder to store: once for ever.
        await home_assistant.start()
        await home_assistant.stop()
        await home_assistant.start()
        await others.go()
        async with asyncio.timeout(CONNECTED_TIMEOUT_S):
            while (await others.report())["answered"] < count:
                await asyncio.sleep(1)
        await asyncio.sleep(SETTLE_S)
        if profile is not None:
            await probe(
                home_assistant, "profile", seconds=min(seconds, 50), file=str(profile)
            )
        await probe(home_assistant, "measure")
        sizes = await _watch(home_assistant, seconds)
        found = await probe(home_assistant, "measure")
        found |= {"sizes": sizes, "drawn_a": (await others.report())["drawn_a"]}
        before = await others.report()
        found["sessions"] = before["sessions"]
        await home_assistant.post(
            "/api/services/homeassistant/reload_config_entry", {"entry_id": "scale"}
        )
        await asyncio.sleep(10)
        reloaded = await others.report(before["at"])
        found["dropped_by_reload"] = reloaded["connected"]
        return found | await _storm(home_assistant, others, count)
    finally:
        await home_assistant.stop()
        await others.stop()


async def _watch(home_assistant: HomeAssistant, seconds: float) -> list[dict[str, Any]]:
    """Return the sizes of Home Assistant over so many seconds, one a minute."""
    sizes = [await probe(home_assistant, "sizes")]
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        await asyncio.sleep(min(left_s, 60.0))
        sizes.append(await probe(home_assistant, "sizes"))
    return sizes


async def _storm(
    home_assistant: HomeAssistant, others: Others, count: int
) -> dict[str, Any]:
    """Cut all connections at once by taking the site away for a moment, and wait until all are back."""
    await home_assistant.command(
        "config_entries/disable", entry_id="scale", disabled_by="user"
    )
    await asyncio.sleep(25)
    cut = await others.report()
    began_s = time.monotonic()
    took_s = steered_s = math.inf
    # They come back while the site is still being set up.
    enabling = asyncio.create_task(
        home_assistant.command(
            "config_entries/disable", entry_id="scale", disabled_by=None
        )
    )
    while math.isinf(steered_s) and time.monotonic() - began_s < STORM_TIMEOUT_S:
        await asyncio.sleep(0.2)
        state = await others.report(cut["at"])
        now_s = time.monotonic() - began_s
        if state["answered"] == count:
            took_s = min(took_s, now_s)
        if state["steered"] == count:
            steered_s = now_s
    await enabling
    history = await home_assistant.post(
        f"/api/services/{DOMAIN}/get_sessions?return_response", {}
    )
    sessions = history["service_response"]["sessions"]
    return {
        "storm_s": took_s,
        "steered_s": steered_s,
        "steered": state["steered"],
        "sessions_recorded": len(sessions),
        "sessions_ended": sum(item["stopped_at"] is not None for item in sessions),
    }


def _home_assistant(folder: Path) -> HomeAssistant:
    return HomeAssistant(
        folder / "home_assistant",
        port=free_port(),
        python=str(PROJECT / ".venv-demo/bin/python"),
    )


async def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--charge-points", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--profile", type=Path, help="write a cProfile of the loop")
    arguments = parser.parse_args()
    # Else Home Assistant takes the custom components of the working directory for its own.
    os.environ["PYTHONSAFEPATH"] = "1"
    # Thousands of entities are registered for the first time.
    harness.START_TIMEOUT_S = harness.REQUEST_TIMEOUT_S = FIRST_START_TIMEOUT_S
    folder = Path(tempfile.mkdtemp(prefix="reev-ems-scale-"))
    try:
        base = await idle(folder, arguments.seconds / 2)
        sys.stdout.write(f"without a site: {json.dumps(base)}\n")
        for _ in range(arguments.runs):
            found = await loaded(
                folder, arguments.charge_points, arguments.seconds, arguments.profile
            )
            sys.stdout.write(verdict(base, found))
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def verdict(base: dict[str, Any], found: dict[str, Any]) -> str:
    """Return the figures that count, and all of them."""
    return (
        f"{found['cpu_pct'] - base['cpu_pct']:.1f} % of a core (event loop alone "
        f"{found['loop_cpu_pct'] - base['loop_cpu_pct']:.1f} %), loop lag p50 {found['lag_p50_ms']:.1f} ms, "
        f"p99 {found['lag_p99_ms']:.1f} ms, max {found['lag_max_ms']:.0f} ms (longest garbage collection "
        f"{found['gc_max_ms']:.0f} ms), "
        f"memory {found['rss_mib'] - base['rss_mib']:.0f} MiB above {base['rss_mib']:.0f} MiB, "
        f"{found['states']} entities; reload dropped {found['dropped_by_reload']} connections; "
        f"all back after {found['storm_s']:.1f} s, steered after {found['steered_s']:.1f} s, "
        f"{found['sessions_recorded']} sessions, "
        f"{found['sessions_ended']} of them ended\n{json.dumps(found)}\n"
    )


if __name__ == "__main__":
    asyncio.run(main())

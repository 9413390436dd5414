"""Measures, inside Home Assistant, what an integration costs: processor time, event loop lag, memory.

Only for benchmarks; the action `loop_probe.measure` returns what happened since it was called last.
"""

import asyncio
import cProfile
import gc
from pathlib import Path
import threading
import time
from typing import Any

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType
from homeassistant.util.json import JsonObjectType

DOMAIN = "loop_probe"
CONFIG_SCHEMA = cv.empty_config_schema(DOMAIN)

LAG_CHECK_S = 0.01


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Begin to measure."""
    lags: list[float] = []

    async def watch() -> None:
        """Note how late the event loop is."""
        while True:
            began_s = time.perf_counter()
            await asyncio.sleep(LAG_CHECK_S)
            lags.append(time.perf_counter() - began_s - LAG_CHECK_S)

    hass.async_create_background_task(watch(), "loop probe")
    collections = _watch_collections()
    before = {"at": time.monotonic(), "cpu": time.process_time(), "loop": _loop_cpu_s()}

    async def measure(call: ServiceCall) -> ServiceResponse:
        """Return what happened since the last call."""
        found = sorted(lags) or [0.0]
        lags.clear()
        now = {
            "at": time.monotonic(),
            "cpu": time.process_time(),
            "loop": _loop_cpu_s(),
        }
        took_s = now["at"] - before["at"]
        pauses = [took_s for took_s, _ in collections] or [0.0]
        of_all = [took_s for took_s, generation in collections if generation == 2]
        collections.clear()
        answer: JsonObjectType = {
            "seconds": took_s,
            "cpu_pct": 100 * (now["cpu"] - before["cpu"]) / took_s,
            "loop_cpu_pct": 100 * (now["loop"] - before["loop"]) / took_s,
            "lag_p50_ms": 1000 * found[len(found) // 2],
            "lag_p99_ms": 1000 * found[len(found) * 99 // 100],
            "lag_max_ms": 1000 * found[-1],
            "gc_max_ms": 1000 * max(pauses),
            "gc_sum_ms": 1000 * sum(pauses),
            "gc_full_sum_ms": 1000 * sum(of_all),
            "gc_full_count": len(of_all),
            "rss_mib": _rss_mib(),
            "states": len(hass.states.async_entity_ids()),
        }
        before.update(now)
        return answer

    async def sizes(call: ServiceCall) -> ServiceResponse:
        """Return what must not grow for as long as the site stays the same."""
        return {
            "rss_mib": _rss_mib(),
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "files": await hass.async_add_executor_job(_open_files),
        }

    async def profile(call: ServiceCall) -> ServiceResponse:
        """Profile the event loop's thread for some seconds, into a file."""
        profiler = cProfile.Profile()
        profiler.enable()
        await asyncio.sleep(call.data["seconds"])
        profiler.disable()
        await hass.async_add_executor_job(profiler.dump_stats, call.data["file"])
        return {}

    async def collect(call: ServiceCall) -> ServiceResponse:
        """Collect garbage, for a fair look at the memory."""
        return {"collected": gc.collect(), "rss_mib": _rss_mib()}

    for name, action in (
        ("measure", measure),
        ("sizes", sizes),
        ("profile", profile),
        ("collect", collect),
    ):
        hass.services.async_register(
            DOMAIN, name, action, supports_response=SupportsResponse.ONLY
        )
    return True


def _watch_collections() -> list[tuple[float, int]]:
    """Return the list that each garbage collection's duration in s and generation are put into from now on."""
    durations: list[tuple[float, int]] = []
    began_s = 0.0

    def note(phase: str, info: dict[str, Any]) -> None:
        """Note a collection; nothing else of the interpreter runs during one."""
        nonlocal began_s
        if phase == "start":
            began_s = time.perf_counter()
        else:
            durations.append((time.perf_counter() - began_s, info["generation"]))

    gc.callbacks.append(note)
    return durations


def _loop_cpu_s() -> float:
    """Return the processor time of this thread, which is the event loop's."""
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


def _open_files() -> int:
    """Return the number of files and sockets that are open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _rss_mib() -> float:
    """Return the memory that is resident now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmRSS")

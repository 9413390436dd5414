"""Cars come and go, loads change and things break, for hours on end; at the end all has to be in order.

scripts/soak --seed N --hours H

Time runs FACTOR times as fast for the people: a car that would stay for four hours is gone after as many minutes. What
the integration does takes the time that it takes. The same seed gives the same faults and arrivals, as far as the
machine keeps up.
"""

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
import random
import sys
import tempfile
import time
from typing import Any

from .bench import Bench
from .judge import compare, heat, read_records, trips
from .rows import Row, load_rows

FACTOR = 60.0
_LOOK_S = 1.0
_REPORT_S = 60.0
_STAY_S = (1800.0, 14_400.0)
_AWAY_S = (600.0, 7200.0)
_LOAD_EVERY_S = (300.0, 3600.0)
_FAULT_EVERY_S = (3600.0, 14_400.0)
_HOUSE_A = (2.0, 35.0)
_GARAGE_A = (1.0, 15.0)
_FAULTS = (
    "meter_silent",
    "meter_half_frames",
    "one_offline",
    "all_offline",
    "reconnect_storm",
    "power_cycle",
    "no_meter_values",
    "ha_terminated",
    "ha_killed",
    "ha_blocked_10_s",
    "disk_full",
    "network_cut",
)
"""Rows of the matrix, of which the steps and the ways back are taken."""
_FAULT_LASTS_S = 30.0
_QUIET_S = 180.0
"""Without faults, after which nothing may be shown any more."""
_GROWTH_MIB = 60.0
_GROWTH_FILES = 10


@dataclass(slots=True, kw_only=True)
class Balance:
    """What a run came to."""

    faults: int = 0
    arrivals: int = 0
    sessions: int = 0
    trips: int = 0
    heat: float = 0.0
    broken_as: float = 0.0
    resources: list[Mapping[str, Any]] = field(default_factory=list)
    """Memory and open files, at the beginning of each process of Home Assistant and at the end."""
    wrong: list[str] = field(default_factory=list)


class Soak:
    """One run."""

    def __init__(self, bench: Bench, seed: int, hours: float) -> None:
        """Plan it: faults, arrivals and loads come from generators of their own, so that none shifts the others."""
        self.bench = bench
        self.balance = Balance()
        self._lasts_s = hours * 3600 / FACTOR
        self._rows: dict[str, Row] = {row.name: row for row in load_rows()}
        self._of_cars = random.Random(f"{seed} cars")
        self._of_loads = random.Random(f"{seed} loads")
        self._of_faults = random.Random(f"{seed} faults")
        self._first: Mapping[str, Any] = {}

    async def run(self) -> Balance:
        """Run, then wait until it is quiet, and look at what is left."""
        await self.bench.settle()
        await asyncio.sleep(10)
        self._first = await self.bench.resources()
        self.balance.resources.append(self._first)
        await self.bench.demo.simulator.command("reset_metrics")
        charge_points = list((await self.bench.state())["charge_points"])
        async with asyncio.TaskGroup() as tasks:
            work = [
                *(tasks.create_task(self._visit(name)) for name in charge_points),
                tasks.create_task(self._load()),
                tasks.create_task(self._break()),
                tasks.create_task(self._report()),
            ]
            await asyncio.sleep(self._lasts_s)
            # A fault that was begun is undone.
            for task in (*work[:-2], work[-1]):
                task.cancel()
        await self._judge()
        return self.balance

    def _pause(self, generator: random.Random, bounds: tuple[float, float]) -> float:
        """Return a time of people's as one of ours."""
        return generator.uniform(*bounds) / FACTOR

    async def _visit(self, name: str) -> None:
        """Let cars come to a charge point and leave it."""
        generator = random.Random(f"{self._of_cars.random()} {name}")
        while True:
            await asyncio.sleep(self._pause(generator, _STAY_S))
            await self.bench.demo.simulator.command("unplug", connector=name)
            await asyncio.sleep(max(1.0, self._pause(generator, _AWAY_S)))
            car = {
                "soc": generator.uniform(0.1, 0.9),
                "max_a": generator.choice((16, 32)),
            }
            await self.bench.demo.simulator.command("plug", connector=name, car=car)
            self.balance.arrivals += 1

    async def _load(self) -> None:
        """Let the house take more and less."""
        while True:
            for circuit, bounds in (("main", _HOUSE_A), ("garage", _GARAGE_A)):
                current_a = [self._of_loads.uniform(*bounds) for _ in range(3)]
                await self.bench.demo.simulator.command(
                    "base_load", circuit=circuit, current_a=current_a
                )
            await asyncio.sleep(self._pause(self._of_loads, _LOAD_EVERY_S))

    async def _break(self) -> None:
        """Break and mend, one thing at a time."""
        ends_s = time.monotonic() + self._lasts_s
        while True:
            pause_s = self._pause(self._of_faults, _FAULT_EVERY_S)
            if time.monotonic() + pause_s > ends_s:
                return
            await asyncio.sleep(pause_s)
            row = self._rows[self._of_faults.choice(_FAULTS)]
            print(f"{row.name}: {row.what}", flush=True)
            self.balance.faults += 1
            # Loads are a matter of their own here.
            steps = [step for step in row.do if step.get("do") != "base_load"]
            back = [step for step in row.undo if step.get("do") != "base_load"]
            try:
                await self.bench.carry_out(steps)
                await asyncio.sleep(_FAULT_LASTS_S)
            finally:
                await self.bench.carry_out(back)

    async def _report(self) -> None:
        """Say now and then how it stands."""
        while True:
            await asyncio.sleep(_REPORT_S)
            state = await self.bench.state()
            print(
                f"{self.balance.arrivals} arrivals, {self.balance.faults} faults, "
                f"{state['metrics']['broken_as']:.0f} As, heat {100 * heat(state):.0f} %",
                flush=True,
            )

    async def _judge(self) -> None:
        """Look at what is left once all is quiet."""
        balance = self.balance
        await self.bench.settle()
        await asyncio.sleep(_QUIET_S)
        state = await self.bench.state()
        balance.trips, balance.heat = trips(state), heat(state)
        balance.broken_as = state["metrics"]["broken_as"]
        balance.sessions = len(state["books"])
        if balance.trips:
            balance.wrong.append(f"a breaker tripped {balance.trips} times")
        balance.wrong += compare(
            state["books"], read_records(self.bench.records_path), "equal"
        )
        issues = await self.bench.issues()
        if issues:
            balance.wrong.append(f"still shown: {', '.join(sorted(issues))}")
        last = await self.bench.resources()
        balance.resources.append(last)
        for name, most in (("memory_mib", _GROWTH_MIB), ("files", _GROWTH_FILES)):
            if last[name] - self._first[name] > most:
                balance.wrong.append(
                    f"{name}: {self._first[name]:.0f} to {last[name]:.0f}"
                )


async def soak(folder: Path, seed: int, hours: float) -> Balance:
    """Run on a new site."""
    bench = Bench(folder, seed)
    try:
        await bench.start()
        return await Soak(bench, seed, hours).run()
    finally:
        await bench.stop()


def main() -> int:
    """Run from the command line; 0 if all is in order at the end."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=24.0, help="as people count")
    parser.add_argument("--folder", type=Path, help="for logs; else a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        balance = asyncio.run(
            soak(given.folder or Path(folder), given.seed, given.hours)
        )
    print(
        f"seed {given.seed}, {given.hours:g} h: {balance.sessions} sessions, {balance.faults} faults, "
        f"{balance.trips} trips, heat {100 * balance.heat:.0f} %, {balance.broken_as:.0f} As, "
        f"resources {balance.resources[0]} to {balance.resources[-1]}"
    )
    for line in balance.wrong:
        print(line, file=sys.stderr)
    return 1 if balance.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs a row: the fault, what is seen meanwhile, and the verdict."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
import time
from typing import Any

import aiohttp

from .bench import Bench
from .judge import Json, compare, heat, is_so, over_a, read_records, trips
from .rows import Row

SETTLED_WITHIN_S = 90.0
USED = {"used_a": {"garage": 33}, "at_least_a": {"CP4": 13}}
"""Before a row the cars take most of what there is, or a fault could do no harm."""
USED_WITHIN_S = 120.0
RECORDED_WITHIN_S = 45.0
"""Charge points send again what was not answered after 10 to 30 s."""
_LOOK_S = 0.25
_UNTIL_READ = {"records_damaged"}
"""Issues that stay until a person has read them."""
_ISSUES_S = 1.0


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What a row came to."""

    row: Row
    faults: list[str] = field(default_factory=list)
    """What was not as expected, in words; none: it passed."""
    heat: float = 0.0
    broken_as: float = 0.0
    most_over_a: float = 0.0
    met_s: list[float] = field(default_factory=list)
    """How long each expectation took."""
    recovered_s: float | None = None
    log_lines: int = 0
    issues: frozenset[str] = frozenset()
    took_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.faults

    def cells(self) -> list[str]:
        """Return the row of the table."""
        return [
            self.row.name,
            self.row.what,
            ", ".join(self.row.rules),
            "passed" if self.passed else "; ".join(self.faults),
            " / ".join(f"{seconds:.1f}" for seconds in self.met_s) or "–",
            f"{self.recovered_s:.0f}" if self.recovered_s is not None else "–",
            f"{self.most_over_a:.1f}",
            f"{self.broken_as:.1f}",
            f"{100 * self.heat:.0f}",
            str(self.log_lines),
        ]


HEAD = [
    "row",
    "fault",
    "rules",
    "verdict",
    "expectations met after (s)",
    "all charge again after (s)",
    "highest above a limit (A)",
    "broken (As)",
    "heat of a breaker (%)",
    "log lines",
]


class _Watch:
    """Looks at the truth, and at what is shown, all the time."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.shown: frozenset[str] = frozenset()
        self.ever_shown: frozenset[str] = frozenset()
        self.most_over_a = 0.0
        self._issues_s = 0.0

    async def look(self) -> dict[str, Any]:
        """Return the state now."""
        state = await self.bench.state()
        self.most_over_a = max(self.most_over_a, over_a(state))
        if time.monotonic() - self._issues_s > _ISSUES_S:
            self._issues_s = time.monotonic()
            found = await self.bench.issues()
            if found is not None:
                self.shown = found
                self.ever_shown |= found
        return state

    async def until(self, condition: dict[str, Any], within_s: float) -> float | None:
        """Return how long a condition took to hold, for `for_s` without a break; None: it did not in time."""
        began_s = time.monotonic()
        since_s: float | None = None
        while True:
            state = await self.look()
            now_s = time.monotonic()
            if not is_so(condition, state, self.shown):
                since_s = None
            elif since_s is None:
                since_s = now_s
            if since_s is not None and now_s - since_s >= condition.get("for_s", 0):
                return since_s - began_s
            if (since_s or now_s) - began_s > within_s:
                return None
            await asyncio.sleep(_LOOK_S)

    async def during(self, work: asyncio.Task[None]) -> None:
        """Look while something is done."""
        while not work.done():
            await self.look()
            await asyncio.wait((work,), timeout=_LOOK_S)
        await work


async def run(bench: Bench, row: Row) -> Verdict:
    """Run a row on a running site, which is settled first."""
    verdict = Verdict(row=row)
    watch = _Watch(bench)
    began_s = time.monotonic()
    await bench.settle()
    if await _back(watch, SETTLED_WITHIN_S) is None or not await watch.until(
        USED, USED_WITHIN_S
    ):
        verdict.faults.append(
            f"the site does not settle: {', '.join(watch.shown) or 'floor'}"
        )
        return verdict
    lines_before = len(bench.log_lines())
    over_before = {_name(entry) for entry in await _ended(bench)}
    await bench.demo.simulator.command("reset_metrics")
    shown_before = watch.shown
    watch.ever_shown = frozenset()
    watch.most_over_a = 0.0

    await watch.during(asyncio.create_task(bench.carry_out(row.do)))
    for condition in row.expect:
        met_s = await watch.until(condition, condition["within_s"])
        if met_s is None:
            said = {key: value for key, value in condition.items() if key != "within_s"}
            verdict.faults.append(f"not within {condition['within_s']} s: {said}")
        else:
            verdict.met_s.append(met_s)
    await watch.during(asyncio.create_task(bench.carry_out(row.undo)))
    if row.recovers_s is not None:
        verdict.recovered_s = await _back(watch, row.recovers_s)
        if verdict.recovered_s is None:
            verdict.faults.append(
                f"not back within {row.recovers_s} s: {', '.join(sorted(watch.shown)) or 'floor'}"
            )

    state = await bench.state()
    verdict.heat = heat(state)
    verdict.broken_as = state["metrics"]["broken_as"]
    verdict.most_over_a = watch.most_over_a
    verdict.issues = watch.ever_shown
    lines = bench.log_lines()[lines_before:]
    verdict.log_lines = len(lines)
    if trips(state):
        verdict.faults.append(f"a breaker tripped {trips(state)} times")
    if verdict.broken_as > row.bounds.broken_as:
        verdict.faults.append(f"{verdict.broken_as:.0f} As above a limit")
    if verdict.log_lines > row.bounds.log_lines:
        verdict.faults.append(f"{verdict.log_lines} lines in the log: {lines[-1]}")
    unexpected = {
        issue
        for issue in watch.ever_shown - shown_before
        if not any(issue.startswith(known) for known in row.issues)
    }
    if unexpected:
        verdict.faults.append(f"issues: {', '.join(sorted(unexpected))}")
    verdict.faults += await _differences(bench, row, over_before)
    verdict.took_s = time.monotonic() - began_s
    return verdict


async def _back(watch: _Watch, within_s: float) -> float | None:
    """Return how long it took until every car charges above its floor and nothing is shown that a person has to mend."""
    began_s = time.monotonic()
    while True:
        met_s = await watch.until(
            {"above_floor": "all", "charging": "all", "within_limits": True}, within_s
        )
        if met_s is None:
            return None
        if not watch.shown - _UNTIL_READ:
            return time.monotonic() - began_s
        if time.monotonic() - began_s > within_s:
            return None
        await asyncio.sleep(_LOOK_S)


async def _ended(bench: Bench) -> list[Json]:
    """Return the transactions that are over, by the charge points' books."""
    books: list[Json] = (await bench.state())["books"]
    return [entry for entry in books if entry["stopped_at"] is not None]


def _name(entry: Json) -> tuple[str, float]:
    """Return what tells a transaction from others, whatever its charge point was told."""
    return entry["charge_point"], entry["started_at"]


async def _differences(
    bench: Bench, row: Row, over_before: set[tuple[str, float]]
) -> list[str]:
    """Return how the records differ from the books of what ran within the row, once all was told."""
    found: list[str] = []
    deadline_s = time.monotonic() + RECORDED_WITHIN_S
    while True:
        with suppress(aiohttp.ClientError, OSError):
            books = [
                entry
                for entry in (await bench.state())["books"]
                if _name(entry) not in over_before
            ]
            found = compare(
                books, read_records(bench.records_path), row.bounds.sessions
            )
        if not found or time.monotonic() > deadline_s:
            return found
        await asyncio.sleep(1)

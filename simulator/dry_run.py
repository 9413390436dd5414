"""The plant without the wire, in simulated time, steered over a pipe.

The energy management is another process that is given the site, then one observation per line, and answers each
with a decision (`docs/cases.md`). Between the two stand meters with their refresh and lag, charge points that report
every `report_s`, and permits that lapse to the floor unless they are renewed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
from math import copysign
from pathlib import Path
import time
from typing import Any, TextIO

from .car import Connector, Supply
from .modbus import Meter
from .plant import Measurement
from .site_file import SiteConfig
from .visits import Visits

type Json = dict[str, Any]

_ANSWER_TIMEOUT_S = 60.0
_LONGEST_LINE = 16 * 1024 * 1024


class BrainError(Exception):
    """The energy management ended, was silent, or answered nonsense."""


class Brain:
    """The process that decides."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Take a process with pipes."""
        self._process = process

    async def tell(self, line: Json) -> None:
        """Write a line that gets no answer.

        Raises:
            BrainError: it has ended.
        """
        if self._process.stdin is None:
            raise BrainError("the energy management has no input")
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError as error:
            raise BrainError(await self._complaint()) from error

    async def ask(self, line: Json) -> Json:
        """Write a line and return its answer.

        Raises:
            BrainError: there is none.
        """
        await self.tell(line)
        if self._process.stdout is None:
            raise BrainError("the energy management has no output")
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                answer = await self._process.stdout.readline()
        except TimeoutError as error:
            raise BrainError("the energy management does not answer") from error
        if not answer:
            raise BrainError(await self._complaint())
        decision: Json = json.loads(answer)
        return decision

    async def _complaint(self) -> str:
        if self._process.stderr is None:
            return "the energy management ended"
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            said = await self._process.stderr.read()
        return f"the energy management ended: {said.decode(errors='replace').strip()[-500:]}"


@asynccontextmanager
async def running_brain(
    command: Sequence[str], folder: Path | None = None
) -> AsyncIterator[Brain]:
    """Run the energy management within a block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, limit=_LONGEST_LINE
    )
    try:
        yield Brain(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass(slots=True, kw_only=True)
class _Outlet:
    """A connector as the energy management sees it, and what becomes of it."""

    connector: Connector
    permit: float = 0.0
    expires_s: float = 0.0
    reported_s: float = float("-inf")
    report: Json = field(default_factory=dict)
    state: str = "available"
    starts: int = 0
    charging_s: float = 0.0
    waiting_s: float = 0.0

    @property
    def is_ac(self) -> bool:
        return self.connector.supply is Supply.AC

    @property
    def floor(self) -> float:
        return self.connector.min_a if self.is_ac else self.connector.min_w


class DryRun:
    """One run of a site in simulated time.

    Args:
        config: the site; its `ems` section is given to the energy management as it is.
        step_s: time between two observations.
        report_s: time between two reports of a charge point.
        trace: where to write one line of CSV per step.
    """

    def __init__(
        self,
        config: SiteConfig,
        *,
        step_s: float = 1.0,
        report_s: float = 10.0,
        trace: TextIO | None = None,
    ) -> None:
        """Build the plant; every connector starts on its floor."""
        self.config = config
        self.step_s = step_s
        self.report_s = report_s
        self.plant = config.plant()
        self.visits = Visits(config.visits())
        self.meters = {
            meter.circuit: Meter(meter, self.plant.measure(meter.circuit))
            for _, _, meter in config.meters()
        }
        self.outlets = {
            name: _Outlet(connector=connector)
            for name, connector in self.plant.connectors.items()
        }
        self.commands = 0
        self.solar_wh = 0.0
        self._trace = trace

    def site_line(self) -> Json:
        """Return the site as the energy management is told it."""
        ems: Json = self.config.definition["ems"]
        per_connector: Json = ems.get("connectors", {})
        circuits = [
            {
                "id": circuit.id,
                "parent": circuit.parent,
                "limit_a": list(circuit.limit_a) if circuit.limit_a else None,
                "metered": circuit.id in self.meters,
            }
            for circuit in self.plant.circuits.values()
        ]
        connectors = []
        for name, outlet in self.outlets.items():
            connector = outlet.connector
            told: Json = {
                "id": name,
                "circuit": connector.circuit,
                "supply": connector.supply.value,
            }
            if outlet.is_ac:
                told |= {"phases": [f"L{line + 1}" for line in connector.line_phases]}
                told |= {"min_a": connector.min_a, "max_a": connector.max_a}
            else:
                told |= {
                    "min_w": connector.min_w,
                    "max_w": connector.max_w,
                    "efficiency": connector.efficiency,
                }
            connectors.append(told | per_connector.get(name, {}))
        rest = {key: value for key, value in ems.items() if key != "connectors"}
        return {"circuits": circuits, "connectors": connectors} | rest

    async def run(self, brain: Brain, duration_s: float) -> Json:
        """Run, and return the metrics.

        Raises:
            BrainError: the energy management failed.
        """
        began_s = time.monotonic()
        await brain.tell(self.site_line())
        self._write_header()
        steps = round(duration_s / self.step_s)
        for _ in range(steps):
            self.advance()
            decision = await brain.ask(self.observation())
            self.obey(decision)
            self._write(decision)
        return self.metrics() | {
            "steps": steps,
            "wall_s": round(time.monotonic() - began_s, 2),
        }

    def advance(self) -> None:
        """Let one step pass."""
        for name, car in self.visits.changes(self.plant.curve_s):
            self.plant.connectors[name].car = car
        for outlet in self.outlets.values():
            connector = outlet.connector
            connector.energised = connector.car is not None
            amount = (
                outlet.permit if self.plant.at_s < outlet.expires_s else outlet.floor
            )
            if outlet.is_ac:
                connector.limit_a = amount
            else:
                connector.limit_w = amount
        self.plant.advance(self.step_s)
        for circuit, meter in self.meters.items():
            meter.sample(self.plant.measure(circuit))
        self.solar_wh += sum(
            solar.power_w(self.plant.curve_s) for solar in self.plant.solar.values()
        ) * (self.step_s / 3600.0)
        for outlet in self.outlets.values():
            self._report(outlet)

    def _report(self, outlet: _Outlet) -> None:
        """Let a charge point report what changed, and its measurement when it is due."""
        connector, at_s = outlet.connector, self.plant.at_s
        if connector.car is None:
            state = "available"
        elif not connector.offers:
            state = "suspended_evse"
        elif connector.car.share_wanted(connector.supply) == 0.0:
            state = "suspended_ev"
        else:
            state = "charging"
        if state == "charging":
            outlet.charging_s += self.step_s
            outlet.starts += outlet.state != "charging"
        elif (
            state == "suspended_evse"
            and connector.car is not None
            and not connector.car.full
        ):
            outlet.waiting_s += self.step_s
        if state != outlet.state or at_s - outlet.reported_s >= self.report_s:
            outlet.reported_s = at_s
            outlet.report = {"power_w": connector.output_w(self.plant.voltage_v)}
            if outlet.is_ac:
                outlet.report["current_a"] = list(connector.own_current_a)
        outlet.state = state

    def observation(self) -> Json:
        """Return what the energy management can know now."""
        line: Json = {
            "at_s": self.plant.at_s,
            "meters": {
                circuit: self._reading(meter.shown)
                for circuit, meter in self.meters.items()
            },
            "connectors": {
                name: outlet.report
                | {"state": outlet.state, "age_s": self.plant.at_s - outlet.reported_s}
                for name, outlet in self.outlets.items()
            },
        }
        for battery in self.plant.batteries.values():
            line["battery"] = {
                "power_w": battery.power_w,
                "soc_pct": 100.0 * battery.soc,
            }
        return line

    def _reading(self, shown: Measurement) -> Json:
        return {
            "current_a": [
                copysign(i, p)
                for i, p in zip(shown.current_a, shown.power_w, strict=True)
            ],
            "power_w": sum(shown.power_w),
            "voltage_v": list(shown.voltage_v),
            # The registers were read just now; how old their content is nobody outside the meter knows.
            "age_s": 0.0,
        }

    def obey(self, decision: Json) -> None:
        """Take the permits that were sent."""
        for command in decision["commands"]:
            outlet = self.outlets[command["connector"]]
            outlet.permit = command["permit_a"] if outlet.is_ac else command["permit_w"]
            outlet.expires_s = command["expires_s"]
            self.commands += 1

    def metrics(self) -> Json:
        """Return what there is to be proud or ashamed of."""
        root = self.plant.root
        return {
            "simulated_s": round(self.plant.at_s, 3),
            "circuits": {
                circuit.id: {
                    "over_as": [
                        round(overload.over_as, 1) for overload in circuit.overload
                    ],
                    "broken_as": [
                        round(overload.broken_as, 1) for overload in circuit.overload
                    ],
                    "max_over_a": [
                        round(overload.max_a, 2) for overload in circuit.overload
                    ],
                }
                for circuit in self.plant.circuits.values()
            },
            "connectors": {
                name: {
                    "energy_wh": round(outlet.connector.energy_wh),
                    "starts": outlet.starts,
                    "charging_s": round(outlet.charging_s),
                    "waiting_s": round(outlet.waiting_s),
                }
                for name, outlet in self.outlets.items()
            },
            "import_wh": round(root.import_wh),
            "export_wh": round(root.export_wh),
            "solar_wh": round(self.solar_wh),
            "commands": self.commands,
        }

    def _write_header(self) -> None:
        if self._trace is None:
            return
        columns = ["at_s"]
        columns += [
            f"{circuit}_l{phase}_a"
            for circuit in self.plant.circuits
            for phase in (1, 2, 3)
        ]
        columns += [
            f"{name}_{what}"
            for name in self.outlets
            for what in ("permit", "drawn", "limited_by")
        ]
        self._trace.write(",".join(columns) + "\n")

    def _write(self, decision: Json) -> None:
        if self._trace is None:
            return
        cells = [f"{self.plant.at_s:.1f}"]
        for circuit in self.plant.circuits:
            cells += [
                f"{current_a:.2f}"
                for current_a in self.plant.measure(circuit).current_a
            ]
        for name, outlet in self.outlets.items():
            drawn = (
                outlet.connector.current_a if outlet.is_ac else outlet.connector.power_w
            )
            reason = str(
                decision["connectors"].get(name, {}).get("limited_by", "")
            ).replace('"', "'")
            cells += [f"{outlet.permit:.1f}", f"{drawn:.1f}", f'"{reason}"']
        self._trace.write(",".join(cells) + "\n")

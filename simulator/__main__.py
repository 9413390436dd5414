"""Run a simulated site, or send a command to a running one.

python -m simulator SITE.yaml [--csms URL] [--meter-port-base N] [--control-port N]
python -m simulator ctl [--control-port N] state
python -m simulator ctl [--control-port N] base_load circuit=main current_a=[40,10,10]
"""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
import json
import logging
import os
from pathlib import Path
import shlex
import signal
import sys

import aiohttp
import yaml

from .commands import COMMANDS
from .control import control_endpoint
from .dry_run import BrainError, DryRun, running_brain
from .site import Site
from .site_file import SiteConfig, SiteError, load_site

_DEFAULT_CONTROL_PORT = 8765
_REQUEST_TIMEOUT_S = 10.0
_INTEGRATION = Path(__file__).resolve().parent.parent / "custom_components" / "reev_ems"
"""The folder in which the energy management runs by itself."""


def _environment_number(name: str) -> int | None:
    value = os.environ.get(name)
    if value is None:
        return None
    if not value.isdigit():
        raise SiteError(f"{name}: a number is needed, not {value!r}")
    return int(value)


async def _run(config: SiteConfig, meter_port_base: int | None) -> None:
    """Run until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    site = Site(config, meter_port_base=meter_port_base)
    async with control_endpoint(site, config.control_port) as control_port:
        await site.start()
        try:
            print(f"control http://127.0.0.1:{control_port}")
            for meter in site.meters.values():
                endpoint = site.endpoint_of(meter)
                unit = meter.config.unit
                print(
                    f"meter {meter.config.id} {endpoint.host}:{endpoint.port} unit {unit} {meter.config.layout.name}"
                )
            for name, charge_point in site.charge_points.items():
                print(f"charge point {name} {charge_point.link.config.url}")
            print("ready", flush=True)
            waiting = asyncio.create_task(ended.wait())
            failing = asyncio.create_task(site.wait())
            await asyncio.wait((waiting, failing), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            failing.cancel()
        finally:
            await site.stop()


async def _control(port: int, name: str, arguments: Sequence[str]) -> int:
    """Ask for the state, or send a command; return the exit code."""
    timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S)
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}", timeout=timeout
    ) as session:
        if name == "state":
            async with session.get("/state") as response:
                print(json.dumps(await response.json(), indent=2))
                return 0
        command = {"do": name}
        for argument in arguments:
            key, separator, value = argument.partition("=")
            if not separator:
                print(f"{argument}: key=value is needed", file=sys.stderr)
                return 2
            command[key] = yaml.safe_load(value)
        async with session.post("/command", json=command) as response:
            answer = await response.json()
            if response.ok:
                return 0
            print(answer["error"], file=sys.stderr)
            return 1


def _ctl(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="simulator ctl", description="Command a running simulator."
    )
    parser.add_argument(
        "--control-port",
        type=int,
        default=_environment_number("SIMULATOR_CONTROL_PORT"),
    )
    parser.add_argument("command", choices=["state", *sorted(COMMANDS)])
    parser.add_argument("argument", nargs="*", help="key=value, the value in YAML")
    given = parser.parse_args(arguments)
    port = _DEFAULT_CONTROL_PORT if given.control_port is None else given.control_port
    try:
        return asyncio.run(_control(port, given.command, given.argument))
    except (aiohttp.ClientError, TimeoutError) as error:
        print(f"no simulator on control port {port}: {error}", file=sys.stderr)
        return 1


def _simulate(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="simulator", description="Simulate a charging site on the wire."
    )
    parser.add_argument("site", type=Path, help="YAML file")
    parser.add_argument(
        "--csms",
        default=os.environ.get("SIMULATOR_CSMS"),
        help="URL of the OCPP server",
    )
    parser.add_argument(
        "--meter-port-base",
        type=int,
        default=_environment_number("SIMULATOR_METER_PORT_BASE"),
        help="first port of the meters' endpoints; 0: free ones",
    )
    parser.add_argument(
        "--control-port",
        type=int,
        default=_environment_number("SIMULATOR_CONTROL_PORT"),
        help="of the control endpoint; 0: a free one",
    )
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if given.verbose else logging.WARNING, stream=sys.stderr
    )
    config = load_site(given.site, csms=given.csms, control_port=given.control_port)
    asyncio.run(_run(config, given.meter_port_base))
    return 0


async def _dry_run(
    run: DryRun, command: Sequence[str], folder: Path | None, duration_s: float
) -> None:
    async with running_brain(command, folder) as brain:
        print(json.dumps(await run.run(brain, duration_s), indent=2))


def _dry(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="simulator dry",
        description="Simulate a site without the wire, faster than time.",
    )
    parser.add_argument("site", type=Path, help="YAML file")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument(
        "--step", type=float, default=1.0, help="seconds between two observations"
    )
    parser.add_argument(
        "--report",
        type=float,
        default=10.0,
        help="seconds between two reports of a charge point",
    )
    parser.add_argument(
        "--brain",
        help="command that decides; by default the energy management of this project",
    )
    parser.add_argument("--trace", type=Path, help="CSV file, one line per step")
    given = parser.parse_args(arguments)
    command = (
        shlex.split(given.brain)
        if given.brain
        else [sys.executable, "-m", "energy_management", "run"]
    )
    folder = None if given.brain else _INTEGRATION
    config = load_site(given.site)
    with (
        given.trace.open("w", encoding="utf-8")
        if given.trace
        else nullcontext() as trace
    ):
        run = DryRun(config, step_s=given.step, report_s=given.report, trace=trace)
        asyncio.run(_dry_run(run, command, folder, given.hours * 3600.0))
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run, and return the exit code."""
    try:
        match arguments:
            case ["ctl", *rest]:
                return _ctl(rest)
            case ["dry", *rest]:
                return _dry(rest)
            case _:
                return _simulate(arguments)
    except (SiteError, BrainError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

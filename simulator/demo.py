"""The demo: a real Home Assistant steers the simulated charge points of a simulated site."""

import argparse
import asyncio
from datetime import datetime
from pathlib import Path
import signal
import sys
import time
from typing import Any

from .commissioning import commission
from .home_assistant import PASSWORD, PROJECT, USER, HomeAssistant, HomeAssistantError
from .process import ReservedPort, SimulatorProcess
from .site_file import load_site

SITE_FILE = PROJECT / "simulator/sites/demo.yaml"
DASHBOARD_FILE = PROJECT / "simulator/sites/demo_dashboard.yaml"
HOME_ASSISTANT_PORT = 8123
OCPP_PORT = 9000
# The charge points redial within this time, each gets its floor and its first permit.
COMMISSIONED_TIMEOUT_S = 60


class Demo:
    """A simulated site and the Home Assistant that looks after it, each in a process of its own."""

    def __init__(
        self,
        folder: Path,
        site_file: Path = SITE_FILE,
        name: str = "Demo site",
        *,
        home_assistant_port: int | None = None,
        ocpp_port: int | None = None,
    ) -> None:
        """Initialize; everything is written below the folder. Ports that are taken or not given: any others."""
        self.folder = folder
        self.site_file = site_file
        self.name = name
        self._ports = [ReservedPort(ocpp_port), ReservedPort(home_assistant_port)]
        self.ocpp_port = self._ports[0].number
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "simulator.log").unlink(missing_ok=True)
        self.simulator = SimulatorProcess(
            site_file,
            csms=f"ws://127.0.0.1:{self.ocpp_port}",
            log_path=folder / "simulator.log",
        )
        self.home_assistant = HomeAssistant(
            folder / "home_assistant",
            port=self._ports[1].number,
            python=str(PROJECT / ".venv-demo/bin/python"),
            dashboard=DASHBOARD_FILE if site_file == SITE_FILE else None,
        )
        self.entry_id = ""

    async def start(self) -> None:
        """Start both and set the integration up."""
        definition = load_site(self.site_file).definition
        await asyncio.to_thread(self.home_assistant.prepare)
        await self.simulator.start()
        connectors = [
            f"{name}/{number}"
            for name, charge_point in (await self.simulator.state())[
                "charge_points"
            ].items()
            for number in charge_point["connectors"]
        ]
        # No electrician lets cars charge on a site whose load management he is still setting up.
        for connector in connectors:
            await self.simulator.command("unplug", connector=connector)
        await self.home_assistant.start()
        self.entry_id = await commission(
            self.home_assistant,
            definition,
            await self.simulator.state(),
            name=self.name,
            ocpp_port=self.ocpp_port,
        )
        async with asyncio.timeout(COMMISSIONED_TIMEOUT_S):
            while not all(
                charge_point["connected"] and charge_point["profiles"]
                for charge_point in (await self.simulator.state())[
                    "charge_points"
                ].values()
            ):
                await asyncio.sleep(0.2)
        for connector in connectors:
            await self.simulator.command("plug", connector=connector)

    async def stop(self) -> None:
        """Stop both."""
        await self.home_assistant.stop()
        await self.simulator.stop()
        for port in self._ports:
            port.release()


def status_line(state: dict[str, Any]) -> str:
    """Return where the site stands: currents and limit of each circuit, what each charge point is permitted and draws."""
    circuits = [
        f"{name} {'/'.join(f'{amps:.1f}' for amps in circuit['current_a'])} of {circuit['limit_a'][0]:.0f} A"
        for name, circuit in state["circuits"].items()
    ]
    permits = []
    for name, charge_point in state["charge_points"].items():
        connector = charge_point["connectors"]["1"]
        permits.append(
            f"{name} {_limit(connector)} ({connector['power_w'] / 1000:.1f} kW)"
        )
    return " | ".join([*circuits, ", ".join(permits)])


def _limit(connector: dict[str, Any]) -> str:
    """Return the limit that is in force at a connector."""
    if (limit := connector["limit"]) is None:
        return "no limit"
    return (
        f"{limit / 1000:.1f} kW" if connector["limit_unit"] == "W" else f"{limit:.1f} A"
    )


async def run(arguments: argparse.Namespace) -> int:
    """Run the demo; return 0 if no limit was broken and the cars were charged."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    demo = Demo(
        arguments.folder,
        home_assistant_port=arguments.port,
        ocpp_port=arguments.ocpp_port,
    )
    began_s = time.monotonic()
    starting = asyncio.create_task(demo.start())
    stopping = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return 130
        starting.result()
        print(f"ready after {time.monotonic() - began_s:.0f} s")
        print(f"  URL       {demo.home_assistant.url}/demo-site")
        print(f"  user      {USER}")
        print(f"  password  {PASSWORD}")
        print("  stop      Ctrl-C", flush=True)
        deadline_s = time.monotonic() + (arguments.seconds or float("inf"))
        while not ended.is_set() and time.monotonic() < deadline_s:
            state = await demo.simulator.state()
            print(f"{datetime.now():%H:%M:%S} {status_line(state)}", flush=True)
            await asyncio.wait((stopping,), timeout=1)
        return verdict(await demo.simulator.state())
    except HomeAssistantError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        stopping.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await demo.stop()


def verdict(state: dict[str, Any]) -> int:
    """Say whether a limit was broken and what was charged; return the exit code."""
    metrics = state["metrics"]
    energies_wh = [
        connector["energy_wh"]
        for charge_point in state["charge_points"].values()
        for connector in charge_point["connectors"].values()
    ]
    print(
        f"charged {sum(energies_wh) / 1000:.2f} kWh at {sum(energy > 0 for energy in energies_wh)} connectors; "
        f"highest overload {metrics['max_over_a']:.1f} A, "
        f"{metrics['broken_as']:.1f} As beyond {metrics['grace_s']:.0f} s"
    )
    if metrics["broken_as"] > 0:
        print("demo: a limit was broken", file=sys.stderr)
        return 1
    if not all(energy > 0 for energy in energies_wh):
        print("demo: a car was not charged", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "--headless",
        action="store_true",
        help="end by itself, with exit code 0 only if no limit was broken",
    )
    parser.add_argument("--seconds", type=float, help="how long (headless: 120)")
    parser.add_argument(
        "--port", type=int, default=HOME_ASSISTANT_PORT, help="of Home Assistant"
    )
    parser.add_argument(
        "--ocpp-port", type=int, default=OCPP_PORT, help="of the charge points' server"
    )
    parser.add_argument("--folder", type=Path, default=PROJECT / ".demo")
    arguments = parser.parse_args()
    if arguments.headless and arguments.seconds is None:
        arguments.seconds = 120.0
    return asyncio.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())

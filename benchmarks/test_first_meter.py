"""How long a person with nothing but an IP address waits for live values: a real Home Assistant, its forms, meters on TCP.

Needs the environment of the demo, and real sockets:

    .venv/bin/python -m pytest -p no:homeassistant -p no:socket benchmarks/test_first_meter.py

What is measured is the time that the program takes; what a person takes to type four fields comes on top.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
import time
from typing import Any

import pytest

from custom_components.reev_ems.meters import load_profiles
from simulator.home_assistant import PROJECT, HomeAssistant
from simulator.layouts import LAYOUTS
from simulator.modbus import Endpoint, Meter, MeterConfig
from simulator.plant import Measurement
from simulator.process import free_port
from tests.meters.wire import Device, ModbusServer, black_hole, twin

LIVE_VALUES_MAX_S = 60.0
DETECTION_MAX_S = 30.0
POLL_S = 0.1
HEAD = "| behind the address | values in the form after s | in a sensor after s | found |\n|---|---|---|---|"
FLOW = "/api/config/config_entries/flow"

TRUTH = Measurement(
    at_s=0.0,
    voltage_v=(230.0, 231.0, 229.0),
    current_a=(20.0, 10.0, 4.0),
    power_w=(4600.0, -2310.0, 916.0),
    reactive_var=(0.0, 0.0, 0.0),
    frequency_hz=50.0,
    import_wh=1000.0,
    export_wh=200.0,
    import_phase_wh=(1000.0, 0.0, 0.0),
    export_phase_wh=(0.0, 200.0, 0.0),
)


@dataclass
class Person:
    """Somebody at the forms of a Home Assistant."""

    home_assistant: HomeAssistant
    figures: list[str] = field(default_factory=list)
    sites: int = 0

    async def ask(self, port: int, model: str, unit_id: int = 1) -> dict[str, Any]:
        """Fill in the forms of a new site and of its meter; return what the program then shows."""
        self.sites += 1
        started = await self.home_assistant.post(FLOW, {"handler": "reev_ems"})
        step = f"{FLOW}/{started['flow_id']}"
        site = {
            "name": f"Site {self.sites}",
            "limit_a": 63,
            "phase_limits": {},
            "imbalance_limit_a": 20,
            "ocpp_port": free_port(),
        }
        shown = await self.home_assistant.post(step, site)
        assert shown["step_id"] == "meter", shown
        shown = await self.home_assistant.post(
            step,
            {
                "profile": model,
                "host": "127.0.0.1",
                "port": port,
                "unit_id": unit_id,
                "poll_s": 1,
            },
        )
        while shown["type"] == "progress":
            await asyncio.sleep(POLL_S)
            shown = await self.home_assistant.get(step)
        return dict(shown)

    async def live_values(
        self, what: str, port: int, model: str, unit_id: int = 1
    ) -> None:
        """Go from the address to a sensor with a value; note how long the form's values and that took."""
        begin_s = time.monotonic()
        shown = await self.ask(port, model, unit_id)
        if shown["step_id"] == "detected":
            shown = await self.home_assistant.post(
                f"{FLOW}/{shown['flow_id']}", {"found": "0"}
            )
        assert shown["step_id"] == "confirm", shown
        assert shown["description_placeholders"]["current_l1"] == "20.0 A"
        form_s = time.monotonic() - begin_s
        name = f"Meter {self.sites}"
        created = await self.home_assistant.post(
            f"{FLOW}/{shown['flow_id']}",
            {
                "name": name,
                "invert": False,
                "phase_order": "l1_l2_l3",
                "read_again": False,
            },
        )
        assert created["type"] == "create_entry", created
        sensor = f"sensor.{name.lower().replace(' ', '_')}_current_l1"
        async with asyncio.timeout(LIVE_VALUES_MAX_S):
            while True:
                states = {
                    item["entity_id"]: item["state"]
                    for item in await self.home_assistant.get("/api/states")
                }
                if states.get(sensor) == "20.0":
                    break
                await asyncio.sleep(POLL_S)
        live_s = time.monotonic() - begin_s
        self.figures.append(
            f"| {what} | {form_s:.1f} | {live_s:.1f} | {shown['description_placeholders']['meter']} |"
        )
        assert live_s <= LIVE_VALUES_MAX_S

    async def no_values(self, what: str, port: int, error: str) -> None:
        """Look for a meter where there is none; note how long it takes to say so."""
        begin_s = time.monotonic()
        shown = await self.ask(port, "unknown")
        took_s = time.monotonic() - begin_s
        assert shown["step_id"] == "meter", shown
        assert error in shown["errors"].values()
        await self.home_assistant.delete(f"{FLOW}/{shown['flow_id']}")
        self.figures.append(f"| {what} | {took_s:.1f} | – | {error} |")
        assert took_s <= DETECTION_MAX_S


async def simulated(
    layout: str, unit: int, use: Callable[[int], Awaitable[None]]
) -> None:
    """Use the port of a simulated meter."""
    meter = Meter(
        MeterConfig(id="it", circuit="main", layout=LAYOUTS[layout], unit=unit), TRUTH
    )
    endpoint = Endpoint("127.0.0.1", 0, [meter])
    await endpoint.start()
    try:
        await use(endpoint.port)
    finally:
        await endpoint.stop()


async def walk(person: Person) -> None:
    """Go through all that may be behind an address."""
    for what, layout, unit in (
        ("TQ EM420", "tq_em420", 1),
        ("Siemens PAC2200 at unit id 126", "siemens_pac2200", 126),
        ("Eastron SDM630, no register names it, unit id 17", "eastron_sdm630", 17),
        ("SunSpec meter at unit id 240", "sunspec_213", 240),
    ):
        await simulated(
            layout,
            unit,
            lambda port, what=what: person.live_values(  # type: ignore[misc]
                f"{what}, model not known", port, "unknown"
            ),
        )
    await simulated(
        "janitza_umg604",
        1,
        lambda port: person.live_values(
            "Janitza UMG 604, model known", port, "janitza_umg604"
        ),
    )
    values = {"current_l2": 10.0, "power_l2": -2310.0}
    device = twin(load_profiles().profiles["siemens_pac2200"], values)
    async with ModbusServer({2: device}) as server:
        server.silent_units = set(range(256)) - {2}
        await person.live_values(
            "silent but for unit id 2, model not known", server.port, "unknown"
        )
    device = twin(load_profiles().profiles["abb_b23"], values)
    async with ModbusServer({17: device}) as server:
        server.silent_units = set(range(256)) - {17}
        await person.live_values(
            "silent but for unit id 17, model not known", server.port, "unknown"
        )
    async with ModbusServer({}) as server:
        server.silent_units = set(range(256))
        await person.no_values("accepts and keeps silent", server.port, "no_answer")
    async with ModbusServer({}) as server:
        await person.no_values("gateway without a meter", server.port, "no_answer")
    async with ModbusServer({1: Device()}) as server:
        await person.no_values("something else", server.port, "no_model_found")
    with black_hole() as port:
        await person.no_values("silent address", port, "cannot_connect")
    await person.no_values("closed port", free_port(), "cannot_connect")


@pytest.mark.e2e
@pytest.mark.timeout(600)
async def test_from_an_address_to_live_values(
    tmp_path: Path,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Under a minute to live values, and no search longer than half a minute."""
    home_assistant = HomeAssistant(
        tmp_path / "home_assistant",
        port=free_port(),
        python=str(PROJECT / ".venv-demo/bin/python"),
    )
    await asyncio.to_thread(home_assistant.prepare)
    person = Person(home_assistant)
    try:
        await home_assistant.start()
        await walk(person)
    finally:
        await home_assistant.stop()
        reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            with capsys.disabled():
                reporter.write_line("\n".join(["", HEAD, *person.figures]))

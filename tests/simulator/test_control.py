"""The control endpoint, the commands, and the command line."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
import json
import os
from pathlib import Path
import signal
import sys
from typing import Any

import aiohttp
import pytest

from simulator.__main__ import main
from simulator.control import control_endpoint
from simulator.modbus import Fault
from simulator.site import Site, running_site
from simulator.site_file import SiteError, load_site, parse_site
from simulator.state import state_of

from .csms import Csms, eventually
from .sites import charge_point, site

type Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "simulator" / "sites" / "demo.yaml"


@pytest.fixture
async def running(csms: Csms) -> AsyncIterator[Site]:
    """A site with a sun, a battery and one charge point."""
    definition = site(
        charge_point(),
        solar=[{"id": "roof", "circuit": "main", "peak_w": 9000}],
        batteries=[
            {"id": "cell", "circuit": "main", "capacity_wh": 9000, "max_w": 3000}
        ],
    )
    async with running_site(parse_site(definition, csms=csms.url)) as started:
        link = started.charge_points["CP1"].link
        link.config = replace(link.config, retry_s=0.1)
        await csms.until("CP1", "StartTransaction")
        yield started


@pytest.fixture
async def control(running: Site) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the site's control endpoint."""
    async with (
        control_endpoint(running, 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def state(control: aiohttp.ClientSession) -> Json:
    """Return the state over HTTP."""
    async with control.get("/state") as response:
        assert response.status == 200
        answer: Json = await response.json()
        return answer


async def do(control: aiohttp.ClientSession, name: str, **arguments: Any) -> None:
    """Send a command that must succeed."""
    async with control.post("/command", json={"do": name, **arguments}) as response:
        assert (response.status, await response.json()) == (200, {"ok": True})


async def test_the_state_tells_the_truth(
    running: Site, control: aiohttp.ClientSession
) -> None:
    """Circuits, meters, charge points, cars and metrics are all there, and agree with each other."""
    outlet = running.charge_points["CP1"].outlets[0]
    await do(control, "battery", id="cell", power_w=0)
    await eventually(lambda: outlet.connector.current_a == 16.0)
    # 11 kW move the state of charge by its last shown digit within half a second.
    await eventually(lambda: outlet.connector.car.soc > 0.40002)
    # The battery's power dies away in seconds; what matters here is the order of magnitude.
    told = await state(control)
    main = told["circuits"]["main"]
    assert main["limit_a"] == [63.0, 63.0, 63.0]
    assert main["without_chargers_a"][0] == pytest.approx(
        main["current_a"][0] - 16.0, abs=0.1
    )
    assert main["power_total_w"] == pytest.approx(sum(main["power_w"]), abs=0.2)
    assert told["meters"]["grid"]["model"] == "janitza_umg604"
    assert told["meters"]["grid"]["port"] > 0
    charger = told["charge_points"]["CP1"]
    assert (charger["connected"], charger["registration"], charger["complaints"]) == (
        True,
        "Accepted",
        [],
    )
    connector = charger["connectors"]["1"]
    assert (connector["status"], connector["limit"], connector["limit_source"]) == (
        "Charging",
        None,
        "own maximum",
    )
    assert connector["current_a"] == [16.0, 16.0, 16.0]
    assert connector["power_w"] == pytest.approx(3 * 16 * 230)
    assert connector["transaction"]["id_tag"] == "TAG"
    assert connector["car"]["soc"] > 0.4
    assert told["metrics"] == {
        "grace_s": 8.0,
        "over_as": 0,
        "broken_as": 0,
        "max_over_a": 0.0,
    }


async def test_loads_and_sun(running: Site, control: aiohttp.ClientSession) -> None:
    """Loads, sun, battery and voltage can be set, and given back to their curves."""
    await do(control, "stop", connector="CP1")
    await do(control, "battery", id="cell", power_w=0)
    running.plant.batteries["cell"].response_s = 0.02
    await do(control, "base_load", circuit="main", current_a=[40, 10, 5])
    await eventually(
        lambda: (
            running.plant.measure("main").current_a
            == pytest.approx((40, 10, 5), abs=0.01)
        )
    )
    await do(control, "solar", id="roof", power_w=6900)
    await eventually(
        lambda: (
            running.plant.measure("main").power_w[2]
            == pytest.approx(5 * 230 - 2300, abs=1)
        )
    )
    await do(control, "voltage", voltage_v=240)
    await eventually(
        lambda: running.plant.measure("main").voltage_v == (240.0, 240.0, 240.0)
    )
    await do(control, "base_load", circuit="main", current_a=None)
    await do(control, "solar", id="roof", power_w=None)
    await eventually(
        lambda: (
            running.plant.measure("main").current_a
            == pytest.approx((2, 2, 2), abs=0.01)
        )
    )
    await do(control, "time_factor", factor=60)
    before_s = running.plant.curve_s
    await eventually(lambda: running.plant.curve_s > before_s + 10)


async def test_overloads_are_counted_from_the_grace_time(
    running: Site, control: aiohttp.ClientSession
) -> None:
    """Chargers that push a phase over its limit show in the metrics, once the grace time is over."""
    await do(control, "battery", id="cell", power_w=0)
    await do(control, "reset_metrics", grace_s=0.3)
    await do(control, "base_load", circuit="main", current_a=60)
    await asyncio.sleep(1.0)
    metrics = (await state(control))["metrics"]
    assert metrics["grace_s"] == 0.3
    assert metrics["max_over_a"] == pytest.approx(60 + 16 - 63, abs=1.0)
    assert 0.0 < metrics["broken_as"] < metrics["over_as"]


async def test_cars_and_cards(running: Site, control: aiohttp.ClientSession) -> None:
    """Plugging, unplugging, changing the car, showing cards, faults of the charge point."""
    outlet = running.charge_points["CP1"].outlets[0]
    await do(control, "car", connector="CP1", car={"max_a": 10})
    await eventually(lambda: outlet.connector.current_a == 10.0)
    await do(control, "car", connector="CP1/1", car={"paused": True})
    await eventually(lambda: outlet.status == "SuspendedEV")
    await do(control, "unplug", connector="CP1")
    await eventually(lambda: outlet.status == "Available")
    await do(control, "plug", connector="CP1", car={"phases": 1, "soc": 0.9})
    await eventually(lambda: outlet.connector.own_current_a == (16.0, 0.0, 0.0))
    await do(control, "rfid", connector="CP1", id_tag="TAG")
    await eventually(lambda: outlet.status == "Finishing")
    await do(control, "error", connector="CP1", error_code="GroundFailure")
    await eventually(lambda: outlet.status == "Faulted")
    await do(control, "error", connector="CP1", error_code=None)
    await eventually(lambda: outlet.status == "Finishing")


async def test_connections_and_quirks(
    running: Site, control: aiohttp.ClientSession
) -> None:
    """A charge point can be cut off, brought back, power cycled, and made worse."""
    charger = running.charge_points["CP1"]
    await do(control, "disconnect", charge_point="CP1")
    await eventually(lambda: not charger.link.up)
    assert not (await state(control))["charge_points"]["CP1"]["connected"]
    await do(control, "reconnect", charge_point="CP1")
    await eventually(lambda: charger.online)
    await do(control, "drop", charge_point="CP1")
    await eventually(lambda: charger.link.connects == 3)
    await do(control, "power_cycle", charge_point="CP1")
    await eventually(lambda: charger.outbox.sent.get("BootNotification") == 2)
    await do(
        control,
        "quirks",
        charge_point="CP1",
        quirks={"disobedient": True, "slow_answer_s": 2},
    )
    assert (charger.quirks.disobedient, charger.quirks.slow_answer_s) == (True, 2.0)


async def test_meter_faults(running: Site, control: aiohttp.ClientSession) -> None:
    """A fault and its details arrive at the meter."""
    await do(
        control,
        "meter_fault",
        meter="grid",
        fault="exception",
        exception_code=6,
        delay_s=0.5,
    )
    meter = running.meters["grid"]
    assert (meter.fault, meter.exception_code, meter.delay_s) == (
        Fault.EXCEPTION,
        6,
        0.5,
    )
    await do(control, "meter_fault", meter="grid", fault="none")
    assert (await state(control))["meters"]["grid"]["fault"] == "none"
    assert meter.delay_s == 0.0


async def test_meter_wiring(running: Site, control: aiohttp.ClientSession) -> None:
    """A transformer is turned while the meter runs; what is left out is right again."""
    await do(
        control, "meter_wiring", meter="grid", inverted=["L1"], lost=["L3"], ratio=2
    )
    await eventually(lambda: running.meters["grid"].shown.power_w[1] > 0)
    one, two, three = running.meters["grid"].shown.power_w
    assert (one, three) == (pytest.approx(-two), 0.0)
    told = (await state(control))["meters"]["grid"]["wiring"]
    assert (told["inverted"], told["lost"], told["ratio"]) == ([0], [2], 2.0)
    await do(control, "meter_wiring", meter="grid")
    assert min(running.meters["grid"].shown.power_w) > 0


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({}, "do: one of"),
        ({"do": "explode"}, "do: one of"),
        (
            {"do": "base_load", "circuit": "attic", "current_a": 1},
            "no such thing: attic",
        ),
        ({"do": "base_load", "circuit": "main"}, "current_a"),
        (
            {"do": "base_load", "circuit": "main", "current_a": [1, 2]},
            "one number or three",
        ),
        ({"do": "base_load", "circuit": "main", "current_a": "much"}, "number"),
        ({"do": "plug", "connector": "CP1"}, "a car already"),
        ({"do": "plug", "connector": "CP9"}, "no such connector: CP9"),
        ({"do": "car", "connector": "CP1", "car": {"wheels": 3}}, "wheels"),
        ({"do": "drop", "charge_point": "CP9"}, "no such thing: CP9"),
        ({"do": "quirks", "charge_point": "CP1", "quirks": {"polite": True}}, "polite"),
        ({"do": "meter_fault", "meter": "grid", "fault": "fire"}, "fault"),
        ({"do": "meter_wiring", "meter": "grid", "ratio": 0}, "ratio"),
        (
            {"do": "meter_circuit", "meter": "grid", "circuit": "attic"},
            "no such thing: attic",
        ),
        ({"do": "meter_wiring", "meter": "attic"}, "no such thing: attic"),
    ],
)
async def test_commands_that_make_no_sense(
    control: aiohttp.ClientSession, command: Json, reason: str
) -> None:
    """They change nothing and say why."""
    async with control.post("/command", json=command) as response:
        assert response.status == 400
        assert reason in (await response.json())["error"]


async def test_what_is_no_command(control: aiohttp.ClientSession) -> None:
    """Anything but a JSON object is refused."""
    for body in (b"{", b"[]", b"\xff"):
        async with control.post("/command", data=body) as response:
            assert response.status == 400


async def test_the_demo_site_runs(csms: Csms) -> None:
    """All charge points of the demo come up, start, and draw on their phases."""
    config = load_site(DEMO, csms=csms.url)
    async with running_site(config) as demo:
        started = {"ocpp1.6": "StartTransaction", "ocpp2.0.1": "TransactionEvent"}
        versions = {
            name: charger.link.config.subprotocol
            for name, charger in demo.charge_points.items()
        }
        assert set(versions.values()) == started.keys()
        for name, version in versions.items():
            await csms.until(name, started[version])
        outlets = [charger.outlets[0] for charger in demo.charge_points.values()]
        await eventually(
            lambda: all(outlet.connector.draws for outlet in outlets), 10.0
        )
        told = state_of(demo)
        assert {circuit["limit_a"][0] for circuit in told["circuits"].values()} == {
            63.0,
            40.0,
        }
        assert [
            charger["connectors"]["1"]["phases"]
            for charger in told["charge_points"].values()
        ] == [
            ["L1", "L2", "L3"],
            ["L2", "L3", "L1"],
            ["L3"],
            ["L1", "L2", "L3"],
            ["L1", "L2", "L3"],
        ]
        assert {meter["model"] for meter in told["meters"].values()} == {
            "tq_em420",
            "siemens_pac2200",
        }


async def ctl(*arguments: str) -> int:
    """Run the command line's `ctl` beside the running site; return its exit code."""
    return await asyncio.to_thread(main, ["ctl", *arguments])


async def test_the_command_line_of_a_running_site(
    running: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads values as YAML, finds the port in the environment, and says in one line what is wrong."""
    async with control_endpoint(running, 0) as port:
        monkeypatch.setenv("SIMULATOR_CONTROL_PORT", str(port))
        assert await ctl("base_load", "circuit=main", "current_a=[1, 2, 3]") == 0
        commanded = [running.plant.base_loads["main"].command_a]
        assert (
            await ctl(
                "--control-port",
                str(port),
                "base_load",
                "circuit=main",
                "current_a=null",
            )
            == 0
        )
        commanded.append(running.plant.base_loads["main"].command_a)
        assert commanded == [(1.0, 2.0, 3.0), None]
        assert await ctl("base_load", "circuit=attic", "current_a=1") == 1
        assert capsys.readouterr().err == "base_load: no such thing: attic\n"
        assert await ctl("base_load", "circuit") == 2
        assert capsys.readouterr().err == "circuit: key=value is needed\n"
        assert await ctl("state") == 0
        assert json.loads(capsys.readouterr().out)["name"] == "site"
    assert await ctl("state") == 1
    assert capsys.readouterr().err.startswith(f"no simulator on control port {port}")


async def test_the_command_line(csms: Csms) -> None:
    """It says what listens where, says ready, and stops cleanly on SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulator", str(DEMO), "--csms", csms.url, "--control-port", "0"),
        cwd=ROOT,
        env=os.environ | {"SIMULATOR_METER_PORT_BASE": "0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(60):
        while not lines or lines[-1] != "ready":
            lines.append((await process.stdout.readline()).decode().strip())
    assert lines[0].startswith("control http://127.0.0.1:")
    assert any(line.startswith("meter grid 127.0.0.1:") for line in lines)
    assert f"charge point CP5 {csms.url}" in lines
    await csms.until("CP5", "BootNotification")
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


def test_files_that_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names file and place, exit code 2."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("circuits: [{id: main, limit_a: -1}]\n")
    assert main([str(wrong)]) == 2
    assert capsys.readouterr().err == f"{wrong}: circuits[0].limit_a: must be above 0\n"
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


async def test_ports_that_are_taken(csms: Csms) -> None:
    """The error names the port, and nothing is left behind."""
    taken = await asyncio.start_server(
        lambda reader, writer: writer.close(), "127.0.0.1", 0
    )
    port = taken.sockets[0].getsockname()[1]
    config = load_site(DEMO, csms=csms.url)
    one = Site(config, meter_port_base=port)
    with pytest.raises(SiteError, match=f"127.0.0.1:{port}: "):
        await one.start()
    with pytest.raises(SiteError, match=f"control port {port}: "):
        async with control_endpoint(one, port):
            pass
    taken.close()
    await taken.wait_closed()

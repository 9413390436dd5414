"""What many charge points cost: a server here, clients in another process, on loopback.

    python -m tests.ocpp_server.scale 500 60

Each charge point sends MeterValues every 10 s and a status a minute, and gets a permit every 60 s. Printed are the
server's processor time, the lag of its event loop and its memory; then all connections are cut at once, and it is
measured how long it takes until each is back with its next message answered. At last 100 permits are lowered at once,
ten times: how long until the last of them is on the wire?
"""

import argparse
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
import json
from pathlib import Path
import resource
import sys
import tempfile
import time

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from custom_components.reev_ems.ocpp_server import (
    ChargePoint,
    ChargePointConfig,
    OcppServer,
    Permit,
)
from custom_components.reev_ems.sessions import SessionLog

_METER_S = 10.0
_STATUS_S = 60.0
_PERMIT_S = 60.0
_LAG_CHECK_S = 0.01
_STORM_WAIT_S = 60.0
_AT_ONCE = 100
_SAMPLES = [
    {"value": value, "measurand": measurand, "unit": unit, "context": "Sample.Periodic"}
    | ({"phase": phase} if phase else {})
    for measurand, unit, phase, value in (
        ("Power.Active.Import", "W", None, "11000"),
        ("Current.Import", "A", "L1", "16.0"),
        ("Current.Import", "A", "L2", "16.0"),
        ("Current.Import", "A", "L3", "16.0"),
        ("Voltage", "V", "L1-N", "230"),
        ("Voltage", "V", "L2-N", "230"),
        ("Voltage", "V", "L3-N", "230"),
        ("Energy.Active.Import.Register", "Wh", None, "1000000"),
        ("Current.Offered", "A", None, "16"),
        ("Temperature", "Celsius", None, "40"),
    )
]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _client(url: str, number: int, count: int) -> None:
    """Behave as a charge point that comes back when it is cut off."""
    await asyncio.sleep(5.0 * number / count)
    transaction_id = None
    ids = 0
    while True:
        try:
            async with connect(
                f"{url}/CP{number}",
                subprotocols=[Subprotocol("ocpp1.6")],
                compression=None,
            ) as socket:

                async def ask(
                    socket: ClientConnection, action: str, **payload: object
                ) -> dict[str, int]:
                    nonlocal ids
                    ids += 1
                    await socket.send(json.dumps([2, str(ids), action, payload]))
                    while True:
                        kind, message_id, *rest = json.loads(await socket.recv())
                        if kind == 2:
                            await socket.send(
                                json.dumps([3, message_id, {"status": "Accepted"}])
                            )
                        elif message_id == str(ids):
                            answer: dict[str, int] = rest[0]
                            return answer

                await ask(
                    socket,
                    "BootNotification",
                    chargePointVendor="V",
                    chargePointModel="M",
                )
                status = {
                    "connectorId": 1,
                    "status": "Charging",
                    "errorCode": "NoError",
                }
                await ask(socket, "StatusNotification", **status)
                if transaction_id is None:
                    started = await ask(
                        socket,
                        "StartTransaction",
                        connectorId=1,
                        idTag="T",
                        meterStart=0,
                        timestamp=_now(),
                    )
                    transaction_id = started["transactionId"]
                turn = 0
                while True:
                    turn += 1
                    await ask(
                        socket,
                        "MeterValues",
                        connectorId=1,
                        transactionId=transaction_id,
                        meterValue=[{"timestamp": _now(), "sampledValue": _SAMPLES}],
                    )
                    if turn % int(_STATUS_S / _METER_S) == 0:
                        await ask(socket, "StatusNotification", **status)
                    try:
                        async with asyncio.timeout(_METER_S):
                            while True:
                                kind, message_id, *_ = json.loads(await socket.recv())
                                if kind == 2:
                                    await socket.send(
                                        json.dumps(
                                            [3, message_id, {"status": "Accepted"}]
                                        )
                                    )
                    except TimeoutError:
                        pass
        except ConnectionClosed, OSError:
            await asyncio.sleep(number / count)


async def _clients(url: str, count: int) -> None:
    await asyncio.gather(*(_client(url, number, count) for number in range(count)))


@contextmanager
def _lag() -> Iterator[list[float]]:
    """Collect how late the event loop is, in s."""
    lags: list[float] = []

    async def watch() -> None:
        while True:
            began_s = time.perf_counter()
            await asyncio.sleep(_LAG_CHECK_S)
            lags.append(time.perf_counter() - began_s - _LAG_CHECK_S)

    task = asyncio.create_task(watch())
    try:
        yield lags
    finally:
        task.cancel()


async def _lowered_at_once(points: list[ChargePoint]) -> None:
    """Measure from permits to frames."""
    left: list[tuple[float, float]] = []
    send = ServerConnection.send

    async def note(self: ServerConnection, message: str) -> None:
        await send(self, message)
        if "SetChargingProfile" in message:
            left.append((time.perf_counter(), time.process_time()))

    ServerConnection.send = note  # type: ignore[method-assign,assignment]
    walls, cpus = [], []
    for turn in range(10):
        await asyncio.sleep(2.0)
        left.clear()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for point in points:
            point.permit(1, Permit(limit_a=15 - turn / 2))
        async with asyncio.timeout(_STORM_WAIT_S):
            while len(left) < len(points):
                await asyncio.sleep(0.002)
        walls.append(1000 * (left[len(points) - 1][0] - wall_s))
        cpus.append(1000 * (left[len(points) - 1][1] - cpu_s))
    ServerConnection.send = send  # type: ignore[method-assign]
    sys.stdout.write(
        f"{len(points)} permits lowered at once, until the last has left: median {sorted(walls)[5]:.0f} ms, "
        f"longest {max(walls):.0f} ms, processor time {sorted(cpus)[5]:.0f} ms\n"
    )


async def _server(count: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SessionLog(Path(folder) / "sessions.db")
        await store.open()
        server = OcppServer(host="127.0.0.1", port=0, transactions=store)
        await server.start()
        idle_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        points = [
            server.adopt(ChargePointConfig(id=f"CP{number}")) for number in range(count)
        ]
        clients = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __spec__.name,
            "--url",
            f"ws://127.0.0.1:{server.port}",
            str(count),
            "0",
        )
        try:
            while not all(
                point.floor_accepted and point.connectors[1].transaction
                for point in points
            ):
                await asyncio.sleep(0.5)
            with _lag() as lags:
                cpu_s, began_s = time.process_time(), time.monotonic()
                while time.monotonic() < began_s + seconds:
                    for point in points:
                        point.permit(1, Permit(limit_a=16, life_s=2 * _PERMIT_S))
                        await asyncio.sleep(_PERMIT_S / count)
                cpu_s = time.process_time() - cpu_s
                took_s = time.monotonic() - began_s
            lags.sort()
            peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            sys.stdout.write(
                f"{count} charge points, {took_s:.0f} s: {100 * cpu_s / took_s:.1f} % of one core, loop lag "
                f"p50 {1000 * lags[len(lags) // 2]:.1f} ms, p99 {1000 * lags[len(lags) * 99 // 100]:.1f} ms, "
                f"max {1000 * lags[-1]:.0f} ms, memory {peak_mib - idle_mib:.0f} MiB above {idle_mib:.0f} MiB\n"
            )
            cut_s = server.clock()
            await asyncio.gather(*(point.close("cut") for point in points))
            async with asyncio.timeout(_STORM_WAIT_S):
                while any(
                    (point.connectors[1].measured_at_s or 0) <= cut_s
                    or not point.connected
                    for point in points
                ):
                    await asyncio.sleep(0.1)
            sys.stdout.write(
                f"all back with a message answered after {server.clock() - cut_s:.1f} s\n"
            )
            await _lowered_at_once(points[:_AT_ONCE])
            sessions = await store.history(limit=10 * count)
            sys.stdout.write(f"{len(sessions)} sessions recorded\n")
        finally:
            clients.terminate()
            await clients.wait()
            await server.stop()
            await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Measure what many charge points cost."
    )
    parser.add_argument("count", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.url:
        asyncio.run(_clients(arguments.url, arguments.count))
    else:
        asyncio.run(_server(arguments.count, arguments.seconds))

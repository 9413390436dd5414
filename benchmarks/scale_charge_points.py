"""Many charge points and the meter of their grid connection, in a process of their own: the benchmark's other end.

    python -m benchmarks.scale_charge_points ws://127.0.0.1:9000 500

It says on stdout on which port the meter is. After a line on stdin the charge points dial; every further line, with a
point in time of the monotonic clock, is answered with how they are since then.
"""

import argparse
import asyncio
from datetime import UTC, datetime
import itertools
import json
import random
import sys
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from custom_components.reev_ems.meters import load_profiles
from tests.meters.wire import ModbusServer, twin

METER = "janitza_umg604"
METER_VALUES_S = 10.0
STATUS_S = 60.0
WANTED_A = 16.0


class Car:
    """A charge point of three phases with a car that draws what it is permitted, at most 16 A."""

    def __init__(self, number: int, url: str, delay_s: float) -> None:
        """Initialize; run() connects."""
        self.id = f"CP{number:04}"
        self._url = f"{url}/{self.id}"
        self._delay_s = delay_s
        self._ids = itertools.count(1)
        self.transaction: int | None = None
        self._floor_a = 6.0
        self._permit_a: float | None = None
        self._energy_wh = 0.0
        # Half of the cars rest at any time, each for a minute.
        self._is_resting = number % 2 == 1
        self.connected_at = 0.0
        self.answered_at = 0.0
        self.steered_at = 0.0

    @property
    def current_a(self) -> float:
        """What the car draws per phase."""
        if self.transaction is None or self._is_resting:
            return 0.0
        limit_a = self._floor_a if self._permit_a is None else self._permit_a
        return min(limit_a, WANTED_A)

    async def run(self) -> None:
        """Connect again and again."""
        await asyncio.sleep(self._delay_s)
        while True:
            try:
                async with connect(
                    self._url,
                    subprotocols=[Subprotocol("ocpp1.6")],
                    compression=None,
                    open_timeout=30,
                ) as socket:
                    await self._serve(socket)
            except ConnectionClosed, InvalidHandshake, OSError, TimeoutError:
                await asyncio.sleep(random.uniform(0, 2))

    async def _serve(self, socket: ClientConnection) -> None:
        """Boot, begin a session if there is none, then report for ever."""
        self.connected_at = time.monotonic()
        await self._ask(
            socket,
            "BootNotification",
            chargePointVendor="Scale",
            chargePointModel="Test",
            chargePointSerialNumber=self.id,
            firmwareVersion="1.0",
        )
        await self._status(socket, "Charging")
        if self.transaction is None:
            answer = await self._ask(
                socket,
                "StartTransaction",
                connectorId=1,
                idTag="TAG",
                meterStart=0,
                timestamp=_now(),
            )
            self.transaction = answer["transactionId"]
        for turn in itertools.count(1):
            await self._meter_values(socket)
            if turn % int(STATUS_S / METER_VALUES_S) == 0:
                self._is_resting = not self._is_resting
                await self._status(
                    socket, "SuspendedEV" if self._is_resting else "Charging"
                )
            try:
                async with asyncio.timeout(METER_VALUES_S):
                    while True:
                        self._take(await self._receive(socket))
            except TimeoutError:
                pass

    async def _status(self, socket: ClientConnection, status: str) -> None:
        """Report a status."""
        await self._ask(
            socket,
            "StatusNotification",
            connectorId=1,
            status=status,
            errorCode="NoError",
            timestamp=_now(),
        )

    async def _meter_values(self, socket: ClientConnection) -> None:
        """Report what is drawn."""
        current_a = self.current_a
        power_w = 690 * current_a
        self._energy_wh += power_w * METER_VALUES_S / 3600
        samples = [
            _sample("Power.Active.Import", "W", power_w),
            _sample("Energy.Active.Import.Register", "Wh", self._energy_wh),
            _sample("Current.Offered", "A", current_a),
            _sample("Temperature", "Celsius", 40.0),
            *(
                sample
                for phase in ("L1", "L2", "L3")
                for sample in (
                    _sample("Current.Import", "A", current_a, phase),
                    _sample("Voltage", "V", 230 + random.random(), f"{phase}-N"),
                )
            ),
        ]
        await self._ask(
            socket,
            "MeterValues",
            connectorId=1,
            transactionId=self.transaction,
            meterValue=[{"timestamp": _now(), "sampledValue": samples}],
        )
        self.answered_at = time.monotonic()

    async def _ask(
        self, socket: ClientConnection, action: str, **payload: object
    ) -> dict[str, Any]:
        """Send a request and return its answer."""
        message_id = str(next(self._ids))
        await socket.send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(60):
            while True:
                message = await self._receive(socket)
                if message[0] == 3 and message[1] == message_id:
                    answer: dict[str, Any] = message[2]
                    return answer
                self._take(message)

    async def _receive(self, socket: ClientConnection) -> list[Any]:
        """Return the next message; requests are answered at once."""
        message: list[Any] = json.loads(await socket.recv())
        if message[0] == 2:
            answer: dict[str, Any] = {"status": "Accepted"}
            if message[2] == "GetConfiguration":
                answer = {"configurationKey": [], "unknownKey": []}
            await socket.send(json.dumps([3, message[1], answer]))
        return message

    def _take(self, message: list[Any]) -> None:
        """Heed charging profiles."""
        if message[0] != 2 or message[2] != "SetChargingProfile":
            return
        profile = message[3]["csChargingProfiles"]
        limit_a = float(
            profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        )
        if profile["chargingProfilePurpose"] == "TxDefaultProfile":
            self._floor_a = limit_a
        else:
            self._permit_a = limit_a
        self.steered_at = time.monotonic()


async def run(url: str, count: int) -> None:
    """Run the charge points and the meter; report on stdout, obey stdin."""
    cars = [Car(number, url, 10.0 * number / count) for number in range(count)]
    device = twin(load_profiles().profiles[METER])
    quantities = load_profiles().profiles[METER].quantities

    def put(name: str, value: float) -> None:
        quantity = quantities[name]
        device.put_number(
            [3 if quantity.space == "holding" else 4],
            quantity.addresses[0],
            quantity.type,
            value / quantity.scale,
            quantity.word_order,
        )

    async def measure(rest: random.Random) -> None:
        """Let the meter show what all draw, and a house that never stands still."""
        while True:
            drawn_a = sum(car.current_a for car in cars)
            total_w = 0.0
            for phase in ("l1", "l2", "l3"):
                current_a = drawn_a + 20 + rest.uniform(-2, 2)
                put(f"voltage_{phase}", 230.0)
                put(f"current_{phase}", current_a)
                put(f"power_{phase}", 230.0 * current_a)
                total_w += 230.0 * current_a
            put("power_total", total_w)
            await asyncio.sleep(0.5)

    async with ModbusServer({1: device}) as meter, asyncio.TaskGroup() as group:
        _say(meter_port=meter.port)
        group.create_task(measure(random.Random(1)))
        await asyncio.to_thread(sys.stdin.readline)
        for car in cars:
            group.create_task(car.run())
        while line := await asyncio.to_thread(sys.stdin.readline):
            since = float(line)
            _say(
                at=time.monotonic(),
                connected=sum(car.connected_at > since for car in cars),
                answered=sum(car.answered_at > since for car in cars),
                steered=sum(car.steered_at > since for car in cars),
                drawn_a=sum(car.current_a for car in cars),
                sessions=len({car.transaction for car in cars} - {None}),
            )
        sys.exit()


def _sample(
    measurand: str, unit: str, value: float, phase: str | None = None
) -> dict[str, str]:
    sample = {"measurand": measurand, "unit": unit, "value": f"{value:.1f}"}
    return sample | {"phase": phase} if phase else sample


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the OCPP server, without a charge point's id")
    parser.add_argument("count", type=int, help="how many charge points")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.url, arguments.count))


if __name__ == "__main__":
    main()

"""A whole simulated site, running in real time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
import time

from .charge_point import ChargePoint
from .link import Link
from .modbus import Endpoint, Meter, group_into_endpoints
from .ocpp16 import ChargePoint16
from .ocpp201 import ChargePoint201
from .outlets import Outlet
from .plant import Plant
from .site_file import SiteConfig, SiteError, connector_id
from .visits import Visits


class Site:
    """Meters, charge points and the plant behind them.

    Args:
        config: the checked site file.
        meter_port_base: the endpoints of the meters get this port and the following; 0: free ones. None: the
            file's.
    """

    def __init__(
        self, config: SiteConfig, *, meter_port_base: int | None = None
    ) -> None:
        """Build everything; nothing listens or connects before `start`."""
        self.config = config
        self.plant: Plant = config.plant()
        self.visits = Visits(config.visits())
        self.meters: dict[str, Meter] = {}
        places = []
        for host, port, meter in config.meters():
            self.meters[meter.id] = Meter(meter, self.plant.measure(meter.circuit))
            places.append((host, port, self.meters[meter.id]))

        def choose(place: int, port: int) -> int:
            if meter_port_base is None:
                return port
            return meter_port_base + place if meter_port_base else 0

        self.endpoints = group_into_endpoints(places, choose)
        self.charge_points: dict[str, ChargePoint] = {}
        for charge_point, link, quirks in config.charge_points():
            connectors = [
                connector
                for connector in self.plant.connectors.values()
                if connector.id.rpartition("/")[0] == charge_point.id
            ]
            dialect = (
                ChargePoint201 if link.subprotocol == "ocpp2.0.1" else ChargePoint16
            )
            self.charge_points[charge_point.id] = dialect(
                charge_point,
                link,
                connectors,
                voltage_v=lambda: self.plant.voltage_v,
                quirks=quirks,
            )
        self._tasks: list[asyncio.Task[None]] = []
        self._twins: set[asyncio.Task[None]] = set()

    def endpoint_of(self, meter: Meter) -> Endpoint:
        """Return the endpoint through which a meter is reached."""
        return next(endpoint for endpoint in self.endpoints if meter in endpoint.meters)

    def outlet(self, name: str) -> tuple[ChargePoint, Outlet]:
        """Find a connector by `charge point/number`, or by its charge point alone if that has only one.

        Raises:
            SiteError: there is none.
        """
        for charge_point in self.charge_points.values():
            for outlet in charge_point.outlets:
                alone = (
                    name == charge_point.config.id and len(charge_point.outlets) == 1
                )
                if alone or name == connector_id(charge_point.config.id, outlet.number):
                    return charge_point, outlet
        raise SiteError(f"no such connector: {name}")

    def start_twin(self, name: str, seconds: float) -> None:
        """Let another charge point with the same id dial in for some time; it says yes to everything."""
        original = self.charge_points[name].link.config
        twin = Link(
            replace(original, retry_s=0.5, longest_retry_s=0.5),
            on_call=lambda action, payload: {"status": "Accepted"},
            on_up=lambda: None,
            on_down=lambda: None,
        )

        async def run() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await twin.run()

        self._twins = {task for task in self._twins if not task.done()}
        self._twins.add(asyncio.create_task(run()))

    async def start(self) -> None:
        """Listen and begin.

        Raises:
            SiteError: a port is taken.
        """
        for endpoint in self.endpoints:
            try:
                await endpoint.start()
            except OSError as error:
                await self.stop()
                raise SiteError(
                    f"{endpoint.host}:{endpoint.port}: {error.strerror or error}"
                ) from error
        self._tasks = [asyncio.create_task(self._tick_forever())]
        self._tasks += [
            asyncio.create_task(charge_point.run())
            for charge_point in self.charge_points.values()
        ]

    async def stop(self) -> None:
        """End all tasks and close all ports."""
        for task in (*self._tasks, *self._twins):
            task.cancel()
        ended = await asyncio.gather(*self._tasks, *self._twins, return_exceptions=True)
        self._tasks = []
        for endpoint in self.endpoints:
            await endpoint.stop()
        for end in ended:
            if isinstance(end, BaseException) and not isinstance(
                end, asyncio.CancelledError
            ):
                raise end

    async def wait(self) -> None:
        """Wait until a part of the site fails.

        Raises:
            Exception: what it failed with.
        """
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _tick_forever(self) -> None:
        last_s = time.monotonic()
        while True:
            await asyncio.sleep(self.config.tick_s)
            now_s = time.monotonic()
            self.tick(now_s - last_s, time.time())
            last_s = now_s

    def tick(self, dt_s: float, wall_s: float) -> None:
        """Let `dt_s` pass, up to the UTC time `wall_s`."""
        for name, car in self.visits.changes(self.plant.curve_s):
            host, outlet = self.outlet(name)
            host.unplug(outlet)
            if car is not None:
                host.plug(outlet, car)
        for charge_point in self.charge_points.values():
            charge_point.tick(wall_s)
        self.plant.advance(dt_s)
        for meter in self.meters.values():
            meter.sample(self.plant.measure(meter.config.circuit))


@asynccontextmanager
async def running_site(
    config: SiteConfig, *, meter_port_base: int | None = 0
) -> AsyncIterator[Site]:
    """Run a site within a block; its meters get free ports unless told otherwise."""
    site = Site(config, meter_port_base=meter_port_base)
    await site.start()
    try:
        yield site
    finally:
        await site.stop()

"""A list of measurands is never longer than a charge point says that it takes; the most valuable ones stay."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from custom_components.reev_ems.ocpp_server import ChargePointConfig, OcppServer
from custom_components.reev_ems.ocpp_server.dialect import MEASURANDS, fitting
from custom_components.reev_ems.sessions import SessionLog
from simulator.charge_point import ChargePoint
from simulator.ocpp16 import ChargePoint16
from simulator.ocpp201 import ChargePoint201
from simulator.site import running_site
from simulator.site_file import parse_site

from .sites import charge_point, site

LIMITED = {
    "FOUR": {"measurands_max": 4},
    "ONE": {"measurands_max": 1},
    "ANY": {},
    # Three have 64 characters, four 72.
    "SHORT201": {"protocol": "ocpp2.0.1", "measurands_max": 71},
    "ANY201": {"protocol": "ocpp2.0.1"},
}
# The simulated ones have no thermometer.
REFUSED = ("Temperature",)
EXPECTED = {
    "FOUR": MEASURANDS[:4],
    "ONE": MEASURANDS[:1],
    "ANY": MEASURANDS[:7],
    "SHORT201": MEASURANDS[:3],
    "ANY201": MEASURANDS[:7],
}


@pytest.fixture
async def server(tmp_path: Path, socket_enabled: None) -> AsyncIterator[OcppServer]:
    """The server, with every charge point adopted."""
    store = SessionLog(tmp_path / "sessions.db")
    await store.open()
    server = OcppServer(host="127.0.0.1", port=0, transactions=store)
    await server.start()
    for name in LIMITED:
        server.adopt(ChargePointConfig(id=name))
    yield server
    await server.stop()
    await store.close()


def measured(point: ChargePoint) -> tuple[str, ...]:
    """Return what a simulated charge point is set to measure."""
    if isinstance(point, ChargePoint16):
        return point.configuration.names("MeterValuesSampledData")
    assert isinstance(point, ChargePoint201)
    return point.variables.names("SampledDataCtrlr", "TxUpdatedMeasurands")


async def test_on_the_wire(server: OcppServer) -> None:
    """None is written a longer list, and none is noted to have refused what it was not asked for."""
    config = parse_site(
        site(*(charge_point(name, **options) for name, options in LIMITED.items())),
        csms=f"ws://127.0.0.1:{server.port}",
    )
    async with running_site(config) as running:
        points = running.charge_points
        async with asyncio.timeout(20):
            while any(measured(points[name]) != EXPECTED[name] for name in LIMITED):
                await asyncio.sleep(0.05)
            while not server.charge_points["ANY201"].learnt.without_measurands:
                await asyncio.sleep(0.05)
        for name in LIMITED:
            assert not points[name].link.complaints
            learnt = server.charge_points[name].learnt
            refused = REFUSED if name.startswith("ANY") else ()
            assert learnt.without_measurands == refused


@pytest.mark.parametrize(
    ("limits", "count"),
    [
        ({}, 8),
        ({"most": 0}, 8),
        ({"most": 20}, 8),
        ({"most": 5}, 5),
        ({"length": len(",".join(MEASURANDS))}, 8),
        ({"length": len(",".join(MEASURANDS)) - 1}, 7),
        ({"length": 3}, 1),
        ({"most": 6, "length": 71}, 3),
    ],
)
def test_the_least_important_goes_first(limits: dict[str, int], count: int) -> None:
    """What cannot be is no limit; one measurand is asked for in any case."""
    assert fitting(MEASURANDS, **limits) == list(MEASURANDS[:count])

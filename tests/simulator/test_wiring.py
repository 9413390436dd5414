"""What a meter shows that was wired or set up wrongly, on the wire and by its counters."""

import struct
from typing import Any

import pytest

from simulator.layouts import JANITZA_UMG604
from simulator.modbus import Endpoint, Fault, Meter, MeterConfig
from simulator.plant import Measurement
from simulator.site_file import parse_site
from simulator.values import LINE_PHASES
from simulator.wiring import Wiring, read_wiring

from .sites import charge_point, site
from .test_modbus import exchange, served

pytestmark = pytest.mark.usefixtures("socket_enabled")


def truth(at_s: float = 0.0, hours: float = 0.0) -> Measurement:
    """Return a moment: 10 A drawn on L1, 4 A fed in on L2, nothing on L3; for so many hours."""
    return Measurement(
        at_s=at_s,
        voltage_v=(230.0, 231.0, 229.0),
        current_a=(10.0, 4.0, 0.0),
        power_w=(2300.0, -924.0, 0.0),
        reactive_var=(100.0, -50.0, 0.0),
        frequency_hz=50.0,
        import_wh=1376.0 * hours,
        export_wh=0.0,
        import_phase_wh=(2300.0 * hours, 0.0, 0.0),
        export_phase_wh=(0.0, 924.0 * hours, 0.0),
    )


def meter(**wiring: Any) -> Meter:
    """Return a meter that is wired so."""
    config = MeterConfig(
        id="m",
        circuit="main",
        layout=JANITZA_UMG604,
        refresh_s=0.0,
        wiring=Wiring(**wiring),
    )
    return Meter(config, truth())


async def floats(endpoint: Endpoint, address: int, count: int) -> tuple[float, ...]:
    """Read floats as they are on the wire."""
    request = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, address, 2 * count)
    return struct.unpack(f">{count}f", (await exchange(endpoint, request))[9:])


@pytest.mark.parametrize(
    ("wiring", "current_a", "power_w", "voltage_v"),
    [
        ({}, (10, 4, 0), (2300, -924, 0), (230, 231, 229)),
        ({"sign": -1}, (10, 4, 0), (-2300, 924, 0), (230, 231, 229)),
        ({"inverted": (0,)}, (10, 4, 0), (-2300, -924, 0), (230, 231, 229)),
        ({"inverted": (0,), "sign": -1}, (10, 4, 0), (2300, 924, 0), (230, 231, 229)),
        ({"lost": (0,)}, (0, 4, 0), (0, -924, 0), (230, 231, 229)),
        ({"phase_order": (1, 0, 2)}, (4, 10, 0), (-924, 2300, 0), (231, 230, 229)),
        ({"ratio": 5.0}, (50, 20, 0), (11500, -4620, 0), (230, 231, 229)),
        # The phases that are turned are the meter's own.
        (
            {"phase_order": (1, 0, 2), "inverted": (0,), "ratio": 0.5},
            (2, 5, 0),
            (462, 1150, 0),
            (231, 230, 229),
        ),
    ],
)
async def test_what_the_registers_say(
    wiring: dict[str, Any],
    current_a: tuple[float, ...],
    power_w: tuple[float, ...],
    voltage_v: tuple[float, ...],
) -> None:
    """A fault can be there from the start, or come while the meter runs, and be mended."""
    wrong, mended = meter(**wiring), meter()
    for each in (wrong, mended):
        async with served(each) as endpoint:
            if each is mended:
                assert await floats(endpoint, 19020, 3) == (2300, -924, 0)
                mended.rewire(Wiring(**wiring))
            assert await floats(endpoint, 19000, 3) == voltage_v
            assert await floats(endpoint, 19012, 3) == current_a
            assert await floats(endpoint, 19020, 3) == power_w
            assert await floats(endpoint, 19026, 1) == (sum(power_w),)
    mended.rewire(Wiring())
    async with served(mended) as endpoint:
        assert await floats(endpoint, 19020, 3) == (2300, -924, 0)


@pytest.mark.parametrize(
    ("wiring", "into_wh", "out_wh"),
    [
        ({}, 1376.0, 0.0),
        ({"sign": -1}, 0.0, 1376.0),
        ({"inverted": (0,)}, 0.0, 3224.0),
        ({"lost": (1,)}, 2300.0, 0.0),
        ({"phase_order": (2, 0, 1)}, 1376.0, 0.0),
        ({"ratio": 2.0}, 2752.0, 0.0),
        ({"frozen_energy": True}, 0.0, 0.0),
    ],
)
def test_counters_count_what_the_meter_sees(
    wiring: dict[str, Any], into_wh: float, out_wh: float
) -> None:
    """A fault that comes later changes nothing of what was counted before."""
    counting = meter()
    counting.sample(truth(at_s=3600.0, hours=1.0))
    assert (counting.shown.import_wh, counting.shown.export_wh) == (1376.0, 0.0)
    counting.rewire(Wiring(**wiring))
    assert (counting.shown.import_wh, counting.shown.export_wh) == (1376.0, 0.0)
    counting.sample(truth(at_s=7200.0, hours=2.0))
    assert counting.shown.import_wh == pytest.approx(1376.0 + into_wh)
    assert counting.shown.export_wh == pytest.approx(out_wh)


def test_a_site_file_says_what_is_wrong() -> None:
    """The same words as in a command; a meter can be at fault from the start."""
    wiring = {
        "sign": -1,
        "inverted": ["L2"],
        "lost": ["L3"],
        "phase_order": ["L2", "L1", "L3"],
        "ratio": 5,
        "frozen_energy": True,
    }
    grid = {"id": "grid", "circuit": "main", "model": "janitza_umg604", "port": 0}
    definition = site(charge_point(), meters=[grid | wiring | {"fault": "frozen"}])
    ((_, _, config),) = parse_site(definition).meters()
    assert config.fault is Fault.FROZEN
    assert config.wiring == Wiring(
        sign=-1,
        inverted=(1,),
        lost=(2,),
        phase_order=(1, 0, 2),
        ratio=5.0,
        frozen_energy=True,
    )
    assert read_wiring({}) == Wiring()
    assert LINE_PHASES(["L3", "L1"]) == (2, 0)


async def test_a_port_that_is_closed_from_the_start() -> None:
    """Nobody listens until the fault is mended."""
    config = MeterConfig(
        id="m", circuit="main", layout=JANITZA_UMG604, fault=Fault.REFUSE
    )
    closed = Meter(config, truth())
    async with served(closed) as endpoint:
        assert endpoint.port == 0
        await endpoint.set_fault(closed, Fault.NONE)
        assert await floats(endpoint, 19020, 1) == (2300,)

"""The register layouts byte by byte, with the numbers of the makers' documents, over a real Modbus TCP connection."""

import asyncio
from collections.abc import AsyncIterator
import struct

from pymodbus.client import AsyncModbusTcpClient
import pytest

from simulator.layouts import LAYOUTS
from simulator.modbus import Endpoint, Meter, MeterConfig
from simulator.plant import Measurement

pytestmark = pytest.mark.usefixtures("socket_enabled")

# L1 takes 2300 W, L2 gives 460 W, L3 takes 1150 W at a power factor of 0.5.
TRUTH = Measurement(
    at_s=0.0,
    voltage_v=(230.0, 231.5, 229.25),
    current_a=(10.0, 2.0, 10.0),
    power_w=(2300.0, -460.0, 1146.5),
    reactive_var=(0.0, 50.0, 1985.0),
    frequency_hz=50.02,
    import_wh=1234567.8,
    export_wh=345.6,
    import_phase_wh=(500000.5, 100.0, 700000.0),
    export_phase_wh=(0.0, 300.0, 45.6),
)
TOTAL_W = 2986.5


def floats(*values: float) -> bytes:
    """Return float32, high word first."""
    return struct.pack(f">{len(values)}f", *values)


def doubles(*values: float) -> bytes:
    """Return float64, high word first."""
    return struct.pack(f">{len(values)}d", *values)


def u32(*values: int) -> bytes:
    """Return uint32, high word first."""
    return struct.pack(f">{len(values)}I", *values)


def u64(*values: int) -> bytes:
    """Return uint64, high word first."""
    return struct.pack(f">{len(values)}Q", *values)


def u16(*values: int) -> bytes:
    """Return int16 or uint16."""
    return struct.pack(f">{len(values)}H", *(value & 0xFFFF for value in values))


def swapped(data: bytes, registers: int = 2) -> bytes:
    """Return values of so many registers each, low word first."""
    size = 2 * registers
    values = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(
        value[at : at + 2] for value in values for at in range(size - 2, -2, -2)
    )


def text(value: str, registers: int) -> bytes:
    """Return a text in so many registers."""
    return value.encode().ljust(2 * registers, b"\0")


EXPECTED = [
    # Janitza UMG 604: float32 from 19000.
    ("janitza_umg604", 3, 19000, floats(230.0, 231.5, 229.25)),
    ("janitza_umg604", 3, 19012, floats(10.0, 2.0, 10.0)),
    ("janitza_umg604", 4, 19020, floats(2300.0, -460.0, 1146.5, TOTAL_W)),
    ("janitza_umg604", 3, 19050, floats(50.02)),
    ("janitza_umg604", 3, 19062, floats(500000.5, 100.0, 700000.0)),
    ("janitza_umg604", 3, 19068, floats(1234567.8)),
    ("janitza_umg604", 3, 19076, floats(345.6)),
    ("janitza_umg604", 3, 1317, floats(230.0, 231.5, 229.25)),
    ("janitza_umg604", 3, 1325, floats(10.0, 2.0, 10.0)),
    ("janitza_umg604", 3, 1333, floats(2300.0, -460.0, 1146.5)),
    ("janitza_umg604", 3, 1369, floats(TOTAL_W)),
    ("janitza_umg604", 3, 9851, floats(1234567.8)),
    ("janitza_umg604", 3, 10176, u32(40604001)),
    ("janitza_umg604", 3, 10072, text("UMG604-PRO", 32)),
    # TQ EM420: uint32, power in 0.1 W, plus and minus apart; currents as magnitudes in mA.
    ("tq_em420", 3, 0, u32(29865, 0)),
    ("tq_em420", 3, 26, u32(50020)),
    ("tq_em420", 3, 40, u32(23000, 0)),
    ("tq_em420", 3, 80, u32(0, 4600)),
    ("tq_em420", 3, 120, u32(11465, 0)),
    ("tq_em420", 3, 60, u32(10000, 230000)),
    ("tq_em420", 3, 100, u32(2000, 231500)),
    ("tq_em420", 3, 140, u32(10000, 229250)),
    ("tq_em420", 3, 64, u32(1000)),
    ("tq_em420", 3, 512, u64(12345678, 3456)),
    ("tq_em420", 3, 592, u64(5000005, 0)),
    ("tq_em420", 3, 672, u64(1000, 3000)),
    ("tq_em420", 3, 752, u64(7000000, 456)),
    ("tq_em420", 3, 8192, bytes.fromhex("52334842")),
    ("tq_em420", 3, 8196, text("TQ-Systems GmbH", 16)),
    # Siemens PAC2200: float32 from 1, float64 energies per tariff, I&M block.
    ("siemens_pac2200", 3, 1, floats(230.0, 231.5, 229.25)),
    ("siemens_pac2200", 4, 13, floats(10.0, 2.0, 10.0)),
    ("siemens_pac2200", 3, 25, floats(2300.0, -460.0, 1146.5)),
    ("siemens_pac2200", 3, 37, floats(1.0, 460.0 / 463.0, 1146.5 / 2292.5)),
    ("siemens_pac2200", 3, 55, floats(50.02)),
    ("siemens_pac2200", 3, 65, floats(TOTAL_W)),
    ("siemens_pac2200", 3, 801, doubles(1234567.8, 0.0, 345.6, 0.0)),
    (
        "siemens_pac2200",
        3,
        64001,
        b"\x00\x2a"
        + text("7KM2200-2EA30-1EA1", 10)
        + text("LQN22000001", 8)
        + b"\x00\x01"
        + text("V3.2.0", 7),
    ),
]

EXPECTED += [
    # Janitza UMG 512: the common block, its own fast block and identification.
    ("janitza_umg512", 3, 19020, floats(2300.0, -460.0, 1146.5, TOTAL_W)),
    ("janitza_umg512", 3, 3845, floats(230.0, 231.5, 229.25)),
    ("janitza_umg512", 3, 6508, floats(1234567.8)),
    ("janitza_umg512", 3, 6856, u32(40512001)),
    ("janitza_umg96", 3, 19012, floats(10.0, 2.0, 10.0)),
    ("janitza_umg96", 3, 754, u32(40096001)),
    # The larger Siemens: the map of the PAC2200 without its gap.
    ("siemens_pac3200", 3, 25, floats(2300.0, -460.0, 1146.5)),
    ("siemens_pac4200", 3, 801, doubles(1234567.8)),
    ("siemens_pac3220", 3, 55, floats(50.02)),
    # Carlo Gavazzi: int32 with the low word first, 0.1 V, mA, 0.1 W, 0.1 kWh.
    ("carlo_gavazzi_em24_e1", 4, 0, swapped(u32(2300, 2315, 2292))),
    ("carlo_gavazzi_em24_e1", 3, 12, swapped(u32(10000, 2000, 10000))),
    ("carlo_gavazzi_em24_e1", 3, 18, swapped(u32(23000, 2**32 - 4600, 11465))),
    ("carlo_gavazzi_em24_e1", 3, 40, swapped(u32(29865))),
    ("carlo_gavazzi_em24_e1", 3, 51, u16(500)),
    ("carlo_gavazzi_em24_e1", 3, 52, swapped(u32(12346))),
    ("carlo_gavazzi_em24_e1", 3, 78, swapped(u32(3))),
    ("carlo_gavazzi_em24_e1", 3, 11, u16(1648)),
    ("carlo_gavazzi_em340", 3, 11, u16(341)),
    ("carlo_gavazzi_em540", 3, 11, u16(1760)),
    ("carlo_gavazzi_em540", 3, 1280, swapped(u64(1234568), 4)),
    # ABB B23: 0.1 V, 0.01 A, 0.01 W, 0.01 kWh; all ones where nothing is.
    ("abb_b23", 3, 0x5B00, u32(2300, 2315, 2292)),
    ("abb_b23", 3, 0x5B0C, u32(1000, 200, 1000)),
    ("abb_b23", 3, 0x5B14, u32(298650, 230000, 2**32 - 46000, 114650)),
    ("abb_b23", 3, 0x5B2C, u16(5002)),
    ("abb_b23", 3, 0x5000, u64(123457, 35)),
    ("abb_b23", 3, 0x8960, b"B23 "),
    ("abb_b23", 3, 0x6000, b"\xff" * 8),
    # Shelly Pro 3EM: float32, low word first, 20 registers from phase to phase.
    ("shelly_pro_3em", 4, 1013, swapped(floats(TOTAL_W))),
    ("shelly_pro_3em", 4, 1020, swapped(floats(230.0, 10.0, 2300.0))),
    ("shelly_pro_3em", 4, 1040, swapped(floats(231.5, 2.0, -460.0))),
    ("shelly_pro_3em", 4, 1162, swapped(floats(1234567.8, 345.6))),
    ("shelly_pro_3em", 4, 6, b"PSME0-30ECEB\0U" + bytes(6)),
    # Eastron SDM630: float32, kWh.
    (
        "eastron_sdm630",
        4,
        0,
        floats(230.0, 231.5, 229.25, 10.0, 2.0, 10.0, 2300.0, -460.0, 1146.5),
    ),
    ("eastron_sdm630", 4, 52, floats(TOTAL_W)),
    ("eastron_sdm630", 4, 70, floats(50.02, 1234.5678, 0.3456)),
    # Algodue: float32 from 0x1000.
    ("algodue_uem", 4, 0x1000, floats(230.0, 231.5, 229.25)),
    ("algodue_uem", 3, 0x100E, floats(10.0, 2.0, 10.0)),
    ("algodue_uem", 4, 0x1020, floats(2300.0, -460.0, 1146.5, TOTAL_W)),
    ("algodue_uem", 4, 0x1038, floats(50.02)),
    ("algodue_uem", 4, 0x1106, floats(1234567.8)),
    ("algodue_uem", 3, 0x0505, u16(8)),
    # Lovato DMG610: 0.01 V, 0.1 mA, 0.01 W.
    ("lovato_dmg610", 4, 1, u32(23000, 23150, 22925, 100000, 20000, 100000)),
    ("lovato_dmg610", 4, 19, u32(230000, 2**32 - 46000, 114650)),
    ("lovato_dmg610", 4, 57, u32(298650)),
    ("lovato_dmg610", 4, 0x31, u32(50020)),
    ("lovato_dmg610", 4, 0x1B1F, u64(123457, 35)),
    # Phoenix Contact EEM-XM: float32, low word first.
    (
        "phoenix_eem_xm",
        3,
        0x8006,
        swapped(floats(230.0, 231.5, 229.25, 50.02, 10.0, 2.0, 10.0)),
    ),
    ("phoenix_eem_xm", 3, 0x8016, swapped(floats(TOTAL_W))),
    ("phoenix_eem_xm", 3, 0x801E, swapped(floats(2300.0, -460.0, 1146.5))),
    ("phoenix_eem_xm", 3, 0x8100, swapped(floats(1234567.8))),
    # SunSpec: marker, common model of 66 words, then the meter model, then the end.
    ("sunspec_203", 3, 40000, b"SunS" + u16(1, 66)),
    ("sunspec_203", 3, 40070, u16(203, 105)),
    ("sunspec_203", 3, 40073, u16(1000, 200, 1000, -2)),
    ("sunspec_203", 3, 40078, u16(2300, 2315, 2292)),
    ("sunspec_203", 3, 40085, u16(-1, 5002, -2, 299, 230, -46, 115, 1)),
    ("sunspec_203", 3, 40108, u32(346)),
    ("sunspec_203", 3, 40116, u32(1234568)),
    ("sunspec_203", 3, 40177, u16(0xFFFF, 0)),
    ("sunspec_213", 3, 40070, u16(213, 124)),
    ("sunspec_213", 3, 40074, floats(10.0, 2.0, 10.0)),
    ("sunspec_213", 3, 40082, floats(230.0, 231.5, 229.25)),
    ("sunspec_213", 3, 40096, floats(50.02, TOTAL_W, 2300.0, -460.0, 1146.5)),
    ("sunspec_213", 3, 40130, floats(345.6)),
    ("sunspec_213", 3, 40138, floats(1234567.8)),
    ("sunspec_213", 3, 40196, u16(0xFFFF, 0)),
]

REFUSED = [
    ("janitza_umg604", 18998, 4, "before the block"),
    ("janitza_umg604", 19121, 2, "behind the block"),
    ("tq_em420", 145, 2, "behind the table"),
    ("tq_em420", 510, 4, "before the energies"),
    ("siemens_pac2200", 0, 2, "before the first value"),
    ("siemens_pac2200", 2, 2, "starts inside a value"),
    ("siemens_pac2200", 1, 3, "ends inside a value"),
    ("siemens_pac2200", 41, 4, "reaches into the gap"),
    ("siemens_pac2200", 801, 2, "half a float64"),
    ("siemens_pac2200", 64001, 1, "part of the I&M block"),
    ("siemens_pac2200", 64001, 28, "more than the I&M block"),
    ("carlo_gavazzi_em340", 0, 51, "too long"),
    ("abb_b23", 0x8F00, 2, "behind the range"),
    ("sunspec_203", 40179, 1, "behind the chain"),
]

BLOCKS = [
    ("janitza_umg604", 19000, 122),
    ("janitza_umg604", 1317, 124),
    ("tq_em420", 0, 28),
    ("tq_em420", 40, 106),
    ("siemens_pac2200", 1, 42),
    ("siemens_pac2200", 55, 18),
    ("siemens_pac2200", 801, 16),
    ("siemens_pac4200", 1, 72),
    ("carlo_gavazzi_em24_e1", 0, 80),
    ("abb_b23", 0x5B00, 45),
    ("sunspec_203", 40070, 107),
]


@pytest.fixture
async def clients() -> AsyncIterator[dict[str, AsyncModbusTcpClient]]:
    """Every layout behind an endpoint of its own, with a connected client."""
    endpoints, clients = [], {}
    for name, layout in LAYOUTS.items():
        meter = Meter(MeterConfig(id=name, circuit="main", layout=layout), TRUTH)
        endpoint = Endpoint("127.0.0.1", 0, [meter])
        await endpoint.start()
        endpoints.append(endpoint)
        clients[name] = AsyncModbusTcpClient(
            "127.0.0.1", port=endpoint.port, timeout=2, retries=0
        )
    # Each waits a moment before it says that it is connected.
    assert all(await asyncio.gather(*(each.connect() for each in clients.values())))
    yield clients
    for client in clients.values():
        client.close()
    for endpoint in endpoints:
        await endpoint.stop()


async def test_registers(clients: dict[str, AsyncModbusTcpClient]) -> None:
    """Every value has the bytes that the document gives it."""
    for model, function, address, expected in EXPECTED:
        client = clients[model]
        read = (
            client.read_holding_registers
            if function == 3
            else client.read_input_registers
        )
        answer = await read(address, count=len(expected) // 2, device_id=1)
        assert not answer.isError(), (model, address, answer)
        assert (
            struct.pack(f">{len(answer.registers)}H", *answer.registers) == expected
        ), (model, address)


async def test_blocks_read_in_one_request(
    clients: dict[str, AsyncModbusTcpClient],
) -> None:
    """The blocks that field experience reads at once are answered at once."""
    for model, address, count in BLOCKS:
        answer = await clients[model].read_holding_registers(
            address, count=count, device_id=1
        )
        assert not answer.isError(), (model, address, answer)
        assert len(answer.registers) == count


async def test_what_the_devices_refuse(
    clients: dict[str, AsyncModbusTcpClient],
) -> None:
    """Addresses outside the map, and reads that cut values, are answered by exception 2."""
    for model, address, count, reason in REFUSED:
        answer = await clients[model].read_holding_registers(
            address, count=count, device_id=1
        )
        assert answer.isError(), (model, reason)
        assert answer.exception_code == 2, (model, reason)


async def test_functions_and_units(clients: dict[str, AsyncModbusTcpClient]) -> None:
    """TQ knows function 3 only and takes any unit id; a wrong unit elsewhere is a silent target."""
    answer = await clients["tq_em420"].read_input_registers(0, count=2, device_id=1)
    assert answer.exception_code == 1
    answer = await clients["tq_em420"].read_holding_registers(0, count=2, device_id=71)
    assert not answer.isError()
    answer = await clients["janitza_umg604"].read_holding_registers(
        19000, count=2, device_id=2
    )
    assert answer.exception_code == 11


def test_values_that_do_not_fit_are_cut() -> None:
    """An unsigned register cannot hold less than nothing, or more than it has bits."""
    tq = LAYOUTS["tq_em420"]
    huge = Measurement(
        at_s=0.0,
        voltage_v=(1e9, 230.0, 230.0),
        current_a=(0.0, 0.0, 0.0),
        power_w=(0.0, 0.0, 0.0),
        reactive_var=(0.0, 0.0, 0.0),
        frequency_hz=50.0,
        import_wh=-1.0,
        export_wh=0.0,
        import_phase_wh=(0.0, 0.0, 0.0),
        export_phase_wh=(0.0, 0.0, 0.0),
    )
    image = tq.image(huge)
    assert (image[62], image[63]) == (0xFFFF, 0xFFFF)
    assert [image[512 + index] for index in range(4)] == [0, 0, 0, 0]

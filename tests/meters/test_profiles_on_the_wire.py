"""Every profile reads its own twin over TCP; three are also read from registers written after the makers' lists."""

from typing import Any

import pytest

from custom_components.reev_ems.energy_management.model import Phase
from custom_components.reev_ems.meters import (
    Correction,
    LoadedProfiles,
    MeterReader,
    ModbusGateways,
    load_profiles,
    probe_meter,
)

from .wire import GRID, Device, ModbusServer, grid_currents, text_words, twin

MEASURING = sorted(
    key for key, profile in load_profiles().profiles.items() if profile.quantities
)


@pytest.mark.parametrize("profile_id", MEASURING)
async def test_twin_of_each_profile(
    loaded: LoadedProfiles, gateways: ModbusGateways, profile_id: str
) -> None:
    """A device that is just as the profile says gives the values back, and only the profile's requests are sent."""
    profile = loaded.profiles[profile_id]
    async with ModbusServer({1: twin(profile)}) as server:
        probe = await probe_meter(
            gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
        )
    reading = probe.reading

    def phases(quantity: str) -> tuple[Any, ...]:
        return tuple(
            approx(name) if name in profile.quantities else None
            for name in (f"{quantity}_l1", f"{quantity}_l2", f"{quantity}_l3")
        )

    def approx(name: str) -> Any:
        # A register of whole numbers holds no more than its resolution.
        step = profile.quantities[name].scale
        return pytest.approx(GRID[name], abs=max(0.06, 0.51 * abs(step)))

    assert reading.voltage_v == phases("voltage")
    assert reading.current_a == pytest.approx(grid_currents(profile), abs=0.011)
    assert reading.power_w == phases("power")
    if "power_total" in profile.quantities:
        assert reading.power_total_w == approx("power_total")
    if "frequency" in profile.quantities:
        assert reading.frequency_hz == pytest.approx(50.0)
    if "energy_import" in profile.quantities:
        assert reading.energy_import_wh == pytest.approx(GRID["energy_import"])
    if "energy_export" in profile.quantities:
        assert reading.energy_export_wh == pytest.approx(GRID["energy_export"])
    assert probe.remarks == ()
    wanted = {
        (block.start, block.count)
        for block in (*profile.blocks, *profile.identification_blocks)
    }
    assert {request[2:] for request in server.requests} == wanted


async def test_janitza_umg604_after_the_makers_list(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """UMG 604: floats from 19000, high word first, currents as magnitudes, serial number at 10176."""
    meter = Device()
    meter.put(
        [3], 19000, [0x4366, 0x0000, 0x4367, 0x0000, 0x4368, 0x0000]
    )  # 230, 231, 232 V
    meter.put(
        [3], 19012, [0x4120, 0x0000, 0x4080, 0x0000, 0x3F80, 0x0000]
    )  # 10, 4, 1 A
    meter.put(
        [3], 19020, [0x450C, 0xA000, 0xC464, 0x0000, 0x4363, 0x0000]
    )  # 2250, -912, 227 W
    meter.put([3], 19026, [0x44C3, 0xA000])  # 1565 W
    meter.put([3], 19050, [0x4248, 0x0000])  # 50 Hz
    meter.put([3], 19068, [0x461C, 0x4000])  # 10000 Wh
    meter.put([3], 19076, [0x447A, 0x0000])  # 1000 Wh
    meter.inner.clear()
    meter.fill([3], 19000, 122)
    meter.put([3], 10072, text_words("UMG604", 32))
    meter.put_number([3], 10176, "uint32", 70012345)
    meter.put_number([3], 10178, "uint32", 1)
    meter.put([3], 13437, text_words("5.0.23", 8))
    async with ModbusServer({1: meter}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["janitza_umg604"],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.reading.voltage_v == (230.0, 231.0, 232.0)
    assert probe.reading.current_a == (10.0, -4.0, 1.0)
    assert probe.reading.power_w == (2250.0, -912.0, 227.0)
    assert probe.reading.power_total_w == 1565.0
    assert probe.reading.frequency_hz == 50.0
    assert probe.reading.energy_import_wh == 10000.0
    assert probe.reading.energy_export_wh == 1000.0
    assert probe.serial == "70012345"
    assert probe.identification["model"] == "UMG604"


async def test_tq_em420_after_the_makers_list(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """TQ: whole numbers in 0.1 W, mA, mV and mHz; import and export counted apart; energies in 64 bits of 0.1 Wh."""
    meter = Device()
    meter.fill([3], 0, 146)
    for address, high, low in (
        (0, 0, 0),
        (2, 0, 23000),  # 2300.0 W exported in total
        (26, 0, 49980),
        (40, 0, 11500),  # L1 imports 1150.0 W
        (60, 0, 5000),
        (62, 3, 33392),  # 230.000 V
        (82, 0, 34500),  # L2 exports 3450.0 W
        (100, 0, 15000),
        (102, 3, 33392),
        (142, 3, 33392),
    ):
        meter.put([3], address, [high, low])
    meter.put([3], 512, [0, 0, 0x0012, 0xD687])  # 1234567 x 0.1 Wh
    meter.put([3], 516, [0, 1, 0, 0])  # 2**32 x 0.1 Wh
    meter.put([3], 8192, [0x5233, 0x4852, 1, 2])
    meter.inner.clear()
    async with ModbusServer({71: meter}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["tq_em420"],
            host="127.0.0.1",
            port=server.port,
            unit_id=71,
        )
        reads = {request[2:] for request in server.requests if request[2] < 8192}
    assert probe.reading.power_total_w == -2300.0
    assert probe.reading.power_w == (1150.0, -3450.0, 0.0)
    assert probe.reading.current_a == (5.0, -15.0, 0.0)
    assert probe.reading.voltage_v == (230.0, 230.0, 230.0)
    assert probe.reading.frequency_hz == 49.98
    assert probe.reading.energy_import_wh == 123456.7
    assert probe.reading.energy_export_wh == pytest.approx(429496729.6)
    assert probe.serial is None
    # Plus and minus of a phase in one request, and no request longer than the protocol allows.
    assert reads == {(0, 28), (40, 106), (512, 8)}


async def test_siemens_pac2200_after_the_manual(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """PAC2200: offsets of the manual, a gap that must not be read across, energies in doubles of two tariffs."""
    meter = Device()
    for address, value in (
        (1, 230.0),
        (3, 231.0),
        (5, 229.0),
        (13, 8.0),
        (15, 6.0),
        (17, 0.0),
    ):
        meter.put_number([3], address, "float32", value)
    for address, value in (
        (25, 1800.0),
        (27, 1350.0),
        (29, 0.0),
        (55, 50.25),
        (65, 3150.0),
    ):
        meter.put_number([3], address, "float32", value)
    for address in (
        *range(7, 13, 2),
        *range(19, 25, 2),
        *range(31, 43, 2),
        57,
        59,
        61,
        63,
        67,
        69,
        71,
    ):
        meter.put_number([3], address, "float32", 0.5)
    for address, value in ((801, 5_000_000.5), (805, 250.0), (809, 100.0), (813, 1.0)):
        meter.put_number([3], address, "float64", value)
    identification = [
        42,
        *text_words("7KM2200-2EA30-1EA1", 10),
        *text_words("LQN/12345678", 8),
        *[1] * 8,
    ]
    meter.put([3], 64001, identification)
    async with ModbusServer({1: meter}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["siemens_pac2200"],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.reading.voltage_v == (230.0, 231.0, 229.0)
    assert probe.reading.current_a == (8.0, 6.0, 0.0)
    assert probe.reading.power_w == (1800.0, 1350.0, 0.0)
    assert probe.reading.power_total_w == 3150.0
    assert probe.reading.frequency_hz == 50.25
    assert probe.reading.energy_import_wh == 5_000_250.5
    assert probe.reading.energy_export_wh == 101.0
    assert probe.serial == "LQN/12345678"
    assert not any(
        address <= 54 and address + count > 43
        for _, _, address, count in server.requests
    ), "43 to 54 are not defined"


async def test_inverted_and_rewired_meter(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """A meter that looks the other way and whose inputs 1, 2, 3 are on L3, L1, L2."""
    profile = loaded.profiles["janitza_umg604"]
    async with ModbusServer({1: twin(profile)}) as server:
        reader = MeterReader(
            gateways,
            profile,
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
            correction=Correction(
                invert=True, phase_order=(Phase.L3, Phase.L1, Phase.L2)
            ),
            clock=lambda: 42.0,
        )
        reading = await reader.read()
        await reader.close()
    assert reading.at_s == 42.0
    assert reading.current_a == (10.5, -4.0, -20.0)
    assert reading.power_w == (2310.0, -900.0, -4537.5)
    assert reading.voltage_v == (229.25, 233.0, 231.5)
    assert reading.power_total_w == -3127.5
    assert (reading.energy_import_wh, reading.energy_export_wh) == (
        GRID["energy_export"],
        GRID["energy_import"],
    )


@pytest.mark.parametrize(
    ("profile_id", "address", "told", "rating_a"),
    [
        ("siemens_pac2200", 50011, [0, 400], 400.0),  # uint32
        ("siemens_pac2200", None, [], None),  # a 65 A type
        ("janitza_umg96", 10, [0x4316, 0x0000], 150.0),  # float32
        ("janitza_umg96", 10, [0x7FC0, 0x0000], None),  # no number
        ("eastron_sdm630", None, [], 100.0),
        ("janitza_umg604", None, [], None),
    ],
)
async def test_rating(
    loaded: LoadedProfiles,
    gateways: ModbusGateways,
    profile_id: str,
    address: int | None,
    told: list[int],
    rating_a: float | None,
) -> None:
    """The primary current that is set in the device counts, else what its model can measure."""
    profile = loaded.profiles[profile_id]
    meter = twin(profile)
    if (field := profile.identification.get("ct_primary")) is not None:
        for offset in range(field.count):
            del meter.registers[3, field.address + offset]
    if address is not None:
        meter.put([3], address, told)
    async with ModbusServer({1: meter}) as server:
        probe = await probe_meter(
            gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
        )
    assert probe.rating_a == rating_a

"""Every profile reads registers that were written from the sources, apart from the profile."""

import pytest

from custom_components.reev_ems.meters import (
    LoadedProfiles,
    ModbusGateways,
    load_profiles,
    probe_meter,
)

from .vectors import VALUES, VECTORS
from .wire import ModbusServer


def test_every_profile_has_its_vector() -> None:
    """A profile that nobody else's numbers were compared with does not come in."""
    profiles = load_profiles().profiles.values()
    assert set(VECTORS) == {item.id for item in profiles if item.quantities}


@pytest.mark.parametrize("profile_id", sorted(VECTORS))
async def test_vector(
    loaded: LoadedProfiles, gateways: ModbusGateways, profile_id: str
) -> None:
    """The values are those of the sources, none is invented, and no request is longer than the device answers."""
    vector = VECTORS[profile_id]
    async with ModbusServer({1: vector.device()}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles[profile_id],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
        longest = max(count for _, _, _, count in server.requests)
    reading, told = probe.reading, vector.quantities
    one_phase = "I1" in told
    sign = (1, -1, 1) if vector.directed else (1, 1, 1)
    current_a = tuple(
        side * amperes for side, amperes in zip(sign, VALUES["I"], strict=True)
    )
    power_w = VALUES["P"] if vector.directed else (None,) * 3
    assert reading.current_a == pytest.approx(
        (20.0, None, None) if one_phase else current_a
    )
    assert reading.power_w == pytest.approx(
        (4530.0, None, None) if one_phase else power_w
    )
    assert reading.voltage_v == pytest.approx(
        (231.0, None, None) if one_phase else VALUES["U"]
    )
    assert reading.power_total_w == (None if one_phase else pytest.approx(3120.0))
    assert reading.frequency_hz == (pytest.approx(50.0) if "f" in told else None)
    assert reading.energy_import_wh == (
        pytest.approx(1_234_000) if "Wi" in told else None
    )
    assert reading.energy_export_wh == (pytest.approx(56_000) if "We" in told else None)
    assert probe.remarks == ()
    assert longest <= vector.most


@pytest.mark.parametrize(
    ("profile_id", "address", "raw", "rating_a"),
    [
        ("shelly_pro_3em", 6, "SPEM-003CEBEU", 120.0),
        ("shelly_pro_3em", 6, "SPEM-003CEBEU63", 63.0),
        ("shelly_pro_3em", 6, "SPEM-003CEBEU400", 400.0),
        ("shelly_pro_3em", 6, "S3EM-003CXCEU63", 63.0),
    ],
)
async def test_rating_by_model(
    loaded: LoadedProfiles,
    gateways: ModbusGateways,
    profile_id: str,
    address: int,
    raw: str,
    rating_a: float,
) -> None:
    """Versions of one meter differ in what they can measure; the device names which it is, byte-swapped."""
    device = VECTORS[profile_id].device()
    padded = raw.ljust(20, "\0").encode()
    device.put(
        [4], address, [padded[at + 1] << 8 | padded[at] for at in range(0, 20, 2)]
    )
    device.inner.clear()
    async with ModbusServer({1: device}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles[profile_id],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.identification["model"] == raw
    assert probe.rating_a == rating_a


@pytest.mark.parametrize("code", [*range(1744, 1748), *range(1760, 1764)])
async def test_em530_and_em540_with_and_without_mid(
    loaded: LoadedProfiles, gateways: ModbusGateways, code: int
) -> None:
    """Each of the model codes that Victron accepts is taken."""
    device = VECTORS["carlo_gavazzi_em540"].device()
    device.registers[4, 11] = code
    async with ModbusServer({1: device}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["carlo_gavazzi_em540"],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.identification["model_code"] == str(code)


@pytest.mark.parametrize(
    ("profile_id", "address", "raw"),
    [
        ("lovato_dmg610", 0x31, [0, 5000]),  # 0.01 Hz
        ("lovato_dmg610", 0x31, [0, 50000]),  # 0.001 Hz
        ("eastron_sdm630", 0x46, [0x4248, 0]),  # 50.0
        ("eastron_sdm630", 0x46, [0x43FA, 0]),  # 500.0
    ],
)
async def test_frequency_of_either_scale(
    loaded: LoadedProfiles,
    gateways: ModbusGateways,
    profile_id: str,
    address: int,
    raw: list[int],
) -> None:
    """Models of one map differ in the scale of the frequency; no grid has 500 Hz."""
    device = VECTORS[profile_id].device()
    device.put([4], address, raw)
    device.inner.clear()
    async with ModbusServer({1: device}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles[profile_id],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.reading.frequency_hz == pytest.approx(50.0)

"""Meters whose registers are not known beforehand: SunSpec chains, and models without a public map."""

import struct

import pytest

from custom_components.reev_ems.meters import (
    LoadedProfiles,
    MeterError,
    MeterReader,
    ModbusGateways,
    Oddity,
    Trouble,
    probe_meter,
)

from .wire import Device, ModbusServer, text_words, twin, words

INT_203 = {
    # Offset from the model's first register: raw numbers with the powers of ten that follow.
    3: 2000, 4: 1050, 5: 400, 6: -2,
    8: 2315, 9: 2293, 10: 2330, 15: -1,
    16: 5000, 17: -2,
    18: 3130, 19: 4540, 20: -2310, 21: 900, 22: 0,
    54: 1,
}  # fmt: skip


def chain(device: Device, base: int, models: list[tuple[int, list[int]]]) -> None:
    """Write a SunSpec chain of models with their data."""
    device.put([3], base, [0x5375, 0x6E53])
    address = base + 2
    for model_id, data in models:
        device.put([3], address, [model_id, len(data), *data])
        address += 2 + len(data)
    device.put([3], address, [0xFFFF, 0])
    device.inner.clear()


def common(length: int, maker: str = "KOSTAL") -> list[int]:
    """Return the common model's data."""
    data = [
        *text_words(maker, 16),
        *text_words("Smart Energy Meter", 16),
        *text_words("", 8),
        *text_words("2.0", 8),
        *text_words("7550123", 16),
        1,
    ]
    return [*data, 0x8000][:length]


def integers() -> list[int]:
    """Return the data of model 203; what is not set is marked as not available."""
    data = [0x8000] * 105
    for offset, value in INT_203.items():
        data[offset - 2] = value & 0xFFFF
    data[38 - 2 : 40 - 2] = words("uint32", 5_600)
    data[46 - 2 : 48 - 2] = words("uint32", 123_400)
    return data


def floats() -> list[int]:
    """Return the data of model 213."""
    data = [0x7FC0, 0] * 62
    for offset, value in {
        4: 20.0, 6: 10.5, 8: 4.0, 12: 231.5, 14: 229.25, 16: 233.0, 26: 50.0,
        28: 3127.5, 30: 4537.5, 32: -2310.0, 34: 900.0, 60: 56_000.0, 68: 1_234_000.0,
    }.items():  # fmt: skip
        data[offset - 2 : offset] = words("float32", value)
    return data


@pytest.mark.parametrize("base", [40000, 50000, 0])
@pytest.mark.parametrize("common_length", [65, 66])
async def test_chain_with_whole_numbers(
    loaded: LoadedProfiles, gateways: ModbusGateways, base: int, common_length: int
) -> None:
    """Model 203 is found wherever the chain begins and however long the common model is, which differs in the field."""
    meter = Device()
    chain(meter, base, [(1, common(common_length)), (203, integers())])
    async with ModbusServer({1: meter}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["sunspec_meter"],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.reading.current_a == (20.0, -10.5, 4.0)
    assert probe.reading.voltage_v == (231.5, 229.3, 233.0)
    assert probe.reading.power_w == (4540.0, -2310.0, 900.0)
    assert probe.reading.power_total_w == 3130.0
    assert probe.reading.frequency_hz == 50.0
    assert probe.reading.energy_import_wh == 1_234_000
    assert probe.reading.energy_export_wh == 56_000
    assert (probe.serial, probe.identification["manufacturer"]) == ("7550123", "KOSTAL")


async def test_chain_with_floating_point(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """Model 213, behind an inverter's models, read in one request of 124 registers."""
    meter = Device()
    chain(
        meter,
        40000,
        [(1, common(66)), (103, [0] * 50), (1, common(65)), (213, floats())],
    )
    async with ModbusServer({200: meter}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["sunspec_meter"],
            host="127.0.0.1",
            port=server.port,
            unit_id=200,
        )
        assert (200, 3, 40000 + 2 + 68 + 52 + 67 + 2, 124) in server.requests
    assert probe.reading.current_a == (20.0, -10.5, 4.0)
    assert probe.reading.power_total_w == 3127.5
    assert probe.reading.energy_import_wh == 1_234_000


@pytest.mark.parametrize("meters_own", ["SolarEdge", "WattNode"])
async def test_export_is_positive_behind_solaredge(
    loaded: LoadedProfiles, gateways: ModbusGateways, meters_own: str
) -> None:
    """Powers are turned where a common model says SolarEdge, be it the inverter's only; energies are not."""
    data = integers()
    for offset in (18, 19, 20, 21):
        data[offset - 2] = -INT_203[offset] & 0xFFFF
    meter = Device()
    chain(
        meter,
        40000,
        [
            (1, common(65, "SolarEdge")),
            (103, [0] * 50),
            (1, common(65, meters_own)),
            (203, data),
        ],
    )
    async with ModbusServer({1: meter}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["sunspec_meter"],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.reading.current_a == (20.0, -10.5, 4.0)
    assert probe.reading.power_w == (4540.0, -2310.0, 900.0)
    assert probe.reading.power_total_w == 3130.0
    assert probe.reading.energy_import_wh == 1_234_000
    assert probe.reading.energy_export_wh == 56_000


async def test_scale_that_changes_and_chain_that_moves(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """Powers of ten are read with the values; a firmware that moves its models is found again."""
    meter = Device()
    chain(meter, 40000, [(1, common(65)), (203, integers())])
    async with ModbusServer({1: meter}) as server:
        reader = MeterReader(
            gateways,
            loaded.profiles["sunspec_meter"],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
        await reader.read()
        start = 40000 + 2 + 67
        meter.put([3], start + 3, [200, 105, 40, (-1) & 0xFFFF])
        assert (await reader.read()).current_a == (20.0, -10.5, 4.0)
        meter.registers.clear()
        chain(meter, 40000, [(1, common(66)), (203, integers())])
        with pytest.raises(MeterError):
            await reader.read()
        assert (await reader.read()).current_a == (20.0, -10.5, 4.0)
        await reader.close()


async def test_single_phase_meter(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """Model 201 measures L1; the other phases are unknown, not zero."""
    data = integers()
    for offset in (4, 5, 9, 10, 20, 21):
        data[offset - 2] = 0x8000
    data[18 - 2] = 4540
    meter = Device()
    chain(meter, 40000, [(1, common(66)), (201, data)])
    async with ModbusServer({1: meter}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["sunspec_meter"],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.reading.current_a == (20.0, None, None)
    assert probe.reading.power_total_w == 4540.0


@pytest.mark.parametrize(
    "registers",
    [
        [0x5375, 0x6E53, 1, 0xFFF0, 0, 0],
        [0x5375, 0x6E53, 203, 0, 0xFFFF, 0],
        [0x5375, 0x6E53, *[1, 0] * 110],
        [0x5375, 0x6E54, 203, 105],
        [0x5375, 0x6E53, 103, 0, 0xFFFF, 0],
    ],
)
async def test_chain_that_is_none(
    loaded: LoadedProfiles, gateways: ModbusGateways, registers: list[int]
) -> None:
    """A chain that leads nowhere, never ends or has no meter is refused."""
    meter = Device()
    meter.put([3], 40000, registers)
    meter.inner.clear()
    async with ModbusServer({1: meter}) as server:
        with pytest.raises(MeterError) as caught:
            await probe_meter(
                gateways,
                loaded.profiles["sunspec_meter"],
                host="127.0.0.1",
                port=server.port,
                unit_id=1,
            )
    assert caught.value.key == Trouble.NOT_THIS_METER


@pytest.mark.parametrize(
    ("wanted", "actual"),
    [
        ("gewiss_gwd6809", "herholdt_ecs"),
        ("gewiss_gwd6809", "herholdt_ecs_low"),
        ("gewiss_gwd6809", "ime_nemo"),
        ("gewiss_gwd6809", "algodue_uem"),
        ("gewiss_gwd6809", "lovato_dmg610"),
        ("woehner_3700", "janitza_19000"),
        ("woehner_3700", "siemens_pac2200"),
        ("woehner_3700", "abb_m4m"),
        ("woehner_3700", "shelly_pro_3em"),
        ("woehner_3700", "lovato_dmg610"),
    ],
)
async def test_model_without_public_map(
    loaded: LoadedProfiles, gateways: ModbusGateways, wanted: str, actual: str
) -> None:
    """The map that gives plausible values is found, named, and not passed off as certain."""
    async with ModbusServer({1: twin(loaded.profiles[actual])}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles[wanted],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
        assert server.connections == 1
    assert probe.profile.id == actual
    assert probe.reading.current_a == pytest.approx((20.0, -10.5, 4.0))
    guess = probe.remarks[0]
    assert guess.oddity is Oddity.MAP_GUESSED
    assert guess.placeholders == {
        "model": loaded.profiles[wanted].name,
        "found": loaded.profiles[actual].name,
    }


async def test_model_without_public_map_behind_sunspec(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """SunSpec is the last resort."""
    meter = Device()
    chain(meter, 40000, [(1, common(66)), (213, floats())])
    async with ModbusServer({1: meter}) as server:
        probe = await probe_meter(
            gateways,
            loaded.profiles["woehner_3700"],
            host="127.0.0.1",
            port=server.port,
            unit_id=1,
        )
    assert probe.profile.id == "sunspec_meter"


@pytest.mark.parametrize("wanted", ["gewiss_gwd6809", "woehner_3700"])
async def test_no_map_fits(
    loaded: LoadedProfiles, gateways: ModbusGateways, wanted: str
) -> None:
    """Registers that answer everywhere with numbers of no meaning are no meter."""
    meter = Device()
    for code in (3, 4):
        for address in range(65536):
            meter.registers[code, address] = struct.unpack(
                ">H", struct.pack(">H", (address * 40503) & 0xFFFF)
            )[0]
    async with ModbusServer({1: meter}) as server:
        with pytest.raises(MeterError) as caught:
            await probe_meter(
                gateways,
                loaded.profiles[wanted],
                host="127.0.0.1",
                port=server.port,
                unit_id=1,
            )
    assert caught.value.key == Trouble.NOT_THIS_METER


@pytest.mark.parametrize("wanted", ["gewiss_gwd6809", "woehner_3700"])
async def test_nobody_answers(
    loaded: LoadedProfiles, gateways: ModbusGateways, wanted: str
) -> None:
    """Silence is told as silence, not as a meter that does not fit."""
    async with ModbusServer({}) as server:
        server.silent_units = {1}
        for unit_id in (1, 2):
            with pytest.raises(MeterError) as caught:
                await probe_meter(
                    gateways,
                    loaded.profiles[wanted],
                    host="127.0.0.1",
                    port=server.port,
                    unit_id=unit_id,
                )
            assert caught.value.key == Trouble.NO_ANSWER


async def test_reader_needs_registers(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """What is only to be probed cannot be read."""
    with pytest.raises(ValueError, match="probed"):
        MeterReader(
            gateways,
            loaded.profiles["gewiss_gwd6809"],
            host="127.0.0.1",
            port=502,
            unit_id=1,
        )

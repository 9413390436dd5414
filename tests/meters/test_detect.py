"""What answers at an address is found out by itself."""

import asyncio
import time

import pytest

from custom_components.reev_ems.meters import (
    DetectedMeter,
    DetectionStep,
    LoadedProfiles,
    MeterError,
    ModbusGateways,
    Trouble,
    detect_meters,
    load_profiles,
)

from .test_sunspec_and_candidates import chain, common, floats
from .wire import Device, ModbusServer, black_hole, grid_currents, twin

MEASURING = sorted(
    key for key, profile in load_profiles().profiles.items() if profile.quantities
)
TWINS = {
    # Registers and identification are those of another profile, which is found instead.
    "abl_em4": "tq_em420",
    "eastron_sdm54": "eastron_sdm630",
    "weidmueller_em525": "janitza_19000",
    "siemens_pac3220": "siemens_pac3200",
    "siemens_pac4200": "siemens_pac3200",
}


async def detected(
    loaded: LoadedProfiles, gateways: ModbusGateways, port: int, timeout_s: float = 30.0
) -> tuple[list[DetectedMeter], list[DetectionStep]]:
    """Return what a search yields."""
    meters: list[DetectedMeter] = []
    steps: list[DetectionStep] = []
    async for item in detect_meters(
        gateways,
        loaded.profiles.values(),
        host="127.0.0.1",
        port=port,
        timeout_s=timeout_s,
    ):
        if isinstance(item, DetectedMeter):
            meters.append(item)
        else:
            steps.append(item)
    return meters, steps


@pytest.mark.parametrize("profile_id", MEASURING)
async def test_finds_each_meter(
    loaded: LoadedProfiles, gateways: ModbusGateways, profile_id: str
) -> None:
    """Each profile's twin is found, or the profile that has the same registers."""
    async with ModbusServer({1: twin(loaded.profiles[profile_id])}) as server:
        meters, steps = await detected(loaded, gateways, server.port)
        assert server.connections == 1
    assert meters[0].probe.profile.id == TWINS.get(profile_id, profile_id)
    assert meters[0].probe.reading.current_a == pytest.approx(
        grid_currents(loaded.profiles[profile_id]), abs=0.011
    )
    assert steps[0].fraction == 0
    assert all(step.fraction <= 1 for step in steps)


async def test_finds_a_meter_behind_an_unusual_unit_id(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """The gateway says for each unit id whether somebody is there."""
    meter = Device()
    chain(meter, 40000, [(1, common(66)), (213, floats())])
    async with ModbusServer({200: meter}) as server:
        meters, _ = await detected(loaded, gateways, server.port)
    assert (meters[0].unit_id, meters[0].probe.profile.id) == (200, "sunspec_meter")


async def test_finds_a_meter_behind_a_unit_id_that_nothing_speaks_for(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """Every other unit id is asked for too, whether the gateway tells that nobody is there or keeps silent."""
    profile = loaded.profiles["siemens_pac2200"]
    async with ModbusServer({126: twin(profile)}) as server:
        meters, steps = await detected(loaded, gateways, server.port)
        assert (meters[0].unit_id, meters[0].probe.profile.id) == (126, profile.id)
        fractions = [step.fraction for step in steps]
        assert fractions == sorted(fractions)
        assert fractions[0] == 0
        assert fractions[-1] <= 1
    async with ModbusServer({5: twin(profile)}) as server:
        server.silent_units = set(range(256)) - {5}
        meters, _ = await detected(loaded, gateways, server.port)
        assert meters[0].unit_id == 5


async def test_slow_gateway_is_given_the_time(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """A gateway that takes long to say that nobody is there takes long to answer for the next unit id too."""
    profile = loaded.profiles["tq_em420"]
    async with ModbusServer({4: twin(profile)}) as server:

        async def late(
            request: bytes, response: bytes, writer: asyncio.StreamWriter
        ) -> None:
            if response[7] == 0x83 and response[8] == 11:
                await asyncio.sleep(0.4)
            elif request[8:12] == b"\0\0\0\1":
                await asyncio.sleep(0.5)
            writer.write(response)

        server.fault = late
        patient = ModbusGateways(request_timeout_s=2.0)
        found = [
            item
            async for item in detect_meters(
                patient, [profile], host="127.0.0.1", port=server.port
            )
            if isinstance(item, DetectedMeter)
        ]
        await patient.close()
    assert [meter.unit_id for meter in found] == [4]


async def test_device_that_does_not_look_at_unit_ids(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """An unknown device that answers for every unit id is not asked for all of them."""
    async with ModbusServer(dict.fromkeys(range(256), Device())) as server:
        meters, steps = await detected(loaded, gateways, server.port)
    assert meters == []
    assert len({step.unit_id for step in steps}) < 15


async def test_finds_a_meter_that_is_silent_where_it_has_nothing(
    loaded: LoadedProfiles, socket_enabled: None
) -> None:
    """A device that does not answer for registers that it lacks is found all the same."""
    hasty = ModbusGateways(request_timeout_s=0.1)

    async def answers_only_values(
        request: bytes, response: bytes, writer: asyncio.StreamWriter
    ) -> None:
        if response[7] < 0x80:
            writer.write(response)

    async with ModbusServer(
        {1: twin(loaded.profiles["carlo_gavazzi_em540"])}
    ) as server:
        server.fault = answers_only_values
        meters, _ = await detected(loaded, hasty, server.port)
    await hasty.close()
    assert meters[0].probe.profile.id == "carlo_gavazzi_em540"
    assert meters[0].names > 0


async def test_finds_nothing(loaded: LoadedProfiles, gateways: ModbusGateways) -> None:
    """Silence, nonsense, an address that drops everything and a closed port each end the search in time."""
    async with ModbusServer({}) as server:
        server.silent_units = set(range(256))
        start_s = time.monotonic()
        with pytest.raises(MeterError) as caught:
            await detected(loaded, gateways, server.port, timeout_s=1.0)
        assert time.monotonic() - start_s < 2
        assert caught.value.key == Trouble.NO_ANSWER
        server.silent_units = set()
        with pytest.raises(MeterError) as caught:
            await detected(loaded, gateways, server.port)
        assert caught.value.key == Trouble.NO_ANSWER
        server.devices = {1: Device()}
        server.devices[1].fill([3, 4], 0, 65536, 0x1234)
        assert (await detected(loaded, gateways, server.port))[0] == []
    with pytest.raises(MeterError) as caught:
        await detected(loaded, gateways, server.port)
    assert caught.value.key == Trouble.CANNOT_CONNECT
    with black_hole() as port:
        start_s = time.monotonic()
        with pytest.raises(MeterError) as caught:
            await detected(loaded, gateways, port)
        assert time.monotonic() - start_s < 2
    assert caught.value.key == Trouble.CANNOT_CONNECT


async def test_search_can_be_left(
    loaded: LoadedProfiles, gateways: ModbusGateways
) -> None:
    """Who closes the search gives the connection back."""
    async with ModbusServer({1: Device()}) as server:
        search = detect_meters(
            gateways, loaded.profiles.values(), host="127.0.0.1", port=server.port
        )
        assert isinstance(await anext(search), DetectionStep)
        await search.aclose()
        await asyncio.sleep(0.05)
        assert server.open_now == 0

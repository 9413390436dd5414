"""The simulator's meters were written from the makers' documents, apart from our profiles: both must agree."""

import pytest

from custom_components.reev_ems.energy_management.model import Phase
from custom_components.reev_ems.meters import (
    Correction,
    DetectedMeter,
    LoadedProfiles,
    MeterReader,
    ModbusGateways,
    Status,
    detect_meters,
    probe_meter,
)
from simulator.layouts import LAYOUTS
from simulator.modbus import Endpoint, Meter, MeterConfig
from simulator.plant import Measurement
from simulator.wiring import Wiring

TRUTH = Measurement(
    at_s=0.0,
    voltage_v=(230.0, 231.0, 229.0),
    current_a=(20.0, 10.0, 0.0),
    power_w=(4600.0, -2310.0, 0.0),
    reactive_var=(0.0, 0.0, 0.0),
    frequency_hz=50.0,
    import_wh=1000.0,
    export_wh=200.0,
    import_phase_wh=(1000.0, 0.0, 0.0),
    export_phase_wh=(0.0, 200.0, 0.0),
)


OTHER_NAMES = {
    "abb_b24": "abb_b23",
    "sunspec_203": "sunspec_meter",
    "sunspec_213": "sunspec_meter",
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
async def test_simulated_meter(
    loaded: LoadedProfiles, gateways: ModbusGateways, name: str
) -> None:
    """Each simulated meter is read rightly, and one that is wired wrongly is set right."""
    right = Meter(
        MeterConfig(id="right", circuit="main", layout=LAYOUTS[name], unit=1), TRUTH
    )
    wrong = Meter(
        MeterConfig(
            id="wrong",
            circuit="main",
            layout=LAYOUTS[name],
            unit=2,
            wiring=Wiring(sign=-1, phase_order=(2, 0, 1)),
        ),
        TRUTH,
    )
    endpoint = Endpoint("127.0.0.1", 0, [right, wrong])
    await endpoint.start()
    profile = loaded.profiles[OTHER_NAMES.get(name, name)]
    probe = await probe_meter(
        gateways, profile, host="127.0.0.1", port=endpoint.port, unit_id=1
    )
    reader = MeterReader(
        gateways,
        profile,
        host="127.0.0.1",
        port=endpoint.port,
        unit_id=2,
        correction=Correction(invert=True, phase_order=(Phase.L3, Phase.L1, Phase.L2)),
    )
    rewired = await reader.read()
    await reader.close()
    await endpoint.stop()
    for reading in (probe.reading, rewired):
        assert reading.current_a == pytest.approx((20.0, -10.0, 0.0))
        assert reading.voltage_v == pytest.approx((230.0, 231.0, 229.0))
        assert reading.power_w == pytest.approx((4600.0, -2310.0, 0.0))
        assert reading.power_total_w == pytest.approx(2290.0)
    if "frequency" in profile.quantities or profile.sunspec_models:
        assert probe.reading.frequency_hz == 50.0
    if "energy_import" in profile.quantities or profile.sunspec_models:
        assert probe.reading.energy_import_wh == pytest.approx(1000.0)
        assert probe.reading.energy_export_wh == pytest.approx(200.0)
    if "serial" in profile.identification:
        assert probe.serial
    assert probe.remarks == ()


@pytest.mark.parametrize("name", sorted(LAYOUTS))
async def test_simulated_meter_is_detected(
    loaded: LoadedProfiles, gateways: ModbusGateways, name: str
) -> None:
    """From the address alone, each simulated meter is known as what it is, or as one with the same registers."""
    endpoint = Endpoint(
        "127.0.0.1",
        0,
        [Meter(MeterConfig(id="it", circuit="main", layout=LAYOUTS[name]), TRUTH)],
    )
    await endpoint.start()
    found = [
        item
        async for item in detect_meters(
            gateways, loaded.profiles.values(), host="127.0.0.1", port=endpoint.port
        )
        if isinstance(item, DetectedMeter)
    ]
    await endpoint.stop()
    wanted = loaded.profiles[OTHER_NAMES.get(name, name)]
    best = found[0].probe.profile
    assert wanted.id in [meter.probe.profile.id for meter in found]
    assert best.quantities == wanted.quantities
    assert best.manufacturer == wanted.manufacturer or best.status is Status.UNVERIFIED

"""Meters that are mounted, wired or set up wrongly, and set right by their correction: on the wire, and as arithmetic."""

from dataclasses import replace
from itertools import permutations

from hypothesis import given, strategies as st
import pytest

from custom_components.reev_ems.energy_management.model import PHASES
from custom_components.reev_ems.energy_management.observation import MeterReading
from custom_components.reev_ems.meters import (
    NO_CORRECTION,
    Correction,
    LoadedProfiles,
    MeterProfile,
    MeterReader,
    ModbusGateways,
    Wiring as SensorWiring,
    corrected,
    load_profiles,
)
from custom_components.reev_ems.meters.sensors import combine
from simulator.layouts import LAYOUTS
from simulator.modbus import Endpoint, Meter, MeterConfig
from simulator.wiring import Wiring

from .test_against_simulator import OTHER_NAMES, TRUTH

PROFILE = load_profiles().profiles["janitza_umg604"]
L1, L2, L3 = PHASES

FAULTS = {
    "sign of all": (Wiring(sign=-1), Correction(invert=True)),
    "sign of one": (Wiring(inverted=(1,)), Correction(inverted_phases=frozenset([L2]))),
    "phases swapped": (
        Wiring(phase_order=(1, 0, 2)),
        Correction(phase_order=(L2, L1, L3)),
    ),
    "ratio": (Wiring(ratio=0.2), Correction(ratio=5.0)),
    "everything": (
        Wiring(sign=-1, inverted=(0,), phase_order=(2, 0, 1), ratio=2.0),
        Correction(
            invert=True,
            inverted_phases=frozenset([L1]),
            phase_order=(L3, L1, L2),
            ratio=0.5,
        ),
    ),
}  # fmt: skip


async def read(
    gateways: ModbusGateways,
    profile: MeterProfile,
    meter: Meter,
    correction: Correction,
) -> MeterReading:
    """Read a meter once over Modbus TCP."""
    endpoint = Endpoint("127.0.0.1", 0, [meter])
    await endpoint.start()
    reader = MeterReader(
        gateways,
        profile,
        host="127.0.0.1",
        port=endpoint.port,
        unit_id=1,
        correction=correction,
    )
    try:
        return await reader.read()
    finally:
        await reader.close()
        await endpoint.stop()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("layout", sorted(LAYOUTS))
async def test_a_fault_on_the_wire_is_set_right(
    loaded: LoadedProfiles, gateways: ModbusGateways, layout: str, fault: str
) -> None:
    """Every simulated model, whether it signs its currents or not."""
    wiring, correction = FAULTS[fault]
    profile = loaded.profiles[OTHER_NAMES.get(layout, layout)]
    config = MeterConfig(id="it", circuit="main", layout=LAYOUTS[layout], wiring=wiring)
    right = await read(
        gateways, profile, Meter(replace(config, wiring=Wiring()), TRUTH), NO_CORRECTION
    )
    wrong = await read(gateways, profile, Meter(config, TRUTH), NO_CORRECTION)
    mended = await read(gateways, profile, Meter(config, TRUTH), correction)
    assert wrong.current_a != pytest.approx(right.current_a, abs=0.02)
    assert mended.current_a == pytest.approx(right.current_a, abs=0.02)
    assert mended.power_w == pytest.approx(right.power_w, abs=30.0)
    assert mended.power_total_w == pytest.approx(right.power_total_w, abs=30.0)
    assert mended.voltage_v == pytest.approx(right.voltage_v, abs=0.1)
    if correction.inverted_phases:
        assert mended.energy_import_wh is mended.energy_export_wh is None
    elif right.energy_import_wh is not None and wrong.energy_import_wh is not None:
        assert mended.energy_import_wh == pytest.approx(right.energy_import_wh, abs=60)


CORRECTIONS = st.builds(
    Correction,
    invert=st.booleans(),
    inverted_phases=st.frozensets(st.sampled_from(PHASES)),
    phase_order=st.sampled_from(list(permutations(PHASES))),
    ratio=st.sampled_from([0.5, 1.0, 2.0, 5.0]),
)
READING = MeterReading(
    at_s=0.0,
    current_a=(10.0, -4.0, 1.0),
    voltage_v=(230.0, 231.0, 229.0),
    power_w=(2300.0, -900.0, 200.0),
    power_total_w=1600.0,
)


@given(first=CORRECTIONS, further=CORRECTIONS)
def test_two_corrections_are_one(first: Correction, further: Correction) -> None:
    """What is found wrong with corrected readings is added to the correction."""
    stepwise = corrected(PROFILE, corrected(PROFILE, READING, first), further)
    at_once = corrected(PROFILE, READING, first.then(further))
    assert at_once.current_a == stepwise.current_a
    assert at_once.power_w == stepwise.power_w
    assert at_once.voltage_v == stepwise.voltage_v
    assert at_once.power_total_w == pytest.approx(stepwise.power_total_w)


@given(correction=CORRECTIONS)
def test_twice_turned_is_right_again(correction: Correction) -> None:
    """Turning is its own opposite, and all phases turned are the meter turned."""
    turn = Correction(inverted_phases=frozenset(PHASES))
    assert NO_CORRECTION.then(turn) == Correction(invert=True)
    twice = correction.then(turn).then(turn)
    assert twice.factors == correction.factors


@pytest.mark.parametrize(
    "wrong",
    [
        {"phase_order": (L1, L1, L2)},
        {"ratio": 0.0},
        {"ratio": -1.0},
        {"ratio": float("nan")},
    ],
)
def test_what_is_no_correction(wrong: dict[str, object]) -> None:
    """It is refused where it is made."""
    with pytest.raises(ValueError, match=r"phase order|ratio"):
        Correction(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "wiring", "correction", "current_a", "total_w"),
    [
        # The total is that of the parts, once one of them is turned.
        (
            {"power_l1": 2070.0, "power_l2": 2300.0, "power_l3": 0.0}
            | {"power_total": 4370.0},
            SensorWiring.THREE_PHASE,
            Correction(inverted_phases=frozenset([L2])),
            (10.0, -10.0, 0.0),
            -230.0,
        ),
        (
            {"current_l1": 5.0, "power_total": 1150.0},
            SensorWiring.THREE_PHASE,
            Correction(inverted_phases=frozenset([L1])),
            (-5.0, None, None),
            None,
        ),
        (
            {"power_total": -2070.0},
            SensorWiring.L2,
            Correction(inverted_phases=frozenset([L2])),
            (0.0, 10.0, 0.0),
            2070.0,
        ),
        # Secondary values, of which the steps grow with the ratio.
        (
            {"current_l1": 2.1},
            SensorWiring.L1,
            Correction(ratio=40.0),
            (88.5, 0.0, 0.0),
            None,
        ),
    ],
)
def test_sensors_are_set_right(
    values: dict[str, float],
    wiring: SensorWiring,
    correction: Correction,
    current_a: tuple[float | None, ...],
    total_w: float | None,
) -> None:
    """The same correction as that of a meter over Modbus."""
    steps = {name: 0.1 for name in values if name.startswith("current")}
    if correction.ratio == 1.0:
        steps = {}
    reading = combine(
        values, wiring=wiring, at_s=0.0, correction=correction, steps=steps
    )
    assert reading.current_a == pytest.approx(current_a)
    assert reading.power_total_w == pytest.approx(total_w)

"""What sensors make of a turn of the control loop; what is unknown is never a number."""

from collections.abc import Callable
from dataclasses import replace

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.reev_ems.coordinator import SiteData
from custom_components.reev_ems.energy_management.decision import (
    CircuitDecision,
    ConnectorDecision,
    Limit,
    LimitKind,
)
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    MeterReading,
)
from custom_components.reev_ems.ocpp_server import SelfTest
from custom_components.reev_ems.parts.base import meter_parts
from custom_components.reev_ems.parts.sensor_descriptions import METER_SENSORS
from custom_components.reev_ems.readings.meters import MeterStatus
from custom_components.reev_ems.sensor import REGISTER_RESET_S

from .site import PROFILE, charges, entity_id, set_up, state, subentry_id

type Push = Callable[..., SiteData]

# Twice the interval of measured values, and a little: whatever is pushed is also written.
DUE_S = 11.0


def grid(**values: object) -> dict[str, object]:
    """Return an observation of the grid connection's meter."""
    return {"meters": {"main": replace(MeterObservation(age_s=0.5), **values)}}


def decided(
    data: SiteData, connector: str, **values: object
) -> dict[str, dict[str, ConnectorDecision]]:
    """Return the last decision, with another one about a connector."""
    connectors = data.decision.connectors
    changed = replace(connectors[connector], **values)
    return {"connectors": {**connectors, connector: changed}}


async def test_grid_connection(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Power and currents are signed; the headroom is the limit less margin and current."""
    push(
        DUE_S,
        observation=grid(power_w=-2300.0, current_a=(-10.0, 12.5, None)),
        decision={"surplus_w": 1800.0},
    )
    for key, value in {
        "grid_power": "-2300.0",
        "grid_current_l1": "-10.0",
        "grid_current_l2": "12.5",
        "grid_current_l3": STATE_UNKNOWN,
        "headroom_l1": "72.5",
        "headroom_l2": "50.0",
        "headroom_l3": STATE_UNKNOWN,
        "pv_surplus": "1800.0",
    }.items():
        assert state(hass, entry, "sensor", "Depot", key).state == value, key


async def test_s2_unknown_is_never_zero(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """What is not known, or no longer, is shown as unknown."""
    for case, observation in {
        "no meter": {"meters": {}},
        "no age": grid(age_s=None, power_w=5.0, current_a=(1.0, 1.0, 1.0)),
        "too old": grid(age_s=15.1, power_w=5.0, current_a=(1.0, 1.0, 1.0)),
        "no values": grid(),
    }.items():
        push(DUE_S, observation=grid(power_w=5.0, current_a=(1.0, 1.0, 1.0)))
        assert state(hass, entry, "sensor", "Depot", "grid_power").state == "5.0"
        push(DUE_S, observation=observation, decision={"surplus_w": None})
        for key in ("grid_power", "grid_current_l1", "headroom_l1", "pv_surplus"):
            shown = state(hass, entry, "sensor", "Depot", key)
            assert shown.state == STATE_UNKNOWN, (case, key)


async def test_no_surplus_is_none(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """While the site imports the sun leaves nothing: that is known, and not negative."""
    push(DUE_S, decision={"surplus_w": -4000.0})
    assert float(state(hass, entry, "sensor", "Depot", "pv_surplus").state) == 0


async def test_circuit(hass: HomeAssistant, entry: MockConfigEntry, push: Push) -> None:
    """A circuit shows what it has left; without a base load nobody knows."""
    known = CircuitDecision(
        base_a=(5.0, 4.0, 3.0),
        booked_a=(16.0, 0.0, 16.0),
        available_a=(19.0, 36.0, 21.0),
    )
    push(DUE_S, decision={"circuits": {"garage": known}})
    shown = state(hass, entry, "sensor", "Garage", "available_current_l2")
    assert shown.state == "36.0"
    push(
        DUE_S,
        decision={
            "circuits": {"garage": replace(known, base_a=None, available_a=None)}
        },
    )
    shown = state(hass, entry, "sensor", "Garage", "available_current_l2")
    assert shown.state == STATE_UNKNOWN
    registry = er.async_get(hass)
    for key in ("base_current_l1", "booked_current_l1"):
        item = registry.async_get(entity_id(hass, entry, "sensor", "Garage", key))
        assert item
        assert item.disabled_by is er.RegistryEntryDisabler.INTEGRATION


async def test_permit_in_the_unit_of_the_supply(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """AC is allowed amperes, DC watts."""
    for name in ("Garage left", "Fast charger"):
        charges(entry, name)
    data = push(DUE_S)
    data = push(decision=decided(data, "CP-LEFT:1", permit_a=13.4))
    push(decision=decided(data, "CP-DC:1", permit_w=32000.0))
    left = state(hass, entry, "sensor", "Garage left", "1_permit")
    assert (left.state, left.attributes["unit_of_measurement"]) == ("13.4", "A")
    fast = state(hass, entry, "sensor", "Fast charger", "1_permit")
    assert (fast.state, fast.attributes["unit_of_measurement"]) == ("32000.0", "W")


async def test_limited_by(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Why a car charges as it does is a state, with the place in people's words."""
    data = push(DUE_S)
    limit = Limit(kind=LimitKind.CIRCUIT_PHASE, circuit="garage", phase="L2")
    data = push(decision=decided(data, "CP-LEFT:1", limited_by=limit))
    shown = state(hass, entry, "sensor", "Garage left", "1_limited_by")
    assert shown.state == "circuit_phase"
    assert shown.attributes["circuit"] == "Garage"
    assert shown.attributes["phase"] == "L2"
    assert shown.attributes["reason"] == "Current limit: Garage, L2"
    details = state(hass, entry, "sensor", "Garage left", "1_limit_details")
    assert details.state == "Current limit: Garage, L2"
    limit = Limit(kind=LimitKind.PV_WAITING, remaining_s=39.6)
    data = push(decision=decided(data, "CP-LEFT:1", limited_by=limit))
    shown = state(hass, entry, "sensor", "Garage left", "1_limited_by")
    assert shown.state == "pv_waiting"
    assert shown.attributes["remaining_s"] == 40
    assert shown.attributes["reason"] == "Waiting for PV surplus (40 s)"
    details = state(hass, entry, "sensor", "Garage left", "1_limit_details")
    assert details.state == "Waiting for PV surplus"


async def test_no_decision_no_permit(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """A connector about which nothing was decided has no permit and no reason."""
    push(DUE_S, decision={"connectors": {}})
    for key in ("1_permit", "1_limited_by"):
        assert state(hass, entry, "sensor", "Garage left", key).state == STATE_UNKNOWN


async def test_old_measurement_of_a_charge_point(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """A charge point that stays silent about its current measures nothing."""
    measured = ConnectorObservation(
        state=ConnectorState.CHARGING,
        current_a=(16.0, 16.0, 16.0),
        power_w=11000.0,
        age_s=121.0,
    )
    part = hass.data["entity_components"]["sensor"].get_entity(
        entity_id(hass, entry, "sensor", "Garage left", "1_power")
    )
    push(DUE_S, observation={"connectors": {"CP-LEFT:1": measured}})
    assert part.native_value is None
    fresh = replace(measured, age_s=119.0)
    push(DUE_S, observation={"connectors": {"CP-LEFT:1": fresh}})
    assert part.native_value == 11000.0


async def test_self_test_result(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """The worst finding of a self-test is shown, until another firmware makes it worth nothing."""
    charge_point = entry.runtime_data.charge_points[subentry_id(entry, "Garage left")]
    found = state(hass, entry, "sensor", "Garage left", "1_self_test")
    assert found.state == "not_run"
    charge_point.testing.add(1)
    push()
    found = state(hass, entry, "sensor", "Garage left", "1_self_test")
    assert found.state == "running"
    charge_point.testing.clear()
    for result, shown in (
        (SelfTest(meter_values=True, obeys=True, falls_back=True), "passed"),
        (SelfTest(meter_values=True, obeys=True, falls_back=None), "inconclusive"),
        (SelfTest(meter_values=True, obeys=True, falls_back=False), "no_fallback"),
        (SelfTest(meter_values=True, obeys=False), "disobeys"),
        (SelfTest(meter_values=False), "no_meter_values"),
    ):
        charge_point.self_tests[1] = result
        push()
        found = state(hass, entry, "sensor", "Garage left", "1_self_test")
        assert found.state == shown
    charge_point.self_tests.clear()
    push(DUE_S)
    found = state(hass, entry, "sensor", "Garage left", "1_self_test")
    assert found.state == "not_run"


def reading(at_s: float, import_wh: float | None) -> MeterReading:
    """Return a reading of the grid's meter."""
    return MeterReading(
        at_s=at_s, current_a=(1.0, 2.0, 3.0), energy_import_wh=import_wh
    )


async def test_meter(hass: HomeAssistant, entry: MockConfigEntry, push: Push) -> None:
    """What a meter measures, and nothing that it does not."""
    (meter_id,) = push().meters
    status = MeterStatus(circuit="main", reading=reading(0.0, 2_000_345.0))
    push(DUE_S, meters={meter_id: status})
    assert state(hass, entry, "sensor", "Grid meter", "current_l2").state == "2.0"
    imported = state(hass, entry, "sensor", "Grid meter", "energy_import")
    assert float(imported.state) == pytest.approx(2000.345)
    assert imported.attributes["unit_of_measurement"] == "kWh"
    assert imported.attributes["state_class"] == "total_increasing"
    assert imported.attributes["device_class"] == "energy"
    for key in ("power", "power_l1", "frequency"):
        shown = state(hass, entry, "sensor", "Grid meter", key)
        assert shown.state == STATE_UNKNOWN, key
    problem = replace(status, problem="cannot_connect")
    push(DUE_S, meters={meter_id: problem})
    for key in ("current_l2", "energy_import", "power"):
        shown = state(hass, entry, "sensor", "Grid meter", key)
        assert shown.state == STATE_UNAVAILABLE, key


async def test_meter_offers_what_its_model_measures(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """There is no sensor for what a model does not have: a Shelly Pro 3EM tells no frequency."""
    (part,) = meter_parts(entry.runtime_data)
    assert part.profile
    assert part.device_info["manufacturer"] == part.profile.manufacturer
    described = {item.key: item for item in METER_SENSORS}
    assert {key for key, item in described.items() if not item.exists_fn(part)} == set()
    coordinator = entry.runtime_data
    coordinator.profiles = {PROFILE: coordinator.profiles["shelly_pro_3em"]}
    missing = {key for key, item in described.items() if not item.exists_fn(part)}
    assert missing == {"frequency"}


async def test_register_never_runs_backwards(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """A glitch is not shown; a meter that was replaced is, after a while."""
    (meter_id,) = push().meters

    def shown(import_wh: float | None, after_s: float = DUE_S) -> float:
        status = MeterStatus(circuit="main", reading=reading(0.0, import_wh))
        push(after_s, meters={meter_id: status})
        found = state(hass, entry, "sensor", "Grid meter", "energy_import")
        return float(found.state)

    assert shown(500_000_000.0) == 500_000
    assert shown(0.0) == 500_000
    assert shown(None) == 500_000
    assert shown(500_000_500.0) == 500_000.5
    assert shown(2000.0) == 500_000.5
    assert shown(2000.0, REGISTER_RESET_S - 1) == 500_000.5
    assert shown(2000.0) == 2
    assert shown(3000.0) == 3


async def test_register_is_restored(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """After a restart a register begins where statistics last saw it."""
    imported = entity_id(hass, entry, "sensor", "Grid meter", "energy_import")
    assert await hass.config_entries.async_unload(entry.entry_id)
    extra = {"native_value": 700_000_000.0, "native_unit_of_measurement": "Wh"}
    mock_restore_cache_with_extra_data(hass, [(State(imported, "700000"), extra)])
    await set_up(hass, entry)
    component = hass.data["entity_components"]["sensor"]
    assert component.get_entity(imported).native_value == 700_000_000.0

"""The site that a config entry describes."""

from dataclasses import asdict
import json

from homeassistant.config_entries import ConfigSubentryData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN, ROOT_CIRCUIT
from custom_components.reev_ems.energy_management.controller import (
    ControllerState,
    step,
)
from custom_components.reev_ems.energy_management.observation import Observation
from custom_components.reev_ems.energy_management.outlets import layout
from custom_components.reev_ems.site.build import build_site
from custom_components.reev_ems.site.controls import Controls, ExternalSignal


@pytest.fixture
def entry_with_orphans() -> MockConfigEntry:
    """Return a site in which a circuit was removed that another circuit, a meter and a charge point still name."""
    return MockConfigEntry(
        domain=DOMAIN,
        data={"limit_a": [63, 63, 63], "ocpp_port": 9000},
        subentries_data=[
            ConfigSubentryData(
                data={"parent": "gone", "limit_a": [16, 16, 16]},
                subentry_type="circuit",
                title="Hut",
                unique_id=None,
            ),
            ConfigSubentryData(
                data={"circuit": "gone", "profile": "tq_em420", "poll_s": 1},
                subentry_type="meter",
                title="Meter",
                unique_id=None,
            ),
            ConfigSubentryData(
                data={
                    "charge_point_id": "CP1",
                    "circuit": "gone",
                    "connectors": [
                        {"number": 1, "supply": "ac", "phases": ["L1", "L2", "L3"]}
                    ],
                },
                subentry_type="charge_point",
                title="CP1",
                unique_id=None,
            ),
        ],
    )


def test_what_hung_on_a_removed_circuit_hangs_on_the_grid_connection_s1(
    entry_with_orphans: MockConfigEntry,
) -> None:
    """A removed circuit must not stop the energy management of all others."""
    site = build_site(entry_with_orphans, Controls())
    (hut,) = (circuit for circuit in site.circuits if circuit.id != ROOT_CIRCUIT)
    assert hut.parent == ROOT_CIRCUIT
    assert [connector.circuit for connector in site.connectors] == [ROOT_CIRCUIT]
    assert not any(circuit.metered for circuit in site.circuits)
    _, decision = step(layout(site), ControllerState(), Observation(at_s=0))
    assert set(decision.connectors) == {"CP1:1"}


@pytest.mark.parametrize(
    ("meters", "lag_s"),
    [
        ([], 0),
        ([{"poll_s": 1}], 3),
        ([{"poll_s": 1}, {"poll_s": 10}], 12),
        ([{"poll_s": 1}, {"sensors": {}}], 15),
    ],
)
def test_the_slowest_meter_says_how_late_readings_may_be(
    meters: list[dict[str, object]], lag_s: float
) -> None:
    """A meter on Modbus is as late as it is polled; how late a sensor is nobody knows."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        data={"limit_a": [63, 63, 63], "ocpp_port": 9000},
        subentries_data=[
            ConfigSubentryData(
                data={"circuit": ROOT_CIRCUIT, **meter},
                subentry_type="meter",
                title=f"Meter {number}",
                unique_id=None,
            )
            for number, meter in enumerate(meters)
        ],
    )
    assert build_site(entry, Controls()).settings.meter_lag_s == lag_s


def test_controls_of_an_older_version() -> None:
    """What was stored before there were external limits is still read."""
    controls = Controls.from_json(
        {
            "load_management": True,
            "pv_surplus": True,
            "follows_pv": {},
            "connectors": {"CP1:1": {"mode": "solar", "priority": 3, "enabled": False}},
        }
    )
    assert controls.connector("CP1:1").priority == 3
    assert controls.external_signal is None
    assert not controls.external_limit


def test_controls_outlive_json() -> None:
    """All that is stored comes back."""
    signal = ExternalSignal(
        source="sensor.box", inverted=False, limited=True, limit_w=4200.0
    )
    controls = Controls(
        external_limit=True, external_limit_w=9000.0, external_signal=signal
    ).with_connector("CP1:1", priority=9)
    stored = json.loads(json.dumps(asdict(controls)))
    again = Controls.from_json(stored)
    assert again == controls

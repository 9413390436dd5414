"""The wiring of connectors is learnt from cars, and proposed where it differs from what is set."""

from collections.abc import Callable

from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.coordinator import SiteData
from custom_components.reev_ems.energy_management.model import (
    Circuit,
    Connector,
    PartPerPhase,
    Phase,
    Site,
)
from custom_components.reev_ems.energy_management.observation import MeterReading
from custom_components.reev_ems.issues.shown import async_update_issues
from custom_components.reev_ems.readings.line_phases import (
    LinePhases,
    async_line_phases,
)
from custom_components.reev_ems.readings.meters import MeterStatus

from .site import subentry_id

type Push = Callable[..., SiteData]

L1, L2, L3 = Phase
LIMIT_A = (63.0, 63.0, 63.0)


def site(phases: tuple[Phase, ...] | None, phase_count: int) -> Site:
    """Return a site with one connector in a garage without a meter."""
    return Site(
        circuits=(
            Circuit(id="main", limit_a=LIMIT_A, metered=True),
            Circuit(id="garage", parent="main", limit_a=LIMIT_A),
        ),
        connectors=(
            Connector(
                id="car", circuit="garage", phases=phases, phase_count=phase_count
            ),
        ),
    )


def charge(
    learner: LinePhases, place: Site, item_id: str, line: Phase, age_s: float = 0.5
) -> None:
    """Let a car that charges on the connector's first phase start and stop, on a line phase of the meter."""
    for report in range(10):
        draw_a = 10.0 * (report % 2)
        own: PartPerPhase = (draw_a, 0.0, 0.0)
        one, two, three = (
            3.0 + draw_a if phase is line else 3.0 for phase in (L1, L2, L3)
        )
        reading = MeterReading(at_s=100.0 + report, current_a=(one, two, three))
        status = {"meter": MeterStatus(circuit="main", reading=reading)}
        learner.observe(place, item_id, own, reading.at_s + age_s, status)


@pytest.mark.parametrize(
    ("phases", "phase_count", "line", "proposal"),
    [
        ((L1, L2, L3), 3, L2, (L2, L3, L1)),
        ((L2, L3, L1), 3, L2, None),
        ((L2, L1, L3), 3, L2, None),
        ((L1,), 1, L3, (L3,)),
        ((L3,), 1, L3, None),
        (None, 1, L3, (L3,)),
        (None, 3, L3, (L3, L1, L2)),
        ((L1, L2), 2, L3, None),
    ],
)
def test_proposal(
    phases: tuple[Phase, ...] | None,
    phase_count: int,
    line: Phase,
    proposal: tuple[Phase, ...] | None,
) -> None:
    """Only what differs from the setting, and is settled, is proposed."""
    learner = LinePhases()
    place = site(phases, phase_count)
    charge(learner, place, "car", line)
    assert learner.proposals(place) == ({"car": proposal} if proposal else {})


def test_old_reading_teaches_nothing() -> None:
    """A report is compared with what the meter measured at that moment only."""
    learner = LinePhases()
    place = site((L1, L2, L3), 3)
    charge(learner, place, "car", L2, age_s=5.0)
    assert learner.proposals(place) == {}


async def test_one_click_sets_the_wiring(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """The repair issue names both wirings; submitting it changes the setting of this connector and no other."""
    coordinator = entry.runtime_data
    place = coordinator.data.site
    charge(coordinator.line_phases, place, "CP-YARD:1", L3)
    async_update_issues(coordinator, [])
    (issue,) = (
        item
        for item in ir.async_get(hass).issues.values()
        if item.translation_key == "line_phases_differ"
    )
    assert issue.translation_placeholders
    assert issue.translation_placeholders["connector"] == "Yard, connector 1"
    assert issue.translation_placeholders["set"] == "L2"
    assert issue.translation_placeholders["learnt"] == "L3"
    assert await async_setup_component(hass, "repairs", {})
    manager = repairs_flow_manager(hass)
    assert manager
    flow = await manager.async_init(issue.domain, context={"issue_id": issue.issue_id})
    flow = await manager.async_configure(flow["flow_id"], {})
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    first, second = entry.subentries[subentry_id(entry, "Yard")].data["connectors"]
    assert (first["phases"], second["phases"]) == (["L3"], None)
    assert not [
        item
        for item in ir.async_get(hass).issues.values()
        if item.translation_key == "line_phases_differ" and item.active
    ]


def proposed(hass: HomeAssistant) -> list[str]:
    """Return the connectors for which a wiring is proposed."""
    return [
        item.translation_placeholders["connector"]
        for item in ir.async_get(hass).issues.values()
        if item.translation_key == "line_phases_differ"
        and item.active
        and item.translation_placeholders
    ]


async def test_proposal_outlives_a_reload_but_not_another_order_of_the_meters_phases(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """What took cars hours to show is not lost by an edited name; what was learnt from swapped phases is."""
    coordinator = entry.runtime_data
    charge(coordinator.line_phases, coordinator.data.site, "CP-YARD:1", L3)
    async_update_issues(coordinator, [])
    assert proposed(hass) == ["Yard, connector 1"]
    (meter,) = entry.get_subentries_of_type("meter")
    hass.config_entries.async_update_subentry(entry, meter, title="Main meter")
    await hass.async_block_till_done()
    assert entry.runtime_data is not coordinator
    assert proposed(hass) == ["Yard, connector 1"]
    swapped = {**meter.data, "phase_order": ["L3", "L2", "L1"]}
    hass.config_entries.async_update_subentry(entry, meter, data=swapped)
    await hass.async_block_till_done()
    assert proposed(hass) == []


async def test_removed_site_is_forgotten(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Nothing of it stays."""
    learnt = entry.runtime_data.line_phases
    assert async_line_phases(hass, entry) is learnt
    await hass.config_entries.async_remove(entry.entry_id)
    assert async_line_phases(hass, entry) is not learnt

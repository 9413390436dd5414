"""The repair of a meter that contradicts what is behind it: on the wire, and in what is stored of it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.energy_management.model import PHASES
from custom_components.reev_ems.meters import NO_CORRECTION, Correction
from custom_components.reev_ems.readings.correction import (
    METER_CONTRADICTION,
    correction_of,
    issue_of,
    proposal,
    set_right,
)
from custom_components.reev_ems.site.kept import async_take_kept
from simulator.layouts import JANITZA_UMG604
from simulator.modbus import Endpoint, Meter, MeterConfig
from simulator.plant import Measurement
from simulator.wiring import Wiring
from tests.config_flow.inputs import free_port

from .site import meter

L1, L2, L3 = PHASES
TRUTH = Measurement(
    at_s=0.0,
    voltage_v=(230.0, 231.0, 229.0),
    current_a=(20.0, 10.0, 5.0),
    power_w=(4600.0, -2310.0, 1145.0),
    reactive_var=(0.0, 0.0, 0.0),
    frequency_hz=50.0,
    import_wh=1000.0,
    export_wh=0.0,
    import_phase_wh=(1000.0, 0.0, 0.0),
    export_phase_wh=(0.0, 0.0, 0.0),
)
RIGHT_A = (20.0, -10.0, 5.0)


@pytest.fixture
async def simulated(socket_enabled: None) -> AsyncGenerator[tuple[Meter, Endpoint]]:
    """A meter on the wire that is right at first."""
    found = Meter(MeterConfig(id="m", circuit="main", layout=JANITZA_UMG604), TRUTH)
    endpoint = Endpoint("127.0.0.1", 0, [found])
    await endpoint.start()
    yield found, endpoint
    await endpoint.stop()


@pytest.fixture
async def site(
    hass: HomeAssistant, simulated: tuple[Meter, Endpoint]
) -> AsyncGenerator[MockConfigEntry]:
    """A running site whose only meter is the simulated one."""
    _, endpoint = simulated
    subentry = meter("Grid meter", "main", endpoint.port)
    subentry["data"] = {**subentry["data"], "poll_s": 0.5}
    found = MockConfigEntry(
        domain=DOMAIN,
        title="Depot",
        data={"limit_a": [63.0] * 3, "limit_w": None, "ocpp_port": free_port()},
        options={},
        subentries_data=[subentry],
    )
    found.add_to_hass(hass)
    assert await hass.config_entries.async_setup(found.entry_id)
    await hass.async_block_till_done()
    yield found
    await hass.config_entries.async_unload(found.entry_id)


def meter_of(site: MockConfigEntry) -> ConfigSubentry:
    """Return the subentry of the only meter."""
    (found,) = site.get_subentries_of_type("meter")
    return found


async def reads(site: MockConfigEntry, current_a: tuple[float, ...]) -> None:
    """Wait until the meter reads so."""
    async with asyncio.timeout(5):
        while True:
            (status,) = site.runtime_data.data.meters.values()
            if status.reading and status.reading.current_a == pytest.approx(current_a):
                return
            await asyncio.sleep(0.02)


def raise_issue(
    hass: HomeAssistant,
    site: MockConfigEntry,
    change: Correction,
    *,
    before: Mapping[str, Any] | None = None,
) -> str:
    """Raise the issue as the energy management's decision has it raised; return its id."""
    subentry = meter_of(site)
    key, placeholders = issue_of(change)
    issue_id = f"{site.entry_id}_{METER_CONTRADICTION}_{subentry.subentry_id}"
    data: dict[str, str | int | float | None] = {
        "entry_id": site.entry_id,
        "subentry_id": subentry.subentry_id,
        "subentry_type": "meter",
    }
    if change != NO_CORRECTION:
        data |= proposal(before or subentry.data, change)
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data=data,
        is_fixable=True,
        severity=ir.IssueSeverity.ERROR,
        translation_key=key,
        translation_placeholders={
            "site": "Depot",
            "meter": subentry.title,
            "evidence": "L1 +10 A → −10 A",
            **placeholders,
        },
    )
    return issue_id


async def submit(hass: HomeAssistant, issue_id: str) -> Any:
    """Open the dialog of the issue and submit it."""
    assert await async_setup_component(hass, "repairs", {})
    manager = repairs_flow_manager(hass)
    assert manager
    flow = await manager.async_init(DOMAIN, context={"issue_id": issue_id})
    assert flow["type"] is FlowResultType.FORM
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue
    assert flow["description_placeholders"] == issue.translation_placeholders
    texts = await async_get_translations(hass, "en", "issues", {DOMAIN})
    path = f"component.{DOMAIN}.issues.{issue.translation_key}"
    for text in (f"{path}.title", f"{path}.fix_flow.step.confirm.description"):
        assert "{" not in texts[text].format(**issue.translation_placeholders or {})
    return await manager.async_configure(flow["flow_id"], {})


@pytest.mark.parametrize(
    ("wiring", "change", "stored"),
    [
        (Wiring(sign=-1), Correction(invert=True), {"invert": True}),
        (
            Wiring(inverted=(1,)),
            Correction(inverted_phases=frozenset([L2])),
            {"inverted_phases": ["L2"]},
        ),
        (
            Wiring(phase_order=(1, 0, 2)),
            Correction(phase_order=(L2, L1, L3)),
            {"phase_order": ["L2", "L1", "L3"]},
        ),
        (Wiring(ratio=0.2), Correction(ratio=5.0), {"ratio": 5.0}),
    ],
)
async def test_s2_one_click_sets_a_meter_right_that_was_turned_while_it_ran(
    hass: HomeAssistant,
    site: MockConfigEntry,
    simulated: tuple[Meter, Endpoint],
    wiring: Wiring,
    change: Correction,
    stored: dict[str, Any],
) -> None:
    """The fault comes on the wire; what is submitted is stored, and the readings are right again."""
    await reads(site, RIGHT_A)
    simulated[0].rewire(wiring)
    wrong = simulated[0].shown
    await reads(
        site,
        tuple(
            amperes if watts >= 0 else -amperes
            for amperes, watts in zip(wrong.current_a, wrong.power_w, strict=True)
        ),
    )
    flow = await submit(hass, raise_issue(hass, site, change))
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    await reads(site, RIGHT_A)
    data = meter_of(site).data
    plain = {"invert": False, "phase_order": ["L1", "L2", "L3"]}
    assert {
        key: data[key] for key in data if key in (*plain, "inverted_phases", "ratio")
    } == plain | stored


async def test_nothing_is_turned_twice(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    """A meter that was turned in its form meanwhile is not turned back by the issue."""
    subentry = meter_of(site)
    before = dict(subentry.data)
    hass.config_entries.async_update_subentry(
        site, subentry, data=before | {"invert": True}
    )
    await hass.async_block_till_done()
    issue_id = raise_issue(hass, site, Correction(invert=True), before=before)
    flow = await submit(hass, issue_id)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "changed_meanwhile")
    assert meter_of(site).data["invert"] is True


async def test_s14_what_was_read_with_other_settings_proves_nothing(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    """Else the issue would be there still after its fix, and submitting it again would turn the meter back."""
    await reads(site, RIGHT_A)
    coordinator = site.runtime_data

    def kept() -> tuple[bool, bool]:
        coordinator._keep()
        found = async_take_kept(hass, site.entry_id)
        return bool(found.readings), found.state.meters["main"].witness is not None

    assert kept() == (True, True)
    subentry = meter_of(site)
    hass.config_entries.async_update_subentry(
        site, subentry, data={**subentry.data, "invert": True}
    )
    assert kept() == (False, False)
    await hass.async_block_till_done()


async def test_what_no_setting_explains_leads_to_the_form(
    hass: HomeAssistant, site: MockConfigEntry
) -> None:
    """A lost transformer, another circuit, or old values."""
    flow = await submit(hass, raise_issue(hass, site, NO_CORRECTION))
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "meter_form")


def test_a_further_correction_is_added() -> None:
    """The phases that an issue names are those of the readings; what is stored are the meter's own."""
    data = {"phase_order": ["L3", "L1", "L2"], "inverted_phases": ["L1"], "ratio": 2.0}
    found = set_right(data, Correction(inverted_phases=frozenset([L2]), ratio=0.5))
    assert found == {
        "invert": False,
        "phase_order": ["L3", "L1", "L2"],
        "inverted_phases": ["L1", "L3"],
    }
    turned_back = Correction(inverted_phases=frozenset([L2, L3]))
    assert "inverted_phases" not in set_right(found, turned_back)
    swapped = set_right(found, Correction(phase_order=(L2, L1, L3)))
    assert swapped["phase_order"] == ["L3", "L2", "L1"]
    assert swapped["inverted_phases"] == ["L1", "L3"]
    assert correction_of({}) == NO_CORRECTION


def test_sensors_change_places() -> None:
    """A sensor is on the phase that it is chosen for: swapped phases are other choices."""
    data = {
        "profile": "sensors",
        "sensors": {"current_l1": "sensor.a", "power_l2": "sensor.b"}
        | {"power_total": "sensor.t"},
        "wiring": "three_phase",
        "invert": False,
        "inverted_phases": ["L1"],
    }
    change = Correction(phase_order=(L2, L3, L1), inverted_phases=frozenset([L2]))
    assert set_right(data, change) == data | {
        "sensors": {"current_l2": "sensor.a", "power_l3": "sensor.b"}
        | {"power_total": "sensor.t"},
        "inverted_phases": ["L2", "L3"],
    }
    assert set_right(data | {"wiring": "l2"}, change)["wiring"] == "l3"


async def test_how_far_apart_readings_over_modbus_are(site: MockConfigEntry) -> None:
    """It is observed, not taken from the setting: a meter may answer late, or seldom."""
    async with asyncio.timeout(5):
        while True:
            (status,) = site.runtime_data.data.meters.values()
            if status.interval_s is not None:
                break
            await asyncio.sleep(0.02)
    assert status.interval_s == pytest.approx(0.5, abs=0.1)

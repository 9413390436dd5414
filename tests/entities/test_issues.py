"""Repair issues come and go with what they are about."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from homeassistant.components.repairs import repairs_flow_manager
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.charge_points.listener import async_stop_unused_server
from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.coordinator import SiteData
from custom_components.reev_ems.energy_management.decision import (
    Finding,
    Issue,
    IssueKind,
    SiteState,
)
from custom_components.reev_ems.energy_management.model import Phase
from custom_components.reev_ems.issues.shown import async_update_issues
from custom_components.reev_ems.meters import Correction
from custom_components.reev_ems.readings import outages
from custom_components.reev_ems.readings.correction import proposed
from custom_components.reev_ems.readings.outages import Outage

from .charger import Charger
from .site import entity_id, state, subentry_id

type Push = Callable[..., SiteData]

SILENT = Issue(kind=IssueKind.METER_SILENT, circuit="main", value=16.0)
OVER = Issue(
    kind=IssueKind.BASE_LOAD_OVER_LIMIT, circuit="garage", phase="L2", value=3.25
)
UNEVEN = Issue(
    kind=IssueKind.IMBALANCE_RESIDUAL, circuit="main", phase="L1 over L3", value=2.0
)
DISOBEDIENT = Issue(kind=IssueKind.DISOBEDIENT, connector="CP-YARD:2")


def shown(hass: HomeAssistant) -> dict[str, ir.IssueEntry]:
    """Return the active issues of the integration, by their translation keys."""
    return {
        issue.translation_key or "": issue
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN and issue.active
    }


async def test_issues_come_and_go(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """What is found is shown in people's words, and gone when it is over."""
    coordinator = entry.runtime_data
    async_update_issues(coordinator, [OVER, DISOBEDIENT])
    found = shown(hass)
    assert set(found) == {"base_load_over_limit", "disobedient"}
    placeholders = found["base_load_over_limit"].translation_placeholders
    assert placeholders
    assert placeholders["circuit"] == "Garage"
    assert placeholders["phase"] == "L2"
    assert placeholders["value"] == "3.2"
    assert placeholders["site"] == "Depot"
    placeholders = found["disobedient"].translation_placeholders
    assert placeholders
    assert placeholders["connector"] == "Yard, connector 2"
    async_update_issues(coordinator, [OVER])
    assert set(shown(hass)) == {"base_load_over_limit"}
    async_update_issues(coordinator, [])
    assert shown(hass) == {}


OVERLOADED = Issue(kind=IssueKind.OVERLOADED, circuit="garage", phase="L2", value=12.34)
SWAPPED = Issue(
    kind=IssueKind.METER_CONTRADICTION,
    circuit="main",
    phase="L1 L2",
    finding=Finding.SWAPPED,
)


async def test_s13_an_overload_is_one_issue_and_an_event(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """One per circuit, whichever phase is worst; its beginning and its end are events of that circuit alone."""
    coordinator = entry.runtime_data
    worse = replace(OVERLOADED, phase="L3", value=15.0)
    for issue in (OVERLOADED, worse):
        push(decision={"issues": (issue,), "state": SiteState.OVERLOADED})
        async_update_issues(coordinator, [issue])
        (found,) = shown(hass).values()
        assert found.translation_key == "overloaded"
        assert found.severity is ir.IssueSeverity.ERROR
        assert found.translation_placeholders
        assert found.translation_placeholders["phase"] == "L2"
        assert found.translation_placeholders["value"] == "12.3"
        event = state(hass, entry, "event", "Garage", "overload")
        assert event.attributes["event_type"] == "began"
        assert (event.attributes["phase"], event.attributes["over_a"]) == ("L2", 12.34)
    assert state(hass, entry, "event", "Depot", "overload").state == "unknown"
    assert state(hass, entry, "sensor", "Depot", "state").state == "overloaded"
    push(decision={"issues": (), "state": SiteState.REGULATING})
    async_update_issues(coordinator, [])
    assert shown(hass) == {}
    event = state(hass, entry, "event", "Garage", "overload")
    assert event.attributes["event_type"] == "ended"


async def test_s14_a_contradiction_names_its_meter_and_the_evidence(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Each finding has its own remedy, hence its own text; the meter has one issue."""
    coordinator = entry.runtime_data
    meter = subentry_id(entry, "Grid meter")
    issue_id = f"{entry.entry_id}_meter_contradiction_{meter}"

    def found(key: str, **changes: Any) -> tuple[Correction | None, dict[str, str]]:
        async_update_issues(coordinator, [replace(SWAPPED, **changes)])
        (issue,) = shown(hass).values()
        assert issue.issue_id == issue_id
        assert issue.is_fixable
        assert issue.translation_key == f"meter_contradiction{key}"
        assert issue.translation_placeholders
        assert issue.translation_placeholders["meter"] == "Grid meter"
        data = issue.data or {}
        change = None
        if "correction" in data:
            change = proposed(data, entry.subentries[meter].data)
        return change, dict(issue.translation_placeholders)

    levels = {"drawn_a": (12.0, 12.0, 6.0), "shown_a": (-2.4, 14.0, None)}
    change, told = found("_phases_swapped", value=4.0, **levels)
    assert change == Correction(phase_order=(Phase.L2, Phase.L1, Phase.L3))
    assert told["order"] == "L2, L1, L3"
    assert told["evidence"] == "L1: 12.0 → −2.4 A, L2: 12.0 → 14.0 A"
    change, told = found(
        "_phases_inverted", finding=Finding.REVERSED, phase="L2, L3", value=3.25
    )
    assert change == Correction(inverted_phases=frozenset({Phase.L2, Phase.L3}))
    assert told["phases"] == "L2, L3"
    change, told = found("_phases_swapped", phase="L2 L3 L1")
    assert change == Correction(phase_order=(Phase.L2, Phase.L3, Phase.L1))
    assert told["order"] == "L2, L3, L1"
    change, _ = found("_inverted", finding=Finding.REVERSED, phase="L1, L2, L3")
    assert change == Correction(invert=True)
    change, told = found("_ratio", finding=Finding.RATIO, phase=None, value=0.21)
    assert change == Correction(ratio=4.76)
    assert (told["ratio"], told["evidence"]) == ("4.76", "L1, L2, L3 (× 0.21)")
    change, _ = found("_less", finding=Finding.RATIO, phase=None, value=None)
    assert change is None
    for finding in (Finding.LOST, Finding.FROZEN, Finding.ELSEWHERE):
        change, told = found(f"_{finding}", finding=finding, phase="L3", value=75.0)
        assert change is None
    change, _ = found("_swapped", phase="L1 L2 L3")
    assert change is None
    change, _ = found("", finding=None)
    assert change is None
    ir.async_get(hass).async_ignore(DOMAIN, issue_id, ignore=True)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    await hass.config_entries.async_remove(entry.entry_id)
    assert not ir.async_get(hass).async_get_issue(DOMAIN, issue_id)


async def test_a_contradiction_that_is_over_is_gone(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Also one that a reload has kept."""
    async_update_issues(entry.runtime_data, [SWAPPED])
    assert set(shown(hass)) == {"meter_contradiction_phases_swapped"}
    assert await hass.config_entries.async_reload(entry.entry_id)
    async_update_issues(entry.runtime_data, [])
    assert "meter_contradiction_phases_swapped" not in shown(hass)


async def test_imbalance_that_comes_and_goes_with_the_house(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """It is shown when it lasts, in amperes that can be understood, and not closed by each kettle that is switched off."""
    for _ in range(5):
        for issues in ((UNEVEN,), ()):
            push(20.0, decision={"issues": issues})
            assert shown(hass) == {}
    for _ in range(4):
        push(20.0, decision={"issues": (UNEVEN,)})
    placeholders = shown(hass)["imbalance_residual"].translation_placeholders
    assert placeholders
    assert [placeholders[key] for key in ("high", "difference", "low", "allowed")] == [
        "L1",
        "22.0",
        "L3",
        "20",
    ]
    for issues, is_shown in (((), True), ((UNEVEN,), True), ((), True)):
        push(600.0, decision={"issues": issues})
        assert ("imbalance_residual" in shown(hass)) is is_shown
    push(901.0, decision={"issues": ()})
    assert shown(hass) == {}


async def test_imbalance_without_charge_points_on_its_phase(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """What charging has no part in is not shown."""
    coordinator = entry.runtime_data
    site = coordinator.data.site
    elsewhere = tuple(
        replace(each, phases=(Phase.L2,), phase_count=1) for each in site.connectors
    )
    for connectors in (elsewhere, ()):
        for _ in range(4):
            push(60.0, site=replace(site, connectors=connectors))
            async_update_issues(coordinator, [UNEVEN])
        assert shown(hass) == {}


async def test_phases_of_a_box_with_one(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """An issue without a phase of its own names those that its connector is wired to."""
    coordinator = entry.runtime_data
    site = coordinator.data.site
    wired = tuple(
        replace(each, phases=(Phase.L2,), phase_count=1)
        if each.id == DISOBEDIENT.connector
        else each
        for each in site.connectors
    )
    push(site=replace(site, connectors=wired))
    async_update_issues(coordinator, [DISOBEDIENT])
    placeholders = shown(hass)["disobedient"].translation_placeholders
    assert placeholders
    assert (placeholders["phase"], placeholders["value"]) == ("L2", "–")
    problem = entity_id(hass, entry, "sensor", "Yard", "problem")
    push(decision={"issues": (DISOBEDIENT,)})
    await hass.async_block_till_done()
    found = hass.states.get(problem)
    assert found
    assert found.state == "disobedient"


async def test_a_site_that_just_began_has_no_silent_meter(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Its meter was not heard yet; a meter of which the trouble is known is shown at once."""
    coordinator = entry.runtime_data
    async_update_issues(coordinator, [SILENT])
    assert shown(hass) == {}
    ((meter_id, status),) = push().meters.items()
    push(meters={meter_id: replace(status, problem="no_answer")})
    async_update_issues(coordinator, [SILENT])
    assert set(shown(hass)) == {"meter_silent_no_answer"}
    async_update_issues(coordinator, [])
    push(20.0, meters={meter_id: status})
    async_update_issues(coordinator, [SILENT])
    assert set(shown(hass)) == {"meter_silent"}


async def test_a_port_that_is_taken(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """It is an issue for as long as another program has it."""
    port = entry.data["ocpp_port"]
    assert await hass.config_entries.async_unload(entry.entry_id)
    await async_stop_unused_server(hass, entry.entry_id, port)
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    await hass.config_entries.async_setup(entry.entry_id)
    issue = shown(hass)["ocpp_port_in_use"]
    assert issue.translation_placeholders == {"site": "Depot", "port": str(port)}
    other.close()
    await other.wait_closed()
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert "ocpp_port_in_use" not in shown(hass)


def test_what_flaps_is_named_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down once, up once; eleven times in two minutes are five lines, and each end of it is one more."""
    now_s = 1000.0
    monkeypatch.setattr(outages.time, "monotonic", lambda: now_s)
    caplog.set_level("INFO")
    outage = Outage("Gateway Roof")
    for _ in range(11):
        outage.down("no answer")
        outage.down("no answer")
        now_s += 5
        outage.up()
        outage.up()
        now_s += 6
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5
    assert lines[:2] == [
        "Gateway Roof does not answer: no answer",
        "Gateway Roof answers again",
    ]
    assert "comes and goes" in lines[-1]
    for minutes, tell, ending in (
        (4, outage.up, ""),
        (2, outage.up, "Gateway Roof answers steadily again"),
        (60, lambda: outage.down("no answer"), "does not answer: no answer"),
        (1, lambda: outage.down("no answer"), ""),
    ):
        now_s += 60 * minutes
        before = len(caplog.records)
        tell()
        told = [record.getMessage() for record in caplog.records[before:]]
        assert len(told) == bool(ending)
        assert all(line.endswith(ending) for line in told)
    for _ in range(3):
        outage.up()
        outage.down("no answer")
    before = len(caplog.records)
    for seconds, lines in ((100, 0), (201, 1), (500, 0)):
        now_s += seconds
        outage.down("no route")
        assert len(caplog.records) == before + lines
        before += lines
    assert (
        caplog.records[-1].getMessage()
        == "Gateway Roof does not answer any more: no route"
    )


async def test_an_ongoing_issue_is_written_once(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Its value changes with every turn of the loop; the registry is not bothered."""
    events: list[object] = []

    @callback
    def note(event: Event) -> None:
        events.append(event)

    # What the meter's own values brought up.
    async_update_issues(entry.runtime_data, [])
    await hass.async_block_till_done()
    hass.bus.async_listen(ir.EVENT_REPAIRS_ISSUE_REGISTRY_UPDATED, note)
    for excess in range(20):
        async_update_issues(entry.runtime_data, [replace(OVER, value=float(excess))])
    await hass.async_block_till_done()
    assert len(events) == 1


async def test_silent_meter_tells_the_cause(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """The text follows what is wrong with the meter: each cause has its own remedy."""
    coordinator = entry.runtime_data
    push(20.0)
    async_update_issues(coordinator, [SILENT])
    assert set(shown(hass)) == {"meter_silent"}
    ((meter_id, status),) = push().meters.items()
    for problem in ("no_answer", "wrong_identity", "frozen"):
        push(meters={meter_id: replace(status, problem=problem)})
        async_update_issues(coordinator, [SILENT])
        assert set(shown(hass)) == {f"meter_silent_{problem}"}
    async_update_issues(coordinator, [])
    assert shown(hass) == {}


async def test_ignored_issue_stays_ignored_over_a_reload(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Editing a setting does not bring back what a person put aside."""
    async_update_issues(entry.runtime_data, [OVER])
    issue_id = shown(hass)["base_load_over_limit"].issue_id
    ir.async_get(hass).async_ignore(DOMAIN, issue_id, ignore=True)
    assert await hass.config_entries.async_unload(entry.entry_id)
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue
    assert issue.dismissed_version


async def test_disabled_site_has_no_issues(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Nobody has to repair what is switched off."""
    async_update_issues(entry.runtime_data, [OVER])
    await hass.config_entries.async_set_disabled_by(
        entry.entry_id, ConfigEntryDisabler.USER
    )
    assert shown(hass) == {}


async def test_removed_site_has_no_issues(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """With a site its issues go."""
    async_update_issues(entry.runtime_data, [OVER])
    await hass.config_entries.async_remove(entry.entry_id)
    assert shown(hass) == {}


async def test_charge_point_that_rejects_its_failsafe(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A charge point that does not take its floor is named (S4), in a sensor and as a repair issue."""
    rejects = {"SetChargingProfile": lambda _: {"status": "Rejected"}}
    async with Charger(entry.data["ocpp_port"], "CP-LEFT", answers=rejects) as charger:
        await charger.until(lambda: "floor_rejected" in shown(hass))
        issue = shown(hass)["floor_rejected"]
        assert issue.translation_placeholders
        assert issue.translation_placeholders["charge_point"] == "Garage left"
        problem = state(hass, entry, "sensor", "Garage left", "problem")
        assert problem.state == "floor_rejected"
        accepted = state(hass, entry, "binary_sensor", "Garage left", "floor_accepted")
        assert accepted.state == "off"
        charger.answers.pop("SetChargingProfile")
        flow = await fix(hass, issue)
        flow = await confirm(hass, flow)
        assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "restarted")
        assert ("Reset", {"type": "Soft"}) in charger.asked
    # The restarted charge point.
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.until(lambda: "floor_rejected" not in shown(hass))


async def test_charge_point_that_has_to_be_restarted(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Who takes a setting only from its next restart on is restarted by a person, not in the middle of a session."""
    keys = [{"key": "StopTransactionOnInvalidId", "readonly": False, "value": "false"}]
    answers = {
        "GetConfiguration": lambda _: {"configurationKey": keys},
        "ChangeConfiguration": lambda _: {"status": "RebootRequired"},
    }
    async with Charger(entry.data["ocpp_port"], "CP-LEFT", answers=answers) as charger:
        await charger.until(lambda: "restart_needed" in shown(hass))
        issue = shown(hass)["restart_needed"]
        assert issue.severity is ir.IssueSeverity.WARNING
        assert state(hass, entry, "sensor", "Garage left", "problem").state == (
            "restart_needed"
        )
        assert not [action for action, _ in charger.asked if action == "Reset"]
        flow = await confirm(hass, await fix(hass, issue))
        assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "restarted")
        assert ("Reset", {"type": "Soft"}) in charger.asked
    keys[0]["value"] = "true"
    async with Charger(entry.data["ocpp_port"], "CP-LEFT", answers=answers) as charger:
        await charger.until(lambda: "restart_needed" not in shown(hass))


async def test_session_at_a_connector_that_is_not_set_up(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Nobody steers it, and a restart would not mend that: a person has to set the connector up."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        transaction_id = await charger.start(2)
        await charger.until(lambda: "connector_unknown" in shown(hass))
        issue = shown(hass)["connector_unknown"]
        assert (issue.is_fixable, issue.severity) == (False, ir.IssueSeverity.WARNING)
        problem = state(hass, entry, "sensor", "Garage left", "problem")
        assert problem.state == "connector_unknown"
        await charger.call(
            "StopTransaction",
            {
                "transactionId": transaction_id,
                "meterStop": 1500,
                "timestamp": "2026-01-01T00:00:00Z",
            },
        )
        await charger.until(lambda: "connector_unknown" not in shown(hass))


async def test_what_lost_its_circuit_leads_to_its_form(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """A charge point is not restarted for it: its circuit is chosen in its settings, as that of a meter."""
    meter = entry.subentries[subentry_id(entry, "Grid meter")]
    hass.config_entries.async_update_subentry(
        entry, meter, data={**meter.data, "circuit": "gone"}
    )
    hass.config_entries.async_remove_subentry(entry, subentry_id(entry, "Garage"))
    await hass.async_block_till_done()
    for key, title, reason in (
        ("circuit_removed", "Garage left", "charge_point_form"),
        ("meter_without_circuit", "Grid meter", "meter_form"),
    ):
        flow = await fix(hass, shown(hass)[key])
        assert flow["description_placeholders"]["name"] == title
        flow = await confirm(hass, flow)
        assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, reason)
        _, form_id = flow["next_flow"]
        form = hass.config_entries.subentries.async_get(form_id)
        assert form["step_id"] == "reconfigure"
        assert form["context"]["subentry_id"] == subentry_id(entry, title)


async def fix(hass: HomeAssistant, issue: ir.IssueEntry) -> Any:
    """Begin to fix an issue."""
    assert issue.is_fixable
    assert await async_setup_component(hass, "repairs", {})
    manager = repairs_flow_manager(hass)
    assert manager
    flow = await manager.async_init(DOMAIN, context={"issue_id": issue.issue_id})
    assert flow["type"] is FlowResultType.FORM
    assert flow["description_placeholders"]["site"] == "Depot"
    return flow


async def confirm(hass: HomeAssistant, flow: Any) -> Any:
    """Submit the explanation of an issue."""
    manager = repairs_flow_manager(hass)
    assert manager
    return await manager.async_configure(flow["flow_id"], {})


async def test_silent_meter_leads_to_its_form(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Fixing a silent meter means to check its settings; the issue stays until the meter answers."""
    ((meter_id, status),) = push().meters.items()
    push(meters={meter_id: replace(status, problem="cannot_connect")})
    async_update_issues(entry.runtime_data, [SILENT])
    flow = await fix(hass, shown(hass)["meter_silent_cannot_connect"])
    flow = await confirm(hass, flow)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "meter_form")
    kind, form_id = flow["next_flow"]
    assert kind == "config_subentries_flow"
    form = hass.config_entries.subentries.async_get(form_id)
    assert form["step_id"] == "reconfigure"
    assert form["context"]["subentry_id"] == meter_id
    assert set(shown(hass)) == {"meter_silent_cannot_connect"}
    hass.config_entries.subentries.async_abort(form_id)


async def test_disobedient_charge_point_that_is_away(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """A restart that cannot be asked for is told so."""
    async_update_issues(entry.runtime_data, [DISOBEDIENT])
    flow = await fix(hass, shown(hass)["disobedient"])
    flow = await confirm(hass, flow)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "restart_failed")
    assert set(shown(hass)) == {"disobedient"}
    flow = await fix(hass, shown(hass)["disobedient"])
    assert await hass.config_entries.async_unload(entry.entry_id)
    flow = await confirm(hass, flow)
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "not_loaded")

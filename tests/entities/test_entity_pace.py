"""How often states are written: measured values every 5 s, news at once, the last value always."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from homeassistant.const import EVENT_STATE_REPORTED, STATE_UNKNOWN
from homeassistant.core import Event, EventStateReportedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems import entity
from custom_components.reev_ems.const import MEASURED_VALUE_INTERVAL_S
from custom_components.reev_ems.coordinator import SiteData
from custom_components.reev_ems.energy_management.decision import SiteState
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
)
from custom_components.reev_ems.entity import ReevEntity
from custom_components.reev_ems.parts import (
    charge_point as charge_point_parts,
    publisher,
)
from custom_components.reev_ems.parts.base import SitePart
from custom_components.reev_ems.parts.charge_point import ConnectorPart
from tests.config_flow.inputs import free_port
from tests.meters.wire import ModbusServer

from .site import charges, entity_id, set_up, site_entry, state, subentry_id

type Push = Callable[..., SiteData]


def grid(power_w: float, age_s: float | None = 0.2) -> dict[str, object]:
    """Return an observation of the grid connection's meter."""
    meter = MeterObservation(
        current_a=(power_w / 690,) * 3, power_w=power_w, age_s=age_s
    )
    return {"meters": {"main": meter}}


async def test_measured_value_every_five_seconds(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    push: Push,
    written: Callable[[str], list[str]],
) -> None:
    """A value that changes every second is written every 5 s."""
    power = entity_id(hass, entry, "sensor", "Depot", "grid_power")
    states = written(power)
    for second in range(60):
        push(1.0, observation=grid(1000.0 + second))
    await hass.async_block_till_done()
    values = [float(value) for value in states]
    assert 11 <= len(values) <= 12
    steps = [after - before for before, after in pairwise(values)]
    assert set(steps) == {MEASURED_VALUE_INTERVAL_S}


async def test_many_connectors_share_what_a_database_takes(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    push: Push,
    written: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of four times as many connectors each is written a quarter as often; of the site nothing changes."""
    count = len(entry.runtime_data.data.site.connectors)
    monkeypatch.setattr(charge_point_parts, "PACED_CONNECTORS", count / 4)
    monkeypatch.setattr(ConnectorPart, "live", True)
    push(100.0)
    power = written(entity_id(hass, entry, "sensor", "Garage left", "1_power"))
    grid_power = written(entity_id(hass, entry, "sensor", "Depot", "grid_power"))
    for second in range(81):
        left = ConnectorObservation(
            state=ConnectorState.CHARGING, power_w=second, age_s=1.0
        )
        push(1.0, observation={"connectors": {"CP-LEFT:1": left}, **grid(second)})
        await asyncio.sleep(0)
    await hass.async_block_till_done()
    # One more, because at first nothing was known.
    assert 4 <= len(power) <= 5
    assert 15 <= len(grid_power) <= 17


async def test_set_up_lets_others_have_their_turn(
    hass: HomeAssistant, meter: ModbusServer
) -> None:
    """Never are the entities of more than one device per platform added before the event loop sees to others."""
    added: list[int] = []

    @callback
    def note(event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        if event.data["action"] == "create":
            added[-1] += 1

    async def others() -> None:
        while True:
            added.append(0)
            await asyncio.sleep(0)

    hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, note)
    entry = site_entry(meter.port, free_port())
    entry.add_to_hass(hass)
    task = asyncio.create_task(others())
    await asyncio.sleep(0)
    await set_up(hass, entry)
    task.cancel()
    assert sum(added) > 150
    assert max(added) < 60
    await hass.config_entries.async_unload(entry.entry_id)


async def test_writes_are_spread(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    push: Push,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a pause in which everything became due, entities do not go on writing in one and the same turn."""
    # As if there were always something new at every part.
    monkeypatch.setattr(publisher, "LOOK_S", 0.0)
    reported: list[str] = []

    @callback
    def note(event: Event[EventStateReportedData]) -> None:
        reported.append(event.data["entity_id"])

    @callback
    def ours(data: EventStateReportedData) -> bool:
        return True

    hass.bus.async_listen(EVENT_STATE_REPORTED, note, event_filter=ours)
    turns = []
    for after_s in (60.0, *[1.0] * 10):
        reported.clear()
        push(after_s)
        turns.append(len(reported))
    first, *others = turns
    assert first > 40
    assert sum(turns[1:5]) == 0
    assert max(others) < 0.4 * first
    # Each has written again.
    assert sum(others) >= first


async def test_only_those_with_news_look(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    push: Push,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connector at which nothing happens costs next to nothing; after half a minute all look in any case."""
    looked: list[str] = []
    look = ReevEntity.look

    def note(one: ReevEntity[SitePart]) -> None:
        looked.append(one.part.key)
        look(one)

    monkeypatch.setattr(ReevEntity, "look", note)
    for _ in range(6):
        push(10.0)
    left, yard = (f"{subentry_id(entry, title)}_1" for title in ("Garage left", "Yard"))
    push(1.0)
    looked.clear()
    decision = entry.runtime_data.data.decision
    connectors = dict(decision.connectors)
    connectors["CP-LEFT:1"] = replace(connectors["CP-LEFT:1"], permit_a=9.0)
    push(1.0, decision={"connectors": connectors})
    assert left in looked
    assert yard not in looked
    looked.clear()
    push(31.0)
    assert {left, yard} <= set(looked)


async def test_many_entities_let_others_have_their_turn(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    push: Push,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is not looked at in the same turn of the event loop is in the next ones, and once only."""
    monkeypatch.setattr(publisher, "SLICE", 10)
    looked: list[str] = []
    look = ReevEntity.look

    def note(one: ReevEntity[SitePart]) -> None:
        looked.append(one.entity_id)
        look(one)

    monkeypatch.setattr(ReevEntity, "look", note)
    push(60.0)
    assert not looked, "the step was enough for this turn"
    await asyncio.sleep(0)
    assert len(looked) == 10
    push(0.1)
    assert len(looked) == 10, "the work that is under way goes on where it was"
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(looked) > 60
    assert len(set(looked)) >= len(looked) - 20


async def test_last_value_is_not_lost(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """A value that came too early to be written is written by a later turn, even if it no longer changes."""
    push(11.0, observation=grid(1000.0))
    push(1.0, observation=grid(7000.0))
    assert float(state(hass, entry, "sensor", "Depot", "grid_power").state) == 1000.0
    for _ in range(5):
        push(1.0)
    assert float(state(hass, entry, "sensor", "Depot", "grid_power").state) == 7000.0


async def test_unknown_and_known_again_at_once(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """A measured value that is lost, or found, is no matter of pace."""
    for observation, shown in (
        (grid(1000.0, age_s=60.0), STATE_UNKNOWN),
        (grid(1000.0), "1000.0"),
        ({"meters": {}}, STATE_UNKNOWN),
        (grid(2000.0), "2000.0"),
        (grid(2000.0, age_s=None), STATE_UNKNOWN),
        (grid(0.0), "0.0"),
    ):
        push(0.1, observation=observation)
        assert state(hass, entry, "sensor", "Depot", "grid_power").state == shown


async def test_state_and_permit_are_written_at_once(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    push: Push,
    written: Callable[[str], list[str]],
) -> None:
    """Every change of what was decided is in the state machine within the same turn, however close together."""
    charges(entry, "Garage left")
    states = written(entity_id(hass, entry, "sensor", "Depot", "state"))
    permits = written(entity_id(hass, entry, "sensor", "Garage left", "1_permit"))
    data = push(10.0, decision={"state": SiteState.REGULATING})
    left = data.decision.connectors["CP-LEFT:1"]
    for permit_a, site_state in (
        (11.0, SiteState.HOLDING),
        (10.5, SiteState.REGULATING),
        (10.5, SiteState.FAILSAFE),
    ):
        connectors = {
            **data.decision.connectors,
            "CP-LEFT:1": replace(left, permit_a=permit_a),
        }
        push(0.1, decision={"state": site_state, "connectors": connectors})
        permit = state(hass, entry, "sensor", "Garage left", "1_permit")
        assert float(permit.state) == permit_a
        assert state(hass, entry, "sensor", "Depot", "state").state == site_state
    await hass.async_block_till_done()
    assert states[-3:] == ["holding", "regulating", "failsafe"]
    assert [float(value) for value in permits[-2:]] == [11.0, 10.5]


async def test_unavailable_is_written_at_once(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """A meter that falls silent takes its values with it in the same turn."""
    live = push(10.0).meters
    (meter_id,) = live
    assert state(hass, entry, "sensor", "Grid meter", "power").state != "unavailable"
    push(0.1, meters={meter_id: replace(live[meter_id], problem="no_answer")})
    assert state(hass, entry, "sensor", "Grid meter", "power").state == "unavailable"
    link = state(hass, entry, "binary_sensor", "Grid meter", "connectivity")
    assert link.state == "off"
    push(0.1, meters=live)
    assert state(hass, entry, "sensor", "Grid meter", "power").state != "unavailable"


async def test_failed_loop_makes_everything_unavailable(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """What nobody computes any more is not shown as if it were true."""
    push(10.0)
    entry.runtime_data.async_set_update_error(RuntimeError("broken"))
    assert state(hass, entry, "sensor", "Depot", "state").state == "unavailable"
    assert state(hass, entry, "switch", "Depot", "pv_surplus").state == "unavailable"
    push(1.0)
    assert state(hass, entry, "sensor", "Depot", "state").state != "unavailable"


async def test_large_site_fits_into_home_assistant(
    hass: HomeAssistant, meter: ModbusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hundreds of charge points what is for configuration and diagnosis, or a detail, is there but not enabled."""
    monkeypatch.setattr(entity, "LARGE_SITE", 3)
    entry = site_entry(meter.port, free_port())
    entry.add_to_hass(hass)
    await set_up(hass, entry)
    registry = er.async_get(hass)
    left = [
        item
        for item in er.async_entries_for_config_entry(registry, entry.entry_id)
        if item.config_subentry_id == subentry_id(entry, "Garage left")
    ]
    enabled = [item for item in left if not item.disabled]
    assert len(left) > len(enabled) > 10
    # The most that Home Assistant enables, less those of site, circuits and meters.
    assert 500 * len(enabled) < 9500
    assert {item.entity_category for item in enabled} == {None}
    shown = {item.translation_key for item in enabled}
    assert {"charging_power", "energy"} <= shown
    assert "charging_current" not in shown
    await hass.config_entries.async_unload(entry.entry_id)

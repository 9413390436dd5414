"""The external limit: a person's, and that of an entity which the grid operator moves."""

from dataclasses import asdict
import json
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.coordinator import ReevCoordinator
from custom_components.reev_ems.issues.shown import async_update_issues
from custom_components.reev_ems.site.controls import Controls
from custom_components.reev_ems.site.external_limit import LOST_AFTER_S, ExternalLimit
from simulator.site import Site

from .conftest import Push
from .site import entity_id, state, until
from .test_people import call

RELAY = "binary_sensor.relay"
BOX = "sensor.control_box"
KILOWATTS = {"unit_of_measurement": "kW", "device_class": "power"}

# § 14a EnWG for four connectors: 4.2 kW + 3 · 0.7 · 4.2 kW.
FOUR_DEVICES_W = 13_020.0


def limit_w(entry: MockConfigEntry) -> float | None:
    """Return the limit that the energy management is told from now on."""
    coordinator: ReevCoordinator = entry.runtime_data
    return coordinator._observe(coordinator.data.decision.at_s).external_limit_w


async def follow(
    hass: HomeAssistant, entry: MockConfigEntry, source: str, invert: bool = False
) -> None:
    """Let the site follow an entity."""
    hass.config_entries.async_update_entry(
        entry,
        options={
            **entry.options,
            "external_limit_source": source,
            "external_limit_invert": invert,
        },
    )
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def test_person_limits(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The switch makes the number hold; what nobody set is what § 14a EnWG leaves."""
    number = entity_id(hass, entry, "number", "Depot", "external_limit")
    switch = entity_id(hass, entry, "switch", "Depot", "external_limit")
    shown = state(hass, entry, "number", "Depot", "external_limit")
    assert float(shown.state) == FOUR_DEVICES_W / 1000
    assert shown.attributes["unit_of_measurement"] == "kW"
    assert limit_w(entry) is None

    def in_force() -> tuple[str, float | None]:
        found = state(hass, entry, "binary_sensor", "Depot", "external_limit")
        return found.state, found.attributes["limit_w"]

    assert in_force() == ("off", None)
    await call(hass, "switch.turn_on", switch)
    assert limit_w(entry) == FOUR_DEVICES_W
    await call(hass, "number.set_value", number, value=4.2)
    assert limit_w(entry) == 4200
    await until(lambda: in_force() == ("on", 4200), "not shown")
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert limit_w(entry) == 4200
    await call(hass, "switch.turn_off", switch)
    assert limit_w(entry) is None


async def test_permits_obey(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry]
) -> None:
    """On the wire: with less than a car needs, it is paused at once, and the reason is told."""
    running, entry = plant
    number = entity_id(hass, entry, "number", "Depot", "external_limit")
    switch = entity_id(hass, entry, "switch", "Depot", "external_limit")
    box = running.charge_points["CP16"]
    await until(lambda: box.online, "not connected")
    box.present(box.outlets[0], "CARD-16")
    connector = box.outlets[0].connector
    await until(lambda: connector.current_a >= 5.9, "it does not charge")
    await call(hass, "number.set_value", number, value=1)
    await call(hass, "switch.turn_on", switch)
    await until(lambda: connector.current_a == 0, "it goes on")
    assert box.outlets[0].transaction
    reason = state(hass, entry, "sensor", "CP16", "1_limited_by")
    assert reason.state == "external_limit"


@pytest.mark.parametrize("invert", [False, True])
async def test_relay(hass: HomeAssistant, entry: MockConfigEntry, invert: bool) -> None:
    """A contact makes the number hold."""
    limited, free = ("off", "on") if invert else ("on", "off")
    hass.states.async_set(RELAY, free)
    await follow(hass, entry, RELAY, invert)
    assert limit_w(entry) is None
    hass.states.async_set(RELAY, limited)
    assert limit_w(entry) == FOUR_DEVICES_W
    await entry.runtime_data.async_set_external_limit_w(5000)
    assert limit_w(entry) == 5000
    hass.states.async_set(RELAY, free)
    assert limit_w(entry) is None


async def test_number(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A power is the limit; that of a person may be lower."""
    hass.states.async_set(BOX, "7.5", KILOWATTS)
    await follow(hass, entry, BOX)
    assert limit_w(entry) == 7500
    hass.states.async_set(BOX, "0", {"unit_of_measurement": "W"})
    assert limit_w(entry) == 0
    hass.states.async_set(BOX, "7.5", KILOWATTS)
    coordinator = entry.runtime_data
    await coordinator.async_set_external_limit(True)
    await coordinator.async_set_external_limit_w(4200)
    assert limit_w(entry) == 4200
    await coordinator.async_set_external_limit_w(9000)
    assert limit_w(entry) == 7500


@pytest.mark.parametrize(
    ("before", "gone"),
    [
        (("on", {}), ("unavailable", {})),
        (("on", {}), None),
        (("4.2", KILOWATTS), ("unknown", KILOWATTS)),
        (("4.2", KILOWATTS), ("nan", KILOWATTS)),
        (("4.2", KILOWATTS), ("inf", KILOWATTS)),
        (("4.2", KILOWATTS), ("-1", KILOWATTS)),
        (("4.2", KILOWATTS), ("100", {"unit_of_measurement": "%"})),
        (("4.2", KILOWATTS), ("100", {})),
    ],
)
async def test_s3_lost_source_raises_nothing(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    before: tuple[str, dict[str, str]],
    gone: tuple[str, dict[str, str]] | None,
) -> None:
    """What a source said last holds, over any time and a restart too."""
    source = RELAY if before[0] == "on" else BOX
    hass.states.async_set(source, *before)
    await follow(hass, entry, source)
    await entry.runtime_data.async_set_external_limit_w(4200)
    assert limit_w(entry) == 4200
    if gone is None:
        hass.states.async_remove(source)
    else:
        hass.states.async_set(source, *gone)
    assert limit_w(entry) == 4200
    # A restart: all that is left is what was stored.
    stored = json.loads(json.dumps(asdict(entry.runtime_data.controls)))
    controls = Controls.from_json(stored)
    assert controls == entry.runtime_data.controls
    again = ExternalLimit(hass, entry.options, 4)
    for at_s in (0.0, 1e6):
        assert again.listen(controls, at_s) == controls.external_signal
        assert again.limit_w(controls) == 4200
    assert again.lost


async def test_s3_source_that_never_said_anything(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """It may mean a limit, so that there is one; the last word of another source says nothing about it."""
    hass.states.async_set(RELAY, "off")
    await follow(hass, entry, RELAY)
    assert limit_w(entry) is None
    await follow(hass, entry, "binary_sensor.other")
    assert limit_w(entry) == FOUR_DEVICES_W
    hass.states.async_set("binary_sensor.other", "off")
    assert limit_w(entry) is None
    await follow(hass, entry, "binary_sensor.other", invert=True)
    assert limit_w(entry) == FOUR_DEVICES_W
    hass.states.async_remove("binary_sensor.other")
    options = dict(entry.options)
    del options["external_limit_source"]
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.async_block_till_done()
    assert limit_w(entry) is None
    assert entry.runtime_data.controls.external_signal is None


async def test_lost_source_is_told(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Not for the minute of a restart; and no longer than it lasts."""

    def shown() -> dict[str, Any]:
        return {
            issue.translation_key or "": issue.translation_placeholders
            for issue in ir.async_get(hass).issues.values()
            if issue.domain == DOMAIN and issue.active
        }

    coordinator: ReevCoordinator = entry.runtime_data
    coordinator.external_limit = source = ExternalLimit(
        hass, {"external_limit_source": RELAY}, 4
    )
    for after_s, lost in (
        (0.0, False),
        (LOST_AFTER_S - 1, False),
        (LOST_AFTER_S, True),
    ):
        source.listen(coordinator.controls, 1000.0 + after_s)
        async_update_issues(coordinator, [])
        assert ("external_limit_lost" in shown()) is lost
    assert shown()["external_limit_lost"] == {"site": "Depot", "source": RELAY}
    hass.states.async_set(RELAY, "off")
    source.listen(coordinator.controls, 2000.0)
    async_update_issues(coordinator, [])
    assert "external_limit_lost" not in shown()

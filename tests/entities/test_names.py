"""Everything that a person reads has a text, and reads well."""

import json
from pathlib import Path
import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import yaml

from custom_components.reev_ems.energy_management.decision import IssueKind
from custom_components.reev_ems.issues.found import (
    CIRCUIT_REMOVED,
    EXTERNAL_LIMIT_LOST,
    LIMIT_ABOVE_RATING,
    LINE_PHASES_DIFFER,
    METER_TROUBLES,
    METER_WITHOUT_CIRCUIT,
    SCHEDULE_WITHOUT_LIMIT,
)
from custom_components.reev_ems.issues.shown import PORT_IN_USE
from custom_components.reev_ems.meters.errors import Trouble
from custom_components.reev_ems.ocpp_server import Problem
from custom_components.reev_ems.readings.correction import METER_CONTRADICTIONS
from custom_components.reev_ems.readings.profiles import ISSUE_FILE_REFUSED
from custom_components.reev_ems.site.records import RECORDS_DAMAGED, RECORDS_NOT_WRITTEN

from .site import entity_id, state

FOLDER = Path("custom_components/reev_ems")

# What Home Assistant itself names, by device class.
NAMED_BY_CLASS = {
    "power": "Power",
    "frequency": "Frequency",
    "connectivity": "Connectivity",
    "firmware": "Firmware",
    "restart": "Restart",
    "signal_strength": "Signal strength",
    "temperature": "Temperature",
}


@pytest.fixture(scope="module")
def texts() -> Any:
    """The English texts."""
    return json.loads((FOLDER / "translations" / "en.json").read_text())


@pytest.fixture(scope="module")
def icons() -> Any:
    """The icons."""
    return json.loads((FOLDER / "icons.json").read_text())


def code() -> str:
    """Return the source of the integration's own folder."""
    return "\n".join(path.read_text() for path in FOLDER.glob("*.py"))


async def test_every_entity_is_named(
    hass: HomeAssistant, entry: MockConfigEntry, texts: Any
) -> None:
    """Each entity has a text, or a device class that names it; each of its states has one too."""
    found = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert len(found) > 80
    for item in found:
        if item.translation_key is None:
            assert item.original_device_class in NAMED_BY_CLASS, item.unique_id
            continue
        text = texts["entity"][item.domain][item.translation_key]
        assert text["name"], item.unique_id
        options = (item.capabilities or {}).get("options", [])
        options += (item.capabilities or {}).get("event_types", [])
        if item.domain == "event":
            translated = text["state_attributes"]["event_type"]["state"]
        else:
            translated = text.get("state", {})
        assert set(options) <= set(translated), item.unique_id
        assert item.original_name
        assert "{" not in item.original_name


async def test_no_text_without_entity(
    hass: HomeAssistant, entry: MockConfigEntry, texts: Any, icons: Any
) -> None:
    """Texts and icons are those of entities that exist."""
    found = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    used = {(item.domain, item.translation_key) for item in found}
    for book in (texts["entity"], icons["entity"]):
        kept = {(domain, key) for domain, keys in book.items() for key in keys}
        assert kept <= used


async def test_names_read_well(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Names are what a person would say."""
    for platform, title, key, name in (
        ("sensor", "Depot", "grid_power", "Depot Grid power"),
        ("sensor", "Depot", "headroom_l2", "Depot Headroom L2"),
        ("switch", "Depot", "pv_surplus", "Depot PV surplus charging"),
        ("sensor", "Garage", "available_current_l1", "Garage Available current L1"),
        ("switch", "Garage", "follows_pv", "Garage PV surplus charging"),
        ("sensor", "Grid meter", "power", "Grid meter Power"),
        ("sensor", "Grid meter", "power_l1", "Grid meter Power L1"),
        ("sensor", "Grid meter", "energy_import", "Grid meter Energy imported"),
        ("sensor", "Garage left", "1_power", "Garage left Charging power"),
        ("sensor", "Garage left", "1_limited_by", "Garage left Limited by"),
        ("binary_sensor", "Garage left", "1_car_plugged", "Garage left Car"),
        ("sensor", "Yard", "2_current_1", "Connector 2 Charging current 1"),
    ):
        assert state(hass, entry, platform, title, key).name == name


async def test_entity_ids_tell_the_charge_point(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Connectors of different charge points do not get numbered entity ids."""
    found = entity_id(hass, entry, "sensor", "Yard", "1_permit")
    assert found == "sensor.yard_connector_1_permit"
    found = entity_id(hass, entry, "sensor", "Garage left", "1_permit")
    assert found == "sensor.garage_left_permit"


async def test_devices(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Every device hangs on the site; connectors of a double post are its children, a single one is itself."""
    registry = dr.async_get(hass)
    devices = {
        item.name: item
        for item in dr.async_entries_for_config_entry(registry, entry.entry_id)
    }
    site = devices["Depot"]
    names = {"Depot", "Garage", "Grid meter", "Garage left", "Yard", "Fast charger"}
    assert set(devices) >= names
    for name in names - {"Depot"}:
        device = devices[name]
        assert isinstance(device, dr.DeviceEntry)
        assert device.via_device_id == site.id
    permits = er.async_get(hass).async_get(
        entity_id(hass, entry, "sensor", "Yard", "2_permit")
    )
    assert permits
    assert permits.device_id
    child = registry.async_get(permits.device_id)
    assert isinstance(child, dr.ChildDeviceEntry)
    assert child.parent_device_id == devices["Yard"].id
    assert child.name == "Connector 2"


def test_every_issue_has_a_text(texts: Any) -> None:
    """Whatever may be raised can be explained."""
    keys = set(IssueKind) | set(Problem)
    keys |= {f"{IssueKind.METER_SILENT}_{trouble}" for trouble in METER_TROUBLES}
    keys |= {EXTERNAL_LIMIT_LOST, LIMIT_ABOVE_RATING}
    keys |= {CIRCUIT_REMOVED, METER_WITHOUT_CIRCUIT, PORT_IN_USE}
    keys |= {ISSUE_FILE_REFUSED, LINE_PHASES_DIFFER, SCHEDULE_WITHOUT_LIMIT}
    keys |= METER_CONTRADICTIONS | {RECORDS_DAMAGED, RECORDS_NOT_WRITTEN}
    assert keys == set(texts["issues"])
    assert set(Trouble) <= METER_TROUBLES
    allowed = {
        "site",
        "circuit",
        "phase",
        "connector",
        "value",
        "charge_point",
        "detail",
        "set",
        "learnt",
        "source",
        "meter",
        "limit",
        "rating",
        "told",
        "in_force",
        "name",
        "evidence",
        "phases",
        "order",
        "ratio",
        "high",
        "low",
        "allowed",
        "difference",
        "port",
    }
    of_files = {"file", "folder", "line", "reason"}
    files = {ISSUE_FILE_REFUSED, RECORDS_DAMAGED}
    for key, issue in texts["issues"].items():
        # Either a text, or a dialog with one.
        assert ("description" in issue) != ("fix_flow" in issue)
        filled = of_files if key in files else allowed
        assert set(re.findall(r"{(\w+)}", json.dumps(issue))) <= filled


def test_every_problem_is_reported_somewhere() -> None:
    """What nobody reports needs no text."""
    source = "\n".join(path.read_text() for path in FOLDER.rglob("*.py"))
    reported = re.findall(r"\.problem\(\s*Problem\.(\w+)", source)
    assert {Problem[name] for name in reported} == set(Problem)


def test_every_charge_point_error_has_a_text(texts: Any) -> None:
    """Every key that a CallError carries has a text."""
    server = "\n".join(
        path.read_text() for path in (FOLDER / "ocpp_server").glob("*.py")
    )
    raised = set(re.findall(r"CallError\(\s*\"(\w+)\"", server))
    assert len(raised) >= 8
    assert {f"charge_point_{key}" for key in raised} <= set(texts["exceptions"])


def test_actions_have_texts_and_icons(texts: Any, icons: Any) -> None:
    """The actions, their fields, texts and icons belong together."""
    described = yaml.safe_load((FOLDER / "services.yaml").read_text())
    assert set(described) == set(texts["services"]) == set(icons["services"])
    for name, action in described.items():
        text = texts["services"][name]
        assert set(action.get("fields", {})) == set(text.get("fields", {}))
        for field in text.get("fields", {}).values():
            assert field["name"]
            assert field["description"]

"""The diagnostics download: what a bug report needs, and nobody's secrets."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.const import CONF_HOST, CONF_PASSWORD
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry

from .charge_points.listener import DATA
from .const import (
    CONF_FORMER_PASSWORD,
    CONF_ID_TAGS,
    CONF_SERIAL,
    CONF_URL,
    SUBENTRY_USER,
)
from .coordinator import ReevConfigEntry
from .energy_management.replay import record
from .energy_management.serialise import to_json
from .ocpp_server import ChargePoint
from .readings.meters import MeterStatus
from .site.build import connector_id
from .site.history import Step

TO_REDACT = {
    CONF_HOST,
    CONF_ID_TAGS,
    CONF_FORMER_PASSWORD,
    CONF_PASSWORD,
    CONF_SERIAL,
    # The address of a firmware may carry a log-in.
    CONF_URL,
    "address",
    "id_tag",
    "serial",
    "unique_id",
    # The user of a running transaction.
    "user",
}

# A step of one connector takes about half a kilobyte; a browser still opens 25 MB.
MAX_CONNECTOR_STEPS = 50_000


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: ReevConfigEntry
) -> dict[str, Any]:
    """Return the diagnostics of a site; `recording` is what scripts/replay reads."""
    coordinator = entry.runtime_data
    server = coordinator.server
    now_s = coordinator.data.decision.at_s
    steps = await coordinator.history.async_steps()
    diagnostics: dict[str, Any] = {
        "entry": _entry(entry),
        "controls": asdict(coordinator.controls),
        "meters": {
            subentry_id: _meter(status, now_s)
            for subentry_id, status in coordinator.data.meters.items()
        },
        "charge_points": {
            subentry_id: _charge_point(charge_point, now_s)
            for subentry_id, charge_point in coordinator.charge_points.items()
        },
        "records": {
            "in_memory": (condition := hass.data[DATA].sessions.condition).trouble,
            "set_aside": condition.set_aside and condition.set_aside.name,
        },
        "server": {
            "pairing": server.pairing,
            "unknown": [asdict(unknown) for unknown in server.unknown.values()],
        },
    }
    return {
        **async_redact_data(diagnostics, TO_REDACT),
        "recording": await hass.async_add_executor_job(recording, steps),
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: ReevConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return the diagnostics of one device: of a charge point, a meter or another part, and of nothing else."""
    coordinator = entry.runtime_data
    subentry_id = device.config_subentry_id
    if subentry_id is None or subentry_id not in entry.subentries:
        return await async_get_config_entry_diagnostics(hass, entry)
    now_s = coordinator.data.decision.at_s
    diagnostics: dict[str, Any] = {
        "settings": next(
            found
            for found in _entry(entry)["subentries"]
            if found["subentry_id"] == subentry_id
        )
    }
    if (status := coordinator.data.meters.get(subentry_id)) is not None:
        diagnostics["meter"] = _meter(status, now_s)
    if (charge_point := coordinator.charge_points.get(subentry_id)) is not None:
        diagnostics["charge_point"] = _charge_point(charge_point, now_s)
        own = {
            connector_id(charge_point.id, number) for number in charge_point.connectors
        }
        decision = coordinator.data.decision
        diagnostics["decision"] = to_json(
            {item: each for item, each in decision.connectors.items() if item in own}
        )
    return async_redact_data(diagnostics, TO_REDACT)


def _entry(entry: ReevConfigEntry) -> dict[str, Any]:
    """Return the config entry; the titles of users are names of persons."""
    found = entry.as_dict()
    for subentry in found["subentries"]:
        if subentry["subentry_type"] == SUBENTRY_USER:
            subentry["title"] = REDACTED
    return found


def recording(steps: Sequence[Step]) -> dict[str, Any]:
    """Return the newest steps that fit, as a recording. Takes seconds for a full hour of a large site."""
    connectors = max((len(step.site.connectors) for step in steps), default=0)
    kept = steps[-(MAX_CONNECTOR_STEPS // max(connectors, 1)) :]
    return record(
        (step.site, step.state_before, step.observation, step.decision) for step in kept
    )


def _meter(status: MeterStatus, now_s: float) -> dict[str, Any]:
    """Return how a meter's reading goes."""
    reading = status.reading
    return {
        "circuit": status.circuit,
        "problem": status.problem,
        "age_s": None if reading is None else now_s - reading.at_s,
        "interval_s": status.interval_s,
        "reading": to_json(reading),
    }


def _charge_point(charge_point: ChargePoint, now_s: float) -> dict[str, Any]:
    """Return what is known of a charge point."""
    info = charge_point.info
    return {
        "id": charge_point.id,
        "connected": charge_point.connected,
        "version": charge_point.version,
        "info": asdict(info) if info else None,
        "floor_accepted": charge_point.floor_accepted,
        "local_list": {
            "version": sent.version
            if (sent := charge_point.local_list.record)
            else None,
            "problem": charge_point.local_list.problem,
        },
        "problems": list(charge_point.problems),
        "schedule_mismatches": {
            str(number): asdict(mismatch)
            for number, mismatch in charge_point.schedule_mismatches.items()
        },
        "connectors": {
            str(number): asdict(view)
            for number, view in charge_point.connectors.items()
        },
    }

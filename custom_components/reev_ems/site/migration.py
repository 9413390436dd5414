"""What an older version stored, brought up to date without a change in what it means."""

from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ..const import (
    CONF_AUTOMATIC_MODE,
    CONF_CHARGE_POINT_ID,
    CONF_CONNECTORS,
    CONF_NUMBER,
    SUBENTRY_CHARGE_POINT,
)
from ..energy_management.model import ChargingMode
from .build import connector_id
from .controls import async_store_controls, async_stored_controls

_SOLAR_MODES = {ChargingMode.SOLAR, ChargingMode.SOLAR_MIN}


async def async_migrate_modes(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Make of each solar mode the mode `automatic`, and say for each connector what that means.

    Up to minor version 1 a solar mode followed the sun only while a PV switch was on, as `automatic` does now, and a
    connector that nobody had touched charged fast.
    """
    controls = await async_stored_controls(hass, entry.entry_id)
    for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT):
        connectors = []
        for item in subentry.data[CONF_CONNECTORS]:
            item_id = connector_id(
                subentry.data[CONF_CHARGE_POINT_ID], item[CONF_NUMBER]
            )
            known = controls.connectors.get(item_id)
            mode = known.mode if known else ChargingMode.FAST
            if mode in _SOLAR_MODES:
                item = {**item, CONF_AUTOMATIC_MODE: mode.value}
                mode = ChargingMode.AUTOMATIC
            controls = controls.with_connector(item_id, mode=mode)
            connectors.append(item)
        hass.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, CONF_CONNECTORS: connectors}
        )
    await async_store_controls(hass, entry.entry_id, controls)
    hass.config_entries.async_update_entry(entry, minor_version=2)

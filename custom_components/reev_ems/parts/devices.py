"""The devices of a site in the device registry."""

import asyncio

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from ..const import DOMAIN
from ..coordinator import ReevCoordinator
from ..ocpp_server import Booted, ChargePointEvent
from .base import site_part
from .charge_point import ChargePointPart, charge_point_parts, connector_parts


async def async_register_devices(
    hass: HomeAssistant, coordinator: ReevCoordinator
) -> None:
    """Register what other devices hang on, and keep in step what charge points say about themselves.

    Platforms are set up in any order, and a device must exist before another can name it. Of hundreds of charge points
    that takes a while, in which others have their turn.
    """
    entry = coordinator.config_entry
    registry = dr.async_get(hass)
    registry.async_get_or_create(
        config_entry_id=entry.entry_id, **site_part(coordinator).device_info
    )
    for part in charge_point_parts(coordinator):
        if coordinator.outdated:
            return
        registry.async_get_or_create(
            config_entry_id=entry.entry_id,
            config_subentry_id=part.subentry_id,
            **part.device_info,
        )
        _ChargePointDevice(registry, part).follow()
        await asyncio.sleep(0)


@callback
def async_remove_stale_devices(
    hass: HomeAssistant, coordinator: ReevCoordinator
) -> None:
    """Remove the devices of connectors that were taken away; those of subentries go with the subentry.

    Only once the platforms are set up: a connector that remains alone has moved to the charge point's device by then.
    """
    entry = coordinator.config_entry
    registry = dr.async_get(hass)
    wanted = {part.key for part in connector_parts(coordinator) if part.has_own_device}
    for device in dr.async_child_entries_for_config_entry(registry, entry.entry_id):
        if not wanted & {key for domain, key in device.identifiers if domain == DOMAIN}:
            registry.async_remove_device(device.id)


class _ChargePointDevice:
    """Writes a charge point's vendor, model, serial number and firmware to its device."""

    def __init__(self, registry: dr.DeviceRegistry, part: ChargePointPart) -> None:
        """Remember whose device it is."""
        self._registry = registry
        self._part = part

    def follow(self) -> None:
        """Write what is known, and again at each BootNotification until the entry unloads."""
        self._write()
        self._part.coordinator.config_entry.async_on_unload(
            self._part.charge_point.subscribe(self._on_event)
        )

    @callback
    def _on_event(self, event: ChargePointEvent) -> None:
        """Take note of a BootNotification: firmware changes by one."""
        if isinstance(event, Booted):
            self._write()

    @callback
    def _write(self) -> None:
        """Write what the charge point said; before its first word what is stored stays."""
        boot = self._part.charge_point.info
        device = self._registry.async_get_device_by_identifier(
            (DOMAIN, self._part.key), self._part.coordinator.config_entry.entry_id
        )
        if boot is None or device is None:
            return
        self._registry.async_update_device(
            device.id,
            manufacturer=boot.vendor,
            model=boot.model,
            serial_number=boot.serial,
            sw_version=boot.firmware,
        )

"""The reev EMS integration: energy management for EV charging sites."""

import asyncio
from typing import Any

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

from .charge_points.certificates import async_follow_certificates
from .charge_points.downloads import async_setup_downloads
from .charge_points.learnt import async_setup_learnt
from .charge_points.listener import (
    async_acquire_server,
    async_release_server,
    async_setup_shared,
    async_stop_unused_server,
)
from .charge_points.pairing import async_withdraw_offers
from .charge_points.passwords import async_follow_passwords
from .charge_points.security import async_ssl_context, security_of_port
from .charge_points.uploads import async_setup_uploads
from .const import CONF_OCPP_PORT, DOMAIN, MINOR_VERSION, VERSION
from .coordinator import ReevConfigEntry, ReevCoordinator
from .issues.shown import (
    async_follow_issues,
    async_port_is_free,
    async_remove_issues,
    async_tell_port_in_use,
)
from .parts.devices import async_register_devices, async_remove_stale_devices
from .readings.profiles import async_load_meter_profiles
from .services import async_setup_services
from .sessions import NewerRecordsError
from .site.controls import async_remove_stored, async_stored_controls
from .site.migration import async_migrate_modes
from .site.people import async_forget_presented
from .site.records import SESSIONS_FILE
from .site.used_phases import UsedPhases

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.UPDATE,
]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up what all sites share."""
    await async_setup_shared(hass)
    await async_setup_learnt(hass)
    async_setup_downloads(hass)
    async_setup_uploads(hass)
    async_setup_services(hass)
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: ReevConfigEntry) -> bool:
    """Bring up to date what an older version stored; False for what a newer one did, which cannot be read."""
    if entry.version > 1:
        return False
    if entry.minor_version < 2:
        await async_migrate_modes(hass, entry)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: ReevConfigEntry) -> bool:
    """Set up a site.

    A silent meter is no reason to wait: the charge points must find their server and their floor.
    """
    if (entry.version, entry.minor_version) > (VERSION, MINOR_VERSION):
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="settings_newer",
            translation_placeholders={
                "stored": f"{entry.version}.{entry.minor_version}",
                "known": f"{VERSION}.{MINOR_VERSION}",
            },
        )
    port = entry.data[CONF_OCPP_PORT]
    try:
        ssl_context = await async_ssl_context(hass, security_of_port(hass, port))
    except (OSError, ValueError) as err:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="certificate_unusable",
            translation_placeholders={"detail": str(err)},
        ) from err
    try:
        server = await async_acquire_server(hass, entry.entry_id, port, ssl_context)
    except NewerRecordsError as err:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="records_newer",
            translation_placeholders={"file": SESSIONS_FILE},
        ) from err
    except OSError as err:
        async_tell_port_in_use(hass, entry, port)
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="ocpp_port_in_use",
            translation_placeholders={"port": str(port)},
        ) from err
    async_port_is_free(hass, entry)
    entry.async_on_unload(lambda: async_release_server(hass, entry.entry_id, port))

    profiles = await async_load_meter_profiles(hass)
    controls = await async_stored_controls(hass, entry.entry_id)
    used_phases = UsedPhases(hass, entry.entry_id)
    await used_phases.async_load()
    coordinator = ReevCoordinator(hass, entry, server, controls, used_phases)
    entry.runtime_data = coordinator
    entry.async_on_unload(entry.add_update_listener(_async_take_up))
    async_follow_issues(coordinator)
    await coordinator.async_start(profiles)
    await async_register_devices(hass, coordinator)
    async_follow_passwords(coordinator)
    async_follow_certificates(hass, entry, server, coordinator.charge_points)
    async_withdraw_offers(hass, entry)
    for platform in PLATFORMS:
        # One by one: Home Assistant gives each a minute, and all together may take longer on a slow machine.
        await hass.config_entries.async_forward_entry_setups(entry, [platform])
    if not coordinator.outdated:
        async_remove_stale_devices(hass, coordinator)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: ReevConfigEntry) -> bool:
    """Unload a site; its charge points fall back to their floor by themselves."""
    unloaded = True
    for platform in PLATFORMS:
        # One by one, with a breath in between: those of hundreds of charge points take seconds.
        unloaded &= await hass.config_entries.async_unload_platforms(entry, [platform])
        await asyncio.sleep(0)
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: Any) -> None:
    """Forget what was kept for a site."""
    async_remove_issues(hass, entry.entry_id)
    async_forget_presented(hass, entry.entry_id)
    await async_remove_stored(hass, entry.entry_id)
    await UsedPhases(hass, entry.entry_id).async_remove()
    await async_stop_unused_server(hass, entry.entry_id, entry.data[CONF_OCPP_PORT])


async def _async_take_up(hass: HomeAssistant, entry: ReevConfigEntry) -> None:
    """Take up changed settings, also during the set-up; the charge points keep their sockets.

    It takes up all changes made before the reload.
    """
    coordinator = entry.runtime_data
    if not coordinator.outdated and not coordinator.async_take_up():
        hass.config_entries.async_schedule_reload(entry.entry_id)

"""Firmware of charge points as update entities of the reev EMS integration.

No charge point says which firmware is the newest: a person gives the address and the version of one, in the charge
point's settings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, override

from homeassistant.components.update import UpdateEntity, UpdateEntityDescription
from homeassistant.components.update.const import UpdateDeviceClass, UpdateEntityFeature
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .charge_points.errors import charge_point_errors
from .const import CONF_FIRMWARE, CONF_URL, CONF_VERSION
from .coordinator import ReevConfigEntry
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .ocpp_server import Booted, ChargePointEvent, FirmwareStatusChanged
from .parts.charge_point import ChargePointPart, charge_point_parts

# A charge point that does not answer must not keep the others waiting; each has a queue of its own.
PARALLEL_UPDATES = 0

# What OCPP calls the steps of an update that is under way; every other word ends it.
_UNDER_WAY = {
    "DownloadScheduled",
    "Downloading",
    "DownloadPaused",
    "Downloaded",
    "SignatureVerified",
    "InstallScheduled",
    "Installing",
    "InstallRebooting",
    "InstallVerificationPassed",
}


@dataclass(frozen=True, kw_only=True)
class ReevUpdateDescription(
    UpdateEntityDescription, ReevEntityDescription[ChargePointPart]
):
    """Describes an update entity."""

    value_fn: Callable[[ChargePointPart], object]


def _firmware(part: ChargePointPart) -> str | None:
    """Return the firmware that runs, as the charge point says."""
    return part.charge_point.info.firmware if part.charge_point.info else None


FIRMWARE = ReevUpdateDescription(
    key="firmware",
    device_class=UpdateDeviceClass.FIRMWARE,
    entity_category=EntityCategory.CONFIG,
    value_fn=_firmware,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the update entities of a site."""
    await async_add_by_subentry(
        async_add_entities,
        (
            ReevUpdate(charge_point, FIRMWARE)
            for charge_point in charge_point_parts(entry.runtime_data)
        ),
    )


class ReevUpdate(ReevEntity[ChargePointPart], UpdateEntity):
    """The firmware of a charge point."""

    entity_description: ReevUpdateDescription

    def __init__(
        self, part: ChargePointPart, description: ReevUpdateDescription
    ) -> None:
        """Initialize with the firmware that the settings offer, if any."""
        super().__init__(part, description)
        offered = part.subentry.data.get(CONF_FIRMWARE)
        self._offered: str | None = offered[CONF_VERSION] if offered else None
        self._attr_supported_features = UpdateEntityFeature.PROGRESS
        if offered:
            self._attr_supported_features |= UpdateEntityFeature.INSTALL
        self._is_under_way = part.charge_point.firmware_status in _UNDER_WAY

    @property
    @override
    def installed_version(self) -> str | None:
        """Return the firmware that runs."""
        return _firmware(self.part)

    @property
    @override
    def latest_version(self) -> str | None:
        """Return the firmware that is offered; without one the running one is as new as any."""
        return self._offered or self.installed_version

    @property
    @override
    def in_progress(self) -> bool:
        """Return whether an update is under way; Home Assistant itself takes it for over once it was accepted."""
        return self._is_under_way

    @override
    def version_is_newer(self, latest_version: str, installed_version: str) -> bool:
        """Return whether the offered firmware is another one: makers number theirs as they like."""
        return latest_version != installed_version

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """Return what the charge point said last about an update."""
        return {"status": self.part.charge_point.firmware_status}

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the charge point."""
        await super().async_added_to_hass()
        self.async_on_remove(self.part.charge_point.subscribe(self._on_event))

    @callback
    def _on_event(self, event: ChargePointEvent) -> None:
        """Show how an update goes on; one that restarts has ended or begun the last part of it."""
        if isinstance(event, FirmwareStatusChanged):
            self._is_under_way = event.status in _UNDER_WAY
        elif isinstance(event, Booted):
            self._is_under_way = False
        else:
            return
        self.async_write_ha_state()

    @override
    async def async_install(
        self, version: str | None, backup: bool, **kwargs: Any
    ) -> None:
        """Let the charge point fetch the offered firmware and install it; Home Assistant asks only if there is one."""
        url = self.part.subentry.data[CONF_FIRMWARE][CONF_URL]
        with charge_point_errors(self.part):
            await self.part.charge_point.update_firmware(url, datetime.now(UTC))
        self._is_under_way = True
        self.async_write_ha_state()

"""Firmware of charge points: what runs, what is offered, and how an update goes on."""

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.config_flow.inputs import open_subentry

from .charger import Charger
from .site import entity_id, state, subentry_id
from .test_services import LEFT, charger

__all__ = ["charger"]

URL = "http://192.0.2.9/firmware.bin"


async def offer(
    hass: HomeAssistant, entry: MockConfigEntry, url: str, version: str
) -> None:
    """Offer a firmware in the charge point's settings."""
    form = await open_subentry(hass, entry, "charge_point", subentry_id(entry, LEFT))
    await form.choose("firmware")
    await form.submit({"url": url, "version": version})
    form.aborted("reconfigure_successful")
    await hass.async_block_till_done()


async def install(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Press the button of the update."""
    target = entity_id(hass, entry, "update", LEFT, "firmware")
    await hass.services.async_call(
        "update", "install", {"entity_id": target}, blocking=True
    )


async def test_nothing_offered(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """What runs is as new as any, and there is nothing to install."""
    found = state(hass, entry, "update", LEFT, "firmware")
    assert found.state == "off"
    assert found.attributes["installed_version"] == "1.2.3"
    with pytest.raises(HomeAssistantError):
        await install(hass, entry)


async def test_update(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """From the offer in the settings to the restart with the new firmware; the socket outlives the settings."""
    charge_point = entry.runtime_data.charge_points[subentry_id(entry, LEFT)]
    since = charge_point.connected_at
    await offer(hass, entry, URL, "1.3.0")
    assert charge_point.connected_at == since
    found = state(hass, entry, "update", LEFT, "firmware")
    assert (found.state, found.attributes["latest_version"]) == ("on", "1.3.0")
    await install(hass, entry)
    assert dict(charger.asked)["UpdateFirmware"]["location"] == URL
    found = state(hass, entry, "update", LEFT, "firmware")
    assert found.attributes["in_progress"]
    for status in ("Downloading", "Downloaded", "Installing"):
        await charger.call("FirmwareStatusNotification", {"status": status})
        found = state(hass, entry, "update", LEFT, "firmware")
        assert found.attributes["in_progress"]
        assert found.attributes["status"] == status
    await charger.call(
        "BootNotification",
        {
            "chargePointVendor": "Alpha",
            "chargePointModel": "Box 11",
            "firmwareVersion": "1.3.0",
        },
    )
    found = state(hass, entry, "update", LEFT, "firmware")
    assert (found.state, found.attributes["installed_version"]) == ("off", "1.3.0")
    assert not found.attributes["in_progress"]


async def test_update_that_fails(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger
) -> None:
    """It ends, says why, and can be tried again."""
    await offer(hass, entry, URL, "1.3.0")
    await install(hass, entry)
    await charger.call("FirmwareStatusNotification", {"status": "DownloadFailed"})
    found = state(hass, entry, "update", LEFT, "firmware")
    assert found.state == "on"
    assert not found.attributes["in_progress"]
    assert found.attributes["status"] == "DownloadFailed"
    await install(hass, entry)


@pytest.mark.parametrize(
    ("url", "version", "errors"),
    [
        ("192.0.2.9/firmware.bin", "1", {"url": "firmware_url_invalid"}),
        ("file:///etc/passwd", "1", {"url": "firmware_url_invalid"}),
        (URL, " ", {"version": "firmware_version_missing"}),
    ],
)
async def test_bad_offer(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    url: str,
    version: str,
    errors: dict[str, str],
) -> None:
    """It is refused at the field; a cleared one is no offer."""
    left = subentry_id(entry, LEFT)
    form = await open_subentry(hass, entry, "charge_point", left)
    await form.choose("firmware")
    await form.submit({"url": url, "version": version}, "firmware", **errors)
    await form.submit({})
    form.aborted("reconfigure_successful")
    assert "firmware" not in entry.subentries[left].data

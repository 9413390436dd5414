"""The devices of a site: none is left of what was taken away."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN

from .site import entity_id, set_up, subentry_id


def keys(hass: HomeAssistant, entry: MockConfigEntry) -> set[str]:
    """Return what tells the devices of a site apart."""
    registry = dr.async_get(hass)
    devices = [
        *dr.async_entries_for_config_entry(registry, entry.entry_id),
        *dr.async_child_entries_for_config_entry(registry, entry.entry_id),
    ]
    return {key for device in devices for _, key in device.identifiers}


async def test_connector_that_is_taken_away(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Its device and entities go; the one that stays keeps its entities, now on the charge point's device."""
    yard = subentry_id(entry, "Yard")
    before = keys(hass, entry)
    assert {f"{yard}_1", f"{yard}_2"} <= before
    registry = er.async_get(hass)
    permit = entity_id(hass, entry, "sensor", "Yard", "1_permit")
    registry.async_update_entity(permit, name="Permit of the yard")

    subentry = entry.subentries[yard]
    connectors = subentry.data["connectors"][:1]
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "connectors": connectors}
    )
    await hass.async_block_till_done()
    await set_up(hass, entry)

    assert keys(hass, entry) == before - {f"{yard}_1", f"{yard}_2"}
    assert registry.async_get_entity_id("sensor", DOMAIN, f"{yard}_2_permit") is None
    kept = registry.async_get(permit)
    assert kept
    assert kept.name == "Permit of the yard"
    assert hass.states.get(permit)


async def test_subentry_that_is_removed(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A charge point, a meter and a user take their devices with them."""
    removed = {subentry_id(entry, title) for title in ("Yard", "Router", "Ada")}
    before = keys(hass, entry)
    assert removed <= before
    for subentry in removed:
        hass.config_entries.async_remove_subentry(entry, subentry)
        await hass.async_block_till_done()
    assert keys(hass, entry) == {
        key for key in before if key.partition("_")[0] not in removed
    }

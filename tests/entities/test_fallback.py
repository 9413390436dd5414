"""A charge point that does not fall back by itself: what a person says about it counts at once (S7)."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from tests.config_flow.inputs import open_subentry

from .site import subentry_id
from .test_services import LEFT


async def say(hass: HomeAssistant, entry: MockConfigEntry, answer: str) -> None:
    """Say in the settings whether the wall box falls back."""
    form = await open_subentry(hass, entry, "charge_point", subentry_id(entry, LEFT))
    await form.choose("abilities")
    behavior = {"autonomous_fallback": answer}
    await form.submit({"limits": {}, "metering": {}, "behavior": behavior})
    form.aborted("reconfigure_successful")
    await hass.async_block_till_done()


def falls_back(entry: MockConfigEntry) -> bool:
    """Return whether the energy management counts on it."""
    connectors = entry.runtime_data._plan.site.connectors
    found: bool = next(
        item for item in connectors if item.id == "CP-LEFT:1"
    ).autonomous_fallback
    return found


async def test_s7_a_person_knows_better(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """It is booked at its maximum while it is offline, and named in a repair issue, until somebody takes it back."""
    assert falls_back(entry)
    await say(hass, entry, "no")
    assert not falls_back(entry)
    issues = {
        issue.translation_key: issue.translation_placeholders
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN
    }
    named = issues["no_autonomous_fallback"]
    assert named is not None
    assert named["connector"] == LEFT
    await say(hass, entry, "yes")
    assert falls_back(entry)

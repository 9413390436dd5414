"""A new charge point is told a password over OCPP, and has to use it once it has shown that it does (S12)."""

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from websockets.exceptions import InvalidStatus

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.flows.charge_point_setup import LOGIN_KEYS
from custom_components.reev_ems.repairs import async_create_fix_flow
from tests.config_flow.inputs import (
    charge_point_input,
    connector_input,
    open_subentry,
    subentry_id,
)

from .charger import Charger
from .test_issues import shown

ID = "CP1"


async def added(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """Add a charge point with all that is suggested; nothing has to be typed in."""
    form = await open_subentry(hass, entry, "charge_point")
    assert form.suggested["security"] == {"login": "tell"}
    await form.submit(charge_point_input(charge_point_id=ID), "connector")
    await form.submit(connector_input())
    form.created()
    await hass.async_block_till_done()
    return subentry_id(entry, "Left")


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_s12_a_password_is_told_and_then_demanded(
    hass: HomeAssistant, entry: MockConfigEntry, version: str
) -> None:
    """Until it has logged in with it, the charge point is let in as before; nobody is from then on."""
    left, port = await added(hass, entry), entry.data["ocpp_port"]
    password = entry.subentries[left].data["password"]
    told = {"1.6": "ChangeConfiguration", "2.0.1": "SetVariables"}[version]
    accepted = {
        "SetVariables": lambda asked: {
            "setVariableResult": [
                {"attributeStatus": "Accepted", **each}
                for each in asked["setVariableData"]
            ]
        }
    }

    def passwords(charger: Charger) -> int:
        return sum(
            password in str(each) for name, each in charger.asked if name == told
        )

    async with Charger(port, ID, version=version, answers=accepted) as charger:
        await charger.until(lambda: passwords(charger))
    async with Charger(port, ID, version=version, password=password) as charger:
        await charger.until(
            lambda: "password_on_trial" not in entry.subentries[left].data
        )
        await hass.async_block_till_done()
        point = entry.runtime_data.charge_points[left]
        await charger.until(lambda: point.floor_accepted)
        assert not passwords(charger)
    with pytest.raises(InvalidStatus):
        async with Charger(port, ID, version=version):
            pass
    assert "password_unused" not in shown(hass)


async def test_a_reload_is_no_connection_without_the_password(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A charge point keeps the connection over which it was told its password; it has not been asked for it yet."""
    left, port = await added(hass, entry), entry.data["ocpp_port"]
    answers = {"ChangeConfiguration": lambda _: {"status": "Accepted"}}
    async with Charger(port, ID, answers=answers) as charger:
        point = entry.runtime_data.charge_points[left]
        await charger.until(lambda: point.password_told)
        assert await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        assert entry.runtime_data.charge_points[left].connected
        assert "password_unused" not in shown(hass)


@pytest.mark.parametrize("refused", [True, False])
async def test_s12_a_password_that_is_not_used(
    hass: HomeAssistant, entry: MockConfigEntry, refused: bool
) -> None:
    """A person is told, nobody is locked out, and one click does without; it is written once, not at every connection."""
    left, port = await added(hass, entry), entry.data["ocpp_port"]
    answers = {
        "ChangeConfiguration": lambda _: {
            "status": "Rejected" if refused else "Accepted"
        }
    }
    point = entry.runtime_data.charge_points[left]
    asked = []
    for turn in range(3):
        async with Charger(port, ID, answers=answers) as charger:
            await charger.until(lambda: point.floor_accepted)
            if refused or turn:
                await charger.until(lambda: "password_unused" in shown(hass))
            else:
                await charger.until(lambda: point.password_told)
            asked += [name for name, _ in charger.asked if "Change" in name]
    assert asked.count("ChangeConfiguration") == 1
    issue = shown(hass)["password_unused"]
    flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
    flow.hass, flow.issue_id = hass, issue.issue_id
    assert (await flow.async_step_init())["type"] is FlowResultType.FORM
    assert (await flow.async_step_confirm({}))["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert not set(entry.subentries[left].data) & set(LOGIN_KEYS)
    async with Charger(port, ID) as charger:
        await charger.until(lambda: "password_unused" not in shown(hass))
    assert entry.domain == DOMAIN

"""Whatever is changed in the settings, charge points keep their sockets (issue 5, item 9)."""

from collections.abc import AsyncGenerator, Awaitable, Callable

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.config_flow.inputs import (
    circuit_input,
    connector_input,
    open_options,
    open_reconfigure,
    open_subentry,
    user_group_input,
    user_input,
)

from .charger import Charger
from .site import entity_id, subentry_id
from .test_services import LEFT

type Change = Callable[[HomeAssistant, MockConfigEntry], Awaitable[None]]


@pytest.fixture
async def charger(entry: MockConfigEntry) -> AsyncGenerator[Charger]:
    """The wall box of the garage, charging."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as found:
        charge_point = entry.runtime_data.charge_points[subentry_id(entry, LEFT)]
        await found.until(lambda: charge_point.floor_accepted)
        await found.status("Charging")
        await found.start()
        yield found


async def reload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Reload by hand."""
    assert await hass.config_entries.async_reload(entry.entry_id)


async def options(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Another timing."""
    form = await open_options(hass, entry)
    changed = form.suggested
    changed["sharing_of_power"]["margin_a"] = 3
    await form.submit(changed)
    form.created()


async def limits(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Another fuse."""
    form = await open_reconfigure(hass, entry)
    await form.submit({**form.suggested, "limit_a": 80})
    form.aborted("reconfigure_successful")


async def security(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Passwords for all, after each was given one."""
    for title in (LEFT, "Yard", "Fast charger"):
        form = await open_subentry(
            hass, entry, "charge_point", subentry_id(entry, title)
        )
        await form.choose("login")
        await form.submit({"security": {"login": "generate"}}, "credentials")
        await form.submit({})
    form = await open_reconfigure(hass, entry, "ocpp_security")
    await form.submit({"security_profile": "basic", "certificate_source": "generated"})
    form.aborted("reconfigure_successful")


async def circuit(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A circuit more."""
    form = await open_subentry(hass, entry, "circuit")
    await form.submit(circuit_input())
    form.created()


async def name_and_wiring(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Another name and other phases of the charge point itself."""
    form = await open_subentry(hass, entry, "charge_point", subentry_id(entry, LEFT))
    await form.choose("place")
    await form.submit({**form.suggested, "name": "Garage west"}, "connector")
    await form.submit(connector_input())
    form.aborted("reconfigure_successful")


async def abilities(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """It takes watts only, as somebody knows."""
    form = await open_subentry(hass, entry, "charge_point", subentry_id(entry, LEFT))
    await form.choose("abilities")
    await form.submit({**form.suggested, "limits": {"unit": "watt"}})
    form.aborted("reconfigure_successful")


async def neighbour(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Another charge point is removed."""
    hass.config_entries.async_remove_subentry(entry, subentry_id(entry, "Yard"))


async def users(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A group of users, and a user."""
    form = await open_subentry(hass, entry, "user_group")
    await form.submit(user_group_input(name="Guests"))
    form.created()
    form = await open_subentry(hass, entry, "user")
    await form.submit(user_input(name="Cleo"))
    form.created()


async def controls(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A mode and a priority."""
    await hass.services.async_call(
        "select",
        "select_option",
        {
            "entity_id": entity_id(hass, entry, "select", LEFT, "1_charging_mode"),
            "option": "solar",
        },
        blocking=True,
    )
    await hass.services.async_call(
        "number",
        "set_value",
        {
            "entity_id": entity_id(hass, entry, "number", LEFT, "1_priority"),
            "value": 9,
        },
        blocking=True,
    )


@pytest.mark.parametrize(
    "change",
    [
        reload,
        options,
        limits,
        security,
        circuit,
        name_and_wiring,
        abilities,
        neighbour,
        users,
        controls,
    ],
)
async def test_socket_and_session_outlive(
    hass: HomeAssistant, entry: MockConfigEntry, charger: Charger, change: Change
) -> None:
    """The socket of before goes on, with its session, and what is asked of it arrives."""
    left = subentry_id(entry, LEFT)
    before = entry.runtime_data.charge_points[left]
    since, session = before.connected_at, before.connectors[1].transaction
    assert since is not None
    assert session is not None
    await change(hass, entry)
    await hass.async_block_till_done()
    after = entry.runtime_data.charge_points[left]
    assert after.connected_at == since
    assert after.connectors[1].transaction == session
    await after.trigger("Heartbeat")
    assert charger.asked[-1] == ("TriggerMessage", {"requestedMessage": "Heartbeat"})
    await charger.status("SuspendedEV")
    assert after.connectors[1].status == "SuspendedEV"

"""What only administrators, or users about themselves, may see and do (S12)."""

from typing import Any

from homeassistant.auth.const import GROUP_ID_USER
from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.site.access import masked
from tests.config_flow.inputs import open_subentry

from .charger import Charger
from .site import entity_id, state, subentry_id
from .test_services import LEFT, connector


@pytest.fixture
async def resident(
    hass: HomeAssistant, entry: MockConfigEntry, hass_admin_user: User
) -> User:
    """A user of Home Assistant who is no administrator, set as the person that Ada is."""
    user = await hass.auth.async_create_user("Ada", group_ids=[GROUP_ID_USER])
    hass.states.async_set("person.ada", "home", {"user_id": user.id})
    form = await open_subentry(hass, entry, "user", subentry_id(entry, "Ada"))
    await form.submit({**form.suggested, "person": "person.ada"})
    form.aborted("reconfigure_successful")
    return user


@pytest.fixture
async def stranger(hass: HomeAssistant, hass_admin_user: User) -> User:
    """A user of Home Assistant who is none of the site."""
    return await hass.auth.async_create_user("Eve", group_ids=[GROUP_ID_USER])


async def call(
    hass: HomeAssistant, user: User | None, action: str, **data: Any
) -> dict[str, Any] | None:
    """Run an action as somebody; None: as an automation."""
    domain, _, name = action.partition(".")
    return await hass.services.async_call(
        domain,
        name,
        data,
        blocking=True,
        return_response=name == "get_sessions",
        context=Context(user_id=user.id if user else None),
    )


async def test_s12_sessions_are_for_administrators_and_oneself(
    hass: HomeAssistant, entry: MockConfigEntry, resident: User, stranger: User
) -> None:
    """A resident gets the own ones, a stranger none."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        for tag in ("CARD-ADA", "CARD-OTHER"):
            await charger.stop(await charger.start(tag=tag, meter_wh=1000), 2000)
    action = f"{DOMAIN}.get_sessions"
    for user, tags in ((None, 2), (resident, 1)):
        answer = await call(hass, user, action)
        assert answer is not None
        assert len(answer["sessions"]) == tags
        assert answer["sessions"][0]["id_tag"] == "CARD-ADA"
    # Pages are made of the own ones: those of others neither fill them nor are counted.
    answer = await call(hass, resident, action, limit=1)
    assert answer is not None
    assert answer["sessions"][0]["id_tag"] == "CARD-ADA"
    assert answer["more"] is False
    with pytest.raises(Unauthorized):
        await call(hass, stranger, action)


async def test_s12_tags_of_others_are_not_to_be_used(
    hass: HomeAssistant, entry: MockConfigEntry, resident: User, stranger: User
) -> None:
    """Everybody who may control the connector starts it as Home Assistant; with a tag, only with the own one."""
    target = connector(hass, entry)
    action = f"{DOMAIN}.remote_start"
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        for user, data in (
            (stranger, {}),
            (resident, {"id_tag": "card-ada"}),
            (None, {"id_tag": "CARD-OTHER"}),
        ):
            await call(hass, user, action, entity_id=target, **data)
        for user, tag in (
            (stranger, "CARD-ADA"),
            (resident, "CARD-OTHER"),
        ):
            with pytest.raises(Unauthorized):
                await call(hass, user, action, entity_id=target, id_tag=tag)
            with pytest.raises(Unauthorized):
                await call(
                    hass, user, f"{DOMAIN}.reserve", entity_id=target, id_tag=tag
                )
        asked = [each["idTag"] for name, each in charger.asked if "Start" in name]
        assert asked == ["HOMEASSISTANT", "card-ada", "CARD-OTHER"]
        assert "ReserveNow" not in dict(charger.asked)


async def test_s12_pairing_is_for_administrators(
    hass: HomeAssistant, entry: MockConfigEntry, stranger: User, hass_admin_user: User
) -> None:
    """Nobody else opens the door; automations may."""
    pairing = entity_id(hass, entry, "switch", "Depot", "pairing")
    with pytest.raises(Unauthorized):
        await call(hass, stranger, "switch.turn_on", entity_id=pairing)
    assert not entry.runtime_data.server.pairing
    for user in (hass_admin_user, None):
        await call(hass, user, "switch.turn_on", entity_id=pairing)
        assert entry.runtime_data.server.pairing
        await call(hass, user, "switch.turn_off", entity_id=pairing)


async def test_s12_events_do_not_tell_tags(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Everybody sees the user and the end of the tag of a session, and of a tag that was refused."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.start(tag="CARD-ADA", meter_wh=1000)
        session = state(hass, entry, "event", LEFT, "1_session").attributes
        assert (session["id_tag"], session["user"]) == ("…DA", "Ada")
        assert session["user_id"] == subentry_id(entry, "Ada")
    everything = str([each.as_dict() for each in hass.states.async_all()])
    assert "CARD-ADA" not in everything


def test_what_is_seen_of_a_tag() -> None:
    """Two characters, and of a short one none; that of Home Assistant is no secret."""
    assert [masked(tag) for tag in ("04A2B3", "ABCD", "", None, "homeassistant")] == [
        "…B3",
        "…",
        "…",
        None,
        "homeassistant",
    ]

"""The forms of users and groups of users."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.energy_management.model import UserGroup
from custom_components.reev_ems.site.build import build_site
from custom_components.reev_ems.site.controls import Controls
from custom_components.reev_ems.site.people import authorizer, people_of

from .inputs import (
    Form,
    charge_point_input,
    connector_input,
    open_subentry,
    subentry_id,
    user_group_input,
    user_input,
)


async def add(
    hass: HomeAssistant, entry: MockConfigEntry, kind: str, wanted: dict[str, Any]
) -> str:
    """Add a subentry and return its id."""
    form = await open_subentry(hass, entry, kind)
    form.shows("user")
    await form.submit(wanted)
    form.created()
    return subentry_id(entry, wanted["name"])


async def test_add_user(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A user has tags, a priority and maybe a group."""
    group = await add(hass, entry, "user_group", user_group_input())
    wanted = user_input(
        name=" Ada ", id_tags=["04A2B3", " rfid 7 "], group=group, priority=8
    )
    form = await open_subentry(hass, entry, "user")
    assert form.suggested == {"id_tags": [], "priority": 5, "enabled": True}
    await form.submit(wanted)
    form.created()
    ada = entry.subentries[subentry_id(entry, "Ada")]
    assert ada.data == {
        "id_tags": ["04A2B3", "rfid 7"],
        "group": group,
        "priority": 8,
        "enabled": True,
    }
    user = people_of(entry).user_of("RFID 7")
    assert user
    assert (user.name, user.priorities, user.groups) == ("Ada", (8, 5), (group,))


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"name": " "}, {"name": "name_missing"}),
        ({"name": "grace"}, {"name": "name_in_use"}),
        ({"id_tags": []}, {"id_tags": "id_tag_missing"}),
        ({"id_tags": ["A", " "]}, {"id_tags": "id_tag_invalid"}),
        ({"id_tags": ["Ä1"]}, {"id_tags": "id_tag_invalid"}),
        ({"id_tags": ["1" * 37]}, {"id_tags": "id_tag_invalid"}),
        ({"id_tags": ["A1", "a1"]}, {"id_tags": "id_tag_twice"}),
        ({"id_tags": ["A1", "CAFE"]}, {"id_tags": "id_tag_in_use"}),
        (
            {"name": "", "id_tags": []},
            {"name": "name_missing", "id_tags": "id_tag_missing"},
        ),
    ],
)
async def test_bad_user_is_refused_at_the_field(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    changes: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """Each error is at its field, nothing is saved, and the form goes on."""
    await add(hass, entry, "user", user_input(name="Grace", id_tags=["cafe"]))
    form = await open_subentry(hass, entry, "user")
    await form.submit(user_input(**changes), "user", **errors)
    assert len(entry.get_subentries_of_type("user")) == 1
    if "id_tag_in_use" in errors.values():
        assert form.placeholders == {"id_tag": "CAFE", "other": "Grace"}
    await form.submit(user_input())
    form.created()


async def test_group_that_was_removed(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Removed while the form is open it is an error; removed later its members are in none."""
    group = await add(hass, entry, "user_group", user_group_input())
    await add(hass, entry, "user", user_input(name="Grace", id_tags=["A"], group=group))
    form = await open_subentry(hass, entry, "user")
    hass.config_entries.async_remove_subentry(entry, group)
    await form.submit(user_input(group=group), "user", group="unknown_group")
    await form.submit(user_input())
    form.created()
    grace = people_of(entry).user_of("A")
    assert grace
    assert (grace.priorities, grace.groups) == ((5,), ())
    form = await open_subentry(hass, entry, "user", grace.id)
    assert "group" not in form.suggested
    await form.submit(form.suggested)
    form.aborted("reconfigure_successful")
    assert entry.subentries[grace.id].data["group"] is None


async def test_reconfigure_user(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The form shows what is stored; a user's own name and tags are no duplicates."""
    ada = await add(hass, entry, "user", user_input())
    form = await open_subentry(hass, entry, "user", ada)
    form.shows("reconfigure")
    assert form.suggested == user_input()
    await form.submit(user_input(id_tags=["04A2B3", "B"], enabled=False))
    form.aborted("reconfigure_successful")
    assert entry.subentries[ada].data == {
        "id_tags": ["04A2B3", "B"],
        "group": None,
        "priority": 5,
        "enabled": False,
    }


def offered_tags(form: Form) -> dict[str, str]:
    """Return the tags that the form offers, with their labels."""
    (selector,) = (
        value
        for key, value in form.result["data_schema"].schema.items()
        if key == "id_tags"
    )
    return {item["value"]: item["label"] for item in selector.config["options"]}


async def test_presented_cards_are_offered(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A card that was held to a reader need not be typed; the newest is the first, one that is taken is none."""
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(), "connector")
    await form.submit(connector_input())
    form.created()
    answer = authorizer(
        hass, people_of(entry), entry.entry_id, subentry_id(entry, "Left")
    )
    for id_tag in ("A1", "B2", "a1", "", *(f"C{number}" for number in range(18))):
        answer(id_tag)
    gone = authorizer(hass, people_of(entry), entry.entry_id, "gone")
    gone("D1")
    await add(hass, entry, "user", user_input(id_tags=["c3"]))
    form = await open_subentry(hass, entry, "user")
    offered = offered_tags(form)
    # B2 was pushed out by the 20 after it.
    assert list(offered)[0] == "C17"
    assert list(offered)[-1] == "a1"
    assert len(offered) == 18
    assert offered["C17"].startswith("C17 (Left, ")
    await form.submit(user_input(name="Grace", id_tags=["C17"]))
    form.created()


async def test_add_and_reconfigure_group(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A group with limits is one of the energy management's; one without only has a priority."""
    fleet = await add(
        hass, entry, "user_group", user_group_input(priority=7, limit_w=11_000)
    )
    visitors = await add(hass, entry, "user_group", user_group_input(name="Visitors"))
    assert entry.subentries[visitors].data == {
        "priority": 5,
        "limit_a": None,
        "limit_w": None,
    }
    assert build_site(entry, Controls()).user_groups == (
        UserGroup(id=fleet, limit_a=None, limit_w=11_000),
    )
    form = await open_subentry(hass, entry, "user_group", fleet)
    form.shows("reconfigure")
    assert form.suggested == user_group_input(priority=7, limit_w=11_000)
    await form.submit(
        user_group_input(limit_a=32, phase_limits={"limit_l2_a": 16}, priority=3)
    )
    form.aborted("reconfigure_successful")
    assert build_site(entry, Controls()).user_groups == (
        UserGroup(id=fleet, limit_a=(32, 16, 32), limit_w=None),
    )


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"name": ""}, {"name": "name_missing"}),
        ({"name": "VISITORS "}, {"name": "name_in_use"}),
        ({"limit_a": 0}, {"limit_a": "limit_not_positive"}),
        ({"limit_a": -3}, {"limit_a": "limit_not_positive"}),
        ({"limit_a": 5.9}, {"limit_a": "limit_below_minimum"}),
        ({"limit_w": 0}, {"limit_w": "limit_not_positive"}),
        ({"limit_w": 1000}, {"limit_w": "power_limit_below_minimum"}),
        (
            {"phase_limits": {"limit_l1_a": 16}},
            {"phase_limits": "phase_limit_missing"},
        ),
    ],
)
async def test_bad_group_is_refused_at_the_field(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    changes: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """Each error is at its field, nothing is saved, and the form goes on."""
    await add(hass, entry, "user_group", user_group_input(name="Visitors"))
    form = await open_subentry(hass, entry, "user_group")
    await form.submit(user_group_input(**changes), "user", **errors)
    assert len(entry.get_subentries_of_type("user_group")) == 1
    await form.submit(user_group_input())
    form.created()


@pytest.mark.parametrize("priority", [0, 11])
@pytest.mark.parametrize("kind", ["user", "user_group"])
async def test_priority_out_of_range(
    hass: HomeAssistant, entry: MockConfigEntry, kind: str, priority: int
) -> None:
    """The slider ends at 1 and 10, and Home Assistant refuses the rest."""
    form = await open_subentry(hass, entry, kind)
    wanted = user_input() if kind == "user" else user_group_input()
    with pytest.raises(InvalidData):
        await form.submit({**wanted, "priority": priority})
    assert not entry.get_subentries_of_type(kind)

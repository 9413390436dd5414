"""Users and their groups: who may charge, with which priority, within which limits."""

import asyncio
from dataclasses import replace
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.const import DOMAIN
from custom_components.reev_ems.coordinator import ReevCoordinator
from custom_components.reev_ems.energy_management.decision import LimitKind
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
)
from custom_components.reev_ems.ocpp_server import local_list
from simulator.charge_point import ChargePoint, Outlet
from simulator.site import Site

from .charger import Charger
from .conftest import Push
from .site import entity_id, set_up, state, subentry_id, until
from .test_diagnostics import download
from .test_services import ask


async def call(hass: HomeAssistant, service: str, entity: str, **data: object) -> None:
    """Call a service of Home Assistant on an entity."""
    domain, _, name = service.partition(".")
    await hass.services.async_call(
        domain, name, {"entity_id": entity, **data}, blocking=True
    )


def seen(entry: MockConfigEntry, item_id: str = "CP-LEFT:1") -> ConnectorObservation:
    """Return what the energy management is told about a connector from now on."""
    coordinator: ReevCoordinator = entry.runtime_data
    return coordinator._observe_connector(item_id, coordinator.data.decision.at_s)


async def test_session_has_the_priority_of_its_user(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The tag of the running transaction decides; numbers and switches act without a reload."""
    assert seen(entry).priorities == ()
    coordinator = entry.runtime_data
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.status("Preparing")
        await charger.start(tag="card-ada")
        assert (seen(entry).priorities, seen(entry).groups) == ((5, 7), ("fleet",))
        priority = entity_id(hass, entry, "number", "Ada", "priority")
        await call(hass, "number.set_value", priority, value=9)
        assert float(state(hass, entry, "number", "Ada", "priority").state) == 9
        group = entity_id(hass, entry, "number", "Fleet", "priority")
        await call(hass, "number.set_value", group, value=2)
        await until(lambda: seen(entry).priorities == (9, 2), "priorities stay")
        assert seen(entry).authorized
        await call(
            hass,
            "switch.turn_off",
            entity_id(hass, entry, "switch", "Ada", "enabled"),
        )
        assert state(hass, entry, "switch", "Ada", "enabled").state == "off"
        await until(lambda: not seen(entry).authorized, "still authorized")
        await until(
            lambda: (
                state(hass, entry, "sensor", "Garage left", "1_limited_by").state
                == "not_authorized"
            ),
            "the reason is another one",
        )
    # It is told in the name of the tag also while the charge point is away.
    assert seen(entry).groups == ("fleet",)
    assert entry.runtime_data is coordinator
    assert entry.subentries[subentry_id(entry, "Ada")].data["priority"] == 9


async def test_who_charges_is_shown(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """By name, with the group; an unknown tag is nobody's."""

    def shown() -> tuple[str, object]:
        found = state(hass, entry, "sensor", "Garage left", "1_user")
        return found.state, found.attributes["group"]

    assert shown() == ("unknown", None)
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.status("Preparing")
        transaction_id = await charger.start(tag="CARD-ADA")
        await until(lambda: shown() == ("Ada", "Fleet"), "not shown")
        event = state(hass, entry, "event", "Garage left", "1_session")
        assert event.attributes["user"] == "Ada"
        await charger.stop(transaction_id, 1000)
        await charger.start(tag="SOMEBODY")
        await until(lambda: shown() == ("unknown", None), "still shown")
        event = state(hass, entry, "event", "Garage left", "1_session")
        assert event.attributes["user"] is None


async def test_a_session_names_who_it_was_at_its_beginning(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """In the event and in the records, whoever has the card later and whatever he is called by then."""
    ada = subentry_id(entry, "Ada")
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.status("Preparing")
        transaction_id = await charger.start(tag="CARD-ADA")
        hass.config_entries.async_update_subentry(
            entry, entry.subentries[ada], title="Ada Lovelace"
        )
        await hass.async_block_till_done()
        await charger.stop(transaction_id, 3000)
        event = state(hass, entry, "event", "Garage left", "1_session").attributes
        assert (event["event_type"], event["user"]) == ("ended", "Ada")
        assert event["user_id"] == ada
        transaction_id = await charger.start(tag="card-ada", meter_wh=3000)
        # With the site her connector forgets nothing.
        await set_up(hass, entry)
        assert hass.config_entries.async_remove_subentry(entry, ada)
        await hass.async_block_till_done()
        await charger.stop(transaction_id, 4000)
        event = state(hass, entry, "event", "Garage left", "1_session").attributes
        assert (event["event_type"], event["user"]) == ("ended", "Ada Lovelace")
        await charger.start(tag="SOMEBODY", meter_wh=4000)
    sessions = (await ask(hass, "get_sessions"))["sessions"]
    assert [(item["user"], item["user_id"]) for item in sessions] == [
        ("Ada", ada),
        ("Ada Lovelace", ada),
        (None, None),
    ]


async def test_a_charging_station_names_its_user_with_the_card(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry]
) -> None:
    """On the wire of both versions; who began before the card is named from the card on."""
    running, entry = plant
    await until(
        lambda: all(point.online for point in running.charge_points.values()),
        "not connected",
    )
    for name, card in (("CP16", "card-16"), ("CP201", "CARD-201")):
        running.charge_points[name].present(outlet(running, name), card)
    await until(
        lambda: (
            state(hass, entry, "event", "CP16", "1_session").attributes.get("user")
            == state(hass, entry, "event", "CP201", "1_session").attributes.get("user")
            == "Ada"
        ),
        "not named",
    )
    sessions = (await ask(hass, "get_sessions"))["sessions"]
    users = {item["name"]: item["user"] for item in sessions}
    assert users == {"CP16": "Ada", "CP201": "Ada", "EAGER": None}


async def test_limit_of_a_group_is_called_by_its_name(
    hass: HomeAssistant, entry: MockConfigEntry, push: Push
) -> None:
    """Nobody knows the group by its id."""
    data = push()
    bound = data.decision.connectors["CP-LEFT:1"]
    limit = replace(
        bound.limited_by, kind=LimitKind.USER_GROUP, group="fleet", phase="L2"
    )
    push(
        decision={
            "connectors": {
                **data.decision.connectors,
                "CP-LEFT:1": replace(bound, limited_by=limit),
            }
        }
    )
    found = state(hass, entry, "sensor", "Garage left", "1_limited_by")
    assert found.attributes["group"] == "Fleet"
    assert found.attributes["reason"] == "Limit of a user group: Fleet, L2"


async def test_s12_only_known_users(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Who is unknown is told so at the charge point; what is started in Home Assistant is known."""

    async def answer(charger: Charger, tag: str) -> str:
        result = await charger.call("Authorize", {"idTag": tag})
        return str(result["idTagInfo"]["status"])

    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        assert await answer(charger, "SOMEBODY") == "Accepted"
        hass.config_entries.async_update_entry(
            entry, options={**entry.options, "authorization": "known_users"}
        )
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.LOADED
        assert await answer(charger, "SOMEBODY") == "Invalid"
        assert await answer(charger, "CARD-ADA") == "Accepted"
        assert await answer(charger, "HOMEASSISTANT") == "Accepted"
        await charger.status("Preparing")
        # A charge point that does not ask first.
        started = await charger.call(
            "StartTransaction",
            {
                "connectorId": 1,
                "idTag": "SOMEBODY",
                "meterStart": 0,
                "timestamp": "2026-11-01T00:00:00Z",
            },
        )
        assert started["idTagInfo"]["status"] == "Invalid"
        assert not seen(entry).authorized


async def test_s12_users_who_are_disabled(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """They are refused also where anyone else may charge."""
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        target = entity_id(hass, entry, "switch", "Ada", "enabled")
        await call(hass, "switch.turn_off", target)
        await hass.async_block_till_done()
        result = await charger.call("Authorize", {"idTag": "CARD-ADA"})
        assert result["idTagInfo"]["status"] == "Blocked"
        refused = state(hass, entry, "event", "Garage left", "id_tag")
        assert refused.attributes["event_type"] == "refused"
        assert refused.attributes["id_tag"] == "…DA"
        assert refused.attributes["user"] == "Ada"
        result = await charger.call("Authorize", {"idTag": "SOMEBODY"})
        assert result["idTagInfo"]["status"] == "Accepted"


def outlet(running: Site, name: str) -> Outlet:
    """Return the only outlet of a charge point."""
    return running.charge_points[name].outlets[0]


async def test_s12_nobody_unknown_gets_current(
    hass: HomeAssistant, plant: tuple[Site, MockConfigEntry]
) -> None:
    """On the wire: refused cards start nothing, known ones charge until their user is disabled."""
    running, entry = plant
    switch = entity_id(hass, entry, "switch", "Ada", "enabled")
    names = ("CP16", "CP201")

    def draws(name: str) -> float:
        return outlet(running, name).connector.current_a

    await until(
        lambda: all(point.online for point in running.charge_points.values()),
        "not connected",
    )
    for name in names:
        running.charge_points[name].present(outlet(running, name), "STOLEN")
    await asyncio.sleep(0.5)
    assert [outlet(running, name).transaction for name in names] == [None, None]

    for name, card in zip(names, ("card-16", "CARD-201"), strict=True):
        running.charge_points[name].present(outlet(running, name), card)
    await until(
        lambda: all(draws(name) >= 5.9 for name in names), "known users do not charge"
    )
    await until(
        lambda: all(seen(entry, f"{name}:1").groups for name in names),
        "their sessions are not known",
    )
    # 8 A are not enough for both members of the group.
    await until(
        lambda: 5.9 <= sum(draws(name) for name in names) <= 8.1,
        "the group's limit does not hold",
    )
    # It began by itself, with a tag that nobody has, and was told so.
    await until(lambda: draws("EAGER") == 0, "somebody unknown charges")

    await call(hass, "switch.turn_off", switch)
    await until(
        lambda: all(draws(name) == 0 for name in names), "a disabled user charges"
    )
    assert all(outlet(running, name).transaction for name in names)
    assert all(not point.link.complaints for point in running.charge_points.values())


async def test_s12_answers_are_the_same_while_the_site_is_reloaded(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Charge points keep their sockets, so that cards may come at any time."""
    hass.config_entries.async_update_entry(
        entry, options={**entry.options, "authorization": "known_users"}
    )
    await hass.async_block_till_done()
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        assert await hass.config_entries.async_unload(entry.entry_id)
        for tag, status in (("SOMEBODY", "Invalid"), ("CARD-ADA", "Accepted")):
            result = await charger.call("Authorize", {"idTag": tag})
            assert result["idTagInfo"]["status"] == status


async def test_only_what_needs_it_reloads(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A form that moves a priority does as the number does; another tag is a new start."""
    coordinator = entry.runtime_data
    ada = entry.subentries[subentry_id(entry, "Ada")]

    async def edit(**changes: Any) -> None:
        hass.config_entries.async_update_subentry(
            entry, ada, data={**ada.data, **changes}
        )
        await hass.async_block_till_done()

    await edit(priority=2)
    assert entry.runtime_data is coordinator
    assert float(state(hass, entry, "number", "Ada", "priority").state) == 2
    await edit(id_tags=["CARD-NEW"])
    assert entry.runtime_data is not coordinator
    people = entry.runtime_data.people
    assert people.user_of("card-new")
    assert people.user_of("CARD-ADA") is None


async def test_users_have_devices(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Which hang on the site, and go with the user."""
    registry = dr.async_get(hass)

    def device(title: str) -> Any:
        return registry.async_get_device_by_identifier(
            (DOMAIN, subentry_id(entry, title)), entry.entry_id
        )

    assert (device("Ada").model, device("Fleet").model) == ("User", "User group")
    site = registry.async_get_device_by_identifier(
        (DOMAIN, entry.entry_id), entry.entry_id
    )
    assert device("Ada").via_device_id == site.id
    gone = device("Ada").id
    hass.config_entries.async_remove_subentry(entry, subentry_id(entry, "Ada"))
    await hass.async_block_till_done()
    assert registry.async_get(gone) is None
    assert seen(entry).authorized


async def test_s12_users_charge_while_home_assistant_is_away(
    hass: HomeAssistant,
    plant: tuple[Site, MockConfigEntry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their cards are kept in the charge points, disabled ones as such; switched off, lists are left alone."""
    monkeypatch.setattr(local_list, "SETTLE_S", 0.1)
    running, entry = plant
    cards = {"card-16": True, "card-201": True}

    def lists() -> list[dict[str, bool]]:
        return [
            running.charge_points[name].id_tags.listed for name in ("CP16", "CP201")
        ]

    await until(lambda: lists() == [cards] * 2, "the lists are not kept")

    async def charges_offline(charger: ChargePoint, card: str) -> None:
        (place,) = charger.outlets
        charger.link.disconnect()
        await until(lambda: not charger.link.up, "still connected")
        charger.present(place, "STOLEN")
        assert place.granted is None
        charger.present(place, card)
        await until(lambda: place.transaction is not None, "no start")
        charger.link.reconnect()

    await charges_offline(running.charge_points["CP16"], "CARD-16")
    await charges_offline(running.charge_points["CP201"], "card-201")
    await until(
        lambda: all(seen(entry, f"{name}:1").groups for name in ("CP16", "CP201")),
        "their sessions are not known",
    )
    switch = entity_id(hass, entry, "switch", "Ada", "enabled")
    await call(hass, "switch.turn_off", switch)
    blocked = dict.fromkeys(cards, False)
    await until(lambda: lists() == [blocked] * 2, "a disabled user is in the lists")
    hass.config_entries.async_update_entry(
        entry, options={**entry.options, "local_lists": False}
    )
    await hass.async_block_till_done()
    await call(hass, "switch.turn_on", switch)
    await asyncio.sleep(0.5)
    assert lists() == [blocked] * 2
    for found in (await download(hass, entry))["charge_points"].values():
        assert found["local_list"] == {"version": 2, "problem": None}

"""The forms of charge points: added by hand, and discovered at the OCPP server."""

from typing import Any
from unittest.mock import AsyncMock

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.energy_management.model import (
    ChargingMode,
    Phase,
    Supply,
)
from custom_components.reev_ems.ocpp_server.passwords import is_password
from custom_components.reev_ems.site.build import build_site
from custom_components.reev_ems.site.controls import Controls

from .inputs import (
    charge_point_input,
    circuit_input,
    connector_input,
    open_discovery,
    open_options,
    open_subentry,
    subentry_id,
)


def ac(line_phases: str = "l1_l2_l3", **changes: Any) -> dict[str, Any]:
    """Return the AC part of a connector's form."""
    return {
        "line_phases": line_phases,
        "min_a": 6,
        "max_a": 16,
        "can_switch_phases": False,
        **changes,
    }


async def test_add(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A wall box with a password, in a circuit."""
    garage = subentry_id(entry, "Garage")
    form = await open_subentry(hass, entry, "charge_point")
    form.shows("user")
    assert form.placeholders["url"].startswith("ws://")
    assert form.placeholders["url"].endswith(":9000/")
    await form.submit(
        charge_point_input(circuit=garage, security={"password": "correct horse 17"}),
        "connector",
    )
    assert form.placeholders["name"] == "Left"
    assert form.placeholders["number"] == "1"
    await form.submit(
        connector_input(
            automatic_mode="solar_min",
            ac=ac("l2_l3_l1", max_a=32, can_switch_phases=True),
        ),
        "credentials",
    )
    await form.submit({})
    form.created()
    subentry = entry.subentries[subentry_id(entry, "Left")]
    assert subentry.unique_id == "charge_point_CP1"
    assert is_password(subentry.data["password"], b"correct horse 17")
    assert subentry.data == {
        "charge_point_id": "CP1",
        "circuit": garage,
        "password": subentry.data["password"],
        "certificates": [],
        "connectors": [
            {
                "number": 1,
                "supply": "ac",
                "automatic_mode": "solar_min",
                "phases": ["L2", "L3", "L1"],
                "phase_count": 3,
                "can_switch_phases": True,
                "min_a": 6,
                "max_a": 32,
            }
        ],
    }
    (connector,) = build_site(entry, Controls()).connectors
    assert connector.mode is ChargingMode.AUTOMATIC
    assert connector.automatic_mode is ChargingMode.SOLAR_MIN


async def test_several_connectors(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Each connector is asked for; the next form starts from the one before."""
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(connector_count=3), "connector")
    first = connector_input(supply="dc", dc={"min_w": 7000, "max_w": 150_000})
    await form.submit(first, "connector")
    assert form.placeholders["number"] == "2"
    assert form.suggested["supply"] == "dc"
    assert form.suggested["dc"] == {"min_w": 7000, "max_w": 150_000}
    await form.submit(connector_input(ac=ac("l3")), "connector")
    assert form.suggested["ac"] == ac("l3")
    await form.submit(connector_input(ac=ac("unknown_1", max_a=20)))
    form.created()

    dc, single, unknown = build_site(entry, Controls()).connectors
    assert (dc.id, dc.supply, dc.min_w, dc.max_w) == ("CP1:1", Supply.DC, 7000, 150_000)
    assert (single.id, single.phases, single.phase_count) == ("CP1:2", (Phase.L3,), 1)
    assert (unknown.phases, unknown.phase_count, unknown.max_a) == (None, 1, 20)


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"charge_point_id": ""}, {"charge_point_id": "charge_point_id_invalid"}),
        ({"charge_point_id": "a/b"}, {"charge_point_id": "charge_point_id_invalid"}),
        ({"charge_point_id": "x" * 49}, {"charge_point_id": "charge_point_id_invalid"}),
        ({"name": " "}, {"name": "name_missing"}),
        ({"security": {"password": "short"}}, {"security": "password_length"}),
    ],
)
async def test_bad_charge_point_is_refused_at_the_field(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    changes: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """Each error is at its field, nothing is saved, and the form goes on."""
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(**changes), "user", **errors)
    await form.submit(charge_point_input(), "connector")
    await form.submit(connector_input())
    form.created()


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"ac": ac(min_a=5)}, {"ac": "minimum_too_low"}),
        ({"ac": ac(min_a=float("nan"))}, {"ac": "minimum_too_low"}),
        ({"ac": ac(min_a=16, max_a=10)}, {"ac": "maximum_below_minimum"}),
        (
            {"supply": "dc", "dc": {"min_w": 0, "max_w": 1}},
            {"dc": "power_not_positive"},
        ),
        (
            {"supply": "dc", "dc": {"min_w": 2, "max_w": 1}},
            {"dc": "maximum_below_minimum"},
        ),
    ],
)
async def test_bad_connector_is_refused_at_its_section(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    changes: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """What was entered stays in the form until it is right."""
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(), "connector")
    await form.submit(connector_input(**changes), "connector", **errors)
    assert form.suggested["supply"] == changes.get("supply", "ac")
    await form.submit(connector_input())
    form.created()


async def test_same_id_twice(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A charge point belongs to one site, also where sites share an OCPP server."""
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(), "connector")
    await form.submit(connector_input())
    other = MockConfigEntry(
        domain=entry.domain, title="Yard", data=entry.data, options={}
    )
    other.add_to_hass(hass)
    form = await open_subentry(hass, other, "charge_point")
    await form.submit(
        charge_point_input(charge_point_id=" CP1 "),
        "user",
        charge_point_id="charge_point_already_configured",
    )
    await form.submit(charge_point_input(charge_point_id="CP2"), "connector")


async def test_circuit_that_was_removed_meanwhile(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The form was open while somebody removed the circuit."""
    garage = subentry_id(entry, "Garage")
    form = await open_subentry(hass, entry, "charge_point")
    hass.config_entries.async_remove_subentry(entry, garage)
    await form.submit(
        charge_point_input(circuit=garage), "user", circuit="unknown_circuit"
    )


async def test_reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """All but the id can change; the form shows what is stored."""
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(
        charge_point_input(
            connector_count=2, security={"password": "correct horse 17"}
        ),
        "connector",
    )
    await form.submit(connector_input(ac=ac("unknown_3")), "connector")
    await form.submit(connector_input(ac=ac("l2")), "credentials")
    await form.submit({})
    left = subentry_id(entry, "Left")

    form = await open_subentry(hass, entry, "charge_point", left)
    assert form.placeholders["charge_point_id"] == "CP1"
    await form.choose("place")
    shown = form.suggested
    assert shown == {
        "name": "Left",
        "circuit": "main",
        "connector_count": 2,
    }
    await form.submit({**shown, "name": " "}, "place", name="name_missing")
    await form.submit({**shown, "name": "Right"}, "connector")
    assert form.suggested["ac"] == ac("unknown_3")
    await form.submit(connector_input(ac=ac("l1_l2_l3")), "connector")
    assert form.suggested["ac"] == ac("l2")
    await form.submit(connector_input(ac=ac("l2", max_a=20)))
    form.aborted("reconfigure_successful")
    changed = entry.subentries[left]
    assert changed.title == "Right"
    assert is_password(changed.data["password"], b"correct horse 17")
    assert changed.data["charge_point_id"] == "CP1"
    assert [item["phases"] for item in changed.data["connectors"]] == [
        ["L1", "L2", "L3"],
        ["L2"],
    ]


async def test_circuit_that_was_removed_can_be_replaced(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A charge point whose circuit was removed is given another one."""
    garage = subentry_id(entry, "Garage")
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(circuit=garage), "connector")
    await form.submit(connector_input())
    hass.config_entries.async_remove_subentry(entry, garage)
    left = subentry_id(entry, "Left")
    form = await open_subentry(hass, entry, "charge_point", left)
    await form.choose("place")
    moved = {**form.suggested, "circuit": "main"}
    await form.submit(moved, "connector")
    await form.submit(connector_input())
    form.aborted("reconfigure_successful")
    assert entry.subentries[left].data["circuit"] == "main"


async def test_s9_floors_that_do_not_fit(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A second single-phase charge point fits another phase only."""
    form = await open_subentry(hass, entry, "circuit")
    await form.submit(circuit_input(limit_a=10))
    roof = subentry_id(entry, "Roof")
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(circuit=roof, connector_count=2), "connector")
    await form.submit(connector_input(ac=ac("l1")), "connector")
    await form.submit(
        connector_input(ac=ac("l1")), "connector", base="floors_over_limit"
    )
    assert form.placeholders["over_circuit"] == "Roof"
    assert form.placeholders["over_phase"] == "L1"
    assert form.placeholders["over_value"] == "2.5 A"
    await form.submit(
        connector_input(ac=ac("unknown_1")), "connector", base="floors_over_limit"
    )
    await form.submit(connector_input(ac=ac("l2")))
    form.created()


async def test_s9_no_floor_where_charging_stops(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """With the failsafe action "stop" nothing has to fit."""
    hass.config_entries.async_update_entry(entry, options={"failsafe": "stop"})
    form = await open_subentry(hass, entry, "charge_point")
    await form.submit(charge_point_input(connector_count=16), "connector")
    for _ in range(15):
        await form.submit(connector_input(), "connector")
    await form.submit(connector_input())
    form.created()

    form = await open_options(hass, entry)
    options = {**form.suggested}
    options["failsafe_behavior"]["failsafe"] = "minimum"
    await form.submit(options, "init", failsafe_behavior="floors_over_limit")
    assert form.placeholders["over_value"] == "33.5 A"


DISCOVERED = {"charge_point_id": "CP7", "vendor": "Acme", "model": "Box"}


async def test_discovered(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A charge point that knocks is offered and added to its site; what it says of itself is shown as it is."""
    form = await open_discovery(hass, {**DISCOVERED, "entry_id": entry.entry_id})
    form.shows("adopt")
    assert form.placeholders == {
        "charge_point_id": "`CP7`",
        "vendor": "`Acme`",
        "model": "`Box`",
        "site": "Depot",
    }
    assert form.suggested["name"] == "CP7"
    identity = charge_point_input()
    del identity["charge_point_id"]
    await form.submit({**identity, "name": ""}, "adopt", name="name_missing")
    await form.submit({**identity, "connector_count": 2}, "connector")
    await form.submit(connector_input(), "connector")
    await form.submit(
        connector_input(ac=ac(max_a=1)), "connector", ac="maximum_below_minimum"
    )
    await form.submit(connector_input())
    form.aborted("charge_point_added")
    subentry = entry.subentries[subentry_id(entry, "Left")]
    assert subentry.subentry_type == "charge_point"
    assert subentry.data["charge_point_id"] == "CP7"
    assert len(subentry.data["connectors"]) == 2
    assert not hass.config_entries.flow.async_progress()

    again = await open_discovery(hass, {**DISCOVERED, "entry_id": entry.entry_id})
    again.aborted("already_configured")


async def test_discovered_twice(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """One that keeps knocking is offered once."""
    data = {**DISCOVERED, "entry_id": entry.entry_id}
    (await open_discovery(hass, data)).shows("adopt")
    (await open_discovery(hass, data)).aborted("already_in_progress")


async def test_discovered_and_ignored(
    hass: HomeAssistant, setup_entry: AsyncMock, entry: MockConfigEntry
) -> None:
    """One that a person does not want is not offered again."""
    data = {**DISCOVERED, "entry_id": entry.entry_id}
    offered = await open_discovery(hass, data)
    await hass.config_entries.flow.async_init(
        entry.domain,
        context={"source": "ignore"},
        data={
            "unique_id": hass.config_entries.flow.async_get(offered.result["flow_id"])[
                "context"
            ]["unique_id"],
            "title": "CP7",
        },
    )
    (await open_discovery(hass, data)).aborted("already_configured")


async def test_discovered_and_added_by_hand(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The offer ends when somebody added the charge point in the meantime."""
    form = await open_discovery(hass, {**DISCOVERED, "entry_id": entry.entry_id})
    by_hand = await open_subentry(hass, entry, "charge_point")
    await by_hand.submit(charge_point_input(charge_point_id="CP7"), "connector")
    await by_hand.submit(connector_input())
    identity = charge_point_input()
    del identity["charge_point_id"]
    await form.submit(identity)
    form.aborted("already_configured")


@pytest.mark.parametrize("step", ["adopt", "connector"])
async def test_site_removed_while_a_charge_point_is_added(
    hass: HomeAssistant, entry: MockConfigEntry, step: str
) -> None:
    """The site disappears under an open form."""
    form = await open_discovery(hass, {**DISCOVERED, "entry_id": entry.entry_id})
    identity = charge_point_input()
    del identity["charge_point_id"]
    if step == "connector":
        await form.submit(identity, "connector")
    await hass.config_entries.async_remove(entry.entry_id)
    await form.submit(identity if step == "adopt" else connector_input())
    form.aborted("site_removed")


@pytest.mark.parametrize("removed", [False, True])
async def test_discovered_with_a_password(
    hass: HomeAssistant, entry: MockConfigEntry, removed: bool
) -> None:
    """It is shown once before the charge point is adopted; a site that was removed meanwhile adopts nobody."""
    form = await open_discovery(hass, {**DISCOVERED, "entry_id": entry.entry_id})
    identity = charge_point_input(security={"login": "generate"})
    del identity["charge_point_id"]
    await form.submit(identity, "connector")
    await form.submit(connector_input(), "credentials")
    password = form.placeholders["password"]
    assert len(password) == 32
    assert form.placeholders["charge_point_id"] == "CP7"
    assert not entry.get_subentries_of_type("charge_point")
    if removed:
        await hass.config_entries.async_remove(entry.entry_id)
        await form.submit({})
        form.aborted("site_removed")
        return
    await form.submit({})
    form.aborted("charge_point_added")
    subentry = entry.subentries[subentry_id(entry, "Left")]
    assert is_password(subentry.data["password"], password.encode())
    assert subentry.data["certificates"] == []

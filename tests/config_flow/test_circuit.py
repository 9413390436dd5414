"""The forms of circuits."""

from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.site.build import build_site
from custom_components.reev_ems.site.controls import Controls

from .inputs import (
    charge_point_input,
    circuit_input,
    connector_input,
    open_reconfigure,
    open_subentry,
    subentry_id,
)


async def test_add(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A circuit below another one, with limits of current and power."""
    garage = subentry_id(entry, "Garage")
    form = await open_subentry(hass, entry, "circuit")
    form.shows("user")
    assert form.suggested["parent"] == "main"
    await form.submit(
        circuit_input(
            parent=garage,
            limit_w=11_000,
            phase_limits={"limit_l1_a": 20},
            reserve_a=4.5,
            hard_limit=True,
            generation="no",
        )
    )
    form.created()
    roof = entry.subentries[subentry_id(entry, "Roof")]
    assert roof.data == {
        "parent": garage,
        "limit_a": [20, 40, 40],
        "limit_w": 11_000,
        "reserve_a": [4.5, 4.5, 4.5],
        "hard_limit": True,
        "generation": "no",
    }
    built = build_site(entry, Controls()).circuits
    assert [(item.hard_limit, item.generation) for item in built] == [
        (False, None),
        (False, None),
        (True, False),
    ]


async def test_power_limit_alone(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """A circuit may be limited by power only."""
    form = await open_subentry(hass, entry, "circuit")
    wanted = circuit_input()
    del wanted["limit_a"]
    await form.submit(wanted, "user", limit_a="limit_missing")
    await form.submit({**wanted, "limit_w": 22_000})
    form.created()
    roof = entry.subentries[subentry_id(entry, "Roof")]
    assert roof.data["limit_a"] is None
    assert roof.data["limit_w"] == 22_000
    form = await open_subentry(hass, entry, "circuit", roof.subentry_id)
    assert "limit_a" not in form.suggested
    assert form.suggested["limit_w"] == 22_000


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"limit_a": 0}, {"limit_a": "limit_not_positive"}),
        ({"limit_a": 5}, {"limit_a": "limit_below_minimum"}),
        ({"phase_limits": {"limit_l1_a": -1}}, {"phase_limits": "limit_not_positive"}),
        ({"limit_w": 500}, {"limit_w": "power_limit_below_minimum"}),
        ({"name": ""}, {"name": "name_missing"}),
        ({"name": "garage "}, {"name": "name_in_use"}),
        ({"name": "Depot"}, {"name": "name_in_use"}),
    ],
)
async def test_bad_circuit_is_refused_at_the_field(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    changes: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """Each error is at its field, nothing is saved, and the form goes on."""
    form = await open_subentry(hass, entry, "circuit")
    await form.submit(circuit_input(**changes), "user", **errors)
    assert len(entry.subentries) == 2
    await form.submit(circuit_input())
    form.created()


async def test_phase_without_a_limit(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Two of three phases are no limit of the circuit."""
    form = await open_subentry(hass, entry, "circuit")
    wanted = circuit_input(phase_limits={"limit_l1_a": 20, "limit_l2_a": 20})
    del wanted["limit_a"]
    await form.submit(wanted, "user", phase_limits="phase_limit_missing")


async def test_reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """The form shows what is stored and keeps the circuit's id."""
    garage = subentry_id(entry, "Garage")
    form = await open_subentry(hass, entry, "circuit", garage)
    form.shows("reconfigure")
    shown = form.suggested
    assert shown["name"] == "Garage"
    assert shown["limit_a"] == 32
    assert shown["phase_limits"] == {}
    assert (shown["hard_limit"], shown["generation"]) == (False, "unknown")
    await form.submit({**shown, "name": "Underground garage", "limit_a": 25})
    form.aborted("reconfigure_successful")
    assert entry.subentries[garage].title == "Underground garage"
    assert entry.subentries[garage].data["limit_a"] == [25, 25, 25]


async def test_circuit_cannot_feed_itself(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """A circuit in use cannot be hung below one that it feeds."""
    garage = subentry_id(entry, "Garage")
    form = await open_subentry(hass, entry, "circuit")
    await form.submit(circuit_input(parent=garage))
    roof = subentry_id(entry, "Roof")
    form = await open_subentry(hass, entry, "circuit", garage)
    wanted = circuit_input(name="Garage", parent=roof)
    await form.submit(wanted, "reconfigure", parent="circuit_cycle")
    assert entry.subentries[garage].data["parent"] == "main"
    await form.submit({**wanted, "parent": "main"})
    form.aborted("reconfigure_successful")


async def test_parent_that_was_removed_meanwhile(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """The form was open while somebody removed the feeding circuit."""
    garage = subentry_id(entry, "Garage")
    form = await open_subentry(hass, entry, "circuit")
    hass.config_entries.async_remove_subentry(entry, garage)
    await form.submit(circuit_input(parent=garage), "user", parent="unknown_circuit")


async def test_s9_limit_that_the_floors_exceed(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """Two charge points of 6 A do not fit a circuit of 10 A, wherever the limit is lowered."""
    garage = subentry_id(entry, "Garage")
    for charge_point_id in ("CP1", "CP2"):
        form = await open_subentry(hass, entry, "charge_point")
        await form.submit(
            charge_point_input(
                charge_point_id=charge_point_id, name=charge_point_id, circuit=garage
            ),
            "connector",
        )
        await form.submit(connector_input())
        form.created()

    form = await open_subentry(hass, entry, "circuit", garage)
    lowered = circuit_input(name="Garage", limit_a=10)
    await form.submit(lowered, "reconfigure", limit_a="floors_over_limit")
    assert form.placeholders == {
        "over_circuit": "Garage",
        "over_phase": "L1",
        "over_value": "2.5 A",
    }
    await form.submit({**lowered, "limit_a": 12.5})
    form.aborted("reconfigure_successful")

    form = await open_reconfigure(hass, entry)
    site = {"limit_a": 63, "phase_limits": {"limit_l2_a": 11}, "ocpp_port": 9000}
    await form.submit(site, "grid_connection", limit_a="floors_over_limit")
    assert form.placeholders["over_circuit"] == "Grid connection"
    assert form.placeholders["over_phase"] == "L2"
    await form.submit({**site, "phase_limits": {}})
    form.aborted("reconfigure_successful")


async def test_s9_reserve_counts_as_known_load(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """What an unmetered circuit is said to carry leaves that much less for the floors."""
    form = await open_subentry(hass, entry, "circuit")
    await form.submit(
        circuit_input(limit_a=10, reserve_a=12), "user", limit_a="floors_over_limit"
    )
    await form.submit(circuit_input(limit_a=10, reserve_a=9.5))
    form.created()


async def test_circuits_that_feed_each_other_can_be_mended(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    """No form lets that happen; a file that was edited by hand or restored in part does, and must not stand in the way."""
    form = await open_subentry(hass, entry, "circuit")
    garage = subentry_id(entry, "Garage")
    await form.submit(circuit_input(name="Roof", parent=garage))
    form.created()
    roof, stored = subentry_id(entry, "Roof"), entry.subentries[garage]
    hass.config_entries.async_update_subentry(
        entry, stored, data={**stored.data, "parent": roof}
    )
    form = await open_subentry(hass, entry, "circuit", garage)
    await form.submit(circuit_input(name="Garage", parent="main"))
    form.aborted("reconfigure_successful")
    assert entry.subentries[garage].data["parent"] == "main"

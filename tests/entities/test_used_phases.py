"""On how many phases a user's car charges is remembered from one session to the next."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems import coordinator as loop
from custom_components.reev_ems.energy_management.controller import step
from custom_components.reev_ems.energy_management.observation import Observation
from custom_components.reev_ems.ocpp_server import Transaction
from custom_components.reev_ems.site import used_phases
from custom_components.reev_ems.site.people import people_of
from custom_components.reev_ems.site.used_phases import UsedPhases, person_of

from .charger import Charger
from .site import set_up, subentry_id, until


async def test_a_car_is_known_again_by_its_user(
    hass: HomeAssistant, entry: MockConfigEntry, hass_storage: dict[str, Any]
) -> None:
    """Whichever of her cards is shown, at whichever charge point, also after a reload; others are not concerned."""
    shown: list[int | None] = []

    def decide(site: Any, state: Any, observation: Observation) -> Any:
        state, decision = step(site, state, observation)
        shown.append(observation.connectors["CP-LEFT:1"].used_phases)
        connectors = dict(decision.connectors)
        if observation.connectors["CP-LEFT:1"].priorities:
            connectors["CP-LEFT:1"] = replace(connectors["CP-LEFT:1"], used_phases=1)
        return state, replace(decision, connectors=connectors)

    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        with patch.object(loop, "step", decide):
            await charger.status("Preparing")
            transaction_id = await charger.start(tag="CARD-ADA")
            await until(lambda: 1 in shown, "not remembered")
            await charger.stop(transaction_id, 1000)
            shown.clear()
            transaction_id = await charger.start(tag="STRANGER")
            await until(lambda: len(shown) > 2, "no step")
            assert set(shown[1:]) == {None}
            await charger.stop(transaction_id, 1000)
            await set_up(hass, entry)
            shown.clear()
            await charger.start(tag="card-ada")
            await until(lambda: 1 in shown, "forgotten")
    key = f"reev_ems.{entry.entry_id}.used_phases"
    user = f"user {subentry_id(entry, 'Ada')}"
    assert hass_storage[key]["data"] == {user: 1}
    await hass.config_entries.async_remove(entry.entry_id)
    assert key not in hass_storage


async def test_only_so_many_are_remembered(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were learnt last; a value that is not known takes nothing away."""
    monkeypatch.setattr(used_phases, "MOST", 3)
    known = UsedPhases(hass, "site")
    for person, phases in (("a", 3), ("b", 1), ("c", 2), ("a", 1), ("d", 3)):
        known.learn(person, phases)
    known.learn("c", None)
    known.learn(None, 2)
    assert [known.of(person) for person in ("a", "b", "c", "d", None)] == [
        1,
        None,
        2,
        3,
        None,
    ]
    await known.async_save()
    again = UsedPhases(hass, "site")
    await again.async_load()
    assert again.of("a") == 1


def test_a_shared_tag_says_nothing_about_the_car() -> None:
    """Charging that is started in Home Assistant, or by a charge point that asks nobody, is anybody's."""
    people = people_of(MockConfigEntry(options={}))

    def person(tag: str | None) -> str | None:
        return person_of(
            Transaction(id=1, id_tag=tag, started_at=datetime.now(UTC)), people
        )

    assert person_of(None, people) is None
    for tag in (None, "", "HomeAssistant", "REEVEMS"):
        assert person(tag) is None
    assert person("Card-1") == person("CARD-1") == "tag card-1"

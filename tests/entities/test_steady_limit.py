"""What limits a connector is no news each time that it waits some seconds to be raised."""

from collections.abc import Callable
from dataclasses import replace

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.coordinator import SiteData
from custom_components.reev_ems.energy_management.decision import Limit, LimitKind
from custom_components.reev_ems.parts.steady_limit import HEIGHTS, SteadyLimit

from .site import entity_id, state
from .test_sensor import decided

type Push = Callable[..., SiteData]

GARAGE = Limit(kind=LimitKind.CIRCUIT_PHASE, circuit="garage", phase="L2")
WAIT = Limit(kind=LimitKind.RAISE_WAIT)

LEFT = ("sensor", "Garage left")


@pytest.fixture
def limited(push: Push) -> Callable[[Limit, float], SiteData]:
    """Return what lets something limit the connector from now on, turn by turn for some seconds."""

    def publish(limit: Limit, for_s: float) -> SiteData:
        data = push(0.0)
        for second in range(int(for_s)):
            if limit.remaining_s is not None:
                limit = replace(limit, remaining_s=for_s - second)
            data = push(1.0, decision=decided(data, "CP-LEFT:1", limited_by=limit))
        return data

    return publish


async def test_waits_between_raises_are_no_entries_in_the_activity_list(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    limited: Callable[[Limit, float], SiteData],
    written: Callable[[str], list[str]],
) -> None:
    """A load that goes up and down lets the reason stand; how long the wait still lasts is in the attributes."""
    kind, words = (
        entity_id(hass, entry, *LEFT, f"1_{key}")
        for key in ("limited_by", "limit_details")
    )
    limited(GARAGE, 5)
    kinds, details = written(kind), written(words)
    for _ in range(4):
        limited(replace(WAIT, remaining_s=15.0), 15)
        limited(GARAGE, 10)
    limited(replace(WAIT, remaining_s=9.0), 6)
    await hass.async_block_till_done()
    assert set(kinds) == {"circuit_phase"}
    assert details == []
    shown = state(hass, entry, *LEFT, "1_limited_by")
    assert (shown.attributes["circuit"], shown.attributes["phase"]) == ("Garage", "L2")
    reason = "Current limit: Garage, L2; About to be raised"
    assert shown.attributes["reason"].startswith(reason)
    assert 0 < shown.attributes["remaining_s"] < 15


async def test_a_long_wait_is_told(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    limited: Callable[[Limit, float], SiteData],
    written: Callable[[str], list[str]],
) -> None:
    """After half a minute it is the reason, until there is another one."""
    limited(GARAGE, 5)
    kinds = written(entity_id(hass, entry, *LEFT, "1_limited_by"))
    details = written(entity_id(hass, entry, *LEFT, "1_limit_details"))
    limited(WAIT, 29)
    await hass.async_block_till_done()
    assert set(kinds) == {"circuit_phase"}
    limited(WAIT, 20)
    limited(GARAGE, 1)
    await hass.async_block_till_done()
    assert list(dict.fromkeys(kinds)) == ["circuit_phase", "raise_wait"]
    assert kinds[-1] == "circuit_phase"
    assert details == ["About to be raised", "Current limit: Garage, L2"]


async def test_any_other_reason_is_told_at_once(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    limited: Callable[[Limit, float], SiteData],
) -> None:
    """Failsafe, old readings, another circuit, the sun: all but the wait itself."""
    for kind in LimitKind:
        # Long enough that so many changes are no flood.
        limited(GARAGE, 8)
        limited(WAIT, 2)
        limited(Limit(kind=kind), 1)
        shown = state(hass, entry, *LEFT, "1_limited_by").state
        assert shown == ("circuit_phase" if kind is LimitKind.RAISE_WAIT else kind)


@pytest.mark.parametrize("kind", sorted(set(LimitKind) - HEIGHTS))
def test_what_is_over_is_not_told_any_longer(kind: LimitKind) -> None:
    """Once readings are fresh, the turn has come or the failsafe has ended, "about to be raised" is the truth."""
    steady = SteadyLimit()
    steady.shown(Limit(kind=kind), 1.0, None)
    assert steady.shown(WAIT, 2.0, None) == WAIT


async def test_what_a_person_changes_shows_at_once(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    push: Push,
    limited: Callable[[Limit, float], SiteData],
) -> None:
    """Who lets a car charge from the grid, or whose external limit ends, does not read the old reason."""
    coordinator = entry.runtime_data
    limited(Limit(kind=LimitKind.PV_SURPLUS), 5)
    data = coordinator.data
    changed = replace(data.site, margin_a=data.site.margin_a + 1)
    push(1.0, site=changed, decision=decided(data, "CP-LEFT:1", limited_by=WAIT))
    assert state(hass, entry, *LEFT, "1_limited_by").state == "raise_wait"

    push(1.0, observation={"external_limit_w": 4200.0})
    limited(Limit(kind=LimitKind.EXTERNAL_LIMIT), 5)
    limited(WAIT, 5)
    assert state(hass, entry, *LEFT, "1_limited_by").state == "external_limit"
    push(1.0, observation={"external_limit_w": None})
    assert state(hass, entry, *LEFT, "1_limited_by").state == "raise_wait"


def test_the_time_is_a_parameter() -> None:
    """With none, everything is told as it is."""
    steady = SteadyLimit(wait_shown_after_s=0.0)
    assert steady.shown(GARAGE, 1.0, None) == GARAGE
    assert steady.shown(WAIT, 1.0, None) == WAIT

"""A simulated charge point that takes its limits and says that others are in force."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.ocpp_server import Permit, composite
from simulator.site import Site

from .site import state, until
from .test_diagnostics import download
from .test_issues import shown


@pytest.mark.parametrize(("name", "tag"), [("CP16", "CARD-16"), ("CP201", "CARD-201")])
async def test_s8_another_limit_in_force_is_shown(
    hass: HomeAssistant,
    plant: tuple[Site, MockConfigEntry],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tag: str,
) -> None:
    """It is named with what it was told and what it says, until it says what it was told."""
    monkeypatch.setattr(composite, "READ_AFTER_S", 0.1)
    monkeypatch.setattr(composite, "_BETWEEN_S", 0.1)
    running, entry = plant
    charger = running.charge_points[name]
    charger.quirks.composite_ignores_limits = True
    (charge_point,) = (
        point for point in entry.runtime_data.charge_points.values() if point.id == name
    )
    await until(lambda: charge_point.floor_accepted, "not connected")
    charger.present(charger.outlets[0], tag)
    await until(lambda: charge_point.connectors[1].transaction is not None, "no car")
    charge_point.permit(1, Permit(limit_a=7))

    def found() -> ir.IssueEntry | None:
        return shown(hass).get("schedule_differs")

    await until(lambda: found() is not None, "not shown")
    issue = found()
    assert issue
    assert issue.is_fixable
    filled = issue.translation_placeholders
    assert filled
    assert (filled["site"], filled["connector"]) == ("Depot", name)
    assert (filled["told"], filled["in_force"]) == ("7 A", "16 A")
    sensor = state(hass, entry, "sensor", name, "problem")
    assert sensor.state == "schedule_differs"
    by_id = {
        item["id"]: item
        for item in (await download(hass, entry))["charge_points"].values()
    }
    assert by_id[name]["schedule_mismatches"]["1"]["in_force"] == 16

    charger.quirks.composite_ignores_limits = False
    # It is asked again with each permit that it takes, also with a mere renewal.
    charge_point.steering.renew(1)
    await until(lambda: found() is None, "still shown")
    assert state(hass, entry, "sensor", name, "problem").state == "none"

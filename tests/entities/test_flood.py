"""A charge point that reports far too much does not fill the database (S12)."""

from datetime import UTC, datetime

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems import entity, event as event_platform
from custom_components.reev_ems.ocpp_server import pace as messages_pace
from custom_components.reev_ems.site import pace

from .charger import Charger
from .site import entity_id, state
from .test_services import LEFT


async def test_s12_a_flood_of_events_and_states(
    hass: HomeAssistant, entry: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of two hundred events are written, and the next one tells how many were not; the last state is written."""
    monkeypatch.setattr(messages_pace, "RATE_PER_S", 1e6)
    monkeypatch.setattr(pace, "EVENT_PAUSE_S", 0.0)
    monkeypatch.setattr(entity, "NEWS_INTERVAL_S", 0.5)
    written: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        written.append(event.data["entity_id"])

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    security = entity_id(hass, entry, "event", LEFT, "security")
    status = entity_id(hass, entry, "sensor", LEFT, "1_status")
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:

        async def report() -> None:
            now = datetime.now(UTC).isoformat()
            await charger.call(
                "SecurityEventNotification", {"type": "X", "timestamp": now}
            )

        for number in range(200):
            await report()
            await charger.status("SuspendedEV" if number % 2 else "Charging")
        await charger.status("Preparing")
        assert written.count(security) == event_platform.EVENTS_AT_ONCE + 1
        assert written.count(status) <= entity.NEWS_AT_ONCE + 10
        await charger.until(
            lambda: state(hass, entry, "sensor", LEFT, "1_status").state == "plugged"
        )
        monkeypatch.setattr(event_platform, "EVENT_INTERVAL_S", 1e6)
        await report()
        attributes = state(hass, entry, "event", LEFT, "security").attributes
        assert attributes["suppressed"] == 200 - written.count(security) + 1

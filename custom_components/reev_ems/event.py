"""Events of the reev EMS integration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import ReevConfigEntry
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .ocpp_server import ChargePointEvent, TransactionEnded, TransactionStarted
from .parts import ConnectorPart, connector_parts

PARALLEL_UPDATES = 0

EVENT_STARTED = "started"
EVENT_ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class ReevEventDescription(
    EventEntityDescription, ReevEntityDescription[ConnectorPart]
):
    """Describes an event."""

    # What happened stands in the state machine already; a turn of the control loop adds nothing.
    value_fn: Callable[[ConnectorPart], None] = lambda _: None


SESSION = ReevEventDescription(
    key="session",
    translation_key="session",
    event_types=[EVENT_STARTED, EVENT_ENDED],
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the events of a site."""
    async_add_by_subentry(
        async_add_entities,
        [
            ReevSessionEvent(connector, SESSION)
            for connector in connector_parts(entry.runtime_data)
        ],
    )


class ReevSessionEvent(ReevEntity[ConnectorPart], EventEntity):
    """Says when a charging session begins and ends."""

    entity_description: ReevEventDescription

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the charge point."""
        await super().async_added_to_hass()
        self.async_on_remove(self.part.charge_point.subscribe(self._on_event))

    @callback
    def _on_event(self, event: ChargePointEvent) -> None:
        """Report a session of this connector."""
        if (
            not isinstance(event, TransactionStarted | TransactionEnded)
            or event.connector_id != self.part.number
        ):
            return
        transaction = event.transaction
        user = self.coordinator.people.user_of(transaction.id_tag)
        attributes: dict[str, Any] = {
            "session_id": transaction.id,
            "id_tag": transaction.id_tag,
            "user": user.name if user else None,
            "started_at": transaction.started_at.isoformat(),
        }
        if isinstance(event, TransactionStarted):
            self._trigger_event(EVENT_STARTED, attributes)
        else:
            attributes |= {"energy_wh": transaction.energy_wh, "reason": event.reason}
            self._trigger_event(EVENT_ENDED, attributes)
        self.async_write_ha_state()

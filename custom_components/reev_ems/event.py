"""Events of the reev EMS integration."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .charge_points.uploads import upload_signal
from .coordinator import ReevConfigEntry, ReevCoordinator
from .energy_management.decision import Issue, IssueKind
from .entity import ReevEntity, ReevEntityDescription, async_add_by_subentry
from .ocpp_server import (
    ChargePointEvent,
    SecurityEventReported,
    TagRefused,
    TransactionEnded,
    TransactionStarted,
    UploadStatusChanged,
)
from .parts.base import SitePart, circuit_parts, site_part
from .parts.charge_point import (
    ChargePointPart,
    ConnectorPart,
    charge_point_parts,
    connector_parts,
)
from .site.access import masked

PARALLEL_UPDATES = 0

EVENT_STARTED = "started"
EVENT_ENDED = "ended"


EVENT_UPLOADING = "uploading"
EVENT_UPLOADED = "uploaded"
EVENT_FAILED = "failed"
EVENT_RECEIVED = "received"

EVENT_REPORTED = "reported"

EVENT_REFUSED = "refused"

EVENT_BEGAN = "began"

# So many events of one kind at one place are reported at once, and of more one in half a minute.
EVENTS_AT_ONCE = 20
EVENT_INTERVAL_S = 30.0

# What OCPP calls the steps of an upload; every other word but "Idle" says that it failed.
_UPLOAD_STEPS = {"Uploading": EVENT_UPLOADING, "Uploaded": EVENT_UPLOADED}
_UPLOAD_IDLE = "Idle"


@dataclass(frozen=True, kw_only=True)
class ReevEventDescription[PartT: SitePart](
    EventEntityDescription, ReevEntityDescription[PartT]
):
    """Describes an event."""

    # What happened stands in the state machine already; a turn of the control loop adds nothing.
    value_fn: Callable[[PartT], None] = lambda _: None


SESSION: ReevEventDescription[ConnectorPart] = ReevEventDescription(
    key="session",
    translation_key="session",
    event_types=[EVENT_STARTED, EVENT_ENDED],
)

ID_TAG: ReevEventDescription[ChargePointPart] = ReevEventDescription(
    key="id_tag",
    translation_key="id_tag",
    event_types=[EVENT_REFUSED],
)

UPLOAD: ReevEventDescription[ChargePointPart] = ReevEventDescription(
    key="upload",
    translation_key="upload",
    entity_category=EntityCategory.DIAGNOSTIC,
    event_types=[EVENT_UPLOADING, EVENT_UPLOADED, EVENT_FAILED, EVENT_RECEIVED],
)

OVERLOAD: ReevEventDescription[SitePart] = ReevEventDescription(
    key="overload",
    translation_key="overload",
    event_types=[EVENT_BEGAN, EVENT_ENDED],
)

SECURITY: ReevEventDescription[ChargePointPart] = ReevEventDescription(
    key="security",
    translation_key="security",
    entity_category=EntityCategory.DIAGNOSTIC,
    event_types=[EVENT_REPORTED],
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ReevConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the events of a site."""
    await async_add_by_subentry(async_add_entities, _entities(entry.runtime_data))


def _entities(coordinator: ReevCoordinator) -> Iterator[ReevEntity[Any]]:
    """Return the events of a site."""
    yield ReevOverloadEvent(site_part(coordinator), OVERLOAD)
    for circuit in circuit_parts(coordinator):
        yield ReevOverloadEvent(circuit, OVERLOAD)
    yield from (
        ReevSessionEvent(connector, SESSION)
        for connector in connector_parts(coordinator)
    )
    for charge_point in charge_point_parts(coordinator):
        yield ReevTagEvent(charge_point, ID_TAG)
        yield ReevUploadEvent(charge_point, UPLOAD)
        yield ReevSecurityEvent(charge_point, SECURITY)


class ReevOverloadEvent(ReevEntity[SitePart], EventEntity):
    """Says when a circuit is found overloaded, and when it is so no longer (S13)."""

    entity_description: ReevEventDescription[SitePart]
    _issue: Issue | None = None
    """What was found at the last turn of the control loop."""

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to every turn: an event that nobody looked at in time would be lost."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_add_listener(self._on_turn))

    @callback
    def _on_turn(self) -> None:
        """Report what has changed."""
        before, self._issue = self._issue, self._found()
        if (before is None) is (self._issue is None):
            return
        if self._issue is None:
            self._trigger_event(EVENT_ENDED)
        else:
            self._trigger_event(
                EVENT_BEGAN,
                {"phase": self._issue.phase, "over_a": self._issue.value},
            )
        self.async_write_ha_state()

    def _found(self) -> Issue | None:
        """Return the circuit's overload; None: it has none."""
        return next(
            (
                issue
                for issue in self.part.data.decision.issues
                if issue.kind is IssueKind.OVERLOADED
                and issue.circuit == self.part.circuit.id
            ),
            None,
        )


class ReevEvent[PartT: ChargePointPart](ReevEntity[PartT], EventEntity):
    """Says what happened at a charge point."""

    entity_description: ReevEventDescription[PartT]
    _free_s: float = float("-inf")
    _suppressed: int = 0

    @callback
    def report(self, kind: str, attributes: dict[str, Any]) -> None:
        """Report what happened, unless too much does: a flood of events must not fill the database.

        The next event that is reported says how many were not.
        """
        now_s = monotonic()
        if now_s < self._free_s - EVENTS_AT_ONCE * EVENT_INTERVAL_S:
            self._suppressed += 1
            return
        self._free_s = max(self._free_s, now_s) + EVENT_INTERVAL_S
        if self._suppressed:
            attributes = attributes | {"suppressed": self._suppressed}
            self._suppressed = 0
        self._trigger_event(kind, attributes)
        self.async_write_ha_state()

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the charge point."""
        await super().async_added_to_hass()
        self.async_on_remove(self.part.charge_point.subscribe(self._on_event))

    @abstractmethod
    def _on_event(self, event: ChargePointEvent) -> None:
        """Report what this entity is about."""


class ReevSessionEvent(ReevEvent[ConnectorPart]):
    """Says when a charging session begins and ends."""

    @callback
    @override
    def _on_event(self, event: ChargePointEvent) -> None:
        """Report a session of this connector."""
        if (
            not isinstance(event, TransactionStarted | TransactionEnded)
            or event.connector_id != self.part.number
        ):
            return
        transaction = event.transaction
        user = transaction.user
        attributes: dict[str, Any] = {
            "session_id": transaction.id,
            "id_tag": masked(transaction.id_tag),
            "user": user.name if user else None,
            "user_id": user.id if user else None,
            "started_at": transaction.started_at.isoformat(),
        }
        if isinstance(event, TransactionStarted):
            self.report(EVENT_STARTED, attributes)
        else:
            attributes |= {"energy_wh": transaction.energy_wh, "reason": event.reason}
            self.report(EVENT_ENDED, attributes)


class ReevTagEvent(ReevEvent[ChargePointPart]):
    """Says when an id tag was presented that may not charge."""

    @callback
    @override
    def _on_event(self, event: ChargePointEvent) -> None:
        """Report a refusal."""
        if not isinstance(event, TagRefused):
            return
        user = self.coordinator.people.user_of(event.id_tag)
        self.report(
            EVENT_REFUSED,
            {
                "id_tag": masked(event.id_tag),
                "user": user.name if user else None,
                "user_id": user.id if user else None,
            },
        )


class ReevUploadEvent(ReevEvent[ChargePointPart]):
    """Says how an upload goes that was asked for, and where the file is that Home Assistant received."""

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the receiver, too."""
        await super().async_added_to_hass()
        self.async_on_remove(
            async_dispatcher_connect(
                self.hass, upload_signal(self.part.subentry_id), self._on_received
            )
        )

    @callback
    def _on_received(self, path: str) -> None:
        """Report a file."""
        self.report(EVENT_RECEIVED, {"path": path})

    @callback
    @override
    def _on_event(self, event: ChargePointEvent) -> None:
        """Report how far the charge point is."""
        if isinstance(event, UploadStatusChanged) and event.status != _UPLOAD_IDLE:
            kind = _UPLOAD_STEPS.get(event.status, EVENT_FAILED)
            self.report(kind, {"status": event.status})


class ReevSecurityEvent(ReevEvent[ChargePointPart]):
    """Says what a charge point noticed that matters for security."""

    @callback
    @override
    def _on_event(self, event: ChargePointEvent) -> None:
        """Report it."""
        if isinstance(event, SecurityEventReported):
            self.report(
                EVENT_REPORTED,
                {
                    "kind": event.kind,
                    "detail": event.detail,
                    "at": event.at.isoformat(),
                },
            )

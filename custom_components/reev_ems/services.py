"""Actions of the reev EMS integration."""

from datetime import datetime, timedelta

from homeassistant.components.select import DOMAIN as SELECT_DOMAIN
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_ENTITY_ID, ENTITY_MATCH_ALL
from homeassistant.core import (
    EntityServiceResponse,
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.service import (
    async_extract_config_entry_ids,
    entity_service_call,
)
from homeassistant.helpers.typing import VolDictType
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonObjectType
import probatio

from .charge_points.actions import async_setup_charge_point_actions
from .charge_points.listener import DATA
from .const import DOMAIN
from .coordinator import ReevConfigEntry
from .parts.charge_point import ConnectorPart, connector_parts
from .sessions import SessionRecord
from .site.access import async_is_administrator, own_user_id
from .site.build import connector_id
from .site.names import connector_names
from .site.reloading import async_loaded_entry, async_wait_for_reload

SERVICE_GET_DECISIONS = "get_decisions"
SERVICE_GET_SESSIONS = "get_sessions"
SERVICE_REMOTE_START = "remote_start"
SERVICE_REMOTE_STOP = "remote_stop"
SERVICE_SELF_TEST = "self_test"
SERVICE_SET_AVAILABILITY = "set_availability"
SERVICE_RESERVE = "reserve"
SERVICE_CANCEL_RESERVATION = "cancel_reservation"

ATTR_AVAILABLE = "available"
ATTR_BEFORE = "before"
ATTR_DURATION = "duration"
ATTR_END = "end"
ATTR_ID_TAG = "id_tag"
ATTR_LIMIT = "limit"
ATTR_START = "start"

# Long enough to drive there.
DEFAULT_RESERVATION = timedelta(minutes=30)

# More sessions in one answer make it unwieldy.
MAX_SESSIONS = 1000

# OCPP 1.6: CiString20Type.
ID_TAG = probatio.All(cv.string, probatio.Length(min=1, max=20))

SITE_SCHEMA = probatio.Schema({probatio.Optional(ATTR_CONFIG_ENTRY_ID): str})
SESSIONS_SCHEMA = SITE_SCHEMA.extend(
    {
        probatio.Optional(ATTR_START): cv.datetime,
        probatio.Optional(ATTR_END): cv.datetime,
        probatio.Optional(ATTR_ID_TAG): ID_TAG,
        probatio.Optional(ATTR_LIMIT, default=MAX_SESSIONS): probatio.All(
            probatio.Coerce(int), probatio.Range(min=1, max=MAX_SESSIONS)
        ),
        probatio.Optional(ATTR_BEFORE): probatio.All(
            probatio.Coerce(int), probatio.Range(min=1)
        ),
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""
    hass.services.async_register(
        DOMAIN,
        SERVICE_GET_DECISIONS,
        _get_decisions,
        schema=SITE_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN,
        SERVICE_GET_SESSIONS,
        _get_sessions,
        schema=SESSIONS_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    _register(hass, SERVICE_REMOTE_START, {probatio.Optional(ATTR_ID_TAG): ID_TAG})
    _register(hass, SERVICE_REMOTE_STOP, None)
    _register(
        hass,
        SERVICE_SET_AVAILABILITY,
        {probatio.Required(ATTR_AVAILABLE): cv.boolean},
    )
    _register(
        hass,
        SERVICE_SELF_TEST,
        None,
        supports_response=SupportsResponse.OPTIONAL,
    )
    _register(
        hass,
        SERVICE_RESERVE,
        {
            probatio.Required(ATTR_ID_TAG): ID_TAG,
            probatio.Optional(ATTR_DURATION, default=DEFAULT_RESERVATION): probatio.All(
                cv.time_period, cv.positive_timedelta
            ),
        },
    )
    _register(hass, SERVICE_CANCEL_RESERVATION, None)
    async_setup_charge_point_actions(hass)


@callback
def _register(
    hass: HomeAssistant,
    name: str,
    schema: VolDictType | None,
    *,
    supports_response: SupportsResponse = SupportsResponse.NONE,
) -> None:
    """Register an action on connectors, which their selects carry out: every connector has one, and nothing else has.

    While a site is being reloaded its entities are gone: the action waits for them instead of reaching nobody.
    """

    @callback
    def selects() -> dict[str, Entity]:
        """Return those of all connectors."""
        return {
            entity_id: entity
            for platform in async_get_platforms(hass, DOMAIN)
            if platform.domain == SELECT_DOMAIN
            for entity_id, entity in platform.entities.items()
        }

    async def handle(call: ServiceCall) -> EntityServiceResponse | None:
        """Carry it out once the sites that it is about are loaded."""
        meant = await async_extract_config_entry_ids(call)
        await async_wait_for_reload(
            hass, None if call.data.get(ATTR_ENTITY_ID) == ENTITY_MATCH_ALL else meant
        )
        return await entity_service_call(hass, selects, f"async_{name}", call)

    hass.services.async_register(
        DOMAIN,
        name,
        handle,
        cv.make_entity_service_schema(schema),
        supports_response,
    )


async def _get_decisions(call: ServiceCall) -> ServiceResponse:
    """Return what every connector is allowed now, and why."""
    coordinator = (await _entry(call)).runtime_data
    decision = coordinator.data.decision
    return {
        "state": str(decision.state),
        "pv_surplus_w": decision.surplus_w,
        "connectors": {
            connector.id: _decision(connector)
            for connector in connector_parts(coordinator)
        },
    }


def _decision(connector: ConnectorPart) -> JsonObjectType:
    """Return the decision about a connector."""
    answer: JsonObjectType = {
        "name": connector.name,
        "status": connector.status,
        "charging_mode": str(connector.controls.mode),
        "priority": connector.controls.priority,
    }
    answer["permit_w" if connector.is_dc else "permit_a"] = connector.permit
    if limit := connector.limit:
        answer["limited_by"] = str(limit.kind)
        answer["reason"] = str(limit)
    return answer


async def _get_sessions(call: ServiceCall) -> ServiceResponse:
    """Return the newest charging sessions of a site that began in a span of time, and whether there are more.

    A user of the site gets his own.
    """
    entry = await _entry(call)
    own_id = None
    if not await async_is_administrator(call.hass, call.context):
        own_id = own_user_id(call.hass, entry, call.context)
        if own_id is None:
            raise Unauthorized(context=call.context)
    names = connector_names(entry)
    ids = {point.id for point in entry.runtime_data.charge_points.values()}
    limit = call.data[ATTR_LIMIT]
    found = await call.hass.data[DATA].sessions.history(
        since=_utc(call.data.get(ATTR_START)),
        until=_utc(call.data.get(ATTR_END)),
        charge_point_ids=ids,
        id_tag=call.data.get(ATTR_ID_TAG),
        user_id=own_id,
        before=call.data.get(ATTR_BEFORE),
        limit=limit + 1,
    )
    records = found[-limit:]
    more = len(found) > limit
    return {
        "sessions": [_session(record, names) for record in records],
        "more": more,
        "next_before": records[0].id if more else None,
    }


def _session(record: SessionRecord, names: dict[str, str]) -> JsonObjectType:
    """Return a charging session."""
    item_id = connector_id(record.charge_point_id, record.connector_id)
    stopped_at = record.stopped_at
    return {
        "id": record.id,
        "connector": item_id,
        "name": names.get(item_id),
        "id_tag": record.id_tag,
        "user": record.user_name,
        "user_id": record.user_id,
        "started_at": record.started_at.isoformat(),
        "stopped_at": stopped_at.isoformat() if stopped_at else None,
        "energy_wh": record.energy_wh,
        "stop_reason": record.stop_reason,
        "end_contradicted": record.contradicted,
        "start_reported": record.start_reported,
        "merged": record.merged,
    }


def _utc(local: datetime | None) -> datetime | None:
    """Return a point in time that a person gave in the local time zone."""
    return dt_util.as_utc(local) if local else None


async def _entry(call: ServiceCall) -> ReevConfigEntry:
    """Return the site that an action is about."""
    return await async_loaded_entry(call.hass, call.data.get(ATTR_CONFIG_ENTRY_ID))

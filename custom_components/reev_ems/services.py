"""Actions of the reev EMS integration."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, cast

from homeassistant.components.select import DOMAIN as SELECT_DOMAIN
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.service import (
    async_get_config_entry,
    async_register_admin_service,
    async_register_platform_entity_service,
)
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonObjectType
import probatio

from .const import DOMAIN
from .coordinator import ReevConfigEntry
from .errors import charge_point_errors
from .listener import DATA
from .names import connector_names
from .parts import ChargePointPart, ConnectorPart, charge_point_parts, connector_parts
from .sessions import SessionRecord
from .site import connector_id

SERVICE_GET_DECISIONS = "get_decisions"
SERVICE_GET_SESSIONS = "get_sessions"
SERVICE_REMOTE_START = "remote_start"
SERVICE_REMOTE_STOP = "remote_stop"
SERVICE_SELF_TEST = "self_test"
SERVICE_SET_AVAILABILITY = "set_availability"
SERVICE_RESET = "reset"
SERVICE_TRIGGER_MESSAGE = "trigger_message"
SERVICE_GET_CONFIGURATION = "get_configuration"
SERVICE_SET_CONFIGURATION = "set_configuration"
SERVICE_CALL_OCPP = "call_ocpp"

ATTR_ACTION = "action"
ATTR_AVAILABLE = "available"
ATTR_END = "end"
ATTR_HARD = "hard"
ATTR_ID_TAG = "id_tag"
ATTR_KEY = "key"
ATTR_KEYS = "keys"
ATTR_MESSAGE = "message"
ATTR_PAYLOAD = "payload"
ATTR_START = "start"
ATTR_VALUE = "value"

# OCPP 1.6: CiString20Type.
ID_TAG = probatio.All(cv.string, probatio.Length(min=1, max=20))

SITE_SCHEMA = probatio.Schema({probatio.Optional(ATTR_CONFIG_ENTRY_ID): str})
SESSIONS_SCHEMA = SITE_SCHEMA.extend(
    {
        probatio.Optional(ATTR_START): cv.datetime,
        probatio.Optional(ATTR_END): cv.datetime,
        probatio.Optional(ATTR_ID_TAG): ID_TAG,
    }
)
CHARGE_POINT_SCHEMA = probatio.Schema({probatio.Required(ATTR_DEVICE_ID): str})

type ChargePointAction = Callable[
    [ChargePointPart, dict[str, Any]], Awaitable[dict[str, Any]]
]


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
    # Every connector has exactly one select, and nothing else has.
    async_register_platform_entity_service(
        hass,
        DOMAIN,
        SERVICE_REMOTE_START,
        entity_domain=SELECT_DOMAIN,
        schema={probatio.Optional(ATTR_ID_TAG): ID_TAG},
        func="async_remote_start",
    )
    async_register_platform_entity_service(
        hass,
        DOMAIN,
        SERVICE_REMOTE_STOP,
        entity_domain=SELECT_DOMAIN,
        schema=None,
        func="async_remote_stop",
    )
    async_register_platform_entity_service(
        hass,
        DOMAIN,
        SERVICE_SET_AVAILABILITY,
        entity_domain=SELECT_DOMAIN,
        schema={probatio.Required(ATTR_AVAILABLE): cv.boolean},
        func="async_set_availability",
    )
    async_register_platform_entity_service(
        hass,
        DOMAIN,
        SERVICE_SELF_TEST,
        entity_domain=SELECT_DOMAIN,
        schema=None,
        func="async_self_test",
        supports_response=SupportsResponse.OPTIONAL,
    )
    for name, fields, action, response in CHARGE_POINT_ACTIONS:
        _register_charge_point_action(hass, name, fields, action, response)


async def _get_decisions(call: ServiceCall) -> ServiceResponse:
    """Return what every connector is allowed now, and why."""
    coordinator = _entry(call).runtime_data
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
        "status": str(connector.state),
        "charging_mode": str(connector.controls.mode),
        "priority": connector.controls.priority,
    }
    answer["permit_w" if connector.is_dc else "permit_a"] = connector.permit
    if limit := connector.limit:
        answer["limited_by"] = str(limit.kind)
        answer["reason"] = str(limit)
    return answer


async def _get_sessions(call: ServiceCall) -> ServiceResponse:
    """Return the charging sessions of a site that began in a span of time."""
    entry = _entry(call)
    names = connector_names(entry)
    ids = {point.id for point in entry.runtime_data.charge_points.values()}
    records = await call.hass.data[DATA].sessions.history(
        since=_utc(call.data.get(ATTR_START)),
        until=_utc(call.data.get(ATTR_END)),
        id_tag=call.data.get(ATTR_ID_TAG),
    )
    return {
        "sessions": [
            _session(record, names)
            for record in records
            if record.charge_point_id in ids
        ]
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
        "started_at": record.started_at.isoformat(),
        "stopped_at": stopped_at.isoformat() if stopped_at else None,
        "energy_wh": record.energy_wh,
        "stop_reason": record.stop_reason,
    }


def _utc(local: datetime | None) -> datetime | None:
    """Return a point in time that a person gave in the local time zone."""
    return dt_util.as_utc(local) if local else None


def _entry(call: ServiceCall) -> ReevConfigEntry:
    """Return the site that an action is about."""
    entry: ReevConfigEntry = async_get_config_entry(
        call.hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID)
    )
    return entry


async def _reset(part: ChargePointPart, data: dict[str, Any]) -> dict[str, Any]:
    """Restart a charge point."""
    return {"status": await part.charge_point.reset(hard=data[ATTR_HARD])}


async def _trigger(part: ChargePointPart, data: dict[str, Any]) -> dict[str, Any]:
    """Ask a charge point to send a message."""
    return {"status": await part.charge_point.trigger(data[ATTR_MESSAGE])}


async def _get_configuration(
    part: ChargePointPart, data: dict[str, Any]
) -> dict[str, Any]:
    """Read a charge point's configuration."""
    return {"configuration": await part.charge_point.get_configuration(data[ATTR_KEYS])}


async def _set_configuration(
    part: ChargePointPart, data: dict[str, Any]
) -> dict[str, Any]:
    """Write a charge point's configuration."""
    status = await part.charge_point.change_configuration(
        data[ATTR_KEY], data[ATTR_VALUE]
    )
    return {"status": status}


async def _call_ocpp(part: ChargePointPart, data: dict[str, Any]) -> dict[str, Any]:
    """Send any request to a charge point."""
    return await part.charge_point.raw_call(data[ATTR_ACTION], data[ATTR_PAYLOAD])


CHARGE_POINT_ACTIONS: tuple[
    tuple[str, dict[Any, Any], ChargePointAction, SupportsResponse], ...
] = (
    (
        SERVICE_RESET,
        {probatio.Optional(ATTR_HARD, default=False): cv.boolean},
        _reset,
        SupportsResponse.OPTIONAL,
    ),
    (
        SERVICE_TRIGGER_MESSAGE,
        {probatio.Required(ATTR_MESSAGE): cv.string},
        _trigger,
        SupportsResponse.OPTIONAL,
    ),
    (
        SERVICE_GET_CONFIGURATION,
        {
            probatio.Optional(ATTR_KEYS, default=list): probatio.All(
                cv.ensure_list, [cv.string]
            )
        },
        _get_configuration,
        SupportsResponse.ONLY,
    ),
    (
        SERVICE_SET_CONFIGURATION,
        {
            probatio.Required(ATTR_KEY): cv.string,
            probatio.Required(ATTR_VALUE): cv.string,
        },
        _set_configuration,
        SupportsResponse.OPTIONAL,
    ),
    (
        SERVICE_CALL_OCPP,
        {
            probatio.Required(ATTR_ACTION): cv.string,
            probatio.Optional(ATTR_PAYLOAD, default=dict): dict,
        },
        _call_ocpp,
        SupportsResponse.OPTIONAL,
    ),
)


def _register_charge_point_action(
    hass: HomeAssistant,
    name: str,
    fields: dict[Any, Any],
    action: ChargePointAction,
    response: SupportsResponse,
) -> None:
    """Register an action on a charge point's device; only administrators may reconfigure chargers."""

    async def run(call: ServiceCall) -> ServiceResponse:
        """Ask the charge point."""
        part = _charge_point(hass, call.data[ATTR_DEVICE_ID])
        with charge_point_errors(part):
            answer = await action(part, dict(call.data))
        return cast("JsonObjectType", answer) if call.return_response else None

    async_register_admin_service(
        hass,
        DOMAIN,
        name,
        run,
        schema=CHARGE_POINT_SCHEMA.extend(fields),
        supports_response=response,
    )


def _charge_point(hass: HomeAssistant, device_id: str) -> ChargePointPart:
    """Return the charge point that a device is, or is a connector of."""
    device = dr.async_get(hass).async_get(device_id)
    if device is not None and any(domain == DOMAIN for domain, _ in device.identifiers):
        entry: ReevConfigEntry = async_get_config_entry(
            hass, DOMAIN, device.config_entry_id
        )
        for part in charge_point_parts(entry.runtime_data):
            if part.subentry_id == device.config_subentry_id:
                return part
    raise ServiceValidationError(
        translation_domain=DOMAIN, translation_key="not_a_charge_point"
    )

"""Actions of the reev EMS integration."""

from homeassistant.components.select import DOMAIN as SELECT_DOMAIN
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import (
    async_get_config_entry,
    async_register_platform_entity_service,
)
from homeassistant.util.json import JsonObjectType
import probatio

from .const import DOMAIN
from .coordinator import ReevConfigEntry
from .parts import ConnectorPart, connector_parts

SERVICE_GET_DECISIONS = "get_decisions"
SERVICE_REMOTE_START = "remote_start"
SERVICE_REMOTE_STOP = "remote_stop"

ATTR_ID_TAG = "id_tag"

SITE_SCHEMA = probatio.Schema({probatio.Optional(ATTR_CONFIG_ENTRY_ID): str})

# OCPP 1.6: CiString20Type.
ID_TAG = probatio.All(cv.string, probatio.Length(min=1, max=20))


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions."""

    async def get_decisions(call: ServiceCall) -> ServiceResponse:
        """Return what every connector is allowed now, and why."""
        entry: ReevConfigEntry = async_get_config_entry(
            hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID)
        )
        coordinator = entry.runtime_data
        decision = coordinator.data.decision
        return {
            "state": str(decision.state),
            "pv_surplus_w": decision.surplus_w,
            "connectors": {
                connector.id: _decision(connector)
                for connector in connector_parts(coordinator)
            },
        }

    hass.services.async_register(
        DOMAIN,
        SERVICE_GET_DECISIONS,
        get_decisions,
        schema=SITE_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
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

"""The actions on a charge point: what it is asked over OCPP, and what it answers."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonObjectType
import probatio

from ..const import (
    CONF_ENABLED,
    CONF_ID_TAGS,
    CONF_PASSWORD,
    CONF_URL,
    DOMAIN,
    SUBENTRY_USER,
)
from ..ocpp_server import CallError, CertificateUse, LogKind
from ..parts.charge_point import ChargePointPart, charge_point_parts
from ..site.reloading import async_loaded_entry
from .errors import charge_point_errors
from .passwords import PASSWORD_LENGTHS, async_change_password
from .security import async_authority
from .uploads import async_receive_upload

ATTR_ACTION = "action"
ATTR_AT = "at"
ATTR_AVAILABLE = "available"
ATTR_CERTIFICATE = "certificate"
ATTR_DATA = "data"
ATTR_HARD = "hard"
ATTR_ID_TAGS = "id_tags"
ATTR_KEY = "key"
ATTR_KEYS = "keys"
ATTR_KIND = "kind"
ATTR_MESSAGE = "message"
ATTR_MESSAGE_ID = "message_id"
ATTR_NUMBER = "connector"
ATTR_PAYLOAD = "payload"
ATTR_VALUE = "value"
ATTR_VENDOR_ID = "vendor_id"

KIND_DIAGNOSTICS = "diagnostics"
KIND_SECURITY = "security"

type Answer = dict[str, Any]
type Run = Callable[[ChargePointPart, dict[str, Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePointAction:
    """An action on a charge point's device."""

    name: str
    run: Run
    fields: dict[Any, Any]
    response: SupportsResponse = SupportsResponse.OPTIONAL


async def _reset(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Restart a charge point."""
    return {"status": await part.charge_point.reset(hard=data[ATTR_HARD])}


async def _set_availability(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Take a whole charge point into or out of service."""
    status = await part.charge_point.set_availability(0, data[ATTR_AVAILABLE])
    return {"status": status}


async def _trigger(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Ask a charge point to send a message."""
    status = await part.charge_point.trigger(data[ATTR_MESSAGE], data.get(ATTR_NUMBER))
    return {"status": status}


async def _get_configuration(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Read a charge point's configuration."""
    return {"configuration": await part.charge_point.get_configuration(data[ATTR_KEYS])}


async def _set_configuration(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Write a charge point's configuration."""
    status = await part.charge_point.change_configuration(
        data[ATTR_KEY], data[ATTR_VALUE]
    )
    return {"status": status}


async def _change_password(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Give a charge point another password; one that was generated is in the answer, and nowhere else."""
    status, password = await async_change_password(part, data.get(CONF_PASSWORD))
    answer = {"status": status}
    return answer if CONF_PASSWORD in data else answer | {CONF_PASSWORD: password}


async def _clear_cache(part: ChargePointPart, _: dict[str, Any]) -> Answer:
    """Let a charge point forget the id tags that it keeps."""
    return {"status": await part.charge_point.clear_cache()}


async def _send_local_list(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Replace the id tags that may charge while the charge point is offline; without any, by those of all users."""
    id_tags = data.get(ATTR_ID_TAGS)
    if id_tags is None:
        id_tags = [
            id_tag
            for user in part.coordinator.config_entry.get_subentries_of_type(
                SUBENTRY_USER
            )
            if user.data[CONF_ENABLED]
            for id_tag in user.data[CONF_ID_TAGS]
        ]
    version = await part.charge_point.local_list_version()
    if version < 0:
        raise CallError("unsupported")
    version += 1
    status = await part.charge_point.send_local_list(
        dict.fromkeys(id_tags, True), version
    )
    return {"status": status, "version": version, "id_tags": len(id_tags)}


async def _update_firmware(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Let a charge point fetch firmware and install it."""
    at = data.get(ATTR_AT)
    status = await part.charge_point.update_firmware(
        data[CONF_URL], dt_util.as_utc(at) if at else datetime.now(UTC)
    )
    return {"status": status}


async def _get_diagnostics(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Let a charge point upload its diagnostics: to an address, or to this Home Assistant."""
    receiver = None
    if (url := data.get(CONF_URL)) is None:
        receiver = async_receive_upload(part)
        url = receiver.url
    try:
        if data[ATTR_KIND] == KIND_SECURITY:
            file_name = await part.charge_point.get_log(LogKind.SECURITY, url)
        else:
            file_name = await part.charge_point.get_diagnostics(url)
    except CallError:
        if receiver is not None:
            receiver.close()
        raise
    answer: Answer = {"file_name": file_name}
    return answer | {"folder": str(receiver.folder)} if receiver else answer


async def _install_certificate(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Let a charge point trust an authority: the one given, or ours."""
    certificate = data.get(ATTR_CERTIFICATE)
    if certificate is None:
        try:
            authority = await async_authority(part.coordinator.hass)
        except (OSError, ValueError) as err:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="certificate_unusable",
                translation_placeholders={"detail": str(err)},
            ) from err
        certificate = authority.pem.decode()
    status = await part.charge_point.install_certificate(
        CertificateUse.CENTRAL_SYSTEM, certificate
    )
    return {"status": status}


async def _renew_certificate(part: ChargePointPart, _: dict[str, Any]) -> Answer:
    """Let a charge point ask for a certificate of its own, which our authority signs."""
    return {"status": await part.charge_point.renew_certificate()}


async def _data_transfer(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Send a charge point a message of its vendor."""
    return await part.charge_point.data_transfer(
        data[ATTR_VENDOR_ID], data.get(ATTR_MESSAGE_ID), data.get(ATTR_DATA)
    )


async def _call_ocpp(part: ChargePointPart, data: dict[str, Any]) -> Answer:
    """Send any request to a charge point."""
    return await part.charge_point.raw_call(data[ATTR_ACTION], data[ATTR_PAYLOAD])


ACTIONS: tuple[ChargePointAction, ...] = (
    ChargePointAction(
        name="reset",
        run=_reset,
        fields={probatio.Optional(ATTR_HARD, default=False): cv.boolean},
    ),
    ChargePointAction(
        name="set_charge_point_availability",
        run=_set_availability,
        fields={probatio.Required(ATTR_AVAILABLE): cv.boolean},
    ),
    ChargePointAction(
        name="trigger_message",
        run=_trigger,
        fields={
            probatio.Required(ATTR_MESSAGE): cv.string,
            probatio.Optional(ATTR_NUMBER): cv.positive_int,
        },
    ),
    ChargePointAction(
        name="get_configuration",
        run=_get_configuration,
        fields={
            probatio.Optional(ATTR_KEYS, default=list): probatio.All(
                cv.ensure_list, [cv.string]
            )
        },
        response=SupportsResponse.ONLY,
    ),
    ChargePointAction(
        name="set_configuration",
        run=_set_configuration,
        fields={
            probatio.Required(ATTR_KEY): cv.string,
            probatio.Required(ATTR_VALUE): cv.string,
        },
    ),
    ChargePointAction(
        name="change_password",
        run=_change_password,
        fields={
            probatio.Optional(CONF_PASSWORD): probatio.All(
                cv.string,
                probatio.Length(min=min(PASSWORD_LENGTHS), max=max(PASSWORD_LENGTHS)),
            )
        },
        # A generated password that nobody is told would be lost.
        response=SupportsResponse.ONLY,
    ),
    ChargePointAction(name="clear_cache", run=_clear_cache, fields={}),
    ChargePointAction(
        name="send_local_list",
        run=_send_local_list,
        fields={
            probatio.Optional(ATTR_ID_TAGS): probatio.All(
                cv.ensure_list,
                [probatio.All(cv.string, probatio.Length(min=1, max=20))],
            )
        },
    ),
    ChargePointAction(
        name="update_firmware",
        run=_update_firmware,
        fields={
            probatio.Required(CONF_URL): cv.string,
            probatio.Optional(ATTR_AT): cv.datetime,
        },
    ),
    ChargePointAction(
        name="get_diagnostics",
        run=_get_diagnostics,
        fields={
            probatio.Optional(CONF_URL): cv.string,
            probatio.Optional(ATTR_KIND, default=KIND_DIAGNOSTICS): probatio.In(
                (KIND_DIAGNOSTICS, KIND_SECURITY)
            ),
        },
    ),
    ChargePointAction(
        name="install_certificate",
        run=_install_certificate,
        fields={probatio.Optional(ATTR_CERTIFICATE): cv.string},
    ),
    ChargePointAction(name="renew_certificate", run=_renew_certificate, fields={}),
    ChargePointAction(
        name="data_transfer",
        run=_data_transfer,
        fields={
            probatio.Required(ATTR_VENDOR_ID): cv.string,
            probatio.Optional(ATTR_MESSAGE_ID): cv.string,
            probatio.Optional(ATTR_DATA): cv.string,
        },
    ),
    ChargePointAction(
        name="call_ocpp",
        run=_call_ocpp,
        fields={
            probatio.Required(ATTR_ACTION): cv.string,
            probatio.Optional(ATTR_PAYLOAD, default=dict): dict,
        },
    ),
)


@callback
def async_setup_charge_point_actions(hass: HomeAssistant) -> None:
    """Register the actions; only administrators may reconfigure chargers."""
    for action in ACTIONS:
        async_register_admin_service(
            hass,
            DOMAIN,
            action.name,
            _handler(hass, action.run),
            schema=probatio.Schema(
                {probatio.Required(ATTR_DEVICE_ID): str, **action.fields}
            ),
            supports_response=action.response,
        )


def _handler(
    hass: HomeAssistant, run: Run
) -> Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]:
    """Return what carries an action out."""

    async def handle(call: ServiceCall) -> ServiceResponse:
        """Ask the charge point."""
        part = await _charge_point(hass, call.data[ATTR_DEVICE_ID])
        with charge_point_errors(part):
            answer = await run(part, dict(call.data))
        return cast("JsonObjectType", answer) if call.return_response else None

    return handle


async def _charge_point(hass: HomeAssistant, device_id: str) -> ChargePointPart:
    """Return the charge point that a device is, or is a connector of."""
    device = dr.async_get(hass).async_get(device_id)
    if device is not None and any(domain == DOMAIN for domain, _ in device.identifiers):
        entry = await async_loaded_entry(hass, device.config_entry_id)
        for part in charge_point_parts(entry.runtime_data):
            if part.subentry_id == device.config_subentry_id:
                return part
    raise ServiceValidationError(
        translation_domain=DOMAIN, translation_key="not_a_charge_point"
    )

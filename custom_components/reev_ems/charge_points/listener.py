"""The OCPP servers of this Home Assistant: one per port, outliving the reload of a config entry.

A reload (any edited setting) must not drop the charge points' sockets, and two sites may share a port. So a
server stops only when nobody has held it for a while, or with Home Assistant.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from ssl import SSLContext

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.util.hass_dict import HassKey

from ..const import LOGGER
from ..meters import ModbusGateways
from ..ocpp_server import OcppServer
from ..sessions import SessionLog
from ..site.records import async_session_log
from .certificates import async_note_certificate
from .handing_over import HandingOver
from .security import (
    PortSecurity,
    async_authority,
    async_renew_certificate,
    security_of_port,
)

# A reload takes well under a second; a charge point that loses its socket redials within minutes only.
RELEASE_GRACE = timedelta(seconds=20)

# Certificates from files are renewed every few weeks, by whoever keeps them.
CERTIFICATE_CHECK = timedelta(days=1)


@dataclass(slots=True)
class _Listener:
    """A running OCPP server and the config entries that use it."""

    server: OcppServer
    security: PortSecurity
    ssl_context: SSLContext | None
    holders: set[str] = field(default_factory=set)
    cancel_stop: CALLBACK_TYPE | None = None
    pairing_for: str | None = None
    """The config entry that unknown charge points are offered to."""
    cancel_pairing: CALLBACK_TYPE | None = None


@dataclass(slots=True)
class SharedData:
    """What the config entries of this integration share."""

    gateways: ModbusGateways
    sessions: SessionLog
    listeners: dict[int, _Listener] = field(default_factory=dict)
    acquiring: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Sites that share a port start at the same time, and one of them starts its server."""
    handing_over: dict[str, HandingOver] = field(default_factory=dict)
    """By config entry, also after it was unloaded."""
    adopted: dict[str, set[str]] = field(default_factory=dict)
    """The charge points that an entry has adopted at its server."""


DATA: HassKey[SharedData] = HassKey(__package__)


async def async_setup_shared(hass: HomeAssistant) -> None:
    """Create what the config entries share, and end it with Home Assistant."""
    data = SharedData(
        gateways=ModbusGateways(),
        sessions=async_session_log(hass),
    )
    hass.data[DATA] = data

    async def stop(_: Event) -> None:
        """Close every socket and file."""
        for port in list(data.listeners):
            await _async_stop(data, port)
        await data.gateways.close()
        await data.sessions.close()

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)

    async def renew(_: object) -> None:
        """Take up certificates that were renewed, without dropping a connection."""
        for listener in data.listeners.values():
            if listener.ssl_context is None:
                continue
            try:
                await async_renew_certificate(
                    hass, listener.security, listener.ssl_context
                )
            except (OSError, ValueError) as err:
                # The one before goes on; a restart would fail, and say so.
                LOGGER.warning("A certificate of the OCPP server is unusable: %s", err)

    async_track_time_interval(hass, renew, CERTIFICATE_CHECK, cancel_on_shutdown=True)


async def async_acquire_server(
    hass: HomeAssistant, entry_id: str, port: int, ssl_context: SSLContext | None
) -> OcppServer:
    """Return the running OCPP server of a port; OSError if another program has the port.

    NewerRecordsError if the session records are of a newer version. `ssl_context` is what the port's security, as it is set up now, makes the server encrypt with.
    """
    data = hass.data[DATA]
    async with data.acquiring:
        security = security_of_port(hass, port)
        if (listener := data.listeners.get(port)) is None:
            await data.sessions.open()
            server = OcppServer(
                host=security.address,
                port=port,
                transactions=data.sessions,
                ssl_context=ssl_context,
            )
            await server.start()
            listener = data.listeners[port] = _Listener(server, security, ssl_context)
        elif (listener.security.encryption, listener.security.address) != (
            security.encryption,
            security.address,
        ):
            listener.ssl_context = ssl_context
            await listener.server.listen_anew(security.address, ssl_context)
        if security.takes_own_certificates:
            # Also before they are demanded: charge points must have theirs by then.
            authority = await async_authority(hass)

            def sign(request: str, charge_point_id: str) -> str:
                """Return the certificate that a charge point asks for. Raises ValueError."""
                chain = authority.sign_request(request, charge_point_id)
                async_note_certificate(hass, charge_point_id, chain)
                return chain

            listener.server.sign_request = sign
        else:
            listener.server.sign_request = None
        listener.security = security
        listener.server.demands_password = security.profile.demands_password
        if listener.cancel_stop:
            listener.cancel_stop()
            listener.cancel_stop = None
        listener.holders.add(entry_id)
        return listener.server


@callback
def async_release_server(hass: HomeAssistant, entry_id: str, port: int) -> None:
    """Give a server back; without a holder it stops after a grace that a reload fits into."""
    data = hass.data[DATA]
    if (listener := data.listeners.get(port)) is None:
        return
    listener.holders.discard(entry_id)
    if listener.holders or listener.cancel_stop:
        return

    async def stop(_: object) -> None:
        """Stop the server that nobody took again."""
        await _async_stop(data, port)

    listener.cancel_stop = async_call_later(hass, RELEASE_GRACE, stop)


async def async_stop_unused_server(
    hass: HomeAssistant, entry_id: str, port: int
) -> None:
    """Stop a server at once when nobody holds it: its entry was removed for good, and leaves only floors behind."""
    data = hass.data[DATA]
    data.handing_over.pop(entry_id, None)
    listener = data.listeners.get(port)
    if listener and not listener.holders:
        await _async_stop(data, port)


async def _async_stop(data: SharedData, port: int) -> None:
    """Stop a server and forget it; what fits without it its charge points keep for a while."""
    listener = data.listeners.pop(port)
    for cancel in (listener.cancel_stop, listener.cancel_pairing):
        if cancel:
            cancel()
    try:
        await asyncio.gather(
            *(
                each.hand_over()
                for each in data.handing_over.values()
                if each.server is listener.server
            )
        )
    finally:
        await listener.server.stop()


def is_own_port(hass: HomeAssistant, port: int) -> bool:
    """Return whether one of our servers has the port, so that it can be shared."""
    return DATA in hass.data and port in hass.data[DATA].listeners

"""The OCPP servers of this Home Assistant: one per port, outliving the reload of a config entry.

A reload (any edited setting) must not drop the charge points' sockets, and two sites may share a port. So a
server stops only when nobody has held it for a while, or with Home Assistant.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from ssl import SSLContext

from homeassistant.config_entries import SOURCE_INTEGRATION_DISCOVERY, ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import discovery_flow
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.util.hass_dict import HassKey

from .certificates import async_note_certificate
from ..const import (CONF_CHARGE_POINT_ID, DOMAIN, LOGGER, SUBENTRY_CHARGE_POINT)
from ..energy_management.controller import ControllerState
from ..energy_management.decision import Action
from ..energy_management.observation import MeterReading
from ..meters import ModbusGateways
from ..ocpp_server import (OcppServer, UnknownChargePoint)
from ..site.records import async_session_log
from .security import (PortSecurity, async_authority, async_renew_certificate, security_of_port)
from ..sessions import SessionLog

# A reload takes well under a second; a charge point that loses its socket redials within minutes only.
RELEASE_GRACE = timedelta(seconds=20)

# Long enough to walk to the charger and restart it, short enough not to be forgotten open.
PAIRING_OPEN = timedelta(minutes=5)

# Offers that wait for a person; twice as many are made while pairing is open once, whatever knocks.
MOST_OFFERS = 20

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


@dataclass(frozen=True, slots=True)
class KeptOverReload:
    """What an entry that is being reloaded must not forget, or an edited name would put every car on its floor."""

    server: OcppServer
    """Whose charge points were told what the state remembers."""
    state: ControllerState
    readings: Mapping[str, MeterReading]
    """The last reading of each meter, by its subentry."""
    measures: Mapping[str, Action]
    """What was still to be done against an overload, by connector."""


@dataclass(frozen=True, slots=True)
class HandingOver:
    """Lets the charge points of a config entry keep what fits without us."""

    server: OcppServer
    hand_over: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class SharedData:
    """What the config entries of this integration share."""

    gateways: ModbusGateways
    sessions: SessionLog
    listeners: dict[int, _Listener] = field(default_factory=dict)
    acquiring: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Sites that share a port start at the same time, and one of them starts its server."""
    kept: dict[str, KeptOverReload] = field(default_factory=dict)
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


@callback
def async_set_pairing(hass: HomeAssistant, entry_id: str, port: int, on: bool) -> None:
    """Let unknown charge points introduce themselves to an entry; closes by itself."""
    listener = hass.data[DATA].listeners[port]
    if listener.cancel_pairing:
        listener.cancel_pairing()
        listener.cancel_pairing = None
    listener.server.pairing = on
    listener.pairing_for = entry_id if on else None
    if on:
        listener.server.on_unknown = partial(_offer, hass, entry_id, set())
        listener.server.on_forgotten = partial(_withdraw, hass)

        @callback
        def close(_: object) -> None:
            """Close what nobody closed."""
            listener.cancel_pairing = None
            async_set_pairing(hass, entry_id, port, False)

        listener.cancel_pairing = async_call_later(hass, PAIRING_OPEN, close)


@callback
def _offer(
    hass: HomeAssistant, entry_id: str, offered: set[str], unknown: UnknownChargePoint
) -> None:
    """Offer a charge point that knocked for adoption, unless there are too many offers already.

    `offered` holds the ids that were offered since pairing was opened.
    """
    flows = hass.config_entries.flow
    waiting = flows.async_progress_by_handler(
        DOMAIN, match_context={"source": SOURCE_INTEGRATION_DISCOVERY}
    )
    if len(waiting) >= MOST_OFFERS or (
        unknown.id not in offered and len(offered) >= 2 * MOST_OFFERS
    ):
        return
    offered.add(unknown.id)
    discovery_flow.async_create_flow(
        hass,
        DOMAIN,
        context={"source": SOURCE_INTEGRATION_DISCOVERY},
        data={
            "entry_id": entry_id,
            CONF_CHARGE_POINT_ID: unknown.id,
            "vendor": unknown.vendor,
            "model": unknown.model,
        },
    )


@callback
def _withdraw(hass: HomeAssistant, charge_point_id: str) -> None:
    """Withdraw the offer of a charge point that knocks no more."""
    flows = hass.config_entries.flow
    unique_id = f"{SUBENTRY_CHARGE_POINT}_{charge_point_id}"
    for offer in flows.async_progress_by_handler(
        DOMAIN, match_context={"source": SOURCE_INTEGRATION_DISCOVERY}
    ):
        if offer["context"].get("unique_id") == unique_id:
            flows.async_abort(offer["flow_id"])


@callback
def async_withdraw_offers(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Withdraw the offers of charge points that were added in another way: nobody can adopt them twice."""
    added = {
        subentry.unique_id
        for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT)
    }
    flows = hass.config_entries.flow
    for offer in flows.async_progress_by_handler(
        DOMAIN, match_context={"source": SOURCE_INTEGRATION_DISCOVERY}
    ):
        if offer["context"].get("unique_id") in added:
            flows.async_abort(offer["flow_id"])


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

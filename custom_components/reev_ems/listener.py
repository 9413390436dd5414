"""The OCPP servers of this Home Assistant: one per port, outliving the reload of a config entry.

A reload (any edited setting) must not drop the charge points' sockets, and two sites may share a port. So a
server stops only when nobody has held it for a while, or with Home Assistant.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util.hass_dict import HassKey

from .energy_management.controller import ControllerState
from .meters import ModbusGateways
from .ocpp_server import OcppServer
from .sessions import SessionStore

# A reload takes well under a second; a charge point that loses its socket redials within minutes only.
RELEASE_GRACE = timedelta(seconds=20)

SESSIONS_FILE = "reev_ems_sessions.db"


@dataclass(slots=True)
class _Listener:
    """A running OCPP server and the config entries that use it."""

    server: OcppServer
    holders: set[str]
    cancel_stop: CALLBACK_TYPE | None = None


@dataclass(slots=True)
class SharedData:
    """What the config entries of this integration share."""

    gateways: ModbusGateways
    sessions: SessionStore
    listeners: dict[int, _Listener] = field(default_factory=dict)
    controller_states: dict[str, ControllerState] = field(default_factory=dict)
    """The controller's memory of an entry that is being reloaded."""


DATA: HassKey[SharedData] = HassKey(__package__)


async def async_setup_shared(hass: HomeAssistant) -> None:
    """Create what the config entries share, and end it with Home Assistant."""
    data = SharedData(
        gateways=ModbusGateways(),
        sessions=SessionStore(hass.config.path(SESSIONS_FILE)),
    )
    hass.data[DATA] = data

    async def stop(_: Event) -> None:
        """Close every socket and file."""
        for port in list(data.listeners):
            await _async_stop(data, port)
        await data.gateways.close()
        await data.sessions.close()

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)


async def async_acquire_server(
    hass: HomeAssistant, entry_id: str, port: int
) -> OcppServer:
    """Return the running OCPP server of a port; OSError if another program has the port."""
    data = hass.data[DATA]
    if (listener := data.listeners.get(port)) is None:
        await data.sessions.open()
        server = OcppServer(host=None, port=port, transactions=data.sessions)
        await server.start()
        listener = data.listeners[port] = _Listener(server, set())
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


async def async_stop_unused_server(hass: HomeAssistant, port: int) -> None:
    """Stop a server at once when nobody holds it: its entry was removed for good."""
    data = hass.data[DATA]
    listener = data.listeners.get(port)
    if listener and not listener.holders:
        await _async_stop(data, port)


async def _async_stop(data: SharedData, port: int) -> None:
    """Stop a server and forget it."""
    listener = data.listeners.pop(port)
    if listener.cancel_stop:
        listener.cancel_stop()
    await listener.server.stop()


def is_own_port(hass: HomeAssistant, port: int) -> bool:
    """Return whether one of our servers has the port, so that it can be shared."""
    return DATA in hass.data and port in hass.data[DATA].listeners

"""What a site that is being reloaded must not forget."""

from collections.abc import Mapping
from dataclasses import dataclass

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..energy_management.controller import ControllerState
from ..energy_management.decision import Action
from ..energy_management.observation import MeterReading
from ..ocpp_server import OcppServer


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


_KEPT: HassKey[dict[str, KeptOverReload]] = HassKey(f"{DOMAIN}_kept")


@callback
def async_keep(hass: HomeAssistant, entry_id: str, kept: KeptOverReload) -> None:
    """Keep what a config entry must not forget until it is set up again."""
    hass.data.setdefault(_KEPT, {})[entry_id] = kept


@callback
def async_take_kept(hass: HomeAssistant, entry_id: str) -> KeptOverReload | None:
    """Return what was kept of a config entry, once; None: nothing was."""
    return hass.data.get(_KEPT, {}).pop(entry_id, None)

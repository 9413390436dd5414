"""Pairing: unknown charge points introduce themselves, and are offered for adoption."""

from datetime import timedelta
from functools import partial

from homeassistant.config_entries import SOURCE_INTEGRATION_DISCOVERY, ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import discovery_flow
from homeassistant.helpers.event import async_call_later

from ..const import CONF_CHARGE_POINT_ID, DOMAIN, SUBENTRY_CHARGE_POINT
from ..ocpp_server import UnknownChargePoint
from .listener import DATA

# Long enough to walk to the charger and restart it, short enough not to be forgotten open.
PAIRING_OPEN = timedelta(minutes=5)

# Offers that wait for a person; twice as many are made while pairing is open once, whatever knocks.
MOST_OFFERS = 20


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

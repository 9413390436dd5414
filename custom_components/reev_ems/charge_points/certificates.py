"""The certificates of charge points that our own authority made: which of them are good.

A certificate cannot be taken back, so that those that are good are kept with the charge point. They go with it: one that
is added again needs another certificate.
"""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..const import (
    ANY_CERTIFICATE,
    CONF_CERTIFICATES,
    CONF_CHARGE_POINT_ID,
    DOMAIN,
    SUBENTRY_CHARGE_POINT,
)
from ..ocpp_server import ChargePoint, ChargePointEvent, Connected, OcppServer, tls
from .security import PortSecurity

# One that is in use, and some that were made and not used yet: charge points may ask for one again and again.
MAX_CERTIFICATES = 4


@callback
def async_note_certificate(
    hass: HomeAssistant, charge_point_id: str, certificate: str | bytes
) -> None:
    """Let a charge point in with a certificate (PEM) that was made for it, too."""
    for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False):
        for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT):
            data = subentry.data
            if data[CONF_CHARGE_POINT_ID] != charge_point_id:
                continue
            good: list[str] = [*data.get(CONF_CERTIFICATES, [ANY_CERTIFICATE])]
            good.append(tls.serial_number(certificate))
            if len(good) > MAX_CERTIFICATES:
                # The one in use stays.
                del good[1]
            hass.config_entries.async_update_subentry(
                entry, subentry, data={**data, CONF_CERTIFICATES: good}
            )


@callback
def async_follow_certificates(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    server: OcppServer,
    charge_points: Mapping[str, ChargePoint],
) -> None:
    """Let the older certificates of each charge point (by subentry) lapse that has shown a newer one."""
    if not PortSecurity.of(entry.data).takes_own_certificates:
        return
    for subentry_id, charge_point in charge_points.items():

        @callback
        def on_event(event: ChargePointEvent, subentry_id: str = subentry_id) -> None:
            """Look at the certificate of a new connection."""
            if isinstance(event, Connected):
                _forget_older(hass, entry, server, subentry_id)

        entry.async_on_unload(charge_point.subscribe(on_event))
        _forget_older(hass, entry, server, subentry_id)


def _forget_older(
    hass: HomeAssistant, entry: ConfigEntry[Any], server: OcppServer, subentry_id: str
) -> None:
    """Drop what was made before the certificate that was shown."""
    if (subentry := entry.subentries.get(subentry_id)) is None:
        return
    good: list[str] = [*subentry.data.get(CONF_CERTIFICATES, [ANY_CERTIFICATE])]
    shown = server.certificate_shown(subentry.data[CONF_CHARGE_POINT_ID])
    if shown is None:
        return
    if shown in good:
        kept = good[good.index(shown) :]
    elif ANY_CERTIFICATE in good:
        kept = [shown, *(serial for serial in good if serial != ANY_CERTIFICATE)]
    else:
        return
    if kept != good:
        hass.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, CONF_CERTIFICATES: kept}
        )

"""The routers of a site through which meters are reached: whether they live, apart from the meters behind them."""

import asyncio
from collections.abc import Iterator
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant

from ..const import CONF_METERS, CONF_UNIT_ID, SUBENTRY_GATEWAY
from ..meters import GatewayStatus, MeterError, ModbusGateways, TeltonikaGateway
from .outages import Outage

# Sooner than a meter's silence becomes a repair issue, whose text tells whether the gateway lives.
POLL_S = 10.0


class SiteGateways:
    """Asks all gateways of a config entry how they are."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Initialize; nothing is asked before `start`."""
        self.statuses: dict[str, GatewayStatus | None] = {}
        """What each last told, by subentry; None while it does not answer."""
        self._hass = hass
        self._entry = entry

    def start(self, gateways: ModbusGateways) -> None:
        """Begin to ask. Ends with the entry's unload."""
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_GATEWAY):
            data = subentry.data
            gateway = TeltonikaGateway(
                gateways,
                host=data[CONF_HOST],
                port=data[CONF_PORT],
                unit_id=data[CONF_UNIT_ID],
            )
            self._entry.async_on_unload(gateway.close)
            self._entry.async_create_background_task(
                self._hass,
                self._poll(subentry, gateway),
                f"reev EMS {self._entry.title} gateway {subentry.title}",
            )

    async def _poll(self, subentry: ConfigSubentry, gateway: TeltonikaGateway) -> None:
        """Ask a gateway until cancelled; log when it goes and when it comes back."""
        gateway_id = subentry.subentry_id
        outage = Outage(f"Gateway {subentry.title}")
        while True:
            try:
                self.statuses[gateway_id] = await gateway.read()
            except MeterError as err:
                self.statuses[gateway_id] = None
                outage.down(err)
            else:
                outage.up()
            await asyncio.sleep(POLL_S)

    def is_alive_for(self, meter_id: str) -> bool | None:
        """Return whether the gateway of a meter answers; None: it has none, or that is not known yet."""
        answers = [
            self.statuses[gateway_id] is not None
            for gateway_id in self._gateways_of(meter_id)
            if gateway_id in self.statuses
        ]
        return all(answers) if answers else None

    def _gateways_of(self, meter_id: str) -> Iterator[str]:
        """Return the gateways through which a meter is reached: at their own address, or as was set."""
        host = self._entry.subentries[meter_id].data.get(CONF_HOST)
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_GATEWAY):
            data = subentry.data
            if data[CONF_HOST] == host or meter_id in data[CONF_METERS]:
                yield subentry.subentry_id

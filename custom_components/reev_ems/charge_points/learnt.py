"""What charge points have taught us, kept over restarts of Home Assistant."""

from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, LOGGER
from ..ocpp_server import ChargePoint, ChargePointConfig, Learnt, OcppServer
from ..ocpp_server.events import Booted, ChargePointEvent, LearntChanged
from ..site.storage import KnownStore

STORAGE_VERSION = 1
# Many learn at the same time, after a restart of the network.
STORAGE_DELAY_S = 10


class LearntStore:
    """The records of all charge points, by id."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize; nothing is known before async_load."""
        # It holds id tags.
        self._store = KnownStore(
            hass, STORAGE_VERSION, f"{DOMAIN}.charge_points", private=True
        )
        self._records: dict[str, dict[str, Any]] = {}
        self._points: dict[str, ChargePoint] = {}

    async def async_load(self) -> None:
        """Read what was kept."""
        stored = await self._store.async_load()
        self._records = stored if isinstance(stored, dict) else {}

    @callback
    def async_adopt(self, server: OcppServer, config: ChargePointConfig) -> ChargePoint:
        """Let a charge point in with what it had taught us, and keep what it teaches from now on.

        The server keeps charge points over a reload, and with each its one subscription.
        """
        if config.id in server.charge_points:
            return server.adopt(config)
        charge_point = server.adopt(config, self._recall(config.id))
        charge_point.subscribe(self._on_event)
        self._points[config.id] = charge_point
        self._tell_model(charge_point)
        return charge_point

    @callback
    def async_forget(self, charge_point_id: str) -> None:
        """Forget a charge point that was removed."""
        self._points.pop(charge_point_id, None)
        if self._records.pop(charge_point_id, None):
            self._save()

    def _recall(self, charge_point_id: str) -> Learnt | None:
        """Return what a charge point had taught us; a record that cannot be read is learnt anew."""
        if (record := self._records.get(charge_point_id)) is None:
            return None
        try:
            return Learnt.from_dict(record)
        except ValueError as err:
            LOGGER.warning(
                "What was learnt of %s is learnt anew: %s", charge_point_id, err
            )
            return None

    @callback
    def _on_event(self, event: ChargePointEvent) -> None:
        """Keep a record, and let the others of its model know."""
        if isinstance(event, LearntChanged):
            self._records[event.charge_point_id] = event.learnt.as_dict()
            self._save()
            for charge_point in self._points.values():
                self._tell_model(charge_point)
        elif isinstance(event, Booted) and event.charge_point_id in self._points:
            self._tell_model(self._points[event.charge_point_id])

    @callback
    def _tell_model(self, charge_point: ChargePoint) -> None:
        """Tell a charge point what others of its model and firmware have shown."""
        info = charge_point.info
        charge_point.zero.model_fails = info is not None and any(
            other.zero.fails
            for other in self._points.values()
            if other.info is not None
            and (other.info.vendor, other.info.model, other.info.firmware)
            == (info.vendor, info.model, info.firmware)
        )

    def _save(self) -> None:
        """Write soon, and in any case before Home Assistant ends."""
        self._store.async_delay_save(lambda: self._records, STORAGE_DELAY_S)


LEARNT: HassKey[LearntStore] = HassKey(f"{DOMAIN}_learnt")


async def async_setup_learnt(hass: HomeAssistant) -> None:
    """Read what was learnt before the restart."""
    store = hass.data[LEARNT] = LearntStore(hass)
    await store.async_load()

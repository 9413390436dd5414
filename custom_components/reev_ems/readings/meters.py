"""The meters of a site: each polled and watched, and how its reading goes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
import time
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant, callback

from ..const import (
    CONF_CIRCUIT,
    CONF_POLL_S,
    CONF_PROFILE,
    CONF_SENSORS,
    CONF_SERIAL,
    CONF_UNIT_ID,
    CONF_WIRING,
    SUBENTRY_METER,
)
from ..energy_management.model import Site
from ..energy_management.observation import MeterObservation, MeterReading
from ..energy_management.tree import is_below, parents_of
from ..meters import (
    FrozenWatch,
    IntervalWatch,
    Load,
    MeterError,
    MeterPoller,
    MeterProfile,
    MeterReader,
    ModbusGateways,
    Trouble,
    Wiring,
)
from .correction import correction_of
from .outages import Outage
from .sensors import SensorMeter


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatus:
    """How a meter's reading goes."""

    circuit: str
    reading: MeterReading | None = None
    """The last complete reading."""
    problem: str | None = None
    """The key of the MeterError while reading fails."""
    interval_s: float | None = None
    """How old a reading gets before the next one is there, as observed; None until it is known."""


class SiteMeters:
    """Reads all meters of a config entry, each in its own rhythm."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        *,
        loads: Callable[[], Mapping[str, Load]],
        on_news: Callable[[], None],
    ) -> None:
        """Initialize; `loads` tells what each connector draws, by its id, `on_news` hears of every reading."""
        self.statuses: dict[str, MeterStatus] = {}
        """By subentry."""
        self._hass = hass
        self._entry = entry
        self._loads = loads
        self._on_news = on_news
        self._titles: dict[str, str] = {}
        self._outages: dict[str, Outage] = {}
        self._watches: dict[str, FrozenWatch] = {}
        self._intervals: dict[str, IntervalWatch] = {}
        self._behind: dict[str, frozenset[str]] = {}
        """The connectors behind each meter."""

    def start(
        self,
        site: Site,
        gateways: ModbusGateways,
        profiles: Mapping[str, MeterProfile],
        last: Mapping[str, MeterReading],
    ) -> None:
        """Begin to read; `last` are readings from before a reload. Ends with the entry's unload."""
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_METER):
            meter_id = subentry.subentry_id
            circuit = subentry.data[CONF_CIRCUIT]
            self._titles[meter_id] = subentry.title
            self._outages[meter_id] = Outage(f"Meter {subentry.title}")
            self.statuses[meter_id] = MeterStatus(
                circuit=circuit, reading=last.get(meter_id)
            )
            self._watches[meter_id] = FrozenWatch()
            self._intervals[meter_id] = IntervalWatch()
            self._behind[meter_id] = connectors_below(site, circuit)
            if CONF_SENSORS in subentry.data:
                self._listen(subentry)
                continue
            if (profile := profiles.get(subentry.data[CONF_PROFILE])) is None:
                self._note_problem(meter_id, "profile_missing")
                continue
            self._poll(subentry, gateways, profile)

    def observe(self, at_s: float) -> dict[str, MeterObservation]:
        """Return what is known at a time, by circuit."""
        return {
            status.circuit: MeterObservation()
            if (reading := status.reading) is None
            else MeterObservation(
                current_a=reading.current_a,
                power_w=reading.power_total_w,
                voltage_v=reading.voltage_v,
                energy_import_wh=reading.energy_import_wh,
                age_s=at_s - reading.at_s,
            )
            for status in self.statuses.values()
        }

    def _listen(self, subentry: ConfigSubentry) -> None:
        """Take the readings of sensors."""
        data = subentry.data
        meter = SensorMeter(
            self._hass,
            data[CONF_SENSORS],
            wiring=Wiring(data[CONF_WIRING]),
            correction=correction_of(data),
            on_reading=partial(self._on_reading, subentry.subentry_id),
            on_error=partial(self._on_error, subentry.subentry_id),
        )
        self._entry.async_on_unload(meter.start())

    def _poll(
        self, subentry: ConfigSubentry, gateways: ModbusGateways, profile: MeterProfile
    ) -> None:
        """Poll a meter over Modbus."""
        data = subentry.data
        reader = MeterReader(
            gateways,
            profile,
            host=data[CONF_HOST],
            port=data[CONF_PORT],
            unit_id=data[CONF_UNIT_ID],
            correction=correction_of(data),
            expected_serial=data.get(CONF_SERIAL),
        )
        self._entry.async_on_unload(reader.close)
        poller = MeterPoller(
            reader,
            poll_s=data[CONF_POLL_S],
            on_reading=partial(self._on_reading, subentry.subentry_id),
            on_error=partial(self._on_error, subentry.subentry_id),
        )
        self._entry.async_create_background_task(
            self._hass,
            poller.run(),
            f"reev EMS {self._entry.title} meter {subentry.title}",
        )

    @callback
    def _on_reading(self, meter_id: str, reading: MeterReading) -> None:
        """Take a complete reading, unless it is one of registers that stand still (S2)."""
        loads = self._loads()
        behind = {item: loads[item] for item in self._behind[meter_id] if item in loads}
        if self._watches[meter_id].is_frozen(reading, behind):
            self._on_error(
                meter_id,
                MeterError(
                    Trouble.FROZEN,
                    "The values stand still although the cars behind the meter are seen to ramp.",
                    self._title(meter_id),
                ),
            )
            return
        status = self.statuses[meter_id]
        self._outages[meter_id].up()
        interval = self._intervals[meter_id]
        interval.note(reading.at_s, time.monotonic())
        self.statuses[meter_id] = replace(
            status, reading=reading, problem=None, interval_s=interval.interval_s
        )
        self._on_news()

    @callback
    def _on_error(self, meter_id: str, error: MeterError) -> None:
        """Note that there is no reading; the last one only gets older (S3)."""
        self._intervals[meter_id].interrupt()
        self._note_problem(meter_id, error.key, error)

    def _note_problem(
        self, meter_id: str, key: str, error: MeterError | None = None
    ) -> None:
        """Log a problem once, when it begins."""
        status = self.statuses[meter_id]
        self._outages[meter_id].down(error or key)
        self.statuses[meter_id] = replace(status, problem=key)

    def _title(self, meter_id: str) -> str:
        """Return the name of a meter for the log."""
        return self._titles[meter_id]


def connectors_below(site: Site, circuit_id: str) -> frozenset[str]:
    """Return the connectors whose current flows through a circuit."""
    parents = parents_of(site.circuits)
    return frozenset(
        item.id
        for item in site.connectors
        if is_below(parents, item.circuit, circuit_id)
    )

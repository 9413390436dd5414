"""The meters of a site: each polled and watched, and how its reading goes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant, callback

from .const import (
    CONF_CIRCUIT,
    CONF_INVERT,
    CONF_PHASE_ORDER,
    CONF_POLL_S,
    CONF_PROFILE,
    CONF_SENSORS,
    CONF_SERIAL,
    CONF_UNIT_ID,
    CONF_WIRING,
    SUBENTRY_METER,
)
from .energy_management.model import Phase, Site
from .energy_management.observation import MeterReading
from .meters import (
    FrozenWatch,
    Load,
    MeterError,
    MeterPoller,
    MeterProfile,
    MeterReader,
    ModbusGateways,
    Trouble,
    Wiring,
)
from .outages import Outage
from .sensor_meter import SensorMeter


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatus:
    """How a meter's reading goes."""

    circuit: str
    reading: MeterReading | None = None
    """The last complete reading."""
    problem: str | None = None
    """The key of the MeterError while reading fails."""


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
            self._behind[meter_id] = connectors_below(site, circuit)
            if CONF_SENSORS in subentry.data:
                self._listen(subentry)
                continue
            if (profile := profiles.get(subentry.data[CONF_PROFILE])) is None:
                self._note_problem(meter_id, "profile_missing")
                continue
            self._poll(subentry, gateways, profile)

    def _listen(self, subentry: ConfigSubentry) -> None:
        """Take the readings of sensors."""
        data = subentry.data
        meter = SensorMeter(
            self._hass,
            data[CONF_SENSORS],
            wiring=Wiring(data[CONF_WIRING]),
            invert=data[CONF_INVERT],
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
            invert=data.get(CONF_INVERT, False),
            phase_order=_phase_order(data.get(CONF_PHASE_ORDER)),
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
        self.statuses[meter_id] = replace(status, reading=reading, problem=None)
        self._on_news()

    @callback
    def _on_error(self, meter_id: str, error: MeterError) -> None:
        """Note that there is no reading; the last one only gets older (S3)."""
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
    parents = {circuit.id: circuit.parent for circuit in site.circuits}

    def is_below(circuit: str | None) -> bool:
        """Walk towards the grid connection."""
        while circuit is not None and circuit != circuit_id:
            circuit = parents.get(circuit)
        return circuit is not None

    return frozenset(item.id for item in site.connectors if is_below(item.circuit))


def _phase_order(values: list[str] | None) -> tuple[Phase, Phase, Phase]:
    """Return the grid phases that the meter's own inputs 1 to 3 are wired to."""
    first, second, third = values or list(Phase)
    return Phase(first), Phase(second), Phase(third)

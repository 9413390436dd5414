"""A meter made of Home Assistant's sensors, of whatever integration."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
import time

from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    EventStateReportedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import (
    async_track_state_change_event,
    async_track_state_report_event,
    async_track_time_interval,
)
from homeassistant.util.unit_conversion import (
    BaseUnitConverter,
    ElectricCurrentConverter,
    PowerConverter,
)

from .energy_management.observation import MeterReading
from .meters import MeterError, Trouble
from .meters.sensors import Wiring, combine

# An integration writes the sensors of one measurement one after the other.
BURST_S = 0.1
# Nothing new for this long is told as the meter's silence. What follows from it, the age decides (S3).
SILENT_S = 30.0
CHECK_INTERVAL = timedelta(seconds=5)


def converter_of(quantity: str) -> type[BaseUnitConverter]:
    """Return what converts the units of a quantity."""
    return (
        ElectricCurrentConverter if quantity.startswith("current") else PowerConverter
    )


def value_of(quantity: str, state: State | None) -> float | None:
    """Return a sensor's value in A or W; None for whatever is no number in a unit of the quantity (S2)."""
    if state is None:
        return None
    converter = converter_of(quantity)
    base = "A" if converter is ElectricCurrentConverter else "W"
    try:
        return converter.convert(
            float(state.state), state.attributes.get(ATTR_UNIT_OF_MEASUREMENT), base
        )
    except ValueError, HomeAssistantError:
        return None


def read_sensors(
    hass: HomeAssistant,
    sensors: Mapping[str, str],
    *,
    wiring: Wiring,
    invert: bool,
    at_s: float,
) -> MeterReading:
    """Return what the sensors, an entity for each quantity, measure together. Raises MeterError."""
    values = {
        quantity: value_of(quantity, hass.states.get(entity_id))
        for quantity, entity_id in sensors.items()
    }
    for quantity, value in values.items():
        if value is None:
            raise MeterError(
                Trouble.INCOMPLETE,
                f"{sensors[quantity]} has no value in a unit of its kind.",
                sensors[quantity],
            )
    return combine(values, wiring=wiring, invert=invert, at_s=at_s)


class SensorMeter:
    """Makes a reading whenever its sensors report, as old as the one that reported longest ago."""

    def __init__(
        self,
        hass: HomeAssistant,
        sensors: Mapping[str, str],
        *,
        wiring: Wiring,
        invert: bool,
        on_reading: Callable[[MeterReading], None],
        on_error: Callable[[MeterError], None],
    ) -> None:
        """Initialize; nothing is heard before `start`."""
        self._hass = hass
        self._sensors = sensors
        self._wiring = wiring
        self._invert = invert
        self._on_reading = on_reading
        self._on_error = on_error
        self._reported_s: dict[str, float] = {}
        """Monotonic time of each entity's last report."""
        self._burst: asyncio.TimerHandle | None = None

    @callback
    def start(self) -> CALLBACK_TYPE:
        """Begin to listen; return what ends it."""
        hass, entities = self._hass, list(self._sensors.values())
        for entity_id in entities:
            if state := hass.states.get(entity_id):
                age_s = max(0.0, time.time() - state.last_reported_timestamp)
                self._reported_s[entity_id] = time.monotonic() - age_s
        stops = (
            async_track_state_change_event(hass, entities, self._on_event),
            async_track_state_report_event(hass, entities, self._on_event),
            async_track_time_interval(hass, self._on_time, CHECK_INTERVAL),
        )
        self._read()

        @callback
        def stop() -> None:
            """End it."""
            for stop_one in stops:
                stop_one()
            if self._burst:
                self._burst.cancel()

        return stop

    @callback
    def _on_event(
        self, event: Event[EventStateChangedData] | Event[EventStateReportedData]
    ) -> None:
        """Note that an entity reported, and read when the others had the time to."""
        self._reported_s[event.data["entity_id"]] = time.monotonic()
        if self._burst is None:
            self._burst = self._hass.loop.call_later(BURST_S, self._read)

    @callback
    def _on_time(self, _: datetime) -> None:
        """Notice silence, for which there is no event."""
        if self._silent():
            self._read()

    def _silent(self) -> str | None:
        """Return an entity that has not reported for too long."""
        oldest_s = time.monotonic() - SILENT_S
        for entity_id in self._sensors.values():
            if self._reported_s.get(entity_id, oldest_s) <= oldest_s:
                return entity_id
        return None

    @callback
    def _read(self) -> None:
        """Hand on a reading, or why there is none."""
        self._burst = None
        try:
            reading = self._reading()
        except MeterError as err:
            self._on_error(err)
        else:
            self._on_reading(reading)

    def _reading(self) -> MeterReading:
        """Return a reading. Raises MeterError."""
        if silent := self._silent():
            raise MeterError(Trouble.NO_ANSWER, f"{silent} reports nothing.", silent)
        return read_sensors(
            self._hass,
            self._sensors,
            wiring=self._wiring,
            invert=self._invert,
            at_s=min(self._reported_s[item] for item in self._sensors.values()),
        )

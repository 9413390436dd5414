"""A meter made of Home Assistant's sensors, of whatever integration."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
import time
from typing import NamedTuple

from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfPower,
)
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
    ElectricPotentialConverter,
    PowerConverter,
)

from ..energy_management.observation import MeterReading
from ..meters import Correction, MeterError, Resolutions, Trouble
from ..meters.sensors import Wiring, combine

# An integration writes the sensors of one measurement one after the other.
BURST_S = 0.1
# Nothing new for this long is told as the meter's silence. What follows from it, the age decides (S3).
SILENT_S = 30.0
CHECK_INTERVAL = timedelta(seconds=5)


class Kind(NamedTuple):
    """What a quantity is measured in."""

    device_class: str
    converter: type[BaseUnitConverter]
    unit: str


KINDS = {
    "current": Kind("current", ElectricCurrentConverter, UnitOfElectricCurrent.AMPERE),
    "power": Kind("power", PowerConverter, UnitOfPower.WATT),
    "voltage": Kind(
        "voltage", ElectricPotentialConverter, UnitOfElectricPotential.VOLT
    ),
}
"""By the first word of a quantity's name."""


def kind_of(quantity: str) -> Kind:
    """Return what a quantity is measured in."""
    return KINDS[quantity.partition("_")[0]]


def value_of(
    quantity: str, state: State | None, resolutions: Resolutions | None = None
) -> float | None:
    """Return a sensor's value in A, V or W; None for whatever is no number in a unit of the quantity (S2).

    The `resolutions` take in how finely it is told.
    """
    if state is None:
        return None
    kind = kind_of(quantity)
    unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
    try:
        value = kind.converter.convert(float(state.state), unit, kind.unit)
    except ValueError, HomeAssistantError:
        return None
    if resolutions is not None:
        resolutions.note(
            quantity, state.state, kind.converter.convert(1.0, unit, kind.unit)
        )
    return value


def read_sensors(
    hass: HomeAssistant,
    sensors: Mapping[str, str],
    *,
    wiring: Wiring,
    correction: Correction,
    at_s: float,
    resolutions: Resolutions,
) -> MeterReading:
    """Return what the sensors, an entity for each quantity, measure together. Raises MeterError."""
    values = {
        quantity: value_of(quantity, hass.states.get(entity_id), resolutions)
        for quantity, entity_id in sensors.items()
    }
    for quantity, value in values.items():
        if value is None:
            raise MeterError(
                Trouble.INCOMPLETE,
                f"{sensors[quantity]} has no value in a unit of its kind.",
                sensors[quantity],
            )
    return combine(
        values, wiring=wiring, correction=correction, at_s=at_s, steps=resolutions.known
    )


class SensorMeter:
    """Makes a reading whenever its sensors report, as old as the one that reported longest ago."""

    def __init__(
        self,
        hass: HomeAssistant,
        sensors: Mapping[str, str],
        *,
        wiring: Wiring,
        correction: Correction,
        on_reading: Callable[[MeterReading], None],
        on_error: Callable[[MeterError], None],
    ) -> None:
        """Initialize; nothing is heard before `start`."""
        self._hass = hass
        self._sensors = sensors
        self._wiring = wiring
        self._correction = correction
        self._on_reading = on_reading
        self._on_error = on_error
        self._resolutions = Resolutions()
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
            correction=self._correction,
            at_s=min(self._reported_s[item] for item in self._sensors.values()),
            resolutions=self._resolutions,
        )

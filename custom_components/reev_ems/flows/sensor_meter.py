"""A meter made of Home Assistant's sensors being set up."""

from collections.abc import Mapping
import time
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    TextSelector,
)
import probatio

from ..const import CONF_INVERT, CONF_PROFILE, CONF_SENSORS, CONF_WIRING, SENSORS_MODEL
from ..energy_management.model import PHASES
from ..energy_management.observation import MeterReading
from ..meters import (
    FOLLOWING_QUANTITIES,
    SENSOR_QUANTITIES,
    MeterError,
    Resolutions,
    Wiring,
)
from ..readings.correction import correction_of
from ..readings.sensors import kind_of, read_sensors, value_of
from .correction_fields import CORRECTION_FIELDS, shown_correction, stored_correction
from .fields import choice
from .meter_texts import MeterTexts


def _entity(quantity: str) -> EntitySelector:
    """Return a choice of the sensors that can measure a quantity."""
    return EntitySelector(
        EntitySelectorConfig(
            domain="sensor", device_class=kind_of(quantity).device_class
        )
    )


SENSORS_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_NAME): TextSelector(),
        **{
            probatio.Optional(quantity): _entity(quantity)
            for quantity in SENSOR_QUANTITIES
        },
        probatio.Required(CONF_WIRING, default=Wiring.THREE_PHASE.value): choice(
            "sensor_wiring", Wiring
        ),
        probatio.Required(CONF_INVERT, default=False): BooleanSelector(),
        **CORRECTION_FIELDS,
    }
)


class SensorSetup:
    """Sensors that are to stand in for a meter; the subentry is the one that is reconfigured."""

    _reading: MeterReading

    def __init__(
        self, hass: HomeAssistant, texts: MeterTexts, subentry: ConfigSubentry | None
    ) -> None:
        """Initialize."""
        self._hass = hass
        self._texts = texts
        self.detail = ""
        """What is wrong: an entity, or values."""
        self.shown: Mapping[str, Any] = {}
        """The form as it was entered last."""
        if subentry is not None and CONF_SENSORS in subentry.data:
            self.shown = {
                **subentry.data[CONF_SENSORS],
                CONF_NAME: subentry.title,
                CONF_WIRING: subentry.data[CONF_WIRING],
                **shown_correction(subentry.data),
            }

    def take(self, user_input: Mapping[str, Any]) -> dict[str, str]:
        """Read the sensors once; return the errors by field."""
        self.shown = user_input
        sensors = self._sensors
        if not user_input[CONF_NAME].strip():
            return {CONF_NAME: "name_missing"}
        if sensors.keys().isdisjoint(FOLLOWING_QUANTITIES):
            return {"base": "no_sensors"}
        entities = list(sensors.values())
        errors: dict[str, str] = {}
        for quantity, entity_id in sensors.items():
            state = self._hass.states.get(entity_id)
            if entities.count(entity_id) > 1:
                errors[quantity] = "sensor_twice"
            elif state is not None and (
                state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
                not in kind_of(quantity).converter.VALID_UNITS
            ):
                errors[quantity] = "sensor_unit"
            elif value_of(quantity, state) is None:
                errors[quantity] = "sensor_no_value"
        if errors:
            return errors
        try:
            self._reading = read_sensors(
                self._hass,
                sensors,
                wiring=Wiring(user_input[CONF_WIRING]),
                correction=correction_of(stored_correction(user_input)),
                at_s=time.monotonic(),
                resolutions=Resolutions(),
            )
        except MeterError as err:
            self.detail = err.facts
            return {"base": err.key}
        return {}

    @property
    def _sensors(self) -> dict[str, str]:
        """The entities that were chosen, by quantity."""
        return {
            quantity: self.shown[quantity]
            for quantity in SENSOR_QUANTITIES
            if self.shown.get(quantity)
        }

    @property
    def name(self) -> str:
        """What the person calls it."""
        name: str = self.shown[CONF_NAME]
        return name.strip()

    @property
    def data(self) -> dict[str, Any]:
        """What is stored of it, beside its circuit."""
        return {
            CONF_PROFILE: SENSORS_MODEL,
            CONF_SENSORS: self._sensors,
            CONF_WIRING: self.shown[CONF_WIRING],
            **stored_correction(self.shown),
        }

    @property
    def placeholders(self) -> dict[str, str]:
        """The live values for the confirmation."""
        reading = self._reading
        measured = self._texts.measured
        found = {"power_total": measured(reading.power_total_w, "W")}
        for index, phase in enumerate(PHASES):
            key = phase.lower()
            found[f"current_{key}"] = measured(reading.current_a[index], "A")
            found[f"voltage_{key}"] = measured(reading.voltage_v[index], "V")
            found[f"power_{key}"] = measured(reading.power_w[index], "W")
        return found

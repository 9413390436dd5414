"""The home battery, as Home Assistant's sensors of it say."""

from collections.abc import Mapping
import math
import time
from typing import Any

from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, PERCENTAGE
from homeassistant.core import HomeAssistant, State

from ..const import CONF_BATTERY_INVERT, CONF_BATTERY_POWER, CONF_BATTERY_SOC
from ..energy_management.observation import BatteryObservation
from ..readings.sensors import value_of

# Inverters are polled every few seconds, some every minute. What was before that says nothing about now.
POWER_LIFE_S = 120.0
# A state of charge moves slowly, and some report it only when it has moved.
SOC_LIFE_S = 3600.0


def observe_battery(
    hass: HomeAssistant, options: Mapping[str, Any]
) -> BatteryObservation | None:
    """Return what is known of the home battery; None: there is none."""
    if (power_sensor := options.get(CONF_BATTERY_POWER)) is None:
        return None
    power_w = _finite(
        value_of("power", _fresh(hass.states.get(power_sensor), POWER_LIFE_S))
    )
    if power_w is not None and options.get(CONF_BATTERY_INVERT):
        power_w = -power_w
    soc_pct = None
    if (soc_sensor := options.get(CONF_BATTERY_SOC)) is not None:
        soc_pct = _percent(_fresh(hass.states.get(soc_sensor), SOC_LIFE_S))
    return BatteryObservation(power_w=power_w, soc_pct=soc_pct)


def _fresh(state: State | None, life_s: float) -> State | None:
    """Return a state that was reported lately (S2)."""
    if state is None or time.time() - state.last_reported_timestamp > life_s:
        return None
    return state


def _percent(state: State | None) -> float | None:
    """Return a state of charge, 0 to 100 %."""
    if state is None or state.attributes.get(ATTR_UNIT_OF_MEASUREMENT) != PERCENTAGE:
        return None
    try:
        value = _finite(float(state.state))
    except ValueError:
        return None
    return value if value is not None and 0 <= value <= 100 else None


def _finite(value: float | None) -> float | None:
    """Return a number that one can calculate with."""
    return value if value is not None and math.isfinite(value) else None

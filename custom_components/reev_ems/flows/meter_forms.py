"""The forms of a meter: how it is reached, and how its values are to be taken."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT
from homeassistant.helpers.selector import BooleanSelector, TextSelector
import probatio

from ..const import (
    CONF_CIRCUIT,
    CONF_INVERT,
    CONF_PHASE_ORDER,
    CONF_POLL_S,
    CONF_PROFILE,
    CONF_RATING_A,
    CONF_UNIT_ID,
    SENSORS_MODEL,
)
from ..energy_management.model import PHASES
from .correction_fields import CORRECTION_FIELDS
from .fields import (
    amperes,
    choice,
    circuit_choice,
    modbus_unit,
    named_choice,
    port_number,
    seconds,
)

DEFAULT_MODBUS_PORT = 502
DEFAULT_UNIT_ID = 1
# Once a second: as fast as the control loop decides.
DEFAULT_POLL_S = 1.0

# Chosen instead of a model: the device is asked what it is, or the person enters its register map.
UNKNOWN_MODEL = "unknown"
CUSTOM_MODEL = "custom"
CONF_FOUND = "found"
CONF_READ_AGAIN = "read_again"

# "l2_l3_l1": the meter's inputs 1 to 3 are wired to L2, L3, L1. Option keys must be lower case.
PHASE_ORDERS = {
    "_".join(order).lower(): [str(phase) for phase in order]
    for order in permutations(PHASES)
}

# What the values above call for comes first.
CONFIRM_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_INVERT, default=False): BooleanSelector(),
        probatio.Required(CONF_PHASE_ORDER, default="l1_l2_l3"): choice(
            "phase_order", PHASE_ORDERS
        ),
        **CORRECTION_FIELDS,
        probatio.Required(CONF_READ_AGAIN, default=False): BooleanSelector(),
        probatio.Optional(CONF_RATING_A): amperes(1, 100_000, "rating_out_of_range"),
        probatio.Required(CONF_NAME): TextSelector(),
    }
)


def connection_schema(
    models: Mapping[str, str], circuits: Mapping[str, str] | None = None
) -> probatio.Schema:
    """Return the form that asks how a meter is reached, and which of the circuits it measures if there is a choice."""
    fields: dict[probatio.Marker, Any] = {}
    if circuits is not None:
        fields[probatio.Required(CONF_CIRCUIT)] = circuit_choice(circuits)
    fields |= {
        probatio.Required(CONF_PROFILE): named_choice(
            {UNKNOWN_MODEL: UNKNOWN_MODEL, SENSORS_MODEL: SENSORS_MODEL}
            | dict(sorted(models.items(), key=lambda item: item[1].casefold()))
            | {CUSTOM_MODEL: CUSTOM_MODEL},
            translation_key="meter_profile",
        ),
        # Sensors have no address.
        probatio.Optional(CONF_HOST): TextSelector(),
        probatio.Required(CONF_PORT, default=DEFAULT_MODBUS_PORT): port_number(),
        probatio.Required(CONF_UNIT_ID, default=DEFAULT_UNIT_ID): modbus_unit(),
        probatio.Required(CONF_POLL_S, default=DEFAULT_POLL_S): seconds(
            0.5, 10, "poll_out_of_range"
        ),
    }
    return probatio.Schema(fields)

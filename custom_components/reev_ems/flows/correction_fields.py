"""The fields that set the values of a meter right, beside their direction and the order of the phases."""

from collections.abc import Mapping
from typing import Any

from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

from ..const import CONF_INVERT, CONF_INVERTED_PHASES, CONF_PHASE_ORDER, CONF_RATIO
from ..energy_management.model import PHASES
from ..readings.correction import stored
from .fields import number

CORRECTION_FIELDS: dict[probatio.Marker, Any] = {
    probatio.Optional(CONF_INVERTED_PHASES, default=list): SelectSelector(
        SelectSelectorConfig(
            options=[str(phase) for phase in PHASES],
            multiple=True,
            mode=SelectSelectorMode.LIST,
        )
    ),
    probatio.Required(CONF_RATIO, default=1.0): number(
        minimum=0.0001, maximum=100_000, error="ratio_out_of_range"
    ),
}

CORRECTION_KEYS = (CONF_INVERT, CONF_PHASE_ORDER, CONF_INVERTED_PHASES, CONF_RATIO)
"""What changes how the values are shown."""


def shown_correction(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the fields show of a meter's data, its direction included."""
    return {
        CONF_INVERT: data.get(CONF_INVERT, False),
        CONF_INVERTED_PHASES: data.get(CONF_INVERTED_PHASES, []),
        CONF_RATIO: data.get(CONF_RATIO, 1.0),
    }


def stored_correction(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored of the fields as they were entered."""
    return stored(
        invert=shown[CONF_INVERT],
        inverted_phases=shown[CONF_INVERTED_PHASES],
        ratio=shown[CONF_RATIO],
    )

"""The external limit of a site (§14a EnWG, or whoever else may limit): a person's, and that of a source.

The source is an entity of Home Assistant: a number in a unit of power is the limit itself, a switch or contact (the
relay of the grid operator's control box) says whether the configured limit holds.
"""

from collections.abc import Iterator, Mapping
import math
from typing import Any

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant

from ..const import CONF_EXTERNAL_LIMIT_INVERT, CONF_EXTERNAL_LIMIT_SOURCE
from ..energy_management.grid_limit import minimum_power_w
from ..readings.sensors import value_of
from .controls import Controls, ExternalSignal

CONTACT_DOMAINS = ("binary_sensor", "input_boolean", "switch")
NUMBER_DOMAINS = ("input_number", "number", "sensor")

# Longer than a reload of the source's integration takes, or a restart of Home Assistant.
LOST_AFTER_S = 60.0


class ExternalLimit:
    """Knows what limits the charging power of a site from outside."""

    def __init__(
        self, hass: HomeAssistant, options: Mapping[str, Any], connector_count: int
    ) -> None:
        """Initialize."""
        self._hass = hass
        self._source: str | None = options.get(CONF_EXTERNAL_LIMIT_SOURCE)
        self._inverted: bool = options.get(CONF_EXTERNAL_LIMIT_INVERT, False)
        # Whole watts, which it is but for the rounding of floating point.
        self._default_w = float(round(minimum_power_w(max(connector_count, 1))))
        self._silent_since_s: float | None = None
        self.lost = False
        """Whether the source has been silent for longer than a restart takes."""

    @property
    def source(self) -> str | None:
        """Return the entity that is followed."""
        return self._source

    def configured_w(self, controls: Controls) -> float:
        """Return the limit that holds if there is one; nobody set it: what §14a EnWG leaves for the connectors."""
        if controls.external_limit_w is None:
            return self._default_w
        return controls.external_limit_w

    def listen(self, controls: Controls, at_s: float) -> ExternalSignal | None:
        """Return what the source says, or said last; None: there is no source, or it never said anything."""
        if self._source is None:
            return None
        signal = self._read(self._source)
        if signal is not None:
            self._silent_since_s, self.lost = None, False
            return signal
        if self._silent_since_s is None:
            self._silent_since_s = at_s
        self.lost = at_s - self._silent_since_s >= LOST_AFTER_S
        last = controls.external_signal
        if last and (last.source, last.inverted) == (self._source, self._inverted):
            return last
        return None

    def limit_w(self, controls: Controls) -> float | None:
        """Return the limit in W that holds; None: there is none."""
        return min(self._limits_w(controls), default=None)

    def _limits_w(self, controls: Controls) -> Iterator[float]:
        """Return all limits that hold. A source that never said anything may mean one (S2)."""
        configured_w = self.configured_w(controls)
        if controls.external_limit:
            yield configured_w
        if self._source is None:
            return
        signal = controls.external_signal
        if signal is None or (signal.limited and signal.limit_w is None):
            yield configured_w
        elif signal.limited and signal.limit_w is not None:
            yield signal.limit_w

    def _read(self, source: str) -> ExternalSignal | None:
        """Return what the source says now; None if that is nothing usable."""
        state = self._hass.states.get(source)
        if state is None:
            return None
        if state.domain in CONTACT_DOMAINS:
            if state.state not in (STATE_ON, STATE_OFF):
                return None
            return ExternalSignal(
                source=source,
                inverted=self._inverted,
                limited=(state.state == STATE_ON) is not self._inverted,
            )
        limit_w = value_of("power", state)
        if limit_w is None or not math.isfinite(limit_w) or limit_w < 0:
            return None
        return ExternalSignal(
            source=source, inverted=self._inverted, limited=True, limit_w=limit_w
        )

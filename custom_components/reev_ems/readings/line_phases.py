"""Which grid phases the connectors are wired to, learnt from what cars do, where it differs from what is set."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import CONF_CIRCUIT, CONF_PHASE_ORDER, CONF_SENSORS, DOMAIN, SUBENTRY_METER
from ..energy_management.model import PHASES, Connector, PartPerPhase, Phase, Site
from ..energy_management.tree import climb, parents_of
from ..meters import LinePhaseLearner
from .meters import MeterStatus

# A reading tells of the moment of a report if it is no older; a slower meter teaches nothing.
READING_LIFE_S = 2.0


class LinePhases:
    """Compares the steps of every connector's current with those of the meter above it."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._learners: dict[str, LinePhaseLearner] = {}

    def observe(
        self,
        site: Site,
        connector_id: str,
        current_a: PartPerPhase | None,
        at_s: float,
        meters: Mapping[str, MeterStatus],
    ) -> None:
        """Take in what a connector reported at a time."""
        circuit = next(
            item.circuit for item in site.connectors if item.id == connector_id
        )
        status = _meter_above(site, circuit, meters)
        if (
            current_a is None
            or status is None
            or status.problem is not None
            or (reading := status.reading) is None
            or at_s - reading.at_s > READING_LIFE_S
        ):
            return
        learner = self._learners.setdefault(connector_id, LinePhaseLearner())
        learner.observe(current_a, reading.current_a)

    def proposals(self, site: Site) -> dict[str, tuple[Phase, ...]]:
        """Return the wiring of the connectors that are settled and set otherwise, in the order of their own phases."""
        found = {}
        for connector in site.connectors:
            learner = self._learners.get(connector.id)
            learnt = _learnt(learner, connector) if learner else None
            if learnt is not None and learnt != connector.phases:
                found[connector.id] = learnt
        return found


type _Wiring = dict[str, tuple[Any, ...]]
"""What the phases of each meter's readings mean, by its subentry."""

# By config entry: what took cars hours to show outlives a reload, and with it the repair issue that proposes it.
_KEPT: HassKey[dict[str, tuple[_Wiring, LinePhases]]] = HassKey(f"{DOMAIN}_line_phases")


@callback
def async_line_phases(hass: HomeAssistant, entry: ConfigEntry[Any]) -> LinePhases:
    """Return what was learnt at a site; nothing, if since then the phases of a meter's readings mean something else."""
    wiring: _Wiring = {
        meter.subentry_id: tuple(
            meter.data.get(key)
            for key in (CONF_CIRCUIT, CONF_PHASE_ORDER, CONF_SENSORS)
        )
        for meter in entry.get_subentries_of_type(SUBENTRY_METER)
    }
    all_kept = hass.data.setdefault(_KEPT, {})
    kept = all_kept.get(entry.entry_id)
    if kept is None or kept[0] != wiring:
        kept = all_kept[entry.entry_id] = (wiring, LinePhases())
    return kept[1]


@callback
def async_forget_line_phases(hass: HomeAssistant, entry_id: str) -> None:
    """Forget a site that was removed."""
    hass.data.get(_KEPT, {}).pop(entry_id, None)


def _learnt(
    learner: LinePhaseLearner, connector: Connector
) -> tuple[Phase, ...] | None:
    """Return the line phases of a connector's own phases; None while they are not settled."""
    if connector.phase_count == len(PHASES):
        if (all_phases := learner.line_phases()) is not None:
            return all_phases
        if (first := learner.line_phase(Phase.L1)) is None:
            return None
        if connector.phases is not None and connector.phases[0] == first:
            return None
        # Cars on one phase use the first one only. The others follow in the order of the rotating field, as a rule.
        index = PHASES.index(first)
        return (*PHASES[index:], *PHASES[:index])
    own = [learner.line_phase(phase) for phase in PHASES[: connector.phase_count]]
    found = tuple(line for line in own if line is not None)
    return found if len(set(found)) == connector.phase_count else None


def _meter_above(
    site: Site, circuit_id: str, meters: Mapping[str, MeterStatus]
) -> MeterStatus | None:
    """Return the nearest meter that a circuit's current flows through."""
    by_circuit = {status.circuit: status for status in meters.values()}
    for circuit in climb(parents_of(site.circuits), circuit_id):
        if (status := by_circuit.get(circuit)) is not None:
            return status
    return None

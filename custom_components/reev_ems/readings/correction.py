"""The correction of a meter as its subentry keeps it, and as a repair issue proposes it."""

from collections.abc import Iterable, Mapping
import json
from typing import Any, Final

from ..const import (
    CONF_INVERT,
    CONF_INVERTED_PHASES,
    CONF_PHASE_ORDER,
    CONF_RATIO,
    CONF_SENSORS,
    CONF_WIRING,
)
from ..energy_management.decision import Finding, Issue
from ..energy_management.model import PHASES, Phase
from ..meters import NO_CORRECTION, Correction, Wiring

# The translation key of the issue that a meter contradicts what is behind it, and of what would set it right.
METER_CONTRADICTION: Final = "meter_contradiction"
INVERTED: Final = f"{METER_CONTRADICTION}_inverted"
PHASES_INVERTED: Final = f"{METER_CONTRADICTION}_phases_inverted"
PHASES_SWAPPED: Final = f"{METER_CONTRADICTION}_phases_swapped"
WRONG_RATIO: Final = f"{METER_CONTRADICTION}_ratio"
SHOWS_LESS: Final = f"{METER_CONTRADICTION}_less"
# What has a text of its own where no setting is known to set it right.
_UNEXPLAINED: Final = frozenset(
    (Finding.LOST, Finding.FROZEN, Finding.ELSEWHERE, Finding.SWAPPED)
)
METER_CONTRADICTIONS: Final = frozenset(
    (
        *(METER_CONTRADICTION, INVERTED, PHASES_INVERTED, PHASES_SWAPPED),
        *(WRONG_RATIO, SHOWS_LESS),
    )
) | {f"{METER_CONTRADICTION}_{finding}" for finding in _UNEXPLAINED}

# In the data of the issue: the correction, and what it is to be added to.
KEY_CORRECTION: Final = "correction"
KEY_BEFORE: Final = "before"


def correction_of(data: Mapping[str, Any]) -> Correction:
    """Return what a meter is corrected by. Raises ValueError for what no form stores."""
    first, second, third = map(Phase, data.get(CONF_PHASE_ORDER) or PHASES)
    return Correction(
        invert=data.get(CONF_INVERT, False),
        inverted_phases=frozenset(map(Phase, data.get(CONF_INVERTED_PHASES, ()))),
        phase_order=(first, second, third),
        ratio=data.get(CONF_RATIO, 1.0),
    )


def stored(
    *, invert: bool, inverted_phases: Iterable[str], ratio: float
) -> dict[str, Any]:
    """Return what is stored of a correction, beside an order of the phases."""
    data: dict[str, Any] = {CONF_INVERT: invert}
    if phases := sorted(inverted_phases):
        data[CONF_INVERTED_PHASES] = phases
    if ratio != 1.0:
        data[CONF_RATIO] = ratio
    return data


def set_right(data: Mapping[str, Any], change: Correction) -> dict[str, Any]:
    """Return a meter's data with a further correction of what it reads now."""
    found = correction_of(data).then(change)
    new = {
        key: value
        for key, value in data.items()
        if key not in (CONF_INVERTED_PHASES, CONF_RATIO)
    }
    phases = found.inverted_phases
    if CONF_SENSORS in data:
        # A sensor is on the phase that it is chosen for.
        order = dict(zip(PHASES, change.phase_order, strict=True))
        phases = frozenset(order[phase] for phase in phases)
        new[CONF_SENSORS] = {
            _on_phase(quantity, order): entity_id
            for quantity, entity_id in data[CONF_SENSORS].items()
        }
        wiring = data[CONF_WIRING]
        if wiring not in (Wiring.THREE_PHASE, Wiring.BALANCED):
            new[CONF_WIRING] = order[Phase(wiring.upper())].lower()
    else:
        new[CONF_PHASE_ORDER] = [str(phase) for phase in found.phase_order]
    return new | stored(invert=found.invert, inverted_phases=phases, ratio=found.ratio)


def _on_phase(quantity: str, order: Mapping[Phase, Phase]) -> str:
    """Return the quantity on another phase; a total is on none."""
    kind, _, phase = quantity.partition("_")
    return (
        quantity
        if phase == "total"
        else f"{kind}_{order[Phase(phase.upper())].lower()}"
    )


def _before(data: Mapping[str, Any]) -> str:
    """Return what the readings of a meter depend on, as text."""
    keys = (
        CONF_INVERT,
        CONF_INVERTED_PHASES,
        CONF_PHASE_ORDER,
        CONF_RATIO,
        CONF_SENSORS,
        CONF_WIRING,
    )
    return json.dumps([data.get(key) for key in keys])


def proposal(data: Mapping[str, Any], change: Correction) -> dict[str, str | int]:
    """Return what the data of an issue has to hold, for a meter whose readings with this data call for a change."""
    return {
        KEY_CORRECTION: json.dumps(
            {
                CONF_INVERT: change.invert,
                CONF_INVERTED_PHASES: sorted(change.inverted_phases),
                CONF_PHASE_ORDER: list(change.phase_order),
                CONF_RATIO: change.ratio,
            }
        ),
        KEY_BEFORE: _before(data),
    }


def proposed(
    issue_data: Mapping[str, Any], data: Mapping[str, Any]
) -> Correction | None:
    """Return the change that an issue proposes; None if the meter was changed since."""
    if issue_data[KEY_BEFORE] != _before(data):
        return None
    return correction_of(json.loads(issue_data[KEY_CORRECTION]))


def change_of(issue: Issue) -> Correction:
    """Return what would set a meter right that contradicts; NO_CORRECTION where no setting is known to."""
    phases = [phase for phase in PHASES if not issue.phase or phase in issue.phase]
    match issue.finding, phases:
        case Finding.REVERSED, [_, _, _]:
            return Correction(invert=True)
        case Finding.REVERSED, _:
            return Correction(inverted_phases=frozenset(phases))
        case Finding.SWAPPED, [one, other]:
            places = {one: other, other: one}
            first, second, third = (places.get(phase, phase) for phase in PHASES)
            return Correction(phase_order=(first, second, third))
        case Finding.SWAPPED, [_, _, _]:
            first, second, third = map(Phase, (issue.phase or "L1 L2 L3").split())
            return Correction(phase_order=(first, second, third))
        case Finding.RATIO, _ if issue.value and issue.value > 0:
            # It is measured, with an error of some percent.
            return Correction(ratio=float(f"{1 / issue.value:.3g}"))
    return NO_CORRECTION


def key_of(issue: Issue, change: Correction) -> str:
    """Return the translation key of an issue that proposes a change."""
    if change == NO_CORRECTION and issue.finding is Finding.RATIO:
        return SHOWS_LESS
    if change == NO_CORRECTION and issue.finding in _UNEXPLAINED:
        return f"{METER_CONTRADICTION}_{issue.finding}"
    return issue_of(change)[0]


def issue_of(change: Correction) -> tuple[str, dict[str, str]]:
    """Return the translation key of the issue that proposes a change, and what its text tells of it.

    The texts want beside that `meter` and `site`, and as `evidence` what charge points changed and what the meter
    showed of it: phases, numbers and units only, for it is not translated.
    """
    if change.inverted_phases:
        return PHASES_INVERTED, {"phases": ", ".join(sorted(change.inverted_phases))}
    if change.phase_order != PHASES:
        return PHASES_SWAPPED, {"order": ", ".join(change.phase_order)}
    if change.ratio != 1.0:
        return WRONG_RATIO, {"ratio": f"{change.ratio:.4g}"}
    return (INVERTED if change.invert else METER_CONTRADICTION), {}

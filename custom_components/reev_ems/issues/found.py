"""What is wrong at a site that a person has to know of and can do something about."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from ..const import (
    CONF_CIRCUIT,
    CONF_PARENT,
    CONF_RATING_A,
    CONF_SENSORS,
    ROOT_CIRCUIT,
    SUBENTRY_METER,
)
from ..coordinator import ReevCoordinator
from ..energy_management.decision import Finding, Issue, IssueKind
from ..energy_management.model import PHASES
from ..meters import NO_CORRECTION
from ..ocpp_server import Problem
from ..readings.correction import change_of, issue_of, key_of, proposal
from ..readings.meters import connectors_below
from ..site.build import connector_id
from ..site.texts import async_number, phase_text

# It works, and could work better. Everything else is an error: somebody gets less than he should, or a limit is broken.
_WARNINGS = {IssueKind.IMBALANCE_RESIDUAL, IssueKind.NO_AUTONOMOUS_FALLBACK}

# Troubles of a meter that have a text of their own; without a cause the general text is shown.
METER_TROUBLES = frozenset(
    {
        "cannot_connect",
        "no_answer",
        "not_this_meter",
        "incomplete",
        "implausible",
        "wrong_identity",
        "frozen",
        "profile_missing",
        # A meter made of sensors has this one, whatever is wrong with them.
        "sensors",
        # A silent meter has this one, if the state of its gateway is known.
        "behind_gateway",
        "gateway_dead",
    }
)

# These can be lived with; the others mean that somebody gets less than he should, or that a limit may be broken.
_LESSER_PROBLEMS = {
    Problem.RESTART_NEEDED,
    Problem.CONNECTOR_UNKNOWN,
    Problem.POWER_CONTRADICTS,
    Problem.LOG_INS_FAILED,
    Problem.PASSWORD_UNUSED,
}
# A restart would not mend these.
_NOT_MENDED = {
    Problem.CONNECTOR_UNKNOWN,
    Problem.POWER_CONTRADICTS,
    Problem.ID_TWICE,
    Problem.LOG_INS_FAILED,
}
# The same where it says that there is no limit at all.
SCHEDULE_WITHOUT_LIMIT = "schedule_without_limit"

# The source of the external limit says nothing, see site/external_limit.py.
EXTERNAL_LIMIT_LOST = "external_limit_lost"

# A wiring that the cars show, see readings/line_phases.py.
LINE_PHASES_DIFFER = "line_phases_differ"
# A circuit's limit that its meter cannot measure, by whichever of the two was changed last.
LIMIT_ABOVE_RATING = "limit_above_rating"
# A circuit is measured above its limit, on whichever phase it is worst.
_PER_CIRCUIT = {IssueKind.OVERLOADED}
# What a circuit that was removed has left behind.
CIRCUIT_REMOVED = "circuit_removed"
METER_WITHOUT_CIRCUIT = "meter_without_circuit"

# The remedy is the form of the charge point, instead of its restart (repairs.py).
REMEDY_FORM = "form"
# The remedy is to let it in without a password.
REMEDY_WITHOUT_PASSWORD = "without_password"


@dataclass(frozen=True, slots=True)
class Found:
    """An issue as the registry takes it."""

    key: str
    """Key of its translation."""
    severity: ir.IssueSeverity
    placeholders: Mapping[str, str]
    subentry_id: str | None = None
    """The meter, circuit or charge point with which it can be fixed (repairs.py); None: not by a dialog."""
    remedy: Mapping[str, str | int] = field(default_factory=dict)
    """What the dialog has to know beside it."""


def findings(
    coordinator: ReevCoordinator, issues: Iterable[Issue]
) -> Iterator[tuple[str, Found]]:
    """Return what is the matter, by issue id."""
    entry = coordinator.config_entry
    for issue in issues:
        if not _can_be_mended(coordinator, issue):
            continue
        if issue.kind is IssueKind.METER_CONTRADICTION:
            yield from _contradiction_findings(coordinator, issue)
            continue
        subject = issue.connector or issue.circuit or ""
        phase = "" if issue.kind in _PER_CIRCUIT else issue.phase or ""
        parts = (entry.entry_id, issue.kind, subject, phase)
        yield "_".join(part for part in parts if part), _finding(coordinator, issue)
    for subentry_id, charge_point in coordinator.charge_points.items():
        yield from _schedule_findings(coordinator, subentry_id)
        for problem in charge_point.problems:
            if problem == Problem.SCHEDULE_DIFFERS:
                continue
            yield (
                f"{entry.entry_id}_{problem}_{subentry_id}",
                Found(
                    problem,
                    ir.IssueSeverity.WARNING
                    if problem in _LESSER_PROBLEMS
                    else ir.IssueSeverity.ERROR,
                    {
                        "site": entry.title,
                        "charge_point": entry.subentries[subentry_id].title,
                    },
                    None if problem in _NOT_MENDED else subentry_id,
                    {REMEDY_WITHOUT_PASSWORD: 1}
                    if problem == Problem.PASSWORD_UNUSED
                    else {},
                ),
            )
    if coordinator.external_limit.lost:
        yield (
            f"{entry.entry_id}_{EXTERNAL_LIMIT_LOST}",
            Found(
                EXTERNAL_LIMIT_LOST,
                ir.IssueSeverity.ERROR,
                {
                    "site": entry.title,
                    "source": coordinator.external_limit.source or "",
                },
            ),
        )


def _schedule_findings(
    coordinator: ReevCoordinator, subentry_id: str
) -> Iterator[tuple[str, Found]]:
    """Return the connectors of a charge point that have another limit in force than they were told."""
    hass, entry = coordinator.hass, coordinator.config_entry
    charge_point = coordinator.charge_points[subentry_id]
    for number, mismatch in charge_point.schedule_mismatches.items():
        in_force = mismatch.in_force
        item_id = connector_id(charge_point.id, number)
        yield (
            f"{entry.entry_id}_{Problem.SCHEDULE_DIFFERS}_{item_id}",
            Found(
                SCHEDULE_WITHOUT_LIMIT
                if in_force is None
                else Problem.SCHEDULE_DIFFERS,
                ir.IssueSeverity.ERROR,
                {
                    "site": entry.title,
                    "connector": coordinator.connector_names[item_id],
                    "told": f"{async_number(hass, f'{mismatch.told:g}')} {mismatch.unit}",
                    "in_force": f"{async_number(hass, f'{in_force or 0:g}')} {mismatch.unit}",
                },
                subentry_id,
            ),
        )


def rating_findings(coordinator: ReevCoordinator) -> Iterator[tuple[str, Found]]:
    """Return the meters that would not see their circuit overloaded."""
    hass, entry = coordinator.hass, coordinator.config_entry
    limits = {item.id: item.limit_a for item in coordinator.data.site.circuits}
    for meter in entry.get_subentries_of_type(SUBENTRY_METER):
        rating_a = meter.data.get(CONF_RATING_A)
        circuit = meter.data[CONF_CIRCUIT]
        limit_a = limits.get(circuit)
        if rating_a is None or limit_a is None or max(limit_a) <= rating_a:
            continue
        yield (
            f"{entry.entry_id}_{LIMIT_ABOVE_RATING}_{meter.subentry_id}",
            Found(
                LIMIT_ABOVE_RATING,
                ir.IssueSeverity.WARNING,
                {
                    "site": entry.title,
                    "circuit": coordinator.circuit_names.get(circuit, entry.title),
                    "meter": meter.title,
                    "limit": async_number(hass, f"{max(limit_a):g}"),
                    "rating": async_number(hass, f"{rating_a:g}"),
                },
                meter.subentry_id,
            ),
        )


def circuit_findings(coordinator: ReevCoordinator) -> Iterator[tuple[str, Found]]:
    """Return what names a circuit that was removed."""
    entry = coordinator.config_entry
    for subentry in entry.subentries.values():
        circuit = subentry.data.get(CONF_CIRCUIT) or subentry.data.get(CONF_PARENT)
        if circuit is None or circuit in coordinator.circuit_names:
            continue
        is_meter = subentry.subentry_type == SUBENTRY_METER
        yield (
            f"{entry.entry_id}_{CIRCUIT_REMOVED}_{subentry.subentry_id}",
            Found(
                METER_WITHOUT_CIRCUIT if is_meter else CIRCUIT_REMOVED,
                ir.IssueSeverity.WARNING,
                {"site": entry.title, "name": subentry.title},
                subentry.subentry_id,
                {REMEDY_FORM: 1},
            ),
        )


def line_phase_findings(
    coordinator: ReevCoordinator,
) -> Iterator[tuple[str, Found]]:
    """Return the connectors whose cars show another wiring than is set."""
    entry, site = coordinator.config_entry, coordinator.data.site
    connectors = {connector.id: connector for connector in site.connectors}
    names = coordinator.connector_names
    for item_id, learnt in coordinator.line_phases.proposals(site).items():
        subentry_id, number = coordinator.place_of(item_id)
        phases = connectors[item_id].phases
        yield (
            "_".join((entry.entry_id, LINE_PHASES_DIFFER, item_id, *learnt)),
            Found(
                LINE_PHASES_DIFFER,
                ir.IssueSeverity.WARNING,
                {
                    "site": entry.title,
                    "connector": names[item_id],
                    "set": ", ".join(phases) if phases else "–",
                    "learnt": ", ".join(learnt),
                },
                subentry_id,
                {"number": number, "phases": ",".join(learnt)},
            ),
        )


def _finding(coordinator: ReevCoordinator, issue: Issue) -> Found:
    """Return what the energy management found, as the registry takes it."""
    key: str = issue.kind
    subentry_id: str | None = None
    match issue.kind:
        case IssueKind.METER_SILENT if coordinator.data is not None:
            # Each cause has its own remedy, hence its own text.
            for meter_id, meter in coordinator.data.meters.items():
                if meter.circuit != issue.circuit or meter.problem is None:
                    continue
                data = coordinator.config_entry.subentries[meter_id].data
                trouble = "sensors" if CONF_SENSORS in data else meter.problem
                alive = coordinator.gateways.is_alive_for(meter_id)
                if alive is not None and trouble in ("cannot_connect", "no_answer"):
                    trouble = "behind_gateway" if alive else "gateway_dead"
                if trouble in METER_TROUBLES:
                    key, subentry_id = f"{issue.kind}_{trouble}", meter_id
        case IssueKind.DISOBEDIENT if issue.connector:
            subentry_id, _ = coordinator.place_of(issue.connector)
    severity = (
        ir.IssueSeverity.WARNING if issue.kind in _WARNINGS else ir.IssueSeverity.ERROR
    )
    return Found(key, severity, _placeholders(coordinator, issue), subentry_id)


def _contradiction_findings(
    coordinator: ReevCoordinator, issue: Issue
) -> Iterator[tuple[str, Found]]:
    """Return that a meter contradicts what the cars do, with the correction that would set it right."""
    hass, entry = coordinator.hass, coordinator.config_entry
    change = change_of(issue)
    placeholders = _placeholders(coordinator, issue)
    placeholders |= {
        key: async_number(hass, text) for key, text in issue_of(change)[1].items()
    }
    placeholders["evidence"] = _evidence(hass, issue, placeholders["phase"])
    for meter in coordinator.subentries_of_type(SUBENTRY_METER):
        if meter.data[CONF_CIRCUIT] != issue.circuit:
            continue
        yield (
            f"{entry.entry_id}_{issue.kind}_{meter.subentry_id}",
            Found(
                key_of(issue, change),
                ir.IssueSeverity.ERROR,
                placeholders | {"meter": meter.title},
                meter.subentry_id,
                {} if change == NO_CORRECTION else proposal(meter.data, change),
            ),
        )


def _evidence(hass: HomeAssistant, issue: Issue, phases: str) -> str:
    """Return what cars drew and what the meter showed of it, phase by phase, without words: "L1: 12 → −12.4 A"."""
    parts = [
        f"{phase}: {drawn:.1f} → {shown:.1f} A".replace("-", "−")
        for phase, drawn, shown in zip(
            PHASES, issue.drawn_a or (), issue.shown_a or (), strict=False
        )
        if shown is not None and phase in phases
    ]
    told = async_number(hass, ", ".join(parts) or phases)
    if issue.value is None:
        return told
    number = async_number(hass, f"{issue.value:.3g}")
    match issue.finding:
        case Finding.RATIO:
            return f"{told} (× {number})"
        case Finding.FROZEN:
            return f"{told} ({number} s)"
        case _:
            return told


def _can_be_mended(coordinator: ReevCoordinator, issue: Issue) -> bool:
    """Whether charge points have a part in it: without any on its phase an imbalance is the house's own affair."""
    if issue.kind is not IssueKind.IMBALANCE_RESIDUAL or coordinator.data is None:
        return True
    high, _, _ = (issue.phase or "").partition(" over ")
    return any(
        connector.phases is None or high in connector.phases
        for connector in coordinator.data.site.connectors
    )


def _phases_of(coordinator: ReevCoordinator, issue: Issue) -> str:
    """Return the phases that an issue is about: its own, else those that its connectors are wired to."""
    if issue.kind is IssueKind.METER_CONTRADICTION:
        return ", ".join((issue.phase or " ".join(PHASES)).split())
    if issue.phase:
        return phase_text(issue.phase)
    site = coordinator.data.site if coordinator.data is not None else None
    concerned = [
        connector
        for connector in (site.connectors if site else ())
        if issue.connector in {None, connector.id}
        and connector.id in connectors_below(site, issue.circuit or ROOT_CIRCUIT)
    ]
    if not concerned or any(connector.phases is None for connector in concerned):
        return ", ".join(PHASES)
    wired = {phase for connector in concerned for phase in connector.phases or ()}
    return ", ".join(phase for phase in PHASES if phase in wired)


def _placeholders(coordinator: ReevCoordinator, issue: Issue) -> dict[str, str]:
    """Return what the text of an issue may contain, in people's words."""
    entry, hass = coordinator.config_entry, coordinator.hass
    high, _, low = (issue.phase or "").partition(" over ")
    site = coordinator.data.site if coordinator.data is not None else None
    limit_a = site.imbalance.limit_a if site and site.imbalance else 0.0
    return {
        "high": high,
        "low": low,
        "allowed": async_number(hass, f"{limit_a:g}"),
        "difference": async_number(hass, f"{limit_a + (issue.value or 0.0):.1f}"),
        "site": entry.title,
        "circuit": coordinator.circuit_names.get(issue.circuit or "", entry.title),
        "phase": _phases_of(coordinator, issue),
        "connector": coordinator.connector_names.get(issue.connector or "", ""),
        "value": "–"
        if issue.value is None
        else async_number(hass, f"{issue.value:.1f}"),
    }

"""Observe: each meter is put to the test by what our own connectors do (S14)."""

from collections.abc import Mapping, Sequence, Set as AbstractSet

from .circuits import carried
from .decision import Issue, IssueKind
from .frozen import frozen, replace
from .meters import Ages
from .model import PHASES, ChargingMode, Circuit, Settings
from .observation import ConnectorState, Observation
from .observe import Seen
from .outlets import Layout
from .state import ControllerState, MeterMemory
from .truth import Testimony, attest, forget_steps
from .truth_memory import Witness
from .vectors import NOTHING, UNKNOWN, PartVector

_SUNNY = frozenset({ChargingMode.SOLAR, ChargingMode.SOLAR_MIN})

_FEEDS_IN_A = -0.5
"""A meter that shows less while no car draws has something below it that feeds in."""

_PASSED_TESTS = 2

_SHORT_A = 1.5
"""A meter that has not shown steps of ours yet is held at once where a phase shows less than the cars draw by so much."""

_IDLE_A = 0.5

_UNKNOWN_LAG_S = 3.0

_PROBE_A = 2.0
"""By how much a car is lowered to put a meter to the test."""


@frozen
class Heard:
    """The meters after they were heard."""

    ages: Ages
    probes: Mapping[str, float]
    """By connector, what it is held at in its own unit, to put a meter to the test."""
    issues: tuple[Issue, ...]


def hear(
    plan: Layout,
    state: ControllerState,
    ages: Ages,
    connectors: Sequence[Seen],
    observation: Observation,
    now_s: float,
) -> Heard:
    """Compare each new reading with what the connectors below do: one that contradicts them is not believed.

    A first contradiction holds the circuit (nothing below it is raised), one that stands takes it to its floors.
    """
    settings = plan.site.settings
    if not settings.test_meters:
        return Heard(ages=ages, probes={}, issues=())
    draws: dict[str, list[Sequence[float]]] = {
        name: [NOTHING * 3] for name in plan.circuits
    }
    charging: set[str] = set()
    told_s: dict[str, float] = {}
    for item in connectors:
        if not item.outlet.metered or item.is_offline:
            continue
        low, likely, high, _ = item.now
        if high is not NOTHING:
            permitted = item.load(item.before) if item.steered else NOTHING
            draws[item.outlet.connector.circuit].append((*low, *likely, *permitted))
        draw = item.memory.draw
        if item.seen.state is ConnectorState.CHARGING and item.is_on:
            for name in item.outlet.metered:
                charging.add(name)
                if draw is not None and draw.current_a > 0:
                    told_s[name] = min(
                        told_s.get(name, draw.reported_s), draw.reported_s
                    )
    totals = carried(plan, draws)
    moved = {
        name
        for item in connectors
        if item.emerged is not NOTHING
        or (
            (before := state.connectors.get(item.name)) is not None
            and before.away is not item.memory.away
        )
        for name in item.outlet.metered
    }
    sunny = _is_sunny(plan, state)
    meters = dict(ages.meters)
    late, failed = set(ages.late), set(ages.failed)
    newly_failed = ages.newly_failed
    probes: dict[str, float] = {}
    issues: list[Issue] = []
    for name, reading in ages.readings.items():
        memory, total = meters[name], totals[name]
        circuit = plan.circuits[name]
        if max(total[4:7]) < _IDLE_A and not memory.generates:
            memory = _generating(memory, reading)
        meter = observation.meters.get(name)
        if name == plan.root.id and state.battery_seen:
            reading = _without_battery(reading, observation)
            if reading == UNKNOWN:
                continue
        witness = memory.witness
        if witness is not None and name in moved:
            # A connector that comes or goes takes its draw along, and the meter rightly shows nothing of that.
            witness = forget_steps(witness, total)
        feeds_in = _feeds_in(circuit, memory, sunny=sunny)
        found = attest(
            witness,
            reading=reading,
            sampled_s=now_s if memory.sampled_s is None else memory.sampled_s,
            now_s=now_s,
            drawn_low=(total[0], total[1], total[2], total[3]),
            drawn_high=(total[4], total[5], total[6], total[7]),
            permitted=(total[8], total[9], total[10], total[11]),
            charging=name in charging,
            feeds_in=feeds_in,
            energy_import_wh=None if meter is None else meter.energy_import_wh,
            settings=settings,
            reported_s=told_s.get(name),
        )
        if (
            feeds_in is None
            and found.witness.good_steps < _PASSED_TESTS
            and _shows_less(reading, total)
        ):
            late.add(name)
        short = found.witness.short
        if feeds_in is None and short is not None and short.passed >= _PASSED_TESTS:
            # It shows our steps and less than the cars draw: something feeds in.
            memory = replace(memory, generates=True)
        was_false = memory.is_false
        meters[name] = replace(
            memory,
            witness=found.witness,
            lag_s=_lag_s(found.witness, settings),
            is_false=found.finding is not None,
        )
        if found.doubt:
            late.add(name)
        if found.finding is not None:
            failed.add(name)
            newly_failed |= not was_false
            verdict = found.witness.verdict
            issues.append(
                Issue(
                    kind=IssueKind.METER_CONTRADICTION,
                    circuit=name,
                    phase=found.phase,
                    value=found.value and round(found.value, 2),
                    finding=found.finding,
                    drawn_a=None if verdict is None else verdict.drawn_a,
                    shown_a=None if verdict is None else verdict.shown_a,
                )
            )
        if found.probe:
            _choose_probe(
                plan, found, name, connectors, ages.late | ages.failed, probes
            )
    return Heard(
        ages=replace(
            ages,
            meters=meters,
            late=frozenset(late),
            failed=frozenset(failed),
            newly_failed=newly_failed,
            raise_from_s={
                name: None if name in late or name in failed else from_s
                for name, from_s in ages.raise_from_s.items()
            },
        ),
        probes=probes,
        issues=tuple(issues),
    )


def _without_battery(reading: PartVector, observation: Observation) -> PartVector:
    """Return the power at the grid connection without its home battery, which hides our steps; nobody knows its phases."""
    battery = observation.battery
    if battery is None or battery.power_w is None or reading[3] is None:
        return UNKNOWN
    return None, None, None, reading[3] - battery.power_w


def _shows_less(reading: PartVector, drawn_low: Sequence[float]) -> bool:
    """Return whether a phase carries less than the cars draw there."""
    return any(
        value is not None and value < low - _SHORT_A
        for value, low in zip(reading[:3], drawn_low[:3], strict=True)
    )


def _lag_s(witness: Witness, settings: Settings) -> float:
    """Return how late the meter's readings are taken to be.

    Each of our own steps that it showed bounds that from above, with the car's own delay in it; one bound may be the
    house's doing. Nothing is known at first: taken for late, a meter that is quick would have each overload answered
    slowly; taken for quick, one that is late has its first overload answered twice.
    """
    bounds_s = sorted(witness.bounds_s)
    if not bounds_s:
        return min(_UNKNOWN_LAG_S, settings.meter_lag_s)
    return min(bounds_s[min(1, len(bounds_s) - 1)], settings.meter_lag_s)


def _is_sunny(plan: Layout, state: ControllerState) -> bool:
    """Return whether the site is set up as one that feeds in."""
    site = plan.site
    return (
        site.pv_surplus
        or state.battery_seen
        or any(circuit.follows_pv or circuit.own_pv for circuit in site.circuits)
        or any(connector.mode in _SUNNY for connector in site.connectors)
    )


def _feeds_in(circuit: Circuit, memory: MeterMemory, *, sunny: bool) -> bool | None:
    """Return whether something below a circuit feeds in; None: nobody said so, and nothing has shown it yet."""
    if circuit.generation is not None:
        return circuit.generation
    return True if sunny or memory.generates else None


def _generating(memory: MeterMemory, reading: Sequence[float | None]) -> MeterMemory:
    """Return the memory of a meter that shows whether something feeds in, while no car draws."""
    if any(value is not None and value < _FEEDS_IN_A for value in reading[:3]):
        return replace(memory, generates=True)
    return memory


def _choose_probe(
    plan: Layout,
    found: Testimony,
    circuit: str,
    connectors: Sequence[Seen],
    old: AbstractSet[str],
    probes: dict[str, float],
) -> None:
    """Hold one car somewhat lower, best the one that draws most on the phases in question.

    Where none can go down, one goes up by as much, which a fuse bears for those seconds; not by `old` readings (S3).
    """
    suspected = {phase for phase in PHASES if phase in (found.phase or "")}
    exchanged = len(suspected) > 1 and "," not in (found.phase or "")
    lowered: tuple[bool, float, Seen] | None = None
    raised: Seen | None = None
    for item in connectors:
        outlet = item.outlet
        if (
            circuit not in outlet.metered
            or item.memory.state is not ConnectorState.CHARGING
            or not item.is_on
            or item.memory.disobedient
        ):
            continue
        tells = True
        if found.phase is not None and outlet.phases is not None:
            used = outlet.every if item.used is None else item.used
            loads = {outlet.phases[own] for own in used} & suspected
            if not loads:
                continue
            tells = not exchanged or loads != suspected
        # The one that is held already stays the one. Exchanged phases look right to a car that loads them alike.
        if item.memory.probed:
            probes[item.name] = item.before
            return
        drawn = max(item.now.likely[:3]) / outlet.unit_a
        spare = drawn - outlet.minimum
        if spare * outlet.unit_a >= 1.0:
            if lowered is None or (tells, spare) > lowered[:2]:
                lowered = (tells, spare, item)
        elif (
            raised is None
            and old.isdisjoint(outlet.metered)
            and not any(plan.circuits[name].hard_limit for name in outlet.metered)
            and drawn > 0
            and (outlet.maximum - item.before) * outlet.unit_a >= _PROBE_A
        ):
            raised = item
    if lowered is not None:
        item = lowered[2]
        drawn = max(item.now.likely[:3]) / item.outlet.unit_a
        value = item.outlet.truncate(drawn - _PROBE_A / item.outlet.unit_a)
        probes[item.name] = max(item.outlet.minimum, value)
    elif raised is not None:
        value = raised.before + _PROBE_A / raised.outlet.unit_a
        probes[raised.name] = raised.outlet.truncate(value)

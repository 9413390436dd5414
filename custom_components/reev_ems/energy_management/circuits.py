"""Estimate: the base load of every circuit, and what is booked on it."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from .base_load import Drawn, emerged, estimate
from .decision import CircuitDecision, Issue, IssueKind
from .frozen import frozen, replace
from .meters import Ages, age_of
from .model import PHASES, Circuit, PartPerPhase, PerPhase, Site
from .observation import Observation
from .observe import Seen
from .outlets import Layout
from .state import BaseLoad, ControllerState, Cut, MeterMemory
from .vectors import NOTHING, UNKNOWN, PartVector, add, larger, summed

_REPORT_LAG_S = 3.0
"""A charge point measures a moment before it reports."""

_SHOWN_A = 2.0
"""A meter shows it, flicker or not, when the cars below draw so much less."""

_CUT_S = 30.0
"""A fall that a meter has not shown by then is hidden by something else."""

_BACKS_S = (2.0, 4.0, 8.0, 16.0)
"""How late meters are taken to be, rounded up: the draws are added up once for each."""


@frozen
class Loads:
    """What the circuits carry besides the connectors that take part in the sharing."""

    meters: Mapping[str, MeterMemory]
    house: BaseLoad | None
    base_a: Mapping[str, PerPhase | None]
    """By circuit, the upper estimate; None: unknown."""
    low_a: PerPhase | None
    """The lower estimate at the grid connection, where its meter sees every phase."""
    base_w: Mapping[str, float]
    overloaded: frozenset[str]
    """Circuits that are measured above their limit less the margin at this moment."""


def estimate_loads(
    plan: Layout,
    state: ControllerState,
    ages: Ages,
    connectors: Sequence[Seen],
    observation: Observation,
    now_s: float,
) -> Loads:
    """Estimate the base load of the circuits that were read, and put all base loads down."""
    site, root = plan.site, plan.root
    meters = dict(ages.meters)
    house = state.house
    for item in connectors:
        if item.emerged is NOTHING:
            continue
        for name in item.outlet.metered:
            if (base := meters[name].base) is not None:
                meters[name] = replace(meters[name], base=emerged(base, item.emerged))
        if house is not None and root.metered:
            house = emerged(house, item.emerged)
    overloaded: set[str] = set()
    drawn = _drawn(plan, ages, connectors, now_s)
    for name, reading in ages.readings.items():
        if meters[name].is_false:
            # What it says is no base load; once it is believed again, that is found anew.
            meters[name] = replace(meters[name], base=None)
            continue
        limit = _limit(plan.circuits[name], site)
        if not _is_known(meters[name], state.meters.get(name)):
            meters[name] = replace(
                meters[name],
                cut=_shown(meters[name].cut, reading, now_s),
                base=estimate(meters[name].base, reading, drawn[name], limit, now_s),
            )
        if any(
            value is not None and most is not None and value > most
            for value, most in zip(reading, limit, strict=True)
        ):
            overloaded.add(name)
    battery = observation.battery
    reading_w = ages.readings.get(root.id, UNKNOWN)[3]
    if battery is not None and battery.power_w is not None and reading_w is not None:
        # The battery follows each change of the cars within seconds: the estimate, which holds still, leaves it out.
        house = estimate(
            house,
            (None, None, None, reading_w - battery.power_w),
            drawn[root.id],
            UNKNOWN,
            now_s,
        )
    base_a, base_w = _put_down(plan, meters, ages.failed)
    base = meters[root.id].base if root.metered else None
    low_a = None
    if base is not None and root.id not in ages.failed:
        l1, l2, l3, _ = base.low
        if l1 is not None and l2 is not None and l3 is not None:
            low_a = l1, l2, l3
    return Loads(
        meters=meters,
        house=house,
        base_a=base_a,
        low_a=low_a,
        base_w=base_w,
        overloaded=frozenset(overloaded),
    )


def note_cuts(
    plan: Layout,
    meters: Mapping[str, MeterMemory],
    readings: Mapping[str, PartVector],
    falls: Mapping[str, list[Sequence[float]]],
    now_s: float,
) -> dict[str, MeterMemory]:
    """Return the meters' memories after permits were lowered below their circuits.

    Args:
        plan: the site.
        meters: their memories.
        readings: what they show now.
        falls: by circuit, by how much connectors on it will draw less; used up.
        now_s: the time of the step.
    """
    changed = dict(meters)
    for name, total in carried(plan, falls).items():
        if name not in readings or max(total[:3]) < _SHOWN_A:
            continue
        cut = meters[name].cut
        fall_a, since_s, peak = [*total[:3]], now_s, readings[name]
        if cut is not None and cut.shown_s is None:
            fall_a = [more + had for more, had in zip(fall_a, cut.fall_a, strict=True)]
            since_s, peak = cut.since_s, cut.peak
        changed[name] = replace(
            meters[name],
            cut=Cut(
                at_s=now_s,
                since_s=since_s,
                peak=peak,
                fall_a=(fall_a[0], fall_a[1], fall_a[2]),
            ),
        )
    return changed


def _shown(cut: Cut | None, reading: PartVector, now_s: float) -> Cut | None:
    """Return the cut after a reading: whether the meter shows most of it on the phases together, and on one."""
    if cut is None or cut.shown_s is not None:
        return cut
    if now_s - cut.since_s > _CUT_S:
        return None
    peak = _highest(cut.peak, reading)
    expected_a = fallen_a = 0.0
    clear = False
    for place, fall_a in enumerate(cut.fall_a):
        value, highest = reading[place], peak[place]
        if value is None or highest is None or fall_a <= 0:
            continue
        expected_a += fall_a
        fallen_a += min(highest - value, fall_a)
        clear |= highest - value >= 0.6 * fall_a
    shown = clear and fallen_a >= 0.5 * expected_a
    return replace(cut, peak=peak, shown_s=now_s if shown else None)


def _highest(first: PartVector, second: PartVector) -> PartVector:
    return (
        larger(first[0], second[0]),
        larger(first[1], second[1]),
        larger(first[2], second[2]),
        None,
    )


def _is_known(memory: MeterMemory, before: MeterMemory | None) -> bool:
    """Return whether the reading was there in the last step: what was lowered for it since is not in it."""
    return (
        before is not None
        and before.base is not None
        and memory.sampled_s == before.sampled_s
    )


def _limit(circuit: Circuit, site: Site) -> PartVector:
    """Return above what a reading is an overload, by part."""
    limit_a, limit_w = circuit.limit_a, circuit.limit_w
    if limit_a is None:
        return None, None, None, limit_w
    margin_a = site.margin_a
    return (
        limit_a[0] - margin_a,
        limit_a[1] - margin_a,
        limit_a[2] - margin_a,
        limit_w,
    )


def _drawn(
    plan: Layout, ages: Ages, connectors: Sequence[Seen], now_s: float
) -> dict[str, Drawn]:
    """Return for each circuit that was read what the connectors below it may have been drawing."""
    settings = plan.site.settings
    backs: dict[float, list[str]] = {}
    for name in ages.readings:
        memory = ages.meters[name]
        late_s = settings.meter_lag_s if memory.lag_s is None else memory.lag_s
        late_s += max(0.0, age_of(memory, now_s))
        back_s = next((back for back in _BACKS_S if late_s <= back), _BACKS_S[-1] * 2)
        backs.setdefault(back_s, []).append(name)
    found: dict[str, Drawn] = {}
    told_s = min(
        (_told_s(item, now_s, settings.reading_timeout_s) for item in connectors),
        default=inf,
    )
    told_s -= _REPORT_LAG_S
    for back_s, names in backs.items():
        draws: dict[str, list[Sequence[float]]] = {
            name: [NOTHING * 4] for name in plan.circuits
        }
        for item in connectors:
            if item.outlet.metered:
                low, likely, high, followed = item.drawn_since(now_s, back_s, settings)
                if high is not NOTHING:
                    draws[item.outlet.connector.circuit].append(
                        (*low, *likely, *high, *followed)
                    )
        totals = carried(plan, draws)
        for name in names:
            total = totals[name]
            found[name] = Drawn(
                low=total[:4],
                likely=total[4:8],
                high=total[8:12],
                followed=total[12:],
                late_s=ages.meters[name].lag_s or settings.meter_lag_s,
                told_s=told_s - back_s,
            )
    return found


def _told_s(item: Seen, now_s: float, reading_timeout_s: float) -> float:
    """Return when a connector last said what it draws, inf: it draws nothing, or does not say."""
    draw = item.memory.draw
    if item.is_offline or not item.outlet.metered or draw is None:
        return inf
    if draw.current_a <= 0 or now_s - draw.reported_s > reading_timeout_s:
        return inf
    return draw.reported_s


def carried(
    plan: Layout, loads: Mapping[str, list[Sequence[float]]]
) -> dict[str, list[float]]:
    """Return what each circuit carries of the loads on it and below it, part by part; the lists are used up."""
    sums: dict[str, list[float]] = {}
    for circuit in plan.upwards:
        total = sums[circuit.id] = summed(loads[circuit.id])
        if circuit.parent is not None:
            loads[circuit.parent].append(total)
    return sums


def _put_down(
    plan: Layout, meters: Mapping[str, MeterMemory], failed: Iterable[str]
) -> tuple[dict[str, PerPhase | None], dict[str, float]]:
    """Return the base load of each circuit in A and W."""
    voltage_v = plan.site.voltage_v
    base_a: dict[str, PerPhase | None] = {}
    base_w: dict[str, float] = {}
    below = {name: [0.0] * 4 for name in plan.circuits}
    for circuit in plan.upwards:
        name = circuit.id
        total = below[name]
        if circuit.metered:
            base = meters[name].base
            if base is not None:
                total = _completed(base.high, circuit.reserve_a, voltage_v)
            if base is None or name in failed:
                base_a[name] = None
            else:
                base_a[name] = (total[0], total[1], total[2])
                if base.high[3] is not None:
                    base_w[name] = base.high[3]
        else:
            # What no meter sees is the configured reserve; what the meters below see comes on top.
            add(total, (*circuit.reserve_a, sum(circuit.reserve_a) * voltage_v))
            base_a[name] = (total[0], total[1], total[2])
            base_w[name] = total[3]
        if circuit.parent is not None:
            add(below[circuit.parent], total)
    return base_a, base_w


def _completed(base: PartVector, reserve_a: PerPhase, voltage_v: float) -> list[float]:
    """Return a base load for the circuits above: what its own meter does not tell is not nothing to them (S2).

    An unknown current is the reserve, or all of the power that the known ones do not explain.
    """
    if None not in base:
        return [part for part in base if part is not None]
    power_w, instead_a = base[3], reserve_a
    if power_w is not None:
        known_a = sum([part for part in base[:3] if part is not None])
        instead_a = (max(0.0, power_w / voltage_v - known_a),) * 3
    parts = [
        instead if part is None else part
        for part, instead in zip(base[:3], instead_a, strict=True)
    ]
    parts.append(sum(parts) * voltage_v if power_w is None else power_w)
    return parts


def rooms_a(
    circuit: Circuit, site: Site, base_a: PerPhase | None, booked: Sequence[float]
) -> PerPhase | None:
    """Return limit − margin − base load − booked for each phase; None: there is no limit per phase.

    Where the base load is unknown, the circuit's reserve stands for it.
    """
    if circuit.limit_a is None:
        return None
    assumed_a = circuit.reserve_a if base_a is None else base_a
    l1, l2, l3 = circuit.limit_a
    margin_a = site.margin_a
    return (
        l1 - margin_a - assumed_a[0] - booked[0],
        l2 - margin_a - assumed_a[1] - booked[1],
        l3 - margin_a - assumed_a[2] - booked[2],
    )


def room_w(
    circuit: Circuit,
    site: Site,
    base_a: PerPhase | None,
    base_w: float | None,
    booked_w: float,
) -> float | None:
    """Return the limit in W less base load and what is booked; None: there is no such limit."""
    if circuit.limit_w is None:
        return None
    if base_w is None:
        assumed_a = circuit.reserve_a if base_a is None else base_a
        base_w = sum(assumed_a) * site.voltage_v
    return circuit.limit_w - base_w - booked_w


def describe(
    plan: Layout, loads: Loads, booked: Mapping[str, Sequence[float]]
) -> dict[str, CircuitDecision]:
    """Return how the circuits stand."""
    found: dict[str, CircuitDecision] = {}
    for circuit in plan.site.circuits:
        name = circuit.id
        base_a, used = loads.base_a[name], booked[name]
        known_a: PartPerPhase | None = base_a
        memory = loads.meters.get(name)
        if base_a is not None and memory is not None and memory.base is not None:
            known_a = memory.base.high[:3]
        found[name] = CircuitDecision(
            base_a=known_a,
            booked_a=(used[0], used[1], used[2]),
            available_a=None
            if base_a is None
            else rooms_a(circuit, plan.site, base_a, used),
        )
    return found


def issues(plan: Layout, ages: Ages, loads: Loads, now_s: float) -> list[Issue]:
    """Return the silent meters, the overloads, and the base loads that exceed a limit all alone."""
    site, settings = plan.site, plan.site.settings
    found = [
        Issue(
            kind=IssueKind.METER_SILENT,
            circuit=name,
            value=round(age_of(memory, now_s), 1),
        )
        for name, memory in loads.meters.items()
        if name in ages.failed and not memory.is_false
    ]
    for circuit in site.circuits:
        if circuit.limit_a is None:
            continue
        name, memory = circuit.id, loads.meters.get(circuit.id)
        if memory is not None and is_overloaded(memory, now_s, settings.overload_s):
            over = [
                (value - limit_a, phase)
                for value, limit_a, phase in zip(
                    ages.readings.get(name, UNKNOWN)[:3],
                    circuit.limit_a,
                    PHASES,
                    strict=True,
                )
                if value is not None
            ]
            worst_a, worst = max(over, default=(0.0, None))
            found.append(
                Issue(
                    kind=IssueKind.OVERLOADED,
                    circuit=name,
                    phase=worst,
                    value=round(max(0.0, worst_a), 3),
                )
            )
            continue
        room_a = rooms_a(circuit, site, loads.base_a[name], NOTHING)
        if room_a is None or loads.base_a[name] is None:
            continue
        found += [
            Issue(
                kind=IssueKind.BASE_LOAD_OVER_LIMIT,
                circuit=name,
                phase=phase,
                value=round(-room, 3),
            )
            for phase, room in zip(PHASES, room_a, strict=True)
            if room < 0
        ]
    return found


def is_overloaded(memory: MeterMemory, now_s: float, after_s: float) -> bool:
    """Return whether a circuit has been measured above its limit for a while (S13)."""
    return memory.over_s is not None and now_s - memory.over_s >= after_s

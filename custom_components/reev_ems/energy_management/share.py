"""Share: the case is put together, allocated and guarded; what comes of it is each connector's target."""

from collections.abc import Mapping, Sequence
from typing import Final

from .allocation import allocate
from .base_load import extremes
from .case import Allocation, Case, Demand
from .choose import Chosen, budgets_of, is_asleep
from .circuits import Loads, carried, rooms_a
from .decision import Issue, IssueKind, Limit, LimitKind
from .frozen import frozen, replace
from .guard import guard
from .imbalance import NAMES, PAIRS, bounds_a, pairs_loaded, supports
from .meters import Ages, relief_a, was_over
from .model import ChargingMode, PartPerPhase, PerPhase, Settings
from .observation import Observation
from .observe import Seen
from .outlets import Layout
from .rotation import Rotation, is_protected, rotate
from .state import ConnectorMemory, ControllerState
from .vectors import NOTHING, UNKNOWN, Vector, add, most

LACKING: Final = frozenset(
    {
        LimitKind.CIRCUIT_PHASE,
        LimitKind.CIRCUIT_POWER,
        LimitKind.EXTERNAL_LIMIT,
        LimitKind.USER_GROUP,
        LimitKind.IMBALANCE,
        LimitKind.GUARD,
        LimitKind.ROTATION,
    }
)
"""What pauses a connector for lack of room, so that the rotation has to give it a turn."""

_NO_ROUNDING_W = 1e-6

_ONE_CAR_A = 6.0
"""The least that a car charges with (IEC 61851-1)."""


@frozen
class Target:
    """What a connector may have once everybody has followed."""

    value: float
    limit: Limit
    one_phase: bool = False


@frozen
class Shared:
    """What came of the sharing."""

    case: Case
    targets: Mapping[str, Target]
    """By connector: candidates, sleepers and those held."""
    pool: Mapping[str, Vector]
    """By circuit, what is booked for those that sleep below it."""
    memories: Mapping[str, ConnectorMemory]
    rotation: Rotation
    skewed_s: Mapping[str, float]
    issues: tuple[Issue, ...]
    wanted: tuple[str, ...]
    """Circuits whose room somebody wants who would take it; "": that of the whole site."""


def share(
    plan: Layout,
    state: ControllerState,
    chosen: Chosen,
    ages: Ages,
    loads: Loads,
    connectors: Sequence[Seen],
    observation: Observation,
    now_s: float,
) -> Shared:
    """Find the targets of all connectors."""
    settings = plan.site.settings
    rotation = rotate(chosen.candidates, state, now_s, settings)
    memories = {**chosen.memories, **rotation.memories}
    groups = group_bookings(plan, connectors, chosen, None, chosen.sleepers)
    demands = tuple(
        [
            _demand(
                item,
                memories.get(item.name, item.memory),
                chosen,
                loads,
                now_s,
                settings,
            )
            for item in chosen.candidates
        ]
    )
    sleepers = chosen.sleepers
    pool = _pool(plan, sleepers)
    case = _case(plan, chosen, loads, observation, demands, groups, pool)
    case, skewed_s, issues, support_a = _with_imbalance_hold(
        plan, case, chosen.candidates, loads, state, ages, now_s
    )
    case = replace(
        case,
        relief_a=_relief(plan, chosen, loads, now_s),
        start_reserve_a=_start_reserve(loads),
        imbalance_start_a=_imbalance_start(plan, loads),
    )
    allocation = allocate(case, support_a)
    if sleepers and _lacks(allocation, demands):
        # What is kept for sleeping cars may not take the room of one that charges.
        without = replace(
            _case(plan, chosen, loads, observation, demands, groups, {}),
            imbalance_relief_a=case.imbalance_relief_a,
            relief_a=case.relief_a,
            start_reserve_a=case.start_reserve_a,
            imbalance_start_a=case.imbalance_start_a,
        )
        again = allocate(without, support_a)
        if any(
            item.name in allocation.paused and item.name not in again.paused
            for item in chosen.candidates
            if item.is_on
        ):
            allocation, case, pool = again, without, {}
            for item in sleepers:
                memory = memories.get(item.name, item.memory)
                memories[item.name] = replace(memory, offered_s=None, withdrawn_s=now_s)
            sleepers = ()
    targets = _targets(case, allocation, chosen, settings)
    for item in chosen.sleepers:
        kept = item in sleepers
        targets[item.name] = Target(
            value=item.outlet.minimum if kept else 0.0,
            limit=Limit(kind=LimitKind.CAR_SLEEPS),
            one_phase=item.memory.one_phase,
        )
    for name, held in chosen.held.items():
        targets[name] = Target(value=held.target, limit=held.limit)
    _keep_external_limit(targets, connectors, observation.external_limit_w)
    memories |= _phases(case, chosen.candidates, targets, memories, settings, now_s)
    waiting = [
        item
        for item in chosen.candidates
        if targets[item.name].value <= 0
        and targets[item.name].limit.kind in LACKING
        and not is_asleep(item, now_s, settings)
    ]
    _name_turns(chosen.candidates, waiting, targets, rotation, now_s, settings)
    return Shared(
        case=case,
        targets=targets,
        pool=pool,
        memories=memories,
        rotation=rotation,
        skewed_s=skewed_s,
        issues=issues,
        wanted=_wanted(plan, chosen.candidates, targets, allocation, now_s),
    )


def _wanted(
    plan: Layout,
    candidates: Sequence[Seen],
    targets: Mapping[str, Target],
    allocation: Allocation,
    now_s: float,
) -> tuple[str, ...]:
    """Return the circuits whose room somebody wants who would take it, or that have none for one more car."""
    wanted = {
        targets[item.name].limit.circuit or ""
        for item in candidates
        if targets[item.name].limit.kind in LACKING
        and not is_asleep(item, now_s, plan.site.settings)
    }
    for name, share_ in allocation.circuits.items():
        if share_.available_a is not None and any(
            available - used < _ONE_CAR_A
            for available, used in zip(share_.available_a, share_.used_a, strict=True)
        ):
            wanted.add(name)
    return tuple(sorted(wanted))


def _demand(
    item: Seen,
    memory: ConnectorMemory,
    chosen: Chosen,
    loads: Loads,
    now_s: float,
    settings: Settings,
) -> Demand:
    outlet, mode = item.outlet, chosen.modes[item.name]
    follows = mode in {ChargingMode.SOLAR, ChargingMode.SOLAR_MIN}
    asleep = is_asleep(item, now_s, settings)
    max_a = outlet.max_a
    if asleep:
        max_a = outlet.min_a
    elif memory.draw_limit_a is not None:
        max_a = min(max_a, max(memory.draw_limit_a, outlet.min_a))
    if loads.overloaded and any(
        circuit.id in loads.overloaded for circuit in outlet.path
    ):
        # An overload is answered by what is drawn: what is not drawn of a permit helps nobody.
        max_a = min(max_a, max(*item.now.likely[:3], outlet.min_a))
    connector, phases = outlet.connector, outlet.phases
    used = (0,) if memory.one_phase else memory.used
    if used is not None:
        phases = outlet.phases_of(used)
        if phases is None:
            connector = replace(connector, phase_count=len(used))
    measured_a: PartPerPhase | None = None
    draw = memory.draw
    if draw is not None and now_s - draw.reported_s <= settings.reading_timeout_s:
        measured_a = draw.reports[-1].low[:3]
    return Demand(
        connector=connector,
        min_a=outlet.min_a,
        max_a=max_a,
        priority=item.priority,
        phases=phases,
        solar=mode is ChargingMode.SOLAR,
        solar_above_min=mode is ChargingMode.SOLAR_MIN,
        pv_budgets=budgets_of(item) if follows else (),
        starts=not item.is_on,
        protected=is_protected(memory, now_s, settings),
        wants=not asleep,
        groups=item.seen.groups,
        arrived_s=memory.queued_s,
        inside_min_on=memory.on_s is not None
        and item.is_on
        and now_s - memory.on_s < settings.min_on_s,
        measured_a=measured_a,
    )


def _pool(plan: Layout, sleepers: Sequence[Seen]) -> dict[str, Vector]:
    """Return for each circuit the largest minimum of those that sleep below it."""
    pool: dict[str, Vector] = {}
    for item in sleepers:
        load = item.load(item.outlet.minimum)
        for circuit in item.outlet.path:
            pool[circuit.id] = most(pool.get(circuit.id, NOTHING), load)
    return pool


def _case(
    plan: Layout,
    chosen: Chosen,
    loads: Loads,
    observation: Observation,
    demands: tuple[Demand, ...],
    groups: Mapping[str, Sequence[float]],
    pool: Mapping[str, Vector],
) -> Case:
    site, root = plan.site, plan.root
    reserved_a: dict[str, PerPhase] = {}
    for name, total in chosen.reserved.items():
        kept = pool.get(name, NOTHING)
        reserved_a[name] = (
            total[0] + kept[0],
            total[1] + kept[1],
            total[2] + kept[2],
        )
    external_w = observation.external_limit_w
    if external_w is not None:
        booked_w = chosen.reserved[root.id][3] + chosen.offline_w
        external_w = max(0.0, external_w - booked_w - pool.get(root.id, NOTHING)[3])
    base_a = loads.base_a[root.id] if root.metered and loads.low_a else None
    skew_a: PerPhase | None = None
    skew_low_a: PerPhase | None = None
    if base_a is not None and loads.low_a is not None:
        # A meter that does not see every phase cannot tell how they differ (S2).
        more_a = chosen.reserved[root.id]
        skew_a = base_a[0] + more_a[0], base_a[1] + more_a[1], base_a[2] + more_a[2]
        skew_low_a = loads.low_a
    committed_w = chosen.sun.committed_w
    return Case(
        site=site,
        demands=demands,
        base_a=loads.base_a,
        base_w=loads.base_w,
        reservations_a=reserved_a,
        group_reservations_a={
            name: (total[0], total[1], total[2]) for name, total in groups.items()
        },
        surplus_w={
            budget: max(chosen.surplus_w.get(budget, 0.0), committed_w.get(budget, 0.0))
            + _NO_ROUNDING_W
            for budget in chosen.surplus_w.keys() | committed_w.keys()
        },
        surplus_a=chosen.surplus_a,
        external_limit_w=external_w,
        imbalance_base_a=skew_a,
        imbalance_low_a=skew_low_a,
    )


def group_bookings(
    plan: Layout,
    connectors: Sequence[Seen],
    chosen: Chosen,
    booked: Mapping[str, Vector] | None,
    sleepers: Sequence[Seen],
) -> dict[str, list[float]]:
    """Return what connectors are booked with, by user group: L1, L2, L3 in A and the power in W.

    No meter measures a group: who is offline counts also where a circuit's meter sees it (S7).

    Args:
        plan: the site.
        connectors: all of them.
        chosen: who takes no part.
        booked: by connector, what each counts with; None: only those that take no part count.
        sleepers: one minimum counts for all of them together.
    """
    groups = {group.id: [0.0] * 4 for group in plan.site.user_groups}
    if not groups:
        return groups
    for item in connectors:
        if not item.seen.groups:
            continue
        if item.is_offline:
            load = item.unseen_load()
        elif booked is not None:
            load = booked.get(item.name, NOTHING)
        else:
            held = chosen.held.get(item.name)
            load = NOTHING if held is None else held.booked or NOTHING
        for name in item.seen.groups:
            if name in groups:
                add(groups[name], load)
    for name, total in groups.items():
        kept = NOTHING
        for item in sleepers:
            if name in item.seen.groups:
                kept = most(kept, item.load(item.outlet.minimum))
        add(total, kept)
    return groups


def _relief(
    plan: Layout,
    chosen: Chosen,
    loads: Loads,
    now_s: float,
) -> dict[str, PerPhase]:
    """Return by how much circuits may be exceeded for a moment, so that nobody has to be stopped for a peak.

    Lowering to the minimums is at once. Where a connector takes more than its permit nothing is waited out.
    """
    minimums: dict[str, list[Sequence[float]]] = {
        name: [NOTHING] for name in plan.circuits
    }
    excluded: set[str] = set()
    for item in chosen.candidates:
        if item.is_on:
            minimums[item.outlet.connector.circuit].append(
                item.load(item.outlet.minimum)
            )
        if item.memory.over_s is not None:
            excluded.update(item.outlet.metered)
    for name, held in chosen.held.items():
        if held.limit.kind in {LimitKind.DISOBEDIENT, LimitKind.OVERLOAD}:
            excluded.update(plan.outlets[name].metered)
    sums = carried(plan, minimums)
    found: dict[str, PerPhase] = {}
    for name, memory in loads.meters.items():
        circuit = plan.circuits[name]
        if circuit.hard_limit or name in excluded or circuit.limit_a is None:
            continue
        base_a = loads.base_a[name]
        if base_a is None or not was_over(memory, now_s, plan.site.settings):
            continue
        # What is kept for sleeping cars goes before anybody is stopped.
        room_a = rooms_a(circuit, plan.site, base_a, chosen.reserved[name]) or NOTHING
        excess_a = [have - room for have, room in zip(sums[name], room_a, strict=False)]
        if max(excess_a) > 0:
            found[name] = relief_a(memory, circuit.limit_a, excess_a)
    return found


def _start_reserve(loads: Loads) -> dict[str, PerPhase]:
    """Return by how much base loads have lately been above what they are now."""
    found: dict[str, PerPhase] = {}
    for name, memory in loads.meters.items():
        if memory.base is None or loads.base_a[name] is None:
            continue
        l1, l2, l3 = (
            0.0 if most is None or now is None else max(0.0, most - now)
            for most, now in zip(
                extremes(memory.base)[1][:3], memory.base.high[:3], strict=True
            )
        )
        if l1 or l2 or l3:
            found[name] = l1, l2, l3
    return found


def _imbalance_start(plan: Layout, loads: Loads) -> dict[str, float]:
    """Return by how much one phase has lately been above another, more than now."""
    memory = loads.meters.get(plan.root.id)
    if memory is None or memory.base is None or plan.site.imbalance is None:
        return {}
    lowest, highest = extremes(memory.base)
    now_low, now_high = memory.base.low, memory.base.high
    found: dict[str, float] = {}
    for (p, q), name in zip(PAIRS, NAMES, strict=True):
        most_, high, least_, low = highest[p], now_high[p], lowest[q], now_low[q]
        if most_ is None or high is None or least_ is None or low is None:
            continue
        found[name] = max(0.0, most_ - high) + max(0.0, low - least_)
    return found


def _lacks(allocation: Allocation, demands: Sequence[Demand]) -> bool:
    return any(
        allocation.paused[demand.connector.id].kind in LACKING
        for demand in demands
        if demand.wants and demand.connector.id in allocation.paused
    )


def _with_imbalance_hold(
    plan: Layout,
    case: Case,
    candidates: Sequence[Seen],
    loads: Loads,
    state: ControllerState,
    ages: Ages,
    now_s: float,
) -> tuple[Case, dict[str, float], tuple[Issue, ...], Mapping[str, float] | None]:
    """Let violations of the imbalance limit stand for the hold time, and report what nobody can mend.

    A violation is one that the meter shows: an estimate that is late on one phase is no reason to stop a car. It still
    keeps raises back.
    """
    limit = plan.site.imbalance
    if limit is None or case.imbalance_base_a is None:
        return case, {}, (), None
    support_a = supports(case)
    bounds = bounds_a(case, support_a)
    if bounds is None:
        return case, {}, (), support_a
    reading = ages.readings.get(plan.root.id)
    measured_a = reading[:3] if reading else None
    loads_a = [0.0] * len(PAIRS)
    loadable: set[int] = set()
    for item in candidates:
        used = item.outlet.every if item.used is None else item.used
        if len(used) == 3:
            continue
        places = item.outlet.places
        if item.outlet.phases is not None:
            places = tuple([places[own] for own in used])
        for index in pairs_loaded(
            places, len(used), unknown=item.outlet.phases is None
        ):
            loads_a[index] += item.before * item.outlet.unit_a
            loadable.add(index)
    skewed_s: dict[str, float] = {}
    relief: dict[str, float] = {}
    issues: list[Issue] = []
    for (p, q), name, bound, load_a in zip(PAIRS, NAMES, bounds, loads_a, strict=True):
        excess_a = load_a - bound
        if excess_a <= 0:
            continue
        if _differs_less(measured_a, p, q, limit.limit_a):
            relief[name] = excess_a
            continue
        since_s = skewed_s[name] = state.skewed_s.get(name, now_s)
        if now_s - since_s < plan.site.settings.imbalance_hold_s:
            relief[name] = excess_a
        elif bound < 0 and PAIRS.index((p, q)) in loadable:
            issues.append(
                Issue(
                    kind=IssueKind.IMBALANCE_RESIDUAL,
                    phase=name,
                    value=round(-bound, 3),
                )
            )
    if relief:
        case = replace(case, imbalance_relief_a=relief)
    return case, skewed_s, tuple(issues), support_a


def _differs_less(
    measured_a: PartPerPhase | None, p: int, q: int, limit_a: float
) -> bool:
    """Return whether the meter shows that phase p is over phase q by no more than the limit."""
    if measured_a is None:
        return False
    on_p, on_q = measured_a[p], measured_a[q]
    return on_p is not None and on_q is not None and on_p - on_q <= limit_a


def _targets(
    case: Case, allocation: Allocation, chosen: Chosen, settings: Settings
) -> dict[str, Target]:
    """Guard the allocation and return the candidates' targets."""
    shares = allocation.shares
    counts = {
        name: item.phase_count
        for name, item in shares.items()
        if item.phase_count is not None
    }
    guarded = guard(
        case,
        {name: item.current_a for name, item in shares.items()},
        allocation.order,
        counts,
    )
    guard_limit = Limit(kind=LimitKind.GUARD)
    targets: dict[str, Target] = {}
    for seen in chosen.candidates:
        outlet, name = seen.outlet, seen.name
        item = shares.get(name)
        permit_a, lowered_by = guarded[name]
        one_phase = counts.get(name) == 1
        if item is None or permit_a <= 0:
            limit = allocation.paused.get(name) if item is None else lowered_by
            targets[name] = Target(value=0.0, limit=limit or guard_limit)
            continue
        value = item.power_w if outlet.is_dc else item.current_a
        limit = item.limited_by
        if lowered_by is not None and permit_a < item.current_a:
            value = outlet.truncate(min(value, permit_a / outlet.unit_a))
            limit = lowered_by
        value = min(value, outlet.maximum)
        if value < outlet.minimum:
            targets[name] = Target(value=0.0, limit=guard_limit)
            continue
        if name in chosen.sun.stopping:
            limit = chosen.sun.stopping[name]
        elif limit.kind is LimitKind.OWN_MAXIMUM and value < outlet.maximum:
            limit = Limit(kind=LimitKind.CAR_DRAWS_LESS)
        targets[name] = Target(value=value, limit=limit, one_phase=one_phase)
    return targets


def _keep_external_limit(
    targets: dict[str, Target],
    connectors: Sequence[Seen],
    external_limit_w: float | None,
) -> None:
    """Pause those that the failsafe lets charge, as far as all together exceed the external limit.

    It is no row of the sharing, in which they take no part. Who is paused follows from priority and id alone: in the
    failsafe nobody takes turns.
    """
    if external_limit_w is None:
        return
    total_w = 0.0
    held: list[Seen] = []
    for item in connectors:
        target = targets[item.name]
        if item.is_offline:
            total_w += item.unseen_load()[3]
        elif item.steered:
            if target.limit.kind is LimitKind.DISOBEDIENT:
                total_w += item.occupied(item.outlet.maximum)[3]
            else:
                total_w += item.load(target.value)[3]
            if target.limit.kind is LimitKind.FAILSAFE and target.value > 0:
                held.append(item)
    for item in sorted(held, key=lambda item: (item.priority, item.name)):
        if total_w <= external_limit_w:
            break
        total_w -= item.load(targets[item.name].value)[3]
        targets[item.name] = Target(
            value=0.0, limit=Limit(kind=LimitKind.EXTERNAL_LIMIT)
        )


def _phases(
    case: Case,
    candidates: Sequence[Seen],
    targets: Mapping[str, Target],
    memories: Mapping[str, ConnectorMemory],
    settings: Settings,
    now_s: float,
) -> dict[str, ConnectorMemory]:
    """Go to one phase at once; back to three once there has been room for long enough."""
    able = [item for item in candidates if item.outlet.connector.can_switch_phases]
    if not able:
        return {}
    single = {
        item.name: item
        for item in able
        if item.memory.one_phase and targets[item.name].value > 0
    }
    roomy: set[str] = set()
    if single:
        trial = allocate(
            replace(
                case,
                demands=tuple(
                    replace(demand, phases=demand.connector.phases)
                    if demand.connector.id in single
                    else demand
                    for demand in case.demands
                ),
            )
        )
        for name, item in single.items():
            got = trial.shares.get(name)
            least_w = item.outlet.load(item.outlet.minimum)[3] + settings.phase_switch_w
            most_w = item.outlet.load(item.outlet.maximum)[3]
            if (
                got is not None
                and got.phase_count == 3
                and got.power_w >= min(least_w, most_w) - _NO_ROUNDING_W
            ):
                roomy.add(name)
    changed: dict[str, ConnectorMemory] = {}
    for item in able:
        memory = memories.get(item.name, item.memory)
        if targets[item.name].one_phase and not memory.one_phase:
            changed[item.name] = replace(
                memory, one_phase=True, switched_s=now_s, three_phase_room_s=None
            )
        elif item.name in roomy:
            since_s = memory.three_phase_room_s
            if since_s is None:
                changed[item.name] = replace(memory, three_phase_room_s=now_s)
            elif now_s - since_s >= settings.phase_switch_s:
                # From the next step on it asks for three phases.
                changed[item.name] = replace(
                    memory, one_phase=False, switched_s=now_s, three_phase_room_s=None
                )
        elif memory.three_phase_room_s is not None:
            changed[item.name] = replace(memory, three_phase_room_s=None)
    return changed


def _name_turns(
    candidates: Sequence[Seen],
    waiting: Sequence[Seen],
    targets: dict[str, Target],
    rotation: Rotation,
    now_s: float,
    settings: Settings,
) -> None:
    """Tell those who wait while others have their turn that theirs will come."""
    if not waiting:
        return
    # By circuit, by user group, and for the whole site.
    lowest: dict[tuple[str | None, str | None], int] = {}
    for item in candidates:
        if targets[item.name].value > 0:
            for place in (
                (None, None),
                *((circuit.id, None) for circuit in item.outlet.path),
                *((None, group) for group in item.seen.groups),
            ):
                lowest[place] = min(lowest.get(place, item.priority), item.priority)
    for item in waiting:
        limit = targets[item.name].limit
        if item.priority >= lowest.get((limit.circuit, limit.group), 11):
            targets[item.name] = Target(
                value=0.0,
                limit=Limit(
                    kind=LimitKind.ROTATION,
                    circuit=limit.circuit,
                    phase=limit.phase,
                    group=limit.group,
                    remaining_s=rotation.next_s,
                ),
            )


__all__ = ["LACKING", "UNKNOWN", "Shared", "Target", "group_bookings", "share"]

"""What the candidates get: the case is put together, allocated and guarded."""

from collections.abc import Mapping, Sequence
from typing import Final

from .allocation import allocate
from .candidates import Candidates, budgets_of
from .case import Allocation, Case, Demand
from .circuits import Circuits
from .decision import Issue, IssueKind, Limit, LimitKind
from .frozen import frozen, replace
from .guard import guard
from .imbalance import NAMES, PAIRS, bounds_a, supports
from .model import ChargingMode, PartPerPhase, PerPhase, Settings
from .observation import ConnectorState, Observation
from .outlets import Layout
from .raises import booked_by_group
from .state import ControllerState
from .turns import Turn

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
"""What pauses a connector so that it has to stay paused for a while, and that the rotation has to give it a turn."""

_WITHOUT_TURN: Final = LACKING | {LimitKind.MINIMUM_OFF_TIME}

_FULL_CAR_LAST_WH = 1e12
"""A suspended car wants nothing for now: it is admitted after those that do."""

_NO_ROUNDING_W = 1e-6


@frozen
class Shared:
    """What came of the sharing besides the connectors' targets."""

    case: Case
    slot_s: float | None
    """When the running slot of the rotation began; None: everybody fits."""
    skewed_s: Mapping[str, float]
    issues: tuple[Issue, ...]


def share(
    plan: Layout,
    candidates: Candidates,
    circuits: Circuits,
    state: ControllerState,
    observation: Observation,
    turns: Sequence[Turn],
    now_s: float,
) -> Shared:
    """Set the candidates' targets."""
    settings = plan.site.settings
    over = state.slot_s is not None and now_s - state.slot_s >= settings.rotation_slot_s
    if over:
        for turn in candidates.turns:
            _end_turn(turn, now_s)
    case = _case(plan, candidates, circuits, observation, turns, now_s)
    support_a: Mapping[str, float] | None = None
    skewed_s: Mapping[str, float] = {}
    issues: tuple[Issue, ...] = ()
    if plan.site.imbalance is not None and case.imbalance_base_a is not None:
        support_a = supports(case)
        meter = circuits.readings.get(plan.root.id)
        case, skewed_s, issues = _with_imbalance_hold(
            case,
            support_a,
            candidates.turns,
            state,
            now_s,
            measured_a=meter[:3] if meter else None,
        )
    allocation = allocate(case, support_a)
    _apply(case, allocation, candidates, circuits, settings, now_s)
    # Who was paused lately is no candidate yet, but lacks its turn all the same.
    lacking = any(
        turn.target <= 0 and turn.limit.kind in _WITHOUT_TURN
        for turn in turns
        if not turn.reserved
    )
    slot_s = None
    if lacking:
        slot_s = now_s if over or state.slot_s is None else state.slot_s
        _name_turns(candidates.turns, slot_s + settings.rotation_slot_s - now_s)
    return Shared(case=case, slot_s=slot_s, skewed_s=skewed_s, issues=issues)


def _end_turn(turn: Turn, now_s: float) -> None:
    """Send whoever charged in the slot that is over to the end of the queue, the most served last."""
    if turn.new >= turn.outlet.minimum:
        memory = turn.memory
        turn.memory = replace(
            memory,
            queued_s=now_s + min(memory.turns, 999) * 1e-3,
            turns=memory.turns + 1,
        )


def _case(
    plan: Layout,
    candidates: Candidates,
    circuits: Circuits,
    observation: Observation,
    turns: Sequence[Turn],
    now_s: float,
) -> Case:
    site, root = plan.site, plan.root
    reserved_a: dict[str, PerPhase] = {
        name: (total[0], total[1], total[2])
        for name, total in circuits.reserved.items()
    }
    external_w = observation.external_limit_w
    if external_w is not None:
        booked_w = circuits.reserved[root.id][3] + circuits.offline_in_base_w
        external_w = max(0.0, external_w - booked_w)
    base_a = circuits.base_a[root.id] if root.metered else None
    if base_a is not None and None in (circuits.meters[root.id].base or ())[:3]:
        # A meter that does not see every phase cannot tell how they differ (S2).
        base_a = None
    skew_a: PerPhase | None = None
    if base_a is not None:
        more_a = reserved_a[root.id]
        skew_a = base_a[0] + more_a[0], base_a[1] + more_a[1], base_a[2] + more_a[2]
    committed_w = candidates.sun.committed_w
    return Case(
        site=site,
        demands=tuple(
            [_demand(turn, site.settings, now_s) for turn in candidates.turns]
        ),
        base_a=circuits.base_a,
        base_w=circuits.base_w,
        reservations_a=reserved_a,
        group_reservations_a={
            name: (total[0], total[1], total[2])
            for name, total in booked_by_group(
                site, (turn for turn in turns if turn.reserved), now_s
            ).items()
        },
        surplus_w={
            budget: max(
                candidates.surplus_w.get(budget, 0.0), committed_w.get(budget, 0.0)
            )
            + _NO_ROUNDING_W
            for budget in candidates.surplus_w.keys() | committed_w.keys()
        },
        surplus_a=candidates.surplus_a,
        external_limit_w=external_w,
        imbalance_base_a=skew_a,
    )


def _demand(turn: Turn, settings: Settings, now_s: float) -> Demand:
    outlet, memory, follows = turn.outlet, turn.memory, turn.follows
    solar = follows and outlet.connector.mode is ChargingMode.SOLAR
    max_a, limit_a = outlet.max_a, memory.draw_limit_a
    if limit_a is not None:
        max_a = min(max_a, max(limit_a, outlet.min_a))
    phases = outlet.phases
    if turn.one_phase and phases:
        phases = phases[:1]
    measured_a = None
    if memory.draw is not None and turn.known is not None:
        measured_a = memory.draw.low[:3]
    return Demand(
        connector=outlet.connector,
        min_a=outlet.min_a,
        max_a=max_a,
        priority=turn.priority,
        phases=phases,
        solar=solar,
        solar_above_min=follows and not solar,
        pv_budgets=budgets_of(turn) if follows else (),
        groups=turn.seen.groups,
        served_wh=_FULL_CAR_LAST_WH
        if turn.seen.state is ConnectorState.SUSPENDED_EV
        else 0.0,
        arrived_s=memory.queued_s,
        inside_min_on=memory.on_s is not None
        and turn.new > 0
        and now_s - memory.on_s < settings.min_on_s,
        measured_a=measured_a,
    )


def _with_imbalance_hold(
    case: Case,
    support_a: Mapping[str, float],
    turns: Sequence[Turn],
    state: ControllerState,
    now_s: float,
    *,
    measured_a: PartPerPhase | None,
) -> tuple[Case, dict[str, float], tuple[Issue, ...]]:
    """Let violations of the imbalance limit stand for the hold time, and report what nobody can mend.

    A violation is one that the meter shows: an estimate that is late on one phase is no reason to stop a car. It still
    keeps raises back.
    """
    bounds = bounds_a(case, support_a)
    if bounds is None:
        return case, {}, ()
    loads_a = [0.0] * len(PAIRS)
    for turn in turns:
        for index in turn.outlet.pairs:
            loads_a[index] += turn.new * turn.outlet.unit_a
    skewed_s: dict[str, float] = {}
    relief_a: dict[str, float] = {}
    issues: list[Issue] = []
    limit_a = case.site.imbalance.limit_a if case.site.imbalance else 0.0
    for (p, q), name, bound, load_a in zip(PAIRS, NAMES, bounds, loads_a, strict=True):
        excess_a = load_a - bound
        if excess_a <= 0:
            continue
        if _differs_less(measured_a, p, q, limit_a):
            relief_a[name] = excess_a
            continue
        since_s = skewed_s[name] = state.skewed_s.get(name, now_s)
        if now_s - since_s < case.site.settings.imbalance_hold_s:
            relief_a[name] = excess_a
        elif bound < 0:
            issues.append(
                Issue(
                    kind=IssueKind.IMBALANCE_RESIDUAL,
                    phase=name,
                    value=round(-bound, 3),
                )
            )
    if relief_a:
        case = replace(case, imbalance_relief_a=relief_a)
    return case, skewed_s, tuple(issues)


def _differs_less(
    measured_a: PartPerPhase | None, p: int, q: int, limit_a: float
) -> bool:
    """Return whether the meter shows that phase p is over phase q by no more than the limit."""
    if measured_a is None:
        return False
    on_p, on_q = measured_a[p], measured_a[q]
    return on_p is not None and on_q is not None and on_p - on_q <= limit_a


def _apply(
    case: Case,
    allocation: Allocation,
    candidates: Candidates,
    circuits: Circuits,
    settings: Settings,
    now_s: float,
) -> None:
    """Guard the allocation and set the targets."""
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
    for turn in candidates.turns:
        outlet, name = turn.outlet, turn.name
        item = shares.get(name)
        permit_a, lowered_by = guarded[name]
        if item is None or permit_a <= 0:
            limit = allocation.paused.get(name) if item is None else lowered_by
            turn.limit = limit or Limit(kind=LimitKind.GUARD)
            continue
        turn.one_phase = counts.get(name) == 1
        value = item.power_w if outlet.is_dc else item.current_a
        turn.limit = item.limited_by
        if lowered_by is not None and permit_a < item.current_a:
            value = outlet.truncate(min(value, permit_a / outlet.unit_a))
            turn.limit = lowered_by
        value = min(value, outlet.maximum)
        if value < outlet.minimum:
            turn.limit = Limit(kind=LimitKind.GUARD)
            continue
        turn.target = value
        if name in candidates.sun.stopping:
            turn.limit = candidates.sun.stopping[name]
        elif (
            turn.limit.kind is LimitKind.OWN_MAXIMUM
            and turn.memory.draw_limit_a is not None
            and value < outlet.maximum
        ):
            turn.limit = Limit(kind=LimitKind.CAR_DRAWS_LESS)
    _change_phases(case, candidates.turns, settings, now_s)


def _change_phases(
    case: Case, turns: Sequence[Turn], settings: Settings, now_s: float
) -> None:
    """Go to one phase at once; back to three once there has been room for long enough."""
    single = {
        turn.name: turn for turn in turns if turn.memory.one_phase and turn.one_phase
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
        for name, turn in single.items():
            item = trial.shares.get(name)
            least_w = turn.outlet.load(turn.outlet.minimum)[3] + settings.phase_switch_w
            most_w = turn.outlet.load(turn.outlet.maximum)[3]
            if (
                item is not None
                and item.phase_count == 3
                and item.power_w >= min(least_w, most_w) - _NO_ROUNDING_W
            ):
                roomy.add(name)
    for turn in turns:
        memory = turn.memory
        if turn.one_phase and not memory.one_phase:
            turn.memory = replace(
                memory, one_phase=True, switched_s=now_s, three_phase_room_s=None
            )
            turn.switching = True
        elif turn.name in roomy:
            since_s = memory.three_phase_room_s
            if since_s is None:
                turn.memory = replace(memory, three_phase_room_s=now_s)
            elif now_s - since_s >= settings.phase_switch_s:
                # From the next step on it asks for three phases.
                turn.memory = replace(
                    memory, one_phase=False, switched_s=now_s, three_phase_room_s=None
                )
                turn.switching = True
        elif memory.three_phase_room_s is not None:
            turn.memory = replace(memory, three_phase_room_s=None)


def _name_turns(turns: Sequence[Turn], remaining_s: float) -> None:
    """Tell those who wait while others have their turn that theirs will come."""
    # By circuit, by user group, and for the whole site.
    lowest: dict[tuple[str | None, str | None], int] = {}
    for turn in turns:
        if turn.target > 0:
            for place in (
                (None, None),
                *((circuit.id, None) for circuit in turn.outlet.path),
                *((None, group) for group in turn.seen.groups),
            ):
                lowest[place] = min(lowest.get(place, turn.priority), turn.priority)
    for turn in turns:
        limit = turn.limit
        if (
            turn.target <= 0
            and limit.kind in LACKING
            and turn.priority >= lowest.get((limit.circuit, limit.group), 11)
        ):
            turn.limit = Limit(
                kind=LimitKind.ROTATION,
                circuit=limit.circuit,
                phase=limit.phase,
                group=limit.group,
                remaining_s=remaining_s,
            )

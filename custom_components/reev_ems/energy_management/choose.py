"""Choose: who takes part in the sharing, who is held where it is, who sleeps, who may charge from the sun."""

from collections.abc import Mapping, Sequence

from .case import SITE_BUDGET
from .circuits import Loads, carried, is_overloaded
from .decision import Limit, LimitKind
from .frozen import frozen, replace
from .meters import Ages
from .model import ChargingMode, PerPhase, Settings
from .observation import ConnectorState, Observation
from .observe import Seen
from .outlets import Layout
from .state import ConnectorMemory, ControllerState, Sun
from .surplus import Applicant, SunPlan, plan_sun, surplus_w
from .vectors import NOTHING, Vector, least, summed

_MORE_PHASES = 1.5
"""A car that draws more than so many times what it may on one phase uses another one."""
_WAKING_S = 120.0
"""Cars that were paused take up to two minutes to charge again."""


@frozen
class Held:
    """What a connector is told that takes no part in the sharing."""

    target: float
    limit: Limit
    booked: Vector | None = None
    """What it counts with in the sharing of the others; None: nothing, as it will follow at once."""


@frozen
class Chosen:
    """The connectors that take part, and what they may take from the sun."""

    candidates: tuple[Seen, ...]
    sleepers: tuple[Seen, ...]
    """One minimum is kept for all of them, so that any one can wake."""
    held: Mapping[str, Held]
    modes: Mapping[str, ChargingMode]
    """By connector, the mode that is in force: `automatic` is none."""
    memories: Mapping[str, ConnectorMemory]
    """Those that changed."""
    reserved: Mapping[str, Sequence[float]]
    """By circuit, what those are booked with that take no part."""
    offline_w: float
    """Floors of those offline that a meter sees: limits of the connectors alone count them too (S7)."""
    sun: SunPlan
    surplus_w: Mapping[str, float]
    """By budget, what the followers may draw; what is left out is unknown."""
    surplus_a: Mapping[str, PerPhase]


def choose(
    plan: Layout,
    state: ControllerState,
    connectors: Sequence[Seen],
    ages: Ages,
    loads: Loads,
    observation: Observation,
    now_s: float,
) -> Chosen:
    """Find out who takes part in the sharing."""
    settings = plan.site.settings
    candidates: list[Seen] = []
    sleepers: list[Seen] = []
    followers: list[Seen] = []
    held: dict[str, Held] = {}
    modes: dict[str, ChargingMode] = {}
    memories: dict[str, ConnectorMemory] = {}
    others: list[tuple[Seen, Vector]] = []
    for item in connectors:
        mode = modes[item.name] = _mode(plan, item)
        draw = item.now.likely if item.memory.draw else item.now.high
        if item.is_offline:
            # It is base load where a meter sees it (S7).
            draw = NOTHING
            held[item.name] = Held(target=0.0, limit=Limit(kind=LimitKind.OFFLINE))
        elif (found := _held(plan, item, mode, ages, loads, now_s)) is not None:
            held[item.name] = found
        elif mode is ChargingMode.SOLAR:
            followers.append(item)
            draw = NOTHING
        else:
            if mode is ChargingMode.SOLAR_MIN:
                draw = least(draw, item.load(item.outlet.minimum))
            if not is_asleep(item, now_s, settings):
                candidates.append(item)
            else:
                memory = _offered(item, state, now_s, settings)
                if memory is not item.memory:
                    memories[item.name] = memory
                if memory.offered_s is not None:
                    sleepers.append(item)
                else:
                    held[item.name] = Held(
                        target=0.0, limit=Limit(kind=LimitKind.CAR_SLEEPS)
                    )
        if draw is not NOTHING:
            others.append((item, draw))
    free_w, surplus_a = _surplus(plan, state, ages, loads, observation, others)
    followers.sort(key=lambda item: _claim(item, now_s, settings))
    sun = plan_sun(
        [_applicant(plan, item, now_s) for item in followers],
        free_w,
        now_s,
        state.sun_started_s,
        settings,
    )
    for item in followers:
        memories[item.name] = replace(item.memory, sun=sun.suns[item.name])
        if (limit := sun.waiting.get(item.name)) is not None:
            held[item.name] = Held(target=0.0, limit=limit)
        else:
            candidates.append(item)
    reserved, offline_w = _reserved(plan, connectors, loads, held)
    return Chosen(
        candidates=tuple(candidates),
        sleepers=tuple(sleepers),
        held=held,
        modes=modes,
        memories=memories,
        reserved=reserved,
        offline_w=offline_w,
        sun=sun,
        surplus_w=free_w,
        surplus_a=surplus_a,
    )


def budgets_of(item: Seen) -> tuple[str, ...]:
    """Return the PV budgets that bind a follower."""
    return (
        SITE_BUDGET,
        *(
            circuit.id
            for circuit in item.outlet.path
            if circuit.own_pv and circuit.parent is not None
        ),
    )


def is_asleep(item: Seen, now_s: float, settings: Settings) -> bool:
    """Return whether a car has taken nothing of its offer for a while."""
    memory = item.memory
    if memory.sleeps_s is None:
        return False
    on_s = memory.on_s
    if on_s is not None and memory.sleeps_s >= on_s and now_s - on_s < _WAKING_S:
        # It may take so long to notice its offer.
        return False
    if memory.state is ConnectorState.CHARGING:
        # What it does not say nobody knows.
        if memory.draw is None:
            return False
        now_s = memory.draw.reported_s
    return now_s - memory.sleeps_s >= settings.sleep_after_s


def _offered(
    item: Seen, state: ControllerState, now_s: float, settings: Settings
) -> ConnectorMemory:
    """Return whether a sleeping car keeps its offer: for a while, if others want it, and again once it is its turn."""
    memory = item.memory
    wanted = "" in state.wanted or any(
        circuit.id in state.wanted for circuit in item.outlet.path
    )
    if memory.offered_s is not None:
        if wanted and now_s - memory.offered_s >= settings.sleep_offer_s:
            return replace(memory, offered_s=None, withdrawn_s=now_s)
        return memory
    withdrawn_s = memory.withdrawn_s
    if withdrawn_s is None or now_s - withdrawn_s >= (
        settings.rotation_slot_s if wanted else settings.sleep_offer_s
    ):
        return replace(memory, offered_s=now_s, withdrawn_s=None)
    return memory


def _mode(plan: Layout, item: Seen) -> ChargingMode:
    """Return the mode that is in force: `automatic` follows the PV switches."""
    connector = item.outlet.connector
    if connector.mode is not ChargingMode.AUTOMATIC:
        return connector.mode
    if plan.site.pv_surplus or any(circuit.follows_pv for circuit in item.outlet.path):
        return connector.automatic_mode
    return ChargingMode.FAST


def _held(
    plan: Layout,
    item: Seen,
    mode: ChargingMode,
    ages: Ages,
    loads: Loads,
    now_s: float,
) -> Held | None:
    """Return what a connector is told that takes no part: without a session, disobedient, below a silent meter, off."""
    memory, outlet = item.memory, item.outlet
    if not item.steered:
        return Held(
            target=item.before,
            limit=Limit(kind=LimitKind.NOT_CONNECTED),
            booked=item.now.high,
        )
    off = _off(item, mode)
    if memory.measure is not None:
        limit = Limit(kind=LimitKind.OVERLOAD, circuit=outlet.path[-1].id)
        return Held(target=0.0, limit=limit, booked=item.occupied(0.0))
    target = min(item.before, outlet.floor)
    if memory.disobedient or (
        memory.over_s is not None and not loads.overloaded.isdisjoint(outlet.metered)
    ):
        # It counts with what it may draw; in an overload with what it does, before anybody can say that it goes on.
        limit = Limit(kind=LimitKind.DISOBEDIENT)
        booked = item.occupied(outlet.maximum if memory.disobedient else 0.0)
        if _is_overloaded(plan, outlet.metered, loads, now_s):
            target = 0.0
    elif not ages.failed.isdisjoint(outlet.metered):
        limit = Limit(kind=LimitKind.FAILSAFE)
        booked = item.occupied(max(item.before, outlet.floor))
    elif off is not None:
        return off
    elif not plan.site.load_management:
        return Held(target=outlet.floor, limit=Limit(kind=LimitKind.FAILSAFE))
    else:
        return None
    if off is not None:
        return replace(off, booked=booked)
    return Held(target=target, limit=limit, booked=booked)


def _is_overloaded(
    plan: Layout, circuits: Sequence[str], loads: Loads, now_s: float
) -> bool:
    """Return whether one of the circuits has been overloaded for a while (S13)."""
    after_s = plan.site.settings.overload_s
    return any(is_overloaded(loads.meters[name], now_s, after_s) for name in circuits)


def _off(item: Seen, mode: ChargingMode) -> Held | None:
    """Return the pause of a connector that a person switched off."""
    if not item.seen.enabled:
        kind = LimitKind.SWITCHED_OFF
    elif not item.seen.authorized:
        kind = LimitKind.NOT_AUTHORIZED
    elif mode is ChargingMode.OFF:
        kind = LimitKind.MODE_OFF
    else:
        return None
    return Held(target=0.0, limit=Limit(kind=kind))


def _reserved(
    plan: Layout,
    connectors: Sequence[Seen],
    loads: Loads,
    held: Mapping[str, Held],
) -> tuple[dict[str, list[float]], float]:
    """Book those that take no part. What is offline counts where no meter sees it (S7)."""
    booked: dict[str, list[Sequence[float]]] = {
        name: [NOTHING] for name in plan.circuits
    }
    unseen: list[Seen] = []
    for item in connectors:
        if item.is_offline:
            unseen.append(item)
        elif (found := held.get(item.name)) is not None and found.booked is not None:
            booked[item.outlet.connector.circuit].append(found.booked)
    sums = carried(plan, booked)
    offline_w = 0.0
    for item in unseen:
        load = item.unseen_load()
        for circuit in item.outlet.path:
            if circuit.metered and loads.base_a[circuit.id] is not None:
                # From here on upwards it is in the base load.
                offline_w += load[3]
                break
            total = sums[circuit.id]
            for index, value in enumerate(load):
                total[index] += value
    return sums, offline_w


def _surplus(
    plan: Layout,
    state: ControllerState,
    ages: Ages,
    loads: Loads,
    observation: Observation,
    others: Sequence[tuple[Seen, Vector]],
) -> tuple[dict[str, float], dict[str, PerPhase]]:
    """Return the surplus by budget, in W and, where the meter does not net the phases, in A."""
    site, settings = plan.site, plan.site.settings
    free_w: dict[str, float] = {}
    surplus_a: dict[str, PerPhase] = {}
    budgets = {SITE_BUDGET: plan.root} | {
        circuit.id: circuit
        for circuit in site.circuits
        if circuit.own_pv and circuit.parent is not None
    }
    for budget, circuit in budgets.items():
        if not circuit.metered or circuit.id in ages.failed:
            continue
        of_site = budget == SITE_BUDGET
        away = summed(
            draw for item, draw in others if of_site or circuit in item.outlet.path
        )
        spare_w = surplus_w(
            loads.base_w.get(circuit.id),
            loads.house.high[3] if of_site and loads.house else None,
            away[3],
            observation.battery if of_site else None,
            settings,
            battery_expected=of_site and state.battery_seen,
        )
        if spare_w is None:
            continue
        free_w[budget] = spare_w
        base_a = loads.base_a[circuit.id]
        if settings.pv_per_phase and base_a is not None:
            surplus_a[budget] = (
                -base_a[0] - away[0],
                -base_a[1] - away[1],
                -base_a[2] - away[2],
            )
    return free_w, surplus_a


def _applicant(plan: Layout, item: Seen, now_s: float) -> Applicant:
    outlet = item.outlet
    used = (0,) if outlet.connector.can_switch_phases else item.memory.used
    ask_w = None
    # What a charge point does not report nobody learns.
    if used is None and outlet.phase_count > 1 and item.memory.draw:
        one_w = outlet.load(item.allowed, (0,))[3]
        if item.now.low[3] <= _MORE_PHASES * one_w:
            ask_w = outlet.load(outlet.minimum, (0,))[3]
    return Applicant(
        connector=item.name,
        sun=item.memory.sun or Sun(since_s=now_s),
        minimum_w=outlet.load(outlet.minimum, used)[3],
        ask_w=ask_w,
        budgets=budgets_of(item),
    )


def _claim(
    item: Seen, now_s: float, settings: Settings
) -> tuple[bool, int, float, str]:
    return (
        is_asleep(item, now_s, settings),
        -item.priority,
        item.memory.queued_s,
        item.name,
    )

"""Who takes part in the sharing: modes, switches, failsafe, PV hysteresis, pause times."""

from collections.abc import Mapping, Sequence

from .case import SITE_BUDGET
from .circuits import Circuits, summed
from .decision import Limit, LimitKind
from .frozen import frozen, replace
from .model import ChargingMode, PerPhase, Settings
from .observation import ConnectorState, Observation
from .outlets import Layout
from .state import NOTHING, ControllerState, Sun, Vector, least
from .surplus import Applicant, SunPlan, plan_sun, surplus_w
from .turns import Turn

_SOLAR = frozenset({ChargingMode.SOLAR, ChargingMode.SOLAR_MIN})


@frozen
class Candidates:
    """Who takes part, and what they may take from the sun."""

    turns: Sequence[Turn]
    sun: SunPlan
    surplus_w: Mapping[str, float]
    """By budget, what the followers may draw; what is left out is unknown."""
    surplus_a: Mapping[str, PerPhase]
    battery_seen: bool


def reserve(turns: Sequence[Turn], now_s: float, settings: Settings) -> None:
    """Set aside whoever takes no part: away, without a session, disobedient, below a silent meter."""
    for turn in turns:
        memory, outlet = turn.memory, turn.outlet
        if turn.seen.state is ConnectorState.OFFLINE:
            turn.reserved = True
            turn.limit = Limit(kind=LimitKind.OFFLINE)
        elif not turn.steered:
            turn.reserved = True
            turn.booked = turn.without_session(now_s, settings)
        elif memory.disobedient:
            turn.reserved = True
            turn.booked = turn.occupied(outlet.maximum)
            turn.target = min(turn.new, outlet.floor)
            turn.limit = Limit(kind=LimitKind.GUARD)
        elif turn.failed:
            turn.reserved = True
            turn.booked = turn.occupied(max(turn.new, outlet.floor))
            turn.target = min(turn.new, outlet.floor)
            turn.limit = Limit(kind=LimitKind.FAILSAFE)
        if turn.reserved and turn.steered and not _is_on(turn):
            _switch_off(turn)


def keep_external_limit(
    turns: Sequence[Turn],
    external_limit_w: float | None,
    now_s: float,
    settings: Settings,
) -> None:
    """Pause those that the failsafe lets charge, as far as all together exceed the external limit.

    It is no row of the sharing, in which they take no part. Who is paused follows from priority and id alone: in the
    failsafe nobody takes turns.
    """
    if external_limit_w is None:
        return
    total_w = sum(
        turn.offline_load(now_s, settings, metered=False)[3]
        if turn.seen.state is ConnectorState.OFFLINE
        else turn.booked[3]
        if turn.memory.disobedient
        else turn.load(turn.target)[3]
        for turn in turns
        if turn.steered or turn.seen.state is ConnectorState.OFFLINE
    )
    held = [
        turn
        for turn in turns
        if turn.limit.kind is LimitKind.FAILSAFE and turn.target > 0
    ]
    for turn in sorted(held, key=lambda turn: (turn.priority, turn.name)):
        if total_w <= external_limit_w:
            break
        total_w -= turn.load(turn.target)[3]
        turn.target = 0.0
        turn.limit = Limit(kind=LimitKind.EXTERNAL_LIMIT)


def choose(
    plan: Layout,
    turns: Sequence[Turn],
    circuits: Circuits,
    state: ControllerState,
    observation: Observation,
    now_s: float,
) -> Candidates:
    """Find out who takes part in the sharing."""
    site, settings = plan.site, plan.site.settings
    found: list[Turn] = []
    followers: list[Turn] = []
    others: list[tuple[Turn, Vector]] = []
    for turn in turns:
        if turn.seen.state is ConnectorState.OFFLINE:
            # Without news it may draw by its permit, until that lapses and its draw becomes base load (S7).
            draw = turn.known or turn.offline_load(now_s, settings, metered=True)
        else:
            draw = turn.likely_draw
        if not turn.reserved:
            mode = turn.outlet.connector.mode
            turn.follows = mode in _SOLAR and (
                site.pv_surplus
                or any(circuit.follows_pv for circuit in turn.outlet.path)
            )
            if not _is_on(turn):
                _switch_off(turn)
            elif not site.load_management:
                turn.target = turn.outlet.floor
                turn.limit = Limit(kind=LimitKind.FAILSAFE)
            elif turn.follows and mode is ChargingMode.SOLAR:
                followers.append(turn)
                draw = NOTHING
            elif (wait_s := _pause_left_s(turn, now_s, settings)) > 0:
                turn.limit = Limit(kind=LimitKind.MINIMUM_OFF_TIME, remaining_s=wait_s)
            else:
                found.append(turn)
                if turn.follows:
                    draw = least(draw, turn.load(turn.outlet.minimum))
        if draw is not NOTHING:
            others.append((turn, draw))
    battery = observation.battery
    free_w: dict[str, float] = {}
    surplus_a: dict[str, PerPhase] = {}
    budgets = {SITE_BUDGET: plan.root} | {
        circuit.id: circuit
        for circuit in site.circuits
        if circuit.own_pv and circuit.parent is not None
    }
    for budget, circuit in budgets.items():
        if not circuit.metered or circuit.id in circuits.failed:
            continue
        of_site = budget == SITE_BUDGET
        away = summed(
            draw for turn, draw in others if of_site or circuit in turn.outlet.path
        )
        spare_w = surplus_w(
            circuits.base_w.get(circuit.id),
            circuits.house_w if of_site else None,
            away[3],
            battery if of_site else None,
            settings,
            battery_expected=of_site and state.battery_seen,
        )
        if spare_w is None:
            continue
        free_w[budget] = spare_w
        base_a = circuits.base_a[circuit.id]
        if settings.pv_per_phase and base_a is not None:
            surplus_a[budget] = (
                -base_a[0] - away[0],
                -base_a[1] - away[1],
                -base_a[2] - away[2],
            )
    followers.sort(key=_claim)
    sun = plan_sun(
        [_applicant(turn, now_s) for turn in followers],
        free_w,
        now_s,
        state.sun_started_s,
        settings,
    )
    for turn in followers:
        turn.memory = replace(turn.memory, sun=sun.suns[turn.name])
        if (limit := sun.waiting.get(turn.name)) is not None:
            turn.limit = limit
        else:
            found.append(turn)
    return Candidates(
        turns=found,
        sun=sun,
        surplus_w=free_w,
        surplus_a=surplus_a,
        battery_seen=state.battery_seen
        or (battery is not None and battery.power_w is not None),
    )


def budgets_of(turn: Turn) -> tuple[str, ...]:
    """Return the PV budgets that bind a follower."""
    return (
        SITE_BUDGET,
        *(
            circuit.id
            for circuit in turn.outlet.path
            if circuit.own_pv and circuit.parent is not None
        ),
    )


def _applicant(turn: Turn, now_s: float) -> Applicant:
    outlet = turn.outlet
    one_phase = outlet.connector.can_switch_phases
    return Applicant(
        connector=turn.name,
        sun=turn.memory.sun or Sun(since_s=now_s),
        minimum_w=outlet.load(outlet.minimum, one_phase=one_phase)[3],
        budgets=budgets_of(turn),
    )


def _claim(turn: Turn) -> tuple[bool, int, float, str]:
    return (
        turn.seen.state is ConnectorState.SUSPENDED_EV,
        -turn.priority,
        turn.memory.queued_s,
        turn.name,
    )


def _is_on(turn: Turn) -> bool:
    return (
        turn.seen.enabled
        and turn.seen.authorized
        and turn.outlet.connector.mode is not ChargingMode.OFF
    )


def _switch_off(turn: Turn) -> None:
    """Pause a connector that a person switched off; this is nobody's shortage, so no pause time follows."""
    turn.target = 0.0
    if not turn.seen.enabled:
        kind = LimitKind.SWITCHED_OFF
    elif not turn.seen.authorized:
        kind = LimitKind.NOT_AUTHORIZED
    else:
        kind = LimitKind.MODE_OFF
    turn.limit = Limit(kind=kind)


def _pause_left_s(turn: Turn, now_s: float, settings: Settings) -> float:
    """Return how long a connector that was paused for lack of room has to stay so."""
    off_s = turn.memory.off_s
    return 0.0 if off_s is None else off_s + settings.min_off_s - now_s

"""One step of the energy management: what was observed in, what is allowed out.

`step(plan, state, observation)` is pure and deterministic, so that every decision can be replayed. It is a pipeline of
values, each stage a function of what the stages before it returned:

1. observe: meters age (S3) - meters.py; what each connector may be drawing (S7) - observe.py, envelope.py; what its car
   does with its permit (S6, S8) - conduct.py; whether the meters show it (S14) - witnesses.py, truth.py;
2. estimate: the base load of each circuit - circuits.py, base_load.py;
3. choose: who takes part: modes, switches, failsafe, sleep, PV hysteresis - choose.py, surplus.py;
4. share: the targets - share.py, rotation.py, allocation.py;
5. guard: every row once more (S10) - guard.py;
6. raise: decreases at once, raises into room that is really there (S3, S6) - raises.py;
7. command: what has to go on the wire (S5, S13) - commands.py, escalation.py.

Everything after the guard only lowers.
"""

from collections.abc import Mapping, Sequence

from .choose import Chosen, choose
from .circuits import Loads, describe, estimate_loads, is_overloaded, issues, note_cuts
from .commands import plan_commands
from .decision import Command, ConnectorDecision, Decision, Issue, IssueKind, SiteState
from .escalation import escalate
from .meters import Ages, age_meters, held
from .observation import Observation
from .observe import Seen, guessed, observe
from .outlets import Layout
from .raises import Taken, take
from .share import Shared, share
from .state import ConnectorMemory, ControllerState
from .vectors import NOTHING, beyond, least
from .witnesses import hear

__all__ = ["ControllerState", "step"]


def step(
    plan: Layout, state: ControllerState, observation: Observation
) -> tuple[ControllerState, Decision]:
    """Decide what every connector is allowed from now on.

    Args:
        plan: what is configured now (`outlets.layout(site)`); it may differ from the last step's.
        state: what the last step returned; ControllerState() at the start.
        observation: what is known now. Meters and connectors that are not on the site are passed over.
    """
    settings = plan.site.settings
    now_s, shift_s, raise_from_s = _clock(state, observation, settings.recovery_raise_s)
    ages = age_meters(plan, state, observation, now_s)
    connectors = observe(plan, state, observation, now_s)
    heard = hear(plan, state, ages, connectors, observation, now_s)
    ages = held(heard.ages, guessed(connectors))
    if ages.newly_failed:
        # What a silent or false circuit leaves is not to be handed out in the same breath.
        raise_from_s = max(raise_from_s, now_s + settings.recovery_raise_s)
    loads = estimate_loads(plan, state, ages, connectors, observation, now_s)
    chosen = choose(plan, state, connectors, ages, loads, observation, now_s)
    shared = share(plan, state, chosen, ages, loads, connectors, observation, now_s)
    taken = take(
        plan,
        connectors,
        ages,
        loads,
        chosen,
        shared,
        heard.probes,
        observation.external_limit_w,
        raise_from_s,
        now_s,
    )
    memories, commands = plan_commands(
        connectors, chosen, taken, settings, now_s, shift_s
    )
    meters = note_cuts(
        plan, loads.meters, ages.readings, _falls(plan, connectors, taken), now_s
    )
    measures, more = escalate(plan, connectors, memories, loads, now_s)
    battery = observation.battery
    after = ControllerState(
        now_s=now_s,
        shift_s=shift_s,
        raise_from_s=raise_from_s,
        meters=meters,
        connectors=memories | measures,
        wanted=shared.wanted,
        yielded_s=shared.rotation.yielded_s,
        sun_started_s=chosen.sun.started_s,
        skewed_s=shared.skewed_s,
        battery_seen=state.battery_seen
        or (battery is not None and battery.power_w is not None),
        house=loads.house,
    )
    return after, _decision(
        plan,
        connectors,
        ages,
        loads,
        chosen,
        shared,
        taken,
        memories,
        (*commands, *more),
        heard.issues,
        observation.at_s,
        now_s,
    )


def _falls(
    plan: Layout, connectors: Sequence[Seen], taken: Taken
) -> dict[str, list[Sequence[float]]]:
    """Return by circuit by how much connectors on it will draw less, because their permits are lowered."""
    falls: dict[str, list[Sequence[float]]] = {
        name: [NOTHING] for name in plan.circuits
    }
    for item in connectors:
        value = taken.permits[item.name].value
        if item.steered and value < item.before:
            drawn = least(item.now.likely, item.load(item.before))
            falls[item.outlet.connector.circuit].append(beyond(drawn, item.load(value)))
    return falls


def _clock(
    state: ControllerState, observation: Observation, recovery_raise_s: float
) -> tuple[float, float, float]:
    """Return the time of the step, what was added to the caller's clock, and when raises are allowed again."""
    now_s = observation.at_s + state.shift_s
    if state.now_s is None or now_s >= state.now_s:
        return now_s, state.shift_s, state.raise_from_s
    # The clock ran backwards: nobody knows how much time passed, so none of it counts for a raise.
    shift_s = state.shift_s + state.now_s - now_s
    return state.now_s, shift_s, state.now_s + recovery_raise_s


def _decision(
    plan: Layout,
    connectors: Sequence[Seen],
    ages: Ages,
    loads: Loads,
    chosen: Chosen,
    shared: Shared,
    taken: Taken,
    memories: Mapping[str, ConnectorMemory],
    commands: tuple[Command, ...],
    contradictions: tuple[Issue, ...],
    at_s: float,
    now_s: float,
) -> Decision:
    decided: dict[str, ConnectorDecision] = {}
    for item in connectors:
        outlet, new = item.outlet, taken.permits[item.name]
        memory = memories[item.name]
        decided[item.name] = ConnectorDecision(
            permit_a=None if outlet.is_dc else new.value,
            permit_w=new.value if outlet.is_dc else None,
            limited_by=new.limit,
            phase_count=(1 if memory.one_phase else 3)
            if outlet.connector.can_switch_phases
            else None,
            used_phases=None if memory.used is None else len(memory.used),
        )
    return Decision(
        at_s=at_s,
        state=_site_state(plan, ages, loads, now_s),
        connectors=decided,
        commands=commands,
        circuits=describe(plan, loads, taken.booked),
        issues=(
            *issues(plan, ages, loads, now_s),
            *contradictions,
            *(
                Issue(kind=IssueKind.DISOBEDIENT, connector=item.name)
                for item in connectors
                if item.memory.disobedient
            ),
            *shared.issues,
            *plan.issues,
        ),
        surplus_w=chosen.surplus_w.get(""),
    )


def _site_state(plan: Layout, ages: Ages, loads: Loads, now_s: float) -> SiteState:
    settings = plan.site.settings
    if not plan.site.load_management:
        return SiteState.OFF
    if ages.failed:
        return SiteState.FAILSAFE
    if any(
        is_overloaded(memory, now_s, settings.overload_s)
        for memory in loads.meters.values()
    ):
        return SiteState.OVERLOADED
    if any(memory.sampled_s is None for memory in ages.meters.values()):
        return SiteState.STARTING
    if ages.late:
        return SiteState.HOLDING
    return SiteState.REGULATING

"""One step of the energy management: what was observed in, what is allowed out.

`step(site, state, observation)` is pure and deterministic, so that every decision can be replayed. In sequence:

1. meters age (S3) - circuits.py; charge points report, cars settle, obey or do not (S6, S8) - turns.py, occupancy.py;
2. the base load of each metered circuit is estimated - base_load.py;
3. who takes part at all: modes, switches, failsafe, PV hysteresis, pause times - candidates.py, surplus.py;
4. `allocate` shares what there is; `guard` checks every row once more (S10) - sharing.py;
5. decreases are taken at once, raises into room that is really there (S3, S6) - raises.py;
6. what has to go on the wire (S5) - commands.py.

Everything after the guard only lowers.

A connector in a solar mode follows the surplus if the PV switch of the site or of one of its circuits is on. Where
none is, nobody asked for surplus charging and it charges like one in mode `fast`.
"""

from .candidates import Candidates, choose, keep_external_limit, reserve
from .circuits import Circuits
from .commands import plan_commands
from .decision import Command, ConnectorDecision, Decision, Issue, IssueKind, SiteState
from .model import Site
from .observation import ConnectorObservation, ConnectorState, Observation
from .outlets import Layout, layout
from .raises import take
from .sharing import Shared, share
from .state import ControllerState
from .turns import Turn

__all__ = ["ControllerState", "step"]

_ABSENT = ConnectorObservation(state=ConnectorState.OFFLINE)

_layouts: list[Layout] = []
"""The last site's layout: it follows from the site alone, and sites change rarely."""


def step(
    site: Site, state: ControllerState, observation: Observation
) -> tuple[ControllerState, Decision]:
    """Decide what every connector is allowed from now on.

    Args:
        site: what is configured now; it may differ from the last step's.
        state: what the last step returned; ControllerState() at the start.
        observation: what is known now. Meters and connectors that are not on the site are passed over.

    Raises:
        ValueError: the site is not one tree of circuits with its connectors on it.
    """
    plan, settings = _layout_of(site), site.settings
    shift_s, raise_from_s = state.shift_s, state.raise_from_s
    now_s = observation.at_s + shift_s
    if state.now_s is not None and now_s < state.now_s:
        # The clock ran backwards: nobody knows how much time passed, so none of it counts for a raise.
        shift_s += state.now_s - now_s
        now_s = state.now_s
        raise_from_s = now_s + settings.recovery_raise_s

    circuits = Circuits(plan, state, observation, now_s)
    if circuits.newly_failed:
        # What a silent circuit leaves is not to be handed out in the same breath.
        raise_from_s = max(raise_from_s, now_s + settings.recovery_raise_s)
    turns = [
        Turn(
            outlet,
            observation.connectors.get(name, _ABSENT),
            state.connectors.get(name),
            now_s,
            settings,
        )
        for name, outlet in plan.outlets.items()
    ]
    circuits.mark(turns)
    battery = observation.battery
    circuits.estimate_base(turns, battery.power_w if battery else None)
    reserve(turns, now_s, settings)
    circuits.book_reserved(turns)
    candidates = choose(plan, turns, circuits, state, observation, now_s)
    shared = share(plan, candidates, circuits, state, observation, turns, now_s)
    keep_external_limit(turns, observation.external_limit_w, now_s, settings)
    take(
        turns,
        circuits,
        shared.case if site.load_management else None,
        observation.external_limit_w,
        raise_from_s,
        now_s,
    )
    commands = plan_commands(turns, settings, now_s, shift_s)
    circuits.note_cuts(turns)
    after = ControllerState(
        now_s=now_s,
        shift_s=shift_s,
        raise_from_s=raise_from_s,
        meters=circuits.meters,
        connectors={turn.name: turn.memory for turn in turns},
        slot_s=shared.slot_s,
        sun_started_s=candidates.sun.started_s,
        skewed_s=shared.skewed_s,
        battery_seen=candidates.battery_seen,
        house=circuits.house,
    )
    return after, _decision(
        plan, turns, circuits, candidates, shared, commands, observation
    )


def _layout_of(site: Site) -> Layout:
    for known in _layouts:
        if known.site is site:
            return known
    plan = layout(site)
    # In one assignment: another thread may be replaying decisions.
    _layouts[:] = [plan]
    return plan


def _decision(
    plan: Layout,
    turns: list[Turn],
    circuits: Circuits,
    candidates: Candidates,
    shared: Shared,
    commands: tuple[Command, ...],
    observation: Observation,
) -> Decision:
    return Decision(
        at_s=observation.at_s,
        state=_site_state(plan.site, circuits),
        connectors={
            turn.name: ConnectorDecision(
                permit_a=None if turn.outlet.is_dc else turn.new,
                permit_w=turn.new if turn.outlet.is_dc else None,
                limited_by=turn.limit,
                phase_count=(1 if turn.one_phase else 3)
                if turn.outlet.connector.can_switch_phases
                else None,
            )
            for turn in turns
        },
        commands=commands,
        circuits=circuits.decisions(),
        issues=(
            *circuits.issues(),
            *(
                Issue(kind=IssueKind.DISOBEDIENT, connector=turn.name)
                for turn in turns
                if turn.memory.disobedient
            ),
            *shared.issues,
            *plan.issues,
        ),
        surplus_w=candidates.surplus_w.get(""),
    )


def _site_state(site: Site, circuits: Circuits) -> SiteState:
    if not site.load_management:
        return SiteState.OFF
    if circuits.failed:
        return SiteState.FAILSAFE
    if any(memory.sampled_s is None for memory in circuits.meters.values()):
        return SiteState.STARTING
    if circuits.late:
        return SiteState.HOLDING
    return SiteState.REGULATING

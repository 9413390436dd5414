"""One step of the energy management: what was observed in, what is allowed out.

`step(site, state, observation)` is pure and deterministic, so that every decision can be replayed. In sequence:

1. meters age (S3), charge points report, cars settle, obey or do not (S6, S8) - base_load.py, occupancy.py;
2. the base load of each metered circuit is estimated - base_load.py;
3. who takes part at all: mode, switches, PV hysteresis, pause times, rotation - surplus.py, below;
4. `allocate` shares what there is; `guard` checks every row once more (S10);
5. whoever hangs on a late meter is held, on a silent one goes to the failsafe (S3);
6. decreases are taken at once, raises into room that is really there (S6) - raises.py;
7. commands: what has to go on the wire (S5) - commands.py.

Everything after the guard only lowers.

A connector in a solar mode follows the surplus if the PV switch of the site or of one of its circuits is on. Where
none is, nobody asked for surplus charging and it charges like one in mode `fast`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from .allocation import allocate
from .base_load import age, age_of, estimate, lowered, sample
from .case import SITE_BUDGET, Case, Demand
from .commands import changed, command, is_due, sent
from .decision import (
    CircuitDecision,
    Command,
    ConnectorDecision,
    Decision,
    Issue,
    IssueKind,
    Limit,
    LimitKind,
    SiteState,
)
from .guard import guard
from .model import PHASES, ChargingMode, PerPhase, Site
from .observation import ConnectorObservation, ConnectorState, Observation
from .occupancy import (
    NOTHING,
    envelope,
    follow,
    in_force,
    is_known,
    obey,
    settle,
    still_allowed,
)
from .outlets import Layout, Outlet, layout
from .raises import Raise, fitting
from .state import (
    ConnectorMemory,
    ControllerState,
    MeterMemory,
    PartVector,
    Permit,
    Sun,
    Vector,
)
from .surplus import Applicant, SunPlan, plan_sun, surplus_w

__all__ = ["ControllerState", "step"]

_STEERED: Final = frozenset(
    {
        ConnectorState.PLUGGED,
        ConnectorState.CHARGING,
        ConnectorState.SUSPENDED_EV,
        ConnectorState.SUSPENDED_EVSE,
    }
)
_NO_SESSION: Final = frozenset({ConnectorState.AVAILABLE, ConnectorState.FINISHING})
_LACK: Final = frozenset(
    {
        LimitKind.CIRCUIT_PHASE,
        LimitKind.CIRCUIT_POWER,
        LimitKind.EXTERNAL_LIMIT,
        LimitKind.IMBALANCE,
        LimitKind.GUARD,
    }
)
"""What pauses a connector so that the rotation has to give it a turn."""
_FULL_CAR_LAST_WH = 1e12
"""A suspended car wants nothing for now: it is admitted after those that do."""
_BELIEVED_S = 2.0
"""A report counts as the present draw for this many `Settings.align_s`; then the car may have stopped meanwhile."""

_layouts: list[Layout] = []
"""The last site's layout; sites change rarely, and it follows from the site alone."""


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
    if not _layouts or _layouts[0].site is not site:
        _layouts[:] = [layout(site)]
    return _Step(_layouts[0], state, observation).result()


class _Turn:
    """One connector in one step."""

    __slots__ = (
        "accepted",
        "allowed",
        "before",
        "booked",
        "failed",
        "holds",
        "late",
        "limit",
        "memory",
        "new",
        "one_phase",
        "outlet",
        "reserved",
        "seen",
        "steered",
        "target",
    )

    def __init__(
        self, outlet: Outlet, seen: ConnectorObservation, memory: ConnectorMemory
    ) -> None:
        self.outlet = outlet
        self.seen = seen
        self.memory = memory
        self.steered = False
        self.reserved = False
        self.late = False
        self.failed = False
        self.holds = False
        self.one_phase = memory.one_phase
        self.accepted: float | None = None
        self.allowed = 0.0
        self.before = 0.0
        self.target = 0.0
        self.new = 0.0
        self.booked: Vector = NOTHING
        self.limit = Limit(kind=LimitKind.NOT_CONNECTED)


class _Step:
    """The working table of one step."""

    def __init__(
        self, plan: Layout, state: ControllerState, observation: Observation
    ) -> None:
        self.layout = plan
        self.site = plan.site
        self.settings = plan.site.settings
        self.state = state
        self.observation = observation
        now_s = observation.at_s + state.shift_s
        self.shift_s = state.shift_s
        self.raise_from_s = state.raise_from_s
        if state.now_s is not None and now_s < state.now_s:
            # The clock ran backwards: nobody knows how much time passed, so none of it counts for a raise.
            self.shift_s += state.now_s - now_s
            now_s = state.now_s
            self.raise_from_s = now_s + self.settings.recovery_raise_s
        self.now_s = now_s

    def result(self) -> tuple[ControllerState, Decision]:
        """Go through all stages."""
        self._age_meters()
        self.turns = [
            self._turn(name, outlet) for name, outlet in self.layout.outlets.items()
        ]
        self._estimate_base()
        self._reserve()
        self._choose()
        self._share()
        self._hold()
        self._raise()
        commands = self._command()
        self._note_cuts()
        return self._state(), self._decision(commands)

    # Meters

    def _age_meters(self) -> None:
        settings, now_s = self.settings, self.now_s
        self.meters: dict[str, MeterMemory] = {}
        self.readings: dict[str, PartVector] = {}
        self.late: set[str] = set()
        self.failed: set[str] = set()
        self.may_raise: dict[str, bool] = {}
        for circuit in self.site.circuits:
            if not circuit.metered:
                continue
            name = circuit.id
            meter = self.observation.meters.get(name)
            reading = sample(circuit, meter, self.layout.loaded[name])
            age_s = None if reading is None or meter is None else meter.age_s
            if age_s is None or not 0 <= age_s <= settings.meter_timeout_s:
                reading = None
            was = self.state.meters.get(name) or MeterMemory(since_s=now_s)
            memory = age(was, now_s, age_s=age_s, settings=settings)
            self.meters[name] = memory
            if reading is not None:
                self.readings[name] = reading
            if memory.failed:
                self.failed.add(name)
                if not was.failed:
                    # What this circuit leaves is not to be handed out in the same breath.
                    self.raise_from_s = max(
                        self.raise_from_s, now_s + settings.recovery_raise_s
                    )
            elif age_s is None or not 0 <= age_s <= settings.meter_hold_s:
                self.late.add(name)
            self.may_raise[name] = (
                name not in self.failed
                and name not in self.late
                and memory.fresh_s is not None
                and now_s >= memory.raise_from_s
            )

    # Connectors

    def _turn(self, name: str, outlet: Outlet) -> _Turn:
        now_s, settings = self.now_s, self.settings
        seen = self.observation.connectors.get(name)
        if seen is None:
            seen = ConnectorObservation(state=ConnectorState.OFFLINE)
        memory = self._followed(outlet, seen, self.state.connectors.get(name))
        turn = _Turn(outlet, seen, memory)
        turn.steered = seen.state in _STEERED
        if turn.steered:
            turn.accepted = seen.permit_w if outlet.is_dc else seen.permit_a
        turn.allowed = still_allowed(
            memory.permit, outlet, now_s, turn.accepted, settings
        )
        turn.late = any(circuit in self.late for circuit in outlet.metered)
        turn.failed = any(circuit in self.failed for circuit in outlet.metered)
        turn.before = turn.new = in_force(memory.permit, outlet, now_s)
        return turn

    def _followed(
        self, outlet: Outlet, seen: ConnectorObservation, memory: ConnectorMemory | None
    ) -> ConnectorMemory:
        """Return the memory of a connector after what was seen of it."""
        now_s, settings, state = self.now_s, self.settings, seen.state
        if memory is None:
            memory = ConnectorMemory(
                state=state,
                arrived_s=now_s,
                queued_s=now_s,
                permit=self._adopted(outlet, seen),
            )
        elif memory.state is not state and state is not ConnectorState.OFFLINE:
            memory = self._arrived(outlet, memory, state)
        permit = memory.permit
        if permit.expires_s is not None and now_s >= permit.expires_s:
            lapsed = Permit(
                value=outlet.floor,
                set_s=permit.expires_s,
                expires_s=None,
                sent_s=permit.sent_s,
            )
            if permit.value > outlet.floor:
                lapsed = replace(
                    lapsed, lowered_s=permit.expires_s, before=permit.value
                )
            memory = replace(memory, permit=lapsed)
        if state is ConnectorState.AVAILABLE:
            return memory
        draw, new = follow(memory.draw, outlet, seen, now_s, settings)
        if not new:
            return memory
        memory = replace(memory, draw=draw)
        if state in _STEERED:
            value = in_force(memory.permit, outlet, now_s)
            memory = settle(memory, outlet, value, settings)
            memory = obey(memory, outlet, value, settings)
        return memory

    def _adopted(self, outlet: Outlet, seen: ConnectorObservation) -> Permit:
        """Return the permit of a connector seen for the first time.

        After a restart cars are charging by permits that we gave and forgot: what the charge point accepted, or what
        the car draws, is taken up instead of dropping it.
        """
        now_s = self.now_s
        floor = Permit(value=outlet.floor, set_s=now_s, expires_s=None)
        if seen.state in _NO_SESSION:
            return floor
        accepted = seen.permit_w if outlet.is_dc else seen.permit_a
        if accepted is None:
            draw, _ = follow(None, outlet, seen, now_s, self.settings)
            if draw is None or draw.current_a <= outlet.floor * outlet.unit_a:
                return floor
            accepted = draw.current_a / outlet.unit_a
        value = outlet.truncate(min(max(accepted, 0.0), outlet.maximum))
        return Permit(
            value=value, set_s=now_s, expires_s=now_s + self.settings.profile_life_s
        )

    def _arrived(
        self, outlet: Outlet, memory: ConnectorMemory, state: ConnectorState
    ) -> ConnectorMemory:
        """Return the memory of a connector whose state changed."""
        now_s, was = self.now_s, memory.state
        ended, started = state in _NO_SESSION, was in _NO_SESSION and state in _STEERED
        if (ended and was not in _NO_SESSION) or started:
            # A session's permits end with it; its car may draw for a moment yet.
            allowed = still_allowed(memory.permit, outlet, now_s, None, self.settings)
            return ConnectorMemory(
                state=state,
                arrived_s=now_s,
                queued_s=now_s,
                permit=Permit(
                    value=outlet.floor,
                    set_s=now_s,
                    expires_s=None,
                    lowered_s=now_s if ended else memory.permit.lowered_s,
                    before=allowed if ended else memory.permit.before,
                ),
                draw=memory.draw if state is ConnectorState.FINISHING else None,
                disobedient=memory.disobedient,
            )
        permit = memory.permit
        if state is ConnectorState.CHARGING or was is ConnectorState.OFFLINE:
            permit = replace(permit, sent_s=None)
        return replace(memory, state=state, permit=permit)

    # Base load

    def _estimate_base(self) -> None:
        """Update the estimates of the circuits that were read in this step."""
        settings, now_s = self.settings, self.now_s
        believed_s = _BELIEVED_S * settings.align_s
        sums: dict[str, list[list[float]]] = {
            name: [[0.0] * 4 for _ in range(4)] for name in self.readings
        }
        for turn in self.turns if sums else ():
            bounds = self._draw_bounds(turn, believed_s)
            for name in turn.outlet.metered:
                if (parts := sums.get(name)) is None:
                    continue
                for part, vector in zip(parts, bounds, strict=True):
                    part[0] += vector[0]
                    part[1] += vector[1]
                    part[2] += vector[2]
                    part[3] += vector[3]
        for name, (assumed, low, high, most) in sums.items():
            reading = self.readings[name]
            self.meters[name] = estimate(
                self.meters[name],
                reading,
                now_s,
                assumed=_vector(assumed),
                reported_low=_vector(low),
                reported_high=_vector(high),
                most=_vector(most),
                settings=settings,
            )
        self.base_a: dict[str, PerPhase | None] = {}
        self.base_w: dict[str, float | None] = {}
        below: dict[str, list[float]] = {
            circuit.id: [0.0] * 4 for circuit in self.site.circuits
        }
        for circuit in self.layout.upwards:
            name = circuit.id
            total = below[name]
            if circuit.metered:
                base = self.meters[name].base
                if base is not None:
                    total = [part or 0.0 for part in base]
                if base is None or name in self.failed:
                    self.base_a[name] = None
                else:
                    self.base_a[name] = (total[0], total[1], total[2])
                    self.base_w[name] = base[3]
            else:
                # What no meter sees is the configured reserve; what the meters below see comes on top.
                for index, value in enumerate(circuit.reserve_a):
                    total[index] += value
                total[3] += sum(circuit.reserve_a) * self.site.voltage_v
                self.base_a[name] = (total[0], total[1], total[2])
                self.base_w[name] = total[3]
            if circuit.parent is not None:
                above = below[circuit.parent]
                for index, value in enumerate(total):
                    above[index] += value

    def _draw_bounds(
        self, turn: _Turn, believed_s: float
    ) -> tuple[Vector, Vector, Vector, Vector]:
        """Return a connector's assumed, lowest and highest reported draw and the most that it may be drawing."""
        memory, now_s, state = turn.memory, self.now_s, turn.seen.state
        if state is ConnectorState.OFFLINE:
            most = self._offline_load(turn, metered=True)
            return most, NOTHING, most, most
        allowed = turn.outlet.load(turn.allowed)
        if state in _NO_SESSION:
            lowered_s = memory.permit.lowered_s
            if lowered_s is None or now_s >= lowered_s + self.settings.follow_s:
                allowed = NOTHING
        draw = memory.draw
        if draw is None:
            return allowed, NOTHING, allowed, allowed
        low, high = envelope(draw, now_s, self.settings.align_s)
        most = (
            max(allowed[0], draw.high[0]),
            max(allowed[1], draw.high[1]),
            max(allowed[2], draw.high[2]),
            max(allowed[3], draw.high[3]),
        )
        if not is_known(draw, now_s, self.settings):
            return most, NOTHING, most, most
        if now_s - draw.reported_s > believed_s:
            low = NOTHING
        return draw.low, low, high, most

    def _offline_load(self, turn: _Turn, *, metered: bool) -> Vector:
        """Return what an offline connector is booked with (S7).

        Until its permit lapses that is the permit, then its floor; where a meter sees it, its draw is by then part
        of the base load. Whoever does not fall back by himself counts with his maximum.
        """
        outlet, permit = turn.outlet, turn.memory.permit
        if not outlet.connector.autonomous_fallback:
            return outlet.load(outlet.maximum)
        settled_s = self.settings.follow_s + (permit.lowered_s or permit.set_s)
        if permit.expires_s is None and self.now_s >= settled_s and metered:
            return NOTHING
        return outlet.load(turn.allowed)

    # Who takes part

    def _reserve(self) -> None:
        """Book the connectors that do not take part in the sharing."""
        self.reserved: dict[str, list[float]] = {
            circuit.id: [0.0] * 4 for circuit in self.site.circuits
        }
        for turn in self.turns:
            memory, outlet, state = turn.memory, turn.outlet, turn.seen.state
            if state is ConnectorState.OFFLINE:
                turn.reserved = True
                turn.limit = Limit(kind=LimitKind.OFFLINE)
                for circuit in outlet.path:
                    load = self._offline_load(turn, metered=circuit.metered)
                    self._book(circuit.id, load)
                turn.booked = self._offline_load(turn, metered=bool(outlet.metered))
                continue
            if not turn.steered:
                turn.reserved = True
                draw = memory.draw
                if draw is not None and is_known(draw, self.now_s, self.settings):
                    turn.booked = draw.high
            elif memory.disobedient:
                turn.reserved = True
                turn.booked = self._occupied(turn, outlet.maximum)
                turn.target = min(turn.new, max(outlet.floor, 0.0))
                turn.limit = Limit(kind=LimitKind.GUARD)
            elif turn.failed:
                turn.reserved = True
                turn.target = min(turn.new, outlet.floor)
                turn.booked = self._occupied(turn, max(turn.new, outlet.floor))
                turn.limit = Limit(kind=LimitKind.FAILSAFE)
            else:
                continue
            for circuit in outlet.path:
                self._book(circuit.id, turn.booked)

    def _book(self, circuit: str, load: Vector) -> None:
        total = self.reserved[circuit]
        total[0] += load[0]
        total[1] += load[1]
        total[2] += load[2]
        total[3] += load[3]

    def _occupied(self, turn: _Turn, value: float) -> Vector:
        """Return what a connector is booked with at a permit (S1)."""
        load = turn.outlet.load(max(value, turn.allowed))
        draw = turn.memory.draw
        if draw is None:
            return load
        high = draw.high
        return (
            max(load[0], high[0]),
            max(load[1], high[1]),
            max(load[2], high[2]),
            max(load[3], high[3]),
        )

    def _choose(self) -> None:
        """Find out who is a candidate, and what follows the surplus."""
        now_s, settings, site = self.now_s, self.settings, self.site
        self.rotated = False
        slot_s = self.state.slot_s
        if slot_s is not None and now_s - slot_s >= settings.rotation_slot_s:
            self.rotated = True
        self.candidates: list[_Turn] = []
        followers: list[_Turn] = []
        others_w = 0.0
        others_a = [0.0, 0.0, 0.0]
        for turn in self.turns:
            connector, memory = turn.outlet.connector, turn.memory
            draw_w, draw_a = 0.0, NOTHING
            if memory.draw is not None and is_known(memory.draw, now_s, settings):
                draw_a = memory.draw.high
            elif turn.steered:
                draw_a = turn.outlet.load(turn.allowed)
            draw_w = draw_a[3]
            if turn.reserved:
                others_w += draw_w
                others_a = [
                    one + two for one, two in zip(others_a, draw_a[:3], strict=True)
                ]
                continue
            mode = connector.mode
            follows = mode in {ChargingMode.SOLAR, ChargingMode.SOLAR_MIN} and (
                site.pv_surplus
                or any(circuit.follows_pv for circuit in turn.outlet.path)
            )
            if not site.load_management:
                off = not turn.seen.enabled or mode is ChargingMode.OFF
                turn.target = 0.0 if off else turn.outlet.floor
                turn.limit = Limit(kind=LimitKind.FAILSAFE)
            if not turn.seen.enabled:
                turn.target, turn.limit = 0.0, Limit(kind=LimitKind.SWITCHED_OFF)
            elif mode is ChargingMode.OFF:
                turn.target, turn.limit = 0.0, Limit(kind=LimitKind.MODE_OFF)
            elif site.load_management:
                if follows and mode is ChargingMode.SOLAR:
                    followers.append(turn)
                    draw_a = NOTHING
                elif (wait_s := self._pause_left_s(memory)) > 0:
                    turn.limit = Limit(
                        kind=LimitKind.MINIMUM_OFF_TIME, remaining_s=wait_s
                    )
                else:
                    self.candidates.append(turn)
                    if follows:
                        turn.holds = True
                        least = turn.outlet.load(turn.outlet.minimum)
                        draw_a = (
                            min(draw_a[0], least[0]),
                            min(draw_a[1], least[1]),
                            min(draw_a[2], least[2]),
                            min(draw_a[3], least[3]),
                        )
            others_w += draw_a[3]
            others_a = [
                one + two for one, two in zip(others_a, draw_a[:3], strict=True)
            ]
        self._follow_sun(followers, others_w, others_a)

    def _pause_left_s(self, memory: ConnectorMemory) -> float:
        """Return how long a connector that was paused for lack of room has to stay so."""
        if memory.off_s is None:
            return 0.0
        return memory.off_s + self.settings.min_off_s - self.now_s

    def _follow_sun(
        self, followers: list[_Turn], others_w: float, others_a: list[float]
    ) -> None:
        """Apply the hysteresis of PV charging."""
        root, battery = self.layout.root, self.observation.battery
        known = root.metered and root.id not in self.failed
        self.battery_seen = self.state.battery_seen or (
            battery is not None and battery.power_w is not None
        )
        self.surplus_w = surplus_w(
            self.base_w.get(root.id) if known else None,
            others_w,
            battery,
            self.settings,
            battery_expected=self.state.battery_seen,
        )
        base_a = self.base_a.get(root.id) if known else None
        self.surplus_a: PerPhase | None = None
        if self.settings.pv_per_phase and base_a is not None:
            self.surplus_a = (
                -base_a[0] - others_a[0],
                -base_a[1] - others_a[1],
                -base_a[2] - others_a[2],
            )
        followers.sort(key=self._claim)
        self.sun_plan: SunPlan = plan_sun(
            [
                Applicant(
                    connector=turn.outlet.connector.id,
                    sun=turn.memory.sun or Sun(since_s=self.now_s),
                    minimum_w=turn.outlet.load(
                        turn.outlet.minimum,
                        one_phase=turn.outlet.connector.can_switch_phases,
                    )[3],
                )
                for turn in followers
            ],
            self.surplus_w,
            self.now_s,
            self.state.sun_started_s,
            self.settings,
        )
        for turn in followers:
            name = turn.outlet.connector.id
            turn.memory = replace(turn.memory, sun=self.sun_plan.suns[name])
            if (limit := self.sun_plan.waiting.get(name)) is not None:
                turn.limit = limit
            else:
                turn.holds = True
                self.candidates.append(turn)

    def _claim(self, turn: _Turn) -> tuple[bool, int, float, str]:
        return (
            turn.seen.state is ConnectorState.SUSPENDED_EV,
            -self._priority(turn),
            turn.memory.queued_s,
            turn.outlet.connector.id,
        )

    def _priority(self, turn: _Turn) -> int:
        return max(turn.outlet.connector.priority, *turn.seen.priorities, 1)

    # Sharing

    def _demand(self, turn: _Turn) -> Demand:
        outlet, memory, seen = turn.outlet, turn.memory, turn.seen
        connector, unit_a = outlet.connector, outlet.unit_a
        if self.rotated and turn.new >= outlet.minimum:
            # Its turn is over: it goes to the end of the queue.
            memory = turn.memory = replace(
                memory,
                queued_s=self.now_s + min(memory.turns, 999) * 1e-3,
                turns=memory.turns + 1,
            )
        min_a, max_a = outlet.minimum * unit_a, outlet.maximum * unit_a
        if memory.draw_limit_a is not None:
            max_a = min(max_a, max(memory.draw_limit_a, min_a))
        solar = turn.holds and connector.mode is ChargingMode.SOLAR
        budgets = (SITE_BUDGET,) if turn.holds else ()
        measured_a = None
        if memory.draw is not None and is_known(memory.draw, self.now_s, self.settings):
            measured_a = memory.draw.low[:3]
        return Demand(
            connector=connector,
            min_a=min_a,
            max_a=max_a,
            priority=self._priority(turn),
            phases=PHASES if outlet.is_dc else connector.phases,
            solar=solar,
            solar_above_min=turn.holds and not solar,
            pv_budgets=budgets,
            served_wh=_FULL_CAR_LAST_WH
            if seen.state is ConnectorState.SUSPENDED_EV
            else 0.0,
            arrived_s=memory.queued_s,
            inside_min_on=memory.on_s is not None
            and turn.new > 0
            and self.now_s - memory.on_s < self.settings.min_on_s,
            measured_a=measured_a,
        )

    def _share(self) -> None:
        """Allocate, guard, and put the result down as targets."""
        site, root = self.site, self.layout.root
        demands = tuple(self._demand(turn) for turn in self.candidates)
        reserved_a: dict[str, PerPhase] = {
            name: (total[0], total[1], total[2])
            for name, total in self.reserved.items()
        }
        root_a = self.base_a[root.id] if root.metered else None
        skew_a: PerPhase | None = None
        if root_a is not None:
            more_a = reserved_a[root.id]
            skew_a = (
                root_a[0] + more_a[0],
                root_a[1] + more_a[1],
                root_a[2] + more_a[2],
            )
        external_w = self.observation.external_limit_w
        if external_w is not None:
            external_w = max(0.0, external_w - self.reserved[root.id][3])
        budget_w = max(self.surplus_w or 0.0, self.sun_plan.committed_w)
        self.case = Case(
            site=site,
            demands=demands,
            base_a=self.base_a,
            base_w=self.base_w,
            reservations_a=reserved_a,
            surplus_w={SITE_BUDGET: budget_w + 1e-6},
            surplus_a={} if self.surplus_a is None else {SITE_BUDGET: self.surplus_a},
            external_limit_w=external_w,
            imbalance_base_a=skew_a,
        )
        allocation = allocate(self.case)
        self.lacking = False
        permits_a = {name: share.current_a for name, share in allocation.shares.items()}
        counts = {
            name: share.phase_count
            for name, share in allocation.shares.items()
            if share.phase_count is not None
        }
        guarded = guard(self.case, permits_a, allocation.order, counts)
        stopping = self.sun_plan.stopping
        for turn in self.candidates:
            outlet = turn.outlet
            name = outlet.connector.id
            share = allocation.shares.get(name)
            permit_a, lowered_by = guarded[name]
            turn.one_phase = counts.get(name) == 1
            if share is None or permit_a <= 0:
                limit = allocation.paused.get(name) if share is None else lowered_by
                turn.limit = limit or Limit(kind=LimitKind.GUARD)
                if turn.limit.kind in _LACK:
                    self.lacking = True
                continue
            value = share.power_w if outlet.is_dc else share.current_a
            turn.limit = share.limited_by
            if lowered_by is not None and permit_a < share.current_a:
                value = min(value, permit_a / outlet.unit_a)
                turn.limit = lowered_by
            value = outlet.truncate(min(value, outlet.maximum))
            if value < outlet.minimum:
                turn.limit = Limit(kind=LimitKind.GUARD)
                continue
            turn.target = value
            if name in stopping:
                turn.limit = stopping[name]
            elif (
                turn.limit.kind is LimitKind.OWN_MAXIMUM
                and turn.memory.draw_limit_a is not None
                and value < outlet.maximum
            ):
                turn.limit = Limit(kind=LimitKind.CAR_DRAWS_LESS)
        self._name_turns()

    def _name_turns(self) -> None:
        """Tell those who wait while others have their turn that theirs will come."""
        slot_s = self.now_s if self.rotated else self.state.slot_s
        if not self.lacking or slot_s is None:
            return
        remaining_s = slot_s + self.settings.rotation_slot_s - self.now_s
        lowest: dict[str | None, int] = {}
        for turn in self.candidates:
            if turn.target > 0:
                priority = self._priority(turn)
                for circuit in turn.outlet.path:
                    lowest[circuit.id] = min(lowest.get(circuit.id, priority), priority)
                lowest[None] = min(lowest.get(None, priority), priority)
        for turn in self.candidates:
            limit = turn.limit
            if (
                turn.target <= 0
                and limit.kind in _LACK
                and self._priority(turn) >= lowest.get(limit.circuit, 11)
            ):
                turn.limit = Limit(
                    kind=LimitKind.ROTATION,
                    circuit=limit.circuit,
                    phase=limit.phase,
                    remaining_s=remaining_s,
                )

    # After the guard: only ever lower

    def _hold(self) -> None:
        """Hold whoever hangs on a late meter where he is (S3); take decreases at once."""
        for turn in self.turns:
            if not turn.steered:
                continue
            if turn.late and turn.target > turn.new and self.site.load_management:
                turn.target = turn.new
                turn.limit = Limit(kind=LimitKind.METER_AGE)

    def _raise(self) -> None:
        """Take decreases at once, and raises into room that is really there (S6)."""
        now_s, settings = self.now_s, self.settings
        wanted: list[Raise] = []
        raising: dict[str, _Turn] = {}
        used = {name: list(total) for name, total in self.reserved.items()}
        for turn in self.turns:
            if turn.reserved and not turn.steered:
                continue
            outlet, memory = turn.outlet, turn.memory
            if turn.target <= turn.new:
                if memory.room_s is not None:
                    turn.memory = replace(memory, room_s=None)
                turn.new = turn.target
                if not turn.reserved:
                    turn.booked = self._occupied(turn, turn.new)
            elif not self.site.load_management:
                turn.new = turn.target
                turn.booked = self._occupied(turn, turn.new)
            else:
                if memory.room_s is None:
                    turn.memory = memory = replace(memory, room_s=now_s)
                turn.booked = self._occupied(turn, turn.new)
                wait = self._raise_wait(turn)
                if wait is None:
                    wanted.append(
                        Raise(
                            connector=outlet.connector.id,
                            path=outlet.path,
                            booked=turn.booked,
                            more=_more(turn.booked, outlet.load(turn.target)),
                        )
                    )
                    raising[outlet.connector.id] = turn
                else:
                    turn.limit = wait
            if not turn.reserved:
                for circuit in outlet.path:
                    total = used[circuit.id]
                    for index, value in enumerate(turn.booked):
                        total[index] += value
        self.used = used
        if not wanted:
            return
        parts = fitting(
            self.case,
            self.base_a,
            self.base_w,
            used,
            wanted,
            self.observation.external_limit_w,
        )
        for item in wanted:
            turn = raising[item.connector]
            outlet, part = turn.outlet, parts[item.connector]
            value = turn.target
            if part < 1:
                # What is booked already may exceed the permit: the car draws more, or has not yet come down.
                booked = max(turn.allowed, turn.new)
                value = outlet.truncate(booked + max(0.0, turn.target - booked) * part)
            least = min(settings.raise_step_a / outlet.unit_a, turn.target - turn.new)
            if value < max(outlet.minimum, turn.new + least) - outlet.step / 2:
                turn.limit = Limit(kind=LimitKind.RAISE_WAIT)
                continue
            before = turn.booked
            turn.new = min(value, turn.target)
            turn.booked = self._occupied(turn, turn.new)
            for circuit in outlet.path:
                total = used[circuit.id]
                for index in range(4):
                    total[index] += turn.booked[index] - before[index]

    def _raise_wait(self, turn: _Turn) -> Limit | None:
        """Return why a raise has to wait; None: it has not."""
        now_s, settings, memory = self.now_s, self.settings, turn.memory
        fresh_s = max(
            (self.meters[circuit].raise_from_s for circuit in turn.outlet.metered),
            default=0.0,
        )
        fresh_s = max(fresh_s, self.raise_from_s)
        if now_s < fresh_s or not all(
            self.may_raise[circuit] for circuit in turn.outlet.metered
        ):
            return Limit(
                kind=LimitKind.METER_AGE, remaining_s=max(0.0, fresh_s - now_s) or None
            )
        raised_s = memory.permit.raised_s
        if raised_s is not None and now_s < raised_s + settings.raise_interval_s:
            return Limit(
                kind=LimitKind.RAISE_WAIT,
                remaining_s=raised_s + settings.raise_interval_s - now_s,
            )
        small = (
            turn.target - turn.new
        ) * turn.outlet.unit_a < settings.raise_step_a - 1e-6
        room_s = now_s if memory.room_s is None else memory.room_s
        if small and now_s < room_s + settings.raise_small_after_s:
            # Nearly there: what bound the target is the better answer than the wait.
            return turn.limit
        return None

    # Commands

    def _command(self) -> tuple[Command, ...]:
        """Bring the permits into commands where that is due."""
        now_s, settings = self.now_s, self.settings
        commands: list[Command] = []
        for turn in self.turns:
            if not turn.steered:
                continue
            outlet, memory = turn.outlet, turn.memory
            permit = memory.permit
            is_change = abs(turn.new - permit.value) > outlet.step * 1e-3
            if is_change:
                permit = changed(
                    permit, turn.new, turn.allowed, outlet, now_s, settings
                )
            elif not is_due(
                permit, outlet, now_s, turn.accepted, settings
            ) or self._may_lapse(turn):
                turn.memory = self._timed(turn, permit)
                continue
            permit = sent(permit, outlet, now_s, settings)
            turn.memory = self._timed(turn, permit)
            count = None
            if outlet.connector.can_switch_phases and turn.new > 0:
                count = 1 if turn.one_phase else 3
            commands.append(command(permit, outlet, self.shift_s, count))
        return tuple(commands)

    def _may_lapse(self, turn: _Turn) -> bool:
        """Return whether a pause is not renewed: with nobody to decide, its charge point goes to the floor (S5)."""
        return (
            turn.failed
            and turn.new <= 0
            and turn.seen.enabled
            and turn.outlet.connector.mode
            in {ChargingMode.FAST, ChargingMode.SOLAR_MIN}
        )

    def _timed(self, turn: _Turn, permit: Permit) -> ConnectorMemory:
        """Return the memory with the times at which charging began and was paused."""
        memory = turn.memory
        charges, charged = turn.new > 0, memory.permit.value > 0
        if charges and (not charged or memory.on_s is None):
            return replace(
                memory,
                permit=permit,
                on_s=self.now_s,
                off_s=None,
                one_phase=turn.one_phase,
            )
        if charged and not charges and turn.limit.kind in {*_LACK, LimitKind.ROTATION}:
            return replace(
                memory, permit=permit, off_s=self.now_s, one_phase=turn.one_phase
            )
        if permit is memory.permit and turn.one_phase == memory.one_phase:
            return memory
        return replace(memory, permit=permit, one_phase=turn.one_phase)

    def _note_cuts(self) -> None:
        """Tell the meters' memories which circuits will carry less."""
        fallen = {
            circuit
            for turn in self.turns
            if turn.new < turn.before - turn.outlet.step / 2
            for circuit in turn.outlet.metered
        }
        for name, reading in self.readings.items():
            if name in fallen:
                self.meters[name] = lowered(self.meters[name], reading, self.now_s)

    # Results

    def _state(self) -> ControllerState:
        slot_s = self.state.slot_s
        if self.rotated or slot_s is None:
            slot_s = self.now_s
        return ControllerState(
            now_s=self.now_s,
            shift_s=self.shift_s,
            raise_from_s=self.raise_from_s,
            meters=self.meters,
            connectors={turn.outlet.connector.id: turn.memory for turn in self.turns},
            slot_s=slot_s if self.lacking else None,
            sun_started_s=self.sun_plan.started_s,
            skewed_s=self.state.skewed_s,
            battery_seen=self.battery_seen,
        )

    def _decision(self, commands: tuple[Command, ...]) -> Decision:
        return Decision(
            at_s=self.observation.at_s,
            state=self._site_state(),
            connectors={
                turn.outlet.connector.id: ConnectorDecision(
                    permit_a=None if turn.outlet.is_dc else turn.new,
                    permit_w=turn.new if turn.outlet.is_dc else None,
                    limited_by=turn.limit,
                    phase_count=(1 if turn.one_phase else 3)
                    if turn.outlet.connector.can_switch_phases
                    else None,
                )
                for turn in self.turns
            },
            commands=commands,
            circuits=self._circuits(),
            issues=self._issues(),
            surplus_w=self.surplus_w,
        )

    def _site_state(self) -> SiteState:
        if not self.site.load_management:
            return SiteState.OFF
        if self.failed:
            return SiteState.FAILSAFE
        if any(memory.sampled_s is None for memory in self.meters.values()):
            return SiteState.STARTING
        if self.late:
            return SiteState.HOLDING
        return SiteState.REGULATING

    def _circuits(self) -> Mapping[str, CircuitDecision]:
        margin_a = self.site.margin_a
        found: dict[str, CircuitDecision] = {}
        for circuit in self.site.circuits:
            base_a, total = self.base_a[circuit.id], self.used[circuit.id]
            available_a: PerPhase | None = None
            if circuit.limit_a is not None and base_a is not None:
                available_a = (
                    circuit.limit_a[0] - margin_a - base_a[0] - total[0],
                    circuit.limit_a[1] - margin_a - base_a[1] - total[1],
                    circuit.limit_a[2] - margin_a - base_a[2] - total[2],
                )
            found[circuit.id] = CircuitDecision(
                base_a=base_a,
                booked_a=(total[0], total[1], total[2]),
                available_a=available_a,
            )
        return found

    def _issues(self) -> tuple[Issue, ...]:
        issues = [
            Issue(
                kind=IssueKind.METER_SILENT,
                circuit=name,
                value=round(age_of(self.meters[name], self.now_s), 1),
            )
            for name in self.meters
            if name in self.failed
        ]
        margin_a = self.site.margin_a
        for circuit in self.site.circuits:
            base_a = self.base_a[circuit.id]
            if base_a is None or circuit.limit_a is None:
                continue
            issues += [
                Issue(
                    kind=IssueKind.BASE_LOAD_OVER_LIMIT,
                    circuit=circuit.id,
                    phase=phase,
                    value=round(base + margin_a - limit_a, 3),
                )
                for phase, limit_a, base in zip(
                    PHASES, circuit.limit_a, base_a, strict=True
                )
                if base + margin_a > limit_a
            ]
        issues += [
            Issue(kind=IssueKind.DISOBEDIENT, connector=turn.outlet.connector.id)
            for turn in self.turns
            if turn.memory.disobedient
        ]
        return (*issues, *self.layout.issues)


def _vector(values: list[float]) -> Vector:
    return values[0], values[1], values[2], values[3]


def _more(booked: Vector, wanted: Vector) -> Vector:
    """Return what a raise takes beyond what is booked already."""
    return (
        max(0.0, wanted[0] - booked[0]),
        max(0.0, wanted[1] - booked[1]),
        max(0.0, wanted[2] - booked[2]),
        max(0.0, wanted[3] - booked[3]),
    )

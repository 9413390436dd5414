"""The circuits in one step: how old their meters are, their base load, what is booked on them."""

from collections.abc import Iterable, Mapping, Sequence

from .base_load import (
    SHOWN_A,
    age,
    age_of,
    compared_from,
    confirmed_bucket,
    emerged,
    estimate,
    lowered,
    sample,
)
from .decision import CircuitDecision, Issue, IssueKind
from .model import PHASES, PartPerPhase, PerPhase
from .observation import ConnectorState, Observation
from .outlets import Layout
from .state import (
    NOTHING,
    UNKNOWN,
    ControllerState,
    MeterMemory,
    PartVector,
    beyond,
    least,
)
from .turns import Turn

type Load = Sequence[float]
"""Vectors, one after the other."""


class Circuits:
    """The working table of the circuits."""

    def __init__(
        self,
        plan: Layout,
        state: ControllerState,
        observation: Observation,
        now_s: float,
    ) -> None:
        """Let the meters age (S3)."""
        self._plan = plan
        self._site = plan.site
        self._settings = settings = plan.site.settings
        self._now_s = now_s
        self.meters: dict[str, MeterMemory] = {}
        self.readings: dict[str, PartVector] = {}
        """Complete readings that came with this step."""
        self.late: set[str] = set()
        self.failed: set[str] = set()
        self.newly_failed = False
        self.raise_from_s: dict[str, float | None] = {}
        """By metered circuit, when raises below it are allowed; None: not in this step."""
        self.base_a: dict[str, PerPhase | None] = {}
        self.base_w: dict[str, float | None] = {}
        self.house = state.house
        """The grid connection without its home battery: that follows each change of the cars within seconds, and the
        base load, which holds its estimate, cannot be added to what it does at the moment."""
        self.reserved: dict[str, list[float]] = {}
        """Booked by connectors that take no part in the sharing."""
        self.offline_in_base_w = 0.0
        """The floors of those offline that the grid connection's meter sees: limits of the connectors alone count them too (S7)."""
        self.used: dict[str, list[float]] = {}
        """Booked by all."""
        for circuit in self._site.circuits:
            if not circuit.metered:
                continue
            name = circuit.id
            meter = observation.meters.get(name)
            reading = sample(circuit, meter, plan.loaded[name])
            age_s = None if reading is None or meter is None else meter.age_s
            was = state.meters.get(name) or MeterMemory(since_s=now_s)
            memory = age(was, now_s, age_s=age_s, settings=settings)
            self.meters[name] = memory
            self.raise_from_s[name] = None
            if (
                reading is not None
                and age_s is not None
                and 0 <= age_s <= settings.meter_timeout_s
            ):
                self.readings[name] = reading
            if memory.failed:
                self.failed.add(name)
                self.newly_failed |= not was.failed
            elif age_s is None or not 0 <= age_s <= settings.meter_hold_s:
                self.late.add(name)
            elif memory.fresh_s is not None:
                self.raise_from_s[name] = memory.raise_from_s

    def mark(self, turns: Iterable[Turn]) -> None:
        """Tell the connectors below late and silent meters."""
        if not self.late and not self.failed:
            return
        for turn in turns:
            metered = turn.outlet.metered
            turn.late = not self.late.isdisjoint(metered)
            turn.failed = not self.failed.isdisjoint(metered)

    def estimate_base(self, turns: Iterable[Turn], battery_w: float | None) -> None:
        """Estimate the base load of the circuits that were read, and put all base loads down.

        Args:
            turns: the connectors.
            battery_w: what the home battery charges with; None: unknown, or there is none.
        """
        settings, now_s = self._settings, self._now_s
        metered = [turn for turn in turns if turn.outlet.metered]
        for turn in metered:
            if turn.emerged is not NOTHING:
                for name in turn.outlet.metered:
                    self.meters[name] = emerged(self.meters[name], turn.emerged)
                if self.house is not None:
                    self.house = emerged(self.house, turn.emerged)
        if self.readings:
            confirmed = confirmed_bucket(
                now_s,
                [at_s for turn in metered if (at_s := turn.told_s) is not None],
                settings,
            )
            since_s = compared_from(confirmed, settings)
            draws = self.nothing(NOTHING * 4)
            for turn in metered:
                draws[turn.outlet.connector.circuit].append(
                    turn.draw_bounds(now_s, since_s, settings)
                )
            totals = self.sums(draws)
            for name, reading in self.readings.items():
                total = totals[name]
                self.meters[name] = estimate(
                    self.meters[name],
                    reading,
                    now_s,
                    confirmed=confirmed,
                    reported_low=total[:4],
                    reported_high=total[4:8],
                    most=total[8:12],
                    permitted=total[12:],
                    settings=settings,
                )
            reading_w = self.readings.get(self._plan.root.id, UNKNOWN)[3]
            if battery_w is not None and reading_w is not None:
                total = totals[self._plan.root.id]
                self.house = estimate(
                    self.house or MeterMemory(since_s=now_s),
                    (None, None, None, reading_w - battery_w),
                    now_s,
                    confirmed=confirmed,
                    reported_low=total[:4],
                    reported_high=total[4:8],
                    most=total[8:12],
                    # Without currents nobody sees that the cars have followed.
                    permitted=total[8:12],
                    settings=settings,
                )
        self._put_down_base()

    def _put_down_base(self) -> None:
        below = {circuit.id: [0.0] * 4 for circuit in self._site.circuits}
        for circuit in self._plan.upwards:
            name = circuit.id
            total = below[name]
            if circuit.metered:
                base = self.meters[name].base
                if base is not None:
                    total = _completed(base, circuit.reserve_a, self._site.voltage_v)
                if base is None or name in self.failed:
                    self.base_a[name] = None
                else:
                    self.base_a[name] = (total[0], total[1], total[2])
                    self.base_w[name] = base[3]
            else:
                # What no meter sees is the configured reserve; what the meters below see comes on top.
                for index, value in enumerate(circuit.reserve_a):
                    total[index] += value
                total[3] += sum(circuit.reserve_a) * self._site.voltage_v
                self.base_a[name] = (total[0], total[1], total[2])
                self.base_w[name] = total[3]
            if circuit.parent is not None:
                above = below[circuit.parent]
                for index, value in enumerate(total):
                    above[index] += value

    def book_reserved(self, turns: Iterable[Turn]) -> None:
        """Book the connectors that take no part in the sharing."""
        booked = self.nothing()
        offline: list[Turn] = []
        for turn in turns:
            if not turn.reserved:
                continue
            if turn.seen.state is ConnectorState.OFFLINE:
                offline.append(turn)
            else:
                booked[turn.outlet.connector.circuit].append(turn.booked)
        sums = self.sums(booked)
        for turn in offline:
            in_base = False
            for circuit in turn.outlet.path:
                name = circuit.id
                load = turn.offline_load(
                    self._now_s, self._settings, metered=circuit.metered or in_base
                )
                add(sums[name], load)
                # A base load that a meter tells counts in the unmetered circuits above as well.
                in_base |= self.base_a[name] is not None and circuit.metered
            # `load` is the last of the path: the grid connection's.
            unseen = turn.offline_load(self._now_s, self._settings, metered=False)
            self.offline_in_base_w += unseen[3] - load[3]
        self.reserved = sums

    def book(self, turns: Iterable[Turn]) -> None:
        """Book all connectors."""
        booked = self.nothing()
        for turn in turns:
            if not turn.reserved:
                booked[turn.outlet.connector.circuit].append(turn.booked)
                if turn.doubt is not NOTHING:
                    booked[turn.outlet.metered[0]].append(turn.doubt)
        self.used = self.sums(booked)
        for name, total in self.used.items():
            add(total, self.reserved[name])

    @property
    def house_w(self) -> float | None:
        """Return the base load of the grid connection without the home battery."""
        if self.house is None or self.house.base is None:
            return None
        return self.house.base[3]

    def nothing(self, load: Load = NOTHING) -> dict[str, list[Load]]:
        """Return for each circuit a list of loads with a first one in it that is nothing."""
        return {circuit.id: [load] for circuit in self._site.circuits}

    def sums(self, loads: Mapping[str, list[Load]]) -> dict[str, list[float]]:
        """Return what each circuit carries of the loads on it and below it, part by part; the lists are used up."""
        sums: dict[str, list[float]] = {}
        for circuit in self._plan.upwards:
            carried = sums[circuit.id] = summed(loads[circuit.id])
            if circuit.parent is not None:
                loads[circuit.parent].append(carried)
        return sums

    def note_cuts(self, turns: Iterable[Turn]) -> None:
        """Remember which circuits will carry so much less because permits were lowered that their meters will show it."""
        falls = self.nothing()
        for turn in turns:
            if turn.new < turn.before:
                drawn = least(turn.highest_draw(self._settings), turn.load(turn.before))
                falls[turn.outlet.connector.circuit].append(
                    beyond(drawn, turn.load(turn.new))
                )
        for name, total in self.sums(falls).items():
            fall_a = max(total[:3])
            if name in self.readings and fall_a > SHOWN_A:
                self.meters[name] = lowered(
                    self.meters[name], self.readings[name], fall_a, self._now_s
                )

    def decisions(self) -> dict[str, CircuitDecision]:
        """Return how the circuits stand."""
        margin_a = self._site.margin_a
        found: dict[str, CircuitDecision] = {}
        for circuit in self._site.circuits:
            base_a, used = self.base_a[circuit.id], self.used[circuit.id]
            known_a: PartPerPhase | None = base_a
            memory = self.meters.get(circuit.id)
            if base_a is not None and memory is not None and memory.base is not None:
                known_a = memory.base[:3]
            limit_a = circuit.limit_a
            available_a: PerPhase | None = None
            if limit_a is not None and base_a is not None:
                available_a = (
                    limit_a[0] - margin_a - base_a[0] - used[0],
                    limit_a[1] - margin_a - base_a[1] - used[1],
                    limit_a[2] - margin_a - base_a[2] - used[2],
                )
            found[circuit.id] = CircuitDecision(
                base_a=known_a,
                booked_a=(used[0], used[1], used[2]),
                available_a=available_a,
            )
        return found

    def issues(self) -> list[Issue]:
        """Return the silent meters, and the base loads that exceed a limit all alone."""
        issues = [
            Issue(
                kind=IssueKind.METER_SILENT,
                circuit=name,
                value=round(age_of(memory, self._now_s), 1),
            )
            for name, memory in self.meters.items()
            if name in self.failed
        ]
        margin_a = self._site.margin_a
        for circuit in self._site.circuits:
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
        return issues


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


def summed(loads: Iterable[Load]) -> list[float]:
    """Return the sum of loads, part by part; of none it is of one Vector."""
    return [*map(sum, zip(*loads, strict=True))] or [*NOTHING]


def add(total: list[float], load: Load) -> None:
    """Add a load."""
    total[0] += load[0]
    total[1] += load[1]
    total[2] += load[2]
    total[3] += load[3]

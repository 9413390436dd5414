"""What there is to be proud or ashamed of.

*Of the oracle's room* is the figure that counts: for each second the oracle shares the site among the cars that would
charge then, as they are then; what these cars really draw, up to that, is summed up and divided by it. A car that gave
up after too many pauses is not among them; it is counted, and missing in *of the oracle's energy*, which compares
whole stays: what each car got to what it would have got had the oracle decided from the beginning.

*Freed room* is room that is offered to nobody who wants it and was offered, or not there, a minute before: at least
1.4 kW and a tenth of all. It counts as used when half of that is left; after 900 s it counts as 900 s.

Over a limit counts what charge points add above it: a base load that exceeds the limit by itself is nobody's fault.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from .car import Car
from .controllers import Answer, Issue
from .oracle import PAIRS, Oracle, Want
from .plan import VOLTAGE_V, OutletPlan, SitePlan
from .plant import Plant

GRACE_S = 8
"""A site has this long to answer a jump: the command's way and 5 s for the car."""
SKEW_GRACE_S = 18
"""The same for the imbalance limit, which has a hold time of 10 s."""
_NOISE_A = 0.05
_USUAL_S = 60.0
"""Room that stays unused for this long is not news any more."""
_FREED_MOST_S = 900
_BATCH_S = 60
_RECENT_S = 60
_ABOUT_OVERLOAD = {"base_load_over_limit", "imbalance_residual", "overloaded"}
"""True if a limit was passed within the last `_RECENT_S`, by whomever."""
CONFIGURATION = {"floors_over_limit", "no_autonomous_fallback"}
"""Issues about how a site is set up, not about what happens."""


def want_of(
    outlet: OutletPlan, place: int, car: Car, served_wh: float, missing_wh: float
) -> Want:
    """Return what a car wants of the oracle."""
    plan = car.plan
    taper = min(1.0, missing_wh / plan.taper_wh) if plan.taper_wh > 0.0 else 1.0
    if outlet.dc:
        per_a = outlet.efficiency * 3.0 * VOLTAGE_V
        most_a = max(outlet.least, car.most * taper) / per_a
        return Want(
            place,
            (0, 1, 2),
            outlet.least / per_a,
            most_a,
            served_wh,
            outlet.mode == "solar",
        )
    phases = outlet.phases[: plan.phases]
    if missing_wh < plan.one_phase_wh:
        phases = phases[:1]
    most_a = max(outlet.least, car.most * taper)
    return Want(place, phases, outlet.least, most_a, served_wh, outlet.mode == "solar")


def wants_of(plant: Plant) -> list[Want]:
    """Return what the cars that would charge now want."""
    wants = []
    outlets = plant.plan.outlets
    for place, charger in enumerate(plant.chargers.values()):
        car = charger.car
        if car is None or car.full or car.gave_up:
            continue
        missing_wh = car.plan.need_wh - car.got_wh
        want = want_of(outlets[place], place, car, car.got_wh, missing_wh)
        want.phases = car.phases
        wants.append(want)
    return wants


class Episodes:
    """How long something lasts each time: begins above one threshold, ends below another."""

    def __init__(self) -> None:
        """Begin with none."""
        self.lengths: list[int] = []
        self._since_s: int | None = None

    def note(self, at_s: int, *, begins: bool, goes_on: bool) -> None:
        """Take one second into account."""
        if self._since_s is None:
            if begins:
                self._since_s = at_s
        elif not goes_on:
            self.lengths.append(at_s - self._since_s)
            self._since_s = None

    def lasts_s(self, at_s: int) -> int:
        """Return for how long it has lasted now; 0: it does not."""
        return 0 if self._since_s is None else at_s - self._since_s + 1

    def end(self, at_s: int) -> None:
        """End what still lasts."""
        self.note(at_s, begins=False, goes_on=False)

    def told(self) -> dict[str, float]:
        """Return number, median and 90th percentile."""
        if not self.lengths:
            return {"n": 0, "p50": 0.0, "p90": 0.0}
        p50, p90 = np.percentile(self.lengths, (50, 90))
        return {
            "n": len(self.lengths),
            "p50": round(float(p50), 1),
            "p90": round(float(p90), 1),
        }


class Metrics:
    """Watches a plant second by second."""

    def __init__(self, plant: Plant, oracle: Oracle, judged_from_s: int = 0) -> None:
        """Begin with nothing counted; what is over a limit counts from `judged_from_s` on."""
        self._plant = plant
        self._oracle = oracle
        self._judged_from_s = judged_from_s
        plan = plant.plan
        self._outlets = plan.outlets
        self._chargers = list(plant.chargers.values())
        self._over_run: list[list[int]] = [[0, 0, 0] for _ in plan.circuits]
        self.over = [
            {"within_as": 0.0, "beyond_as": 0.0, "longest_s": 0, "most_a": 0.0}
            for _ in plan.circuits
        ]
        self.over_s = 0
        """Seconds in which any limit was passed."""
        self._overloads = Episodes()
        self.freed = Episodes()
        self._usual_unused_w = 0.0
        self._skew = {"within_as": 0.0, "beyond_as": 0.0, "longest_s": 0, "most_a": 0.0}
        self._skew_run = 0
        self.room_w: list[float] = []
        """The oracle's, per second."""
        self.drawn_w: list[float] = []
        """Energy of the cars that want it, at the AC side."""
        self._given_w: list[float] = []
        """What they are offered and would take."""
        self.room_lines_a: list[tuple[float, float, float]] = []
        """The oracle's, per phase."""
        self._batch: list[Want] = []
        self._batch_from_s = 0
        self._batch_key: tuple[int, ...] = ()
        self._reasons: Counter[str] = Counter()
        self._writes: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._plugged_s: Counter[str] = Counter()
        self._states: Counter[str] = Counter()
        self.issues: dict[Issue, int] = {}
        """When each was raised first."""
        self._issue_counts: Counter[str] = Counter()
        self.false_alarms: Counter[str] = Counter()
        """Issues that say what was not so; without meaning under a fault."""
        self._true_over_s = -_RECENT_S
        self._open: frozenset[Issue] = frozenset()
        self._sun: dict[str, float] = defaultdict(float)

    def note(self, answer: Answer) -> None:
        """Take the second that just passed, and the answer to it, into account."""
        at_s = self._plant.at_s - 1
        self._note_over(at_s)
        drawn_w = given_w = solar_w = 0.0
        wants = lines = 0
        sampled = at_s % 10 == 0
        plugged = self._plugged_s
        for place, charger in enumerate(self._chargers):
            car = charger.car
            if car is None:
                continue
            name = self._outlets[place].id
            plugged[name] += 1
            if car.full or car.gave_up:
                continue
            wants += 1
            lines += (place + 1) * len(car.phases)
            if charger.offered > 0.0:
                given = min(charger.offered, car.wish()) * car.watts_per
                given_w += given / self._outlets[place].efficiency if car.dc else given
            if charger.draw > 0.0:
                watts = charger.load_a * VOLTAGE_V * len(car.phases)
                drawn_w += watts
                if self._outlets[place].mode == "solar":
                    solar_w += watts
            if sampled:
                self._reasons[answer.reason(name)] += 1
        self.drawn_w.append(drawn_w)
        self._given_w.append(given_w)
        key = (len(self._plant.visits), wants, lines)
        if key != self._batch_key or at_s - self._batch_from_s >= _BATCH_S:
            self._close_batch(at_s)
            self._batch_key = key
            self._batch = wants_of(self._plant)
        if self._plant.sun_w is not None:
            self._note_sun(at_s, solar_w)
        for command in answer.commands:
            self._writes[command.connector] += 1
            self._kinds[command.kind] += 1
        self._states[answer.state] += 1
        self._note_issues(at_s, answer.issues)

    def _note_over(self, at_s: int) -> None:
        answering = seconds_over = False
        for place, circuit in enumerate(self._plant.circuits):
            limit_a = circuit.plan.limit_a
            if limit_a is None:
                continue
            load, chargers, run = (
                circuit.load_a,
                circuit.chargers_a,
                self._over_run[place],
            )
            for phase in (0, 1, 2):
                over_a = load[phase] - limit_a[phase]
                if over_a > 0.0:
                    self._true_over_s = at_s
                over_a = min(over_a, chargers[phase])
                if over_a <= _NOISE_A:
                    run[phase] = 0
                    continue
                run[phase] += 1
                if over_a >= 1.0:
                    answering = True
                if at_s < self._judged_from_s:
                    continue
                seconds_over = True
                told = self.over[place]
                told["within_as" if run[phase] <= GRACE_S else "beyond_as"] += over_a
                told["longest_s"] = max(told["longest_s"], run[phase])
                told["most_a"] = max(told["most_a"], over_a)
        if self._plant.plan.imbalance_a is not None and at_s >= self._judged_from_s:
            self._note_skew(self._plant.plan.imbalance_a)
        self.over_s += seconds_over
        self._overloads.note(at_s, begins=answering, goes_on=answering)

    def _note_skew(self, limit_a: float) -> None:
        """Look at the difference between two phases of the grid connection, as far as cars make it."""
        root = self._plant.circuits[0]
        load, cars = root.load_a, root.chargers_a
        if max(load) - min(load) > limit_a:
            self._true_over_s = self._plant.at_s - 1
        over_a = max(
            min(load[p] - load[q] - limit_a, cars[p] - cars[q]) for p, q in PAIRS
        )
        if over_a <= 2 * _NOISE_A:
            self._skew_run = 0
            return
        told = self._skew
        self._skew_run += 1
        told["within_as" if self._skew_run <= SKEW_GRACE_S else "beyond_as"] += over_a
        told["longest_s"] = max(told["longest_s"], self._skew_run)
        told["most_a"] = max(told["most_a"], over_a)

    def _close_batch(self, to_s: int) -> None:
        """Let the oracle share the seconds since the last batch, among those who wanted then."""
        from_s = self._batch_from_s
        self._batch_from_s = to_s
        if to_s <= from_s:
            return
        wants = self._batch
        shares = self._oracle.share(wants, from_s, to_s)
        watts = np.array([want.watts_per_a for want in wants])
        room_w = shares @ watts if wants else np.zeros(to_s - from_s)
        uses = np.zeros((len(wants), 3))
        for row, want in enumerate(wants):
            uses[row, list(want.phases)] = 1.0
        self.room_lines_a.extend(map(tuple, (shares @ uses).tolist()))
        for offset, room in enumerate(room_w.tolist()):
            self.room_w.append(room)
            unused_w = room - self._given_w[from_s + offset]
            self._note_freed(from_s + offset, room, unused_w)

    def _note_freed(self, at_s: int, room_w: float, unused_w: float) -> None:
        """Watch for room that was not there, or was used, a while ago."""
        news_w = max(1400.0, 0.1 * room_w)
        above_w = unused_w - self._usual_unused_w
        if self.freed.lasts_s(at_s) >= _FREED_MOST_S:
            self._usual_unused_w = unused_w
            above_w = 0.0
        self.freed.note(at_s, begins=above_w >= news_w, goes_on=above_w >= news_w / 2)
        if self.freed.lasts_s(at_s) == 0:
            self._usual_unused_w += (unused_w - self._usual_unused_w) / _USUAL_S

    def _note_sun(self, at_s: int, solar_w: float) -> None:
        surplus_w = float(self._oracle.surplus_w[at_s])
        self._sun["used"] += min(solar_w, surplus_w) / 3600.0
        self._sun["drawn"] += solar_w / 3600.0
        self._sun["bought"] += max(0.0, solar_w - surplus_w) / 3600.0

    def _note_issues(self, at_s: int, issues: Sequence[Issue]) -> None:
        if not issues and not self._open:
            return
        now = frozenset(issues)
        for issue in now - self._open:
            self.issues.setdefault(issue, at_s)
            self._issue_counts[issue.kind] += 1
            recent = at_s - self._true_over_s <= _RECENT_S
            if issue.kind not in CONFIGURATION and not (
                issue.kind in _ABOUT_OVERLOAD and recent
            ):
                self.false_alarms[issue.kind] += 1
        self._open = now

    def told(self, ideal_wh: Sequence[float]) -> dict[str, Any]:
        """Return all figures.

        Args:
            ideal_wh: what the oracle would have given to each visit, in the order of the plant's visits.
        """
        plant = self._plant
        self._close_batch(plant.at_s)
        self._overloads.end(plant.at_s)
        self.freed.end(plant.at_s)
        room_w, drawn_w = np.array(self.room_w), np.array(self.drawn_w)
        got_wh = [visit.car.got_wh for visit in plant.visits]
        shares = [
            got / ideal
            for got, ideal in zip(got_wh, ideal_wh, strict=True)
            if ideal > 500.0
        ]
        cars = [visit.car for visit in plant.visits]
        hours = {
            name: seconds / 3600.0
            for name, seconds in self._plugged_s.items()
            if seconds >= 600
        }
        rates = [self._writes[name] / length for name, length in hours.items()]
        reasons, seconds = sum(self._reasons.values()), max(1, plant.at_s)
        told: dict[str, Any] = {
            "room_pct": _percent(
                float(np.minimum(room_w, drawn_w).sum()), float(room_w.sum())
            ),
            "energy_pct": _percent(sum(got_wh), sum(ideal_wh)),
            "delivered_kwh": round(sum(got_wh) / 1000.0, 1),
            "oracle_kwh": round(sum(ideal_wh) / 1000.0, 1),
            "cars": len(cars),
            "over_beyond_as": round(sum(item["beyond_as"] for item in self.over), 1),
            "over_within_as": round(sum(item["within_as"] for item in self.over), 1),
            "over_longest_s": max(
                (int(item["longest_s"]) for item in self.over), default=0
            ),
            "over_s": self.over_s,
            "over_most_a": round(
                max((item["most_a"] for item in self.over), default=0.0), 1
            ),
            "trips": sum(circuit.trips for circuit in plant.circuits),
            "breaker_heat_pct": round(
                100.0
                * max(
                    (
                        c.breaker.most_heat
                        for c in plant.circuits
                        if c.breaker is not None
                    ),
                    default=0.0,
                )
            ),
            "over": {
                circuit.plan.id: {key: round(value, 1) for key, value in item.items()}
                for circuit, item in zip(plant.circuits, self.over, strict=True)
                if circuit.plan.limit_a is not None
            },
            "imbalance": {key: round(value, 1) for key, value in self._skew.items()},
            "starts_mean": _mean([car.starts for car in cars]),
            "starts_max": max((car.starts for car in cars), default=0),
            "gave_up": sum(car.gave_up for car in cars),
            "writes_per_h_mean": _mean(rates),
            "writes_per_h_max": round(max(rates, default=0.0), 1),
            "commands": dict(self._kinds),
            "freed_room_s": self.freed.told(),
            "overload_s": self._overloads.told(),
            "jain": round(
                sum(shares) ** 2 / (len(shares) * sum(s * s for s in shares)), 4
            )
            if any(shares)
            else 0.0,
            "worst_car": round(min(shares, default=1.0), 3),
            "reasons_pct": {
                kind: round(100.0 * count / reasons, 1)
                for kind, count in self._reasons.most_common()
            },
            "states_pct": {
                state: round(100.0 * count / seconds, 1)
                for state, count in self._states.most_common()
            },
            "issues": dict(self._issue_counts),
            "false_alarms": sum(self.false_alarms.values()),
        }
        if plant.sun_w is not None:
            told["sun"] = self._told_sun()
        return told

    def _told_sun(self) -> dict[str, float]:
        usable_wh = sum(self.room_w) / 3600.0
        return {
            "usable_kwh": round(usable_wh / 1000.0, 2),
            "used_pct": _percent(self._sun["used"], usable_wh),
            "bought_pct": _percent(self._sun["bought"], self._sun["drawn"]),
        }


def ideal_energies(plan: SitePlan, oracle: Oracle) -> dict[tuple[str, int], float]:
    """Return what each visit gets from the oracle, by outlet and beginning, Wh into the car.

    Wants are looked at anew every minute and whenever somebody comes, leaves or is full.
    """
    places = {outlet.id: place for place, outlet in enumerate(plan.outlets)}
    visits = [visit for visit in plan.visits if visit.from_s < plan.seconds]
    got = [0.0] * len(visits)
    turns = sorted(
        {v.from_s for v in visits} | {v.to_s for v in visits} | {plan.seconds}
    )
    cars: list[Car | None] = [None] * len(visits)
    at_s = 0
    for turn in turns:
        end_s = min(turn, plan.seconds)
        while at_s < end_s:
            present = []
            wants = []
            for index, visit in enumerate(visits):
                missing_wh = visit.car.need_wh - got[index]
                if not visit.from_s <= at_s < visit.to_s or missing_wh <= 1.0:
                    continue
                outlet = plan.outlets[places[visit.outlet]]
                if (car := cars[index]) is None:
                    car = cars[index] = Car(visit.car, outlet, Random(0), 0)
                present.append(index)
                wants.append(
                    want_of(outlet, places[visit.outlet], car, got[index], missing_wh)
                )
            to_s = min(end_s, at_s + _BATCH_S)
            if wants:
                shares = oracle.share(wants, at_s, to_s)
                for column, index in enumerate(present):
                    outlet = plan.outlets[wants[column].outlet]
                    watts = wants[column].watts_per_a * (
                        outlet.efficiency if outlet.dc else 1.0
                    )
                    added_wh = float(shares[:, column].sum()) * watts / 3600.0
                    got[index] = min(visits[index].car.need_wh, got[index] + added_wh)
            at_s = to_s
    return {
        (visit.outlet, visit.from_s): wh for visit, wh in zip(visits, got, strict=True)
    }


def _percent(part: float, whole: float) -> float:
    return round(100.0 * part / whole, 1) if whole > 0.0 else 100.0


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 2) if values else 0.0

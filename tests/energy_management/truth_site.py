"""A circuit with cars, a house and a meter that may lie, second by second, for the tests of the truth watch.

The control is a simple one: it keeps the circuit below a limit, or follows the sun, and makes the probes that it is
asked for. What the cars are believed to draw comes from reports and permits as in the energy management.

Run: .venv/bin/python -m tests.energy_management.truth_site HOURS SEEDS; every honest circuit for so long.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from math import pi, sin
from random import Random
import sys

from custom_components.reev_ems.energy_management.model import Settings
from custom_components.reev_ems.energy_management.state import PartVector, Vector
from custom_components.reev_ems.energy_management.truth import (
    Testimony,
    Witness,
    attest,
)

type Amperes = list[float]
type Fault = Callable[[Amperes, float], Amperes]
"""What the meter shows instead of L1, L2, L3, and when."""


@dataclass
class Car:
    """A car and its charge point."""

    phases: tuple[int, ...] = (0, 1, 2)
    max_a: float = 16.0
    off_by: float = 0.0
    """Share by which its own meter differs."""
    permit_a: float = 16.0
    want_a: float = 16.0
    draw_a: float = 16.0
    latency_s: float = 2.0
    offline: bool = False
    reported_a: float = 16.0
    reported_s: float = -60.0
    before_a: float = 16.0
    """What it may still draw after the last lowered permit."""
    lowered_s: float = -100.0
    raised_s: float = -100.0
    pending: list[tuple[float, float]] = field(default_factory=list)
    obeys_a: float = 16.0

    def permit(self, now_s: float, permit_a: float) -> None:
        """Send a permit."""
        if abs(permit_a - self.permit_a) < 0.05:
            return
        if permit_a < self.permit_a:
            self.before_a = self.bounds(now_s)[1]
            self.lowered_s = now_s
        else:
            self.raised_s = now_s
        self.permit_a = permit_a
        self.pending.append((now_s + self.latency_s, permit_a))

    def drive(self, now_s: float) -> None:
        """Let a second pass."""
        while self.pending and self.pending[0][0] <= now_s:
            _, value = self.pending.pop(0)
            if not self.offline:
                self.obeys_a = value
        aim_a = min(self.obeys_a, self.want_a)
        if aim_a < 6.0:
            aim_a = 0.0
        self.draw_a += max(-6.0, min(3.0, aim_a - self.draw_a))

    def report(self, now_s: float) -> None:
        """Tell what it draws."""
        if not self.offline:
            self.reported_a = self.draw_a * (1 + self.off_by)
            self.reported_s = now_s

    def bounds(self, now_s: float) -> tuple[float, float]:
        """Return what it is believed to draw."""
        if self.offline:
            return 0.0, self.max_a
        low_a = high_a = self.reported_a
        if self.reported_s < self.lowered_s + 8.0:
            low_a = high_a = min(self.reported_a, self.permit_a * 1.03)
        if now_s - self.lowered_s < 8.0 and self.reported_s < self.lowered_s + 8.0:
            high_a = max(high_a, self.before_a)
        if self.reported_s < self.raised_s + 8.0:
            high_a = max(high_a, self.permit_a)
        return low_a, high_a


@dataclass
class House:
    """What else the circuit carries."""

    flicker_a: float = 0.5
    appliances: bool = False
    heat_pump: bool = False
    sun_a: float = 0.0
    base_a: float = 2.0
    drift: Amperes = field(default_factory=lambda: [0.0, 0.0, 0.0])
    running: list[tuple[float, int, float]] = field(default_factory=list)
    cloud: float = 1.0
    aim: float = 1.0

    def load_a(self, now_s: float, draw: Random) -> Amperes:
        """Return A on each phase."""
        loads = [self.base_a + draw.uniform(-1, 1) * self.flicker_a for _ in range(3)]
        if self.appliances:
            if draw.random() < 1 / 200:
                self.running.append(
                    (
                        now_s + draw.expovariate(1 / 240),
                        draw.randrange(3),
                        draw.uniform(2, 15),
                    )
                )
            self.running = [item for item in self.running if item[0] > now_s]
            for _, place, load_a in self.running:
                loads[place] += load_a
        if self.heat_pump and now_s % 1500 < 700:
            for place in range(3):
                loads[place] += 6.0 if now_s % 1500 > 3 else 14.0
        if self.sun_a:
            if draw.random() < 1 / 90:
                self.aim = draw.choice((0.2, 0.4, 0.7, 1.0, 1.0))
            self.cloud += max(-0.04, min(0.04, self.aim - self.cloud))
            height = max(0.0, sin(2 * pi * (now_s / 86400 - 0.25)))
            for place in range(3):
                loads[place] -= self.sun_a * height * self.cloud
        return loads


@dataclass
class Meter:
    """The circuit's meter."""

    lag_s: int = 0
    whole: bool = False
    interval_s: int = 1
    fault: Fault | None = None
    energy_stops_s: float | None = None
    past: list[Amperes] = field(default_factory=list)
    energy_wh: float = 0.0

    def read(self, real: Amperes, now_s: float, draw: Random) -> PartVector:
        """Return the reading."""
        self.past.append(list(real))
        del self.past[: -self.lag_s - 1]
        shown = list(self.past[0])
        if self.fault is not None:
            shown = self.fault(shown, now_s)
        power_w = sum(shown) * 230.0
        if self.energy_stops_s is None or now_s < self.energy_stops_s:
            self.energy_wh += max(0.0, power_w) / 3600
        l1, l2, l3 = (
            float(round(value)) if self.whole else round(value, 2) for value in shown
        )
        return (
            l1,
            l2,
            l3,
            round(power_w / (100 if self.whole else 1))
            * (100.0 if self.whole else 1.0),
        )


@dataclass
class Site:
    """All of it; `run` yields what the meter is found to be worth at each second."""

    cars: list[Car]
    house: House = field(default_factory=House)
    meter: Meter = field(default_factory=Meter)
    report_s: int = 30
    limit_a: float = 40.0
    solar: bool = False
    feeds_in: bool = False
    restless: bool = False
    """Whether cars taper, stop and wake by themselves, and charge points go offline."""
    tells_at_once: bool = True
    """Whether a charge point reports at once that its car stopped."""
    steers: bool = True
    seed: int = 1
    started_s: float = 0.0
    probes: int = 0
    settings: Settings = field(default_factory=Settings)

    def run(self, seconds: int) -> Iterator[tuple[float, Testimony]]:
        """Let time pass."""
        draw = Random(self.seed)
        witness: Witness | None = None
        testimony: Testimony | None = None
        probing: tuple[Car, float] | None = None
        raised_s = -100.0
        for car in self.cars:
            car.latency_s = draw.uniform(0.5, 4.0)
            car.off_by = draw.uniform(-0.03, 0.03)
        for second in range(seconds):
            now_s = self.started_s + second
            if self.restless:
                self._live(now_s, draw)
            real = self.house.load_a(now_s, draw)
            for index, car in enumerate(self.cars):
                car.drive(now_s)
                if (second + 7 * index) % self.report_s == 0:
                    car.report(now_s)
                for place in car.phases:
                    real[place] += car.draw_a + (
                        draw.uniform(-0.1, 0.1) if car.draw_a else 0.0
                    )
            reading = self.meter.read(real, now_s, draw)
            if second % self.meter.interval_s:
                continue
            low, high, permitted = [0.0] * 4, [0.0] * 4, [0.0] * 4
            fresh_s = now_s
            for car in self.cars:
                least_a, most_a = car.bounds(now_s)
                for place in car.phases:
                    low[place] += least_a
                    high[place] += most_a
                    permitted[place] += car.permit_a
                if least_a > 0:
                    fresh_s = min(fresh_s, car.reported_s)
            for load in (low, high, permitted):
                load[3] = sum(load[:3]) * 230.0
            testimony = attest(
                witness,
                reading=reading,
                sampled_s=now_s,
                now_s=now_s,
                drawn_low=vector(low),
                drawn_high=vector(high),
                permitted=vector(permitted),
                charging=any(
                    car.reported_a > 1 and not car.offline for car in self.cars
                ),
                feeds_in=self.feeds_in,
                energy_import_wh=float(round(self.meter.energy_wh, -1)),
                settings=self.settings,
                reported_s=fresh_s,
            )
            witness = testimony.witness
            yield now_s, testimony
            if testimony.probe and probing is None:
                able = [
                    c
                    for c in self.cars
                    if not c.offline
                    and c.reported_a >= 8
                    and c.permit_a - c.reported_a < 1.5
                ]
                names = (testimony.phase or "").replace(",", "").split()
                wanted = {int(name[1]) - 1 for name in names}
                if len(wanted) > 1 and "," not in (testimony.phase or ""):
                    fit = [c for c in able if len(wanted & set(c.phases)) == 1]
                else:
                    fit = [c for c in able if wanted <= set(c.phases)]
                fit = fit or able
                if fit:
                    car = fit[self.probes % len(fit)]
                    probing = (car, car.permit_a)
                    car.permit(now_s, min(car.permit_a, car.reported_a) - 2)
                    self.probes += 1
            elif probing is not None and not testimony.probe:
                car, back_a = probing
                car.permit(
                    now_s, max(car.permit_a, back_a) if not testimony.doubt else back_a
                )
                probing = None
            if self.steers:
                raised_s = self._steer(
                    now_s, reading, raised_s, probing, hold=testimony.doubt
                )

    def _steer(
        self,
        now_s: float,
        reading: PartVector,
        raised_s: float,
        probing: tuple[Car, float] | None,
        *,
        hold: bool,
    ) -> float:
        on = [car for car in self.cars if not car.offline]
        loads = [value or 0.0 for value in reading[:3]]
        room_a = -sum(loads) / 3 if self.solar else self.limit_a - max(loads)
        if not on:
            return raised_s
        each_a = room_a / len(on)
        if room_a < (-1.0 if self.solar else 0.0) and now_s - raised_s > (
            5 if self.solar else 8
        ):
            for car in on:
                car.permit(now_s, max(6.0, min(car.permit_a, car.draw_a + 1) + each_a))
            return now_s
        if room_a > 2.0 and now_s - raised_s > 20 and probing is None and not hold:
            for car in on:
                car.permit(now_s, min(car.max_a, car.permit_a + each_a))
            return now_s
        return raised_s

    def _live(self, now_s: float, draw: Random) -> None:
        for car in self.cars:
            chance = draw.random()
            if chance < 1 / 7200:
                car.want_a = 0.0 if car.want_a else car.max_a
                if self.tells_at_once:
                    car.reported_a, car.reported_s = min(car.draw_a, car.want_a), now_s
            elif chance < 1 / 3600:
                car.want_a = draw.uniform(6, 16)
            elif chance < 1 / 900 and car.want_a > 8:
                car.want_a *= 0.9
            if draw.random() < 1 / 7200:
                car.offline = not car.offline
                if not car.offline:
                    car.obeys_a = car.permit_a
                    car.report(now_s)
            elif car.offline and draw.random() < 1 / 300:
                car.offline = False
                car.obeys_a = car.permit_a
                car.report(now_s)


def vector(values: Amperes) -> Vector:
    """Return a vector."""
    l1, l2, l3, power_w = values
    return (l1, l2, l3, power_w)


HOUSES: dict[str, Callable[[], House]] = {
    "quiet": House,
    "still": lambda: House(flicker_a=0.0),
    "flickering": lambda: House(flicker_a=6.0, base_a=7.0),
    "appliances": lambda: House(appliances=True),
    "heat pump": lambda: House(heat_pump=True, appliances=True),
    "clouds": lambda: House(sun_a=30.0, appliances=True),
}
METERS = ((0, 5, False), (3, 30, False), (15, 60, False), (3, 60, True))
"""Lag in s, interval of the reports in s, whole amperes."""


def honest(house: str, lag_s: int, report_s: int, whole: bool, seed: int) -> Site:
    """Return a circuit with five restless cars and a meter that tells the truth, from seven in the morning on."""
    sunny = house == "clouds"
    return Site(
        cars=[Car(), Car(phases=(0,)), Car(phases=(1,)), Car(), Car(phases=(2,))],
        house=HOUSES[house](),
        meter=Meter(lag_s=lag_s, whole=whole),
        report_s=report_s,
        limit_a=45.0,
        solar=sunny and seed % 2 == 0,
        feeds_in=sunny,
        restless=True,
        seed=seed,
        started_s=25000.0,
    )


def main(hours: float, seeds: int) -> int:
    """Run every honest circuit for some hours and print what was found; 1 if anything was."""
    alarms = 0
    for house in HOUSES:
        for (lag_s, report_s, whole), seed in product(METERS, range(1, seeds + 1)):
            site = honest(house, lag_s, report_s, whole, seed)
            seconds, doubted, last, told = int(hours * 3600), 0, None, []
            for at_s, testimony in site.run(seconds):
                doubted += testimony.doubt
                if testimony.finding is not None and testimony.finding != last:
                    told.append(
                        f"{testimony.finding} {testimony.phase} at {at_s:.0f} s"
                    )
                last = testimony.finding
            alarms += len(told)
            sys.stdout.write(
                f"{house}, lag {lag_s} s, reports {report_s} s, seed {seed}"
                f"{', whole amperes' if whole else ''}: {told or 'no alarm'},"
                f" doubted {100 * doubted / seconds:.1f} %,"
                f" {site.probes / hours:.1f} probes an hour\n"
            )
            sys.stdout.flush()
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))

"""How long and how far loads that nobody steers keep a site over its limits."""

from collections.abc import Callable
from math import inf
from random import Random

import pytest

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.frozen import replace
from custom_components.reev_ems.energy_management.model import (
    PHASES,
    Circuit,
    Connector,
    PerPhase,
    Settings,
    Site,
)
from custom_components.reev_ems.energy_management.observation import (
    ConnectorState,
    Observation,
)
from tests.energy_management.stepping import step

from .plant import Car, Plant

type Loads = dict[str, PerPhase]

LIMITS_A = {"main": 63.0, "garage": 40.0}
GRACE_S = 8
"""A car has 5 s to follow (IEC 61851-1), and the command has its way."""
NOTHING: PerPhase = (0.0, 0.0, 0.0)


def site() -> Site:
    """Return a garage below a grid connection, both with meters that are read every second."""
    return Site(
        circuits=(
            Circuit(id="main", limit_a=(LIMITS_A["main"],) * 3, metered=True),
            Circuit(
                id="garage",
                parent="main",
                limit_a=(LIMITS_A["garage"],) * 3,
                metered=True,
            ),
        ),
        connectors=(
            Connector(id="c1", circuit="garage"),
            Connector(id="c2", circuit="garage"),
            Connector(id="c3", circuit="garage", phases=PHASES[2:]),
            Connector(id="c4", circuit="main", max_a=32.0),
            Connector(id="c5", circuit="main", max_a=32.0),
        ),
        margin_a=0.5,
        imbalance=None,
        settings=Settings(meter_lag_s=3.0),
    )


def plant(
    base: Callable[[float], Loads],
    report_at_s: dict[str, float],
    report_s: float = 10.0,
) -> Plant:
    """Return the site with a car at each connector."""
    here = site()
    return Plant(
        site=here,
        cars={
            item.id: Car(
                phases=item.phases or PHASES,
                wants_a=item.max_a,
                report_at_s=report_at_s.get(item.id, 0.0),
                report_s=report_s,
            )
            for item in here.connectors
        },
        base=base,
    )


def overload_as(loop: Plant, seconds: int) -> float:
    """Run a plant, and return by how much cars kept limits broken for longer than the grace, in A·s."""
    since_s: dict[tuple[str, int], float] = {}
    total_as = 0.0
    for _ in range(seconds):
        loop.tick()
        base = loop.base(loop.now_s)
        for circuit, load in loop.loads[-1].items():
            for place, value in enumerate(load):
                excess_a = value - LIMITS_A[circuit]
                if excess_a <= 0:
                    since_s.pop((circuit, place), None)
                    continue
                began_s = since_s.setdefault((circuit, place), loop.now_s)
                if loop.now_s - began_s >= GRACE_S:
                    own_a = base[circuit][place]
                    if circuit == "main":
                        own_a += base["garage"][place]
                    total_as += min(excess_a, value - own_a)
    return total_as


def random_loads(seed: int, seconds: int) -> Callable[[float], Loads]:
    """Return loads that jump, drift by up to 0.3 A/s and flicker by up to 1 A, as clouds and heat pumps do."""
    draw = Random(seed)
    loads: list[Loads] = [{} for _ in range(seconds + 1)]
    for circuit, most_a in (("main", 30.0), ("garage", 20.0)):
        phases = []
        for _ in PHASES:
            value, drift, series = draw.uniform(0.0, most_a / 2), 0.0, []
            for _ in loads:
                if draw.random() < 0.015:
                    value += draw.choice((-1, 1)) * draw.uniform(3.0, most_a * 0.5)
                if draw.random() < 0.02:
                    drift = draw.choice((0.0, 0.0, 0.1, 0.3, -0.3, -0.1))
                value = min(max(value + drift, 0.0), most_a)
                series.append(value + draw.uniform(-1.0, 1.0))
            phases.append(series)
        for second, (l1, l2, l3) in enumerate(zip(*phases, strict=True)):
            loads[second][circuit] = l1, l2, l3
    return lambda at_s: loads[int(at_s)]


@pytest.mark.parametrize(
    ("seed", "report_s"), [(0, 30.0), (2, 30.0), (4, 30.0), (7, 30.0), (11, 60.0)]
)
def test_s1_loads_that_jump_drift_and_flicker_break_no_limit_for_long(
    seed: int, report_s: float
) -> None:
    """Beyond the grace less than 40 A·s in ten minutes: what a fuse of 63 A carries in two thirds of a second."""
    draw = Random(seed)
    loop = plant(
        random_loads(seed, 600),
        {f"c{number}": float(draw.randrange(10)) for number in range(1, 6)},
        report_s=report_s,
    )
    assert overload_as(loop, 600) < 40


def test_s1_a_load_that_drifts_is_followed() -> None:
    """0.3 A/s for a minute: each small lowering counts once its car has followed, not once the last one has."""

    def base(at_s: float) -> Loads:
        drifted_a = min(max(at_s - 120.0, 0.0) * 0.3, 18.0)
        return {"main": (20.0, 20.0 + drifted_a, 20.0), "garage": NOTHING}

    loop = plant(base, {"c1": 1.0, "c2": 4.0, "c4": 7.0, "c5": 9.0})
    loop.run(120)
    assert overload_as(loop, 90) < 2


def test_s6_a_reading_that_is_looked_at_twice_raises_nobody() -> None:
    """Not even when all charge points have just reported what they drew before the load jumped."""

    def base(at_s: float) -> Loads:
        jumped_a = 0.0 if at_s < 131 else 5.0 if at_s < 132 else 12.0
        return {"main": NOTHING, "garage": (2.0, 2.0, 8.0 + jumped_a)}

    seen: list[Observation] = []

    def remember(observation: Observation) -> Observation:
        seen.append(observation)
        return observation

    loop = plant(base, {f"c{number}": 1.0 for number in range(1, 6)})
    loop.before_step = remember
    for _ in range(170):
        first = loop.tick()
        again = replace(
            seen[-1],
            at_s=seen[-1].at_s + 0.03,
            meters={
                name: replace(meter, age_s=(meter.age_s or 0.0) + 0.03)
                for name, meter in seen[-1].meters.items()
            },
        )
        _, second = step(loop.site, loop.state, again)
        for name, decision in second.connectors.items():
            assert (decision.permit_a or 0.0) <= (first.connectors[name].permit_a or 0)


def test_s1_a_session_that_ended_hides_no_load() -> None:
    """Its charge point says nothing any more; a load that comes minutes later is answered in full."""

    def base(at_s: float) -> Loads:
        return {"main": NOTHING, "garage": (20.0 if at_s > 200 else 0.0,) * 3}

    loop = plant(base, {})
    loop.run(120)
    for name in ("c1", "c2"):
        loop.cars[name].state = ConnectorState.FINISHING
        loop.cars[name].report_s = 0.0
    loop.cars["c3"].wants_a = 32.0
    loop.run(79)
    assert overload_as(loop, 60) == 0
    memory = loop.state.meters["garage"]
    assert memory.base is not None
    assert memory.base.high[0] == pytest.approx(20.0, abs=0.5)


def test_s8_who_comes_back_is_told_its_permit_again() -> None:
    """A charge point that was without power dropped its pause, and charges with its floor."""

    def base(at_s: float) -> Loads:
        return {"main": (62.0,) * 3 if at_s > 60 else NOTHING, "garage": NOTHING}

    loop = plant(base, {})
    loop.run(120)
    car = loop.cars["c4"]
    assert car.draw_a == 0
    car.state = ConnectorState.OFFLINE
    loop.run(30)
    car.state = ConnectorState.CHARGING
    car.permit_a, car.expires_s = car.floor_a, float("inf")
    assert overload_as(loop, 60) == 0
    assert car.draw_a == 0


def test_s6_room_of_a_session_that_ended_is_there_once_its_car_has_stopped() -> None:
    """It drew nothing by its 6 A, and hid as much of a load that came before it left."""

    def base(at_s: float) -> Loads:
        return {"main": (36.0 if at_s > 200 else 30.0,) * 3, "garage": NOTHING}

    loop = plant(base, {})
    loop.cars["c5"].wants_a = 0.0
    loop.run(203)
    loop.cars["c5"].state = ConnectorState.FINISHING
    for _ in range(30):
        loop.tick()
        assert max(loop.loads[-1]["main"]) <= LIMITS_A["main"]


def one_phase_only() -> Plant:
    """Return a car that charges with its floor on three phases, two of which have no room for that."""
    return Plant(
        site=replace(
            site(),
            connectors=(Connector(id="c1", circuit="garage", can_switch_phases=True),),
        ),
        cars={"c1": Car()},
        base=lambda _: {"main": NOTHING, "garage": (33.5, 37.0, 37.0)},
    )


def test_s1_who_is_to_keep_its_floor_on_one_phase_is_told() -> None:
    """Its permit was never sent: it is the floor."""
    loop = one_phase_only()
    assert overload_as(loop, 60) == 0
    assert loop.loads[-1]["garage"] == (39.5, 37.0, 37.0)


def test_s5_the_floor_on_one_phase_is_renewed() -> None:
    """It would lapse to the floor on three phases."""
    loop = one_phase_only()
    loop.run(120)
    commands = loop.cars["c1"].commands
    loop.run(450)
    assert loop.cars["c1"].commands == commands + 1


@pytest.mark.parametrize("paused", [True, False])
def test_s8_who_does_not_obey_is_told_once_more(paused: bool) -> None:
    """It dropped its pause, or charges by a permit that nobody remembers after a restart: nothing lapses here."""

    def base(at_s: float) -> Loads:
        load_a = 62.0 if paused and at_s > 60 else 10.0
        return {"main": (load_a,) * 3, "garage": NOTHING}

    loop = plant(base, {})
    loop.run(120)
    for name, car in loop.cars.items():
        if name != "c4":
            car.state = ConnectorState.AVAILABLE
    car = loop.cars["c4"]
    if not paused:
        loop.state = ControllerState()
        car.draw_a = car.reported_a = 0.0
    car.permit_a, car.expires_s = 6.0 if paused else 32.0, float("inf")
    loop.run(60)
    assert car.permit_a == (0.0 if paused else 6.0)


def single_phase_loop(base: Callable[[float], PerPhase], report_at_s: float) -> Plant:
    """Return two cars on L3 that share what is left of the grid connection; the second saturated a moment ago."""
    loop = plant(
        lambda at_s: {"main": base(at_s), "garage": NOTHING},
        {"c4": report_at_s, "c5": report_at_s + 1.0},
    )
    loop.site = replace(
        loop.site,
        connectors=tuple(
            replace(item, phases=PHASES[2:]) for item in loop.site.connectors
        ),
    )
    for name, car in loop.cars.items():
        car.phases = PHASES[2:]
        if name not in {"c4", "c5"}:
            car.state = ConnectorState.AVAILABLE
    loop.run(141)
    loop.cars["c5"].wants_a = 14.0
    loop.run(8)
    return loop


@pytest.mark.parametrize("first_a", [10.0, 11.0])
@pytest.mark.parametrize("report_at_s", [2.0, 5.0])
def test_s1_a_load_that_comes_over_two_readings_is_answered_as_one(
    first_a: float, report_at_s: float
) -> None:
    """The first lowering is small and its fall is hidden by what comes on top: nothing waits for that fall."""

    def base(at_s: float) -> PerPhase:
        jumped_a = 0.0 if at_s < 150 else first_a if at_s < 151 else 18.0
        drifted_a = min(max(at_s - 150.0, 0.0), 40.0) * 0.3
        return 10.0, 10.0, 17.0 + jumped_a + drifted_a

    assert overload_as(single_phase_loop(base, report_at_s), 60) < 20


def test_s1_a_report_at_the_permit_shows_that_the_car_has_followed() -> None:
    """The meter goes on rising and never stands still: the report says that what is left is not the car's."""

    def base(at_s: float) -> PerPhase:
        risen_a = 0.0 if at_s < 150 else 10.0 + min(at_s - 150.0, 14.0) * 0.6
        return 10.0, 10.0, 17.0 + risen_a

    assert overload_as(single_phase_loop(base, 1.0), 60) < 10


def test_s1_nobody_is_stopped_for_what_a_raise_made_of_a_jump() -> None:
    """The house takes L3 as the cars follow a raise, and each answer has another step follow: none is an answer to it."""
    jumps_s = [inf]
    own = {"c1": PHASES, "c2": PHASES, "c3": PHASES[1:2]}
    here = Plant(
        site=Site(
            circuits=(Circuit(id="main", limit_a=(40.0, 40.0, 40.0), metered=True),),
            connectors=tuple(
                Connector(id=name, circuit="main", phases=phases)
                for name, phases in own.items()
            ),
            margin_a=0.5,
            imbalance=None,
        ),
        cars={
            name: Car(phases=phases, wants_a=32.0, draw_a=6.0, report_at_s=9.0)
            for name, phases in own.items()
        },
        base=lambda now_s: {"main": (2.0, 2.0, 22.0 if now_s >= jumps_s[0] else 2.0)},
    )
    while here.permits()["c1"] <= 6:
        here.tick()
    jumps_s[0] = here.now_s + 2
    for _ in range(180):
        here.tick()
        second, here.silent = here.now_s, {"main"}
        for part in (0.1, 0.2, 0.3):
            here.now_s = second + part
            here.decide()
        here.now_s, here.silent = second, set()
        # 2 x 8.7 A and 22 A are 39.4 A.
        assert min(here.permits().values()) > 8
    assert here.permits()["c3"] == 16.0


@pytest.mark.parametrize(("jumps", "both"), [(1, True), (4, False)])
def test_s6_one_jump_is_no_reason_to_keep_a_car_waiting(
    *, jumps: int, both: bool
) -> None:
    """A house that left no room for both once will hardly do so again; one that does so every two minutes will."""

    def base(now_s: float) -> Loads:
        high = now_s >= 200 and (now_s - 200) % 120 < 20 and now_s < 200 + 120 * jumps
        return {"main": (24.0, 24.0, 24.0) if high else (8.0, 8.0, 8.0)}

    here = Plant(
        site=Site(
            circuits=(Circuit(id="main", limit_a=(32.0, 32.0, 32.0), metered=True),),
            connectors=tuple(
                Connector(id=name, circuit="main", max_a=32.0) for name in ("c1", "c2")
            ),
            imbalance=None,
        ),
        cars={name: Car(wants_a=32.0) for name in ("c1", "c2")},
        base=base,
    )
    here.run(218)
    assert min(here.permits().values()) == 0
    here.run(120 * (jumps - 1) + 62)
    assert (min(here.permits().values()) >= 6) is both

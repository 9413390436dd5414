"""Small sites on which faults are tried: steady, without chance, with more cars than room."""

from collections.abc import Callable
from dataclasses import replace

from .plan import (
    BatteryPlan,
    CarPlan,
    ChargerPlan,
    CircuitPlan,
    HousePlan,
    MeterPlan,
    OutletPlan,
    PerPhase,
    SitePlan,
    SunPlan,
    VisitPlan,
)

SECONDS = 1800


def car(
    phases: int = 3, most: float = 16.0, *, need_kwh: float = 60.0, below_a: float = 0.1
) -> CarPlan:
    """Return a car that will not be full within a fault."""
    return CarPlan(
        need_wh=need_kwh * 1000.0,
        phases=phases,
        most=most,
        ramp_s=3.0,
        start_s=5.0,
        wake_s=8.0,
        below_a=below_a,
        taper_wh=min(500.0, need_kwh * 500.0),
    )


def circuit(
    limit_a: float | PerPhase | None = 63.0,
    *,
    name: str = "main",
    parent: str | None = None,
    base_a: PerPhase | None = (18.0, 15.0, 16.0),
    metered: bool = True,
    lag_s: int = 1,
    flicker_a: float = 0.15,
) -> CircuitPlan:
    """Return a circuit with a gG fuse, a quick meter, and a house that hardly moves."""
    limits = (limit_a, limit_a, limit_a) if isinstance(limit_a, float) else limit_a
    return CircuitPlan(
        id=name,
        parent=parent,
        limit_a=limits,
        breaker=None if limits is None else "gG",
        meter=MeterPlan(lag_s=lag_s) if metered else None,
        house=None
        if base_a is None
        else HousePlan(level_a=base_a, flicker_a=flicker_a),
    )


def outlet(
    name: str,
    circuit_id: str = "main",
    *,
    phases: tuple[int, ...] = (0, 1, 2),
    most: float = 16.0,
    least: float = 6.0,
    report_s: int = 10,
    mode: str = "fast",
    fallback: bool = True,
) -> OutletPlan:
    """Return an AC outlet of a quick charge point."""
    return OutletPlan(
        id=name,
        circuit=circuit_id,
        phases=phases,
        most=most,
        least=least,
        floor=least,
        mode=mode,
        charger=ChargerPlan(
            latency_s=0.5,
            report_s=report_s,
            report_at_s=sum(map(ord, name)) % report_s,
            autonomous_fallback=fallback,
        ),
    )


def site(
    name: str,
    cars: tuple[tuple[OutletPlan, CarPlan | None], ...],
    circuits: tuple[CircuitPlan, ...] | None = None,
    *,
    seconds: int = SECONDS,
    sun: SunPlan | None = None,
    battery: BatteryPlan | None = None,
    imbalance_a: float | None = None,
    told: dict[str, object] | None = None,
) -> SitePlan:
    """Return a site at noon; cars come ten seconds apart and stay."""
    return SitePlan(
        name=name,
        hours=seconds / 3600.0,
        start_h=12.0,
        seed=1,
        circuits=circuits or (circuit(),),
        outlets=tuple(one for one, _ in cars),
        visits=tuple(
            VisitPlan(outlet=one.id, from_s=5 + 10 * index, to_s=10 * seconds, car=its)
            for index, (one, its) in enumerate(cars)
            if its is not None
        ),
        sun=sun,
        battery=battery,
        imbalance_a=imbalance_a,
        told={"margin_a": 0.5, **(told or {})},
    )


def mixed(
    name: str,
    circuits: tuple[CircuitPlan, ...] | None = None,
    sun: SunPlan | None = None,
) -> SitePlan:
    """Return six cars of all kinds at one board."""
    phases = (3, 3, 3, 3, 1, 2)
    cars = tuple(
        (outlet(f"cp{index + 1}"), car(count)) for index, count in enumerate(phases)
    )
    return site(name, cars, circuits, sun=sun)


def boards() -> SitePlan:
    """Return two boards below one connection; all cars are at one of them."""
    circuits = (
        circuit(100.0),
        circuit(40.0, name="a", parent="main", base_a=(4.0, 4.0, 4.0)),
        circuit(40.0, name="b", parent="main", base_a=(3.0, 3.0, 3.0)),
    )
    cars = tuple(
        (outlet(f"a{index}", "a"), car(3 if index else 1)) for index in range(5)
    )
    return site("boards", (*cars, (outlet("b0", "b"), None)), circuits)


def one_phase_cars() -> SitePlan:
    """Return four one-phase cars on L1, which the house loads most."""
    base_a = (30.0, 10.0, 12.0)
    cars = tuple((outlet(f"cp{index + 1}"), car(1)) for index in range(4))
    return site("one_phase_cars", cars, (circuit(63.0, base_a=base_a),))


def sunny(name: str) -> SitePlan:
    """Return six cars of all kinds under a clear sky, with more room than the import alone would leave."""
    return mixed(
        name,
        (circuit(40.0, base_a=(4.0, 5.0, 4.0)),),
        sun=SunPlan(peak_w=16000.0, clouds=0.0),
    )


def modest(report_s: int, lag_s: int) -> Callable[[], SitePlan]:
    """Return a maker of a site on which two cars draw much less than their outlets could give."""

    def make() -> SitePlan:
        cars = tuple(
            (outlet(f"cp{index + 1}", most=32.0, report_s=report_s), car(3, most))
            for index, most in enumerate((32.0, 32.0, 20.0, 10.0, 10.0))
        )
        house = circuit(80.0, base_a=(20.0, 18.0, 19.0), lag_s=lag_s)
        return site("modest", cars, (house,))

    return make


def board(report_s: int, lag_s: int) -> Callable[[], SitePlan]:
    """Return a maker of a board with five three-phase cars that take all there is."""

    def make() -> SitePlan:
        cars = tuple(
            (outlet(f"cp{index + 1}", report_s=report_s), car(3)) for index in range(5)
        )
        return site(
            "board", cars, (circuit(80.0, base_a=(20.0, 18.0, 19.0), lag_s=lag_s),)
        )

    return make


def twelve_cars() -> SitePlan:
    """Return twelve three-phase cars."""
    cars = tuple((outlet(f"cp{index + 1}"), car(3)) for index in range(12))
    return site("twelve", cars, (circuit(125.0, base_a=(10.0, 10.0, 10.0)),))


def four_cars() -> SitePlan:
    """Return four three-phase cars with little more than their minimum."""
    cars = tuple((outlet(f"cp{index + 1}"), car(3)) for index in range(4))
    return site("four", cars, (circuit(50.0, base_a=(23.0, 23.0, 23.0)),))


def skew() -> SitePlan:
    """Return a one-phase and a three-phase car under a limit between phases."""
    cars = (
        (outlet("cp1", most=32.0, phases=(0,)), car(1, 32.0)),
        (outlet("cp2"), car(3)),
    )
    return site(
        "skew", cars, (circuit(63.0, base_a=(8.0, 8.0, 8.0)),), imbalance_a=20.0
    )


def held_by_l2() -> SitePlan:
    """Return a one-phase car at a three-phase outlet, with a house that loads L2."""
    cars = ((outlet("cp1", most=32.0), car(1, 32.0)),)
    return site("held_by_l2", cars, (circuit(32.0, base_a=(2.0, 23.0, 2.0)),))


def idle_offline(mode: str = "fast", sun: SunPlan | None = None) -> SitePlan:
    """Return three cars, and three idle charge points that do not fall back by themselves."""
    cars = tuple((outlet(f"cp{index + 1}", mode=mode), car(1)) for index in range(3))
    idle = tuple(
        (outlet(f"idle{index + 1}", most=32.0, fallback=False), None)
        for index in range(3)
    )
    return site(
        "idle_offline",
        (*cars, *idle),
        (circuit(63.0, base_a=(4.0, 4.0, 4.0)),),
        sun=sun,
        told={"pv_surplus": sun is not None},
    )


def waiting() -> SitePlan:
    """Return four cars that are full within minutes and three that want on, with room for four at 6 A."""
    full = tuple(
        (outlet(f"full{index + 1}"), car(3, need_kwh=0.15)) for index in range(4)
    )
    wait = tuple((outlet(f"wait{index + 1}"), car(3)) for index in range(3))
    return site(
        "waiting",
        (*full, *wait),
        (circuit(32.0, base_a=(5.0, 5.0, 5.0)),),
        seconds=7200,
    )


def asleep() -> SitePlan:
    """Return five cars that are full within minutes and three that take all there is."""
    full = tuple(
        (outlet(f"full{index + 1}"), car(3, need_kwh=0.15)) for index in range(5)
    )
    busy = tuple((outlet(f"busy{index + 1}"), car(3)) for index in range(3))
    return site(
        "asleep", (*full, *busy), (circuit(40.0, base_a=(5.0, 5.0, 5.0)),), seconds=3600
    )


def restless() -> SitePlan:
    """Return six cars of all kinds for an hour."""
    return replace(mixed("restless"), hours=1.0)


def first_permit() -> SitePlan:
    """Return a charge point with a minimum of 8 A, with a car at once, and another."""
    return site(
        "first_permit", ((outlet("cp1", least=8.0), car(3)), (outlet("cp2"), car(3)))
    )


def ignoring() -> SitePlan:
    """Return three cars of which one alone could take all the room."""
    cars = tuple(
        (outlet(f"cp{index + 1}", most=32.0), car(3, 32.0)) for index in range(3)
    )
    return site("ignoring", cars, (circuit(50.0, base_a=(20.0, 18.0, 19.0)),))


def mixed_plan(name: str) -> Callable[[], SitePlan]:
    """Return a maker of the board with six cars of all kinds."""
    return lambda: mixed(name)

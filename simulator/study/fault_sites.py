"""Small sites on which faults are tried: steady, without chance, with more cars than room."""

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

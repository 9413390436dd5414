"""What the meter shows goes before what is estimated."""

from dataclasses import replace
from math import hypot
from random import Random

import pytest

from custom_components.reev_ems.energy_management.model import (
    Circuit,
    Connector,
    ImbalanceLimit,
    PartPerPhase,
    Phase,
    Settings,
    Site,
)
from custom_components.reev_ems.energy_management.observation import (
    ConnectorState,
    Observation,
)
from tests.energy_management.plant import Car, Plant

CIRCUIT = Circuit(id="main", limit_a=(63, 63, 63), metered=True)


def test_nobody_is_stopped_for_an_imbalance_that_the_meter_does_not_show() -> None:
    """L1 loses 13 A, L3 keeps its load 8 s longer, less than the hold time: the estimate of L3 is late, the meter is not."""

    def base(now_s: float) -> dict[str, tuple[float, float, float]]:
        if now_s < 100:
            return {"main": (14, 10, 14)}
        if now_s < 140:
            return {"main": (14, 10, 20)}
        return {"main": (1, 10, 20 if now_s < 148 else 5)}

    plant = Plant(
        site=Site(
            circuits=(CIRCUIT,),
            connectors=(
                Connector(id="c0", circuit="main", phases=(Phase.L3,), max_a=6),
            ),
            imbalance=ImbalanceLimit(limit_a=20),
        ),
        cars={"c0": Car(wants_a=6, phases=(Phase.L3,))},
        base=base,
    )
    plant.run(100)
    assert plant.permits() == {"c0": 6.0}
    assert all(decision.connectors["c0"].permit_a == 6.0 for decision in plant.run(150))
    assert plant.decision is not None
    assert not plant.decision.issues


def test_s1_what_is_left_of_an_overload_is_lowered_once_the_meter_stands_still() -> (
    None
):
    """A reactive load and cars add up to less than the sum of their currents, the more the more the cars draw.

    The base load that is inferred while the cars draw much is therefore too small. When they have followed the first
    answer some overload is left, and it must not wait for reports that come every 30 s.
    """
    cars = {f"c{i}": Car(wants_a=32, report_s=30) for i in range(3)}
    plant = Plant(
        site=Site(
            circuits=(CIRCUIT,),
            connectors=tuple(
                Connector(id=name, circuit="main", max_a=32) for name in cars
            ),
            imbalance=None,
            settings=Settings(meter_lag_s=3),
        ),
        cars=cars,
        base=lambda now_s: {"main": (5.0,) * 3 if now_s < 200 else (38.0,) * 3},
    )
    power_factor = 0.8
    sine = (1 - power_factor**2) ** 0.5

    def metered_a() -> float:
        (base_a, _, _) = plant.base(plant.now_s)["main"]
        cars_a = sum(car.draw_a for car in cars.values())
        return hypot(base_a * power_factor + cars_a, base_a * sine)

    def as_phasors(observation: Observation) -> Observation:
        current_a: PartPerPhase = (metered_a(),) * 3
        meter = replace(observation.meters["main"], current_a=current_a)
        return replace(observation, meters={"main": meter})

    plant.before_step = as_phasors
    plant.run(199)
    plant.tick()
    over_s = 0
    while metered_a() > 63:
        plant.tick()
        over_s += 1
        assert over_s <= 15
    # 8 s for the cars at 4 A/s and the stillness of 2.5 s, twice.
    plant.run(20)
    assert metered_a() <= 63
    assert all(permit_a >= 6 for permit_a in plant.permits().values())


@pytest.mark.parametrize("lag_s", [3, 8, 15])
def test_a_meter_that_is_late_and_flickers_has_one_overload_answered_once(
    lag_s: int,
) -> None:
    """12 A come for good, what is left is enough for four of six cars: flicker is not the fall that is awaited."""
    random = Random(lag_s)
    cars = {f"c{i}": Car(wants_a=32, report_at_s=i) for i in range(6)}
    plant = Plant(
        site=Site(
            circuits=(replace(CIRCUIT, limit_a=(50, 50, 50)),),
            connectors=tuple(
                Connector(id=name, circuit="main", max_a=32) for name in cars
            ),
        ),
        cars=cars,
        base=lambda now_s: {"main": (8 if now_s < 240 else 20, 5, 3)},
        lag_s=lag_s,
    )

    def flicker(observation: Observation) -> Observation:
        meter = observation.meters["main"]
        l1, l2, l3 = (
            (value or 0.0) + random.uniform(-0.4, 0.4)
            for value in meter.current_a or ()
        )
        return replace(
            observation, meters={"main": replace(meter, current_a=(l1, l2, l3))}
        )

    plant.before_step = flicker
    plant.run(239)
    for _ in range(160):
        plant.tick()
        assert sum(permit_a >= 6 for permit_a in plant.permits().values()) >= 4
    assert 46 <= plant.loads[-1]["main"][0] <= 50


def one_phase_site(*cars: Phase) -> Site:
    """Return a site with a single-phase connector on each of the phases."""
    return Site(
        circuits=(CIRCUIT,),
        connectors=tuple(
            Connector(id=f"c{i}", circuit="main", phases=(phase,), max_a=32)
            for i, phase in enumerate(cars)
        ),
        imbalance=None,
    )


def test_a_car_that_ramps_while_another_is_being_lowered_is_no_base_load() -> None:
    """L3 is overloaded and its car takes three seconds to follow; on L2 a car was just given its maximum."""
    plant = Plant(
        site=one_phase_site(Phase.L2, Phase.L3),
        cars={
            "c0": Car(wants_a=32, phases=(Phase.L2,), state=ConnectorState.AVAILABLE),
            "c1": Car(wants_a=32, phases=(Phase.L3,)),
        },
        base=lambda now_s: {"main": (5, 5, 5 if now_s < 200 else 40)},
    )
    plant.run(190)
    plant.cars["c0"].state = ConnectorState.CHARGING
    while plant.permits()["c0"] < 32:
        plant.tick()
        assert plant.now_s < 240
    plant.base = lambda _: {"main": (5, 5, 40)}
    plant.cars["c1"].obeys = False
    for second in range(20):
        plant.cars["c1"].obeys = second > 3
        decision = plant.tick()
        base_a = decision.circuits["main"].base_a
        assert base_a is not None
        assert base_a[1] <= 5.1


@pytest.mark.parametrize("between_s", [5, 12, 19, 26, 33, 40])
def test_a_base_load_that_falls_is_believed_after_the_next_reports(
    between_s: int,
) -> None:
    """Also if the cars have just been raised, as long as the meter is quick: a late one needs the more time."""

    def base(now_s: float) -> dict[str, tuple[float, float, float]]:
        if now_s < 200:
            return {"main": (40, 0, 0)}
        return {"main": (25 if now_s < 200 + between_s else 10, 0, 0)}

    plant = Plant(
        site=replace(
            one_phase_site(Phase.L1, Phase.L1), settings=Settings(meter_lag_s=2)
        ),
        cars={
            "c0": Car(wants_a=32, phases=(Phase.L1,)),
            "c1": Car(wants_a=32, phases=(Phase.L1,), report_at_s=5),
        },
        base=base,
    )
    plant.run(199)
    assert sum(plant.permits().values()) == pytest.approx(23, abs=0.3)
    plant.run(between_s + 40)
    assert sum(plant.permits().values()) == pytest.approx(53, abs=0.3)

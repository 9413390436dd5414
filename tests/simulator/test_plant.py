"""The physics: what flows where, how cars behave, and that no energy gets lost."""

import math

import pytest

from simulator.car import Car, Connector, Supply
from simulator.curve import Curve
from simulator.house import BaseLoad, HomeBattery, SolarPlant
from simulator.load import PerPhase
from simulator.plant import Circuit, Plant


def constant(*values: float) -> Curve:
    """Return a curve that never changes."""
    return Curve(points=((0.0, values),))


def base(circuit: str, *current_a: float, power_factor: float = 1.0) -> BaseLoad:
    """Return a base load that never changes."""
    return BaseLoad(
        circuit=circuit, curve=constant(*current_a), power_factor=power_factor
    )


def connector(
    name: str = "cp", circuit: str = "main", **properties: object
) -> Connector:
    """Return a connector whose contactor is closed."""
    made = Connector(id=name, circuit=circuit, power_factor=1.0, **properties)  # type: ignore[arg-type]
    made.energised = True
    return made


MAIN = "main"


def main(limit_a: PerPhase | None = None) -> Circuit:
    """Return a grid connection."""
    return Circuit(id=MAIN, limit_a=limit_a)


def test_currents_add_up_the_tree_on_the_right_phases() -> None:
    """Own phases land on the line phases that they are wired to, and circuits carry what is below them."""
    rotated = connector("rotated", "garage", line_phases=(1, 2, 0), car=Car(phases=2))
    single = connector("single", "garage", line_phases=(2,), car=Car(phases=3))
    plant = Plant(
        circuits=[Circuit(id="garage", parent=MAIN), main()],
        connectors=[rotated, single],
        base_loads=[base("garage", 1.0, 2.0, 3.0), base(MAIN, 10.0, 0.0, 0.0)],
    )
    plant.advance(10.0)
    # Two of the three phases of `rotated` are on L2 and L3, `single` is on L3.
    assert plant.measure("garage").current_a == pytest.approx(
        (1.0, 2.0 + 16.0, 3.0 + 16.0 + 16.0)
    )
    assert plant.measure(MAIN).current_a == pytest.approx((11.0, 18.0, 35.0))
    assert plant.measure(MAIN).power_w == pytest.approx((2530.0, 4140.0, 8050.0))
    assert rotated.own_current_a == pytest.approx((16.0, 16.0, 0.0))


def test_current_is_apparent_power_over_voltage() -> None:
    """Reactive current remains where the sun covers the active power."""
    plant = Plant(
        circuits=[main()],
        base_loads=[base(MAIN, 10.0, 10.0, 10.0, power_factor=0.8)],
        solar=[SolarPlant(id="roof", circuit=MAIN, peak_w=5520.0, curve=constant(1.0))],
    )
    truth = plant.measure(MAIN)
    assert truth.power_w == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    # 10 A at 0.8: 8 A active, 6 A reactive. The sun takes the active part away.
    assert truth.current_a == pytest.approx((6.0, 6.0, 6.0))


def test_export_has_negative_power_and_counts_as_export() -> None:
    """Currents are magnitudes, powers signed; the energy total is netted over the phases."""
    plant = Plant(
        circuits=[main()],
        base_loads=[base(MAIN, 10.0, 0.0, 0.0)],
        solar=[SolarPlant(id="roof", circuit=MAIN, peak_w=6900.0, curve=constant(1.0))],
    )
    plant.advance(3600.0)
    truth = plant.measure(MAIN)
    assert truth.power_w == pytest.approx((0.0, -2300.0, -2300.0))
    assert truth.current_a == pytest.approx((0.0, 10.0, 10.0), abs=1e-9)
    assert (truth.import_wh, truth.export_wh) == pytest.approx((0.0, 4600.0))
    assert truth.export_phase_wh == pytest.approx((0.0, 2300.0, 2300.0))


def test_energy_is_conserved() -> None:
    """What the grid gave is what house, cars and converter losses took."""
    cars = [Car(soc=0.2), Car(phases=1, soc=0.2), Car(soc=0.2, max_w=60000.0)]
    ac = connector("ac", "garage", car=cars[0])
    one = connector("one", "garage", line_phases=(1,), car=cars[1])
    dc = connector("dc", supply=Supply.DC, efficiency=0.9, car=cars[2])
    plant = Plant(
        circuits=[main(), Circuit(id="garage", parent=MAIN)],
        connectors=[ac, one, dc],
        base_loads=[base(MAIN, 5.0, 6.0, 7.0, power_factor=0.9)],
        voltage_v=(228.0, 231.0, 233.0),
    )
    for _ in range(600):
        plant.advance(1.0)
    hours = 600.0 / 3600.0
    house_wh = 0.9 * (5.0 * 228.0 + 6.0 * 231.0 + 7.0 * 233.0) * hours
    registers_wh = ac.energy_wh + one.energy_wh + dc.energy_wh / 0.9
    truth = plant.measure(MAIN)
    assert truth.import_wh == pytest.approx(house_wh + registers_wh)
    assert sum(truth.import_phase_wh) == pytest.approx(truth.import_wh)
    assert plant.measure("garage").import_wh == pytest.approx(
        ac.energy_wh + one.energy_wh
    )
    for car, outlet in zip(cars, (ac, one, dc), strict=True):
        assert (car.soc - 0.2) * car.battery_wh == pytest.approx(outlet.energy_wh)


def test_a_car_ramps_within_its_time_and_not_at_once() -> None:
    """A car needs its ramp time from nothing to its maximum."""
    outlet = connector(car=Car(ramp_s=4.0))
    plant = Plant(circuits=[main()], connectors=[outlet])
    seen = []
    for _ in range(9):
        plant.advance(0.5)
        seen.append(outlet.current_a)
    # It starts at its minimum of 6 A and then rises by 4 A each second.
    assert seen == pytest.approx([6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 16.0, 16.0, 16.0])
    outlet.limit_a = 8.0
    plant.advance(1.0)
    assert outlet.current_a == pytest.approx(12.0)
    plant.advance(1.0)
    assert outlet.current_a == pytest.approx(8.0)


def test_below_the_minimum_it_pauses() -> None:
    """Less than 6 A is no charging current."""
    outlet = connector(car=Car(ramp_s=2.0))
    plant = Plant(circuits=[main()], connectors=[outlet])
    plant.advance(5.0)
    outlet.limit_a = 5.9
    assert not outlet.offers
    plant.advance(2.5)
    assert outlet.current_a == 0.0
    outlet.limit_a = 6.0
    plant.advance(2.0)
    assert outlet.current_a == 6.0


def test_a_connector_never_passes_limit_maximum_or_what_the_car_takes() -> None:
    """The smallest of the three counts."""
    outlet = connector(max_a=20.0, car=Car(max_a=32.0))
    plant = Plant(circuits=[main()], connectors=[outlet])
    outlet.limit_a = 32.0
    plant.advance(10.0)
    assert outlet.current_a == 20.0
    outlet.car = Car(max_a=10.0)
    plant.advance(10.0)
    assert outlet.current_a == 10.0


def test_an_open_contactor_carries_nothing() -> None:
    """Opening is not ramping."""
    outlet = connector(car=Car())
    plant = Plant(circuits=[main()], connectors=[outlet])
    plant.advance(10.0)
    outlet.energised = False
    plant.advance(0.1)
    assert outlet.current_a == 0.0


def test_a_car_tapers_and_gets_full() -> None:
    """Near full the current falls, at full it ends."""
    car = Car(soc=0.94, battery_wh=10000.0)
    outlet = connector(car=car)
    plant = Plant(circuits=[main()], connectors=[outlet])
    currents = []
    for _ in range(600):
        plant.advance(1.0)
        currents.append(outlet.current_a)
    assert max(currents) == 16.0
    assert any(6.0 < current < 15.0 for current in currents)
    # Tapering ends at the 6 A below which a car cannot charge.
    assert not any(0.0 < current < 6.0 for current in currents)
    assert car.full
    assert currents[-1] == 0.0
    assert outlet.energy_wh == pytest.approx(600.0, rel=0.01)


def test_a_dc_connector_takes_more_than_it_gives_evenly_from_all_phases() -> None:
    """The limit is the output; the grid pays the losses."""
    outlet = connector(
        supply=Supply.DC, efficiency=0.95, max_w=50000.0, car=Car(soc=0.3)
    )
    plant = Plant(circuits=[main()], connectors=[outlet])
    outlet.limit_w = 19000.0
    plant.advance(10.0)
    truth = plant.measure(MAIN)
    assert outlet.power_w == 19000.0
    assert truth.power_w == pytest.approx((20000.0 / 3,) * 3)
    outlet.limit_w = 4999.0
    plant.advance(10.0)
    assert outlet.power_w == 0.0


def test_a_home_battery_keeps_the_grid_connection_near_zero() -> None:
    """Within its power, both ways."""
    battery = HomeBattery(
        id="b", circuit=MAIN, capacity_wh=10000.0, max_w=5000.0, soc=0.5
    )
    solar = SolarPlant(id="roof", circuit=MAIN, peak_w=10000.0, curve=constant(0.3))
    plant = Plant(circuits=[main()], solar=[solar], batteries=[battery])
    plant.advance(30.0)
    assert battery.power_w == pytest.approx(3000.0, abs=1.0)
    assert sum(plant.measure(MAIN).power_w) == pytest.approx(0.0, abs=1.0)
    solar.command_w = 8000.0
    plant.advance(30.0)
    assert battery.power_w == pytest.approx(5000.0, abs=1.0)
    solar.command_w = 0.0
    plant.base_loads[MAIN] = base(MAIN, 10.0, 0.0, 0.0)
    plant.advance(30.0)
    assert battery.power_w == pytest.approx(-2300.0, abs=1.0)


def test_overload_counts_from_the_grace_time_and_only_what_chargers_cause() -> None:
    """The base load alone breaks no rule."""
    outlet = connector(car=Car(ramp_s=0.5))
    plant = Plant(
        circuits=[main((20.0, 20.0, 20.0))],
        connectors=[outlet],
        base_loads=[base(MAIN, 10.0, 25.0, 0.0)],
        grace_s=5.0,
    )
    plant.advance(0.5)
    plant.reset_metrics()
    plant.advance(15.0)
    first, second, third = plant.circuits[MAIN].overload
    # L1: 26 A of 20 A. L2: 41 A, of which the base load alone makes 25 A.
    assert first.over_as == pytest.approx(6.0 * 15.0)
    assert first.broken_as == pytest.approx(6.0 * 10.0)
    assert second.over_as == pytest.approx(21.0 * 15.0)
    assert second.broken_as == pytest.approx(16.0 * 10.0)
    assert (first.max_a, second.max_a) == pytest.approx((6.0, 16.0))
    assert (third.over_as, third.broken_as) == (0.0, 0.0)
    plant.reset_metrics(grace_s=1.0)
    assert first is not plant.circuits[MAIN].overload[0]
    assert plant.circuits[MAIN].overload[0].over_as == 0.0


def test_long_and_short_steps_agree() -> None:
    """The result does not hang on how often the plant is advanced."""

    def after(step_s: float) -> tuple[float, float]:
        outlet = connector(car=Car(soc=0.5))
        plant = Plant(circuits=[main()], connectors=[outlet])
        for _ in range(round(60.0 / step_s)):
            plant.advance(step_s)
        return outlet.current_a, outlet.energy_wh

    assert after(60.0) == pytest.approx(after(0.5))
    assert after(0.1)[1] == pytest.approx(after(60.0)[1], rel=0.01)


def test_curves_interpolate_hold_and_repeat() -> None:
    """Straight lines, flat ends, and around again."""
    once = Curve(points=((10.0, (0.0,)), (20.0, (5.0,))))
    assert [once.at(at)[0] for at in (0.0, 10.0, 12.0, 20.0, 99.0)] == [
        0.0,
        0.0,
        1.0,
        5.0,
        5.0,
    ]
    again = Curve(points=((0.0, (0.0,)), (10.0, (10.0,))), period_s=20.0)
    assert [again.at(at)[0] for at in (5.0, 15.0, 25.0, 40.0)] == pytest.approx(
        [5.0, 5.0, 5.0, 0.0]
    )


def test_curves_run_at_their_own_speed() -> None:
    """The time factor moves the curves, not the cars."""
    rising = BaseLoad(
        circuit=MAIN,
        curve=Curve(points=((0.0, (0.0,) * 3), (100.0, (100.0,) * 3))),
        power_factor=1.0,
    )
    plant = Plant(circuits=[main()], base_loads=[rising])
    plant.time_factor = 10.0
    plant.advance(5.0)
    assert plant.measure(MAIN).current_a == pytest.approx((50.0,) * 3)


@pytest.mark.parametrize(
    ("circuits", "reason"),
    [
        ([Circuit(id="a"), Circuit(id="b")], "exactly one"),
        ([Circuit(id="a", parent="b"), Circuit(id="b", parent="a")], "circle"),
        ([Circuit(id="a"), Circuit(id="b", parent="c")], "no such circuit: c"),
        ([Circuit(id="a"), Circuit(id="a")], "two of one name"),
    ],
)
def test_trees_that_are_none(circuits: list[Circuit], reason: str) -> None:
    """Circuits that form no tree are refused with the reason."""
    with pytest.raises(ValueError, match=reason):
        Plant(circuits=circuits)


def test_a_thing_in_no_circuit() -> None:
    """Everything hangs in a circuit that is there."""
    with pytest.raises(ValueError, match="no such circuit: attic"):
        Plant(circuits=[main()], base_loads=[base("attic", 1.0, 1.0, 1.0)])


def test_no_flow_is_exactly_no_flow() -> None:
    """An empty site divides by nothing."""
    plant = Plant(circuits=[main()])
    plant.advance(1.0)
    assert plant.measure(MAIN).current_a == (0.0, 0.0, 0.0)
    assert not math.isnan(plant.measure(MAIN).import_wh)

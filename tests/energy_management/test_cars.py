"""Cars as they are: the phases that they use, their sleep, and how gently they are treated."""

from dataclasses import replace

import pytest

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.model import (
    ChargingMode,
    Connector,
    ImbalanceLimit,
    PerPhase,
    Phase,
    Settings,
    Site,
)
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    Observation,
)
from tests.energy_management.loop import MAIN, Loop, one
from tests.energy_management.plant import Car, Plant
from tests.energy_management.stepping import step, step_and_test_meters

ONE_PHASE = (Phase.L1,)


def two(**changes: object) -> Site:
    """Return a site with two three-phase outlets."""
    site = Site(
        circuits=(MAIN,),
        connectors=tuple(Connector(id=f"c{i}", circuit="main") for i in range(2)),
        imbalance=None,
    )
    return replace(site, **changes)


def busy_on_l2(_: float) -> dict[str, PerPhase]:
    """Return a base load that leaves 6 A on L2."""
    return {"main": (2.0, 26.0, 2.0)}


@pytest.mark.parametrize("tells_power", [False, True])
def test_a_one_phase_car_at_a_three_phase_outlet_is_counted_on_its_phase(
    *, tells_power: bool
) -> None:
    """L2 has 6 A left, which it does not use: it gets its 16 A on L1.

    They are 3.7 kW of the external limit of 4.1 kW, which three phases would reach with 6 A.
    """
    plant = Plant(
        site=one(),
        cars={"c0": Car(phases=ONE_PHASE, tells_power=tells_power)},
        base=busy_on_l2,
        external_limit_w=18 * 230.0,
    )
    decision = plant.run(120)[-1]
    assert plant.permits() == {"c0": 16}
    assert decision.connectors["c0"].used_phases == 1
    assert decision.circuits["main"].booked_a == (16.0, 0.0, 0.0)


def test_a_one_phase_car_loads_the_imbalance_as_one() -> None:
    """At a three-phase outlet, too: 20 A over the other phases and no more."""
    plant = Plant(
        site=one(
            Connector(id="c0", circuit="main", max_a=32.0), imbalance=ImbalanceLimit()
        ),
        cars={"c0": Car(phases=ONE_PHASE, wants_a=32.0)},
        base=lambda _: {"main": (4.0, 4.0, 4.0)},
    )
    plant.run(120)
    assert plant.permits() == {"c0": 20}


def test_what_was_learnt_of_a_users_car_counts_from_the_beginning() -> None:
    """The last time it used one phase: there is room before it has drawn anything. It is counted on all if not."""

    def permit_a(used_phases: int | None) -> float | None:
        site = one(circuits=(replace(MAIN, hard_limit=True),))
        loop = Loop(site, (2.0, 30.0, 2.0))
        loop.see(state=ConnectorState.PLUGGED, used_phases=used_phases)
        return loop.step(40).connectors["c0"].permit_a

    assert permit_a(1) == 16
    assert permit_a(None) == 0
    assert permit_a(3) == 0


@pytest.mark.parametrize("tells_power", [False, True])
def test_s1_a_phase_on_which_current_appears_counts_at_once(
    *, tells_power: bool
) -> None:
    """A car that idled on two phases begins to use them: booked on all in the step in which that is reported."""
    car = Car(phases=ONE_PHASE, tells_power=tells_power)
    plant = Plant(site=one(), cars={"c0": car}, base=busy_on_l2)
    plant.run(120)
    assert plant.permits() == {"c0": 16}
    car.phases = (Phase.L1, Phase.L2, Phase.L3)
    for _ in range(12):
        decision = plant.tick()
        if decision.connectors["c0"].used_phases == 3:
            break
    assert decision.connectors["c0"].used_phases == 3
    assert (decision.connectors["c0"].permit_a or 0) <= 6
    assert min(decision.circuits["main"].booked_a) == 16


@pytest.mark.parametrize("wants_a", [16.0, 10.0])
@pytest.mark.parametrize("phases", [(Phase.L1, Phase.L2), tuple(Phase)])
def test_s1_a_power_that_one_phase_may_have_taken_is_booked_on_all(
    phases: tuple[Phase, ...], wants_a: float
) -> None:
    """6.9 kW at a permit of 32 A may be 30 A of one phase, or 10 A of three; L2 has 28 A, then 12 A for them."""
    car = Car(phases=phases, wants_a=wants_a, tells_power=True)
    plant = Plant(
        site=one(Connector(id="c0", circuit="main", max_a=32.0)),
        cars={"c0": car},
        base=lambda now_s: {"main": (4.0, 4.0 if now_s < 120 else 20.0, 4.0)},
    )
    for _ in range(240):
        decision = plant.tick()
        assert plant.loads[-1]["main"][1] <= 32 or 120 <= plant.now_s < 128
    assert decision.connectors["c0"].used_phases in {None, len(phases)}
    assert car.draw_a == min(wants_a, 12.0)


def test_s2_a_phase_of_which_nothing_is_said_is_used() -> None:
    """Only what is reported as idle is idle."""
    state = ControllerState()
    for second in range(130):
        observation = Observation(
            at_s=float(second),
            meters={"main": MeterObservation(current_a=(12.0, 2.0, 2.0), age_s=0.2)},
            connectors={
                "c0": ConnectorObservation(
                    state=ConnectorState.CHARGING,
                    current_a=(10.0, None, None),
                    age_s=0.5,
                )
            },
        )
        state, decision = step(one(), state, observation)
    assert decision.connectors["c0"].used_phases is None
    assert min(decision.circuits["main"].booked_a) > 9


def test_one_minimum_is_kept_for_all_that_sleep() -> None:
    """Two full cars have their offer of 6 A, and together count with that: the third has the other 10 A.

    With both booked it would have 6 A. Which one of them wakes does not matter.
    """
    site = replace(
        two(),
        connectors=tuple(Connector(id=f"c{i}", circuit="main") for i in range(3)),
    )
    loop = Loop(site, (16.0, 16.0, 16.0))
    for name in ("c0", "c1"):
        loop.see(name, state=ConnectorState.SUSPENDED_EV)
    decision = loop.step(200)
    permits_a = {name: item.permit_a for name, item in decision.connectors.items()}
    assert permits_a == {"c0": 6, "c1": 6, "c2": 10}
    assert str(decision.connectors["c0"].limited_by) == "the car sleeps"
    assert decision.circuits["main"].booked_a[0] == 16


def test_s1_who_wakes_is_counted_before_a_second_one_does() -> None:
    """The one that charges comes down, as much as the one that woke needs."""
    site = replace(
        two(),
        connectors=tuple(Connector(id=f"c{i}", circuit="main") for i in range(3)),
    )
    loop = Loop(site, (16.0, 16.0, 16.0))
    for name in ("c0", "c1"):
        loop.see(name, state=ConnectorState.SUSPENDED_EV)
    loop.step(200)
    loop.see("c0", state=ConnectorState.CHARGING, current_a=(6.0, 6.0, 6.0), age_s=0.2)
    for _ in range(5):
        decision = loop.step()
    # 6 A for the one that is awake, 6 A kept for the other, which leaves its minimum to the third or pauses it.
    charging_a = sum(decision.connectors[name].permit_a or 0.0 for name in ("c0", "c2"))
    assert charging_a <= 16
    decision = loop.step(60)
    assert min(decision.circuits["main"].available_a or ()) >= 0


def test_a_car_that_draws_nothing_of_its_offer_sleeps_though_it_says_charging() -> None:
    """Its charge point has no state for it: 30 s of nothing, once it had the time to start."""
    plant = Plant(
        site=two(),
        cars={"c0": Car(wants_a=0.0), "c1": Car()},
        base=lambda _: {"main": (12.0, 12.0, 12.0)},
    )
    plant.run(200)
    assert plant.decision is not None
    asleep = plant.decision.connectors["c0"]
    assert (asleep.permit_a, str(asleep.limited_by)) == (6, "the car sleeps")
    assert plant.permits()["c1"] == 14


def test_a_car_that_was_paused_has_two_minutes_to_take_its_offer() -> None:
    """Some take so long to notice it: they are not taken for asleep before."""
    loop = Loop(one())
    loop.see(enabled=False)
    loop.step(300)
    loop.see(enabled=True, state=ConnectorState.SUSPENDED_EV)
    for _ in range(115):
        assert str(loop.step().connectors["c0"].limited_by) != "the car sleeps"
    assert str(loop.step(60).connectors["c0"].limited_by) == "the car sleeps"


@pytest.mark.parametrize(("lasts_s", "raised"), [(7, False), (40, True)])
def test_s6_room_needs_readings_that_agree_for_nine_seconds(
    lasts_s: int, raised: bool
) -> None:
    """An oven that pauses for a moment leaves no room."""
    loop = Loop(one(), (20.0, 20.0, 20.0))
    assert loop.step(60).connectors["c0"].permit_a == 12
    loop.base_a = (14.0, 14.0, 14.0)
    permits_a = {loop.step().connectors["c0"].permit_a for _ in range(lasts_s)}
    assert (16 in permits_a) is raised
    loop.base_a = (20.0, 20.0, 20.0)
    assert loop.step(30).connectors["c0"].permit_a == 12


def test_a_house_that_flickers_is_not_answered_all_the_time() -> None:
    """6 A more every other minute: raises that were taken back have to stand longer, up to a minute."""
    loop = Loop(one(), (20.0, 20.0, 20.0))
    loop.step(120)
    loop.commands.clear()
    for second in range(3600):
        loop.base_a = (20.0 + 6.0 * (second // 30 % 2),) * 3
        loop.step()
    assert len(loop.commands) <= 40
    # An hour of calm, and the same room is there at once.
    loop.base_a = (20.0, 20.0, 20.0)
    assert loop.step(120).connectors["c0"].permit_a == 12


def test_a_raise_is_taken_back_once() -> None:
    """A house that takes room in two parts took one raise back: the room does not have to stand longer for it."""
    loop = Loop(one(), (20.0, 20.0, 20.0))
    loop.step(60)
    for base_a in (23.0, 26.0):
        loop.base_a = (base_a,) * 3
        loop.step(15)
    assert loop.state.connectors["c0"].permit.value == 6
    loop.base_a = (20.0, 20.0, 20.0)
    assert loop.step(28).connectors["c0"].permit_a == 12


def test_a_start_on_the_sun_does_not_wait_twice() -> None:
    """Surplus that stood for the start delay is room that stood, however often raises were taken back."""
    loop = Loop(
        one(
            Connector(id="c0", circuit="main", mode=ChargingMode.SOLAR), pv_surplus=True
        ),
        (5.0, 5.0, 5.0),
    )
    loop.step(60)
    memory = loop.state.connectors["c0"]
    taken_back = replace(memory, taken_back=3, taken_back_s=loop.now_s)
    loop.state = replace(loop.state, connectors={"c0": taken_back})
    loop.base_a = (-10.0, -10.0, -10.0)
    assert loop.step(60).connectors["c0"].permit_a == 0
    assert loop.step(20).connectors["c0"].permit_a == 10


def test_s1_an_adopted_permit_is_one_that_the_charge_point_can_have() -> None:
    """After a restart it says 1.04 A, with a minimum of 8 A: nothing is what that means."""
    loop = Loop(one(Connector(id="c0", circuit="main", min_a=8.0)))
    loop.see(permit_a=1.04, current_a=(0.0, 0.0, 0.0), age_s=0.5)
    loop.step(3)
    loop.see(permit_a=None)
    loop.step(60)
    sent_a = {item.permit_a or 0.0 for _, item in loop.commands}
    assert sent_a
    assert not any(0 < value < 6 for value in sent_a)
    assert loop.state.connectors["c0"].permit.value == 16


def test_s7_who_comes_back_was_base_load() -> None:
    """Away for ten seconds its 15 A are base load; back, they are its own: nobody is lowered for having both."""
    loop = Loop(two())
    loop.step(60)
    loop.see("c0", state=ConnectorState.OFFLINE)
    decision = loop.step(10)
    assert decision.circuits["main"].base_a == (17.0, 17.0, 17.0)
    loop.see("c0", state=ConnectorState.CHARGING)
    for _ in range(10):
        decision = loop.step()
        permits_a = {name: item.permit_a for name, item in decision.connectors.items()}
        assert permits_a == {"c0": 15, "c1": 15}


def test_a_pause_ends_the_transaction_where_a_permit_of_nothing_is_ignored() -> None:
    """Its charge point was seen to charge on at 0 A."""
    site = one(Connector(id="c0", circuit="main", obeys_pause=False))
    loop = Loop(site)
    loop.step(60)
    loop.commands.clear()
    loop.see(enabled=False)
    loop.step()
    assert [str(item.action) for _, item in loop.commands] == ["stop", "permit"]
    loop.step(30)
    assert len(loop.commands) == 2


def test_s13_measures_can_be_forbidden() -> None:
    """A charge point that ignores its limits: lowered to nothing, but neither stopped nor taken out of service."""
    site = one(settings=Settings(may_stop_transactions=False))
    loop = Loop(site)
    loop.step(60)
    loop.base_a = (24.0, 24.0, 24.0)
    for _ in range(120):
        loop.see(current_a=(16.0, 16.0, 16.0), age_s=0.5)
        decision = loop.step()
    assert {str(item.action) for _, item in loop.commands} == {"permit"}
    assert decision.connectors["c0"].permit_a == 0
    assert str(decision.state) == "overloaded"
    assert [str(issue.kind) for issue in decision.issues] == [
        "overloaded",
        "disobedient",
    ]


def test_s14_a_sun_that_nobody_told_of_is_no_fault_of_the_meter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It rises while a car charges, until the meter shows less than the car draws: our own steps tell what that is."""
    monkeypatch.setattr("tests.energy_management.loop.step", step_and_test_meters)
    loop = Loop(one())
    loop.step(700)
    states = set()
    for minute in range(40):
        loop.base_a = (2.0 - 0.5 * minute,) * 3
        decision = loop.step(60)
        states.add(str(decision.state))
        assert not decision.issues
    assert states <= {"regulating", "holding"}
    assert str(decision.state) == "regulating"
    assert decision.connectors["c0"].permit_a == 16


def test_s14_nothing_is_raised_before_the_meter_has_shown_the_first_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Turned around from the beginning it says that there is room without end."""
    monkeypatch.setattr("tests.energy_management.loop.step", step_and_test_meters)
    loop = Loop(one())
    most_a = 0.0
    for _ in range(300):
        car_a = (loop.connectors["c0"].current_a or (0.0,))[0] or 0.0
        loop.base_a = (-2.0 - 2 * car_a,) * 3
        decision = loop.step()
        most_a = max(most_a, decision.connectors["c0"].permit_a or 0.0)
    assert most_a <= 8
    (issue,) = decision.issues
    assert str(issue.finding) == "reversed"


@pytest.mark.parametrize("generation", [None, False, True])
def test_s14_a_meter_that_shows_less_than_the_cars_draw_is_not_believed(
    generation: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of its transformers is turned around: held at once, failsafe with an issue, unless something feeds in."""
    monkeypatch.setattr("tests.energy_management.loop.step", step_and_test_meters)
    loop = Loop(one(circuits=(replace(MAIN, generation=generation),)))
    loop.step(700)
    # L1 carries 18 A, and is shown as -18 A.
    loop.base_a = (2.0 - 36.0, 2.0, 2.0)
    held = loop.step()
    decision = loop.step(8)
    if generation:
        assert str(decision.state) == "regulating"
        return
    assert str(held.state) == "holding"
    assert str(decision.state) == "failsafe"
    assert decision.connectors["c0"].permit_a == 6
    (issue,) = decision.issues
    assert (str(issue.kind), str(issue.finding)) == ("meter_contradiction", "reversed")
    assert (issue.circuit, issue.phase) == ("main", "L1")

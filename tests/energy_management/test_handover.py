"""What charge points may keep while nobody steers."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from custom_components.reev_ems.energy_management.decision import (
    ConnectorDecision,
    Decision,
    Limit,
    LimitKind,
    SiteState,
)
from custom_components.reev_ems.energy_management.handover import (
    BaseLoad,
    permits_to_keep,
)
from custom_components.reev_ems.energy_management.model import (
    PHASES,
    Circuit,
    Connector,
    FailsafeAction,
    ImbalanceLimit,
    PerPhase,
    Phase,
    Settings,
    Site,
    Supply,
    UserGroup,
)
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    Observation,
)

QUIET = BaseLoad(highest_a=(5.0, 5.0, 5.0), lowest_a=(5.0, 5.0, 5.0))
MAIN = Circuit(id="main", limit_a=(63.0, 63.0, 63.0), metered=True)


def site(*connectors: Connector, **changes: Any) -> Site:
    """Return a site of 63 A."""
    values: dict[str, Any] = {"circuits": (MAIN,), "imbalance": None} | changes
    return Site(connectors=connectors, **values)


def keep(
    found: Site,
    permits: Mapping[str, float],
    base: Mapping[str, BaseLoad] | None = None,
    *,
    idle: tuple[str, ...] = (),
    observation: Observation | None = None,
    decided: Mapping[str, Any] | None = None,
    state: SiteState = SiteState.REGULATING,
) -> dict[str, float]:
    """Return what is kept of permits (A or W); connectors without one, and idle ones, have no transaction."""
    dc = {item.id for item in found.connectors if item.supply is Supply.DC}
    decision = Decision(
        at_s=0.0,
        state=state,
        connectors={
            name: ConnectorDecision(
                permit_a=None if name in dc else permit,
                permit_w=permit if name in dc else None,
                limited_by=Limit(kind=LimitKind.OWN_MAXIMUM),
                **(decided or {}),
            )
            for name, permit in permits.items()
        },
    )
    if observation is None:
        observation = Observation(
            at_s=0.0,
            connectors={
                item.id: ConnectorObservation(
                    state=ConnectorState.AVAILABLE
                    if item.id in idle or item.id not in permits
                    else ConnectorState.CHARGING
                )
                for item in found.connectors
            },
        )
    ranges = {"main": QUIET} if base is None else base
    return permits_to_keep(
        found, observation, decision, ranges, set(permits) - set(idle)
    )


def cp(name: str, **changes: Any) -> Connector:
    """Return a connector of 32 A."""
    return Connector(id=name, **{"circuit": "main", "max_a": 32.0, **changes})


def test_s5_what_fits_is_kept_as_it_is() -> None:
    """Also a pause, and what is below the floor."""
    found = site(cp("a"), cp("b"), cp("c"))
    assert keep(found, {"a": 20.0, "b": 0.0, "c": 6.0}) == {
        "a": 20.0,
        "b": 0.0,
        "c": 6.0,
    }


def test_s5_what_does_not_fit_is_lowered_to_what_fits() -> None:
    """63 A less 5 A of base load and 6.3 A of reserve: 51.7 A, of which 18 A are floors."""
    found = site(cp("a"), cp("b"), cp("c"))
    kept = keep(found, {"a": 26.0, "b": 26.0, "c": 6.0})
    assert kept == {"a": 22.8, "b": 22.8, "c": 6.0}
    assert sum(kept.values()) <= 63 - 5 - 6.3


def test_s9_whoever_comes_gets_the_floor() -> None:
    """Idle connectors are booked with it, and one that does not fall back with its maximum."""
    cars = [cp(name) for name in "abcdef"]
    kept = keep(site(*cars), {"a": 32.0}, idle=tuple("bcdef"))
    assert kept == {"a": 21.7}
    stubborn = replace(cars[1], autonomous_fallback=False)
    assert keep(site(cars[0], stubborn), {"a": 32.0}) == {"a": 19.7}


def test_s5_the_base_load_may_vary_as_it_did() -> None:
    """The highest of the last minutes, and as much on top as it varied; a tenth of the limit at least."""
    found = site(cp("a"), cp("b"))
    base = {"main": BaseLoad(highest_a=(20.0, 5.0, 5.0), lowest_a=(8.0, 5.0, 5.0))}
    kept = keep(found, {"a": 26.0, "b": 6.0}, base)
    assert kept == {"a": 25.0, "b": 6.0}


@pytest.mark.parametrize(
    "state", [state for state in SiteState if state is not SiteState.REGULATING]
)
def test_s3_nothing_is_kept_where_the_site_is_not_regulating(state: SiteState) -> None:
    """A late or silent meter, an overload: nobody knows what fits."""
    assert keep(site(cp("a")), {"a": 10.0}, state=state) == {}


def test_s2_nothing_is_kept_above_the_floor_where_a_base_load_is_unknown() -> None:
    """Any circuit on the way to the grid connection that has a limit is meant."""
    hut = Circuit(id="hut", parent="main", limit_a=(20.0, 20.0, 20.0))
    open_hut = replace(hut, limit_a=None)
    found = site(cp("a", circuit="hut"), cp("b"), circuits=(MAIN, hut))
    permits = {"a": 10.0, "b": 10.0}
    assert keep(found, permits, {}) == {}
    assert keep(found, permits) == {"b": 10.0}
    found = replace(found, circuits=(MAIN, open_hut))
    assert keep(found, permits) == permits


def test_s1_every_circuit_holds() -> None:
    """An unmetered circuit carries what a person reserved, and no more."""
    hut = Circuit(
        id="hut",
        parent="main",
        limit_a=(20.0, 20.0, 20.0),
        reserve_a=(2.0, 2.0, 2.0),
    )
    found = site(cp("a", circuit="hut"), cp("b"), circuits=(MAIN, hut), margin_a=0.5)
    reserve = BaseLoad(highest_a=hut.reserve_a, lowest_a=hut.reserve_a)
    kept = keep(found, {"a": 32.0, "b": 10.0}, {"main": QUIET, "hut": reserve})
    assert kept == {"a": 17.5, "b": 10.0}


def test_s1_power_external_limit_and_groups_hold() -> None:
    """In W over all phases; a group's limit is that of its members."""
    main = replace(MAIN, limit_w=20_000.0)
    found = site(cp("a"), circuits=(main,))
    # 20 kW less 3 × 5 A of base load and 2 kW of reserve.
    assert keep(found, {"a": 32.0}) == {"a": 21.0}

    group = UserGroup(id="fleet", limit_a=(10.0, 10.0, 10.0))
    found = site(cp("a"), cp("b"), user_groups=(group,))
    charging = ConnectorObservation(state=ConnectorState.CHARGING)
    observation = Observation(
        at_s=0.0,
        connectors={"a": replace(charging, groups=("fleet",)), "b": charging},
    )
    permits = {"a": 16.0, "b": 16.0}
    assert keep(found, permits, observation=observation) == {"a": 10.0, "b": 16.0}
    limited = replace(observation, external_limit_w=690.0 * 20)
    kept = keep(site(cp("a"), cp("b")), permits, observation=limited)
    assert kept == {"a": 10.0, "b": 10.0}


def test_s1_phases_that_a_car_does_not_use_are_free() -> None:
    """A one-phase car loads the first of its own phases; its floor counts on all of them."""
    found = site(cp("a"), cp("b", phases=(Phase.L2,)), cp("c", phases=(Phase.L1,)))
    base = {"main": BaseLoad(highest_a=(5.0, 30.0, 5.0), lowest_a=(5.0, 30.0, 5.0))}
    permits = {"a": 32.0, "b": 20.0, "c": 6.0}
    # L2: 63 − 30 − 6.3 = 26.7 A, 12 A of it floors.
    assert keep(found, permits, base) == {"a": 15.5, "b": 11.1, "c": 6.0}
    kept = keep(found, permits, base, decided={"used_phases": 1})
    assert kept == {"a": 32.0, "b": 20.0, "c": 6.0}


def test_s1_dc_counts_on_the_ac_side() -> None:
    """690 W at the AC side are 1 A on each phase."""
    dc = cp("dc", supply=Supply.DC, efficiency=1.0, min_w=6900.0, max_w=50_000.0)
    assert keep(site(dc), {"dc": 20_000.0}) == {"dc": 20_000.0}
    assert keep(site(dc), {"dc": 50_000.0}) == {"dc": 35_600.0}


def test_s1_the_phase_imbalance_holds() -> None:
    """The row holds those that load one phase and not the other, idle places apart."""
    one = {"phases": (Phase.L1,)}
    found = site(
        cp("a", **one), cp("b", **one), cp("c"), imbalance=ImbalanceLimit(limit_a=20.0)
    )
    permits = {"a": 20.0, "c": 24.0}
    assert keep(found, permits) == permits
    assert keep(found, permits | {"b": 6.0}) == {"a": 14.0, "b": 6.0, "c": 24.0}
    base = {"main": BaseLoad(highest_a=(5.0, 5.0, 5.0), lowest_a=(5.0, 1.0, 5.0))}
    assert keep(found, permits, base) == {"a": 16.0, "c": 24.0}
    unknown = site(
        cp("a", phases=None, phase_count=1), imbalance=ImbalanceLimit(limit_a=20.0)
    )
    assert keep(unknown, {"a": 32.0}) == {"a": 20.0}
    assert keep(found, {"c": 32.0}, decided={"used_phases": 1}) == {"c": 20.0}


def test_less_than_a_car_takes_is_left_to_lapse() -> None:
    """It falls to the floor at once, as it did before."""
    found = site(cp("a", min_a=16.0), cp("b"))
    base = {"main": BaseLoad(highest_a=(40.0,) * 3, lowest_a=(40.0,) * 3)}
    # 16.7 A of room, 12 A of it floors.
    assert keep(found, {"a": 30.0, "b": 6.0}, base) == {"b": 6.0}
    stop = replace(found, settings=Settings(failsafe=FailsafeAction.STOP))
    assert keep(stop, {"a": 30.0, "b": 6.0}, base) == {}


def test_s1_random_sites() -> None:
    """Whatever is kept: nothing is raised, and floors, kept permits, base load and reserve are within every limit."""
    random = Random(12)
    lowered = 0
    for _ in range(400):
        boards = [
            Circuit(
                id=f"board{index}",
                parent=random.choice(["main", *(f"board{i}" for i in range(index))]),
                limit_a=_per_phase(random, 20, 60),
                metered=random.random() < 0.7,
            )
            for index in range(random.randrange(4))
        ]
        circuits = (MAIN, *boards)
        cars = [
            cp(
                f"cp{index}",
                circuit=random.choice(circuits).id,
                phases=random.choice(
                    [PHASES, (Phase.L2, Phase.L3, Phase.L1), (random.choice(PHASES),)]
                ),
            )
            for index in range(random.randrange(1, 9))
        ]
        found = site(*cars, circuits=circuits)
        base = {
            circuit.id: BaseLoad(
                highest_a=(high := _per_phase(random, 0, 25)),
                lowest_a=(high[0] - random.random() * 9, high[1], high[2]),
            )
            for circuit in circuits
        }
        permits = {
            car.id: random.choice([0.0, 6.0, round(random.uniform(6, 32), 1)])
            for car in cars
            if random.random() < 0.8
        }
        kept = keep(found, permits, base)
        assert all(kept[name] <= permits[name] for name in kept)
        lowered += any(kept.get(name) != permits[name] for name in permits)
        for circuit in circuits:
            assert circuit.limit_a
            for place, phase in enumerate(PHASES):
                booked = [
                    (max(kept.get(car.id, 6.0), 6.0), kept.get(car.id, 0.0))
                    for car in cars
                    if _is_below(car, circuit, circuits) and phase in (car.phases or ())
                ]
                high = base[circuit.id].highest_a[place]
                varied = high - base[circuit.id].lowest_a[place]
                reserve = max(varied, 0.1 * circuit.limit_a[place])
                room = circuit.limit_a[place] - high - reserve * circuit.metered
                if any(permit > 6 for _, permit in booked):
                    assert sum(load for load, _ in booked) <= room + 1e-6
    assert lowered > 100


def _per_phase(random: Random, low: float, high: float) -> PerPhase:
    return (
        random.uniform(low, high),
        random.uniform(low, high),
        random.uniform(low, high),
    )


def _is_below(car: Connector, circuit: Circuit, circuits: tuple[Circuit, ...]) -> bool:
    parents = {item.id: item.parent for item in circuits}
    here: str | None = car.circuit
    while here is not None and here != circuit.id:
        here = parents[here]
    return here is not None

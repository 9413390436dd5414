"""The oracle against shares that can be worked out by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from simulator.study.oracle import Oracle, Want
from simulator.study.plan import OutletPlan, SitePlan

from .kit import circuit, outlet, site


def oracle_of(
    plan: SitePlan,
    base_a: Sequence[tuple[float, float, float]],
    sun_w: float | None = None,
) -> Oracle:
    """Return the oracle of a site whose loads are the same each second."""
    seconds = plan.seconds
    bases = [np.tile(np.array(row), (seconds, 1)) for row in base_a]
    return Oracle(plan, bases, None if sun_w is None else np.full(seconds, sun_w))


def want(
    place: int,
    phases: tuple[int, ...] = (0, 1, 2),
    most_a: float = 16.0,
    served_wh: float = 0.0,
    *,
    solar: bool = False,
) -> Want:
    """Return a want of an AC car."""
    return Want(place, phases, 6.0, most_a, served_wh, solar)


def plan_of(count: int, *circuits: object, **changes: object) -> SitePlan:
    """Return a site with so many outlets at the grid connection."""
    pairs: list[tuple[OutletPlan, None]] = [
        (outlet(f"cp{index}"), None) for index in range(count)
    ]
    return site(pairs, *circuits, **changes)


def test_equal_cars_share_equally() -> None:
    """32 A less 2 A of the house are 10 A for each of three."""
    shares = oracle_of(plan_of(3), [(2.0, 2.0, 2.0)]).share(
        [want(place) for place in range(3)], 0, 2
    )
    assert shares == pytest.approx(np.full((2, 3), 10.0))


def test_what_one_cannot_use_goes_to_the_others() -> None:
    """One takes 7 A at most, another only L1: L1 holds it and the third, L2 nobody."""
    wants = [
        want(0, most_a=7.0),
        want(1, (0,), most_a=32.0),
        want(2, (1,), most_a=32.0),
    ]
    shares = oracle_of(plan_of(3), [(2.0, 2.0, 2.0)]).share(wants, 0, 1)
    assert shares[0] == pytest.approx([7.0, 23.0, 23.0])


def test_least_served_starts_if_there_is_no_room_for_all() -> None:
    """15 A hold two at 6 A; the third, which got most, has to wait; the two share all."""
    wants = [want(0, served_wh=10.0), want(1, served_wh=30.0), want(2, served_wh=20.0)]
    shares = oracle_of(plan_of(3), [(17.0, 17.0, 17.0)]).share(wants, 0, 1)
    assert shares[0] == pytest.approx([7.5, 0.0, 7.5])


def test_a_tree_binds_at_its_narrowest_place() -> None:
    """Two on a board of 12 A get 6 A each, the one beside the board what is left of the main: 18 A, by its maximum 16."""
    board = circuit(12.0, id="board", parent="main")
    plan = site(
        [
            (outlet("a", circuit="board"), None),
            (outlet("b", circuit="board"), None),
            (outlet("c"), None),
        ],
        circuit(32.0),
        board,
    )
    shares = oracle_of(plan, [(2.0, 2.0, 2.0), (0.0, 0.0, 0.0)]).share(
        [want(place) for place in range(3)], 0, 1
    )
    assert shares[0] == pytest.approx([6.0, 6.0, 16.0])


def test_a_margin_is_kept() -> None:
    """What the site is told to leave free is not room."""
    plan = plan_of(1, told={"margin_a": 2.0})
    assert oracle_of(plan, [(20.0, 20.0, 20.0)]).share([want(0)], 0, 1)[
        0
    ] == pytest.approx([10.0])


def test_external_limit_counts_what_cars_really_use() -> None:
    """8,280 W are 9 A for a three-phase and a one-phase car together."""
    plan = plan_of(2, external_w=((1, 8280.0),))
    shares = oracle_of(plan, [(0.0, 0.0, 0.0)]).share([want(0), want(1, (0,))], 0, 2)
    assert shares[0] == pytest.approx([16.0, 16.0])
    assert shares[1] == pytest.approx([9.0, 9.0])


def test_sun_is_shared_among_those_who_follow_it() -> None:
    """6,900 W of sun less 2 A per phase of house are 5,520 W: 8 A for the one that follows it, the other takes its maximum."""
    plan = plan_of(2)
    oracle = oracle_of(plan, [(2.0, 2.0, 2.0)], sun_w=6900.0)
    shares = oracle.share([want(0, solar=True), want(1)], 0, 1)
    assert shares[0] == pytest.approx([8.0, 16.0])
    assert oracle.surplus_w[0] == pytest.approx(5520.0)


def test_too_little_sun_for_the_minimum_is_none() -> None:
    """A three-phase car needs 4,140 W."""
    oracle = oracle_of(plan_of(1), [(0.0, 0.0, 0.0)], sun_w=4000.0)
    assert oracle.share([want(0, solar=True)], 0, 1)[0] == pytest.approx([0.0])


def test_imbalance_holds_those_ahead_and_is_widened_by_those_behind() -> None:
    """20 A between phases: 20 A on L1 alone, 30 A if another car puts 10 A on L2 and a third on L3."""
    plan = plan_of(3, circuit(63.0), imbalance_a=20.0)
    alone = oracle_of(plan, [(0.0, 0.0, 0.0)]).share([want(0, (0,), most_a=32.0)], 0, 1)
    assert alone[0] == pytest.approx([20.0])
    wants = [
        want(0, (0,), most_a=32.0),
        want(1, (1,), most_a=10.0),
        want(2, (2,), most_a=10.0),
    ]
    together = oracle_of(plan, [(0.0, 0.0, 0.0)]).share(wants, 0, 1)
    assert together[0] == pytest.approx([30.0, 10.0, 10.0])


def test_each_second_has_its_own_base_load() -> None:
    """Many seconds at once are each shared on their own."""
    plan = plan_of(2)
    base = np.stack([np.full(3, 2.0 + second) for second in range(plan.seconds)])
    base = np.minimum(base, 30.0)
    shares = Oracle(plan, [base], None).share([want(0), want(1)], 0, 30)
    assert shares[0] == pytest.approx([15.0, 15.0])
    assert shares[10] == pytest.approx([10.0, 10.0])
    assert shares[16] == pytest.approx([7.0, 7.0])
    assert shares[20] == pytest.approx([10.0, 0.0])
    assert shares[27] == pytest.approx([0.0, 0.0])

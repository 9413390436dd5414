"""Checks of the allocation and the guard that run against any copy of the package, broken ones included.

What the public case format can say is in the case files; here is the rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
import importlib
import json
from math import ceil, nan
from types import SimpleNamespace
from typing import Any

from .cases import FILES, differences, read

type Check = Callable[[SimpleNamespace], None]

CHECKS: list[Check] = []


def load(package: str) -> SimpleNamespace:
    """Return the names of a copy of the package that the checks use."""
    names: dict[str, Any] = {}
    for module in ("model", "decision", "case", "case_format", "guard", "allocation"):
        names |= vars(importlib.import_module(f"{package}.{module}"))
    return SimpleNamespace(**names)


def check(function: Check) -> Check:
    """Add a check to the list."""
    CHECKS.append(function)
    return function


def failures(package: str) -> Iterator[str]:
    """Yield each case file and each check that a copy of the package fails."""
    em = load(package)
    for file in FILES:
        case = read(file)
        try:
            got = em.result(em.allocate(em.read_case(json.dumps(case["case"]))))
            wrong = bool(list(differences(case["expected"], got)))
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            wrong = bool(error)
        if wrong:
            yield file.stem
    for function in CHECKS:
        try:
            function(em)
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ):
            yield function.__name__


def site(em: SimpleNamespace, limit_a: float = 32.0, **fields: Any) -> Any:
    """Return a site with one circuit."""
    circuit = em.Circuit(id="main", limit_a=(limit_a,) * 3, **fields)
    return em.Site(circuits=(circuit,), imbalance=None)


def demand(em: SimpleNamespace, name: str, **fields: Any) -> Any:
    """Return a demand; fields that a demand has not are its connector's."""
    own = {
        field: fields.pop(field)
        for field in tuple(fields)
        if field in {"solar", "solar_above_min", "pv_budgets", "measured_a", "groups"}
    }
    connector = em.Connector(id=name, **{"circuit": "main", **fields})
    return replace(em.Demand.of(connector, 230.0), **own)


def shared(em: SimpleNamespace, **fields: Any) -> dict[str, float]:
    """Return what an allocation gives to whom."""
    allocation = em.allocate(em.Case(**fields))
    return {name: share.current_a for name, share in allocation.shares.items()}


def guarded(
    em: SimpleNamespace, permits_a: dict[str, float], **fields: Any
) -> dict[str, tuple[float, str | None]]:
    """Return the guard's permits and what lowered them, in the order of the permits."""
    found = em.guard(em.Case(**fields), permits_a, tuple(permits_a))
    return {
        name: (round(permit_a, 6), limit and str(limit))
        for name, (permit_a, limit) in found.items()
    }


@check
def a_reservation_takes_room(em: SimpleNamespace) -> None:
    """What others are booked with is not there, in amperes and in power."""
    fields = {
        "demands": tuple(demand(em, phase, phases=(phase,)) for phase in em.PHASES),
        "reservations_a": {"main": (20.0, 21.0, 22.0)},
    }
    assert shared(em, site=site(em), **fields) == {"L1": 12.0, "L2": 11.0, "L3": 10.0}
    assert guarded(em, dict.fromkeys(em.PHASES, 16.0), site=site(em), **fields) == {
        "L1": (12.0, "main, L1"),
        "L2": (11.0, "main, L2"),
        "L3": (10.0, "main, L3"),
    }
    by_power = em.Circuit(id="main", limit_w=99 * 230.0)
    power = em.Site(circuits=(by_power,), imbalance=None)
    assert shared(em, site=power, **fields) == dict.fromkeys(em.PHASES, 12.0)
    assert guarded(em, dict.fromkeys(em.PHASES, 16.0), site=power, **fields) == (
        dict.fromkeys(em.PHASES, (12.0, "main, power"))
    )


@check
def a_user_group_shares_its_limit(em: SimpleNamespace) -> None:
    """Also with its members' connectors that take no part; the guard knows nothing else."""
    fields = {
        "demands": (
            demand(em, "a", groups=("g", "h")),
            demand(em, "b", phases=("L1",), groups=("g",)),
            demand(em, "c", phases=("L2",)),
        ),
        "group_reservations_a": {"g": (4.0, 0.0, 0.0)},
    }
    wishes = dict.fromkeys("abc", 16.0)
    limits = {"limit_a": (20.0, 20.0, 20.0)}, {"limit_w": 36 * 230.0}
    for limit, a, b, text in zip(
        limits, (8.0, 8.0), (8.0, 8.0), ("user group g, L1", "user group g, power"),
        strict=True,
    ):  # fmt: skip
        group = em.UserGroup(id="g", **limit)
        by_group = replace(site(em, 99.0), user_groups=(group,))
        assert shared(em, site=by_group, **fields) == {"a": a, "b": b, "c": 16.0}
        found = guarded(em, wishes, site=by_group, **fields)
        assert found["a"] == (a, text)
        assert found["b"] == (b, text)
        assert found["c"] == (16.0, None)


@check
def a_user_group_keeps_the_margin(em: SimpleNamespace) -> None:
    """In the guard as in the allocation."""
    group = em.UserGroup(id="g", limit_a=(10.0, 10.0, 10.0))
    narrow = replace(site(em), user_groups=(group,), margin_a=1.0)
    fields = {"site": narrow, "demands": (demand(em, "a", groups=("g",)),)}
    assert shared(em, **fields) == {"a": 9.0}
    assert guarded(em, {"a": 16.0}, **fields) == {"a": (9.0, "user group g, L1")}


@check
def s2_an_unknown_base_load_is_not_zero(em: SimpleNamespace) -> None:
    """The configured reserve stands in, and nothing is said to be available."""
    case = em.Case(
        site=site(em, reserve_a=(20.0, 20.0, 20.0)),
        demands=(demand(em, "a"),),
        base_a={"main": None},
    )
    allocation = em.allocate(case)
    assert allocation.shares["a"].current_a == 12.0
    assert allocation.circuits["main"].available_a is None
    assert em.guard(case, {"a": 16.0}, ("a",))["a"][0] == 12.0


@check
def an_unmetered_circuit_has_its_reserve(em: SimpleNamespace) -> None:
    """A circuit of which no base load is given carries what is configured."""
    fields = {
        "site": site(em, reserve_a=(20.0, 20.0, 20.0)),
        "demands": (demand(em, "a"),),
    }
    allocation = em.allocate(em.Case(**fields))
    assert allocation.shares["a"].current_a == 12.0
    assert allocation.circuits["main"].available_a == (12.0, 12.0, 12.0)
    assert guarded(em, {"a": 16.0}, **fields) == {"a": (12.0, "main, L1")}


@check
def s10_what_a_breaker_bears_for_a_moment_is_room(em: SimpleNamespace) -> None:
    """On the phases of the circuit, not in its power, and it is not shown as available."""
    fields = {
        "site": site(em, 10.0),
        "demands": (demand(em, "a"),),
        "relief_a": {"main": (4.0, 3.0, 2.0)},
    }
    allocation = em.allocate(em.Case(**fields))
    assert allocation.shares["a"].current_a == 12.0
    assert allocation.circuits["main"].available_a == (10.0, 10.0, 10.0)
    assert guarded(em, {"a": 16.0}, **fields) == {"a": (12.0, "main, L3")}
    assert guarded(em, {"a": 12.0}, **fields) == {"a": (12.0, None)}
    power = em.Circuit(id="main", limit_w=6900.0)
    fields["site"] = em.Site(circuits=(power,), imbalance=None)
    assert shared(em, **fields) == {"a": 10.0}
    assert guarded(em, {"a": 16.0}, **fields) == {"a": (10.0, "main, power")}


@check
def s10_a_skew_too_young_to_act_on_is_room(em: SimpleNamespace) -> None:
    """For the pair of phases that it is about."""
    fields = {
        "site": replace(site(em), imbalance=em.ImbalanceLimit(limit_a=8.0)),
        "demands": (demand(em, "a", phases=(em.Phase.L1,)),),
        "imbalance_base_a": (0.0, 0.0, 0.0),
        "imbalance_relief_a": {"L1 over L2": 5.0, "L1 over L3": 4.0},
    }
    assert shared(em, **fields) == {"a": 12.0}
    assert guarded(em, {"a": 12.0}, **fields) == {"a": (12.0, None)}
    assert guarded(em, {"a": 16.0}, **fields) == {
        "a": (12.0, "phase imbalance L1 over L3")
    }


@check
def s2_what_is_no_number_is_no_room(em: SimpleNamespace) -> None:
    """NaN in a base load pauses who stands in its row."""
    fields = {
        "site": site(em),
        "demands": (
            demand(em, "a", phases=(em.Phase.L1,)),
            demand(em, "b", phases=(em.Phase.L2,)),
        ),
        "base_a": {"main": (nan, 0.0, 0.0)},
    }
    assert shared(em, **fields) == {"b": 16.0}
    assert guarded(em, {"a": 16.0, "b": 16.0}, **fields) == {
        "a": (0.0, "main, L1"),
        "b": (16.0, None),
    }


@check
def s2_an_unknown_surplus_is_none(em: SimpleNamespace) -> None:
    """A budget that binds somebody and is not given is empty."""
    fields = {
        "site": site(em),
        "demands": (demand(em, "a", solar=True, pv_budgets=("",)),),
    }
    assert shared(em, **fields) == {}
    assert guarded(em, {"a": 16.0}, **fields) == {"a": (0.0, "PV surplus")}


@check
def surplus_per_phase(em: SimpleNamespace) -> None:
    """Where the meter does not net the phases each phase has a budget of its own."""
    fields = {
        "site": site(em),
        "demands": (
            demand(em, "a", phases=(em.Phase.L1,), solar=True, pv_budgets=("",)),
            demand(em, "b", solar_above_min=True, pv_budgets=("",)),
        ),
        "surplus_w": {"": 50000.0},
        "surplus_a": {"": (9.0, 2.0, 9.0)},
    }
    assert shared(em, **fields) == {"a": 7.5, "b": 7.5}
    assert guarded(em, {"a": 7.0, "b": 16.0}, **fields) == {
        "a": (6.272727, "PV surplus, L1"),
        "b": (8.0, "PV surplus, L2"),
    }


@check
def s10_the_guard_knows_minimums_in_whole_steps(em: SimpleNamespace) -> None:
    """A minimum of 6.2 A is 6.5 A in steps of 0.5 A, and none of it needs surplus."""
    odd = demand(em, "a", min_a=6.2, step_a=0.5, solar_above_min=True, pv_budgets=("",))
    assert guarded(em, {"a": 6.5}, site=site(em), demands=(odd,)) == {"a": (6.5, None)}
    assert guarded(em, {"a": 7.0}, site=site(em), demands=(odd,)) == {
        "a": (6.5, "PV surplus")
    }


@check
def a_demand_has_to_fit_the_site(em: SimpleNamespace) -> None:
    """Unknown circuits, doubled connectors and phases that are none are errors, not shares."""
    twice = (demand(em, "a"), demand(em, "a"))
    lost = (demand(em, "a", circuit="attic"),)
    odd = (demand(em, "a", phases=(em.Phase.L1, em.Phase.L1)),)
    for demands in (twice, lost, odd):
        try:
            em.allocate(em.Case(site=site(em), demands=demands))
        except ValueError:
            continue
        raise AssertionError(demands)


@check
def a_maximum_below_the_minimum_pauses(em: SimpleNamespace) -> None:
    """A cable of 5 A cannot charge."""
    low = replace(demand(em, "a"), max_a=5.0)
    allocation = em.allocate(em.Case(site=site(em), demands=(low,)))
    assert str(allocation.paused["a"]) == "own maximum"
    assert guarded(em, {"a": 6.0}, site=site(em), demands=(low,)) == {
        "a": (0.0, "final safety check")
    }


@check
def s10_the_guard_lowers_in_proportion(em: SimpleNamespace) -> None:
    """What is above the minimums shrinks by one factor: 10 and 4 A above become 5.714 and 2.286."""
    assert guarded(
        em,
        {"a": 16.0, "b": 10.0},
        site=site(em, 20.0),
        demands=(demand(em, "a"), demand(em, "b")),
    ) == {"a": (11.714286, "main, L1"), "b": (8.285714, "main, L1")}


@check
def s10_the_guard_pauses_the_last(em: SimpleNamespace) -> None:
    """Where the minimums do not fit, who was admitted last goes, and only as many as must."""
    assert guarded(
        em,
        {"c": 6.0, "a": 16.0, "b": 6.0},
        site=site(em, 17.0),
        demands=tuple(demand(em, name) for name in "abc"),
    ) == {"c": (6.0, None), "a": (11.0, "main, L1"), "b": (0.0, "main, L1")}


@check
def s10_the_guard_pauses_who_is_not_in_the_order_first(em: SimpleNamespace) -> None:
    """Nobody admitted it."""
    case = em.Case(site=site(em, 6.0), demands=(demand(em, "a"), demand(em, "b")))
    found = em.guard(case, {"a": 6.0, "b": 6.0}, ("b",))
    assert (found["a"][0], found["b"][0]) == (0.0, 6.0)


@check
def s10_the_guard_lets_nothing_impossible_pass(em: SimpleNamespace) -> None:
    """NaN, less than a minimum, more than a maximum, a negative current, a connector that nobody knows."""
    assert guarded(
        em,
        {"nan": nan, "low": 5.0, "high": 40.0, "below": -6.0, "stranger": 6.0},
        site=site(em, 300.0),
        demands=tuple(demand(em, name) for name in ("nan", "low", "high", "below")),
    ) == {
        "nan": (0.0, "final safety check"),
        "low": (0.0, "final safety check"),
        "high": (16.0, "final safety check"),
        "below": (0.0, "final safety check"),
        "stranger": (0.0, "final safety check"),
    }


@check
def s10_the_guard_pauses_demands_without_a_permit(em: SimpleNamespace) -> None:
    """No permit is no charging."""
    assert guarded(em, {}, site=site(em), demands=(demand(em, "a"),)) == {
        "a": (0.0, None)
    }


@check
def s10_the_guard_ends_where_nobody_can_help(em: SimpleNamespace) -> None:
    """A base load over the limit is not the connectors' doing."""
    assert guarded(
        em,
        {"a": 16.0},
        site=site(em),
        demands=(demand(em, "a"),),
        base_a={"main": (50.0, 0.0, 0.0)},
    ) == {"a": (0.0, "main, L1")}


@check
def s10_the_guard_takes_lost_support_into_account(em: SimpleNamespace) -> None:
    """L2 and L3 are lowered by a board to 10 A: L1 may be 20 A above them, whatever they draw now."""
    board = em.Circuit(id="board", parent="main", limit_a=(10.0,) * 3)
    uneven = em.Site(circuits=(*site(em, 63.0).circuits, board))
    found = guarded(
        em,
        {"a": 40.0, "b": 30.0, "c": 30.0},
        site=uneven,
        demands=(
            demand(em, "a", phases=(em.Phase.L1,), max_a=40.0),
            *(
                demand(
                    em,
                    name,
                    phases=(phase,),
                    circuit="board",
                    max_a=32.0,
                    measured_a=(30.0, 30.0, 30.0),
                )
                for name, phase in (("b", em.Phase.L2), ("c", em.Phase.L3))
            ),
        ),
        imbalance_base_a=(0.0, 0.0, 0.0),
    )
    assert found == {
        "a": (30.0, "phase imbalance L1 over L2"),
        "b": (10.0, "board, L2"),
        "c": (10.0, "board, L3"),
    }


@check
def s10_the_guard_relies_on_nobody_beyond_his_permit(em: SimpleNamespace) -> None:
    """L2 draws 30 A and is permitted 10: L1 may be 20 A above that."""
    found = guarded(
        em,
        {"a": 40.0, "b": 10.0},
        site=em.Site(circuits=site(em, 63.0).circuits),
        demands=(
            demand(em, "a", phases=(em.Phase.L1,), max_a=40.0),
            demand(
                em, "b", phases=(em.Phase.L2,), max_a=32.0, measured_a=(0.0, 30.0, 0.0)
            ),
        ),
        imbalance_base_a=(0.0, 0.0, 25.0),
    )
    assert found == {"a": (30.0, "phase imbalance L1 over L2"), "b": (10.0, None)}


@check
def s10_the_guard_knows_who_uses_one_phase(em: SimpleNamespace) -> None:
    """On one phase a connector that can switch counts once, and under the imbalance limit."""
    uneven = replace(site(em, 63.0), imbalance=em.ImbalanceLimit())
    case = em.Case(
        site=uneven,
        demands=(demand(em, "a", can_switch_phases=True, max_a=32.0),),
        external_limit_w=6900.0,
        imbalance_base_a=(0.0, 0.0, 0.0),
    )
    on_one = em.guard(case, {"a": 32.0}, ("a",), {"a": 1})["a"]
    on_three = em.guard(case, {"a": 32.0}, ("a",), {"a": 3})["a"]
    assert (on_one[0], str(on_one[1])) == (20.0, "phase imbalance L1 over L2")
    assert (on_three[0], str(on_three[1])) == (10.0, "external limit")


@check
def s10_the_guard_holds_every_case(em: SimpleNamespace) -> None:
    """Everybody at its maximum: after the guard the case's own numbers hold (added up here once more)."""
    for file in FILES:
        case = em.read_case(json.dumps(read(file)["case"]))
        permits_a = {d.connector.id: d.max_a for d in case.demands}
        found = em.guard(case, permits_a, tuple(permits_a))
        safe_a = {name: permit_a for name, (permit_a, _) in found.items()}
        for name, permit_a in safe_a.items():
            assert permit_a <= permits_a[name]
        for overload in overloads(em, case, safe_a):
            raise AssertionError(f"{file.stem}: {overload}")


def overloads(
    em: SimpleNamespace, case: Any, permits_a: dict[str, float]
) -> Iterator[str]:
    """Yield each circuit, budget and pair of phases of a case file that permits overload."""
    parents = {circuit.id: circuit.parent for circuit in case.site.circuits}

    def is_below(name: str | None, above: str) -> bool:
        while name is not None and name != above:
            name = parents[name]
        return name == above

    def loaded_a(demand: Any, phase: Any) -> float:
        on_it = (
            demand.phases is None or demand.phase_count == 3 or phase in demand.phases
        )
        return permits_a[demand.connector.id] if on_it else 0.0

    def least_a(demand: Any) -> float:
        step_a = demand.step_a(case.site.voltage_v)
        return float(ceil(demand.min_a / step_a - 1e-9) * step_a)

    def watts(demands: list[Any]) -> float:
        return sum(
            d.phase_count * permits_a[d.connector.id] * case.site.voltage_v
            for d in demands
        )

    for circuit in case.site.circuits:
        below = [d for d in case.demands if is_below(d.connector.circuit, circuit.id)]
        base_a = case.base_a.get(circuit.id) or (0.0, 0.0, 0.0)
        for place, phase in enumerate(em.PHASES):
            load_a = sum(loaded_a(d, phase) for d in below)
            if circuit.limit_a is not None and load_a > 1e-5:
                limit_a = circuit.limit_a[place] - case.site.margin_a
                if base_a[place] + load_a > limit_a + 1e-5:
                    yield f"{circuit.id}, {phase}"
        base_w = case.base_w.get(circuit.id)
        if base_w is None:
            base_w = sum(base_a) * case.site.voltage_v
        if circuit.limit_w is not None and watts(below) > 1e-3:
            if base_w + watts(below) > circuit.limit_w + 1e-2:
                yield f"{circuit.id}, power"
    if case.external_limit_w is not None:
        if watts(list(case.demands)) > case.external_limit_w + 1e-2:
            yield "external limit"
    for budget, surplus_w in case.surplus_w.items():
        used_w = sum(
            d.phase_count
            * max(0.0, permits_a[d.connector.id] - (0.0 if d.solar else least_a(d)))
            * case.site.voltage_v
            for d in case.demands
            if budget in d.pv_budgets and (d.solar or d.solar_above_min)
        )
        if used_w > max(0.0, surplus_w) + 1e-2:
            yield f"PV surplus {budget}"
    if case.site.imbalance is not None and case.imbalance_base_a is not None:
        yield from _uneven(em, case, permits_a)


def _uneven(
    em: SimpleNamespace, case: Any, permits_a: dict[str, float]
) -> Iterator[str]:
    one_sided = [d for d in case.demands if d.phase_count < 3]
    for p, on_p in zip(em.PHASES, case.imbalance_base_a, strict=True):
        for place, (q, on_q) in enumerate(
            zip(em.PHASES, case.imbalance_base_a, strict=True)
        ):
            rising = sum(
                permits_a[d.connector.id]
                for d in one_sided
                if p is not q
                and (d.phases is None or (p in d.phases and q not in d.phases))
            )
            helping = sum(
                min(d.measured_a[place], permits_a[d.connector.id])
                for d in one_sided
                if d.phases is not None
                and d.measured_a is not None
                and q in d.phases
                and p not in d.phases
            )
            limit_a = case.site.imbalance.limit_a - case.site.margin_a
            if rising > 1e-5 and rising - helping > limit_a - on_p + on_q + 1e-5:
                yield f"{p} over {q}"

"""Whole studies, short ones: every site, every fault, everybody who decides."""

from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import pytest

from simulator.study.ceiling import Ceiling
from simulator.study.cli import main
from simulator.study.controllers import BASELINES, Controller
from simulator.study.faults import FAULTS, study_fault
from simulator.study.plan import SitePlan
from simulator.study.reev import Reev
from simulator.study.run import Study
from simulator.study.site_file import load_site, site_names

from .kit import car, circuit, outlet, site


def shortened(name: str) -> SitePlan:
    """Return a site whose cars are there from the beginning, for ten minutes."""
    plan = load_site(name, 1, 1 / 6)
    first = {
        visit.outlet: replace(visit, from_s=5, to_s=10000) for visit in plan.visits
    }
    return replace(plan, visits=tuple(first.values()))


@pytest.mark.parametrize("name", site_names())
def test_each_site_runs(name: str) -> None:
    """The brain gives its cars energy and trips nothing."""
    plan = shortened(name)
    figures = Study(plan, Reev(plan), "reev").run()
    assert figures["trips"] == 0
    assert figures["cars"] == len(plan.visits)
    assert figures["states_pct"]
    assert 0.0 <= figures["room_pct"] <= 100.0
    if plan.sun is None:
        assert figures["delivered_kwh"] > 0.0


@pytest.mark.parametrize("seed", [1, 5])
def test_s14_a_sun_that_nobody_told_of_is_no_alarm(seed: int) -> None:
    """Cars charge fast in the morning while PV rises, until the meter shows less than they draw."""
    plan = load_site("house_with_sun", seed, 2.0)
    outlets = tuple(replace(each, mode="fast") for each in plan.outlets)
    plan = replace(
        plan, outlets=outlets, battery=None, told={**plan.told, "pv_surplus": False}
    )
    figures = Study(plan, Reev(plan), "reev").run()
    assert figures["false_alarms"] == 0
    assert figures["states_pct"].keys() <= {"regulating", "holding"}
    assert figures["room_pct"] > 95.0


@pytest.mark.parametrize("controller", BASELINES)
@pytest.mark.parametrize("name", site_names())
def test_each_baseline_runs(name: str, controller: str) -> None:
    """They decide by their rules, and renew what they said."""
    plan = shortened(name)
    figures = Study(plan, BASELINES[controller](plan), controller).run()
    assert figures["reasons_pct"] in ({"own rule": 100.0}, {})
    assert figures["commands"].keys() <= {"permit"}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_ends(name: str) -> None:
    """With equal shares, which is quick; what is demanded is named where it was not reached."""
    figures = study_fault(name, BASELINES["equal"])
    assert figures["site"] == name
    assert all(isinstance(line, str) for line in figures["shortfalls"])
    assert {
        "over_s",
        "over_as",
        "skew_s",
        "issue_after_s",
        "pauses",
        "below_least",
    } <= figures.keys()


def test_a_study_is_repeated_exactly() -> None:
    """Same plan, same figures, but for the time that it took."""
    timed = {"wall_s", "deciding_pct", "ms_per_decision"}

    def run() -> dict[str, Any]:
        plan = shortened("depot")
        figures = Study(plan, Reev(plan), "reev").run()
        return {key: value for key, value in figures.items() if key not in timed}

    assert run() == run()


def test_equal_leaves_unused_what_one_does_not_take() -> None:
    """30 A for two are 15 A each, though one takes 7 A only."""
    plan = site(
        {outlet("cp1"): car(most=7.0), outlet("cp2", most=32.0): car(most=32.0)}
    )
    study = Study(plan, BASELINES["equal"](plan), "equal")
    study.run()
    assert study.plant.chargers["cp2"].permit == pytest.approx(15.0)


def test_first_come_first_served() -> None:
    """20 A: the first takes its 16 A, the second gets nothing, since 4 A are no charging."""
    plan = site(
        {outlet("cp1"): car(), outlet("cp2"): car()}, circuit(base_a=(12.0, 12.0, 12.0))
    )
    study = Study(plan, BASELINES["first"](plan), "first")
    study.run()
    permits = [charger.permit for charger in study.plant.chargers.values()]
    assert permits == [16.0, 0.0]


def test_evcc_goes_by_the_largest_phase_and_one_at_a_time() -> None:
    """L2 is nearly full: a car on L1 alone gets what L2 has left, half a minute after the car before it."""
    plan = site(
        {
            outlet("cp1", most=32.0): car(phases=1, most=32.0),
            outlet("cp2"): None,
            outlet("cp3"): car(phases=1),
        },
        circuit(32.0, (2.0, 18.0, 2.0)),
    )
    changes: list[tuple[int, str]] = []

    class Noted:
        def __init__(self, inner: Controller) -> None:
            self._inner = inner

        def step(self, seen: Any) -> Any:
            answer = self._inner.step(seen)
            changes.extend(
                (seen.at_s, command.connector) for command in answer.commands
            )
            return answer

    study = Study(plan, Noted(BASELINES["evcc"](plan)), "evcc")
    study.run()
    first, second, *_ = changes
    assert (first[1], second[1]) == ("cp1", "cp3")
    assert second[0] - first[0] == 30


def test_ceiling_gives_what_cars_can_take() -> None:
    """With open eyes little more is lost than the first seconds."""
    plan = site({outlet("cp1"): car(phases=1, below_a=0.3), outlet("cp2"): car()})
    figures = Study(plan, Ceiling(plan), "ceiling").run()
    assert figures["room_pct"] > 98.0
    assert figures["over_within_as"] == 0.0


def test_the_command_writes_figures_and_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One site by two who decide: tables, all figures, a picture for each and one of both."""
    figures, picture = tmp_path / "figures.json", tmp_path / "all.png"
    arguments = ["skewed", "--hours", "0.5", "--controller", "equal,first"]
    assert main([*arguments, "--json", str(figures), "--plot", str(picture)]) == 0
    assert [item["controller"] for item in json.loads(figures.read_text())] == [
        "equal",
        "first",
    ]
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "all.png",
        "all_skewed_equal_1.png",
        "all_skewed_first_1.png",
    }
    assert capsys.readouterr().out.count("| skewed |") == 3


def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A site that is not there: exit code 2 and its name."""
    assert main(["nowhere"]) == 2
    assert capsys.readouterr().err.startswith("nowhere: ")

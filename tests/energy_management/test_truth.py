"""S14: a meter's readings are put to the test by our own steps."""

import json
from random import Random
from timeit import timeit

import pytest

from custom_components.reev_ems.energy_management import truth
from custom_components.reev_ems.energy_management.decision import Finding
from custom_components.reev_ems.energy_management.frozen import replace
from custom_components.reev_ems.energy_management.model import Settings
from custom_components.reev_ems.energy_management.serialise import from_json, to_json
from custom_components.reev_ems.energy_management.state import PartVector, Vector
from custom_components.reev_ems.energy_management.truth_memory import Witness

from .truth_site import HOUSES, METERS, Amperes, Car, Fault, House, Meter, Site, honest

BREAKS_S = 600.0
"""When the meters of these tests begin to lie."""

LAGS = pytest.mark.parametrize(
    ("lag_s", "report_s"), [(0, 5), (3, 30), (15, 30), (3, 60), (15, 60)]
)


def gains(l1: float, l2: float, l3: float) -> Fault:
    """Return transformers that multiply."""

    def fault(real: Amperes, now_s: float) -> Amperes:
        if now_s < BREAKS_S:
            return real
        return [real[0] * l1, real[1] * l2, real[2] * l3]

    return fault


def exchanged(real: Amperes, now_s: float) -> Amperes:
    """Exchange L1 and L2."""
    return real if now_s < BREAKS_S else [real[1], real[0], real[2]]


def stuck() -> Fault:
    """Return a meter whose values stand still."""
    kept: list[Amperes] = []

    def fault(real: Amperes, now_s: float) -> Amperes:
        if now_s >= BREAKS_S:
            kept.append(list(real))
        return kept[0] if kept else real

    return fault


def another_circuit() -> Fault:
    """Return a meter that shows a circuit without cars."""
    draw = Random(5)
    return lambda real, now_s: (
        real if now_s < BREAKS_S else [5 + draw.uniform(-0.5, 0.5) for _ in real]
    )


def found(
    fault: Fault | None,
    lag_s: int,
    report_s: int,
    *,
    sunny: bool = False,
    within_s: float,
    energy_stops: bool = False,
) -> tuple[float, truth.Testimony] | None:
    """Return how long after it began a fault stands, and what was found; no alarm may come before."""
    site = Site(
        cars=[Car(), Car(phases=(0,))],
        # What feeds in hides much of what the cars draw.
        house=House(base_a=-8.0) if sunny else House(),
        meter=Meter(
            lag_s=lag_s,
            fault=fault,
            energy_stops_s=BREAKS_S if energy_stops else None,
        ),
        report_s=report_s,
        feeds_in=sunny,
    )
    for at_s, testimony in site.run(int(BREAKS_S + within_s) + 1):
        if testimony.finding is not None:
            assert at_s >= BREAKS_S
            return at_s - BREAKS_S, testimony
    return None


@LAGS
@pytest.mark.parametrize(
    ("fault", "finding", "phase"),
    [
        (gains(-1, -1, -1), Finding.REVERSED, "L1, L2, L3"),
        (gains(1, -1, 1), Finding.REVERSED, "L2"),
        (gains(0, 1, 1), Finding.LOST, "L1"),
        (exchanged, Finding.SWAPPED, "L1 L2"),
    ],
    ids=["reversed", "one reversed", "one lost", "exchanged"],
)
def test_s14_without_generation_a_level_contradicts_at_once(
    fault: Fault, finding: Finding, phase: str, lag_s: int, report_s: int
) -> None:
    """It stands within 8 s, although no report has come since."""
    result = found(fault, lag_s, report_s, within_s=8)
    assert result is not None
    assert (result[1].finding, result[1].phase) == (finding, phase)


@LAGS
@pytest.mark.parametrize(
    ("fault", "finding"),
    [(gains(0.5, 0.5, 0.5), Finding.RATIO), (another_circuit(), Finding.ELSEWHERE)],
    ids=["half", "another circuit"],
)
def test_s14_what_a_car_that_stops_would_explain_waits_for_reports(
    fault: Fault, finding: Finding, lag_s: int, report_s: int
) -> None:
    """It stands once all have reported and the meter has shown that moment, too."""
    result = found(fault, lag_s, report_s, within_s=report_s + lag_s + 16)
    assert result is not None
    assert result[1].finding is finding


@LAGS
@pytest.mark.parametrize(
    ("fault", "finding", "phase"),
    [
        (gains(-1, -1, -1), Finding.REVERSED, "L1, L2, L3"),
        (gains(1, -1, 1), Finding.REVERSED, "L2"),
        (gains(0, 1, 1), Finding.LOST, "L1"),
    ],
    ids=["reversed", "one reversed", "one lost"],
)
def test_s14_what_generation_hides_is_found_by_probes(
    fault: Fault, finding: Finding, phase: str, lag_s: int, report_s: int
) -> None:
    """It stands within 75 s."""
    result = found(fault, lag_s, report_s, sunny=True, within_s=75)
    assert result is not None
    assert (result[1].finding, result[1].phase) == (finding, phase)


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        (exchanged, Finding.SWAPPED),
        (gains(0.5, 0.5, 0.5), Finding.RATIO),
        (another_circuit(), Finding.ELSEWHERE),
    ],
    ids=["exchanged", "half", "another circuit"],
)
def test_s14_other_faults_behind_generation_take_a_few_steps(
    fault: Fault, finding: Finding
) -> None:
    """They stand within minutes."""
    result = found(fault, 3, 30, sunny=True, within_s=240)
    assert result is not None
    assert result[1].finding is finding


def test_s14_three_phases_that_have_changed_places_are_found_with_their_order() -> None:
    """Cars on single phases tell what the meter shows as L1, L2 and L3."""

    def turned(real: Amperes, now_s: float) -> Amperes:
        return real if now_s < BREAKS_S else [real[1], real[2], real[0]]

    site = Site(
        cars=[Car(phases=(0,)), Car(phases=(1,)), Car(phases=(2,))],
        meter=Meter(lag_s=1, fault=turned),
        report_s=10,
        feeds_in=True,
    )
    phases = {
        testimony.phase
        for _, testimony in site.run(int(BREAKS_S) + 900)
        if testimony.finding is Finding.SWAPPED
    }
    assert phases == {"L2 L3 L1"}


@LAGS
@pytest.mark.parametrize("sunny", [False, True])
@pytest.mark.parametrize("energy_stops", [False, True])
def test_s14_frozen_values_are_found(
    lag_s: int, report_s: int, sunny: bool, energy_stops: bool
) -> None:
    """They stand within 65 s, and sooner where the energy register stands still, too."""
    result = found(
        stuck(), lag_s, report_s, sunny=sunny, within_s=65, energy_stops=energy_stops
    )
    assert result is not None
    assert result[1].finding is Finding.FROZEN


def test_s14_an_energy_register_alone_is_no_finding() -> None:
    """The currents prove themselves."""
    assert found(None, 3, 30, within_s=1200, energy_stops=True) is None


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("house", HOUSES)
def test_s14_an_honest_meter_is_not_accused(house: str, seed: int) -> None:
    """With every lag, for 25 minutes; truth_site.py runs days."""
    for lag_s, report_s, whole in METERS:
        site = honest(house, lag_s, report_s, whole, seed)
        for at_s, testimony in site.run(1500):
            assert testimony.finding is None, (at_s, lag_s, testimony.finding)


@pytest.mark.parametrize("lag_s", [0, 3, 15])
def test_the_lag_is_learnt_from_our_steps(lag_s: int) -> None:
    """It is an upper bound, the car's own delay of 1 to 5 s included."""
    site = honest("appliances", lag_s, 30, whole=False, seed=1)
    site.restless = False
    *_, (_, testimony) = site.run(3600)
    assert testimony.lag_s is not None
    assert lag_s < testimony.lag_s <= lag_s + 8


def test_the_lag_is_not_learnt_from_a_silence() -> None:
    """Cars that fall to their floors meanwhile show when the meter answers again, however quick it is."""
    low: Vector = (6.0, 6.0, 6.0, 4140.0)
    shows: dict[Vector, PartVector] = {DRAWN: RIGHT, low: (8.0, 7.0, 9.0, 5520.0)}
    testimony, at_s = heard(RIGHT), 0.0
    for drawn in (low, DRAWN, low, DRAWN):
        for _ in range(60):
            at_s += 1.0
            testimony = hear(testimony.witness, at_s, shows[drawn], drawn)
    learnt_s = testimony.lag_s
    assert learnt_s is not None and learnt_s < 10
    for drawn in (low, DRAWN):
        at_s += 40.0
        for _ in range(60):
            at_s += 1.0
            testimony = hear(testimony.witness, at_s, shows[drawn], drawn)
    assert testimony.lag_s == learnt_s


@pytest.mark.parametrize("step_ends_s", [10.0, 60.0])
def test_a_still_meter_is_not_probed_again_and_again(step_ends_s: float) -> None:
    """In a lab without noise each test that it passes doubles the patience."""
    site = Site(
        cars=[Car()], house=House(flicker_a=0.0), meter=Meter(whole=True), report_s=5
    )
    for _ in site.run(int(step_ends_s * 60)):
        pass
    assert site.probes <= 5 + step_ends_s / 10


NOW: dict[str, object] = {
    "charging": True,
    "feeds_in": False,
    "energy_import_wh": None,
    "settings": Settings(),
}
DRAWN: Vector = (16.0, 16.0, 16.0, 11040.0)


def hear(
    witness: Witness | None,
    at_s: float,
    reading: PartVector,
    drawn: Vector = DRAWN,
    **fields: object,
) -> truth.Testimony:
    """Hear a reading while the cars draw what they may."""
    given = NOW | {"drawn_low": drawn, "drawn_high": drawn, "permitted": drawn} | fields
    return truth.attest(
        witness,
        reading=reading,
        sampled_s=at_s,
        now_s=at_s,
        **given,  # type: ignore[arg-type]
    )


def heard(*readings: PartVector, **fields: object) -> truth.Testimony:
    """Hear some readings, one a second."""
    testimony = hear(None, 0.0, readings[0], **fields)  # type: ignore[arg-type]
    for at_s, reading in enumerate(readings[1:], 1):
        testimony = hear(testimony.witness, float(at_s), reading, **fields)  # type: ignore[arg-type]
    return testimony


RIGHT: PartVector = (18.0, 17.0, 19.0, 12420.0)


def test_s14_the_first_contradiction_is_a_doubt() -> None:
    """And it is withdrawn with the first reading that is right."""
    wrong = heard(RIGHT, RIGHT, (-18.0, 17.0, 19.0, 4140.0))
    assert wrong.doubt and wrong.finding is None
    assert not hear(wrong.witness, 3.0, RIGHT).doubt


def test_s14_a_car_that_stops_untold_is_a_doubt_only() -> None:
    """Until it reports, its meter shows less than it is believed to draw."""
    stopped: PartVector = (2.0, 1.0, 3.0, 1380.0)
    testimony = heard(RIGHT, *[stopped] * 50, reported_s=0.0)
    assert testimony.doubt and testimony.finding is None
    told = hear(testimony.witness, 51.0, stopped, (0.0, 0.0, 0.0, 0.0))
    assert not told.doubt


def test_s14_a_contradicting_step_holds_only_while_a_car_charges() -> None:
    """With all cars paused nothing can test the suspicion, and it must not keep the first one from starting."""
    before: PartVector = (-18.0, -17.0, -19.0, -12420.0)
    less: Vector = (6.0, 6.0, 6.0, 4140.0)
    after: PartVector = (-8.0, -7.0, -9.0, -5520.0)
    testimony = heard(*[before] * 30, feeds_in=True)
    assert not testimony.doubt
    for at_s in range(30, 60):
        testimony = hear(testimony.witness, float(at_s), after, less, feeds_in=True)
    assert testimony.doubt and testimony.finding is None
    paused: Vector = (0.0, 0.0, 0.0, 0.0)
    for charging in (True, False):
        next_one = hear(
            testimony.witness, 60.0, after, paused, feeds_in=True, charging=charging
        )
        assert next_one.doubt is charging


def test_s14_a_finding_ends_after_a_minute_of_consistent_level() -> None:
    """Not before."""
    testimony = heard(RIGHT, *[(-18.0, 17.0, 19.0, 4140.0)] * 6)
    assert testimony.finding is Finding.REVERSED
    ended: list[int] = []
    for second in range(7, 90):
        flickering: PartVector = (18.0 + second % 3, 17.0, 19.0, 12420.0)
        testimony = hear(testimony.witness, float(second), flickering)
        if testimony.finding is None:
            ended.append(second)
    assert ended and 60 <= ended[0] - 7 <= 65


def test_s14_more_than_the_cars_draw_is_no_contradiction() -> None:
    """The house draws, too."""
    assert not heard(*[(60.0, 17.0, 19.0, 22080.0)] * 30).doubt


def test_a_meter_of_power_alone_is_heard() -> None:
    """Without currents; no phase is named."""
    right: PartVector = (None, None, None, 12000.0)
    testimony = heard(right, *[(None, None, None, -12000.0)] * 6)
    assert testimony.finding is Finding.REVERSED
    assert testimony.phase is None


def test_unknown_phases_say_nothing() -> None:
    """S2: what is not there contradicts nothing."""
    assert not heard(*[(18.0, None, 19.0, None)] * 20).doubt
    assert not heard(*[(None, None, None, None)] * 20).doubt


def test_time_that_runs_backwards_begins_anew() -> None:
    """And the same reading once more changes nothing."""
    testimony = heard(RIGHT, *[(-18.0, 17.0, 19.0, 4140.0)] * 6)
    again = hear(testimony.witness, testimony.witness.sampled_s, RIGHT)
    assert again == testimony
    assert hear(testimony.witness, -100.0, RIGHT).finding is None


def test_the_memory_goes_to_json_and_back() -> None:
    """At each second of a run with steps, probes and a finding."""
    site = Site(
        cars=[Car(), Car(phases=(0,))],
        house=House(base_a=-8.0),
        meter=Meter(lag_s=3, fault=gains(-1, -1, -1)),
        feeds_in=True,
    )
    for _, testimony in site.run(700):
        text = json.dumps(to_json(testimony.witness), allow_nan=False)
        assert from_json(Witness, json.loads(text)) == testimony.witness
        assert len(text) < 6000


def test_a_call_while_nothing_moves_is_cheap() -> None:
    """15 microseconds on a quiet machine; room for a busy one."""
    witness = heard(
        *[(18.0 + second % 2, 17.0, 19.0, 12420.0) for second in range(60)]
    ).witness
    other = replace(witness, sampled_s=59.0)
    calls = 2000
    assert timeit(lambda: hear(other, 60.0, RIGHT), number=calls) / calls < 100e-6

"""The parts without I/O: meter values, profiles, the charger's clock, and the ladders."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.reev_ems.energy_management.model import Supply
from custom_components.reev_ems.ocpp_server import fields, profiles, schemas
from custom_components.reev_ems.ocpp_server.abilities import (
    Abilities,
    floor_ladder,
    working_ladder,
)
from custom_components.reev_ems.ocpp_server.clock import ClockOffset
from custom_components.reev_ems.ocpp_server.measurands import Measured, read
from custom_components.reev_ems.ocpp_server.profiles import Kind, Purpose, Unit

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def sample(
    value: object, measurand: str | None = None, **more: object
) -> dict[str, object]:
    """Return a sampled value."""
    return {"value": value, **({"measurand": measurand} if measurand else {}), **more}


@pytest.mark.parametrize(
    ("samples", "phases", "expected"),
    [
        ([sample("5000")], 3, Measured(energy_wh=5000)),
        ([sample("5", unit="kWh")], 3, Measured(energy_wh=5000)),
        (
            [sample(5, unitOfMeasure={"unit": "Wh", "multiplier": 3})],
            3,
            Measured(energy_wh=5000),
        ),
        ([sample("11", "Power.Active.Import", unit="kW")], 3, Measured(power_w=11000)),
        (
            [sample("3000", "Power.Active.Import", phase=f"L{n}") for n in (1, 2, 3)],
            3,
            Measured(power_w=9000),
        ),
        # Phases are named in three ways; the neutral carries no current of its own.
        (
            [
                sample("1", "Current.Import", phase="L1-N"),
                sample("2", "Current.Import", phase="L2"),
                sample("3", "Current.Import", phase="L3-N"),
                sample("9", "Current.Import", phase="N"),
            ],
            3,
            Measured(current_a=(1, 2, 3)),
        ),
        # A phase that is not reported is unknown, never zero; one that is not wired carries nothing.
        (
            [sample("8", "Current.Import", phase="L1")],
            3,
            Measured(current_a=(8, None, None)),
        ),
        ([sample("8", "Current.Import", phase="L1")], 1, Measured(current_a=(8, 0, 0))),
        ([sample("8", "Current.Import")], 1, Measured(current_a=(8, 0, 0))),
        ([sample("8", "Current.Import")], 3, Measured(current_a=(8, 8, 8))),
        # The power tells that it is a sum of phases.
        (
            [
                sample("24", "Current.Import"),
                sample("5520", "Power.Active.Import", unit="W"),
            ],
            3,
            Measured(current_a=(8, 8, 8), power_w=5520),
        ),
        (
            [
                sample("8", "Current.Import"),
                sample("5520", "Power.Active.Import", unit="W"),
            ],
            3,
            Measured(current_a=(8, 8, 8), power_w=5520),
        ),
        # A triggered sample may be zero while the car charges.
        ([sample("0", "Current.Import", context="Trigger")], 3, Measured()),
        ([sample("10", context="Transaction.Begin")], 3, Measured(energy_begin_wh=10)),
        ([sample("20", "SoC", unit="Percent", location="EV")], 3, Measured(soc_pct=20)),
        ([sample("9", "Current.Import", location="Inlet")], 3, Measured()),
        (
            [sample("273.15", "Temperature", unit="K")],
            3,
            Measured(temperature_c=0),
        ),
        ([sample("1", "Current.Import", unit="parsec")], 3, Measured()),
        ([sample("abc", format="SignedData")], 3, Measured()),
        (
            [sample("nan", "Current.Import"), sample("5000", "Current.Import")],
            3,
            Measured(),
        ),
        ([sample("500", "SoC")], 3, Measured()),
        (
            [
                sample("229", "Voltage", phase="L1-N"),
                sample("231", "Voltage", phase="L2-N"),
            ],
            3,
            Measured(voltage_v=230),
        ),
        # Decimal commas and gaps between thousands; what may mean either is nothing.
        (
            [
                sample("16,1", "Current.Import", phase="L1"),
                sample(" 15,9 ", "Current.Import", phase="l2", unit=" A "),
                sample("16,000", "Current.Import", phase="L3"),
                sample("11 040,5", "Power.Active.Import", unit="W "),
                sample("1\u00a0234\u00a0567", unit="Wh"),
            ],
            3,
            Measured(current_a=(16.1, 15.9, None), power_w=11040.5, energy_wh=1234567),
        ),
        ([sample("1 2", "Current.Import"), sample("1,2,3", "SoC")], 3, Measured()),
        (
            [
                sample("16", "Current.Import", unit="Amp"),
                sample("230", "Voltage", unit="Volt"),
            ],
            1,
            Measured(current_a=(16, 0, 0), voltage_v=230),
        ),
        # The one phase of a charge point may have the name that it has in the grid.
        ([sample("8", "Current.Import", phase="L2")], 1, Measured(current_a=(8, 0, 0))),
        (
            [
                sample(value, "Current.Import", phase=phase)
                for phase, value in (("L1", "0"), ("L2", "0"), ("L3", "8"))
            ],
            1,
            Measured(current_a=(8, 0, 0)),
        ),
        (
            [
                sample(value, "Current.Import", phase=phase)
                for phase, value in (("L1", "8"), ("L2", "0"), ("L3", "8"))
            ],
            2,
            Measured(current_a=(None, None, 0)),
        ),
        # Voltages and currents between phases: the former are not those of a phase, the latter tell nothing.
        ([sample("400", "Voltage", phase="L1-L2")], 3, Measured()),
        (
            [
                sample("398.37", "Voltage"),
                sample("48", "Current.Import"),
                sample("11040", "Power.Active.Import"),
            ],
            3,
            Measured(
                current_a=(16, 16, 16),
                power_w=11040,
                voltage_v=pytest.approx(230, abs=0.01),
            ),
        ),
        ([sample("16", "Current.Import", phase="L1-L2")], 3, Measured()),
    ],
)
def test_meter_values(
    samples: list[dict[str, object]], phases: int, expected: Measured
) -> None:
    """What chargers send, and what it means."""
    assert read(samples, supply=Supply.AC, phases=phases) == expected


@pytest.mark.parametrize(
    ("currents", "phases", "expected"),
    [
        (("-16", "-16", "-16"), 3, (None, None, None)),
        (("16", "-16", "16"), 3, (16, None, 16)),
        (("-0.2", "0", "0.1"), 3, (-0.2, 0, 0.1)),
        (("-16", "0", "0"), 1, (None, 0, 0)),
    ],
)
def test_s2_reversed_currents_are_unknown(
    currents: tuple[str, ...], phases: int, expected: tuple[float | None, ...]
) -> None:
    """A car that seems to feed the grid would count as one that draws nothing."""
    samples = [
        sample(current, "Current.Import", phase=f"L{phase}")
        for phase, current in enumerate(currents, 1)
    ]
    samples.append(sample("-3680", "Power.Active.Import"))
    measured = read(samples, supply=Supply.AC, phases=phases)
    assert (measured.current_a, measured.power_w) == (expected, None)


def test_dc_has_power_but_no_grid_current() -> None:
    """The amperes of a DC cable are not those of the grid."""
    measured = read(
        [sample("100", "Current.Import"), sample("400", "Voltage")],
        supply=Supply.DC,
        phases=3,
    )
    assert (measured.current_a, measured.power_w) == (None, 40000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda child: (
        st.lists(child, max_size=3)
        | st.dictionaries(st.text(max_size=8), child, max_size=3)
    ),
    max_leaves=8,
)
SAMPLE = st.dictionaries(
    st.sampled_from(
        [
            "value",
            "measurand",
            "unit",
            "phase",
            "context",
            "location",
            "format",
            "unitOfMeasure",
        ]
    ),
    JSON
    | st.sampled_from(
        ["Current.Import", "Power.Active.Import", "L1", "A", "kW", "1e5", "-3", "NaN"]
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(SAMPLE, max_size=6), st.sampled_from(Supply), st.integers(1, 3))
def test_s2_no_sample_breaks_the_reading(
    samples: list[dict[str, Any]], supply: Supply, phases: int
) -> None:
    """Whatever is sent, what comes out is absent or a possible number."""
    measured = read(samples, supply=supply, phases=phases)
    for value in (
        measured.power_w,
        measured.energy_wh,
        measured.voltage_v,
        *(measured.current_a or ()),
    ):
        assert value is None or abs(value) <= 3e12


def working(**more: Any) -> profiles.Profile:
    """Return a working profile of 10 A for two minutes."""
    arguments: dict[str, Any] = {
        "connector_id": 1,
        "stack_level": 1,
        "purpose": Purpose.TX_PROFILE,
        "kind": Kind.ABSOLUTE,
        "unit": Unit.AMPERE,
        "limit": 10.0,
        "floor": 6.0,
        "life_s": 120.0,
        "now": NOW,
        "elapsed_s": 1000.0,
        "transaction_id": 7,
    } | more
    return profiles.working_profile(**arguments)


def limit_at(
    profile: profiles.Profile, at: datetime, started: datetime
) -> float | None:
    """Return what a charger that does it right takes from a profile; None: it has lapsed."""
    begin = profile.start or started
    since_s = (at - begin).total_seconds()
    if profile.valid_to and at > profile.valid_to:
        return None
    if since_s < 0 or (
        profile.duration_s is not None and since_s >= profile.duration_s
    ):
        return None
    return [limit for start, limit in profile.periods if start <= since_s][-1]


@given(
    st.floats(5, 3600),
    st.floats(0, 80),
    st.floats(0, 1e5),
    st.sampled_from(Kind),
    st.sampled_from([None, 1, 2, 24]),
)
def test_s5_no_working_profile_outlives_its_life(
    life_s: float, limit: float, elapsed_s: float, kind: Kind, max_periods: int | None
) -> None:
    """After its life the limit is the floor or the profile has lapsed; before, it is never above the permit."""
    profile = working(
        life_s=life_s,
        limit=limit,
        elapsed_s=elapsed_s,
        kind=kind,
        max_periods=max_periods,
    )
    started = NOW - timedelta(seconds=elapsed_s)
    assert limit_at(profile, NOW + timedelta(seconds=1), started) == profiles.truncate(
        limit, Unit.AMPERE
    )
    assert profile.periods[0][1] <= limit + 1e-6
    for later_s in (0.1, 30, 59):
        after = limit_at(profile, NOW + timedelta(seconds=life_s + later_s), started)
        assert after in {None, 6.0}
    assert limit_at(profile, NOW + timedelta(seconds=life_s + 61), started) is None


@given(st.floats(0, 100), st.sampled_from(Unit))
def test_limits_are_truncated(limit: float, unit: Unit) -> None:
    """Never up; tenths of an ampere, whole watts."""
    result = profiles.truncate(limit, unit)
    assert limit - (0.1 if unit is Unit.AMPERE else 1) - 1e-6 <= result <= limit + 1e-6


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("limit", [0, 6, 10.1, 16.1, 31.9])
def test_profiles_obey_the_schemas(purpose: Purpose, kind: Kind, limit: float) -> None:
    """What goes out is valid in both versions."""
    for profile in (
        working(purpose=purpose, kind=kind, limit=limit, phase_count=1),
        profiles.floor_profile(
            connector_id=0,
            stack_level=0,
            purpose=purpose,
            kind=kind,
            unit=Unit.AMPERE,
            limit=limit,
        ),
    ):
        body = profiles.to_16(profile)
        assert schemas.load("1.6").request_violation("SetChargingProfile", body) is None
        body = profiles.to_201(profile)
        assert (
            schemas.load("2.0.1").request_violation("SetChargingProfile", body) is None
        )


def test_clock_offset() -> None:
    """A wrong clock is believed when it stays wrong alike; late messages and one wrong time are not."""
    clock = ClockOffset()
    assert clock.seconds == 0
    for at_s in range(0, 40, 10):
        clock.learn(at_s, 3600 - 0.3 * (at_s % 20))
    assert clock.seconds == 3600
    clock.forget()
    for at_s, ahead_s in enumerate((-500, -490, -480, -470)):
        clock.learn(at_s, ahead_s)
    assert clock.seconds == 0
    clock.forget()
    for at_s in range(0, 40, 10):
        clock.learn(at_s, -1.7e9)
    assert clock.seconds == -1.7e9
    clock.forget()
    clock.learn(0, 1e11)
    assert clock.seconds == 0


def test_s4_working_profile_never_replaces_the_floor() -> None:
    """Same purpose and level would replace it: the ladder leaves that out."""
    for known in (
        Abilities(),
        Abilities(max_stack_level=0),
        Abilities(floor_purpose=Purpose.MAXIMUM),
    ):
        steps = list(working_ladder(known))
        assert steps
        for step in steps:
            assert (step.working_purpose, step.stack_level) != (step.floor_purpose, 0)
    first = next(working_ladder(Abilities(max_stack_level=0)))
    assert (first.working_purpose, first.stack_level) == (Purpose.TX_PROFILE, 0)


def test_floor_ladder_tries_units_kinds_scopes_and_the_maximum_last() -> None:
    """A known unit is not questioned."""
    steps = list(floor_ladder(Abilities(), Supply.AC))
    assert [step.unit for step in steps[:2]] == [Unit.AMPERE, Unit.WATT]
    assert {step.floor_kind for step in steps} == set(Kind)
    assert steps[-1].floor_purpose is Purpose.MAXIMUM
    assert {
        step.unit for step in floor_ladder(Abilities(unit=Unit.WATT), Supply.AC)
    } == {Unit.WATT}
    assert next(floor_ladder(Abilities(), Supply.DC)).unit is Unit.WATT


def test_times() -> None:
    """Written in UTC with Z; read with and without an offset."""
    assert fields.timestamp(NOW) == "2026-03-04T05:06:07.000Z"
    for text in (
        "2026-03-04T05:06:07Z",
        "2026-03-04T05:06:07",
        "2026-03-04T06:06:07.000+01:00",
    ):
        assert fields.moment({"t": text}, "t") == NOW
    for wrong in ("", "yesterday", 5, None, "0001-01-01T00:00:00+23:00"):
        assert fields.moment({"t": wrong}, "t") is None


@pytest.mark.parametrize("limit", [16, 16.1, 0.1, 63.9, 16.15, 0.05])
def test_tenths_of_an_ampere_are_what_the_schema_says(limit: float) -> None:
    """In floating point 16.1 is no multiple of 0.1; 16.15 is none in any way."""
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
    }
    violation = schemas.load("1.6").request_violation(
        "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile}
    )
    assert (violation is None) == (round(limit, 1) == limit)

"""Which limit counts: a table of installed profiles, times and the limit that OCPP 1.6 section 3.13 gives."""

from typing import Any

import pytest

from simulator.profiles import (
    ChargingProfile,
    ProfileError,
    ProfileStore,
    Purpose,
    Unit,
    Wiring,
    composite_limit,
    composite_schedule,
    parse_profile,
)

T0 = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC."""
STARTED = T0 + 100.0
"""When the transaction began."""


def iso(offset_s: float) -> str:
    """Return a time after T0 as OCPP writes it."""
    hours, rest = divmod(int(offset_s), 3600)
    return f"2027-01-15T{8 + hours:02d}:{rest // 60:02d}:{rest % 60:02d}Z"


def profile(
    purpose: str = "TxDefaultProfile",
    *limits: float,
    connector: int = 1,
    stack: int = 0,
    unit: str = "A",
    kind: str = "Absolute",
    start: float | None = 0.0,
    starts: tuple[int, ...] = (0,),
    duration: int | None = None,
    valid: tuple[float | None, float | None] = (None, None),
    recurrency: str | None = None,
    id: int = 1,
    installed: float = T0,
) -> ChargingProfile:
    """Return a profile as it comes out of a SetChargingProfile."""
    schedule: dict[str, Any] = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [
            {"startPeriod": at, "limit": limit}
            for at, limit in zip(starts, limits, strict=True)
        ],
    }
    if start is not None:
        schedule["startSchedule"] = iso(start)
    if duration is not None:
        schedule["duration"] = duration
    payload: dict[str, Any] = {
        "chargingProfileId": id,
        "stackLevel": stack,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
    }
    for key, value in zip(("validFrom", "validTo"), valid, strict=True):
        if value is not None:
            payload[key] = iso(value)
    if recurrency is not None:
        payload["recurrencyKind"] = recurrency
    return parse_profile(connector, payload, installed)


FLOOR = profile("TxDefaultProfile", 6.0, kind="Relative", start=None, connector=0)
WORK = profile(
    "TxProfile",
    14.0,
    6.0,
    id=2,
    stack=1,
    start=200.0,
    starts=(0, 60),
    duration=120,
    valid=(None, 320.0),
)
NIGHT = profile(
    "TxDefaultProfile",
    16.0,
    0.0,
    id=3,
    stack=2,
    kind="Recurring",
    recurrency="Daily",
    starts=(0, 3600),
    duration=7200,
)
WEEKLY = profile(
    "TxDefaultProfile", 9.0, id=3, kind="Recurring", recurrency="Weekly", duration=3600
)
MAXIMUM = profile("ChargePointMaxProfile", 10.0, id=4, connector=0)

TABLE = {
    "nothing installed": ([], 150.0, None),
    "the floor counts in a transaction": ([FLOOR], 150.0, 6.0),
    "the working profile goes before the floor": ([FLOOR, WORK], 210.0, 14.0),
    "not before its start": ([FLOOR, WORK], 199.0, 6.0),
    "exactly at its start": ([FLOOR, WORK], 200.0, 14.0),
    "its last second": ([FLOOR, WORK], 259.0, 14.0),
    "its second period": ([WORK], 260.0, 6.0),
    "after its duration there is none": ([WORK], 320.0, None),
    "after its duration the floor": (
        [profile("TxDefaultProfile", 7.0), WORK],
        320.0,
        7.0,
    ),
    "before validFrom": (
        [FLOOR, profile("TxProfile", 9.0, valid=(300.0, None))],
        299.0,
        6.0,
    ),
    "from validFrom on": (
        [FLOOR, profile("TxProfile", 9.0, valid=(300.0, None))],
        300.0,
        9.0,
    ),
    "at validTo it is over": (
        [FLOOR, profile("TxProfile", 9.0, valid=(None, 300.0))],
        300.0,
        6.0,
    ),
    "the higher stack level": (
        [
            profile("TxDefaultProfile", 8.0, stack=3, id=1),
            profile("TxDefaultProfile", 12.0, stack=4, id=2),
        ],
        150.0,
        12.0,
    ),
    "the higher stack level only while it counts": (
        [
            profile("TxDefaultProfile", 8.0, stack=3),
            profile("TxDefaultProfile", 12.0, stack=4, id=2, duration=10),
        ],
        150.0,
        8.0,
    ),
    "the connector's own before the charge point's": (
        [
            profile("TxDefaultProfile", 8.0, connector=0),
            profile("TxDefaultProfile", 9.0, id=2),
        ],
        150.0,
        9.0,
    ),
    "another connector's does not count": (
        [profile("TxDefaultProfile", 8.0, connector=2)],
        150.0,
        None,
    ),
    "the maximum of the charge point bounds": ([WORK, MAXIMUM], 210.0, 10.0),
    "but does not raise": ([FLOOR, MAXIMUM], 150.0, 6.0),
    "and bounds alone": ([MAXIMUM], 150.0, 10.0),
    "a limit of nothing": ([profile("TxProfile", 0.0)], 150.0, 0.0),
    "watts over three phases": ([profile("TxProfile", 6900.0, unit="W")], 150.0, 10.0),
    "relative: from the start of the transaction": (
        [profile("TxProfile", 9.0, 7.0, kind="Relative", start=None, starts=(0, 60))],
        159.0,
        9.0,
    ),
    "relative: its second period": (
        [profile("TxProfile", 9.0, 7.0, kind="Relative", start=None, starts=(0, 60))],
        160.0,
        7.0,
    ),
    "absolute without start: from the start of the transaction": (
        [profile("TxProfile", 9.0, 7.0, start=None, starts=(0, 60))],
        160.0,
        7.0,
    ),
    "daily, the same day": ([NIGHT], 3599.0, 16.0),
    "daily, the next day": ([NIGHT], 86400.0 + 3600.0, 0.0),
    "daily, after its duration": ([NIGHT], 86400.0 + 7200.0, None),
    "weekly, six days later": ([WEEKLY], 6 * 86400.0, None),
    "weekly, a week later": ([WEEKLY], 7 * 86400.0 + 3599.0, 9.0),
}


@pytest.mark.parametrize(
    ("profiles", "at", "expected"), TABLE.values(), ids=TABLE.keys()
)
def test_composite_limit(
    profiles: list[ChargingProfile], at: float, expected: float | None
) -> None:
    """The table."""
    limit = composite_limit(
        profiles, T0 + at, connector=1, wiring=Wiring(), transaction_start=STARTED
    )
    assert limit.amount == (None if expected is None else pytest.approx(expected))
    assert (limit.source == "own maximum") is (expected is None)


def test_a_tx_profile_needs_its_transaction() -> None:
    """Without one the default counts."""
    limit = composite_limit([FLOOR, WORK], T0 + 210.0, connector=1, wiring=Wiring())
    assert limit.amount == 6.0


def test_the_limit_names_its_profile() -> None:
    """So that an observer sees which profile is obeyed."""
    limit = composite_limit(
        [FLOOR, WORK],
        T0 + 210.0,
        connector=1,
        wiring=Wiring(),
        transaction_start=STARTED,
    )
    assert limit.source == "TxProfile 2 stack 1"


def test_a_limit_of_the_whole_charge_point_is_shared() -> None:
    """Equally among the connectors that charge."""
    limit = composite_limit([MAXIMUM], T0, connector=1, wiring=Wiring(), sharers=2)
    assert limit.amount == 5.0


def test_watts_and_amperes_on_one_phase_and_on_direct_current() -> None:
    """A is per phase, W the total."""
    watts = [profile("TxDefaultProfile", 2300.0, unit="W")]
    assert composite_limit(
        watts, T0, connector=1, wiring=Wiring(phases=1)
    ).amount == pytest.approx(10.0)
    direct = composite_limit(watts, T0, connector=1, wiring=Wiring(unit=Unit.WATT))
    assert (direct.amount, direct.unit) == (2300.0, Unit.WATT)


def test_composite_schedule_shows_every_change() -> None:
    """Wherever any profile changes what holds."""
    schedule = composite_schedule(
        [profile("TxDefaultProfile", 5.0, connector=0), WORK, MAXIMUM],
        T0 + 190.0,
        300.0,
        connector=1,
        wiring=Wiring(),
        transaction_start=STARTED,
    )
    # The maximum of 10 A cuts the 14 A; the floor comes back when the working profile's duration ends.
    assert [(start_s, limit.amount) for start_s, limit in schedule] == [
        (0.0, 5.0),
        (10.0, 10.0),
        (70.0, 6.0),
        (130.0, 5.0),
    ]


def test_composite_schedule_of_a_recurring_profile() -> None:
    """Every recurrence within the window."""
    schedule = composite_schedule(
        [NIGHT], T0 + 7000.0, 2 * 86400.0, connector=1, wiring=Wiring()
    )
    assert [(start_s, limit.amount) for start_s, limit in schedule] == [
        (0.0, 0.0),
        (200.0, None),
        (79400.0, 16.0),
        (83000.0, 0.0),
        (86600.0, None),
        (165800.0, 16.0),
        (169400.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        (("TxProfile", 6.0), {"starts": (5,)}, "first period"),
        (("TxProfile", 6.0, 7.0, 8.0), {"starts": (0, 60, 60)}, "follow"),
        (("TxProfile", -1.0), {}, "negative"),
        (("TxProfile", 6.0), {"kind": "Recurring"}, "recurrencyKind"),
        (("TxProfile", 6.0), {"kind": "Relative"}, "startSchedule"),
    ],
)
def test_profiles_that_contradict_themselves(
    arguments: tuple[Any, ...], options: dict[str, Any], reason: str
) -> None:
    """They are refused with the reason."""
    with pytest.raises(ProfileError, match=reason):
        profile(*arguments, **options)


def test_the_store_replaces_same_id_and_same_place() -> None:
    """One profile per id, and per connector, purpose and stack level."""
    store = ProfileStore()
    store.install(FLOOR)
    store.install(profile("TxDefaultProfile", 8.0, id=9, connector=0))
    assert [(kept.id, kept.periods[0].limit) for kept in store.profiles] == [(9, 8.0)]
    store.install(profile("TxDefaultProfile", 9.0, id=9, stack=5))
    assert [(kept.id, kept.stack_level) for kept in store.profiles] == [(9, 5)]


def test_the_store_clears_what_matches_and_ends_transactions() -> None:
    """TxProfiles end with their transaction; the rest stays."""
    store = ProfileStore()
    for each in (FLOOR, WORK, MAXIMUM):
        store.install(each)
    assert not store.clear(profile_id=77)
    assert store.clear(purpose=Purpose.CHARGE_POINT_MAX)
    store.end_transaction(2)
    assert {kept.id for kept in store.profiles} == {1, 2}
    store.end_transaction(1)
    assert {kept.id for kept in store.profiles} == {1}
    assert store.clear()
    assert store.profiles == ()

"""Observe: how old the readings of each meter are (S3), whether it shows an overload (S13), how warm its breaker is."""

from collections.abc import Mapping, Sequence
from typing import Final

from .base_load import AGREED_S, BUCKET_S
from .frozen import frozen, replace
from .model import Circuit, PerPhase, Settings
from .observation import MeterObservation, Observation
from .outlets import Layout
from .state import ControllerState, MeterMemory
from .vectors import PartVector

_NEW_SAMPLE_S = 0.05

_HELD_INTERVALS: Final = 2.5
"""A meter that misses two of its readings is late."""

_OVER_A: Final = 0.2
"""What a meter's last digits make of a limit that is just kept."""

HEAT: Final = ((0.13, 60.0), (0.30, 20.0), (0.60, 6.0))
"""Up to this part over its limit a circuit is borne for so many seconds. Circuit breakers carry 1.13 times their rating
for an hour and 1.45 times for minutes (IEC 60898-1); the rest is left to what was there before."""

_COOLING_S: Final = 240.0
"""In which a breaker that is not overloaded has cooled down."""


@frozen
class Ages:
    """The meters in this step."""

    meters: Mapping[str, MeterMemory]
    readings: Mapping[str, PartVector]
    """Complete readings that came with this step."""
    late: frozenset[str]
    """Metered circuits below which nothing is raised."""
    failed: frozenset[str]
    """Those that are silent."""
    newly_failed: bool
    raise_from_s: Mapping[str, float | None]
    """By metered circuit, when raises below it are allowed; None: not in this step."""


def age_meters(
    plan: Layout, state: ControllerState, observation: Observation, now_s: float
) -> Ages:
    """Let the meters age (S3)."""
    settings = plan.site.settings
    meters: dict[str, MeterMemory] = {}
    readings: dict[str, PartVector] = {}
    late: set[str] = set()
    failed: set[str] = set()
    raise_from_s: dict[str, float | None] = {}
    newly_failed = False
    for circuit in plan.site.circuits:
        if not circuit.metered:
            continue
        name = circuit.id
        meter = observation.meters.get(name)
        reading = sample(circuit, meter, plan.loaded[name])
        age_s = None if reading is None or meter is None else meter.age_s
        was = state.meters.get(name) or MeterMemory(since_s=now_s)
        memory = _age(was, now_s, age_s, settings)
        raise_from_s[name] = None
        if (
            reading is not None
            and age_s is not None
            and 0 <= age_s <= settings.meter_timeout_s
        ):
            readings[name] = reading
            passed_s = 0.0 if state.now_s is None else now_s - state.now_s
            memory = _loaded(memory, circuit, reading, now_s, passed_s, settings)
        if memory.failed:
            failed.add(name)
            newly_failed |= not was.failed
        elif age_s is None or not 0 <= age_s <= hold_s(memory, settings):
            late.add(name)
        elif memory.fresh_s is not None:
            raise_from_s[name] = memory.raise_from_s
        meters[name] = memory
    return Ages(
        meters=meters,
        readings=readings,
        late=frozenset(late),
        failed=frozenset(failed),
        newly_failed=newly_failed,
        raise_from_s=raise_from_s,
    )


def sample(
    circuit: Circuit, meter: MeterObservation | None, places: Sequence[int]
) -> PartVector | None:
    """Return a complete reading; None: there is none (S2).

    Complete means: a current on each of `places` that connectors below the circuit load, if it has a limit per phase,
    and a power, if it has a limit in W.
    """
    if meter is None:
        return None
    current_a = meter.current_a or (None, None, None)
    if circuit.limit_a is not None and any(
        current_a[place] is None for place in places
    ):
        return None
    if circuit.limit_w is not None and meter.power_w is None:
        return None
    if current_a == (None, None, None) and meter.power_w is None:
        return None
    return (*current_a, meter.power_w)


def hold_s(memory: MeterMemory, settings: Settings) -> float:
    """Return the age above which nothing is raised: a few seconds, or what the meter's own pace makes of them."""
    return min(
        max(settings.meter_hold_s, memory.interval_s * _HELD_INTERVALS),
        settings.meter_timeout_s,
    )


def age_of(memory: MeterMemory, now_s: float) -> float:
    """Return the age of the last complete reading in s; there never was one: since it was first asked for."""
    return now_s - (memory.since_s if memory.sampled_s is None else memory.sampled_s)


def _age(
    memory: MeterMemory, now_s: float, age_s: float | None, settings: Settings
) -> MeterMemory:
    """Return the memory after the meter's age in this step; None: no complete reading came with it."""
    sampled_s, fresh_s = memory.sampled_s, memory.fresh_s
    interval_s, raise_from_s = memory.interval_s, memory.raise_from_s
    failed = memory.failed
    if age_s is not None and age_s >= 0:
        at_s = now_s - age_s
        if sampled_s is None:
            sampled_s = at_s
        elif at_s > sampled_s + _NEW_SAMPLE_S:
            if fresh_s is not None:
                interval_s += (at_s - sampled_s - interval_s) / 4
            sampled_s = at_s
    counted_from_s = memory.since_s if sampled_s is None else sampled_s
    if now_s - counted_from_s > settings.meter_timeout_s:
        fresh_s, failed = None, True
    elif age_s is not None and 0 <= age_s <= hold_s(memory, settings):
        if fresh_s is None:
            fresh_s, raise_from_s = now_s, now_s + settings.recovery_raise_s
        if failed and now_s - fresh_s >= settings.recovery_s:
            failed = False
    return replace(
        memory,
        sampled_s=sampled_s,
        interval_s=interval_s,
        fresh_s=fresh_s,
        failed=failed,
        raise_from_s=raise_from_s,
    )


def _loaded(
    memory: MeterMemory,
    circuit: Circuit,
    reading: PartVector,
    now_s: float,
    passed_s: float,
    settings: Settings,
) -> MeterMemory:
    """Return the memory after what the circuit carries (S13)."""
    if circuit.limit_a is None:
        return memory
    over = [
        0.0 if value is None else (value - _OVER_A - limit_a) / max(limit_a, 1.0)
        for value, limit_a in zip(reading[:3], circuit.limit_a, strict=True)
    ]
    if memory.heat == (0.0, 0.0, 0.0) and memory.over_s is None and max(over) <= 0:
        if memory.room_s is None or now_s - memory.room_s < settings.restore_s:
            return memory
        return replace(memory, room_s=None)
    heat = tuple(
        [
            _warmed(value, part, min(passed_s, settings.meter_hold_s))
            for value, part in zip(memory.heat, over, strict=True)
        ]
    )
    over_s, room_s = memory.over_s, memory.room_s
    if max(over) > 0:
        over_s, room_s = now_s if over_s is None else over_s, None
    elif over_s is not None:
        over_s, room_s = None, now_s
    return replace(
        memory, heat=(heat[0], heat[1], heat[2]), over_s=over_s, room_s=room_s
    )


def _warmed(heat: float, over: float, passed_s: float) -> float:
    """Return how much of what a breaker bears is used up, 0 to 1."""
    if over <= 0:
        return max(0.0, heat - passed_s / _COOLING_S)
    for part, borne_s in HEAT:
        if over <= part:
            return min(1.0, heat + passed_s / borne_s)
    return 1.0


def held(ages: Ages, circuits: frozenset[str]) -> Ages:
    """Return the meters with some circuits below which nothing is raised in this step."""
    if not circuits:
        return ages
    return replace(
        ages,
        raise_from_s={
            name: None if name in circuits else from_s
            for name, from_s in ages.raise_from_s.items()
        },
    )


def was_over(memory: MeterMemory, now_s: float, settings: Settings) -> bool:
    """Return whether a measured overload is so young, or so lately over, that nobody is stopped for it.

    What is only booked and never measured is not waited out.
    """
    base = memory.base
    if base is None or base.last_over_s is None:
        return False
    if base.over_s is not None:
        return now_s - base.over_s < settings.overload_wait_s
    # The estimate holds a peak for a moment, and falls with a reading only.
    held_s = AGREED_S + BUCKET_S + settings.meter_hold_s
    return now_s - base.last_over_s < held_s


def relief_a(
    memory: MeterMemory,
    limit_a: PerPhase,
    excess_a: Sequence[float],
) -> PerPhase:
    """Return what a circuit's phases may be exceeded by for now, so that nobody has to be stopped.

    Args:
        memory: of its meter.
        limit_a: its limit.
        excess_a: by how much it is exceeded with everybody who charges at the minimum.
    """
    most = HEAT[-1][0]
    l1, l2, l3 = (
        excess if 0 < excess <= most * limit and heat < 1.0 else 0.0
        for excess, limit, heat in zip(excess_a, limit_a, memory.heat, strict=True)
    )
    return l1, l2, l3

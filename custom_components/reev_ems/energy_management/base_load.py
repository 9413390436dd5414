"""The base load of metered circuits, and how old the meters are (S3).

The base load is meter − Σ draw of our connectors below. Taken literally that is wrong whenever a car ramps: a charge
point reports every 10 s, a meter every second, some meters lag behind by as much as 15 s. The difference then shows a
jump of the base load that is not there, the rule reacts to it, the cars ramp again: a limit cycle.

So the estimate is held, and only evidence moves it. Each reading M gives bounds:

- certain: base ≥ M − Σ of the most that each connector may be drawing (permit in force; permits that it may not have
  left yet; latest report, unless it is from before it had to have followed). This moves the estimate *at once*. Hence,
  as estimate + Σ booked ≥ M always holds, every overload that the meter shows lowers the permits in the same step by at
  least its size.
  A connector that reports at or below its lowered permit has followed. Where the meter fell after a lowering and has
  stood still since (or drifts as no car that ramps does), all have: then they draw no more than their permits, whatever
  they reported before. (Loads of different power factors add up to less than the sum of their currents; so an overload
  of a few per cent may remain after the first answer.)
  Only while cars were just lowered, by more than a meter shows as noise, and it does not show any of it, it may be the
  meter that is late: then the estimate rises by what the meter rose since. Otherwise one overload would be answered
  twice.
- likely: base ≥ M − Σ highest reports. This raises the estimate only if all readings of the last 16 s or more
  (`Settings.align_s`) agree, so that a car which ramps by itself, seen by the meter before it reports, moves nothing.
- confirmed: base ≤ M − Σ lowest reports, or permits if these were lowered below. This lowers the estimate if all
  readings agree since every connector that draws has reported, or for 16 s; the lowest reports are those since a while
  before that, by as much as the meter may be late (`Settings.meter_lag_s`).

The first estimate takes every connector at its latest report, or at its permit if it has not reported yet: after a
restart cars are charging, and their draw must not count twice before they could say a word. Nothing is raised in that
time. After it, whoever still does not report is taken to draw nothing, so that all of the load counts.

So does that of a charge point which comes later, or comes back from being away (S7): until it says what it draws, but
no longer than a report counts, its permit is taken out of the base load that its draw has been part of (`Guess`).
Nothing is raised into what is only guessed.

A base load that rises while cars draw less than their permits is therefore believed one report later; until then
there is no overload, or the first bound has it. One that falls is believed after everybody's next report. The limit is
exceeded at most for the meter's latency plus the command and the ramp of the car (`Settings.follow_s`).
"""

from collections.abc import Callable, Iterable, Sequence

from .frozen import replace
from .model import Circuit, Settings
from .observation import MeterObservation
from .state import UNKNOWN, Bounds, Cut, MeterMemory, PartVector, Still

_BUCKET_S = 4.0
_NEW_SAMPLE_S = 0.05
_SEEN_A = 0.5
# The larger a cut, the more must be seen of it: what flickers is taken for the start of a fall otherwise.
_SEEN_PART = 1 / 6
SHOWN_A = 2 * _SEEN_A
"""A meter shows it when what cars draw is lowered by more than this, all together."""
_DRIFT_A_PER_S = 0.4
# A car that ramps moves the meter all the time; half a ramp (5 s, IEC 61851-1) without that, and it has ended.
_STILL_S = 2.5
# A charge point measures a moment before it reports.
_REPORT_LAG_S = 3.0


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


def age(
    memory: MeterMemory, now_s: float, *, age_s: float | None, settings: Settings
) -> MeterMemory:
    """Return the memory after the meter's age in this step; None: no complete reading came with it."""
    sampled_s, fresh_s = memory.sampled_s, memory.fresh_s
    failed, raise_from_s = memory.failed, memory.raise_from_s
    if age_s is not None and age_s >= 0:
        at_s = now_s - age_s
        if sampled_s is None or at_s > sampled_s + _NEW_SAMPLE_S:
            sampled_s = at_s
    counted_from_s = memory.since_s if sampled_s is None else sampled_s
    if now_s - counted_from_s > settings.meter_timeout_s:
        fresh_s, failed = None, True
    elif age_s is not None and age_s <= settings.meter_hold_s:
        if fresh_s is None:
            fresh_s, raise_from_s = now_s, now_s + settings.recovery_raise_s
        if failed and now_s - fresh_s >= settings.recovery_s:
            failed = False
    # Each meter's in each step: `replace` would take four times as long.
    return MeterMemory(
        since_s=memory.since_s,
        sampled_s=sampled_s,
        fresh_s=fresh_s,
        failed=failed,
        raise_from_s=raise_from_s,
        base=memory.base,
        proven=memory.proven,
        bounds=memory.bounds,
        cut=memory.cut,
        still=memory.still,
    )


def age_of(memory: MeterMemory, now_s: float) -> float:
    """Return the age of the last complete reading in s; there never was one: since it was first asked for."""
    return now_s - (memory.since_s if memory.sampled_s is None else memory.sampled_s)


def confirmed_bucket(
    now_s: float, reports_s: Iterable[float], settings: Settings
) -> int:
    """Return the newest bucket of time, but the last, since which connectors have reported at these times.

    Who reports less often than every `Settings.align_s` or not at all is not waited for any longer than that.
    """
    oldest_s = min((now_s - _BUCKET_S, *(at_s - _REPORT_LAG_S for at_s in reports_s)))
    return int(max(oldest_s, now_s - settings.align_s) // _BUCKET_S) - 1


def compared_from(confirmed: int, settings: Settings) -> float:
    """Return since when reports are to be compared with the confirmed readings."""
    return confirmed * _BUCKET_S - settings.meter_lag_s


def estimate(
    memory: MeterMemory,
    reading: PartVector,
    now_s: float,
    *,
    confirmed: int,
    reported_low: Sequence[float],
    reported_high: Sequence[float],
    most: Sequence[float],
    permitted: Sequence[float],
    settings: Settings,
) -> MeterMemory:
    """Return the memory after a reading.

    Args:
        memory: what was known before.
        reading: the meter's currents and power.
        now_s: the time of the step.
        confirmed: the newest bucket of time since which all connectors have reported.
        reported_low: the sum of their lowest reports since a while before that; L1, L2, L3 in A and W as in a Vector.
        reported_high: the sum of their highest of the last `Settings.align_s`.
        most: the sum of the most that each may be drawing now.
        permitted: the sum of the most that each may draw once it has followed its permit.
        settings: the times.
    """
    low = _less(reading, reported_high)
    high = _less(reading, reported_low)
    bucket = int(now_s // _BUCKET_S)
    bounds = memory.bounds
    if bounds and bounds[-1].bucket == bucket:
        last = bounds[-1]
        bounds = (
            *bounds[:-1],
            Bounds(
                bucket=bucket,
                low=_lower(last.low, low),
                high=_upper(last.high, high),
                peak=_upper(last.peak, reading),
            ),
        )
    else:
        oldest = bucket - int(settings.align_s // _BUCKET_S) - 2
        bounds = (
            *(item for item in bounds if item.bucket >= oldest),
            Bounds(bucket=bucket, low=low, high=high, peak=reading),
        )
    spans = (bucket - bounds[0].bucket) * _BUCKET_S >= settings.align_s
    lowest = _of_all(min, [item.low for item in bounds])
    peak = first = UNKNOWN
    if spans and bounds[0].bucket <= confirmed:
        peak = _of_all(max, [item.peak for item in bounds if item.bucket >= confirmed])
    if spans and not memory.proven:
        first = _of_all(min, [item.high for item in bounds])
    cut = _still_pending(memory.cut, reading, now_s, settings)
    still = _still(memory.still, reading, now_s)
    has_followed = cut is None and now_s - still.since_s >= _STILL_S
    certain = _less(reading, permitted if has_followed else most)
    if cut is not None:
        certain = _lower(certain, _grown(cut, reading))
    base = [
        None if value is None else _moved(*part)
        for value, *part in zip(
            reading,
            memory.base or UNKNOWN,
            lowest,
            first,
            peak,
            reported_low,
            certain,
            strict=True,
        )
    ]
    return MeterMemory(
        since_s=memory.since_s,
        sampled_s=memory.sampled_s,
        fresh_s=memory.fresh_s,
        failed=memory.failed,
        raise_from_s=memory.raise_from_s,
        base=(base[0], base[1], base[2], base[3]),
        proven=memory.proven or spans,
        bounds=bounds,
        cut=cut,
        still=still,
    )


def emerged(memory: MeterMemory, load: Sequence[float]) -> MeterMemory:
    """Return the memory after it became known of a part of the base load that a connector draws it."""
    if memory.base is None:
        return memory
    return replace(memory, base=_less(memory.base, load))


def lowered(
    memory: MeterMemory, reading: PartVector, fall_a: float, now_s: float
) -> MeterMemory:
    """Return the memory after permits below the circuit were lowered, by which its reading should fall."""
    if memory.base is None:
        return memory
    since_s = now_s
    if memory.cut is not None:
        # Loads may have come since; what falls now falls from here, but nothing is waited for any longer.
        since_s = memory.cut.since_s
        fall_a += memory.cut.fall_a
    cut = Cut(since_s=since_s, reading=reading, base=memory.base, fall_a=fall_a)
    return replace(memory, cut=cut)


def _still(still: Still | None, reading: PartVector, now_s: float) -> Still:
    """Return since when the meter has stood still."""
    if still is None:
        return Still(since_s=now_s, reading=reading)
    # Loads that drift are no car that ramps.
    within_a = _SEEN_A + _DRIFT_A_PER_S * min(now_s - still.since_s, _STILL_S)
    for value, then in zip(reading[:3], still.reading[:3], strict=True):
        if value is None or then is None:
            if value is then:
                continue
        elif abs(value - then) <= within_a:
            continue
        return Still(since_s=now_s, reading=reading)
    return still


def _still_pending(
    cut: Cut | None, reading: PartVector, now_s: float, settings: Settings
) -> Cut | None:
    """Return the cut as long as the meter shows nothing of it and may be late."""
    if cut is None or now_s >= cut.since_s + settings.meter_lag_s + settings.follow_s:
        return None
    least_a = max(_SEEN_A, cut.fall_a * _SEEN_PART)
    seen = any(
        value is not None and then is not None and value < then - least_a
        for value, then in zip(reading[:3], cut.reading[:3], strict=True)
    )
    return None if seen else cut


def _grown(cut: Cut, reading: PartVector) -> PartVector:
    """Return the base load at the cut plus what the meter rose since."""
    parts = tuple(
        None if base is None or value is None or then is None else base + value - then
        for base, value, then in zip(cut.base, reading, cut.reading, strict=True)
    )
    return parts[0], parts[1], parts[2], parts[3]


def _moved(
    known: float | None,
    lowest: float | None,
    first: float | None,
    peak: float | None,
    drawn: float,
    certain: float | None,
) -> float | None:
    """Return one part of the estimate.

    Args:
        known: what it was before.
        lowest: the smallest lower bound of the last while.
        first: the smallest upper bound by the reports of their time, when there are enough to prove something.
        peak: the highest of the readings that all connectors have confirmed, and of those since; None: there are none.
        drawn: what the connectors drew at least.
        certain: the lower bound that holds now.
    """
    value = _larger(_larger(known, lowest), first)
    if peak is not None:
        value = _smaller(value, peak - drawn)
    return _larger(value, certain)


def _of_all(
    best: Callable[..., float | None], vectors: Sequence[PartVector]
) -> PartVector:
    """Return the least or the most of each part, as far as it is known."""
    parts: list[float | None] = []
    for values in zip(*vectors, strict=True):
        known = values if None not in values else filter(_is_known, values)
        parts.append(best(known, default=None))
    return parts[0], parts[1], parts[2], parts[3]


def _is_known(value: float | None) -> bool:
    return value is not None


def _less(reading: PartVector, loads: Sequence[float]) -> PartVector:
    l1, l2, l3, power_w = reading
    on_l1, on_l2, on_l3, all_w = loads
    return (
        None if l1 is None else l1 - on_l1,
        None if l2 is None else l2 - on_l2,
        None if l3 is None else l3 - on_l3,
        None if power_w is None else power_w - all_w,
    )


def _lower(first: PartVector, second: PartVector) -> PartVector:
    """Return the smaller of each part, of one that is unknown in one of them the other."""
    return (
        _smaller(first[0], second[0]),
        _smaller(first[1], second[1]),
        _smaller(first[2], second[2]),
        _smaller(first[3], second[3]),
    )


def _upper(first: PartVector, second: PartVector) -> PartVector:
    """Return the larger of each part, of one that is unknown in one of them the other."""
    return (
        _larger(first[0], second[0]),
        _larger(first[1], second[1]),
        _larger(first[2], second[2]),
        _larger(first[3], second[3]),
    )


def _smaller(one: float | None, other: float | None) -> float | None:
    return other if one is None or (other is not None and other < one) else one


def _larger(one: float | None, other: float | None) -> float | None:
    return other if one is None or (other is not None and other > one) else one

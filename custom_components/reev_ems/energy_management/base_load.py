"""The base load of a metered circuit: what it carries besides our connectors.

The base load is meter − Σ draw of our connectors below. Taken literally that is wrong whenever a car moves: a charge
point reports every 5 to 60 s, a meter every second, some meters lag behind by as much as 15 s. So each reading M gives
an interval, with the envelopes of the connectors (envelope.py) over the time that the reading may be of:

    M − Σ high  ≤  base load  ≤  M − Σ low          high: by permits, low: by reports

Two estimates are kept, each for where it is the safe side: the upper one for limits, the lower one where base load
helps (the other phase of an imbalance, surplus). They hold still, as a base load mostly does, until the interval
excludes them:

- the bound against danger moves its estimate at once. As estimate + Σ booked ≥ M always holds then, every overload that
  a meter shows is answered in the same step by at least its size;
- the bound towards room needs agreement: the readings of a while, so that what flickers counts with its peaks;
- what the connectors do not draw of their permits is believed to be base load once all readings say so since the last
  report of each. While a limit is exceeded it is believed at once: an overload is answered by what is drawn. One that
  lasts is answered as if the cars had followed, up to a few A.

Most readings while nothing moves have one and the same interval of no width.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from .frozen import frozen, replace
from .state import BaseLoad, Bounds
from .vectors import UNKNOWN, PartVector, larger, less, smaller

BUCKET_S: Final = 3.0

PEAK_S: Final = 600.0
"""So long a peak of the base load keeps cars from starting that it would have paused."""

_MINUTE_S: Final = 60.0

_ONE_EVENT: Final = 2
"""One event of less than a minute is in so many of the minutes at the most."""

AGREED_S: Final = 9.0
"""Readings of so long have to agree that there is room: a household's flicker is shorter."""

PATIENT_S: Final = 4.0
"""An overload that lasts for so long is not put down to cars that have yet to follow, as far as these are few A: what
drifts would be answered late all the time."""

_IMPATIENT_A: Final = 5.0
_IMPATIENT_W: Final = 3 * 230.0 * _IMPATIENT_A

REMEMBERED_S: Final = 66.0
"""Somewhat longer than a report is believed."""


@frozen
class Drawn:
    """What the connectors below a circuit may have been drawing, all together."""

    low: Sequence[float]
    likely: Sequence[float]
    high: Sequence[float]
    followed: Sequence[float]
    """The most likely, once all have followed their permits."""
    late_s: float
    """How late the reading may be."""
    told_s: float
    """Since when each of those that draw has reported."""


def estimate(
    base: BaseLoad | None,
    reading: PartVector,
    drawn: Drawn,
    limit: PartVector,
    now_s: float,
) -> BaseLoad:
    """Return what is known of the base load after a reading.

    Args:
        base: what was known before.
        reading: the meter's currents in A and power in W.
        drawn: what the connectors below may have been drawing.
        limit: above which a reading is an overload, by part; None: never.
        now_s: the time of the step.
    """
    likely = less(reading, drawn.likely)
    certain, upper = less(reading, drawn.high), less(reading, drawn.low)
    peaks = _with_bounds(
        () if base is None else base.peaks, certain, upper, now_s, _MINUTE_S, PEAK_S
    )
    if base is None:
        first = Bounds(from_s=now_s, low=likely, peak=likely, high=upper)
        return BaseLoad(
            low=likely, high=likely, since_s=now_s, bounds=(first,), peaks=peaks
        )
    bounds = _with_bounds(base.bounds, likely, upper, now_s, BUCKET_S, REMEMBERED_S)
    over = any(
        value is not None and most is not None and value > most
        for value, most in zip(reading, limit, strict=True)
    )
    over_s = base.over_s if over and base.over_s is not None else now_s
    lasting = over and now_s - over_s >= max(PATIENT_S, drawn.late_s + 2.0)
    followed = less(reading, drawn.followed) if lasting else UNKNOWN
    agreed = now_s - base.since_s >= AGREED_S
    ceiling = deepest = floor = UNKNOWN
    if agreed:
        deepest, highest, shallowest = _extremes(bounds, now_s - AGREED_S)
        # Readings that say little, as cars are moving, agree with those that say more.
        ceiling = _each(larger, highest, shallowest)
    told_s = min(drawn.told_s, now_s - AGREED_S)
    if told_s >= max(base.since_s, now_s - REMEMBERED_S):
        floor = _extremes(bounds, told_s)[0]
    high: list[float | None] = []
    low: list[float | None] = []
    for part, value in enumerate(reading):
        known = base.high[part]
        if value is None:
            high.append(known)
            low.append(base.low[part])
            continue
        bound, most = limit[part], likely[part]
        at_once, ceils = certain[part], ceiling[part]
        if bound is not None and value > bound:
            # Nothing falls meanwhile.
            at_once, ceils = most, None
            more, limit_a = followed[part], _IMPATIENT_A if part < 3 else _IMPATIENT_W
            if most is not None and more is not None:
                at_once = max(most, min(more, most + limit_a))
        upwards = larger(smaller(larger(known, floor[part]), ceils), at_once)
        high.append(upwards)
        # The lower estimate falls at once to what is possible, and rises with what all readings agree on.
        lower = larger(smaller(base.low[part], most), deepest[part])
        low.append(smaller(lower, upwards))
    return BaseLoad(
        low=(low[0], low[1], low[2], low[3]),
        high=(high[0], high[1], high[2], high[3]),
        since_s=base.since_s,
        over_s=over_s if over else None,
        last_over_s=now_s if over else base.last_over_s,
        bounds=bounds,
        peaks=peaks,
    )


def extremes(base: BaseLoad) -> tuple[PartVector, PartVector]:
    """Return what the base load has lately fallen to and risen to again and again, for certain: whatever the cars drew.

    What happened in two minutes may have been one event.
    """
    lowest, highest = base.low, base.high
    if len(base.peaks) > _ONE_EVENT:
        lows = zip(*(item.high for item in base.peaks), strict=True)
        highs = zip(*(item.peak for item in base.peaks), strict=True)
        lowest = _each(smaller, lowest, _reached(lows, -1))
        highest = _each(larger, highest, _reached(highs, 1))
    return lowest, highest


def _reached(parts: Iterable[tuple[float | None, ...]], sign: int) -> PartVector:
    """Return for each part what was reached more often than one event may have."""
    one, two, three, four = (
        sorted(known, key=lambda value: -sign * value)[_ONE_EVENT]
        if len(known := [value for value in values if value is not None]) > _ONE_EVENT
        else None
        for values in parts
    )
    return one, two, three, four


def emerged(base: BaseLoad, load: Sequence[float]) -> BaseLoad:
    """Return the base load without what is known now to be a connector's draw, and has been one of its parts (S7)."""
    return replace(
        base,
        low=less(base.low, load),
        high=less(base.high, load),
        bounds=_less(base.bounds, load),
        peaks=_less(base.peaks, load),
    )


def _less(bounds: tuple[Bounds, ...], load: Sequence[float]) -> tuple[Bounds, ...]:
    return tuple(
        [
            Bounds(
                from_s=item.from_s,
                low=less(item.low, load),
                peak=less(item.peak, load),
                high=less(item.high, load),
            )
            for item in bounds
        ]
    )


def _with_bounds(
    bounds: tuple[Bounds, ...],
    lower: PartVector,
    upper: PartVector,
    now_s: float,
    bucket_s: float,
    remembered_s: float,
) -> tuple[Bounds, ...]:
    """Return the bounds with those of a reading, in buckets of time."""
    if bounds and now_s < bounds[-1].from_s + bucket_s:
        last = bounds[-1]
        return (
            *bounds[:-1],
            Bounds(
                from_s=last.from_s,
                low=_each(smaller, last.low, lower),
                peak=_each(larger, last.peak, lower),
                high=_each(smaller, last.high, upper),
            ),
        )
    oldest_s = now_s - remembered_s - bucket_s
    first = 0
    while first < len(bounds) and bounds[first].from_s < oldest_s:
        first += 1
    return (
        *bounds[first:],
        Bounds(from_s=now_s, low=lower, peak=lower, high=upper),
    )


def _extremes(
    bounds: tuple[Bounds, ...], since_s: float
) -> tuple[PartVector, PartVector, PartVector]:
    """Return the least and the largest lower bound and the least upper one since a time."""
    last = bounds[-1]
    low, peak, high = last.low, last.peak, last.high
    if last.from_s > since_s:
        for item in reversed(bounds[:-1]):
            low, peak = _each(smaller, low, item.low), _each(larger, peak, item.peak)
            high = _each(smaller, high, item.high)
            if item.from_s <= since_s:
                break
    return low, peak, high


def _each(best: object, first: PartVector, second: PartVector) -> PartVector:
    a, b = first, second
    if best is larger:
        return (
            larger(a[0], b[0]),
            larger(a[1], b[1]),
            larger(a[2], b[2]),
            larger(a[3], b[3]),
        )
    return (
        smaller(a[0], b[0]),
        smaller(a[1], b[1]),
        smaller(a[2], b[2]),
        smaller(a[3], b[3]),
    )

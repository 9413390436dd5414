"""The house and the sun as traces of one value per second, drawn from a seed."""

import numpy as np
from numpy.typing import NDArray

from .plan import HousePlan, SunPlan

type Trace = NDArray[np.float64]

KINDS: dict[str, tuple[float, ...]] = {
    # Share of the highest hourly mean, hour by hour.
    "constant": (1.0,) * 24,
    "home": (
        *(0.25, 0.22, 0.2, 0.2, 0.22, 0.3, 0.55, 0.7, 0.55, 0.45, 0.45, 0.55),
        *(0.65, 0.5, 0.4, 0.42, 0.5, 0.7, 0.95, 1.0, 0.9, 0.75, 0.5, 0.35),
    ),
    "office": (
        *(0.25, 0.25, 0.25, 0.25, 0.25, 0.3, 0.45, 0.7, 0.9, 1.0, 1.0, 0.97),
        *(0.9, 0.95, 1.0, 0.95, 0.85, 0.65, 0.45, 0.35, 0.3, 0.27, 0.25, 0.25),
    ),
    "depot": (
        *(0.5, 0.5, 0.5, 0.5, 0.6, 0.9, 1.0, 0.8, 0.6, 0.6, 0.6, 0.6),
        *(0.6, 0.6, 0.6, 0.7, 0.9, 1.0, 0.9, 0.7, 0.6, 0.5, 0.5, 0.5),
    ),
}

_WAKING_H = (6.0, 23.0)


def house_trace(
    plan: HousePlan, seconds: int, start_h: float, rng: np.random.Generator
) -> Trace:
    """Return what the house carries, A per phase in rows of three."""
    at = np.arange(seconds)
    hour = (start_h + at / 3600.0) % 24.0
    curve = np.array((*KINDS[plan.kind], KINDS[plan.kind][0]))
    share = np.interp(hour, np.arange(25), curve)
    trace = np.outer(share, np.array(plan.level_a))
    if plan.kind != "constant":
        trace *= 0.85 + 0.3 * _slow(seconds, rng)
    if plan.kettles_per_h > 0.0:
        _add_kettles(trace, plan, hour, rng)
    if plan.heat_pump_a > 0.0:
        _add_heat_pump(trace, plan, rng)
    if plan.flicker_a > 0.0:
        trace += rng.normal(0.0, plan.flicker_a, trace.shape)
    np.maximum(trace, 0.0, out=trace)
    return trace if plan.most_a is None else np.minimum(trace, np.array(plan.most_a))


def _slow(seconds: int, rng: np.random.Generator) -> Trace:
    """Return three columns that wander between 0 and 1 within minutes."""
    points = seconds // 120 + 2
    places = np.linspace(0, points - 1, seconds)
    columns = [
        np.interp(places, np.arange(points), rng.random(points)) for _ in range(3)
    ]
    return np.stack(columns, axis=1)


def _add_kettles(
    trace: Trace, plan: HousePlan, hour: Trace, rng: np.random.Generator
) -> None:
    seconds = len(trace)
    for _ in range(rng.poisson(plan.kettles_per_h * seconds / 3600.0)):
        begin = int(rng.integers(0, seconds))
        if _WAKING_H[0] <= hour[begin] <= _WAKING_H[1]:
            phase, length = int(rng.integers(0, 3)), int(rng.integers(120, 240))
            trace[begin : begin + length, phase] += 9.0


def _add_heat_pump(trace: Trace, plan: HousePlan, rng: np.random.Generator) -> None:
    seconds, at = len(trace), int(rng.integers(0, 1800))
    while at < seconds:
        length = int(rng.integers(600, 1200))
        trace[at : at + length] += plan.heat_pump_a
        trace[at : at + 1] += plan.inrush_a
        at += length + int(rng.integers(1200, 2400))


def sun_trace(
    plan: SunPlan, seconds: int, start_h: float, rng: np.random.Generator
) -> Trace:
    """Return the power of the sun in W: a clear day's curve from 6 to 20 h, torn by broken clouds."""
    hour = (start_h + np.arange(seconds) / 3600.0) % 24.0
    clear = np.maximum(0.0, np.sin(np.pi * (hour - 6.0) / 14.0))
    clear[(hour < 6.0) | (hour > 20.0)] = 0.0
    shade = np.ones(seconds)
    at = 0
    while at < seconds:
        # An hour or so of broken clouds, or of blue sky.
        length = int(rng.integers(1800, 5400))
        if rng.random() < plan.clouds:
            cloud = at
            while cloud < at + length:
                dark = int(rng.integers(20, 240))
                shade[cloud : cloud + dark] = rng.uniform(0.25, 0.7)
                cloud += dark + int(rng.integers(30, 400))
        at += length
    # A cloud's edge takes some seconds.
    soft = np.convolve(shade, np.ones(8) / 8.0, mode="same")
    power: Trace = np.asarray(plan.peak_w * clear * np.minimum(soft, 1.0))
    return power

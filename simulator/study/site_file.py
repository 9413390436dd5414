"""The YAML file of a studied site: its schema, and the plan that it and a seed give.

Outlets are named in rows (`garage: {count: 20, ...}`), cars come in waves (`cars`); who comes with what is drawn.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import voluptuous as vol
import yaml

from simulator.values import NOT_NEGATIVE, POSITIVE, SHARE, finite, per_phase

from . import breakers, house
from .plan import (
    PATIENT,
    BatteryPlan,
    CarPlan,
    ChargerPlan,
    CircuitPlan,
    HousePlan,
    MeterPlan,
    OutletPlan,
    PerPhase,
    SitePlan,
    SunPlan,
    VisitPlan,
)
from .random_site import random_site

SITES = Path(__file__).parent / "sites"


class SiteError(Exception):
    """A site that cannot be studied; the text names the place."""


_SECONDS = vol.All(int, vol.Range(min=0, max=60, msg="must be from 0 to 60"))
_NAME = vol.All(str, vol.Length(min=1, max=48))


def _per_phase(value: Any) -> PerPhase:
    first, second, third = (NOT_NEGATIVE(part) for part in per_phase(value))
    return (first, second, third)


def _span(value: Any) -> tuple[float, float]:
    """Read a number, or the two ends of a range."""
    if isinstance(value, list):
        if len(value) != 2 or finite(value[0]) > finite(value[1]):
            raise vol.Invalid("a range is [from, to]")
        return finite(value[0]), finite(value[1])
    same = finite(value)
    return (same, same)


def _phases(value: Any) -> tuple[int, ...]:
    names = ("L1", "L2", "L3")
    if not isinstance(value, list) or not value or set(value) - set(names):
        raise vol.Invalid("a list of L1, L2, L3 is needed")
    if len(set(value)) < len(value):
        raise vol.Invalid("a phase is named twice")
    return tuple(names.index(name) for name in value)


def _made(schema: dict[Any, Any], plan: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a reader of a section that becomes a plan."""
    checked = vol.Schema(schema)

    def read(value: Any) -> Any:
        return plan(**checked(value))

    return read


_METER = _made(
    {
        vol.Optional("poll_s"): vol.All(
            int, vol.Range(min=1, max=60, msg="must be from 1 to 60")
        ),
        vol.Optional("lag_s"): _SECONDS,
        vol.Optional("noise_a"): NOT_NEGATIVE,
        vol.Optional("resolution_a"): POSITIVE,
    },
    MeterPlan,
)
_HOUSE = _made(
    {
        vol.Optional("kind"): vol.In(
            house.KINDS, msg=f"one of {', '.join(house.KINDS)}"
        ),
        vol.Optional("level_a"): _per_phase,
        vol.Optional("kettles_per_h"): NOT_NEGATIVE,
        vol.Optional("heat_pump_a"): NOT_NEGATIVE,
        vol.Optional("inrush_a"): NOT_NEGATIVE,
        vol.Optional("flicker_a"): NOT_NEGATIVE,
        vol.Optional("most_a"): _per_phase,
    },
    HousePlan,
)
_CIRCUIT = _made(
    {
        vol.Required("id"): _NAME,
        vol.Optional("parent"): _NAME,
        vol.Optional("limit_a"): _per_phase,
        vol.Optional("breaker"): vol.Any(
            None,
            vol.In(breakers.KINDS),
            msg=f"one of {', '.join(breakers.KINDS)}, or null",
        ),
        vol.Optional("meter"): _METER,
        vol.Optional("house"): _HOUSE,
        vol.Optional("reserve_a"): _per_phase,
        vol.Optional("told"): dict,
    },
    CircuitPlan,
)
_OUTLETS = vol.Schema(
    {
        vol.Required("circuit"): _NAME,
        vol.Optional("count", default=1): vol.All(int, vol.Range(min=1, max=1000)),
        vol.Optional("dc", default=False): bool,
        vol.Optional("phases", default=["L1", "L2", "L3"]): _phases,
        # Each next outlet begins one phase later, as good electricians wire them.
        vol.Optional("rotated", default=True): bool,
        vol.Optional("least"): POSITIVE,
        vol.Optional("most"): POSITIVE,
        vol.Optional("efficiency"): SHARE,
        vol.Optional("mode"): vol.In(
            ("fast", "solar", "solar_min", "automatic", "off")
        ),
        vol.Optional("priority"): vol.All(int, vol.Range(min=1, max=10)),
        vol.Optional("told"): dict,
    }
)
_CARS = vol.Schema(
    {
        vol.Required("outlets"): _NAME,
        vol.Optional("share", default=1.0): SHARE,
        vol.Required("arrive_h"): _span,
        vol.Required("stay_h"): _span,
        vol.Required("need_kwh"): _span,
        # Shares of cars with one, two and three phases.
        vol.Optional("phases", default=[0.3, 0.1, 0.6]): vol.All(
            [SHARE], vol.Length(min=3, max=3)
        ),
        vol.Optional("most_kw", default=[50, 150]): _span,
        vol.Optional("wakes", default=0.3): SHARE,
        # Shares of cars that give up after 3 and after 10 pauses; the others never do.
        vol.Optional("gives_up", default=[0.1, 0.2]): vol.All(
            [SHARE], vol.Length(min=2, max=2)
        ),
    }
)
_SITE = vol.Schema(
    {
        vol.Required("name"): _NAME,
        vol.Optional("hours", default=24.0): vol.All(POSITIVE, vol.Range(max=240.0)),
        vol.Optional("start_h", default=12.0): vol.All(
            finite, vol.Range(min=0, max=24)
        ),
        vol.Required("circuits"): vol.All([_CIRCUIT], vol.Length(min=1)),
        vol.Required("outlets"): {_NAME: _OUTLETS},
        vol.Required("cars"): [_CARS],
        vol.Optional("imbalance_a"): vol.Any(None, POSITIVE),
        vol.Optional("sun"): _made(
            {vol.Required("peak_w"): POSITIVE, vol.Optional("clouds"): SHARE}, SunPlan
        ),
        vol.Optional("battery"): _made(
            {
                vol.Required("capacity_wh"): POSITIVE,
                vol.Required("max_w"): POSITIVE,
                vol.Optional("soc"): SHARE,
                vol.Optional("response_s"): POSITIVE,
            },
            BatteryPlan,
        ),
        # Points of [hour of the study, W or null].
        vol.Optional("external_w", default=list): [list],
        vol.Optional("told", default=dict): dict,
    }
)


def site_names() -> list[str]:
    """Return the names of the sites that come with the instrument."""
    return sorted(path.stem for path in SITES.glob("*.yaml"))


def load_site(name: str, seed: int, hours: float | None = None) -> SitePlan:
    """Read a site by its name or its file and draw the rest from a seed; `random` is drawn altogether.

    Raises:
        SiteError: it cannot be studied.
    """
    if name == "random":
        return parse_site(random_site(seed), seed, hours, f"random {seed}")
    path = SITES / f"{name}.yaml" if name in site_names() else Path(name)
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SiteError(
            f"{name}: {error.strerror}; there are {', '.join(site_names())}"
        ) from error
    except UnicodeDecodeError as error:
        raise SiteError(f"{name}: not UTF-8") from error
    except yaml.YAMLError as error:
        raise SiteError(f"{name}: {' '.join(str(error).split())}") from error
    return parse_site(given, seed, hours, str(name))


def parse_site(
    given: Any, seed: int, hours: float | None = None, source: str = "site"
) -> SitePlan:
    """Make the plan of a site that was read.

    Raises:
        SiteError: it cannot be studied.
    """
    try:
        site = _SITE(given)
    except vol.MultipleInvalid as error:
        first = error.errors[0]
        place = ".".join(str(part) for part in first.path)
        raise SiteError(f"{source}: {place or 'top'}: {first.error_message}") from error
    circuits: tuple[CircuitPlan, ...] = tuple(site["circuits"])
    _check_tree(circuits, source)
    rng = Random(f"{site['name']} {seed}")
    rows: dict[str, tuple[OutletPlan, ...]] = {}
    settings = site["told"].get("settings") or {}
    stops = settings.get("failsafe") == "stop"
    for row, wanted in site["outlets"].items():
        if wanted["circuit"] not in {circuit.id for circuit in circuits}:
            raise SiteError(
                f"{source}: outlets.{row}.circuit: there is no {wanted['circuit']}"
            )
        rows[row] = _outlets(row, wanted, stops, rng)
    length = float(hours if hours is not None else site["hours"])
    visits: list[VisitPlan] = []
    for index, wave in enumerate(site["cars"]):
        if wave["outlets"] not in rows:
            raise SiteError(
                f"{source}: cars.{index}.outlets: there is no {wave['outlets']}"
            )
        visits += _visits(wave, rows[wave["outlets"]], site["start_h"], rng)
    return SitePlan(
        name=site["name"],
        hours=length,
        start_h=site["start_h"],
        seed=seed,
        circuits=circuits,
        outlets=tuple(outlet for row in rows.values() for outlet in row),
        visits=_apart(visits),
        imbalance_a=site.get("imbalance_a"),
        sun=site.get("sun"),
        battery=site.get("battery"),
        external_w=_external(site["external_w"], source),
        told=site["told"],
    )


def _check_tree(circuits: tuple[CircuitPlan, ...], source: str) -> None:
    known: set[str] = set()
    for index, circuit in enumerate(circuits):
        at = f"{source}: circuits.{index}"
        if circuit.id in known:
            raise SiteError(f"{at}.id: {circuit.id} is there twice")
        if (circuit.parent is None) != (index == 0):
            raise SiteError(
                f"{at}.parent: the first circuit, and no other, has no parent"
            )
        if circuit.parent is not None and circuit.parent not in known:
            raise SiteError(f"{at}.parent: {circuit.parent} does not stand before it")
        known.add(circuit.id)


def _external(
    points: list[list[Any]], source: str
) -> tuple[tuple[int, float | None], ...]:
    found: list[tuple[int, float | None]] = []
    for index, point in enumerate(points):
        try:
            at_h, limit_w = point
            found.append(
                (
                    round(finite(at_h) * 3600),
                    None if limit_w is None else finite(limit_w),
                )
            )
        except (ValueError, vol.Invalid) as error:
            raise SiteError(
                f"{source}: external_w.{index}: a point is [hour, W or null]"
            ) from error
    return tuple(sorted(found, key=lambda point: point[0]))


def _outlets(
    row: str, wanted: dict[str, Any], stops: bool, rng: Random
) -> tuple[OutletPlan, ...]:
    outlets = []
    dc = wanted["dc"]
    least = wanted.get("least", 5000.0 if dc else 6.0)
    given = {
        name: wanted[name]
        for name in ("efficiency", "mode", "priority", "told")
        if name in wanted
    }
    for index in range(wanted["count"]):
        phases = wanted["phases"]
        if wanted["rotated"] and not dc:
            turn = index % len(phases)
            phases = phases[turn:] + phases[:turn]
        outlets.append(
            OutletPlan(
                id=f"{row}{index + 1}",
                circuit=wanted["circuit"],
                dc=dc,
                phases=phases,
                least=least,
                floor=0.0 if stops else least,
                most=wanted.get("most", 50000.0 if dc else 16.0),
                step=100.0 if dc else rng.choice((0.1, 0.1, 1.0)),
                charger=_charger(rng),
                **given,
            )
        )
    return tuple(outlets)


def _charger(rng: Random) -> ChargerPlan:
    """Draw a charge point: most are quick, some take seconds; one in ten never reports current."""
    report_s = rng.choice((5, 10, 10, 15, 30, 30, 60))
    reports = "current"
    if rng.random() < 0.1:
        reports = rng.choice(("power", "nothing"))
    return ChargerPlan(
        latency_s=min(5.0, max(0.1, rng.lognormvariate(-0.4, 0.9))),
        report_s=report_s,
        report_at_s=rng.randrange(report_s),
        reports=reports,
        gain=rng.uniform(0.99, 1.01),
    )


def _visits(
    wave: dict[str, Any], outlets: tuple[OutletPlan, ...], start_h: float, rng: Random
) -> list[VisitPlan]:
    visits = []
    for outlet in outlets:
        # All draws are made for each outlet, so that a share changes who comes and nothing else.
        comes = rng.random() < wave["share"]
        arrives_h = rng.uniform(*wave["arrive_h"])
        stays_h = rng.uniform(*wave["stay_h"])
        car = _car(wave, outlet, rng)
        if comes:
            from_s = round(((arrives_h - start_h) % 24.0) * 3600)
            visits.append(
                VisitPlan(
                    outlet=outlet.id,
                    from_s=from_s,
                    to_s=from_s + round(stays_h * 3600),
                    car=car,
                )
            )
    return visits


def _car(wave: dict[str, Any], outlet: OutletPlan, rng: Random) -> CarPlan:
    need_wh = rng.uniform(*wave["need_kwh"]) * 1000.0
    phases = rng.choices((1, 2, 3), weights=wave["phases"])[0]
    phases = min(phases, len(outlet.phases))
    if outlet.dc:
        most = rng.uniform(*wave["most_kw"]) * 1000.0
    elif phases == 1:
        most = rng.choice((16.0, 16.0, 20.0, 32.0, 10.0))
    else:
        most = rng.choice((16.0, 16.0, 16.0, 16.0, 13.0, 10.0))
    return CarPlan(
        need_wh=need_wh,
        phases=phases,
        most=most,
        ramp_s=rng.uniform(1.5, 5.0),
        start_s=rng.uniform(3.0, 20.0),
        wake_s=rng.choice((5.0, 10.0, 20.0, 60.0)),
        below_a=rng.uniform(0.0, 0.3),
        taper_wh=min(rng.uniform(500.0, 3000.0), need_wh / 2)
        * (5.0 if outlet.dc else 1.0),
        one_phase_wh=rng.choice((0.0, 0.0, 0.0, 500.0)),
        pauses=_pauses(wave["gives_up"], rng),
        wake_every_s=rng.uniform(1200.0, 3600.0)
        if rng.random() < wave["wakes"]
        else 0.0,
    )


def _pauses(shares: list[float], rng: Random) -> int:
    soon, late = shares
    drawn = rng.random()
    if drawn < soon:
        return 3
    return 10 if drawn < soon + late else PATIENT


def _apart(visits: list[VisitPlan]) -> tuple[VisitPlan, ...]:
    """Order visits by time; a car that stays too long leaves a minute before the next comes."""
    visits.sort(key=lambda visit: (visit.from_s, visit.outlet))
    following: dict[str, int] = {}
    apart: list[VisitPlan] = []
    for visit in reversed(visits):
        to_s = min(visit.to_s, following.get(visit.outlet, visit.to_s + 60) - 60)
        following[visit.outlet] = visit.from_s
        if to_s > visit.from_s + 60:
            apart.append(replace(visit, to_s=to_s))
    return tuple(reversed(apart))

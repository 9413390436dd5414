"""What follows from a connector's configuration alone: its units, its rows, its floor."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import floor

from .decision import Issue, IssueKind
from .model import PHASES, Circuit, Connector, FailsafeAction, Phase, Site, Supply
from .tree import paths_to_root
from .vectors import Vector

_ROUNDING = 1e-6
"""Share of a step: a value this near to the next step is that step, less float noise."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """A connector with everything that its configuration implies.

    Values in its own unit (A for AC, W for DC) bear no unit in their names; `unit_a` converts them to A per phase
    at the AC side.
    """

    connector: Connector
    path: tuple[Circuit, ...]
    """Its circuits, the nearest first."""
    metered: tuple[str, ...]
    """The metered ones among them."""
    is_dc: bool
    """Whether it is controlled in W."""
    unit_a: float
    minimum: float
    maximum: float
    min_a: float
    max_a: float
    step: float
    floor: float
    """What it falls back to by itself (S4)."""
    phases: tuple[Phase, ...] | None
    """The grid's phases that it uses; None: unknown."""
    places: tuple[int, ...]
    """Places in a PerPhase value that it loads; unknown phases: all."""
    phase_count: int
    every: tuple[int, ...]
    """Its own phases, from 0."""
    per_a: Mapping[tuple[int, ...], Vector]
    """By own phases that a car uses, what each A loads the circuits with at most."""
    voltage_v: float

    def truncate(self, value: float) -> float:
        """Return the largest whole number of its steps within a value (never rounded up)."""
        if value <= 0:
            return 0.0
        return round(floor(value / self.step + _ROUNDING) * self.step, 6)

    def load(self, value: float, used: tuple[int, ...] | None = None) -> Vector:
        """Return the most that a permit can load the circuits with.

        Args:
            value: the permit.
            used: the own phases that the car uses; None: all.
        """
        current_a = value * self.unit_a
        l1, l2, l3, all_w = self.per_a[self.every if used is None else used]
        return current_a * l1, current_a * l2, current_a * l3, current_a * all_w

    def phases_of(self, used: tuple[int, ...]) -> tuple[Phase, ...] | None:
        """Return the grid's phases of own phases; None: unknown."""
        return self.phases and tuple([self.phases[place] for place in used])


@dataclass(frozen=True, slots=True)
class Layout:
    """A site with its connectors by id and the tree resolved."""

    site: Site
    outlets: Mapping[str, Outlet]
    paths: Mapping[str, tuple[Circuit, ...]]
    root: Circuit
    circuits: Mapping[str, Circuit]
    upwards: tuple[Circuit, ...]
    """All circuits, each before its parent."""
    loaded: Mapping[str, tuple[int, ...]]
    """By circuit, the places in a PerPhase value that connectors below it load."""
    issues: tuple[Issue, ...]
    """What is wrong with the configuration whatever is measured (S9)."""


def layout(site: Site) -> Layout:
    """Resolve a site.

    Raises:
        ValueError: the circuits are no tree with one root, or a connector is there twice or names an unknown circuit.
    """
    paths = paths_to_root(site.circuits)
    roots = [circuit for circuit in site.circuits if circuit.parent is None]
    if len(roots) != 1:
        raise ValueError(f"a site has one grid connection, not {len(roots)}")
    outlets: dict[str, Outlet] = {}
    for connector in site.connectors:
        if connector.id in outlets:
            raise ValueError(f"connector {connector.id!r} is there twice")
        if connector.circuit not in paths:
            raise ValueError(
                f"connector {connector.id!r} names the unknown circuit {connector.circuit!r}"
            )
        outlets[connector.id] = _outlet(site, connector, paths[connector.circuit])
    loaded: dict[str, set[int]] = {circuit.id: set() for circuit in site.circuits}
    for outlet in outlets.values():
        for circuit in outlet.path:
            loaded[circuit.id].update(outlet.places)
    return Layout(
        site=site,
        outlets=outlets,
        paths=paths,
        root=roots[0],
        circuits={circuit.id: circuit for circuit in site.circuits},
        upwards=tuple(
            sorted(site.circuits, key=lambda circuit: -len(paths[circuit.id]))
        ),
        loaded={circuit: tuple(sorted(places)) for circuit, places in loaded.items()},
        issues=(*_floors_over_limits(site, outlets), *_without_fallback(outlets)),
    )


def _floors_over_limits(site: Site, outlets: Mapping[str, Outlet]) -> list[Issue]:
    """Return where the floors and the known base load alone exceed a limit (S9).

    Whoever does not fall back by himself counts with his maximum.
    """
    floors: dict[str, list[float]] = {
        circuit.id: [*circuit.reserve_a, sum(circuit.reserve_a) * site.voltage_v]
        for circuit in site.circuits
    }
    for outlet in outlets.values():
        load = outlet.load(
            outlet.floor if outlet.connector.autonomous_fallback else outlet.maximum
        )
        for circuit in outlet.path:
            total = floors[circuit.id]
            for index, value in enumerate(load):
                total[index] += value
    issues: list[Issue] = []
    for circuit in site.circuits:
        total = floors[circuit.id]
        if circuit.limit_a is not None:
            issues += [
                Issue(
                    kind=IssueKind.FLOORS_OVER_LIMIT,
                    circuit=circuit.id,
                    phase=phase,
                    value=round(value + site.margin_a - limit_a, 3),
                )
                for phase, limit_a, value in zip(
                    PHASES, circuit.limit_a, total, strict=False
                )
                if value + site.margin_a > limit_a
            ]
        if circuit.limit_w is not None and total[3] > circuit.limit_w:
            issues.append(
                Issue(
                    kind=IssueKind.FLOORS_OVER_LIMIT,
                    circuit=circuit.id,
                    value=round((total[3] - circuit.limit_w) / site.voltage_v, 3),
                )
            )
    return issues


def _without_fallback(outlets: Mapping[str, Outlet]) -> list[Issue]:
    return [
        Issue(kind=IssueKind.NO_AUTONOMOUS_FALLBACK, connector=name)
        for name, outlet in outlets.items()
        if not outlet.connector.autonomous_fallback
    ]


def _outlet(site: Site, connector: Connector, path: tuple[Circuit, ...]) -> Outlet:
    settings = site.settings
    dc = connector.supply is Supply.DC
    phases: tuple[Phase, ...] | None = PHASES if dc else connector.phases
    maximum = connector.max_w if dc else connector.max_a
    if settings.failsafe is FailsafeAction.STOP:
        fallback = 0.0
    else:
        fallback = min(connector.min_w if dc else settings.failsafe_a, maximum)
    places = tuple(PHASES.index(phase) for phase in phases or PHASES)
    count = connector.phase_count if phases is None else len(phases)
    unit_a = 1 / (connector.efficiency * site.voltage_v * 3) if dc else 1.0
    minimum = connector.min_w if dc else connector.min_a
    return Outlet(
        connector=connector,
        path=path,
        metered=tuple(circuit.id for circuit in path if circuit.metered),
        is_dc=dc,
        unit_a=unit_a,
        minimum=minimum,
        maximum=maximum,
        min_a=minimum * unit_a,
        max_a=maximum * unit_a,
        step=connector.step_w if dc else connector.step_a,
        floor=fallback,
        phases=phases,
        places=places,
        phase_count=count,
        every=tuple(range(count)),
        per_a={
            used: _per_a(
                places if phases is None else tuple([places[own] for own in used]),
                len(used),
                site.voltage_v,
            )
            for size in range(1, count + 1)
            for used in combinations(range(count), size)
        },
        voltage_v=site.voltage_v,
    )


def _per_a(places: tuple[int, ...], phase_count: int, voltage_v: float) -> Vector:
    l1, l2, l3 = (float(place in places) for place in range(3))
    return l1, l2, l3, phase_count * voltage_v

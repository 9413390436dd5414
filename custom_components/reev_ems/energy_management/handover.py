"""What charge points may keep while nobody steers, before a planned stop: permits that fit every limit by themselves.

A kept permit ends with its transaction, and whoever comes then gets the floor. So every connector is booked with its floor, one
that cannot fall back by itself with its maximum, and on top of that what a kept permit is above the floor. The base
load may rise meanwhile to the highest of the last minutes, and by a reserve. What does not fit is lowered, all that
share a row alike; nothing is ever raised.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from math import floor, inf

from .decision import Decision, SiteState
from .frozen import frozen
from .model import PHASES, Circuit, Connector, FailsafeAction, PerPhase, Site, Supply
from .observation import ConnectorState, Observation
from .tree import is_below, parents_of

RESERVE = 0.1
"""The share of a limit by which the base load may rise at least: the highest of some minutes says little about the next."""
_ROUNDING = 1e-6
_EMPTY = frozenset({ConnectorState.AVAILABLE, ConnectorState.FAULTED})
type _PerWatt = tuple[float, float, float, float]
"""What one unit of a permit loads: A on L1, L2, L3, and W."""


@frozen
class BaseLoad:
    """What a circuit carried besides our connectors over the last minutes, in A per phase."""

    highest_a: PerPhase
    lowest_a: PerPhase


@dataclass(frozen=True, slots=True)
class _Booking:
    """A connector in the units of its permit."""

    connector: Connector
    least: float
    """It may draw this in any case: its floor, or its maximum where it does not fall back by itself."""
    more: float
    """What its permit is above that, if it may be kept."""
    least_load: _PerWatt
    more_load: _PerWatt
    occupied: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """A limit: what is left of it by the base load, and what its members load it with."""

    room: float
    members: tuple[tuple[_Booking, float, float], ...]
    """With what one unit of the least, and of what is above it, loads the row."""


def permits_to_keep(
    site: Site,
    observation: Observation,
    decision: Decision,
    base: Mapping[str, BaseLoad],
    able: Container[str],
) -> dict[str, float]:
    """Return the permits that connectors may keep for some minutes without anybody looking, in A (AC) or W (DC).

    Args:
        site: as it is steered.
        observation: the last one.
        decision: the last one; where the site is not regulating nothing is kept.
        base: by circuit; a limit of a circuit that is not in it is not known to hold.
        able: the connectors with a running transaction whose permit lapses to the floor by itself.
    """
    if decision.state is not SiteState.REGULATING:
        return {}
    bookings = {
        connector.id: _book(site, connector, observation, decision, able)
        for connector in site.connectors
    }
    share = dict.fromkeys(bookings, 1.0)
    for row in _rows(site, observation, base, list(bookings.values())):
        room = row.room - sum(it.least * least for it, least, _ in row.members)
        wanted = sum(it.more * more for it, _, more in row.members)
        if wanted <= room:
            continue
        fits = max(room / wanted, 0.0) if wanted > 0 else 0.0
        for it, _, more in row.members:
            if more > 0:
                share[it.connector.id] = min(share[it.connector.id], fits)
    kept: dict[str, float] = {}
    for name, it in bookings.items():
        if name not in able:
            continue
        permit = _permit(it.connector, decision)
        if it.more > 0:
            permit = _truncate(it.connector, it.least + it.more * share[name])
            if permit <= it.least or permit < _minimum(it.connector):
                continue
        kept[name] = permit
    return kept


def _book(
    site: Site,
    connector: Connector,
    observation: Observation,
    decision: Decision,
    able: Container[str],
) -> _Booking:
    """Return what a connector may draw while nobody looks."""
    least = _floor(site, connector)
    if not connector.autonomous_fallback:
        dc = connector.supply is Supply.DC
        least = connector.max_w if dc else connector.max_a
    more = 0.0
    if connector.id in able:
        more = max(_permit(connector, decision) - least, 0.0)
    decided = decision.connectors.get(connector.id)
    used = None if decided is None else decided.phase_count or decided.used_phases
    seen = observation.connectors.get(connector.id)
    return _Booking(
        connector=connector,
        least=least,
        more=more,
        least_load=_load(site, connector, None),
        more_load=_load(site, connector, used),
        occupied=seen is None or seen.state not in _EMPTY,
    )


def _rows(
    site: Site,
    observation: Observation,
    base: Mapping[str, BaseLoad],
    bookings: list[_Booking],
) -> Iterator[_Row]:
    """Yield every limit of the site."""
    parents = parents_of(site.circuits)
    for circuit in site.circuits:
        below = [
            it for it in bookings if is_below(parents, it.connector.circuit, circuit.id)
        ]
        rooms = _rooms(site, circuit, base.get(circuit.id))
        for index, room in enumerate(rooms):
            if room is not None:
                yield _row(room, below, index)
        if circuit.parent is None and site.imbalance is not None:
            limit_a = site.imbalance.limit_a - site.margin_a
            yield from _imbalance(limit_a, base.get(circuit.id), bookings)
    # What no fuse protects counts for those that are there.
    occupied = [it for it in bookings if it.occupied]
    if observation.external_limit_w is not None:
        yield _row(observation.external_limit_w, occupied, 3)
    for group in site.user_groups:
        members = [
            it
            for it in occupied
            if (seen := observation.connectors.get(it.connector.id))
            and group.id in seen.groups
        ]
        limits = (*(group.limit_a or (None, None, None)), group.limit_w)
        for index, limit in enumerate(limits):
            if limit is not None:
                yield _row(limit, members, index)


def _rooms(
    site: Site, circuit: Circuit, base: BaseLoad | None
) -> tuple[float | None, ...]:
    """Return what a circuit's limits leave to the connectors on L1, L2, L3 (A) and in all (W); None: no such limit."""
    limits = (*(circuit.limit_a or (None, None, None)), circuit.limit_w)
    if base is None:
        return tuple(None if limit is None else -inf for limit in limits)
    loads = [
        (highest, highest - lowest, site.margin_a)
        for highest, lowest in zip(base.highest_a, base.lowest_a, strict=True)
    ]
    highest, varied, _ = (
        sum(values) * site.voltage_v for values in zip(*loads, strict=True)
    )
    loads.append((highest, varied, 0.0))
    return tuple(
        None
        if limit is None
        else limit
        - margin
        - load
        # Where nothing is measured the base load is what a person has reserved.
        - (max(variation, RESERVE * limit) if circuit.metered else 0.0)
        for limit, (load, variation, margin) in zip(limits, loads, strict=True)
    )


def _row(room: float, members: list[_Booking], index: int) -> _Row:
    """Return the row of one place of the loads."""
    return _Row(
        room,
        tuple(
            (it, it.least_load[index], it.more_load[index])
            for it in members
            if it.least_load[index] > 0
        ),
    )


def _imbalance(
    limit_a: float, base: BaseLoad | None, bookings: list[_Booking]
) -> Iterator[_Row]:
    """Yield for each pair of phases what those may draw that load the first and not the second."""
    for p, high_phase in enumerate(PHASES):
        for q, _ in enumerate(PHASES):
            members = tuple(
                (it, it.least_load[p], it.more_load[p])
                for it in bookings
                if it.occupied
                and p != q
                and _loads_alone(it.connector, high_phase, PHASES[q], it.more_load[q])
            )
            if members:
                room = -inf
                if base is not None:
                    room = limit_a - (base.highest_a[p] - base.lowest_a[q])
                yield _Row(room, members)


def _loads_alone(
    connector: Connector, one: str, other: str, more_on_other: float
) -> bool:
    """Return whether a connector can load one phase without the other."""
    if connector.supply is Supply.DC:
        return False
    if connector.phases is None:
        return connector.phase_count < len(PHASES)
    return one in connector.phases and (
        other not in connector.phases or more_on_other == 0
    )


def _load(site: Site, connector: Connector, used: int | None) -> _PerWatt:
    """Return what one unit of a permit loads, on all of the connector's phases or on as many as are used."""
    if connector.supply is Supply.DC:
        power_w = 1 / connector.efficiency
        current_a = power_w / (len(PHASES) * site.voltage_v)
        return current_a, current_a, current_a, power_w
    if connector.phases is None:
        return 1.0, 1.0, 1.0, connector.phase_count * site.voltage_v
    phases = connector.phases[: used or None]
    l1, l2, l3 = (1.0 if phase in phases else 0.0 for phase in PHASES)
    return l1, l2, l3, len(phases) * site.voltage_v


def _permit(connector: Connector, decision: Decision) -> float:
    """Return what a connector is permitted; nothing before the first decision about it."""
    decided = decision.connectors.get(connector.id)
    if decided is None:
        return 0.0
    return decided.permit_a or decided.permit_w or 0.0


def _floor(site: Site, connector: Connector) -> float:
    """Return what a connector falls back to."""
    if site.settings.failsafe is FailsafeAction.STOP:
        return 0.0
    if connector.supply is Supply.DC:
        return connector.min_w
    return min(site.settings.failsafe_a, connector.max_a)


def _minimum(connector: Connector) -> float:
    """Return the least with which a connector charges."""
    return connector.min_w if connector.supply is Supply.DC else connector.min_a


def _truncate(connector: Connector, permit: float) -> float:
    """Return the largest whole number of steps within a permit."""
    step = connector.step_w if connector.supply is Supply.DC else connector.step_a
    return round(floor(permit / step + _ROUNDING) * step, 6)

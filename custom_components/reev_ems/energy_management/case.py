"""The question that the allocation answers, and its answer.

A `Case` is one moment of a site: what each circuit carries besides the connectors that take part, and for each of
these connectors a `Demand`, what it may be given now. `allocation.allocate(case)` answers with an `Allocation`;
`guard.guard(case, permits_a, order)` checks any set of permits against the same case.

Currents are in A per phase that a connector uses. A DC connector is the three-phase AC current of its power:
`dc_power_to_a` and `a_to_dc_power` convert. Powers of DC connectors are output powers, all others are at the AC side.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple, Self

from .decision import Limit
from .frozen import frozen, replace
from .model import PHASES, Connector, PartPerPhase, PerPhase, Phase, Site, Supply

type PhaseCount = int
"""1, 2 or 3."""

SITE_BUDGET = ""
"""Id of the PV budget of the whole site; other budgets bear the id of their circuit."""


def dc_power_to_a(power_w: float, voltage_v: float, efficiency: float) -> float:
    """Return the AC-side current in A per phase of a DC output power in W."""
    return power_w / (efficiency * voltage_v * 3)


def a_to_dc_power(current_a: float, voltage_v: float, efficiency: float) -> float:
    """Return the DC output power in W of an AC-side current in A per phase."""
    return current_a * efficiency * voltage_v * 3


@frozen
class Demand:
    """What one connector may be given now; a connector that is not to share has none.

    It gets nothing, or something from `min_a` to `max_a` in whole steps of its charger, on `phases`. Where its
    connector can switch phases and uses three, it may be given one phase instead of nothing.
    """

    connector: Connector
    min_a: float
    """In A per phase used; the least that starts a car."""
    max_a: float
    """In A per phase used; below `min_a` the connector is paused."""
    priority: int = 5
    """The effective class, 1 to 10: the highest of the charge point's, its user's and the user's groups'."""
    phases: tuple[Phase, ...] | None = PHASES
    """Grid phases that it loads; None: unknown, it counts on every one (S2)."""
    solar: bool = False
    """Whether all of it counts in the PV budgets (mode `solar`)."""
    solar_above_min: bool = False
    """Whether the part above its minimum counts in the PV budgets (mode `solar_min`)."""
    pv_budgets: tuple[str, ...] = ()
    """Ids of the PV budgets that bind it: SITE_BUDGET, circuits."""
    served_wh: float = 0.0
    """What it got in the running window; the least served goes first."""
    arrived_s: float = 0.0
    inside_min_on: bool = False
    """Whether it started so lately that it should not be paused."""
    starts: bool = False
    """Whether it does not charge yet: it is admitted only with `Case.start_reserve_a` left over, or into idle room."""
    protected: bool = False
    """Whether it has had its share of pauses, and keeps its minimum before those of its class with fewer."""
    wants: bool = True
    """Whether its car takes what it is offered; one that sleeps goes last."""
    groups: tuple[str, ...] = ()
    """Ids of the user groups of whoever charges; those without a limit on the site are passed over."""
    measured_a: PartPerPhase | None = None
    """What it really draws from L1, L2, L3; lets the other phases follow under the imbalance limit."""

    @classmethod
    def of(cls, connector: Connector, voltage_v: float) -> Self:
        """Return the demand of a connector of which nothing is known but its configuration."""
        if connector.supply is Supply.DC:
            min_a = dc_power_to_a(connector.min_w, voltage_v, connector.efficiency)
            max_a = dc_power_to_a(connector.max_w, voltage_v, connector.efficiency)
            phases: tuple[Phase, ...] | None = PHASES
        else:
            min_a, max_a, phases = connector.min_a, connector.max_a, connector.phases
        return cls(
            connector=connector,
            min_a=min_a,
            max_a=max_a,
            priority=connector.priority,
            phases=phases,
        )

    @property
    def phase_count(self) -> PhaseCount:
        """Return how many phases it uses."""
        if self.connector.supply is Supply.DC:
            return 3
        if self.phases is None:
            return self.connector.phase_count
        return len(self.phases)

    def step_a(self, voltage_v: float) -> float:
        """Return the charger's step in A per phase used (DC: AC side)."""
        connector = self.connector
        if connector.supply is Supply.AC:
            return connector.step_a
        return dc_power_to_a(connector.step_w, voltage_v, connector.efficiency)

    @property
    def may_use_one_phase(self) -> bool:
        """Return whether it may be given one phase instead of the three that it uses."""
        return (
            self.connector.can_switch_phases
            and self.connector.supply is Supply.AC
            and self.phases is not None
            and len(self.phases) == 3
        )

    def on_one_phase(self) -> Self:
        """Return the demand after the switch to its first line phase.

        Raises:
            ValueError: it cannot switch.
        """
        if not self.may_use_one_phase or self.phases is None:
            raise ValueError(f"{self.connector.id} cannot switch to one phase")
        return replace(self, phases=self.phases[:1])


@frozen
class Case:
    """One moment of a site, for the allocation and the guard.

    Three mappings say what a circuit carries besides `demands`. Each is keyed by circuit and holds for that circuit
    alone, nothing is added up along the tree: a metered circuit sees what lies below it in its own meter.
    """

    site: Site
    demands: tuple[Demand, ...] = ()
    base_a: Mapping[str, PerPhase | None] = field(default_factory=dict)
    """Base load per circuit, signed (feeding in is room). Left out: the circuit's configured reserve.
    None: unknown. Then nobody can say what room there is: the caller must hand in the connectors below with their
    failsafe as maximum. They are still held below the limit less the configured reserve."""
    base_w: Mapping[str, float | None] = field(default_factory=dict)
    """Base load per circuit in W, for `limit_w`. Left out or None: what `base_a` amounts to."""
    reservations_a: Mapping[str, PerPhase] = field(default_factory=dict)
    """What connectors without a demand are booked with, as far as `base_a` does not hold it already."""
    relief_a: Mapping[str, PerPhase] = field(default_factory=dict)
    """By circuit, what its phases may be loaded beyond `limit_a` for a moment, because the breaker bears it; at least 0.
    Left out: nothing. It widens the rows of the circuit's phases and neither its power nor what it shows as available."""
    group_reservations_a: Mapping[str, PerPhase] = field(default_factory=dict)
    """Per user group with a limit, what its members' connectors without a demand are booked with."""
    surplus_w: Mapping[str, float] = field(default_factory=dict)
    """Per PV budget, what its members may draw together: in `solar_min` above their minimums. A budget that binds
    someone and is left out is unknown, so there is none (S2)."""
    surplus_a: Mapping[str, PerPhase] = field(default_factory=dict)
    """Per PV budget, the same per phase, where a meter does not net the phases; left out: no such rows."""
    external_limit_w: float | None = None
    """What all demands together may draw at the AC side (§14a EnWG), already less what connectors without a demand
    are booked with; None: no limit."""
    imbalance_base_a: PerPhase | None = None
    """Current at the grid connection less what the demands draw, signed. With `site.imbalance` set it makes the
    imbalance rows; None: there are none."""
    imbalance_low_a: PerPhase | None = None
    """The least that the same may be, for the phase that helps; None: `imbalance_base_a`."""
    start_reserve_a: Mapping[str, PerPhase] = field(default_factory=dict)
    """By circuit, how much its base load has lately been above `base_a`: a car that starts has to fit then, too, so that
    it is not paused again by the next peak."""
    imbalance_start_a: Mapping[str, float] = field(default_factory=dict)
    """By pair of phases ("L1 over L3"), the same for the imbalance rows."""
    imbalance_relief_a: Mapping[str, float] = field(default_factory=dict)
    """By pair of phases ("L1 over L3"), what a violation may exceed the limit by while it is too young to act on."""


class Share(NamedTuple):
    """What an admitted connector gets; a tuple, since one is made for every connector in every step."""

    current_a: float
    """Per phase used (DC: AC side), a whole number of the charger's steps."""
    power_w: float
    """AC: at nominal voltage; DC: output power."""
    limited_by: Limit
    phase_count: PhaseCount | None = None
    """Phases to charge with, only where the connector can switch them."""


@frozen
class CircuitShare:
    """How a circuit is used by the demands, in A per phase."""

    available_a: PerPhase | None
    """limit − margin − base load − reservations; negative if the base load alone exceeds the limit.
    None: the circuit has no limit per phase, or its base load is unknown."""
    used_a: PerPhase
    """What the shares come to; an unknown phase counts on every one."""


@frozen
class Allocation:
    """The permit of each, those that get nothing, and what limited each."""

    shares: Mapping[str, Share]
    """By connector, the admitted ones."""
    paused: Mapping[str, Limit]
    """By connector, the rest, with the row that lacked the room for its minimum."""
    circuits: Mapping[str, CircuitShare]
    order: tuple[str, ...]
    """The demands' ids in the order of admission; who has to go goes from its end."""
    support_a: Mapping[str, float] = field(default_factory=dict)
    """By connector, the current per phase that others relied on under the imbalance limit."""

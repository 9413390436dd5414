"""The case as JSON: public, documented, kept in bug reports and tests (docs/cases.md)."""

from .case import SITE_BUDGET, Allocation, Case, Demand
from .fields import Fields, RefusedError, parse
from .frozen import replace
from .model import (
    PHASES,
    ChargingMode,
    Circuit,
    Connector,
    ImbalanceLimit,
    PartPerPhase,
    PerPhase,
    Phase,
    SharingPolicy,
    Site,
    Supply,
    UserGroup,
)
from .tree import paths_to_root

FOLLOWING = (ChargingMode.SOLAR, ChargingMode.SOLAR_MIN)
"""The modes that follow the sun."""

_NO_LOAD: PerPhase = (0.0, 0.0, 0.0)


def read_circuit(fields: Fields) -> Circuit:
    """Read what is configured of a circuit.

    Raises:
        RefusedError: a field cannot be used.
    """
    return Circuit(
        id=fields.text("id"),
        parent=fields.optional_text("parent"),
        limit_a=fields.per_phase("limit_a", least=0),
        limit_w=fields.optional_number("limit_w", least=0),
        hard_limit=fields.flag("hard_limit", default=False),
        generation=fields.optional_flag("generation"),
    )


def read_connector(fields: Fields) -> Connector:
    """Read what is configured of a connector.

    Raises:
        RefusedError: a field cannot be used.
    """
    default = Connector(id="", circuit="")
    connector = Connector(
        id=fields.text("id"),
        circuit=fields.text("circuit"),
        supply=fields.choice("supply", default.supply),
        phases=_phases(fields) if fields.has("phases") else default.phases,
        phase_count=fields.whole_number(
            "phase_count", default.phase_count, least=1, most=3
        ),
        min_a=fields.number("min_a", default.min_a, above=0),
        max_a=fields.number("max_a", default.max_a, least=0),
        min_w=fields.number("min_w", default.min_w, above=0),
        max_w=fields.number("max_w", default.max_w, least=0),
        efficiency=fields.number("efficiency", default.efficiency, above=0, most=1),
        step_a=fields.number("step_a", default.step_a, least=1e-6),
        step_w=fields.number("step_w", default.step_w, least=1e-3),
        priority=fields.whole_number("priority", default.priority, least=1, most=10),
        weight=fields.number("weight", default.weight, least=1e-3, most=1e3),
        mode=fields.choice("mode", default.mode),
        automatic_mode=_automatic_mode(fields),
        obeys_pause=fields.flag("obeys_pause", default=default.obeys_pause),
        can_switch_phases=fields.flag(
            "can_switch_phases", default=default.can_switch_phases
        ),
    )
    if connector.supply is Supply.AC and connector.max_a < connector.min_a:
        fields.refuse("max_a", "is below min_a")
    if connector.supply is Supply.DC and connector.max_w < connector.min_w:
        fields.refuse("max_w", "is below min_w")
    return connector


def read_user_groups(fields: Fields) -> tuple[UserGroup, ...]:
    """Read the user groups that have a limit.

    Raises:
        RefusedError: a field cannot be used, or an id is there twice.
    """
    groups: dict[str, UserGroup] = {}

    def read(fields: Fields) -> None:
        group = UserGroup(
            id=fields.text("id"),
            limit_a=fields.per_phase("limit_a", least=0),
            limit_w=fields.optional_number("limit_w", least=0),
        )
        if group.id in groups:
            fields.refuse("id", f"{group.id!a} is there twice")
        groups[group.id] = group

    for _ in fields.each("user_groups", read):
        pass
    return tuple(groups.values())


def read_groups(fields: Fields, known: frozenset[str]) -> tuple[str, ...]:
    """Read which of the site's user groups somebody belongs to.

    Raises:
        RefusedError: there is no such group, or it is named twice.
    """
    names = (fields.texts("groups") or ()) if fields.has("groups") else ()
    if missing := [name for name in names if name not in known]:
        fields.refuse("groups", f"there is no {missing[0]!a}")
    if len(set(names)) < len(names):
        fields.refuse("groups", "must not name a group twice")
    return names


def _automatic_mode(fields: Fields) -> ChargingMode:
    mode = fields.choice("automatic_mode", ChargingMode.SOLAR)
    if mode not in FOLLOWING:
        fields.refuse("automatic_mode", f"must be one of {', '.join(FOLLOWING)}")
    return mode


def _phases(fields: Fields) -> tuple[Phase, ...] | None:
    names = fields.texts("phases")
    if names is None:
        return None
    if not names or len(set(names)) < len(names) or set(names) - set(PHASES):
        fields.refuse("phases", "must be one to three of L1, L2, L3, or null")
    return tuple(Phase(name) for name in names)


def check_circuits(circuits: tuple[Circuit, ...]) -> None:
    """Check that the circuits are a tree with one root.

    Raises:
        RefusedError: they are not.
    """
    if not circuits:
        raise RefusedError("circuits: must not be empty")
    ids = {circuit.id for circuit in circuits}
    seen: set[str] = set()
    roots = 0
    for index, circuit in enumerate(circuits):
        at = f"circuits[{index}]"
        if circuit.id in seen:
            raise RefusedError(f"{at}.id: {circuit.id!a} is there twice")
        seen.add(circuit.id)
        if circuit.parent is None:
            roots += 1
            if roots > 1:
                raise RefusedError(
                    f"{at}.parent: only one circuit may be without a parent"
                )
        elif circuit.parent not in ids:
            raise RefusedError(f"{at}.parent: there is no {circuit.parent!a}")
    try:
        paths_to_root(circuits)
    except ValueError as error:
        raise RefusedError(f"circuits[].parent: {error}") from None


def check_connectors(
    circuits: tuple[Circuit, ...], connectors: tuple[Connector, ...]
) -> None:
    """Check that the connectors hang on circuits that exist and that their ids differ.

    Raises:
        RefusedError: they do not.
    """
    ids = {circuit.id for circuit in circuits}
    seen: set[str] = set()
    for index, connector in enumerate(connectors):
        if connector.id in seen:
            raise RefusedError(
                f"connectors[{index}].id: {connector.id!a} is there twice"
            )
        seen.add(connector.id)
        if connector.circuit not in ids:
            raise RefusedError(
                f"connectors[{index}].circuit: there is no {connector.circuit!a}"
            )


def read_case(text: str) -> Case:
    """Read a case.

    Raises:
        RefusedError: it cannot be used; the text names the field.
    """
    fields = Fields(parse(text))
    voltage_v = fields.number("voltage_v", 230.0, least=50, most=1000)
    base_a: dict[str, PerPhase | None] = {}
    base_w: dict[str, float | None] = {}
    user_groups = read_user_groups(fields)
    group_ids = frozenset(group.id for group in user_groups)

    def circuit_of(fields: Fields) -> Circuit:
        circuit = read_circuit(fields)
        base_a[circuit.id] = (
            _known(fields.part_per_phase("base_a"))
            if fields.has("base_a")
            else _NO_LOAD
        )
        base_w[circuit.id] = fields.optional_number("base_w")
        return circuit

    def demand_of(fields: Fields) -> Demand:
        connector = read_connector(fields)
        return replace(
            Demand.of(connector, voltage_v),
            served_wh=fields.number("served_wh", 0.0, least=0),
            arrived_s=fields.number("arrived_s", 0.0),
            inside_min_on=fields.flag("current_min_on", default=False),
            groups=read_groups(fields, group_ids),
            measured_a=fields.part_per_phase("measured_a", least=0),
        )

    circuits = tuple(fields.each("circuits", circuit_of))
    demands = tuple(fields.each("connectors", demand_of))
    connectors = tuple(demand.connector for demand in demands)
    check_circuits(circuits)
    check_connectors(circuits, connectors)
    sharing = fields.choice("sharing", SharingPolicy.PRIORITY)
    margin_a = fields.number("margin_a", 0.0, least=0)
    external_limit_w = fields.optional_number("external_limit_w", least=0)
    surplus_w = _surplus(fields, base_a)
    imbalance, imbalance_base_a = _imbalance(fields)
    if imbalance is not None and imbalance_base_a is None:
        imbalance_base_a = next(
            base_a[circuit.id] for circuit in circuits if circuit.parent is None
        )
    fields.done()
    paths = paths_to_root(circuits)
    return Case(
        site=Site(
            circuits=circuits,
            connectors=connectors,
            user_groups=user_groups,
            sharing=sharing,
            voltage_v=voltage_v,
            margin_a=margin_a,
            pv_surplus=SITE_BUDGET in surplus_w,
            imbalance=imbalance,
        ),
        demands=tuple(
            _bound_to(demand, paths[demand.connector.circuit], base_a, surplus_w)
            for demand in demands
        ),
        base_a=base_a,
        base_w=base_w,
        surplus_w=surplus_w,
        external_limit_w=external_limit_w,
        imbalance_base_a=imbalance_base_a,
    )


def _known(values: PartPerPhase | None) -> PerPhase | None:
    if values is None:
        return None
    l1, l2, l3 = values
    return None if l1 is None or l2 is None or l3 is None else (l1, l2, l3)


def _surplus(fields: Fields, base_a: dict[str, PerPhase | None]) -> dict[str, float]:
    """Read the PV budgets: the site's, and those of circuits."""
    surplus_w: dict[str, float] = {}
    if (of_site := fields.optional_number("surplus_w")) is not None:
        surplus_w[SITE_BUDGET] = of_site
    groups = fields.inner("group_surplus_w")
    if groups is not None:
        for name in groups.names():
            if name not in base_a:
                groups.refuse(ascii(name)[1:-1], "there is no such circuit")
            surplus_w[name] = groups.number(name, 0.0)
    return surplus_w


def _imbalance(fields: Fields) -> tuple[ImbalanceLimit | None, PerPhase | None]:
    given = fields.inner("imbalance")
    if given is None:
        return None, None
    limit_a = given.number("limit_a", ImbalanceLimit().limit_a, least=0)
    base_a = given.per_phase("base_a")
    given.done()
    return ImbalanceLimit(limit_a=limit_a), base_a


def _bound_to(
    demand: Demand,
    path: tuple[Circuit, ...],
    base_a: dict[str, PerPhase | None],
    surplus_w: dict[str, float],
) -> Demand:
    """Return the demand with its PV budgets, and held at its minimum where a base load is unknown (S2)."""
    connector = demand.connector
    budgets = tuple(
        budget
        for budget in (SITE_BUDGET, *(circuit.id for circuit in path))
        if budget in surplus_w
    )
    mode = connector.mode
    if mode is ChargingMode.AUTOMATIC:
        mode = connector.automatic_mode if budgets else ChargingMode.FAST
    if mode not in FOLLOWING:
        budgets = ()
    elif not budgets:
        # Nobody says that there is a surplus, so there is none.
        budgets = (SITE_BUDGET,)
    unknown = any(base_a[circuit.id] is None for circuit in path)
    return replace(
        demand,
        max_a=demand.min_a if unknown else demand.max_a,
        solar=mode is ChargingMode.SOLAR,
        solar_above_min=mode is ChargingMode.SOLAR_MIN,
        pv_budgets=budgets,
    )


def result(allocation: Allocation) -> dict[str, object]:
    """Return the allocation as plain JSON values."""
    return {
        "connectors": {
            name: {
                "current_a": round(share.current_a, 6),
                "power_w": round(share.power_w, 6),
                "limited_by": str(share.limited_by),
            }
            | ({} if share.phase_count is None else {"phase_count": share.phase_count})
            for name, share in allocation.shares.items()
        },
        "paused": {
            name: {"lacked": str(limit)} for name, limit in allocation.paused.items()
        },
        "circuits": {
            name: {
                "available_a": circuit.available_a
                and [round(value, 6) for value in circuit.available_a],
                "used_a": [round(value, 6) for value in circuit.used_a],
            }
            for name, circuit in allocation.circuits.items()
        },
    }

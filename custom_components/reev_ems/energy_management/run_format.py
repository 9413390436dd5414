"""The lines of a run: site, observations in, decisions out (docs/cases.md)."""

from collections.abc import Mapping
from dataclasses import MISSING, fields as fields_of
from typing import Any

from .case_format import (
    check_circuits,
    check_connectors,
    read_circuit,
    read_connector,
    read_groups,
    read_user_groups,
)
from .decision import Action, Decision
from .fields import Fields, RefusedError
from .frozen import replace
from .model import Circuit, Connector, FailsafeAction, ImbalanceLimit, Settings, Site
from .observation import (
    BatteryObservation,
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    Observation,
)


def read_site(fields: Fields) -> tuple[Site, frozenset[str]]:
    """Read the site.

    Returns:
        The site, and the circuits of which it does not say whether they have a meter: they have one as soon as an
        observation names it. The grid connection has one unless the site says otherwise or gives it a `reserve_a`.

    Raises:
        RefusedError: it cannot be used; the text names the field.
    """
    open_circuits: set[str] = set()

    def circuit_of(fields: Fields) -> Circuit:
        said, reserved = fields.has("metered"), fields.has("reserve_a")
        metered = fields.flag("metered", default=False)
        reserve_a = fields.per_phase("reserve_a", least=0) or (0.0, 0.0, 0.0)
        follows_pv = fields.flag("follows_pv", default=False)
        own_pv = fields.flag("own_pv", default=False)
        circuit = read_circuit(fields)
        if not said and circuit.parent is None:
            metered = not reserved
        elif not said:
            open_circuits.add(circuit.id)
        return replace(
            circuit,
            metered=metered,
            reserve_a=reserve_a,
            follows_pv=follows_pv,
            own_pv=own_pv,
        )

    def connector_of(fields: Fields) -> Connector:
        fallback = fields.flag("autonomous_fallback", default=True)
        return replace(read_connector(fields), autonomous_fallback=fallback)

    default = Site(circuits=())
    circuits = tuple(fields.each("circuits", circuit_of))
    connectors = tuple(fields.each("connectors", connector_of))
    check_circuits(circuits)
    check_connectors(circuits, connectors)
    site = Site(
        circuits=circuits,
        connectors=connectors,
        user_groups=read_user_groups(fields),
        sharing=fields.choice("sharing", default.sharing),
        voltage_v=fields.number("voltage_v", default.voltage_v, least=50, most=1000),
        margin_a=fields.number("margin_a", default.margin_a, least=0),
        load_management=fields.flag("load_management", default=default.load_management),
        pv_surplus=fields.flag("pv_surplus", default=default.pv_surplus),
        imbalance=_imbalance(fields) if fields.has("imbalance") else None,
        settings=_settings(fields.inner("settings")),
    )
    fields.done()
    return site, frozenset(open_circuits)


def _imbalance(fields: Fields) -> ImbalanceLimit | None:
    given = fields.inner("imbalance")
    if given is None:
        return None
    limit_a = given.number("limit_a", ImbalanceLimit().limit_a, least=0)
    given.done()
    return ImbalanceLimit(limit_a=limit_a)


def _settings(given: Fields | None) -> Settings:
    if given is None:
        return Settings()
    values: dict[str, Any] = {}
    for item in fields_of(Settings):
        if not given.has(item.name):
            continue
        default = None if item.default is MISSING else item.default
        if isinstance(default, FailsafeAction):
            values[item.name] = given.choice(item.name, default)
        elif isinstance(default, bool):
            values[item.name] = given.flag(item.name, default=default)
        elif default is None:
            values[item.name] = given.optional_number(item.name, least=0)
        else:
            values[item.name] = given.number(item.name, 0.0, least=0)
    given.done()
    return replace(Settings(), **values)


def read_observation(fields: Fields, site: Site) -> Observation:
    """Read an observation of a site.

    Raises:
        RefusedError: it cannot be used; the text names the field.
    """
    if not fields.has("at_s"):
        fields.refuse("at_s", "is missing")
    at_s = fields.number("at_s", 0.0)
    circuits = {circuit.id for circuit in site.circuits}
    connectors = {connector.id for connector in site.connectors}
    meters: dict[str, MeterObservation] = {}
    given = fields.inner("meters")
    for name in given.names() if given else ():
        if given is None or name not in circuits:
            raise RefusedError(f"meters.{ascii(name)[1:-1]}: there is no such circuit")
        meter = given.inner(name)
        meters[name] = MeterObservation() if meter is None else _meter(meter)
    groups = frozenset(group.id for group in site.user_groups)
    found: dict[str, ConnectorObservation] = {}
    given = fields.inner("connectors")
    for name in given.names() if given else ():
        if given is None or name not in connectors:
            raise RefusedError(
                f"connectors.{ascii(name)[1:-1]}: there is no such connector"
            )
        connector = given.inner(name)
        if connector is not None:
            found[name] = _connector(connector, groups)
    external_limit_w = fields.optional_number("external_limit_w", least=0)
    battery = fields.inner("battery")
    observation = Observation(
        at_s=at_s,
        meters=meters,
        connectors=found,
        external_limit_w=external_limit_w,
        battery=None if battery is None else _battery(battery),
    )
    fields.done()
    return observation


def _meter(fields: Fields) -> MeterObservation:
    meter = MeterObservation(
        current_a=fields.part_per_phase("current_a"),
        power_w=fields.optional_number("power_w"),
        voltage_v=fields.part_per_phase("voltage_v"),
        energy_import_wh=fields.optional_number("energy_import_wh"),
        age_s=fields.optional_number("age_s", least=0),
    )
    fields.done()
    return meter


def _connector(fields: Fields, groups: frozenset[str]) -> ConnectorObservation:
    if not fields.has("state"):
        fields.refuse("state", "is missing")
    connector = ConnectorObservation(
        state=fields.choice("state", ConnectorState.OFFLINE),
        current_a=fields.part_per_phase("current_a"),
        power_w=fields.optional_number("power_w"),
        age_s=fields.optional_number("age_s", least=0),
        permit_a=fields.optional_number("permit_a", least=0),
        permit_w=fields.optional_number("permit_w", least=0),
        priorities=_priorities(fields),
        groups=read_groups(fields, groups),
        used_phases=fields.optional_whole_number("used_phases", least=1, most=3),
        session_wh=fields.optional_number("session_wh", least=0),
        enabled=fields.flag("enabled", default=True),
        authorized=fields.flag("authorized", default=True),
    )
    fields.done()
    return connector


def _priorities(fields: Fields) -> tuple[int, ...]:
    if not fields.has("priorities"):
        return ()
    return fields.whole_numbers("priorities", least=1, most=10)


def _battery(fields: Fields) -> BatteryObservation:
    battery = BatteryObservation(
        power_w=fields.optional_number("power_w"),
        soc_pct=fields.optional_number("soc_pct", least=0, most=100),
    )
    fields.done()
    return battery


def decision_line(decision: Decision) -> dict[str, object]:
    """Return a decision as plain JSON values."""
    return {
        "at_s": decision.at_s,
        "connectors": {
            name: _given(
                permit_a=connector.permit_a,
                permit_w=connector.permit_w,
                limited_by=str(connector.limited_by),
                phase_count=connector.phase_count,
                used_phases=connector.used_phases,
            )
            for name, connector in decision.connectors.items()
        },
        "commands": [
            _given(
                connector=command.connector,
                action=None if command.action is Action.PERMIT else str(command.action),
                permit_a=command.permit_a,
                permit_w=command.permit_w,
                expires_s=command.expires_s,
                phase_count=command.phase_count,
            )
            for command in decision.commands
        ],
        "state": str(decision.state),
        "issues": [
            _given(
                kind=str(issue.kind),
                circuit=issue.circuit,
                phase=issue.phase,
                connector=issue.connector,
                value=issue.value,
                finding=None if issue.finding is None else str(issue.finding),
            )
            for issue in decision.issues
        ],
    }


def _given(**values: object) -> Mapping[str, object]:
    return {name: value for name, value in values.items() if value is not None}

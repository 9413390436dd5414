"""The site that a config entry describes, in the words of the energy management."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry

from ..const import (
    CONF_AUTOMATIC_MODE,
    CONF_BATTERY_PRIORITY_SOC_PCT,
    CONF_CAN_SWITCH_PHASES,
    CONF_CHARGE_POINT_ID,
    CONF_CIRCUIT,
    CONF_CONNECTORS,
    CONF_GENERATION,
    CONF_HARD_LIMIT,
    CONF_IMBALANCE_LIMIT_A,
    CONF_LIMIT_A,
    CONF_LIMIT_W,
    CONF_MARGIN_A,
    CONF_MAX_A,
    CONF_MAX_W,
    CONF_MIN_A,
    CONF_MIN_W,
    CONF_NUMBER,
    CONF_PARENT,
    CONF_PHASE_COUNT,
    CONF_PHASES,
    CONF_POLL_S,
    CONF_RESERVE_A,
    CONF_SENSORS,
    CONF_SHARING,
    CONF_SUPPLY,
    DEFAULT_MARGIN_A,
    GENERATION_NO,
    GENERATION_YES,
    ROOT_CIRCUIT,
    SUBENTRY_CHARGE_POINT,
    SUBENTRY_CIRCUIT,
    SUBENTRY_METER,
    SUBENTRY_USER_GROUP,
)
from ..energy_management.model import (
    ChargingMode,
    Circuit,
    Connector,
    FailsafeAction,
    ImbalanceLimit,
    PerPhase,
    Phase,
    Settings,
    SharingPolicy,
    Site,
    Supply,
    UserGroup,
)
from .controls import Controls


@dataclass(frozen=True, slots=True)
class Shortcomings:
    """What charge points, by their ids, are known not to do: shown by a self-test or in use, or known of their model."""

    without_fallback: frozenset[str] = frozenset()
    """They do not fall to their floor by themselves (S7)."""
    without_pause: frozenset[str] = frozenset()
    """A permit of 0 does not pause their cars."""


_NONE = Shortcomings()

_REGISTER_AGE_S = 2.0
"""Meters measure over 0.2 to 1 s and refresh their registers as often (data sheets of the built-in profiles)."""


def connector_id(charge_point_id: str, number: int) -> str:
    """Return the id by which the energy management knows a connector."""
    return f"{charge_point_id}:{number}"


def build_settings(options: Mapping[str, Any]) -> Settings:
    """Return the settings of the rules; an option that was never touched has its default."""
    values = {
        item.name: options[item.name]
        for item in fields(Settings)
        if item.name in options
    }
    if "failsafe" in values:
        values["failsafe"] = FailsafeAction(values["failsafe"])
    # A battery is never below 0 %: then it must not matter either that its state of charge is unknown.
    values[CONF_BATTERY_PRIORITY_SOC_PCT] = (
        options.get(CONF_BATTERY_PRIORITY_SOC_PCT) or None
    )
    return Settings(**values)


def _meter_lag_s(meters: Sequence[Mapping[str, Any]]) -> float:
    """Return how far the slowest meter may be behind.

    A meter on Modbus shows what its registers held at the last poll; how late the source of a sensor is nobody knows.
    """
    return max(
        (
            Settings().meter_lag_s
            if CONF_SENSORS in data
            else data[CONF_POLL_S] + _REGISTER_AGE_S
            for data in meters
        ),
        default=0.0,
    )


def build_site(
    entry: ConfigEntry[Any], controls: Controls, lacking: Shortcomings = _NONE
) -> Site:
    """Return the site of a config entry with all its subentries."""
    options = entry.options
    # A circuit that was removed leaves what named it hanging; the grid connection's limit holds for that in any case.
    known = {ROOT_CIRCUIT} | {
        subentry.subentry_id
        for subentry in entry.get_subentries_of_type(SUBENTRY_CIRCUIT)
    }
    meters = [
        subentry.data for subentry in entry.get_subentries_of_type(SUBENTRY_METER)
    ]
    metered = {data[CONF_CIRCUIT] for data in meters}
    circuits = [
        Circuit(
            id=ROOT_CIRCUIT,
            limit_a=_per_phase(entry.data[CONF_LIMIT_A]),
            limit_w=entry.data.get(CONF_LIMIT_W),
            metered=ROOT_CIRCUIT in metered,
            **_nature(entry.data),
        )
    ]
    circuits += [
        Circuit(
            id=subentry.subentry_id,
            parent=_known(subentry.data[CONF_PARENT], known),
            limit_a=_per_phase(subentry.data.get(CONF_LIMIT_A)),
            limit_w=subentry.data.get(CONF_LIMIT_W),
            metered=subentry.subentry_id in metered,
            reserve_a=_per_phase(subentry.data.get(CONF_RESERVE_A)) or (0.0, 0.0, 0.0),
            follows_pv=controls.follows_pv.get(subentry.subentry_id, False),
            **_nature(subentry.data),
        )
        for subentry in entry.get_subentries_of_type(SUBENTRY_CIRCUIT)
    ]
    imbalance_a = options.get(CONF_IMBALANCE_LIMIT_A, 0.0)
    return Site(
        circuits=tuple(circuits),
        connectors=tuple(
            connector
            for subentry in entry.get_subentries_of_type(SUBENTRY_CHARGE_POINT)
            for connector in _connectors(
                subentry,
                controls,
                lacking,
                _known(subentry.data[CONF_CIRCUIT], known),
            )
        ),
        user_groups=tuple(
            UserGroup(
                id=subentry.subentry_id,
                limit_a=_per_phase(subentry.data[CONF_LIMIT_A]),
                limit_w=subentry.data[CONF_LIMIT_W],
            )
            for subentry in entry.get_subentries_of_type(SUBENTRY_USER_GROUP)
            if subentry.data[CONF_LIMIT_A] or subentry.data[CONF_LIMIT_W]
        ),
        sharing=SharingPolicy(options.get(CONF_SHARING, SharingPolicy.PRIORITY)),
        margin_a=options.get(CONF_MARGIN_A, DEFAULT_MARGIN_A),
        load_management=controls.load_management,
        pv_surplus=controls.pv_surplus,
        imbalance=ImbalanceLimit(limit_a=imbalance_a) if imbalance_a else None,
        settings=replace(build_settings(options), meter_lag_s=_meter_lag_s(meters)),
    )


_GENERATION = {GENERATION_YES: True, GENERATION_NO: False}


def _nature(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person said of a circuit beside its limits; circuits that were stored before have the defaults."""
    return {
        "hard_limit": data.get(CONF_HARD_LIMIT, False),
        "generation": _GENERATION.get(data.get(CONF_GENERATION, "")),
    }


def _per_phase(values: list[float] | None) -> PerPhase | None:
    """Return three stored values as floats."""
    if values is None:
        return None
    l1, l2, l3 = values
    return float(l1), float(l2), float(l3)


def _known(circuit_id: str, known: Container[str]) -> str:
    """Return the circuit, or the grid connection in place of one that was removed."""
    return circuit_id if circuit_id in known else ROOT_CIRCUIT


def _connectors(
    subentry: ConfigSubentry,
    controls: Controls,
    lacking: Shortcomings,
    circuit_id: str,
) -> list[Connector]:
    """Return the connectors of a charge point."""
    connectors = []
    charge_point_id = subentry.data[CONF_CHARGE_POINT_ID]
    for item in subentry.data[CONF_CONNECTORS]:
        item_id = connector_id(charge_point_id, item[CONF_NUMBER])
        chosen = controls.connector(item_id)
        phases = item.get(CONF_PHASES)
        limits: dict[str, Any] = {
            key: float(item[key])
            for key in (CONF_MIN_A, CONF_MAX_A, CONF_MIN_W, CONF_MAX_W)
            if item.get(key) is not None
        }
        connectors.append(
            Connector(
                id=item_id,
                circuit=circuit_id,
                supply=Supply(item[CONF_SUPPLY]),
                phases=tuple(Phase(phase) for phase in phases) if phases else None,
                phase_count=len(phases) if phases else item.get(CONF_PHASE_COUNT, 3),
                priority=chosen.priority,
                mode=chosen.mode,
                automatic_mode=ChargingMode(
                    item.get(CONF_AUTOMATIC_MODE, ChargingMode.SOLAR)
                ),
                autonomous_fallback=charge_point_id not in lacking.without_fallback,
                obeys_pause=charge_point_id not in lacking.without_pause,
                can_switch_phases=item.get(CONF_CAN_SWITCH_PHASES, False),
                **limits,
            )
        )
    return connectors

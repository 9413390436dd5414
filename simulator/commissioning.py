"""Sets the integration up for a simulated site as an electrician would: through its own forms."""

from collections.abc import Mapping
from typing import Any

from .home_assistant import HomeAssistant

DOMAIN = "reev_ems"
ROOT = "main"


async def commission(
    home_assistant: HomeAssistant,
    site: Mapping[str, Any],
    state: Mapping[str, Any],
    *,
    name: str,
    ocpp_port: int,
) -> str:
    """Add a site with all its circuits, meters and charge points; return the config entry's id.

    Args:
        home_assistant: a running one.
        site: the definition from the site file.
        state: the running simulator's state: where its meters listen.
        name: the site's name in the UI.
        ocpp_port: where the integration shall listen.
    """
    definitions = {circuit["id"]: circuit for circuit in site["circuits"]}
    meters = {meter["circuit"]: meter for meter in state["meters"].values()}
    result = await home_assistant.run_flow(
        {"handler": DOMAIN},
        {
            "name": name,
            **_limit(definitions[ROOT]),
            "imbalance_limit_a": 20,
            "ocpp_port": ocpp_port,
        },
        _meter_connection(meters[ROOT]),
        _meter_confirmation("Grid meter"),
    )
    entry_id: str = result["result"]["entry_id"]
    # The root of the tree is the entry itself; other circuits are known by their subentry.
    circuit_ids = {ROOT: ROOT}
    for circuit_id, circuit in definitions.items():
        if circuit_id == ROOT:
            continue
        await _add(
            home_assistant,
            (entry_id, "circuit"),
            {
                "name": circuit_id.capitalize(),
                "parent": circuit_ids[circuit["parent"]],
                **_limit(circuit),
                "reserve_a": 0,
            },
        )
        circuit_ids[circuit_id] = await _subentry_id(
            home_assistant, entry_id, circuit_id.capitalize()
        )
        if circuit_id in meters:
            await _add(
                home_assistant,
                (entry_id, "meter"),
                {
                    "circuit": circuit_ids[circuit_id],
                    **_meter_connection(meters[circuit_id]),
                },
                _meter_confirmation(f"{circuit_id.capitalize()} meter"),
            )
    for charge_point in state["charge_points"]:
        await adopt(home_assistant, entry_id, charge_point, state, circuit_ids)
    return entry_id


async def adopt(
    home_assistant: HomeAssistant,
    entry_id: str,
    charge_point_id: str,
    state: Mapping[str, Any],
    circuit_ids: Mapping[str, str],
) -> None:
    """Adopt one charge point by its id."""
    connectors = state["charge_points"][charge_point_id]["connectors"]
    first = connectors["1"]
    await _add(
        home_assistant,
        (entry_id, "charge_point"),
        {
            "charge_point_id": charge_point_id,
            "name": charge_point_id,
            "circuit": circuit_ids[first["circuit"]],
            "connector_count": len(connectors),
            "security": {},
        },
        *(_connector(connectors[number]) for number in sorted(connectors, key=int)),
    )


def _limit(circuit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limit fields of a circuit: one for all phases, others where they differ."""
    limits_a = circuit["limit_a"]
    most_a = max(limits_a)
    return {
        "limit_a": most_a,
        "phase_limits": {
            f"limit_l{number}_a": limit_a
            for number, limit_a in enumerate(limits_a, start=1)
            if limit_a != most_a
        },
    }


def _meter_connection(meter: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form of a meter's connection."""
    return {
        "profile": meter["model"],
        "host": meter["host"],
        "port": meter["port"],
        "unit_id": meter["unit"],
        "poll_s": 1,
    }


def _meter_confirmation(name: str) -> dict[str, Any]:
    """Return the form in which a person confirms the live values."""
    return {"name": name, "invert": False, "phase_order": "l1_l2_l3"}


def _connector(connector: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form of a connector."""
    is_dc = connector["supply"] == "dc"
    return {
        "supply": connector["supply"],
        "ac": {
            "line_phases": "l1_l2_l3"
            if is_dc
            else "_".join(connector["phases"]).lower(),
            "min_a": 6,
            "max_a": 16 if is_dc else connector["maximum"],
        },
        "dc": {
            "min_w": 5000,
            "max_w": connector["maximum"] if is_dc else 50000,
        },
    }


async def _add(
    home_assistant: HomeAssistant,
    handler: tuple[str, str],
    *inputs: Mapping[str, Any],
) -> None:
    """Add a subentry through its forms."""
    await home_assistant.run_flow(
        {"handler": list(handler)}, *inputs, kind="subentries/"
    )


async def _subentry_id(home_assistant: HomeAssistant, entry_id: str, title: str) -> str:
    """Return the id of a subentry by its name."""
    subentries = await home_assistant.command(
        "config_entries/subentries/list", entry_id=entry_id
    )
    return next(
        str(item["subentry_id"]) for item in subentries if item["title"] == title
    )

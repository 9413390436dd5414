"""The truth about a running site, as JSON."""

from dataclasses import asdict
from typing import Any

from .car import Supply
from .charge_point import ChargePoint
from .modbus import Meter
from .outlets import Outlet, Transaction
from .plant import Circuit, Plant
from .site import Site

type Json = dict[str, Any]


def state_of(site: Site) -> Json:
    """Return everything that an observer could want to know; currents in A, powers in W, energies in Wh."""
    plant = site.plant
    return {
        "name": site.config.name,
        "at_s": round(plant.at_s, 3),
        "curve_s": round(plant.curve_s, 3),
        "voltage_v": list(plant.voltage_v),
        "circuits": {
            circuit.id: _circuit(plant, circuit) for circuit in plant.circuits.values()
        },
        "solar": {
            solar.id: {
                "circuit": solar.circuit,
                "power_w": round(solar.power_w(plant.curve_s), 1),
            }
            for solar in plant.solar.values()
        },
        "batteries": {
            battery.id: {
                "circuit": battery.circuit,
                "power_w": round(battery.power_w, 1),
                "soc": round(battery.soc, 4),
            }
            for battery in plant.batteries.values()
        },
        "meters": {
            meter.config.id: _meter(site, meter) for meter in site.meters.values()
        },
        "charge_points": {
            name: _charge_point(site, charge_point)
            for name, charge_point in site.charge_points.items()
        },
        "books": [
            _transaction(name, transaction)
            for name, charge_point in site.charge_points.items()
            for transaction in charge_point.books
        ],
        "metrics": {
            "grace_s": plant.grace_s,
            "over_as": _total(plant, "over_as"),
            "broken_as": _total(plant, "broken_as"),
            "max_over_a": max(
                (
                    overload.max_a
                    for circuit in plant.circuits.values()
                    for overload in circuit.overload
                ),
                default=0.0,
            ),
        },
    }


def _transaction(charge_point: str, transaction: Transaction) -> Json:
    """Return what a charge point's own books say of a transaction."""
    return {
        "charge_point": charge_point,
        "connector": transaction.outlet.number,
        "id": transaction.id,
        "id_tag": transaction.id_tag,
        "started_at": transaction.started_at,
        "stopped_at": transaction.stopped_at,
        "energy_wh": None
        if transaction.stopped_at is None
        else transaction.meter_stop_wh - transaction.meter_start_wh,
    }


def _total(plant: Plant, name: str) -> float:
    return sum(
        float(getattr(overload, name))
        for circuit in plant.circuits.values()
        for overload in circuit.overload
    )


def _circuit(plant: Plant, circuit: Circuit) -> Json:
    truth = plant.measure(circuit.id)
    without_a = circuit.without_chargers.current_a(plant.voltage_v)
    return {
        "parent": circuit.parent,
        "limit_a": list(circuit.limit_a) if circuit.limit_a else None,
        "current_a": [round(current_a, 3) for current_a in truth.current_a],
        "power_w": [round(power_w, 1) for power_w in truth.power_w],
        "power_total_w": round(sum(truth.power_w), 1),
        "without_chargers_a": [round(current_a, 3) for current_a in without_a],
        "import_wh": round(truth.import_wh, 2),
        "export_wh": round(truth.export_wh, 2),
        "over_as": [round(overload.over_as, 3) for overload in circuit.overload],
        "broken_as": [round(overload.broken_as, 3) for overload in circuit.overload],
        "max_over_a": [round(overload.max_a, 3) for overload in circuit.overload],
        "breaker": None
        if circuit.breaker is None
        else {
            "trips": circuit.breaker.trips,
            "most_heat": round(circuit.breaker.most_heat, 4),
        },
        "over_since_s": [round(overload.since_s, 3) for overload in circuit.overload],
    }


def _meter(site: Site, meter: Meter) -> Json:
    endpoint = site.endpoint_of(meter)
    return {
        "circuit": meter.config.circuit,
        "model": meter.config.layout.name,
        "host": endpoint.host,
        "port": endpoint.port,
        "unit": meter.config.unit,
        "fault": meter.fault.value,
        "wiring": asdict(meter.wiring),
        "delay_s": meter.delay_s,
        "connections": endpoint.connections,
        "requests": meter.requests,
    }


def _charge_point(site: Site, charge_point: ChargePoint) -> Json:
    return {
        "connected": charge_point.link.up,
        "connects": charge_point.link.connects,
        "registration": charge_point.registration.value,
        "records_waiting": charge_point.outbox.records_waiting,
        "sent": dict(charge_point.outbox.sent),
        "complaints": list(charge_point.link.complaints),
        "profiles": [
            {
                "id": profile.id,
                "connector": profile.connector,
                "purpose": profile.purpose.value,
                "stack_level": profile.stack_level,
                "transaction_id": profile.transaction_id,
                "unit": profile.unit.value,
                "periods": [
                    [period.start_s, period.limit] for period in profile.periods
                ],
                "duration_s": profile.duration_s,
            }
            for profile in charge_point.store.profiles
        ],
        "connectors": {
            str(outlet.number): _outlet(site, outlet) for outlet in charge_point.outlets
        },
    }


def _outlet(site: Site, outlet: Outlet) -> Json:
    connector, transaction, car = (
        outlet.connector,
        outlet.transaction,
        outlet.connector.car,
    )
    is_ac = connector.supply is Supply.AC
    return {
        "circuit": connector.circuit,
        "supply": connector.supply.value,
        "phases": [f"L{line + 1}" for line in connector.line_phases],
        "status": outlet.status.value,
        "limit": outlet.limit.amount,
        "limit_unit": outlet.limit.unit.value,
        "limit_source": outlet.limit.source,
        "maximum": outlet.maximum,
        "offered": (connector.limit_a if is_ac else connector.limit_w)
        if connector.offers
        else 0.0,
        "current_a": [round(current_a, 3) for current_a in connector.own_current_a]
        if is_ac
        else None,
        "power_w": round(connector.output_w(site.plant.voltage_v), 1),
        "energy_wh": round(connector.energy_wh, 1),
        "transaction": None
        if transaction is None
        else {
            "id": transaction.id,
            "id_tag": transaction.id_tag,
            "started_at": transaction.started_at,
            "energy_wh": round(connector.energy_wh - transaction.meter_start_wh, 1),
        },
        "car": None
        if car is None
        else {
            "phases": car.phases,
            "max_a": car.max_a,
            "soc": round(car.soc, 5),
            "full": car.full,
            "paused": car.paused,
        },
    }

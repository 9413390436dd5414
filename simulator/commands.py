"""What can be done to a running site: change loads and cars, break meters, lose connections."""

from collections.abc import Awaitable, Callable
from typing import Any

import voluptuous as vol

from .car import Car
from .curve import Curve
from .house import BaseLoad
from .modbus import FAULT
from .quirks import Quirks
from .site import Site
from .site_file import CAR, QUIRKS, SiteError
from .values import NOT_NEGATIVE, POSITIVE, finite, per_phase
from .wiring import WIRING, read_wiring

type Json = dict[str, Any]
type _Command = Callable[[Site, Json], Awaitable[None]]


class CommandError(Exception):
    """A command that makes no sense; the text says why."""


async def execute(site: Site, command: Json) -> None:
    """Carry out a command: `{"do": name, ...}`.

    Raises:
        CommandError: it is unknown, malformed, or names what is not there.
    """
    given = dict(command)
    name = given.pop("do", None)
    if name not in COMMANDS:
        raise CommandError(f"do: one of {', '.join(sorted(COMMANDS))}")
    schema, carry_out = COMMANDS[name]
    try:
        arguments = schema(given)
        await carry_out(site, arguments)
    except vol.MultipleInvalid as error:
        raise CommandError(f"{name}: {error}") from error
    except KeyError as error:
        raise CommandError(f"{name}: no such thing: {error.args[0]}") from error
    except (SiteError, ValueError, OSError) as error:
        raise CommandError(f"{name}: {error}") from error


async def _base_load(site: Site, given: Json) -> None:
    circuit = site.plant.circuits[given["circuit"]].id
    if circuit not in site.plant.base_loads:
        nothing = Curve(points=((0.0, (0.0, 0.0, 0.0)),))
        site.plant.base_loads[circuit] = BaseLoad(circuit=circuit, curve=nothing)
    site.plant.base_loads[circuit].command_a = given["current_a"]


async def _solar(site: Site, given: Json) -> None:
    site.plant.solar[given["id"]].command_w = given["power_w"]


async def _battery(site: Site, given: Json) -> None:
    site.plant.batteries[given["id"]].command_w = given["power_w"]


async def _voltage(site: Site, given: Json) -> None:
    site.plant.voltage_v = given["voltage_v"]


async def _time_factor(site: Site, given: Json) -> None:
    site.plant.time_factor = given["factor"]


async def _reset_metrics(site: Site, given: Json) -> None:
    site.plant.reset_metrics(given.get("grace_s"))


async def _plug(site: Site, given: Json) -> None:
    charge_point, outlet = site.outlet(given["connector"])
    car = site.config.car_of(outlet.connector.id) | given.get("car", {})
    charge_point.plug(outlet, Car(**car))


async def _unplug(site: Site, given: Json) -> None:
    charge_point, outlet = site.outlet(given["connector"])
    charge_point.unplug(outlet)


async def _car(site: Site, given: Json) -> None:
    _, outlet = site.outlet(given["connector"])
    car = outlet.connector.car
    if car is None:
        raise ValueError("there is no car")
    for name, value in given["car"].items():
        setattr(car, name, value)


async def _rfid(site: Site, given: Json) -> None:
    charge_point, outlet = site.outlet(given["connector"])
    charge_point.present(outlet, given["id_tag"])


async def _stop(site: Site, given: Json) -> None:
    charge_point, outlet = site.outlet(given["connector"])
    if not charge_point.stop(outlet, "Local"):
        raise ValueError("there is no transaction")


async def _error(site: Site, given: Json) -> None:
    _, outlet = site.outlet(given["connector"])
    outlet.error = given["error_code"]


async def _power_cycle(site: Site, given: Json) -> None:
    site.charge_points[given["charge_point"]].reboot_soon("PowerLoss")


async def _disconnect(site: Site, given: Json) -> None:
    site.charge_points[given["charge_point"]].link.disconnect()


async def _reconnect(site: Site, given: Json) -> None:
    site.charge_points[given["charge_point"]].link.reconnect()


async def _drop(site: Site, given: Json) -> None:
    site.charge_points[given["charge_point"]].link.drop()


async def _twin(site: Site, given: Json) -> None:
    site.start_twin(given["charge_point"], given["seconds"])


async def _security_event(site: Site, given: Json) -> None:
    maintenance = site.charge_points[given["charge_point"]].maintenance
    maintenance.tell_security_event(given["type"], given.get("detail", ""))


async def _quirks(site: Site, given: Json) -> None:
    quirks: Quirks = site.charge_points[given["charge_point"]].quirks
    for name, value in given["quirks"].items():
        setattr(quirks, name, value)


async def _meter_fault(site: Site, given: Json) -> None:
    meter = site.meters[given["meter"]]
    await site.endpoint_of(meter).set_fault(
        meter,
        given["fault"],
        exception_code=given.get("exception_code"),
        delay_s=given.get("delay_s"),
    )


async def _meter_wiring(site: Site, given: Json) -> None:
    site.meters[given.pop("meter")].rewire(read_wiring(given))


async def _meter_circuit(site: Site, given: Json) -> None:
    circuit = given["circuit"]
    site.meters[given["meter"]].move(circuit, site.plant.measure(circuit))


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a reader that takes None too, and else says what the reader says."""
    return lambda value: None if value is None else read(value)


_CONNECTOR: dict[Any, Any] = {vol.Required("connector"): str}
_CHARGE_POINT: dict[Any, Any] = {vol.Required("charge_point"): str}
_POWER: dict[Any, Any] = {
    vol.Required("id"): str,
    vol.Required("power_w"): _or_none(finite),
}

COMMANDS: dict[str, tuple[vol.Schema, _Command]] = {
    "base_load": (
        vol.Schema(
            {
                vol.Required("circuit"): str,
                vol.Required("current_a"): _or_none(per_phase),
            }
        ),
        _base_load,
    ),
    "solar": (vol.Schema(_POWER), _solar),
    "battery": (vol.Schema(_POWER), _battery),
    "voltage": (vol.Schema({vol.Required("voltage_v"): per_phase}), _voltage),
    "time_factor": (vol.Schema({vol.Required("factor"): POSITIVE}), _time_factor),
    "reset_metrics": (
        vol.Schema({vol.Optional("grace_s"): NOT_NEGATIVE}),
        _reset_metrics,
    ),
    "plug": (vol.Schema({**_CONNECTOR, vol.Optional("car"): CAR}), _plug),
    "unplug": (vol.Schema(_CONNECTOR), _unplug),
    "car": (vol.Schema({**_CONNECTOR, vol.Required("car"): CAR}), _car),
    "rfid": (
        vol.Schema(
            {**_CONNECTOR, vol.Required("id_tag"): vol.All(str, vol.Length(1, 20))}
        ),
        _rfid,
    ),
    "stop": (vol.Schema(_CONNECTOR), _stop),
    "error": (
        vol.Schema({**_CONNECTOR, vol.Required("error_code"): vol.Any(None, str)}),
        _error,
    ),
    "power_cycle": (vol.Schema(_CHARGE_POINT), _power_cycle),
    "disconnect": (vol.Schema(_CHARGE_POINT), _disconnect),
    "reconnect": (vol.Schema(_CHARGE_POINT), _reconnect),
    "drop": (vol.Schema(_CHARGE_POINT), _drop),
    "twin": (vol.Schema({**_CHARGE_POINT, vol.Required("seconds"): POSITIVE}), _twin),
    "security_event": (
        vol.Schema(
            {
                **_CHARGE_POINT,
                vol.Required("type"): vol.All(str, vol.Length(1, 50)),
                vol.Optional("detail"): vol.All(str, vol.Length(1, 255)),
            }
        ),
        _security_event,
    ),
    "quirks": (vol.Schema({**_CHARGE_POINT, vol.Required("quirks"): QUIRKS}), _quirks),
    "meter_fault": (
        vol.Schema(
            {
                vol.Required("meter"): str,
                vol.Required("fault"): FAULT,
                vol.Optional("exception_code"): vol.All(int, vol.Range(min=1, max=255)),
                vol.Optional("delay_s"): NOT_NEGATIVE,
            }
        ),
        _meter_fault,
    ),
    "meter_wiring": (
        vol.Schema({vol.Required("meter"): str, **WIRING}),
        _meter_wiring,
    ),
    "meter_circuit": (
        vol.Schema({vol.Required("meter"): str, vol.Required("circuit"): str}),
        _meter_circuit,
    ),
}

"""The YAML file that describes a simulated site: its schema, and what is built from it."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
import ssl
from typing import Any

import voluptuous as vol
import yaml

from .car import Car, Connector, Supply
from .curve import Curve
from .house import BaseLoad, HomeBattery, SolarPlant
from .layouts import LAYOUTS
from .link import LinkConfig
from .modbus import FAULT, MeterConfig
from .outlets import ChargePointConfig
from .plant import Circuit, Plant
from .profiles import Unit
from .quirks import Quirks
from .values import (
    LINE_PHASES,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    finite,
    one_of,
    per_phase,
    positive_per_phase,
)
from .visits import Visit
from .wiring import WIRING, read_wiring

type Json = dict[str, Any]


class SiteError(Exception):
    """A site that cannot be simulated; the text names the place."""


def _curve(row: Callable[[Any], tuple[float, ...]]) -> Callable[[Any], Curve]:
    """Return a reader of curves: a constant, or points with an optional period."""

    def read(value: Any) -> Curve:
        if not isinstance(value, dict):
            return Curve(points=((0.0, row(value)),))
        schema = vol.Schema(
            {vol.Required("points"): [[object]], vol.Optional("period_s"): POSITIVE}
        )
        given = schema(value)
        points = []
        for point in given["points"]:
            if len(point) != 2:
                raise vol.Invalid("a point is [seconds, value]")
            points.append((finite(point[0]), row(point[1])))
        try:
            return Curve(points=tuple(points), period_s=given.get("period_s"))
        except ValueError as error:
            raise vol.Invalid(str(error)) from error

    return read


def _share_row(value: Any) -> tuple[float, ...]:
    return (float(SHARE(value)),)


_NAME = vol.All(str, vol.Length(min=1, max=48))
_PORT = vol.All(int, vol.Range(min=0, max=65535))

CAR = vol.Schema(
    {
        vol.Optional("phases"): vol.All(int, vol.Range(min=1, max=3)),
        vol.Optional("max_a"): POSITIVE,
        vol.Optional("max_w"): POSITIVE,
        vol.Optional("battery_wh"): POSITIVE,
        vol.Optional("soc"): SHARE,
        vol.Optional("ramp_s"): POSITIVE,
        vol.Optional("taper_from_soc"): SHARE,
        vol.Optional("paused"): bool,
    }
)

_LIMITS = {
    "A": Unit.AMPERE,
    "W": Unit.WATT,
}

QUIRKS = vol.Schema(
    {
        vol.Optional(quirk.name): {bool: bool, str: _NAME}.get(
            type(quirk.default), finite
        )
        for quirk in fields(Quirks)
    }
)

_CONNECTOR = vol.Schema(
    {
        vol.Required("circuit"): _NAME,
        vol.Optional("supply", default="ac"): vol.All(
            vol.In(("ac", "dc")), vol.Coerce(Supply)
        ),
        vol.Optional("phases", default=["L1", "L2", "L3"]): vol.All(LINE_PHASES),
        vol.Optional("min_a"): POSITIVE,
        vol.Optional("max_a"): POSITIVE,
        vol.Optional("min_w"): POSITIVE,
        vol.Optional("max_w"): POSITIVE,
        vol.Optional("efficiency"): vol.All(POSITIVE, vol.Range(max=1.0)),
        vol.Optional("power_factor"): vol.All(POSITIVE, vol.Range(max=1.0)),
        vol.Optional("car"): CAR,
        vol.Optional("plugged"): bool,
        vol.Optional("visits"): [
            {
                vol.Required("from_s"): NOT_NEGATIVE,
                vol.Required("to_s"): POSITIVE,
                vol.Optional("car", default=dict): CAR,
            }
        ],
    }
)

_SITE = vol.Schema(
    {
        vol.Optional("name", default="site"): _NAME,
        vol.Optional("voltage_v", default=230.0): positive_per_phase,
        vol.Optional("tick_s", default=0.1): vol.All(POSITIVE, vol.Range(max=1.0)),
        vol.Optional("grace_s", default=8.0): NOT_NEGATIVE,
        vol.Optional("csms", default="ws://127.0.0.1:9000"): vol.All(
            str, vol.Match(r"^wss?://", msg="ws:// or wss:// is needed")
        ),
        vol.Optional("ca"): str,
        vol.Optional("control_port", default=8765): _PORT,
        # What a dry run tells the energy management beyond the site itself, in that one's own words.
        vol.Optional("ems", default=dict): dict,
        vol.Required("circuits"): [
            {
                vol.Required("id"): _NAME,
                vol.Optional("parent"): _NAME,
                vol.Optional("limit_a"): positive_per_phase,
                vol.Optional("base_a"): _curve(per_phase),
                vol.Optional("power_factor", default=0.95): vol.All(
                    POSITIVE, vol.Range(max=1.0)
                ),
            }
        ],
        vol.Optional("solar", default=list): [
            {
                vol.Required("id"): _NAME,
                vol.Required("circuit"): _NAME,
                vol.Required("peak_w"): POSITIVE,
                vol.Optional("output", default=0.0): _curve(_share_row),
                vol.Optional("phase_share"): per_phase,
            }
        ],
        vol.Optional("batteries", default=list): [
            {
                vol.Required("id"): _NAME,
                vol.Required("circuit"): _NAME,
                vol.Required("capacity_wh"): POSITIVE,
                vol.Required("max_w"): POSITIVE,
                vol.Optional("soc"): SHARE,
            }
        ],
        vol.Optional("meters", default=list): [
            {
                vol.Required("id"): _NAME,
                vol.Required("circuit"): _NAME,
                vol.Required("model"): one_of(LAYOUTS, "meter model"),
                vol.Optional("host", default="127.0.0.1"): _NAME,
                vol.Required("port"): _PORT,
                vol.Optional("unit"): vol.All(int, vol.Range(min=0, max=255)),
                vol.Optional("lag_s"): NOT_NEGATIVE,
                vol.Optional("refresh_s"): NOT_NEGATIVE,
                vol.Optional("fault"): FAULT,
                **WIRING,
            }
        ],
        vol.Optional("charge_points", default=list): [
            {
                vol.Required("id"): _NAME,
                vol.Optional("protocol", default="ocpp1.6"): vol.In(
                    ("ocpp1.6", "ocpp2.0.1")
                ),
                vol.Optional("vendor"): str,
                vol.Optional("model"): str,
                vol.Optional("serial"): str,
                vol.Optional("firmware"): str,
                vol.Optional("password"): str,
                vol.Inclusive("certificate", "own certificate"): str,
                vol.Inclusive("key", "own certificate"): str,
                vol.Optional("auto_start"): vol.All(str, vol.Length(min=1, max=20)),
                vol.Optional("units"): [one_of(_LIMITS, "unit")],
                vol.Optional("max_stack_level"): vol.All(int, vol.Range(min=0)),
                vol.Optional("max_periods"): vol.All(int, vol.Range(min=1)),
                vol.Optional("max_profiles"): vol.All(int, vol.Range(min=1)),
                vol.Optional("sample_interval_s"): vol.All(int, vol.Range(min=0)),
                vol.Optional("measurands_max"): vol.All(int, vol.Range(min=1)),
                vol.Optional("local_list_max"): vol.All(int, vol.Range(min=1)),
                vol.Optional("local_list_per_message"): vol.All(int, vol.Range(min=1)),
                vol.Optional("quirks", default=dict): QUIRKS,
                vol.Required("connectors"): vol.All([_CONNECTOR], vol.Length(min=1)),
            }
        ],
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """A checked site file."""

    name: str
    csms: str
    tick_s: float
    control_port: int
    definition: Json
    """What the schema made of the file."""

    def plant(self) -> Plant:
        """Build the physics.

        Raises:
            SiteError: names that do not fit each other.
        """
        given = self.definition
        try:
            return Plant(
                circuits=[
                    Circuit(
                        id=entry["id"],
                        parent=entry.get("parent"),
                        limit_a=entry.get("limit_a"),
                    )
                    for entry in given["circuits"]
                ],
                connectors=[
                    _connector(connector_id(charge_point["id"], number), entry)
                    for charge_point in given["charge_points"]
                    for number, entry in enumerate(charge_point["connectors"], 1)
                ],
                base_loads=[
                    BaseLoad(
                        circuit=entry["id"],
                        curve=entry["base_a"],
                        power_factor=entry["power_factor"],
                    )
                    for entry in given["circuits"]
                    if "base_a" in entry
                ],
                solar=[_solar(entry) for entry in given["solar"]],
                batteries=[HomeBattery(**entry) for entry in given["batteries"]],
                voltage_v=given["voltage_v"],
                grace_s=given["grace_s"],
            )
        except ValueError as error:
            raise SiteError(str(error)) from error

    def meters(self) -> list[tuple[str, int, MeterConfig]]:
        """Return host, port and configuration of the meters."""
        return [
            (entry["host"], entry["port"], _meter(entry))
            for entry in self.definition["meters"]
        ]

    def charge_points(self) -> list[tuple[ChargePointConfig, LinkConfig, Quirks]]:
        """Return the charge points."""
        return [
            (
                _charge_point(entry),
                LinkConfig(
                    url=self.csms,
                    identity=entry["id"],
                    subprotocol=entry["protocol"],
                    password=entry.get("password"),
                    tls=self._tls(entry),
                ),
                Quirks(**entry["quirks"]),
            )
            for entry in self.definition["charge_points"]
        ]

    def _tls(self, charge_point: Json) -> ssl.SSLContext | None:
        """Return what a charge point encrypts with.

        Raises:
            SiteError: a certificate or key cannot be read.
        """
        if not self.csms.startswith("wss:"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.definition.get("ca"))
            if "certificate" in charge_point:
                context.load_cert_chain(
                    charge_point["certificate"], charge_point["key"]
                )
        except OSError as error:
            raise SiteError(f"{charge_point['id']}: certificate: {error}") from error
        return context

    def visits(self) -> list[Visit]:
        """Return who comes and goes."""
        return [
            Visit(connector=connector_id(charge_point["id"], number), **visit)
            for charge_point in self.definition["charge_points"]
            for number, entry in enumerate(charge_point["connectors"], 1)
            for visit in entry.get("visits", ())
        ]

    def car_of(self, connector: str) -> Json:
        """Return the properties of the car that belongs to a connector."""
        for charge_point in self.definition["charge_points"]:
            for number, entry in enumerate(charge_point["connectors"], 1):
                if connector_id(charge_point["id"], number) == connector:
                    return dict(entry.get("car", {}))
        raise SiteError(f"no such connector: {connector}")


def connector_id(charge_point: str, number: int) -> str:
    """Return the name of a connector."""
    return f"{charge_point}/{number}"


def _connector(name: str, entry: Json) -> Connector:
    rest = {
        key: value
        for key, value in entry.items()
        if key not in ("car", "plugged", "phases", "visits")
    }
    car = Car(**entry["car"]) if "car" in entry and entry.get("plugged", True) else None
    return Connector(id=name, line_phases=entry["phases"], car=car, **rest)


def _charge_point(entry: Json) -> ChargePointConfig:
    names = {field.name for field in fields(ChargePointConfig)}
    rest = {key: value for key, value in entry.items() if key in names}
    if "units" in rest:
        rest["units"] = tuple(rest["units"])
    return ChargePointConfig(**rest)


def _solar(entry: Json) -> SolarPlant:
    rest = {key: value for key, value in entry.items() if key != "output"}
    if "phase_share" in rest:
        total = sum(rest["phase_share"])
        rest["phase_share"] = tuple(share / total for share in rest["phase_share"])
    return SolarPlant(curve=entry["output"], **rest)


def _meter(entry: Json) -> MeterConfig:
    rest = {
        key: value
        for key, value in entry.items()
        if key not in ("model", "host", "port", *WIRING)
    }
    return MeterConfig(layout=entry["model"], wiring=read_wiring(entry), **rest)


def parse_site(
    data: Any, *, csms: str | None = None, control_port: int | None = None
) -> SiteConfig:
    """Check a site.

    Args:
        data: the file's content.
        csms: overrides the file's.
        control_port: overrides the file's.

    Raises:
        SiteError: what is wrong, and where.
    """
    try:
        given = _SITE(data)
    except vol.MultipleInvalid as error:
        raise SiteError("; ".join(_sentence(each) for each in error.errors)) from error
    config = SiteConfig(
        name=given["name"],
        csms=csms or given["csms"],
        tick_s=given["tick_s"],
        control_port=given["control_port"] if control_port is None else control_port,
        definition=given,
    )
    plant = config.plant()
    for kind in ("meters", "charge_points"):
        names = [entry["id"] for entry in given[kind]]
        if len(set(names)) != len(names):
            raise SiteError(f"{kind}: two of one name")
    for entry in given["meters"]:
        if entry["circuit"] not in plant.circuits:
            raise SiteError(f"meter {entry['id']}: no such circuit: {entry['circuit']}")
    places = [
        (entry["host"], entry["port"], entry.get("unit", 1))
        for entry in given["meters"]
    ]
    if len(set(places)) != len(places):
        raise SiteError("meters: two with one host, port and unit")
    return config


def _sentence(error: vol.Invalid) -> str:
    where = ""
    for part in error.path:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{where.removeprefix('.') or 'site'}: {error.msg}"


def load_site(
    path: Path, *, csms: str | None = None, control_port: int | None = None
) -> SiteConfig:
    """Read and check a site file.

    Raises:
        SiteError: it cannot be read, or what is wrong with it, and where.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SiteError(f"{path}: {error}") from error
    try:
        return parse_site(data, csms=csms, control_port=control_port)
    except SiteError as error:
        raise SiteError(f"{path}: {error}") from error

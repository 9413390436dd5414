"""What the tests of OCPP 1.6 charge points share: payloads, and what is waited for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from simulator.charge_point import Outlet
from simulator.site import Site

from .csms import Csms, eventually
from .sites import Json


def has(**expected: Any) -> Callable[[Json], bool]:
    """Return a test for payloads that contain something."""
    return lambda payload: expected.items() <= payload.items()


def profile(limit: float, **options: Any) -> Json:
    """Return the payload of a SetChargingProfile."""
    schedule: Json = {
        "chargingRateUnit": options.pop("unit", "A"),
        "chargingSchedulePeriod": options.pop("periods", None)
        or [{"startPeriod": 0, "limit": limit}],
    }
    kind = options.pop("kind", "Absolute")
    if kind == "Absolute":
        schedule["startSchedule"] = now_iso(options.pop("start_s", -1.0))
    if "duration" in options:
        schedule["duration"] = options.pop("duration")
    connector = options.pop("connector", 1)
    return {
        "connectorId": connector,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": kind,
            "chargingSchedule": schedule,
        }
        | options,
    }


def tx(limit: float, transaction: int, **options: Any) -> Json:
    """Return the payload of a SetChargingProfile with a TxProfile."""
    return profile(
        limit,
        **{
            "chargingProfileId": 2,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "transactionId": transaction,
        }
        | options,
    )


def now_iso(offset_s: float) -> str:
    """Return a time from now."""
    return (datetime.now(UTC) + timedelta(seconds=offset_s)).isoformat()


def outlet_of(running_one: Site, name: str = "CP1") -> Outlet:
    """Return a charge point's first outlet."""
    return running_one.charge_points[name].outlets[0]


async def until_draws(
    running_one: Site, current_a: float, name: str = "CP1", within_s: float = 5.0
) -> None:
    """Wait until a connector draws a current."""
    connector = outlet_of(running_one, name).connector
    await eventually(lambda: abs(connector.current_a - current_a) < 1e-6, within_s)


async def started(csms: Csms, running_one: Site, name: str = "CP1") -> int:
    """Wait until a transaction runs, and return its id."""
    outlet = outlet_of(running_one, name)
    await eventually(
        lambda: outlet.transaction is not None and outlet.transaction.id is not None
    )
    assert outlet.transaction is not None
    return int(outlet.transaction.id or 0)

"""Checks of single values that a person enters, before they are saved."""

from ipaddress import ip_address
import math
import re

# IEC 61851-1: below 6 A a car does not charge, so no circuit below it can ever serve a connector.
MINIMUM_LIMIT_A = 6.0

# OCPP 2.0.1 part 4, section 3.1.1: what an identity may consist of; 1.6 allows no more in a URL.
_CHARGE_POINT_ID = re.compile(r"[A-Za-z0-9*\-_=:+|@.]{1,48}")

# RFC 1123, and what an IP address consists of.
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def is_host(text: str) -> bool:
    """Return whether a text can be a host name or an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return len(text) <= 253 and _HOST.fullmatch(text) is not None
    return True


def limit_error(limit_a: float) -> str | None:
    """Return the error key of a current limit that no car could charge below, in A."""
    if not math.isfinite(limit_a) or limit_a <= 0:
        return "limit_not_positive"
    if limit_a < MINIMUM_LIMIT_A:
        return "limit_below_minimum"
    return None


def power_limit_error(limit_w: float, voltage_v: float) -> str | None:
    """Return the error key of a power limit that no car could charge below, in W."""
    if not math.isfinite(limit_w) or limit_w <= 0:
        return "limit_not_positive"
    if limit_w < MINIMUM_LIMIT_A * voltage_v:
        return "power_limit_below_minimum"
    return None


def is_charge_point_id(text: str) -> bool:
    """Return whether a text can be the identity at the end of a charge point's URL."""
    return _CHARGE_POINT_ID.fullmatch(text) is not None

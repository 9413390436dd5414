"""Small sites for tests."""

from typing import Any

type Json = dict[str, Any]


def charge_point(name: str = "CP1", **options: Any) -> Json:
    """Return a charge point with one three-phase connector of 16 A and a fast car."""
    connector: Json = {
        "circuit": "main",
        "max_a": 16,
        "power_factor": 1.0,
        "car": {"ramp_s": 0.1},
    } | options.pop("connector", {})
    return {"id": name, "auto_start": "TAG", "connectors": [connector], **options}


def site(*charge_points: Json, **options: Any) -> Json:
    """Return a site of 63 A with one meter and 2 A of base load."""
    return {
        "tick_s": 0.02,
        "circuits": [
            {"id": "main", "limit_a": 63, "base_a": [2, 2, 2], "power_factor": 1.0}
        ],
        "meters": [
            {"id": "grid", "circuit": "main", "model": "janitza_umg604", "port": 0}
        ],
        "charge_points": list(charge_points),
        **options,
    }

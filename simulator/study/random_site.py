"""Random sites: what the YAML file of one would say, drawn from a seed."""

from random import Random
from typing import Any

MODULES = ("none", "sun", "external", "imbalance")
"""What a site has beyond limits per phase."""


def random_site(seed: int) -> dict[str, Any]:
    """Return a site as its file would be read."""
    rng = Random(f"site {seed}")
    main_a = rng.choice((35, 50, 63, 80, 100, 125, 160))
    extra = rng.choice(MODULES)
    circuits: list[dict[str, Any]] = [
        {
            "id": "main",
            "limit_a": main_a,
            "breaker": rng.choice(("gG", "E")),
            "meter": _meter(rng),
            "house": _house(rng, main_a),
        }
    ]
    boards = ["main"]
    for index in range(rng.choice((0, 0, 1, 2, 3))):
        name = f"board{index + 1}"
        limit_a = rng.choice((25, 32, 40, 50, 63))
        board: dict[str, Any] = {
            "id": name,
            "parent": rng.choice(boards),
            "limit_a": min(limit_a, main_a),
            "breaker": rng.choice(("B", "gG")),
        }
        if rng.random() < 0.7:
            board["meter"] = _meter(rng)
            if rng.random() < 0.5:
                board["house"] = _house(rng, limit_a / 2)
        circuits.append(board)
        boards.append(name)
    outlets: dict[str, Any] = {}
    cars: list[dict[str, Any]] = []
    for name in boards:
        if name == "main" and len(boards) > 1 and rng.random() < 0.6:
            continue
        row = f"{name}_cp"
        count = rng.randint(2, 12)
        outlets[row] = {
            "circuit": name,
            "count": count,
            "most": rng.choice((16, 16, 32)),
            "rotated": rng.random() < 0.7,
            "mode": "solar" if extra == "sun" and rng.random() < 0.7 else "fast",
        }
        arrive_h = rng.uniform(7.0, 11.0)
        cars.append(
            {
                "outlets": row,
                "share": rng.uniform(0.6, 1.0),
                "arrive_h": [arrive_h, arrive_h + rng.uniform(0.5, 4.0)],
                "stay_h": [3.0, rng.uniform(5.0, 9.0)],
                "need_kwh": [5.0, rng.uniform(15.0, 45.0)],
            }
        )
    if rng.random() < 0.2 and main_a >= 80:
        outlets["dc"] = {"circuit": "main", "dc": True, "least": 5000, "most": 40000}
        cars.append(
            {
                "outlets": "dc",
                "arrive_h": [8, 14],
                "stay_h": [0.7, 2],
                "need_kwh": [15, 50],
            }
        )
    site: dict[str, Any] = {
        "name": f"random{seed}",
        "hours": 12,
        "start_h": 7,
        "circuits": circuits,
        "outlets": outlets,
        "cars": cars,
        "told": {"margin_a": 0.5, "settings": {"failsafe": "stop"}},
    }
    if extra == "imbalance":
        site["imbalance_a"] = rng.choice((16, 20))
    elif extra == "external":
        limit_w = rng.uniform(0.3, 0.7) * main_a * 690
        site["external_w"] = [[rng.uniform(1, 4), limit_w], [rng.uniform(5, 8), None]]
    elif extra == "sun":
        site["sun"] = {
            "peak_w": rng.uniform(0.3, 0.9) * main_a * 690,
            "clouds": rng.uniform(0, 0.6),
        }
        site["told"]["pv_surplus"] = True
    return site


def _meter(rng: Random) -> dict[str, Any]:
    return {
        "poll_s": rng.choice((1, 1, 1, 2, 5)),
        "lag_s": rng.choice((0, 1, 1, 2, 5, 10, 15)),
        "noise_a": rng.choice((0.02, 0.05, 0.2)),
        "resolution_a": rng.choice((0.01, 0.01, 0.1)),
    }


def _house(rng: Random, limit_a: float) -> dict[str, Any]:
    return {
        "kind": rng.choice(("home", "office", "depot")),
        "level_a": [rng.uniform(0.1, 0.45) * limit_a for _ in range(3)],
        "kettles_per_h": rng.uniform(0, 5),
        "heat_pump_a": rng.choice((0.0, 0.06 * limit_a)),
        "inrush_a": rng.choice((0.0, 0.1 * limit_a)),
        "flicker_a": rng.uniform(0.05, 0.6),
        "most_a": 0.8 * limit_a,
    }

"""The case files: a name, a reason, a case in the public format and what its result has to say."""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "cases"
FILES = sorted(FOLDER.glob("*.json"))


def read(file: Path) -> dict[str, Any]:
    """Return a case file."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def differences(expected: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    """Yield where a result is not as expected; of connectors and circuits only what is expected is compared."""
    for kind in ("connectors", "paused"):
        if set(got[kind]) != set(expected[kind]):
            yield f"{kind}: {sorted(got[kind])} instead of {sorted(expected[kind])}"
    for kind, named in expected.items():
        for name, fields in named.items():
            for field, wanted in fields.items():
                found = got[kind].get(name, {}).get(field)
                if not _alike(wanted, found):
                    yield f"{name}: {field} is {found!r} instead of {wanted!r}"


def _alike(wanted: object, found: object) -> bool:
    match wanted, found:
        case ((int() | float()), (int() | float())):
            return abs(wanted - found) < 1e-6
        case list(), list():
            return len(wanted) == len(found) and all(
                map(_alike, wanted, found, strict=True)
            )
        case _:
            return wanted == found

"""The OCPP JSON schemas, as the Open Charge Alliance publishes them, to check what the other side says."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
import json
from typing import Any

from jsonschema import Draft4Validator, Draft6Validator  # type: ignore[import-untyped]

_FOLDERS = {"ocpp1.6": "ocpp.v16", "ocpp2.0.1": "ocpp.v201"}


@cache
def _validator(version: str, name: str) -> Any:
    file = files(_FOLDERS[version]) / "schemas" / f"{name}.json"
    if not file.is_file():
        return None
    # Decimal, so that "a multiple of 0.1" is asked of what was written and not of the nearest binary fraction.
    schema = json.loads(file.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    return Draft4Validator(schema) if version == "ocpp1.6" else Draft6Validator(schema)


def known(version: str, action: str) -> bool:
    """Whether OCPP of this version has such an action."""
    return _validator(version, _request(version, action)) is not None


def _request(version: str, action: str) -> str:
    return action if version == "ocpp1.6" else f"{action}Request"


def complaint(
    version: str, action: str, payload: Mapping[str, Any], *, answer: bool
) -> str | None:
    """Return what is wrong with a payload, or None.

    Args:
        version: the sub-protocol.
        action: the message.
        payload: parsed with `parse_float=Decimal`.
        answer: whether it is the answer to the action.
    """
    name = f"{action}Response" if answer else _request(version, action)
    validator = _validator(version, name)
    if validator is None:
        return f"no such message: {name}"
    error = next(iter(validator.iter_errors(payload)), None)
    if error is None:
        return None
    where = ".".join(str(part) for part in error.absolute_path) or "payload"
    return f"{name}: {where}: {error.message}"

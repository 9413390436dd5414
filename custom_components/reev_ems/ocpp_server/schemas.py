"""The JSON schemas of OCPP, loaded before the first charge point connects.

They come with the `ocpp` library. Its own loader reads a file at the first use of each message, which would block the
event loop, and it refuses 16.1 A because of floating point; so they are compiled here. Only files are taken: its modules
would bring 5 MiB of dataclasses along that nobody asks for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
import json
from typing import Any

from jsonschema import Draft4Validator, ValidationError  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]

from .model import Payload

_FOLDERS = {
    "1.6": "v16",
    "2.0.1": "v201",
    "2.1": "v21",
}

_TOLERANCE = 1e-6


def _multiple_of(
    _validator: Any, factor: float, instance: object, _schema: Any
) -> Iterator[ValidationError]:
    """Accept 16.1 as a multiple of 0.1, which binary floating point does not."""
    if isinstance(instance, int | float) and not isinstance(instance, bool):
        ratio = instance / factor
        if abs(ratio - round(ratio)) > _TOLERANCE * max(1.0, abs(ratio)):
            yield ValidationError(f"{instance} is not a multiple of {factor}")


_Validator = extend(Draft4Validator, {"multipleOf": _multiple_of})


@dataclass(frozen=True, slots=True)
class Schemas:
    """The compiled schemas of one OCPP version."""

    version: str
    requests: Mapping[str, Draft4Validator]
    responses: Mapping[str, Draft4Validator]

    def request_violation(
        self, action: str, payload: Payload
    ) -> ValidationError | None:
        """Return what is wrong with a request; None if nothing is, or if there is no such action."""
        return _violation(self.requests.get(action), payload)

    def response_violation(
        self, action: str, payload: Payload
    ) -> ValidationError | None:
        """Return what is wrong with an answer; None if nothing is, or if there is no such action."""
        return _violation(self.responses.get(action), payload)


def _violation(
    validator: Draft4Validator | None, payload: Payload
) -> ValidationError | None:
    return None if validator is None else next(validator.iter_errors(payload), None)


@cache
def load(version: str) -> Schemas:
    """Read and compile the schemas of an OCPP version ("1.6", "2.0.1" or "2.1"). Reads files: not in the event loop."""
    requests: dict[str, Draft4Validator] = {}
    responses: dict[str, Draft4Validator] = {}
    for file in files("ocpp").joinpath(_FOLDERS[version], "schemas").iterdir():
        name, dot, _ = file.name.partition(".json")
        if not dot:
            continue
        validator = _Validator(json.loads(file.read_text(encoding="utf-8-sig")))
        if name.endswith("Response"):
            responses[name.removesuffix("Response")] = validator
        else:
            requests[name.removesuffix("Request")] = validator
    return Schemas(version, requests, responses)

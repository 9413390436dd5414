"""Errors of charge points, in words that Home Assistant translates."""

from collections.abc import Iterator
from contextlib import contextmanager

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from ..const import DOMAIN
from ..ocpp_server import CallError
from ..parts.charge_point import ChargePointPart

# Nothing broke: what was asked for makes no sense now.
_WRONG_USE = {"no_transaction", "unknown_connector", "unsupported"}


@contextmanager
def charge_point_errors(part: ChargePointPart) -> Iterator[None]:
    """Translate why a charge point did not do what it was asked."""
    try:
        yield
    except CallError as err:
        kind = ServiceValidationError if err.key in _WRONG_USE else HomeAssistantError
        raise kind(
            translation_domain=DOMAIN,
            translation_key=f"charge_point_{err.key}",
            translation_placeholders={
                "charge_point": part.subentry.title,
                "detail": err.detail or err.status or err.key,
            },
        ) from err

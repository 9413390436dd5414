"""Passwords of charge points: made here, told over OCPP, and never lost on the way."""

import secrets

from homeassistant.core import callback

from .charge_point_parts import ChargePointPart, charge_point_parts
from .const import CONF_FORMER_PASSWORD, CONF_PASSWORD
from .coordinator import ReevCoordinator
from .ocpp_server import CallError, ChargePointEvent, Connected

# OCPP 1.6 security white paper: an AuthorizationKey has 16 to 40 characters; older chargers send shorter ones.
PASSWORD_LENGTHS = range(8, 41)

# As hex digits it is right for all: 1.6 demands them, for 2.x it is text of 16 to 40 characters.
_GENERATED_BYTES = 16

# After these nobody knows whether the charge point has taken its new password.
_UNCERTAIN = {"timeout", "disconnected", "invalid_answer"}


def generate_password() -> str:
    """Return a new password that every charge point takes."""
    return secrets.token_hex(_GENERATED_BYTES)


async def async_change_password(
    part: ChargePointPart, password: str | None
) -> tuple[str, str]:
    """Tell a charge point a password (None: a new one) and demand it from then on; return the answer and the password.

    The former one stays good until the charge point has signed in with the new one. Raises CallError.
    """
    password = password or generate_password()
    try:
        status = await part.charge_point.change_password(password)
    except CallError as err:
        # Without a former one it must not be locked out: it is let in as before, and asked again by the person.
        if err.key in _UNCERTAIN and part.subentry.data.get(CONF_PASSWORD):
            _store(part, password)
        raise
    _store(part, password)
    return status, password


def _store(part: ChargePointPart, password: str) -> None:
    """Store a password, and the one before it."""
    data = dict(part.subentry.data)
    if (former := data.get(CONF_PASSWORD)) and former != password:
        data[CONF_FORMER_PASSWORD] = former
    data[CONF_PASSWORD] = password
    _save(part, data)


@callback
def async_follow_passwords(coordinator: ReevCoordinator) -> None:
    """Forget the former password of each charge point that has signed in with its new one."""
    for part in charge_point_parts(coordinator):

        @callback
        def on_event(event: ChargePointEvent, part: ChargePointPart = part) -> None:
            """Look at the password of a new connection."""
            if isinstance(event, Connected):
                _forget_former(part)

        coordinator.config_entry.async_on_unload(part.charge_point.subscribe(on_event))
        _forget_former(part)


def _forget_former(part: ChargePointPart) -> None:
    """Drop the former password, if the new one was used."""
    if part.subentry_id not in part.coordinator.config_entry.subentries:
        return
    data = dict(part.subentry.data)
    if CONF_FORMER_PASSWORD in data and part.coordinator.server.knows_password(
        part.charge_point.id
    ):
        del data[CONF_FORMER_PASSWORD]
        _save(part, data)


def _save(part: ChargePointPart, data: dict[str, object]) -> None:
    """Save the subentry; the site takes it up with the reload that follows."""
    part.coordinator.hass.config_entries.async_update_subentry(
        part.coordinator.config_entry, part.subentry, data=data
    )

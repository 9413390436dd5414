"""Passwords of charge points: made here, told over OCPP, and never lost on the way."""

import secrets

from homeassistant.core import callback

from ..const import CONF_FORMER_PASSWORD, CONF_PASSWORD, CONF_PASSWORD_ON_TRIAL, LOGGER
from ..coordinator import ReevCoordinator
from ..ocpp_server import CallError, ChargePointEvent, Connected, FloorAccepted, Problem
from ..ocpp_server.passwords import hashed, is_hashed, is_password
from ..parts.charge_point import ChargePointPart, charge_point_parts

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
    former = data.get(CONF_PASSWORD)
    if former and not is_password(former, password.encode()):
        data[CONF_FORMER_PASSWORD] = former
    # Nobody has to be told it any more. What is on trial is told again.
    data[CONF_PASSWORD] = (
        password if data.get(CONF_PASSWORD_ON_TRIAL) else hashed(password)
    )
    _save(part, data)


@callback
def async_follow_passwords(coordinator: ReevCoordinator) -> None:
    """Tell each charge point its password where it was not asked to be typed in, and follow which one it uses.

    The former password is forgotten, and none is demanded no longer, once it has signed in with the new one.
    """
    for part in charge_point_parts(coordinator):

        @callback
        def on_event(event: ChargePointEvent, part: ChargePointPart = part) -> None:
            """Look at the password of a new connection, and tell one that is set up what it has to use."""
            if isinstance(event, Connected):
                _believe(part, connects=True)
            elif isinstance(event, FloorAccepted):
                _tell_soon(part)

        coordinator.config_entry.async_on_unload(part.charge_point.subscribe(on_event))
        _believe(part)
        if part.charge_point.connected and part.charge_point.floor_accepted:
            _tell_soon(part)


def _believe(part: ChargePointPart, *, connects: bool = False) -> None:
    """Drop the former password and the trial, if the new one was used; `connects`: it has just connected."""
    if part.subentry_id not in part.coordinator.config_entry.subentries:
        return
    charge_point, data = part.charge_point, dict(part.subentry.data)
    on_trial = data.get(CONF_PASSWORD_ON_TRIAL, False)
    if part.coordinator.server.knows_password(charge_point.id):
        data.pop(CONF_FORMER_PASSWORD, None)
        data.pop(CONF_PASSWORD_ON_TRIAL, None)
        on_trial = False
    if (kept := data.get(CONF_PASSWORD)) and not on_trial and not is_hashed(kept):
        data[CONF_PASSWORD] = hashed(kept)
    if data != dict(part.subentry.data):
        _save(part, data)
    if not on_trial:
        charge_point.problem(Problem.PASSWORD_UNUSED, present=False)
    elif connects and charge_point.password_told:
        # It was told a password, and has connected without it again.
        charge_point.problem(Problem.PASSWORD_UNUSED, present=True)


@callback
def _tell_soon(part: ChargePointPart) -> None:
    """Tell a charge point its password, once in a run of this program: each time is written to its flash memory."""
    coordinator = part.coordinator
    if (
        part.subentry_id not in coordinator.config_entry.subentries
        or not part.subentry.data.get(CONF_PASSWORD_ON_TRIAL)
        or coordinator.server.knows_password(part.charge_point.id)
        or part.charge_point.password_told
    ):
        return
    coordinator.config_entry.async_create_background_task(
        coordinator.hass, _async_tell(part), f"password of {part.charge_point.id}"
    )


async def _async_tell(part: ChargePointPart) -> None:
    """Tell a charge point its password; one that does not take it goes on as before, and a person is told."""
    charge_point = part.charge_point
    try:
        await charge_point.change_password(part.subentry.data[CONF_PASSWORD])
    except CallError as err:
        LOGGER.debug("%s takes no password: %s", charge_point.id, err)
        if err.key not in _UNCERTAIN | {"not_connected"}:
            charge_point.problem(Problem.PASSWORD_UNUSED, present=True)
            charge_point.password_told = True
        return
    charge_point.password_told = True


def _save(part: ChargePointPart, data: dict[str, object]) -> None:
    """Save the subentry; the site takes it up with the reload that follows."""
    part.coordinator.hass.config_entries.async_update_subentry(
        part.coordinator.config_entry, part.subentry, data=data
    )

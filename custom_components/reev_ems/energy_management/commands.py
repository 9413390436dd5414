"""What goes on the wire: a permit becomes a command when it has to, and not more often (S5).

Charge points may write every profile to flash memory, so a command is sent only if the permit changed, if it has lived
half its life, if the charge point has not accepted it, or if the car begins to charge: some charge points drop a
profile that they accepted while the car was suspended.
"""

from dataclasses import replace

from .decision import Command
from .model import Settings
from .outlets import Outlet
from .state import Permit


def life_s(value: float, outlet: Outlet, settings: Settings) -> float:
    """Return how long a permit lives: falling back from one at or below the floor needs no haste."""
    return (
        settings.profile_life_s
        if value > outlet.floor
        else settings.paused_profile_life_s
    )


def changed(
    permit: Permit,
    value: float,
    allowed: float,
    outlet: Outlet,
    now_s: float,
    settings: Settings,
) -> Permit:
    """Return the permit after the decision for a value.

    Args:
        permit: the permit before.
        value: what is allowed from now on.
        allowed: what the car may still be drawing by.
        outlet: the connector.
        now_s: the time of the step.
        settings: the lives of permits.
    """
    expires_s = now_s + life_s(value, outlet, settings)
    if value > permit.value:
        return Permit(
            value=value,
            set_s=now_s,
            expires_s=expires_s,
            raised_s=now_s,
            lowered_s=permit.lowered_s,
            before=permit.before,
        )
    return Permit(
        value=value,
        set_s=now_s,
        expires_s=expires_s,
        raised_s=permit.raised_s,
        lowered_s=now_s,
        before=allowed,
    )


def is_due(
    permit: Permit,
    outlet: Outlet,
    now_s: float,
    accepted: float | None,
    settings: Settings,
) -> bool:
    """Return whether an unchanged permit has to be sent (again)."""
    if permit.sent_s is None:
        return permit.expires_s is not None
    if (
        accepted is not None
        and abs(accepted - permit.value) > outlet.step / 2
        and now_s - permit.sent_s >= settings.resend_s
    ):
        return True
    if permit.expires_s is None or permit.value == outlet.floor:
        # It lapses to what it is.
        return False
    return now_s - permit.sent_s >= life_s(permit.value, outlet, settings) / 2


def sent(permit: Permit, outlet: Outlet, now_s: float, settings: Settings) -> Permit:
    """Return the permit after it was put into a command: it lives anew."""
    return replace(
        permit, sent_s=now_s, expires_s=now_s + life_s(permit.value, outlet, settings)
    )


def command(
    permit: Permit, outlet: Outlet, shift_s: float, phase_count: int | None
) -> Command:
    """Return the command for a permit; `shift_s` leads back to the caller's clock."""
    return Command(
        connector=outlet.connector.id,
        permit_a=None if outlet.is_dc else permit.value,
        permit_w=permit.value if outlet.is_dc else None,
        expires_s=(permit.expires_s or 0.0) - shift_s,
        phase_count=phase_count,
    )

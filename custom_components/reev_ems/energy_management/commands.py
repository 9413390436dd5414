"""What goes on the wire: a permit becomes a command when it has to, and not more often (S5).

Charge points may write every profile to flash memory, so a command is sent only if the permit changed, if it has lived
half its life, if the charge point has not accepted it, or if the car begins to charge: some charge points drop a
profile that they accepted while the car was suspended.
"""

from collections.abc import Iterable

from .decision import Command
from .frozen import replace
from .model import ChargingMode, Settings
from .occupancy import leaving
from .outlets import Outlet
from .sharing import LACKING
from .state import ConnectorMemory, Permit
from .turns import Turn

_SELDOM = 6
"""Doublings after which a permit that is not accepted is sent again every 16 min: there is flash memory to wear."""


def plan_commands(
    turns: Iterable[Turn], settings: Settings, now_s: float, shift_s: float
) -> tuple[Command, ...]:
    """Return the commands that are due, and let the memories know.

    Args:
        turns: the connectors with what they are allowed from now on.
        settings: the lives of permits.
        now_s: the time of the step.
        shift_s: what leads back from `now_s` to the caller's clock.
    """
    commands: list[Command] = []
    for turn in turns:
        if not turn.steered:
            continue
        outlet, permit = turn.outlet, turn.memory.permit
        if abs(turn.new - permit.value) > outlet.step * 1e-3:
            permit = _changed(permit, turn, now_s, settings)
        elif _may_lapse(turn) or not _is_due(turn, permit, now_s, settings):
            turn.memory = _timed(turn, permit, now_s)
            continue
        else:
            refused = _is_refused(turn, permit)
            permit = replace(permit, resent=permit.resent + 1 if refused else 0)
        permit = replace(
            permit,
            one_phase=turn.one_phase,
            sent_s=now_s,
            expires_s=now_s + _life_s(permit.value, outlet, settings),
        )
        turn.memory = _timed(turn, permit, now_s)
        phase_count = None
        if outlet.connector.can_switch_phases and turn.new > 0:
            phase_count = 1 if turn.one_phase else 3
        commands.append(
            Command(
                connector=turn.name,
                permit_a=None if outlet.is_dc else permit.value,
                permit_w=permit.value if outlet.is_dc else None,
                expires_s=now_s + _life_s(permit.value, outlet, settings) - shift_s,
                phase_count=phase_count,
            )
        )
    return tuple(commands)


def _is_due(turn: Turn, permit: Permit, now_s: float, settings: Settings) -> bool:
    """Return whether an unchanged permit has to be sent (again)."""
    outlet = turn.outlet
    if turn.one_phase != permit.one_phase and permit.value > 0:
        return True
    if permit.sent_s is None:
        return permit.expires_s is not None
    resend_s = settings.resend_s * 2 ** min(permit.resent, _SELDOM)
    if _is_refused(turn, permit) and now_s - permit.sent_s >= resend_s:
        return True
    if permit.expires_s is None or (
        permit.value == outlet.floor and not permit.one_phase
    ):
        # It lapses to what it is.
        return False
    return now_s - permit.sent_s >= _life_s(permit.value, outlet, settings) / 2


def _is_refused(turn: Turn, permit: Permit) -> bool:
    """Return whether the charge point says that it accepted another permit."""
    return (
        turn.accepted is not None
        and abs(turn.accepted - permit.value) > turn.outlet.step / 2
    )


def _life_s(value: float, outlet: Outlet, settings: Settings) -> float:
    """Return how long a permit lives: falling back from one at or below the floor needs no haste."""
    if value > outlet.floor:
        return settings.profile_life_s
    return settings.paused_profile_life_s


def _changed(permit: Permit, turn: Turn, now_s: float, settings: Settings) -> Permit:
    value = turn.new
    raised = value > permit.value
    return Permit(
        value=value,
        set_s=now_s,
        expires_s=now_s + _life_s(value, turn.outlet, settings),
        raised_s=now_s if raised else permit.raised_s,
        lowered_s=permit.lowered_s if raised else now_s,
        left=permit.left if raised else leaving(permit, turn.standing, now_s, settings),
    )


def _may_lapse(turn: Turn) -> bool:
    """Return whether a pause is not renewed: with nobody to decide, its charge point goes to the floor (S5)."""
    return (
        turn.failed
        and turn.new <= 0
        and turn.seen.enabled
        and turn.seen.authorized
        and turn.outlet.connector.mode in {ChargingMode.FAST, ChargingMode.SOLAR_MIN}
    )


def _timed(turn: Turn, permit: Permit, now_s: float) -> ConnectorMemory:
    """Return the memory with the times at which charging began and was paused."""
    memory = turn.memory
    charges, charged = turn.new > 0, memory.permit.value > 0
    if charges and (not charged or memory.on_s is None):
        return replace(memory, permit=permit, on_s=now_s, off_s=None)
    if charged and not charges:
        # Who never had a turn need not stay away from one.
        lacked = turn.limit.kind in LACKING and memory.on_s is not None
        return replace(
            memory,
            permit=permit,
            off_s=now_s if lacked else None,
            one_phase=False,
            three_phase_room_s=None,
        )
    return memory if permit is memory.permit else replace(memory, permit=permit)

"""Command: a permit goes on the wire when it has to, and not more often (S5).

Charge points may write every profile to flash memory, so a command is sent only if the permit changed, if it has lived
half its life, if the charge point has not accepted it, or if the car begins to charge: some charge points drop a
profile that they accepted while the car was suspended.
"""

from collections.abc import Sequence
from typing import Final

from .choose import Chosen
from .decision import Action, Command, LimitKind
from .envelope import leaving
from .frozen import replace
from .model import ChargingMode, Settings
from .observe import Seen
from .outlets import Outlet
from .raises import Permitted, Taken, stand_s
from .share import LACKING
from .state import ConnectorMemory, Permit

_SELDOM: Final = 6
"""Doublings after which a permit that is not accepted is sent again every 16 min: there is flash memory to wear."""

_TAKEN_BACK_S: Final = 120.0
"""A raise is taken back if its connector is lowered within so long."""


def plan_commands(
    connectors: Sequence[Seen],
    chosen: Chosen,
    taken: Taken,
    settings: Settings,
    now_s: float,
    shift_s: float,
) -> tuple[dict[str, ConnectorMemory], list[Command]]:
    """Return all memories and the commands that are due.

    Args:
        connectors: as they are seen.
        chosen: the modes that are in force.
        taken: what they are allowed from now on.
        settings: the lives of permits.
        now_s: the time of the step.
        shift_s: what leads back from `now_s` to the caller's clock.
    """
    memories: dict[str, ConnectorMemory] = {}
    commands: list[Command] = []
    for item in connectors:
        name, new = item.name, taken.permits[item.name]
        memory = new.memory
        if not item.steered:
            memories[name] = memory
            continue
        outlet, permit = item.outlet, memory.permit
        one_phase = memory.one_phase
        if abs(new.value - permit.value) > outlet.step * 1e-3:
            memory = _with_times(memory, item, new, settings, now_s)
            permit = _changed(permit, item, new.value, now_s, settings)
        elif _may_lapse(item, chosen, new) or not _is_due(
            item, memory, new.value, now_s, settings
        ):
            memories[name] = _with_times(memory, item, new, settings, now_s)
            continue
        else:
            memory = _with_times(memory, item, new, settings, now_s)
            refused = _is_refused(item, permit)
            permit = replace(permit, resent=permit.resent + 1 if refused else 0)
        life_s = _life_s(permit.value, outlet, settings)
        memories[name] = replace(
            memory,
            permit=replace(
                permit, one_phase=one_phase, sent_s=now_s, expires_s=now_s + life_s
            ),
        )
        if new.value <= 0 < item.before and not outlet.connector.obeys_pause:
            commands.append(Command(connector=name, action=Action.STOP))
        phase_count = None
        if outlet.connector.can_switch_phases and new.value > 0:
            phase_count = 1 if one_phase else 3
        commands.append(
            Command(
                connector=name,
                permit_a=None if outlet.is_dc else permit.value,
                permit_w=permit.value if outlet.is_dc else None,
                expires_s=now_s + life_s - shift_s,
                phase_count=phase_count,
            )
        )
    return memories, commands


def _is_due(
    item: Seen,
    memory: ConnectorMemory,
    value: float,
    now_s: float,
    settings: Settings,
) -> bool:
    """Return whether an unchanged permit has to be sent (again)."""
    outlet, permit = item.outlet, memory.permit
    if memory.one_phase != permit.one_phase and permit.value > 0:
        return True
    if permit.sent_s is None:
        return permit.expires_s is not None
    resend_s = settings.resend_s * 2 ** min(permit.resent, _SELDOM)
    if _is_refused(item, permit) and now_s - permit.sent_s >= resend_s:
        return True
    if permit.expires_s is None or (
        permit.value == outlet.floor and not permit.one_phase
    ):
        # It lapses to what it is.
        return False
    return now_s - permit.sent_s >= _life_s(permit.value, outlet, settings) / 2


def _is_refused(item: Seen, permit: Permit) -> bool:
    """Return whether the charge point says that it accepted another permit."""
    return (
        item.accepted is not None
        and abs(item.accepted - permit.value) > item.outlet.step / 2
    )


def _life_s(value: float, outlet: Outlet, settings: Settings) -> float:
    """Return how long a permit lives: falling back from one at or below the floor needs no haste."""
    if value > outlet.floor:
        return settings.profile_life_s
    return settings.paused_profile_life_s


def _changed(
    permit: Permit, item: Seen, value: float, now_s: float, settings: Settings
) -> Permit:
    raised = value > permit.value
    return Permit(
        value=value,
        set_s=now_s,
        expires_s=now_s + _life_s(value, item.outlet, settings),
        raised_s=now_s if raised else permit.raised_s,
        lowered_s=permit.lowered_s if raised else now_s,
        left=permit.left if raised else leaving(permit, item.standing, now_s, settings),
    )


def _may_lapse(item: Seen, chosen: Chosen, new: Permitted) -> bool:
    """Return whether a pause is not renewed: with nobody to decide, its charge point goes to the floor (S5)."""
    return (
        new.limit.kind is LimitKind.FAILSAFE
        and new.value <= 0
        and chosen.modes[item.name] in {ChargingMode.FAST, ChargingMode.SOLAR_MIN}
    )


def _with_times(
    memory: ConnectorMemory,
    item: Seen,
    new: Permitted,
    settings: Settings,
    now_s: float,
) -> ConnectorMemory:
    """Return the memory with what follows from a start, a pause, and a raise that is taken back."""
    charges, charged = new.value > 0, memory.permit.value > 0
    lacks = new.limit if not charges and new.limit.kind in LACKING else None
    waits_s = memory.waits_s
    if charges:
        waits_s = None
    elif lacks is not None and waits_s is None:
        waits_s = now_s
    if memory.lacks != lacks or memory.waits_s != waits_s:
        memory = replace(memory, lacks=lacks, waits_s=waits_s)
    if charges and (not charged or memory.on_s is None):
        memory = replace(memory, on_s=now_s, turn_s=now_s)
    elif charged and not charges:
        # One that never had a turn was not paused.
        paused = lacks is not None and memory.on_s is not None
        memory = replace(
            memory,
            pauses=memory.pauses + paused,
            turn_s=None,
            one_phase=False,
            three_phase_room_s=None,
        )
    raised_s = memory.permit.raised_s
    if (
        (memory.permit.value - new.value) * item.outlet.unit_a >= settings.raise_step_a
        and new.limit.kind in LACKING
        and raised_s is not None
        and now_s - raised_s < _TAKEN_BACK_S
        # A raise is taken back once, in however many parts.
        and (memory.taken_back_s is None or memory.taken_back_s < raised_s)
        and item.seen.enabled
    ):
        # It is forgotten again as slowly as it grew.
        longer = 1 if stand_s(memory, now_s) > 0 else 1 - memory.taken_back
        memory = replace(
            memory, taken_back=memory.taken_back + longer, taken_back_s=now_s
        )
    return memory

"""Command: what is done about a circuit that stays overloaded though permits are lowered (S13).

An overload that a meter shows lowers permits in the same step. If the circuit is still measured above its limit after
`Settings.stop_after_s`, permits do not help: charge points below it that draw more than they are permitted, or do not
say what they draw, have their transaction stopped, one after the other, the disobedient first, then by priority. One
that goes on drawing is taken out of service. Once there has been room for `Settings.restore_s` the last one taken out of
service is put back first.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from .circuits import Loads, is_overloaded
from .decision import Action, Command
from .frozen import replace
from .model import Settings
from .observation import ConnectorState
from .observe import Seen
from .outlets import Layout
from .state import ConnectorMemory, Measure

_PACE_S: Final = 4.0
"""From one stopped transaction to the next: so long a charge point takes to open its contactor."""

_TRIED_S: Final = 15.0
"""A charge point that still draws so long after its transaction was stopped is taken out of service."""

_DRAWS_A: Final = 1.0


def escalate(
    plan: Layout,
    connectors: Sequence[Seen],
    memories: Mapping[str, ConnectorMemory],
    loads: Loads,
    now_s: float,
) -> tuple[dict[str, ConnectorMemory], tuple[Command, ...]]:
    """Return what changes of the memories, and the commands beyond permits."""
    settings = plan.site.settings
    changed: dict[str, ConnectorMemory] = {}
    commands: list[Command] = []
    overloaded = {
        name
        for name, memory in loads.meters.items()
        if is_overloaded(memory, now_s, settings.stop_after_s)
    }
    done_s = max(
        (memory.measure_s for memory in memories.values() if memory.measure),
        default=None,
    )
    if overloaded and (done_s is None or now_s - done_s >= _PACE_S):
        suspects = [
            item
            for item in connectors
            if not item.is_offline
            and not overloaded.isdisjoint(item.outlet.metered)
            and _next(item, memories[item.name], settings, now_s) is not None
        ]
        if suspects:
            item = min(suspects, key=_blame)
            memory = memories[item.name]
            measure = _next(item, memory, settings, now_s)
            changed[item.name] = replace(memory, measure=measure, measure_s=now_s)
            action = Action.STOP if measure is Measure.STOP else Action.INOPERATIVE
            commands.append(Command(connector=item.name, action=action))
    if not overloaded:
        _restore(plan, connectors, memories, loads, now_s, changed, commands)
    return changed, tuple(commands)


def _next(
    item: Seen, memory: ConnectorMemory, settings: Settings, now_s: float
) -> Measure | None:
    """Return the next measure against a connector that may cause an overload; None: it does not, or nothing is left."""
    draw = memory.draw
    if memory.measure is Measure.INOPERATIVE:
        return None
    if memory.measure is Measure.STOP:
        drawing = draw is not None and draw.current_a >= _DRAWS_A
        if (
            settings.may_make_inoperative
            and now_s - memory.measure_s >= _TRIED_S
            and (drawing or memory.state is ConnectorState.CHARGING)
        ):
            return Measure.INOPERATIVE
        return None
    if not item.steered or not settings.may_stop_transactions:
        return None
    if draw is None:
        return Measure.STOP if memory.state is ConnectorState.CHARGING else None
    allowed_a = item.allowed * item.outlet.unit_a
    over = draw.current_a > allowed_a + _DRAWS_A or memory.disobedient
    return Measure.STOP if over else None


def _blame(item: Seen) -> tuple[bool, bool, int, str]:
    memory = item.memory
    return (
        not memory.disobedient,
        memory.over_s is None,
        item.priority,
        item.name,
    )


def _restore(
    plan: Layout,
    connectors: Sequence[Seen],
    memories: Mapping[str, ConnectorMemory],
    loads: Loads,
    now_s: float,
    changed: dict[str, ConnectorMemory],
    commands: list[Command],
) -> None:
    """Undo what was done, the last first, where the room has been back for long enough."""
    restore_s = plan.site.settings.restore_s
    measured = [item for item in connectors if memories[item.name].measure is not None]
    for item in sorted(measured, key=lambda item: -memories[item.name].measure_s):
        meters = [loads.meters[name] for name in item.outlet.metered]
        if (
            any(
                meter.over_s is not None
                or (meter.room_s is not None and now_s - meter.room_s < restore_s)
                for meter in meters
            )
            or now_s - memories[item.name].measure_s < restore_s
        ):
            return
        memory = memories[item.name]
        if memory.measure is Measure.INOPERATIVE:
            commands.append(Command(connector=item.name, action=Action.OPERATIVE))
        changed[item.name] = replace(
            memory, measure=None, measure_s=now_s, disobedient=False, over_s=None
        )
        return

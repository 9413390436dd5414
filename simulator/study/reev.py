"""The energy management of this project as a controller: the only file here that knows it.

It is loaded from its folder, as the run command does, so that no Home Assistant is needed and any other version of it
can be studied beside this one. It is handed what a run line would carry.
"""

import importlib
from pathlib import Path
import sys
from types import ModuleType
from typing import Any

from .charger import Command
from .controllers import Answer, Issue
from .plan import SitePlan
from .plant import Seen

FOLDER = Path(__file__).resolve().parents[2] / "custom_components" / "reev_ems"
"""Where the folder `energy_management` is."""

_PHASES = ("L1", "L2", "L3")


def _module(name: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = importlib.import_module(f"energy_management.{name}")
    if module.__file__ is None or not Path(module.__file__).is_relative_to(folder):
        raise ValueError(f"another energy management than that of {folder} is loaded")
    return module


def site_line(plan: SitePlan) -> dict[str, Any]:
    """Return the site as the first line of a run tells it (docs/runs.md)."""
    circuits = [
        {
            "id": circuit.id,
            "parent": circuit.parent,
            "limit_a": None if circuit.limit_a is None else list(circuit.limit_a),
            "metered": circuit.meter is not None,
            "reserve_a": list(circuit.reserve_a),
        }
        | circuit.told
        for circuit in plan.circuits
    ]
    connectors: list[dict[str, Any]] = []
    for outlet in plan.outlets:
        line: dict[str, Any] = {
            "id": outlet.id,
            "circuit": outlet.circuit,
            "mode": outlet.mode,
            "priority": outlet.priority,
            "autonomous_fallback": outlet.charger.autonomous_fallback,
        }
        if outlet.dc:
            line |= {"supply": "dc", "min_w": outlet.least, "max_w": outlet.most}
            line |= {"step_w": outlet.step, "efficiency": outlet.efficiency}
        else:
            line |= {"phases": [_PHASES[phase] for phase in outlet.phases]}
            line |= {"min_a": outlet.least, "max_a": outlet.most, "step_a": outlet.step}
        connectors.append(line | outlet.told)
    imbalance = None if plan.imbalance_a is None else {"limit_a": plan.imbalance_a}
    return {
        "circuits": circuits,
        "connectors": connectors,
        "imbalance": imbalance,
    } | plan.told


class Reev:
    """The energy management, step by step.

    Args:
        plan: the site.
        folder: the folder that holds `energy_management`; this project's own if left out.

    Raises:
        ValueError: the site is refused, or another version was loaded in this process.
    """

    def __init__(self, plan: SitePlan, folder: Path = FOLDER) -> None:
        """Hand over the site."""
        run_format = _module("run_format", folder)
        fields = _module("fields", folder)
        self._seen = _module("observation", folder)
        site, _ = run_format.read_site(fields.Fields(site_line(plan)))
        controller = _module("controller", folder)
        self._step = controller.step
        self._state = controller.ControllerState()
        # `step` takes the site, or what follows from it.
        names = controller.step.__annotations__
        self._site = (
            site if "site" in names else _module("outlets", folder).layout(site)
        )
        states = self._seen.ConnectorState
        self._states = {state.value: state for state in states}
        self._dc = {outlet.id: outlet.dc for outlet in plan.outlets}

    def step(self, seen: Seen) -> Answer:
        """Answer what is known now."""
        kinds, states, at_s = self._seen, self._states, seen.at_s
        connector_observation = kinds.ConnectorObservation
        connectors = {}
        for name, report in seen.reports.items():
            dc = self._dc[name]
            connectors[name] = connector_observation(
                state=states[report.state],
                current_a=report.current_a,
                power_w=report.power_w,
                age_s=None if report.measured_s is None else at_s - report.measured_s,
                permit_a=None if dc else report.accepted,
                permit_w=report.accepted if dc else None,
            )
        observation = kinds.Observation(
            at_s=float(at_s),
            meters={
                name: kinds.MeterObservation(
                    current_a=reading.current_a,
                    power_w=reading.power_w,
                    # The answer itself takes a moment, and the tick after its second is the first to know it.
                    age_s=max(0.0, at_s - 1.0 - reading.read_s) + 0.2,
                )
                for name, reading in seen.meters.items()
                if reading is not None
            },
            connectors=connectors,
            external_limit_w=seen.external_w,
            battery=None
            if seen.battery is None
            else kinds.BatteryObservation(
                power_w=seen.battery[0], soc_pct=seen.battery[1]
            ),
        )
        self._state, decision = self._step(self._site, self._state, observation)
        return self._answer(decision)

    def _answer(self, decision: Any) -> Answer:
        commands = []
        for command in decision.commands:
            kind = str(getattr(command, "action", "permit"))
            amount = (
                command.permit_w if self._dc[command.connector] else command.permit_a
            )
            commands.append(
                Command(
                    connector=command.connector,
                    kind=kind,
                    amount=amount or 0.0,
                    expires_s=command.expires_s,
                    phase_count=command.phase_count,
                )
            )

        def permit(name: str) -> float:
            decided = decision.connectors[name]
            return float(
                (decided.permit_w if self._dc[name] else decided.permit_a) or 0.0
            )

        return Answer(
            commands=tuple(commands),
            permit=permit,
            reason=lambda name: str(decision.connectors[name].limited_by.kind),
            state=str(decision.state),
            issues=tuple(
                Issue(
                    kind=str(issue.kind),
                    circuit=issue.circuit,
                    phase=issue.phase,
                    connector=issue.connector,
                )
                for issue in decision.issues
            ),
        )

"""A site with steady readings, one step a second."""

from dataclasses import replace
from typing import Any

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import Command, Decision
from custom_components.reev_ems.energy_management.model import (
    Circuit,
    Connector,
    PerPhase,
    Site,
)
from custom_components.reev_ems.energy_management.observation import (
    ConnectorObservation,
    ConnectorState,
    MeterObservation,
    Observation,
)
from tests.energy_management.stepping import step

MAIN = Circuit(id="main", limit_a=(32.0, 32.0, 32.0), metered=True)


def one(connector: Connector | None = None, **changes: Any) -> Site:
    """Return a site with one connector."""
    connector = connector or Connector(id="c0", circuit="main")
    return replace(
        Site(circuits=(MAIN,), connectors=(connector,), imbalance=None), **changes
    )


class Loop:
    """Steps a site with steady readings; cars draw at once what they are permitted, and say so."""

    def __init__(self, site: Site, base_a: PerPhase = (2.0, 2.0, 2.0)) -> None:
        """Begin at the start."""
        self.site = site
        self.base_a = base_a
        self.age_s: float | None = 0.2
        """Of the meter's readings; None: there are none."""
        self.external_limit_w: float | None = None
        self.extra_a = 0.0
        """What cars draw beyond their permits."""
        self.state = ControllerState()
        self.now_s = 1000.0
        self.connectors = {
            item.id: ConnectorObservation(state=ConnectorState.CHARGING)
            for item in site.connectors
        }
        self.commands: list[tuple[float, Command]] = []

    def step(self, seconds: int = 1) -> Decision:
        """Take as many steps of one second and return the last decision."""
        for _ in range(seconds):
            drawn = [0.0, 0.0, 0.0]
            for seen in self.connectors.values():
                for index, value in enumerate(seen.current_a or (0.0, 0.0, 0.0)):
                    drawn[index] += value or 0.0
            l1, l2, l3 = (a + b for a, b in zip(self.base_a, drawn, strict=True))
            meter = MeterObservation(
                current_a=(l1, l2, l3),
                power_w=(l1 + l2 + l3) * 230,
                age_s=self.age_s,
            )
            observation = Observation(
                at_s=self.now_s,
                meters={} if self.age_s is None else {"main": meter},
                connectors=self.connectors,
                external_limit_w=self.external_limit_w,
            )
            self.state, decision = step(self.site, self.state, observation)
            self.commands += [(self.now_s, item) for item in decision.commands]
            self.now_s += 1
            for name, connector in decision.connectors.items():
                if self.connectors[name].state is ConnectorState.CHARGING:
                    value = connector.permit_a
                    if value:
                        value += self.extra_a
                    current_a = None if value is None else (value, value, value)
                    self.see(name, current_a=current_a, age_s=0.5)
        return decision

    def see(self, name: str = "c0", **changes: Any) -> None:
        """Change what is seen of a connector."""
        self.connectors[name] = replace(self.connectors[name], **changes)

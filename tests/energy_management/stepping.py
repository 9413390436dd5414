"""`step` for tests: from a site instead of its layout."""

from functools import lru_cache

from custom_components.reev_ems.energy_management import controller
from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import Decision
from custom_components.reev_ems.energy_management.model import Site
from custom_components.reev_ems.energy_management.observation import Observation
from custom_components.reev_ems.energy_management.outlets import layout

_layout = lru_cache(maxsize=64)(layout)


def step(
    site: Site, state: ControllerState, observation: Observation
) -> tuple[ControllerState, Decision]:
    """Decide what every connector of a site is allowed from now on."""
    return controller.step(_layout(site), state, observation)

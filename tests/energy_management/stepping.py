"""`step` for tests: from a site instead of its layout."""

from dataclasses import replace
from functools import lru_cache

from custom_components.reev_ems.energy_management import controller
from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.decision import Decision
from custom_components.reev_ems.energy_management.model import Site
from custom_components.reev_ems.energy_management.observation import Observation
from custom_components.reev_ems.energy_management.outlets import Layout, layout


@lru_cache(maxsize=64)
def _layout(site: Site) -> Layout:
    return layout(replace(site, settings=replace(site.settings, test_meters=False)))


def step(
    site: Site, state: ControllerState, observation: Observation
) -> tuple[ControllerState, Decision]:
    """Decide what every connector of a site is allowed from now on.

    Meters are not put to the test by steps of cars here: these tests look at one rule at a time, mostly with readings
    that stand still to the last digit.
    """
    return controller.step(_layout(site), state, observation)


def step_and_test_meters(
    site: Site, state: ControllerState, observation: Observation
) -> tuple[ControllerState, Decision]:
    """Decide as it is configured."""
    return controller.step(layout(site), state, observation)

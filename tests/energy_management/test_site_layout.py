"""What is no site is refused in words that name what is wrong with it."""

import pytest

from custom_components.reev_ems.energy_management.controller import ControllerState
from custom_components.reev_ems.energy_management.model import Circuit, Connector, Site
from custom_components.reev_ems.energy_management.observation import Observation
from tests.energy_management.stepping import step

MAIN = Circuit(id="main")
BOARD = Circuit(id="board", parent="main")
BOX = Connector(id="box", circuit="board")


@pytest.mark.parametrize(
    ("circuits", "connectors", "said"),
    [
        ((MAIN, BOARD, BOARD), (), "circuit 'board' is there twice"),
        (
            (MAIN, Circuit(id="board", parent="attic")),
            (),
            "circuit 'board' has the unknown parent 'attic'",
        ),
        (
            (MAIN, Circuit(id="a", parent="b"), Circuit(id="b", parent="a")),
            (),
            "lies below itself",
        ),
        ((), (), "a site has one grid connection, not 0"),
        ((MAIN, Circuit(id="other")), (), "a site has one grid connection, not 2"),
        ((MAIN, BOARD), (BOX, BOX), "connector 'box' is there twice"),
        ((MAIN,), (BOX,), "connector 'box' names the unknown circuit 'board'"),
    ],
)
def test_s9_what_is_no_tree_is_refused(
    circuits: tuple[Circuit, ...], connectors: tuple[Connector, ...], said: str
) -> None:
    """No decision is better than one about a site that cannot be."""
    site = Site(circuits=circuits, connectors=connectors)
    with pytest.raises(ValueError, match=said):
        step(site, ControllerState(), Observation(at_s=0.0))

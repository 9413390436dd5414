"""What is checked before it is saved."""

import pytest

from custom_components.reev_ems.energy_management.tree import is_below
from custom_components.reev_ems.flows.validation import is_charge_point_id

TREE = {"main": None, "garage": "main", "left": "garage", "roof": "main"}


@pytest.mark.parametrize(
    ("circuit", "top", "below"),
    [
        ("left", "main", True),
        ("left", "garage", True),
        ("left", "left", True),
        ("left", "roof", False),
        ("main", "left", False),
        ("gone", "main", False),
    ],
)
def test_is_below(circuit: str, top: str, below: bool) -> None:
    """A circuit lies below itself and all that feed it."""
    assert is_below(TREE, circuit, top) is below


def test_cycle_that_is_there_already_ends() -> None:
    """A damaged configuration must not hang the form that mends it."""
    assert not is_below({"a": "b", "b": "a"}, "a", "main")


@pytest.mark.parametrize("text", ["CP-1", "evse_4", "a", "DE*ABC*E1", "x" * 48])
def test_charge_point_id(text: str) -> None:
    """What manufacturers print on charge points is an id."""
    assert is_charge_point_id(text)


@pytest.mark.parametrize("text", ["", "a b", "a/b", "ä", "a\n", "x" * 49, "%41"])
def test_no_charge_point_id(text: str) -> None:
    """What cannot stand in the path of a URL is none."""
    assert not is_charge_point_id(text)

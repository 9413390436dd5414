"""What the public case format cannot say about the allocation, and the guard."""

import pytest

from custom_components.reev_ems.energy_management.filling import fill

from .checks import CHECKS, Check, load


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_check(check: Check) -> None:
    """Each check holds."""
    check(load("custom_components.reev_ems.energy_management"))


def test_a_row_that_rounding_overfilled_freezes_its_members() -> None:
    """A load that exceeds its bound by a rounding error leaves its members where they are."""
    load_a = [12.000000000000002]
    frozen = fill(
        [(0, 6.0, 16.0, 1.0), (0, 6.0, 16.0, 1.0)],
        [((0, 1.0),)],
        load_a,
        [12.0],
    )
    assert frozen[0] == (pytest.approx(6.0), 0)
    load_a = [1e-17]
    assert fill([(0, 0.0, 16.0, 1.0)], [((0, 1.0),)], load_a, [0.0])[0][1] == 0

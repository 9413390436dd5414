"""What the public case format cannot say about the allocation, and the guard."""

import pytest

from custom_components.reev_ems.energy_management.bottlenecks import Bottlenecks
from custom_components.reev_ems.energy_management.case import Case, Demand
from custom_components.reev_ems.energy_management.filling import fill
from custom_components.reev_ems.energy_management.model import (
    PHASES,
    Circuit,
    Connector,
    Site,
)
from custom_components.reev_ems.energy_management.rows import Rows

from .checks import CHECKS, Check, load


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_check(check: Check) -> None:
    """Each check holds."""
    check(load("custom_components.reev_ems.energy_management"))


@pytest.mark.parametrize(
    ("limit_a", "load_a", "low_a", "count"),
    [(12.0, 12.000000000000002, 6.0, 2), (0.0, 1e-17, 0.0, 1)],
)
def test_a_row_that_rounding_overfilled_freezes_its_members(
    limit_a: float, load_a: float, low_a: float, count: int
) -> None:
    """A load that exceeds its bound by a rounding error leaves its members where they are."""
    circuit = Circuit(id="main", limit_a=(limit_a, 99.0, 99.0))
    connector = Connector(id="a", circuit="main", phases=PHASES[:1])
    rows = Rows(Case(site=Site(circuits=(circuit,), imbalance=None)), {})
    signature = rows.signature(Demand.of(connector, 230.0))
    frozen = fill(
        {(low_a, 16.0, 1.0): [signature] * count},
        Bottlenecks(rows, [True, False, False]),
        [load_a, 0.0, 0.0],
        rows.bounds_a,
    )
    assert frozen == {signature: (pytest.approx(low_a), 0)}

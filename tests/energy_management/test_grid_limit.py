"""§14a EnWG: what stays for the controllable devices of a site, by the ruling's own table."""

import pytest

from custom_components.reev_ems.energy_management.grid_limit import minimum_power_w


@pytest.mark.parametrize(
    ("devices", "power_w"),
    [
        (0, 0),
        (1, 4_200),
        (2, 7_560),
        (3, 10_500),
        (4, 13_020),
        (5, 15_120),
        (6, 16_800),
        (7, 18_060),
        (8, 18_900),
        (9, 19_320),
        (10, 21_210),
        (100, 191_310),
    ],
)
def test_minimum_power(devices: int, power_w: float) -> None:
    """4.2 kW + (n − 1) · simultaneity(n) · 4.2 kW."""
    assert minimum_power_w(devices) == pytest.approx(power_w)


def test_a_number_that_cannot_be_is_refused() -> None:
    """There are no less devices than none."""
    with pytest.raises(ValueError, match="negative"):
        minimum_power_w(-1)

"""Values are changed by making others."""

import pytest

from custom_components.reev_ems.energy_management.frozen import replace
from custom_components.reev_ems.energy_management.model import Circuit


def test_a_changed_value_is_another_one() -> None:
    """What is not named stays as it is, in the value and in the one that it was made of."""
    circuit = Circuit(id="main", limit_w=20_000.0)
    changed = replace(circuit, id="house")
    assert changed == Circuit(id="house", limit_w=20_000.0)
    assert circuit == Circuit(id="main", limit_w=20_000.0)
    assert hash(changed) != hash(circuit)


def test_a_field_that_does_not_exist_is_refused() -> None:
    """A slip of the pen is not lost."""
    with pytest.raises(TypeError, match="Circuit has no limits"):
        replace(Circuit(id="main"), limits=1)  # type: ignore[call-arg]

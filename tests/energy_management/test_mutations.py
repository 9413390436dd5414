"""Each rule, broken in a copy of the package, makes a case file or a check fail."""

from collections.abc import Iterator
import importlib
from pathlib import Path
import shutil
import sys

import pytest

from .checks import failures
from .mutate import PACKAGE, ROOT, TESTS, a_copy, is_caught, listed, passes
from .mutations import ALLOCATION, STEP, Mutation

SAMPLE = (
    "S2 NaN from a charge point",
    "S7 in the external limit",
    "S9 margin",
    "S10 the guard is asked",
)
"""Of the step's rules; scripts/mutate tries all."""


@pytest.fixture
def mutated(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the name of a broken copy of the package that can be imported."""
    mutation: Mutation = request.param
    name = f"mutant_{ALLOCATION.index(mutation)}"
    copy = tmp_path / name
    shutil.copytree(ROOT / PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / f"{mutation.file}.py"
    source = file.read_text(encoding="utf-8")
    assert mutation.right in source, "the mutation has to follow the code"
    file.write_text(source.replace(mutation.right, mutation.wrong, 1), encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield name
    sys.path.remove(str(tmp_path))
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


@pytest.mark.parametrize(
    "mutated", ALLOCATION, indirect=True, ids=lambda mutation: mutation.rule
)
def test_a_broken_rule_is_caught(mutated: str) -> None:
    """At least one case file or check fails."""
    assert next(failures(mutated), None) is not None


def test_the_package_itself_passes() -> None:
    """What catches the mutants does not catch the original."""
    assert list(failures("custom_components.reev_ems.energy_management")) == []


def test_broken_rules_of_the_step_are_caught() -> None:
    """The tests that they name fail, and pass without them."""
    sample = [mutation for mutation in STEP if mutation.rule in SAMPLE]
    assert len(sample) == len(SAMPLE)
    with a_copy() as folder:
        assert passes([mutation.test for mutation in sample], folder)
        for mutation in sample:
            assert is_caught(mutation, folder), mutation.rule


@pytest.mark.parametrize("mutation", STEP, ids=lambda mutation: mutation.rule)
def test_the_steps_mutations_follow_the_code(mutation: Mutation) -> None:
    """What they replace is there, and so is the test that they name."""
    source = (ROOT / PACKAGE / f"{mutation.file}.py").read_text(encoding="utf-8")
    assert mutation.right in source
    file, test = mutation.test.split("::")
    tests = (ROOT / TESTS / f"test_{file}").read_text(encoding="utf-8")
    assert f"\ndef {test}(" in tests


def test_the_documentation_lists_the_rules() -> None:
    """Renew it with scripts/mutate --list."""
    text = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")
    assert text.endswith(listed())

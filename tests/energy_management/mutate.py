"""Break one rule of the step after the other in a copy of the package, and see whether the test that it names notices.

Run: scripts/mutate [WORD ...]; only rules that contain all of the words. With --list it names all rules.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile

from .mutations import ALLOCATION, STEP, Mutation

ROOT = Path(__file__).parents[2]
PACKAGE = Path("custom_components/reev_ems/energy_management")
TESTS = Path("tests/energy_management")


@contextmanager
def a_copy() -> Iterator[Path]:
    """Give a folder with the package and its tests, without Home Assistant around them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in (PACKAGE, TESTS, Path("tests/cases"), Path("tests/runs")):
            shutil.copytree(
                ROOT / part,
                folder / part,
                ignore=shutil.ignore_patterns("__pycache__", "test_mutations.py"),
            )
        for package in (PACKAGE.parent, PACKAGE.parent.parent, TESTS.parent):
            (folder / package / "__init__.py").touch()
        yield folder


def is_caught(mutation: Mutation, folder: Path) -> bool:
    """Return whether the test that a mutation names fails with it.

    Raises:
        ValueError: the code has changed, or the test does not exist.
    """
    file = folder / PACKAGE / f"{mutation.file}.py"
    source = file.read_text(encoding="utf-8")
    if mutation.right not in source:
        raise ValueError(f"{mutation.rule}: {mutation.right!r} is not in {file.name}")
    file.write_text(source.replace(mutation.right, mutation.wrong, 1), encoding="utf-8")
    try:
        return not passes([mutation.test], folder)
    finally:
        file.write_text(source, encoding="utf-8")


def passes(tests: list[str], folder: Path) -> bool:
    """Return whether tests pass in a copy.

    Raises:
        ValueError: one of them does not exist.
    """
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-B",
                "-m",
                "pytest",
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
            ),
            *(str(TESTS / f"test_{test}") for test in tests),
        ],
        cwd=folder,
        env=os.environ
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode not in {0, 1}:
        raise ValueError(f"{tests}: {done.stdout}{done.stderr}")
    return done.returncode == 0


def listed() -> str:
    """Return the rules as docs/proof.md lists them."""
    lines = ["### Allocation and guard", ""]
    lines += [f"- {rule}" for rule in dict.fromkeys(item.rule for item in ALLOCATION)]
    lines += ["", "### Step", "", "| rule | noticed by |", "|---|---|"]
    lines += [
        f"| {item.rule} | `{item.test.replace('.py::test_', ': ')}` |" for item in STEP
    ]
    return "\n".join(lines) + "\n"


def main(words: list[str]) -> int:
    """Print what became of each rule; 1 if one was not missed."""
    if words == ["--list"]:
        sys.stdout.write(listed())
        return 0
    wanted = [
        mutation
        for mutation in STEP
        if all(word.lower() in mutation.rule.lower() for word in words)
    ]
    survived = 0
    with a_copy() as folder:
        if not passes(sorted({mutation.test for mutation in wanted}), folder):
            sys.stdout.write("the tests fail without any mutation\n")
            return 1
        for mutation in wanted:
            caught = is_caught(mutation, folder)
            survived += not caught
            told = "caught  " if caught else "SURVIVED"
            sys.stdout.write(f"{told} {mutation.rule} ({mutation.test})\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(wanted) - survived} of {len(wanted)} caught\n")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

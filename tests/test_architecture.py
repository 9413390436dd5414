"""The one-way streets between the rooms (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path
import sys

import pytest

INTEGRATION = Path(__file__).parent.parent / "custom_components/reev_ems"
ROOMS = ("energy_management", "meters", "ocpp_server", "sessions")
# What Home Assistant looks for by its name, and what all of ours share.
TOP_FLOOR = {
    *("__init__", "config_flow", "backup", "diagnostics", "repairs", "services"),
    *("system_health", "binary_sensor", "button", "event", "number", "select"),
    *("sensor", "switch", "update", "const", "coordinator", "entity"),
}


def imports_of(file: Path) -> Iterator[str]:
    """Return the absolute dotted names that a file imports, ours relative to the integration's folder."""
    package = file.relative_to(INTEGRATION).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = (
                [node.module] if node.module else [alias.name for alias in node.names]
            )
            yield from ("." + ".".join((*base, name)) for name in names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def files_of(room: str) -> list[Path]:
    """Return the files of a room."""
    files = sorted((INTEGRATION / room).rglob("*.py"))
    assert files, f"{room} is empty"
    return files


def broken_streets(room: str) -> list[str]:
    """Return every import of a room that leads where it must not."""
    found = []
    for file in files_of(room):
        for name in imports_of(file):
            if name.startswith("."):
                target = name[1:].split(".")[0]
                allowed = target == room or (
                    room != "energy_management"
                    and name.startswith(
                        (".energy_management.model", ".energy_management.observation")
                    )
                )
            elif room == "energy_management":
                allowed = name.split(".")[0] in sys.stdlib_module_names
            else:
                allowed = name.split(".")[0] not in (
                    "homeassistant",
                    "custom_components",
                )
            if not allowed:
                found.append(f"{file.relative_to(INTEGRATION)}: {name}")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_they_may(room: str) -> None:
    """The brain needs nothing but Python; the edges know its types, not each other nor Home Assistant."""
    assert broken_streets(room) == []


def test_the_face_holds_no_rules() -> None:
    """Home Assistant's modules reach the brain through its public modules only, never into its steps."""
    public = {
        *("model", "observation", "decision"),
        *("controller", "grid_limit", "handover", "outlets", "replay", "serialise"),
        "tree",
    }
    found = [
        f"{file.relative_to(INTEGRATION)}: {name}"
        for file in INTEGRATION.rglob("*.py")
        if file.relative_to(INTEGRATION).parts[0] not in ROOMS
        for name in imports_of(file)
        if name.startswith(".energy_management") and name.split(".")[2] not in public
    ]
    assert found == []


def test_nothing_else_lies_on_the_top_floor() -> None:
    """Whoever looks for something finds it in the wing that is for it."""
    assert {file.stem for file in INTEGRATION.glob("*.py")} == TOP_FLOOR


def test_no_circles() -> None:
    """No modules import each other, however long the way round."""
    modules = {
        ".".join(file.relative_to(INTEGRATION).with_suffix("").parts): file
        for file in INTEGRATION.rglob("*.py")
        if file.stem != "__init__"
    }
    left = {
        name: {target[1:] for target in imports_of(file)} & modules.keys()
        for name, file in modules.items()
    }
    while ground := {
        name for name, targets in left.items() if not targets & left.keys()
    }:
        left = {name: left[name] for name in left.keys() - ground}
    assert left == {}


def test_simulator_is_a_peer_on_the_wire() -> None:
    """The simulator knows the standards, not our code, so that an error on one side shows."""
    for file in (INTEGRATION.parent.parent / "simulator").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom | ast.Import):
                names = (
                    [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else [a.name for a in node.names]
                )
                assert not any(
                    name.startswith("custom_components") for name in names
                ), file

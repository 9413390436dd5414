"""The meter profiles in files: the built-in ones and the user's, each refused with line and reason if it is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml

from .flaws import Flaw
from .profile import MeterProfile
from .schema import InvalidProfile, parse_profile

BUILT_IN = Path(__file__).parent / "profiles"
MAX_FILE_BYTES = 200_000
MAX_DEPTH = 50

type Lines = dict[tuple[str, ...], int]
"""Line of each value of a file, by its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileError:
    """Why a profile was refused; `line` is None where it did not come from a file."""

    file: str
    line: int | None
    reason: str
    """In English, for the log."""
    invalid: InvalidProfile | None = None
    """What breaks the schema; None where the file is no such data at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedProfiles:
    """All usable profiles by id, and what was refused."""

    profiles: Mapping[str, MeterProfile]
    errors: tuple[ProfileError, ...]


type _Raw = dict[str, tuple[str, dict[str, Any], Lines]]
"""File name, content and lines of each profile, by its id."""


def load_profiles(folder: Path | None = None) -> LoadedProfiles:
    """Load the built-in profiles and those of the user's folder, which may replace built-in ones.

    Reads files. A wrong file is reported and left out, the others are loaded.
    """
    errors: list[ProfileError] = []
    raw: _Raw = {}
    profiles: dict[str, MeterProfile] = {}
    for place in (BUILT_IN, folder):
        if place is None or not place.is_dir():
            continue
        found = _read_folder(place, errors)
        raw |= found
        # Those that name others come last.
        for name in sorted(
            found, key=lambda item: ("candidates" in found[item][1], item)
        ):
            file_name, _, lines = found[name]
            try:
                profiles[name] = parse_profile(_inherit(name, raw, ()), known=profiles)
            except InvalidProfile as err:
                errors.append(
                    ProfileError(
                        file=file_name,
                        line=_line(lines, err.path),
                        reason=str(err),
                        invalid=err,
                    )
                )
    return LoadedProfiles(profiles=dict(sorted(profiles.items())), errors=tuple(errors))


def _read_folder(folder: Path, errors: list[ProfileError]) -> _Raw:
    raw: _Raw = {}
    for file in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        try:
            data, lines = read_yaml(file)
        except OSError as err:
            errors.append(
                ProfileError(
                    file=file.name, line=None, reason=f"cannot be read: {err.strerror}"
                )
            )
        except _YamlProblem as err:
            errors.append(ProfileError(file=file.name, line=err.line, reason=str(err)))
        else:
            name = str(data.get("id"))
            if name in raw:
                reason = f"id: {name} is taken by {raw[name][0]}"
                errors.append(
                    ProfileError(
                        file=file.name, line=_line(lines, ("id",)), reason=reason
                    )
                )
            else:
                raw[name] = (file.name, data, lines)
    return raw


def _inherit(name: str, raw: _Raw, seen: tuple[str, ...]) -> dict[str, Any]:
    """Return a profile's data with what it takes over from the one that it extends; null takes something away."""
    data = dict(raw[name][1])
    parent = data.pop("extends", None)
    base: dict[str, Any] = {}
    if parent is not None:
        if not isinstance(parent, str) or parent not in raw or parent in (*seen, name):
            raise InvalidProfile(("extends",), Flaw.NOT_EXTENDABLE, profile=parent)
        base = _inherit(parent, raw, (*seen, name))
    for key, value in data.items():
        inherited = base.get(key)
        if (
            key in ("quantities", "identification")
            and isinstance(value, dict)
            and isinstance(inherited, dict)
        ):
            base[key] = {**inherited, **value}
        elif value is None:
            base.pop(key, None)
        else:
            base[key] = value
    return base


def _line(lines: Lines, path: tuple[str, ...]) -> int | None:
    """Return the line of a path, or of the nearest value above it."""
    for length in range(len(path), -1, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return None


class _YamlProblem(Exception):
    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def read_yaml(file: Path) -> tuple[dict[str, Any], Lines]:
    """Read a mapping from a YAML file, with the line of each of its values."""
    if file.stat().st_size > MAX_FILE_BYTES:
        raise _YamlProblem(None, f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as err:
        raise _YamlProblem(None, "is not UTF-8 text") from err
    # The parser's time grows with the square of the depth.
    depths = accumulate((character in "[{") - (character in "]}") for character in text)
    if max(depths, default=0) > MAX_DEPTH:
        raise _YamlProblem(None, "is nested too deeply")
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as err:
        raise _YamlProblem(
            None, f"is not valid YAML: {' '.join(str(err).split())}"
        ) from err
    lines: Lines = {}
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise _YamlProblem(1, "must hold a mapping")
        _note_lines(node, (), lines, set())
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark is not None else None
        raise _YamlProblem(line, f"is not valid YAML: {err.problem}") from err
    # A date that is none, for one, comes as an error of its own.
    except ValueError as err:
        raise _YamlProblem(None, f"is not valid YAML: {err}") from err
    except RecursionError as err:
        raise _YamlProblem(None, "is nested too deeply") from err
    finally:
        loader.dispose()
    return data, lines


def _note_lines(
    node: yaml.Node, path: tuple[str, ...], lines: Lines, seen: set[int]
) -> None:
    # A value that is used twice is an alias, by which a small file can grow without bound.
    if id(node) in seen:
        raise _YamlProblem(node.start_mark.line + 1, "must not use YAML aliases")
    seen.add(id(node))
    lines[path] = node.start_mark.line + 1
    children: list[tuple[str, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(str(key.value), value) for key, value in node.value]
        names = [name for name, _ in children]
        for name in names:
            if names.count(name) > 1:
                raise _YamlProblem(lines[path], f"{name} is given twice")
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(index), value) for index, value in enumerate(node.value)]
    for name, child in children:
        _note_lines(child, (*path, name), lines, seen)

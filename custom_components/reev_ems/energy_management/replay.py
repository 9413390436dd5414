"""Taking recorded decisions again: does this version decide as that one did?

A recording is plain JSON values (serialise.py), as the diagnostics download holds them:

    {"site": …, "steps": [{"state_before": …, "observation": …, "decision": …}, …]}

`state_before` is given where it does not follow from the step before; `site` stands in a step where it changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
import sys

from .controller import ControllerState, step
from .decision import Decision
from .fields import RefusedError, parse
from .frozen import frozen
from .model import Site
from .observation import Observation
from .outlets import Layout, layout
from .serialise import Json, from_json, to_json


@frozen
class Difference:
    """A step that comes out differently."""

    index: int
    at_s: float
    where: str
    """The field, with its path in the decision."""
    recorded: Json
    now: Json


def record(
    steps: Iterable[tuple[Site, ControllerState, Observation, Decision]],
) -> dict[str, Json]:
    """Return steps, each with the site and the state that it began with, as a recording."""
    first: Site | None = None
    site: Site | None = None
    plan: Layout | None = None
    after: ControllerState | None = None
    items: list[Json] = []
    for site_now, state, observation, decision in steps:
        item: dict[str, Json] = {}
        if first is None:
            first = site = site_now
        if site_now != site:
            item["site"] = to_json(site_now)
            site, plan = site_now, None
        if plan is None:
            plan = layout(site_now)
        if state != after:
            item["state_before"] = to_json(state)
        item["observation"] = to_json(observation)
        item["decision"] = to_json(decision)
        items.append(item)
        after, _ = step(plan, state, observation)
    return {"site": to_json(first), "steps": items}


def replay(recording: object) -> Iterator[Difference]:
    """Take the recorded steps again and return where the decisions differ.

    Raises:
        RefusedError: this is no recording; the text names the field.
    """
    if not isinstance(recording, Mapping):
        raise RefusedError("the recording: must be an object")
    steps = recording.get("steps")
    if not isinstance(steps, list):
        raise RefusedError("steps: must be a list")
    if not steps:
        return
    site = from_json(Site, recording.get("site"))
    plan: Layout | None = None
    state = ControllerState()
    for index, item in enumerate(steps):
        if not isinstance(item, Mapping):
            raise RefusedError(f"steps[{index}]: must be an object")
        try:
            if "site" in item:
                site, plan = from_json(Site, item["site"]), None
            if "state_before" in item:
                state = from_json(ControllerState, item["state_before"])
            observation = from_json(Observation, item.get("observation"))
            recorded = from_json(Decision, item.get("decision"))
            if plan is None:
                plan = layout(site)
            state, decision = step(plan, state, observation)
        except ValueError as error:
            raise RefusedError(f"steps[{index}]: {error}") from None
        for where, before, now in _differences(
            "", to_json(recorded), to_json(decision)
        ):
            yield Difference(
                index=index,
                at_s=observation.at_s,
                where=where,
                recorded=before,
                now=now,
            )


def _differences(
    path: str, first: Json, second: Json
) -> Iterator[tuple[str, Json, Json]]:
    if isinstance(first, dict) and isinstance(second, dict):
        for name in sorted(first.keys() | second.keys()):
            yield from _differences(
                f"{path}.{name}" if path else name, first.get(name), second.get(name)
            )
    elif first != second:
        yield path, first, second


def main(arguments: list[str]) -> int:
    """Replay a file; return 0 if every decision is the same, 1 if not, 2 if the file cannot be used.

    The file is a recording, or a Home Assistant diagnostics download that holds one.
    """
    try:
        found = parse(Path(arguments[0]).read_text(encoding="utf-8"))
        for key in ("data", "recording"):
            if isinstance(found, Mapping) and "steps" not in found and key in found:
                found = found[key]
        differences = 0
        for item in replay(found):
            differences += 1
            sys.stdout.write(
                f"step {item.index}, {item.at_s:g} s: {item.where}: was {item.recorded}, now {item.now}\n"
            )
    except (OSError, UnicodeDecodeError, RefusedError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{differences} differences\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A run: the site in the first line, then one observation per line in and one decision per line out.

Every answer is flushed at once, so that a simulator can sit on the other end of the pipe. A later line
`{"site": {...}}` replaces the site; what is remembered of its connectors stays.
"""

from collections.abc import Iterable
import json
import sys
from typing import TextIO

from .controller import ControllerState, step
from .fields import Fields, RefusedError, parse
from .frozen import replace
from .model import Site
from .observation import Observation
from .outlets import Layout, layout
from .run_format import decision_line, read_observation, read_site


def main() -> int:
    """Run on standard input and output and return the exit code: 2 for a line that cannot be used."""
    try:
        return run(sys.stdin, sys.stdout)
    except UnicodeDecodeError:
        sys.stderr.write("the input is not UTF-8\n")
    except RefusedError as error:
        sys.stderr.write(f"{error}\n")
    return 2


def run(lines: Iterable[str], output: TextIO) -> int:
    """Answer every observation.

    Raises:
        RefusedError: a line cannot be used; the text names the line and the field.
    """
    site: Site | None = None
    plan: Layout | None = None
    unsaid: frozenset[str] = frozenset()
    state = ControllerState()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = Fields(parse(line))
            if site is None or fields.has("site"):
                given = fields.inner("site") if fields.has("site") else None
                site, unsaid = read_site(fields if given is None else given)
                plan = None
                if given is not None:
                    fields.done()
                continue
            observation = read_observation(fields, site)
        except RefusedError as error:
            raise RefusedError(f"line {number}: {error}") from None
        metered, unsaid = _with_meters(site, unsaid, observation)
        if plan is None or metered is not site:
            site, plan = metered, layout(metered)
        state, decision = step(plan, state, observation)
        json.dump(decision_line(decision), output)
        output.write("\n")
        output.flush()
    if site is None:
        raise RefusedError("line 1: there is no site")
    return 0


def _with_meters(
    site: Site, unsaid: frozenset[str], observation: Observation
) -> tuple[Site, frozenset[str]]:
    """Return the site with a meter wherever an observation brings one and the site did not say."""
    named = unsaid & observation.meters.keys()
    if not named:
        return site, unsaid
    circuits = tuple(
        replace(circuit, metered=True) if circuit.id in named else circuit
        for circuit in site.circuits
    )
    return replace(site, circuits=circuits), unsaid - named

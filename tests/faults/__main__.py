"""Run rows of the fault matrix.

scripts/faults                    all rows
scripts/faults ROW…               these
scripts/faults --quick            the short selection
scripts/faults --list             the rows, with what they try
scripts/faults --write FILE       the table as Markdown into a file, too
"""

import argparse
import asyncio
from pathlib import Path
import sys
import tempfile

from .bench import Bench
from .harness import HEAD, Verdict, run
from .rows import Row, load_rows


async def run_all(rows: list[Row], folder: Path) -> list[Verdict]:
    """Run rows one after the other; after one that leaves the site broken, on a new one."""
    verdicts: list[Verdict] = []
    bench: Bench | None = None
    try:
        for number, row in enumerate(rows):
            if bench is None:
                bench = Bench(folder / str(number), seed=number)
                await bench.start()
            print(f"{row.name}: ", end="", flush=True)
            verdict = await run(bench, row)
            verdicts.append(verdict)
            said = "passed" if verdict.passed else f"FAILED: {verdict.faults}"
            print(f"{said} ({verdict.took_s:.0f} s)", flush=True)
            if not verdict.passed or row.recovers_s is None:
                await bench.stop()
                bench = None
    finally:
        if bench is not None:
            await bench.stop()
    return verdicts


def table(verdicts: list[Verdict]) -> str:
    """Return the verdicts as a table in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *(verdict.cells() for verdict in verdicts)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> int:
    """Run from the command line; 0 if each row is within its bounds."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--folder", type=Path, help="for logs; else a temporary one")
    given = parser.parse_args()
    rows = load_rows()
    if unknown := set(given.rows) - {row.name for row in rows}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if given.rows:
        rows = [row for row in rows if row.name in given.rows]
    if given.quick:
        rows = [row for row in rows if row.quick]
    if given.list:
        for row in rows:
            print(f"{row.name:28} {'quick ' if row.quick else '      '}{row.what}")
        return 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        verdicts = asyncio.run(run_all(rows, given.folder or Path(folder)))
    found = table(verdicts)
    print(found)
    if given.write:
        given.write.write_text(found, encoding="utf-8")
    return 0 if all(verdict.passed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

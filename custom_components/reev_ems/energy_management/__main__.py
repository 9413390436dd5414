"""The energy management as a command.

Without an argument: one case in, one result out (case_format.py). With `run`: a site, then observations in, one
decision for each out (run.py). What cannot be used is refused in one line on standard error, exit code 2.
"""

import json
import sys

from .allocation import allocate
from .case_format import read_case, result
from .fields import RefusedError

USAGE = "usage: energy_management [run] < input > output"


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    if arguments == ["run"]:
        from .run import main as run

        return run()
    if arguments:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        case = read_case(sys.stdin.buffer.read().decode())
    except UnicodeDecodeError:
        print("the input is not UTF-8", file=sys.stderr)
        return 2
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 2
    json.dump(result(allocate(case)), sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

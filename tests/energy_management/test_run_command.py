"""The run command as a program: what it reads, and how it says that it cannot."""

import json
import os
import subprocess
import sys

import pytest

from .test_run import FOLDER, SITE, observed


def run(text: str | bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "energy_management", "run"],
        input=text.encode() if isinstance(text, str) else text,
        cwd=FOLDER,
        capture_output=True,
        timeout=30,
        check=False,
        # As in most languages' locales; in the bare one Python lets through what is no text.
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
    )


def lines(*items: object) -> str:
    """Return what is written to it, with an empty line between each two."""
    return "\n\n".join(json.dumps(item) for item in items)


def test_empty_lines_are_passed_over() -> None:
    """Each observation is answered, and nothing else."""
    done = run(lines(SITE, observed(0.0), observed(1.0)))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["at_s"] for line in done.stdout.splitlines()] == [0, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: there is no site"),
        ("\n \n", "line 1: there is no site"),
        (b"\xff\xfe", "the input is not UTF-8"),
        (lines(SITE, {"at_s": "noon"}), "line 3: at_s"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    text: str | bytes, said: str
) -> None:
    """On standard error, exit code 2."""
    done = run(text)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(said)
    assert done.stderr.count(b"\n") == 1


def test_settings_of_the_site_count() -> None:
    """A home battery that is to be full first keeps the sun from the car; flags, choices and null are read, too."""
    site = {
        **SITE,
        "pv_surplus": True,
        "imbalance": None,
        "connectors": [{"id": "cp1", "circuit": "main", "mode": "solar"}],
        "settings": {
            "pv_per_phase": False,
            "failsafe": "stop",
            "battery_priority_soc_pct": 80,
            "pv_start_delay_s": 0,
            "recovery_raise_s": 0,
        },
    }

    def observation(at_s: float, soc_pct: float) -> dict[str, object]:
        meter = {"current_a": [-2.0] * 3, "power_w": -1380, "age_s": 0.3}
        return {
            **observed(at_s),
            "meters": {"main": meter},
            "battery": {"power_w": 6000, "soc_pct": soc_pct},
        }

    def permits(soc_pct: float) -> list[float]:
        done = run(
            lines(site, *(observation(10.0 * each, soc_pct) for each in range(8)))
        )
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        return [each["connectors"]["cp1"]["permit_a"] for each in answers]

    assert max(permits(soc_pct=20)) == 0
    assert max(permits(soc_pct=95)) == pytest.approx(7380 / 690, abs=0.1)

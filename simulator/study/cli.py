"""Study sites in simulated time (scripts/simulate)."""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
import json
from pathlib import Path
import sys
from typing import Any

from .ceiling import Ceiling
from .controllers import BASELINES, Controller
from .faults import FAULTS, study_fault
from .plan import SitePlan
from .plots import plot_site, plot_summary
from .recorder import Recorder
from .reev import FOLDER, Reev
from .run import Study
from .site_file import SiteError, load_site, site_names
from .tables import fault_table, overview, table

_NAMES = ("reev", *BASELINES, "ceiling")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    site: str
    """Or a fault."""
    controller: str
    hours: float | None
    seed: int
    brain: Path
    fault: bool = False
    plot: Path | None = None
    bar: bool = True


def _controller(name: str, plan: SitePlan, brain: Path) -> Controller:
    if name == "reev":
        return Reev(plan, brain)
    if name == "ceiling":
        return Ceiling(plan)
    return BASELINES[name](plan)


def _study(job: _Job) -> dict[str, Any]:
    if job.fault:
        figures = study_fault(
            job.site, lambda plan: _controller(job.controller, plan, job.brain)
        )
        return figures | {"controller": job.controller}
    plan = load_site(job.site, job.seed, job.hours)
    study = Study(plan, _controller(job.controller, plan, job.brain), job.controller)
    bar = _Bar(f"{plan.name} {job.controller}", shown=job.bar)
    if job.plot is None:
        return study.run(progress=bar.show)
    recorder = Recorder(every_s=max(10, plan.seconds // 2000))
    figures = study.run(progress=bar.show, watch=recorder.watch)
    plot_site(study, recorder.picture(), figures, job.plot)
    return figures


class _Bar:
    """A progress bar on standard error, where that is a terminal."""

    def __init__(self, text: str, *, shown: bool = True) -> None:
        self._text = text
        self._shown = shown and sys.stderr.isatty()

    def show(self, share: float) -> None:
        """Draw it."""
        if not self._shown:
            return
        filled = round(30 * share)
        end = "\n" if share >= 1.0 else ""
        sys.stderr.write(
            f"\r{self._text:28} [{'#' * filled:30}] {100 * share:3.0f} %{end}"
        )
        sys.stderr.flush()


def _side_by_side(jobs: Sequence[_Job], processes: int) -> list[dict[str, Any]]:
    """Return the results of all jobs, in their order, with one bar for all of them."""
    bar = _Bar("studies")
    results = []
    with ProcessPoolExecutor(processes) as pool:
        for done, result in enumerate(pool.map(_study, jobs), start=1):
            results.append(result)
            bar.show(done / len(jobs))
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/simulate", description="Study a site in simulated time."
    )
    parser.add_argument(
        "site",
        nargs="?",
        help=f"a YAML file, random (from the seed), or one of {', '.join(site_names())}",
    )
    parser.add_argument(
        "--controller",
        default="reev",
        help=f"who decides: {', '.join(_NAMES)}, several with commas, or all",
    )
    parser.add_argument(
        "--hours", type=float, help="shorter or longer than the site says"
    )
    parser.add_argument("--seed", default="1", help="a number, or several: 1-5")
    parser.add_argument(
        "--fault",
        metavar="NAME",
        help=f"try a fault on a site of its own instead: all, or {', '.join(FAULTS)}",
    )
    parser.add_argument(
        "--all", action="store_true", help="all sites that come with it"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="all figures; - is standard output"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="a picture (.png, .svg): of the site, or of all of them with one for each beside it",
    )
    parser.add_argument(
        "--brain",
        type=Path,
        default=FOLDER,
        help="folder that holds another energy_management",
    )
    return parser


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    if not first.isdigit() or not (last or first).isdigit():
        return range(0)
    return range(int(first), int(last or first) + 1)


def _plot_of(
    file: Path | None, several: bool, site: str, name: str, seed: int
) -> Path | None:
    """Return the picture of one study; where there are several, `file` is the summary and these stand beside it."""
    if file is None or not several:
        return file
    return file.with_stem(f"{file.stem}_{Path(site).stem}_{name}_{seed}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code: 2 for what cannot be studied."""
    parser = _parser()
    given = parser.parse_args(arguments)
    names = list(_NAMES) if given.controller == "all" else given.controller.split(",")
    if unknown := set(names) - set(_NAMES):
        parser.error(f"there is no controller {min(unknown)}")
    seeds = _seeds(given.seed)
    if not seeds:
        parser.error(
            f"--seed: {given.seed} is neither a number nor a range such as 1-5"
        )
    if given.fault is not None:
        if given.fault != "all" and (
            unknown := set(given.fault.split(",")) - FAULTS.keys()
        ):
            parser.error(f"there is no fault {min(unknown)}")
        sites = list(FAULTS) if given.fault == "all" else given.fault.split(",")
    elif given.all:
        sites = site_names()
    elif given.site is not None:
        sites = [given.site]
    else:
        parser.error("a site is needed, or --all, or --fault")
    if given.fault is not None and given.plot is not None:
        parser.error("there are no pictures of faults")
    several = len(sites) * len(seeds) * len(names) > 1
    jobs = [
        _Job(
            site=site,
            controller=name,
            hours=given.hours,
            seed=seed,
            brain=given.brain.resolve(),
            fault=given.fault is not None,
            plot=_plot_of(given.plot, several, site, name, seed),
            bar=given.processes == 1,
        )
        for site in sites
        for seed in seeds
        for name in names
    ]
    try:
        if given.processes > 1 and len(jobs) > 1:
            results = _side_by_side(jobs, given.processes)
        else:
            results = [_study(job) for job in jobs]
    except SiteError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if given.json is not None:
        text = json.dumps(results, indent=1)
        if str(given.json) == "-":
            sys.stdout.write(text + "\n")
            return 0
        given.json.write_text(text + "\n", encoding="utf-8")
    if given.plot is not None and several:
        plot_summary(results, given.plot)
    if given.fault is not None:
        shown = fault_table(results)
    elif len(names) > 1:
        shown = f"{table(results)}\n\n{overview(results)}"
    else:
        shown = table(results)
    sys.stdout.write(shown + "\n")
    return 0

"""Pictures of a study. matplotlib is there for development only and is loaded when a picture is asked for."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .recorder import Matrix, Picture
from .run import Study

_INK, _MUTED, _GRID = "#22262b", "#6b7280", "#e5e7eb"
_HOUSE, _LIMIT, _ORACLE, _PERMIT = "#c9ced6", "#c2410c", "#111827", "#7c3aed"
_CONTROLLERS = {
    "reev": "#0f766e",
    "equal": "#94a3b8",
    "evcc": "#d97706",
    "first": "#6366f1",
    "ceiling": "#ffffff",
}
_BROKEN, _SUN = "#b91c1c", "#eab308"
_STYLE: Any = {
    "font.size": 9,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _GRID,
    "axes.axisbelow": True,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "text.color": _INK,
    "figure.dpi": 110,
    "svg.hashsalt": "study",
}


def _plotting() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update(_STYLE)
    return plt


def _save(figure: Any, file: Path) -> None:
    """Write a picture; a PNG with few colours, so that it may lie in a repository."""
    if file.suffix != ".png":
        figure.savefig(file, bbox_inches="tight")
        return
    from PIL import Image

    buffer = BytesIO()
    figure.savefig(buffer, bbox_inches="tight")
    Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(
        file, optimize=True
    )


def _smooth(values: Matrix, every_s: int) -> Matrix:
    count = len(values) // every_s
    means: Matrix = (
        values[: count * every_s]
        .reshape(count, every_s, *values.shape[1:])
        .mean(axis=1)
    )
    return means


def plot_site(
    study: Study, picture: Picture, figures: Mapping[str, Any], file: Path
) -> None:
    """Draw a site over time, phase by phase: house, cars, limit, permits and the oracle."""
    plt = _plotting()
    plan = study.plan
    every_s = picture.every_s
    hours = plan.start_h + np.arange(len(picture.base_a)) * every_s / 3600.0
    oracle_a = _smooth(np.array(study.metrics.room_lines_a), every_s)
    room_w = _smooth(np.array(study.metrics.room_w), every_s)
    drawn_w = _smooth(np.array(study.metrics.drawn_w), every_s)
    figure, axes = plt.subplots(
        4,
        1,
        figsize=(10, 9),
        sharex=True,
        gridspec_kw={"height_ratios": (3, 3, 3, 1.5), "hspace": 0.12},
    )
    limit_a = plan.circuits[0].limit_a
    shades = plt.get_cmap("GnBu")(np.linspace(0.35, 0.95, max(1, len(picture.names))))
    for phase, axis in enumerate(axes[:3]):
        base = picture.base_a[:, phase]
        axis.fill_between(hours, 0.0, base, color=_HOUSE, linewidth=0, label="house")
        axis.stackplot(
            hours,
            base,
            *picture.draws_a[:, :, phase].T,
            colors=["none", *shades],
            linewidth=0,
        )
        axis.plot(
            hours,
            base + picture.permits_a[:, phase],
            color=_PERMIT,
            linewidth=0.6,
            alpha=0.6,
            label="permits of cars that want energy",
        )
        axis.plot(
            hours,
            base + oracle_a[:, phase],
            color=_ORACLE,
            linewidth=0.8,
            label="oracle",
        )
        if plan.sun is not None:
            axis.plot(hours, picture.sun_a, color=_SUN, linewidth=1.2, label="sun")
            top_a = max(picture.sun_a.max(), (base + oracle_a[:, phase]).max())
            axis.set_ylim(0.0, float(top_a) * 1.05)
        elif limit_a is not None:
            axis.axhline(limit_a[phase], color=_LIMIT, linewidth=1.4, label="limit")
            axis.set_ylim(0.0, limit_a[phase] * 1.12)
        axis.set_ylabel(f"L{phase + 1}, A")
    share = (
        100.0
        * _running(np.minimum(drawn_w, room_w), every_s)
        / np.maximum(1.0, _running(room_w, every_s))
    )
    share[_running(room_w, every_s) < 100.0] = np.nan
    axes[3].plot(
        hours,
        share,
        color=_INK if study.name == "ceiling" else _CONTROLLERS.get(study.name, _INK),
        linewidth=1.2,
    )
    axes[3].axhline(92.0, color=_MUTED, linewidth=0.8, linestyle=":")
    axes[3].set_ylim(0, 105)
    axes[3].set_ylabel("of the\noracle's room, %")
    axes[3].set_xlabel("time of day, h")
    axes[3].set_xlim(hours[0], hours[-1])
    axes[3].xaxis.set_major_locator(plt.MaxNLocator(integer=True))
    axes[3].xaxis.set_major_formatter(lambda value, _: f"{value % 24:.0f}")
    for axis in axes:
        axis.fill_between(
            hours,
            0,
            1,
            where=picture.failsafe,
            transform=axis.get_xaxis_transform(),
            color=_LIMIT,
            alpha=0.15,
            linewidth=0,
        )
    handles, labels = axes[0].get_legend_handles_labels()
    handles.append(plt.Rectangle((0, 0), 1, 1, color=shades[len(shades) // 2]))
    labels.append("cars, one shade each")
    axes[0].legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=5,
        frameon=False,
    )
    figure.suptitle(
        f"{plan.name}, {study.name}: {figures['room_pct']:.1f} % of the oracle's room, "
        f"{figures['over_beyond_as']:.0f} As over a limit beyond 8 s, {figures['trips']} trips",
        x=0.5,
        y=0.955,
    )
    _save(figure, file)
    plt.close(figure)


def _running(values: Matrix, every_s: int) -> Matrix:
    """Return means over ten minutes."""
    width = max(1, 600 // every_s)
    return np.asarray(np.convolve(values, np.ones(width) / width, mode="same"))


def plot_summary(results: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw all sites as groups of bars, one bar for each who decides; who broke a limit is marked."""
    plt = _plotting()
    sites = list(dict.fromkeys(figures["site"] for figures in results))
    names = list(dict.fromkeys(figures["controller"] for figures in results))
    figure, axis = plt.subplots(figsize=(10, 4.2))
    width = 0.8 / len(names)
    for row, name in enumerate(names):
        mine = {
            figures["site"]: figures
            for figures in results
            if figures["controller"] == name
        }
        for column, site in enumerate(sites):
            if site not in mine:
                continue
            found = mine[site]
            at = column - 0.4 + width * (row + 0.5)
            axis.bar(
                at,
                found["room_pct"],
                width * 0.92,
                color=_CONTROLLERS.get(name, _MUTED),
                edgecolor=_MUTED if name == "ceiling" else "none",
                label=name if column == 0 else None,
            )
            axis.text(
                at,
                found["room_pct"] + 1,
                f"{found['room_pct']:.0f}",
                ha="center",
                fontsize=7.5,
            )
            if text := _broken(found):
                axis.text(
                    at,
                    2,
                    text,
                    ha="center",
                    va="bottom",
                    rotation=90,
                    fontsize=7,
                    color="white",
                    weight="bold",
                )
    axis.axhline(92.0, color=_MUTED, linewidth=0.8, linestyle=":")
    axis.set_ylim(0, 108)
    axis.set_ylabel("of the oracle's room, %")
    axis.set_xticks(
        range(len(sites)), [site.replace("_", " ") for site in sites], color=_INK
    )
    axis.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(names), frameon=False
    )
    figure.text(
        0.5,
        -0.02,
        "In the bars: ampere-seconds over a limit beyond 8 s (imbalance: 18 s), breakers that tripped, energy that was not from the sun",
        ha="center",
        color=_BROKEN,
        fontsize=8,
    )
    _save(figure, file)
    plt.close(figure)


def _broken(figures: Mapping[str, Any]) -> str:
    over_as = figures["over_beyond_as"] + figures["imbalance"]["beyond_as"]
    parts = []
    if over_as >= 10.0:
        parts.append(
            f"{over_as / 1000:.1f} kAs over"
            if over_as >= 1000
            else f"{over_as:.0f} As over"
        )
    if figures["trips"]:
        parts.append(f"{figures['trips']} trips" if figures["trips"] > 1 else "trip")
    if figures.get("sun", {}).get("bought_pct", 0.0) >= 10.0:
        parts.append(f"{figures['sun']['bought_pct']:.0f} % not from the sun")
    return ", ".join(parts)

"""Figures drawn for reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnexp.sweeps.leaderboard import Row
from nnexp.sweeps.results import TrialResult

SHOWN = 20  # configurations


def comparison(rows: Sequence[Row], results: Mapping[str, TrialResult], path: Path) -> bool:
    """Draw the best configurations' objective; return whether there was anything to draw.

    Every repeat is a dot, in the order of the seeds from top to bottom; the line is their mean. Diverged repeats have
    no dot; their number stands beside the name.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.n][:SHOWN]
    if not shown:
        return False
    figure = Figure(figsize=(8, 1.1 + 0.3 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, row in enumerate(shown):
        there = [results[trial.key] for trial in row.trials if trial.key in results]
        found = [each.objective for each in there if each.outcome == "finished" and each.objective is not None]
        heights = place + 0.5 * (np.arange(len(found)) - (len(found) - 1) / 2) / len(found)  # equal values stay apart
        axes.plot(found, heights, "o", color="#0072b2", alpha=0.7, markersize=5, markeredgewidth=0)
        axes.plot([np.mean(found)] * 2, [place - 0.32, place + 0.32], color="#d55e00", linewidth=2.5)
    axes.set_yticks(range(len(shown)), [_name(row) for row in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    more = f", best {len(shown)} of {len(rows)}" if len(rows) > len(shown) else ""
    objective = shown[0].trials[0].objective
    better = "higher" if objective.direction == "maximize" else "lower"
    axes.set_xlabel(f"{objective.metric} at the best epoch ({better} is better)")
    counts = sorted({row.n for row in shown})
    repeats = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    axes.set_title(f"Configurations by mean (line) of {repeats} repeats (dots){more}", fontsize=10, loc="left")
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(path, dpi=130)
    return True


def _name(row: Row) -> str:
    return f"{row.label} ({row.diverged} diverged)" if row.diverged else row.label

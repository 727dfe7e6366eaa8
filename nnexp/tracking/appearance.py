"""How runs look in MLflow's UI: names, colours and descriptions, which tags tell it. Pure functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnexp.sweeps.kept import PlannedTrial, Standing
from nnexp.sweeps.leaderboard import Row, as_markdown, cell, columns, repeats
from nnexp.sweeps.markdown import escaped
from nnexp.tracking.views import SEED, Place, with_configuration

NAME = 250  # characters: PostgreSQL refuses longer names
NOTE = 8000  # characters that a tag has room for

NOTE_TAG, COLOUR_TAG = "mlflow.note.content", "mlflow.runColor"
SWEEP_COLOUR = "#8c8c8c"
LABEL = "nnexp.configuration_label"  # the tag that the UI's `Group by` shows as it reads
UNNAMED = "adhoc"  # the name of a sweep that was given none
TOP = 20  # configurations in a sweep's description
STATES = ("finished", "diverged", "failed", "stopped")


# names, colours, tags


def sweep_tags() -> dict[str, str]:
    """Return how a sweep's run looks: grey, as it has no curves."""
    return {COLOUR_TAG: SWEEP_COLOUR}


def trial_tags(trial: PlannedTrial, colour: str) -> dict[str, str]:
    """Return how a trial's run looks. colour: of its configuration."""
    return {COLOUR_TAG: colour, LABEL: run_name(trial.configuration_label)}


def run_name(text: str) -> str:
    """Return a name that every store takes."""
    text = " ".join(text.split()) or "trial"
    return text if len(text) <= NAME else f"{text[: NAME - 1]}…"


def trial_name(label: str) -> str:
    """Return the name of a trial's run: what differs, the seed last, as the UI's column is narrow."""
    parts = label.split(" ")
    return run_name(" ".join(sorted(parts, key=lambda part: part.startswith(f"{SEED}="))))


def single_name(sweep: str, config: Mapping[str, Any]) -> str:
    """Return the name of the run of a trial of its own: the sweep's, or without one what it trains."""
    return run_name(f"{config['dataset']['name']} {config['optimizer']['name']}" if sweep == UNNAMED else sweep)


def colours(configurations: Iterable[str]) -> dict[str, str]:
    """Return the colour of each configuration, in the order of the plan."""
    return {configuration: colour(number) for number, configuration in enumerate(dict.fromkeys(configurations))}


def colour(number: int) -> str:
    """Return the colour of the configuration of a number, #rrggbb, dark enough for a white page.

    Hues go on by the golden angle, so that they never repeat; lightness changes so that hues that are close differ in
    it. Tried with other angles and orders: the colours of any five in a row, and the first fifteen, are far apart.
    """
    lightness = (0.57, 0.43, 0.64)[number // 2 % 3]
    hue, chroma = math.radians(255 + number * 137.508), 0.2
    rgb = _linear_rgb(lightness, chroma, hue)
    while min(rgb) < 0 or max(rgb) > 1:  # no screen has it: less of the colour
        chroma -= 0.005
        rgb = _linear_rgb(lightness, chroma, hue)
    return "#" + "".join(f"{round(255 * _gamma(channel)):02x}" for channel in rgb)


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """Return linear sRGB of a colour in OKLCH, out of [0, 1] if it has none. Source: Ottosson 2020, Oklab."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


# descriptions


def sweep_note(place: Place, rows: Sequence[Row], states: Iterable[str], more: str = "") -> str:
    """Return a sweep's description: links, counts, the leaderboard, and how to find its trials.

    Args: states: of all its planned trials. more: Markdown that comes before the leaderboard.
    """
    count = Counter(states)
    there = "".join(f"{count[state]} {state}, " for state in STATES)
    missing = count.total() - sum(count[state] for state in STATES)
    top = TOP
    while True:  # fewer configurations if their labels are long
        note = "\n\n".join(
            [
                f"[All trials, best configuration first]({place.link}) · [their curves]({place.curves})",
                f"{count.total()} trials planned: {there}{missing} missing.",
                *([more.strip()] if more else []),
                as_markdown(rows, top).strip(),
                "To find its trials, search the runs for",
                f"    {place.trials}",
                f"and to see the mean of each configuration, group them by the tag `{LABEL}`.",
            ]
        )
        if len(note) <= NOTE or top == 0:
            return note[:NOTE]
        top -= 1


def trial_note(place: Place, trial: PlannedTrial, standing: Standing, row: Row | None) -> str:
    """Return a trial's description: how it stands, its configuration's aggregate, where its repeats are.

    Args: row: the aggregate, None as long as there is none.
    """
    lines = [f"**{escaped(trial_name(trial.label))}** {escaped(_how_it_stands(trial, standing))}"]
    if row is not None and row.mean:
        means = ", ".join(f"{escaped(name)} {cell(row, name)}" for name in columns([row]))
        lines.append(f"Its configuration, over {repeats(row)} repeats, ± half of the 95 % interval: {means}.")
    lines.append(f"[All repeats]({place.repeats(trial.configuration)}) are the runs with")
    lines.append(f"    {with_configuration(trial.configuration)}")
    return "\n\n".join(lines)[:NOTE]


def _how_it_stands(trial: PlannedTrial, standing: Standing) -> str:
    result = standing.result
    if standing.state == "running":
        return "is being trained."  # its epoch changes faster than a description
    if result is not None and result.objective is not None:
        best = f"{trial.objective.metric} {result.objective:.4f} in its best epoch, {result.summary['epoch_best']:.0f}"
        return f"{standing.state} after {standing.epoch} epochs: {best}."
    return f"{standing.state} in epoch {standing.epoch}{f': {standing.note}' if standing.note else '.'}"

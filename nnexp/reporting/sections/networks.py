"""The networks: what the selected one confuses and how sure it is, what networks have learnt of the plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Animation, Block, Code, Column, Details, Omitted, Paragraph, Section, Table, inline
from nnexp.reporting.figures.heat import confusion as confusion_figure
from nnexp.reporting.figures.networks import Points, Region, animate, chosen_frames, regions, units
from nnexp.reporting.figures.predicting import class_scores as class_scores_figure
from nnexp.reporting.figures.predicting import predictions as predictions_figure
from nnexp.reporting.figures.predicting import reliability as reliability_figure
from nnexp.reporting.sections.learning import norm_figure
from nnexp.reporting.study import Repeat, Study
from nnexp.statistics.calibration import class_scores, confusion, reliability

if TYPE_CHECKING:
    from pandas import DataFrame

BINS = 10
NAMED = 40  # classes in the table

Span = tuple[float, float, float, float]


@dataclass(frozen=True)
class Answers:
    """What the selected configuration's networks answer on a part.

    targets: (m,). predicted: classes, (m,), or None of values. outputs: probabilities of classes, (m, C), or values,
    (m, 1); (m, 0) of losses whose outputs are no probabilities.
    """

    part: str
    seeds: tuple[int, ...]
    targets: NDArray[Any]
    predicted: NDArray[np.intp] | None
    outputs: NDArray[np.float64]


def networks(study: Study, canvas: Canvas) -> Section:
    """Return the section."""
    return Section("networks", "The networks", tuple(_blocks(study, canvas)))


def _blocks(study: Study, canvas: Canvas) -> Iterator[Block]:
    if study.best is None:
        yield Omitted("The networks", "No trial finished.")
        return
    kind = _kind(study)
    if kind is None:
        yield Omitted("What the selected network answers", _why(study, "predictions"))
    elif kind == "classes":
        yield from _of_classes(study, canvas)
    elif kind == "value":
        yield from _of_values(study, canvas)
    else:
        yield Omitted("What the selected network answers", "Each example has several values or labels.")
    yield norm_figure(study, canvas)
    yield from _of_the_plane(study, canvas)
    yield _units(study, canvas)


def _why(study: Study, word: str) -> str:
    """Return what the snapshot's notes say about a table that is not there."""
    notes = [str(note) for sweep in study.sweeps for note in sweep.get("notes", ()) if word in str(note)]
    return " ".join(notes) or "The snapshot has none."


def _kind(study: Study) -> str | None:
    """Return whether there are predictions of exclusive classes, of a value or of several; None if there are none."""
    table = study.snapshot.tables["predictions"]
    if table.empty or study.best is None:
        return None
    if "predicted" in table:
        return "classes"
    return "value" if "target" in table else "several"


def _answers(study: Study, repeats: tuple[Repeat, ...]) -> Answers | None:
    """Return the answers of some repeats on the test part, or on the validation part where there is no test part."""
    table = study.snapshot.tables["predictions"]
    seeds = {each.key: each.seed for each in repeats}
    mine = table[table["key"].isin(list(seeds))]
    part = "test" if (mine["part"] == "test").any() else "validation"
    mine = mine[mine["part"] == part]
    if mine.empty:
        return None
    numbers = sorted(int(name[1:]) for name in map(str, mine.columns) if name[0] == "p" and name[1:].isdigit())
    columns = [f"p{number}" for number in numbers]
    found = tuple(sorted({seeds[key] for key in mine["key"]}))
    predicted = mine["predicted"].to_numpy().astype(np.intp) if "predicted" in mine else None
    return Answers(part, found, mine["target"].to_numpy(), predicted, mine[columns].to_numpy(np.float64))


def _of_classes(study: Study, canvas: Canvas) -> Iterator[Block]:
    assert study.best is not None
    answers = _answers(study, study.best.finished)
    if answers is None or answers.predicted is None:
        yield Omitted("What the selected network answers", "There are no examples apart from the training part.")
        return
    truth, taken = answers.targets.astype(np.intp), answers.predicted
    classes = max(int(truth.max()) + 1, int(taken.max()) + 1, answers.outputs.shape[1])
    matrix, names = confusion(truth, taken, classes), [str(each) for each in range(classes)]
    over = f"summed over {len(answers.seeds)} seeds" if len(answers.seeds) > 1 else f"of seed {answers.seeds[0]}"
    yield Paragraph(
        inline("The selected configuration, ", Code(study.best.label), f", on the {answers.part} part, {over}.")
    )
    yield canvas.figure(
        "confusion", "What it confuses", confusion_figure(matrix, names),
        caption=f"Examples of each class (rows) by the class that was predicted (columns), {over}; "
        f"{int(matrix.sum()):,} answers.",
        alt=f"Confusion matrix of {classes} classes",
    )  # fmt: skip
    yield from _class_scores(canvas, matrix, names)
    yield _calibration(canvas, answers, taken == truth)


def _class_scores(canvas: Canvas, matrix: NDArray[np.intp], names: list[str]) -> Iterator[Block]:
    scores = class_scores(matrix)
    yield canvas.figure(
        "class-scores", "Scores of each class", class_scores_figure(names, scores.precision, scores.recall, scores.f1),
        caption="Precision: of those named so, how many are. Recall: of those that are, how many were named so. F1: "
        "the harmonic mean of both.",
        alt=f"Precision, recall and F1 of {len(names)} classes",
    )  # fmt: skip
    values = np.stack([scores.support, scores.precision, scores.recall, scores.f1], axis=1)
    rows = tuple((name, *row) for name, row in zip(names, values.tolist(), strict=True))
    columns = (Column("class", format="code"), Column("answers", format="integer"), Column("precision", format="score"),
               Column("recall", format="score"), Column("F1", format="score"))  # fmt: skip
    yield Details("The scores as a table", (Table("class-scores", "Scores of each class", columns, rows, shown=NAMED),))


def _calibration(canvas: Canvas, answers: Answers, right: NDArray[np.bool_]) -> Block:
    if not answers.outputs.shape[1]:
        return Omitted("Calibration", "The outputs under this loss are no probabilities.")
    bins = reliability(np.clip(answers.outputs.max(axis=1), 0, 1), right, BINS)
    return canvas.figure(
        "calibration", "How sure it is, and how often it is right",
        reliability_figure(bins.confidence, bins.accuracy, bins.counts),
        caption=f"Answers by the probability that the network gave them, in {BINS} bins; a calibrated one is on the "
        f"diagonal. Expected calibration error: {bins.error:.4f}.",
        alt="Reliability diagram: share of right answers against the network's confidence",
    )  # fmt: skip


def _of_values(study: Study, canvas: Canvas) -> Iterator[Block]:
    assert study.best is not None
    answers = _answers(study, study.best.finished[:1])
    if answers is None:
        yield Omitted("Predicted against true values", "There are no examples apart from the training part.")
        return
    yield canvas.figure(
        "predictions", "Predicted and true values",
        predictions_figure(answers.targets.astype(np.float64), answers.outputs[:, 0]),
        caption=inline("The selected configuration, ", Code(study.best.label), f", seed {answers.seeds[0]}, on the "
                       f"{answers.part} part: {len(answers.targets):,} examples."),
        alt="Predicted against true values, and the residuals",
    )  # fmt: skip


def _of_the_plane(study: Study, canvas: Canvas) -> Iterator[Block]:
    table = study.snapshot.tables["regions"]
    if table.empty:
        yield Omitted("Decision regions", "They are of classes in a plane: the networks must have two inputs. "
                      if not study.sweeps[0].get("notes") else _why(study, "regions"))  # fmt: skip
        return
    points, classes = _points(study)
    labels = {each.key: each.label.replace(f" seed={each.seed}", "") for each in study.repeats}
    found = [_region(labels.get(str(key), ""), part, _span(table)) for key, part in table.groupby("key", sort=False)]
    found = sorted(found, key=lambda each: each.label)
    yield canvas.figure(
        "regions", "What networks have learnt of the plane", regions(found, points, classes),
        caption="The class that each network predicts, at every point of the standardised plane; one network an "
        "arm, its "
        "best configuration's first seed, at its best epoch. Points are examples, by their true class.",
        alt=f"Decision regions of {len(found)} networks", wide=len(found) > 3,
    )  # fmt: skip
    yield from _film(study, canvas, points, classes, labels)


def _points(study: Study) -> tuple[Points, list[str]]:
    table = study.snapshot.tables["points"]
    test = table[table["part"] == "test"]
    table = test if len(test) else table
    labels = table["label"].to_numpy(np.intp)
    names = [f"class {each}" for each in range(int(labels.max()) + 1)]
    return Points(table["x"].to_numpy(np.float64), table["y"].to_numpy(np.float64), labels), names


def _region(label: str, cells: DataFrame, span: Span) -> Region:
    rows, columns = int(cells["row"].max()) + 1, int(cells["column"].max()) + 1
    grid = np.empty((rows, columns), np.intp)
    grid[cells["row"], cells["column"]] = cells["predicted"]
    left, right, bottom, top = span
    return Region(label, np.linspace(left, right, columns), np.linspace(bottom, top, rows), grid)


def _span(table: DataFrame) -> Span:
    """Return from where to where a grid reaches: left, right, bottom, top."""
    return tuple(float(each) for name in ("x", "y") for each in (table[name].min(), table[name].max()))  # type: ignore[return-value]


def _film(study: Study, canvas: Canvas, points: Points, classes: list[str], labels: dict[str, str]) -> Iterator[Block]:
    table = study.snapshot.tables["frames"]
    if table.empty:
        yield Omitted("How the networks converge", _why(study, "frames"))
        return
    span = _span(study.snapshot.tables["regions"])
    epochs = sorted(int(each) for each in table["epoch"].unique())
    frames = []
    for epoch in epochs:
        now = table[table["epoch"] == epoch]
        panels = [_region(labels.get(str(key), ""), part, span) for key, part in now.groupby("key", sort=False)]
        frames.append(regions(sorted(panels, key=lambda each: each.label), points, classes, f"after epoch {epoch}"))
    film = animate(frames)
    kept = [epochs[place] for place in chosen_frames(epochs)]
    first = str(table["key"].iloc[0])
    still = [
        _region(f"epoch {epoch}", table[(table["epoch"] == epoch) & (table["key"] == first)], span) for epoch in kept
    ]
    caption = inline(
        "The same networks trained again, which gave the same records; their regions after some epochs, early ones "
        f"more often ({', '.join(map(str, epochs))}).",
    )  # fmt: skip
    yield Animation(
        "convergence", "How the networks converge", caption, f"Decision regions of networks over {len(epochs)} "
        f"epochs", film,
        canvas.figure(
            "convergence-stills", "How one of them converges", regions(still, points, classes),
            caption=inline("Stills of the animation: ", Code(labels.get(first, "")), "."),
            alt=f"Decision regions of one network after {len(kept)} epochs", wide=True,
        ),
    )  # fmt: skip


def _units(study: Study, canvas: Canvas) -> Block:
    table = study.snapshot.tables["units"]
    if table.empty:
        return Omitted("First-layer weights as images", "The inputs are no images.")
    weights = table.pivot(index="unit", columns="pixel", values="value").to_numpy(np.float64)
    height, width = _image(study, weights.shape[1])
    return canvas.figure(
        "units", "What the first layer looks at", units(weights.reshape(len(weights), height, width)),
        caption=f"Weights of {len(weights)} units of the first layer of the selected network's first seed, as "
        f"images of "
        "what they look at; one scale for all.",
        alt=f"Weights of {len(weights)} units as images of {height} x {width} pixels",
    )  # fmt: skip


def _image(study: Study, pixels: int) -> tuple[int, int]:
    for sweep in study.sweeps:
        if sweep.get("image"):
            height, width = sweep["image"]
            return int(height), int(width)
    side = round(pixels**0.5)
    return side, side

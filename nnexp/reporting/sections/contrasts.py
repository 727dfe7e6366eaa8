"""Contrasts: the arms of an axis against its best one, paired over seeds, and each against each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import (
    Block,
    Code,
    Column,
    Details,
    Inline,
    Interval,
    Omitted,
    Paragraph,
    Part,
    Table,
    inline,
)
from nnexp.reporting.figures.contrasts import Difference, differences
from nnexp.reporting.figures.heat import improvement as improvement_matrix
from nnexp.reporting.sections.accounting import name_of
from nnexp.reporting.sections.answer import ALPHA, paired
from nnexp.reporting.sections.contenders import Contender, best_of, is_tested, outcomes_of
from nnexp.reporting.study import FEW, Axis, Study, Vector
from nnexp.statistics.paired import Comparison, compare, holm, improvement, least_p

APART, CLOSE = "Distinguishable from the best arm", "Not distinguishable from the best arm"


@dataclass(frozen=True)
class Contrast:
    """An arm's tuned configuration beside that of the best arm. comparison: of the best one with it, oriented. paired:
    its scores minus the best arm's, as they are. adjusted_p: Holm's, over all contrasts of the report's section."""

    other: Contender
    comparison: Comparison
    paired: Vector = field(repr=False)
    adjusted_p: float = float("nan")

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is more than chance would make."""
        return self.adjusted_p <= ALPHA


@dataclass(frozen=True)
class Contrasts:
    """The contrasts of an axis. tested: whether they are of test scores. unpaired: arms that share fewer than two seeds
    with the best. all: how many contrasts the section has."""

    axis: Axis
    best: Contender
    tested: bool
    rows: tuple[Contrast, ...]
    unpaired: tuple[Contender, ...]
    all: int = 0


def contrasts(study: Study, axis: Axis, found: Sequence[Contender]) -> Contrasts:
    """Return how the arms of an axis differ from its best one, not yet adjusted for their number."""
    best, tested = best_of(study, found), is_tested(found)
    sign, place = study.objective.sign, study.axes.index(axis)
    rows, unpaired = [], []
    for other in (each for each in found if each is not best):
        one, two = paired(best.tuned, other.tuned, tested)
        if len(one) < 2:
            unpaired.append(other)
            continue
        made = compare(sign * one, sign * two, study.generator(4, place, other.arm.place))
        rows.append(Contrast(other, made, two - one))
    return Contrasts(axis, best, tested, tuple(rows), tuple(unpaired))


def adjusted(several: Sequence[Contrasts]) -> tuple[Contrasts, ...]:
    """Return contrasts with their p adjusted for all of them together."""
    p_values = [row.comparison.sign_flip_p for each in several for row in each.rows]
    found = iter(holm(p_values) if p_values else ())
    return tuple(
        replace(
            each,
            rows=tuple(replace(row, adjusted_p=float(next(found))) for row in each.rows),
            all=len(p_values),
        )
        for each in several
    )


def contrast_blocks(study: Study, canvas: Canvas, found: Contrasts) -> Iterator[Block]:
    """Yield what tells the arms of an axis apart: prose, figure and table."""
    if not found.rows:
        why = "No two arms share two seeds at which both have a score."
        yield Omitted(f"Differences between the arms of {found.axis.label}", why)
        return
    yield Paragraph(_told(found))
    yield _figure(study, canvas, found)
    yield _table(study, found)


def _told(found: Contrasts) -> Inline:
    part = "test" if found.tested else "validation"
    parts: list[Part] = [
        "Best by validation is ", Code(found.best.label), f". The others' best configurations are compared with it on "
        f"the {part} scores, paired over the seeds at which both have one. p is of the exact sign-flip test, adjusted "
        f"by Holm for all {found.all} such comparisons of this section. ",
        *_limits(found),
    ]  # fmt: skip
    for text, there in ((APART, True), (CLOSE, False)):
        names = [each.other.label for each in found.rows if each.distinguishable is there]
        if names:
            parts += [f"{text}: ", *listed(names), ". "]
    if found.unpaired:
        parts += ["Without two common seeds: ", *listed([each.label for each in found.unpaired]), ". "]
    return inline(*parts)


def _limits(found: Contrasts) -> Iterator[str]:
    """Yield what so few pairs cannot show."""
    n = min(each.comparison.n for each in found.rows)
    least = least_p(n)
    if n < FEW:
        yield (
            f"With {n} paired seeds no two-sided rank test can reach {ALPHA}: the smallest possible p is {least:.4g}. "
            "That is no evidence for or against a difference; it takes 6 seeds to be able to find one. "
        )
    elif least * found.all > ALPHA:
        yield (
            f"With {n} paired seeds the smallest possible p is {least:.4g}, and {min(1.0, least * found.all):.3g} "
            f"where it is the smallest of {found.all}: no single difference can reach {ALPHA} here. "
        )


def listed(names: Sequence[str]) -> Iterator[Part]:
    """Yield names with commas between them."""
    for place, each in enumerate(names):
        yield from ((", ",) if place else ())
        yield Code(each)


def _figure(study: Study, canvas: Canvas, found: Contrasts) -> Block:
    objective = study.objective
    metric = objective.test if found.tested else objective.metric
    rows = sorted((_difference(study, each) for each in found.rows), key=lambda each: each.group == APART)
    apart = sum(each.distinguishable for each in found.rows)
    pairs = sorted({each.comparison.n for each in found.rows})
    n = str(pairs[0]) if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]}"
    return canvas.figure(
        f"differences-{name_of(found.axis)}",
        f"Each {found.axis.label} beside the best one, {found.best.label}",
        differences(rows, found.best.label, metric, objective.better),
        caption=inline(
            "Differences of ",
            Code(metric),
            f" between the best configurations of the arms at the same seed (dots, n = {n}), their mean (marker) and "
            "its 95 % t interval (line), which is not adjusted for the number of comparisons; the grouping is: by the "
            "sign-flip test, adjusted by Holm.",
        ),
        alt=f"Paired differences of {len(rows)} values of {found.axis.label} to {found.best.label}; {apart} are "
        f"distinguishable from it, {len(rows) - apart} are not.",
    )


def _difference(study: Study, row: Contrast) -> Difference:
    sign, bounds = study.objective.sign, row.comparison.difference
    ends = sorted((-sign * bounds.low, -sign * bounds.high))
    group = APART if row.distinguishable else CLOSE
    return Difference(
        row.other.label, row.other.arm.place, row.paired, -sign * bounds.estimate, ends[0], ends[1], group
    )


def _table(study: Study, found: Contrasts) -> Table:
    best = found.best
    rows = tuple(
        (
            each.other.label, each.comparison.n, _by(each),
            each.comparison.better.estimate, each.comparison.sign_flip_p, each.comparison.wilcoxon_p,
            each.adjusted_p, "yes" if each.distinguishable else "no",
        )
        for each in found.rows
    )  # fmt: skip
    columns = (
        Column(found.axis.label, format="code"), Column("paired seeds", format="integer"),
        Column("best is better by (95 % t interval)", format="interval"), Column("best wins", format="percent"),
        Column("p, sign flips", format="p"), Column("p, Wilcoxon", format="p"), Column("p, adjusted", format="p"),
        Column("distinguishable"),
    )  # fmt: skip
    note = (
        f"Positive where {best.label} is better on the {'test' if found.tested else 'validation'} part. Best wins: "
        f"share of seeds, ties half. Adjusted: the sign-flip p by Holm, for {found.all} comparisons."
    )
    return Table(
        f"differences-{name_of(found.axis)}", f"Each {found.axis.label} beside {best.label}", columns, rows, note=note
    )


def _by(row: Contrast) -> Interval:
    """Return by how much the best arm is better; what rounding alone leaves of equal means is 0."""
    bounds = row.comparison.difference
    nothing = abs(bounds.estimate) < 1e-9 * max(abs(bounds.high - bounds.low), 1e-300)
    return Interval(0.0 if nothing else bounds.estimate, bounds.low, bounds.high)


def improvement_blocks(study: Study, canvas: Canvas, axis: Axis, found: Sequence[Contender]) -> Iterator[Block]:
    """Yield how probable it is that a run of one arm is better than one of another: a matrix and a table."""
    tested = is_tested(found)
    runs = {each.label: outcomes_of(study, each.tuned, tested) for each in found}
    bounds = {
        (one, two): improvement(runs[one], runs[two])
        for at, one in enumerate(runs) for two in list(runs)[at + 1 :]
    }  # fmt: skip
    part = "test" if tested else "validation"
    rows = tuple(
        (one, two, Interval(each.estimate, each.low, each.high), each.n) for (one, two), each in bounds.items()
    )
    columns = (
        Column(axis.label, format="code"), Column("than", format="code"),
        Column("P(better) (95 % interval)", format="interval"), Column("runs", format="integer"),
    )  # fmt: skip
    table = Table(
        f"improvement-{name_of(axis)}", f"How probably a run of one {axis.label} is better than one of another",
        columns, rows, shown=30,
        note=f"Of {part} scores of the arms' best configurations, not paired; ties half; runs that diverged or failed "
        "are worse than any other. Newcombe's interval of Mann and Whitney's statistic.",
    )  # fmt: skip
    if len(found) == 2:
        yield table
        return
    matrix = _matrix(list(runs), {pair: each.estimate for pair, each in bounds.items()})
    yield canvas.figure(
        f"improvement-{name_of(axis)}", f"How probably one {axis.label} is better than another",
        improvement_matrix(list(runs), matrix),
        caption=inline(
            f"Share of pairs of runs, one of each arm's best configuration ({_counted(runs)} runs an arm), in which "
            f"that of the row has the better {part} score; ties half. 0.5: no arm is better than the other. Runs that "
            "diverged are worse than any other."
        ),
        alt=f"Matrix of the probabilities that a run of one of {len(runs)} values of {axis.label} is better than one "
        "of another.",
    )  # fmt: skip
    yield Details(f"These probabilities with their intervals ({axis.label})", (table,))


def _counted(runs: Mapping[str, Vector]) -> str:
    sizes = sorted({len(each) for each in runs.values()})
    return str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"


def _matrix(labels: Sequence[str], above: Mapping[tuple[str, str], float]) -> Vector:
    matrix = np.full((len(labels), len(labels)), np.nan)
    place = {label: at for at, label in enumerate(labels)}
    for (one, two), probability in above.items():
        matrix[place[one], place[two]] = probability
        matrix[place[two], place[one]] = 1 - probability
    return matrix

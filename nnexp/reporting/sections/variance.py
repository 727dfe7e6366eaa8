"""Variance: which parameters move the score, as exact shares of a full grid or else as PED-ANOVA's importance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnexp.errors import DataError
from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Block, Column, Omitted, Paragraph, Table, Value, inline
from nnexp.reporting.figures.parameters import Kind, Share
from nnexp.reporting.figures.parameters import shares as drawn
from nnexp.reporting.printing import score
from nnexp.reporting.sections.contenders import WITHOUT_SCORE
from nnexp.reporting.study import Configuration, Study, told
from nnexp.statistics.importance import Importance, importance
from nnexp.statistics.variance import Shares, Term, factorial_shares

MOST_BARS = 12
LEAST_BAR = 0.001  # share that has a bar


@dataclass(frozen=True)
class Decided:
    """What moves the score. shares: None with the reason why the grid gives none. lost: trials that count as the worst
    score, which is worst. importance: where there are no shares."""

    shares: Shares | None
    reason: str
    lost: int
    worst: float
    importance: Importance | None
    axes: tuple[str, ...]

    @property
    def order(self) -> tuple[str, ...]:
        """The parameters, the most important first if that is known."""
        known = self.importance.shares if self.importance is not None else None
        return self.axes if known is None else tuple(known)


def shares_of(study: Study) -> Decided:
    """Return the shares of variance if the study is a full grid; trials that diverged count as the worst score."""
    worst, names = _worst(study), tuple(axis.name for axis in study.axes)
    lost = sum(each.state in WITHOUT_SCORE for each in study.repeats)
    try:
        return Decided(_shares(study, worst), "", lost, worst, None, names)
    except DataError as error:
        return Decided(None, str(error), lost, worst, importance_of(study), names)


def _shares(study: Study, worst: float) -> Shares:
    left = sum(not each.finished and each.state not in WITHOUT_SCORE for each in study.repeats)
    if left:
        raise DataError(f"{left:,} trials have not ended")
    if any(axis.name not in each.parameters for each in study.configurations for axis in study.axes):
        raise DataError("not every configuration has every parameter")
    trials = [(one, each) for one in study.configurations for each in one.repeats]
    factors = {axis.name: [told(one.parameters[axis.name]) for one, _ in trials] for axis in study.axes}
    return factorial_shares(factors, [each.score if each.finished else worst for _, each in trials], order=3)


def _worst(study: Study) -> float:
    return min((each.score for each in study.repeats if each.finished), key=lambda each: study.objective.sign * each)


def share_blocks(study: Study, canvas: Canvas, decided: Decided) -> Iterator[Block]:
    """Yield how much of the variance is whose, or what else is known of what matters."""
    if decided.shares is None:
        yield from _importance_blocks(decided)
        return
    if not decided.shares.total:
        yield Omitted("Shares of the variance", "All scores are equal.")
        return
    yield Paragraph(_explained(study, decided, decided.shares))
    yield _figure(study, canvas, decided.shares)
    yield _table(study, decided.shares)


def _explained(study: Study, decided: Decided, shares: Shares) -> str:
    lost = (
        f" {decided.lost:,} trials that diverged or failed count as the worst score that there is, "
        f"{score(decided.worst)}: the shares depend on that choice."
        if decided.lost
        else ""
    )
    return (
        f"The sweep is a full grid, so that the variance of its {len(study.repeats):,} scores divides exactly into "
        "parts of the parameters, of their interactions and of the seeds. The shares are of these values of these "
        f"parameters: other ranges give other shares.{lost}"
    )


def label_of(study: Study, factors: Sequence[str]) -> str:
    """Return `optimizer x lr` of some axes."""
    return " × ".join(study.axis(each).label for each in factors)


def _figure(study: Study, canvas: Canvas, shares: Shares) -> Block:
    bars = _bars(study, shares)
    first = bars[0]
    return canvas.figure(
        "variance-shares",
        "What moves the score",
        drawn(bars),
        caption=inline(
            f"Shares of the sum of squares of {study.objective.metric} over all {len(study.repeats):,} trials "
            f"({shares.repeats} seeds a configuration): of parameters, of interactions that are more than the sum of "
            f"their parts, and of what seeds change within a configuration. Shares below {100 * LEAST_BAR:.1g} % and "
            f"all but the largest {MOST_BARS} parts are in the table."
        ),
        alt=f"Bars of shares of variance; the longest is {first.label} with {100 * first.value:.1f} %.",
    )


def _bars(study: Study, shares: Shares) -> list[Share]:
    found = [Share(label_of(study, each.factors), each.share, _kind(each)) for each in shares.terms]
    if shares.higher > 0:
        found.append(Share("of four and more", shares.higher, "interaction"))
    if shares.repeats > 1:
        found.append(Share("seeds", shares.within, "seed"))
    found.sort(key=lambda each: -each.value)
    return [each for each in found if each.value >= LEAST_BAR][:MOST_BARS]


def _kind(term: Term) -> Kind:
    return "main" if len(term.factors) == 1 else "interaction"


def _table(study: Study, shares: Shares) -> Table:
    rows: list[tuple[Value, ...]] = [
        (label_of(study, each.factors), "parameter" if len(each.factors) == 1 else "interaction", each.share,
         each.degrees, each.p)
        for each in sorted(shares.terms, key=lambda each: -each.share)
    ]  # fmt: skip
    if shares.higher > 0:
        rows.append(("four and more parameters", "interaction", shares.higher, None, None))
    if shares.repeats > 1:
        rows.append(("seeds", "seeds", shares.within, None, None))
    columns = (
        Column("of"), Column("kind"), Column("share", format="percent"),
        Column("degrees of freedom", format="integer"), Column("p (F test)", format="p"),
    )  # fmt: skip
    note = "p: of so large an F if the part did nothing; it supposes scores that vary alike in all configurations."
    return Table("variance-shares", "Shares of the variance of the score", columns, tuple(rows), note=note)


def _importance_blocks(decided: Decided) -> Iterator[Block]:
    yield Omitted("Exact shares of the variance", f"They need a full grid of trials that ended: {decided.reason}.")
    found, what = decided.importance, "Importance of parameters (PED-ANOVA)"
    if found is None:
        return
    if found.shares is None:
        yield Omitted(what, f"Of {found.trials:,} configurations, each by its mean over seeds: {found.reason}.")
        return
    yield Paragraph(
        f"Importance of {len(found.shares)} parameters by PED-ANOVA: how much their values among the best tenth of "
        f"{found.trials:,} configurations (by the mean over seeds) differ from their values among all. It looks at "
        "one parameter at a time, so that interactions do not show, and says nothing of how much the score changes. "
        "Configurations of which a trial diverged count as the worst."
    )
    columns = (Column("parameter", format="code"), Column("share", format="percent"))
    yield Table(
        "importance", "Importance of parameters", columns,
        tuple(found.shares.items()), note="Shares add up to 100 %. Watanabe et al. 2023, computed by Optuna.",
    )  # fmt: skip


def importance_of(study: Study) -> Importance:
    """Return PED-ANOVA's importance of each axis; configurations that miss a score are the worst."""
    columns = {
        axis.name: [_plain(axis.name, each, numeric) for each in study.configurations]
        for axis in study.axes
        for numeric in [axis.numeric]
    }
    scores = [study.objective.sign * each.mean if each.n and each.whole else -math.inf for each in study.configurations]
    log = [axis.name for axis in study.axes if axis.logarithmic and min(axis.values) > 0]
    return importance(columns, scores, log=log)


def _plain(name: str, configuration: Configuration, numeric: bool) -> float | int | str | None:
    """Return a configuration's value of an axis as PED-ANOVA takes it; choices by their names."""
    if name not in configuration.parameters:
        return None
    value = configuration.parameters[name]
    return value if numeric else told(value)

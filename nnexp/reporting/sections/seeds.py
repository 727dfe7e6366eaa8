"""Seeds: how much scores differ between seeds beside how much they differ between configurations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnexp.reporting.document import Block, Code, Column, Inline, Omitted, Paragraph, Table, inline
from nnexp.reporting.printing import score
from nnexp.reporting.study import Configuration, Study
from nnexp.statistics.variance import Components, variance_components


@dataclass(frozen=True)
class Spread:
    """What varies among some configurations. n: the least number of repeats with a score."""

    called: str
    components: Components
    n: int

    @property
    def between(self) -> float:
        """The standard deviation between configurations."""
        return math.sqrt(max(0.0, self.components.between))

    @property
    def within(self) -> float:
        """The standard deviation between the seeds of a configuration."""
        return math.sqrt(self.components.within)

    @property
    def noise(self) -> float:
        """Below it a difference between means is within what seeds do: 2 sd / sqrt(n)."""
        return 2 * self.within / math.sqrt(self.n)


def seed_blocks(study: Study) -> Iterator[Block]:
    """Yield the variance of the seeds beside that of the configurations."""
    repeated = [each for each in study.configurations if each.n > 1]
    if len(repeated) < 2:
        yield Omitted("Seeds beside configurations", "Fewer than two configurations have two seeds with a score.")
        return
    spreads = [_spread("all configurations", repeated)]
    if len(repeated) >= 4:  # they are ranked
        spreads.append(_spread("the better half of the configurations", repeated[: (len(repeated) + 1) // 2]))
    yield Paragraph(_told(study, repeated, spreads[-1]))
    yield _table(study, spreads)


def _spread(called: str, configurations: Sequence[Configuration]) -> Spread:
    least = min(each.n for each in configurations)
    return Spread(called, variance_components([each.scores for each in configurations]), least)


def _told(study: Study, repeated: Sequence[Configuration], spread: Spread) -> Inline:
    near = sum(abs(each.mean - repeated[0].mean) < spread.noise for each in repeated[1:])
    return inline(
        f"Among {spread.called} the standard deviation of ", Code(study.objective.metric),
        f" between the seeds of one configuration is {score(spread.within)}, between configurations "
        f"{score(spread.between)}. A difference below {score(spread.noise)} between two means of {spread.n} seeds is "
        f"within what seeds do (2 sd / √n). That near to the best one: {near:,} of the other {len(repeated) - 1:,} "
        "configurations.",
    )  # fmt: skip


def _table(study: Study, spreads: Sequence[Spread]) -> Table:
    rows = tuple(
        (each.called, each.components.configurations, each.components.n, each.between, each.within,
         1 - each.components.intraclass, each.noise)
        for each in spreads
    )  # fmt: skip
    columns = (
        Column("of"), Column("configurations", format="integer"), Column("scores", format="integer"),
        Column("sd between configurations", format="score"), Column("sd between seeds", format="score"),
        Column("seeds' part of the variance", format="percent"), Column("within what seeds do", format="score"),
    )  # fmt: skip
    note = (
        "Components of variance of a model with random effects, of the trials that have a score. The better half, by "
        "the mean: the worse one often varies far more, and nobody chooses from it."
    )
    return Table("seed-variance", f"Seeds beside configurations, {study.objective.metric}", columns, rows, note=note)

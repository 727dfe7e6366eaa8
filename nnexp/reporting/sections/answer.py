"""The question and the answer: what the numbers allow to be said, and no more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnexp.reporting.document import (
    Block,
    Callout,
    Code,
    Column,
    Inline,
    Interval,
    Paragraph,
    Part,
    Section,
    Table,
    inline,
)
from nnexp.reporting.fairness import Finding, is_refused
from nnexp.reporting.printing import score
from nnexp.reporting.study import FEW, Configuration, Repeat, Study, Vector
from nnexp.statistics.intervals import Interval as Bounds
from nnexp.statistics.intervals import deviation, t_interval
from nnexp.statistics.paired import Comparison, compare, differences, holm, least_p, needed_n

ALPHA = 0.05
RUNNERS_UP = 9  # compared with the selected configuration, at most
DECIMALS = 10  # of a difference


@dataclass(frozen=True)
class Rival:
    """A configuration beside the selected one. adjusted_p: Holm's. needed: pairs that a paired t test would need to
    find a difference as large as this one in 80 % of the cases; None if there is none."""

    configuration: Configuration
    comparison: Comparison
    adjusted_p: float
    needed: int | None

    @property
    def distinguishable(self) -> bool:
        """Whether the difference is more than chance would make."""
        return self.adjusted_p <= ALPHA


@dataclass(frozen=True)
class Verdict:
    """The selected configuration and how it stands to the next ones. part: whose scores are compared."""

    best: Configuration
    part: str
    rivals: tuple[Rival, ...]


def verdict(study: Study) -> Verdict | None:
    """Return how the selected configuration stands to the runners-up; None if no configuration has a score."""
    best = study.best
    if best is None:
        return None
    tested = bool(best.n) and bool(np.isfinite(best.tests).all())
    others = [each for each in study.configurations if each.n and each is not best][: _comparable(best.n)]
    pairs = [(each, paired(best, each, tested)) for each in others]
    sign = study.objective.sign
    found = [
        (each, compare(sign * one, sign * other, study.generator(1, place)), _needed(sign * one, sign * other))
        for place, (each, (one, other)) in enumerate(pairs)
        if len(one) >= 2
    ]
    adjusted = holm([comparison.sign_flip_p for _, comparison, _ in found]) if found else ()
    rivals = tuple(
        Rival(each, comparison, float(p), needed) for (each, comparison, needed), p in zip(found, adjusted, strict=True)
    )
    return Verdict(best, "test" if tested else "validation", rivals)


def _comparable(n: int) -> int:
    """Return how many of the next configurations to compare: as many as the exact test of n pairs could tell apart."""
    return min(RUNNERS_UP, max(1, int(ALPHA / least_p(n)))) if n >= FEW else RUNNERS_UP


def paired(first: Configuration, second: Configuration, tested: bool) -> tuple[Vector, Vector]:
    """Return the scores of two configurations at the seeds that both finished, on the test or the validation part."""

    def score(repeat: Repeat) -> float:
        return repeat.test if tested else repeat.score

    one, other = ({each.seed: score(each) for each in config.finished} for config in (first, second))
    common = sorted(seed for seed in one.keys() & other.keys() if math.isfinite(one[seed] + other[seed]))
    return np.array([one[seed] for seed in common]), np.array([other[seed] for seed in common])


def answer(study: Study, found: Sequence[Finding], *, ranked: bool) -> Section:
    """Return the section. ranked: whether a ranking is made although something forbids it, if it does."""
    return Section("answer", "The question and the answer", tuple(_blocks(study, found, ranked)))


def question(study: Study) -> Inline:
    """Return what the sweep asked."""
    names = [part for each in study.axes for part in (", ", Code(each.name))][1:]
    asked = inline("Which values of ", *names, " give") if names else inline("Which score does it give: what is")
    better = "highest" if study.objective.direction == "maximize" else "lowest"
    size = f"{len(study.configurations):,} configurations, {len(study.repeats):,} trials"
    return inline(*asked, f" the {better} ", Code(study.objective.metric), f"? {size}, seeds {_seeds(study)}.")


def _seeds(study: Study) -> str:
    seeds = study.seeds
    run = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"{seeds[0]} to {seeds[-1]}" if run else ", ".join(map(str, seeds))


def _blocks(study: Study, found: Sequence[Finding], ranked: bool) -> Iterator[Block]:
    yield Paragraph(question(study))
    decided = verdict(study)
    if decided is None:
        yield Callout("refusal", "No trial finished: there is nothing to compare.")
        return
    if is_refused(found) and not ranked:
        yield Callout("refusal", inline("No answer is given, because a ranking would not be fair: ", *_reasons(found),
                                        " --allow-unequal ranks all the same."))  # fmt: skip
        return
    yield Callout("answer", inline(*headline(study, decided)))
    yield Paragraph(_test_sentence(study, decided.best))
    yield Paragraph(distinguished(study, decided))
    if decided.rivals:
        yield _table(study, decided)


def _reasons(found: Sequence[Finding]) -> Iterator[Part]:
    for each in found:
        if each.kind == "refusal":
            yield from each.text
            yield " "


def headline(study: Study, decided: Verdict) -> Inline:
    """Return the best configuration with its mean, interval and n."""
    best, objective = decided.best, study.objective
    spread = t_interval(best.scores)
    interval = f" (95 % t interval {score(spread.low)} to {score(spread.high)}, n = {best.n} seeds)"
    alone = " (one seed: no interval)"
    return inline(
        Code(best.label), " has the best mean ", Code(objective.metric),
        f" of {_many(study)}: {score(spread.estimate)}", interval if best.n > 1 else alone, ". ", _tie(study, decided),
    )  # fmt: skip


def _many(study: Study) -> str:
    count = sum(each.n > 0 for each in study.configurations)
    return f"{count:,} configurations" if count > 1 else "the only configuration that finished"


def _tie(study: Study, decided: Verdict) -> str:
    close = sum(not each.distinguishable for each in decided.rivals)
    if not decided.rivals:
        return ""
    if close == 0:
        return f"It differs from each of the next {len(decided.rivals)} by more than chance explains."
    return f"It cannot be told apart from {close} of the next {len(decided.rivals)}."


def _test_sentence(study: Study, best: Configuration) -> Inline:
    objective = study.objective
    if not np.isfinite(best.tests).all():
        return inline("There is no test part: the score above is of the examples that selected it, and so too good.")
    test = t_interval(best.tests)
    optimism = objective.sign * (t_interval(best.scores).estimate - test.estimate)
    bounds = f" (95 % t interval {score(test.low)} to {score(test.high)})" if best.n > 1 else ""
    too = "better" if optimism > 0 else "worse"
    return inline(
        "It was selected on the validation part, as its best epochs were. On the test part, which selected nothing, "
        "it has ", Code(objective.test), f" {score(test.estimate)}{bounds}. The validation score is "
        f"{score(abs(optimism))} {too}: the optimism of selecting, and what the two parts differ in.",
    )  # fmt: skip


def distinguished(study: Study, decided: Verdict) -> Inline:
    """Return which differences to the runners-up are distinguishable, and what the others would need."""
    rivals = decided.rivals
    if not rivals:
        return inline("There is no other configuration that shares two seeds with it: no difference can be tested.")
    n, least = min(each.comparison.n for each in rivals), least_p(min(each.comparison.n for each in rivals))
    parts: list[Part] = [
        f"Differences are of the {decided.part} scores, paired over the seeds that both trained; p is of the exact "
        f"sign-flip test, adjusted by Holm for {_counted(rivals)}. ",
    ]
    if n < FEW:
        parts.append(
            f"With {n} paired seeds no two-sided rank test can reach {ALPHA}: the smallest possible p is {least:.4g}. "
            "That is no evidence for or against a difference; it takes 6 seeds to be able to find one. "
        )
    elif least * len(rivals) > ALPHA:
        parts.append(
            f"With {n} paired seeds the smallest possible p is {least:.4g}, and adjusted for {len(rivals)} comparisons "
            f"{min(1.0, least * len(rivals)):.3g}: no single difference can reach {ALPHA} here. "
        )
    apart = [each for each in rivals if each.distinguishable]
    if apart:
        parts += ["Distinguishable from the selected one: ", *_listed(apart), ". "]
    close = [each for each in rivals if not each.distinguishable]
    if close:
        parts += ["Not distinguishable: ", *_listed(close), ". "]
        wanted = [each for each in close if each.needed is not None]
        if wanted:
            first = wanted[0]
            parts += [
                "To find a difference as large as the one seen to ", Code(first.configuration.label),
                f" in four of five cases would take {first.needed:,} seeds.",
            ]  # fmt: skip
    return inline(*parts)


def _counted(rivals: Sequence[Rival]) -> str:
    many = f"{len(rivals)} comparison{'s' * (len(rivals) != 1)}"
    limited = len(rivals) < RUNNERS_UP and min(each.comparison.n for each in rivals) >= FEW
    return f"{many}, no more than so many seeds could tell apart" if limited else many


def _listed(rivals: Sequence[Rival]) -> Iterator[Part]:
    for place, each in enumerate(rivals):
        yield from ((", ",) if place else ())
        yield Code(each.configuration.label)


def _needed(first: Vector, second: Vector) -> int | None:
    d = differences(first, second)
    return needed_n(math.fsum(d) / len(d), deviation(d))


def _settled(bounds: Bounds) -> Interval:
    """Return an interval without the last bits of its sums, which would show where the difference is nothing."""
    return Interval(*(round(each, DECIMALS) for each in (bounds.estimate, bounds.low, bounds.high)))


def _table(study: Study, decided: Verdict) -> Table:
    rows = tuple(
        (
            each.configuration.label,
            each.comparison.n,
            _settled(each.comparison.difference),
            each.comparison.better.estimate,
            each.comparison.sign_flip_p,
            each.adjusted_p,
            "yes" if each.distinguishable else "no",
            each.needed,
        )
        for each in decided.rivals
    )
    return Table(
        "runners-up",
        f"The selected configuration, {decided.best.label}, beside the next ones",
        (
            Column("configuration", format="code"), Column("paired seeds", format="integer"),
            Column("better by (95 % t interval)", format="interval"), Column("wins", format="percent"),
            Column("p", format="p"), Column("p, adjusted", format="p"), Column("distinguishable"),
            Column("seeds needed", format="integer"),
        ),
        rows,
        note=f"Better by: {decided.part} score of the selected one minus the other's, positive where the selected one "
        "is better. Wins: seeds at which it is better, ties half. Seeds needed: for a paired t test with 80 % power.",
    )  # fmt: skip

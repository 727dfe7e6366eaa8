"""The outline: which sections a report has, in which order, and what it says first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Code, Document, Inline, Part, Section, Text, inline
from nnexp.reporting.fairness import Finding, is_refused
from nnexp.reporting.sections.accounting import accounting
from nnexp.reporting.sections.answer import answer, headline, verdict
from nnexp.reporting.sections.comparisons import comparisons
from nnexp.reporting.sections.costs import costs
from nnexp.reporting.sections.learning import learning_curves
from nnexp.reporting.sections.networks import networks
from nnexp.reporting.sections.ranking import leaderboard
from nnexp.reporting.sections.rebuild import rebuild
from nnexp.reporting.sections.sensitivity import sensitivity
from nnexp.reporting.study import Study

Timed = Callable[[str], None]


def outline(
    study: Study, canvas: Canvas, found: Sequence[Finding], *, allow_unequal: bool, timed: Timed
) -> tuple[Document, Inline]:
    """Return the report of a study and its headline.

    Args: allow_unequal: whether to rank also where that is not fair. timed: is told when a section is done.
    """
    ranked = allow_unequal or not is_refused(found)
    sections: tuple[Callable[[], Section], ...] = (
        lambda: answer(study, found, ranked=ranked),
        lambda: accounting(study, canvas, found),
        lambda: leaderboard(study, canvas, ranked=ranked),
        lambda: comparisons(study, canvas, ranked=ranked, allow_unequal=allow_unequal),
        lambda: sensitivity(study, canvas),
        lambda: learning_curves(study, canvas),
        lambda: networks(study, canvas),
        lambda: costs(study, canvas),
        lambda: rebuild(study),
    )
    made = []
    for section in sections:
        made.append(section())
        timed(made[-1].id)
    return Document(study.title, _subtitle(study), tuple(made), tuple(_facts(study))), _headline(study, ranked)


def _subtitle(study: Study) -> str:
    swept = ", ".join(axis.name for axis in study.axes)
    return f"A sweep over {swept}" if swept else "One configuration"


def _facts(study: Study) -> list[tuple[str, Text]]:
    datasets = sorted({str(each.config["dataset"]["name"]) for each in study.configurations})
    finished = sum(each.finished for each in study.repeats)
    return [
        ("sweep", inline(*_listed([str(each["id"]) for each in study.sweeps]))),
        ("dataset", ", ".join(datasets)),
        ("trials", f"{len(study.repeats):,}, of them {finished:,} finished"),
        ("objective", inline(Code(study.objective.metric), f", {study.objective.direction}d")),
    ]


def _listed(names: Sequence[str]) -> list[Part]:
    parts: list[Part] = [part for name in names for part in (", ", Code(name))]
    return parts[1:]


def _headline(study: Study, ranked: bool) -> Inline:
    decided = verdict(study)
    if decided is None:
        return inline("No trial finished.")
    return headline(study, decided) if ranked else inline("No ranking: it would not be fair; the report says why.")

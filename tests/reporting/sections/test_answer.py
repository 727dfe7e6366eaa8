"""The answer says what the numbers allow, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnexp.reporting.build import plain_text
from nnexp.reporting.document import Callout, Paragraph, Section, Table, inline
from nnexp.reporting.fairness import findings
from nnexp.reporting.sections.answer import answer, verdict
from nnexp.reporting.study import Study
from tests.reporting.sections.grids import study


def made(gap: float, seeds: int, noise: float = 0.01, **more: Any) -> Study:
    """Return two configurations that are a gap apart, under noise."""
    drawn = np.random.default_rng(3).standard_normal((2, 64)) * noise

    def score(chosen: Any, seed: int) -> float:
        good = bool(chosen["optimizer"] == "adam")
        return 0.9 + gap * good + float(drawn[int(good), seed])

    return study({"optimizer": ["sgd", "adam"]}, score, seeds=seeds, **more)


def text(section: Section) -> str:
    parts = [each.content for each in section.blocks if isinstance(each, Paragraph | Callout)]
    return "\n".join(plain_text(inline(each)) for each in parts)


def said(found: Study) -> str:
    return text(answer(found, findings(found), ranked=True))


def test_a_large_gap_over_enough_seeds_is_told_apart() -> None:
    told = said(made(0.1, 8))
    assert "adam has the best mean val/acc of 2 configurations" in told.replace("optimizer=", "")
    assert "differs from each of the next 1 by more than chance explains" in told
    assert "Distinguishable from the selected one" in told
    assert "Not distinguishable" not in told


def test_no_gap_is_not_told_apart_and_says_how_many_seeds_it_would_take() -> None:
    told = said(made(0.0, 8))
    assert "cannot be told apart from 1 of the next 1" in told
    assert "would take" in told
    assert "Distinguishable from" not in told


@pytest.mark.parametrize(("seeds", "least"), [(2, "0.5"), (3, "0.25"), (5, "0.0625")])
def test_fewer_than_six_seeds_are_said_to_be_too_few_rather_than_not_significant(seeds: int, least: str) -> None:
    told = said(made(0.1, seeds))
    assert (
        f"With {seeds} paired seeds no two-sided rank test can reach 0.05: the smallest possible p is {least}" in told
    )
    assert "It takes 6 seeds" in told or "it takes 6 seeds" in told
    assert "significant" not in told


def test_six_seeds_tell_one_rival_apart_and_no_more_are_compared() -> None:
    found = study(
        {"optimizer": ["a", "b", "c", "d"]},
        lambda chosen, seed: {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}[chosen["optimizer"]] + 0.001 * seed,
        seeds=6,
    )
    decided = verdict(found)
    assert decided is not None
    assert [each.configuration.label for each in decided.rivals] == ["optimizer=b"]
    assert decided.rivals[0].distinguishable


def test_selected_on_validation_and_compared_on_test() -> None:
    found = made(0.1, 8)
    decided = verdict(found)
    assert decided is not None
    assert decided.part == "test"
    assert "On the test part, which selected nothing, it has test/acc" in said(found)
    assert "The validation score is 0.0100 better" in said(found)


def test_without_a_test_part_that_is_said() -> None:
    found = made(0.1, 8, tested=False)
    decided = verdict(found)
    assert decided is not None
    assert decided.part == "validation"
    assert "There is no test part" in said(found)


def test_lower_is_better_where_it_is() -> None:
    found = made(0.1, 8, direction="minimize")
    assert found.best is not None
    assert found.best.label == "optimizer=sgd"
    (table,) = [each for each in answer(found, [], ranked=True).blocks if isinstance(each, Table)]
    assert table.rows[0][2].middle > 0  # type: ignore[union-attr]


def test_a_ranking_that_is_not_fair_is_refused_with_the_reasons() -> None:
    found = made(0.1, 8, data=lambda chosen: chosen["optimizer"])
    refused = answer(found, findings(found), ranked=False)
    assert [type(each) for each in refused.blocks] == [Paragraph, Callout]
    assert "No answer is given" in text(refused)
    assert "different contents" in text(refused)
    assert "has the best mean" not in text(refused)
    assert "has the best mean" in text(answer(found, findings(found), ranked=True))


def test_where_nothing_finished_there_is_no_answer() -> None:
    found = study({"optimizer": ["a", "b"]}, lambda chosen, seed: float("nan"))
    assert verdict(found) is None
    assert "No trial finished" in said(found)


def test_one_seed_has_no_interval_and_no_test() -> None:
    told = said(made(0.1, 1))
    assert "(one seed: no interval)" in told
    assert "no difference can be tested" in told

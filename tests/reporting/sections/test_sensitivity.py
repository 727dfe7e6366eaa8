"""Sensitivity: how scores follow parameters, whose the variance is, and what seeds alone do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnexp.reporting.document import Document, FigureBlock, Paragraph, Section
from nnexp.reporting.sections.interactions import cells_of
from nnexp.reporting.sections.sensitivity import responses, sensitivity
from nnexp.reporting.sections.stretches import stretches_of
from nnexp.reporting.sections.variance import importance_of
from nnexp.reporting.study import Axis, Study, told
from tests.reporting.sections.grids import study
from tests.reporting.sections.test_comparisons import NOISE, Unsaved, column, left_out, said, table, text_of

LRS = (0.001, 0.01, 0.1, 1.0)


def made(of: Study) -> Section:
    """Return a study's section, its figures drawn but not written."""
    return sensitivity(of, Unsaved(Path()))


def figures(of: Section) -> dict[str, str]:
    """Return the captions of a section's figures by name."""
    found = Document("", "", (of,)).figures()
    return {each.name: text_of(each.caption) for each in found if isinstance(each, FigureBlock)}


def grid(score: Any, **more: Any) -> Study:
    """Return a study of two optimizers with four rates of learning."""
    return study({"optimizer": ("adam", "sgd"), "optimizer.lr": LRS}, score, **more)


def test_each_arm_has_a_line_of_its_means_with_the_range_of_the_seeds() -> None:
    of = grid(lambda chosen, seed: len(chosen["optimizer"]) / 10 + chosen["optimizer.lr"] / 10 + NOISE[seed])
    optimizer, lr = of.axes
    adam, sgd = responses(of, lr, optimizer, stretches_of(lr))
    assert (adam.label, sgd.label) == ("adam", "sgd")
    assert list(adam.x) == list(LRS)
    noise = np.array(NOISE[:6])
    assert adam.middle == pytest.approx(0.4 + np.array(LRS) / 10 + noise.mean())
    assert sgd.low == pytest.approx(0.3 + np.array(LRS) / 10 + noise.min())
    assert sgd.high == pytest.approx(0.3 + np.array(LRS) / 10 + noise.max())


def test_trials_that_diverged_are_marked_and_leave_the_means_of_the_others() -> None:
    def score(chosen: Mapping[str, Any], seed: int) -> float:
        return math.nan if chosen["optimizer"] == "sgd" and chosen["optimizer.lr"] == 1 and seed < 2 else 0.5

    of = grid(score)
    optimizer, lr = of.axes
    adam, sgd = responses(of, lr, optimizer, stretches_of(lr))
    assert list(adam.lost) == [0, 0, 0, 0]
    assert list(sgd.lost) == [0, 0, 0, 2]
    assert sgd.middle == pytest.approx(0.5)
    assert "Crosses: 2 trials that diverged or failed" in figures(made(of))["sensitivity-lr"]


def test_a_value_at_which_all_diverged_has_no_score() -> None:
    of = grid(lambda chosen, seed: math.nan if chosen["optimizer.lr"] == 1 else 0.5)
    (line,) = responses(of, of.axes[1], None, stretches_of(of.axes[1]))
    assert math.isnan(line.middle[3])
    assert line.lost[3] == 12
    assert figures(made(of))


def test_many_values_are_put_together_with_their_neighbours() -> None:
    values = [10 ** (-4 + place / 25) for place in range(100)]
    of = study({"optimizer.lr": values}, lambda chosen, seed: 0.5 + NOISE[seed], seeds=2)
    places = stretches_of(of.axes[0])
    assert len(places) == 12
    assert sum(len(each.values) for each in places) == 100
    (line,) = responses(of, of.axes[0], None, places)
    assert len(line.x) == 12
    assert (np.diff(line.x) > 0).all()
    assert "about 8 neighbouring values" in figures(made(of))["sensitivity-lr"]


def test_values_that_are_told_alike_are_one_value() -> None:
    of = study({"optimizer.lr": [0.1, 0.1 + 1e-12, 0.2]}, lambda chosen, seed: float(chosen["optimizer.lr"]))
    assert [len(each.configurations) for each in of.arms(of.axes[0])] == [2, 1]
    assert figures(made(of))


def test_shares_are_those_of_parameters_interactions_and_seeds() -> None:
    def score(chosen: Mapping[str, Any], seed: int) -> float:
        arm, place = bool(chosen["optimizer"] == "adam"), LRS.index(chosen["optimizer.lr"])
        odd = place % 2
        return 0.5 + 0.1 * arm + 0.02 * place + (0.0 if odd else 0.02 * arm) + (0.01 if seed % 2 else -0.01)

    found = table(made(grid(score)), "variance-shares")
    shares = dict(zip(column(found, "of"), column(found, "share"), strict=True))
    scores = {
        (arm, lr): [score({"optimizer": arm, "optimizer.lr": lr}, seed) for seed in range(6)]
        for arm in ("adam", "sgd")
        for lr in LRS
    }
    all_scores = np.array(list(scores.values()))
    total = ((all_scores - all_scores.mean()) ** 2).sum()
    by_lr = np.array([[*scores["adam", lr], *scores["sgd", lr]] for lr in LRS]).mean(axis=1)
    assert shares["lr"] == pytest.approx(12 * ((by_lr - all_scores.mean()) ** 2).sum() / total)
    assert shares["seeds"] == pytest.approx(48 * 0.01**2 / total)
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) == {"lr", "optimizer", "optimizer × lr", "seeds"}


def test_in_shares_a_trial_that_diverged_counts_as_the_worst_and_it_is_said() -> None:
    def score(chosen: Mapping[str, Any], seed: int) -> float:
        diverged = chosen["optimizer"] == "sgd" and chosen["optimizer.lr"] == 1
        return math.nan if diverged else 0.25 if chosen["optimizer"] == "sgd" else 0.5

    found = made(grid(score))
    assert "6 trials that diverged or failed count as the worst score that there is, 0.2500" in said(found)
    shares = table(found, "variance-shares")
    assert dict(zip(column(shares, "of"), column(shares, "share"), strict=True))["optimizer"] == pytest.approx(1)


def test_interactions_that_are_more_than_chance_are_mapped() -> None:
    def crossing(chosen: Mapping[str, Any], seed: int) -> float:
        sign = 1 if chosen["optimizer"] == "adam" else -1
        return 0.5 + sign * 0.1 * LRS.index(chosen["optimizer.lr"]) + NOISE[seed]

    assert "% of the variance" in figures(made(grid(crossing)))["interaction-optimizer-lr"]
    drawn = iter(np.random.default_rng(0).normal(size=48))  # a share of chance for the interaction
    noisy = made(grid(lambda chosen, seed: 0.5 + 0.01 * LRS.index(chosen["optimizer.lr"]) + 0.02 * next(drawn)))
    shares = table(noisy, "variance-shares")
    assert dict(zip(column(shares, "of"), column(shares, "share"), strict=True))["optimizer × lr"] > 0.01
    assert not [name for name in figures(noisy) if name.startswith("interaction")]
    plain = made(grid(lambda chosen, seed: 0.5 + chosen["optimizer.lr"] / 10 + NOISE[seed]))
    assert not [name for name in figures(plain) if name.startswith("interaction")]
    assert "more than seeds make" in left_out(plain)["Interactions of pairs"]


def test_cells_of_a_map_are_means_with_the_trials_that_have_no_score() -> None:
    of = grid(lambda chosen, seed: math.nan if chosen["optimizer.lr"] == 1 and seed < 4 else chosen["optimizer.lr"] / 2)
    optimizer, lr = of.axes
    means, lost = cells_of(of, lr, optimizer)
    assert means == pytest.approx(np.array([LRS, LRS]) / 2)
    assert lost.tolist() == [[0, 0, 0, 4]] * 2


def test_where_the_grid_is_not_full_importance_is_told_or_why_not() -> None:
    lrs = tuple(10 ** (-place / 10) for place in range(40))
    of = study(
        {"optimizer.lr": lrs, "dropout.keep": (0.5, 1.0)},
        lambda chosen, seed: -math.log10(chosen["optimizer.lr"]) / 10,
        seeds=2,
        keep=lambda chosen: chosen["optimizer.lr"] != 1.0 or chosen["dropout.keep"] == 1.0,
    )
    found = made(of)
    assert "need a full grid" in left_out(found)["Exact shares of the variance"]
    importance = table(found, "importance")
    assert column(importance, "parameter")[0] == "optimizer.lr"
    assert column(importance, "share")[0] > 0.9
    few = made(grid(lambda chosen, seed: 0.5, keep=lambda chosen: chosen != {"optimizer": "sgd", "optimizer.lr": 1.0}))
    assert "7 trials are too few" in left_out(few)["Importance of parameters (PED-ANOVA)"]


def test_configurations_of_which_a_trial_diverged_are_the_worst_for_importance() -> None:
    lrs = tuple(10 ** (-place / 20) for place in range(60))

    def score(chosen: Mapping[str, Any], seed: int) -> float:
        if seed == 1 and chosen["optimizer.lr"] > 0.5:
            return math.nan  # the other seed would be the best of all
        return float(chosen["optimizer.lr"]) if chosen["optimizer.lr"] > 0.5 else 0.1

    found = importance_of(study({"optimizer.lr": lrs}, score, seeds=2))
    assert found.reason == "53 of 60 trials tie for the best 10%"


def test_seeds_stand_beside_configurations_with_what_they_alone_do() -> None:
    of = grid(lambda chosen, seed: LRS.index(chosen["optimizer.lr"]) / 10 + (0.01 if seed % 2 else -0.01))
    found = table(made(of), "seed-variance")
    sd = math.sqrt(6 / 5) * 0.01
    assert column(found, "sd between seeds") == pytest.approx([sd, sd])
    assert column(found, "within what seeds do") == pytest.approx([2 * sd / math.sqrt(6)] * 2)
    assert column(found, "configurations") == [8, 4]
    assert "That near to the best one: 1 of the other 7 configurations" in said(made(of))


def test_one_seed_says_nothing_of_seeds_and_one_parameter_nothing_of_pairs() -> None:
    found = made(study({"optimizer": ("adam", "sgd")}, lambda chosen, seed: 0.1 * len(chosen["optimizer"]), seeds=1))
    assert set(left_out(found)) == {
        "Score against a parameter", "Interactions of pairs", "Seeds beside configurations"
    }  # fmt: skip
    assert "seeds" not in column(table(found, "variance-shares"), "of")


def test_without_any_score_and_without_any_axis_little_is_said() -> None:
    none = made(grid(lambda chosen, seed: math.nan))
    assert left_out(none) == {"Sensitivity": "No trial has a score."}
    alone = made(study({"optimizer": ("adam",)}, lambda chosen, seed: NOISE[seed]))
    assert not [each for each in alone.blocks if isinstance(each, FigureBlock | Paragraph)]


def test_equal_scores_have_no_variance_to_share() -> None:
    assert left_out(made(grid(lambda chosen, seed: 0.5)))["Shares of the variance"] == "All scores are equal."


def test_long_lists_are_told_in_few_characters_and_powers_of_two_are_a_logarithmic_range() -> None:
    assert told((32, 32, 32, 32)) == "[32 × 4]"
    assert told((64, 32, 32)) == "[64, 32, 32]"
    assert told((8, 8, 8, 4)) == "[8 × 3, 4]"
    assert told(()) == "[]"
    assert Axis("b", "b", (8, 16, 32, 64)).logarithmic
    assert not Axis("b", "b", (0.5, 0.8, 1.0)).logarithmic
    assert not Axis("b", "b", (1, 2, 3, 4)).logarithmic

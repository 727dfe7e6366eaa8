"""Comparisons: arms stand beside each other with what the numbers allow to say of them, and no more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import (
    Block,
    Callout,
    Details,
    Document,
    FigureBlock,
    Interval,
    Omitted,
    Paragraph,
    Section,
    Table,
    Text,
)
from nnexp.reporting.sections.comparisons import comparisons
from nnexp.reporting.sections.contenders import contenders, default_of, outcomes_of
from nnexp.reporting.sections.targets import target_of
from nnexp.reporting.study import Study
from tests.reporting.sections.grids import study

LRS = (0.001, 0.01, 0.1, 1.0)
NOISE = (0.0, 0.004, -0.003, 0.002, -0.001, 0.003, -0.004, 0.001)


def score(chosen: Mapping[str, Any], seed: int) -> float:
    """Return a score: adam best at 0.01, sgd at 0.1 and 0.2 worse, momentum as good as adam but for noise."""
    arm, lr = chosen["optimizer"], chosen["optimizer.lr"]
    if arm == "sgd" and lr == 1.0 and seed == 0:
        return math.nan
    best, peak = {"adam": (0.9, 0.01), "momentum": (0.9, 0.1), "sgd": (0.7, 0.1)}[arm]
    jitter = NOISE[seed] if arm != "momentum" else -NOISE[(seed + 1) % len(NOISE)]
    return best - 0.1 * abs(math.log10(lr / peak)) + jitter


@cache
def grid(seeds: int = 8, direction: str = "maximize") -> Study:
    """Return three optimizers with four rates of learning each."""
    sign = 1 if direction == "maximize" else -1
    axes = {"optimizer": ("adam", "momentum", "sgd"), "optimizer.lr": LRS}
    return study(axes, lambda chosen, seed: sign * score(chosen, seed) + (sign < 0), seeds=seeds, direction=direction)


@cache
def section(seeds: int = 8, direction: str = "maximize") -> Section:
    """Return its comparisons."""
    return made(grid(seeds, direction))


class Unsaved(Canvas):
    """A canvas whose figures are drawn, but not written: what they are in three formats is tested with the drawing."""

    def figure(
        self, name: str, title: str, drawn: Figure, *, caption: Text, alt: str, wide: bool = False
    ) -> FigureBlock:
        return FigureBlock(name, title, caption, alt, None, wide)


def made(of: Study, *, ranked: bool = True, allow_unequal: bool = False) -> Section:
    """Return a study's comparisons, its figures drawn."""
    return comparisons(of, Unsaved(Path()), ranked=ranked, allow_unequal=allow_unequal)


def table(of: Section, name: str) -> Table:
    """Return a table of a section."""
    return next(each for each in Document("", "", (of,)).tables() if each.name == name)


def column(of: Table, title: str) -> list[Any]:
    """Return a column's values; its title is the first that begins so."""
    at = next(place for place, each in enumerate(of.columns) if each.title.startswith(title))
    return [row[at] for row in of.rows]


def text_of(content: Text) -> str:
    """Return inline content as text."""
    parts = content if isinstance(content, tuple) else (content,)
    return "".join(part if isinstance(part, str) else part.text for part in parts)


def blocks(within: Sequence[Block]) -> Iterator[Block]:
    """Yield blocks, and those that are folded into others."""
    for each in within:
        yield each
        yield from blocks(each.blocks) if isinstance(each, Details) else ()


def said(of: Section) -> str:
    """Return a section's prose."""
    wanted = [each for each in of.blocks if isinstance(each, Paragraph | Callout)]
    return "\n".join(text_of(each.content) for each in wanted)


def left_out(of: Section) -> dict[str, str]:
    """Return what a section leaves out, and why."""
    return {each.what: text_of(each.why) for each in blocks(of.blocks) if isinstance(each, Omitted)}


def test_each_arm_stands_with_its_best_configuration_and_with_its_defaults() -> None:
    found = table(section(), "arms-optimizer")
    assert column(found, "optimizer") == ["adam", "momentum", "sgd"]
    assert column(found, "best configuration") == [
        "optimizer=adam lr=0.01", "optimizer=momentum lr=0.1", "optimizer=sgd lr=0.1"
    ]  # fmt: skip
    adam, momentum, sgd = column(found, "test/acc at defaults")  # whose own rates of learning are 0.001, 0.1, 0.1
    assert [round(each.middle, 2) for each in (adam, momentum, sgd)] == [0.79, 0.89, 0.69]
    assert column(found, "tuned minus defaults") == pytest.approx([0.1, 0, 0])


def test_intervals_of_arms_are_of_the_seeds_test_scores() -> None:
    adam = column(table(section(), "arms-optimizer"), "test/acc (95")[0]
    scores = 0.89 + np.array(NOISE)
    half = 2.364624 * scores.std(ddof=1) / math.sqrt(8)  # t of 7 degrees of freedom
    assert [adam.middle, adam.low, adam.high] == pytest.approx(
        [scores.mean(), scores.mean() - half, scores.mean() + half], rel=1e-6
    )


def test_a_default_that_was_not_swept_is_told() -> None:
    found = made(
        study({"optimizer": ("adam", "nadam"), "optimizer.lr": (0.01, 0.1)}, lambda chosen, seed: 0.5 + 0.01 * seed)
    )
    told = left_out(found)["optimizer at defaults"]
    assert "adam and optimizer.lr=0.001" in told
    assert "nadam and optimizer.lr=0.002" in told
    assert column(table(found, "arms-optimizer"), "tuned minus defaults") == [None, None]


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("optimizer", {}, "adam"),
        ("optimizer.lr", {"optimizer": {"name": "sgd"}}, 0.1),
        ("dropout.keep", {"dropout": {"name": "inverted"}}, 1.0),
        ("training.batch_size", {}, 64),
        ("architecture.hidden", {"architecture": {"name": "mlp"}}, (64, 64)),
        ("architecture.activation", {"architecture": {"name": "mlp"}}, "relu"),
        ("optimizer.lr", {"optimizer": {"name": "of a package that is not here"}}, "?"),
        ("optimizer.nothing", {"optimizer": {"name": "sgd"}}, "?"),
        ("anything", {}, "?"),
    ],
)
def test_defaults_are_those_of_the_components(name: str, config: dict[str, Any], expected: object) -> None:
    assert default_of(config, name, "?") == expected


def test_arms_are_told_apart_by_exact_tests_adjusted_for_their_number() -> None:
    found = table(section(), "differences-optimizer")
    p, adjusted = column(found, "p, sign flips"), column(found, "p, adjusted")
    assert column(found, "optimizer") == ["momentum", "sgd"] or column(found, "optimizer") == ["adam", "sgd"]
    assert p[1] == 2 / 2**8
    assert adjusted[1] == 2 * p[1]
    assert p[0] > 0.5
    assert column(found, "distinguishable") == ["no", "yes"]
    assert "Distinguishable from the best arm: sgd. Not distinguishable from the best arm: " in said(section())


def test_p_values_are_adjusted_over_all_axes_together() -> None:
    axes = {"optimizer": ("adam", "sgd"), "normalization": ("none", "batch_norm")}
    found = made(study(axes, lambda chosen, seed: 0.5 + 0.1 * len(chosen["optimizer"]) + NOISE[seed], seeds=8))
    one, two = (table(found, f"differences-{name}") for name in axes)
    assert column(one, "p, sign flips") == [2 / 2**8]
    assert column(one, "p, adjusted") == [4 / 2**8]
    assert column(two, "p, adjusted") == [1.0]
    assert "for all 2 such comparisons" in said(found)


def test_with_fewer_than_six_seeds_it_is_said_that_nothing_can_be_found() -> None:
    few, enough = said(section(seeds=5)), said(section(seeds=8))
    sentence = "no two-sided rank test can reach 0.05: the smallest possible p is 0.0625"
    assert sentence in few
    assert "no evidence for or against" in few
    assert "Distinguishable from the best arm" not in few
    assert "no two-sided rank test" not in enough


def test_scores_to_be_minimised_are_compared_the_other_way_round() -> None:
    found = section(direction="minimize")
    assert [each.label for each in contenders(grid(8, "minimize"), grid(8, "minimize").axes[0])] == [
        "adam", "momentum", "sgd"
    ]  # fmt: skip
    assert column(table(found, "arms-optimizer"), "best configuration")[0] == "optimizer=adam lr=0.01"
    by: Interval = column(table(found, "differences-optimizer"), "best is better by")[1]
    assert by.middle == pytest.approx(0.2, abs=0.01)
    assert by.low > 0
    assert column(table(found, "to-target-optimizer"), "reached")[2] == "0 of 8"
    assert column(table(found, "budget-trials-optimizer"), "best of 4")[0] == pytest.approx(0.1, abs=0.01)


def test_a_run_that_diverged_is_worse_than_any_other() -> None:
    of = study(
        {"optimizer": ("adam", "sgd"), "optimizer.lr": (0.01, 0.1)},
        lambda chosen, seed: math.nan if chosen["optimizer"] == "sgd" and seed < 3 else 0.5 + NOISE[seed],
        seeds=6,
    )
    _, sgd = contenders(of, of.axes[0])
    assert np.isinf(outcomes_of(of, sgd.tuned, True)).sum() == 3
    probability: Interval = column(table(made(of), "improvement-optimizer"), "P(better)")[0]
    assert probability.middle == pytest.approx((18 + 9) / 36, abs=0.1)  # it beats 3 always, the others half of the time
    assert column(table(made(of), "to-target-optimizer"), "reached")[1] in ("1 of 6", "2 of 6")


def test_the_target_is_what_the_median_arm_reaches_and_misses_are_infinite() -> None:
    of, found = grid(), section()
    assert target_of(of, contenders(of, of.axes[0])) == pytest.approx(0.9, abs=0.002)
    reached = table(found, "to-target-optimizer")
    assert column(reached, "reached")[2] == "0 of 8"
    assert column(reached, "median epochs")[2] == math.inf
    assert column(reached, "profile score, epochs")[2] == 0
    assert column(reached, "median epochs")[0] >= 10
    assert f"val/acc ≥ {target_of(of, contenders(of, of.axes[0])):.4f}" in said(found)


def test_a_budget_is_expected_to_find_the_mean_with_one_trial_and_the_best_with_all() -> None:
    found = table(section(), "budget-trials-optimizer")
    scores = [[score({"optimizer": "adam", "optimizer.lr": lr}, seed) for lr in LRS] for seed in range(8)]
    assert column(found, "best of 1")[0] == pytest.approx(np.mean(scores))
    assert column(found, "best of 4")[0] == pytest.approx(np.max(scores, axis=1).mean())
    pairs = [max(row[i], row[j]) for row in scores for i in range(4) for j in range(i)]
    assert column(found, "best of 2")[0] == pytest.approx(np.mean(pairs))
    assert column(found, "all of them take") == [8.0, 8.0, 8.0]


def test_many_trials_are_told_at_powers_of_two_exactly() -> None:
    lrs = [10 ** (-place / 40) for place in range(120)]
    of = study(
        {"optimizer": ("adam", "sgd"), "optimizer.lr": lrs}, lambda chosen, seed: float(chosen["optimizer.lr"]), seeds=1
    )
    found = table(made(of), "budget-trials-optimizer")
    pairs = [max(one, other) for place, one in enumerate(lrs) for other in lrs[:place]]
    assert column(found, "best of 2")[0] == pytest.approx(np.mean(pairs))
    assert column(found, "best of 120")[0] == pytest.approx(1.0)


def test_a_diverged_trial_counts_as_the_worst_score_in_a_budget() -> None:
    found = table(section(), "budget-trials-optimizer")
    plain = [[score({"optimizer": "sgd", "optimizer.lr": lr}, seed) for lr in LRS] for seed in range(8)]
    worst = np.nanmin(plain)
    assert column(found, "best of 1")[2] == pytest.approx(np.mean(np.where(np.isnan(plain), worst, plain)))
    caption = next(each for each in section().blocks if isinstance(each, FigureBlock) and "budget-trials" in each.name)
    assert "1 of 96 trials diverged or failed and count as the worst" in text_of(caption.caption)


def test_arms_that_had_more_to_choose_from_are_not_compared_unless_told_so() -> None:
    axes = {"optimizer": ("adam", "sgd"), "optimizer.lr": LRS}
    of = study(
        axes,
        lambda chosen, seed: 0.5 + NOISE[seed],
        keep=lambda each: each["optimizer"] == "adam" or each["optimizer.lr"] < 1,
    )
    refused = made(of)
    assert "adam had 24 trials, sgd 18: 1.3 times as many" in said(refused)
    assert not Document("", "", (refused,)).figures()
    assert table(made(of, allow_unequal=True), "arms-optimizer").rows


def test_nothing_is_compared_where_nothing_may_be_ranked() -> None:
    found = made(grid(), ranked=False)
    assert [type(each) for each in found.blocks] == [Callout]


def test_scores_on_different_data_are_not_compared() -> None:
    found = made(study({"dataset.noise": (0.1, 0.2)}, lambda chosen, seed: 0.5, data=lambda chosen: str(chosen)))
    assert [type(each) for each in found.blocks] == [Callout]
    assert "up to 2 different data" in said(found)


def test_ranges_of_numbers_and_too_many_values_are_left_to_other_sections() -> None:
    assert "4 values are a range of numbers" in left_out(section())["Arms of lr"]
    many = study({"optimizer": [f"o{place}" for place in range(15)]}, lambda chosen, seed: 0.5, seeds=2)
    assert "more than 14" in left_out(made(many))["Arms of optimizer"]


def test_few_numbers_are_compared_but_are_no_race() -> None:
    found = made(
        study({"dropout.keep": (0.5, 0.8, 1.0)}, lambda chosen, seed: chosen["dropout.keep"] / 2 + NOISE[seed])
    )
    assert column(table(found, "arms-keep"), "keep") == ["keep=0.5", "keep=0.8", "keep=1"]
    assert {each.name for each in Document("", "", (found,)).tables()} == {"arms-keep", "differences-keep"}


def test_without_a_test_part_the_validation_scores_are_compared_and_it_is_said() -> None:
    found = made(study({"optimizer": ("adam", "sgd")}, lambda chosen, seed: 0.5 + NOISE[seed], tested=False))
    assert "validation scores, paired" in said(found)
    assert "There is no test part" in text_of(table(found, "arms-optimizer").note)


def test_with_one_seed_nothing_is_tested_and_with_one_configuration_nothing_is_chosen() -> None:
    found = made(
        study({"optimizer": ("adam", "sgd")}, lambda chosen, seed: 0.5 + 0.1 * len(chosen["optimizer"]), seeds=1)
    )
    assert left_out(found)["Differences between the arms of optimizer"]
    assert "one configuration" in left_out(found)["Expected best score of a budget by optimizer"]
    assert left_out(found)["Performance profile of optimizer"]


def test_arms_without_any_score_are_said_to_be_absent() -> None:
    of = study(
        {"optimizer": ("adam", "sgd", "momentum")},
        lambda chosen, seed: math.nan if chosen["optimizer"] == "momentum" else 0.5 + NOISE[seed],
    )
    assert "1 of its values have no trial with a score" in said(made(of))
    none = made(study({"optimizer": ("adam", "sgd")}, lambda chosen, seed: math.nan))
    assert left_out(none)["Arms of optimizer"] == "Fewer than two of its values have a trial with a score."


def test_every_figure_says_how_many_runs_it_shows_and_what_is_in_it() -> None:
    figures = [each for each in Document("", "", (section(),)).figures() if isinstance(each, FigureBlock)]
    assert len(figures) == 7
    for each in figures:
        assert each.alt.endswith(".")
        assert "8 " in text_of(each.caption) or "n = 8" in text_of(each.caption)


def test_the_same_study_gives_the_same_section() -> None:
    assert made(grid()) == section()

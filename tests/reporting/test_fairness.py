"""What a ranking must not rest on is found in the numbers themselves, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from nnexp.reporting.document import Code, Text
from nnexp.reporting.fairness import findings, is_refused, unequal
from nnexp.reporting.snapshot import Snapshot
from nnexp.reporting.study import make_study
from tests.reporting.sections.grids import snapshot, study

AXES: dict[str, list[Any]] = {"optimizer": ["sgd", "adam"], "optimizer.lr": [0.001, 0.01, 0.1]}


def score(chosen: Any, seed: int) -> float:
    """Return a score that is best in the middle of the range."""
    return 0.9 - abs(float(chosen["optimizer.lr"]) - 0.01) + 0.001 * seed


def grid(**more: Any) -> Snapshot:
    made: dict[str, Any] = {
        "seeds": 6, "direction": "maximize", "keep": lambda chosen: True, "data": lambda chosen: "d", "tested": True,
    }  # fmt: skip
    return snapshot(AXES, score, **(made | more))


def said(found: Snapshot) -> list[tuple[str, str]]:
    return [(each.kind, plain(each.text)) for each in findings(make_study(found))]


def plain(text: Text) -> str:
    parts = text if isinstance(text, tuple) else (text,)
    return "".join(part if isinstance(part, str) else part.text for part in parts)


def test_nothing_is_found_in_a_fair_grid() -> None:
    assert said(grid()) == []


def with_config(change: Callable[[dict[str, Any]], None], rows: slice) -> Callable[[Snapshot], None]:
    """Return what changes the config of some trials."""

    def changed(found: Snapshot) -> None:
        for row in found.trials.index[rows]:
            config = json.loads(found.trials.loc[row, "config"])
            change(config)
            found.trials.loc[row, "config"] = json.dumps(config)

    return changed


def without_seeds(found: Snapshot) -> None:
    found.tables["trials"] = found.trials.drop(index=[0, 1])  # type: ignore[index]


def setting(column: str, rows: slice, value: Any) -> Callable[[Snapshot], None]:
    """Return what sets a column of some trials."""

    def changed(found: Snapshot) -> None:
        found.trials.loc[found.trials.index[rows], column] = value

    return changed


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (setting("state", slice(0, 2), "failed"), "refusal", "Of 36 trials 2 failed"),
        (setting("state", slice(0, 1), "planned"), "refusal", "Of 36 trials 1 missing"),
        (setting("state", slice(0, 3), "stopped"), "refusal", "Of 36 trials 3 stopped"),
        (without_seeds, "refusal", "Configurations have from 4 to 6 repeats"),
        (setting("data", slice(0, 6), "e"), "refusal", "The same dataset has different contents"),
        (
            with_config(lambda config: config["training"].update(epochs=99), slice(0, 6)),
            "refusal",
            "planned for 10 to 99",
        ),
        (setting("code", slice(0, 4), "d"), "note", "trained by 2 versions of nnexp's code (c, d)"),
        (setting("epoch", slice(0, 5), 7), "note", "5 of 36 trials stopped early"),
        (setting("seed", slice(0, 6), [11, 12, 13, 14, 15, 16]), "warning", "different seeds"),
    ],
)
def test_what_is_not_fair_is_found(change: Callable[[Snapshot], None], kind: str, text: str) -> None:
    found = grid()
    change(found)
    matching = [each for each in said(found) if text in each[1]]
    assert [each[0] for each in matching] == [kind]
    assert is_refused(findings(make_study(found))) == (kind == "refusal")


def test_divisions_by_seed_are_no_different_contents() -> None:
    found = grid()
    setting("data", slice(0, 6), "e")(found)
    with_config(lambda config: config["dataset"].update(split_seed="trial"), slice(0, 36))(found)
    assert said(found) == []


def test_diverged_trials_are_an_outcome_and_no_hole() -> None:
    found = study(AXES, lambda chosen, seed: float("nan") if chosen["optimizer.lr"] == 0.1 else score(chosen, seed))
    assert not is_refused(findings(found))


@pytest.mark.parametrize(("best", "end"), [(0.001, "lower"), (0.1, "upper")])
def test_a_best_at_the_edge_of_a_range_is_warned_of(best: float, end: str) -> None:
    found = findings(study(AXES, lambda chosen, seed: -abs(chosen["optimizer.lr"] - best)))
    ((kind, text),) = [(each.kind, plain(each.text)) for each in found]
    assert kind == "warning"
    assert f"at the {end} edge of optimizer.lr: {best:g}" in text


def test_what_is_off_at_its_end_has_no_edge_there() -> None:
    axes = {"l2.strength": [0.0, 0.1, 1.0], "dropout.keep": [0.5, 0.8, 1.0]}
    assert findings(study(axes, lambda chosen, seed: chosen["dropout.keep"] - chosen["l2.strength"])) == []


def test_one_seed_is_warned_of() -> None:
    assert [kind for kind, text in said(grid(seeds=1)) if "One seed only" in text] == ["warning"]


def test_an_objective_of_the_training_part_is_warned_of_and_one_of_the_test_part_refused() -> None:
    for metric, kind in (("train/acc", "warning"), ("test/acc", "refusal")):
        found = grid()
        found.sweeps[0]["objective"]["metric"] = metric
        assert [each.kind for each in findings(make_study(found)) if Code(metric) in each.text] == [kind]


def test_arms_with_other_budgets_are_told_apart() -> None:
    whole = study(AXES, score)
    assert unequal(whole.arms(whole.axis("optimizer"))) is None
    cut = study(AXES, score, keep=lambda chosen: chosen["optimizer"] == "adam" or chosen["optimizer.lr"] == 0.01)
    reason = unequal(cut.arms(cut.axis("optimizer")))
    assert reason is not None
    assert plain(reason) == "adam had 18 trials, sgd 6: 3 times as many"

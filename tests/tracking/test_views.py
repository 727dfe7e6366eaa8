"""The view of a sweep is what the UI can read, within its limits."""

from __future__ import annotations

import json
from typing import Any

from nnexp.tracking.views import VIEW, VIEW_TAG, VIEWS, Place, params_of, view, views_to_drop
from nnexp.training.settings import Objective

PLACE = Place("7", "mine-0123abcd")
AXES = {"optimizer": ["sgd", "adam"], "l2.strength": ["0", "0.1"], "loss": ["mse"], "seed": ["0", "1"]}


def state(objective: Objective | None = None) -> dict[str, Any]:
    _, value = view(PLACE, "mine", objective or Objective(), AXES, 1.5)
    found: dict[str, Any] = json.loads(json.loads(value)["state"])
    return found


def test_the_view_has_the_name_of_the_sweep_and_the_key_that_links_use() -> None:
    key, value = view(PLACE, "mine", Objective(), AXES, 1.5)
    assert f"viewStateShareKey={key.removeprefix(VIEW_TAG)}" in PLACE.link
    kept = json.loads(value)
    assert (kept["name"], kept["createdAt"], kept["updatedAt"]) == ("mine", 1500, 1500)


def test_the_view_shows_what_came_out_then_what_differs_best_configuration_first() -> None:
    found = state()
    assert found["searchFilter"] == PLACE.trials
    assert (found["orderByKey"], found["orderByAsc"]) == ("metrics.`agg/val_acc_best_mean`", False)
    assert found["selectedColumns"][0] == "metrics.`agg/val_acc_best_mean`"
    assert "metrics.`test/acc`" in found["selectedColumns"]
    assert found["selectedColumns"][-3:] == ["params.`optimizer.name`", "params.`l2.strength`", "params.`seed`"]
    assert found["columnOrder"][1:] == found["selectedColumns"]
    assert {*found["columnWidths"]} == {*found["columnOrder"]}


def test_what_is_minimized_is_sorted_ascending() -> None:
    found = state(Objective(metric="val/rmse", direction="minimize"))
    assert (found["orderByKey"], found["orderByAsc"]) == ("metrics.`agg/val_rmse_best_mean`", True)


def test_every_chart_is_in_a_section_and_the_objective_is_the_first() -> None:
    found = state()
    sections = [each["uuid"] for each in found["compareRunSections"]]
    assert {each["metricSectionId"] for each in found["compareRunCharts"]} == set(sections[:2])
    assert found["compareRunCharts"][0]["metricKey"] == "val/acc"
    (parallel,) = [each for each in found["compareRunCharts"] if each["type"] == "PARALLEL"]
    assert parallel["selectedParams"] == ["optimizer.name", "l2.strength"]  # repeats are no choice
    assert len({each["uuid"] for each in found["compareRunCharts"]}) == len(found["compareRunCharts"])


def test_an_axis_of_one_value_is_no_column_and_a_group_is_named_by_its_choice() -> None:
    assert params_of(AXES) == ("optimizer.name", "l2.strength", "seed")


def test_a_view_of_endless_names_fits_its_tag() -> None:
    axes = {f"group.{number}{'x' * 900}": ["1", "2"] for number in range(60)}
    _, value = view(PLACE, "n" * 900, Objective(), axes, 1.5)
    assert len(value) <= VIEW
    assert any(
        each.startswith("params.`group.0x") for each in json.loads(json.loads(value)["state"])["selectedColumns"]
    )


def test_only_the_oldest_views_of_sweeps_are_dropped() -> None:
    mine = dict(view(Place("7", f"s-{number}"), "s", Objective(), AXES, number) for number in range(1, VIEWS + 3))
    others = {f"{VIEW_TAG}somebody's": "{}", "mlflow.note.content": "x"}
    spoilt = {f"{VIEW_TAG}nnexp-spoilt": "?"}
    assert views_to_drop({**others, **mine}) == [f"{VIEW_TAG}nnexp-s-1", f"{VIEW_TAG}nnexp-s-2"]
    assert views_to_drop({**mine, **spoilt})[0] == f"{VIEW_TAG}nnexp-spoilt"
    assert views_to_drop(dict([*mine.items()][:VIEWS])) == []

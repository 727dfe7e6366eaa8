"""What a delivered sweep looks like: its runs' names, colours and descriptions, and its view."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nnexp.tracking.appearance import LABEL, SWEEP_COLOUR, colour
from nnexp.tracking.views import VIEW_TAG, VIEWS
from tests.tracking.pretended import Pretended, pretend
from tests.tracking.test_delivery import deliver

FIRST, SECOND = slice(0, 2), slice(2, 4)  # repeats of the configurations


@pytest.fixture
def sweep(root: Path) -> Pretended:
    """Return a planned sweep of two configurations with two repeats each."""
    return pretend(root, f"sqlite:///{root / 'mlflow.db'}")


def client(sweep: Pretended) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=sweep.store.uri)


def experiment(sweep: Pretended) -> Any:
    return client(sweep).get_experiment_by_name(sweep.store.experiment)


def tags(sweep: Pretended) -> dict[str, dict[str, str]]:
    """Return the tags of all runs by the trial's key, of the sweep's own run by its hash."""
    runs = client(sweep).search_runs([experiment(sweep).experiment_id])
    return {run.data.tags["nnexp.key"]: run.data.tags for run in runs}


def test_repeats_share_a_colour_and_a_label_and_the_sweeps_own_run_is_grey(sweep: Pretended) -> None:
    sweep.whole()
    deliver(sweep)
    found, trials = tags(sweep), {trial.key: trial for trial in sweep.plan.trials}
    for number, repeats in enumerate((FIRST, SECOND)):
        for key in sweep.keys[repeats]:
            assert found[key]["mlflow.runColor"] == colour(number)
            assert found[key][LABEL] == trials[key].configuration_label
            assert found[key]["mlflow.runName"] == trials[key].label
    assert found[sweep.plan.hash]["mlflow.runColor"] == SWEEP_COLOUR


def test_a_trial_shows_the_aggregate_of_its_configuration_once_all_repeats_have_ended(sweep: Pretended) -> None:
    one, other = sweep.keys[FIRST]
    sweep.begin()
    sweep.train(sweep.keys, 1, 3)
    sweep.end([one], 3)
    deliver(sweep)
    assert "over 2 repeats" not in tags(sweep)[one]["mlflow.note.content"]
    assert "is being trained" in tags(sweep)[other]["mlflow.note.content"]
    sweep.end([other], 3)
    deliver(sweep)
    for key in (one, other):
        assert "finished after 3 epochs" in tags(sweep)[key]["mlflow.note.content"]
        assert "over 2 repeats" in tags(sweep)[key]["mlflow.note.content"]


def test_the_sweep_counts_what_became_of_its_trials(sweep: Pretended) -> None:
    sweep.begin()
    sweep.train(sweep.keys, 1, 3)
    sweep.end(sweep.keys[:1], 3)
    sweep.end(sweep.keys[1:2], 3, "diverged", objective=None, summary={})
    sweep.end(sweep.keys[2:3], 3, "failed", objective=None, summary={}, reason="it <broke>")
    sweep.ledger.stop(sweep.plan.id, sweep.keys[3:], "Ctrl-C")
    deliver(sweep)
    found = tags(sweep)
    counted = "4 trials planned: 1 finished, 1 diverged, 1 failed, 1 stopped, 0 missing."
    assert counted in found[sweep.plan.hash]["mlflow.note.content"]
    assert "failed in epoch 3: it &lt;broke&gt;" in found[sweep.keys[2]]["mlflow.note.content"]
    assert "stopped in epoch 3: Ctrl-C" in found[sweep.keys[3]]["mlflow.note.content"]


def test_the_sweeps_view_is_listed_once_and_what_a_user_made_of_it_stays(sweep: Pretended) -> None:
    sweep.begin()
    deliver(sweep)
    key = f"{VIEW_TAG}nnexp-{sweep.plan.id}"
    state = json.loads(json.loads(experiment(sweep).tags[key])["state"])
    assert sweep.plan.id in state["searchFilter"]
    id = experiment(sweep).experiment_id
    client(sweep).set_experiment_tag(id, key, "mine")
    (own,) = client(sweep).search_runs([id], "tags.`nnexp.kind` = 'sweep'")
    client(sweep).delete_run(own.info.run_id)
    sweep.whole()
    deliver(sweep)
    assert sweep.plan.hash in tags(sweep)  # the sweep's own run was delivered anew
    assert experiment(sweep).tags[key] == "mine"


def test_the_oldest_views_give_way_and_those_of_users_stay(sweep: Pretended) -> None:
    older = {f"{VIEW_TAG}nnexp-{number:02}": json.dumps({"createdAt": number}) for number in range(VIEWS)}
    older[f"{VIEW_TAG}mine"] = "{}"
    id = client(sweep).create_experiment(sweep.store.experiment, artifact_location=sweep.root.as_uri())
    for key, value in older.items():
        client(sweep).set_experiment_tag(id, key, value)
    sweep.begin()
    deliver(sweep)
    found = {key for key in experiment(sweep).tags if key.startswith(VIEW_TAG)}
    assert found == {*older, f"{VIEW_TAG}nnexp-{sweep.plan.id}"} - {f"{VIEW_TAG}nnexp-00"}

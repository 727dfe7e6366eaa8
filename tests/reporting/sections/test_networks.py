"""The networks: whatever a loss makes of outputs, what there is of them is shown, and what there is not is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnexp.data.sources import Linnerud
from nnexp.network.losses import Hinge, MeanSquaredError
from nnexp.network.optimizers import SGD
from nnexp.reporting.canvas import Canvas
from nnexp.reporting.collecting import assemble
from nnexp.reporting.document import Animation, Details, FigureBlock, Omitted, Section, Table
from nnexp.reporting.sections.networks import networks
from nnexp.reporting.study import Study, make_study
from nnexp.sweeps.kept import PlannedSweep
from nnexp.testing.trials import multi_label, regression, small
from nnexp.training import TrialConfig
from tests.reporting.test_portraits import repeats, shown, swept


def study_of(folder: Path, config: TrialConfig) -> Study:
    """Return the study of two repeats of each of two optimizers."""
    slow = replace(config, optimizer=SGD(lr=0.01))
    sweep = swept(folder, [*repeats(config, optimizer="adam"), *repeats(slow, optimizer="sgd")])
    head = {"sweep": "name", "axes": {"optimizer": ["adam", "sgd"], "seed": ["0", "1"]}}
    planned = PlannedSweep(sweep.plan.id, "name", sweep.plan.hash, "code", 1.0, len(sweep.plan.trials), head, {})
    history = sweep.histories.__getitem__
    return make_study(assemble(planned, sweep.abouts, sweep.standing, history, environment={}, shown=shown(sweep)))


def told(section: Section) -> tuple[set[str], set[str]]:
    """Return the names of a section's figures, and what it leaves out."""
    figures = {each.name for each in section.blocks if isinstance(each, FigureBlock | Animation)}
    return figures, {each.what for each in section.blocks if isinstance(each, Omitted)}


@pytest.mark.parametrize(
    ("config", "figures", "omitted"),
    [
        (small(), {"confusion", "class-scores", "calibration", "regions", "convergence"}, set()),
        (small(loss=Hinge()), {"confusion", "class-scores", "regions", "convergence"}, {"Calibration"}),
        (small(loss=MeanSquaredError()), {"confusion", "class-scores", "regions"}, {"Calibration"}),
        (regression(), set(), {"Decision regions"}),
        (regression(dataset=Linnerud()), set(), {"What the selected network answers", "Decision regions"}),
        (multi_label(), set(), {"What the selected network answers", "Decision regions"}),
    ],
    ids=["classes", "hinge", "mse of classes", "a value", "several values", "several labels"],
)
def test_what_there_is_of_answers_is_shown(
    tmp_path: Path, config: TrialConfig, figures: set[str], omitted: set[str]
) -> None:
    drawn, left_out = told(networks(study_of(tmp_path, config), Canvas(tmp_path)))
    assert figures <= drawn
    assert omitted <= left_out
    assert "What the selected network answers" in left_out or len(drawn) > 1
    assert ("Calibration" in left_out) != ("calibration" in drawn) or not {"confusion"} & drawn


def test_the_scores_of_classes_are_those_of_the_predictions(tmp_path: Path) -> None:
    study = study_of(tmp_path, small())
    section = networks(study, Canvas(tmp_path))
    (details,) = (each for each in section.blocks if isinstance(each, Details) and "scores" in each.title)
    (table,) = (each for each in details.blocks if isinstance(each, Table))
    rows = study.snapshot.tables["predictions"]
    rows = rows[rows["part"] == "test"]
    for name, count, _, recall, _ in table.rows:
        of_class = rows[rows["target"] == int(str(name))]
        assert count == len(of_class)
        assert recall == pytest.approx(np.mean(of_class["predicted"] == of_class["target"]))

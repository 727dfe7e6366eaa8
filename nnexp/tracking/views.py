"""A sweep's view in MLflow's UI: its trials, best configuration first, and their curves; and links. Pure functions.

The UI lists a view in its menu `Views`, and opens it by a link, for each tag `mlflow.sharedViewState.*` of an
experiment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from nnexp.training.settings import Objective

VIEW_TAG = "mlflow.sharedViewState."
VIEW = 20_000  # characters that an experiment's tag has room for
NAME = 250  # characters of a view's name
VIEWS = 30  # that nnexp keeps: with 40 the UI lets nobody save one more
SEED = "seed"

# What the UI keeps of a chart of lines; what it misses it does not replace by its own defaults.
LINE = {
    "xAxisKey": "step",
    "yAxisKey": "metric",
    "selectedXAxisMetricKey": "",
    "yAxisExpressions": [],
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "range": {},
    "lineSmoothness": 0,
    "ignoreOutliers": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


@dataclass(frozen=True)
class Place:
    """Where a sweep's runs are. experiment: its id in MLflow. sweep: the sweep's id."""

    experiment: str
    sweep: str

    @property
    def trials(self) -> str:
        """What MLflow is searched for to find the sweep's trials."""
        return f"tags.`nnexp.sweep` = '{self.sweep}' AND tags.`nnexp.kind` = 'trial'"

    @property
    def link(self) -> str:
        """The sweep's view in the UI, relative to where the UI is: the UI's own first page is of another kind."""
        return self._runs(viewStateShareKey=view_id(self.sweep))

    @property
    def curves(self) -> str:
        """The same with charts instead of the table."""
        return self._runs(viewStateShareKey=view_id(self.sweep), compareRunsMode="CHART")

    def repeats(self, configuration: str) -> str:
        """Return the link to the trials of a configuration."""
        return self._runs(searchFilter=f"{self.trials} AND {with_configuration(configuration)}")

    def _runs(self, **options: str) -> str:
        return runs_link(self.experiment, **options)


def runs_link(experiment: str, **options: str) -> str:
    """Return the link to an experiment's runs, relative to where the UI is."""
    return f"#/experiments/{experiment}/runs?{urlencode({'workflowType': 'machine_learning', **options})}"


def with_configuration(configuration: str) -> str:
    """Return what MLflow is searched for to find a configuration's repeats."""
    return f"tags.`nnexp.configuration` = '{configuration}'"


def view(
    place: Place, name: str, objective: Objective, axes: Mapping[str, Sequence[str]], planned_at: float
) -> tuple[str, str]:
    """Return the experiment's tag that keeps a sweep's view: its trials, best configuration first, and their curves.

    To be set where there is none: a user may have changed it since.
    Args: axes: of the plan. planned_at: seconds since 1970.
    """
    params = params_of(axes)
    moment = round(1000 * planned_at)
    while True:  # fewer columns if the names of the params are long
        state = json.dumps(_view_state(place, objective, params))
        value = json.dumps({"name": name[:NAME], "createdAt": moment, "updatedAt": moment, "state": state})
        if len(value) <= VIEW or not params:
            return VIEW_TAG + view_id(place.sweep), value
        params = params[:-1]


def params_of(axes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the params in which the trials of some axes differ: of a group, its choice's name."""
    varied = [axis for axis, values in axes.items() if len(values) > 1]
    return tuple(axis if "." in axis or axis == SEED else f"{axis}.name" for axis in varied)


def views_to_drop(tags: Mapping[str, str]) -> list[str]:
    """Return the tags of an experiment that keep views of other sweeps than the latest."""
    mine = [key for key in tags if key.startswith(VIEW_TAG + view_id(""))]
    return sorted(mine, key=lambda key: (_created(tags[key]), key))[:-VIEWS]


def _created(value: str) -> float:
    try:
        return float(json.loads(value)["createdAt"])
    except (ValueError, LookupError, TypeError):  # not as nnexp wrote it: the first to go
        return 0.0


def view_id(sweep: str) -> str:
    """Return what a link names the view of a sweep by."""
    return f"nnexp-{sweep}"


def _view_state(place: Place, objective: Objective, params: Sequence[str]) -> dict[str, Any]:
    best = f"{objective.metric}_best"
    mean, deviation = (f"agg/{best.replace('/', '_')}_{kind}" for kind in ("mean", "std"))
    tested = f"test/{objective.metric.partition('/')[2]}"
    metrics = [mean, deviation, "agg/n", best, tested, "epoch_best"]
    selected = [*(f"metrics.`{name}`" for name in metrics), *(f"params.`{name}`" for name in params)]
    widths = {"attributes.`Run Name`": 260, **dict.fromkeys(selected, 120)}
    curves = dict.fromkeys([objective.metric, "train/cost", "val/loss"])
    choices = [name for name in params if name != SEED]
    return {
        "searchFilter": place.trials,
        "orderByKey": f"metrics.`{mean}`",
        "orderByAsc": objective.direction == "minimize",
        "selectedColumns": selected,
        "columnOrder": list(widths),
        "columnWidths": widths,
        "runsHiddenMode": "FIRST_20_RUNS",
        "isAccordionReordered": True,  # or the UI would sort the sections by name
        "compareRunSections": [
            *(_section(name, display=True) for name in ("curves", "configurations")),
            *(_section(name, display=False) for name in ("val", "train", "test", "agg", "cost")),
        ],
        "compareRunCharts": [
            *(_chart("LINE", "curves", name, metricKey=name, **LINE) for name in curves),
            _chart("BAR", "configurations", mean, metricKey=mean),
            _chart("PARALLEL", "configurations", "choices", selectedParams=choices, selectedMetrics=[mean],
                   showAllRuns=True),
        ],
    }  # fmt: skip


def _section(name: str, *, display: bool) -> dict[str, Any]:
    return {"uuid": name, "name": name, "display": display, "isReordered": False}


def _chart(kind: str, section: str, name: str, **more: Any) -> dict[str, Any]:
    here = {"uuid": f"{section} {name}", "type": kind, "metricSectionId": section, "displayName": name}
    return {**here, "runsCountToCompare": 20, "deleted": False, "isGenerated": False, **more}

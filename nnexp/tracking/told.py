"""What MLflow is told of a sweep's runs, taken from the ledger alone: the same rows always make the same runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnexp.sweeps.kept import OWN_RUN, PlannedSweep, PlannedTrial, Standing
from nnexp.sweeps.leaderboard import Row, aggregate, leaderboard
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.results import History
from nnexp.tracking import appearance, contents
from nnexp.tracking.entries import milliseconds, params, points, points_of
from nnexp.tracking.views import Place
from nnexp.tracking.writer import Point


@dataclass(frozen=True)
class Told:
    """What a run is told.

    started, ended: milliseconds since 1970. lasting: tags that never change. tags: those that say how it stands. whole:
    the text of params.json, if there is one. data: name, digest and source of what it reads.
    """

    name: str
    status: str
    started: int
    ended: int
    lasting: Mapping[str, str]
    tags: Mapping[str, str]
    points: Sequence[Point]
    params: Mapping[str, str] = field(default_factory=dict)
    whole: str | None = None
    data: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Aggregated:
    """A configuration all of whose trials have ended. seconds: when the last one did. step: how often its trials were
    begun, of its aggregate's points: after another training there is another aggregate."""

    row: Row
    seconds: float
    step: int

    @property
    def points(self) -> list[Point]:
        """The aggregate, as each of its trials carries it."""
        return points_of(contents.aggregates(self.row), self.seconds, self.step)


class Account:
    """What the ledger says of a sweep. place: where its runs are in MLflow."""

    def __init__(self, ledger: Ledger, sweep: PlannedSweep, place: Place) -> None:
        self.ledger, self.sweep, self.place = ledger, sweep, place
        self.planned = {trial.key: trial for trial in ledger.planned(sweep.id)}
        self._repeats: dict[str, list[PlannedTrial]] = {}
        for trial in self.planned.values():
            self._repeats.setdefault(trial.configuration, []).append(trial)
        self._colours = appearance.colours(self._repeats)
        self._aggregated: dict[str, Aggregated | None] = {}

    def read_again(self) -> None:
        """Forget aggregates: trials may have ended since."""
        self._aggregated = {}

    def label(self, key: str) -> str:
        """Return what a trial or, under the key '', the sweep is called."""
        return "its own run" if key == OWN_RUN else f"trial {self.planned[key].label}"

    def new_points(self, standing: Standing, history: History) -> list[Point]:
        """Return the points of some records and, where there is one, of the configuration's aggregate."""
        found = self.aggregated(standing)
        return [*points(history), *(() if found is None else found.points)]

    def of_trial(self, standing: Standing, history: History, *, wholly: bool = True) -> Told:
        """Return what a trial's run is told of some records and of how it stands. wholly: also what it is."""
        trial, result = self.planned[standing.key], standing.result if standing.ended else None
        about = self.ledger.about(self.sweep.id, standing.key) if wholly else {}
        config = params(about.get("config", {}))
        final = [] if result is None else points_of(contents.final_values(result), result.ended_at, result.epoch)
        began = history.times[0] if history.times else self.sweep.planned_at
        return Told(
            name=self._name(trial, about),
            status=contents.STATUSES[standing.state],
            started=milliseconds(began if result is None else result.started_at),
            ended=self._ended(standing, history),
            lasting=self._lasting_tags(trial, about, standing.generation) if wholly else {},
            tags={**contents.state_tags(standing), **self.description(standing)},
            points=[*self.new_points(standing, history), *final],
            params=config.texts,
            whole=config.artifact() if config.whole else None,
            data=contents.dataset(about) if wholly else None,
        )

    def of_sweep(self, standings: Mapping[str, Standing], *, over: bool) -> Told:
        """Return what the sweep's own run is told."""
        results = {key: each.result for key, each in standings.items() if each.result is not None and each.ended}
        rows = leaderboard(list(self.planned.values()), results)
        ended = max((result.ended_at for result in results.values()), default=self.sweep.planned_at)
        codes, states = contents.codes(standings), [each.state for each in standings.values()]
        note = appearance.sweep_note(self.place, rows, states, contents.codes_note(codes))
        begun = sum(each.attempts for each in standings.values())
        return Told(
            name=appearance.run_name(self.sweep.name),
            status=contents.STATUSES[contents.sweep_state(standings, over=over)],
            started=milliseconds(self.sweep.planned_at),
            ended=milliseconds(ended),
            lasting={**contents.sweep_tags(self.sweep), **appearance.sweep_tags()},
            tags={appearance.NOTE_TAG: note, "nnexp.code": ", ".join(codes) or self.sweep.code},
            points=points_of(contents.sweep_values(rows, standings), ended, begun),
        )

    def aggregated(self, standing: Standing) -> Aggregated | None:
        """Return the aggregate of an ended trial's configuration once all of its trials have ended."""
        configuration = self.planned[standing.key].configuration
        if not standing.ended:
            return None
        if configuration not in self._aggregated:
            self._aggregated[configuration] = self._aggregate(self._repeats[configuration])
        return self._aggregated[configuration]

    def description(self, standing: Standing) -> dict[str, str]:
        """Return a trial's description, as a tag."""
        found = self.aggregated(standing)
        row, trial = None if found is None else found.row, self.planned[standing.key]
        return {appearance.NOTE_TAG: appearance.trial_note(self.place, trial, standing, row)}

    def _aggregate(self, repeats: Sequence[PlannedTrial]) -> Aggregated | None:
        standings = [self.ledger.standing_of(self.sweep.id, trial.key) for trial in repeats]
        results = {each.key: each.result for each in standings if each.result is not None and each.ended}
        if len(results) < len(repeats):
            return None
        seconds = max(result.ended_at for result in results.values())
        return Aggregated(aggregate(repeats, results), seconds, sum(each.attempts for each in standings))

    def _lasting_tags(self, trial: PlannedTrial, about: Mapping[str, Any], generation: int) -> dict[str, str]:
        looks = appearance.trial_tags(trial, self._colours[trial.configuration])
        return {**contents.trial_tags(self.sweep, about, generation), **looks}

    def _name(self, trial: PlannedTrial, about: Mapping[str, Any]) -> str:
        if about and self.sweep.settings.get("single"):
            return appearance.single_name(self.sweep.name, about["config"])
        return appearance.trial_name(trial.label)

    def _ended(self, standing: Standing, history: History) -> int:
        """Return when a trial ended or, of one that was stopped, when its last record was made."""
        if standing.result is not None and standing.ended:
            return milliseconds(standing.result.ended_at)
        times = history.times or self.ledger.history(self.sweep.id, standing.key).times
        return milliseconds(times[-1] if times else self.sweep.planned_at)

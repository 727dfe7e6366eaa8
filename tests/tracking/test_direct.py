"""What is written directly is, row by row, what MLflow's own client writes; it is done only where that is known."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnexp.errors import TrackingError
from nnexp.tracking.direct import LONGEST_PARAM, REVISION, Direct, NoRunError, Point, _check_name, open_direct
from nnexp.tracking.store import Store, open_store

NOW = ("creation_time", "last_update_time")  # columns with the time at which an experiment is made
EARLY = 1_700_000_000_000


@dataclass
class Pair:
    """A store that is written directly and one that MLflow's client writes, and the last run of each."""

    direct: Direct
    client: Any
    paths: tuple[Path, Path]
    experiment: str = ""
    runs: tuple[str, str] = ("", "")

    def create(self, name: str, tags: Mapping[str, str], started: int) -> None:
        """Make a run in both."""
        theirs = self.client.create_run(self.experiment, start_time=started, tags=dict(tags), run_name=name)
        ours = self.direct.create(name, tags, started)
        self.runs = ours.id, theirs.info.run_id

    def log(
        self,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log to both."""
        from mlflow.entities import Metric, Param, RunTag

        self.direct.log(self.runs[0], points, params, tags)
        metrics = [Metric(*each) for each in points]
        texts, labels = [Param(*each) for each in (params or {}).items()], [RunTag(*e) for e in (tags or {}).items()]
        self.client.log_batch(self.runs[1], metrics, texts, labels)

    def log_data(self, name: str, digest: str, source: str) -> None:
        """Say what both runs read."""
        from mlflow.entities import Dataset, DatasetInput

        self.direct.log_data(self.runs[0], name, digest, source)
        data: Any = Dataset(name=name, digest=digest, source_type="nnexp", source=source)
        self.client.log_inputs(self.runs[1], datasets=[DatasetInput(data)])

    def end(self, status: str, ended: int) -> None:
        """End both runs."""
        self.direct.set_status(self.runs[0], status, ended)
        self.client.set_terminated(self.runs[1], status, ended)

    def go_on(self) -> None:
        """Open both runs again."""
        self.direct.set_status(self.runs[0], "RUNNING")
        self.client.update_run(self.runs[1], status="RUNNING")

    def compare(self) -> None:
        """Compare all rows."""
        ours, theirs = (rows(path) for path in self.paths)
        for table in ours:
            assert ours[table] == theirs[table], table


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table; ids that were made up are names."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in tables}
    names = {run["run_uuid"]: f"run {run['name']}" for run in found["runs"]}
    names |= {data["dataset_uuid"]: f"data {data['name']} {data['digest']}" for data in found["datasets"]}
    names |= {each["input_uuid"]: f"input of {names[each['destination_id']]}" for each in found["inputs"]}
    root = str(path.parent)
    for table, listed in found.items():
        found[table] = sorted((_named(row, names, root) for row in listed), key=repr)
    return found


def _named(row: Mapping[str, Any], names: Mapping[str, str], root: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for column, value in row.items():
        text = value.replace(root, "ROOT") if isinstance(value, str) else value
        for made_up, name in names.items():
            text = text.replace(made_up, name) if isinstance(text, str) else text
        told[column] = "now" if column in NOW and isinstance(value, int) else text
    return told


@contextmanager
def opened(folder: Path, empty_store: Path) -> Iterator[Pair]:
    """Open two copies of a store, one directly, one by MLflow's client."""
    paths = (folder / "direct" / "mlflow.db", folder / "client" / "mlflow.db")
    for path in paths:
        path.parent.mkdir(parents=True)
        copy(empty_store, path)
    direct = open_direct(paths[0], "mine", (paths[0].parent / "artifacts").as_uri())
    assert direct is not None
    client, experiment = open_store(Store(f"sqlite:///{paths[1]}", "mine", paths[1].parent))
    try:
        yield Pair(direct, client, paths, experiment)
    finally:
        direct.close()


def copy(store: Path, path: Path) -> None:
    """Copy a database."""
    with closing(sqlite3.connect(store)) as made, closing(sqlite3.connect(path)) as target:
        made.backup(target)


@pytest.fixture
def pair(tmp_path: Path, empty_store: Path) -> Iterator[Pair]:
    """Return two copies of a store, one opened directly, one by MLflow's client."""
    with opened(tmp_path, empty_store) as found:
        yield found


TAGS = {"mlflow.user": "me", "nnexp.key": "k1", "nnexp.sweep": "s-1", "empty": "", "mlflow.note.content": "# Æ\n*x*"}
POINTS: list[Point] = [
    ("train/loss", 0.1 + 0.2, EARLY, 1),
    ("train/loss", 1e-320, EARLY + 1, 2),
    ("train/loss", -0.0, EARLY + 2, 3),
    ("val/acc", math.nan, EARLY, 1),
    ("val/acc", math.inf, EARLY, 2),
    ("val/acc", -math.inf, EARLY, -3),
    ("µ: a metric", 7, EARLY, 2**40),
]


def test_a_trial_is_written_as_mlflow_writes_it(pair: Pair) -> None:
    pair.create("adam seed=0", TAGS, EARLY)
    pair.log(POINTS, {"optimizer.lr": "0.1", "empty": "", "long": "x" * LONGEST_PARAM}, {"nnexp.outcome": "finished"})
    pair.log_data("digits", "0" * 36, '{"name": "digits"}')
    pair.end("FINISHED", EARLY + 99)
    pair.create("adam seed=1", {}, EARLY + 5)
    pair.log_data("digits", "0" * 36, "another source of the same data")
    pair.end("KILLED", EARLY + 98)
    pair.go_on()
    pair.compare()
    assert {len(rows(pair.paths[0])[name]) for name in ("runs", "inputs")} == {2}


def test_what_is_told_again_changes_nothing_and_what_is_new_is_added(pair: Pair) -> None:
    pair.create("a", TAGS, EARLY)
    params = {"a": "1", "b": "null"}
    pair.log(POINTS, params, {"t": "1"})
    before = rows(pair.paths[0])
    pair.log(POINTS, params, {"t": "1"})
    pair.log_data("d", "1", "{}")
    pair.log_data("d", "1", "{}")
    assert {name for name, listed in rows(pair.paths[0]).items() if listed != before[name]} == {"datasets", "inputs"}
    pair.log([("val/acc", 0.5, EARLY + 1, 2), *POINTS], {"c": "3", **params}, {"t": "2", "mlflow.runName": "b"})
    pair.compare()


_points = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, math.nan, math.inf, -math.inf]) | st.floats(),
    st.integers(EARLY, EARLY + 2),
    st.integers(-1, 2),
)


@given(batches=st.lists(st.lists(_points, max_size=6), min_size=1, max_size=4))
@settings(max_examples=40)
def test_any_points_in_any_order_are_written_as_mlflow_writes_them(batches: list[list[Point]]) -> None:
    pair = PAIRS[0]
    pair.create(f"run {len(rows(pair.paths[0])['runs'])}", {}, EARLY)
    for points in batches:
        pair.log(points)
    pair.compare()


PAIRS: list[Pair] = []


@pytest.fixture(scope="module", autouse=True)
def one_pair_for_all_examples(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[None]:
    """Keep two stores open for the property test, whose examples cannot have fixtures of their own."""
    with opened(tmp_path_factory.mktemp("pair"), empty_store) as found:
        PAIRS.append(found)
        yield
        PAIRS.clear()


def test_an_experiment_is_made_as_mlflow_makes_it(pair: Pair) -> None:
    assert pair.direct.experiment_id == pair.experiment
    pair.compare()


def test_runs_are_found_as_mlflow_finds_them(pair: Pair) -> None:
    for number, key in enumerate(("k1", "k2", "k1")):
        pair.create(f"{key} {number}", TAGS | {"nnexp.key": key}, EARLY + number)
    pair.end("FINISHED", EARLY + 9)
    other = open_store(Store(f"sqlite:///{pair.paths[0]}", "mine", pair.paths[0].parent))[0]
    for tag, value in (("nnexp.key", "k1"), ("nnexp.sweep", "s-1"), ("nnexp.sweep", "another")):
        found = other.search_runs([pair.experiment], f"tags.`{tag}` = '{value}'")
        expected = [(run.info.run_id, run.info.status, run.info.end_time, run.info.artifact_uri) for run in found]
        ours = pair.direct.find(tag, value)
        assert [(run.id, run.status, run.ended, run.artifacts) for run in ours] == expected
        assert [run.tags for run in ours] == [run.data.tags for run in found]
    assert len(pair.direct.find("nnexp.sweep", "s-1")) == 3
    other.delete_run(pair.runs[0])
    assert len(pair.direct.find("nnexp.sweep", "s-1")) == 2


def test_what_is_written_together_is_there_whole_or_not_at_all(pair: Pair) -> None:
    before = rows(pair.paths[0])
    direct = pair.direct

    def write(*, and_fail: bool) -> None:
        with direct.together():
            run = direct.create("a", TAGS, EARLY)
            direct.log(run.id, POINTS, {"a": "1"})
            if and_fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(and_fail=True)
    assert rows(pair.paths[0]) == before
    write(and_fail=False)
    assert len(rows(pair.paths[0])["runs"]) == 1


def test_one_point_that_mlflow_refuses_keeps_all_of_a_call_away(pair: Pair) -> None:
    run = pair.direct.create("a", {}, EARLY).id
    before = rows(pair.paths[0])
    with pytest.raises(TrackingError, match="metric 'a=b' is not a name that MLflow takes"):
        pair.direct.log(run, [*POINTS, ("a=b", 1.0, EARLY, 1)], {"a": "1"})
    with pytest.raises(TrackingError, match="param 'a' is longer than 6000 characters"):
        pair.direct.log(run, POINTS, {"a": "1" * 6001})
    pair.direct.log(run, params={"a": "1"})
    before = rows(pair.paths[0])
    with pytest.raises(TrackingError, match=f"param 'a' of run {run} is '1' and cannot become '2'"):
        pair.direct.log(run, POINTS, {"b": "1", "a": "2"}, {"tag": "value"})
    assert rows(pair.paths[0]) == before


@given(name=st.text(st.sampled_from("aZµ0_-. :/=@\n\\"), max_size=6) | st.sampled_from(["..", "../a", "a" * 251]))
@settings(max_examples=300)
def test_a_name_is_refused_if_mlflow_refuses_it(name: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_metric_name, _validate_param, _validate_tag

    def refused(check: Any, *arguments: str) -> bool:
        try:
            check(*arguments)
        except (MlflowException, TrackingError):
            return True
        return False

    theirs = {
        refused(_validate_metric_name, name),
        refused(_validate_param, name, ""),
        refused(_validate_tag, name, ""),
    }
    ours = refused(_check_name, "metric", name)
    if name.endswith("\n") or len(name) > 250:  # MLflow overlooks the end of a line, and a long metric's name
        theirs = {ours}
        assert ours
    assert theirs == {ours}


def test_a_run_that_is_gone_is_named(pair: Pair) -> None:
    pair.create("a", {}, EARLY)
    run = pair.direct.create("b", {}, EARLY).id
    open_store(Store(f"sqlite:///{pair.paths[0]}", "mine", pair.paths[0].parent))[0].delete_run(run)
    for gone in (run, "0" * 32):
        with pytest.raises(NoRunError, match=f"run {gone} is not in MLflow any more"):
            pair.direct.log(gone, POINTS)
        with pytest.raises(NoRunError):
            pair.direct.set_status(gone, "FINISHED", EARLY)
        with pytest.raises(NoRunError):
            pair.direct.log_data(gone, "d", "1", "{}")


def test_a_deleted_experiment_is_one_clear_line(pair: Pair) -> None:
    path, location = pair.paths[0], "file:///x"
    client, experiment = open_store(Store(f"sqlite:///{path}", "mine", path.parent))
    client.delete_experiment(experiment)
    with pytest.raises(TrackingError, match="experiment 'mine' is deleted: restore it or choose another"):
        open_direct(path, "mine", location)
    with pytest.raises(TrackingError, match="is deleted"):
        pair.direct.create("a", {}, EARLY)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alembic_version SET version_num = 'another'",
        "DELETE FROM alembic_version",
        "DROP TABLE alembic_version",
        "UPDATE experiments SET workspace = 'another' WHERE experiment_id = 0",
    ],
)
def test_mlflow_writes_a_schema_that_is_not_known(change: str, root: Path) -> None:
    path = root / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    before = path.read_bytes()
    assert open_direct(path, "mine", "file:///x") is None
    assert path.read_bytes() == before


@pytest.mark.parametrize("location", ["s3://bucket/a", "mlflow-artifacts:/1", "file:///a?b"])
def test_mlflow_writes_where_files_go_elsewhere(location: str, root: Path) -> None:
    open_store(Store(f"sqlite:///{root / 'mlflow.db'}", "mine", root))[0].create_experiment("other", location)
    assert open_direct(root / "mlflow.db", "other", "file:///x") is None
    assert open_direct(root / "mlflow.db", "mine", "file:///x") is not None


@pytest.mark.parametrize("variable", ["MLFLOW_WORKSPACE", "MLFLOW_ENABLE_WORKSPACES"])
def test_mlflow_writes_into_workspaces(variable: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "true")
    assert open_direct(root / "mlflow.db", "mine", "file:///x") is None


def test_a_database_that_is_missing_or_none_is_not_made(tmp_path: Path) -> None:
    assert open_direct(tmp_path / "mlflow.db", "mine", "file:///x") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mlflow.db").write_text("no database" * 100)
    with pytest.raises(TrackingError, match="MLflow's database cannot be used: file is not a database"):
        open_direct(tmp_path / "mlflow.db", "mine", "file:///x")


def test_the_known_schema_is_that_of_the_locked_mlflow(root: Path) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]


def test_files_go_where_mlflow_looks_for_them(pair: Pair) -> None:
    run = pair.direct.create("a", {}, EARLY)
    folder = pair.direct.folder(run)
    folder.mkdir(parents=True)
    (folder / "a b.txt").write_text("text")
    client, _ = open_store(Store(f"sqlite:///{pair.paths[0]}", "mine", pair.paths[0].parent))
    assert [each.path for each in client.list_artifacts(run.id)] == ["a b.txt"]

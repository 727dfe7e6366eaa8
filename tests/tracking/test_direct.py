"""What is written directly is, row by row, what MLflow's own client writes; it is done only where that is known."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnexp.errors import TrackingError
from nnexp.tracking.client import ClientWriter
from nnexp.tracking.database import REVISION, is_known
from nnexp.tracking.direct import DirectWriter, open_direct
from nnexp.tracking.limits import LONGEST_PARAM, check_names
from nnexp.tracking.store import Store, needs_mlflow, open_store, open_writer
from nnexp.tracking.writer import GoneError, Point, Writer

NOW = ("creation_time", "last_update_time", "deleted_time")  # columns with the time at which something is done
EARLY = 1_700_000_000_000


@dataclass
class Pair:
    """A store that is written directly and one that MLflow's client writes, and the last run of each."""

    direct: DirectWriter
    client: ClientWriter
    paths: tuple[Path, Path]
    runs: tuple[str, str] = ("", "")

    def create(self, name: str, tags: Mapping[str, str], started: int = EARLY) -> None:
        """Make a run in both."""
        self.runs = self.direct.create(name, tags, started).id, self.client.create(name, tags, started).id

    def log(
        self,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log to both."""
        for writer, run in self.both:
            writer.log(run, points, params or {}, tags or {})

    @property
    def both(self) -> list[tuple[Writer, str]]:
        """The writers, each with the last run."""
        return [(self.direct, self.runs[0]), (self.client, self.runs[1])]

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
    client = ClientWriter(*open_store(Store(f"sqlite:///{paths[1]}", "mine", paths[1].parent)))
    try:
        yield Pair(direct, client, paths)
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
    pair.create("adam seed=0", TAGS)
    pair.log(POINTS, {"optimizer.lr": "0.1", "empty": "", "long": "x" * LONGEST_PARAM}, {"nnexp.outcome": "finished"})
    for writer, run in pair.both:
        writer.log_data(run, "digits", "0" * 36, '{"name": "digits"}')
        writer.set_status(run, "FINISHED", EARLY + 99)
    pair.create("adam seed=1", {"nnexp.reason": "memory"}, EARLY + 5)
    for writer, run in pair.both:
        writer.log_data(run, "digits", "0" * 36, "another source of the same data")
        writer.set_status(run, "KILLED", EARLY + 98)
        writer.set_status(run, "RUNNING")
        writer.untag(run, "nnexp.reason")
        writer.untag(run, "missing")
    pair.compare()
    assert {len(rows(pair.paths[0])[name]) for name in ("runs", "inputs")} == {2}


def test_a_run_is_deleted_as_mlflow_deletes_it(pair: Pair) -> None:
    pair.create("a", TAGS)
    pair.log(POINTS)
    for writer, run in pair.both:
        writer.delete(run)
        assert writer.is_deleted(run)
    pair.compare()
    assert pair.direct.find({"nnexp.key": "k1"}) == []
    pair.create("b", {})
    assert [writer.is_deleted(run) for writer, run in pair.both] == [False, False]


def test_tags_of_the_experiment_are_written_as_mlflow_writes_them(pair: Pair) -> None:
    for writer in (pair.direct, pair.client):
        for name, value in (("a", "1"), ("b", "2" * 20_000), ("a", "3"), ("c", "4")):
            writer.tag_experiment(name, value)
        writer.tag_experiment("c", None)
    pair.compare()
    assert pair.direct.experiment_tags() == pair.client.experiment_tags() == {"a": "3", "b": "2" * 20_000}


def test_what_is_told_again_changes_nothing_and_what_is_new_is_added(pair: Pair) -> None:
    pair.create("a", TAGS, EARLY)
    params = {"a": "1", "b": "null"}
    pair.log(POINTS, params, {"t": "1"})
    before = rows(pair.paths[0])
    pair.log(POINTS, params, {"t": "1"})
    for writer, run in pair.both:
        writer.log_data(run, "d", "1", "{}")
        writer.log_data(run, "d", "1", "{}")
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
    pair.create(f"run {len(rows(pair.paths[0])['runs'])}", {})
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
    assert pair.direct.experiment_id == pair.client.experiment_id
    pair.compare()


def test_runs_are_found_as_mlflow_finds_them(pair: Pair) -> None:
    for number, key in enumerate(("k1", "k2", "k1")):
        pair.create(f"{key} {number}", TAGS | {"nnexp.key": key}, EARLY + number)
    pair.direct.set_status(pair.runs[0], "FINISHED", EARLY + 9)
    client = ClientWriter(*open_store(Store(f"sqlite:///{pair.paths[0]}", "mine", pair.paths[0].parent)))
    sought = [{"nnexp.key": "k1"}, {"nnexp.sweep": "s-1"}, {"nnexp.sweep": "s-1", "nnexp.key": "k2"}, {"a": "b"}]
    for tags in sought:
        assert pair.direct.find(tags) == client.find(tags)
    assert [len(pair.direct.find(tags)) for tags in sought] == [2, 3, 1, 0]
    client.delete(pair.runs[0])
    assert len(pair.direct.find({"nnexp.sweep": "s-1"})) == 2
    assert open_writer(Store(f"sqlite:///{pair.paths[0]}", "other", pair.paths[0].parent)).find({"empty": ""}) == []


def test_what_is_written_together_is_there_whole_or_not_at_all(pair: Pair) -> None:
    def write_and_stop() -> None:
        with pair.direct.together():
            pair.direct.log(pair.direct.create("a", TAGS, EARLY).id, POINTS, {"a": "1"}, {})
            raise KeyboardInterrupt

    def change_a_param() -> None:
        with pair.direct.together():
            pair.direct.log(pair.runs[0], POINTS, {"a": "1"}, {"nnexp.key": "k2"})
            pair.direct.log(pair.runs[0], (), {"a": "2"}, {})

    before = rows(pair.paths[0])
    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert rows(pair.paths[0]) == before
    with pair.direct.together():
        pair.create("a", TAGS)
        assert rows(pair.paths[0]) == before
        with pytest.raises(TrackingError, match="cannot become"):
            change_a_param()
    pair.compare()


def test_one_point_that_mlflow_refuses_keeps_all_of_a_call_away(pair: Pair) -> None:
    run = pair.direct.create("a", {}, EARLY).id
    with pytest.raises(TrackingError, match="metric 'a=b' is not a name that MLflow takes"):
        pair.direct.log(run, [*POINTS, ("a=b", 1.0, EARLY, 1)], {"a": "1"}, {})
    with pytest.raises(TrackingError, match="param 'a' is longer than 6000 characters"):
        pair.direct.log(run, POINTS, {"a": "1" * 6001}, {})
    pair.direct.log(run, (), {"a": "1"}, {})
    before = rows(pair.paths[0])
    with pytest.raises(TrackingError, match=f"param 'a' of run {run} is '1' and cannot become '2'"):
        pair.direct.log(run, POINTS, {"b": "1", "a": "2"}, {"tag": "value"})
    assert rows(pair.paths[0]) == before


@given(name=st.text(st.sampled_from("aZµ0_-. :/=@\n\\"), max_size=6) | st.sampled_from(["..", "../a", "a" * 251]))
@settings(max_examples=300)
def test_a_name_is_refused_if_mlflow_refuses_it(name: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_metric_name, _validate_param, _validate_tag

    def refused(check: Any, *arguments: Any) -> bool:
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
    ours = refused(check_names, "metric", [name])
    if name.endswith("\n") or len(name) > 250:  # MLflow overlooks the end of a line, and a long metric's name
        theirs = {ours}
        assert ours
    assert theirs == {ours}


def test_a_run_that_is_gone_is_named(pair: Pair) -> None:
    pair.create("a", {}, EARLY)
    run = pair.direct.create("b", {}, EARLY).id
    open_store(Store(f"sqlite:///{pair.paths[0]}", "mine", pair.paths[0].parent))[0].delete_run(run)
    for gone in (run, "0" * 32):
        with pytest.raises(GoneError, match=f"run {gone} is not in MLflow any more"):
            pair.direct.log(gone, POINTS, {}, {})
        with pytest.raises(GoneError):
            pair.direct.set_status(gone, "FINISHED", EARLY)
        with pytest.raises(GoneError):
            pair.direct.log_data(gone, "d", "1", "{}")
        with pytest.raises(GoneError):
            pair.direct.untag(gone, "a")


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
    assert not is_known(path)
    assert needs_mlflow(Store(f"sqlite:///{path}", "mine", root))


@pytest.mark.parametrize("location", ["s3://bucket/a", "mlflow-artifacts:/1", "file:///a?b"])
def test_mlflow_writes_where_files_go_elsewhere(location: str, root: Path) -> None:
    open_store(Store(f"sqlite:///{root / 'mlflow.db'}", "mine", root))[0].create_experiment("other", location)
    assert open_direct(root / "mlflow.db", "other", "file:///x") is None
    assert open_direct(root / "mlflow.db", "mine", "file:///x") is not None


@pytest.mark.parametrize("variable", ["MLFLOW_WORKSPACE", "MLFLOW_ENABLE_WORKSPACES"])
def test_mlflow_writes_into_workspaces(variable: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_known(root / "mlflow.db")
    monkeypatch.setenv(variable, "true")
    assert not is_known(root / "mlflow.db")


def test_a_database_that_is_missing_or_none_is_not_known(tmp_path: Path) -> None:
    assert not is_known(tmp_path / "mlflow.db")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mlflow.db").write_text("no database" * 100)
    assert not is_known(tmp_path / "mlflow.db")


def test_the_known_schema_is_that_of_the_locked_mlflow(root: Path) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]


def test_files_go_where_mlflow_looks_for_them(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "a b.txt"
    path.write_text("ä\n", encoding="utf-8")
    pair.create("a", {})
    for writer, run in pair.both:
        place = next(each.artifacts for each in writer.find({"mlflow.runName": "a"}) if each.id == run)
        for _ in range(2):
            writer.upload(place, path)
            writer.upload_text(place, "c.txt", "ö\n")
        folder = Path(url2pathname(urlsplit(place).path))
        files = {each.name: each.read_bytes() for each in folder.iterdir()}
        assert files == {"a b.txt": "ä\n".encode(), "c.txt": "ö\n".encode()}


def test_a_database_here_is_written_directly_and_mlflow_is_not_imported(root: Path) -> None:
    uri = f"sqlite:///{root / 'mlflow.db'}"
    code = "import sys; from pathlib import Path; from nnexp.tracking.store import Store, open_writer; "
    code += f"print(type(open_writer(Store({uri!r}, 'mine', Path({str(root)!r})))).__name__, 'mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "DirectWriter False\n"
    assert type(open_writer(Store(f"{uri}?timeout=9", "mine", root))) is ClientWriter

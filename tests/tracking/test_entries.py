"""Entries: everything fits into MLflow's limits, and what is read back is what was written."""

from __future__ import annotations

import json
import math
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nnexp.errors import TrackingError
from nnexp.sweeps.results import History
from nnexp.tracking.entries import (
    config_of,
    cut,
    flatten,
    name_of,
    original_name,
    params,
    points,
    points_of,
)
from nnexp.tracking.limits import LONGEST_NAME, LONGEST_PARAM
from nnexp.tracking.reading import read_config
from nnexp.tracking.store import Store, open_store

NUMBERS = ["1", "1.0", "-0", "1e5", "NaN", "Infinity", "0x10", "1_000", " 1", "1 ", "1" * 6001]
PLAIN = ["true", "null", "None", "[]", "{}", "[1]", '"', '"a"', "\\", "''", "'", "${x}", "sha256:abc"]
PATHS = ["", ".", "..", "/", "a.b", "a/b", "%", ":", "::", ":3d:"]
LETTERS = ["\n", "\0", "\ud800", "é", "𝔘", "\u2028", "a" * 7000, "é" * 6001]
ODD = [*NUMBERS, *PLAIN, *PATHS, *LETTERS]
TEXTS = st.one_of(st.sampled_from(ODD), st.text(st.characters(), max_size=20))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from([5e-324, -0.0, 1e-300, 1.7976931348623157e308, 0.1 + 0.2]),
    TEXTS,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
CONFIGS = st.dictionaries(TEXTS, VALUES, max_size=5)


def same(one: Any, other: Any) -> bool:
    """Return whether two plain values are the same, to the type and the last bit."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str]:
    """Return a client of a real store, and an experiment in it."""
    root = tmp_path_factory.mktemp("entries")
    return open_store(Store(f"sqlite:///{root / 'mlflow.db'}", "entries", root))


@given(config=CONFIGS)
@example(config={key: value for value, key in enumerate(ODD)})
@example(config={f"key{number}": text for number, text in enumerate(ODD)})
@example(config={"a": {"b": {}, "c": [], "d": [{}, None, "null", [1, 1.0]]}, "a.b": 1, "": {"": ""}})
@example(config={"deep": {"key " * 100: {"key " * 100: "value " * 2000}}})
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_config_read_back_is_the_config(config: dict[str, Any], client: tuple[Any, str]) -> None:
    from mlflow.entities import Param

    mlflow, experiment = client
    told = params(config)
    run = mlflow.create_run(experiment).info.run_id
    mlflow.log_batch(run, params=[Param(name, text) for name, text in told.texts.items()])
    if told.whole:
        mlflow.log_text(run, told.artifact(), "params.json")
    assert same(read_config(mlflow, run), config)


@given(config=CONFIGS)
@settings(max_examples=300, deadline=None)
def test_params_fit(config: dict[str, Any]) -> None:
    told = params(config)
    for name, text in told.texts.items():
        assert_fits(name)
        assert len(text) <= LONGEST_PARAM
        assert "\0" not in text
        text.encode()
    assert same(config_of(told.texts, told.whole), config)


def assert_fits(name: str) -> None:
    """Assert that MLflow takes a name, by its own rules."""
    assert 0 < len(name) <= LONGEST_NAME
    assert re.fullmatch(r"[/\w.\- :]+", name)
    assert posixpath.normpath(name) == name
    assert name != "."
    assert not name.startswith(("..", "/"))


@given(name=TEXTS)
@settings(max_examples=300, deadline=None)
def test_names_fit_and_tell_what_they_are_of(name: str) -> None:
    encoded = name_of(name)
    assert_fits(encoded)
    if "sha256" not in encoded:
        assert original_name(encoded) == name


@pytest.mark.parametrize("name", ["train/cost", "val/acc_best", "agg/n", "a b", "a-b.c", "é/µ", "mlflow.note.content"])
def test_names_that_mlflow_takes_stay(name: str) -> None:
    assert name_of(name) == name


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("a//b", "a/:2f:b"),
        ("../a", ":2e::2e:/a"),
        (".", ":2e:"),
        ("a/", "a:2f:"),
        ("/a", ":2f:a"),
        ("a/./b", "a/:2e:/b"),
        ("opt=adam", "opt:3d:adam"),
        ("a:b", "a:3a:b"),
        ("", "::"),
    ],
)
def test_names_that_mlflow_refuses_are_written_otherwise(name: str, encoded: str) -> None:
    assert name_of(name) == encoded


def test_different_long_names_and_values_stay_different() -> None:
    told = params({"a" * 300: 1, "a" * 301: 2, "b": "x" * 6001, "c": "x" * 6002})
    assert len(told.texts) == 4
    assert len(set(told.texts.values())) == 4
    assert name_of("a" * 300) != name_of("a" * 301)


def test_most_values_read_as_they_are() -> None:
    config = {
        "name": "adam",
        "lr": 0.001,
        "hidden": [64, 64],
        "shuffle": True,
        "every": None,
        "text": "null",
        "none": {},
    }
    assert flatten({"optimizer": config}) == {
        "optimizer.name": "adam",
        "optimizer.lr": "0.001",
        "optimizer.hidden": "[64, 64]",
        "optimizer.shuffle": "true",
        "optimizer.every": "null",
        "optimizer.text": '"null"',
        "optimizer.none": "{}",
    }


def test_a_config_whose_whole_values_are_lost_or_changed_is_not_read(client: tuple[Any, str], tmp_path: Path) -> None:
    from mlflow.entities import Param

    mlflow, experiment = client
    told = params({"long": "x" * 6001})
    run = mlflow.create_run(experiment).info.run_id
    mlflow.log_batch(run, params=[Param(name, text) for name, text in told.texts.items()])
    with pytest.raises(TrackingError, match=f"run {run}: its artifact params.json cannot be read"):
        read_config(mlflow, run)
    mlflow.log_text(run, told.artifact().replace("xxx", "xxy"), "params.json")
    with pytest.raises(TrackingError, match=r"params.json does not have what param 'long' stands for"):
        read_config(mlflow, run)


def test_what_is_not_finite_is_a_flag_at_its_step() -> None:
    history = History(
        (1, 2, 3), (10.0, 11.0, 12.5), {"train/cost": (0.5, math.inf, math.nan), "val/loss": (1.0, 2.0, -math.inf)}
    )
    assert points(history) == [
        ("train/cost", 0.5, 10000, 1),
        ("not_finite/train/cost", 1.0, 11000, 2),
        ("not_finite/train/cost", 0.0, 12500, 3),
        ("val/loss", 1.0, 10000, 1),
        ("val/loss", 2.0, 11000, 2),
        ("not_finite/val/loss", -1.0, 12500, 3),
    ]
    assert points_of({"test/acc": math.nan}, 9.0, 3) == [("not_finite/test/acc", 0.0, 9000, 3)]


def test_texts_are_cut_where_they_are_too_long() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"

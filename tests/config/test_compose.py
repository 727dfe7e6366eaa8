"""Composition: each from the same files, whatever was composed before and whatever becomes of the files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from nnexp.config.compose import conf_folder, resolve, texts, unresolved
from nnexp.testing.contracts import assert_rejected
from tests.compositions import composing


def test_a_composition_does_not_change_the_next_one() -> None:
    with composing() as composer:
        before = unresolved(composer.compose(["l2.strength=0.5"]))
        composer.compose(["seed=3", "optimizer=sgd", "optimizer.lr=7", "+training.more=1", "architecture.hidden=[1]"])
        del composer.composed["l2.strength=0.5",]
        assert unresolved(composer.compose(["l2.strength=0.5"])) == before


def test_a_composer_reads_each_file_once(tmp_path: Path) -> None:
    conf = shutil.copytree(conf_folder(), tmp_path / "conf")
    with composing(conf) as composer:
        assert composer.compose(["optimizer=sgd"]).optimizer.lr == 0.1
        (conf / "optimizer" / "sgd.yaml").write_text("name: sgd\nlr: 5")
        assert composer.compose(["optimizer=sgd", "seed=1"]).optimizer.lr == 0.1
    with composing(conf) as composer:
        assert composer.compose(["optimizer=sgd", "seed=1"]).optimizer.lr == 5


def test_a_config_has_no_part_of_hydras_own() -> None:
    with composing() as composer:
        config = composer.compose([])
        assert "hydra" in config
        assert "hydra" not in unresolved(config)


def test_interpolations_are_resolved() -> None:
    assert resolve({"a": 3, "b": "${a}", "c": ["${a}", {"d": "${b}"}]}) == {"a": 3, "b": 3, "c": [3, {"d": 3}]}


def test_data_without_interpolations_come_back_as_they_are() -> None:
    plain = {"a": [1, {"b": "$c"}], "c": None}
    assert resolve(plain) is plain


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"a": {"b": "???"}}, ("a.b", "a.b=…")),
        ({"a": "${b}"}, ("interpolation", "'b'")),
        ({"a": "${b}", "b": "${a}"}, ("interpolation", "Recursive")),
        ({"a": "${unheard_of:1}"}, ("interpolation", "unheard_of")),
    ],
)
def test_what_has_no_value_is_refused(plain: dict[str, Any], words: tuple[str, ...]) -> None:
    assert_rejected(lambda: resolve(plain), *words)


def test_every_text_is_found_with_its_path() -> None:
    assert texts({"a": "x", "b": {"c": ["y", 1, {"d": "z"}]}}) == [("a", "x"), ("b.c.0", "y"), ("b.c.2.d", "z")]

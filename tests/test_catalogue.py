"""The catalogue: component tables, files of conf/ and the README's tables list the same things with the same values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnexp.component import Component, settings
from nnexp.config.build import (
    TABLES,
    Executor,
    Paths,
    RunSettings,
    Screen,
    Tracking,
    build,
    build_run,
    build_trial,
    component,
)
from nnexp.config.compose import conf_folder, resolve, unresolved
from nnexp.config.sweep import Sweep
from nnexp.network.activations import ACTIVATIONS
from nnexp.training import Objective, Training, TrialConfig
from nnexp.training.metrics import METRICS
from tests.component_tables import PAGE, page
from tests.compositions import composing

CONF = conf_folder()
TOP = Path(__file__).parents[1]
CLASSES = [(group, name, cls) for group, table in TABLES.items() for name, cls in table.builtin.items()]
# names that stand for others: replaced before anything is built, or files that name another component
STAND_INS = {"loss": {"auto"}, "objective": {"auto"}, "initializer": {"he", "glorot"}}
DATACLASSES: Mapping[str, type[Any]] = {
    "training": Training,
    "executor": Executor,
    "tracking": Tracking,
    "sweep": Sweep,
    "screen": Screen,
    "paths": Paths,
}


def choices(group: str) -> set[str]:
    """Return the names of a group's files."""
    return {path.stem for path in (CONF / group).glob("*.yaml")}


def plain(group: str, choice: str) -> dict[str, Any]:
    """Return what a file of conf/ says."""
    found = yaml.safe_load((CONF / group / f"{choice}.yaml").read_text())
    assert isinstance(found, dict)
    return found


def rows(text: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the rows of Markdown tables whose first cell is one name and whose second lists names."""
    for group, names in re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE):
        yield group, set(re.findall(r"`(\w+)`", names))


@pytest.mark.parametrize("group", TABLES)
def test_a_group_has_one_file_for_each_component_and_no_other(group: str) -> None:
    assert choices(group) - STAND_INS.get(group, set()) == set(TABLES[group].builtin)


@pytest.mark.parametrize(("group", "name", "cls"), CLASSES, ids=[f"{group}-{name}" for group, name, _ in CLASSES])
def test_a_file_holds_its_components_name_and_defaults(group: str, name: str, cls: type[Component]) -> None:
    assert cls.name == name
    found, expected = plain(group, name), cls().describe()
    assert found == expected
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}


@pytest.mark.parametrize(("group", "name", "cls"), CLASSES, ids=[f"{group}-{name}" for group, name, _ in CLASSES])
def test_a_file_is_built_into_its_component(group: str, name: str, cls: type[Component]) -> None:
    built = component(group, plain(group, name))
    assert type(built) is cls
    assert built == cls()


def test_the_stand_ins_are_there_and_no_components() -> None:
    for group, names in STAND_INS.items():
        assert names <= choices(group)
        assert not names & set(TABLES.get(group, {}))


@pytest.mark.parametrize(("short", "name"), [("he", "he_normal"), ("glorot", "glorot_normal")])
def test_a_short_name_of_an_initializer_is_the_normal_one(short: str, name: str) -> None:
    assert plain("initializer", short) == plain("initializer", name)


@pytest.mark.parametrize("group", DATACLASSES)
def test_a_group_of_settings_has_the_defaults_of_its_class(group: str) -> None:
    (only,) = choices(group)
    assert plain(group, only) == settings(DATACLASSES[group]())


@pytest.mark.parametrize("choice", sorted(choices("objective") - STAND_INS["objective"]))
def test_an_objective_is_named_after_its_metric_and_has_its_direction(choice: str) -> None:
    assert build(Objective, "objective", plain("objective", choice)).metric == choice.replace("_", "/", 1)


def test_every_metric_can_be_the_objective_by_its_name() -> None:
    named = {f"val_{name}" for name in METRICS}
    assert choices("objective") - STAND_INS["objective"] == named
    assert dict(rows((TOP / "README.md").read_text()))["objective"] == named | STAND_INS["objective"]


def test_the_documentation_lists_exactly_the_metrics() -> None:
    text = (TOP / "docs" / "metrics.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (larger|smaller) \|", text, re.MULTILINE)
    words = {"maximize": "larger", "minimize": "smaller"}
    assert dict(listed) == {name: words[metric.direction] for name, metric in METRICS.items()}


def test_every_group_is_chosen_by_the_main_config_and_every_choice_exists() -> None:
    defaults = yaml.safe_load((CONF / "config.yaml").read_text())["defaults"]
    chosen = {group: choice for each in defaults if isinstance(each, dict) for group, choice in each.items()}
    assert set(chosen) == {path.name for path in CONF.iterdir() if path.is_dir()}
    assert {group for group, choice in chosen.items() if choice is not None and choice not in choices(group)} == set()


def test_every_field_of_a_trial_is_a_group_or_a_setting_of_the_main_config() -> None:
    top = set(yaml.safe_load((CONF / "config.yaml").read_text())) - {"defaults"}
    assert set(vars(TrialConfig())) == {*TABLES, "objective", "training", *top}


def test_the_main_config_is_the_default_trial_and_the_default_run() -> None:
    with composing() as composer:
        config = resolve(unresolved(composer.compose([])))
    assert build_trial(config) == TrialConfig().resolved()
    run = build_run(config)
    assert run == RunSettings(executor=Executor(), tracking=Tracking(), sweep=Sweep(), screen=Screen(), paths=Paths())


def test_conf_names_no_python_object() -> None:
    files = sorted(CONF.rglob("*.yaml"))
    assert len(files) > len(CLASSES)
    assert [path.name for path in files if "_target_" in path.read_text()] == []


@pytest.mark.parametrize("group", [*TABLES, "activation"])
def test_the_readme_lists_exactly_the_components_of_a_group(group: str) -> None:
    listed = dict(rows((TOP / "README.md").read_text()))
    assert group in listed, f"README.md has no row for {group}"
    table = (ACTIVATIONS if group == "activation" else TABLES[group]).builtin
    assert listed[group] - STAND_INS.get(group, set()) == set(table)


@pytest.mark.parametrize("group", TABLES)
def test_the_documentation_lists_exactly_the_components_of_a_group(group: str) -> None:
    text = (TOP / "docs" / "configuration.md").read_text()
    listed = dict(rows(text))
    if group == "dataset":  # has a table of its own
        table = re.search(r"^\| dataset \|.*\n((?:\|.*\n)+)", text, re.MULTILINE)
        assert table is not None, "docs/configuration.md has no table of data sets"
        listed["dataset"] = {
            name for line in table[1].splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])
        }
    assert group in listed, f"docs/configuration.md has no row for {group}"
    assert listed[group] - STAND_INS.get(group, set()) == set(TABLES[group].builtin)


def test_a_row_of_a_readme_that_forgets_a_component_is_found() -> None:
    text = "| group | choices |\n|---|---|\n| `optimizer` | `adam`, `sgd` |\n| `l2` | `l2` | lambda |\n"
    assert dict(rows(text)) == {"optimizer": {"adam", "sgd"}, "l2": {"l2"}}


def test_the_page_of_components_is_what_classes_and_files_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make it anew: .venv/bin/python -m tests.component_tables"


def test_the_page_of_components_gives_each_its_formula_and_every_setting_its_default() -> None:
    text = page()
    for _, name, cls in CLASSES:
        if name != "none":
            (row,) = re.findall(rf"^\| `{name}` \| \S.*$", _section(text, cls), re.MULTILINE)
            assert "Args" not in row, row
            assert "Coded" not in row, row


def _section(text: str, cls: type[Component]) -> str:
    group = next(group for group, _, each in CLASSES if each is cls)
    return text.partition(f"## `{group}`")[2].partition("\n## ")[0]

"""docs/components.md, made from the classes' docstrings and the files of conf/.

.venv/bin/python -m tests.component_tables
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from nnexp.component import Component, settings
from nnexp.config.build import TABLES
from nnexp.config.compose import conf_folder
from nnexp.network.activations import ACTIVATIONS

PAGE = Path(__file__).parents[1] / "docs" / "components.md"
INTRODUCTION = """# Components

What each choice computes, as its class says, and its settings with defaults and ranges, as its file under `conf/` says.
This page is made from both (`.venv/bin/python -m tests.component_tables`), and a test compares.
[Configuration](configuration.md) says how they are chosen; [parity](parity.md), what they are held against.

In the formulas theta are all parameters, g is the gradient of the cost (of an activation: the function), W_l the
weights of layer l, z a unit's input and a its output, y the truth, t a step counted from 1; an arrow assigns.
"""
NOTES = {
    "activation": "Of hidden layers: `architecture.activation=tanh`, or with settings "
    "`'architecture.activation={name: elu, alpha: 0.5}'`.",
    "schedule": "A factor on `optimizer.lr`. All have `warmup` = 0.0: epochs in front of the schedule, less than "
    "`training.epochs`; and `warmup_start` = 0.1: the first factor of the warm-up, in [0, 1], which needs one.",
    "dataset": "All have `validation` = 0.2 and `test` = 0.2: shares of the examples, in [0, 1); `split_seed` = 0, or "
    "`trial` for each trial's own; `standardize` = true.",
}
SHARED = {
    "schedule": {"warmup", "warmup_start"},
    "dataset": {"validation", "test", "split_seed", "standardize"},
}
WIDTH = 116  # of docstrings, without their indentation
END = re.compile(r"(Args|Raises|Shapes|Source|Coded)\b.*?:|Coded with|Coded as")


def page() -> str:
    """Return the whole page."""
    groups: dict[str, Mapping[str, type[Component]]] = {}
    for group, table in TABLES.items():
        groups[group] = table.builtin
        if group == "architecture":
            groups["activation"] = ACTIVATIONS.builtin
    return "\n".join([INTRODUCTION, *(_section(group, classes) for group, classes in groups.items())])


def _section(group: str, classes: Mapping[str, type[Component]]) -> str:
    rows = [
        f"| `{name}` | {_cell(_formula(cls))} | {_cell(_settings(group, cls))} | {_cell([_source(cls)])} |"
        for name, cls in classes.items()
        if name != "none"
    ]
    note = [NOTES[group], ""] if group in NOTES else []
    off = [f"`{group}=none` is off.", ""] if "none" in classes else []
    what = "what it is" if group == "dataset" else "what it computes"
    head = [f"| {group} | {what} | settings | source |", "|---|---|---|---|"]
    return "\n".join([f"## `{group}`", "", *note, *off, *head, *rows, ""])


def _formula(cls: type[Component]) -> list[str]:
    """Return a docstring's lines up to what is about its arguments, its code or its source."""
    found = []
    for line in inspect.getdoc(cls).splitlines():  # type: ignore[union-attr]
        if END.match(line):
            break
        found.append(line.partition(" Source: ")[0])
    return [" ".join(line.split()) for line in _sentences(found) if line.strip()]


def _sentences(lines: list[str]) -> Iterator[str]:
    """Yield lines, wrapped ones joined: where the next one's first word had no room, it goes on with it."""
    text = ""
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        text = f"{text} {line}" if text else line
        if not after or len(line) + 1 + len(after.split()[0]) <= WIDTH:
            yield text.partition(" Coded with ")[0]
            text = ""


def _source(cls: type[Component]) -> str:
    text = " ".join(str(inspect.getdoc(cls)).split())
    return text.partition("Source: ")[2]


def _settings(group: str, cls: type[Component]) -> list[str]:
    """Return each setting with its default and what its file says of it; of an activation, what its docstring says."""
    if group == "activation":
        said = " ".join(str(inspect.getdoc(cls)).split()).partition("Args: ")[2].partition(" Raises:")[0]
        return [f"{_default(each.name, getattr(cls(), each.name))}{_after(said, each.name)}" for each in fields(cls)]
    lines = (conf_folder() / group / f"{cls.name}.yaml").read_text().splitlines()
    comments = {line.partition(":")[0]: line.partition(" # ")[2] for line in lines}
    return [
        _default(name, value) + (f": {comments[name]}" if comments[name] else "")
        for name, value in settings(cls()).items()
        if name not in SHARED.get(group, set())
    ]


def _default(name: str, value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
    return f"`{name}` = {written}"


def _after(said: str, name: str) -> str:
    return f": {said.partition(f'{name}: ')[2].removesuffix('.')}"


def _cell(lines: list[str]) -> str:
    """Return lines as a cell of a Markdown table."""
    return "<br>".join(line.replace("|", "\\|").replace("<-", "&larr;").replace("*", "\\*") for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""The tables of docs/parity.md, made from the cases.

.venv/bin/python -m tests.parity.table
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from nnexp.component import Component
from tests.parity.cases import CASES, ELSEWHERE, OUTSIDE, UNVARIED
from tests.parity.draws import DRAWS, GAINS
from tests.parity.words import Call, Case

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"
Row = tuple[str, ...]

# Where a reference says what a group does.
WORDS: dict[str, tuple[str, ...]] = {
    "activation": ("activation",),
    "averaging": ("averaging", "normalization"),
    "clip": ("clip",),
    "l1": ("l1",),
    "l2": ("l2",),
    "loss": ("loss", "output"),
    "max_norm": ("constraint",),
    "normalization": ("normalization",),
    "optimizer": ("optimizer",),
    "schedule": ("schedule",),
}


def rows(*, same: bool) -> list[Row]:
    """Return group, nnexp's words and PyTorch's of the cases where both do the same, or what differs where not."""
    found: list[Row] = [
        (case.group, _ours(case), _theirs(case), case.reason)
        for case in CASES.values()
        if same is not bool(case.reason) and not case.off
    ]
    found += [
        ("initializer", _component(draw.ours), _call(draw.theirs), draw.reason)
        for draw in DRAWS.values()
        if same is not bool(draw.reason)
    ]
    if same:
        found += [("gain", _component(ours), _call(theirs), "") for ours, theirs in GAINS.values()]
    return [row[: 3 if same else 4] for row in found]


def nothing() -> list[Row]:
    """Return what is shown to do nothing where it is off."""
    return [(case.group, _ours(case)) for case in CASES.values() if case.off]


def left_out() -> list[Row]:
    """Return what has no case, and why."""
    return [
        *((f"{table}: `{name}`", reason) for (table, name), reason in ELSEWHERE.items()),
        *((f"`{setting}`", reason) for setting, reason in UNVARIED.items()),
        *((table, reason) for table, reason in OUTSIDE.items()),
    ]


def tables() -> dict[str, str]:
    """Return the tables as Markdown, by the heading they stand under."""
    return {
        "The same": _markdown(("group", "nnexp", "PyTorch"), rows(same=True)),
        "Not the same": _markdown(("group", "nnexp", "compared with", "why"), rows(same=False)),
        "Off": _markdown(("group", "nnexp"), nothing()),
        "Not compared": _markdown(("what", "why"), left_out()),
    }


SECTION = re.compile(r"^(## ([^\n]+)\n(?:(?!##|\|).*\n)*)((?:\|.*\n)+)", re.MULTILINE)


def found(text: str) -> dict[str, str]:
    """Return the tables of a page by the headings they stand under."""
    return {heading: table for _, heading, table in SECTION.findall(text)}


def main() -> None:
    """Put the tables into the page."""
    PAGE.write_text(SECTION.sub(lambda match: match[1] + tables()[match[2]], PAGE.read_text()))


def _ours(case: Case) -> str:
    words = _component(case.component)
    output = case.trial.architecture.output
    words += f", output `{output}`" if output != "auto" else ""
    kinds = {"several": ", three values", "multi": ", three labels", "probabilities": ", probabilities"}
    words += kinds.get(case.kind, "") + (", weights" if case.weighted else "")
    return words + (", mini-batches" if case.batch_size else "")


def _component(component: Component) -> str:
    default = type(component)()
    given = {each.name: getattr(component, each.name) for each in fields(component)}
    changed = {name: value for name, value in given.items() if value != getattr(default, name)}
    return f"`{component.name}{_arguments(changed)}`"


def _theirs(case: Case) -> str:
    words = [getattr(case.theirs, name) for name in WORDS[case.group]]
    return ", ".join(_call(each) for each in words if each is not None) or "nothing"


def _call(value: Call | float) -> str:
    return f"`{_plain(value)}`" if isinstance(value, Call) else f"a penalty with lambda {value}"


def _plain(value: Any) -> str:
    if isinstance(value, Call):
        return f"{value.name}{_arguments(value.settings) or '()'}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_plain, value))})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _arguments(values: dict[str, Any]) -> str:
    inner = ", ".join(f"{name}={_plain(value)}" for name, value in values.items())
    return f"({inner})" if inner else ""


def _markdown(head: Row, body: Iterable[Row]) -> str:
    lines = [head, ("---",) * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()

"""Rows 22 and 27: configuration, code and data change while a sweep runs, or between two commands."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

from faultmatrix.bench import DATA, write_digits
from faultmatrix.case import Case, kill
from faultmatrix.command import REPOSITORY, Command, Ended
from faultmatrix.rows.row import Row

SETTING = ("conf/optimizer/momentum.yaml", "beta1: 0.9", "beta1: 0.8")


def edited_meanwhile(case: Case) -> None:
    """Files below conf/ are rewritten and one is deleted while the sweep runs, and a worker is replaced after that."""
    tree = _own_tree(case)
    name, old, new = SETTING

    def blow(command: Command) -> None:
        _edit(tree / name, old, new)
        _edit(tree / "conf/training/default.yaml", "shuffle: true", "shuffle: false")
        (tree / "conf/averaging/ema.yaml").unlink()

    case.expect(case.interrupt(blow), 0)
    case.interrupted.clear()
    case.check()


def changed_between(case: Case) -> None:
    """Between two commands the configuration, nnexp's code or the data change."""
    (_config_changed, _code_changed, _data_changed)[case.seed % 3](case)


def _config_changed(case: Case) -> None:
    """Another configuration is another sweep, which says what differs; put back, the first one goes on."""
    tree = _own_tree(case)
    name, old, new = SETTING
    case.interrupt(kill)
    _edit(tree / name, old, new)
    _expect_another(case, case.end(case.start()))
    _edit(tree / name, new, old)
    case.again()
    case.check()


def _data_changed(case: Case) -> None:
    """Other data are other trials, in another sweep, which says so; with the first data, the first one goes on."""
    case.workload = case.workload.but("dataset=in_file", name="in_file")
    case.interrupt(kill)
    case.variables[DATA] = str(write_digits(case.folder / "data.npz", changed=5))
    _expect_another(case, case.end(case.start()))
    del case.variables[DATA]
    case.again()
    case.check()


def _code_changed(case: Case) -> None:
    """Other code of nnexp goes on with the sweep, says so, and each result says which code it is of."""
    tree = _own_tree(case)
    case.interrupt(kill)
    path = tree / "nnexp/clock.py"
    path.write_text(path.read_text() + "\n# another line\n")
    ended = case.again()
    mixed = [sweep for sweep, codes in _codes(case).items() if len(codes) > 1]
    if mixed and "code" not in ended.text:
        case.problem("a sweep has results of two codes, and no word of it was said")
    case.check()


def _expect_another(case: Case, ended: Ended) -> None:
    """What was trained now is another sweep, and no matter of the checker's."""
    case.expect(ended, 0, says="changed")
    found = case.look()
    if found is None or len(found.sweeps) != 2:
        case.problem(f"{0 if found is None else len(found.sweeps)} sweeps in the ledger in place of 2")
    known = case.control.values
    lines = case.told.read_text().splitlines()
    case.told.write_text("".join(f"{line}\n" for line in lines if line.rpartition(" ")[2] in known))


def _own_tree(case: Case) -> Path:
    """Let the case run a copy of nnexp's code and configuration, which may be edited."""
    tree = case.folder / "tree"
    for name in ("nnexp", "conf"):
        shutil.copytree(REPOSITORY / name, tree / name)
    case.tree = tree
    return tree


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if old not in text:
        raise RuntimeError(f"{path} does not have {old!r}")
    path.write_text(text.replace(old, new))


def _codes(case: Case) -> dict[str, set[str]]:
    codes: dict[str, set[str]] = defaultdict(set)
    found = case.look()
    for (sweep, _), trial in (found.trials if found else {}).items():
        if trial.result is not None:
            codes[sweep].add(trial.result["code"])
    return codes


ROWS = (
    Row(
        22,
        "configuration is edited meanwhile",
        "files below conf/ rewritten and deleted while the sweep runs",
        "all trials are those of the frozen plan",
        edited_meanwhile,
    ),
    Row(
        27,
        "configuration, code or data change between two commands",
        "killed, then a default, a source file or some grey values are other ones",
        "another sweep that says what changed; changed code is told, and each result names its own",
        changed_between,
        seeds=21,
        short=3,
    ),
)

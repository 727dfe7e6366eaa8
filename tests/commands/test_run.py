"""`nnexp-run`, as a process: what it prints, how it ends, and that it leaves nothing behind when it refuses."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from nnexp.config.build import TABLES
from nnexp.config.compose import conf_folder
from nnexp.network.optimizers import OPTIMIZERS, SGD
from nnexp.training import TrialConfig
from tests.runs import RUN, Ended, run

HEAVY = {"mlflow", "pandas", "matplotlib", "sklearn", "numpy", "pydantic"}
LISTING = (
    "import sys, json; from nnexp.run import main\n"
    "try: main()\n"
    "finally: print('\\nloaded: ' + json.dumps(sorted(sys.modules)))"
)
SCRIPT = Path(sys.executable).with_name("nnexp-run")

REFUSED = {
    "an unknown choice": ("optimizer=adma", ("optimizer", "'adma'", ", ".join(sorted(OPTIMIZERS)))),
    "no choice": ("optimizer=null", ("optimizer", "None", ", ".join(sorted(OPTIMIZERS)))),
    "a wrong type": ("training.epochs=ten", ("training.epochs", "an integer", "'ten'")),
    "a store of an unknown kind": ("tracking.uri=ftp://there", ("tracking.uri", "sqlite", "http", "'ftp://there'")),
    "a sweep without -m": ("optimizer=sgd,adam", ("optimizer=sgd,adam", "-m")),
    "a choice that lacks a setting": ("-m optimizer=adam,sgd optimizer.beta1=0.5", ("'beta1'", "optimizer (sgd)")),
    "a value in a sweep": ("-m training.epochs=1,ten", ("training.epochs", "an integer", "'ten'")),
    "one's own experiment with a typo": ("--config-dir=CONF experiment=typo", ("'epochz'", "training", "epochs")),
    "one's own file that is no YAML": ("--config-dir=CONF experiment=broken", ("broken.yaml", "line 2")),
    "one's own experiment with a list to sweep": (
        "--config-dir=CONF experiment=listed",
        ("hydra.sweeper.params.optimizer", '"a,b"', "['sgd', 'adam']"),
    ),
    "one's own choice and an unknown key": ("--config-dir=CONF optimizer=mine optimizer.x=1", ("'x'", "lr, name")),
    "two objectives in one sweep": ("-m objective=val_acc,val_loss", ("objective", "val/acc", "val/loss")),
    "an expression without quotes": (
        "-m seed=1,2 sweep.where=seed>1",
        ("sweep.where", "quoted", "sweep.where='seed>1'"),
    ),
    "too many trials": ("-m seed=range(5) dataset=moons sweep.max_trials=4", ("sweep.max_trials is 4", "5 trials")),
    "more trials than are meant": (
        "-m seed=range(5) dataset=moons sweep.confirm_above=4",
        ("5 trials", "more than sweep.confirm_above=4", "sweep.confirm_above=5"),
    ),
    "repeats without -m": ("sweep.seeds=3", ("sweep.seeds", "-m")),
    "pairs of unequal length": (
        "-m sweep.zip=[seed,lr] seed=1,2 optimizer.lr=1,2,3",
        ("seed with optimizer.lr", "2 and 3 values"),
    ),
    "a root that is a file": ("paths.root=/dev/null dataset=blobs", ("paths.root", "/dev/null")),
}
ANSWERS = {
    "help": "--help",
    "config": "--cfg job optimizer=sgd l2.strength=0.5",
    "info": "--info",
    "dry run": (
        "-m dataset=moons training.epochs=2 optimizer=sgd,adam optimizer.beta1=0.8,0.9 dropout.keep=1,1.0 "
        "sweep.only_if={beta1:ONLY} sweep.where=['seed!=1'] sweep.seeds=3 sweep.dry_run=true executor.workers=2"
    ),
    "dry run of one trial": "dataset=moons training.epochs=2 sweep.dry_run=true",
    "data that cannot be divided": "dataset=blobs dataset.examples=10 dataset.validation=0.01",
}
COMPLETIONS = {
    "nnexp-run optimizer=": {f"optimizer={name}" for name in OPTIMIZERS},
    "nnexp-run l2.": {"l2.name=", "l2.strength="},
}
OWN = {
    "experiment/typo.yaml": "# @package _global_\ntraining: {epochz: 3}",
    "experiment/broken.yaml": "# @package _global_\ntraining: {epochs: 3",
    "experiment/listed.yaml": (
        "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {optimizer: [sgd, adam]}}}"
    ),
    "optimizer/mine.yaml": "name: adam\nlr: 0.5",
}
LISTED = ("an unknown choice", "help", "config")  # whose processes say at the end which modules they loaded


@dataclass(frozen=True)
class Asked:
    """How a command ended that trains nothing, which modules it loaded and what it left in its folder."""

    ended: Ended
    loaded: set[str]
    left: list[Path]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Asked]:
    """Run all commands, two at a time, each in an empty folder."""
    conf = tmp_path_factory.mktemp("conf")
    for path, text in OWN.items():
        (conf / path).parent.mkdir(exist_ok=True)
        (conf / path).write_text(text)

    def ask(name: str) -> tuple[str, Asked]:
        folder = tmp_path_factory.mktemp("empty")
        variables: dict[str, str] = {}
        program: tuple[str, ...] = (sys.executable, "-c", LISTING) if name in LISTED else RUN
        if name in COMPLETIONS:
            line, variables = "-sc query=bash", {"COMP_LINE": name, "COMP_POINT": str(len(name))}
            program = (str(SCRIPT),) if SCRIPT.exists() else RUN
        else:
            line = REFUSED[name][0] if name in REFUSED else ANSWERS[name]
        arguments = line.replace("CONF", str(conf)).split()
        arguments = [each.replace("ONLY", "'optimizer != \"sgd\"'") for each in arguments]
        ended = run(*arguments, folder=folder, program=program, variables=variables)
        out, _, loaded = ended.out.partition("\nloaded: ")
        return name, Asked(replace(ended, out=out), set(json.loads(loaded or "[]")), list(folder.iterdir()))

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(ask, [*REFUSED, *ANSWERS, *COMPLETIONS]))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(asked: dict[str, Asked], name: str) -> None:
    ended = asked[name].ended
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("nnexp: ")
    assert ended.err.count("\n") == 1, ended.err
    missing = [word for word in REFUSED[name][1] if word not in ended.err]
    assert not missing, f"{ended.err!r} does not say {missing}"


@pytest.mark.parametrize("name", [*REFUSED, *ANSWERS, *COMPLETIONS])
def test_a_command_that_trains_nothing_leaves_nothing(asked: dict[str, Asked], name: str) -> None:
    assert asked[name].left == []


@pytest.mark.parametrize("name", LISTED)
def test_an_answer_waits_for_nothing_that_takes_long_to_import(asked: dict[str, Asked], name: str) -> None:
    assert "hydra" in asked[name].loaded  # so that there is a list
    assert not HEAVY & asked[name].loaded


def test_data_that_cannot_be_divided_have_an_exit_code_of_their_own(asked: dict[str, Asked]) -> None:
    ended = asked["data that cannot be divided"].ended
    assert (ended.code, ended.out, ended.err.count("\n")) == (3, "", 1)
    assert ended.err.startswith("nnexp: blobs: ")


def test_a_dry_run_says_what_would_be_done(asked: dict[str, Asked]) -> None:
    ended = asked["dry run"].ended
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("dry run: nothing is trained and nothing is created\nsweep adhoc-")
    for line in (
        ": 6 trials of 3 configurations",
        "  axis     optimizer.beta1: 0.8, 0.9",
        "  axis     seed: 0, 1, 2",
        "  grid     24 combinations",
        '  only_if  optimizer.beta1 if optimizer != "sgd": left out of 12 combinations',
        "  merged   6 combinations that became the same without",
        "  where    seed!=1: removed 6 combinations",
        "  merged   6 repeated combinations: 'sgd keep=1.0 seed=0' is 'sgd keep=1 seed=0'; ",
        "  stacks   2 of 2 to 4 on moons, 2-64-64-2: ",
    ):
        assert line in ended.out, f"{line!r} is not in:\n{ended.out}"
    assert re.search(r"^  time     about [\d.]+ m?s", ended.out, re.MULTILINE)
    assert re.search(r"^  disk     about [\d.]+ MB", ended.out, re.MULTILINE)


def test_a_single_trial_has_a_dry_run_too(asked: dict[str, Asked]) -> None:
    ended = asked["dry run of one trial"].ended
    assert (ended.code, ended.err) == (0, "")
    assert ": 1 trial of 1 configuration\n" in ended.out


def test_help_lists_every_group_and_choice_and_every_setting(asked: dict[str, Asked]) -> None:
    ended = asked["help"].ended
    assert (ended.code, ended.err) == (0, "")
    lines = dict(line.split(": ", 1) for line in ended.out.splitlines() if ": " in line)
    for group, table in TABLES.items():
        assert set(table) <= set(lines[group].split(", "))
    bundled = sorted(path.stem for path in (conf_folder() / "experiment").glob("*.yaml"))
    assert lines["experiment"].split(", ") == bundled
    assert (lines["  epochs"], lines["  workers"], lines["seed"], lines["  root"]) == ("20", "auto", "0", "runs")


def test_cfg_prints_the_whole_config_as_yaml(asked: dict[str, Asked]) -> None:
    ended = asked["config"].ended
    assert (ended.code, ended.err) == (0, "")
    config = yaml.safe_load(ended.out)
    assert set(config) == {*TrialConfig().describe(), "executor", "paths", "screen", "sweep", "tracking"}
    assert config["optimizer"] == SGD().describe()
    assert config["l2"]["strength"] == 0.5


def test_info_shows_the_sweeper_and_where_conf_is(asked: dict[str, Asked]) -> None:
    ended = asked["info"].ended
    assert ended.code == 0
    assert "NnexpSweeper" in ended.out
    assert str(conf_folder()) in ended.out


@pytest.mark.parametrize("line", COMPLETIONS)
def test_bash_completes_the_names_of_choices_and_settings(asked: dict[str, Asked], line: str) -> None:
    assert asked[line].ended.code == 0
    assert set(asked[line].ended.out.split()) == COMPLETIONS[line]

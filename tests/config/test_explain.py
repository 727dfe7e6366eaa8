"""What Hydra cannot compose is said in one line that names the thing, the value and the choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import pytest
from hydra.errors import HydraException

from nnexp.config.build import RunSettings, build_run, build_trial
from nnexp.config.compose import Composer, resolve, unresolved
from nnexp.config.explain import explain
from nnexp.config.grid import expand
from nnexp.errors import ConfigError, UsageError
from nnexp.network.optimizers import OPTIMIZERS, Adam
from nnexp.training import TrialConfig
from tests.compositions import composing

SETTINGS = ", ".join(sorted([*vars(TrialConfig()), *(field.name for field in fields(RunSettings))]))
ADAM = ", ".join(sorted(each for each in Adam().describe() if each < "name"))
CHOICES = ", ".join(sorted([*OPTIMIZERS, "mine"]))


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composer]:
    folder = tmp_path_factory.mktemp("mine")
    for path, text in {
        "optimizer/mine.yaml": "name: adam\nlr: 0.5",
        "experiment/mine.yaml": "# @package _global_\ndefaults: [override /optimizer: mine]",
        "experiment/typo.yaml": "# @package _global_\ntraining: {epochz: 3}",
        "experiment/choice.yaml": "# @package _global_\ndefaults: [override /optimizer: main]",
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    with composing(folder=folder) as found:
        yield found


def refusal(composer: Composer, overrides: Sequence[str], *, sweep: bool) -> str:
    """Return why overrides are refused."""
    try:
        if sweep:
            configs = [point.plain for point in expand(composer, overrides).points]
        else:
            configs = [resolve(unresolved(composer.compose(overrides)))]
        for config in configs:
            build_trial(config), build_run(config)
    except (HydraException, ValueError) as error:
        return str(explain(error, overrides, composer))
    except UsageError as error:
        return str(error)
    raise AssertionError(f"{overrides} was not refused")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("optimizer=adma", ("optimizer", "'adma'", CHOICES)),
        ("optimizer=", ("optimizer", "''", CHOICES)),
        ("optimizer=null", ("optimizer", "None", CHOICES)),
        ("optimizer=3", ("optimizer", "3", CHOICES)),
        ("optimizer={lrr:1}", ("'lrr'", "optimizer (adam)", ADAM, "did you mean lr?")),
        ("optimizer@foo=adam", ("optimizer@foo",)),
        ("~optimizer", ("optimizer", "missing")),
        ("~optimizer=sgd", ("optimizer=sgd",)),
        ("experiment=nope", ("experiment", "'nope'", "mine", "quickstart")),
        ("experiment=choice", ("optimizer", "'main'", "adam", "mine", "sgd")),
        ("experiment=typo", ("'epochz'", "training", "epochs")),
        ("experiment=mine optimizer.lrr=1", ("'lrr'", "optimizer (adam)", "lr, name")),
        ("optimizer=mine optimizer.beta1=1", ("'beta1'", "optimizer (adam)", "lr, name")),
        ("optimzer=adam", ("'optimzer'", SETTINGS, "did you mean optimizer?")),
        ("foo=1", ("'foo'", SETTINGS)),
        ("+foo=1", ("'foo'", SETTINGS)),
        ("++foo=1", ("'foo'", SETTINGS)),
        ("+foo.bar=1", ("'foo'", SETTINGS)),
        ("optimizer.lrr=1", ("'lrr'", "optimizer (adam)", ADAM, "did you mean lr?")),
        ("+optimizer.lrr=1", ("'lrr'", "optimizer (adam)", ADAM)),
        ("optimizer.lr.deep=1", ("'optimizer.lr.deep'", "optimizer.lr", "none below")),
        ("optimizer=momentum optimizer.beta2=0.9", ("'beta2'", "optimizer (momentum)", "beta1, ")),
        ("l2=none l2.strength=1", ("'strength'", "l2 (none)")),
        ("~foo", ("'foo'",)),
        ("optimizer=sgd,adam", ("optimizer=sgd,adam", "-m")),
        ("seed=0,1", ("seed=0,1", "-m", "seed=[0,1]")),
        ("seed=range(3)", ("seed=range(3)", "--multirun")),
        ("seed=1=2", ("'seed=1=2'", "'='")),
        ("seed", ("'seed'", "EQUAL")),
        ("seed=???", ("seed", "seed=…")),
        ("seed=${nothing}", ("'nothing'",)),
        ("seed=${seed}", ("Recursive",)),
        ("seed=${optimizer}", ("seed", "an integer", "'adam'")),
        ("-m seed=interval(0,1)", ("seed", "interval(0,1)")),
        ("-m seed=0,", ("'seed=0,'",)),
        ("-m seed=0,a", ("seed", "an integer", "'a'")),
        ("-m optimizer=adam,adma", ("optimizer", "'adma'", CHOICES)),
        ("-m optimizer=sgd,null", ("optimizer", "None", CHOICES)),
        ("-m optimizer.lrr=1,2", ("'lrr'", "optimizer (adam)", ADAM)),
        ("-m +foo=1,2", ("'foo'", SETTINGS)),
        ("-m optimizer=adam,sgd optimizer.beta1=0.9", ("'beta1'", "optimizer (sgd)", "lr")),
        ("-m l2=l2,none optimizer=sgd,adam optimizer.beta1=0.9", ("'beta1'", "optimizer (sgd)", "lr")),
        ("-m l2=l2,none l2.strength=0.1", ("'strength'", "l2 (none)")),
        ("-m experiment=quickstart,nope", ("experiment", "'nope'", "mine", "quickstart")),
        ("-m executor.workers=1,2", ("executor.workers", "cannot be swept")),
    ],
)
def test_a_line_names_the_thing_the_value_and_the_choices(
    composer: Composer, command: str, words: tuple[str, ...]
) -> None:
    first, *rest = command.split()
    line = refusal(composer, rest if first == "-m" else [first, *rest], sweep=first == "-m")
    assert "\n" not in line
    missing = [word for word in words if word not in line]
    assert not missing, f"{line!r} does not say {missing}"


def test_what_cannot_be_explained_is_said_in_hydras_words(composer: Composer) -> None:
    error = explain(HydraException("first\n  second"), ["optimizer=nothing"], composer)
    assert isinstance(error, ConfigError)
    assert str(error) == "first"


def test_a_suggestion_is_a_setting_that_there_is(composer: Composer) -> None:
    line = refusal(composer, ["training.epoch=3"], sweep=False)
    assert line.endswith("(did you mean epochs?)")
    assert refusal(composer, ["training.nothing_like_it=3"], sweep=False).endswith("shuffle")


def test_the_folder_of_the_user_is_where_its_choices_are_found(composer: Composer, tmp_path: Path) -> None:
    assert build_trial(resolve(unresolved(composer.compose(["experiment=mine"])))).optimizer.lr == 0.5
    assert "mine" in refusal(composer, ["optimizer=none"], sweep=False)

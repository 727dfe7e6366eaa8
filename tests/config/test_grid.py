"""Splicing: whatever a grid is made of, its combinations are those that Hydra composes, in Hydra's order."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hydra.errors import HydraException

from nnexp.config import grid
from nnexp.config.compose import conf_folder
from nnexp.config.grid import assignments, expand
from nnexp.errors import ConfigError, UsageError
from tests.compositions import Remembering, combinations, composed_by_hydra, composing

# A few groups of conf/, which compose in half the time of all, and choices as users may write them.
GROUPS = ("optimizer", "l2", "training", "hydra")
FILES = {
    "config.yaml": """
        defaults: [optimizer: adam, l2: l2, training: default, hydra: default, _self_, experiment: null]
        seed: 0
        architecture: {hidden: [8], activation: relu}
        """,
    "optimizer/with_defaults.yaml": "defaults: [adam, _self_]\nlr: 0.7",
    "optimizer/interpolated.yaml": "name: sgd\nlr: ${training.epochs}\nnear: ${.lr}",
    "optimizer/of_hydra.yaml": "name: sgd\nlr: ${hydra:runtime.choices.l2}",
    "following.yaml": "defaults: [optimizer: adam, optional follows: '${optimizer}', hydra: default, _self_]\nseed: 0",
    "follows/sgd.yaml": "value: 1",
    "follows/momentum.yaml": "value: 2",
    "l2/global.yaml": "# @package _global_\nl2: {name: l2, strength: 3}\nseed: 17",
    "l2/reaching.yaml": "defaults: [l2, /training@extra: default]\nstrength: 5",
    "experiment/first.yaml": """
        # @package _global_
        defaults: [override /optimizer: sgd]
        training: {epochs: 3}
        """,
    "experiment/second.yaml": "# @package _global_\nl2: {strength: 9}\nmore: ${training.epochs}",
}

# What a command line is made of; an example is some of them in some order.
INGREDIENTS = (
    "optimizer=sgd,adam",
    "optimizer=momentum",
    "optimizer=choice(rmsprop,momentum)",
    "optimizer=glob(*m*)",
    "optimizer=glob(*,exclude=[*_*,i*,r*])",
    "optimizer=adam,with_defaults",
    "optimizer=sgd,interpolated",
    "optimizer=adam,of_hydra",
    "optimizer={lr:0.3},{lr:0.4}",
    "optimizer=[sgd,adam]",
    "l2=none,l2",
    "l2=global,none",
    "l2=l2,reaching",
    "l2.strength=0.5",
    "l2.strength=1e-3,1_0,inf",
    "l2.strength=float(range(1,3))",
    "experiment=first",
    "experiment=first,second",
    "seed=5",
    "seed=range(3)",
    "seed=sort(4,3)",
    "seed='a,b',\"c d\"",
    "seed='1',2",
    "seed=null,-1",
    "seed=tag(later,choice(1,2))",
    "seed=${training.epochs},7",
    "seed='${hydra:runtime.choices.optimizer}',\\${not_one}",
    "training.epochs=2",
    "training.epochs=2,4",
    "training.batch_size=16,full",
    "training.shuffle=true,false",
    "~training.shuffle",
    "optimizer.lr=0.25",
    "optimizer.lr=${training.epochs},0.5",
    "optimizer.beta1=0.5",
    "optimizer.beta1=0.1,0.2",
    "optimizer.unknown=1,2",
    "+optimizer.added=1",
    "+added=1,2",
    "+added.deep={a:1},{b:2}",
    "++training.epochs=6,8",
    "architecture.hidden=[4]",
    "architecture.hidden=[],[8,4]",
    "architecture.hidden=[[1,2],3],[{a:1}]",
    "architecture.activation={name:tanh},{name:leaky_relu,slope:0.1}",
    "architecture.activation=relu,[tanh,relu]",
    "architecture={hidden:[2]},{activation:tanh}",
)


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remembering]:
    folder = tmp_path_factory.mktemp("conf")
    for group in GROUPS:
        shutil.copytree(conf_folder() / group, folder / group)
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join(line.removeprefix(" " * 8) for line in text.strip().splitlines()))
    with composing(folder) as found:
        yield found


def by_hydra(composer: Remembering, overrides: Sequence[str]) -> list[dict[Any, Any]] | None:
    """Return what Hydra composes of a sweep's jobs, None if there is one that it cannot compose."""
    try:
        return [composed_by_hydra(composer, job) for job in combinations(composer, overrides)]
    except HydraException:
        return None


def assert_spliced(composer: Remembering, overrides: Sequence[str]) -> None:
    """The grid has exactly Hydra's own combinations, or there is an error where Hydra has one."""
    expected = by_hydra(composer, overrides)
    if expected is None:
        with pytest.raises((HydraException, UsageError)):
            expand(composer, overrides)
        return
    found = [point.plain for point in expand(composer, overrides).points]
    assert [repr(each) for each in found] == [repr(each) for each in expected]  # 1, 1.0 and True are told apart


def dealt(seed: int) -> list[list[str]]:
    """Return every ingredient once, in hands of one to three, at random."""
    rng = random.Random(seed)
    left, hands = rng.sample(INGREDIENTS, len(INGREDIENTS)), []
    while left:
        count = rng.randint(1, 3)
        hands.append(left[:count])
        left = left[count:]
    return hands


@pytest.mark.parametrize("overrides", dealt(seed=4), ids=" ".join)
def test_a_grid_of_anything_has_the_combinations_that_hydra_composes(
    composer: Remembering, overrides: list[str]
) -> None:
    assert_spliced(composer, overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=adam,of_hydra", "l2=none,l2"],
        ["l2=none,l2", "optimizer=of_hydra,adam"],
        ["seed=${hydra:runtime.choices.optimizer},1", "optimizer=sgd,adam"],
        ["optimizer=adam,sgd", "optimizer=sgd,momentum", "seed=1,2", "seed=3"],
        ["optimizer.lr=1,2", "optimizer=adam,with_defaults", "optimizer.lr=3,4"],
        ["l2=none,global", "seed=1,2"],
        ["experiment=first,second", "training.epochs=1,2"],
        ["experiment=second", "l2.strength=1,2", "optimizer=interpolated"],
    ],
    ids=" ".join,
)
def test_what_meets_in_a_grid_is_what_hydra_makes_of_it(composer: Remembering, overrides: list[str]) -> None:
    assert_spliced(composer, overrides)


@pytest.mark.parametrize("overrides", [["optimizer=adam,sgd,momentum"], ["optimizer=sgd,momentum", "seed=1,2"]])
def test_a_choice_that_other_choices_follow_is_what_hydra_makes_of_it(
    composer: Remembering, overrides: list[str]
) -> None:
    assert_spliced(Remembering(composer.loader, "following"), overrides)


def test_a_splicer_that_forgets_a_value_is_caught(composer: Remembering, monkeypatch: pytest.MonkeyPatch) -> None:
    put = grid._put

    def forgetful(config: dict[str, Any], path: Sequence[str], value: Any, **known: Any) -> None:
        if value != 0.2:
            put(config, path, value, **known)

    monkeypatch.setattr(grid, "_put", forgetful)
    assert_spliced(composer, ["optimizer.beta1=0.1,0.3"])
    with pytest.raises(AssertionError):
        assert_spliced(composer, ["optimizer.beta1=0.1,0.2"])


def test_a_splicer_that_mixes_two_choices_up_is_caught(composer: Remembering, monkeypatch: pytest.MonkeyPatch) -> None:
    node = grid._node
    monkeypatch.setattr(grid, "_node", lambda config, path: {**node(config, path), "lr": 0.1})
    with pytest.raises(AssertionError):
        assert_spliced(composer, ["optimizer=sgd,adam"])


@pytest.mark.parametrize(
    ("overrides", "compositions"),
    [
        (["seed=range(50)"], 1),
        (["optimizer=sgd,momentum,adam", "seed=range(50)"], 3),
        (["optimizer=sgd,momentum,adam", "l2=none,l2", "optimizer.lr=1,2,3", "training.epochs=4"], 4),
        (["l2.strength=1,2", "seed=1,2", "training.batch_size=16,full", "architecture.hidden=[],[4]"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_hydra_composes_each_choice_of_a_plain_grid_once(
    composer: Remembering, overrides: list[str], compositions: int
) -> None:
    before = composer.asked
    expand(composer, overrides)
    assert composer.asked - before == compositions


def test_a_point_says_what_each_axis_chose(composer: Remembering) -> None:
    found = expand(composer, ["optimizer=sgd,adam", "architecture.hidden=[],[8,4]", "training.epochs=3"])
    assert found.axes == {"optimizer": ("sgd", "adam"), "architecture.hidden": ("[]", "[8,4]")}
    assert [dict(assignments(point.chosen)) for point in found.points] == [
        {"optimizer": "sgd", "architecture.hidden": "[]"},
        {"optimizer": "sgd", "architecture.hidden": "[8,4]"},
        {"optimizer": "adam", "architecture.hidden": "[]"},
        {"optimizer": "adam", "architecture.hidden": "[8,4]"},
    ]


def test_combinations_do_not_share_what_one_of_them_may_change(composer: Remembering) -> None:
    first, second = (point.plain for point in expand(composer, ["optimizer.lr=1,2", "l2=none"]).points)
    assert (first["optimizer"]["lr"], second["optimizer"]["lr"]) == (1, 2)
    assert first["optimizer"] is not second["optimizer"]


def test_the_experiment_gives_a_grid_its_name(composer: Remembering) -> None:
    assert expand(composer, ["experiment=first", "seed=1,2"]).experiment == "first"
    assert expand(composer, ["seed=1,2"]).experiment is None


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed=interval(0,1)", ("seed", "list, choice(…) or range(…)", "interval(0,1)")),
        ("seed=range(0)", ("seed", "nothing", "range(0)")),
        ("optimizer=glob(x*)", ("optimizer", "nothing", "glob(x*)")),
        ("executor.workers=1,2", ("executor.workers", "cannot be swept")),
        ("paths.root=a,b", ("paths.root", "cannot be swept")),
        ("+sweep.name=a,b", ("sweep.name", "cannot be swept")),
        ("tracking.uri=a,b", ("tracking.uri", "cannot be swept")),
    ],
)
def test_what_cannot_be_swept_is_named(composer: Remembering, override: str, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        expand(composer, ["optimizer=sgd,adam", override])
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_value_that_one_choice_has_no_place_for_is_an_error_that_names_the_choice(composer: Remembering) -> None:
    with pytest.raises(ConfigError, match=r"'beta1' is not a setting of optimizer \(sgd\); it has: lr, name"):
        expand(composer, ["optimizer=adam,sgd", "optimizer.beta1=0.8,0.9"])

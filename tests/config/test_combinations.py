"""Which combinations a sweep has: exactly those that its settings say, each once, in one order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from nnexp.config.axes import Axis, Interval, read
from nnexp.config.build import build, build_trials
from nnexp.config.combinations import Chooser
from nnexp.config.expressions import Settings
from nnexp.config.grid import Grid, assignments, expand
from nnexp.config.sweep import Sweep
from nnexp.errors import ConfigError, UsageError
from nnexp.sweeps.plan import Plan, make_plan
from tests.compositions import Remembering, composing


@pytest.fixture(scope="module")
def composer() -> Iterator[Remembering]:
    with composing() as found:
        yield found


def grid(composer: Remembering, *overrides: str, **settings: Any) -> Grid:
    """Return the grid of overrides and of `sweep` settings, as an experiment's file would give them."""
    return expand(
        composer, ["dataset=moons", *overrides, *(f"sweep.{key}={said(value)}" for key, value in settings.items())]
    )


def said(value: Any) -> str:
    """Return a value in Hydra's grammar."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{said(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(said, value)) + "]"
    return '"' + value.replace('"', '\\"') + '"' if isinstance(value, str) else str(value)


def chosen(found: Grid) -> list[str]:
    """Return what each combination chose, as a text."""
    return [" ".join(value for _, value in assignments(point.chosen)) for point in found.points]


def planned(found: Grid) -> Plan:
    configs = build_trials(point.plain for point in found.points)
    pairs = [(config, dict(assignments(point.chosen))) for config, point in zip(configs, found.points, strict=True)]
    return make_plan("name", pairs, (), found.axes)[0]


# zip


def test_zipped_axes_go_together_where_the_first_of_them_stands(composer: Remembering) -> None:
    found = grid(composer, "architecture.hidden=[4],[8]", "seed=0,1", "optimizer.lr=0.1,0.2", zip=["hidden", "lr"])
    assert chosen(found) == ["[4] 0 0.1", "[4] 1 0.1", "[8] 0 0.2", "[8] 1 0.2"]


def test_several_pairs_can_be_zipped(composer: Remembering) -> None:
    overrides = ("optimizer.lr=1,2", "optimizer=sgd,adam", "l2.strength=0,1", "dropout.keep=0.5,1")
    found = grid(composer, *overrides, zip=[["optimizer", "optimizer.lr"], ["l2.strength", "keep"]])
    assert chosen(found) == ["1 sgd 0 0.5", "1 sgd 1 1", "2 adam 0 0.5", "2 adam 1 1"]


# union


def test_a_union_has_the_grids_beside_each_other(composer: Remembering) -> None:
    grids = [{"optimizer": "sgd", "optimizer.lr": "0.1,1"}, {"optimizer": "momentum,adam", "optimizer.beta1": 0.8}]
    found = grid(composer, "l2.strength=0,1", "optimizer.lr=7", union=grids)
    assert chosen(found) == [
        *("0 sgd 0.1", "0 sgd 1", "1 sgd 0.1", "1 sgd 1"),
        *("0 momentum 0.8", "0 adam 0.8", "1 momentum 0.8", "1 adam 0.8"),
    ]
    assert [point.plain["optimizer"]["lr"] for point in found.points] == [0.1, 1, 0.1, 1, 7, 7, 7, 7]
    assert found.axes["optimizer"] == ("sgd", "momentum", "adam")
    assert [account.combinations for account in found.accounts] == [4, 4]
    assert planned(found).trials[-1].label == "l2=1 adam beta1=0.8"


def test_trials_that_two_grids_share_are_one(composer: Remembering) -> None:
    found = grid(composer, union=[{"optimizer": "sgd,adam"}, {"optimizer": "adam,momentum"}])
    plan = planned(found)
    assert [trial.label for trial in plan.trials] == ["sgd", "adam", "momentum"]
    assert [(each.label, each.into) for each in plan.merges] == [("adam", 1)]


def test_the_labels_of_a_union_tell_settings_of_one_name_apart(composer: Remembering) -> None:
    grids = [{"optimizer.eps": "1e-3"}, {"normalization": "batch_norm", "normalization.eps": "1e-3"}]
    labels = [trial.label for trial in planned(grid(composer, union=grids)).trials]
    assert labels == ["optimizer.eps=0.001", "normalization=batch_norm normalization.eps=0.001"]


# where


def test_a_filter_removes_what_it_does_not_hold_of_and_is_told(composer: Remembering) -> None:
    filters = ["lr < 1 or optimizer == 'sgd'", "hidden != [] or l2.strength == 0"]
    overrides = ("optimizer=sgd,adam", "optimizer.lr=0.1,1", "architecture.hidden=[],[4]", "l2.strength=0,1")
    found = grid(composer, *overrides, where=filters)
    assert len(found.points) == 9
    assert all(point.plain["optimizer"]["lr"] < 1 for point in found.points if point.chosen["optimizer"] == "adam")
    assert found.accounts[0].removed == {filters[0]: 4, filters[1]: 3}


def test_a_filter_sees_what_auto_stands_for_and_interpolations_give(composer: Remembering) -> None:
    where = "loss == 'mse' and objective.direction == 'minimize' and record_every == 2"
    found = grid(
        composer,
        "dataset=moons,diabetes",
        "training.epochs=2,3",
        "training.record_every=${training.epochs}",
        where=where,
    )
    assert [point.chosen for point in found.points] == [{"dataset": "diabetes", "training.epochs": 2}]


def test_a_filter_can_remove_what_could_not_be_a_trial(composer: Remembering) -> None:
    overrides = ("normalization=none,batch_norm", "architecture.hidden=[],[4]")
    with pytest.raises(ConfigError, match="needs a hidden layer"):
        planned(grid(composer, *overrides))
    assert len(planned(grid(composer, *overrides, where="normalization == 'none' or hidden != []")).trials) == 3


# only_if


def test_an_axis_can_be_there_for_some_choices_only(composer: Remembering) -> None:
    overrides = ("optimizer=sgd,adam", "optimizer.beta1=0.8,0.9", "seed=0,1")
    found = grid(composer, *overrides, only_if={"optimizer.beta1": "optimizer == 'adam'"})
    assert chosen(found) == ["sgd 0", "sgd 1", "adam 0.8 0", "adam 0.8 1", "adam 0.9 0", "adam 0.9 1"]
    (account,) = found.accounts
    assert (account.combinations, account.collapsed) == (8, 2)
    assert account.absent == {"optimizer.beta1 if optimizer == 'adam'": 4}
    labels = [trial.label for trial in planned(found).trials]
    assert labels[0] == "sgd seed=0"
    assert labels[-1] == "adam beta1=0.9 seed=1"


def test_a_group_that_is_not_there_is_as_it_is_without(composer: Remembering) -> None:
    found = grid(composer, "optimizer=sgd,adam", "schedule=step,cosine", only_if={"schedule": "optimizer == 'sgd'"})
    assert [point.plain["schedule"]["name"] for point in found.points] == ["step", "cosine", "constant"]


def test_a_condition_may_read_an_axis_that_has_one(composer: Remembering) -> None:
    overrides = ("optimizer.momentum=0,0.9", "optimizer.centered=true,false", "optimizer=sgd,rmsprop")
    conditions = {"centered": "optimizer == 'rmsprop' and momentum > 0", "momentum": "optimizer == 'rmsprop'"}
    found = grid(composer, *overrides, only_if=conditions)
    assert chosen(found) == ["sgd", "0 rmsprop", "0.9 True rmsprop", "0.9 False rmsprop"]
    assert found.points[1].plain["optimizer"]["centered"] is False  # the default


# sample


def test_a_sample_is_of_configurations_each_with_all_seeds(composer: Remembering) -> None:
    overrides = ("seed=0,1", "optimizer=sgd,adam", "optimizer.lr=range(1,30)")
    found = chosen(grid(composer, *overrides, sample=5))
    everything = chosen(grid(composer, *overrides))
    assert len(found) == 10
    assert found == [each for each in everything if each in found]  # Hydra's order
    assert [each[2:] for each in found[:5]] == [each[2:] for each in found[5:]]
    assert found == chosen(grid(composer, *overrides, sample=5))
    assert found != chosen(grid(composer, *overrides, sample=5, sample_seed=1))
    assert set(found) < set(chosen(grid(composer, *overrides, sample=9)))


def test_a_sample_can_be_of_more_than_can_be_looked_at(composer: Remembering) -> None:
    overrides = [f"optimizer.{name}=range(1,1000)" for name in ("lr", "eps", "weight_decay")]
    found = chosen(grid(composer, *overrides, sample=20))
    assert len(set(found)) == 20
    with pytest.raises(UsageError, match=r"997,002,999 combinations are too many .* sweep\.sample"):
        grid(composer, *overrides)


def test_numbers_are_drawn_where_an_axis_is_an_interval(composer: Remembering) -> None:
    overrides = (
        *("optimizer=sgd,adam", "optimizer.lr=tag(log,interval(1e-4,1))", "l2.strength=interval(0,1)"),
        "training.batch_size=int(interval(8,65))",
    )
    found = grid(composer, *overrides, sample=200, where="optimizer == 'adam' or lr > 0.01", seeds=2)
    assert len(found.points) == 400
    for point in found.points:
        lr, strength, batch = (point.chosen[key] for key in ("optimizer.lr", "l2.strength", "training.batch_size"))
        assert 1e-4 <= lr < 1
        assert 0 <= strength < 1
        assert isinstance(batch, int)
        assert 8 <= batch < 65
        assert point.chosen["optimizer"] == "adam" or lr > 0.01
        assert point.plain["optimizer"]["lr"] == lr
    of_adam = sorted(point.chosen["optimizer.lr"] for point in found.points if point.chosen["optimizer"] == "adam")
    assert 0.004 < of_adam[len(of_adam) // 2] < 0.025  # the middle of the logarithms is 0.01
    fewer = chosen(grid(composer, *overrides, sample=20, where="optimizer == 'adam' or lr > 0.01", seeds=2))
    assert fewer == chosen(found)[:40]
    build_trials(point.plain for point in found.points)


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), st.booleans(), st.floats(0, 1, exclude_max=True))
def test_a_drawn_number_is_in_its_interval(a: float, b: float, log: bool, share: float) -> None:
    if a != b:
        start, end = sorted((a, b))
        assert start <= Interval(start, end, log).at(share) <= end
    whole = Interval(1, 1 + int(min(a, 1e9) + 1), log).at(share)
    assert isinstance(whole, int)
    assert 1 <= whole < 1 + int(min(a, 1e9) + 1)


# seeds


def test_seeds_are_repeats_of_every_configuration(composer: Remembering) -> None:
    found = grid(composer, "optimizer=sgd,adam", seeds=3)
    assert chosen(found) == ["sgd 0", "sgd 1", "sgd 2", "adam 0", "adam 1", "adam 2"]
    assert found.axes == {"optimizer": ("sgd", "adam"), "seed": ("0", "1", "2")}
    assert chosen(grid(composer, seeds=2)) == ["0", "1"]


# what cannot be

ONE = {"union": [{"optimizer": "sgd"}]}
WRONG: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "unequal": (
        ["seed=1,2", "optimizer.lr=1,2,3"],
        {"zip": ["seed", "lr"]},
        "seed with optimizer.lr, but they have 2 and 3",
    ),
    "alone": (["seed=1,2"], {"zip": ["seed"]}, "sweep.zip must be two axes or more"),
    "twice": (["seed=1,2", "optimizer.lr=1,2"], {"zip": [["seed", "lr"], ["lr", "seed"]]}, "names optimizer.lr twice"),
    "not swept": (["seed=1,2"], {"zip": ["seed", "optimizer.lr"]}, "pairs seed with optimizer.lr, which is not swept"),
    "neither swept": (["seed=1,2"], {"zip": ["a", "b"]}, "sweep.zip names 'a', which is not swept; swept are: seed"),
    "two ends": (
        [
            "dataset.seed=1,2",
            "dataset.split_seed=1,2",
            "seed=1,2",
            "optimizer.eps=1,2",
            "normalization=batch_norm",
            "normalization.eps=1,2",
        ],
        {"zip": ["eps", "seed"]},
        "which may be any of: optimizer.eps, normalization.eps",
    ),
    "one grid": (["seed=1,2"], ONE, "sweep.union must be two grids or more"),
    "a list in a grid": (["seed=1,2"], {"union": [{"optimizer": ["sgd"]}, {}]}, "sweep.union"),
    "a run's setting in a grid": ([], {"union": [{"executor.workers": 1}, {}]}, "executor.workers cannot be swept"),
    "nothing left": (["seed=1,2"], {"where": "seed > 2"}, "leaves no combination: 'seed > 2' removed 2"),
    "not boolean": (["seed=1,2"], {"where": "seed"}, "`seed` must be true or false"),
    "not swept, only_if": (
        ["seed=1,2"],
        {"only_if": {"optimizer.lr": "seed == 1"}},
        "names 'optimizer.lr', which is not swept",
    ),
    "itself": (["seed=1,2"], {"only_if": {"seed": "seed == 1"}}, "whether there is seed depends on itself"),
    "a circle": (
        ["seed=1,2", "optimizer.lr=1,2"],
        {"only_if": {"seed": "lr == 1", "lr": "seed == 1"}},
        "depends on itself",
    ),
    "none": (["seed=1,2"], {"sample": 0}, "sweep.sample must be >= 1, got 0"),
    "more than there are": (["optimizer.lr=1,2"], {"sample": 3}, "got 3: 2 were found in 2 combinations"),
    "more than are left": (["optimizer.lr=interval(0,1)"], {"sample": 3, "where": "lr > 2"}, "('lr > 2' removed"),
    "no sample": (["optimizer.lr=interval(0,1)"], {}, "sweep.sample=n draws n"),
    "an empty interval": (["optimizer.lr=interval(1,1)"], {"sample": 1}, "must begin below its end"),
    "log of zero": (["optimizer.lr=tag(log,interval(0,1))"], {"sample": 1}, "must begin above 0"),
    "an unknown tag": (["optimizer.lr=tag(ln,interval(1,2))"], {"sample": 1}, "can be tagged log only, got ln"),
    "a zipped interval": (
        ["seed=1,2", "optimizer.lr=interval(0,1)"],
        {"sample": 1, "zip": ["seed", "lr"]},
        "is an interval",
    ),
    "a group's interval": (["optimizer=interval(0,1)"], {"sample": 1}, "optimizer must be swept over its choices"),
    "both seeds": (["seed=1,2"], {"seeds": 2}, "but seed is given too"),
    "both seeds, one": (["optimizer=sgd,adam", "seed=1"], {"seeds": 2}, "but seed is given too"),
    "no seeds": (["optimizer=sgd,adam"], {"seeds": 0}, "sweep.seeds must be >= 1, got 0"),
    "a typed setting": (["optimizer=sgd,adam"], {"seeds": "a"}, "sweep.seeds must be an integer or null, got 'a'"),
    "a typed list": (["optimizer=sgd,adam"], {"zip": "a"}, "sweep.zip must be a list"),
    "a typed mapping": (["optimizer=sgd,adam"], {"only_if": "a"}, "sweep.only_if must be settings by name"),
    "no trials": (["optimizer=sgd,adam"], {"max_trials": 0}, "sweep.max_trials must be >= 1"),
    "a filter of a list": (["optimizer=sgd,adam"], {"where": [1]}, "sweep.where must be"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_one_line(composer: Remembering, name: str) -> None:
    overrides, settings, words = WRONG[name]
    with pytest.raises(UsageError) as caught:
        grid(composer, *overrides, **settings)
    assert words in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


def test_choices_that_set_a_runs_settings_differently_are_refused(composer: Remembering, tmp_path: Any) -> None:
    (tmp_path / "experiment").mkdir()
    for name in ("a", "b"):
        text = f"# @package _global_\nsweep: {{name: {name}}}"
        (tmp_path / "experiment" / f"{name}.yaml").write_text(text)
    with composing(folder=tmp_path) as found, pytest.raises(UsageError, match="sweep must be the same for all trials"):
        expand(found, ["experiment=a,b"])


def test_hydra_composes_each_choice_once_for_all_grids_of_a_union(composer: Remembering) -> None:
    before = composer.asked
    grid(composer, "l2=none,l2", union=[{"optimizer.lr": "1,2"}, {"optimizer.lr": "3,4"}])
    assert composer.asked - before == 2


# properties: beside a brute-force account of the same settings, without Hydra

NAMES = ("a", "b", "c", "d")


def axes_of(sizes: Mapping[str, int]) -> list[Axis]:
    override = OverridesParser.create().parse_override("a=1")
    return [Axis(name, tuple(map(str, range(n))), list(range(n)), override) for name, n in sizes.items()]


def by_chooser(sizes: Mapping[str, int], settings: Sweep) -> list[dict[str, int]]:
    axes = axes_of(sizes)

    def look(place: Sequence[int | None]) -> tuple[dict[str, Any], Settings]:
        plain = dict.fromkeys(NAMES, -1) | values(place)
        return plain, Settings(plain)

    def values(place: Sequence[int | None]) -> dict[str, int]:
        return {axis.name: at for axis, at in zip(axes, place, strict=True) if at is not None}

    return [values(each.at) for each in Chooser(axes, settings).places(look)]


def by_hand(
    sizes: Mapping[str, int], zipped: Sequence[str], only_if: Mapping[str, tuple[str, int]], where: Callable[..., bool]
) -> list[dict[str, int]]:
    found: list[dict[str, int]] = []
    for numbers in product(*map(range, sizes.values())):
        point = dict(zip(sizes, numbers, strict=True))
        if len({point[name] for name in zipped}) > 1:
            continue
        point = {
            name: value
            for name, value in point.items()
            if name not in only_if or point[only_if[name][0]] == only_if[name][1]
        }
        if where(**(dict.fromkeys(NAMES, -1) | point)) and point not in found:
            found.append(point)
    return found


@given(st.data())
def test_zip_filters_and_conditions_lose_nothing_and_double_nothing(data: st.DataObject) -> None:
    sizes = {name: data.draw(st.integers(1, 3), name) for name in data.draw(st.permutations(NAMES))}
    zipped = data.draw(st.sampled_from([(), ("a", "c"), ("b", "c"), ("a", "b", "c")]))
    sizes |= dict.fromkeys(zipped, max((sizes[name] for name in zipped), default=1)) if zipped else {}
    conditional = data.draw(
        st.dictionaries(st.sampled_from(("a", "b")), st.tuples(st.sampled_from(("c", "d")), st.integers(0, 2)))
    )
    limit = data.draw(st.integers(-1, 6))
    settings = build(
        Sweep,
        "sweep",
        {
            "zip": list(zipped),
            "only_if": {name: f"{other} == {value}" for name, (other, value) in conditional.items()},
            "where": f"a + b * c <= {limit} or d == 1",
        },
    )
    expected = by_hand(sizes, zipped, conditional, lambda a, b, c, d: a + b * c <= limit or d == 1)
    found = by_chooser(sizes, settings)
    order = [dict(sorted(each.items())) for each in found]
    assert len(found) == len({tuple(sorted(each.items())) for each in found})
    assert sorted(map(repr, order)) == sorted(repr(dict(sorted(each.items()))) for each in expected)
    if not zipped:
        assert found == expected  # in Hydra's order
    assert found == by_chooser(sizes, settings)
    again = build(
        Sweep,
        "sweep",
        {
            "where": settings.where,
            "only_if": dict(reversed(list((settings.only_if or {}).items()))),
            "zip": [list(reversed(zipped))] if zipped else [],
        },
    )
    assert by_chooser(sizes, again) == found


@given(st.data())
def test_a_sample_is_some_of_the_grid_in_its_order(data: st.DataObject) -> None:
    sizes = {name: data.draw(st.integers(1, 4), name) for name in NAMES}
    shared = {"where": "a != 1 or b == 0", "only_if": {"d": "c > 0"}}
    everything = by_chooser(sizes, build(Sweep, "sweep", shared))
    wanted = data.draw(st.integers(1, len(everything)))
    seed = data.draw(st.integers(0, 5))
    found = by_chooser(sizes, build(Sweep, "sweep", {**shared, "sample": wanted, "sample_seed": seed}))
    assert len(found) == wanted
    assert sorted(everything.index(each) for each in found) == sorted({everything.index(each) for each in found})


@given(st.randoms(use_true_random=False))
def test_a_plan_has_the_same_trials_whatever_the_order_of_keys(rng: random.Random) -> None:
    sizes = {"a": 3, "b": 2, "c": 3, "d": 2}
    settings = build(Sweep, "sweep", {"zip": ["a", "c"], "only_if": {"b": "d == 1"}, "where": "a + d != 1"})
    shuffled = {name: sizes[name] for name in rng.sample(list(sizes), len(sizes))}
    found = {tuple(sorted(each.items())) for each in by_chooser(shuffled, settings)}
    assert found == {tuple(sorted(each.items())) for each in by_chooser(sizes, settings)}


def test_reading_axes_needs_no_settings(composer: Remembering) -> None:
    (axis,) = read(composer, ["optimizer.lr=interval(0,1)"])
    assert isinstance(axis, Axis)
    assert axis.interval == Interval(0.0, 1.0, False)

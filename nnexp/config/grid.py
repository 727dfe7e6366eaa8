"""A sweep's combinations: Hydra composes each choice of each group once, and the combinations are spliced.

Hydra needs some 35 ms to compose one job, and a grid has many. But a choice that names no package and brings no
defaults list fills its own node of the config and nothing else. So it is composed once, beside the first choices of the
others, and its node is put into every combination it takes part in; plain values are set where they belong. An axis of
which that is not certain (an experiment, a file with a defaults list, an added or dictionary value) is left to Hydra,
combination by combination. A property test holds the result against Hydra's own composition.

Which combinations there are, `nnexp.config.combinations` says, from the axes and the `sweep` settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nnexp.config.axes import RUN_TIME, Axis, read
from nnexp.config.build import build, without_auto
from nnexp.config.combinations import Account, Chooser, Place
from nnexp.config.compose import Composer, resolve, texts, unresolved
from nnexp.config.expressions import Settings
from nnexp.config.sweep import Sweep
from nnexp.errors import ConfigError, UsageError, unknown_setting


@dataclass(frozen=True)
class Point:
    """One combination: its config as plain data, and what each axis chose."""

    plain: dict[str, Any]
    chosen: dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """All combinations of a sweep in Hydra's order (the last axis changes fastest), and the experiment's name.

    axes: what is swept, grid by grid, and the values as they were given. accounts: how each grid's combinations came
    about. run_time: the settings that are the same for all.
    """

    axes: Mapping[str, tuple[str, ...]]
    points: tuple[Point, ...]
    experiment: str | None
    accounts: tuple[Account, ...]
    run_time: Mapping[str, Any]


def expand(composer: Composer, overrides: Sequence[str]) -> Grid:
    """Return the combinations that overrides in Hydra's grammar and the `sweep` settings name.

    Where a key is given twice, the last counts, as in Hydra's own sweeper; a grid of a union comes last of all.
    Raises: ConfigError or UsageError if something cannot be swept; Hydra's exceptions if it cannot be composed.
    """
    composed: dict[tuple[str, ...], DictConfig] = {}
    first = _Splicer(composer, read(composer, overrides), composed).first()
    run_time = _run_time(first)
    settings = build(Sweep, "sweep", run_time.get("sweep", {}))
    axes: dict[str, tuple[str, ...]] = {}
    points: list[Point] = []
    accounts = []
    for number, more in enumerate(settings.union or ({},)):
        given = read(composer, overrides, more, settings)
        splicer = _Splicer(composer, given, composed, run_time)
        found, account = splicer.all(Chooser(splicer.axes, settings, number, more))
        points += found
        accounts.append(account)
        for axis in splicer.axes:
            axes[axis.name] = tuple(dict.fromkeys((*axes.get(axis.name, ()), *axis.given)))
    _check_named(settings, axes)
    if not points:
        raise UsageError("sweep.where leaves no combination: " + "; ".join(each.said() for each in accounts))
    return Grid(axes, tuple(points), first.hydra.runtime.choices.get("experiment"), tuple(accounts), run_time)


def _run_time(composed: DictConfig) -> dict[str, Any]:
    return {name: OmegaConf.to_container(composed[name], resolve=True) for name in RUN_TIME if name in composed}


def _check_named(settings: Sweep, axes: Mapping[str, Any]) -> None:
    """Raise UsageError if a setting is about an axis that no grid has."""
    for where, names in (("zip", [each for group in settings.zipped for each in group]), ("only_if", settings.only_if)):
        for name in names or ():
            if not any(axis == name or axis.endswith(f".{name}") for axis in axes):
                raise UsageError(f"sweep.{where} names {name!r}, which is not swept; swept are: {', '.join(axes)}")


class _ReachesOut(Exception):  # noqa: N818  # not an error: the splicer tries again
    """A choice changes more than its own node."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis


class _Splicer:
    """Composes a grid's combinations from as few compositions by Hydra as is safe.

    Args: given: overrides and axes, in the order they were given. composed: what was composed before, of the same
    lines. run_time: the settings that all combinations must share.
    """

    def __init__(
        self,
        composer: Composer,
        given: Sequence[str | Axis],
        composed: dict[tuple[str, ...], DictConfig],
        run_time: Mapping[str, Any] | None = None,
    ) -> None:
        self.composer, self.given, self._composed, self._run_time = composer, given, composed, run_time
        self.axes = tuple(each for each in given if isinstance(each, Axis))
        self.left_to_hydra: set[int] = set()

    def first(self) -> DictConfig:
        """Return what Hydra composes of the first choices of all axes but plain values."""
        slow, groups, _ = self._kinds()
        return self._compose({number: 0 if self.axes[number].values else None for number in (*slow, *groups)})

    def all(self, chooser: Chooser) -> tuple[list[Point], Account]:
        """Return all combinations that a chooser chooses."""
        while True:
            try:
                return self._chosen(chooser)
            except _ReachesOut as found:
                self.left_to_hydra.add(found.axis)

    def _chosen(self, chooser: Chooser) -> tuple[list[Point], Account]:
        slow, groups, settings = self._kinds()
        bases: dict[Place, _Base] = {}
        names = [axis.name for axis in self.axes]

        def compose(place: Place) -> dict[str, Any]:
            of_slow = tuple(place[number] for number in slow)
            if of_slow not in bases:
                chosen = dict(zip(slow, of_slow, strict=True))
                bases[of_slow] = self._base(chosen, groups, settings, chooser.conditional)
            return bases[of_slow].spliced(place)

        def look(place: Place) -> tuple[dict[str, Any], Settings]:
            plain = compose(place)
            return plain, Settings(without_auto(plain), names)

        points = []
        for place in chooser.places(look):
            chosen = {
                axis.name: axis.values[at] for axis, at in zip(self.axes, place.at, strict=True) if at is not None
            }
            points.append(Point(compose(place.at) if place.plain is None else place.plain, chosen))
        return points, chooser.account

    def _kinds(self) -> tuple[list[int], list[int], list[int]]:
        """Return which axes are left to Hydra, which are groups to splice, which are values to set."""
        slow, groups, settings = [], [], []
        for number, axis in enumerate(self.axes):
            choices = self.composer.choices(axis.override.key_or_group)
            special = axis.key != axis.override.key_or_group or "[" in axis.key
            if number in self.left_to_hydra or special or any(isinstance(value, dict) for value in axis.values):
                slow.append(number)
            elif axis.interval is not None and choices:
                raise UsageError(f"{axis.key} must be swept over its choices, got {axis.given[0]}")
            elif not choices:
                settings.append(number)
            elif all(isinstance(each, str) and self.composer.stands_alone(axis.key, each) for each in axis.values):
                groups.append(number)
            else:
                slow.append(number)
        return slow, groups, settings

    def _base(
        self,
        slow: Mapping[int, int | None],
        groups: Sequence[int],
        settings: Sequence[int],
        conditional: Sequence[int],
    ) -> _Base:
        """Compose what one combination of the slow axes needs: once, and once more for each further choice."""
        first = {**slow, **dict.fromkeys(groups, 0)}
        composed = self._compose(first)
        if self._run_time is not None and (found := _run_time(composed)) != self._run_time:
            (name, *_) = [name for name, value in found.items() if value != self._run_time.get(name)]
            raise UsageError(f"{name} must be the same for all trials, but the sweep's choices set it differently")
        base = unresolved(composed)
        nodes: dict[int, dict[int | None, Any]] = {}
        for number in groups:
            path = self.axes[number].path
            nodes[number] = {0: _node(base, path)}
            for choice in (*range(1, len(self.axes[number].values)), *([None] if number in conditional else [])):
                other = unresolved(self._compose({**first, number: choice}))
                nodes[number][choice] = _node(other, path)
                _put(other, path, _node(base, path))
                if other != base:
                    raise _ReachesOut(number)
        values = [self.axes[number].values for number in settings]
        written = {"base": base, "nodes": [list(each.values()) for each in nodes.values()], "values": values}
        if any("${hydra:" in text for _, text in texts(written)):  # such text means something else in every job
            for number in (*groups, *settings):
                raise _ReachesOut(number)
        open_ends = any("${" in text or text == "???" for _, text in texts(written))
        return _Base(self.axes, base, nodes, tuple(settings), open_ends)

    def _compose(self, chosen: Mapping[int, int | None]) -> DictConfig:
        """Compose with the chosen value of some axes, the others left out."""
        lines = []
        taken = {self.axes[number].key: self.axes[number].text(at) for number, at in chosen.items() if at is not None}
        for each in self.given:
            line = each if isinstance(each, str) else taken.get(each.key)
            if line is not None:
                lines.append(line)
        key = tuple(lines)
        if key not in self._composed:
            self._composed[key] = self.composer.compose(lines)
        HydraConfig.instance().set_config(self._composed[key])
        return self._composed[key]


@dataclass
class _Base:
    """The config of one combination of the slow axes, the nodes of each group's choices, and which axes set values.

    open_ends: whether anything in it is an interpolation, or is missing.
    """

    axes: tuple[Axis, ...]
    config: dict[str, Any]
    nodes: dict[int, dict[int | None, Any]]
    settings: tuple[int, ...]
    open_ends: bool

    def spliced(self, place: Place) -> dict[str, Any]:
        """Return the config of a combination, resolved. What combinations share is not copied."""
        config = dict(self.config)
        for number, nodes in self.nodes.items():
            _put(config, self.axes[number].path, nodes[place[number]])
        for number in self.settings:
            at = place[number]
            if at is not None:
                _put(config, self.axes[number].path, self.axes[number].values[at], known=True)
        return resolve(config) if self.open_ends else config


def _node(config: Mapping[str, Any], path: Sequence[str]) -> Any:
    node: Any = config
    for key in path:
        node = node[key]
    return node


def _put(config: dict[str, Any], path: Sequence[str], value: Any, *, known: bool = False) -> None:
    """Set a value deep in a config, copying the nodes on the way; a `known` one must be there already."""
    node = config
    for depth, key in enumerate(path[:-1], start=1):
        below = node.get(key)
        if not isinstance(below, dict):
            raise ConfigError(_no_such(path, depth, node))
        node[key] = dict(below)
        node = node[key]
    if known and path[-1] not in node:
        raise ConfigError(_no_such(path, len(path), node))
    node[path[-1]] = value


def _no_such(path: Sequence[str], depth: int, node: Mapping[str, Any]) -> str:
    name = node.get("name")
    return unknown_setting(".".join(path[:depth]), node, name if isinstance(name, str) and depth > 1 else None)


def assignments(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what each axis chose, as short texts: `0.1`, `[64,32]`, `elu(alpha=0.5)`."""
    for key, value in chosen.items():
        yield key, _short(value)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(map(_short, value)) + "]"
    if isinstance(value, dict):
        rest = ",".join(f"{key}={_short(each)}" for key, each in value.items() if key != "name")
        return f"{value.get('name', '')}({rest})"
    return str(value)

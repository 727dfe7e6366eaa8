"""A sweep's combinations: Hydra composes each choice of each group once, and the combinations are spliced.

Hydra needs some 35 ms to compose one job, and a grid has many. But a choice that names no package and brings no
defaults list fills its own node of the config and nothing else. So it is composed once, beside the first choices of the
others, and its node is put into every combination it takes part in; plain values are set where they belong. An axis of
which that is not certain (an experiment, a file with a defaults list, an added or dictionary value) is left to Hydra,
combination by combination. A property test holds the result against Hydra's own composition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Transformer
from omegaconf import DictConfig

from nnexp.config.compose import Composer, resolve, texts, unresolved
from nnexp.errors import ConfigError, UsageError, unknown_setting

RUN_TIME = ("executor", "paths", "sweep", "tracking")  # set once for all of a sweep's trials


@dataclass(frozen=True)
class Axis:
    """A setting or group that is swept, and the overrides and values it takes."""

    key: str
    texts: tuple[str, ...]
    values: tuple[Any, ...]
    override: Override

    @property
    def name(self) -> str:
        """The key without the signs of Hydra's grammar."""
        return self.key.lstrip("+~")

    @property
    def path(self) -> list[str]:
        """Where in the config it belongs."""
        return self.name.replace("/", ".").split(".")


@dataclass(frozen=True)
class Point:
    """One combination: its config as plain data, and what each axis chose."""

    plain: dict[str, Any]
    chosen: dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """All combinations of a sweep in Hydra's order (the last axis changes fastest), and the experiment's name."""

    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    experiment: str | None


def expand(composer: Composer, overrides: Sequence[str]) -> Grid:
    """Return the combinations that overrides in Hydra's grammar name.

    Where a key is given twice, the last counts, as in Hydra's own sweeper.
    Raises: ConfigError or UsageError if something cannot be swept; Hydra's exceptions if it cannot be composed.
    """
    parsed = OverridesParser.create(config_loader=composer.loader).parse_overrides(list(overrides))
    last = {override.get_key_element(): override for override in parsed}
    given = [_axis(each) if each.is_sweep_override() else each.input_line or "" for each in last.values()]
    splicer = _Splicer(composer, given)
    while True:
        try:
            return splicer.grid()
        except _ReachesOut as found:
            splicer.left_to_hydra.add(found.axis)


class _ReachesOut(Exception):  # noqa: N818  # not an error: the splicer tries again
    """A choice changes more than its own node."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis


def _axis(override: Override) -> Axis:
    key = override.get_key_element()
    if not override.is_discrete_sweep():
        raise UsageError(f"{key} must be swept over a list, choice(…) or range(…), got {override.get_value_string()}")
    name = key.lstrip("+~")
    if name.split(".")[0].split("/")[0] in RUN_TIME:
        raise UsageError(f"{name} cannot be swept: it is set once for all trials")
    texts_of = tuple(override.sweep_string_iterator())
    values = tuple(Override._convert_value(value) for value in override.sweep_iterator(Transformer.identity))
    if not values:
        raise UsageError(f"{key} is swept over nothing: {override.get_value_string()}")
    return Axis(key, tuple(f"{key}={text}" for text in texts_of), values, override)


class _Splicer:
    """Composes a grid's combinations from as few compositions by Hydra as is safe.

    Args: given: overrides and axes, in the order they were given.
    """

    def __init__(self, composer: Composer, given: Sequence[str | Axis]) -> None:
        self.composer, self.given = composer, given
        self.axes = tuple(each for each in given if isinstance(each, Axis))
        self.left_to_hydra: set[int] = set()
        self._composed: dict[tuple[int | None, ...], DictConfig] = {}

    def grid(self) -> Grid:
        """Return all combinations.

        Raises: _ReachesOut if an axis must be left to Hydra.
        """
        slow, groups, settings = self._kinds()
        bases: dict[tuple[int, ...], _Base] = {}
        points = []
        for place in product(*(range(len(axis.values)) for axis in self.axes)):
            of_slow = tuple(place[number] for number in slow)
            if of_slow not in bases:
                bases[of_slow] = self._base(dict(zip(slow, of_slow, strict=True)), groups, settings)
            chosen = {axis.name: axis.values[at] for axis, at in zip(self.axes, place, strict=True)}
            points.append(Point(bases[of_slow].spliced(place), chosen))
        choices = next(iter(self._composed.values())).hydra.runtime.choices
        return Grid(self.axes, tuple(points), choices.get("experiment"))

    def _kinds(self) -> tuple[list[int], list[int], list[int]]:
        """Return which axes are left to Hydra, which are groups to splice, which are values to set."""
        slow, groups, settings = [], [], []
        for number, axis in enumerate(self.axes):
            choices = self.composer.choices(axis.override.key_or_group)
            special = axis.key != axis.override.key_or_group or "[" in axis.key
            if number in self.left_to_hydra or special or any(isinstance(value, dict) for value in axis.values):
                slow.append(number)
            elif not choices:
                settings.append(number)
            elif all(isinstance(each, str) and self.composer.stands_alone(axis.key, each) for each in axis.values):
                groups.append(number)
            else:
                slow.append(number)
        return slow, groups, settings

    def _base(self, slow: Mapping[int, int], groups: Sequence[int], settings: Sequence[int]) -> _Base:
        """Compose what one combination of the slow axes needs: once, and once more for each further choice."""
        first = {**slow, **dict.fromkeys(groups, 0)}
        base = unresolved(self._compose(first))
        nodes: dict[int, list[Any]] = {}
        for number in groups:
            path = self.axes[number].path
            nodes[number] = [_node(base, path)]
            for choice in range(1, len(self.axes[number].values)):
                other = unresolved(self._compose({**first, number: choice}))
                nodes[number].append(_node(other, path))
                _put(other, path, _node(base, path))
                if other != base:
                    raise _ReachesOut(number)
        written = {"base": base, "nodes": nodes, "values": [list(self.axes[number].values) for number in settings]}
        if any("${hydra:" in text for _, text in texts(written)):  # such text means something else in every job
            for number in (*groups, *settings):
                raise _ReachesOut(number)
        return _Base(self.axes, base, nodes, tuple(settings))

    def _compose(self, chosen: Mapping[int, int]) -> DictConfig:
        """Compose with the chosen value of some axes, the others left out."""
        key = tuple(chosen.get(number) for number in range(len(self.axes)))
        if key not in self._composed:
            texts = {axis.key: axis.texts[chosen[number]] for number, axis in enumerate(self.axes) if number in chosen}
            lines = [each if isinstance(each, str) else texts.get(each.key) for each in self.given]
            self._composed[key] = self.composer.compose([line for line in lines if line is not None])
        HydraConfig.instance().set_config(self._composed[key])
        return self._composed[key]


@dataclass
class _Base:
    """The config of one combination of the slow axes, the nodes of each group's choices, and which axes set values."""

    axes: tuple[Axis, ...]
    config: dict[str, Any]
    nodes: dict[int, list[Any]]
    settings: tuple[int, ...]

    def spliced(self, place: Sequence[int]) -> dict[str, Any]:
        """Return the config of a combination, resolved. What combinations share is not copied."""
        config = dict(self.config)
        for number, nodes in self.nodes.items():
            _put(config, self.axes[number].path, nodes[place[number]])
        for number in self.settings:
            _put(config, self.axes[number].path, self.axes[number].values[place[number]], known=True)
        return resolve(config)


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

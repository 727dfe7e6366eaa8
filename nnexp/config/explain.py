"""Hydra's complaints in nnexp's way: one line that names the thing, the value and the choices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException

from nnexp.config.build import unknown_setting
from nnexp.config.compose import Composer, unresolved
from nnexp.errors import ConfigError


def explain(error: HydraException, overrides: Sequence[str], composer: Composer) -> ConfigError:
    """Return what a Hydra exception means. The overrides are those that led to it."""
    if isinstance(error, OverrideParseException):
        return ConfigError(f"cannot read {error.override!r}: {_first_line(error)}")
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return ConfigError(_missing_choice(error, composer))
    unknown = re.search(r"Could not override '([^']+)'", str(error))
    if unknown:
        return ConfigError(_unknown_key(unknown[1], overrides, composer))
    ambiguous = re.search(r"Ambiguous value for argument '([^=]+)=(.*)'", str(error))
    if ambiguous:
        key, values = ambiguous.groups()
        return ConfigError(
            f"{key}={values} names several values: add -m to sweep them, or write {key}=[{values}] for a list"
        )
    return ConfigError(_first_line(error))


def _missing_choice(error: MissingConfigException, composer: Composer) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    choices = composer.choices(group)
    if not choices:
        return _first_line(error)
    return f"{group} {choice!r} is not one of: {', '.join(sorted(choices))}"


def _unknown_key(key: str, overrides: Sequence[str], composer: Composer) -> str:
    """Walk down a config composed of the choices of groups alone, to where the key is unknown."""
    node: Any = unresolved(composer.compose(_group_choices(overrides, composer)))
    walked: list[str] = []
    for part in key.split("."):
        walked.append(part)
        if not isinstance(node, dict):
            return f"{key!r} is not a setting: {'.'.join(walked[:-1])} has none below it"
        if part not in node:
            name = node.get("name") if len(walked) > 1 else None
            line = unknown_setting(".".join(walked), node, name if isinstance(name, str) else None)
            close = get_close_matches(part, list(node), 1) if len(node) > 2 else []
            return f"{line} (did you mean {close[0]}?)" if close else line
        node = node[part]
    return f"{key!r} cannot be set"


def _group_choices(overrides: Sequence[str], composer: Composer) -> list[str]:
    """Return the overrides that choose of groups, each sweep by its first value."""
    chosen = []
    for override in OverridesParser.create(config_loader=composer.loader).parse_overrides(list(overrides)):
        if composer.choices(override.key_or_group) and not override.is_delete():
            if override.is_sweep_override():
                chosen.append(f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}")
            else:
                chosen.append(override.input_line or "")
    return chosen


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
